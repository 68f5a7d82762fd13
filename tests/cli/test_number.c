#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/number.h"

static void counts_have_their_digits_in_groups_of_three(void **state)
{
    (void)state;
    assert_string_equal(lk_count(0).text, "0");
    assert_string_equal(lk_count(999).text, "999");
    assert_string_equal(lk_count(50797).text, "50,797");
    assert_string_equal(lk_count(UINT64_MAX).text,
                        "18,446,744,073,709,551,615");
}

static void what_is_counted_is_one_or_many(void **state)
{
    (void)state;
    assert_string_equal(lk_counted(1, "entity", "entities").text, "1 entity");
    assert_string_equal(lk_counted(2500, "row", "rows").text, "2,500 rows");
    assert_string_equal(lk_counted(0, "row", "rows").text, "0 rows");
}

static void bytes_have_the_unit_that_keeps_them_below_a_thousand(void **state)
{
    (void)state;
    assert_string_equal(lk_bytes(612).text, "612 B");
    assert_string_equal(lk_bytes(999960).text, "1.0 MB");
    assert_string_equal(lk_bytes(90868376).text, "90.9 MB");
}

static void durations_look_like_clocks(void **state)
{
    (void)state;
    assert_string_equal(lk_duration(7.4).text, "0:07");
    assert_string_equal(lk_duration(3599.6).text, "1:00:00");
    assert_string_equal(lk_duration(3723).text, "1:02:03");
    assert_string_equal(lk_duration(-5).text, "0:00");
}

static void slow_rates_keep_a_decimal(void **state)
{
    (void)state;
    assert_string_equal(lk_per_second(1.66).text, "1.7");
    assert_string_equal(lk_per_second(1399.4).text, "1,399");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_have_their_digits_in_groups_of_three),
        cmocka_unit_test(what_is_counted_is_one_or_many),
        cmocka_unit_test(bytes_have_the_unit_that_keeps_them_below_a_thousand),
        cmocka_unit_test(durations_look_like_clocks),
        cmocka_unit_test(slow_rates_keep_a_decimal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
