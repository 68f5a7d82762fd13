#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/job_spec.h"
#include "tests/support/alloc_fail.h"

static lk_arena arena;
static json_t *request;
static linkd_error err;

static int spec_read(const char *text, lk_job_spec *ret_spec)
{
    json_decref(request);
    request = json_loads(text, JSON_DECODE_ANY, NULL);
    assert_non_null(request);
    err = (linkd_error){0};
    return lk_job_spec_read(request, &arena, ret_spec, &err);
}

static int leave(void **state)
{
    (void)state;
    json_decref(request);
    request = NULL;
    lk_arena_clear(&arena);
    return 0;
}

static void a_dedup_has_linkctls_defaults(void **state)
{
    lk_job_spec spec;

    (void)state;
    assert_int_equal(
        spec_read("{\"kind\":\"dedup\",\"input\":{\"collection\":\"a\"}}",
                  &spec),
        LINKD_OK);
    assert_int_equal(spec.kind, LK_JOB_DEDUP);
    assert_int_equal(spec.n_sides, 1);
    assert_string_equal(spec.sides[0].collection.bytes, "a");
    assert_int_equal(spec.sides[0].file.len, 0);
    assert_null(spec.sides[0].on);
    assert_int_equal(spec.k, 0);
    assert_true(spec.threshold == LINKD_THRESHOLD_AUTO);
    assert_true(isnan(spec.min_score));
    assert_false(spec.without_model);
    assert_int_equal(spec.cluster, LINKD_CLUSTER_COMPLETE);
    assert_int_equal(spec.block.len, 0);
    assert_false(spec.apply);
}

/* As linkctl has them: its own defaults go with --min-score. */
static void a_job_by_scores_has_defaults_of_its_own(void **state)
{
    lk_job_spec spec;

    (void)state;
    assert_int_equal(
        spec_read("{\"kind\":\"dedup\",\"input\":{\"collection\":\"a\"},"
                  "\"cluster\":\"components\",\"min_score\":0.8}",
                  &spec),
        LINKD_OK);
    assert_int_equal(spec.cluster, LINKD_CLUSTER_COMPONENTS);
    assert_true(spec.min_score == 0.8);
    assert_int_equal(spec.k, LINKD_DEDUP_K);
    assert_int_equal(
        spec_read("{\"kind\":\"link\",\"left\":{\"collection\":\"a\"},"
                  "\"right\":{\"collection\":\"b\"},\"min_score\":-1}",
                  &spec),
        LINKD_OK);
    assert_int_equal(spec.assign, LINKD_ASSIGN_RECIPROCAL);
    assert_int_equal(spec.k, LINKD_LINK_K);
}

static void a_link_finds_its_mode_by_itself(void **state)
{
    lk_job_spec spec;

    (void)state;
    assert_int_equal(
        spec_read("{\"kind\":\"link\",\"left\":{\"collection\":\"a\"},"
                  "\"right\":{\"collection\":\"b\"}}",
                  &spec),
        LINKD_OK);
    assert_int_equal(spec.assign, LINKD_ASSIGN_AUTO);
    assert_string_equal(lk_job_assign_name(spec.assign), "auto");
}

/* Of a collection, too: its fields are compared, its vectors are not. */
static void the_model_may_be_none(void **state)
{
    lk_job_spec spec;

    (void)state;
    assert_int_equal(
        spec_read("{\"kind\":\"dedup\",\"input\":{\"collection\":\"a\"},"
                  "\"model\":\"none\"}",
                  &spec),
        LINKD_OK);
    assert_true(spec.without_model);
}

