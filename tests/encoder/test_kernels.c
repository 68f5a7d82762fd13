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

#include "tests/encoder/kernel_cases.h"

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
        cmocka_unit_test(an_unknown_instruction_set_is_refused_by_name),
        cmocka_unit_test(the_fastest_tier_is_chosen_without_a_name),
        cmocka_unit_test(plain_c_has_every_precision_but_bf16_only_by_its_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
