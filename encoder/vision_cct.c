/* encoder/vision_cct.c — a prepared picture to its vector by a CCT.
 *
 *   bytes ─► [ convolution ─► ReLU, maximum over surroundings ] … ─► x + positions
 *     ─► layers ─► norm ─► mean, weighted by the softmax of products with one
 *     vector: attention with that vector as the only query
 *
 * A convolution is a linear layer over what lies under its kernel, a row for
 * every place, LK_BLOCK_ROWS of them at a time. Maximum and ReLU are one: the
 * maximum with 0. */
#include "encoder/vision_cct.h"

#include <string.h>

typedef struct pass {
    const lk_cct *cct;
    lk_stack_space space;
    float *map;       /* what a convolution reads */
    float *convolved; /* what it makes, before the maximum */
    float *kernels;   /* what lies under it, a row for each place */
    float *scratch;
} pass;

static size_t rows_count(const lk_cct *cct)
{
    const size_t side =
        cct->convolutions[cct->sizes.n_convolutions - 1].side_pooled;

    return side * side;
}

/* ---- memory ------------------------------------------------------------- */

/* Of the last attention: one query, and rows as wide as they are. */
static lk_heads mean_heads(const lk_cct *cct)
{
    return (lk_heads){.n_heads = 1, .head_dim = cct->stack.sizes.dim};
}

static size_t map_floats(const lk_cct *cct)
{
    size_t most = 0;

    for (size_t i = 1; i < cct->sizes.n_convolutions; i++) {
        const lk_cct_convolution *c = &cct->convolutions[i];

        most = lk_larger(most, c->side * c->side * lk_stride(c->n_planes));
    }
    return most;
}

static size_t convolved_floats(const lk_cct *cct)
{
    size_t most = 0;

    for (size_t i = 0; i < cct->sizes.n_convolutions; i++) {
        const lk_cct_convolution *c = &cct->convolutions[i];

        most = lk_larger(most, c->side_out * c->side_out *
                                   lk_stride(c->linear.n_out));
    }
    return most;
}

/* The widest row under a kernel. */
static size_t kernel_width(const lk_cct *cct)
{
    size_t most = 0;

    for (size_t i = 0; i < cct->sizes.n_convolutions; i++)
        most = lk_larger(most, cct->convolutions[i].linear.n_in);
    return most;
}

static size_t scratch_floats(const lk_cct *cct)
{
    const lk_kernels *kernels = cct->stack.kernels;
    const lk_heads heads = mean_heads(cct);

    return lk_larger(
        lk_linear_scratch(kernels, kernel_width(cct), LK_BLOCK_ROWS),
        lk_attention_scratch(kernels, &heads, rows_count(cct)));
}

static size_t stack_floats(const lk_cct *cct)
{
    const size_t n = rows_count(cct);

    return lk_round_up(lk_stack_floats(&cct->stack, n, n, 0), LK_STRIDE_UNIT);
}

size_t lk_cct_scratch(const lk_cct *cct)
{
    return stack_floats(cct) + map_floats(cct) + convolved_floats(cct) +
           LK_BLOCK_ROWS * lk_stride(kernel_width(cct)) + scratch_floats(cct);
}

static pass pass_begin(const lk_cct *cct, float *floats)
{
    pass p = {.cct = cct,
              .space = lk_stack_cut(&cct->stack, floats, rows_count(cct), 0)};

    p.map = floats + stack_floats(cct);
    p.convolved = p.map + map_floats(cct);
    p.kernels = p.convolved + convolved_floats(cct);
    p.scratch = p.kernels + LK_BLOCK_ROWS * lk_stride(kernel_width(cct));
    return p;
}

/* ---- convolutions ------------------------------------------------------- */

/* What lies under the kernel whose corner is at (x, y) of the map, to a row of
 * [kernel, kernel, planes]; beyond the map is 0. */
static void map_read(const pass *p, const lk_cct_convolution *c, ptrdiff_t x,
                     ptrdiff_t y, float *ret_row)
{
    const ptrdiff_t kernel = (ptrdiff_t)p->cct->sizes.kernel;
    const ptrdiff_t side = (ptrdiff_t)c->side;
    const size_t stride = lk_stride(c->n_planes);
    float *out = ret_row;

    for (ptrdiff_t j = y; j < y + kernel; j++)
        for (ptrdiff_t i = x; i < x + kernel; i++, out += c->n_planes)
            if (j >= 0 && j < side && i >= 0 && i < side)
                memcpy(out, p->map + (size_t)(j * side + i) * stride,
                       c->n_planes * sizeof(*out));
            else
                memset(out, 0, c->n_planes * sizeof(*out));
    memset(out, 0, (lk_stride(c->linear.n_in) - c->linear.n_in) * sizeof(*out));
}

