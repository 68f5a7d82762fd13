/* The encoder as its callers see it, on a tiny model of random weights that is
 * also computed by plain loops in double precision. Tolerance: 1e-5 on numbers
 * below 1, the accuracy that linkd promises on real models. */
#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <xxhash.h>

#include "encoder/encoder.h"
#include "encoder/packed.h"
#include "tests/encoder/tiny_model.h"
#include "tests/support/alloc_fail.h"

#define TOLERANCE 1e-5

/* Words of each text; between them are one tile and many, short and long. */
static const size_t LENGTHS[] = {5, 0, 1, 150, 17, 3, 40, 64, 2, 126, 9};

enum {
    N_TEXTS = sizeof(LENGTHS) / sizeof(LENGTHS[0]),
    TEXT_BYTES = 4 * (TINY_MAX_TOKENS + 50),
};

/* A text of words by number, and the ids that it must become. */
typedef struct sample {
    char text[TEXT_BYTES];
    uint32_t ids[TINY_MAX_TOKENS];
    size_t n_ids;
} sample;

static void sample_fill(sample *s, size_t n_words, size_t salt)
{
    size_t len = 0;

    memset(s, 0, sizeof(*s));
    s->ids[s->n_ids++] = TINY_CLS;
    for (size_t i = 0; i < n_words; i++) {
        size_t word = (i * i + 7 * salt + i) % TINY_WORDS;

        len += (size_t)snprintf(s->text + len, sizeof(s->text) - len, "%sw%zu",
                                i == 0 ? "" : " ", word);
        if (s->n_ids < TINY_MAX_TOKENS - 1)
            s->ids[s->n_ids++] = TINY_FIRST_WORD + (uint32_t)word;
    }
    s->ids[s->n_ids++] = TINY_SEP;
}

typedef struct fixture {
    tiny_model *model;
    lk_pool *pool;
    sample samples[N_TEXTS];
    linkd_str texts[N_TEXTS];
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    unsetenv("LINKD_ISA");
    f->model = tiny_model_new(NULL);
    assert_int_equal(lk_pool_new(2, &f->pool, NULL), LINKD_OK);
    for (size_t i = 0; i < N_TEXTS; i++) {
        sample_fill(&f->samples[i], LENGTHS[i], i);
        f->texts[i] =
            (linkd_str){f->samples[i].text, strlen(f->samples[i].text)};
    }
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;

    unsetenv("LINKD_ISA");
    lk_pool_free(f->pool);
    tiny_model_free(f->model);
    free(f);
    return 0;
}

static linkd_encoder *encoder_open(const tiny_model *model)
{
    linkd_encoder *encoder = NULL;
    linkd_error err = {0};

    if (linkd_encoder_open(tiny_model_dir(model), "f32", &encoder, &err) !=
        LINKD_OK)
        fail_msg("%s", err.message);
    return encoder;
}

static void encode(linkd_encoder *encoder, lk_pool *pool,
                   const linkd_str *texts, size_t n, float *ret_vectors)
{
    linkd_error err = {0};

    if (linkd_encoder_encode(encoder, pool, texts, n, ret_vectors, NULL,
                             &err) != LINKD_OK)
        fail_msg("%s", err.message);
}

static void assert_reference(const tiny_model *model, const sample *s,
                             int is_cls, const float *vector)
{
    double expected[TINY_DIM];

    tiny_model_reference(model, s->ids, s->n_ids, is_cls, expected);
    for (size_t k = 0; k < TINY_DIM; k++)
        if (!(fabs((double)vector[k] - expected[k]) <= TOLERANCE))
            fail_msg("%zu tokens, number %zu: %.9g instead of %.9g", s->n_ids,
                     k, (double)vector[k], expected[k]);
}

static void check_model(fixture *f, const tiny_model *model, int is_cls)
{
    linkd_encoder *encoder = encoder_open(model);
    float vectors[N_TEXTS * TINY_DIM];

    encode(encoder, f->pool, f->texts, N_TEXTS, vectors);
    for (size_t i = 0; i < N_TEXTS; i++)
        assert_reference(model, &f->samples[i], is_cls, vectors + i * TINY_DIM);
    linkd_encoder_close(encoder);
}

/* ---- values ------------------------------------------------------------- */

static void vectors_are_those_of_the_models_definition(void **state)
{
    fixture *f = *state;

    check_model(f, f->model, 0);
}

