/* CLIP's two towers against transformers, on a tiny checkpoint of random weights
 * (tests/golden/clip, PROVENANCE there), and what is refused of its config.json. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "encoder/clip.h"
#include "encoder/config.h"
#include "encoder/encoder.h"
#include "encoder/file.h"
#include "encoder/fingerprint.h"
#include "encoder/vision_config.h"
#include "tests/support/alloc_fail.h"

#define GOLDEN   "tests/golden/"
#define CLIP_DIR GOLDEN "clip"

/* What is promised of every architecture. */
#define COSINE_MIN 0.99999

enum { DIM = 20, N_TEXTS = 5, N_PICTURES = 2, POSITIONS = 77 };

typedef struct golden {
    json_t *json;
    linkd_str texts[N_TEXTS];
    float vectors[N_TEXTS][DIM];
} golden;

static void golden_open(golden *g)
{
    g->json = json_load_file(CLIP_DIR "/texts.json", 0, NULL);
    assert_non_null(g->json);
    for (size_t i = 0; i < N_TEXTS; i++) {
        const json_t *text =
            json_array_get(json_object_get(g->json, "texts"), i);
        const json_t *vector =
            json_array_get(json_object_get(g->json, "vectors"), i);

        g->texts[i] =
            (linkd_str){json_string_value(text), json_string_length(text)};
        assert_int_equal(json_array_size(vector), DIM);
        for (size_t k = 0; k < DIM; k++)
            g->vectors[i][k] =
                (float)json_number_value(json_array_get(vector, k));
    }
}

static void image_open(const char *path, linkd_image *ret_image)
{
    lk_file file = {0};
    linkd_error err;

    if (lk_file_map(path, &file, &err) != LINKD_OK ||
        linkd_image_decode((linkd_str){(const char *)file.bytes, file.len},
                           NULL, ret_image, &err) != LINKD_OK)
        fail_msg("%s", err.message);
    lk_file_unmap(&file);
}

static double cosine(const float *a, const float *b)
{
    double sum = 0.0;

    for (size_t k = 0; k < DIM; k++)
        sum += (double)a[k] * (double)b[k];
    return sum;
}

/* The texts' vectors, in one call, by that precision. */
static void texts_encode(const golden *g, const char *precision,
                         size_t n_workers, float ret_vectors[N_TEXTS][DIM])
{
    linkd_encoder *encoder = NULL;
    lk_pool *pool = NULL;
    linkd_error err;

    if (linkd_encoder_open(CLIP_DIR, precision, &encoder, &err) != LINKD_OK)
        fail_msg("%s", err.message);
    assert_int_equal(linkd_encoder_describe(encoder)->dim, DIM);
    assert_string_equal(linkd_encoder_describe(encoder)->architecture, "clip");
    assert_string_equal(linkd_encoder_describe(encoder)->pooling, "end");
    assert_int_equal(linkd_encoder_describe(encoder)->max_tokens, POSITIONS);
    assert_int_equal(lk_pool_new(n_workers, &pool, &err), LINKD_OK);
    assert_int_equal(linkd_encoder_encode(encoder, pool, g->texts, N_TEXTS,
                                          &ret_vectors[0][0], NULL, &err),
                     LINKD_OK);
    lk_pool_free(pool);
    linkd_encoder_close(encoder);
}

static void texts_have_the_vectors_of_transformers(void **state)
{
    float vectors[N_TEXTS][DIM];
    golden g;

    (void)state;
    golden_open(&g);
    assert_true(cosine(g.vectors[0], g.vectors[1]) < 0.99);
    texts_encode(&g, "f32", 1, vectors);
    for (size_t i = 0; i < N_TEXTS; i++)
        assert_true(cosine(vectors[i], g.vectors[i]) >= COSINE_MIN);
    json_decref(g.json);
}

