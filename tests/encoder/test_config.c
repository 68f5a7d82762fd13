/* What a model's JSON files must say, and what is said back when they do not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "encoder/config.h"

/* A config.json whose `key` has another value (NULL: is not there). */
static void model_print(char *text, size_t size, const char *key,
                        const char *value)
{
    static const char *const pairs[][2] = {
        {"model_type", "\"bert\""},
        {"hidden_act", "\"gelu\""},
        {"hidden_size", "48"},
        {"intermediate_size", "96"},
        {"num_hidden_layers", "2"},
        {"num_attention_heads", "4"},
        {"vocab_size", "100"},
        {"max_position_embeddings", "64"},
        {"type_vocab_size", "2"},
        {"layer_norm_eps", "1e-12"},
        {"position_embedding_type", "\"absolute\""},
        {"is_decoder", "false"},
    };
    size_t len = (size_t)snprintf(text, size, "{\"extra\": 1");

    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        const char *said = pairs[i][1];

        if (key != NULL && strcmp(key, pairs[i][0]) == 0)
            said = value;
        if (said != NULL)
            len += (size_t)snprintf(text + len, size - len, ", \"%s\": %s",
                                    pairs[i][0], said);
    }
    (void)snprintf(text + len, size - len, "}");
}

static int parse_with(const char *key, const char *value, lk_config *ret_config,
                      linkd_error *err)
{
    char text[1024];

    model_print(text, sizeof(text), key, value);
    return lk_config_parse_model(text, strlen(text), ret_config, err);
}

static void assert_refused(const char *key, const char *value,
                           const char *message)
{
    lk_config config;
    linkd_error err = {0};

    assert_int_equal(parse_with(key, value, &config, &err), LINKD_E_DATA);
    assert_string_equal(err.message, message);
}

static lk_config good_config(void)
{
    lk_config config = {0};

    assert_int_equal(parse_with(NULL, NULL, &config, NULL), LINKD_OK);
    return config;
}

static void a_bert_config_gives_its_sizes(void **state)
{
    lk_config config = good_config();

    (void)state;
    assert_int_equal(config.dim, 48);
    assert_int_equal(config.n_inner, 96);
    assert_int_equal(config.n_layers, 2);
    assert_int_equal(config.n_heads, 4);
    assert_int_equal(config.vocab_size, 100);
    assert_int_equal(config.n_positions, 64);
    assert_int_equal(config.n_types, 2);
    assert_true(config.norm_epsilon == 1e-12F);
    assert_int_equal(config.pooling, LK_POOLING_MEAN);
    assert_int_equal(config.max_tokens, 64);
}

static void defaults_stand_in_for_what_old_configs_lack(void **state)
{
    static const char *const optional[] = {
        "hidden_act", "position_embedding_type", "is_decoder"};
    lk_config config = {0};

    (void)state;
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(parse_with(optional[i], NULL, &config, NULL),
                         LINKD_OK);
    assert_int_equal(parse_with("layer_norm_eps", NULL, &config, NULL),
                     LINKD_OK);
    assert_true(config.norm_epsilon == 1e-12F);
}

static void an_activation_goes_by_the_names_of_transformers(void **state)
{
    static const struct {
        const char *name;
        lk_activation activation;
    } names[] = {{"\"gelu\"", LK_ACTIVATION_GELU},
                 {"\"gelu_python\"", LK_ACTIVATION_GELU},
                 {"\"gelu_new\"", LK_ACTIVATION_GELU_TANH},
                 {"\"gelu_fast\"", LK_ACTIVATION_GELU_TANH},
                 {"\"gelu_pytorch_tanh\"", LK_ACTIVATION_GELU_TANH},
                 {"\"gelu_python_tanh\"", LK_ACTIVATION_GELU_TANH},
                 {"\"quick_gelu\"", LK_ACTIVATION_QUICK_GELU},
                 {NULL, LK_ACTIVATION_GELU}};

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        lk_config config;

        assert_int_equal(parse_with("hidden_act", names[i].name, &config, NULL),
                         LINKD_OK);
        assert_int_equal(config.activation, names[i].activation);
    }
    assert_refused("hidden_act", "7", "config.json: hidden_act is not a text");
}

