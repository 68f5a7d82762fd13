/* tests/encoder/test_kernels_bf16.c — kernels of bf16 multiply exactly what was
 * rounded, and agree in every tier. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/encoder/kernel_cases.h"

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

static void a_bf16_row_does_not_depend_on_its_batch(void **state)
{
    (void)state;
    check_bf16_tiers(check_rows_alone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bf16_layers_multiply_what_was_rounded),
        cmocka_unit_test(bf16_rounds_to_the_nearest_of_8_bits),
        cmocka_unit_test(bf16_attention_multiplies_what_was_rounded),
        cmocka_unit_test(bf16_layers_agree_in_every_tier),
        cmocka_unit_test(bf16_attention_agrees_in_every_tier),
        cmocka_unit_test(a_bf16_row_does_not_depend_on_its_batch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