static void cls_pooling_takes_the_first_token(void **state)
{
    fixture *f = *state;

    tiny_model_put(f->model, "1_Pooling/config.json",
                   "{\"pooling_mode_cls_token\":true}");
    check_model(f, f->model, 1);
}

static void without_modules_a_vector_is_the_mean(void **state)
{
    fixture *f = *state;

    tiny_model_put(f->model, "modules.json", NULL);
    tiny_model_put(f->model, "1_Pooling/config.json", NULL);
    check_model(f, f->model, 0);
}

static void weights_in_bf16_with_a_prefix_give_their_own_vectors(void **state)
{
    fixture *f = *state;
    tiny_model *model =
        tiny_model_new(&(tiny_options){.prefix = "bert.", .is_bf16 = 1});

    check_model(f, model, 0);
    tiny_model_free(model);
}

static void weights_in_several_files_give_the_same_vectors(void **state)
{
    fixture *f = *state;
    tiny_model *model = tiny_model_new(&(tiny_options){.is_sharded = 1});

    check_model(f, model, 0);
    tiny_model_free(model);
}

static void an_empty_text_has_a_vector(void **state)
{
    fixture *f = *state;
    linkd_encoder *encoder = encoder_open(f->model);
    const linkd_str empty = {NULL, 0};
    float vector[TINY_DIM];
    sample s;

    sample_fill(&s, 0, 0);
    assert_int_equal(s.n_ids, 2);
    encode(encoder, f->pool, &empty, 1, vector);
    assert_reference(f->model, &s, 0, vector);
    linkd_encoder_close(encoder);
}

static void no_texts_are_no_work(void **state)
{
    fixture *f = *state;
    linkd_encoder *encoder = encoder_open(f->model);
    linkd_encode_stats stats = {0};

    assert_int_equal(
        linkd_encoder_encode(encoder, f->pool, NULL, 0, NULL, &stats, NULL),
        LINKD_OK);
    assert_int_equal(stats.n_texts, 0);
    linkd_encoder_close(encoder);
}

static void a_long_text_is_cut_and_counted(void **state)
{
    fixture *f = *state;
    linkd_encoder *encoder = encoder_open(f->model);
    linkd_encode_stats stats = {.n_texts = 100};
    float vectors[2 * TINY_DIM];
    sample s;
    linkd_str texts[2];

    sample_fill(&s, TINY_MAX_TOKENS + 20, 1);
    texts[0] = (linkd_str){s.text, strlen(s.text)};
    texts[1] = f->texts[0];
    assert_int_equal(
        linkd_encoder_encode(encoder, f->pool, texts, 2, vectors, &stats, NULL),
        LINKD_OK);
    assert_int_equal(s.n_ids, TINY_MAX_TOKENS);
    assert_reference(f->model, &s, 0, vectors);
    assert_int_equal(stats.n_truncated, 1);
    assert_int_equal(stats.n_texts, 102); /* a call adds */
    assert_int_equal(stats.n_tokens, TINY_MAX_TOKENS + LENGTHS[0] + 2);
    assert_true(stats.tokenize_seconds > 0.0);
    linkd_encoder_close(encoder);
}

/* ---- sameness ----------------------------------------------------------- */

static void the_same_bytes_come_out_of_one_and_two_workers(void **state)
{
    fixture *f = *state;
    linkd_encoder *encoder = encoder_open(f->model);
    float two[N_TEXTS * TINY_DIM];
    float one[N_TEXTS * TINY_DIM];
    lk_pool *pool = NULL;

    assert_int_equal(lk_pool_new(1, &pool, NULL), LINKD_OK);
    encode(encoder, pool, f->texts, N_TEXTS, one);
    encode(encoder, f->pool, f->texts, N_TEXTS, two);
    assert_memory_equal(one, two, sizeof(one));
    lk_pool_free(pool);
    linkd_encoder_close(encoder);
}

