/* CLIP's vocab.json and merges.txt against the golden files that
 * scripts/generate-clip-vocab wrote with transformers, and what is refused of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "encoder/file.h"
#include "encoder/fingerprint.h"
#include "encoder/tokenizer.h"
#include "tests/support/alloc_fail.h"

#define GOLDEN "tests/golden/clip-vocab/"

static linkd_str str(const char *text)
{
    return (linkd_str){text, strlen(text)};
}

/* ---- parity ------------------------------------------------------------- */

static lk_tokenizer *golden_open(bool has_config)
{
    lk_file vocab = {0}, merges = {0}, config = {0};
    lk_tokenizer *tokenizer = NULL;
    linkd_error err;

    assert_int_equal(lk_file_map(GOLDEN "vocab.json", &vocab, NULL), LINKD_OK);
    assert_int_equal(lk_file_map(GOLDEN "merges.txt", &merges, NULL), LINKD_OK);
    assert_int_equal(lk_file_map(GOLDEN "tokenizer_config.json", &config, NULL),
                     LINKD_OK);
    if (lk_tokenizer_parse_clip(
            (linkd_str){(const char *)vocab.bytes, vocab.len},
            (linkd_str){(const char *)merges.bytes, merges.len},
            (linkd_str){(const char *)config.bytes,
                        has_config ? config.len : 0},
            &tokenizer, &err) != LINKD_OK)
        fail_msg("%s", err.message);
    lk_file_unmap(&vocab);
    lk_file_unmap(&merges);
    lk_file_unmap(&config);
    return tokenizer;
}

static void assert_ids(const lk_tokenizer *tokenizer, const json_t *golden)
{
    const char *text = json_string_value(json_object_get(golden, "text"));
    const json_t *ids = json_object_get(golden, "ids");
    lk_tokens tokens = {0};

    assert_int_equal(
        lk_tokenizer_encode(tokenizer, str(text), 100000, &tokens, NULL),
        LINKD_OK);
    if (tokens.n != json_array_size(ids))
        fail_msg("\"%s\" has %zu tokens, not %zu", text, tokens.n,
                 json_array_size(ids));
    for (size_t i = 0; i < tokens.n; i++)
        assert_int_equal(tokens.ids[i],
                         json_integer_value(json_array_get(ids, i)));
    lk_tokens_clear(&tokens);
}

static void texts_have_the_ids_of_transformers(void **state)
{
    lk_tokenizer *tokenizers[] = {golden_open(false), golden_open(true)};
    FILE *file = fopen(GOLDEN "texts.jsonl", "r");
    size_t n[2] = {0, 0};

    (void)state;
    assert_non_null(file);
    for (json_t *golden;
         (golden = json_loadf(file, JSON_DISABLE_EOF_CHECK, NULL)) != NULL;) {
        const size_t has_config =
            json_is_true(json_object_get(golden, "has_config")) ? 1 : 0;

        assert_ids(tokenizers[has_config], golden);
        n[has_config]++;
        json_decref(golden);
    }
    (void)fclose(file);
    for (size_t i = 0; i < 2; i++) {
        assert_true(n[i] > 100);
        assert_string_equal(lk_tokenizer_kind(tokenizers[i]), "bpe");
        lk_tokenizer_close(tokenizers[i]);
    }
}

/* ---- directories -------------------------------------------------------- */

static void file_write(const char *dir, const char *name, const char *text)
{
    char path[128];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void file_remove(const char *dir, const char *name)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    assert_int_equal(remove(path), 0);
}

#define VOCAB                                                                  \
 "{\"a\":0,\"b</w>\":1,\"ab</w>\":2,\"<|startoftext|>\":3,"                    \
 "\"<|endoftext|>\":4}"
#define MERGES "#version: 0.2\na b</w>\n"

