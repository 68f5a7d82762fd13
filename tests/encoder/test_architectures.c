/* Tiny checkpoints of every architecture against the vectors that
 * scripts/generate-architecture-golden wrote with Hugging Face's transformers.
 */
#include "encoder/config.h"
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
        cmocka_unit_test(sizes_that_an_architecture_cannot_have_are_refused),
    };

    return cmocka_run_group_tests_name("architectures", tests, NULL, NULL);
}