static void the_same_bytes_come_out_in_any_order_and_alone(void **state)
{
    fixture *f = *state;
    linkd_encoder *encoder = encoder_open(f->model);
    float vectors[N_TEXTS * TINY_DIM];
    float reversed[N_TEXTS * TINY_DIM];
    float alone[TINY_DIM];
    linkd_str texts[N_TEXTS];

    for (size_t i = 0; i < N_TEXTS; i++)
        texts[i] = f->texts[N_TEXTS - 1 - i];
    encode(encoder, f->pool, f->texts, N_TEXTS, vectors);
    encode(encoder, f->pool, texts, N_TEXTS, reversed);
    for (size_t i = 0; i < N_TEXTS; i++) {
        const float *vector = vectors + i * TINY_DIM;

        assert_memory_equal(reversed + (N_TEXTS - 1 - i) * TINY_DIM, vector,
                            sizeof(alone));
        encode(encoder, f->pool, &f->texts[i], 1, alone);
        assert_memory_equal(alone, vector, sizeof(alone));
    }
    linkd_encoder_close(encoder);
}

static void a_text_that_comes_twice_is_encoded_once(void **state)
{
    fixture *f = *state;
    const linkd_str texts[] = {f->texts[0], f->texts[1], f->texts[0],
                               f->texts[2], f->texts[0]};
    linkd_encoder *encoder = encoder_open(f->model);
    linkd_encode_stats stats = {0};
    float vectors[5 * TINY_DIM];

    assert_int_equal(
        linkd_encoder_encode(encoder, f->pool, texts, 5, vectors, &stats, NULL),
        LINKD_OK);
    assert_int_equal(stats.n_texts, 5);
    assert_int_equal(stats.n_repeated, 2);
    assert_int_equal(stats.n_tokens, 3 * f->samples[0].n_ids +
                                         f->samples[1].n_ids +
                                         f->samples[2].n_ids);
    assert_reference(f->model, &f->samples[0], 0, vectors + 4 * TINY_DIM);
    assert_reference(f->model, &f->samples[2], 0, vectors + 3 * TINY_DIM);
    linkd_encoder_close(encoder);
}

/* More texts than the encoder takes at a time. */
static void the_same_bytes_come_out_of_a_large_batch(void **state)
{
    enum { N_MANY = 8192 + 100 };
    fixture *f = *state;
    linkd_encoder *encoder = encoder_open(f->model);
    linkd_str *texts = calloc(N_MANY, sizeof(*texts));
    float *many = calloc(N_MANY * TINY_DIM, sizeof(*many));
    float few[3 * TINY_DIM];

    assert_non_null(texts);
    assert_non_null(many);
    for (size_t i = 0; i < N_MANY; i++)
        texts[i] = f->texts[i % 3];
    encode(encoder, f->pool, texts, N_MANY, many);
    encode(encoder, f->pool, f->texts, 3, few);
    for (size_t i = 0; i < N_MANY; i++)
        assert_memory_equal(many + i * TINY_DIM, few + (i % 3) * TINY_DIM,
                            TINY_DIM * sizeof(*few));
    free(texts);
    free(many);
    linkd_encoder_close(encoder);
}

static void the_same_bytes_come_out_of_every_tier(void **state)
{
    static const char *const isas[] = {"avx2", "avx512"};
    fixture *f = *state;
    float scalar[N_TEXTS * TINY_DIM];
    float other[N_TEXTS * TINY_DIM];
    linkd_encoder *encoder;

    setenv("LINKD_ISA", "scalar", 1);
    encoder = encoder_open(f->model);
    assert_string_equal(linkd_encoder_describe(encoder)->isa, "scalar");
    encode(encoder, f->pool, f->texts, N_TEXTS, scalar);
    linkd_encoder_close(encoder);
    for (size_t i = 0; i < 2; i++) {
        encoder = NULL;
        setenv("LINKD_ISA", isas[i], 1);
        if (linkd_encoder_open(tiny_model_dir(f->model), NULL, &encoder,
                               NULL) != LINKD_OK)
            continue; /* not on this processor */
        encode(encoder, f->pool, f->texts, N_TEXTS, other);
        assert_memory_equal(other, scalar, sizeof(scalar));
        linkd_encoder_close(encoder);
    }
}

static linkd_encoder *int8_open(const tiny_model *model)
{
    linkd_encoder *encoder = NULL;
    linkd_error err = {0};

    if (linkd_encoder_open(tiny_model_dir(model), "int8", &encoder, &err) !=
        LINKD_OK)
        fail_msg("%s", err.message);
    assert_string_equal(linkd_encoder_describe(encoder)->precision, "int8");
    return encoder;
}

