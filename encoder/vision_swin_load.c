/* encoder/vision_swin_load.c — a Swin's weights, packed for the kernels.
 *
 * A stage is a stack (stack.h) and where its windows lie. A window's bias is
 * learnt by how far two places are from one another; it is laid out for every
 * pair once, here. */
#include <stdio.h>
#include <stdlib.h>

#include "encoder/vision_swin.h"

/* What transformers adds to a score to hide a key: it vanishes in the sum. */
#define HIDDEN (-100.0 * LK_LOG2_E)

/* 1,024 x 1,024 pixels in patches of 4. */
#define PATCHES_MAX ((size_t)1 << 16)

/* nn.LayerNorm's own; config.json has that of the layers. */
#define NORM_EPSILON 1e-5F

#define PATCHES "embeddings.patch_embeddings.projection"

typedef struct loader {
    lk_packer *pack;
    const lk_vision_config *config;
    const lk_preparation *preparation;
    lk_swin *swin;
} loader;

static lk_stack_sizes stage_sizes(const lk_vision_config *config, size_t i)
{
    lk_stack_sizes sizes = config->sizes;

    sizes.dim <<= i;
    sizes.n_inner = (size_t)((double)sizes.dim * config->swin.mlp_ratio);
    sizes.n_layers = config->swin.n_layers[i];
    sizes.n_heads = config->swin.n_heads[i];
    return sizes;
}

/* ---- windows ------------------------------------------------------------ */

/* The rows of all windows of a grid whose corner is (shift, shift); what lies
 * before the corner comes after the end. */
static uint32_t *places_new(const lk_swin_stage *stage, size_t window,
                            size_t shift)
{
    const size_t down = stage->n_windows_down * window;
    const size_t across = stage->n_windows_across * window;
    uint32_t *places = malloc(down * across * sizeof(*places));

    for (size_t i = 0; i < down * across && places != NULL; i++) {
        const size_t n = i / (window * window);
        const size_t in_window = i % (window * window);
        const size_t y = (n / stage->n_windows_across * window +
                          in_window / window + shift) %
                         down;
        const size_t x = (n % stage->n_windows_across * window +
                          in_window % window + shift) %
                         across;

        places[i] = y < stage->n_down && x < stage->n_across
                        ? (uint32_t)(y * stage->n_across + x)
                        : LK_SWIN_OUTSIDE;
    }
    return places;
}

/* In a window at the end of the grid, places before the shift's seam do not see
 * those after it. */
static size_t region(size_t place, size_t window, bool is_last)
{
    return is_last && place >= window - window / 2;
}

static void mask_fill(size_t window, bool is_last_down, bool is_last_across,
                      float *ret_mask)
{
    const size_t n = window * window;

    for (size_t i = 0; i < n * n; i++) {
        const size_t query = i / n;
        const size_t key = i % n;
        const bool sees = region(query / window, window, is_last_down) ==
                              region(key / window, window, is_last_down) &&
                          region(query % window, window, is_last_across) ==
                              region(key % window, window, is_last_across);

        ret_mask[i] = sees ? 0.0F : (float)HIDDEN;
    }
}

static int shifted_load(const loader *l, lk_swin_stage *stage, linkd_error *err)
{
    const size_t window = l->config->swin.window;
    const size_t n = window * window;
    float *masks = lk_pack_take(l->pack, 4 * n * n);

    for (size_t i = 0; i < 4 && !l->pack->is_packed; i++)
        mask_fill(window, i / 2 == 1, i % 2 == 1, masks + i * n * n);
    stage->masks = masks;
    stage->shifted_places = places_new(stage, window, window / 2);
    return stage->shifted_places != NULL ? LINKD_OK : lk_fail_nomem(err);
}

