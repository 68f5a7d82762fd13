/* Pictures to vectors against transformers, on tiny checkpoints of random weights
 * (tests/golden/vision, PROVENANCE there): a ViT without biases of query, key and
 * value, a DINOv2 whose positions are interpolated from 5 x 5 to 8 x 8, a Swin,
 * and a CCT against scripts/cct.py. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "encoder/encoder.h"
#include "encoder/file.h"
#include "encoder/kernels.h"
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
        /* another GELU is off by 1e-4, but 1e-8 in the cosine */
        for (size_t k = 0; k < DIM && strcmp(precision, "f32") == 0; k++)
            assert_float_equal(vector[k], expected[i * DIM + k], 5e-6);
    }
    linkd_vision_close(vision);
}

static void vectors_are_those_of_transformers(void **state)
{
    (void)state;
    assert_as_transformers(GOLDEN "vision/bare", "vit", "f32", COSINE_MIN);
    assert_as_transformers(GOLDEN "vision/dinov2-larger", "dinov2", "f32",
                           COSINE_MIN);
    /* "gelu_pytorch_tanh" */
    assert_as_transformers(GOLDEN "vision/tanh", "vit", "f32", COSINE_MIN);
    /* picture, windows and merged grid are all padded, and windows shifted */
    assert_as_transformers(GOLDEN "vision/swin-padded", "swin", "f32",
                           COSINE_MIN);
}

/* The reference is scripts/cct.py. */
static void vectors_of_a_cct_are_those_of_the_paper(void **state)
{
    (void)state;
    assert_as_transformers(GOLDEN "vision/cct", "cct", "f32", COSINE_MIN);
}

static void bf16_stays_near(void **state)
{
    const lk_kernels *kernels = NULL;

    (void)state;
    if (lk_kernels_choose(NULL, "bf16", &kernels, NULL) != LINKD_OK)
        skip();
    assert_as_transformers(GOLDEN "vision/swin-padded", "swin", "bf16", 0.999);
    assert_as_transformers(GOLDEN "vision/cct", "cct", "bf16", 0.999);
    assert_as_transformers(GOLDEN "vision/tanh", "vit", "bf16", 0.999);
}

static void assert_same_bits_in_every_tier(const char *dir,
                                           const linkd_image *image)
{
    static const char *const tiers[] = {"scalar", "avx2", "avx512"};
    float first[DIM];

    for (size_t i = 0; i < 3; i++) {
        linkd_vision *vision = NULL;
        float vector[DIM];

        setenv("LINKD_ISA", tiers[i], 1);
        if (linkd_vision_open(dir, "f32", 1, &vision, NULL) != LINKD_OK)
            continue; /* not what this processor has */
        assert_int_equal(linkd_vision_encode(vision, 0, image, vector, NULL),
                         LINKD_OK);
        if (i == 0)
            memcpy(first, vector, sizeof(first));
        assert_memory_equal(vector, first, sizeof(first));
        linkd_vision_close(vision);
    }
    unsetenv("LINKD_ISA");
}

static void every_tier_gives_the_same_bits(void **state)
{
    linkd_image image = {0};

    (void)state;
    picture_read(pictures[0], &image);
    assert_same_bits_in_every_tier(GOLDEN "vision/bare", &image);
    assert_same_bits_in_every_tier(GOLDEN "vision/swin-padded", &image);
    assert_same_bits_in_every_tier(GOLDEN "vision/cct", &image);
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

static void file_write(const char *dir, const char *name, const char *text)
{
    char path[256];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    (void)fclose(file);
}

static void text_read(const char *dir, const char *name, char *ret_text,
                      size_t size)
{
    char path[256];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    file = fopen(path, "r");
    assert_non_null(file);
    ret_text[fread(ret_text, 1, size - 1, file)] = '\0';
    (void)fclose(file);
}

/* Makes `dir` of the golden model `name`, for pictures of side x side pixels, with
 * one part of its config.json replaced. */
static void model_make(char *dir, const char *name, size_t side,
                       const char *part, const char *other)
{
    char golden[128], weights[PATH_MAX], link[64], config[4096], text[4200];
    char *at;

    assert_non_null(mkdtemp(dir));
    (void)snprintf(golden, sizeof(golden), GOLDEN "vision/%s", name);
    text_read(golden, "config.json", config, sizeof(config));
    at = strstr(config, part);
    assert_non_null(at);
    (void)snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - config), config,
                   other, at + strlen(part));
    file_write(dir, "config.json", text);
    (void)snprintf(text, sizeof(text),
                   "{\"size\":{\"height\":%zu,\"width\":%zu},\"resample\":3,"
                   "\"image_mean\":[0.5,0.5,0.5],\"image_std\":[0.5,0.5,0.5]}",
                   side, side);
    file_write(dir, "preprocessor_config.json", text);
    (void)snprintf(text, sizeof(text), "%s/model.safetensors", golden);
    assert_non_null(realpath(text, weights));
    (void)snprintf(link, sizeof(link), "%s/model.safetensors", dir);
    assert_int_equal(symlink(weights, link), 0);
}

