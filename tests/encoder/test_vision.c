/* Pictures to vectors against transformers, on tiny checkpoints of random weights
 * (tests/golden/vision, PROVENANCE there): a ViT without biases of query, key and
 * value, and a DINOv2 whose positions are interpolated from 5 x 5 to 8 x 8. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "encoder/encoder.h"
#include "encoder/file.h"
#include "encoder/vision_config.h"
#include "tests/support/alloc_fail.h"

#define GOLDEN "tests/golden/"

/* What is promised of every architecture. */
#define COSINE_MIN 0.99999

enum { DIM = 20, N_PICTURES = 2 };

static const char *const pictures[N_PICTURES] = {"jpeg-95-0.jpg",
                                                 "turned-1.png"};

static void picture_read(const char *name, linkd_image *ret_image)
{
    char path[128];
    lk_file file = {0};
    linkd_error err;

    (void)snprintf(path, sizeof(path), GOLDEN "image/%s", name);
    if (lk_file_map(path, &file, &err) != LINKD_OK ||
        linkd_image_decode((linkd_str){(const char *)file.bytes, file.len},
                           NULL, ret_image, &err) != LINKD_OK)
        fail_msg("%s", err.message);
    lk_file_unmap(&file);
}

static void vectors_read(const char *dir, float *ret_vectors)
{
    char path[128];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/vectors.f32", dir);
    file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(
        fread(ret_vectors, sizeof(*ret_vectors), N_PICTURES * DIM, file),
        N_PICTURES * DIM);
    (void)fclose(file);
}

static double cosine(const float *a, const float *b)
{
    double sum = 0.0;

    for (size_t i = 0; i < DIM; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

static void assert_as_transformers(const char *dir, const char *architecture,
                                   const char *precision, double least)
{
    linkd_vision *vision = NULL;
    float expected[N_PICTURES * DIM];
    linkd_error err;

    vectors_read(dir, expected);
    assert_true(cosine(expected, expected + DIM) < 0.99);
    if (linkd_vision_open(dir, precision, 1, &vision, &err) != LINKD_OK)
        fail_msg("%s", err.message);
    assert_string_equal(linkd_vision_describe(vision)->architecture,
                        architecture);
    assert_int_equal(linkd_vision_describe(vision)->dim, DIM);
    assert_int_equal(strlen(linkd_vision_describe(vision)->fingerprint), 32);
    for (size_t i = 0; i < N_PICTURES; i++) {
        linkd_image image = {0};
        float vector[DIM];

        picture_read(pictures[i], &image);
        assert_int_equal(linkd_vision_encode(vision, 0, &image, vector, NULL),
                         LINKD_OK);
        linkd_image_clear(&image);
        assert_true(cosine(vector, expected + i * DIM) >= least);
    }
    linkd_vision_close(vision);
}

static void vectors_are_those_of_transformers(void **state)
{
    (void)state;
    assert_as_transformers(GOLDEN "vision/bare", "vit", "f32", COSINE_MIN);
    assert_as_transformers(GOLDEN "vision/dinov2-larger", "dinov2", "f32",
                           COSINE_MIN);
}

static void every_tier_gives_the_same_bits(void **state)
{
    static const char *const tiers[] = {"scalar", "avx2", "avx512"};
    linkd_image image = {0};
    float first[DIM];

    (void)state;
    picture_read(pictures[0], &image);
    for (size_t i = 0; i < 3; i++) {
        linkd_vision *vision = NULL;
        float vector[DIM];

        setenv("LINKD_ISA", tiers[i], 1);
        if (linkd_vision_open(GOLDEN "vision/bare", "f32", 1, &vision, NULL) !=
            LINKD_OK)
            continue; /* not what this processor has */
        assert_int_equal(linkd_vision_encode(vision, 0, &image, vector, NULL),
                         LINKD_OK);
        if (i == 0)
            memcpy(first, vector, sizeof(first));
        assert_memory_equal(vector, first, sizeof(first));
        linkd_vision_close(vision);
    }
    unsetenv("LINKD_ISA");
    linkd_image_clear(&image);
}

static void a_directory_that_is_no_image_model_is_refused(void **state)
{
    linkd_vision *vision = NULL;
    linkd_error err;

    (void)state;
    assert_int_equal(linkd_vision_open("/nowhere", NULL, 1, &vision, &err),
                     LINKD_E_IO);
    assert_null(vision);
}

static void assert_config_refused(const char *json, const char *message)
{
    lk_vision_config config;
    linkd_error err;

    assert_int_equal(lk_vision_config_parse(json, strlen(json), &config, &err),
                     LINKD_E_DATA);
    assert_string_equal(err.message, message);
}

#define VIT(more)                                                              \
 "{\"model_type\":\"vit\",\"hidden_size\":8,\"num_hidden_layers\":1,"          \
 "\"num_attention_heads\":2,\"intermediate_size\":8,\"image_size\":8,"         \
 "\"patch_size\":4" more "}"

static void what_is_not_supported_is_refused(void **state)
{
    lk_vision_config config;

    (void)state;
    assert_int_equal(
        lk_vision_config_parse(VIT(""), strlen(VIT("")), &config, NULL),
        LINKD_OK);
    assert_int_equal(config.sizes.n_inner, 8);
    assert_config_refused("[]", "config.json: is not a JSON object");
    assert_config_refused("{\"model_type\":\"swin\"}",
                          "config.json: model_type \"swin\" is no image model "
                          "that is supported (vit, dinov2, clip)");
    assert_config_refused(VIT(",\"hidden_act\":\"relu\""),
                          "config.json: hidden_act is not gelu");
    assert_config_refused(VIT(",\"num_channels\":1"),
                          "config.json: num_channels is not 3");
    assert_config_refused(VIT(",\"use_swiglu_ffn\":true"),
                          "config.json: use_swiglu_ffn is not supported");
    assert_config_refused(VIT(",\"layer_norm_eps\":0"),
                          "config.json: layer_norm_eps is not between 0 and 1");
    assert_config_refused("{\"model_type\":\"vit\"}",
                          "config.json: hidden_size is not a number between 1 "
                          "and 65536");
    assert_config_refused(
        "{\"model_type\":\"dinov2\",\"hidden_size\":8,"
        "\"num_hidden_layers\":1,\"num_attention_heads\":3,\"image_size\":8,"
        "\"patch_size\":4}",
        "config.json: hidden_size 8 is not a multiple of num_attention_heads "
        "3");
}

static void memory_that_runs_out_is_reported(void **state)
{
    linkd_image image = {0};

    (void)state;
    picture_read(pictures[0], &image);
    for (size_t n = 1;; n++) {
        linkd_vision *vision = NULL;
        float vector[DIM];
        int rc;

        alloc_fail_at(n);
        rc = linkd_vision_open(GOLDEN "vision/dinov2-larger", "f32", 2, &vision,
                               NULL);
        if (rc == LINKD_OK)
            rc = linkd_vision_encode(vision, 1, &image, vector, NULL);
        linkd_vision_close(vision);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            assert_true(n > 30);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
    }
    linkd_image_clear(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_are_those_of_transformers),
        cmocka_unit_test(every_tier_gives_the_same_bits),
        cmocka_unit_test(a_directory_that_is_no_image_model_is_refused),
        cmocka_unit_test(what_is_not_supported_is_refused),
        cmocka_unit_test(memory_that_runs_out_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
