/* The kernels of every tier that this processor has, against sums in double
 * precision over awkward sizes, and against one another bit by bit. Tolerances:
 * a float sum of n products of numbers about 1 errs by at most n * 6e-8 * n / 2
 * in theory and by far less in practice; 1e-5 is 10 times what was seen. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "encoder/kernels.h"

#define TOLERANCE 1e-5

static const char *const ISAS[] = {"scalar", "avx2", "avx512"};

enum { N_ISAS = 3, ROWS_MAX = 20 };

/* The tier's table, or NULL where the processor does not have it. */
static const lk_kernels *tier(size_t i)
{
    const lk_kernels *kernels = NULL;

    if (lk_kernels_choose(ISAS[i], NULL, &kernels, NULL) != LINKD_OK)
        return NULL;
    return kernels;
}

static const char *const BF16_ISAS[] = {"scalar", "avx512_bf16"};

enum { N_BF16_ISAS = 2 };

/* NULL where the processor does not have it. */
static const lk_kernels *bf16_tier(size_t i)
{
    const lk_kernels *kernels = NULL;

    if (lk_kernels_choose(BF16_ISAS[i], "bf16", &kernels, NULL) != LINKD_OK)
        return NULL;
    return kernels;
}

static void check_bf16_tiers(void (*check)(const lk_kernels *kernels))
{
    for (size_t i = 0; i < N_BF16_ISAS; i++)
        if (bf16_tier(i) != NULL)
            check(bf16_tier(i));
}

static const lk_kernels *scalar_tier(void)
{
    const lk_kernels *kernels = tier(0);

    LK_ASSERT(kernels != NULL);
    return kernels;
}

/* ---- numbers ------------------------------------------------------------ */

static uint32_t seed;

/* The next of a fixed sequence of numbers between -1 and 1. */
static float next_number(void)
{
    seed = seed * 1664525U + 1013904223U;
    return (float)(seed >> 8) * 0x1p-23F - 1.0F;
}

static float *floats_new(size_t n)
{
    float *values = lk_alloc_aligned(n, sizeof(*values));

    assert_non_null(values);
    memset(values, 0, n * sizeof(*values));
    return values;
}

/* n_rows rows of `width` numbers, lk_stride(width) apart. */
static float *rows_new(size_t n_rows, size_t width)
{
    float *rows = floats_new(n_rows * lk_stride(width));

    for (size_t i = 0; i < n_rows; i++)
        for (size_t k = 0; k < width; k++)
            rows[i * lk_stride(width) + k] = next_number();
    return rows;
}

static void assert_near(float value, double expected)
{
    if (!(fabs((double)value - expected) <= TOLERANCE))
        fail_msg("%.9g instead of %.9g", (double)value, expected);
}

static void assert_rows_near(const float *rows, const double *expected,
                             size_t n_rows, size_t width)
{
    for (size_t i = 0; i < n_rows; i++)
        for (size_t k = 0; k < width; k++)
            assert_near(rows[i * lk_stride(width) + k],
                        expected[i * width + k]);
}

static void assert_rows_identical(const float *a, const float *b, size_t n_rows,
                                  size_t width)
{
    for (size_t i = 0; i < n_rows; i++)
        assert_memory_equal(a + i * lk_stride(width), b + i * lk_stride(width),
                            width * sizeof(*a));
}

/* ---- references --------------------------------------------------------- */

static double gelu(double x)
{
    return 0.5 * x * (1.0 + erf(x * 0.70710678118654752440));
}

static double gelu_tanh(double x)
{
    return 0.5 * x *
           (1.0 + tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)));
}

static double quick_gelu(double x)
{
    return x / (1.0 + exp(-1.702 * x));
}

static void norm_reference(const lk_norm *norm, double *row)
{
    double mean = 0.0;
    double variance = 0.0;

    for (size_t k = 0; k < norm->width; k++)
        mean += row[k] / (double)norm->width;
    for (size_t k = 0; k < norm->width; k++)
        variance += (row[k] - mean) * (row[k] - mean) / (double)norm->width;
    for (size_t k = 0; k < norm->width; k++)
        row[k] = (row[k] - mean) / sqrt(variance + (double)norm->epsilon) *
                     (double)norm->gamma[k] +
                 (double)norm->beta[k];
}

/* ---- linear layers ------------------------------------------------------ */

typedef struct layer {
    size_t n_in, n_out;
    float *weights; /* [n_out, n_in] */
    float *bias;
    lk_norm norm; /* of width n_out */
    float *gamma, *beta;
    float *x;        /* [ROWS_MAX, n_in] */
    float *residual; /* [ROWS_MAX, n_out] */
    float *scales;   /* of int8's inputs, or NULL */
} layer;

static layer layer_new(size_t n_in, size_t n_out)
{
    layer l = {.n_in = n_in, .n_out = n_out};

    seed = (uint32_t)(n_in * 1000 + n_out);
    l.weights = floats_new(n_in * n_out);
    for (size_t i = 0; i < n_in * n_out; i++)
        l.weights[i] = next_number();
    l.bias = rows_new(1, n_out);
    l.gamma = rows_new(1, n_out);
    l.beta = rows_new(1, n_out);
    l.norm = (lk_norm){
        .width = n_out, .epsilon = 1e-3F, .gamma = l.gamma, .beta = l.beta};
    l.x = rows_new(ROWS_MAX, n_in);
    l.residual = rows_new(ROWS_MAX, n_out);
    return l;
}

static void layer_free(layer *l)
{
    free(l->weights);
    free(l->bias);
    free(l->gamma);
    free(l->beta);
    free(l->x);
    free(l->residual);
    free(l->scales);
}

/* W x + b for each row, in double precision. */
static double *linear_reference(const layer *l, size_t n_rows)
{
    double *y = calloc(n_rows * l->n_out, sizeof(*y));

    assert_non_null(y);
    for (size_t i = 0; i < n_rows; i++)
        for (size_t n = 0; n < l->n_out; n++) {
            double sum = (double)l->bias[n];

            for (size_t k = 0; k < l->n_in; k++)
                sum += (double)l->x[i * lk_stride(l->n_in) + k] *
                       (double)l->weights[n * l->n_in + k];
            y[i * l->n_out + n] = sum;
        }
    return y;
}