static void models_of_another_kind_are_refused_by_name(void **state)
{
    (void)state;
    assert_refused("model_type", "\"t5\"",
                   "config.json: model_type \"t5\" is not supported");
    assert_refused("model_type", NULL,
                   "config.json: model_type is missing or not a text");
    assert_refused("hidden_act", "\"relu\"",
                   "config.json: hidden_act \"relu\" is not supported, only "
                   "gelu, gelu_new, gelu_fast, gelu_pytorch_tanh and "
                   "quick_gelu are");
    assert_refused("position_embedding_type", "\"relative_key\"",
                   "config.json: position_embedding_type \"relative_key\" is "
                   "not supported, only \"absolute\" is");
    assert_refused("is_decoder", "true",
                   "config.json: is_decoder is not supported");
}

static void sizes_that_cannot_be_are_refused(void **state)
{
    (void)state;
    assert_refused("hidden_size", NULL,
                   "config.json: hidden_size is missing or not a number");
    assert_refused("hidden_size", "\"48\"",
                   "config.json: hidden_size is missing or not a number");
    assert_refused("vocab_size", "0",
                   "config.json: vocab_size is 0, not between 1 and 16777216");
    assert_refused("num_hidden_layers", "-1",
                   "config.json: num_hidden_layers is -1, not between 1 and "
                   "1024");
    assert_refused("intermediate_size", "9223372036854775807",
                   "config.json: intermediate_size is 9223372036854775807, not "
                   "between 1 and 65536");
    assert_refused("num_attention_heads", "5",
                   "config.json: hidden_size 48 is not a multiple of "
                   "num_attention_heads 5");
    assert_refused("max_position_embeddings", "2",
                   "config.json: max_position_embeddings 2 leaves no room for "
                   "a token");
    assert_refused("layer_norm_eps", "0",
                   "config.json: layer_norm_eps is not between 0 and 1");
}

static void a_config_that_is_not_json_is_refused_with_its_line(void **state)
{
    static const char text[] = "{\n\"model_type\": bert}";
    lk_config config;
    linkd_error err = {0};

    (void)state;
    assert_int_equal(lk_config_parse_model(text, strlen(text), &config, &err),
                     LINKD_E_DATA);
    assert_string_equal(err.message,
                        "config.json: line 2: invalid token near 'bert'");
    assert_int_equal(lk_config_parse_model("[]", 2, &config, &err),
                     LINKD_E_DATA);
    assert_string_equal(err.message, "config.json: is not a JSON object");
    assert_int_equal(lk_config_parse_model(NULL, 0, &config, &err),
                     LINKD_E_DATA);
}

/* ---- modules.json ------------------------------------------------------- */

static int modules_parse(const char *text, lk_buf *ret_dir, linkd_error *err)
{
    lk_config config = {0};

    return lk_config_parse_modules(text, strlen(text), &config, ret_dir, err);
}

static void modules_name_the_pooling_directory(void **state)
{
    static const char text[] =
        "[{\"path\":\"\",\"type\":\"sentence_transformers.models.Transformer\"}"
        ",{\"path\":\"2_P\",\"type\":\"sentence_transformers.models.Pooling\"},"
        "{\"path\":\"3\",\"type\":\"sentence_transformers.models.Normalize\"}]";
    lk_buf dir = {0};

    (void)state;
    assert_int_equal(modules_parse(text, &dir, NULL), LINKD_OK);
    assert_string_equal(dir.data, "2_P");
    lk_buf_clear(&dir);
}

static void assert_modules_refused(const char *text, const char *message)
{
    lk_buf dir = {0};
    linkd_error err = {0};

    assert_int_equal(modules_parse(text, &dir, &err), LINKD_E_DATA);
    assert_string_equal(err.message, message);
    lk_buf_clear(&dir);
}

static void modules_that_would_change_the_vectors_are_refused(void **state)
{
    (void)state;
    assert_modules_refused("[{\"path\":\"2_Dense\",\"type\":\"a.LSTM\"}]",
                           "modules.json: module \"a.LSTM\" is not supported");
    assert_modules_refused(
        "[{\"path\":\"0_T\",\"type\":\"a.Transformer\"}]",
        "modules.json: a transformer in its own directory \"0_T\" is not "
        "supported");
    assert_modules_refused("[{\"path\":\"\",\"type\":\"Transformer\"}]",
                           "modules.json: has no pooling module");
}

static void a_pooling_path_cannot_leave_the_model_directory(void **state)
{
    (void)state;
    assert_modules_refused("[{\"path\":\"../x\",\"type\":\"a.Pooling\"}]",
                           "modules.json: path \"../x\" is not a plain "
                           "directory name");
    assert_modules_refused("[{\"path\":\"a/b\",\"type\":\"a.Pooling\"}]",
                           "modules.json: path \"a/b\" is not a plain "
                           "directory name");
}

