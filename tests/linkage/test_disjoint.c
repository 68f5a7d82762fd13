/* tests/linkage/test_disjoint.c — sets that grow together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "linkage/disjoint.h"

static void a_set_goes_by_its_lowest_member(void **state)
{
    lk_disjoint sets;

    (void)state;
    assert_int_equal(lk_disjoint_init(&sets, 6, NULL), LINKD_OK);
    lk_disjoint_unite(&sets, 5, 3);
    lk_disjoint_unite(&sets, 2, 4);
    lk_disjoint_unite(&sets, 5, 4);
    lk_disjoint_unite(&sets, 4, 3); /* again, which changes nothing */

    assert_int_equal(lk_disjoint_find(&sets, 0), 0);
    for (size_t i = 2; i < 6; i++)
        assert_int_equal(lk_disjoint_find(&sets, i), 2);
    lk_disjoint_clear(&sets);
}

static void sets_are_numbered_by_first_member(void **state)
{
    static const size_t expected[] = {0, 1, 2, 1, 2, 3};
    size_t numbers[6];
    lk_disjoint sets;

    (void)state;
    assert_int_equal(lk_disjoint_init(&sets, 6, NULL), LINKD_OK);
    lk_disjoint_unite(&sets, 4, 2);
    lk_disjoint_unite(&sets, 3, 1);
    assert_int_equal(lk_disjoint_number(&sets, numbers), 4);
    assert_memory_equal(numbers, expected, sizeof(expected));
    lk_disjoint_clear(&sets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_set_goes_by_its_lowest_member),
        cmocka_unit_test(sets_are_numbered_by_first_member),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
