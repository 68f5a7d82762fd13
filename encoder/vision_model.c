/* encoder/vision_model.c — a ViT, DINOv2 or CLIP's tower for pictures, packed for
 * the kernels.
 *
 * DINOv2 interpolates its positions to the picture's size (bicubic with a =
 * -0.75 and half-pixel centres, as PyTorch does); the others take their own size
 * only. */
#include "encoder/vision_model.h"

#include <math.h>
#include <stdlib.h>

#define CUBIC_A (-0.75)

/* Attention takes the square of them; 224 x 224 pixels have 256. */
#define PATCHES_MAX ((size_t)4096)

/* How checkpoints name what they hold. */
typedef struct names {
    const char *prefix; /* where the checkpoint has a head; CLIP's always */
    const char *patches;
    const char *class_token;
    const char *positions;
    const char *embedding_norm; /* NULL: there is none */
    lk_stack_names stack;
} names;

#define PATCHES   "embeddings.patch_embeddings.projection"
#define CLASS     "embeddings.cls_token"
#define POSITIONS "embeddings.position_embeddings"
#define ATTENTION "attention.attention."

static const names all_names[] = {
    [LK_VISION_VIT] = {"vit.",
                       PATCHES,
                       CLASS,
                       POSITIONS,
                       NULL,
                       {.layers = "encoder.layer",
                        .query_key_value = {ATTENTION "query", ATTENTION "key",
                                            ATTENTION "value"},
                        .attention_norm = "layernorm_before",
                        .attention_out = "attention.output.dense",
                        .ffn_norm = "layernorm_after",
                        .ffn_in = "intermediate.dense",
                        .ffn_out = "output.dense",
                        .final_norm = "layernorm"}},
    [LK_VISION_DINOV2] = {"dinov2.",
                          PATCHES,
                          CLASS,
                          POSITIONS,
                          NULL,
                          {.layers = "encoder.layer",
                           .query_key_value = {ATTENTION "query",
                                               ATTENTION "key",
                                               ATTENTION "value"},
                           .attention_norm = "norm1",
                           .attention_out = "attention.output.dense",
                           .attention_scale = "layer_scale1.lambda1",
                           .ffn_norm = "norm2",
                           .ffn_in = "mlp.fc1",
                           .ffn_out = "mlp.fc2",
                           .ffn_scale = "layer_scale2.lambda1",
                           .final_norm = "layernorm"}},
    /* "pre_layrnorm" is what the files say */
    [LK_VISION_CLIP] = {"vision_model.", "embeddings.patch_embedding",
                        "embeddings.class_embedding",
                        "embeddings.position_embedding.weight", "pre_layrnorm",
                        LK_CLIP_STACK_NAMES("post_layernorm",
                                            "visual_projection.weight")},
};

typedef struct loader {
    lk_packer *pack;
    const lk_vision_config *config;
    const lk_preparation *preparation;
    const names *names;
    lk_vision_model *model;
} loader;

/* ---- embeddings --------------------------------------------------------- */

/* Weights of the four points around a place `t` after the second. */
static void cubic_weights(double t, double *ret_weights)
{
    for (int i = 0; i < 4; i++) {
        const double x = fabs(t - (double)(i - 1));

        ret_weights[i] =
            x <= 1.0 ? ((CUBIC_A + 2.0) * x - (CUBIC_A + 3.0)) * x * x + 1.0
                     : ((CUBIC_A * x - 5.0 * CUBIC_A) * x + 8.0 * CUBIC_A) * x -
                           4.0 * CUBIC_A;
    }
}

/* One direction of an interpolation from n to n_out points: where point i is
 * made of. Points beyond the border are the border's. */
typedef struct cubic {
    size_t from[4];
    double weights[4];
} cubic;

static cubic cubic_at(size_t i, size_t n, size_t n_out)
{
    const double place = ((double)i + 0.5) * (double)n / (double)n_out - 0.5;
    const double before = floor(place);
    cubic result;

    cubic_weights(place - before, result.weights);
    for (int k = 0; k < 4; k++) {
        const double at = before + (double)(k - 1);

        result.from[k] = at <= 0.0               ? 0
                         : at >= (double)(n - 1) ? n - 1
                                                 : (size_t)at;
    }
    return result;
}

/* table [1 + n * n, dim] of the checkpoint to the model's positions. */
static void positions_interpolate(const loader *l, const float *table, size_t n,
                                  float *ret_rows)
{
    const lk_vision_model *m = l->model;
    const size_t dim = l->config->sizes.dim;
    float *row = ret_rows + lk_stride(dim);

    for (size_t y = 0; y < m->n_down; y++)
        for (size_t x = 0; x < m->n_across; x++, row += lk_stride(dim)) {
            const cubic down = cubic_at(y, n, m->n_down);
            const cubic across = cubic_at(x, n, m->n_across);

            for (size_t d = 0; d < dim; d++) {
                double sum = 0.0;

                for (size_t i = 0; i < 16; i++)
                    sum += down.weights[i / 4] * across.weights[i % 4] *
                           (double)table[(1 + down.from[i / 4] * n +
                                          across.from[i % 4]) *
                                             dim +
                                         d];
                row[d] = (float)sum;
            }
        }
}

