/* tests/linkage/test_explain.c — explanations of a model made by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "linkage/evidence.h"
#include "tests/linkage/scratch.h"
#include "tests/support/alloc_fail.h"

enum {
    N_FEATURES = 4,
    N_PAIRS = 4,
};

/* Two ways to compare the name, one for the city, one for the record. */
static lk_feature list[N_FEATURES] = {{0, LK_COMPARE_GRAM},
                                      {0, LK_COMPARE_EDIT},
                                      {1, LK_COMPARE_EXACT},
                                      {LK_FIELD_RECORD, LK_COMPARE_SOFT}};

/* x, x * x and missing of each; the intercept is -3. */
static double weights[1 + 3 * N_FEATURES] = {-3.0, 2.0, 1.0, 0.0, 1.0, 0.0, 0.5,
                                             4.0,  0.0, 7.0, 0.0, 8.0, 0.0};

typedef struct fixture {
    linkd_table *tables[2];
    linkd_evidence evidence;
    lk_field fields[2];
    uint32_t a[N_PAIRS], b[N_PAIRS];
    uint8_t channels[N_PAIRS];
    uint8_t values[N_PAIRS][N_FEATURES];
    float scores[N_PAIRS];
    linkd_candidate candidates[N_PAIRS];
    lk_fitted_model model;
    linkd_decision decision;
    linkd_explanation explanation;
    linkd_error err;
} fixture;

/* left 0-1, right 0-2; candidates 0-0, 0-1, 1-1, 1-2 */
static void pairs_fill(fixture *f)
{
    static const uint32_t rows[N_PAIRS][2] = {{0, 0}, {0, 1}, {1, 1}, {1, 2}};
    static const float probabilities[N_PAIRS] = {0.9F, 0.2F, 0.5F, 1.0F};

    for (size_t i = 0; i < N_PAIRS; i++) {
        f->a[i] = rows[i][0];
        f->b[i] = 2 + rows[i][1];
        f->candidates[i] = (linkd_candidate){.left = rows[i][0],
                                             .right = rows[i][1],
                                             .probability = probabilities[i]};
    }
    memcpy(f->values[0], (uint8_t[]){254, 127, 254, 127}, N_FEATURES);
    memcpy(f->values[3], (uint8_t[]){254, 254, LK_FEATURE_MISSING, 254},
           N_FEATURES);
}

static void evidence_fill(fixture *f)
{
    f->fields[0] = (lk_field){.name = {"name", 4}, .columns = {1, 1}};
    f->fields[1] = (lk_field){.name = {"city", 4}, .columns = {2, 2}};
    f->evidence = (linkd_evidence){.tables = {f->tables[0], f->tables[1]},
                                   .fields = f->fields,
                                   .n_fields = 2,
                                   .pairs = {.a = f->a,
                                             .b = f->b,
                                             .channels = f->channels,
                                             .n = N_PAIRS,
                                             .n_records = 5,
                                             .n_left = 2},
                                   .features = {.values = &f->values[0][0],
                                                .n_pairs = N_PAIRS,
                                                .features = list,
                                                .n = N_FEATURES},
                                   .scores = f->scores};
    f->model.logistic =
        (lk_logistic){.weights = weights, .n_features = N_FEATURES};
    f->decision = (linkd_decision){.candidates = f->candidates,
                                   .n_candidates = N_PAIRS,
                                   .threshold = 0.5,
                                   .verdict.n_matches = 1.0,
                                   .model = &f->model};
}

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof(*f));

    if (f == NULL)
        return -1;
    scratch_write_text("left.csv", "id,name,city\n"
                                   "1,\"Alpha, trading company\",Paris\n"
                                   "2,beta,\n");
    scratch_write_text("right.csv", "id,name,city\n"
                                    "a,compani ALPHA ltd,Paris\n"
                                    "b,beta,Rome\n"
                                    "c,beta,Oslo\n");
    if (linkd_table_read("left.csv", LINKD_FORMAT_AUTO, NULL, NULL,
                         &f->tables[0], NULL) != LINKD_OK ||
        linkd_table_read("right.csv", LINKD_FORMAT_AUTO, NULL, NULL,
                         &f->tables[1], NULL) != LINKD_OK)
        return -1;
    pairs_fill(f);
    evidence_fill(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;

    linkd_explanation_clear(&f->explanation);
    linkd_table_free(f->tables[0]);
    linkd_table_free(f->tables[1]);
    free(f);
    return 0;
}

