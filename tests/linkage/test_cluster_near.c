/* tests/linkage/test_cluster_near.c — neighbours against all distances. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/linkage/points.h"

typedef struct answers {
    const points *points;
    float least;
    size_t n_called;
    bool wrong;
    size_t k; /* 0: range */
} answers;

/* Every vector within reach is a hit, and nothing else; the k nearest come best
 * first. */
static void answers_check(void *ctx, size_t number, const linkd_hit *hits,
                          size_t n)
{
    answers *a = ctx;
    const lk_space *space = &a->points->space;
    size_t n_expected = 0;

    a->n_called++;
    for (size_t i = 0; i < space->n; i++)
        n_expected += lk_space_score(space, number, i) >= a->least;
    a->wrong = a->wrong || n != (a->k > 0 ? a->k : n_expected);
    for (size_t i = 0; i < n; i++)
        a->wrong = a->wrong ||
                   hits[i].score != lk_space_score(space, number, hits[i].id) ||
                   hits[i].score < a->least ||
                   (a->k > 0 && i > 0 && hits[i].score > hits[i - 1].score);
}

static void every_vector_hears_of_all_that_are_near(void **state)
{
    points *p = *state;
    uint64_t random = 5;

    for (size_t i = 0; i < 12; i++) {
        answers a = {.points = p, .least = 0.9F - 0.15F * (float)i};

        points_fill(p, &random, POINTS_MAX - i, 1 + i % 4,
                    i % 3 == 0 ? 0.0F : 0.5F);
        assert_int_equal(
            lk_near_range(&p->space, a.least, answers_check, &a, NULL),
            LINKD_OK);
        assert_int_equal(a.n_called, p->space.n);
        assert_false(a.wrong);
    }
}

static void every_vector_hears_of_the_k_nearest(void **state)
{
    points *p = *state;
    uint64_t random = 6;
    answers a = {.points = p, .least = -1.0F, .k = 7};

    points_fill(p, &random, 50, 3, 0.3F);
    assert_int_equal(lk_near_count(&p->space, 7, answers_check, &a, NULL),
                     LINKD_OK);
    assert_int_equal(a.n_called, 50);
    assert_false(a.wrong);
    a = (answers){.points = p, .least = -1.0F, .k = 50};
    assert_int_equal(lk_near_count(&p->space, 99, answers_check, &a, NULL),
                     LINKD_OK);
    assert_false(a.wrong);
}

static void without_vectors_nobody_is_called(void **state)
{
    points *p = *state;
    answers a = {.points = p};

    p->space.n = 0;
    assert_int_equal(lk_near_range(&p->space, 0.0F, answers_check, &a, NULL),
                     LINKD_OK);
    assert_int_equal(a.n_called, 0);
}

static int progress_stop(void *ctx, const char *step, uint64_t done,
                         uint64_t total)
{
    (void)ctx;
    (void)step;
    return done >= total / 2;
}

static void whoever_waits_can_stop_it(void **state)
{
    points *p = *state;
    uint64_t random = 8;
    answers a = {.points = p, .least = 0.5F};
    linkd_progress progress = {progress_stop, NULL};
    int rc;

    points_fill(p, &random, 40, 3, 0.3F);
    p->space.progress = &progress;
    rc = lk_near_range(&p->space, 0.5F, answers_check, &a, NULL);
    p->space.progress = NULL;
    assert_int_equal(rc, LINKD_E_CANCELLED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_vector_hears_of_all_that_are_near),
        cmocka_unit_test(every_vector_hears_of_the_k_nearest),
        cmocka_unit_test(without_vectors_nobody_is_called),
        cmocka_unit_test(whoever_waits_can_stop_it),
    };

    return cmocka_run_group_tests(tests, points_open, points_close);
}
