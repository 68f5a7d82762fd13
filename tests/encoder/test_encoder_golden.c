/* The real all-MiniLM-L6-v2 against the vectors of sentence-transformers, which
 * scripts/generate-encoder-golden wrote. Tolerance: cosine 0.999999 and 1e-5 on
 * each number, what linkd promises in f32; float sums in another order differ by
 * about 3e-7. The directory in LINKD_TEST_MODEL is used instead, if set. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "encoder/encoder.h"

#define MODEL_NAME   "all-MiniLM-L6-v2"
#define TEXTS_FILE   "tests/golden/encoder/texts.jsonl"
#define VECTORS_FILE "tests/golden/encoder/vectors.f32"

#define COSINE_MIN     0.999999
#define DIFFERENCE_MAX 1e-5

/* Under sanitizers, which are 10 times as slow, some of the texts pass where all
 * do; the longest ones are among them. */
#ifdef __SANITIZE_ADDRESS__
#define STEP 8
#else
#define STEP 1
#endif

enum {
    DIM = 384,
    N_LINES = 200,
    N_TEXTS = N_LINES / STEP,
    /* The first ones are short. Plain C makes a function call of each
     * multiply-add, which is 30 ms a token. */
    N_SCALAR_TEXTS = 20 / STEP,
};

typedef struct fixture {
    lk_buf dir;
    json_t *lines[N_LINES];
    linkd_str texts[N_LINES];
    float expected[N_LINES][DIM];
    float vectors[N_TEXTS][DIM];
    lk_pool *pool;
} fixture;

static void texts_read(fixture *f)
{
    FILE *file = fopen(TEXTS_FILE, "rb");
    char *line = NULL;
    size_t size = 0;

    assert_non_null(file);
    for (size_t i = 0; i < N_LINES; i++) {
        const json_t *text;

        assert_true(getline(&line, &size, file) > 0);
        f->lines[i] = json_loads(line, 0, NULL);
        text = json_object_get(f->lines[i], "text");
        assert_non_null(text);
        f->texts[i] =
            (linkd_str){json_string_value(text), json_string_length(text)};
    }
    assert_true(getline(&line, &size, file) < 0);
    free(line);
    assert_int_equal(fclose(file), 0);
}

static void vectors_read(fixture *f)
{
    FILE *file = fopen(VECTORS_FILE, "rb");

    assert_non_null(file);
    assert_int_equal(fread(f->expected, sizeof(f->expected), 1, file), 1);
    assert_int_equal(fgetc(file), EOF);
    assert_int_equal(fclose(file), 0);
}

/* Leaves the last text of every STEP. */
static void texts_choose(fixture *f)
{
    for (size_t i = 0; i < N_TEXTS; i++) {
        f->texts[i] = f->texts[STEP * i + STEP - 1];
        memmove(f->expected[i], f->expected[STEP * i + STEP - 1],
                sizeof(f->expected[i]));
    }
}

static int set_up(void **state)
{
    const char *dir = getenv("LINKD_TEST_MODEL");
    fixture *f = calloc(1, sizeof(*f));
    linkd_error err;

    assert_non_null(f);
    *state = f;
    if (linkd_encoder_find(dir != NULL ? dir : MODEL_NAME, &f->dir, &err) !=
        LINKD_OK) {
        print_error("%s (scripts/setup installs " MODEL_NAME ")\n",
                    err.message);
        return -1;
    }
    texts_read(f);
    vectors_read(f);
    texts_choose(f);
    return lk_pool_new(0, &f->pool, NULL) == LINKD_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    fixture *f = *state;

    unsetenv("LINKD_ISA");
    for (size_t i = 0; i < N_LINES; i++)
        json_decref(f->lines[i]);
    lk_buf_clear(&f->dir);
    lk_pool_free(f->pool);
    free(f);
    return 0;
}