static float *panels_new(const lk_kernels *kernels, const layer *l)
{
    const size_t width = kernels->panel_width;
    const size_t n = lk_round_up(l->n_out, width);
    float *rows = floats_new(n * l->n_in);
    const size_t panel_floats = lk_panel_floats(kernels, l->n_in);
    float *panels = floats_new(n / width * panel_floats);

    memcpy(rows, l->weights, l->n_out * l->n_in * sizeof(*rows));
    for (size_t first = 0; first < n; first += width)
        kernels->pack(rows + first * l->n_in, l->n_in,
                      panels + first / width * panel_floats);
    free(rows);
    return panels;
}

/* The activations in the order of the kernels. */
typedef enum kind {
    LINEAR,
    LINEAR_GELU,
    LINEAR_GELU_TANH,
    LINEAR_QUICK_GELU,
    LINEAR_ADD_NORM
} kind;

/* What the tier makes of the layer's first n_rows rows. */
static float *layer_run(const lk_kernels *kernels, const layer *l, kind what,
                        size_t n_rows)
{
    float *panels = panels_new(kernels, l);
    float *y = floats_new(n_rows * lk_stride(l->n_out));
    const lk_linear linear = {.n_in = l->n_in,
                              .n_out = l->n_out,
                              .panels = panels,
                              .bias = l->bias,
                              .input_scales = l->scales};

    float *scratch =
        floats_new(lk_linear_scratch(kernels, l->n_in, n_rows) + 1);

    memcpy(y, l->residual, n_rows * lk_stride(l->n_out) * sizeof(*y));
    if (what == LINEAR)
        kernels->linear(&linear, l->x, n_rows, scratch, y);
    else if (what == LINEAR_ADD_NORM)
        kernels->linear_add_norm(&linear, &l->norm, l->x, n_rows, scratch, y);
    else
        kernels->linear_activate(&linear, (lk_activation)(what - LINEAR_GELU),
                                 l->x, n_rows, scratch, y);
    free(scratch);
    free(panels);
    return y;
}

static double *layer_reference(const layer *l, kind what, size_t n_rows)
{
    double *y = linear_reference(l, n_rows);

    for (size_t i = 0; i < n_rows; i++) {
        double *row = y + i * l->n_out;

        for (size_t n = 0; n < l->n_out; n++) {
            if (what == LINEAR_GELU)
                row[n] = gelu(row[n]);
            if (what == LINEAR_GELU_TANH)
                row[n] = gelu_tanh(row[n]);
            if (what == LINEAR_QUICK_GELU)
                row[n] = quick_gelu(row[n]);
            if (what == LINEAR_ADD_NORM)
                row[n] += (double)l->residual[i * lk_stride(l->n_out) + n];
        }
        if (what == LINEAR_ADD_NORM)
            norm_reference(&l->norm, row);
    }
    return y;
}

/* Odd widths, one panel exactly, one more than a panel, several panels. */
static const size_t SHAPES[][2] = {{1, 1},   {7, 5},   {33, 16},  {64, 64},
                                   {31, 65}, {70, 33}, {100, 130}};

enum { N_SHAPES = sizeof(SHAPES) / sizeof(SHAPES[0]) };

static void check_layers(kind what)
{
    for (size_t shape = 0; shape < N_SHAPES; shape++) {
        layer l = layer_new(SHAPES[shape][0], SHAPES[shape][1]);

        for (size_t n_rows = 1; n_rows <= ROWS_MAX; n_rows++) {
            double *expected = layer_reference(&l, what, n_rows);
            float *scalar = layer_run(scalar_tier(), &l, what, n_rows);

            assert_rows_near(scalar, expected, n_rows, l.n_out);
            for (size_t i = 1; i < N_ISAS; i++) {
                const lk_kernels *kernels = tier(i);
                float *y;

                if (kernels == NULL)
                    continue;
                y = layer_run(kernels, &l, what, n_rows);
                assert_rows_identical(y, scalar, n_rows, l.n_out);
                free(y);
            }
            free(scalar);
            free(expected);
        }
        layer_free(&l);
    }
}

static void a_linear_layer_multiplies_and_adds_its_bias(void **state)
{
    (void)state;
    check_layers(LINEAR);
}

static void a_gelu_layer_is_a_linear_layer_and_gelu(void **state)
{
    (void)state;
    check_layers(LINEAR_GELU);
}

static void a_tanh_gelu_layer_is_a_linear_layer_and_its_gelu(void **state)
{
    (void)state;
    check_layers(LINEAR_GELU_TANH);
}

static void a_quick_gelu_layer_is_a_linear_layer_and_quick_gelu(void **state)
{
    (void)state;
    check_layers(LINEAR_QUICK_GELU);
}

static void an_output_layer_adds_to_the_residual_and_normalises(void **state)
{
    (void)state;
    check_layers(LINEAR_ADD_NORM);
}

static void a_row_does_not_depend_on_the_rows_beside_it(void **state)
{
    layer l = layer_new(70, 33);

    (void)state;
    for (size_t i = 0; i < N_ISAS; i++) {
        const lk_kernels *kernels = tier(i);
        float *all, *one;

        if (kernels == NULL)
            continue;
        all = layer_run(kernels, &l, LINEAR_GELU, ROWS_MAX);
        one = layer_run(kernels, &l, LINEAR_GELU, 1);
        assert_rows_identical(one, all, 1, l.n_out);
        free(all);
        free(one);
    }
    layer_free(&l);
}

/* Goes through GELU alone: a layer of one input whose weight is 1. */
static void gelu_is_exact_to_1e_7_everywhere(void **state)
{
    enum { N_STEPS = 4001 };
    const float weight[LK_STRIDE_UNIT] = {1.0F};
    float *bias = floats_new(LK_STRIDE_UNIT);
    float *x = floats_new(N_STEPS * LK_STRIDE_UNIT);
    float *y = floats_new(N_STEPS * LK_STRIDE_UNIT);
    const lk_linear linear = {
        .n_in = 1, .n_out = 1, .panels = weight, .bias = bias};

    (void)state;
    for (size_t i = 0; i < N_STEPS; i++)
        x[i * LK_STRIDE_UNIT] = ((float)i - 2000.0F) * 0.005F;
    for (size_t i = 0; i < N_ISAS; i++) {
        const lk_kernels *kernels = tier(i);

        if (kernels == NULL)
            continue;
        kernels->linear_activate(&linear, LK_ACTIVATION_GELU, x, N_STEPS, NULL,
                                 y);
        for (size_t j = 0; j < N_STEPS; j++) {
            double input = (double)x[j * LK_STRIDE_UNIT];
            double off = fabs((double)y[j * LK_STRIDE_UNIT] - gelu(input));

            /* 4e-8, and one rounding of the result */
            assert_true(off <= 5e-8 + fabs(input) * 6e-8);
        }
    }
    free(bias);
    free(x);
    free(y);
}

