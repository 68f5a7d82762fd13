/* tests/daemon/test_job_scales.c — scales that are kept with a job, and which of two
 * collections' count. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <jansson.h>

#include "daemon/job_scales.h"
#include "tests/daemon/upgrade_service.h"
#include "tests/support/alloc_fail.h"

#define DEDUP                                                                  \
 "{\"kind\":\"dedup\",\"input\":{\"collection\":\"firms\"},\"min_score\":0.9}"
#define LINK(left, right)                                                      \
 "{\"kind\":\"link\",\"left\":{\"collection\":\"" left                         \
 "\"},\"right\":{\"collection\":\"" right "\"},\"min_score\":0.9}"

static linkd_error err;

/* A job's inputs in a directory, and its tables as they are read again. */
typedef struct kept {
    const char *dir;
    json_t *request;
    lk_arena arena;
    lk_job_spec spec;
    lk_job_tables tables;
} kept;

static void assert_done(int rc)
{
    if (rc != LINKD_OK)
        fail_msg("%s", err.message);
}

static kept *kept_make(const char *dir, const char *request)
{
    kept *k = calloc(1, sizeof(*k));
    linkd_progress progress = {0};
    lk_job_vectors vectors = {0};

    assert_non_null(k);
    assert_int_equal(mkdir(dir, 0700), 0);
    k->dir = dir;
    k->request = json_loads(request, 0, NULL);
    assert_non_null(k->request);
    assert_done(lk_job_spec_read(k->request, &k->arena, &k->spec, &err));
    assert_done(
        lk_job_inputs_save(&service, &k->spec, dir, &k->arena, &vectors, &err));
    assert_done(lk_job_tables_read(dir, &k->spec, &vectors, &progress,
                                   &k->tables, &err));
    return k;
}

static void kept_free(kept *k)
{
    lk_job_tables_clear(&k->tables);
    lk_arena_clear(&k->arena);
    json_decref(k->request);
    free(k);
}

/* Another collection whose model was changed likewise. */
static void shops_change(void)
{
    collection_create("shops", "{\"text\":[\"name\"]}");
    records_put("shops", 40, 40 + N_RECORDS);
    assert_int_equal(
        call_json(lk_handle_upgrade_start, "shops", "{\"model\":\"other\"}"),
        202);
    job_wait((uint64_t)json_integer_value(at("job")));
    assert_text_at("state", "done");
}

static void firms_change(void)
{
    firms_make();
    start("other");
    upgrade_do(lk_handle_upgrade_backfill, "{\"limit\":120}");
}

/* Of both models; each row knows which one's it is. */
static void a_row_is_of_the_model_of_its_vector(void **state)
{
    lk_job_scales scales;
    kept *k;
    size_t n[2] = {0};

    (void)state;
    firms_change();
    k = kept_make("data/rows", DEDUP);
    assert_done(lk_job_scales_open(k->dir, &k->tables, &scales, &err));
    assert_non_null(scales.scales);
    assert_ptr_equal(scales.origins[1], scales.origins[0]);
    for (size_t i = 0; i < N_RECORDS; i++)
        n[scales.origins[0][i] == scales.origins[0][0]]++;
    assert_int_equal(n[0], 120);
    assert_int_equal(n[1], 120);
    lk_job_scales_clear(&scales);
    kept_free(k);
}

/* Those of a side. */
static linkd_pair_scales *side_scales(const char *dir, const char *side)
{
    linkd_pair_scales *scales = NULL;
    char path[64];
    char bytes[1 << 18];
    size_t n;
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/%s.scales", dir, side);
    file = fopen(path, "rb");
    assert_non_null(file);
    n = fread(bytes, 1, sizeof(bytes), file);
    assert_int_equal(fclose(file), 0);
    assert_done(linkd_pair_scales_decode((linkd_str){bytes, n}, &scales, &err));
    return scales;
}