static void every_tier_gives_the_same_bits(void **state)
{
    static const char *const tiers[] = {"scalar", "avx2", "avx512"};
    float first[N_TEXTS][DIM];
    golden g;

    (void)state;
    golden_open(&g);
    for (size_t i = 0; i < 3; i++) {
        const lk_kernels *kernels;
        float vectors[N_TEXTS][DIM];

        if (lk_kernels_choose(tiers[i], "f32", &kernels, NULL) != LINKD_OK)
            continue; /* not what this processor has */
        setenv("LINKD_ISA", tiers[i], 1);
        texts_encode(&g, "f32", 1 + i, vectors);
        if (i == 0)
            memcpy(first, vectors, sizeof(first));
        assert_memory_equal(vectors, first, sizeof(first));
    }
    unsetenv("LINKD_ISA");
    json_decref(g.json);
}

static void pictures_have_the_vectors_of_transformers(void **state)
{
    static const char *const pictures[N_PICTURES] = {
        GOLDEN "image/jpeg-95-0.jpg", GOLDEN "image/turned-1.png"};
    float expected[N_PICTURES][DIM];
    FILE *file = fopen(CLIP_DIR "/pictures.f32", "rb");
    linkd_vision *vision = NULL;
    linkd_error err;

    (void)state;
    assert_non_null(file);
    assert_int_equal(fread(expected, sizeof(expected), 1, file), 1);
    (void)fclose(file);
    assert_true(cosine(expected[0], expected[1]) < 0.99);
    if (linkd_vision_open(CLIP_DIR, "f32", 1, &vision, &err) != LINKD_OK)
        fail_msg("%s", err.message);
    assert_string_equal(linkd_vision_describe(vision)->architecture, "clip");
    assert_int_equal(linkd_vision_describe(vision)->dim, DIM);
    for (size_t i = 0; i < N_PICTURES; i++) {
        linkd_image image = {0};
        float vector[DIM];

        image_open(pictures[i], &image);
        assert_int_equal(linkd_vision_encode(vision, 0, &image, vector, NULL),
                         LINKD_OK);
        linkd_image_clear(&image);
        assert_true(cosine(vector, expected[i]) >= COSINE_MIN);
    }
    linkd_vision_close(vision);
}

/* Of files alone. */
static void fingerprint_of(const char *dir,
                           char ret_digits[LK_FINGERPRINT_DIGITS + 1])
{
    static const lk_weights none;
    lk_fingerprint f;

    assert_int_equal(lk_fingerprint_begin(&f, false, NULL), LINKD_OK);
    assert_int_equal(lk_clip_hash(&f, &none, dir, NULL), LINKD_OK);
    lk_fingerprint_end(&f, ret_digits);
}

/* They change the vectors of texts. */
static void prompts_are_in_the_fingerprint(void **state)
{
    char dir[] = "/tmp/linkd-clip-XXXXXX";
    char seen[2][LK_FINGERPRINT_DIGITS + 1];
    char path[64];
    FILE *file;

    (void)state;
    assert_non_null(mkdtemp(dir));
    fingerprint_of(dir, seen[0]);
    (void)snprintf(path, sizeof(path), "%s/config_sentence_transformers.json",
                   dir);
    file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs("{\"prompts\": {\"query\": \"a photo of \"}}", file);
    assert_int_equal(fclose(file), 0);
    fingerprint_of(dir, seen[1]);
    assert_string_not_equal(seen[0], seen[1]);
    assert_int_equal(remove(path), 0);
    assert_int_equal(remove(dir), 0);
}

static void texts_and_pictures_may_be_compared(void **state)
{
    linkd_encoder *encoder = NULL;
    linkd_vision *vision = NULL;

    (void)state;
    assert_int_equal(linkd_encoder_open(CLIP_DIR, "f32", &encoder, NULL),
                     LINKD_OK);
    assert_int_equal(linkd_vision_open(CLIP_DIR, "f32", 1, &vision, NULL),
                     LINKD_OK);
    assert_string_equal(linkd_encoder_describe(encoder)->fingerprint,
                        linkd_vision_describe(vision)->fingerprint);
    linkd_encoder_close(encoder);
    linkd_vision_close(vision);
}

/* One layer of a config.json whose end is said wrongly, on the golden weights:
 * nothing but the rule for the end differs, so vectors must not. */