static void check_from_200_below_to_200_above(lk_activation activation,
                                              double (*wanted)(double))
{
    enum { N_STEPS = 4001 };
    const float weight[LK_STRIDE_UNIT] = {1.0F};
    float *bias = floats_new(LK_STRIDE_UNIT);
    float *x = floats_new(N_STEPS * LK_STRIDE_UNIT);
    float *y = floats_new(N_STEPS * LK_STRIDE_UNIT);
    const lk_linear linear = {
        .n_in = 1, .n_out = 1, .panels = weight, .bias = bias};

    for (size_t i = 0; i < N_STEPS; i++) /* from -200 to 200, dense around 0 */
        x[i * LK_STRIDE_UNIT] = powf(((float)i - 2000.0F) / 342.0F, 3.0F);
    for (size_t i = 0; i < N_ISAS; i++) {
        const lk_kernels *kernels = tier(i);

        if (kernels == NULL)
            continue;
        kernels->linear_activate(&linear, activation, x, N_STEPS, NULL, y);
        for (size_t j = 0; j < N_STEPS; j++) {
            const double input = (double)x[j * LK_STRIDE_UNIT];
            const double off =
                fabs((double)y[j * LK_STRIDE_UNIT] - wanted(input));

            assert_true(off <= 1e-6 + 1e-7 * fabs(input));
        }
    }
    free(bias);
    free(x);
    free(y);
}

static void
tanh_and_quick_gelu_are_exact_to_1e_6_from_200_below_to_200_above(void **state)
{
    (void)state;
    check_from_200_below_to_200_above(LK_ACTIVATION_GELU_TANH, gelu_tanh);
    check_from_200_below_to_200_above(LK_ACTIVATION_QUICK_GELU, quick_gelu);
}

static void gelu_of_huge_numbers_is_themselves_or_zero(void **state)
{
    const float weight[LK_STRIDE_UNIT] = {1.0F};
    float *bias = floats_new(LK_STRIDE_UNIT);
    float *x = floats_new(2 * LK_STRIDE_UNIT);
    float *y = floats_new(2 * LK_STRIDE_UNIT);
    const lk_linear linear = {
        .n_in = 1, .n_out = 1, .panels = weight, .bias = bias};

    (void)state;
    x[0] = 1e6F;
    x[LK_STRIDE_UNIT] = -1e6F;
    for (size_t i = 0; i < N_ISAS; i++) {
        const lk_kernels *kernels = tier(i);

        if (kernels == NULL)
            continue;
        kernels->linear_activate(&linear, LK_ACTIVATION_GELU, x, 2, NULL, y);
        assert_true(y[0] == 1e6F);
        assert_true(fabsf(y[LK_STRIDE_UNIT]) < 1e-8F);
    }
    free(bias);
    free(x);
    free(y);
}

static void adding_and_normalising_matches_the_definition(void **state)
{
    static const size_t widths[] = {1, 5, 16, 17, 64, 130};

    (void)state;
    for (size_t w = 0; w < sizeof(widths) / sizeof(widths[0]); w++) {
        layer l = layer_new(widths[w], widths[w]);
        const size_t stride = lk_stride(l.n_out);

        for (size_t i = 0; i < N_ISAS; i++) {
            const lk_kernels *kernels = tier(i);
            float *y;

            if (kernels == NULL)
                continue;
            y = floats_new(ROWS_MAX * stride);
            memcpy(y, l.residual, ROWS_MAX * stride * sizeof(*y));
            kernels->add_norm(&l.norm, l.x, ROWS_MAX, y);
            for (size_t row = 0; row < ROWS_MAX; row++) {
                double expected[130];

                for (size_t k = 0; k < l.n_out; k++)
                    expected[k] = (double)l.residual[row * stride + k] +
                                  (double)l.x[row * stride + k];
                norm_reference(&l.norm, expected);
                for (size_t k = 0; k < l.n_out; k++)
                    assert_near(y[row * stride + k], expected[k]);
            }
            free(y);
        }
        layer_free(&l);
    }
}

/* ---- attention ---------------------------------------------------------- */

/* softmax(q k) v for one head; queries carry the scale and log2(e). */
static void attention_reference(const float *qkv, const lk_heads *heads,
                                size_t head, size_t n, size_t n_queries,
                                double *ret_context)
{
    const size_t width = heads->n_heads * heads->head_dim;
    const size_t stride = lk_stride(3 * width);
    const float *q = qkv + head * heads->head_dim;

    for (size_t i = 0; i < n_queries; i++) {
        double *out = ret_context + i * width + head * heads->head_dim;
        double total = 0.0;

        memset(out, 0, heads->head_dim * sizeof(*out));
        for (size_t j = 0; j < n; j++) {
            const float *key = q + width + j * stride;
            double score = 0.0;

            if (heads->window > 0 && (j > i ? j - i : i - j) > heads->window)
                continue;

            for (size_t k = 0; k < heads->head_dim; k++)
                score += (double)q[i * stride + k] * (double)key[k];
            if (heads->biases != NULL)
                score += (double)heads->biases[(head * n + i) * n + j];
            if (heads->mask != NULL)
                score += (double)heads->mask[i * n + j];
            score = exp2(score);
            total += score;
            for (size_t k = 0; k < heads->head_dim; k++)
                out[k] += score * (double)key[width + k];
        }
        for (size_t k = 0; k < heads->head_dim; k++)
            out[k] /= total;
    }
}

static float *attention_run(const lk_kernels *kernels, const lk_heads *heads,
                            const float *qkv, size_t n)
{
    const size_t width = heads->n_heads * heads->head_dim;
    float *scratch = floats_new(lk_attention_scratch(kernels, heads, n));
    float *context = floats_new(n * lk_stride(width));

    kernels->attention(heads, qkv, n, n, scratch, context);
    free(scratch);
    return context;
}

