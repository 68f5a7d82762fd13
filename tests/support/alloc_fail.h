/* tests/support/alloc_fail.h — memory that runs out when a test says so.
 *
 * Linking lk_test_support routes malloc, calloc, realloc and aligned_alloc of
 * the code under test through a counter (ld --wrap). A test walks through all
 * of a function's failures like this:
 *
 *   for (size_t n = 1; ; n++) {
 *       alloc_fail_at(n);
 *       rc = function_under_test(…);
 *       if (!alloc_fail_off())
 *           break;                      // it needed fewer than n allocations
 *       assert_int_equal(rc, LINKD_E_NOMEM);
 *   }
 */
#ifndef LINKD_TESTS_ALLOC_FAIL_H
#define LINKD_TESTS_ALLOC_FAIL_H

#include <stdbool.h>
#include <stddef.h>

/* Lets the nth allocation from now on fail, and only that one. */
void alloc_fail_at(size_t n);

/* Back to normal; tells whether an allocation failed since alloc_fail_at(). */
bool alloc_fail_off(void);

#endif
