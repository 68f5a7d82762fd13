/* encoder/kernels_impl.h — the kernels, written once over 16-float vectors.
 *
 * Each kernels_<isa>.c defines `vec`, its few operations and the shape of its
 * tile, and then includes this file. All tiers of a precision therefore do the
 * same operations on the same numbers in the same order, and give the same bits.
 *
 * Matrix product. A tile is VEC_TILE_ROWS rows of x against one panel of
 * VEC_TILE_VECS vectors of outputs, held in registers over the whole sum:
 *
 *              panel [n_in][width]
 *              ┌──────────┐             y[i][j] = start + x[i][0] w[0][j]
 *        k ──► │ b0 b1    │                             + x[i][1] w[1][j] …
 *   x          ├──────────┤             one chain of fused multiply-adds,
 *  ┌─────┐     │ sum[i][] │             k ascending, whatever rows share the
 *  │ i,k │ ──► │ in regs  │             tile: a row never depends on its batch
 *  └─────┘     └──────────┘
 *
 * `start` is the bias, or the bias plus the residual, so neither costs a pass.
 * The loop does not prefetch: panels are read straight through, which the
 * processor does by itself, and any prefetch took 3 to 6 % (measured 2026-11-24,
 * Zen 4, distances of 1 to 4 KiB).
 *
 * bf16. A pair of 16-bit inputs is as wide as a float, so the same tile walks
 * over pairs: only the multiply-add differs, which takes two products at once.
 * The inputs of a block of rows are rounded before its panels are walked over;
 * attention, norms and GELU stay in f32.
 *
 * What a tier must define before including this:
 *   VEC_ISA, VEC_TABLE            name and symbol of the table
 *   VEC_TILE_ROWS, VEC_TILE_VECS  rows (1 … 14) and vectors of a tile
 *   vec, vec_load, vec_store, vec_set, vec_add, vec_sub, vec_mul, vec_fma,
 *   vec_min, vec_max              lane by lane; fma(a, b, c) = a * b + c;
 *                                 min and max answer b unless a is less/more
 *   VEC_PAIRS                     1: linear layers multiply bf16 pairs, by
 *                                 vec_dot(a, b, c) = c + both products of each
 *                                 pair, and vec_round(x), 32 floats to pairs
 *   vec_first(v, n)               lanes from n on become zero
 *   vec_shift_exponent(v, n)      bits of v plus (bits of n << 23)
 *   vec_sum, vec_largest          halves are folded: i with i + 8, then with
 *                                 i + 4, i + 2, i + 1 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "encoder/kernels.h"

#define VEC_LANES   ((size_t)16)
#define PANEL_WIDTH ((size_t)VEC_TILE_VECS * VEC_LANES)

#define ALWAYS_INLINE static inline __attribute__((always_inline))

#if defined(__clang__)
#define UNROLLED _Pragma("clang loop unroll(full)")
#else
#define UNROLLED _Pragma("GCC unroll 16")
#endif

/* ---- functions of one vector -------------------------------------------- */

/* 2^x for x in [-125, 127], relative error 2e-8 before rounding. Adding
 * 1.5 * 2^23 leaves the nearest integer n in the low bits of the sum, and what
 * remains, |x - n| <= 1/2, goes through a minimax polynomial of degree 6 whose
 * result gets n added to its exponent. */
ALWAYS_INLINE vec vec_exp2(vec x)
{
    const vec magic = vec_set(12582912.0F);
    vec shifted = vec_add(x, magic);
    vec fraction = vec_sub(x, vec_sub(shifted, magic));
    vec p = vec_set(0x1.41d332p-13F);

    p = vec_fma(p, fraction, vec_set(0x1.5f456ap-10F));
    p = vec_fma(p, fraction, vec_set(0x1.3b2dbcp-7F));
    p = vec_fma(p, fraction, vec_set(0x1.c6aed4p-5F));
    p = vec_fma(p, fraction, vec_set(0x1.ebfbdap-3F));
    p = vec_fma(p, fraction, vec_set(0x1.62e430p-1F));
    p = vec_fma(p, fraction, vec_set(1.0F));
    return vec_shift_exponent(p, shifted);
}

