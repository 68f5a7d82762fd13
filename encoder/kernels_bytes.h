/* encoder/kernels_bytes.h — a part of kernels_impl.h: weights and inputs of int8.
 *
 *   weights  -127 … 127, one scale an output
 *   inputs   0 … 254 or 255, one scale and zero a row, which is what its least and
 *            largest number ask for: rows that GELU made lie on one side of 0, and
 *            a code around 0 would waste half of its numbers on them.
 *
 * A panel begins with its outputs' scales and sums of bytes. Four vectors of 16
 * inputs become the bytes of one, lane by lane, so a step of bytes has the inputs
 * k, k + 16, k + 32 and k + 48: nothing has to move between lanes, and sums of
 * integers are the same in any order.
 *
 * Outliers. One number far above the others of its row leaves these few steps, and
 * trained models have such: three or four inputs behind a norm, a neuron or two of
 * a feed-forward layer with its weights, up to 50 times the root of the mean
 * square. Where only inputs are large, a layer may have scales that bring them
 * together (encoder/model_pack.c). Besides, inputs are mixed before they are
 * rounded:
 *
 *   W x = (W H' / n) (H x), H of n x n signs whose rows are orthogonal
 *
 * so that an outlier becomes n numbers which are smaller by sqrt(n), beside those of
 * the others. QuaRot (arXiv 2404.00456) does so over whole rows, and moves what it
 * can into the weights; behind a norm with gamma and beta nothing can be moved. Here
 * H takes n vectors to n others, n up to 16: 4 additions a vector, and again nothing
 * moves between lanes. */

enum { PANEL_HEAD = 2 * PANEL_WIDTH };

/* Vectors that are mixed with one another, at most, and their inputs. */
enum { MIXED_MAX = 16, MIXED_INPUTS = MIXED_MAX * 16 };

/* How many of them fit the width: 16, 8, 4, or 1, which leaves them as they are. */
ALWAYS_INLINE size_t mixed_vecs(size_t n_in)
{
    for (size_t n = MIXED_MAX; n >= 4; n /= 2)
        if (n_in % (n * VEC_LANES) == 0)
            return n;
    return 1;
}

/* Rounds of sums and differences; n is a constant wherever this is inlined. */
ALWAYS_INLINE void vecs_mix(vec v[MIXED_MAX], size_t n)
{
    const size_t n_rounds = n == 16 ? 4 : n == 8 ? 3 : 2;
    vec next[MIXED_MAX];

    UNROLLED
    for (size_t round = 0; round < n_rounds; round++) {
        UNROLLED
        for (size_t i = 0; i < n / 2; i++) {
            next[2 * i] = vec_add(v[i], v[i + n / 2]);
            next[2 * i + 1] = vec_sub(v[i], v[i + n / 2]);
        }
        UNROLLED
        for (size_t i = 0; i < n; i++)
            v[i] = next[i];
    }
}

/* ---- weights ------------------------------------------------------------ */

/* n vectors, times 1 / n. */
ALWAYS_INLINE void weights_mix(float *weights, size_t n)
{
    const vec share = vec_set(1.0F / (float)n);
    vec v[MIXED_MAX];

    UNROLLED
    for (size_t i = 0; i < n; i++)
        v[i] = vec_mul(vec_load(weights + i * VEC_LANES), share);
    vecs_mix(v, n);
    UNROLLED
    for (size_t i = 0; i < n; i++)
        vec_store(weights + i * VEC_LANES, v[i]);
}

/* The next MIXED_INPUTS of an output, as they are rounded; 0 past the last. */
static void weights_load(const float *row, size_t n_in, size_t first,
                         float *ret_weights)
{
    const size_t left = n_in - first;
    const size_t n = left < MIXED_INPUTS ? left : MIXED_INPUTS;

    memset(ret_weights, 0, MIXED_INPUTS * sizeof(*ret_weights));
    memcpy(ret_weights, row + first, n * sizeof(*ret_weights));
    switch (mixed_vecs(n_in)) {
    case 16:
        weights_mix(ret_weights, 16);
        break;
    case 8:
        weights_mix(ret_weights, 8);
        weights_mix(ret_weights + 8 * VEC_LANES, 8);
        break;
    case 4:
        for (size_t i = 0; i < MIXED_MAX; i += 4)
            weights_mix(ret_weights + i * VEC_LANES, 4);
        break;
    default:
        break;
    }
}

static float largest_weight(const float *row, size_t n_in)
{
    float largest = 0.0F;

    for (size_t k = 0; k < n_in; k += MIXED_INPUTS) {
        float weights[MIXED_INPUTS];

        weights_load(row, n_in, k, weights);
        for (size_t i = 0; i < MIXED_INPUTS; i++)
            largest = fmaxf(largest, fabsf(weights[i]));
    }
    return largest;
}

/* LK_STRIDE_UNIT weights, 16 steps; answers the sum of their bytes. */
static int32_t weights_round(const float *weights, float inverse,
                             float *ret_steps)
{
    int32_t sum = 0;

    for (size_t step = 0; step < VEC_LANES; step++) {
        int8_t bytes[4];

        for (size_t i = 0; i < 4; i++) {
            bytes[i] = (int8_t)lrintf(weights[step + i * VEC_LANES] * inverse);
            sum += bytes[i];
        }
        memcpy(ret_steps + step * PANEL_WIDTH, bytes, sizeof(bytes));
    }
    return sum;
}

