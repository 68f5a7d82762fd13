/* Tiny checkpoints of every architecture against the vectors that
 * scripts/generate-architecture-golden wrote with Hugging Face's transformers,
 * and a static table against those of model2vec.
 */
#include "encoder/config.h"
#include "encoder/encoder.h"
#include "encoder/forward.h"
#include "encoder/kernels.h"
#include "encoder/model.h"
#include "encoder/weights.h"
#include "tests/support/alloc_fail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>
#include <jansson.h>

#define GOLDEN_DIR "tests/golden/architectures/"

enum { TOKENS_MAX = 64, LONG_TOKENS = 8192 };

/* The reference computes in f32, too: both are off by some last bits. */
#define DIFFERENCE_MAX 2e-6

typedef struct opened {
    lk_config config;
    lk_weights weights;
    lk_model model;
    lk_dense dense;
    lk_scratch scratch;
    size_t
        max_tokens; /* instead of what the model's files say; 0: as they do */
} opened;

static size_t dim_of(const opened *o)
{
    return o->model.dense != NULL ? o->dense.dim : o->model.dim;
}

static void model_open(const char *name, const char *isa, const char *precision,
                       opened *ret_opened)
{
    const lk_kernels *kernels = NULL;
    char dir[128];
    linkd_error err;

    (void)snprintf(dir, sizeof(dir), GOLDEN_DIR "%s", name);
    if (lk_kernels_choose(isa, precision, &kernels, &err) != LINKD_OK ||
        lk_config_read(dir, &ret_opened->config, &err) != LINKD_OK)
        fail_msg("%s: %s", name, err.message);
    if (ret_opened->max_tokens > 0)
        ret_opened->config.max_tokens = ret_opened->max_tokens;
    if (lk_weights_open(dir, &ret_opened->weights, &err) != LINKD_OK ||
        lk_model_load(&ret_opened->weights, &ret_opened->config, kernels, NULL,
                      &ret_opened->model, &err) != LINKD_OK)
        fail_msg("%s: %s", name, err.message);
    if (lk_dense_open(dir, &ret_opened->config, &ret_opened->dense, &err) !=
            LINKD_OK ||
        lk_dense_load(&ret_opened->dense, &ret_opened->config, kernels, &err) !=
            LINKD_OK)
        fail_msg("%s: %s", name, err.message);
    if (ret_opened->dense.n > 0)
        ret_opened->model.dense = &ret_opened->dense;
}

static void model_close(opened *o)
{
    lk_dense_close(&o->dense);
    lk_scratch_clear(&o->scratch);
    lk_model_clear(&o->model);
    lk_weights_close(&o->weights);
}

/* Puts the model on a copy of its block that nobody can write to, as a packed
 * file is. */
static void model_place(opened *o)
{
    const size_t n_bytes = o->model.block.n * sizeof(float);
    void *copy = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    lk_model placed;

    assert_ptr_not_equal(copy, MAP_FAILED);
    memcpy(copy, o->model.block.floats, n_bytes);
    assert_int_equal(mprotect(copy, n_bytes, PROT_READ), 0);
    assert_int_equal(lk_model_place(&o->weights, &o->config, o->model.kernels,
                                    copy, o->model.block.n - 1, &placed, NULL),
                     LINKD_E_DATA);
    assert_int_equal(lk_model_place(&o->weights, &o->config, o->model.kernels,
                                    copy, o->model.block.n, &placed, NULL),
                     LINKD_OK);
    placed.dense = o->model.dense;
    lk_model_clear(&o->model);
    o->model = placed;
}

static void block_unmap(const lk_model *placed)
{
    assert_int_equal(munmap((void *)(uintptr_t)placed->block.floats,
                            placed->block.n * sizeof(float)),
                     0);
}