/* Random weights without outliers: bytes cost a cosine of 0.0005 here. */
static void vectors_of_int8_are_near_the_definition(void **state)
{
    fixture *f = *state;
    linkd_encoder *encoder = int8_open(f->model);
    float vectors[N_TEXTS * TINY_DIM];

    encode(encoder, f->pool, f->texts, N_TEXTS, vectors);
    for (size_t i = 0; i < N_TEXTS; i++) {
        double expected[TINY_DIM];
        double cosine = 0.0;

        tiny_model_reference(f->model, f->samples[i].ids, f->samples[i].n_ids,
                             0, expected);
        for (size_t k = 0; k < TINY_DIM; k++)
            cosine += expected[k] * (double)vectors[i * TINY_DIM + k];
        if (!(cosine > 0.995 && cosine < 0.9999999))
            fail_msg("text %zu: cosine %.9f", i, cosine);
    }
    linkd_encoder_close(encoder);
}

static void the_same_bytes_come_out_of_int8_in_any_tier_and_alone(void **state)
{
    static const char *const isas[] = {"avx2", "avx_vnni", "avx512_vnni"};
    fixture *f = *state;
    float scalar[N_TEXTS * TINY_DIM];
    float other[N_TEXTS * TINY_DIM];
    linkd_encoder *encoder;

    setenv("LINKD_ISA", "scalar", 1);
    encoder = int8_open(f->model);
    encode(encoder, f->pool, f->texts, N_TEXTS, scalar);
    for (size_t i = 0; i < N_TEXTS; i++) {
        encode(encoder, f->pool, &f->texts[i], 1, other);
        assert_memory_equal(other, scalar + i * TINY_DIM,
                            TINY_DIM * sizeof(*other));
    }
    linkd_encoder_close(encoder);
    for (size_t i = 0; i < 3; i++) {
        encoder = NULL;
        setenv("LINKD_ISA", isas[i], 1);
        if (linkd_encoder_open(tiny_model_dir(f->model), "int8", &encoder,
                               NULL) != LINKD_OK)
            continue; /* not on this processor */
        encode(encoder, f->pool, f->texts, N_TEXTS, other);
        assert_memory_equal(other, scalar, sizeof(scalar));
        linkd_encoder_close(encoder);
    }
}

static void an_empty_linkd_isa_is_as_none(void **state)
{
    fixture *f = *state;

    setenv("LINKD_ISA", "", 1);
    check_model(f, f->model, 0);
}

/* ---- description -------------------------------------------------------- */

static void an_encoder_describes_its_model(void **state)
{
    fixture *f = *state;
    linkd_encoder *encoder = encoder_open(f->model);
    const linkd_encoder_info *info = linkd_encoder_describe(encoder);
    const size_t layer = 4 * TINY_DIM * TINY_DIM + 4 * TINY_DIM +
                         2 * TINY_DIM * TINY_INNER + TINY_INNER + TINY_DIM +
                         4 * TINY_DIM;

    assert_string_equal(info->architecture, "bert");
    assert_string_equal(info->tokenizer, "wordpiece");
    assert_string_equal(info->pooling, "mean");
    assert_string_equal(info->precision, "f32");
    assert_int_equal(info->dim, TINY_DIM);
    assert_int_equal(info->n_layers, TINY_LAYERS);
    assert_int_equal(info->max_tokens, TINY_MAX_TOKENS);
    assert_int_equal(info->n_parameters,
                     (TINY_VOCAB + TINY_POSITIONS + 2 + 2) * TINY_DIM +
                         TINY_LAYERS * layer);
    assert_int_equal(strlen(info->fingerprint), 32);
    assert_int_equal(strspn(info->fingerprint, "0123456789abcdef"), 32);
    linkd_encoder_close(encoder);
}

static void fingerprint_copy(const tiny_model *model, char *ret_text)
{
    linkd_encoder *encoder = encoder_open(model);

    memcpy(ret_text, linkd_encoder_describe(encoder)->fingerprint, 33);
    linkd_encoder_close(encoder);
}