static void modules_of_another_form_are_refused(void **state)
{
    (void)state;
    assert_modules_refused("{}", "modules.json: is not a JSON array");
    assert_modules_refused("[7]",
                           "modules.json: a module has no type or no path");
}

/* ---- 1_Pooling/config.json ---------------------------------------------- */

static int pooling_parse(const char *text, lk_config *config, linkd_error *err)
{
    return lk_config_parse_pooling(text, strlen(text), "p.json", config, err);
}

static void pooling_is_read_from_flags_or_from_a_text(void **state)
{
    lk_config config = good_config();

    (void)state;
    assert_int_equal(pooling_parse("{\"word_embedding_dimension\":48,"
                                   "\"pooling_mode_cls_token\":true,"
                                   "\"pooling_mode_mean_tokens\":false}",
                                   &config, NULL),
                     LINKD_OK);
    assert_int_equal(config.pooling, LK_POOLING_CLS);
    assert_int_equal(
        pooling_parse("{\"pooling_mode_mean_tokens\":true}", &config, NULL),
        LINKD_OK);
    assert_int_equal(config.pooling, LK_POOLING_MEAN);
    assert_int_equal(pooling_parse("{\"pooling_mode\":\"cls\"}", &config, NULL),
                     LINKD_OK);
    assert_int_equal(config.pooling, LK_POOLING_CLS);
    assert_int_equal(
        pooling_parse("{\"pooling_mode_max_tokens\":true}", &config, NULL),
        LINKD_OK);
    assert_int_equal(config.pooling, LK_POOLING_MAX);
    assert_int_equal(
        pooling_parse("{\"pooling_mode\":\"lasttoken\"}", &config, NULL),
        LINKD_OK);
    assert_int_equal(config.pooling, LK_POOLING_LAST);
    /* longer than the mean, in the same direction */
    assert_int_equal(
        pooling_parse("{\"pooling_mode_mean_sqrt_len_tokens\":true}", &config,
                      NULL),
        LINKD_OK);
    assert_int_equal(config.pooling, LK_POOLING_MEAN);
}

static void assert_pooling_refused(const char *text, const char *message)
{
    lk_config config = good_config();
    linkd_error err = {0};

    assert_int_equal(pooling_parse(text, &config, &err), LINKD_E_DATA);
    assert_string_equal(err.message, message);
    assert_int_equal(config.pooling, LK_POOLING_MEAN);
}

static void pooling_of_another_kind_is_refused(void **state)
{
    (void)state;
    assert_pooling_refused("{\"pooling_mode_weightedmean_tokens\":true}",
                           "p.json: pooling_mode_weightedmean_tokens is not "
                           "supported");
    assert_pooling_refused("{\"pooling_mode\":\"weightedmean\"}",
                           "p.json: pooling_mode \"weightedmean\" is not "
                           "supported");
    assert_pooling_refused("{\"pooling_mode_mean_tokens\":true,"
                           "\"pooling_mode_cls_token\":true}",
                           "p.json: 2 pooling modes are set, one is needed");
    assert_pooling_refused("{}",
                           "p.json: 0 pooling modes are set, one is needed");
    assert_pooling_refused("{\"word_embedding_dimension\":64}",
                           "p.json: word_embedding_dimension is 64, but "
                           "hidden_size in config.json is 48");
}

/* ---- sentence_bert_config.json ------------------------------------------ */

static size_t limit_after(const char *text)
{
    lk_config config = good_config();
    bool is_set = false;

    assert_int_equal(
        lk_config_parse_limit(text, strlen(text), &config, &is_set, NULL),
        LINKD_OK);
    assert_int_equal(is_set, strstr(text, "length\":null") == NULL &&
                                 strstr(text, "length") != NULL);
    return config.max_tokens;
}

static void the_lower_limit_of_model_and_sentences_holds(void **state)
{
    (void)state;
    assert_int_equal(limit_after("{\"max_seq_length\":32}"), 32);
    assert_int_equal(limit_after("{\"max_seq_length\":256}"), 64);
    assert_int_equal(limit_after("{\"max_seq_length\":null}"), 64);
    assert_int_equal(limit_after("{}"), 64);
}

static void a_limit_without_room_for_a_token_is_refused(void **state)
{
    static const char text[] = "{\"max_seq_length\":2}";
    lk_config config = good_config();
    bool is_set = false;
    linkd_error err = {0};

    (void)state;
    assert_int_equal(
        lk_config_parse_limit(text, strlen(text), &config, &is_set, &err),
        LINKD_E_DATA);
    assert_string_equal(err.message,
                        "sentence_bert_config.json: max_seq_length 2 leaves no "
                        "room for a token");
    assert_int_equal(config.max_tokens, 64);
}

