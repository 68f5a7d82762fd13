/* encoder/vision_forward.c — a prepared picture to its vector.
 *
 *   bytes ─► patches, a row each ─┐
 *              class token ───────┴► x ─► layers ─► norm ─► row 0, length 1
 *
 *   x       [rows, dim]      the residual stream; row 0 is the class token
 *   context [rows, dim]      normalised rows, then what attention answers
 *   wide    [rows, widest]   patches; query, key, value; the feed-forward inside
 *
 * Norms stand before attention and before the feed-forward layer, and what these
 * answer is added to x. The last layer is asked for the class token alone. */
#include <string.h>

#include "encoder/vision_model.h"

typedef struct pass {
    const lk_vision_model *model;
    size_t n_rows;
    float *x;
    float *context;
    float *wide;
    float *scratch; /* of the kernel that runs */
} pass;

static size_t rows_count(const lk_vision_model *model)
{
    return 1 + model->n_across * model->n_down;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t wide_stride(const lk_vision_model *m)
{
    return larger(lk_stride(m->patches.n_in),
                  larger(lk_stride(3 * m->dim), lk_stride(m->n_inner)));
}

size_t lk_vision_scratch(const lk_vision_model *model)
{
    const size_t n = rows_count(model);
    const size_t widest =
        larger(model->patches.n_in, larger(model->dim, model->n_inner));
    const size_t kernel =
        larger(lk_linear_scratch(model->kernels, widest, n),
               lk_attention_scratch(model->kernels, &model->heads, n));

    return n * (2 * lk_stride(model->dim) + wide_stride(model)) + kernel;
}

/* The bytes of patch (across, down) as floats: [3, side, side]. */
static void patch_read(const lk_vision_model *m, const linkd_image *image,
                       size_t across, size_t down, float *ret_row)
{
    const size_t side = m->patch_side;
    const uint8_t *corner =
        image->pixels + (down * side * image->width + across * side) * 3;
    float *out = ret_row;

    for (size_t c = 0; c < 3; c++)
        for (size_t y = 0; y < side; y++)
            for (size_t x = 0; x < side; x++)
                *out++ = (float)corner[(y * image->width + x) * 3 + c];
    memset(out, 0,
           (lk_stride(m->patches.n_in) - m->patches.n_in) * sizeof(*out));
}

static void rows_add(float *x, const float *addend, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] += addend[i];
}

static void embed(const pass *p, const linkd_image *image)
{
    const lk_vision_model *m = p->model;
    const size_t stride = lk_stride(m->dim);
    float *row = p->wide;

    for (size_t down = 0; down < m->n_down; down++)
        for (size_t across = 0; across < m->n_across; across++) {
            patch_read(m, image, across, down, row);
            row += lk_stride(m->patches.n_in);
        }
    memset(p->x, 0, stride * sizeof(*p->x));
    m->kernels->linear(&m->patches, p->wide, p->n_rows - 1, p->scratch,
                       p->x + stride);
    rows_add(p->x, m->positions, p->n_rows * stride);
}

/* context = norm(x) */
static void normalise(const pass *p, const lk_norm *norm)
{
    const size_t n = p->n_rows * lk_stride(p->model->dim);

    memset(p->context, 0, n * sizeof(*p->context));
    p->model->kernels->add_norm(norm, p->x, p->n_rows, p->context);
}

static void layer_run(pass *p, const lk_vision_layer *layer, bool is_last)
{
    const lk_vision_model *m = p->model;
    const size_t stride = lk_stride(m->dim);
    const size_t n_tokens = p->n_rows;

    normalise(p, &layer->attention_norm);
    m->kernels->linear(&layer->projection, p->context, n_tokens, p->scratch,
                       p->wide);
    if (is_last)
        p->n_rows = 1;
    m->kernels->attention(&m->heads, p->wide, n_tokens, p->n_rows, p->scratch,
                          p->context);
    m->kernels->linear(&layer->attention_out, p->context, p->n_rows, p->scratch,
                       p->wide);
    rows_add(p->x, p->wide, p->n_rows * stride);
    normalise(p, &layer->ffn_norm);
    m->kernels->linear_gelu(&layer->ffn_in, p->context, p->n_rows, p->scratch,
                            p->wide);
    m->kernels->linear(&layer->ffn_out, p->wide, p->n_rows, p->scratch,
                       p->context);
    rows_add(p->x, p->context, p->n_rows * stride);
}

void lk_vision_forward(const lk_vision_model *model, const linkd_image *image,
                       float *scratch, float *ret_vector)
{
    const size_t n = rows_count(model);
    const size_t narrow = n * lk_stride(model->dim);
    pass p = {.model = model,
              .n_rows = n,
              .x = scratch,
              .context = scratch + narrow,
              .wide = scratch + 2 * narrow,
              .scratch = scratch + 2 * narrow + n * wide_stride(model)};

    embed(&p, image);
    for (size_t i = 0; i < model->n_layers; i++)
        layer_run(&p, &model->layers[i], i + 1 == model->n_layers);
    normalise(&p, &model->final_norm);
    model->kernels->pool(p.context, 1, model->dim, p.wide);
    memcpy(ret_vector, p.wide, model->dim * sizeof(*ret_vector));
}
