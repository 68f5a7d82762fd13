/* compat/mlp.c — least squares and what it leaves: a residual network with one
 * hidden layer, as in Drift-Adapter (EMNLP 2025).
 *
 *   y = x W + b + gelu(x W1 + b1) W2
 *
 * W and b start as the ridge head's, W2 at zero, so that training starts from
 * the linear map. Where we differ: that start, and 1 - cosine for the squared
 * error, since only directions are compared. */
#include <math.h>
#include <string.h>

#include "compat/losses.h"
#include "compat/random.h"
#include "compat/train.h"

/* Rate, decay and batch as in our numpy prototype (2026-11), which made 30
 * passes; on 4,000 made pairs the held-out cosine is the same after 10 and 40. */
static const lk_train_plan plan = {
    .n_batch = 256, .n_epochs = 20, .rate = 3e-4, .decay = 1e-2};

enum {
    N_HIDDEN = 256, /* Drift-Adapter's */
    N_HIDDEN_MAX = 65536,
};

static int cosine_loss(void *ctx, const lk_pairs *batch, const float *y,
                       double share, float *ret_gradient, linkd_error *err)
{
    lk_loss_rows rows = {.y = y, .n = batch->n, .dim = batch->dim_to};

    (void)ctx;
    (void)share;
    (void)err;
    (void)lk_loss_cosine(&rows, batch->to, ret_gradient);
    return LINKD_OK;
}

/* A copy of a linear map with a network that adds nothing yet. */
static int widen(const linkd_compat_map *linear, size_t n_hidden, uint64_t seed,
                 linkd_compat_map **ret_map, linkd_error *err)
{
    linkd_compat_info info = linear->info;
    double deviation = 1.0 / sqrt((double)info.dim_from);
    lk_random random = {seed};
    linkd_compat_map *map;
    int rc;

    info.head = LINKD_HEAD_MLP;
    rc = lk_map_new(&info, n_hidden, 0, &map, err);
    if (rc != LINKD_OK)
        return rc;
    map->n_unit = info.dim_to;
    memcpy(map->weights, linear->weights,
           info.dim_from * info.dim_to * sizeof(*map->weights));
    memcpy(map->bias, linear->bias, info.dim_to * sizeof(*map->bias));
    for (size_t i = 0; i < info.dim_from * n_hidden; i++)
        map->hidden_weights[i] = (float)(deviation * lk_random_normal(&random));
    *ret_map = map;
    return LINKD_OK;
}

int lk_fit_mlp(const lk_fit_input *input, linkd_compat_map **ret_map,
               linkd_error *err)
{
    size_t asked = input->options->n_hidden;
    linkd_compat_map *linear = NULL;
    linkd_compat_map *map = NULL;
    int rc;

    if (asked > N_HIDDEN_MAX)
        return lk_fail(err, LINKD_E_ARG,
                       "%zu hidden units are too many: %d at most", asked,
                       N_HIDDEN_MAX);
    rc = lk_fit_ridge(input, &linear, err);
    if (rc == LINKD_OK)
        rc = widen(linear, asked > 0 ? asked : N_HIDDEN, input->options->seed,
                   &map, err);
    if (rc == LINKD_OK)
        rc = lk_train(input, &plan, map, cosine_loss, NULL, err);
    linkd_compat_map_free(linear);
    if (rc == LINKD_OK)
        *ret_map = map;
    else
        linkd_compat_map_free(map);
    return rc;
}
