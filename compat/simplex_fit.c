/* compat/simplex_fit.c — a d-Simplex head (Biondi et al., CVPR 2024): every
 * entity has a vertex of a simplex that is never trained, and each model learns
 * to put the entity's rows there. Two models that learn it alone end in one
 * space, so that no pairs are needed, and no map leads from map to map.
 *
 *   y = x W + b, trained by cross-entropy of SCALE <y / |y|, w_k>
 *
 * and where the old generation's rows are given also by HOC-NCE, in the
 * authors' proportion. Where we differ: the model is not trained, only W and b;
 * the authors classify y itself, not its direction, and have no b. */
#include <math.h>
#include <stdlib.h>

#include "compat/losses.h"
#include "compat/random.h"
#include "compat/simplex.h"
#include "compat/train.h"

/* Batch and decay as in our numpy prototype (2026-11). It starts at random, so
 * that few rows need more passes. */
static const lk_train_plan plan = {.n_batch = 256,
                                   .n_epochs = 20,
                                   .n_steps_min = 300,
                                   .rate = 1e-2,
                                   .decay = 1e-4};

enum {
    N_CLASSES = 1024, /* the authors' */
};

#define SCALE     16.0 /* the prototype's */
#define HOC_SCALE 10.0 /* the authors' mu */
#define CE_SHARE  0.1F /* the authors' lambda, the rest is HOC's */

typedef struct simplex_loss {
    size_t dim;
    float *scratch;
    float *hoc_gradient; /* [n_batch, dim] */
} simplex_loss;

static int batch_loss(void *ctx, const lk_pairs *batch, const float *y,
                      double share, float *ret_gradient, linkd_error *err)
{
    simplex_loss *s = ctx;
    lk_loss_rows rows = {y, batch->labels, batch->n, s->dim};

    (void)share;
    (void)err;
    (void)lk_loss_simplex(&rows, SCALE, s->scratch, ret_gradient);
    if (batch->to == NULL)
        return LINKD_OK;
    (void)lk_loss_hoc(&rows, batch->to, HOC_SCALE, s->scratch, s->hoc_gradient);
    for (size_t i = 0; i < batch->n * s->dim; i++)
        ret_gradient[i] =
            CE_SHARE * ret_gradient[i] + (1.0F - CE_SHARE) * s->hoc_gradient[i];
    return LINKD_OK;
}

static size_t n_classes_of(const linkd_compat_fit_options *options)
{
    return options->n_classes > 0 ? options->n_classes : N_CLASSES;
}

/* A map of small random weights, without a bias. */
static int start(const lk_fit_input *input, size_t dim,
                 linkd_compat_map **ret_map, linkd_error *err)
{
    linkd_compat_info info = {.head = LINKD_HEAD_SIMPLEX,
                              .dim_from = input->pairs->dim_from,
                              .dim_to = dim,
                              .dim_compat = dim};
    double deviation = 1.0 / sqrt((double)info.dim_from);
    lk_random random = {input->options->seed};
    int rc = lk_map_new(&info, 0, 0, ret_map, err);

    if (rc != LINKD_OK)
        return rc;
    (*ret_map)->n_unit = dim;
    for (size_t i = 0; i < info.dim_from * dim; i++)
        (*ret_map)->weights[i] = (float)(deviation * lk_random_normal(&random));
    return LINKD_OK;
}

static int simplex_train(const lk_fit_input *input, linkd_compat_map **ret_map,
                         linkd_error *err)
{
    size_t dim = n_classes_of(input->options) - 1;
    size_t n = lk_train_batch(&plan, input->pairs);
    size_t n_scores = n > dim + 1 ? n : dim + 1;
    simplex_loss loss = {
        .dim = dim,
        .scratch =
            lk_alloc_aligned(lk_loss_scratch(n, dim, n_scores), sizeof(float)),
        .hoc_gradient = lk_alloc_aligned(n, dim * sizeof(float))};
    linkd_compat_map *map = NULL;
    int rc = loss.scratch == NULL || loss.hoc_gradient == NULL
                 ? lk_fail_nomem(err)
                 : start(input, dim, &map, err);

    if (rc == LINKD_OK)
        rc = lk_train(input, &plan, map, batch_loss, &loss, err);
    free(loss.hoc_gradient);
    free(loss.scratch);
    if (rc == LINKD_OK)
        *ret_map = map;
    else
        linkd_compat_map_free(map);
    return rc;
}