static int windows_load(const loader *l, lk_swin_stage *stage, size_t number,
                        linkd_error *err)
{
    const size_t window = l->config->swin.window;
    const size_t shorter =
        stage->n_down < stage->n_across ? stage->n_down : stage->n_across;

    if (shorter < window)
        return lk_fail(err, LINKD_E_DATA,
                       "stage %zu has a grid of %zu x %zu, which is smaller "
                       "than config.json's window_size %zu",
                       number + 1, stage->n_across, stage->n_down, window);
    stage->n_windows_down = (stage->n_down + window - 1) / window;
    stage->n_windows_across = (stage->n_across + window - 1) / window;
    stage->places = places_new(stage, window, 0);
    if (stage->places == NULL)
        return lk_fail_nomem(err);
    return shorter > window ? shifted_load(l, stage, err) : LINKD_OK;
}

/* ---- biases ------------------------------------------------------------- */

/* table [(2 w - 1)^2, n_heads], by how far the query is from the key, to
 * [n_heads][n, n]. */
static void biases_spread(const float *table, size_t window, size_t n_heads,
                          float *ret_biases)
{
    const size_t n = window * window;

    for (size_t i = 0; i < n * n; i++) {
        const size_t query = i / n;
        const size_t key = i % n;
        const size_t down = query / window + window - 1 - key / window;
        const size_t across = query % window + window - 1 - key % window;
        const float *row = table + (down * (2 * window - 1) + across) * n_heads;

        for (size_t head = 0; head < n_heads; head++)
            ret_biases[head * n * n + i] =
                (float)((double)row[head] * LK_LOG2_E);
    }
}

/* Those of one layer; `table` is scratch. */
static int layer_biases_load(const loader *l, const lk_swin_stage *stage,
                             size_t number, size_t layer, float *table,
                             float *biases, linkd_error *err)
{
    const size_t n_heads = stage->stack.sizes.n_heads;
    const size_t window = l->config->swin.window;
    const size_t n = (2 * window - 1) * (2 * window - 1) * n_heads;
    const lk_tensor *tensor = NULL;
    int rc = lk_pack_numbers(l->pack, n, &tensor, err,
                             "encoder.layers.%zu.blocks.%zu.attention.self."
                             "relative_position_bias_table",
                             number, layer);

    if (rc != LINKD_OK || l->pack->is_packed)
        return rc;
    rc = lk_pack_values(l->pack, tensor, 0, n, table, err);
    if (rc == LINKD_OK)
        biases_spread(table, window, n_heads, biases);
    return rc;
}

static int biases_load(const loader *l, lk_swin_stage *stage, size_t number,
                       linkd_error *err)
{
    const lk_stack_sizes *s = &stage->stack.sizes;
    const size_t window = l->config->swin.window;
    const size_t one = s->n_heads * window * window * window * window;
    float *table = malloc(s->n_heads * 4 * window * window * sizeof(*table));
    float *biases = lk_pack_take(l->pack, s->n_layers * one);
    int rc = table != NULL ? LINKD_OK : lk_fail_nomem(err);

    stage->biases = biases;
    for (size_t i = 0; i < s->n_layers && rc == LINKD_OK; i++)
        rc = layer_biases_load(l, stage, number, i, table,
                               l->pack->is_packed ? NULL : biases + i * one,
                               err);
    free(table);
    return rc;
}

/* ---- stages ------------------------------------------------------------- */

/* Four rows of dim numbers to one of 2 * dim. */
static int merge_load(const loader *l, lk_swin_stage *stage, size_t number,
                      linkd_error *err)
{
    const size_t dim = stage->stack.sizes.dim;
    lk_matrix m = {.n_parts = 1, .n_rows_each = 2 * dim, .n_columns = 4 * dim};
    char norm[64];
    float *bias;
    int rc;

    (void)snprintf(norm, sizeof(norm), "encoder.layers.%zu.downsample.norm",
                   number);
    rc = lk_pack_norm(l->pack, norm, 4 * dim, NORM_EPSILON, &stage->merge_norm,
                      err);
    if (rc == LINKD_OK)
        rc = lk_pack_numbers(l->pack, 8 * dim * dim, &m.parts[0], err,
                             "encoder.layers.%zu.downsample.reduction.weight",
                             number);
    if (rc == LINKD_OK)
        rc = lk_pack_matrix(l->pack, &m, &stage->merge, &bias, err);
    return rc;
}