/* One output's weights, a step apart from one another in the panel. */
static void pack_output(const float *row, size_t n_in, float *ret_scale,
                        float *ret_sum, float *ret_steps)
{
    const float largest = largest_weight(row, n_in);
    const float inverse = largest > FLT_MIN ? 127.0F / largest : 0.0F;
    float weights[MIXED_INPUTS];
    int32_t sum = 0;

    for (size_t k = 0; k < lk_stride(n_in); k += LK_STRIDE_UNIT) {
        if (k % MIXED_INPUTS == 0)
            weights_load(row, n_in, k, weights);
        sum += weights_round(weights + k % MIXED_INPUTS, inverse,
                             ret_steps + k / VEC_STEP * PANEL_WIDTH);
    }
    *ret_scale = inverse > 0.0F ? largest / 127.0F : 0.0F;
    *ret_sum = (float)sum;
}

static void pack(const float *rows, size_t n_in, float *ret_panel)
{
    for (size_t j = 0; j < PANEL_WIDTH; j++)
        pack_output(rows + j * n_in, n_in, ret_panel + j,
                    ret_panel + PANEL_WIDTH + j, ret_panel + PANEL_HEAD + j);
}

/* ---- inputs ------------------------------------------------------------- */

/* `scales` is a layer's, or NULL. */
ALWAYS_INLINE vec input_load(const float *x, const float *scales, size_t k)
{
    const vec v = vec_load(x + k);

    return scales != NULL ? vec_mul(v, vec_load(scales + k)) : v;
}

/* The least and the largest number of a row and 0, lane by lane. */
typedef struct range {
    vec least;
    vec largest;
} range;

ALWAYS_INLINE range range_join(range r, vec v)
{
    return (range){vec_min(v, r.least), vec_max(v, r.largest)};
}

/* Scales a row and mixes n vectors each. */
ALWAYS_INLINE range row_mix(const float *x, const float *scales, size_t n_in,
                            size_t n, range r, float *ret_mixed)
{
    for (size_t k = 0; k < n_in; k += n * VEC_LANES) {
        vec v[MIXED_MAX];

        UNROLLED
        for (size_t i = 0; i < n; i++)
            v[i] = input_load(x, scales, k + i * VEC_LANES);
        vecs_mix(v, n);
        UNROLLED
        for (size_t i = 0; i < n; i++) {
            vec_store(ret_mixed + k + i * VEC_LANES, v[i]);
            r = range_join(r, v[i]);
        }
    }
    return r;
}

/* Scales a row of a width that is not mixed. */
ALWAYS_INLINE range row_scale_inputs(const float *x, const float *scales,
                                     size_t n_in, range r, float *ret_mixed)
{
    for (size_t k = 0; k < n_in; k += VEC_LANES) {
        vec v = input_load(x, scales, k);

        if (n_in - k < VEC_LANES)
            v = vec_first(v, n_in - k);
        vec_store(ret_mixed + k, v);
        r = range_join(r, v);
    }
    return r;
}

ALWAYS_INLINE range row_spread(const float *x, const float *scales, size_t n_in,
                               float *ret_mixed)
{
    const range zero = {vec_set(0.0F), vec_set(0.0F)};

    switch (mixed_vecs(n_in)) {
    case 16:
        return row_mix(x, scales, n_in, 16, zero, ret_mixed);
    case 8:
        return row_mix(x, scales, n_in, 8, zero, ret_mixed);
    case 4:
        return row_mix(x, scales, n_in, 4, zero, ret_mixed);
    default:
        return row_scale_inputs(x, scales, n_in, zero, ret_mixed);
    }
}

typedef struct rounding {
    row_code code;
    float inverse; /* of the scale */
} rounding;

/* 254 steps over the range, and the zero rounded up: no byte leaves 0 … 255. */
static rounding row_prepare(const float *x, const float *scales, size_t n_in,
                            float *ret_mixed)
{
    const range r = row_spread(x, scales, n_in, ret_mixed);
    const float least = -vec_largest(vec_sub(vec_set(0.0F), r.least));
    const float width = vec_largest(r.largest) - least;
    const float inverse = width > FLT_MIN ? 254.0F / width : 0.0F;

    return (rounding){.code = {.scale = width / 254.0F,
                               .minus_zero = -ceilf(-least * inverse)},
                      .inverse = inverse};
}

/* Adding 1.5 * 2^23 and the zero rounds to nearest and leaves the byte in the
 * lowest bits. What lies past n_in meets weights of 0. */
ALWAYS_INLINE void row_encode(const float *mixed, size_t n_in, rounding r,
                              float *ret_bytes)
{
    const vec factor = vec_set(r.inverse);
    const vec shift = vec_set(12582912.0F - r.code.minus_zero);

    for (size_t k = 0; k < n_in; k += LK_STRIDE_UNIT) {
        vec v[4];

        UNROLLED
        for (size_t i = 0; i < 4; i++)
            v[i] = vec_fma(vec_load(mixed + k + i * VEC_LANES), factor, shift);
        vec_store(ret_bytes + k / 4, vec_merge_bytes(v[0], v[1], v[2], v[3]));
    }
}

/* The next row is prepared while this one is encoded: the last steps of its range
 * each wait for the one before. `mixed` holds both. */
static void rows_encode(const lk_linear *linear, const float *x, size_t n_rows,
                        float *mixed, row_code *ret_codes, float *ret_bytes)
{
    const size_t n_in = linear->n_in;
    const size_t stride = lk_stride(n_in);
    const float *scales = linear->input_scales;
    rounding next = row_prepare(x, scales, n_in, mixed);

    for (size_t i = 0; i < n_rows; i++, x += stride, ret_bytes += stride / 4) {
        const rounding now = next;

        ret_codes[i] = now.code;
        if (i + 1 < n_rows)
            next = row_prepare(x + stride, scales, n_in,
                               mixed + (i + 1) % 2 * stride);
        row_encode(mixed + i % 2 * stride, n_in, now, ret_bytes);
    }
}
