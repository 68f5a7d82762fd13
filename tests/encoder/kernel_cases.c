/* tests/encoder/kernel_cases.c — see kernel_cases.h. */
#include "tests/encoder/kernel_cases.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

const char *const ISAS[N_ISAS] = {"scalar", "avx2", "avx512"};

const char *const BF16_ISAS[N_BF16_ISAS] = {"scalar", "avx512_bf16"};

const char *const INT8_ISAS[N_INT8_ISAS] = {"scalar", "avx2", "avx_vnni",
                                            "avx512_vnni"};

const size_t SHAPES[N_SHAPES][2] = {{1, 1},   {7, 5},   {33, 16},  {64, 64},
                                    {31, 65}, {70, 33}, {100, 130}};

const size_t ATTENTIONS[N_ATTENTIONS][4] = {
    {1, 1, 1, 0},     {1, 3, 2, 0},    {2, 5, 7, 0},    {3, 16, 15, 0},
    {2, 26, 33, 0},   {2, 32, 64, 0},  {2, 33, 65, 0},  {1, 64, 130, 0},
    {2, 5, 7, 1},     {1, 16, 200, 1}, {2, 26, 33, 40}, {2, 32, 64, 5},
    {1, 64, 300, 64}, {3, 7, 9, 0},    {16, 4, 5, 0}}; /* rows without an end */

const lk_kernels *tier(size_t i)
{
    const lk_kernels *kernels = NULL;

    if (lk_kernels_choose(ISAS[i], NULL, &kernels, NULL) != LINKD_OK)
        return NULL;
    return kernels;
}

const lk_kernels *bf16_tier(size_t i)
{
    const lk_kernels *kernels = NULL;

    if (lk_kernels_choose(BF16_ISAS[i], "bf16", &kernels, NULL) != LINKD_OK)
        return NULL;
    return kernels;
}

void check_bf16_tiers(void (*check)(const lk_kernels *kernels))
{
    for (size_t i = 0; i < N_BF16_ISAS; i++)
        if (bf16_tier(i) != NULL)
            check(bf16_tier(i));
}

const lk_kernels *scalar_tier(void)
{
    const lk_kernels *kernels = tier(0);

    LK_ASSERT(kernels != NULL);
    return kernels;
}

const lk_kernels *int8_tier(size_t i)
{
    const lk_kernels *kernels = NULL;

    if (lk_kernels_choose(INT8_ISAS[i], "int8", &kernels, NULL) != LINKD_OK)
        return NULL;
    return kernels;
}

/* ---- numbers ------------------------------------------------------------ */

uint32_t seed;

float next_number(void)
{
    seed = seed * 1664525U + 1013904223U;
    return (float)(seed >> 8) * 0x1p-23F - 1.0F;
}

float *floats_new(size_t n)
{
    float *values = lk_alloc_aligned(n, sizeof(*values));

    assert_non_null(values);
    memset(values, 0, n * sizeof(*values));
    return values;
}

float *rows_new(size_t n_rows, size_t width)
{
    float *rows = floats_new(n_rows * lk_stride(width));

    for (size_t i = 0; i < n_rows; i++)
        for (size_t k = 0; k < width; k++)
            rows[i * lk_stride(width) + k] = next_number();
    return rows;
}

void assert_near(float value, double expected)
{
    if (!(fabs((double)value - expected) <= TOLERANCE))
        fail_msg("%.9g instead of %.9g", (double)value, expected);
}

void assert_rows_near(const float *rows, const double *expected, size_t n_rows,
                      size_t width)
{
    for (size_t i = 0; i < n_rows; i++)
        for (size_t k = 0; k < width; k++)
            assert_near(rows[i * lk_stride(width) + k],
                        expected[i * width + k]);
}

void assert_rows_identical(const float *a, const float *b, size_t n_rows,
                           size_t width)
{
    for (size_t i = 0; i < n_rows; i++)
        assert_memory_equal(a + i * lk_stride(width), b + i * lk_stride(width),
                            width * sizeof(*a));
}

/* ---- references --------------------------------------------------------- */

double gelu(double x)
{
    return 0.5 * x * (1.0 + erf(x * 0.70710678118654752440));
}

double gelu_tanh(double x)
{
    return 0.5 * x *
           (1.0 + tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)));
}

double quick_gelu(double x)
{
    return x / (1.0 + exp(-1.702 * x));
}

void norm_reference(const lk_norm *norm, double *row)
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

layer layer_new(size_t n_in, size_t n_out)
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

void layer_free(layer *l)
{
    free(l->weights);
    free(l->bias);
    free(l->gamma);
    free(l->beta);
    free(l->x);
    free(l->residual);
    free(l->scales);
}

double *linear_reference(const layer *l, size_t n_rows)
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

float *panels_new(const lk_kernels *kernels, const layer *l)
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

float *layer_run(const lk_kernels *kernels, const layer *l, kind what,
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

double *layer_reference(const layer *l, kind what, size_t n_rows)
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

/* A block and more, so that rows are rounded in two goes. */
void check_rows_alone(const lk_kernels *kernels)
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

/* ---- attention ---------------------------------------------------------- */

void attention_reference(const float *qkv, const lk_heads *heads, size_t head,
                         size_t n, size_t n_queries, double *ret_context)
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

float *attention_run(const lk_kernels *kernels, const lk_heads *heads,
                     const float *qkv, size_t n)
{
    const size_t width = heads->n_heads * heads->head_dim;
    float *scratch = floats_new(lk_attention_scratch(kernels, heads, n));
    float *context = floats_new(n * lk_stride(width));

    kernels->attention(heads, qkv, n, n, scratch, context);
    free(scratch);
    return context;
}

lk_heads attention_heads(size_t i)
{
    return (lk_heads){.n_heads = ATTENTIONS[i][0],
                      .head_dim = ATTENTIONS[i][1],
                      .window = ATTENTIONS[i][3]};
}