static void the_largest_id_ends_a_text_where_the_file_says_2(void **state)
{
    const lk_kernels *kernels = NULL;
    const uint32_t ids[] = {3, 9, 5};
    const lk_tokens tokens = {.ids = (uint32_t *)(uintptr_t)ids, .n = 3};
    const size_t starts[] = {0, 3};
    const lk_batch batch = {.sequences = &tokens, .starts = starts, .n = 1};
    float vectors[2][DIM];
    lk_weights weights;

    (void)state;
    assert_int_equal(lk_kernels_choose("scalar", "f32", &kernels, NULL),
                     LINKD_OK);
    assert_int_equal(lk_weights_open(CLIP_DIR, &weights, NULL), LINKD_OK);
    for (size_t i = 0; i < 2; i++) {
        lk_config config;
        lk_model model;
        lk_scratch scratch = {0};

        assert_int_equal(lk_config_read(CLIP_DIR, &config, NULL), LINKD_OK);
        config.end_id = i == 0 ? 9 : 2;
        assert_int_equal(
            lk_model_load(&weights, &config, kernels, NULL, &model, NULL),
            LINKD_OK);
        assert_int_equal(lk_clip_text_forward(model.clip, &batch, &scratch,
                                              vectors[i], NULL),
                         LINKD_OK);
        lk_scratch_clear(&scratch);
        lk_model_clear(&model);
    }
    assert_memory_equal(vectors[0], vectors[1], sizeof(vectors[0]));
    lk_weights_close(&weights);
}

static void int8_is_refused(void **state)
{
    linkd_encoder *encoder = NULL;
    linkd_error err;

    (void)state;
    assert_int_equal(linkd_encoder_open(CLIP_DIR, "int8", &encoder, &err),
                     LINKD_E_ARG);
    assert_string_equal(err.message, "CLIP has no precision int8 yet");
}

/* ---- config.json -------------------------------------------------------- */

#define CONFIG(text, vision, rest)                                             \
 "{\"model_type\":\"clip\",\"text_config\":{" text                             \
 "},\"vision_config\":{" vision "}" rest "}"

static void text_refused(const char *json, const char *message)
{
    lk_config config;
    linkd_error err = {0};

    assert_int_equal(lk_config_parse_model(json, strlen(json), &config, &err),
                     LINKD_E_DATA);
    assert_string_equal(err.message, message);
}

static void vision_refused(const char *json, const char *message)
{
    lk_vision_config config;
    linkd_error err = {0};

    assert_int_equal(lk_vision_config_parse(json, strlen(json), &config, &err),
                     LINKD_E_DATA);
    assert_string_equal(err.message, message);
}

static void both_towers_may_have_the_tanh_gelu(void **state)
{
    static const char json[] =
        CONFIG("\"hidden_act\":\"gelu_new\"",
               "\"hidden_act\":\"gelu_pytorch_tanh\"", "");
    lk_config text;
    lk_vision_config vision;

    (void)state;
    assert_int_equal(lk_config_parse_model(json, sizeof(json) - 1, &text, NULL),
                     LINKD_OK);
    assert_int_equal(text.activation, LK_ACTIVATION_GELU_TANH);
    assert_int_equal(
        lk_vision_config_parse(json, sizeof(json) - 1, &vision, NULL),
        LINKD_OK);
    assert_int_equal(vision.sizes.activation, LK_ACTIVATION_GELU_TANH);
}

static void what_a_config_does_not_say_is_as_in_vit_b_32(void **state)
{
    static const char json[] = CONFIG("", "", "");
    lk_config text;
    lk_vision_config vision;

    (void)state;
    assert_int_equal(lk_config_parse_model(json, sizeof(json) - 1, &text, NULL),
                     LINKD_OK);
    assert_int_equal(text.dim, 512);
    assert_int_equal(text.n_layers, 12);
    assert_int_equal(text.n_heads, 8);
    assert_int_equal(text.vocab_size, 49408);
    assert_int_equal(text.max_tokens, 77);
    assert_int_equal(text.n_out, 512);
    assert_int_equal(text.end_id, 49407);
    assert_int_equal(text.activation, LK_ACTIVATION_QUICK_GELU);
    assert_int_equal(
        lk_vision_config_parse(json, sizeof(json) - 1, &vision, NULL),
        LINKD_OK);
    assert_int_equal(vision.sizes.dim, 768);
    assert_int_equal(vision.sizes.n_inner, 3072);
    assert_int_equal(vision.sizes.n_out, 512);
    assert_int_equal(vision.image_side, 224);
    assert_int_equal(vision.patch_side, 32);
    assert_int_equal(vision.sizes.activation, LK_ACTIVATION_QUICK_GELU);
}

