/* encoder/kernels_tile.h — a part of kernels_impl.h: rows of x against one panel,
 * the loop in which a forward pass spends its time.
 *
 * A step takes 4 bytes of a row and of each output's weights: one float, two bf16
 * or four bytes. Inputs and panels of all three are carried about as floats, and
 * so are the sums of bytes, which are integers until the tile ends. */

/* A row of x as bytes: x = scale * (byte - zero). */
typedef struct row_code {
    float scale;
    float minus_zero;
} row_code;

typedef struct tile {
    const float *x;
    size_t x_stride;
    const float *panel; /* [n_steps][PANEL_WIDTH] */
    size_t n_steps;
    const float *bias; /* [PANEL_WIDTH] */
    int adds;          /* y's content is the residual */
    float *y;
    size_t y_stride;
    /* of bytes only */
    const row_code *codes;      /* of the tile's rows */
    const float *weight_scales; /* [PANEL_WIDTH] */
    const float *weight_sums;   /* [PANEL_WIDTH], of an output's bytes */
} tile;

/* c + a * b, or of pairs or bytes the products of each lane. */
ALWAYS_INLINE vec vec_multiply_add(vec a, vec b, vec c, int step)
{
#if VEC_STEP > 1
    if (step > 1)
        return vec_dot(a, b, c);
#else
    (void)step;
#endif
    return vec_fma(a, b, c);
}

ALWAYS_INLINE vec tile_residual(const tile *t, size_t i, size_t j)
{
    return vec_load(t->y + i * t->y_stride + j * VEC_LANES);
}

/* What the sum begins with. Of bytes that is 0, whose bits are the integer's. */
ALWAYS_INLINE vec tile_begin(const tile *t, size_t i, size_t j, int step)
{
    vec start;

    if (step == STEP_BYTES)
        return vec_set(0.0F);
    start = vec_load(t->bias + j * VEC_LANES);
    return t->adds ? vec_add(start, tile_residual(t, i, j)) : start;
}

#if VEC_STEP == STEP_BYTES

/* A sum of bytes as a float:
 *   bias + scale of row * scale of weights * sum of (byte - zero) * weight,
 * where the sum of the weights takes the zero out. */
ALWAYS_INLINE vec tile_decode(const tile *t, size_t i, size_t j, vec sum)
{
    const size_t at = j * VEC_LANES;
    const vec weight_scale = vec_load(t->weight_scales + at);
    const vec scale = vec_mul(vec_set(t->codes[i].scale), weight_scale);
    const vec minus_zero = vec_set(t->codes[i].minus_zero);
    const vec whole = vec_fma(minus_zero, vec_load(t->weight_sums + at),
                              vec_of_integers(sum));

    return vec_fma(whole, scale, vec_load(t->bias + at));
}

#endif

/* n_rows and step are constants wherever this is inlined, so that `sum` lives in
 * registers. */
ALWAYS_INLINE void tile_run_rows(const tile *t, size_t n_rows, int step)
{
    const float *panel = t->panel;
    const float *rows[(VEC_TILE_ROWS + 2) / 3]; /* every third */
    vec sum[VEC_TILE_ROWS][VEC_TILE_VECS];

    UNROLLED
    for (size_t i = 0; i < n_rows; i++) {
        UNROLLED
        for (size_t j = 0; j < VEC_TILE_VECS; j++)
            sum[i][j] = tile_begin(t, i, j, step);
    }
    UNROLLED
    for (size_t i = 0; i < n_rows; i += 3)
        rows[i / 3] = t->x + i * t->x_stride;
    for (size_t k = 0; k < t->n_steps; k++) {
        const size_t at[3] = {k, k + t->x_stride, k + 2 * t->x_stride};
        vec weights[VEC_TILE_VECS];

        UNROLLED
        for (size_t j = 0; j < VEC_TILE_VECS; j++)
            weights[j] = vec_load(panel + j * VEC_LANES);
        UNROLLED
        for (size_t i = 0; i < n_rows; i++) {
            vec input = vec_set(rows[i / 3][at[i % 3]]);

            UNROLLED
            for (size_t j = 0; j < VEC_TILE_VECS; j++)
                sum[i][j] =
                    vec_multiply_add(input, weights[j], sum[i][j], step);
        }
        panel += PANEL_WIDTH;
    }
#if VEC_STEP == STEP_BYTES
    /* loops without a branch in them, or `sum` leaves the registers */
    if (step == STEP_BYTES) {
        UNROLLED
        for (size_t i = 0; i < n_rows; i++) {
            UNROLLED
            for (size_t j = 0; j < VEC_TILE_VECS; j++)
                sum[i][j] = tile_decode(t, i, j, sum[i][j]);
        }
    }
    if (step == STEP_BYTES && t->adds) {
        UNROLLED
        for (size_t i = 0; i < n_rows; i++) {
            UNROLLED
            for (size_t j = 0; j < VEC_TILE_VECS; j++)
                sum[i][j] = vec_add(sum[i][j], tile_residual(t, i, j));
        }
    }
#endif
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
  tile_run_rows(t, n, step);                                                   \
  break;

ALWAYS_INLINE void tile_switch(const tile *t, size_t n_rows, int step)
{
    LK_ASSERT(n_rows >= 1 && n_rows <= VEC_TILE_ROWS);
    switch (n_rows) {
        TILE_CASE(1)
#if VEC_TILE_ROWS >= 4
        TILE_CASE(2)
        TILE_CASE(3)
        TILE_CASE(4)
#endif
#if VEC_TILE_ROWS >= 6
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

static void linear_tile_run(const tile *t, size_t n_rows)
{
    tile_switch(t, n_rows, VEC_STEP);
}

/* Attention's: never of bytes. */
static void tile_run(const tile *t, size_t n_rows)
{
#if VEC_STEP == STEP_BYTES
    tile_switch(t, n_rows, STEP_FLOAT);
#else
    linear_tile_run(t, n_rows);
#endif
}