static void a_fingerprint_changes_with_whatever_changes_vectors(void **state)
{
    fixture *f = *state;
    char seen[7][33];

    fingerprint_copy(f->model, seen[0]);
    fingerprint_copy(f->model, seen[1]);
    assert_string_equal(seen[0], seen[1]);
    setenv("LINKD_ISA", "scalar", 1);
    fingerprint_copy(f->model, seen[1]);
    assert_string_equal(seen[0], seen[1]);

    tiny_model_put(f->model, "1_Pooling/config.json",
                   "{\"pooling_mode_cls_token\":true}");
    fingerprint_copy(f->model, seen[1]);
    tiny_model_put(f->model, "sentence_bert_config.json",
                   "{\"max_seq_length\":20}");
    fingerprint_copy(f->model, seen[2]);
    tiny_model_change(f->model, 2.0F);
    fingerprint_copy(f->model, seen[3]);
    tiny_model_put(f->model, "vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\nx\n");
    fingerprint_copy(f->model, seen[4]);
    tiny_model_put(f->model, "tokenizer_config.json",
                   "{\"do_lower_case\":false}");
    fingerprint_copy(f->model, seen[5]);
    tiny_model_activate(f->model, "gelu_new");
    fingerprint_copy(f->model, seen[6]);
    for (size_t i = 0; i < 7; i++)
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(seen[i], seen[j]);
}

static void int8_has_a_fingerprint_of_its_own(void **state)
{
    fixture *f = *state;
    linkd_encoder *encoder = int8_open(f->model);
    char plain[33];

    fingerprint_copy(f->model, plain);
    assert_string_not_equal(linkd_encoder_describe(encoder)->fingerprint,
                            plain);
    linkd_encoder_close(encoder);
    encoder = NULL;
    if (linkd_encoder_open(tiny_model_dir(f->model), "f32", &encoder, NULL) !=
        LINKD_OK)
        fail();
    assert_string_equal(linkd_encoder_describe(encoder)->fingerprint, plain);
    linkd_encoder_close(encoder);
}

/* ---- failures ----------------------------------------------------------- */

static void assert_open_fails(const tiny_model *model, int code,
                              const char *message)
{
    linkd_encoder *encoder = NULL;
    linkd_error err = {0};

    assert_int_equal(
        linkd_encoder_open(tiny_model_dir(model), "f32", &encoder, &err), code);
    if (strstr(err.message, message) == NULL)
        fail_msg("\"%s\" instead of \"%s\"", err.message, message);
    assert_null(encoder);
}

static void a_missing_file_is_named(void **state)
{
    fixture *f = *state;

    tiny_model_put(f->model, "model.safetensors", NULL);
    assert_open_fails(f->model, LINKD_E_IO,
                      "/model.safetensors: No such file or directory");
    tiny_model_put(f->model, "config.json", NULL);
    assert_open_fails(f->model, LINKD_E_IO,
                      "/config.json: No such file or directory");
}

static void pickled_weights_are_refused(void **state)
{
    fixture *f = *state;

    tiny_model_put(f->model, "model.safetensors", "PK\003\004 and so on");
    assert_open_fails(f->model, LINKD_E_DATA, "model.safetensors: is a pickle");
    tiny_model_put(f->model, "model.safetensors", NULL);
    tiny_model_put(f->model, "pytorch_model.bin", "PK\003\004 and so on");
    assert_open_fails(f->model, LINKD_E_DATA, "pytorch_model.bin is a pickle");
}

static void a_shape_that_does_not_fit_the_config_is_refused(void **state)
{
    fixture *f = *state;

    tiny_model_put(f->model, "config.json",
                   "{\"model_type\":\"bert\",\"hidden_size\":40,"
                   "\"intermediate_size\":71,\"num_hidden_layers\":2,"
                   "\"num_attention_heads\":4,\"vocab_size\":25,"
                   "\"max_position_embeddings\":200,\"type_vocab_size\":2}");
    assert_open_fails(f->model, LINKD_E_DATA,
                      "model.safetensors: tensor "
                      "\"encoder.layer.0.intermediate.dense.weight\" has shape "
                      "[70, 40], but config.json makes it [71, 40]");
}

static void a_layer_that_is_not_there_is_named(void **state)
{
    fixture *f = *state;

    tiny_model_put(f->model, "config.json",
                   "{\"model_type\":\"bert\",\"hidden_size\":40,"
                   "\"intermediate_size\":70,\"num_hidden_layers\":3,"
                   "\"num_attention_heads\":4,\"vocab_size\":25,"
                   "\"max_position_embeddings\":200,\"type_vocab_size\":2}");
    assert_open_fails(f->model, LINKD_E_DATA,
                      "model.safetensors: has no tensor "
                      "\"encoder.layer.2.attention.self.query.weight\"");
}

