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
 * bf16 and int8. Two 16-bit or four 8-bit inputs are as wide as a float, so the
 * same tile walks over them: only the multiply-add differs, which takes all their
 * products at once. The inputs of a block of rows are rounded before its panels
 * are walked over; norms, GELU and softmax stay in f32, and so does all of
 * attention in int8: in bf16 its two products are of pairs, too. Sums of bytes are
 * integers, exact in any order, so tables of int8 agree bit by bit, too.
 *
 * What a tier must define before including this:
 *   VEC_ISA, VEC_TABLE            name and symbol of the table
 *   VEC_TILE_ROWS, VEC_TILE_VECS  rows (1 … 14) and vectors of a tile
 *   vec, vec_load, vec_store, vec_set, vec_add, vec_sub, vec_mul, vec_div,
 *   vec_fma, vec_min, vec_max     lane by lane; fma(a, b, c) = a * b + c;
 *                                 min and max answer b unless a is less/more
 *   VEC_STEP                      inputs of a linear layer in 4 bytes:
 *     STEP_FLOAT                  f32
 *     STEP_PAIRS                  bf16, by vec_dot(a, b, c) = c + both products
 *                                 of each pair, vec_round(x), 32 floats to
 *                                 pairs, and vec_pair(a, b), the pairs of two
 *                                 vectors' lanes
 *     STEP_BYTES                  int8, by vec_dot(a, b, c) = c + the products
 *                                 of four unsigned and four signed bytes, all
 *                                 integers; vec_of_integers(v), lanes to float;
 *                                 vec_merge_bytes(a, b, c, d), the lowest byte
 *                                 of each, a's in the lowest of a lane
 *   vec_first(v, n)               lanes from n on become zero
 *   vec_zip(a, b, ret_both)       a0 b0 a1 b1 … a7 b7 and a8 b8 … a15 b15
 *   vec_shift_exponent(v, n)      bits of v plus (bits of n << 23)
 *   vec_sum, vec_largest          halves are folded: i with i + 8, then with
 *                                 i + 4, i + 2, i + 1 */
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "encoder/kernels.h"
#include "encoder/kernels_pairs.h"

#define VEC_LANES   ((size_t)16)
#define PANEL_WIDTH ((size_t)VEC_TILE_VECS * VEC_LANES)

#define ALWAYS_INLINE static inline __attribute__((always_inline))

#if defined(__clang__)
#define UNROLLED _Pragma("clang loop unroll(full)")
#else
#define UNROLLED _Pragma("GCC unroll 16")
#endif

#if VEC_STEP == STEP_FLOAT
#define PRECISION "f32"
#elif VEC_STEP == STEP_PAIRS
#define PRECISION "bf16"
#else
#define PRECISION "int8"
#endif

/* ---- functions of one vector -------------------------------------------- */

/* Rows to columns. Four times over, rows i and i + 8 are interleaved, which moves
 * every bit of an element's place (row, lane) up by one, and the highest to the
 * lowest. */
ALWAYS_INLINE void vec_transpose(vec rows[VEC_LANES])
{
    vec next[VEC_LANES];

    UNROLLED
    for (size_t round = 0; round < 4; round++) {
        UNROLLED
        for (size_t i = 0; i < VEC_LANES / 2; i++)
            vec_zip(rows[i], rows[i + VEC_LANES / 2], next + 2 * i);
        UNROLLED
        for (size_t i = 0; i < VEC_LANES; i++)
            rows[i] = next[i];
    }
}

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

#if VEC_STEP == STEP_BYTES

/* x * Phi(x), Phi the normal distribution function, as max(x, 0) - a * Phi(-a)
 * with a = |x|, absolute error 1.7e-4: the layer behind it rounds its inputs to
 * steps of 0.01, so a polynomial of degree 7 does (minimax of a * Phi(-a) on
 * [0, 3.8], fitted for linkd). */
ALWAYS_INLINE vec vec_gelu(vec x)
{
    const vec zero = vec_set(0.0F);
    vec a = vec_min(vec_max(x, vec_sub(zero, x)), vec_set(3.8F));
    vec p = vec_set(-0.000729298976F);

    p = vec_fma(p, a, vec_set(0.0110348081F));
    p = vec_fma(p, a, vec_set(-0.0631797463F));
    p = vec_fma(p, a, vec_set(0.15393427F));
    p = vec_fma(p, a, vec_set(-0.0604487509F));
    p = vec_fma(p, a, vec_set(-0.380542725F));
    p = vec_fma(p, a, vec_set(0.498585224F));
    p = vec_fma(p, a, vec_set(-7.766005e-05F));
    return vec_sub(vec_max(x, zero), p);
}

#else

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

#endif

/* x / (1 + 2^exponent). Where the exponent is cut, x or 0 is left. */
ALWAYS_INLINE vec vec_gate(vec x, vec exponent)
{
    vec power =
        vec_exp2(vec_max(vec_set(-125.0F), vec_min(exponent, vec_set(126.0F))));

    return vec_div(x, vec_add(power, vec_set(1.0F)));
}

/* x / (1 + e^(-1.702 x)), absolute error 1e-6: what CLIP was trained with. */
ALWAYS_INLINE vec vec_quick_gelu(vec x)
{
    return vec_gate(x, vec_mul(x, vec_set(-1.702F * 1.44269504F)));
}

/* x (1 + tanh(z)) / 2 is x / (1 + e^(-2 z)), here with z = sqrt(2 / pi) *
 * (x + 0.044715 x^3); absolute error 1e-6. */
ALWAYS_INLINE vec vec_gelu_tanh(vec x)
{
    const vec linear = vec_set(-2.0F * 0.797884561F * 1.44269504F);
    const vec cubic = vec_set(-2.0F * 0.797884561F * 1.44269504F * 0.044715F);

    return vec_gate(x, vec_mul(x, vec_fma(vec_mul(x, x), cubic, linear)));
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

#include "encoder/kernels_tile.h"

#include "encoder/kernels_linear.h"

static void linear(const lk_linear *linear, const float *x, size_t n_rows,
                   float *scratch, float *ret_y)
{
    multiply(linear, x, n_rows, scratch, ret_y, 0, LK_ACTIVATION_NONE);
}

static void linear_activate(const lk_linear *linear, lk_activation activation,
                            const float *x, size_t n_rows, float *scratch,
                            float *ret_y)
{
    multiply(linear, x, n_rows, scratch, ret_y, 0, activation);
}

static void linear_add_norm(const lk_linear *linear, const lk_norm *norm,
                            const float *x, size_t n_rows, float *scratch,
                            float *y)
{
    multiply(linear, x, n_rows, scratch, y, 1, LK_ACTIVATION_NONE);
    for (size_t i = 0; i < n_rows; i++)
        norm_row(norm, y + i * lk_stride(norm->width));
}

/* ---- attention ---------------------------------------------------------- */

#include "encoder/kernels_attention.h"

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
    .precision = PRECISION,
    .panel_width = PANEL_WIDTH,
    .tile_rows = VEC_TILE_ROWS,
    .step = VEC_STEP,
    .pack = pack,
    .linear = linear,
    .linear_activate = linear_activate,
    .linear_add_norm = linear_add_norm,
    .add_norm = add_norm,
    .attention = attention,
    .pool = pool,
};
