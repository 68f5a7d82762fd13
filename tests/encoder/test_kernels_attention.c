/* tests/encoder/test_kernels_attention.c — attention and pooling of every tier that
 * this processor has, against sums in double precision. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/encoder/kernel_cases.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attention_matches_the_definition_in_every_tier),
        cmocka_unit_test(biases_and_a_mask_are_added_in_every_tier),
        cmocka_unit_test(the_first_tokens_alone_take_the_same_from_all),
        cmocka_unit_test(attention_takes_8192_tokens_in_little_memory),
        cmocka_unit_test(attention_survives_large_scores),
        cmocka_unit_test(pooling_gives_the_direction_of_the_mean),
        cmocka_unit_test(pooling_a_zero_vector_gives_zero),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
