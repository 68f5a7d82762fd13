/* tests/linkage/test_pair_model_file.c — pair models as text. Each refusal is of
 * a file that is right but for one member. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/pair_model.h"
#include "tests/support/alloc_fail.h"

#define HEAD                                                                   \
 "{\n \"format\": \"linkd-pair-model\",\n \"version\": 1,\n"                   \
 " \"linkd\": \"" LINKD_VERSION "\",\n"
#define ABOUT                                                                  \
 " \"command\": \"link\",\n \"encoder\": null,\n"                              \
 " \"columns\": [{\"left\":\"name\",\"right\":\"firm\",\"as\":\"name\"},"      \
 "{\"left\":null,\"right\":\"town\",\"as\":\"empty\"}],\n"                     \
 " \"features\": [[0,\"gram\"],[null,\"guess\"]],\n"                           \
 " \"labels\": {\"matches\":9,\"others\":7},\n"                                \
 " \"held_out\": {\"precision\":0.90000000000000002,\"recall\":0.75,"          \
 "\"f1\":0.10000000000000001,\"log_loss\":0.29999999999999999},\n"             \
 " \"without_labels\": {\"precision\":null,\"recall\":0.5,\"f1\":null,"        \
 "\"log_loss\":2.5},\n"
#define CALIBRATION                                                            \
 " \"calibration\": {\"slope\":0.69999999999999996,\"shift\":-0.125},\n"
#define LOGISTIC                                                               \
 HEAD ABOUT " \"learner\": \"logistic\",\n" CALIBRATION                        \
            " \"weights\": [-1.5,0.10000000000000001,2.0,3.0,4.0,5.0,"         \
            "1e-300]\n}\n"
#define TREES                                                                  \
 HEAD ABOUT " \"learner\": \"boosted trees\",\n" CALIBRATION                   \
            " \"base\": -0.25,\n \"roots\": [0,3],\n"                          \
            " \"nodes\": [[0,100,true,1,2,0.0],[0.10000000149011612],[-1.0],"  \
            "[1,7,false,4,5,0.0],[2.0],[-3.0]]\n}\n"

static int decode(const char *json, linkd_pair_model **ret_model,
                  linkd_error *err)
{
    return linkd_pair_model_decode("m.json", (linkd_str){json, strlen(json)},
                                   ret_model, err);
}

static linkd_pair_model *decoded(const char *json)
{
    linkd_pair_model *model = NULL;
    linkd_error err = {0};

    if (decode(json, &model, &err) != LINKD_OK)
        fail_msg("%s", err.message);
    return model;
}

/* `json` with the first `from` in it replaced. */
static char *changed(const char *json, const char *from, const char *to)
{
    const char *at = strstr(json, from);
    lk_buf text = {0};

    assert_non_null(at);
    assert_int_equal(lk_buf_append(&text, json, (size_t)(at - json), NULL),
                     LINKD_OK);
    assert_int_equal(lk_buf_append(&text, to, strlen(to), NULL), LINKD_OK);
    assert_int_equal(lk_buf_append(&text, at + strlen(from),
                                   strlen(at + strlen(from)), NULL),
                     LINKD_OK);
    return text.data;
}

static void refused(const char *json, const char *from, const char *to,
                    const char *message)
{
    char *text = changed(json, from, to);
    linkd_pair_model *model = NULL;
    linkd_error err = {0};

    assert_int_equal(decode(text, &model, &err), LINKD_E_DATA);
    assert_null(model);
    assert_string_equal(err.message, message);
    free(text);
}

/* ---- what is read -------------------------------------------------------- */

static void encodes_as(const char *json)
{
    linkd_pair_model *model = decoded(json);
    lk_buf again = {0};

    assert_int_equal(linkd_pair_model_encode(model, &again, NULL), LINKD_OK);
    assert_string_equal(again.data, json);
    lk_buf_clear(&again);
    linkd_pair_model_free(model);
}