static void a_directory_may_have_them_in_place_of_tokenizer_json(void **state)
{
    static const uint32_t ids[] = {3, 2, 4};
    char dir[] = "/tmp/linkd-vocab-XXXXXX";
    lk_tokenizer *tokenizer = NULL;
    lk_tokens tokens = {0};
    linkd_error err;

    (void)state;
    assert_non_null(mkdtemp(dir));
    file_write(dir, "vocab.json", VOCAB);
    assert_int_equal(lk_tokenizer_open(dir, &tokenizer, &err), LINKD_E_DATA);
    file_write(dir, "merges.txt", MERGES);
    assert_int_equal(lk_tokenizer_open(dir, &tokenizer, NULL), LINKD_OK);
    assert_int_equal(
        lk_tokenizer_encode(tokenizer, str("AB"), 77, &tokens, NULL), LINKD_OK);
    assert_int_equal(tokens.n, 3);
    assert_memory_equal(tokens.ids, ids, sizeof(ids));
    lk_tokens_clear(&tokens);
    lk_tokenizer_close(tokenizer);
    file_remove(dir, "vocab.json");
    file_remove(dir, "merges.txt");
    assert_int_equal(rmdir(dir), 0);
}

static void fingerprint_of(const char *dir,
                           char ret_digits[LK_FINGERPRINT_DIGITS + 1])
{
    lk_fingerprint f;

    assert_int_equal(lk_fingerprint_begin(&f, false, NULL), LINKD_OK);
    assert_int_equal(lk_fingerprint_tokenizer(&f, dir, NULL), LINKD_OK);
    lk_fingerprint_end(&f, ret_digits);
}

/* Each file that decides about ids; what tokenizer.json hides does not. */
static void they_are_in_the_fingerprint(void **state)
{
    static const char *const names[] = {"vocab.json", "merges.txt",
                                        "tokenizer_config.json"};
    char dir[] = "/tmp/linkd-vocab-XXXXXX";
    char seen[2][LK_FINGERPRINT_DIGITS + 1];

    (void)state;
    assert_non_null(mkdtemp(dir));
    fingerprint_of(dir, seen[0]);
    for (size_t i = 0; i < 3; i++) {
        file_write(dir, names[i], "{}");
        fingerprint_of(dir, seen[(i + 1) % 2]);
        assert_string_not_equal(seen[0], seen[1]);
    }
    file_write(dir, "tokenizer.json", "{}");
    fingerprint_of(dir, seen[0]);
    for (size_t i = 0; i < 3; i++)
        file_remove(dir, names[i]);
    fingerprint_of(dir, seen[1]);
    assert_string_equal(seen[0], seen[1]);
    file_remove(dir, "tokenizer.json");
    assert_int_equal(rmdir(dir), 0);
}

/* ---- what is refused ---------------------------------------------------- */

static void refused(const char *vocab, const char *merges, const char *config,
                    const char *message)
{
    lk_tokenizer *tokenizer = NULL;
    linkd_error err = {0};

    assert_int_equal(lk_tokenizer_parse_clip(str(vocab), str(merges),
                                             str(config), &tokenizer, &err),
                     LINKD_E_DATA);
    assert_string_equal(err.message, message);
    assert_null(tokenizer);
}

static void damaged_vocabularies_are_refused(void **state)
{
    (void)state;
    refused("{\n\"a\": 0,\n\"b\" 1}", MERGES, "",
            "vocab.json: line 3: ':' expected near '1'");
    refused("[]", MERGES, "", "vocab.json: is not an object");
    refused("{\"a\":0,\"b</w>\":1,\"ab</w>\":1,\"<|startoftext|>\":3,"
            "\"<|endoftext|>\":4}",
            MERGES, "",
            "vocab.json: id 1 of \"ab</w>\" is another token's too");
    refused("{\"a\":0,\"b</w>\":9,\"ab</w>\":1,\"<|startoftext|>\":3,"
            "\"<|endoftext|>\":4}",
            MERGES, "",
            "vocab.json: id 9 of \"b</w>\" is not below 5, the number of "
            "tokens");
    /* GPT-2's and RoBERTa's have the same names */
    refused("{\"a\":0}", "", "",
            "vocab.json: no token \"<|startoftext|>\", which is "
            "tokenizer_config.json's or CLIP's bos_token");
}

static void damaged_merges_are_refused(void **state)
{
    (void)state;
    refused(VOCAB, "#version: 0.2\na b</w>\nb</w> a\n", "",
            "merges.txt: line 3: \"b</w> a\" is not two pieces of vocab.json "
            "that make a third");
    refused(VOCAB, "a b</w>\n\n", "",
            "merges.txt: line 2: \"\" is not two pieces of vocab.json that "
            "make a third");
    refused(VOCAB, "a b</w> c", "",
            "merges.txt: line 1: \"a b</w> c\" is not two pieces of "
            "vocab.json that make a third");
    refused(VOCAB, "a \xff\r\n", "",
            "merges.txt: line 1: \"a ?\" is not two pieces of vocab.json that "
            "make a third");
}