static int stage_load(const loader *l, size_t i, linkd_error *err)
{
    lk_swin_stage *stage = &l->swin->stages[i];
    const bool is_last = i + 1 == l->config->swin.n_stages;
    const lk_stack_sizes sizes = stage_sizes(l->config, i);
    char layers[48];
    const lk_stack_names names = {.layers = layers,
                                  .query_key_value = {"attention.self.query",
                                                      "attention.self.key",
                                                      "attention.self.value"},
                                  .attention_norm = "layernorm_before",
                                  .attention_out = "attention.output.dense",
                                  .ffn_norm = "layernorm_after",
                                  .ffn_in = "intermediate.dense",
                                  .ffn_out = "output.dense",
                                  .final_norm = is_last ? "layernorm" : NULL};
    int rc = windows_load(l, stage, i, err);

    (void)snprintf(layers, sizeof(layers), "encoder.layers.%zu.blocks", i);
    if (rc == LINKD_OK)
        rc = lk_stack_load(l->pack, &sizes, &names, &stage->stack, err);
    if (rc == LINKD_OK)
        rc = biases_load(l, stage, i, err);
    if (rc == LINKD_OK && !is_last)
        rc = merge_load(l, stage, i, err);
    return rc;
}

static int parts_load(const loader *l, linkd_error *err)
{
    const lk_vision_config *c = l->config;
    int rc =
        lk_pixels_load(l->pack, l->preparation, PATCHES, true, c->patch_side,
                       c->sizes.dim, &l->swin->patches, err);

    if (rc == LINKD_OK)
        rc = lk_pack_norm(l->pack, "embeddings.norm", c->sizes.dim,
                          NORM_EPSILON, &l->swin->patch_norm, err);
    for (size_t i = 0; i < c->swin.n_stages && rc == LINKD_OK; i++)
        rc = stage_load(l, i, err);
    return rc;
}

/* Pictures and grids are padded where they do not divide. */
static int grids_set(lk_swin *swin, const lk_vision_config *config,
                     const lk_preparation *preparation, linkd_error *err)
{
    const size_t side = config->patch_side;
    size_t down = (preparation->out_height + side - 1) / side;
    size_t across = (preparation->out_width + side - 1) / side;

    if (down * across > PATCHES_MAX)
        return lk_fail(err, LINKD_E_DATA,
                       "pictures of %zu patches are over the limit of %zu",
                       down * across, PATCHES_MAX);
    swin->n_stages = config->swin.n_stages;
    for (size_t i = 0; i < swin->n_stages; i++) {
        swin->stages[i].n_down = down;
        swin->stages[i].n_across = across;
        down = (down + 1) / 2;
        across = (across + 1) / 2;
    }
    return LINKD_OK;
}

int lk_swin_load(lk_packer *packer, const lk_vision_config *config,
                 const lk_preparation *preparation, lk_swin *ret_swin,
                 linkd_error *err)
{
    const loader l = {.pack = packer,
                      .config = config,
                      .preparation = preparation,
                      .swin = ret_swin};
    int rc;

    *ret_swin =
        (lk_swin){.window_rows = config->swin.window * config->swin.window};
    packer->prefix = "";
    if (!lk_pack_has(packer, PATCHES ".weight"))
        packer->prefix = "swin.";
    rc = grids_set(ret_swin, config, preparation, err);
    if (rc == LINKD_OK)
        rc = parts_load(&l, err);
    return rc;
}

void lk_swin_clear(lk_swin *swin)
{
    for (size_t i = 0; i < swin->n_stages; i++) {
        lk_stack_clear(&swin->stages[i].stack);
        free(swin->stages[i].places);
        free(swin->stages[i].shifted_places);
    }
    *swin = (lk_swin){0};
}