static void what_is_read_is_written_as_it_was(void **state)
{
    char *text;

    (void)state;
    encodes_as(LOGISTIC);
    encodes_as(TREES);
    text = changed(LOGISTIC, "\"encoder\": null",
                   "\"encoder\": \"0123456789abcdef0123456789abcdef\"");
    encodes_as(text);
    free(text);
    encodes_as(HEAD ABOUT " \"learner\": \"none\",\n"
                          " \"calibration\": {\"slope\":1.0,\"shift\":0.0}"
                          "\n}\n");
}

static void numbers_are_what_they_were(void **state)
{
    linkd_pair_model *model = decoded(LOGISTIC);
    const lk_learned *learned = &model->learned;
    linkd_pair_model_info info = linkd_pair_model_describe(model);

    (void)state;
    assert_true(learned->model.logistic.weights[1] == 0.1);
    assert_true(learned->model.logistic.weights[6] == 1e-300);
    assert_int_equal(learned->model.logistic.n_features, 2);
    assert_true(learned->calibration.slope == 0.7);
    assert_true(learned->calibration.shift == -0.125);
    assert_int_equal(info.learned.n_matches, 9);
    assert_int_equal(info.learned.n_others, 7);
    assert_true(info.learned.held_out.precision == 0.9);
    assert_true(info.learned.without.precision !=
                info.learned.without.precision);
    assert_false(info.within);
    assert_int_equal(model->columns[0].compared_as, LINKD_HOLDS_NAME);
    assert_null(model->columns[1].names[0].bytes);
    assert_string_equal(model->columns[1].names[1].bytes, "town");
    assert_int_equal(model->features[1].field, LK_FIELD_RECORD);
    assert_int_equal(model->features[1].comparator, LK_COMPARE_GUESS);
    linkd_pair_model_free(model);
}

static void trees_are_what_they_were(void **state)
{
    linkd_pair_model *model = decoded(TREES);
    const lk_fitted_model *fitted = &model->learned.model;
    static const uint8_t rows[3][2] = {
        {100, 7}, {101, 8}, {LK_FEATURE_MISSING, LK_FEATURE_MISSING}};

    (void)state;
    assert_true(lk_fitted_model_log_odds(fitted, rows[0]) ==
                -0.25 + (double)0.1F + 2.0);
    assert_true(lk_fitted_model_log_odds(fitted, rows[1]) == -0.25 - 1.0 - 3.0);
    assert_true(lk_fitted_model_log_odds(fitted, rows[2]) ==
                -0.25 + (double)0.1F - 3.0);
    linkd_pair_model_free(model);
}

/* ---- what is refused ------------------------------------------------------ */

static void what_is_no_model_is_refused(void **state)
{
    linkd_pair_model *model = NULL;
    linkd_error err = {0};

    (void)state;
    assert_int_equal(decode("left_id,right_id\n", &model, &err), LINKD_E_DATA);
    assert_non_null(strstr(err.message, "m.json is not JSON: line 1: "));
    assert_int_equal(decode("[]", &model, &err), LINKD_E_DATA);
    assert_string_equal(err.message,
                        "m.json is no pair model of linkctl train");
    refused(LOGISTIC, "linkd-pair-model", "linkd-map",
            "m.json is no pair model of linkctl train");
    refused(LOGISTIC, "\"version\": 1", "\"version\": 1, \"version\": 1",
            "m.json is not JSON: line 3: duplicate object key near "
            "'\"version\"'");
}

static void another_version_is_refused(void **state)
{
    (void)state;
    refused(LOGISTIC, "\"version\": 1", "\"version\": 2",
            "m.json is version 2, newest known is 1");
    refused(LOGISTIC, "\"version\": 1", "\"version\": 0",
            "m.json: \"version\" is not a version");
    refused(LOGISTIC, "\"version\": 1", "\"version\": \"1\"",
            "m.json: \"version\" is not a version");
}

