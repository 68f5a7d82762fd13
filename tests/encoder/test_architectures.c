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

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#define GOLDEN_DIR "tests/golden/architectures/"

enum { TOKENS_MAX = 64 };

/* The reference computes in f32, too: both are off by some last bits. */
#define DIFFERENCE_MAX 2e-6

typedef struct opened {
    lk_config config;
    lk_weights weights;
    lk_model model;
    lk_scratch scratch;
} opened;

static void model_open(const char *name, const char *isa, opened *ret_opened)
{
    const lk_kernels *kernels = NULL;
    char dir[128];
    linkd_error err;

    (void)snprintf(dir, sizeof(dir), GOLDEN_DIR "%s", name);
    if (lk_kernels_choose(isa, "f32", &kernels, &err) != LINKD_OK ||
        lk_config_read(dir, &ret_opened->config, &err) != LINKD_OK ||
        lk_weights_open(dir, &ret_opened->weights, &err) != LINKD_OK ||
        lk_model_load(&ret_opened->weights, &ret_opened->config, kernels,
                      &ret_opened->model, &err) != LINKD_OK)
        fail_msg("%s: %s", name, err.message);
}

static void model_close(opened *o)
{
    lk_scratch_clear(&o->scratch);
    lk_model_clear(&o->model);
    lk_weights_close(&o->weights);
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

static void vectors_check(const char *name, const char *isa)
{
    char path[128];
    opened o = {0};
    json_t *golden, *sequences;

    (void)snprintf(path, sizeof(path), GOLDEN_DIR "%s/vectors.json", name);
    golden = json_load_file(path, 0, NULL);
    assert_non_null(golden);
    sequences = json_object_get(golden, "ids");
    assert_int_equal(json_array_size(sequences), 5);
    model_open(name, isa, &o);
    for (size_t i = 0; i < json_array_size(sequences); i++) {
        const json_t *wanted =
            json_array_get(json_object_get(golden, "vectors"), i);
        float vector[64];

        encode(&o, json_array_get(sequences, i), vector);
        assert_int_equal(json_array_size(wanted), o.model.dim);
        for (size_t k = 0; k < o.model.dim; k++)
            assert_float_equal(vector[k],
                               json_real_value(json_array_get(wanted, k)),
                               DIFFERENCE_MAX);
    }
    model_close(&o);
    json_decref(golden);
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
                  {"mpnet", "mpnet", 62}};

    (void)state;
    for (size_t i = 0; i < sizeof(models) / sizeof(*models); i++) {
        opened o = {0};

        model_open(models[i].name, "scalar", &o);
        assert_string_equal(lk_architecture_name(o.config.architecture),
                            models[i].architecture);
        assert_int_equal(o.config.max_tokens, models[i].max_tokens);
        model_close(&o);
        vectors_check(models[i].name, "scalar");
        vectors_check(models[i].name, NULL);
    }
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
        lk_model_load(&o.weights, &o.config, kernels, &o.model, &err),
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
            "config.json: activation \"relu\" is not supported, only \"gelu\" "
            "is");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_are_those_of_transformers),
        cmocka_unit_test(a_static_table_gives_the_vectors_of_model2vec),
        cmocka_unit_test(unknown_tokens_count_only_where_there_are_no_others),
        cmocka_unit_test(the_last_or_the_largest_of_the_rows_can_be_the_vector),
        cmocka_unit_test(sizes_that_an_architecture_cannot_have_are_refused),
    };

    return cmocka_run_group_tests_name("architectures", tests, NULL, NULL);
}