/* The first convolution reads the picture, the others the map. */
static void convolve(const pass *p, const lk_cct_convolution *c,
                     const linkd_image *image)
{
    const lk_cct_sizes *s = &p->cct->sizes;
    const size_t n = c->side_out * c->side_out;

    for (size_t first = 0; first < n; first += LK_BLOCK_ROWS) {
        const size_t left = n - first;
        const size_t n_rows = left < LK_BLOCK_ROWS ? left : LK_BLOCK_ROWS;
        float *row = p->kernels;

        for (size_t i = first; i < first + n_rows; i++) {
            const ptrdiff_t x = (ptrdiff_t)(i % c->side_out * s->stride) -
                                (ptrdiff_t)s->padding;
            const ptrdiff_t y = (ptrdiff_t)(i / c->side_out * s->stride) -
                                (ptrdiff_t)s->padding;

            if (image != NULL)
                lk_pixels_read(&p->cct->pixels, image, x, y, row);
            else
                map_read(p, c, x, y, row);
            row += lk_stride(c->linear.n_in);
        }
        p->cct->stack.kernels->linear(
            &c->linear, p->kernels, n_rows, p->scratch,
            p->convolved + first * lk_stride(c->linear.n_out));
    }
}

/* The largest of 0 and what surrounds (x, y). */
static void surroundings_pool(const pass *p, const lk_cct_convolution *c,
                              size_t x, size_t y, float *ret_row)
{
    const lk_cct_sizes *s = &p->cct->sizes;
    const size_t stride = lk_stride(c->linear.n_out);

    memset(ret_row, 0, stride * sizeof(*ret_row));
    for (size_t i = 0; i < s->pool_kernel * s->pool_kernel; i++) {
        /* from 1, so that what lies before the map is 0 or below */
        const size_t down = y * s->pool_stride + i / s->pool_kernel + 1;
        const size_t across = x * s->pool_stride + i % s->pool_kernel + 1;
        const float *row;

        if (down <= s->pool_padding || across <= s->pool_padding ||
            down - s->pool_padding > c->side_out ||
            across - s->pool_padding > c->side_out)
            continue;
        row = p->convolved + ((down - s->pool_padding - 1) * c->side_out +
                              across - s->pool_padding - 1) *
                                 stride;
        for (size_t k = 0; k < c->linear.n_out; k++)
            ret_row[k] = row[k] > ret_row[k] ? row[k] : ret_row[k];
    }
}

static void pool(const pass *p, const lk_cct_convolution *c, float *ret_map)
{
    const size_t stride = lk_stride(c->linear.n_out);

    for (size_t i = 0; i < c->side_pooled * c->side_pooled; i++)
        surroundings_pool(p, c, i % c->side_pooled, i / c->side_pooled,
                          ret_map + i * stride);
}

static void embed(const pass *p, const linkd_image *image)
{
    const lk_cct *cct = p->cct;
    const size_t n_floats = rows_count(cct) * lk_stride(cct->stack.sizes.dim);

    for (size_t i = 0; i < cct->sizes.n_convolutions; i++) {
        const lk_cct_convolution *c = &cct->convolutions[i];
        const bool is_last = i + 1 == cct->sizes.n_convolutions;

        convolve(p, c, i == 0 ? image : NULL);
        pool(p, c, is_last ? p->space.x : p->map);
    }
    for (size_t i = 0; i < n_floats && cct->positions != NULL; i++)
        p->space.x[i] += cct->positions[i];
}

/* ---- all of it ---------------------------------------------------------- */

/* Rows of `context` are keys and values in one. */
static void vector_write(const pass *p, float *ret_vector)
{
    const lk_heads heads = mean_heads(p->cct);
    const lk_kernels *kernels = p->cct->stack.kernels;
    const size_t n = rows_count(p->cct);
    const size_t dim = heads.head_dim;
    float *qkv = p->space.wide;

    memcpy(qkv, p->cct->attention, dim * sizeof(*qkv));
    for (size_t i = 0; i < n; i++) {
        const float *row = p->space.context + i * lk_stride(dim);

        memcpy(qkv + i * lk_stride(3 * dim) + dim, row, dim * sizeof(*row));
        memcpy(qkv + i * lk_stride(3 * dim) + 2 * dim, row, dim * sizeof(*row));
    }
    kernels->attention(&heads, qkv, n, 1, p->scratch, p->space.x);
    kernels->pool(p->space.x, 1, dim, p->space.x);
    memcpy(ret_vector, p->space.x, dim * sizeof(*ret_vector));
}

void lk_cct_forward(const lk_cct *cct, const linkd_image *image, float *scratch,
                    float *ret_vector)
{
    const pass p = pass_begin(cct, scratch);

    embed(&p, image);
    lk_stack_run_whole(&cct->stack, &p.space, rows_count(cct));
    vector_write(&p, ret_vector);
}