static void a_tokenizer_with_more_words_than_the_model_is_refused(void **state)
{
    fixture *f = *state;

    tiny_model_put(
        f->model, "vocab.txt",
        "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n"
        "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\nl\nm\nn\no\np\nq\nr\ns\nt\n"
        "u\n");
    assert_open_fails(f->model, LINKD_E_DATA,
                      "the tokenizer has 26 tokens, but vocab_size in "
                      "config.json is 25");
}

static void weights_that_are_not_finite_are_refused(void **state)
{
    tiny_model *model = tiny_model_new(&(tiny_options){.nan_in_word = NAN});

    (void)state;
    assert_open_fails(model, LINKD_E_DATA, "holds a value that is not finite");
    tiny_model_free(model);
}

static void an_index_cannot_name_files_elsewhere(void **state)
{
    fixture *f = *state;

    tiny_model_put(f->model, "model.safetensors.index.json",
                   "{\"weight_map\":{\"a\":\"../model.safetensors\"}}");
    assert_open_fails(f->model, LINKD_E_DATA,
                      "model.safetensors.index.json: tensor \"a\" is in no "
                      "plain file of this directory");
    tiny_model_put(f->model, "model.safetensors.index.json", "{}");
    assert_open_fails(f->model, LINKD_E_DATA,
                      "model.safetensors.index.json: has no weight_map");
}

static void an_unknown_instruction_set_is_refused(void **state)
{
    fixture *f = *state;

    setenv("LINKD_ISA", "neon", 1);
    assert_open_fails(f->model, LINKD_E_ARG,
                      "unknown instruction set \"neon\"");
}

static void a_model_that_does_not_bear_int8_is_refused(void **state)
{
    fixture *f = *state;
    linkd_encoder *encoder = NULL;
    linkd_error err = {0};

    tiny_model_spoil_bytes(f->model);
    assert_int_equal(
        linkd_encoder_open(tiny_model_dir(f->model), "int8", &encoder, &err),
        LINKD_E_DATA);
    assert_null(encoder);
    assert_non_null(strstr(err.message, "this model does not bear int8: the "
                                        "vector of \""));
    check_model(f, f->model, 0); /* but it is a model like others */
}

static void check_opening_without_memory(const fixture *f,
                                         const char *precision)
{
    for (size_t n = 1;; n++) {
        linkd_encoder *encoder = NULL;
        int rc;

        alloc_fail_at(n);
        rc = linkd_encoder_open(tiny_model_dir(f->model), precision, &encoder,
                                NULL);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            assert_true(n > 10);
            linkd_encoder_close(encoder);
            return;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_null(encoder);
    }
}

static void opening_survives_memory_that_runs_out(void **state)
{
    check_opening_without_memory(*state, NULL);
    check_opening_without_memory(*state, "int8");
}

/* ---- packed before ------------------------------------------------------ */

static void packing_on(void)
{
    setenv("LINKD_PACKED", "on", 1);
    lk_packed_settle_seconds = 0;
}

static int tear_down_packing(void **state)
{
    setenv("LINKD_PACKED", "off", 1);
    lk_packed_settle_seconds = 2;
    return tear_down(state);
}

/* The one packed file of a directory, or "". */
static const char *packed_path(const tiny_model *model)
{
    static char path[400];
    DIR *stream = opendir(tiny_model_dir(model));

    assert_non_null(stream);
    path[0] = '\0';
    for (const struct dirent *entry; (entry = readdir(stream)) != NULL;)
        if (strncmp(entry->d_name, "linkd-packed-", 13) == 0) {
            assert_string_equal(path, "");
            (void)snprintf(path, sizeof(path), "%s/%s", tiny_model_dir(model),
                           entry->d_name);
        }
    closedir(stream);
    return path;
}

/* What an encoder answers, opened for it alone. */
typedef struct answer {
    float vectors[N_TEXTS * TINY_DIM];
    char fingerprint[33];
} answer;

static answer answer_of(const fixture *f, const char *precision)
{
    linkd_encoder *encoder = NULL;
    linkd_error err = {0};
    answer a;

    if (linkd_encoder_open(tiny_model_dir(f->model), precision, &encoder,
                           &err) != LINKD_OK)
        fail_msg("%s", err.message);
    encode(encoder, f->pool, f->texts, N_TEXTS, a.vectors);
    strcpy(a.fingerprint, linkd_encoder_describe(encoder)->fingerprint);
    linkd_encoder_close(encoder);
    return a;
}