/* x * Phi(x), Phi the normal distribution function, absolute error 4e-8.
 * With a = |x| it is max(x, 0) - a * Phi(-a), and log2 Phi(-a) is so smooth
 * that a polynomial of degree 8 (minimax of a * Phi(-a) on [0, 8], fitted for
 * linkd) does; at a = 8 the product is below 1e-14, so larger a are cut. No
 * division, no branch, no cancellation. */
ALWAYS_INLINE vec vec_gelu(vec x)
{
    const vec zero = vec_set(0.0F);
    vec magnitude = vec_max(x, vec_sub(zero, x));
    vec a = vec_min(magnitude, vec_set(8.0F));
    vec q = vec_set(-1.6903749e-06F);

    q = vec_fma(q, a, vec_set(2.5082983e-05F));
    q = vec_fma(q, a, vec_set(-0.0001144611F));
    q = vec_fma(q, a, vec_set(-0.00032334612F));
    q = vec_fma(q, a, vec_set(0.00733339F));
    q = vec_fma(q, a, vec_set(-0.052714203F));
    q = vec_fma(q, a, vec_set(-0.45911545F));
    q = vec_fma(q, a, vec_set(-1.1511233F));
    q = vec_fma(q, a, vec_set(-0.99999887F));
    return vec_fma(vec_sub(zero, magnitude), vec_exp2(q), vec_max(x, zero));
}

/* ---- matrix product ----------------------------------------------------- */

/* c + a * b, or of pairs both products. */
ALWAYS_INLINE vec vec_multiply_add(vec a, vec b, vec c, int pairs)
{
#if VEC_PAIRS
    if (pairs)
        return vec_dot(a, b, c);
#else
    (void)pairs;
#endif
    return vec_fma(a, b, c);
}

/* Rows of x against one panel. With pairs, x and panel are bf16 pairs, two
 * inputs wide, that are carried about as floats. */
typedef struct tile {
    const float *x;
    size_t x_stride;
    const float *panel; /* [n_in][PANEL_WIDTH] */
    size_t n_in;        /* floats, or pairs */
    const float *bias;  /* [PANEL_WIDTH] */
    int adds;           /* y's content is the residual */
    float *y;
    size_t y_stride;
} tile;

/* n_rows and pairs are constants wherever this is inlined, so that `sum` lives
 * in registers. */
ALWAYS_INLINE void tile_run_rows(const tile *t, size_t n_rows, int pairs)
{
    const size_t x_stride = t->x_stride;
    const float *x = t->x;
    const float *panel = t->panel;
    vec sum[VEC_TILE_ROWS][VEC_TILE_VECS];

    UNROLLED
    for (size_t i = 0; i < n_rows; i++) {
        UNROLLED
        for (size_t j = 0; j < VEC_TILE_VECS; j++) {
            sum[i][j] = vec_load(t->bias + j * VEC_LANES);
            if (t->adds)
                sum[i][j] = vec_add(sum[i][j], vec_load(t->y + i * t->y_stride +
                                                        j * VEC_LANES));
        }
    }
    for (size_t k = 0; k < t->n_in; k++) {
        vec weights[VEC_TILE_VECS];

        UNROLLED
        for (size_t j = 0; j < VEC_TILE_VECS; j++)
            weights[j] = vec_load(panel + j * VEC_LANES);
        UNROLLED
        for (size_t i = 0; i < n_rows; i++) {
            vec input = vec_set(x[i * x_stride]);

            UNROLLED
            for (size_t j = 0; j < VEC_TILE_VECS; j++)
                sum[i][j] =
                    vec_multiply_add(input, weights[j], sum[i][j], pairs);
        }
        x++;
        panel += PANEL_WIDTH;
    }
    UNROLLED
    for (size_t i = 0; i < n_rows; i++) {
        UNROLLED
        for (size_t j = 0; j < VEC_TILE_VECS; j++)
            vec_store(t->y + i * t->y_stride + j * VEC_LANES, sum[i][j]);
    }
}

/* One compiled loop per number of rows. */
#define TILE_CASE(n)                                                           \
 case n:                                                                       \
  tile_run_rows(t, n, pairs);                                                  \
  break;