/* The vector of one sequence. */
static void encode(opened *o, const json_t *ids, float *ret_vector)
{
    uint32_t values[TOKENS_MAX];
    lk_tokens tokens = {.ids = values, .n = json_array_size(ids)};
    const size_t starts[2] = {0, tokens.n};
    const lk_batch batch = {&tokens, starts, 1};
    linkd_error err;

    assert_in_range(tokens.n, 1, TOKENS_MAX);
    for (size_t i = 0; i < tokens.n; i++)
        values[i] = (uint32_t)json_integer_value(json_array_get(ids, i));
    assert_int_equal(lk_forward(&o->model, o->config.pooling, &batch,
                                &o->scratch, ret_vector, &err),
                     LINKD_OK);
}

/* The reference's answers; the caller json_decref()s them. */
static json_t *golden_open(const char *name)
{
    char path[128];
    json_t *golden;

    (void)snprintf(path, sizeof(path), GOLDEN_DIR "%s/vectors.json", name);
    golden = json_load_file(path, 0, NULL);
    assert_non_null(golden);
    assert_int_equal(json_array_size(json_object_get(golden, "ids")), 5);
    return golden;
}

static double wanted_at(const json_t *golden, size_t sequence, size_t k)
{
    const json_t *vectors = json_object_get(golden, "vectors");

    return json_real_value(
        json_array_get(json_array_get(vectors, sequence), k));
}

static void vectors_check(const char *name, const char *isa, bool is_placed)
{
    opened o = {0};
    json_t *golden = golden_open(name);

    model_open(name, isa, "f32", &o);
    if (is_placed)
        model_place(&o);
    for (size_t i = 0; i < 5; i++) {
        float vector[64];

        encode(&o, json_array_get(json_object_get(golden, "ids"), i), vector);
        for (size_t k = 0; k < dim_of(&o); k++)
            assert_float_equal(vector[k], wanted_at(golden, i, k),
                               DIFFERENCE_MAX);
    }
    if (is_placed)
        block_unmap(&o.model);
    model_close(&o);
    json_decref(golden);
}

/* The lowest cosine to the reference. */
static double cosine_least(const char *name, const char *isa,
                           const char *precision)
{
    opened o = {0};
    json_t *golden = golden_open(name);
    double least = 1.0;

    model_open(name, isa, precision, &o);
    for (size_t i = 0; i < 5; i++) {
        float vector[64];
        double cosine = 0.0;

        encode(&o, json_array_get(json_object_get(golden, "ids"), i), vector);
        for (size_t k = 0; k < dim_of(&o); k++)
            cosine += (double)vector[k] * wanted_at(golden, i, k);
        least = cosine < least ? cosine : least;
    }
    model_close(&o);
    json_decref(golden);
    return least;
}

/* Whether this processor has it. */
static bool has_kernels(const char *isa, const char *precision)
{
    const lk_kernels *kernels = NULL;

    return lk_kernels_choose(isa, precision, &kernels, NULL) == LINKD_OK;
}

static void vectors_are_those_of_transformers(void **state)
{
    static const struct {
        const char *name;
        const char *architecture;
        size_t max_tokens;
    } models[] = {{"distilbert", "distilbert", 64},
                  /* positions begin behind the padding's */
                  {"roberta", "roberta", 62},
                  {"xlm-roberta", "roberta", 62},
                  {"mpnet", "mpnet", 62},
                  {"modernbert", "modernbert", 64},
                  /* the older config.json, and the first token's vector */
                  {"modernbert-cls", "modernbert", 64},
                  /* two dense layers behind the pooling */
                  {"mpnet-dense", "mpnet", 62},
                  /* "gelu_new" */
                  {"roberta-tanh", "roberta", 62}};

    (void)state;
    for (size_t i = 0; i < sizeof(models) / sizeof(*models); i++) {
        opened o = {0};

        model_open(models[i].name, "scalar", "f32", &o);
        assert_string_equal(lk_architecture_name(o.config.architecture),
                            models[i].architecture);
        assert_int_equal(o.config.max_tokens, models[i].max_tokens);
        model_close(&o);
        vectors_check(models[i].name, "scalar", false);
        vectors_check(models[i].name, NULL, false);
        vectors_check(models[i].name, NULL, true);
        if (has_kernels("avx2", "f32"))
            vectors_check(models[i].name, "avx2", false);
    }
}

