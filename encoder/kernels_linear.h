/* encoder/kernels_linear.h — a part of kernels_impl.h: weights and inputs as the
 * tiles read them, and the walk over panels and tiles.
 *
 *   f32    as they are
 *   bf16   pairs, rounded to nearest
 *   int8   weights: -127 … 127, one scale an output
 *          inputs: 0 … 254 or 255, one scale and zero a row, which is what its
 *          least and largest number ask for: rows that GELU made lie on one side
 *          of 0, and a code around 0 would waste half of its numbers on them.
 *
 * A panel of bytes begins with its outputs' scales and sums of bytes. Four vectors
 * of 16 inputs become the bytes of one, lane by lane, so a step of bytes has the
 * inputs k, k + 16, k + 32 and k + 48: nothing has to move between lanes, and sums
 * of integers are the same in any order.
 *
 * Where some inputs are far above the others, as those behind a norm may be, they
 * leave the others few steps. A layer may have scales that bring them together
 * (encoder/model_pack.c). */

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

enum { PANEL_HEAD = 2 * PANEL_WIDTH };

static float largest_magnitude(const float *x, size_t n)
{
    float largest = 0.0F;

    for (size_t i = 0; i < n; i++)
        largest = fabsf(x[i]) > largest ? fabsf(x[i]) : largest;
    return largest;
}

/* One output's weights, a step apart from one another in the panel. */
static void pack_output(const float *row, size_t n_in, float *ret_scale,
                        float *ret_sum, float *ret_steps)
{
    const float largest = largest_magnitude(row, n_in);
    const float inverse = largest > FLT_MIN ? 127.0F / largest : 0.0F;
    int32_t sum = 0;

    for (size_t step = 0; step < n_steps(n_in); step++) {
        const size_t first =
            step / VEC_LANES * LK_STRIDE_UNIT + step % VEC_LANES;
        int8_t bytes[4] = {0};

        for (size_t i = 0; i < 4 && first + i * VEC_LANES < n_in; i++) {
            bytes[i] = (int8_t)lrintf(row[first + i * VEC_LANES] * inverse);
            sum += bytes[i];
        }
        memcpy(ret_steps + step * PANEL_WIDTH, bytes, sizeof(bytes));
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

/* `scales` is a layer's, or NULL. */
ALWAYS_INLINE vec input_load(const float *x, const float *scales, size_t k)
{
    const vec v = vec_load(x + k);

    return scales != NULL ? vec_mul(v, vec_load(scales + k)) : v;
}

/* The next LK_STRIDE_UNIT of them. */
ALWAYS_INLINE void inputs_load(const float *x, const float *scales, size_t k,
                               vec ret_inputs[4])
{
    UNROLLED
    for (size_t i = 0; i < 4; i++)
        ret_inputs[i] = input_load(x, scales, k + i * VEC_LANES);
}

/* The least and the largest input of a row and 0. */
ALWAYS_INLINE void row_range(const float *x, const float *scales, size_t n,
                             float *ret_least, float *ret_largest)
{
    const size_t whole = n / LK_STRIDE_UNIT * LK_STRIDE_UNIT;
    vec least = vec_set(0.0F);
    vec largest = vec_set(0.0F);

    for (size_t i = 0; i < whole; i += LK_STRIDE_UNIT) {
        vec v[4];

        inputs_load(x, scales, i, v);
        least =
            vec_min(vec_min(vec_min(v[0], v[1]), vec_min(v[2], v[3])), least);
        largest =
            vec_max(vec_max(vec_max(v[0], v[1]), vec_max(v[2], v[3])), largest);
    }
    for (size_t i = whole; i < n; i += VEC_LANES) {
        vec v = input_load(x, scales, i);

        if (n - i < VEC_LANES)
            v = vec_first(v, n - i);
        least = vec_min(v, least);
        largest = vec_max(v, largest);
    }
    *ret_least = -vec_largest(vec_sub(vec_set(0.0F), least));
    *ret_largest = vec_largest(largest);
}

typedef struct rounding {
    row_code code;
    float inverse; /* of the scale */
} rounding;

/* 254 steps over the range, and the zero rounded up: no byte leaves 0 … 255. */
ALWAYS_INLINE rounding row_rounding(const float *x, const float *scales,
                                    size_t n_in)
{
    float least, largest, range, inverse;

    row_range(x, scales, n_in, &least, &largest);
    range = largest - least;
    inverse = range > FLT_MIN ? 254.0F / range : 0.0F;
    return (rounding){.code = {.scale = range / 254.0F,
                               .minus_zero = -ceilf(-least * inverse)},
                      .inverse = inverse};
}

/* Adding 1.5 * 2^23 and the zero rounds to nearest and leaves the byte in the
 * lowest bits. What lies past n_in meets weights of 0. */
ALWAYS_INLINE void row_encode(const float *x, const float *scales, size_t n_in,
                              rounding r, float *ret_bytes)
{
    const vec factor = vec_set(r.inverse);
    const vec shift = vec_set(12582912.0F - r.code.minus_zero);

    for (size_t k = 0; k < n_in; k += LK_STRIDE_UNIT) {
        vec v[4];

        inputs_load(x, scales, k, v);
        UNROLLED
        for (size_t i = 0; i < 4; i++)
            v[i] = vec_fma(v[i], factor, shift);
        vec_store(ret_bytes + k / 4, vec_merge_bytes(v[0], v[1], v[2], v[3]));
    }
}

/* The range of the next row is looked for while this one is encoded: its last
 * steps each wait for the one before. */
static void rows_encode(const lk_linear *linear, const float *x, size_t n_rows,
                        row_code *ret_codes, float *ret_bytes)
{
    const size_t n_in = linear->n_in;
    const size_t stride = lk_stride(n_in);
    const float *scales = linear->input_scales;
    rounding next = row_rounding(x, scales, n_in);

    for (size_t i = 0; i < n_rows; i++, x += stride, ret_bytes += stride / 4) {
        const rounding now = next;

        ret_codes[i] = now.code;
        if (i + 1 < n_rows)
            next = row_rounding(x + stride, scales, n_in);
        row_encode(x, scales, n_in, now, ret_bytes);
    }
}

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
    float *bytes = scratch + LK_BLOCK_ROWS * sizeof(*codes) / sizeof(*scratch);

    rows_encode(linear, x, n_rows, codes, bytes);
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