/* A fingerprint that only packed_mark() makes. */
static bool is_marked(const answer *a)
{
    return strspn(a->fingerprint, "x") == 32;
}

/* Changes the fingerprint in the packed file, and the hash of its header, which
 * is of the 80 bytes before it: who uses the file shows it. */
static void packed_mark(const tiny_model *model)
{
    FILE *file = fopen(packed_path(model), "r+b");
    uint8_t header[80];
    uint64_t hash;

    assert_non_null(file);
    assert_int_equal(fread(header, sizeof(header), 1, file), 1);
    memset(header + 48, 'x', 32);
    hash = XXH3_64bits(header, sizeof(header));
    rewind(file);
    assert_int_equal(fwrite(header, sizeof(header), 1, file), 1);
    assert_int_equal(fwrite(&hash, sizeof(hash), 1, file), 1);
    assert_int_equal(fclose(file), 0);
}

static void a_model_opens_from_what_was_packed_before(void **state)
{
    static const char *const precisions[] = {"f32", "int8"};
    const fixture *f = *state;

    packing_on();
    for (size_t i = 0; i < 2; i++) {
        const answer made = answer_of(f, precisions[i]);
        answer found = answer_of(f, precisions[i]);

        assert_string_equal(found.fingerprint, made.fingerprint);
        packed_mark(f->model);
        found = answer_of(f, precisions[i]);
        assert_true(is_marked(&found));
        assert_memory_equal(found.vectors, made.vectors, sizeof(made.vectors));
        assert_int_equal(remove(packed_path(f->model)), 0);
    }
}

static void what_was_packed_is_not_used_when_a_file_changes(void **state)
{
    const fixture *f = *state;
    answer made, changed;

    packing_on();
    made = answer_of(f, "f32");
    packed_mark(f->model);
    tiny_model_change(f->model, 2.0F); /* the file stays as long */
    changed = answer_of(f, "f32");
    assert_false(is_marked(&changed));
    assert_string_not_equal(changed.fingerprint, made.fingerprint);
    packed_mark(f->model);
    tiny_model_put(f->model, "vocab.txt",
                   "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nw1\nw0\n");
    changed = answer_of(f, "f32");
    assert_false(is_marked(&changed));
    packed_mark(f->model);
    tiny_model_put(f->model, "sentence_bert_config.json",
                   "{\"max_seq_length\":100}");
    changed = answer_of(f, "f32");
    assert_false(is_marked(&changed));
}

