/* tests/compat/test_retrieval.c — ranks, and the weight of a fused query. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/compat/spaces.h"
#include "tests/support/alloc_fail.h"

static lk_pool *pool_of(size_t n)
{
    lk_pool *pool;

    assert_int_equal(lk_pool_new(n, &pool, NULL), LINKD_OK);
    return pool;
}

/* Gallery rows of three values, of which queries know two. */
static void the_best_relevant_row_has_a_rank(void **state)
{
    static const float gallery[12] = {1, 0, 9, 0.6F, 0.8F, 9, 0, 1, 9, 1, 0, 9};
    static const float queries[4] = {1, 0, 0, 1};
    static const uint64_t gallery_groups[4] = {1, 2, 3, 4};
    static const uint64_t query_groups[2] = {2, 7};
    linkd_retrieval task = {
        {queries, 2, 2}, {gallery, 4, 3}, query_groups, gallery_groups, NULL};
    uint32_t ranks[2];
    lk_pool *pool = pool_of(1);

    (void)state;
    assert_int_equal(linkd_compat_ranks(&task, 10, pool, ranks, NULL),
                     LINKD_OK);
    assert_int_equal(ranks[0], 3); /* rows 0 and 3 are nearer */
    assert_int_equal(ranks[1], 0); /* nothing is relevant */
    assert_int_equal(linkd_compat_ranks(&task, 2, pool, ranks, NULL), LINKD_OK);
    assert_int_equal(ranks[0], 0); /* not among the first two */
    lk_pool_free(pool);
}

/* Rows 0 and 3 are the same: the earlier one is better. */
static void
equal_scores_go_by_row_and_a_query_does_not_find_itself(void **state)
{
    static const float gallery[8] = {1, 0, 0, 1, 0, 1, 1, 0};
    static const uint64_t groups[4] = {1, 2, 2, 1};
    static const size_t rows[4] = {0, 1, 2, 3};
    linkd_retrieval task = {
        {gallery, 4, 2}, {gallery, 4, 2}, groups, groups, NULL};
    uint32_t ranks[4];
    lk_pool *pool = pool_of(2);

    (void)state;
    assert_int_equal(linkd_compat_ranks(&task, 10, pool, ranks, NULL),
                     LINKD_OK);
    assert_int_equal(ranks[3], 1); /* by row 0 */
    task.query_rows = rows;
    assert_int_equal(linkd_compat_ranks(&task, 10, pool, ranks, NULL),
                     LINKD_OK);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(ranks[i], 1); /* by its twin */
    lk_pool_free(pool);
}

/* More queries than a tile, any number of workers. */
static void workers_do_not_change_ranks(void **state)
{
    spaces s = spaces_make((spaces_options){.n = 300,
                                            .dim_from = 16,
                                            .dim_to = 16,
                                            .n_entities = 100,
                                            .noise = 0.5,
                                            .seed = 1});
    size_t rows[300];
    uint32_t one[300], four[300];
    lk_pool *pool = pool_of(1);
    linkd_retrieval task = {s.from, s.from, s.groups, s.groups, rows};

    (void)state;
    for (size_t i = 0; i < 300; i++)
        rows[i] = i;
    assert_int_equal(linkd_compat_ranks(&task, 100, pool, one, NULL), LINKD_OK);
    lk_pool_free(pool);
    pool = pool_of(4);
    assert_int_equal(linkd_compat_ranks(&task, 100, pool, four, NULL),
                     LINKD_OK);
    assert_memory_equal(one, four, sizeof(one));
    assert_true(linkd_compat_metrics_of(one, 300).mrr_10 > 0.5);
    lk_pool_free(pool);
    spaces_clear(&s);
}

static void a_worse_model_gets_no_weight_and_a_better_one_some(void **state)
{
    static const double noises[2][2] = {{2.0, 0.3}, {0.1, 2.0}};
    lk_pool *pool = pool_of(2);
    float weights[2];

    (void)state;
    for (size_t t = 0; t < 2; t++) {
        /* one space; the old query and the new one see it with other noise */
        spaces gallery = spaces_make((spaces_options){
            .n = 200, .dim_from = 16, .dim_to = 16, .seed = 9});
        spaces old_view = spaces_make((spaces_options){.n = 200,
                                                       .dim_from = 16,
                                                       .dim_to = 16,
                                                       .noise = noises[t][0],
                                                       .seed = 9});
        float *old_queries = malloc(200 * 16 * sizeof(float));
        float *new_queries = malloc(200 * 16 * sizeof(float));
        linkd_retrieval task = {{old_queries, 200, 16},
                                gallery.from,
                                gallery.groups,
                                gallery.groups,
                                NULL};
        linkd_rows fresh = {new_queries, 200, 16};

        assert_true(old_queries != NULL && new_queries != NULL);
        for (size_t i = 0; i < 200 * (size_t)16; i++) {
            float noise = old_view.to.data[i];

            old_queries[i] = gallery.from.data[i] + (float)noises[t][0] * noise;
            new_queries[i] =
                gallery.from.data[i] -
                (float)noises[t][1] * old_view.from.data[(i + 1600) % 3200];
        }
        assert_int_equal(
            linkd_compat_choose_weight(&task, &fresh, pool, &weights[t], NULL),
            LINKD_OK);
        free(new_queries);
        free(old_queries);
        spaces_clear(&old_view);
        spaces_clear(&gallery);
    }
    assert_true(weights[0] >= 0.5F);
    assert_near(weights[1], 0.0F, 0);
    lk_pool_free(pool);
}

static void what_cannot_be_compared_is_refused(void **state)
{
    static const float rows[6] = {1, 0, 0, 0, 1, 0};
    static const uint64_t groups[3] = {1, 2, 3};
    linkd_retrieval task = {{rows, 2, 3}, {rows, 3, 2}, groups, groups, NULL};
    linkd_rows fresh = {rows, 1, 3};
    uint32_t ranks[2];
    float weight;
    linkd_error err;
    lk_pool *pool = pool_of(1);

    (void)state;
    assert_int_equal(linkd_compat_ranks(&task, 10, pool, ranks, &err),
                     LINKD_E_ARG);
    assert_string_equal(err.message,
                        "queries have 3 dimensions, the gallery only 2");
    assert_int_equal(
        linkd_compat_choose_weight(&task, &fresh, pool, &weight, &err),
        LINKD_E_ARG);
    fresh.n = 2;
    assert_int_equal(
        linkd_compat_choose_weight(&task, &fresh, pool, &weight, &err),
        LINKD_E_ARG);
    assert_string_equal(err.message,
                        "queries have 3 dimensions, the gallery only 2");
    task.gallery = task.queries;
    for (size_t nth = 1;; nth++) {
        int rc;

        alloc_fail_at(nth);
        rc = linkd_compat_choose_weight(&task, &fresh, pool, &weight, &err);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
    }
    lk_pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_best_relevant_row_has_a_rank),
        cmocka_unit_test(
            equal_scores_go_by_row_and_a_query_does_not_find_itself),
        cmocka_unit_test(workers_do_not_change_ranks),
        cmocka_unit_test(a_worse_model_gets_no_weight_and_a_better_one_some),
        cmocka_unit_test(what_cannot_be_compared_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
