/* tests/encoder/test_kernels_int8.c — kernels of int8 sum bytes exactly, agree in
 * every tier, and are near what f32 says. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/encoder/kernel_cases.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(int8_layers_multiply_bytes_exactly),
        cmocka_unit_test(int8_layers_are_near_what_f32_says),
        cmocka_unit_test(int8_spreads_inputs_that_are_far_above_the_others),
        cmocka_unit_test(int8_spreads_weights_that_are_far_above_the_others),
        cmocka_unit_test(int8_layers_agree_in_every_tier),
        cmocka_unit_test(int8_of_zeros_is_the_bias),
        cmocka_unit_test(int8_scales_its_inputs_in_every_tier),
        cmocka_unit_test(int8_activations_are_near_everywhere),
        cmocka_unit_test(an_int8_row_does_not_depend_on_its_batch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