static void explain(fixture *f, size_t candidate)
{
    linkd_explanation_clear(&f->explanation);
    assert_int_equal(linkd_evidence_explain(&f->evidence, &f->decision,
                                            candidate, &f->explanation,
                                            &f->err),
                     LINKD_OK);
}

static void assert_near(double value, double wanted)
{
    if (fabs(value - wanted) > 1e-5)
        fail_msg("%f is not %f", value, wanted);
}

static void features_of_one_field_are_one_part(void **state)
{
    fixture *f = *state;

    explain(f, 0);
    assert_int_equal(f->explanation.n_fields, 2);
    assert_near(f->explanation.prior, -3.0);
    assert_near(f->explanation.fields[0].log_odds, 3.0 + 0.5);
    assert_near(f->explanation.fields[1].log_odds, 4.0);
    assert_near(f->explanation.record, 2.0);
    explain(f, 3); /* the city is missing */
    assert_near(f->explanation.fields[1].log_odds, 7.0);
}

static void competition_is_what_the_pair_itself_does_not_explain(void **state)
{
    fixture *f = *state;

    explain(f, 0);
    assert_near(f->explanation.log_odds, log(0.9 / 0.1));
    assert_near(f->explanation.competition,
                log(0.9 / 0.1) - (-3.0 + 3.5 + 4.0 + 2.0));
}

static void a_probability_of_one_leaves_nothing_to_explain(void **state)
{
    fixture *f = *state;

    weights[10] = 20.0;
    explain(f, 3);
    weights[10] = 0.0;
    assert_near(f->explanation.log_odds, -3.0 + 4.0 + 7.0 + 28.0);
    assert_near(f->explanation.competition, 0.0);
}

static void
the_share_of_matches_is_put_back_where_it_was_taken_off(void **state)
{
    fixture *f = *state;

    f->model.prior = 2.5;
    explain(f, 0);
    assert_near(f->explanation.prior, -3.0 + 2.5 + log(1.0 / 3.0));
}

static void without_a_model_the_record_decides(void **state)
{
    fixture *f = *state;
    lk_feature gram_and_soft[N_FEATURES];

    memcpy(gram_and_soft, list, sizeof(list));
    gram_and_soft[2] = (lk_feature){LK_FIELD_RECORD, LK_COMPARE_GRAM};
    f->evidence.features.features = gram_and_soft;
    f->model.logistic.weights = NULL;
    explain(f, 0);
    assert_near(f->explanation.prior, 0.0);
    assert_near(f->explanation.fields[0].log_odds, 0.0);
    assert_near(f->explanation.record, 16.0 * (0.75 - 0.65));
}

static void trees_explain_themselves_by_their_paths(void **state)
{
    fixture *f = *state;
    lk_boost_node nodes[3] = {
        {.feature = 2, .below = 100, .left = 1, .right = 2},
        {.feature = LK_BOOST_LEAF, .value = -1.5F},
        {.feature = LK_BOOST_LEAF, .value = 2.0F}};
    uint32_t root = 0;

    f->model.boost = (lk_boost){.nodes = nodes,
                                .n_nodes = 3,
                                .roots = &root,
                                .n_trees = 1,
                                .base = -0.5,
                                .n_features = N_FEATURES};
    explain(f, 0);
    assert_near(f->explanation.prior, -0.5);
    assert_near(f->explanation.fields[0].log_odds, 0.0);
    assert_near(f->explanation.fields[1].log_odds, 2.0);
}

static void assert_words(const linkd_word_pair *pair, const char *left,
                         const char *right)
{
    assert_int_equal(pair->left.len, strlen(left));
    assert_memory_equal(pair->left.bytes != NULL ? pair->left.bytes : "", left,
                        strlen(left));
    assert_int_equal(pair->right.len, strlen(right));
    assert_memory_equal(pair->right.bytes != NULL ? pair->right.bytes : "",
                        right, strlen(right));
}

