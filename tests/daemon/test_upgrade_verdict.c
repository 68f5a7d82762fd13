/* tests/daemon/test_upgrade_verdict.c — what is recommended, and when. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/upgrade.h"

static const linkd_interval better = {0.1, 0.05, 0.15};

static void a_worse_model_is_refused(void **state)
{
    const linkd_interval worse = {-0.1, -0.15, -0.05};

    (void)state;
    assert_string_equal(lk_upgrade_verdict_word(&worse, NAN, NAN), "refuse");
}

static void a_difference_that_may_be_chance_is_none(void **state)
{
    const linkd_interval unsure = {0.05, -0.01, 0.11};

    (void)state;
    assert_string_equal(lk_upgrade_verdict_word(&unsure, 0.9, 0.9),
                        "no-upgrade-needed");
}

/* From what costs least to what costs most. */
static void the_cheapest_way_that_has_enough_of_the_gain_is_taken(void **state)
{
    (void)state;
    assert_string_equal(lk_upgrade_verdict_word(&better, 0.4, 1.0), "fuse");
    assert_string_equal(lk_upgrade_verdict_word(&better, 0.39, 0.8), "cascade");
    assert_string_equal(lk_upgrade_verdict_word(&better, 0.39, 0.79),
                        "backfill");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_worse_model_is_refused),
        cmocka_unit_test(a_difference_that_may_be_chance_is_none),
        cmocka_unit_test(the_cheapest_way_that_has_enough_of_the_gain_is_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
