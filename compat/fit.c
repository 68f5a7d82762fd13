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
    [LINKD_HEAD_BT2_TRAINED] = "bt2-trained",
    [LINKD_HEAD_MLP] = "mlp",
    [LINKD_HEAD_CONTRAST] = "contrast",
    [LINKD_HEAD_SIMPLEX] = "simplex",
    [LINKD_HEAD_WHITENED] = "whitened",
};

static lk_head_fn *const heads[LINKD_N_HEADS] = {
    [LINKD_HEAD_PROCRUSTES] = lk_fit_procrustes,
    [LINKD_HEAD_RIDGE] = lk_fit_ridge,
    [LINKD_HEAD_BT2] = lk_fit_bt2,
    [LINKD_HEAD_BT2_TRAINED] = lk_fit_bt2_trained,
    [LINKD_HEAD_MLP] = lk_fit_mlp,
    [LINKD_HEAD_CONTRAST] = lk_fit_contrast,
    [LINKD_HEAD_SIMPLEX] = lk_fit_common,
    [LINKD_HEAD_WHITENED] = lk_fit_whitened,
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

static void fingerprint_copy(const unsigned char *from, unsigned char *to)
{
    if (from != NULL)
        memcpy(to, from, LINKD_FINGERPRINT_BYTES);
}

int lk_fit_measured(lk_head_fn *fit, lk_measure_fn *measure,
                    const linkd_compat_fit_options *options,
                    const linkd_progress *progress, const lk_pairs *all,
                    linkd_compat_map **ret_map, linkd_error *err)
{
    size_t n_held = all->n / HELD;
    lk_pairs held = lk_pairs_part(all, 0, n_held);
    lk_pairs rest = lk_pairs_part(all, n_held, all->n - n_held);
    lk_fit_input input = {&rest, &held, options, progress};
    linkd_compat_map *map = NULL;
    double cosine = 0.0;
    int rc = fit(&input, &map, err);

    if (rc == LINKD_OK)
        rc = measure(map, &held, &cosine, err);
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
    fingerprint_copy(options->from, map->info.from);
    fingerprint_copy(options->to, map->info.to);
    *ret_map = map;
    return LINKD_OK;
}

int linkd_compat_fit(const linkd_rows *from, const linkd_rows *to,
                     const linkd_compat_fit_options *options,
                     const linkd_progress *progress, linkd_compat_map **ret_map,
                     linkd_error *err)
{
    lk_pairs pairs = {0};
    int rc = lk_pairs_check(from, to, err);

    if (rc == LINKD_OK)
        rc = lk_pairs_make(from, to, options, &pairs, err);
    if (rc == LINKD_OK)
        rc = lk_fit_measured(heads[options->head], lk_map_cosine, options,
                             progress, &pairs, ret_map, err);
    lk_pairs_clear(&pairs);
    return rc;
}
