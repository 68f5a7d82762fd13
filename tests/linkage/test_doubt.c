/* tests/linkage/test_doubt.c — when a verdict is not to be relied on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/decision.h"

static linkd_verdict doubt_of(double precision, double recall, double compared)
{
    linkd_verdict verdict = {.precision = precision, .recall = recall};

    lk_doubt_consider(&verdict, compared);
    return verdict;
}

static void assert_doubt(linkd_verdict verdict, const char *words)
{
    assert_false(verdict.supported);
    assert_non_null(strstr(verdict.doubt, words));
}

static void a_clear_decision_is_supported(void **state)
{
    linkd_verdict verdict = doubt_of(0.95, 0.9, 1.0);

    (void)state;
    assert_true(verdict.supported);
    assert_string_equal(verdict.doubt, "");
}

static void each_sign_of_a_blurred_decision_is_a_doubt(void **state)
{
    (void)state;
    assert_doubt(doubt_of(0.0, 0.0, 1.0), "than strangers are");
    assert_doubt(doubt_of(0.95, 0.9, 0.2), "only 20 % of the rows share");
    assert_doubt(doubt_of(0.8, 0.9, 1.0), "than the expected 80 %");
    assert_doubt(doubt_of(0.95, 0.6, 1.0), "were left apart");
}

static void a_doubt_that_was_said_stays(void **state)
{
    linkd_verdict verdict = {.precision = 0.5, .recall = 0.5};

    (void)state;
    lk_doubt_too_few(&verdict);
    lk_doubt_consider(&verdict, 1.0);
    assert_doubt(verdict, "too few rows");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clear_decision_is_supported),
        cmocka_unit_test(each_sign_of_a_blurred_decision_is_a_doubt),
        cmocka_unit_test(a_doubt_that_was_said_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