/* The text of 8,192 tokens in scripts/generate-architecture-golden. */
static void long_ids(uint32_t *ret_ids)
{
    for (uint32_t i = 0; i < LONG_TOKENS; i++)
        ret_ids[i] = 4 + (7 * i + i / 13) % 26;
}

static void long_check(const json_t *golden, const char *precision,
                       double difference_most)
{
    static const struct {
        const char *name;
        lk_pooling pooling;
    } vectors[] = {{"mean", LK_POOLING_MEAN},
                   {"first", LK_POOLING_CLS},
                   {"last", LK_POOLING_LAST}};
    uint32_t ids[LONG_TOKENS];
    const lk_tokens tokens = {.ids = ids, .n = LONG_TOKENS};
    const size_t starts[] = {0, LONG_TOKENS};
    const lk_batch batch = {&tokens, starts, 1};
    opened o = {.max_tokens = LONG_TOKENS};

    long_ids(ids);
    model_open("modernbert", NULL, precision, &o);
    for (size_t i = 0; i < 3; i++) {
        const json_t *wanted = json_object_get(golden, vectors[i].name);
        float vector[32];

        assert_int_equal(lk_forward(&o.model, vectors[i].pooling, &batch,
                                    &o.scratch, vector, NULL),
                         LINKD_OK);
        for (size_t k = 0; k < 32; k++)
            assert_float_equal(vector[k],
                               json_real_value(json_array_get(wanted, k)),
                               difference_most);
    }
    model_close(&o);
}

/* The last rows' positions turn by thousands of radians, whose rounding to float is
 * felt (rotary.c). */
static void a_text_of_8192_tokens_is_as_transformers_has_it(void **state)
{
    json_t *golden = json_load_file(GOLDEN_DIR "modernbert/long.json", 0, NULL);

    (void)state;
    assert_non_null(golden);
    long_check(golden, "f32", 1e-5);
    if (has_kernels(NULL, "bf16"))
        long_check(golden, "bf16", 2e-2);
    json_decref(golden);
}

static void dense_layers_report_memory_that_runs_out(void **state)
{
    opened o = {0};
    size_t n = 0;
    int rc;

    (void)state;
    model_open("mpnet-dense", NULL, "f32", &o);
    do {
        const char dir[] = GOLDEN_DIR "mpnet-dense";

        lk_dense_close(&o.dense);
        alloc_fail_at(++n);
        rc = lk_dense_open(dir, &o.config, &o.dense, NULL);
        if (rc == LINKD_OK)
            rc = lk_dense_load(&o.dense, &o.config, o.model.kernels, NULL);
        if (rc != LINKD_OK)
            assert_int_equal(rc, LINKD_E_NOMEM);
    } while (alloc_fail_off());
    assert_int_equal(rc, LINKD_OK);
    assert_int_equal(o.dense.dim, 12);
    assert_true(n > 6);
    model_close(&o);
}

/* Random weights of 32 numbers a row bear little rounding; those of a model do
 * better (docs/models.md). */
static void lower_precisions_stay_close_to_transformers(void **state)
{
    static const char *const names[] = {"mpnet", "modernbert", "modernbert-cls",
                                        "mpnet-dense", "roberta-tanh"};
    static const char *const isas[] = {"scalar", "avx2", "avx512_vnni"};

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        if (has_kernels(NULL, "bf16"))
            assert_true(cosine_least(names[i], NULL, "bf16") > 0.999);
        for (size_t j = 0; j < sizeof(isas) / sizeof(*isas); j++)
            if (has_kernels(isas[j], "int8"))
                assert_true(cosine_least(names[i], isas[j], "int8") > 0.99);
    }
}

