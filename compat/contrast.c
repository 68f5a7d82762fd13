/* compat/contrast.c — a supervised map: each row nearer to its own old vector
 * than to those of other entities. Where a rotation copies the old space, this
 * one may leave out what does not tell entities apart. It starts as Procrustes.
 *
 * Part of what it gains comes from the labels and not from the new model: the
 * same training on old queries gains too, and figures should be compared with
 * that. */
#include <stdlib.h>

#include "compat/losses.h"
#include "compat/train.h"

#define TEMPERATURE 0.05

/* Rate and batch as in our numpy prototype (2026-11). */
static const lk_train_plan plan = {
    .n_batch = 256, .n_epochs = 20, .rate = 5e-4};

static int labels_check(const lk_pairs *pairs, linkd_error *err)
{
    if (pairs->labels == NULL)
        return lk_fail(err, LINKD_E_ARG,
                       "this head needs labels: which pairs are one entity");
    for (size_t i = 1; i < pairs->n; i++)
        if (pairs->labels[i] != pairs->labels[0])
            return LINKD_OK;
    return lk_fail(err, LINKD_E_ARG,
                   "all labels are the same, so that nothing tells entities "
                   "apart");
}

static int infonce(void *ctx, const lk_pairs *batch, const float *y,
                   double share, float *ret_gradient, linkd_error *err)
{
    lk_loss_rows rows = {y, batch->labels, batch->n, batch->dim_to};

    (void)share;
    (void)err;
    (void)lk_loss_infonce(&rows, batch->to, TEMPERATURE, ctx, ret_gradient);
    return LINKD_OK;
}

int lk_fit_contrast(const lk_fit_input *input, linkd_compat_map **ret_map,
                    linkd_error *err)
{
    size_t n = lk_train_batch(&plan, input->pairs);
    linkd_compat_map *map = NULL;
    float *scratch;
    int rc = labels_check(input->pairs, err);

    if (rc != LINKD_OK)
        return rc;
    scratch = lk_alloc_aligned(lk_loss_scratch(n, input->pairs->dim_to, n),
                               sizeof(*scratch));
    rc = scratch == NULL ? lk_fail_nomem(err)
                         : lk_fit_procrustes(input, &map, err);
    if (rc == LINKD_OK)
        rc = lk_train(input, &plan, map, infonce, scratch, err);
    free(scratch);
    if (rc == LINKD_OK) {
        map->info.head = LINKD_HEAD_CONTRAST;
        *ret_map = map;
    } else {
        linkd_compat_map_free(map);
    }
    return rc;
}