static void other_configurations_are_refused(void **state)
{
    (void)state;
    refused(VOCAB, MERGES, "{\"tokenizer_class\":\"GPT2Tokenizer\"}",
            "tokenizer_config.json: tokenizer \"GPT2Tokenizer\" is not "
            "supported without tokenizer.json");
    refused(VOCAB, MERGES, "{\"eos_token\":\"</s>\"}",
            "vocab.json: no token \"</s>\", which is tokenizer_config.json's "
            "or CLIP's eos_token");
    refused(VOCAB, MERGES, "{\"unk_token\":7}",
            "vocab.json: no token \"\", which is tokenizer_config.json's or "
            "CLIP's unk_token");
    refused(VOCAB, MERGES,
            "{\"added_tokens_decoder\":{\"5\":{\"content\":"
            "\"<x>\"}}}",
            "vocab.json: no token \"<x>\", which is tokenizer_config.json's "
            "or CLIP's added_tokens_decoder");
    refused(VOCAB, MERGES, "{",
            "tokenizer_config.json: line 1: string or '}' "
            "expected near end of file");
}

/* Whether "a<|ENDOFTEXT|>" ends in the end's token before the one that ends every
 * text: whether its name is looked for in lower case. */
static bool finds_the_end_in_capitals(const char *config)
{
    lk_tokenizer *tokenizer = NULL;
    lk_tokens tokens = {0};
    bool is_found;

    assert_int_equal(lk_tokenizer_parse_clip(str(VOCAB), str(MERGES),
                                             str(config), &tokenizer, NULL),
                     LINKD_OK);
    assert_int_equal(lk_tokenizer_encode(tokenizer, str("ab<|ENDOFTEXT|>"), 77,
                                         &tokens, NULL),
                     LINKD_OK);
    is_found = tokens.n == 4 && tokens.ids[2] == 4;
    lk_tokens_clear(&tokens);
    lk_tokenizer_close(tokenizer);
    return is_found;
}

#define END(normalized)                                                        \
 "{\"content\":\"<|endoftext|>\",\"normalized\":" normalized "}"

/* As transformers 5.24 does, case by case. */
static void of_tokens_of_one_name_the_last_new_one_counts(void **state)
{
    (void)state;
    assert_false(finds_the_end_in_capitals(""));
    assert_true(finds_the_end_in_capitals(
        "{\"unk_token\":" END("false") ",\"eos_token\":\"<|endoftext|>\","
                                       "\"pad_token\":" END("true") "}"));
    assert_false(finds_the_end_in_capitals(
        "{\"unk_token\":" END("false") ",\"eos_token\":" END(
            "true") ",\"pad_token\":" END("true") "}"));
    assert_true(finds_the_end_in_capitals(
        "{\"unk_token\":" END("true") ",\"eos_token\":" END(
            "false") ",\"pad_token\":" END("false") "}"));
    assert_false(finds_the_end_in_capitals(
        "{\"unk_token\":" END("false") ",\"eos_token\":" END("true") "}"));
    assert_true(finds_the_end_in_capitals(
        "{\"added_tokens_decoder\":{\"4\":" END("true") "}}"));
}

static void memory_that_runs_out_is_reported(void **state)
{
    static const char config[] = "{\"unk_token\":" END(
        "true") ",\"added_tokens_decoder\":{\"3\":"
                "{\"content\":\"<|startoftext|>\",\"normalized\":true}}}";

    (void)state;
    for (size_t n = 1;; n++) {
        lk_tokenizer *tokenizer = NULL;
        int rc;

        alloc_fail_at(n);
        rc = lk_tokenizer_parse_clip(str(VOCAB), str(MERGES), str(config),
                                     &tokenizer, NULL);
        lk_tokenizer_close(tokenizer);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            assert_true(n > 5);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_have_the_ids_of_transformers),
        cmocka_unit_test(a_directory_may_have_them_in_place_of_tokenizer_json),
        cmocka_unit_test(they_are_in_the_fingerprint),
        cmocka_unit_test(damaged_vocabularies_are_refused),
        cmocka_unit_test(damaged_merges_are_refused),
        cmocka_unit_test(other_configurations_are_refused),
        cmocka_unit_test(of_tokens_of_one_name_the_last_new_one_counts),
        cmocka_unit_test(memory_that_runs_out_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