static void a_model_is_not_half_loaded_when_memory_runs_out(void **state)
{
    static const char *const names[] = {"mpnet", "modernbert"};

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        opened o = {0};
        size_t n = 0;
        int rc;

        model_open(names[i], NULL, "f32", &o);
        do {
            const lk_kernels *kernels = o.model.kernels;

            lk_model_clear(&o.model);
            alloc_fail_at(++n);
            rc = lk_model_load(&o.weights, &o.config, kernels, NULL, &o.model,
                               NULL);
            o.model.kernels = kernels;
            if (rc != LINKD_OK) {
                assert_int_equal(rc, LINKD_E_NOMEM);
                assert_null(o.model.layers);
            }
        } while (alloc_fail_off());
        assert_int_equal(rc, LINKD_OK);
        assert_true(n > 3);
        model_close(&o);
    }
}

#define MODERNBERT(rest)                                                       \
 "{\"model_type\": \"modernbert\", \"hidden_size\": 8, "                       \
 "\"intermediate_size\": 8, \"num_hidden_layers\": 4, "                        \
 "\"num_attention_heads\": 2, \"vocab_size\": 9, "                             \
 "\"max_position_embeddings\": 5" rest "}"

static void modernbert_config(const char *json, lk_config *ret_config)
{
    linkd_error err = {0};

    if (lk_config_parse_model(json, strlen(json), ret_config, &err) != LINKD_OK)
        fail_msg("%s", err.message);
}

static void a_silent_config_means_what_modernbert_was_trained_with(void **state)
{
    lk_config config;

    (void)state;
    modernbert_config(MODERNBERT(""), &config);
    assert_int_equal(config.window, 64);
    assert_int_equal(config.global_every, 3);
    assert_float_equal(config.rotary_theta, 160000.0, 0.0);
    assert_float_equal(config.local_theta, 10000.0, 0.0);
    assert_float_equal(config.norm_epsilon, 1e-5F, 0.0);
    assert_false(lk_config_is_local(&config, 0));
    assert_true(lk_config_is_local(&config, 2));
    assert_false(lk_config_is_local(&config, 3));
}

static void layers_and_positions_are_read_in_both_spellings(void **state)
{
    lk_config config;

    (void)state;
    modernbert_config(
        MODERNBERT(", \"global_attn_every_n_layers\": 2, \"local_attention\": "
                   "6, \"global_rope_theta\": 5, \"local_rope_theta\": 7"),
        &config);
    assert_int_equal(config.window, 3);
    assert_int_equal(config.global_every, 2);
    assert_float_equal(config.rotary_theta, 5.0, 0.0);
    assert_float_equal(config.local_theta, 7.0, 0.0);
    modernbert_config(
        MODERNBERT(", \"layer_types\": [\"full_attention\", "
                   "\"sliding_attention\", \"full_attention\", "
                   "\"sliding_attention\"], \"rope_parameters\": "
                   "{\"full_attention\": {\"rope_theta\": 11}, "
                   "\"sliding_attention\": {\"rope_theta\": 13.5}}"),
        &config);
    assert_int_equal(config.global_every, 2);
    assert_float_equal(config.rotary_theta, 11.0, 0.0);
    assert_float_equal(config.local_theta, 13.5, 0.0);
}

/* ---- static tables ------------------------------------------------------ */

static void a_static_table_gives_the_vectors_of_model2vec(void **state)
{
    json_t *golden = json_load_file(GOLDEN_DIR "static/vectors.json", 0, NULL);
    json_t *texts = json_object_get(golden, "texts");
    linkd_encoder *encoder = NULL;
    lk_pool *pool = NULL;
    linkd_error err;

    (void)state;
    assert_int_equal(json_array_size(texts), 5);
    if (linkd_encoder_open(GOLDEN_DIR "static", "f32", &encoder, &err) !=
            LINKD_OK ||
        lk_pool_new(1, &pool, &err) != LINKD_OK)
        fail_msg("%s", err.message);
    assert_string_equal(linkd_encoder_describe(encoder)->architecture,
                        "static");
    assert_int_equal(linkd_encoder_describe(encoder)->dim, 24);
    for (size_t i = 0; i < json_array_size(texts); i++) {
        const char *text = json_string_value(json_array_get(texts, i));
        const linkd_str view = {text, strlen(text)};
        const json_t *wanted =
            json_array_get(json_object_get(golden, "vectors"), i);
        float vector[24];

        assert_int_equal(
            linkd_encoder_encode(encoder, pool, &view, 1, vector, NULL, &err),
            LINKD_OK);
        for (size_t k = 0; k < 24; k++)
            assert_float_equal(vector[k],
                               json_real_value(json_array_get(wanted, k)),
                               DIFFERENCE_MAX);
    }
    lk_pool_free(pool);
    linkd_encoder_close(encoder);
    json_decref(golden);
}