static void model_remove(const char *dir)
{
    static const char *const files[] = {"model.safetensors", "config.json",
                                        "preprocessor_config.json"};

    for (size_t i = 0; i < 3; i++) {
        char path[64];

        (void)snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
        (void)unlink(path);
    }
    (void)rmdir(dir);
}

static void assert_model_refused(const char *name, size_t side,
                                 const char *part, const char *other,
                                 const char *message)
{
    char dir[] = "/tmp/linkd-vision-XXXXXX";
    linkd_vision *vision = NULL;
    linkd_error err;

    model_make(dir, name, side, part, other);
    assert_int_equal(linkd_vision_open(dir, "f32", 1, &vision, &err),
                     LINKD_E_DATA);
    assert_string_equal(err.message, message);
    model_remove(dir);
}

static void a_fingerprint_changes_with_the_activation(void **state)
{
    static const char *const names[] = {"gelu", "gelu_new", "quick_gelu"};
    char seen[3][33];

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        char dir[] = "/tmp/linkd-vision-XXXXXX";
        linkd_vision *vision = NULL;

        model_make(dir, "tanh", 32, "gelu_pytorch_tanh", names[i]);
        assert_int_equal(linkd_vision_open(dir, "f32", 1, &vision, NULL),
                         LINKD_OK);
        strcpy(seen[i], linkd_vision_describe(vision)->fingerprint);
        linkd_vision_close(vision);
        model_remove(dir);
    }
    assert_string_not_equal(seen[0], seen[1]);
    assert_string_not_equal(seen[1], seen[2]);
}

/* transformers fails, too, as the bias is for whole windows. */
static void a_swin_whose_windows_do_not_fit_is_refused(void **state)
{
    (void)state;
    assert_model_refused("swin-padded", 32, "", "",
                         "stage 2 has a grid of 4 x 4, which is smaller than "
                         "config.json's window_size 5");
    assert_model_refused("swin-padded", 4096, "", "",
                         "pictures of 1048576 patches are over the limit of "
                         "65536");
    assert_model_refused("swin-padded", 42, "\"window_size\": 5",
                         "\"window_size\": 4",
                         "tensor \"encoder.layers.0.blocks.0.attention.self."
                         "relative_position_bias_table\" is not 98 numbers, as "
                         "config.json says");
}