ALWAYS_INLINE void tile_switch(const tile *t, size_t n_rows, int pairs)
{
    LK_ASSERT(n_rows >= 1 && n_rows <= VEC_TILE_ROWS);
    switch (n_rows) {
        TILE_CASE(1)
#if VEC_TILE_ROWS >= 6
        TILE_CASE(2)
        TILE_CASE(3)
        TILE_CASE(4)
        TILE_CASE(5)
        TILE_CASE(6)
#endif
#if VEC_TILE_ROWS >= 14
        TILE_CASE(7)
        TILE_CASE(8)
        TILE_CASE(9)
        TILE_CASE(10)
        TILE_CASE(11)
        TILE_CASE(12)
        TILE_CASE(13)
        TILE_CASE(14)
#endif
    }
}

static void tile_run(const tile *t, size_t n_rows)
{
    tile_switch(t, n_rows, 0);
}

static void linear_tile_run(const tile *t, size_t n_rows)
{
    tile_switch(t, n_rows, VEC_PAIRS);
}

static void gelu_rows(float *y, size_t y_stride, size_t n_rows)
{
    for (size_t i = 0; i < n_rows; i++, y += y_stride)
        for (size_t j = 0; j < PANEL_WIDTH; j += VEC_LANES)
            vec_store(y + j, vec_gelu(vec_load(y + j)));
}

/* Cuts n_rows into tiles of nearly equal height, since a tile of few rows
 * leaves the multipliers idle. */
static void panel_multiply(tile t, size_t n_rows, int is_gelu)
{
    size_t n_tiles = (n_rows + VEC_TILE_ROWS - 1) / VEC_TILE_ROWS;

    for (size_t i = 0; i < n_tiles; i++) {
        size_t height = n_rows * (i + 1) / n_tiles - n_rows * i / n_tiles;

        linear_tile_run(&t, height);
        if (is_gelu)
            gelu_rows(t.y, t.y_stride, height);
        t.x += height * t.x_stride;
        t.y += height * t.y_stride;
    }
}

#if VEC_PAIRS

/* Round to nearest, ties to even; a value that is not finite is never here. */
static uint32_t bf16_of(float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof(bits));
    return (bits + 0x7FFFU + (bits >> 16 & 1U)) >> 16;
}

/* The first input of a pair is its low half. */
static float pair_of(float first, float second)
{
    uint32_t bits = bf16_of(first) | bf16_of(second) << 16;
    float pair;

    memcpy(&pair, &bits, sizeof(pair));
    return pair;
}

static void pack(const float *rows, size_t n_in, float *ret_panel)
{
    for (size_t k = 0; k < n_in; k += 2)
        for (size_t j = 0; j < PANEL_WIDTH; j++) {
            const float *inputs = rows + j * n_in + k;

            *ret_panel++ = pair_of(inputs[0], k + 1 < n_in ? inputs[1] : 0.0F);
        }
}

/* Rows of n_in floats to rows of pairs, half as far apart. What lies past an
 * odd n_in may be anything, so its pair is made by hand. */
static void rows_round(const float *x, size_t n_in, size_t n_rows,
                       float *ret_pairs)
{
    const size_t stride = lk_stride(n_in);

    for (size_t i = 0; i < n_rows; i++, x += stride, ret_pairs += stride / 2) {
        for (size_t k = 0; k < n_in; k += 2 * VEC_LANES)
            vec_store(ret_pairs + k / 2, vec_round(x + k));
        if (n_in % 2 == 1)
            ret_pairs[n_in / 2] = pair_of(x[n_in - 1], 0.0F);
    }
}

#else

static void pack(const float *rows, size_t n_in, float *ret_panel)
{
    for (size_t k = 0; k < n_in; k++)
        for (size_t j = 0; j < PANEL_WIDTH; j++)
            *ret_panel++ = rows[j * n_in + k];
}

#endif

