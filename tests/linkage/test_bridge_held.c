/* tests/linkage/test_bridge_held.c — a sample of what no map was fitted on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "linkage/bridge.h"
#include "tests/support/alloc_fail.h"

enum { N = 12, DIM = 2 };

static linkd_error err;

/* Anchors 0, 5 and 10 are held out; 7 is not, and is looked for. */
static linkd_bridge_task task_of(const size_t *answers, const size_t *asked,
                                 const size_t *groups)
{
    return (linkd_bridge_task){.n_anchors = N,
                               .n_kept = 6,
                               .n_queries = 3,
                               .answers = answers,
                               .asked = asked,
                               .groups = groups,
                               .n_records = 1000};
}

static void held_anchors_and_answers_are_there(void **state)
{
    static const size_t answers[] = {10, 7, 0};
    static const size_t asked[] = {SIZE_MAX, 5, 3};
    static const size_t groups[N] = {0, 1, 2, 3, 4, 0, 6, 7, 8, 9, 10, 11};
    static const size_t places[] = {0, 5, 7, 10};
    linkd_bridge_task task = task_of(answers, asked, groups);
    lk_held held;

    (void)state;
    assert_int_equal(lk_held_make(&task, &held, &err), LINKD_OK);
    assert_int_equal(held.task.n_anchors, 4);
    assert_memory_equal(held.places, places, sizeof(places));
    assert_int_equal(held.task.answers[0], 3);
    assert_int_equal(held.task.answers[1], 2);
    assert_int_equal(held.task.answers[2], 0);
    /* 5 answers with 0, and asks; 3 is not there, so that it need not be left out */
    assert_true(lk_bridge_answers(&held.task, 2, 1));
    assert_false(lk_bridge_answers(&held.task, 2, 2));
    assert_true(lk_bridge_asks(&held.task, 1, 1));
    assert_true(held.task.asked[0] == SIZE_MAX);
    assert_true(held.task.asked[2] == SIZE_MAX);
    assert_int_equal(held.task.n_records, 1000);
    lk_held_clear(&held);
}

static void rows_are_theirs(void **state)
{
    static const size_t answers[] = {0, 0, 0};
    linkd_bridge_task task = task_of(answers, NULL, NULL);
    float anchors[N * DIM];
    lk_held held;
    float *rows;

    (void)state;
    for (size_t i = 0; i < (size_t)N * DIM; i++)
        anchors[i] = (float)i;
    assert_int_equal(lk_held_make(&task, &held, &err), LINKD_OK);
    assert_int_equal(held.task.n_anchors, 3);
    rows = lk_held_rows(&held, &(linkd_model_sample){DIM, anchors, NULL});
    assert_non_null(rows);
    for (size_t i = 0; i < 3; i++) {
        assert_true(rows[i * DIM] == (float)(i * LINKD_ANCHORS_HELD * DIM));
        assert_true(rows[i * DIM + 1] == rows[i * DIM] + 1.0F);
    }
    free(rows);
    lk_held_clear(&held);
}

static void without_memory_there_is_none(void **state)
{
    static const size_t answers[] = {0, 0, 0};
    linkd_bridge_task task = task_of(answers, NULL, NULL);

    (void)state;
    for (size_t n = 1;; n++) {
        lk_held held = {0};
        int rc;

        alloc_fail_at(n);
        rc = lk_held_make(&task, &held, &err);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            assert_true(n > 4);
            lk_held_clear(&held);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_null(held.places);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(held_anchors_and_answers_are_there),
        cmocka_unit_test(rows_are_theirs),
        cmocka_unit_test(without_memory_there_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