static void words_meet_their_equals_then_their_likes(void **state)
{
    fixture *f = *state;
    const linkd_field_part *name;

    explain(f, 0);
    name = &f->explanation.fields[0];
    assert_int_equal(name->n_words, 4);
    assert_words(&name->words[0], "alpha", "alpha");
    assert_true(name->words[0].similarity == 1.0F);
    assert_words(&name->words[1], "trading", "");
    assert_true(name->words[1].similarity == 0.0F);
    assert_words(&name->words[2], "company", "compani");
    assert_true(name->words[2].similarity > 0.8F &&
                name->words[2].similarity < 1.0F);
    assert_words(&name->words[3], "", "ltd");
}

static void cells_are_shown_as_they_are(void **state)
{
    fixture *f = *state;

    explain(f, 0);
    assert_int_equal(f->explanation.fields[0].cells[0].len, 22);
    assert_memory_equal(f->explanation.fields[0].cells[0].bytes,
                        "Alpha, trading company", 22);
    explain(f, 3);
    assert_int_equal(f->explanation.fields[1].cells[0].len, 0);
    assert_int_equal(f->explanation.fields[1].n_words, 1);
}

static void the_runner_up_is_the_best_other_partner(void **state)
{
    fixture *f = *state;

    explain(f, 2); /* left 1 with right 1 */
    assert_int_equal(f->explanation.runners_up[0].candidate, 3);
    assert_int_equal(f->explanation.runners_up[0].row, 2);
    assert_near(f->explanation.runners_up[0].margin,
                0.0 - log((1.0 - 5e-7) / 5e-7));
    assert_int_equal(f->explanation.runners_up[1].candidate, 1);
    assert_int_equal(f->explanation.runners_up[1].row, 0);
    assert_near(f->explanation.runners_up[1].margin, log(0.8 / 0.2));
    explain(f, 0); /* right 0 has no other one */
    assert_int_equal(f->explanation.runners_up[1].candidate,
                     LINKD_CANDIDATE_NONE);
}

static void a_pair_is_found_by_its_rows(void **state)
{
    fixture *f = *state;
    size_t entities = 0;

    assert_int_equal(linkd_decision_find(&f->decision, 1, 2), 3);
    assert_int_equal(linkd_decision_find(&f->decision, 0, 2),
                     LINKD_CANDIDATE_NONE);
    assert_int_equal(linkd_decision_find(&f->decision, 1, 0),
                     LINKD_CANDIDATE_NONE);
    f->decision.entities = &entities; /* one table: in either order */
    assert_int_equal(linkd_decision_find(&f->decision, 1, 0), 1);
}

static void a_candidate_that_is_not_there_is_refused(void **state)
{
    fixture *f = *state;

    assert_int_equal(linkd_evidence_explain(&f->evidence, &f->decision, N_PAIRS,
                                            &f->explanation, &f->err),
                     LINKD_E_ARG);
    assert_string_equal(f->err.message, "there is no candidate 4 of 4");
}

static void memory_may_run_out_at_any_point(void **state)
{
    fixture *f = *state;

    for (size_t n = 1;; n++) {
        int rc;

        alloc_fail_at(n);
        rc = linkd_evidence_explain(&f->evidence, &f->decision, 0,
                                    &f->explanation, &f->err);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_null(f->explanation.fields);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(features_of_one_field_are_one_part),
        TEST(competition_is_what_the_pair_itself_does_not_explain),
        TEST(a_probability_of_one_leaves_nothing_to_explain),
        TEST(the_share_of_matches_is_put_back_where_it_was_taken_off),
        TEST(without_a_model_the_record_decides),
        TEST(trees_explain_themselves_by_their_paths),
        TEST(words_meet_their_equals_then_their_likes),
        TEST(cells_are_shown_as_they_are),
        TEST(the_runner_up_is_the_best_other_partner),
        TEST(a_pair_is_found_by_its_rows),
        TEST(a_candidate_that_is_not_there_is_refused),
        TEST(memory_may_run_out_at_any_point),
    };

    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
