#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "base/base.h"

static void
the_clock_counts_the_nanoseconds_of_the_monotonic_clock(void **state)
{
    struct timespec before, after;
    uint64_t now;

    (void)state;
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &before), 0);
    now = lk_clock_ns();
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &after), 0);
    assert_true(now >= (uint64_t)before.tv_sec * 1000000000U +
                           (uint64_t)before.tv_nsec);
    assert_true(now <=
                (uint64_t)after.tv_sec * 1000000000U + (uint64_t)after.tv_nsec);
}

static void time_since_a_moment_is_in_seconds(void **state)
{
    uint64_t start = lk_clock_ns() - 5000000000U;
    double seconds = lk_clock_seconds_since(start);

    (void)state;
    assert_true(seconds >= 5.0);
    assert_true(seconds < 3600.0); /* whatever the machine is doing */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            the_clock_counts_the_nanoseconds_of_the_monotonic_clock),
        cmocka_unit_test(time_since_a_moment_is_in_seconds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