static void a_cct_whose_sizes_do_not_fit_is_refused(void **state)
{
    (void)state;
    assert_model_refused("cct", 31, "", "",
                         "preprocessor_config.json makes pictures of 31 x 31 "
                         "pixels, but config.json has img_size 32");
    assert_model_refused("cct", 32, "\"kernel_size\": 3", "\"kernel_size\": 35",
                         "config.json: convolution 1 does not fit into "
                         "pictures of img_size 32");
    assert_model_refused("cct", 32, "\"stride\": 1", "\"stride\": 2",
                         "tensor \"classifier.positional_emb\" is not 80 "
                         "numbers, as config.json says");
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
    assert_config_refused("{\"model_type\":\"beit\"}",
                          "config.json: model_type \"beit\" is no image model "
                          "that is supported (vit, dinov2, clip, swin, cct)");
    assert_config_refused(
        VIT(",\"hidden_act\":\"relu\""),
        "config.json: hidden_act \"relu\" is not supported, only gelu, "
        "gelu_new, gelu_fast, gelu_pytorch_tanh and quick_gelu are");
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

#define SWIN(heads, more)                                                      \
 "{\"model_type\":\"swin\",\"embed_dim\":8,\"depths\":[2,2],"                  \
 "\"num_heads\":" heads ",\"image_size\":32,\"patch_size\":4,"                 \
 "\"window_size\":4" more "}"

static void what_swin_has_and_is_not_supported_is_refused(void **state)
{
    lk_vision_config config;

    (void)state;
    assert_int_equal(lk_vision_config_parse(SWIN("[2,4]", ""),
                                            strlen(SWIN("[2,4]", "")), &config,
                                            NULL),
                     LINKD_OK);
    assert_int_equal(config.swin.n_stages, 2);
    assert_int_equal(config.swin.n_heads[1], 4);
    assert_int_equal(config.sizes.n_inner, 32);
    assert_config_refused(SWIN("[2,4]", ",\"use_absolute_embeddings\":true"),
                          "config.json: use_absolute_embeddings is not false");
    assert_config_refused(
        SWIN("[2,4]", ",\"hidden_act\":\"relu\""),
        "config.json: hidden_act \"relu\" is not supported, only gelu, "
        "gelu_new, gelu_fast, gelu_pytorch_tanh and quick_gelu are");
    assert_config_refused(SWIN("[2,4]", ",\"mlp_ratio\":17"),
                          "config.json: mlp_ratio is not between 0 and 16");
    assert_config_refused(SWIN("[2]", ""),
                          "config.json: num_heads is not a list of a number "
                          "per stage, of 8 at most");
    assert_config_refused(SWIN("[2,0]", ""),
                          "config.json: num_heads holds what is no number "
                          "between 1 and 65536");
    assert_config_refused(SWIN("[2,3]", ""),
                          "config.json: stage 2 has rows of 16 numbers, which "
                          "is not a multiple of its num_heads 3 up to 65536");
}

#define CCT(more)                                                              \
 "{\"model_type\":\"cct\",\"embedding_dim\":8,\"num_layers\":1,"               \
 "\"mlp_ratio\":2,\"img_size\":32,\"n_conv_layers\":1,\"kernel_size\":3,"      \
 "\"stride\":1,\"padding\":0" more "}"
#define CCT_HEADS ",\"num_heads\":2"

static void what_cct_has_and_is_not_supported_is_refused(void **state)
{
    lk_vision_config config;

    (void)state;
    assert_int_equal(lk_vision_config_parse(
                         CCT(CCT_HEADS), strlen(CCT(CCT_HEADS)), &config, NULL),
                     LINKD_OK);
    assert_int_equal(config.cct.padding, 0);
    assert_int_equal(config.cct.pool_kernel, 3);
    assert_int_equal(config.cct.n_planes, 64);
    assert_true(config.cct.has_positions);
    assert_config_refused(CCT(""), "config.json: num_heads is not a number "
                                   "between 1 and 65536");
    assert_config_refused(CCT(",\"num_heads\":3"),
                          "config.json: embedding_dim 8 is not a multiple of "
                          "num_heads 3");
    assert_config_refused(CCT(",\"seq_pool\":false"),
                          "config.json: seq_pool is not true");
    assert_config_refused(CCT(",\"max_pool\":false"),
                          "config.json: max_pool is not true");
    assert_config_refused(CCT(",\"conv_bias\":true"),
                          "config.json: conv_bias is not false");
    assert_config_refused(CCT(",\"n_input_channels\":1"),
                          "config.json: n_input_channels is not 3");
    assert_config_refused(CCT(CCT_HEADS ",\"pooling_padding\":2"),
                          "config.json: pooling_padding is over half of "
                          "pooling_kernel_size");
    assert_config_refused(CCT(CCT_HEADS ",\"positional_embedding\":\"rope\""),
                          "config.json: positional_embedding is not learnable, "
                          "sine or none");
}

static void assert_out_of_memory_is_reported(const char *dir,
                                             const linkd_image *image)
{
    for (size_t n = 1;; n++) {
        linkd_vision *vision = NULL;
        float vector[DIM];
        int rc;

        alloc_fail_at(n);
        rc = linkd_vision_open(dir, "f32", 2, &vision, NULL);
        if (rc == LINKD_OK)
            rc = linkd_vision_encode(vision, 1, image, vector, NULL);
        linkd_vision_close(vision);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            assert_true(n > 30);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
    }
}

static void memory_that_runs_out_is_reported(void **state)
{
    linkd_image image = {0};

    (void)state;
    picture_read(pictures[0], &image);
    assert_out_of_memory_is_reported(GOLDEN "vision/dinov2-larger", &image);
    assert_out_of_memory_is_reported(GOLDEN "vision/swin-padded", &image);
    assert_out_of_memory_is_reported(GOLDEN "vision/cct", &image);
    linkd_image_clear(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_are_those_of_transformers),
        cmocka_unit_test(vectors_of_a_cct_are_those_of_the_paper),
        cmocka_unit_test(bf16_stays_near),
        cmocka_unit_test(every_tier_gives_the_same_bits),
        cmocka_unit_test(a_directory_that_is_no_image_model_is_refused),
        cmocka_unit_test(a_fingerprint_changes_with_the_activation),
        cmocka_unit_test(a_swin_whose_windows_do_not_fit_is_refused),
        cmocka_unit_test(a_cct_whose_sizes_do_not_fit_is_refused),
        cmocka_unit_test(what_is_not_supported_is_refused),
        cmocka_unit_test(what_swin_has_and_is_not_supported_is_refused),
        cmocka_unit_test(what_cct_has_and_is_not_supported_is_refused),
        cmocka_unit_test(memory_that_runs_out_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