/* What a cosine of the first rows counts as: by the job, and by a side's scales. */
static void scores_find(const char *dir, const char *request, const char *side,
                        float *ret_score, float *ret_of_side)
{
    kept *k = kept_make(dir, request);
    linkd_pair_scales *of_side = side_scales(dir, side);
    lk_job_scales scales;

    assert_done(lk_job_scales_open(dir, &k->tables, &scales, &err));
    *ret_score = scales.rescoring.score(scales.rescoring.ctx, 0, 0, 0.8F);
    *ret_of_side = linkd_pair_scales_score(of_side, scales.origins[0][0],
                                           scales.origins[1][0], 0.8F);
    lk_job_scales_clear(&scales);
    linkd_pair_scales_free(of_side);
    kept_free(k);
}

/* A score can mean but one thing. */
static void of_two_changed_collections_the_left_ones_scale_counts(void **state)
{
    float scores[2], left, right;

    (void)state;
    firms_change();
    shops_change();
    scores_find("data/firms-shops", LINK("firms", "shops"), "left", &scores[0],
                &left);
    assert_true(scores[0] == left);
    scores_find("data/shops-firms", LINK("shops", "firms"), "right", &scores[1],
                &right);
    assert_true(scores[1] != right);
    assert_true(scores[1] != scores[0]);
}

static void
the_right_ones_counts_where_the_left_one_was_never_changed(void **state)
{
    float score, right;

    (void)state;
    firms_change();
    collection_create("plain", "{\"text\":[\"name\"],\"model\":\"other\"}");
    record_put("plain", "{\"id\":\"p\",\"fields\":{\"name\":\"a wall\"}}");
    scores_find("data/plain-firms", LINK("plain", "firms"), "right", &score,
                &right);
    assert_true(score == right);
    assert_true(score != 0.8F);
}

static void nothing_is_kept_where_no_model_was_changed(void **state)
{
    lk_job_scales scales;
    kept *k;

    (void)state;
    firms_make();
    k = kept_make("data/unchanged", DEDUP);
    assert_done(lk_job_scales_open(k->dir, &k->tables, &scales, &err));
    assert_null(scales.scales);
    assert_null(scales.origins[0]);
    lk_job_scales_clear(&scales);
    kept_free(k);
}

static void opening_tells_of_no_memory(void **state)
{
    lk_job_scales scales;
    kept *k;
    int rc;

    (void)state;
    firms_change();
    shops_change();
    k = kept_make("data/no-memory", LINK("firms", "shops"));
    for (size_t n = 1;; n++) {
        alloc_fail_at(n);
        rc = lk_job_scales_open(k->dir, &k->tables, &scales, &err);
        if (!alloc_fail_off())
            break;
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_null(scales.scales);
        assert_null(scales.origins[0]);
    }
    assert_done(rc);
    lk_job_scales_clear(&scales);
    kept_free(k);
}

static void saving_tells_of_no_memory(void **state)
{
    linkd_bridges *bridges = NULL;
    linkd_view *view = NULL;
    int rc;

    (void)state;
    firms_change();
    assert_done(
        linkd_view_open(service.store, (linkd_str){"firms", 5}, &view, &err));
    assert_done(linkd_view_turn_to(view, 2, &err));
    assert_done(linkd_bridges_open(view, &bridges, &err));
    for (size_t n = 1;; n++) {
        alloc_fail_at(n);
        rc = lk_job_scales_save("data/saved", bridges, view, 2, &err);
        if (!alloc_fail_off())
            break;
        assert_int_equal(rc, LINKD_E_NOMEM);
    }
    assert_done(rc);
    linkd_bridges_close(bridges);
    linkd_view_close(view);
}

#define TEST(name)                                                             \
 cmocka_unit_test_setup_teardown(name, job_service_enter, job_service_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_row_is_of_the_model_of_its_vector),
        TEST(of_two_changed_collections_the_left_ones_scale_counts),
        TEST(the_right_ones_counts_where_the_left_one_was_never_changed),
        TEST(nothing_is_kept_where_no_model_was_changed),
        TEST(opening_tells_of_no_memory),
        TEST(saving_tells_of_no_memory),
    };

    return cmocka_run_group_tests(tests, upgrade_group_enter,
                                  service_group_leave);
}