static const size_t ATTENTIONS[][4] = {
    /* heads, head_dim, tokens, window */
    {1, 1, 1, 0},     {1, 3, 2, 0},    {2, 5, 7, 0},    {3, 16, 15, 0},
    {2, 26, 33, 0},   {2, 32, 64, 0},  {2, 33, 65, 0},  {1, 64, 130, 0},
    {2, 5, 7, 1},     {1, 16, 200, 1}, {2, 26, 33, 40}, {2, 32, 64, 5},
    {1, 64, 300, 64}, {3, 7, 9, 0},    {16, 4, 5, 0}}; /* rows without an end */

enum { N_ATTENTIONS = sizeof(ATTENTIONS) / sizeof(ATTENTIONS[0]) };

static lk_heads attention_heads(size_t i)
{
    return (lk_heads){.n_heads = ATTENTIONS[i][0],
                      .head_dim = ATTENTIONS[i][1],
                      .window = ATTENTIONS[i][3]};
}

static void attention_matches_the_definition_in_every_tier(void **state)
{
    (void)state;
    for (size_t c = 0; c < N_ATTENTIONS; c++) {
        const lk_heads heads = attention_heads(c);
        const size_t width = heads.n_heads * heads.head_dim;
        const size_t n = ATTENTIONS[c][2];
        double *expected = calloc(n * width, sizeof(*expected));
        float *qkv, *scalar;

        seed = (uint32_t)c;
        qkv = rows_new(n, 3 * width);
        assert_non_null(expected);
        for (size_t head = 0; head < heads.n_heads; head++)
            attention_reference(qkv, &heads, head, n, n, expected);
        scalar = attention_run(scalar_tier(), &heads, qkv, n);
        assert_rows_near(scalar, expected, n, width);
        for (size_t i = 1; i < N_ISAS; i++) {
            const lk_kernels *kernels = tier(i);
            float *context;

            if (kernels == NULL)
                continue;
            context = attention_run(kernels, &heads, qkv, n);
            assert_rows_identical(context, scalar, n, width);
            free(context);
        }
        free(scalar);
        free(qkv);
        free(expected);
    }
}

/* As in a window of Swin: every head has biases of its own, and the mask parts
 * the first tokens from the last ones. */
static void biases_and_a_mask_are_added_in_every_tier(void **state)
{
    enum { N_HEADS = 3, DIM = 10, N = 49, PARTED = 28 };
    float biases[N_HEADS * N * N], mask[N * N];
    const lk_heads heads = {
        .n_heads = N_HEADS, .head_dim = DIM, .biases = biases, .mask = mask};
    double expected[N * N_HEADS * DIM];
    float *qkv;

    (void)state;
    seed = 7;
    qkv = rows_new(N, 3 * N_HEADS * DIM);
    for (size_t i = 0; i < N_HEADS * N * N; i++)
        biases[i] = 4.0F * next_number();
    for (size_t i = 0; i < N * N; i++)
        mask[i] = (i / N < PARTED) == (i % N < PARTED) ? 0.0F : -144.0F;
    for (size_t head = 0; head < N_HEADS; head++)
        attention_reference(qkv, &heads, head, N, N, expected);
    for (size_t i = 0; i < N_ISAS; i++) {
        const lk_kernels *kernels = tier(i);
        float *context, *scalar;

        if (kernels == NULL)
            continue;
        context = attention_run(kernels, &heads, qkv, N);
        scalar = attention_run(scalar_tier(), &heads, qkv, N);
        assert_rows_near(context, expected, N, N_HEADS * DIM);
        assert_rows_identical(context, scalar, N, N_HEADS * DIM);
        free(scalar);
        free(context);
    }
    free(qkv);
}

static void check_first_queries(const lk_kernels *kernels)
{
    enum { N = 200, N_QUERIES = 3 };
    const size_t stride = lk_stride(52);
    float *qkv;

    seed = 1;
    qkv = rows_new(N, 3 * 52);
    for (size_t i = 0; i < 2; i++) {
        /* with other rows in its tile, a row's window begins elsewhere */
        const lk_heads heads = {.n_heads = 2, .head_dim = 26, .window = i * 70};
        float *all, *scratch, *first;

        all = attention_run(kernels, &heads, qkv, N);
        scratch = floats_new(lk_attention_scratch(kernels, &heads, N));
        first = floats_new((N_QUERIES + 1) * stride);
        kernels->attention(&heads, qkv, N, N_QUERIES, scratch, first);
        assert_rows_identical(first, all, N_QUERIES, 52);
        for (size_t k = 0; k < stride; k++)
            assert_true(first[N_QUERIES * stride + k] == 0.0F);
        free(first);
        free(scratch);
        free(all);
    }
    free(qkv);
}

/* What CLS pooling asks of the last layer. */
static void the_first_tokens_alone_take_the_same_from_all(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ISAS; i++)
        if (tier(i) != NULL)
            check_first_queries(tier(i));
    check_bf16_tiers(check_first_queries);
}

/* What is kept of a tile of queries grows with the tokens, not with their square:
 * 8,192 take 2 MB with this narrow head. */
static void attention_takes_8192_tokens_in_little_memory(void **state)
{
    enum { N = 8192, N_QUERIES = 20, DIM = 8 };
    const lk_heads heads = {.n_heads = 1, .head_dim = DIM};
    const size_t stride = lk_stride(DIM);
    double expected[N_QUERIES * DIM];
    float *qkv;

    (void)state;
    seed = 1;
    qkv = rows_new(N, 3 * DIM);
    attention_reference(qkv, &heads, 0, N, N_QUERIES, expected);
    for (size_t i = 0; i < N_ISAS; i++) {
        const lk_kernels *kernels = tier(i);
        float *scratch, *context;
        size_t n_floats;

        if (kernels == NULL)
            continue;
        n_floats = lk_attention_scratch(kernels, &heads, N);
        assert_true(n_floats * sizeof(float) <= (size_t)2 << 20);
        scratch = floats_new(n_floats);
        context = floats_new(N_QUERIES * stride);
        kernels->attention(&heads, qkv, N, N_QUERIES, scratch, context);
        assert_rows_near(context, expected, N_QUERIES, DIM);
        free(scratch);
        free(context);
    }
    free(qkv);
}

