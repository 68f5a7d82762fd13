/* tests/cli/test_vector_read.c — labels as numbers. Files of vectors are read in
 * tests/e2e/compat.bats. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/vector_read.h"
#include "tests/support/alloc_fail.h"

static void labels_are_numbered_as_they_come(void **state)
{
    uint64_t labels[] = {90, 7, 90, UINT64_MAX, 7, 0, 90};
    static const uint64_t numbers[] = {0, 1, 0, 2, 1, 3, 0};

    (void)state;
    assert_int_equal(lk_labels_number(labels, 7, NULL), LINKD_OK);
    assert_memory_equal(labels, numbers, sizeof(numbers));
    assert_int_equal(lk_labels_number(labels, 0, NULL), LINKD_OK);
}

static void it_says_when_memory_is_out(void **state)
{
    uint64_t labels[] = {90, 7, 90};
    static const uint64_t was[] = {90, 7, 90};

    (void)state;
    for (size_t nth = 1; nth <= 2; nth++) {
        alloc_fail_at(nth);
        assert_int_equal(lk_labels_number(labels, 3, NULL), LINKD_E_NOMEM);
        assert_true(alloc_fail_off());
        assert_memory_equal(labels, was, sizeof(was));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_are_numbered_as_they_come),
        cmocka_unit_test(it_says_when_memory_is_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
