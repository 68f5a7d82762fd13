/* tests/compat/test_level.c — scores in units of what the query scores elsewhere. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/compat/spaces.h"

/* Of 1, 2, … 20 the ten highest have the mean 15.5 and the variance 99 / 12; all
 * of them have the variance 399 / 12, of which .09 is added. */
static void the_ten_highest_say_where_a_query_lies(void **state)
{
    float scores[20];
    linkd_level level;

    (void)state;
    for (size_t i = 0; i < 20; i++)
        scores[i] = (float)(1 + 7 * i % 20); /* in no order */
    level = linkd_level_of(scores, 20);
    assert_near(level.mean, 15.5, 1e-9);
    assert_near(level.deviation, sqrt(99.0 / 12.0 + 0.09 * 399.0 / 12.0), 1e-6);
}

/* A query that is near to everything, and of a model whose scores are close
 * together, says the same as another. */
static void standard_scores_forget_level_and_spread(void **state)
{
    float plain[30];
    float narrow[30];
    linkd_level a, b;

    (void)state;
    for (size_t i = 0; i < 30; i++) {
        plain[i] = (float)(i * i % 31) / 31.0F;
        narrow[i] = 0.8F + 0.1F * plain[i];
    }
    a = linkd_level_of(plain, 30);
    b = linkd_level_of(narrow, 30);
    assert_near(linkd_level_standard(&a, 0.5), linkd_level_standard(&b, 0.85),
                1e-5);
    assert_near(linkd_level_score(&b, linkd_level_standard(&b, 0.85)), 0.85,
                1e-12);
    assert_true(linkd_level_standard(&a, 0.6) > linkd_level_standard(&a, 0.5));
}

static void few_and_equal_scores_have_a_level(void **state)
{
    static const float scores[3] = {0.25F, 0.25F, 0.25F};
    linkd_level level = linkd_level_of(scores, 3);

    (void)state;
    assert_near(level.mean, 0.25, 1e-12);
    assert_true(level.deviation > 0.0);
    assert_true(isfinite(linkd_level_standard(&level, 1.0)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_ten_highest_say_where_a_query_lies),
        cmocka_unit_test(standard_scores_forget_level_and_spread),
        cmocka_unit_test(few_and_equal_scores_have_a_level),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
