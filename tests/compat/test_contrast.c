/* tests/compat/test_contrast.c — the supervised map. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compat/random.h"
#include "tests/compat/spaces.h"

enum {
    N = 1200,
    N_GALLERY = 200,
    DIM = 16,
};

/* Half of the new model's coordinates say nothing of the entity: a rotation has
 * to carry them along, a map that knows entities does not. */
static spaces spaces_with_distraction(void)
{
    spaces s = spaces_make((spaces_options){.n = N,
                                            .dim_from = DIM,
                                            .dim_to = DIM,
                                            .n_entities = 400,
                                            .noise = 0.1,
                                            .seed = 6});
    float *from = (float *)(uintptr_t)s.from.data;
    lk_random random = {9};

    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < DIM / 2; j++)
            from[i * DIM + j] += (float)(0.4 * lk_random_normal(&random));
    return s;
}

/* MRR@10 of the last rows as queries on the old vectors of the first ones,
 * which are of other records of the same entities. */
static double mrr(const spaces *s, linkd_compat_head head)
{
    linkd_compat_fit_options options = {
        .head = head, .seed = 1, .labels = s->groups, .n_epochs = 60};
    linkd_rows from = {s->from.data, N - N_GALLERY, DIM};
    linkd_rows to = {s->to.data, N - N_GALLERY, DIM};
    linkd_rows unseen = {s->from.data + (size_t)(N - N_GALLERY) * DIM,
                         N_GALLERY, DIM};
    linkd_compat_map *map = NULL;
    float *mapped = malloc((size_t)N_GALLERY * DIM * sizeof(*mapped));
    linkd_retrieval task = {{mapped, N_GALLERY, DIM},
                            {s->to.data, N - N_GALLERY, DIM},
                            s->groups + (N - N_GALLERY),
                            s->groups,
                            NULL};
    uint32_t ranks[N_GALLERY];
    lk_pool *pool = NULL;

    assert_non_null(mapped);
    assert_int_equal(linkd_compat_fit(&from, &to, &options,
                                      &(linkd_progress){0}, &map, NULL),
                     LINKD_OK);
    assert_int_equal(linkd_compat_map_apply(map, &unseen, mapped, NULL),
                     LINKD_OK);
    assert_int_equal(lk_pool_new(1, &pool, NULL), LINKD_OK);
    assert_int_equal(linkd_compat_ranks(&task, 10, pool, ranks, NULL),
                     LINKD_OK);
    lk_pool_free(pool);
    linkd_compat_map_free(map);
    free(mapped);
    return linkd_compat_metrics_of(ranks, N_GALLERY).mrr_10;
}

static void labels_teach_what_to_leave_out(void **state)
{
    spaces s = spaces_with_distraction();
    double rotated = mrr(&s, LINKD_HEAD_PROCRUSTES);
    double taught = mrr(&s, LINKD_HEAD_CONTRAST);

    (void)state;
    if (!(taught > rotated + 0.05))
        fail_msg("procrustes %.4f, contrast %.4f", rotated, taught);
    spaces_clear(&s);
}

static void refused(const spaces *s, const uint64_t *labels,
                    const char *message)
{
    linkd_compat_fit_options options = {.head = LINKD_HEAD_CONTRAST,
                                        .labels = labels};
    linkd_compat_map *map = NULL;
    linkd_error err;

    assert_int_equal(linkd_compat_fit(&s->from, &s->to, &options,
                                      &(linkd_progress){0}, &map, &err),
                     LINKD_E_ARG);
    assert_string_equal(err.message, message);
    assert_null(map);
}

static void it_needs_labels_of_more_than_one_entity(void **state)
{
    static const uint64_t same[60] = {0};
    spaces s = spaces_make(
        (spaces_options){.n = 60, .dim_from = 8, .dim_to = 8, .seed = 1});

    (void)state;
    refused(&s, NULL, "this head needs labels: which pairs are one entity");
    refused(&s, same,
            "all labels are the same, so that nothing tells entities apart");
    spaces_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_teach_what_to_leave_out),
        cmocka_unit_test(it_needs_labels_of_more_than_one_entity),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
