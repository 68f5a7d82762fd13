/* tests/linkage/test_cluster_rows.c — rows of a table to clusters, with an
 * encoder whose vectors count letter pairs. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "linkage/linkage.h"
#include "tests/linkage/fake_encoder.h"
#include "tests/linkage/scratch.h"
#include "tests/support/alloc_fail.h"

#define NOISE  LINKD_CLUSTER_NOISE
#define N_ROWS ((size_t)8)

typedef struct fixture {
    linkd_table *table;
    linkd_encoder encoder;
    lk_pool *pool;
    size_t columns[1];
    linkd_cluster_rows_options options;
    linkd_cluster_rows_result result;
    linkd_error err;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    scratch_write_text("table.csv", "id,name\n"
                                    "0,observatory\n"
                                    "1,bakery miller\n"
                                    "2,\n"
                                    "3,garden gnome shop\n"
                                    "4,bakery millers\n"
                                    "5,garden gnome shop\n"
                                    "6,\n"
                                    "7,the bakery miller\n");
    assert_int_equal(linkd_table_read("table.csv", LINKD_FORMAT_CSV, "id", NULL,
                                      &f->table, &f->err),
                     LINKD_OK);
    assert_int_equal(lk_pool_new(1, &f->pool, &f->err), LINKD_OK);
    f->columns[0] = 1;
    f->options = (linkd_cluster_rows_options){.columns = f->columns,
                                              .n_columns = 1,
                                              .distance = 0.3F,
                                              .min_size = 2,
                                              .min_samples = 1};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;

    linkd_cluster_rows_result_clear(&f->result);
    lk_pool_free(f->pool);
    free(f->encoder.texts);
    linkd_table_free(f->table);
    free(f);
    return 0;
}

static int run(fixture *f)
{
    linkd_encoder_embedder storage = {&f->encoder, f->pool};
    linkd_embedder embedder = linkd_embedder_of_encoder(&storage);

    linkd_cluster_rows_result_clear(&f->result);
    return linkd_cluster_rows(f->table, &embedder, f->pool, &f->options, NULL,
                              &f->result, &f->err);
}

/* A row like no other is kept apart from others like it: LinkTransformer's
 * single linkage gave them all one number, and dropped all but one. */
static void lonely_rows_are_clusters_of_their_own(void **state)
{
    static const size_t expected[N_ROWS] = {0, 1, 2, 3, 1, 3, 4, 1};
    fixture *f = *state;

    for (linkd_linkage linkage = LINKD_LINKAGE_SINGLE;
         linkage <= LINKD_LINKAGE_AVERAGE; linkage++)
        for (size_t i = 0; i < 2; i++) {
            f->options.method =
                i == 0 ? LINKD_VECTORS_SLINK : LINKD_VECTORS_AGGLOMERATIVE;
            f->options.linkage = linkage;
            assert_int_equal(run(f), LINKD_OK);
            assert_int_equal(f->result.n_clusters, 5);
            assert_memory_equal(f->result.clusters, expected, sizeof(expected));
            assert_int_equal(f->result.n_noise, 0);
            assert_int_equal(f->result.n_empty, 2);
        }
    f->options.linkage = LINKD_LINKAGE_WARD;
    f->options.distance = sqrtf(0.6F);
    assert_int_equal(run(f), LINKD_OK);
    assert_memory_equal(f->result.clusters, expected, sizeof(expected));
}

static void what_is_not_dense_is_noise(void **state)
{
    static const size_t three[N_ROWS] = {NOISE, 0,     NOISE, NOISE,
                                         0,     NOISE, NOISE, 0};
    static const size_t two[N_ROWS] = {NOISE, 0, NOISE, 1, 0, 1, NOISE, 0};
    fixture *f = *state;

    f->options.method = LINKD_VECTORS_DBSCAN;
    f->options.min_samples = 3;
    assert_int_equal(run(f), LINKD_OK);
    assert_int_equal(f->result.n_clusters, 1);
    assert_int_equal(f->result.n_noise, 5);
    assert_memory_equal(f->result.clusters, three, sizeof(three));
    f->options.method = LINKD_VECTORS_HDBSCAN;
    f->options.min_samples = 1;
    assert_int_equal(run(f), LINKD_OK);
    assert_memory_equal(f->result.clusters, two, sizeof(two));
    assert_int_equal(f->result.n_noise, 3);
}

static void assert_refused(fixture *f, const char *message)
{
    assert_int_equal(run(f), LINKD_E_ARG);
    assert_string_equal(f->err.message, message);
    assert_null(f->result.clusters);
}

static void options_that_make_no_sense_are_refused(void **state)
{
    fixture *f = *state;

    f->options.distance = NAN;
    assert_refused(f, "the distance is not between 0 and 2");
    f->options.distance = 2.5F;
    assert_refused(f, "the distance is not between 0 and 2");
    f->options.method = LINKD_VECTORS_HDBSCAN;
    f->options.min_size = 1;
    assert_refused(f, "a cluster has at least 2 rows, not 1");
    f->options.min_size = 2;
    f->options.min_samples = 0;
    assert_refused(f, "0 rows make nothing dense");
    f->options.n_columns = 0;
    assert_refused(f, "no column of table.csv takes part");
}

static void memory_that_runs_out_is_reported(void **state)
{
    fixture *f = *state;

    for (linkd_vector_method method = LINKD_VECTORS_SLINK;
         method <= LINKD_VECTORS_HDBSCAN; method++)
        for (size_t nth = 1;; nth++) {
            int rc;

            f->options.method = method;
            f->options.linkage = LINKD_LINKAGE_AVERAGE;
            linkd_cluster_rows_result_clear(&f->result);
            alloc_fail_at(nth);
            rc = run(f);
            if (!alloc_fail_off()) {
                assert_int_equal(rc, LINKD_OK);
                break;
            }
            assert_int_equal(rc, LINKD_E_NOMEM);
        }
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(lonely_rows_are_clusters_of_their_own),
        CASE(what_is_not_dense_is_noise),
        CASE(options_that_make_no_sense_are_refused),
        CASE(memory_that_runs_out_is_reported),
    };

    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