static void what_it_is_about_is_checked(void **state)
{
    (void)state;
    refused(LOGISTIC, "\"link\"", "\"score\"",
            "m.json: \"command\" is not link or dedup");
    refused(LOGISTIC, "\"encoder\": null", "\"encoder\": \"abc\"",
            "m.json: \"encoder\" is not null or 32 hex digits");
    refused(LOGISTIC, "\"encoder\": null",
            "\"encoder\": \"0123456789ABCDEF0123456789ABCDEF\"",
            "m.json: \"encoder\" is not null or 32 hex digits");
    refused(LOGISTIC, "\"encoder\": null,", "",
            "m.json: \"encoder\" is not null or 32 hex digits");
}

static void columns_are_checked(void **state)
{
    (void)state;
    refused(LOGISTIC, "\"columns\": [", "\"columns\": 1, \"was\": [",
            "m.json: \"columns\" is not an array of columns");
    refused(LOGISTIC, "\"as\":\"empty\"", "\"as\":\"colour\"",
            "m.json: \"columns\": item 1 is not compared as anything known");
    refused(LOGISTIC, "\"right\":\"firm\"", "\"right\":7",
            "m.json: \"columns\": item 0 is not a pair of names");
    refused(LOGISTIC, "\"right\":\"town\"", "\"right\":null",
            "m.json: \"columns\": item 1 is not a pair of names");
}

static void features_are_checked(void **state)
{
    (void)state;
    refused(LOGISTIC, "[[0,\"gram\"],[null,\"guess\"]]", "[]",
            "m.json: \"features\" is not an array of features");
    refused(LOGISTIC, "[0,\"gram\"]", "[0,\"gram\",1]",
            "m.json: \"features\": item 0 is not a column and a comparator");
    refused(LOGISTIC, "\"guess\"", "\"hunch\"",
            "m.json: \"features\": item 1 is not of a known comparator");
    /* the second column stands alone, so there is one field */
    refused(LOGISTIC, "[0,\"gram\"]", "[1,\"gram\"]",
            "m.json: \"features\": item 0 is not of a column that there is");
    refused(LOGISTIC, "[0,\"gram\"]", "[-1,\"gram\"]",
            "m.json: \"features\": item 0 is not of a column that there is");
    refused(LOGISTIC, "[0,\"gram\"]", "[0.0,\"gram\"]",
            "m.json: \"features\": item 0 is not of a column that there is");
}

static void figures_are_checked(void **state)
{
    (void)state;
    refused(LOGISTIC, "\"matches\":9", "\"matches\":-9",
            "m.json: \"labels\" is not a number of matches and of others");
    refused(LOGISTIC, "\"others\":7", "\"other\":7",
            "m.json: \"labels\" is not a number of matches and of others");
    refused(LOGISTIC, "\"recall\":0.75", "\"recall\":1.5",
            "m.json: \"recall\" of \"held_out\" is not null or a number from "
            "0 to 1");
    refused(LOGISTIC, "\"log_loss\":2.5", "\"log_loss\":-2.5",
            "m.json: \"log_loss\" of \"without_labels\" is not null or a "
            "number from 0 to 1e+09");
    refused(LOGISTIC, "\"held_out\"", "\"held\"",
            "m.json: \"precision\" of \"held_out\" is not null or a number "
            "from 0 to 1");
}

static void weights_are_checked(void **state)
{
    (void)state;
    refused(LOGISTIC, "\"logistic\"", "\"forest\"",
            "m.json: \"learner\" is not none, logistic or boosted trees");
    refused(LOGISTIC, "\"slope\":0.6", "\"slope\":5.6",
            "m.json: \"calibration\" is not a slope and a shift");
    refused(LOGISTIC, "\"shift\":-0.125", "\"shift\":-1e10",
            "m.json: \"calibration\" is not a slope and a shift");
    refused(LOGISTIC, "[-1.5,", "[",
            "m.json: \"weights\" is not one number and three a feature");
    refused(LOGISTIC, "-1.5,", "-1.5, 1.0,",
            "m.json: \"weights\" is not one number and three a feature");
    refused(LOGISTIC, "4.0,", "1e10,",
            "m.json: \"weights\": item 4 is not a weight");
    refused(LOGISTIC, "4.0,", "\"4\",",
            "m.json: \"weights\": item 4 is not a weight");
}