static void unknown_tokens_count_only_where_there_are_no_others(void **state)
{
    lk_tokenizer *tokenizer = NULL;
    lk_tokens tokens = {0};
    linkd_error err;
    const char *const texts[] = {"\u6771", "", "a\u6771", "\u6771 a a a"};
    static const size_t n_wanted[] = {1, 1, 2, 2};

    (void)state;
    assert_int_equal(lk_tokenizer_open(GOLDEN_DIR "static", &tokenizer, &err),
                     LINKD_OK);
    lk_tokenizer_bare(tokenizer);
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        const linkd_str text = {texts[i], strlen(texts[i])};

        assert_int_equal(lk_tokenizer_encode(tokenizer, text, 2, &tokens, &err),
                         LINKD_OK);
        assert_int_equal(tokens.n, n_wanted[i]);
    }
    lk_tokens_clear(&tokens);
    lk_tokenizer_close(tokenizer);
}

static void row_read(const lk_model *model, uint32_t id, float *ret_row)
{
    float weight;

    lk_tensor_read(model->words, id * model->dim, model->dim, ret_row);
    lk_tensor_read(model->word_weights, id, 1, &weight);
    for (size_t k = 0; k < model->dim; k++)
        ret_row[k] *= weight;
}

/* A table has no layers, so that what is pooled can be read from it. */
static void the_last_or_the_largest_of_the_rows_can_be_the_vector(void **state)
{
    uint32_t ids[3] = {5, 9, 7};
    lk_tokens tokens = {.ids = ids, .n = 3};
    const size_t starts[2] = {0, 3};
    const lk_batch batch = {&tokens, starts, 1};
    opened o = {.config = {.architecture = LK_STATIC,
                           .dim = 24,
                           .n_heads = 1,
                           .vocab_size = 169,
                           .max_tokens = 512}};
    const lk_kernels *kernels = NULL;
    float rows[3][24], got[2][64];
    linkd_error err;

    (void)state;
    assert_int_equal(lk_kernels_choose("scalar", "f32", &kernels, &err),
                     LINKD_OK);
    assert_int_equal(lk_weights_open(GOLDEN_DIR "static", &o.weights, &err),
                     LINKD_OK);
    assert_int_equal(
        lk_model_load(&o.weights, &o.config, kernels, NULL, &o.model, &err),
        LINKD_OK);
    for (size_t i = 0; i < 3; i++)
        row_read(&o.model, ids[i], rows[i]);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(lk_forward(&o.model,
                                    i == 0 ? LK_POOLING_LAST : LK_POOLING_MAX,
                                    &batch, &o.scratch, got[i], &err),
                         LINKD_OK);
    for (size_t k = 1; k < 24; k++) {
        float most[2];

        for (size_t j = 0; j < 2; j++) {
            most[j] = rows[0][k - j] > rows[1][k - j] ? rows[0][k - j]
                                                      : rows[1][k - j];
            most[j] = rows[2][k - j] > most[j] ? rows[2][k - j] : most[j];
        }
        /* same direction: all quotients of neighbours are equal */
        assert_float_equal(got[0][k] * rows[2][k - 1],
                           got[0][k - 1] * rows[2][k], 1e-6F);
        assert_float_equal(got[1][k] * most[1], got[1][k - 1] * most[0], 1e-6F);
    }
    model_close(&o);
}

/* ---- what damaged files say --------------------------------------------- */

static void refused(const char *json, const char *message)
{
    lk_config config;
    linkd_error err = {0};

    assert_int_equal(lk_config_parse_model(json, strlen(json), &config, &err),
                     LINKD_E_DATA);
    assert_string_equal(err.message, message);
}