static void configs_that_are_not_supported_are_refused(void **state)
{
    (void)state;
    text_refused("{\"model_type\":\"clip\"}",
                 "config.json: text_config is not an object");
    text_refused(
        CONFIG("\"hidden_act\":\"relu\"", "", ""),
        "config.json: hidden_act \"relu\" is not supported, only gelu, "
        "gelu_new, gelu_fast, gelu_pytorch_tanh and quick_gelu are");
    text_refused(CONFIG("\"hidden_size\":0", "", ""),
                 "config.json: hidden_size is 0, not between 1 and 65536");
    text_refused(CONFIG("\"num_attention_heads\":7", "", ""),
                 "config.json: hidden_size 512 is not a multiple of "
                 "num_attention_heads 7");
    text_refused(CONFIG("\"max_position_embeddings\":2", "", ""),
                 "config.json: max_position_embeddings 2 leaves no room for a "
                 "token");
    text_refused(CONFIG("\"layer_norm_eps\":1", "", ""),
                 "config.json: layer_norm_eps is not between 0 and 1");
    text_refused(CONFIG("", "", ",\"projection_dim\":\"wide\""),
                 "config.json: projection_dim is missing or not a number");
    vision_refused("{\"model_type\":\"clip\"}",
                   "config.json: vision_config is not an object");
    vision_refused(
        CONFIG("", "\"hidden_act\":\"relu\"", ""),
        "config.json: hidden_act \"relu\" is not supported, only gelu, "
        "gelu_new, gelu_fast, gelu_pytorch_tanh and quick_gelu are");
}

/* ---- memory ------------------------------------------------------------- */

static int all_encoded(const golden *g, lk_pool *pool)
{
    float vectors[N_TEXTS][DIM];
    linkd_encoder *encoder = NULL;
    linkd_vision *vision = NULL;
    int rc = linkd_encoder_open(CLIP_DIR, "f32", &encoder, NULL);

    if (rc == LINKD_OK)
        rc = linkd_encoder_encode(encoder, pool, g->texts, N_TEXTS,
                                  &vectors[0][0], NULL, NULL);
    if (rc == LINKD_OK)
        rc = linkd_vision_open(CLIP_DIR, "f32", 1, &vision, NULL);
    linkd_encoder_close(encoder);
    linkd_vision_close(vision);
    return rc;
}

/* The first of them in a row, then fewer and fewer: most are of the tokenizer,
 * whose own test fails each. */
static void memory_that_runs_out_is_reported(void **state)
{
    lk_pool *pool = NULL;
    golden g;

    (void)state;
    golden_open(&g);
    assert_int_equal(lk_pool_new(1, &pool, NULL), LINKD_OK);
    for (size_t n = 1;; n += 1 + n / 100) {
        int rc;

        alloc_fail_at(n);
        rc = all_encoded(&g, pool);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            assert_true(n > 100);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
    }
    lk_pool_free(pool);
    json_decref(g.json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_have_the_vectors_of_transformers),
        cmocka_unit_test(every_tier_gives_the_same_bits),
        cmocka_unit_test(pictures_have_the_vectors_of_transformers),
        cmocka_unit_test(prompts_are_in_the_fingerprint),
        cmocka_unit_test(texts_and_pictures_may_be_compared),
        cmocka_unit_test(the_largest_id_ends_a_text_where_the_file_says_2),
        cmocka_unit_test(int8_is_refused),
        cmocka_unit_test(both_towers_may_have_the_tanh_gelu),
        cmocka_unit_test(what_a_config_does_not_say_is_as_in_vit_b_32),
        cmocka_unit_test(configs_that_are_not_supported_are_refused),
        cmocka_unit_test(memory_that_runs_out_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