static void nodes_are_checked(void **state)
{
    (void)state;
    refused(TREES, "[0,100", "[2,100",
            "m.json: \"nodes\": item 0 is not of a feature that there is");
    refused(TREES, "[0,100", "[0,255",
            "m.json: \"nodes\": item 0 is not split at a byte below 255");
    refused(TREES, "true", "1",
            "m.json: \"nodes\": item 0 is not telling where missing values "
            "go");
    refused(TREES, "true,1,2", "true,1,6",
            "m.json: \"nodes\": item 0 is not above two nodes that come "
            "later");
    /* a walk through it would never end */
    refused(TREES, "false,4,5", "false,3,5",
            "m.json: \"nodes\": item 3 is not above two nodes that come "
            "later");
    refused(TREES, "[-1.0]", "[-1e10]",
            "m.json: \"nodes\": item 2 is not of a number");
    refused(TREES, "[-1.0]", "[-1.0, 2]",
            "m.json: \"nodes\": item 2 is not an array of 1 or 6");
    refused(TREES, "\"nodes\": [", "\"nodes\": [], \"was\": [",
            "m.json: \"nodes\" is not an array of nodes");
}

static void trees_are_checked(void **state)
{
    (void)state;
    refused(TREES, "-0.25", "null", "m.json: \"base\" is not a number");
    refused(TREES, "[0,3]", "[]", "m.json: \"roots\" is not an array of trees");
    refused(TREES, "[0,3]", "[0,0,0,0,0,0,0]",
            "m.json: \"roots\" is not an array of trees");
    refused(TREES, "[0,3]", "[0,6]",
            "m.json: \"roots\": item 1 is not a node that there is");
}

/* ---- memory ---------------------------------------------------------------- */

static void running_out_of_memory_is_told(void **state)
{
    (void)state;
    for (size_t n = 1;; n++) {
        linkd_pair_model *model = NULL;
        linkd_error err = {0};
        int rc;

        alloc_fail_at(n);
        rc = decode(TREES, &model, &err);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            linkd_pair_model_free(model);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_null(model);
    }
}

static void running_out_of_memory_while_writing_is_told(void **state)
{
    linkd_pair_model *model = decoded(TREES);

    (void)state;
    for (size_t n = 1;; n++) {
        lk_buf json = {0};
        linkd_error err = {0};
        bool failed;
        int rc;

        alloc_fail_at(n);
        rc = linkd_pair_model_encode(model, &json, &err);
        failed = alloc_fail_off();
        lk_buf_clear(&json);
        assert_int_equal(rc, failed ? LINKD_E_NOMEM : LINKD_OK);
        if (!failed)
            break;
    }
    linkd_pair_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_read_is_written_as_it_was),
        cmocka_unit_test(numbers_are_what_they_were),
        cmocka_unit_test(trees_are_what_they_were),
        cmocka_unit_test(what_is_no_model_is_refused),
        cmocka_unit_test(another_version_is_refused),
        cmocka_unit_test(what_it_is_about_is_checked),
        cmocka_unit_test(columns_are_checked),
        cmocka_unit_test(features_are_checked),
        cmocka_unit_test(figures_are_checked),
        cmocka_unit_test(weights_are_checked),
        cmocka_unit_test(nodes_are_checked),
        cmocka_unit_test(trees_are_checked),
        cmocka_unit_test(running_out_of_memory_is_told),
        cmocka_unit_test(running_out_of_memory_while_writing_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