/* Without the subtraction of the largest score, 2^500 would overflow. */
static void attention_survives_large_scores(void **state)
{
    const lk_heads heads = {.n_heads = 1, .head_dim = 1};
    float *qkv = floats_new(2 * LK_STRIDE_UNIT);

    (void)state;
    for (size_t i = 0; i < 2; i++)
        qkv[i * LK_STRIDE_UNIT] = 500.0F; /* query */
    qkv[1] = 1.0F;                        /* the first key wins */
    qkv[LK_STRIDE_UNIT + 1] = -1.0F;
    qkv[2] = 3.0F; /* values */
    qkv[LK_STRIDE_UNIT + 2] = 7.0F;
    for (size_t i = 0; i < N_ISAS; i++) {
        const lk_kernels *kernels = tier(i);
        float *context;

        if (kernels == NULL)
            continue;
        context = attention_run(kernels, &heads, qkv, 2);
        assert_true(context[0] == 3.0F);
        assert_true(context[LK_STRIDE_UNIT] == 3.0F);
        free(context);
    }
    free(qkv);
}

/* ---- pooling ------------------------------------------------------------ */

static void pooling_gives_the_direction_of_the_mean(void **state)
{
    static const size_t widths[] = {1, 5, 16, 17, 64, 130};

    (void)state;
    for (size_t w = 0; w < sizeof(widths) / sizeof(widths[0]); w++) {
        const size_t width = widths[w];
        float *x = rows_new(ROWS_MAX, width);
        float *scalar = floats_new(lk_stride(width));
        float *other = floats_new(lk_stride(width));
        double sums[130] = {0};
        double norm = 0.0;

        for (size_t k = 0; k < width; k++) {
            for (size_t i = 0; i < ROWS_MAX; i++)
                sums[k] += (double)x[i * lk_stride(width) + k];
            norm += sums[k] * sums[k];
        }
        scalar_tier()->pool(x, ROWS_MAX, width, scalar);
        for (size_t k = 0; k < width; k++)
            assert_near(scalar[k], sums[k] / sqrt(norm));
        for (size_t i = 1; i < N_ISAS; i++) {
            const lk_kernels *kernels = tier(i);

            if (kernels == NULL)
                continue;
            kernels->pool(x, ROWS_MAX, width, other);
            assert_rows_identical(other, scalar, 1, width);
        }
        free(x);
        free(scalar);
        free(other);
    }
}

static void pooling_a_zero_vector_gives_zero(void **state)
{
    float *x = floats_new(LK_STRIDE_UNIT);
    float *vector = floats_new(LK_STRIDE_UNIT);

    (void)state;
    scalar_tier()->pool(x, 1, 5, vector);
    for (size_t k = 0; k < 5; k++)
        assert_true(vector[k] == 0.0F);
    free(x);
    free(vector);
}

/* ---- bf16 --------------------------------------------------------------- */

static float bf16_round(float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof(bits));
    bits = (bits + 0x7FFFU + (bits >> 16 & 1U)) & 0xFFFF0000U;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* Of inputs and weights that are bf16 already nothing is lost, so that the
 * result is that of exact products. What lies past a row of odd width must not
 * matter, and is not a number here. */
static void check_bf16_layers(const lk_kernels *kernels)
{
    for (size_t shape = 0; shape < N_SHAPES; shape++) {
        layer l = layer_new(SHAPES[shape][0], SHAPES[shape][1]);
        const size_t stride = lk_stride(l.n_in);

        for (size_t i = 0; i < l.n_in * l.n_out; i++)
            l.weights[i] = bf16_round(l.weights[i]);
        for (size_t i = 0; i < ROWS_MAX * stride; i++)
            l.x[i] = i % stride < l.n_in ? bf16_round(l.x[i]) : NAN;
        for (size_t n_rows = 1; n_rows <= ROWS_MAX; n_rows++)
            for (kind what = LINEAR; what <= LINEAR_ADD_NORM; what++) {
                double *expected = layer_reference(&l, what, n_rows);
                float *y = layer_run(kernels, &l, what, n_rows);

                assert_rows_near(y, expected, n_rows, l.n_out);
                free(y);
                free(expected);
            }
        layer_free(&l);
    }
}

static void bf16_layers_multiply_what_was_rounded(void **state)
{
    (void)state;
    check_bf16_tiers(check_bf16_layers);
}

static void check_bf16_rounding(const lk_kernels *kernels)
{
    layer l = layer_new(33, 16);
    layer rounded = layer_new(33, 16);
    float *y, *z;

    for (size_t i = 0; i < l.n_in * l.n_out; i++)
        rounded.weights[i] = bf16_round(l.weights[i]);
    for (size_t i = 0; i < ROWS_MAX * lk_stride(l.n_in); i++)
        rounded.x[i] = bf16_round(l.x[i]);
    y = layer_run(kernels, &l, LINEAR, ROWS_MAX);
    z = layer_run(kernels, &rounded, LINEAR, ROWS_MAX);
    assert_rows_identical(y, z, ROWS_MAX, l.n_out);
    free(z);
    free(y);
    layer_free(&rounded);
    layer_free(&l);
}

static void bf16_rounds_to_the_nearest_of_8_bits(void **state)
{
    (void)state;
    check_bf16_tiers(check_bf16_rounding);
}

static void all_round(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = bf16_round(x[i]);
}

/* Queries, keys and values are rounded, and so is what weighs the values, each by
 * 1/512 of it at most: no answer is off by more than that of the largest value. */
static void check_bf16_attention(const lk_kernels *kernels)
{
    for (size_t c = 0; c < N_ATTENTIONS; c++) {
        const lk_heads heads = attention_heads(c);
        const size_t width = heads.n_heads * heads.head_dim;
        const size_t n = ATTENTIONS[c][2];
        double *expected = calloc(n * width, sizeof(*expected));
        float *qkv, *context, *rounded;

        seed = (uint32_t)c;
        qkv = rows_new(n, 3 * width);
        assert_non_null(expected);
        context = attention_run(kernels, &heads, qkv, n);
        all_round(qkv, n * lk_stride(3 * width));
        rounded = attention_run(kernels, &heads, qkv, n);
        assert_rows_identical(context, rounded, n, width);
        for (size_t head = 0; head < heads.n_heads; head++)
            attention_reference(qkv, &heads, head, n, n, expected);
        for (size_t i = 0; i < n * width; i++)
            assert_true(
                fabs((double)context[i / width * lk_stride(width) + i % width] -
                     expected[i]) <= 1.0 / 500.0);
        free(rounded);
        free(context);
        free(qkv);
        free(expected);
    }
}