static void a_link_has_two_sides_with_columns_of_their_own(void **state)
{
    lk_job_spec spec;

    (void)state;
    assert_int_equal(
        spec_read("{\"kind\":\"link\",\"left\":{\"file\":\"f.csv\"},"
                  "\"right\":{\"collection\":\"b\"},\"on\":[\"name\"],"
                  "\"left_on\":null,\"right_on\":[\"title\",\"town\"],"
                  "\"block\":\"country\",\"assign\":\"one-to-one\",\"k\":3,"
                  "\"threshold\":0.5,\"model\":\"m\"}",
                  &spec),
        LINKD_OK);
    assert_int_equal(spec.n_sides, 2);
    assert_int_equal(spec.sides[0].n_on, 1);
    assert_string_equal(spec.sides[0].on[0].bytes, "name");
    assert_int_equal(spec.sides[1].n_on, 2);
    assert_string_equal(spec.sides[1].on[1].bytes, "town");
    assert_string_equal(spec.block.bytes, "country");
    assert_string_equal(spec.model.bytes, "m");
    assert_int_equal(spec.assign, LINKD_ASSIGN_ONE_TO_ONE);
    assert_int_equal(spec.k, 3);
    assert_true(spec.threshold == 0.5);
}

static void a_backup_names_a_place(void **state)
{
    lk_job_spec spec;

    (void)state;
    assert_int_equal(
        spec_read("{\"kind\":\"backup\",\"directory\":\"/b\"}", &spec),
        LINKD_OK);
    assert_string_equal(spec.directory.bytes, "/b");
    assert_int_equal(spec.n_sides, 0);
    assert_int_equal(spec_read("{\"kind\":\"fsck\"}", &spec), LINKD_OK);
    assert_int_equal(spec.kind, LK_JOB_FSCK);
    assert_string_equal(lk_job_kind_name(spec.kind), "fsck");
}

#define DEDUP "{\"kind\":\"dedup\",\"input\":{\"collection\":\"a\"}"
#define LINK  "{\"kind\":\"link\",\"left\":{\"collection\":\"a\"}"

#define PROBE "{\"kind\":\"upgrade-probe\",\"collection\":\"a\",\"model\":\"m\""
#define HEADS                                                                  \
 "\"head\" is not auto, procrustes, ridge, mlp, bt2, contrast or dsimplex"

static void an_upgrade_has_one_of_these_heads(void **state)
{
    static const struct {
        const char *word;
        linkd_compat_head head;
    } cases[] = {
        {"procrustes", LINKD_HEAD_PROCRUSTES},
        {"ridge", LINKD_HEAD_RIDGE},
        {"mlp", LINKD_HEAD_MLP},
        {"bt2", LINKD_HEAD_BT2},
        {"dsimplex", LINKD_HEAD_SIMPLEX},
    };
    lk_job_spec spec;

    (void)state;
    assert_int_equal(spec_read(PROBE "}", &spec), LINKD_OK);
    assert_true(spec.auto_head);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char text[128];

        (void)snprintf(text, sizeof(text), PROBE ",\"head\":\"%s\"}",
                       cases[i].word);
        assert_int_equal(spec_read(text, &spec), LINKD_OK);
        assert_false(spec.auto_head);
        assert_int_equal(spec.head, cases[i].head);
        assert_string_equal(lk_job_head_name(spec.head), cases[i].word);
    }
}