/* ---- tokenizer_config.json ---------------------------------------------- */

static void the_tokenizers_limit_holds_where_it_makes_sense(void **state)
{
    static const struct {
        const char *text;
        bool takes_limit;
        size_t wanted;
    } cases[] = {{"{\"model_max_length\":20}", true, 20},
                 {"{\"model_max_length\":20}", false, 64},
                 {"{\"model_max_length\":100}", true, 64},
                 /* what files without a limit have */
                 {"{\"model_max_length\":1e30}", true, 64},
                 {"{\"model_max_length\":1000000000000000019}", true, 64},
                 {"{}", true, 64}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        lk_config config = good_config();

        assert_int_equal(
            lk_config_parse_tokenizer(cases[i].text, strlen(cases[i].text),
                                      cases[i].takes_limit, &config, NULL),
            LINKD_OK);
        assert_int_equal(config.max_tokens, cases[i].wanted);
        assert_int_equal(config.cut, LK_CUT_AS_TOKENIZER);
    }
}

static int side_parse(const char *text, lk_config *config, linkd_error *err)
{
    *config = good_config();
    return lk_config_parse_tokenizer(text, strlen(text), true, config, err);
}

static void a_long_text_loses_the_side_that_the_config_names(void **state)
{
    lk_config config;
    linkd_error err = {0};

    (void)state;
    assert_int_equal(
        side_parse("{\"truncation_side\":\"left\"}", &config, &err), LINKD_OK);
    assert_int_equal(config.cut, LK_CUT_BEGINNING);
    assert_int_equal(
        side_parse("{\"truncation_side\":\"right\"}", &config, &err), LINKD_OK);
    assert_int_equal(config.cut, LK_CUT_END);
    assert_int_equal(
        side_parse("{\"truncation_side\":\"both\"}", &config, &err),
        LINKD_E_DATA);
    assert_string_equal(err.message,
                        "tokenizer_config.json: truncation_side \"both\" is "
                        "neither \"left\" nor \"right\"");
    assert_int_equal(side_parse("{\"model_max_length\":2}", &config, &err),
                     LINKD_E_DATA);
    assert_string_equal(err.message,
                        "tokenizer_config.json: model_max_length 2 leaves no "
                        "room for a token");
}

/* ---- dense layers ------------------------------------------------------- */

#define MODULES(between)                                                       \
 "[{\"path\":\"\",\"type\":\"m.Transformer\"}," between "]"
#define POOLING   "{\"path\":\"1_Pooling\",\"type\":\"m.Pooling\"}"
#define NORMALIZE "{\"path\":\"3\",\"type\":\"m.Normalize\"}"
#define DENSE     "{\"path\":\"2_Dense\",\"type\":\"m.Dense\"}"

static void dense_layers_stand_between_pooling_and_normalize(void **state)
{
    static const char text[] = MODULES(POOLING "," DENSE "," NORMALIZE);
    static const char *const refused[] = {
        MODULES(DENSE "," POOLING), MODULES(POOLING "," NORMALIZE "," DENSE)};
    lk_config config = {0};
    lk_buf dir = {0};
    linkd_error err = {0};

    (void)state;
    assert_int_equal(
        lk_config_parse_modules(text, strlen(text), &config, &dir, &err),
        LINKD_OK);
    assert_int_equal(config.n_dense, 1);
    assert_string_equal(config.dense[0].dir, "2_Dense");
    for (size_t i = 0; i < 2; i++) {
        lk_buf_reset(&dir);
        config.n_dense = 0;
        assert_int_equal(lk_config_parse_modules(refused[i], strlen(refused[i]),
                                                 &config, &dir, &err),
                         LINKD_E_DATA);
        assert_string_equal(err.message,
                            "modules.json: \"2_Dense\" is not between Pooling "
                            "and Normalize, which is not supported");
    }
    lk_buf_clear(&dir);
}

static void more_dense_layers_than_any_model_has_are_refused(void **state)
{
    static const char text[] =
        MODULES(POOLING "," DENSE "," DENSE "," DENSE "," DENSE "," DENSE);
    lk_config config = {0};
    lk_buf dir = {0};
    linkd_error err = {0};

    (void)state;
    assert_int_equal(
        lk_config_parse_modules(text, strlen(text), &config, &dir, &err),
        LINKD_E_DATA);
    assert_string_equal(err.message,
                        "modules.json: has more than 4 dense layers");
    lk_buf_clear(&dir);
}