/* The block's inputs as its tiles read them, and how many there are of them. */
static tile block_tile(const lk_linear *linear, const float *x, size_t n_rows,
                       float *scratch)
{
    const size_t stride = lk_stride(linear->n_in);

#if VEC_PAIRS
    rows_round(x, linear->n_in, n_rows, scratch);
    return (tile){
        .x = scratch, .x_stride = stride / 2, .n_in = (linear->n_in + 1) / 2};
#else
    (void)n_rows;
    (void)scratch;
    return (tile){.x = x, .x_stride = stride, .n_in = linear->n_in};
#endif
}

static void multiply(const lk_linear *linear, const float *x, size_t n_rows,
                     float *scratch, float *y, int adds, int is_gelu)
{
    const size_t y_stride = lk_stride(linear->n_out);

    for (size_t row = 0; row < n_rows; row += LK_BLOCK_ROWS) {
        size_t left = n_rows - row;
        size_t height = left < LK_BLOCK_ROWS ? left : LK_BLOCK_ROWS;
        tile t = block_tile(linear, x + row * lk_stride(linear->n_in), height,
                            scratch);

        t.adds = adds;
        t.y_stride = y_stride;
        for (size_t out = 0; out < linear->n_out; out += PANEL_WIDTH) {
            t.panel = linear->panels + out * t.n_in;
            t.bias = linear->bias + out;
            t.y = y + row * y_stride + out;
            panel_multiply(t, height, is_gelu);
        }
    }
}

/* ---- layer normalisation ------------------------------------------------ */

static float row_mean(const float *row, size_t width)
{
    vec sum = vec_set(0.0F);

    for (size_t i = 0; i < width; i += VEC_LANES)
        sum = vec_add(sum, vec_load(row + i));
    return vec_sum(sum) / (float)width;
}

/* Subtracts the mean and answers the variance; lanes past width stay zero. */
static float row_centre(float *row, size_t width, float mean)
{
    const vec shift = vec_set(mean);
    vec squares = vec_set(0.0F);

    for (size_t i = 0; i < width; i += VEC_LANES) {
        vec v = vec_sub(vec_load(row + i), shift);

        if (width - i < VEC_LANES)
            v = vec_first(v, width - i);
        squares = vec_fma(v, v, squares);
        vec_store(row + i, v);
    }
    return vec_sum(squares) / (float)width;
}

static void norm_row(const lk_norm *norm, float *row)
{
    float mean = row_mean(row, norm->width);
    float variance = row_centre(row, norm->width, mean);
    const vec scale = vec_set(1.0F / sqrtf(variance + norm->epsilon));

    for (size_t i = 0; i < norm->width; i += VEC_LANES) {
        vec v = vec_mul(vec_load(row + i), scale);

        vec_store(row + i, vec_fma(v, vec_load(norm->gamma + i),
                                   vec_load(norm->beta + i)));
    }
}

static void add_norm(const lk_norm *norm, const float *addend, size_t n_rows,
                     float *y)
{
    const size_t stride = lk_stride(norm->width);

    for (size_t row = 0; row < n_rows; row++, y += stride, addend += stride) {
        for (size_t i = 0; i < stride; i += VEC_LANES)
            vec_store(y + i, vec_add(vec_load(y + i), vec_load(addend + i)));
        norm_row(norm, y);
    }
}

/* ---- linear layers ------------------------------------------------------ */

static void linear(const lk_linear *linear, const float *x, size_t n_rows,
                   float *scratch, float *ret_y)
{
    multiply(linear, x, n_rows, scratch, ret_y, 0, 0);
}

static void linear_gelu(const lk_linear *linear, const float *x, size_t n_rows,
                        float *scratch, float *ret_y)
{
    multiply(linear, x, n_rows, scratch, ret_y, 0, 1);
}

static void linear_add_norm(const lk_linear *linear, const lk_norm *norm,
                            const float *x, size_t n_rows, float *scratch,
                            float *y)
{
    multiply(linear, x, n_rows, scratch, y, 1, 0);
    for (size_t i = 0; i < n_rows; i++)
        norm_row(norm, y + i * lk_stride(norm->width));
}

/* ---- attention ---------------------------------------------------------- */

/* Below any score of a finite model, and far enough below the largest one that
 * its power of two vanishes in the sum. */
#define MASKED (-FLT_MAX / 2)