static void wrong_requests_are_told_what_is_wrong(void **state)
{
    static const struct {
        const char *text;
        const char *message;
    } cases[] = {
        {"[]", "the body is not an object"},
        {"{}", "\"kind\" is missing"},
        {"{\"kind\":\"copy\"}", "\"kind\" cannot be \"copy\""},
        {"{\"kind\":7}", "\"kind\" is not a string"},
        {"{\"kind\":\"dedup\"}", "\"input\" is missing"},
        {"{\"kind\":\"dedup\",\"input\":{}}",
         "\"input\" names neither or both of a collection and a file"},
        {"{\"kind\":\"dedup\",\"input\":"
         "{\"collection\":\"a\",\"file\":\"f\"}}",
         "\"input\" names neither or both of a collection and a file"},
        {DEDUP ",\"on\":[]}", "\"on\" is not an array of 1 to 1024 columns"},
        {DEDUP ",\"on\":\"name\"}",
         "\"on\" is not an array of 1 to 1024 columns"},
        {DEDUP ",\"on\":[\"a\",1]}", "\"on\": column 1 is no string"},
        {DEDUP ",\"cluster\":\"stars\"}", "\"cluster\" cannot be \"stars\""},
        {DEDUP ",\"threshold\":1.5}",
         "\"threshold\" is not a number from 0 to 1"},
        {DEDUP ",\"threshold\":-0.5}",
         "\"threshold\" is not a number from 0 to 1"},
        {DEDUP ",\"min_score\":\"0.5\"}",
         "\"min_score\" is not a number from -1 to 1"},
        {DEDUP ",\"min_score\":0.5,\"threshold\":0.5}",
         "\"min_score\" excludes \"threshold\""},
        {DEDUP ",\"min_score\":0.5,\"model\":\"none\"}",
         "\"min_score\" needs a model"},
        {DEDUP ",\"model\":\"m\"}",
         "\"model\" is for files: a collection has its own"},
        {"{\"kind\":\"dedup\",\"input\":{\"file\":\"f\"},\"apply\":true}",
         "\"apply\" needs a collection as input"},
        {LINK ",\"right\":{\"collection\":\"b\"},\"apply\":true}",
         "\"apply\" needs a file on the left and a collection on the right"},
        {"{\"kind\":\"link\",\"left\":{\"file\":\"f\"},\"apply\":true,"
         "\"right\":{\"collection\":\"b\"},\"model\":\"none\"}",
         "\"apply\" needs the collection's model"},
        {LINK "}", "\"right\" is missing"},
        {LINK ",\"right\":{\"collection\":\"b\"},\"assign\":\"all\"}",
         "\"assign\" cannot be \"all\""},
        {PROBE ",\"head\":\"bt2-trained\"}", HEADS},
        {PROBE ",\"head\":\"simplex\"}", HEADS},
        {PROBE ",\"head\":\"whitened\"}", HEADS},
        {PROBE ",\"head\":\"contrast\"}", "the head contrast needs \"labels\""},
        {PROBE ",\"anchors\":99}",
         "\"anchors\" is not an integer from 100 to 65536"},
        {"{\"kind\":\"backup\"}", "\"directory\" is not an absolute path"},
        {"{\"kind\":\"backup\",\"directory\":\"b\"}",
         "\"directory\" is not an absolute path"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        lk_job_spec spec;

        assert_int_equal(spec_read(cases[i].text, &spec), LINKD_E_ARG);
        assert_string_equal(err.message, cases[i].message);
    }
}

/* A misspelt option must not be ignored. */
static void every_kind_knows_its_members(void **state)
{
    static const char *const cases[] = {
        DEDUP ",\"left\":{}}",
        LINK ",\"right\":{\"collection\":\"b\"},\"cluster\":\"complete\"}",
        "{\"kind\":\"fsck\",\"directory\":\"/b\"}",
        "{\"kind\":\"backup\",\"directory\":\"/b\",\"k\":1}",
        "{\"kind\":\"dedup\",\"input\":{\"collection\":\"a\",\"on\":[]}}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        lk_job_spec spec;

        assert_int_equal(spec_read(cases[i], &spec), LINKD_E_ARG);
    }
}

static void lack_of_memory_is_told(void **state)
{
    lk_job_spec spec;
    json_t *json = json_loads(DEDUP ",\"on\":[\"name\"]}", 0, NULL);

    (void)state;
    alloc_fail_at(1);
    assert_int_equal(lk_job_spec_read(json, &arena, &spec, &err),
                     LINKD_E_NOMEM);
    assert_true(alloc_fail_off());
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_dedup_has_linkctls_defaults, leave),
        cmocka_unit_test_teardown(a_job_by_scores_has_defaults_of_its_own,
                                  leave),
        cmocka_unit_test_teardown(a_link_finds_its_mode_by_itself, leave),
        cmocka_unit_test_teardown(the_model_may_be_none, leave),
        cmocka_unit_test_teardown(
            a_link_has_two_sides_with_columns_of_their_own, leave),
        cmocka_unit_test_teardown(a_backup_names_a_place, leave),
        cmocka_unit_test_teardown(an_upgrade_has_one_of_these_heads, leave),
        cmocka_unit_test_teardown(wrong_requests_are_told_what_is_wrong, leave),
        cmocka_unit_test_teardown(every_kind_knows_its_members, leave),
        cmocka_unit_test_teardown(lack_of_memory_is_told, leave),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
