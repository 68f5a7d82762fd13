/* tests/linkage/test_chance.c — how many strangers are alike by chance. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/decision.h"
#include "tests/support/alloc_fail.h"

enum {
    N_FIELDS = 3,
    N_RANDOM = 1000,
    N_PAIRS = 4,
};

static lk_feature names[N_FIELDS] = {
    {0, LK_COMPARE_EXACT}, {1, LK_COMPARE_EXACT}, {2, LK_COMPARE_EXACT}};
static uint8_t random_values[N_RANDOM][N_FIELDS];
static uint8_t pair_values[N_PAIRS][N_FIELDS] = {
    {0, 0, 0}, {254, 0, 0}, {254, 254, 0}, {254, 254, 254}};

/* One in ten random pairs agrees in field 0, one in ten in field 1, and so on,
 * independently. */
static void random_fill(void)
{
    for (size_t i = 0; i < N_RANDOM; i++) {
        random_values[i][0] = i % 10 == 0 ? LK_FEATURE_ONE : 0;
        random_values[i][1] = i / 10 % 10 == 0 ? LK_FEATURE_ONE : 0;
        random_values[i][2] = i / 100 % 10 == 0 ? LK_FEATURE_ONE : 0;
    }
}

static lk_features features_of(uint8_t *values, size_t n_pairs, size_t n)
{
    return (lk_features){
        .values = values, .n_pairs = n_pairs, .features = names, .n = n};
}

static void likeness_that_strangers_have_is_explained_by_chance(void **state)
{
    lk_features random;
    lk_features pairs = features_of(&pair_values[0][0], N_PAIRS, N_FIELDS);
    float chances[N_PAIRS];

    (void)state;
    random_fill();
    random = features_of(&random_values[0][0], N_RANDOM, N_FIELDS);
    /* of 100 possible pairs 0.1 agree in all three fields; one was seen */
    assert_int_equal(lk_chance(&pairs, &random, 100.0, chances, NULL),
                     LINKD_OK);
    assert_true(chances[0] == 1.0F);
    assert_true(chances[1] == 1.0F);
    assert_true(chances[3] > 0.09F && chances[3] < 0.12F);
    /* of 10,000 there are ten */
    assert_int_equal(lk_chance(&pairs, &random, 10000.0, chances, NULL),
                     LINKD_OK);
    assert_true(chances[3] == 1.0F);
}

static void a_more_surprising_pair_is_never_more_by_chance(void **state)
{
    lk_features random;
    lk_features pairs = features_of(&pair_values[0][0], N_PAIRS, N_FIELDS);
    float chances[N_PAIRS];

    (void)state;
    random_fill();
    random = features_of(&random_values[0][0], N_RANDOM, N_FIELDS);
    assert_int_equal(lk_chance(&pairs, &random, 30.0, chances, NULL), LINKD_OK);
    for (size_t i = 1; i < N_PAIRS; i++)
        assert_true(chances[i] <= chances[i - 1]);
}

/* No random pair agrees in field 0, but one of the candidates does: one in a
 * million, and not one in the thousand random pairs. */
static void what_no_random_pair_has_is_as_rare_as_among_candidates(void **state)
{
    static uint8_t values[N_RANDOM][N_FIELDS];
    lk_features random = features_of(&values[0][0], N_RANDOM, 2);
    uint8_t two[N_PAIRS][2] = {{0, 0}, {0, 254}, {0, 254}, {254, 254}};
    lk_features pairs = features_of(&two[0][0], N_PAIRS, 2);
    float chances[N_PAIRS];

    (void)state;
    assert_int_equal(lk_chance(&pairs, &random, 1e6, chances, NULL), LINKD_OK);
    assert_true(chances[0] == 1.0F);
    assert_true(chances[3] < 0.01F);
}

/* A column of names alone cannot tell its twins from namesakes. */
static void one_field_says_nothing_about_chance(void **state)
{
    uint8_t one[N_PAIRS] = {0};
    static uint8_t random_one[N_RANDOM];
    lk_features pairs = features_of(one, N_PAIRS, 1);
    lk_features random = features_of(random_one, N_RANDOM, 1);
    float chances[N_PAIRS] = {7, 7, 7, 7};

    (void)state;
    assert_int_equal(lk_chance(&pairs, &random, 1e6, chances, NULL), LINKD_OK);
    for (size_t i = 0; i < N_PAIRS; i++)
        assert_true(chances[i] == 0.0F);
}

static void running_out_of_memory_is_an_error_at_every_point(void **state)
{
    lk_features random;
    lk_features pairs = features_of(&pair_values[0][0], N_PAIRS, N_FIELDS);
    float chances[N_PAIRS];
    size_t n_failed = 0;
    bool failed = true;

    (void)state;
    random_fill();
    random = features_of(&random_values[0][0], N_RANDOM, N_FIELDS);
    for (unsigned long i = 1; failed; i++) {
        int rc;

        alloc_fail_at(i);
        rc = lk_chance(&pairs, &random, 100.0, chances, NULL);
        failed = alloc_fail_off();
        assert_int_equal(rc, failed ? LINKD_E_NOMEM : LINKD_OK);
        n_failed += failed;
    }
    assert_true(n_failed >= 5);
}

static void only_what_was_found_counts_in_the_mean(void **state)
{
    static const float shares[] = {0.5F, 1.0F, 0.25F};
    static const float found[] = {0.6F, 0.5F, 0.9F};

    (void)state;
    assert_true(lk_chance_mean(shares, found, 0.5F, 3) == 0.375);
    assert_true(lk_chance_mean(shares, found, 0.9F, 3) == 0.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(likeness_that_strangers_have_is_explained_by_chance),
        cmocka_unit_test(a_more_surprising_pair_is_never_more_by_chance),
        cmocka_unit_test(
            what_no_random_pair_has_is_as_rare_as_among_candidates),
        cmocka_unit_test(one_field_says_nothing_about_chance),
        cmocka_unit_test(only_what_was_found_counts_in_the_mean),
        cmocka_unit_test(running_out_of_memory_is_an_error_at_every_point),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