static void bf16_attention_multiplies_what_was_rounded(void **state)
{
    (void)state;
    check_bf16_tiers(check_bf16_attention);
}

static void bf16_layers_agree_in_every_tier(void **state)
{
    (void)state;
    if (bf16_tier(1) == NULL)
        skip();
    for (size_t shape = 0; shape < N_SHAPES; shape++) {
        layer l = layer_new(SHAPES[shape][0], SHAPES[shape][1]);

        for (kind what = LINEAR; what <= LINEAR_ADD_NORM; what++) {
            float *scalar = layer_run(bf16_tier(0), &l, what, ROWS_MAX);
            float *y = layer_run(bf16_tier(1), &l, what, ROWS_MAX);

            assert_rows_identical(y, scalar, ROWS_MAX, l.n_out);
            free(y);
            free(scalar);
        }
        layer_free(&l);
    }
}

static void bf16_attention_agrees_in_every_tier(void **state)
{
    (void)state;
    if (bf16_tier(1) == NULL)
        skip();
    for (size_t c = 0; c < N_ATTENTIONS; c++) {
        const lk_heads heads = attention_heads(c);
        const size_t width = heads.n_heads * heads.head_dim;
        const size_t n = ATTENTIONS[c][2];
        float *qkv, *scalar, *context;

        seed = (uint32_t)c;
        qkv = rows_new(n, 3 * width);
        scalar = attention_run(bf16_tier(0), &heads, qkv, n);
        context = attention_run(bf16_tier(1), &heads, qkv, n);
        assert_rows_identical(context, scalar, n, width);
        free(context);
        free(scalar);
        free(qkv);
    }
}

/* A block and more, so that rows are rounded in two goes. */
static void check_rows_alone(const lk_kernels *kernels)
{
    enum { MANY = 150 };
    layer l = layer_new(70, 33);
    float *many = rows_new(MANY, l.n_in);
    float *one = l.x;
    float *all;

    l.x = many;
    free(l.residual);
    l.residual = rows_new(MANY, l.n_out);
    all = layer_run(kernels, &l, LINEAR, MANY);
    for (size_t i = 0; i < MANY; i++) {
        float *alone;

        l.x = many + i * lk_stride(l.n_in);
        alone = layer_run(kernels, &l, LINEAR, 1);
        assert_rows_identical(all + i * lk_stride(l.n_out), alone, 1, l.n_out);
        free(alone);
    }
    l.x = one;
    free(all);
    free(many);
    layer_free(&l);
}

static void a_bf16_row_does_not_depend_on_its_batch(void **state)
{
    (void)state;
    check_bf16_tiers(check_rows_alone);
}

/* ---- int8 --------------------------------------------------------------- */

static const char *const INT8_ISAS[] = {"scalar", "avx2", "avx_vnni",
                                        "avx512_vnni"};

enum { N_INT8_ISAS = 4 };

static const lk_kernels *int8_tier(size_t i)
{
    const lk_kernels *kernels = NULL;

    if (lk_kernels_choose(INT8_ISAS[i], "int8", &kernels, NULL) != LINKD_OK)
        return NULL;
    return kernels;
}

/* Numbers that are bytes already: weights with 127 among them have the scale 1,
 * and so has a row from -100 to 154. What lies past the row must not matter, and
 * is not a number here. */
static layer byte_layer_new(size_t n_in, size_t n_out)
{
    layer l = layer_new(n_in, n_out);
    const size_t stride = lk_stride(n_in);

    for (size_t i = 0; i < n_in * n_out; i++)
        l.weights[i] = i % n_in == 0 ? 127.0F : rintf(l.weights[i] * 127.0F);
    for (size_t i = 0; i < ROWS_MAX * stride; i++) {
        float value = rintf(l.x[i] * 100.0F);

        if (i % stride == 0)
            value = 154.0F;
        else if (i % stride + 1 == n_in)
            value = -100.0F;
        l.x[i] = i % stride < n_in ? value : NAN;
    }
    return l;
}

/* Such widths are mixed before they are rounded. */
static bool is_mixed(size_t n_in)
{
    return n_in % 64 == 0;
}

/* All products and sums are integers below 2^24, so nothing may be lost. */
static void int8_layers_multiply_bytes_exactly(void **state)
{
    (void)state;
    for (size_t shape = 1; shape < N_SHAPES; shape++) {
        layer l;
        double *expected;

        if (is_mixed(SHAPES[shape][0]))
            continue;
        l = byte_layer_new(SHAPES[shape][0], SHAPES[shape][1]);
        expected = layer_reference(&l, LINEAR, ROWS_MAX);

        for (size_t i = 0; i < N_INT8_ISAS; i++) {
            const lk_kernels *kernels = int8_tier(i);
            float *y;

            if (kernels == NULL)
                continue;
            y = layer_run(kernels, &l, LINEAR, ROWS_MAX);
            for (size_t row = 0; row < ROWS_MAX; row++)
                for (size_t n = 0; n < l.n_out; n++)
                    assert_true(y[row * lk_stride(l.n_out) + n] ==
                                (float)expected[row * l.n_out + n]);
            free(y);
        }
        free(expected);
        layer_free(&l);
    }
}

/* The root of the mean square of what a layer's outputs are off. */
static double int8_error(const layer *l)
{
    double *expected = layer_reference(l, LINEAR, ROWS_MAX);
    float *y = layer_run(int8_tier(0), l, LINEAR, ROWS_MAX);
    double squares = 0.0;

    for (size_t row = 0; row < ROWS_MAX; row++)
        for (size_t n = 0; n < l->n_out; n++) {
            double off = (double)y[row * lk_stride(l->n_out) + n] -
                         expected[row * l->n_out + n];

            squares += off * off / (double)(ROWS_MAX * l->n_out);
        }
    free(y);
    free(expected);
    return sqrt(squares);
}

/* Half a step of 1/127 in each weight and of 2/254 in each input, both about 1:
 * in 100 products of errors that are as often above as below. */
static void int8_layers_are_near_what_f32_says(void **state)
{
    layer l = layer_new(100, 130);
    const double error = int8_error(&l);

    (void)state;
    /* sqrt(100 * 2) * 1/127 / sqrt(12) / sqrt(3) */
    assert_true(error < 1.1 * 0.0186);
    assert_true(error > 0.9 * 0.0186);
    layer_free(&l);
}