static int dense_parse(const char *text, lk_dense_config *ret_dense,
                       linkd_error *err)
{
    return lk_config_parse_dense(text, strlen(text), "2_Dense/config.json", 48,
                                 ret_dense, err);
}

#define DENSE_CONFIG(activation)                                               \
 "{\"in_features\":48,\"out_features\":7,\"bias\":false,"                      \
 "\"activation_function\":\"torch.nn.modules." activation "\"}"

static void a_dense_layer_has_sizes_and_an_activation(void **state)
{
    lk_dense_config dense = {.n_out = 0};

    (void)state;
    assert_int_equal(dense_parse(DENSE_CONFIG("activation.Tanh"), &dense, NULL),
                     LINKD_OK);
    assert_int_equal(dense.n_out, 7);
    assert_int_equal(dense.activation, LK_DENSE_TANH);
    assert_false(dense.has_bias);
    assert_int_equal(dense_parse(DENSE_CONFIG("linear.Identity"), &dense, NULL),
                     LINKD_OK);
    assert_int_equal(dense.activation, LK_DENSE_NONE);
    assert_int_equal(dense_parse(DENSE_CONFIG("activation.ReLU"), &dense, NULL),
                     LINKD_OK);
    assert_int_equal(dense.activation, LK_DENSE_RELU);
}

static void a_dense_layer_of_another_kind_is_refused(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {DENSE_CONFIG("activation.SiLU"),
         "activation_function \"torch.nn.modules.activation.SiLU\" is not "
         "supported"},
        {"{\"in_features\":4,\"out_features\":7}",
         "in_features is 4, but 48 numbers come"},
        {"{\"in_features\":48}", "out_features is missing or not a number"},
        {"{\"in_features\":48,\"out_features\":7,\"activation_function\":"
         "\"Tanh\",\"module_input_name\":\"token_embeddings\"}",
         "module_input_name \"token_embeddings\" is not supported"}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        lk_dense_config dense;
        linkd_error err = {0};

        assert_int_equal(dense_parse(cases[i].text, &dense, &err),
                         LINKD_E_DATA);
        assert_string_equal(err.message + strlen("2_Dense/config.json: "),
                            cases[i].message);
    }
}

static void texts_are_made_lower_case_where_the_file_says_so(void **state)
{
    static const struct {
        const char *text;
        int rc;
        bool lowercases;
    } cases[] = {{"{}", LINKD_OK, false},
                 {"{\"do_lower_case\": null}", LINKD_OK, false},
                 {"{\"do_lower_case\": false}", LINKD_OK, false},
                 {"{\"do_lower_case\": true}", LINKD_OK, true},
                 {"{\"do_lower_case\": \"yes\"}", LINKD_E_DATA, false}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        lk_config config = {.max_tokens = 512};
        bool is_set = false;

        assert_int_equal(lk_config_parse_limit(cases[i].text,
                                               strlen(cases[i].text), &config,
                                               &is_set, NULL),
                         cases[i].rc);
        assert_true(config.lowercases == cases[i].lowercases);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bert_config_gives_its_sizes),
        cmocka_unit_test(defaults_stand_in_for_what_old_configs_lack),
        cmocka_unit_test(an_activation_goes_by_the_names_of_transformers),
        cmocka_unit_test(models_of_another_kind_are_refused_by_name),
        cmocka_unit_test(sizes_that_cannot_be_are_refused),
        cmocka_unit_test(a_config_that_is_not_json_is_refused_with_its_line),
        cmocka_unit_test(modules_name_the_pooling_directory),
        cmocka_unit_test(modules_that_would_change_the_vectors_are_refused),
        cmocka_unit_test(a_pooling_path_cannot_leave_the_model_directory),
        cmocka_unit_test(modules_of_another_form_are_refused),
        cmocka_unit_test(pooling_is_read_from_flags_or_from_a_text),
        cmocka_unit_test(pooling_of_another_kind_is_refused),
        cmocka_unit_test(the_lower_limit_of_model_and_sentences_holds),
        cmocka_unit_test(a_limit_without_room_for_a_token_is_refused),
        cmocka_unit_test(the_tokenizers_limit_holds_where_it_makes_sense),
        cmocka_unit_test(a_long_text_loses_the_side_that_the_config_names),
        cmocka_unit_test(dense_layers_stand_between_pooling_and_normalize),
        cmocka_unit_test(more_dense_layers_than_any_model_has_are_refused),
        cmocka_unit_test(a_dense_layer_has_sizes_and_an_activation),
        cmocka_unit_test(a_dense_layer_of_another_kind_is_refused),
        cmocka_unit_test(texts_are_made_lower_case_where_the_file_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
