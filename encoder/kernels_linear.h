/* encoder/kernels_linear.h — a part of kernels_impl.h: weights and inputs as the
 * tiles read them, and the walk over panels and tiles.
 *
 *   f32    as they are
 *   bf16   pairs, rounded to nearest
 *   int8   bytes, of inputs that were mixed with one another (kernels_bytes.h) */

/* Steps of a row of inputs. */
static size_t n_steps(size_t n_in)
{
    return VEC_STEP == STEP_BYTES ? lk_stride(n_in) / VEC_STEP
                                  : (n_in + VEC_STEP - 1) / VEC_STEP;
}

#if VEC_STEP == STEP_FLOAT

enum { PANEL_HEAD = 0 };

static void pack(const float *rows, size_t n_in, float *ret_panel)
{
    for (size_t k = 0; k < n_in; k++)
        for (size_t j = 0; j < PANEL_WIDTH; j++)
            *ret_panel++ = rows[j * n_in + k];
}

#elif VEC_STEP == STEP_PAIRS

enum { PANEL_HEAD = 0 };

static void pack(const float *rows, size_t n_in, float *ret_panel)
{
    for (size_t k = 0; k < n_in; k += 2)
        for (size_t j = 0; j < PANEL_WIDTH; j++) {
            const float *inputs = rows + j * n_in + k;

            *ret_panel++ = pair_of(inputs[0], k + 1 < n_in ? inputs[1] : 0.0F);
        }
}

/* n floats to pairs, which may take the floats' place. What lies past an odd n
 * may be anything, so its pair is made by hand. */
static void row_round(const float *x, size_t n, float *ret_pairs)
{
    const float last = x[n - 1];

    for (size_t k = 0; k < n; k += 2 * VEC_LANES)
        vec_store(ret_pairs + k / 2, vec_round(x + k));
    if (n % 2 == 1)
        ret_pairs[n / 2] = pair_of(last, 0.0F);
}

#else

#include "encoder/kernels_bytes.h"

#endif

/* Rows on their way through a layer. */
typedef struct block {
    const float *x;
    size_t x_stride;
    size_t n_rows;
    const row_code *codes; /* of bytes */
} block;

/* The rows' inputs as the tiles read them; scratch is lk_linear_scratch(). */
static block block_encode(const lk_linear *linear, const float *x,
                          size_t n_rows, float *scratch)
{
    const size_t stride = lk_stride(linear->n_in);
    block b = {.x = x, .x_stride = stride / VEC_STEP, .n_rows = n_rows};

#if VEC_STEP == STEP_FLOAT
    (void)scratch;
#elif VEC_STEP == STEP_PAIRS
    for (size_t i = 0; i < n_rows; i++)
        row_round(x + i * stride, linear->n_in, scratch + i * b.x_stride);
    b.x = scratch;
#else
    row_code *codes = (row_code *)(void *)scratch;
    float *mixed = scratch + LK_BLOCK_ROWS * sizeof(*codes) / sizeof(*scratch);
    float *bytes = mixed + 2 * stride;

    rows_encode(linear, x, n_rows, mixed, codes, bytes);
    b.x = bytes;
    b.codes = codes;
#endif
    return b;
}

/* What the outputs of a tile go through. */
ALWAYS_INLINE void rows_map(vec (*map)(vec), float *y, size_t y_stride,
                            size_t n_rows)
{
    for (size_t i = 0; i < n_rows; i++, y += y_stride)
        for (size_t j = 0; j < PANEL_WIDTH; j += VEC_LANES)
            vec_store(y + j, map(vec_load(y + j)));
}

static void rows_activate(lk_activation activation, float *y, size_t y_stride,
                          size_t n_rows)
{
    switch (activation) {
    case LK_ACTIVATION_GELU:
        rows_map(vec_gelu, y, y_stride, n_rows);
        break;
    case LK_ACTIVATION_GELU_TANH:
        rows_map(vec_gelu_tanh, y, y_stride, n_rows);
        break;
    case LK_ACTIVATION_QUICK_GELU:
        rows_map(vec_quick_gelu, y, y_stride, n_rows);
        break;
    case LK_ACTIVATION_NONE:
        break;
    }
}

/* Cuts the block into tiles of nearly equal height, since a tile of few rows
 * leaves the multipliers idle. */
static void panel_multiply(tile t, const block *b, lk_activation act)
{
    size_t n_tiles = (b->n_rows + VEC_TILE_ROWS - 1) / VEC_TILE_ROWS;

    for (size_t i = 0; i < n_tiles; i++) {
        size_t row = b->n_rows * i / n_tiles;
        size_t height = b->n_rows * (i + 1) / n_tiles - row;

        t.x = b->x + row * b->x_stride;
        t.codes = b->codes + row;
        linear_tile_run(&t, height);
        rows_activate(act, t.y, t.y_stride, height);
        t.y += height * t.y_stride;
    }
}

static void block_multiply(const lk_linear *linear, const block *b, float *y,
                           int adds, lk_activation act)
{
    const float *panel = linear->panels;
    tile t = {.x_stride = b->x_stride,
              .n_steps = n_steps(linear->n_in),
              .adds = adds,
              .y_stride = lk_stride(linear->n_out)};

    for (size_t out = 0; out < linear->n_out; out += PANEL_WIDTH) {
        t.weight_scales = panel;
        t.weight_sums = panel + PANEL_WIDTH;
        t.panel = panel + PANEL_HEAD;
        t.bias = linear->bias + out;
        t.y = y + out;
        panel_multiply(t, b, act);
        panel = t.panel + t.n_steps * PANEL_WIDTH;
    }
}

static void multiply(const lk_linear *linear, const float *x, size_t n_rows,
                     float *scratch, float *y, int adds, lk_activation act)
{
    const size_t n_blocks = (n_rows + LK_BLOCK_ROWS - 1) / LK_BLOCK_ROWS;

    for (size_t i = 0; i < n_blocks; i++) {
        const size_t row = n_rows * i / n_blocks;
        block b = block_encode(linear, x + row * lk_stride(linear->n_in),
                               n_rows * (i + 1) / n_blocks - row, scratch);

        block_multiply(linear, &b, y + row * lk_stride(linear->n_out), adds,
                       act);
    }
}
