/* tests/compat/test_simplex_fit.c — heads that need labels and no pairs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/compat/spaces.h"
#include "tests/support/alloc_fail.h"

enum {
    N = 1200,
    HALF = N / 2,
    N_CLASSES = 64, /* of which 40 are in use */
    DIM = N_CLASSES - 1,
};

static spaces entities(void)
{
    return spaces_make((spaces_options){.n = N,
                                        .dim_from = 24,
                                        .dim_to = 16,
                                        .n_entities = 40,
                                        .noise = 0.1,
                                        .shift = 0.5,
                                        .seed = 7});
}

static linkd_compat_map *fit(const linkd_rows *rows, const linkd_rows *old,
                             const uint64_t *labels, uint64_t seed)
{
    linkd_compat_fit_options options = {
        .labels = labels, .seed = seed, .n_classes = N_CLASSES};
    linkd_compat_map *map = NULL;
    linkd_error err;

    if (linkd_compat_fit_simplex(rows, old, &options, &(linkd_progress){0},
                                 &map, &err) != LINKD_OK)
        fail_msg("%s", err.message);
    return map;
}

static float *apply(const linkd_compat_map *map, const linkd_rows *rows)
{
    float *z = malloc(rows->n * DIM * sizeof(*z));

    assert_non_null(z);
    assert_int_equal(linkd_compat_map_apply(map, rows, z, NULL), LINKD_OK);
    return z;
}

/* Recall@1 of the new head's rows on the old head's, of other records. */
static double recall(const float *queries, const float *gallery,
                     const spaces *s)
{
    linkd_retrieval task = {{queries, HALF, DIM},
                            {gallery, HALF, DIM},
                            s->groups,
                            s->groups + HALF,
                            NULL};
    uint32_t ranks[HALF];
    lk_pool *pool = NULL;

    assert_int_equal(lk_pool_new(1, &pool, NULL), LINKD_OK);
    assert_int_equal(linkd_compat_ranks(&task, 10, pool, ranks, NULL),
                     LINKD_OK);
    lk_pool_free(pool);
    return linkd_compat_metrics_of(ranks, HALF).recall_1;
}

/* The new model has seen the first half of the records only, the old one the
 * second: not one record is known under both. */
static void two_models_meet_without_pairs(void **state)
{
    spaces s = entities();
    linkd_rows new_rows = {s.from.data, HALF, 24};
    linkd_rows old_rows = {s.to.data + (size_t)HALF * 16, HALF, 16};
    linkd_compat_map *new_head = fit(&new_rows, NULL, s.groups, 1);
    linkd_compat_map *old_head = fit(&old_rows, NULL, s.groups + HALF, 2);
    linkd_compat_info info = linkd_compat_map_info(new_head);
    float *queries = apply(new_head, &new_rows);
    float *gallery = apply(old_head, &old_rows);
    double right = recall(queries, gallery, &s);

    (void)state;
    assert_int_equal(info.head, LINKD_HEAD_SIMPLEX);
    assert_int_equal(info.dim_to, DIM);
    assert_int_equal(info.dim_compat, DIM);
    assert_int_equal(info.n_pairs, HALF);
    if (!(right > 0.9 && info.cosine > 0.5F)) /* by chance: 0.025 and 0 */
        fail_msg("recall@1 %.3f, cosine %.3f", right, (double)info.cosine);
    free(gallery);
    free(queries);
    linkd_compat_map_free(old_head);
    linkd_compat_map_free(new_head);
    spaces_clear(&s);
}

static void old_rows_draw_new_ones_nearer(void **state)
{
    spaces s = entities();
    linkd_compat_map *old_head = fit(&s.to, NULL, s.groups, 2);
    float *old = apply(old_head, &s.to);
    linkd_rows old_rows = {old, N, DIM};
    linkd_compat_map *alone = fit(&s.from, NULL, s.groups, 1);
    linkd_compat_map *drawn = fit(&s.from, &old_rows, s.groups, 1);
    float *z_alone = apply(alone, &s.from);
    float *z_drawn = apply(drawn, &s.from);
    double before = mean_cosine(z_alone, DIM, old, DIM, N, DIM);
    double after = mean_cosine(z_drawn, DIM, old, DIM, N, DIM);

    (void)state;
    if (!(after > before + 0.02))
        fail_msg("alone %.4f, drawn %.4f", before, after);
    free(z_drawn);
    free(z_alone);
    linkd_compat_map_free(drawn);
    linkd_compat_map_free(alone);
    free(old);
    linkd_compat_map_free(old_head);
    spaces_clear(&s);
}

