#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/strset.h"
#include "tests/support/alloc_fail.h"

enum {
    N_STRINGS = 5000,
};

static char strings[N_STRINGS][8];

static linkd_str string_key(const void *ctx, size_t index)
{
    (void)ctx;
    return (linkd_str){strings[index], strlen(strings[index])};
}

static const lk_strset EMPTY = {.key = string_key};

/* Half of the strings are repeats: number i is "i / 2". */
static int strings_fill(void **state)
{
    (void)state;
    for (int i = 0; i < N_STRINGS; i++)
        (void)snprintf(strings[i], sizeof(strings[i]), "%d", i / 2);
    return 0;
}

static void a_repeat_answers_the_first_of_its_kind(void **state)
{
    lk_strset set = EMPTY;

    (void)state;
    for (size_t i = 0; i < N_STRINGS; i++) {
        size_t found;

        assert_int_equal(lk_strset_add(&set, i, &found, NULL), LINKD_OK);
        assert_int_equal(found, i / 2 * 2);
    }
    assert_int_equal(set.n_used, N_STRINGS / 2);
    lk_strset_clear(&set);
}

static void what_was_not_added_is_not_found(void **state)
{
    lk_strset set = EMPTY;
    size_t found;

    (void)state;
    assert_int_equal(lk_strset_find(&set, (linkd_str){"0", 1}), SIZE_MAX);
    assert_int_equal(lk_strset_add(&set, 24, &found, NULL), LINKD_OK);
    assert_int_equal(lk_strset_find(&set, (linkd_str){"12", 2}), 24);
    assert_int_equal(lk_strset_find(&set, (linkd_str){"1", 1}), SIZE_MAX);
    assert_int_equal(lk_strset_find(&set, (linkd_str){"", 0}), SIZE_MAX);
    lk_strset_clear(&set);
    assert_int_equal(lk_strset_find(&set, (linkd_str){"12", 2}), SIZE_MAX);
}

static void a_set_that_cannot_grow_keeps_what_it_has(void **state)
{
    lk_strset set = EMPTY;
    size_t found, n = 0;
    int rc = LINKD_OK;

    (void)state;
    assert_int_equal(lk_strset_add(&set, 0, &found, NULL), LINKD_OK);
    alloc_fail_at(1);
    while (rc == LINKD_OK && n + 2 < N_STRINGS)
        rc = lk_strset_add(&set, n += 2, &found, NULL);
    assert_true(alloc_fail_off());
    assert_int_equal(rc, LINKD_E_NOMEM);
    for (size_t i = 0; i < n; i += 2)
        assert_int_equal(lk_strset_find(&set, string_key(NULL, i)), i);
    assert_int_equal(lk_strset_add(&set, n, &found, NULL), LINKD_OK);
    lk_strset_clear(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_repeat_answers_the_first_of_its_kind),
        cmocka_unit_test(what_was_not_added_is_not_found),
        cmocka_unit_test(a_set_that_cannot_grow_keeps_what_it_has),
    };

    return cmocka_run_group_tests(tests, strings_fill, NULL);
}
