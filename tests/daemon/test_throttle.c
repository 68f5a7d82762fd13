/* tests/daemon/test_throttle.c — no more than so much a second. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/throttle.h"

#define SECOND UINT64_C(1000000000)

static void it_holds_what_a_second_brings(void **state)
{
    lk_throttle t;

    (void)state;
    lk_throttle_init(&t, 10, SECOND);
    assert_int_equal(lk_throttle_take(&t, 7, SECOND), 7);
    assert_int_equal(lk_throttle_take(&t, 7, SECOND), 3);
    assert_int_equal(lk_throttle_take(&t, 7, SECOND), 0);
    assert_int_equal(lk_throttle_take(&t, 50, 100 * SECOND), 10);
    lk_throttle_clear(&t);
}

static void it_fills_at_its_rate(void **state)
{
    lk_throttle t;

    (void)state;
    lk_throttle_init(&t, 10, SECOND);
    assert_int_equal(lk_throttle_take(&t, 10, SECOND), 10);
    assert_int_equal(lk_throttle_take(&t, 10, SECOND + SECOND / 4), 2);
    /* the half token of before counts */
    assert_int_equal(lk_throttle_take(&t, 10, SECOND + SECOND / 2), 3);
    lk_throttle_clear(&t);
}

/* Two threads may ask in another order than they have looked at the clock. */
static void an_earlier_time_brings_nothing(void **state)
{
    lk_throttle t;

    (void)state;
    lk_throttle_init(&t, 10, 2 * SECOND);
    assert_int_equal(lk_throttle_take(&t, 10, 2 * SECOND), 10);
    assert_int_equal(lk_throttle_take(&t, 10, SECOND), 0);
    assert_int_equal(lk_throttle_take(&t, 10, 2 * SECOND), 0);
    lk_throttle_clear(&t);
}

static void a_rate_of_none_lets_nothing_through(void **state)
{
    lk_throttle t;

    (void)state;
    lk_throttle_init(&t, 0, 0);
    assert_int_equal(lk_throttle_take(&t, 1, 100 * SECOND), 0);
    lk_throttle_clear(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_holds_what_a_second_brings),
        cmocka_unit_test(it_fills_at_its_rate),
        cmocka_unit_test(an_earlier_time_brings_nothing),
        cmocka_unit_test(a_rate_of_none_lets_nothing_through),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
