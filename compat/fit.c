/* compat/fit.c — from paired rows to a map: checks, holds a tenth out, fits
 * once on the rest to measure, and once on everything to keep. */
#include <stdlib.h>
#include <string.h>

#include "compat/heads.h"

/* The share of pairs that is held out is 1 / HELD. */
enum {
    HELD = 10,
};

const char *const linkd_compat_head_words[LINKD_N_HEADS] = {
    [LINKD_HEAD_PROCRUSTES] = "procrustes",
    [LINKD_HEAD_RIDGE] = "ridge",
    [LINKD_HEAD_BT2] = "bt2",
    [LINKD_HEAD_MLP] = "mlp",
    [LINKD_HEAD_CONTRAST] = "contrast",
};

static lk_head_fn *const heads[LINKD_N_HEADS] = {
    [LINKD_HEAD_PROCRUSTES] = lk_fit_procrustes,
    [LINKD_HEAD_RIDGE] = lk_fit_ridge,
    [LINKD_HEAD_BT2] = lk_fit_bt2,
    [LINKD_HEAD_MLP] = lk_fit_mlp,
    [LINKD_HEAD_CONTRAST] = lk_fit_contrast,
};

int linkd_compat_head_parse(const char *word, linkd_compat_head *ret_head,
                            linkd_error *err)
{
    lk_buf known = {0};
    int rc = LINKD_OK;

    for (size_t i = 0; i < LINKD_N_HEADS; i++) {
        if (strcmp(word, linkd_compat_head_words[i]) == 0) {
            *ret_head = (linkd_compat_head)i;
            lk_buf_clear(&known);
            return LINKD_OK;
        }
        if (rc == LINKD_OK)
            rc = lk_buf_printf(&known, err, "%s%s", i == 0 ? "" : ", ",
                               linkd_compat_head_words[i]);
    }
    if (rc == LINKD_OK)
        rc = lk_fail(err, LINKD_E_ARG, "there is no head \"%s\", only %s", word,
                     known.data);
    lk_buf_clear(&known);
    return rc;
}

static int input_check(const linkd_rows *from, const linkd_rows *to,
                       linkd_error *err)
{
    if (from->n != to->n)
        return lk_fail(err, LINKD_E_ARG,
                       "row i of both sides is one record, but there are %zu "
                       "and %zu rows",
                       from->n, to->n);
    if (from->n < LINKD_COMPAT_PAIRS_MIN)
        return lk_fail(err, LINKD_E_ARG,
                       "%zu pairs are too few to fit a map on: %zu at least",
                       from->n, LINKD_COMPAT_PAIRS_MIN);
    if (from->n > LINKD_COMPAT_PAIRS_MAX)
        return lk_fail(err, LINKD_E_ARG,
                       "%zu pairs are too many: %zu at most, and nothing is "
                       "gained beyond a few thousand",
                       from->n, LINKD_COMPAT_PAIRS_MAX);
    if (from->dim == 0 || from->dim > LINKD_COMPAT_DIM_MAX || to->dim == 0 ||
        to->dim > LINKD_COMPAT_DIM_MAX)
        return lk_fail(err, LINKD_E_ARG,
                       "rows have 1 to %zu dimensions, these have %zu and %zu",
                       LINKD_COMPAT_DIM_MAX, from->dim, to->dim);
    return LINKD_OK;
}

/* Fits on all but the held-out pairs, to measure; then on all. */
static int fit_twice(const linkd_compat_fit_options *options,
                     const linkd_progress *progress, const lk_pairs *all,
                     linkd_compat_map **ret_map, linkd_error *err)
{
    lk_head_fn *fit = heads[options->head];
    size_t n_held = all->n / HELD;
    lk_pairs held = lk_pairs_part(all, 0, n_held);
    lk_pairs rest = lk_pairs_part(all, n_held, all->n - n_held);
    lk_fit_input input = {&rest, &held, options, progress};
    linkd_compat_map *map = NULL;
    double cosine = 0.0;
    int rc = fit(&input, &map, err);

    if (rc == LINKD_OK)
        rc = lk_map_cosine(map, &held, &cosine, err);
    linkd_compat_map_free(map);
    map = NULL;
    input.pairs = all;
    if (rc == LINKD_OK)
        rc = fit(&input, &map, err);
    if (rc != LINKD_OK)
        return rc;
    map->info.cosine = (float)cosine;
    map->info.n_pairs = all->n;
    map->info.seed = options->seed;
    *ret_map = map;
    return LINKD_OK;
}

static void fingerprint_copy(const unsigned char *from, unsigned char *to)
{
    if (from != NULL)
        memcpy(to, from, LINKD_FINGERPRINT_BYTES);
}

int linkd_compat_fit(const linkd_rows *from, const linkd_rows *to,
                     const linkd_compat_fit_options *options,
                     const linkd_progress *progress, linkd_compat_map **ret_map,
                     linkd_error *err)
{
    lk_pairs pairs = {0};
    int rc = input_check(from, to, err);

    if (rc == LINKD_OK)
        rc = lk_pairs_make(from, to, options->labels, options->seed, &pairs,
                           err);
    if (rc == LINKD_OK)
        rc = fit_twice(options, progress, &pairs, ret_map, err);
    if (rc == LINKD_OK) {
        fingerprint_copy(options->from, (*ret_map)->info.from);
        fingerprint_copy(options->to, (*ret_map)->info.to);
    }
    lk_pairs_clear(&pairs);
    return rc;
}