/* One head of one sequence, and where its intermediate results lie. */
typedef struct head {
    const float *query; /* [n_tokens] rows of head_dim, qkv_stride apart */
    const float *key;
    const float *value;
    size_t qkv_stride;
    size_t n_tokens;
    size_t n_queries; /* the first of them are asked for */
    size_t head_dim;
    size_t n_keys;          /* n_tokens, rounded up to whole panels */
    const float *distances; /* of the key where the query is; or NULL */
    float *key_panels;      /* [n_keys / PANEL_WIDTH][head_dim][PANEL_WIDTH] */
    float *value_panels;    /* [columns / PANEL_WIDTH][n_tokens][PANEL_WIDTH] */
    float *scores;          /* [VEC_TILE_ROWS][n_keys] */
    float *weighted;        /* [VEC_TILE_ROWS][PANEL_WIDTH] */
    float *context;         /* [n_queries] rows, context_stride apart */
    size_t context_stride;
} head;

static const float NO_BIAS[PANEL_WIDTH] __attribute__((aligned(64)));

static void pack_keys(const head *h)
{
    const size_t panel_floats = h->head_dim * PANEL_WIDTH;

    for (size_t token = 0; token < h->n_keys; token++) {
        const float *key = h->key + token * h->qkv_stride;
        float *out = h->key_panels + token / PANEL_WIDTH * panel_floats +
                     token % PANEL_WIDTH;

        for (size_t k = 0; k < h->head_dim; k++)
            out[k * PANEL_WIDTH] = token < h->n_tokens ? key[k] : 0.0F;
    }
}

static void pack_values(const head *h)
{
    float *out = h->value_panels;

    for (size_t first = 0; first < h->head_dim; first += PANEL_WIDTH) {
        size_t left = h->head_dim - first;
        size_t n = left < PANEL_WIDTH ? left : PANEL_WIDTH;

        for (size_t i = 0; i < h->n_tokens; i++, out += PANEL_WIDTH) {
            memcpy(out, h->value + i * h->qkv_stride + first, n * sizeof(*out));
            memset(out + n, 0, (PANEL_WIDTH - n) * sizeof(*out));
        }
    }
}

/* Adds what the keys' distances from the query `row` are worth. */
static void add_distances(const head *h, size_t row, float *scores)
{
    const float *distances = h->distances - row;

    for (size_t key = 0; key < h->n_tokens; key++)
        scores[key] += distances[key];
}

/* Turns a row of scores into powers of two and answers one over their sum. */
static float softmax_row(float *scores, size_t n_tokens, size_t n_keys)
{
    vec largest = vec_set(MASKED);
    vec sum = vec_set(0.0F);

    for (size_t i = n_tokens; i < n_keys; i++)
        scores[i] = MASKED;
    for (size_t i = 0; i < n_tokens; i += VEC_LANES)
        largest = vec_max(largest, vec_load(scores + i));
    largest = vec_set(vec_largest(largest));
    for (size_t i = 0; i < n_tokens; i += VEC_LANES) {
        vec v = vec_sub(vec_load(scores + i), largest);

        v = vec_exp2(vec_max(v, vec_set(-125.0F)));
        sum = vec_add(sum, v);
        vec_store(scores + i, v);
    }
    return 1.0F / vec_sum(sum);
}

static void weigh_values(const head *h, size_t row, size_t n_rows,
                         const float *scales)
{
    tile t = {.x = h->scores,
              .x_stride = h->n_keys,
              .panel = h->value_panels,
              .n_in = h->n_tokens,
              .bias = NO_BIAS,
              .y = h->weighted,
              .y_stride = PANEL_WIDTH};

    for (size_t first = 0; first < h->head_dim; first += PANEL_WIDTH) {
        size_t left = h->head_dim - first;
        size_t n = left < PANEL_WIDTH ? left : PANEL_WIDTH;

        tile_run(&t, n_rows);
        for (size_t i = 0; i < n_rows; i++) {
            float *out = h->context + (row + i) * h->context_stride + first;
            const float *in = h->weighted + i * PANEL_WIDTH;

            for (size_t j = 0; j < n; j++)
                out[j] = in[j] * scales[i];
        }
        t.panel += h->n_tokens * PANEL_WIDTH;
    }
}