/* Reads the checkpoint's positions, [n_own, dim], and the class token after them
 * into `table`, and makes the model's of them. */
static int positions_fill(const loader *l, const lk_tensor *positions,
                          const lk_tensor *class_token, float *table,
                          float *rows, linkd_error *err)
{
    const size_t dim = l->config->sizes.dim;
    const size_t side = l->config->image_side / l->config->patch_side;
    float *token = table + (1 + side * side) * dim;
    int rc = lk_pack_values(l->pack, positions, 0, (1 + side * side) * dim,
                            table, err);

    if (rc == LINKD_OK)
        rc = lk_pack_values(l->pack, class_token, 0, dim, token, err);
    if (rc != LINKD_OK)
        return rc;
    for (size_t d = 0; d < dim; d++)
        rows[d] = table[d] + token[d];
    positions_interpolate(l, table, side, rows);
    return LINKD_OK;
}

static int positions_load(const loader *l, linkd_error *err)
{
    lk_vision_model *m = l->model;
    const size_t dim = l->config->sizes.dim;
    const size_t side = l->config->image_side / l->config->patch_side;
    const size_t n_own = 1 + side * side;
    const size_t n = 1 + m->n_down * m->n_across;
    float *rows = lk_pack_take(l->pack, n * lk_stride(dim));
    const lk_tensor *positions = NULL, *class_token = NULL;
    float *table = NULL;
    int rc = lk_pack_numbers(l->pack, n_own * dim, &positions, err, "%s",
                             l->names->positions);

    if (rc == LINKD_OK)
        rc = lk_pack_numbers(l->pack, dim, &class_token, err, "%s",
                             l->names->class_token);
    m->positions = rows;
    if (rc != LINKD_OK || l->pack->is_packed)
        return rc;
    table = lk_alloc_aligned(n_own + 1, dim * sizeof(*table));
    rc = table != NULL
             ? positions_fill(l, positions, class_token, table, rows, err)
             : lk_fail_nomem(err);
    free(table);
    return rc;
}

static int embeddings_load(const loader *l, linkd_error *err)
{
    const lk_vision_config *c = l->config;
    int rc = lk_pixels_load(l->pack, l->preparation, l->names->patches,
                            c->kind != LK_VISION_CLIP, c->patch_side,
                            c->sizes.dim, &l->model->patches, err);

    if (rc == LINKD_OK)
        rc = positions_load(l, err);
    if (rc == LINKD_OK && l->names->embedding_norm != NULL)
        rc =
            lk_pack_norm(l->pack, l->names->embedding_norm, c->sizes.dim,
                         c->sizes.norm_epsilon, &l->model->embedding_norm, err);
    return rc;
}

/* ---- the model ---------------------------------------------------------- */

static int size_check(const lk_vision_config *c, const lk_preparation *p,
                      linkd_error *err)
{
    const size_t n_patches =
        (p->out_width / c->patch_side) * (p->out_height / c->patch_side);
    const bool is_own =
        p->out_width == c->image_side && p->out_height == c->image_side;

    if (p->out_width < c->patch_side || p->out_height < c->patch_side ||
        (c->kind != LK_VISION_DINOV2 && !is_own))
        return lk_fail(err, LINKD_E_DATA,
                       "preprocessor_config.json makes pictures of %zu x %zu "
                       "pixels, but config.json has image_size %zu",
                       p->out_width, p->out_height, c->image_side);
    if (n_patches > PATCHES_MAX)
        return lk_fail(err, LINKD_E_DATA,
                       "pictures of %zu patches are over the limit of %zu",
                       n_patches, PATCHES_MAX);
    return LINKD_OK;
}

int lk_vision_model_load(lk_packer *packer, const lk_vision_config *config,
                         const lk_preparation *preparation,
                         lk_vision_model *ret_model, linkd_error *err)
{
    const loader l = {.pack = packer,
                      .config = config,
                      .preparation = preparation,
                      .names = &all_names[config->kind],
                      .model = ret_model};
    int rc = size_check(config, preparation, err);

    *ret_model = (lk_vision_model){
        .n_across = preparation->out_width / config->patch_side,
        .n_down = preparation->out_height / config->patch_side};
    packer->prefix = "";
    if (!lk_pack_has(packer, "%s", l.names->class_token))
        packer->prefix = l.names->prefix;
    if (rc == LINKD_OK)
        rc = embeddings_load(&l, err);
    if (rc == LINKD_OK)
        rc = lk_stack_load(packer, &config->sizes, &l.names->stack,
                           &ret_model->stack, err);
    return rc;
}

void lk_vision_model_clear(lk_vision_model *model)
{
    lk_stack_clear(&model->stack);
    *model = (lk_vision_model){0};
}