static void the_same_seed_gives_the_same_bytes(void **state)
{
    spaces s = entities();
    linkd_compat_map *one = fit(&s.from, NULL, s.groups, 1);
    linkd_compat_map *two = fit(&s.from, NULL, s.groups, 1);
    unsigned char *a, *b;
    size_t n_a, n_b;

    (void)state;
    assert_int_equal(linkd_compat_map_encode(one, &a, &n_a, NULL), LINKD_OK);
    assert_int_equal(linkd_compat_map_encode(two, &b, &n_b, NULL), LINKD_OK);
    assert_int_equal(n_a, n_b);
    assert_memory_equal(a, b, n_a);
    free(a);
    free(b);
    linkd_compat_map_free(one);
    linkd_compat_map_free(two);
    spaces_clear(&s);
}

/* ---- what cannot be fitted ----------------------------------------------- */

static void refused(const spaces *s, const linkd_rows *old,
                    linkd_compat_fit_options options, const char *message)
{
    linkd_compat_map *map = NULL;
    linkd_error err;

    assert_int_equal(linkd_compat_fit_simplex(&s->from, old, &options,
                                              &(linkd_progress){0}, &map, &err),
                     LINKD_E_ARG);
    assert_string_equal(err.message, message);
    assert_null(map);
}

static void bad_labels_and_sizes_are_named(void **state)
{
    static const uint64_t same[60] = {0};
    spaces s = spaces_make(
        (spaces_options){.n = 60, .dim_from = 8, .dim_to = 6, .seed = 1});
    linkd_rows few = {s.to.data, 59, 6};

    (void)state;
    refused(&s, NULL, (linkd_compat_fit_options){.labels = NULL},
            "this head needs labels: which rows are one entity");
    refused(&s, NULL, (linkd_compat_fit_options){.labels = same},
            "all labels are the same, so that nothing tells entities apart");
    refused(&s, NULL,
            (linkd_compat_fit_options){.labels = s.groups, .n_classes = 59},
            "row 60 of the first side is of an entity beyond the 59 that "
            "the head has room for");
    refused(&s, NULL,
            (linkd_compat_fit_options){.labels = s.groups, .n_classes = 1},
            "a simplex has 2 to 8192 classes, not 1");
    refused(&s, NULL,
            (linkd_compat_fit_options){.labels = s.groups, .n_classes = 8193},
            "a simplex has 2 to 8192 classes, not 8193");
    refused(&s, &s.to,
            (linkd_compat_fit_options){.labels = s.groups, .n_classes = 60},
            "old rows of 6 dimensions are not those of a simplex head of 60 "
            "classes");
    refused(&s, &few, (linkd_compat_fit_options){.labels = s.groups},
            "row i of both sides is one record, but there are 60 and 59 rows");
    spaces_clear(&s);
}

/* Nothing is learnt: what two heads made is what is compared. */
static void rows_of_two_heads_compare_as_they_are(void **state)
{
    spaces s = spaces_make(
        (spaces_options){.n = 60, .dim_from = 8, .dim_to = 8, .seed = 1});
    linkd_compat_fit_options options = {.head = LINKD_HEAD_SIMPLEX};
    linkd_compat_map *map = NULL;
    linkd_rows other = {s.to.data, 60, 6};
    float *mapped = malloc(sizeof(float) * 60 * 8);
    linkd_error err;

    (void)state;
    assert_non_null(mapped);
    assert_int_equal(linkd_compat_fit(&s.from, &s.to, &options,
                                      &(linkd_progress){0}, &map, &err),
                     LINKD_OK);
    assert_int_equal(linkd_compat_map_info(map).head, LINKD_HEAD_SIMPLEX);
    assert_int_equal(linkd_compat_map_apply(map, &s.from, mapped, &err),
                     LINKD_OK);
    for (size_t i = 0; i < (size_t)60 * 8; i++)
        assert_near(mapped[i], s.from.data[i], 1e-6F);
    linkd_compat_map_free(map);
    assert_int_equal(linkd_compat_fit(&s.from, &other, &options,
                                      &(linkd_progress){0}, &map, &err),
                     LINKD_E_ARG);
    assert_string_equal(
        err.message, "rows of 8 and of 6 dimensions are of no common simplex");
    free(mapped);
    spaces_clear(&s);
}

static void it_says_when_memory_is_out(void **state)
{
    spaces s = spaces_make(
        (spaces_options){.n = 60, .dim_from = 8, .dim_to = 59, .seed = 1});
    linkd_compat_fit_options options = {
        .labels = s.groups, .n_classes = 60, .n_epochs = 1};

    (void)state;
    for (size_t nth = 1;; nth++) {
        linkd_compat_map *map = NULL;
        int rc;

        alloc_fail_at(nth);
        rc = linkd_compat_fit_simplex(&s.from, &s.to, &options,
                                      &(linkd_progress){0}, &map, NULL);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            linkd_compat_map_free(map);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_null(map);
    }
    spaces_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_models_meet_without_pairs),
        cmocka_unit_test(old_rows_draw_new_ones_nearer),
        cmocka_unit_test(the_same_seed_gives_the_same_bytes),
        cmocka_unit_test(bad_labels_and_sizes_are_named),
        cmocka_unit_test(rows_of_two_heads_compare_as_they_are),
        cmocka_unit_test(it_says_when_memory_is_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