/* Takes a tile of queries all the way, so that their scores stay in L1. */
static void attend(const head *h, size_t row, size_t n_rows)
{
    float scales[VEC_TILE_ROWS];
    tile t = {.x = h->query + row * h->qkv_stride,
              .x_stride = h->qkv_stride,
              .n_in = h->head_dim,
              .bias = NO_BIAS,
              .y_stride = h->n_keys};

    for (size_t key = 0; key < h->n_keys; key += PANEL_WIDTH) {
        t.panel = h->key_panels + key * h->head_dim;
        t.y = h->scores + key;
        tile_run(&t, n_rows);
    }
    for (size_t i = 0; i < n_rows && h->distances != NULL; i++)
        add_distances(h, row + i, h->scores + i * h->n_keys);
    for (size_t i = 0; i < n_rows; i++)
        scales[i] =
            softmax_row(h->scores + i * h->n_keys, h->n_tokens, h->n_keys);
    weigh_values(h, row, n_rows, scales);
}

static void attend_head(const head *h)
{
    const size_t n = h->n_queries;
    const size_t n_tiles = (n + VEC_TILE_ROWS - 1) / VEC_TILE_ROWS;

    pack_keys(h);
    pack_values(h);
    for (size_t i = 0; i < n_tiles; i++) {
        size_t row = n * i / n_tiles;

        attend(h, row, n * (i + 1) / n_tiles - row);
    }
}

static void attention(const lk_heads *heads, const float *qkv, size_t n_tokens,
                      size_t n_queries, float *scratch, float *ret_context)
{
    const size_t dim = heads->head_dim;
    const size_t width = heads->n_heads * dim;
    head h = {.qkv_stride = lk_stride(3 * width),
              .n_tokens = n_tokens,
              .n_queries = n_queries,
              .head_dim = dim,
              .n_keys = lk_round_up(n_tokens, PANEL_WIDTH),
              .context_stride = lk_stride(width)};

    /* lk_attention_scratch() adds up the same four parts */
    h.key_panels = scratch;
    h.value_panels = h.key_panels + h.n_keys * dim;
    h.scores = h.value_panels + n_tokens * lk_round_up(dim, PANEL_WIDTH);
    h.weighted = h.scores + VEC_TILE_ROWS * h.n_keys;
    for (size_t i = 0; i < heads->n_heads; i++) {
        h.query = qkv + i * dim;
        h.key = h.query + width;
        h.value = h.key + width;
        h.context = ret_context + i * dim;
        if (heads->distances != NULL)
            h.distances = heads->distances + i * heads->distance_stride +
                          heads->n_distances;
        attend_head(&h);
    }
}

/* ---- pooling ------------------------------------------------------------ */

/* The reference implementation's guard against a zero vector. */
#define NORM_FLOOR 1e-12F

static void pool(const float *x, size_t n_rows, size_t width, float *ret_vector)
{
    const size_t stride = lk_stride(width);
    vec squares = vec_set(0.0F);
    float norm;

    for (size_t i = 0; i < width; i += VEC_LANES) {
        vec sum = vec_load(x + i);

        for (size_t row = 1; row < n_rows; row++)
            sum = vec_add(sum, vec_load(x + row * stride + i));
        if (width - i < VEC_LANES)
            sum = vec_first(sum, width - i);
        squares = vec_fma(sum, sum, squares);
        vec_store(ret_vector + i, sum);
    }
    norm = sqrtf(vec_sum(squares));
    norm = norm > NORM_FLOOR ? norm : NORM_FLOOR;
    for (size_t i = 0; i < width; i++)
        ret_vector[i] /= norm;
}

const lk_kernels VEC_TABLE = {
    .isa = VEC_ISA,
    .precision = VEC_PAIRS ? "bf16" : "f32",
    .panel_width = PANEL_WIDTH,
    .tile_rows = VEC_TILE_ROWS,
    .weight_bytes = VEC_PAIRS ? 2 : sizeof(float),
    .pack = pack,
    .linear = linear,
    .linear_gelu = linear_gelu,
    .linear_add_norm = linear_add_norm,
    .add_norm = add_norm,
    .attention = attention,
    .pool = pool,
};