/* What a layer of numbers between -1 and 1 is off if the inputs, or the weights,
 * are rounded to steps of that size. */
static double error_of_step(size_t n_in, double step)
{
    return sqrt((double)n_in / 3.0) * step / sqrt(12.0);
}

/* Widths, and how many numbers an outlier becomes there. */
static const size_t MIXED[][2] = {{192, 4}, {384, 8}, {256, 16}, {768, 16}};

enum { N_MIXED = sizeof(MIXED) / sizeof(MIXED[0]) };

/* Two inputs a hundred times the others: as they are, steps would be of 200/254.
 * Weights err by half a step, too, which makes 0.6 of those inputs. */
static void int8_spreads_inputs_that_are_far_above_the_others(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_MIXED; i++) {
        const size_t n_in = MIXED[i][0];
        layer l = layer_new(n_in, 130);

        for (size_t row = 0; row < ROWS_MAX; row++) {
            l.x[row * lk_stride(n_in) + 5] = 100.0F;
            l.x[row * lk_stride(n_in) + n_in - 7] = -100.0F;
        }
        for (size_t n = 0; n < l.n_out; n++) {
            l.weights[n * n_in + 5] = 0.0F;
            l.weights[n * n_in + n_in - 7] = 0.0F;
        }
        assert_true(int8_error(&l) < 0.6 + error_of_step(n_in, 200.0 / 254) /
                                               sqrt((double)MIXED[i][1]));
        layer_free(&l);
    }
}

/* One weight of each output a hundred times the others; of which its input's error
 * makes 0.5. */
static void int8_spreads_weights_that_are_far_above_the_others(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_MIXED; i++) {
        const size_t n_in = MIXED[i][0];
        layer l = layer_new(n_in, 130);

        for (size_t row = 0; row < ROWS_MAX; row++)
            l.x[row * lk_stride(n_in) + 5] = 0.0F;
        for (size_t n = 0; n < l.n_out; n++)
            l.weights[n * n_in + 5] = 100.0F;
        assert_true(int8_error(&l) < 0.5 + error_of_step(n_in, 100.0 / 127) /
                                               sqrt((double)MIXED[i][1]));
        layer_free(&l);
    }
}

static void check_int8_agrees(size_t n_in, size_t n_out)
{
    layer l = layer_new(n_in, n_out);

    for (size_t n_rows = 1; n_rows <= ROWS_MAX; n_rows++)
        for (kind what = LINEAR; what <= LINEAR_ADD_NORM; what++) {
            float *scalar = layer_run(int8_tier(0), &l, what, n_rows);

            for (size_t i = 1; i < N_INT8_ISAS; i++) {
                const lk_kernels *kernels = int8_tier(i);
                float *y;

                if (kernels == NULL)
                    continue;
                y = layer_run(kernels, &l, what, n_rows);
                assert_rows_identical(y, scalar, n_rows, l.n_out);
                free(y);
            }
            free(scalar);
        }
    layer_free(&l);
}

static void int8_layers_agree_in_every_tier(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_SHAPES; i++)
        check_int8_agrees(SHAPES[i][0], SHAPES[i][1]);
    for (size_t i = 0; i < N_MIXED; i++)
        check_int8_agrees(MIXED[i][0], 33);
}

/* Neither a row of zeros nor an output of zero weights has a range to divide
 * by. */
static void int8_of_zeros_is_the_bias(void **state)
{
    layer l = layer_new(33, 16);

    (void)state;
    memset(l.x, 0, lk_stride(l.n_in) * sizeof(*l.x));
    memset(l.weights, 0, l.n_in * sizeof(*l.weights));
    for (size_t i = 0; i < N_INT8_ISAS; i++) {
        const lk_kernels *kernels = int8_tier(i);
        float *y;

        if (kernels == NULL)
            continue;
        y = layer_run(kernels, &l, LINEAR, ROWS_MAX);
        assert_rows_identical(y, l.bias, 1, l.n_out);
        for (size_t row = 0; row < ROWS_MAX; row++)
            assert_true(y[row * lk_stride(l.n_out)] == l.bias[0]);
        free(y);
    }
    layer_free(&l);
}

/* Inputs that were divided by powers of two, and are multiplied by them. */
static void int8_scales_its_inputs_in_every_tier(void **state)
{
    (void)state;
    for (size_t shape = 1; shape < N_SHAPES; shape++) {
        layer l = byte_layer_new(SHAPES[shape][0], SHAPES[shape][1]);
        const size_t stride = lk_stride(l.n_in);

        for (size_t i = 0; i < N_INT8_ISAS; i++) {
            const lk_kernels *kernels = int8_tier(i);
            layer scaled = byte_layer_new(l.n_in, l.n_out);
            float *y, *z;

            if (kernels == NULL) {
                layer_free(&scaled);
                continue;
            }
            scaled.scales = floats_new(stride);
            for (size_t k = 0; k < stride; k++)
                scaled.scales[k] = k % 3 == 0 ? 4.0F : 0.5F;
            for (size_t k = 0; k < ROWS_MAX * stride; k++)
                scaled.x[k] /= scaled.scales[k % stride];
            y = layer_run(kernels, &l, LINEAR, ROWS_MAX);
            z = layer_run(kernels, &scaled, LINEAR, ROWS_MAX);
            assert_rows_identical(y, z, ROWS_MAX, l.n_out);
            free(y);
            free(z);
            layer_free(&scaled);
        }
        layer_free(&l);
    }
}

/* A row of one input is exact in bytes, so GELU's own error is seen. */
static void check_int8_activation(kind what, double (*wanted)(double),
                                  double most)
{
    enum { N_STEPS = 4001 };
    layer l = layer_new(1, 1);

    l.weights[0] = 1.0F;
    l.bias[0] = 0.0F;
    for (size_t i = 0; i < N_INT8_ISAS; i++) {
        const lk_kernels *kernels = int8_tier(i);

        for (size_t j = 0; j < N_STEPS && kernels != NULL; j++) {
            float *y;

            l.x[0] = ((float)j - 2000.0F) * 0.005F;
            y = layer_run(kernels, &l, what, 1);
            assert_true(fabs((double)y[0] - wanted((double)l.x[0])) < most);
            free(y);
        }
    }
    layer_free(&l);
}