static void a_damaged_packed_file_is_made_anew(void **state)
{
    const fixture *f = *state;
    answer made, again;
    FILE *file;

    packing_on();
    made = answer_of(f, "f32");
    packed_mark(f->model);
    file = fopen(packed_path(f->model), "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, -100, SEEK_END), 0);
    assert_int_equal(fputc(0x55, file), 0x55);
    assert_int_equal(fclose(file), 0);
    again = answer_of(f, "f32");
    assert_string_equal(again.fingerprint, made.fingerprint);
    assert_memory_equal(again.vectors, made.vectors, sizeof(made.vectors));
    packed_mark(f->model); /* it is whole again */
    again = answer_of(f, "f32");
    assert_true(is_marked(&again));
}

static void files_that_have_just_changed_are_not_packed(void **state)
{
    const fixture *f = *state;

    packing_on();
    lk_packed_settle_seconds = 1000;
    (void)answer_of(f, "f32");
    assert_string_equal(packed_path(f->model), "");
}

static void nothing_is_packed_when_it_is_off(void **state)
{
    const fixture *f = *state;

    packing_on();
    setenv("LINKD_PACKED", "off", 1);
    (void)answer_of(f, "f32");
    assert_string_equal(packed_path(f->model), "");
}

/* Both ways: nothing is there yet, and it is. */
static void opening_what_is_packed_survives_memory_that_runs_out(void **state)
{
    const fixture *f = *state;

    packing_on();
    check_opening_without_memory(f, "f32");
    assert_string_not_equal(packed_path(f->model), "");
    check_opening_without_memory(f, "f32");
}

static bool knows(const linkd_encoder *encoder, const char *text)
{
    return linkd_encoder_knows(encoder, (linkd_str){text, strlen(text)});
}

static void a_text_is_known_by_one_word_of_the_vocabulary(void **state)
{
    fixture *f = *state;
    linkd_encoder *encoder = encoder_open(f->model);
    char late[2 * TINY_MAX_TOKENS + 8] = "";

    assert_true(knows(encoder, "w3"));
    assert_true(knows(encoder, "zz [MASK] w3"));
    assert_false(knows(encoder, ""));
    assert_false(knows(encoder, "zz \xE1\x8A\xA0 yy"));
    assert_false(knows(encoder, "[CLS] [SEP] zz"));
    for (size_t i = 0; i < TINY_MAX_TOKENS - 3; i++)
        memcpy(late + 2 * i, "z ", 3);
    memcpy(late + strlen(late), "w3", 3);
    assert_true(knows(encoder, late));
    memcpy(late + strlen(late) - 2, "z w3", 5); /* behind the limit */
    assert_false(knows(encoder, late));
    linkd_encoder_close(encoder);
}

static void encoding_survives_memory_that_runs_out(void **state)
{
    fixture *f = *state;

    for (size_t n = 1;; n++) {
        linkd_encoder *encoder = encoder_open(f->model);
        float vectors[N_TEXTS * TINY_DIM];
        bool failed;
        int rc;

        alloc_fail_at(n);
        rc = linkd_encoder_encode(encoder, f->pool, f->texts, N_TEXTS, vectors,
                                  NULL, NULL);
        failed = alloc_fail_off();
        assert_int_equal(rc, failed ? LINKD_E_NOMEM : LINKD_OK);
        /* the encoder can be used again */
        encode(encoder, f->pool, f->texts, N_TEXTS, vectors);
        assert_reference(f->model, &f->samples[3], 0, vectors + 3 * TINY_DIM);
        linkd_encoder_close(encoder);
        if (!failed) {
            assert_true(n > N_TEXTS);
            return;
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#define PACKING(name)                                                          \
 cmocka_unit_test_setup_teardown(name, set_up, tear_down_packing)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(vectors_are_those_of_the_models_definition),
        TEST(cls_pooling_takes_the_first_token),
        TEST(without_modules_a_vector_is_the_mean),
        TEST(weights_in_bf16_with_a_prefix_give_their_own_vectors),
        TEST(weights_in_several_files_give_the_same_vectors),
        TEST(an_empty_text_has_a_vector),
        TEST(no_texts_are_no_work),
        TEST(a_long_text_is_cut_and_counted),
        TEST(the_same_bytes_come_out_of_one_and_two_workers),
        TEST(the_same_bytes_come_out_in_any_order_and_alone),
        TEST(a_text_that_comes_twice_is_encoded_once),
        TEST(the_same_bytes_come_out_of_a_large_batch),
        TEST(the_same_bytes_come_out_of_every_tier),
        TEST(vectors_of_int8_are_near_the_definition),
        TEST(the_same_bytes_come_out_of_int8_in_any_tier_and_alone),
        TEST(an_empty_linkd_isa_is_as_none),
        TEST(an_encoder_describes_its_model),
        TEST(a_fingerprint_changes_with_whatever_changes_vectors),
        TEST(int8_has_a_fingerprint_of_its_own),
        TEST(a_missing_file_is_named),
        TEST(pickled_weights_are_refused),
        TEST(a_shape_that_does_not_fit_the_config_is_refused),
        TEST(a_layer_that_is_not_there_is_named),
        TEST(a_tokenizer_with_more_words_than_the_model_is_refused),
        TEST(weights_that_are_not_finite_are_refused),
        TEST(an_index_cannot_name_files_elsewhere),
        TEST(an_unknown_instruction_set_is_refused),
        TEST(a_model_that_does_not_bear_int8_is_refused),
        TEST(opening_survives_memory_that_runs_out),
        TEST(encoding_survives_memory_that_runs_out),
        PACKING(a_model_opens_from_what_was_packed_before),
        PACKING(what_was_packed_is_not_used_when_a_file_changes),
        PACKING(a_damaged_packed_file_is_made_anew),
        PACKING(files_that_have_just_changed_are_not_packed),
        PACKING(nothing_is_packed_when_it_is_off),
        PACKING(opening_what_is_packed_survives_memory_that_runs_out),
        TEST(a_text_is_known_by_one_word_of_the_vocabulary),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