/* The mean cosine of rows and their entities' vertices. */
static int vertex_cosine(const linkd_compat_map *map, const lk_pairs *held,
                         double *ret_cosine, linkd_error *err)
{
    size_t dim = map->info.dim_to;
    float *mapped = lk_alloc_aligned(held->n + 2, dim * sizeof(*mapped));
    float *vertex = mapped + held->n * dim;
    double sum = 0.0;
    int rc = mapped == NULL
                 ? lk_fail_nomem(err)
                 : lk_map_apply(map, held->from, held->n, mapped, err);

    for (size_t i = 0; rc == LINKD_OK && i < held->n; i++) {
        lk_simplex_vertex(dim + 1, (size_t)held->labels[i], vertex);
        for (size_t j = 0; j < dim; j++)
            sum += (double)mapped[i * dim + j] * (double)vertex[j];
    }
    free(mapped);
    if (rc == LINKD_OK)
        *ret_cosine = sum / (double)held->n;
    return rc;
}

static int classes_check(const linkd_compat_fit_options *options, size_t n,
                         size_t n_classes, linkd_error *err)
{
    const uint64_t *labels = options->labels;
    bool differ = false;

    if (n_classes < 2 || n_classes > LINKD_COMPAT_DIM_MAX)
        return lk_fail(err, LINKD_E_ARG,
                       "a simplex has 2 to %zu classes, not %zu",
                       LINKD_COMPAT_DIM_MAX, n_classes);
    if (labels == NULL)
        return lk_fail(err, LINKD_E_ARG,
                       "this head needs labels: which rows are one entity");
    for (size_t i = 0; i < n; i++) {
        if (labels[i] >= n_classes)
            return lk_fail(err, LINKD_E_ARG,
                           "row %zu of %s is of an entity beyond the %zu that "
                           "the head has room for",
                           i + 1, lk_from_name(options), n_classes);
        differ = differ || labels[i] != labels[0];
    }
    return differ ? LINKD_OK
                  : lk_fail(err, LINKD_E_ARG,
                            "all labels are the same, so that nothing tells "
                            "entities apart");
}

int linkd_compat_fit_simplex(const linkd_rows *rows, const linkd_rows *old,
                             const linkd_compat_fit_options *options,
                             const linkd_progress *progress,
                             linkd_compat_map **ret_map, linkd_error *err)
{
    size_t n_classes = n_classes_of(options);
    lk_pairs pairs = {0};
    int rc = lk_pairs_check(rows, old == NULL ? rows : old, err);

    if (rc == LINKD_OK)
        rc = classes_check(options, rows->n, n_classes, err);
    if (rc == LINKD_OK && old != NULL && old->dim != n_classes - 1)
        rc = lk_fail(err, LINKD_E_ARG,
                     "old rows of %zu dimensions are not those of a simplex "
                     "head of %zu classes",
                     old->dim, n_classes);
    if (rc == LINKD_OK)
        rc = lk_pairs_make(rows, old, options, &pairs, err);
    if (rc == LINKD_OK)
        rc = lk_fit_measured(simplex_train, vertex_cosine, options, progress,
                             &pairs, ret_map, err);
    lk_pairs_clear(&pairs);
    return rc;
}

/* Rows that two heads made lie in one space already. A matrix it is all the
 * same, so that whoever applies maps has one kind of them. */
int lk_fit_common(const lk_fit_input *input, linkd_compat_map **ret_map,
                  linkd_error *err)
{
    size_t dim = input->pairs->dim_from;
    linkd_compat_info info = {.head = LINKD_HEAD_SIMPLEX,
                              .dim_from = dim,
                              .dim_to = dim,
                              .dim_compat = dim};
    int rc;

    if (input->pairs->dim_to != dim)
        return lk_fail(err, LINKD_E_ARG,
                       "rows of %zu and of %zu dimensions are of no common "
                       "simplex",
                       dim, input->pairs->dim_to);
    rc = lk_map_new(&info, 0, 0, ret_map, err);
    if (rc != LINKD_OK)
        return rc;
    (*ret_map)->n_unit = dim;
    for (size_t i = 0; i < dim; i++)
        (*ret_map)->weights[i * dim + i] = 1.0F;
    return LINKD_OK;
}