/* What rounding to 8 bits leaves of the reference. */
#define BF16_COSINE_MIN 0.9999
/* What linkd asks of int8 when it opens a model. */
#define INT8_COSINE_MIN 0.99

static double cosine_of(const float *a, const float *b)
{
    double cosine = 0.0;

    for (size_t k = 0; k < DIM; k++)
        cosine += (double)a[k] * (double)b[k];
    return cosine;
}

static void assert_golden(const float *vector, const float *expected, size_t i)
{
    double cosine = 0.0;
    double norm = 0.0;
    double worst = 0.0;

    for (size_t k = 0; k < DIM; k++) {
        cosine += (double)vector[k] * (double)expected[k];
        norm += (double)vector[k] * (double)vector[k];
        worst = fmax(worst, fabs((double)vector[k] - (double)expected[k]));
    }
    if (!(cosine >= COSINE_MIN && worst <= DIFFERENCE_MAX))
        fail_msg("text %zu: cosine %.9f, largest difference %.3g", i, cosine,
                 worst);
    assert_true(fabs(norm - 1.0) < 1e-6);
}

/* Encodes the first n texts under one tier; 0 where the processor lacks it. */
static int tier_encode(fixture *f, const char *isa, size_t n)
{
    linkd_encoder *encoder = NULL;
    linkd_error err;
    int rc;

    setenv("LINKD_ISA", isa, 1);
    rc = linkd_encoder_open(f->dir.data, NULL, &encoder, &err);
    if (rc == LINKD_E_ARG)
        return 0;
    if (rc != LINKD_OK)
        fail_msg("%s", err.message);
    assert_int_equal(linkd_encoder_describe(encoder)->dim, DIM);
    assert_int_equal(linkd_encoder_encode(encoder, f->pool, f->texts, n,
                                          &f->vectors[0][0], NULL, &err),
                     LINKD_OK);
    linkd_encoder_close(encoder);
    return 1;
}

static void check_tier(fixture *f, const char *isa, size_t n)
{
    if (!tier_encode(f, isa, n))
        skip();
    for (size_t i = 0; i < n; i++)
        assert_golden(f->vectors[i], f->expected[i], i);
}

static void bf16_stays_near_the_reference(void **state)
{
    fixture *f = *state;
    double worst = 1.0;

    if (!tier_encode(f, "avx512_bf16", N_TEXTS))
        skip();
    for (size_t i = 0; i < N_TEXTS; i++)
        worst = fmin(worst, cosine_of(f->vectors[i], f->expected[i]));
    if (!(worst >= BF16_COSINE_MIN))
        fail_msg("cosine %.9f", worst);
    print_message("lowest cosine %.9f\n", worst);
}

static void int8_stays_near_the_reference(void **state)
{
    fixture *f = *state;
    double worst = 1.0;

    setenv("LINKD_PRECISION", "int8", 1);
    assert_true(tier_encode(f, "", N_TEXTS));
    unsetenv("LINKD_PRECISION");
    for (size_t i = 0; i < N_TEXTS; i++)
        worst = fmin(worst, cosine_of(f->vectors[i], f->expected[i]));
    if (!(worst >= INT8_COSINE_MIN))
        fail_msg("cosine %.9f", worst);
    print_message("lowest cosine %.9f\n", worst);
}

static void avx512_agrees_with_the_reference(void **state)
{
    check_tier(*state, "avx512", N_TEXTS);
}

static void avx2_agrees_with_the_reference(void **state)
{
    check_tier(*state, "avx2", N_TEXTS);
}

static void scalar_agrees_with_the_reference(void **state)
{
    check_tier(*state, "scalar", N_SCALAR_TEXTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bf16_stays_near_the_reference),
        cmocka_unit_test(int8_stays_near_the_reference),
        cmocka_unit_test(avx512_agrees_with_the_reference),
        cmocka_unit_test(avx2_agrees_with_the_reference),
        cmocka_unit_test(scalar_agrees_with_the_reference),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