static void int8_activations_are_near_everywhere(void **state)
{
    (void)state;
    check_int8_activation(LINEAR_GELU, gelu, 2e-4);
    check_int8_activation(LINEAR_GELU_TANH, gelu_tanh, 2e-6);
    check_int8_activation(LINEAR_QUICK_GELU, quick_gelu, 2e-6);
}

static void an_int8_row_does_not_depend_on_its_batch(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_INT8_ISAS; i++)
        if (int8_tier(i) != NULL)
            check_rows_alone(int8_tier(i));
}

/* ---- choice ------------------------------------------------------------- */

static void an_unknown_instruction_set_is_refused_by_name(void **state)
{
    const lk_kernels *kernels = NULL;
    linkd_error err = {0};

    (void)state;
    assert_int_equal(lk_kernels_choose("mmx", NULL, &kernels, &err),
                     LINKD_E_ARG);
    assert_string_equal(err.message,
                        "unknown instruction set \"mmx\" in LINKD_ISA: scalar, "
                        "avx2, avx_vnni, avx512, avx512_bf16 and "
                        "avx512_vnni are known");
    assert_int_equal(lk_kernels_choose(NULL, "f16", &kernels, &err),
                     LINKD_E_ARG);
    assert_string_equal(err.message,
                        "unknown precision \"f16\": f32, bf16 and int8 are "
                        "known");
    assert_int_equal(lk_kernels_choose("avx2", "bf16", &kernels, &err),
                     LINKD_E_ARG);
    assert_string_equal(err.message, "avx2, which LINKD_ISA asks for, has no "
                                     "precision bf16");
    assert_int_equal(lk_kernels_choose("avx_vnni", NULL, &kernels, &err),
                     LINKD_E_ARG);
    assert_string_equal(err.message, "avx_vnni, which LINKD_ISA asks for, has "
                                     "no precision f32 or bf16");
    assert_null(kernels);
}

static void the_fastest_tier_is_chosen_without_a_name(void **state)
{
    const lk_kernels *best = NULL;
    size_t i = N_ISAS;

    (void)state;
    while (tier(i - 1) == NULL)
        i--;
    assert_int_equal(lk_kernels_choose(NULL, "f32", &best, NULL), LINKD_OK);
    assert_string_equal(best->isa, ISAS[i - 1]);
    assert_int_equal(lk_kernels_choose(NULL, NULL, &best, NULL), LINKD_OK);
    assert_string_equal(best->precision, bf16_tier(1) != NULL ? "bf16" : "f32");
    i = N_INT8_ISAS;
    while (int8_tier(i - 1) == NULL)
        i--;
    assert_int_equal(lk_kernels_choose(NULL, "int8", &best, NULL), LINKD_OK);
    assert_string_equal(best->isa, INT8_ISAS[i - 1]);
}

/* Plain C is a reference for all precisions, but whoever asks for bf16 wants it
 * to be fast. */
static void plain_c_has_every_precision_but_bf16_only_by_its_name(void **state)
{
    static const char *const precisions[] = {"f32", "bf16", "int8"};
    const lk_kernels *kernels = NULL;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(
            lk_kernels_choose("scalar", precisions[i], &kernels, NULL),
            LINKD_OK);
        assert_string_equal(kernels->isa, "scalar");
        assert_string_equal(kernels->precision, precisions[i]);
    }
    assert_int_equal(lk_kernels_choose("scalar", NULL, &kernels, NULL),
                     LINKD_OK);
    assert_string_equal(kernels->precision, "f32");
    if (lk_kernels_choose(NULL, "bf16", &kernels, NULL) == LINKD_OK)
        assert_string_equal(kernels->isa, "avx512_bf16");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_linear_layer_multiplies_and_adds_its_bias),
        cmocka_unit_test(a_gelu_layer_is_a_linear_layer_and_gelu),
        cmocka_unit_test(a_tanh_gelu_layer_is_a_linear_layer_and_its_gelu),
        cmocka_unit_test(a_quick_gelu_layer_is_a_linear_layer_and_quick_gelu),
        cmocka_unit_test(
            tanh_and_quick_gelu_are_exact_to_1e_6_from_200_below_to_200_above),
        cmocka_unit_test(an_output_layer_adds_to_the_residual_and_normalises),
        cmocka_unit_test(a_row_does_not_depend_on_the_rows_beside_it),
        cmocka_unit_test(gelu_is_exact_to_1e_7_everywhere),
        cmocka_unit_test(gelu_of_huge_numbers_is_themselves_or_zero),
        cmocka_unit_test(adding_and_normalising_matches_the_definition),
        cmocka_unit_test(attention_matches_the_definition_in_every_tier),
        cmocka_unit_test(biases_and_a_mask_are_added_in_every_tier),
        cmocka_unit_test(the_first_tokens_alone_take_the_same_from_all),
        cmocka_unit_test(attention_takes_8192_tokens_in_little_memory),
        cmocka_unit_test(attention_survives_large_scores),
        cmocka_unit_test(pooling_gives_the_direction_of_the_mean),
        cmocka_unit_test(pooling_a_zero_vector_gives_zero),
        cmocka_unit_test(bf16_layers_multiply_what_was_rounded),
        cmocka_unit_test(bf16_rounds_to_the_nearest_of_8_bits),
        cmocka_unit_test(bf16_attention_multiplies_what_was_rounded),
        cmocka_unit_test(bf16_layers_agree_in_every_tier),
        cmocka_unit_test(bf16_attention_agrees_in_every_tier),
        cmocka_unit_test(a_bf16_row_does_not_depend_on_its_batch),
        cmocka_unit_test(int8_layers_multiply_bytes_exactly),
        cmocka_unit_test(int8_layers_are_near_what_f32_says),
        cmocka_unit_test(int8_spreads_inputs_that_are_far_above_the_others),
        cmocka_unit_test(int8_spreads_weights_that_are_far_above_the_others),
        cmocka_unit_test(int8_layers_agree_in_every_tier),
        cmocka_unit_test(int8_of_zeros_is_the_bias),
        cmocka_unit_test(int8_scales_its_inputs_in_every_tier),
        cmocka_unit_test(int8_activations_are_near_everywhere),
        cmocka_unit_test(an_int8_row_does_not_depend_on_its_batch),
        cmocka_unit_test(an_unknown_instruction_set_is_refused_by_name),
        cmocka_unit_test(the_fastest_tier_is_chosen_without_a_name),
        cmocka_unit_test(plain_c_has_every_precision_but_bf16_only_by_its_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