#define MPNET(rest)                                                            \
 "{\"model_type\": \"mpnet\", \"hidden_size\": 8, \"intermediate_size\": 8, "  \
 "\"num_hidden_layers\": 1, \"num_attention_heads\": 2, \"vocab_size\": 9, "   \
 "\"max_position_embeddings\": 5" rest "}"

static void a_modernbert_of_another_kind_is_refused(void **state)
{
    (void)state;
    refused(MODERNBERT(", \"attention_bias\": true"),
            "config.json: attention_bias is not supported");
    refused(MODERNBERT(", \"mlp_bias\": true"),
            "config.json: mlp_bias is not supported");
    refused(MODERNBERT(", \"norm_bias\": true"),
            "config.json: norm_bias is not supported");
    refused(MODERNBERT(", \"rope_scaling\": {}"),
            "config.json: rope_scaling is not supported");
    refused(MODERNBERT(", \"rope_parameters\": {\"full_attention\": "
                       "{\"rope_type\": \"yarn\"}}"),
            "config.json: rope_type \"yarn\" is not supported, only "
            "\"default\" is");
    refused(MODERNBERT(", \"local_rope_theta\": 0"),
            "config.json: local_rope_theta is not a number from 1 on");
    refused(MODERNBERT(", \"layer_types\": [\"full_attention\", "
                       "\"sliding_attention\", \"full_attention\", "
                       "\"full_attention\"]"),
            "config.json: layer_types is not one global layer in so many");
    refused(MODERNBERT(", \"norm_eps\": 1"),
            "config.json: norm_eps is not between 0 and 1");
    refused("{\"model_type\": \"modernbert\", \"hidden_size\": 6, "
            "\"intermediate_size\": 8, \"num_hidden_layers\": 4, "
            "\"num_attention_heads\": 2, \"vocab_size\": 9, "
            "\"max_position_embeddings\": 5}",
            "config.json: heads of 3 numbers cannot be turned, which takes "
            "pairs");
}

static void sizes_that_an_architecture_cannot_have_are_refused(void **state)
{
    (void)state;
    refused(MPNET(""), "config.json: relative_attention_num_buckets is missing "
                       "or not a number");
    refused(MPNET(", \"relative_attention_num_buckets\": 6"),
            "config.json: relative_attention_num_buckets 6 is not a multiple "
            "of 4");
    refused(MPNET(", \"relative_attention_num_buckets\": 4, \"pad_token_id\": "
                  "2"),
            "config.json: max_position_embeddings 5 leaves no room for a "
            "token");
    refused(MPNET(", \"relative_attention_num_buckets\": 4, \"pad_token_id\": "
                  "-1"),
            "config.json: pad_token_id is not between 0 and 65536");
    refused("{\"model_type\": \"distilbert\", \"activation\": \"relu\"}",
            "config.json: activation \"relu\" is not supported, only gelu, "
            "gelu_new, gelu_fast, gelu_pytorch_tanh and quick_gelu are");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_are_those_of_transformers),
        cmocka_unit_test(a_text_of_8192_tokens_is_as_transformers_has_it),
        cmocka_unit_test(lower_precisions_stay_close_to_transformers),
        cmocka_unit_test(dense_layers_report_memory_that_runs_out),
        cmocka_unit_test(a_model_is_not_half_loaded_when_memory_runs_out),
        cmocka_unit_test(
            a_silent_config_means_what_modernbert_was_trained_with),
        cmocka_unit_test(layers_and_positions_are_read_in_both_spellings),
        cmocka_unit_test(a_modernbert_of_another_kind_is_refused),
        cmocka_unit_test(a_static_table_gives_the_vectors_of_model2vec),
        cmocka_unit_test(unknown_tokens_count_only_where_there_are_no_others),
        cmocka_unit_test(the_last_or_the_largest_of_the_rows_can_be_the_vector),
        cmocka_unit_test(sizes_that_an_architecture_cannot_have_are_refused),
    };

    return cmocka_run_group_tests_name("architectures", tests, NULL, NULL);
}
