/* Tokenizers of every kind against the golden files that
 * scripts/generate-tokenizer-kinds wrote with Hugging Face's tokenizers, and
 * what is refused of such files. WordPiece as BERT has it is in
 * test_tokenizer.c. */
#include "encoder/tokenizer.h"
#include "encoder/unicode.h"
#include "tests/encoder/tokenizer_kinds.h"
#include "tests/support/alloc_fail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>
#include <xxhash.h>

enum {
    BLOCK = 4096, /* code points a line of sweep.txt */
    UNLIMITED = 100000,
    KIND_MAX = 32,
};

typedef struct fixture {
    char kind[KIND_MAX]; /* of the open tokenizer */
    lk_tokenizer *tokenizer;
    lk_tokens tokens;
} fixture;

static int set_up(void **state)
{
    static fixture f;

    f = (fixture){0};
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;

    lk_tokens_clear(&f->tokens);
    lk_tokenizer_close(f->tokenizer);
    return 0;
}

static linkd_str str(const char *text)
{
    return (linkd_str){text, strlen(text)};
}

/* The content of a golden file; the caller frees it. */
static void kind_open(fixture *f, const char *kind)
{
    char *json;
    linkd_error err;

    if (strcmp(f->kind, kind) == 0)
        return;
    lk_tokenizer_close(f->tokenizer);
    f->tokenizer = NULL;
    json = kind_read(kind);
    if (lk_tokenizer_parse_json(str(json), &f->tokenizer, &err) != LINKD_OK)
        fail_msg("%s: %s", kind, err.message);
    (void)snprintf(f->kind, sizeof(f->kind), "%s", kind);
    free(json);
}

static void encode(fixture *f, linkd_str text, size_t limit)
{
    linkd_error err;

    assert_int_equal(
        lk_tokenizer_encode(f->tokenizer, text, limit, &f->tokens, &err),
        LINKD_OK);
}

/* ---- parity ------------------------------------------------------------- */

static void ids_check(fixture *f, const char *kind, const char *text,
                      const json_t *ids)
{
    if (f->tokens.n != json_array_size(ids))
        fail_msg("%s: \"%s\" has %zu tokens, not %zu", kind, text, f->tokens.n,
                 json_array_size(ids));
    for (size_t i = 0; i < f->tokens.n; i++) {
        json_int_t id = json_integer_value(json_array_get(ids, i));

        if (f->tokens.ids[i] != (uint32_t)id)
            fail_msg("%s: \"%s\": token %zu is %u, not %d", kind, text, i,
                     (unsigned)f->tokens.ids[i], (int)id);
    }
}

static void texts_have_the_ids_of_hugging_face_in_every_kind(void **state)
{
    fixture *f = *state;
    FILE *file = fopen(GOLDEN_DIR "texts.jsonl", "r");
    size_t n_texts = 0;
    json_t *golden;

    assert_non_null(file);
    while ((golden = json_loadf(file, JSON_DISABLE_EOF_CHECK, NULL)) != NULL) {
        const char *kind = json_string_value(json_object_get(golden, "kind"));
        const char *text = json_string_value(json_object_get(golden, "text"));

        kind_open(f, kind);
        encode(f, str(text), UNLIMITED);
        ids_check(f, kind, text, json_object_get(golden, "ids"));
        json_decref(golden);
        n_texts++;
    }
    assert_true(n_texts > 1300);
    (void)fclose(file);
}

static void code_point_hash(fixture *f, bool is_inside, uint32_t cp,
                            XXH64_state_t *hash)
{
    char text[16];
    size_t len = is_inside ? 1 : 0;
    uint32_t n;

    text[0] = 'a';
    len += lk_utf8_write(cp, (uint8_t *)text + len);
    if (is_inside) {
        memcpy(text + len, "\u0301 b", 4);
        len += 4;
    }
    encode(f, (linkd_str){text, len}, UNLIMITED);
    n = (uint32_t)f->tokens.n;
    assert_int_equal(XXH64_update(hash, &n, sizeof(n)), XXH_OK);
    assert_int_equal(
        XXH64_update(hash, f->tokens.ids, n * sizeof(*f->tokens.ids)), XXH_OK);
}

static uint64_t block_hash(fixture *f, bool is_inside, uint32_t first)
{
    XXH64_state_t *hash = XXH64_createState();
    uint64_t digest;

    assert_non_null(hash);
    assert_int_equal(XXH64_reset(hash, 0), XXH_OK);
    for (uint32_t cp = first > 0 ? first : 1; cp < first + BLOCK; cp++)
        if (cp < 0xD800 || cp > 0xDFFF)
            code_point_hash(f, is_inside, cp, hash);
    digest = XXH64_digest(hash);
    XXH64_freeState(hash);
    return digest;
}

static void every_code_point_has_the_ids_of_hugging_face(void **state)
{
    fixture *f = *state;
    FILE *file = fopen(GOLDEN_DIR "sweep.txt", "r");
    char kind[KIND_MAX], context[16];
    unsigned first;
    unsigned long long want;
    size_t n_lines = 0;

    assert_non_null(file);
    while (fscanf(file, "%31s %15s %x %llx", kind, context, &first, &want) ==
           4) {
        kind_open(f, kind);
        if (block_hash(f, strcmp(context, "inside") == 0, first) != want)
            fail_msg("%s %s %06X has other ids", kind, context, first);
        n_lines++;
    }
    assert_true(n_lines > 600);
    (void)fclose(file);
}

/* ---- hand-made files ---------------------------------------------------- */

/* A Unigram file; `rest` are further members of the root. */
#define UNIGRAM(vocab, rest)                                                   \
 "{\"model\": {\"type\": \"Unigram\", \"unk_id\": 0, \"vocab\": " vocab        \
 "}" rest "}"
#define ABC "[[\"?\", 0], [\"a\", -1], [\"b\", -2], [\"ab\", -3], [\"c\", -4]]"
/* A BPE file; `rest` are further members of the model. */
#define BPE(rest)                                                              \
 "{\"model\": {\"vocab\": {\"a\": 0, \"b\": 1, \"ab\": 2}, " rest "}}"

static void json_open(fixture *f, const char *json)
{
    linkd_error err;

    lk_tokenizer_close(f->tokenizer);
    f->tokenizer = NULL;
    f->kind[0] = '\0';
    if (lk_tokenizer_parse_json(str(json), &f->tokenizer, &err) != LINKD_OK)
        fail_msg("%s", err.message);
}

static void ids_assert(fixture *f, const char *text, size_t limit,
                       const uint32_t *ids, size_t n)
{
    encode(f, str(text), limit);
    assert_int_equal(f->tokens.n, n);
    assert_memory_equal(f->tokens.ids, ids, n * sizeof(*ids));
}

#define ASSERT_IDS(f, text, limit, ...)                                        \
 ids_assert(f, text, limit, (const uint32_t[]){__VA_ARGS__},                   \
            sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

static void of_equally_likely_ways_the_longest_last_piece_counts(void **state)
{
    fixture *f = *state;

    /* "a" "b" and "ab" both come to -3 */
    json_open(f, UNIGRAM(ABC, ""));
    assert_string_equal(lk_tokenizer_kind(f->tokenizer), "unigram");
    ASSERT_IDS(f, "abc", UNLIMITED, 3, 4);
}

static void unknown_neighbours_are_one_token(void **state)
{
    fixture *f = *state;

    json_open(f, UNIGRAM(ABC, ""));
    ASSERT_IDS(f, "axyzb\xff", UNLIMITED, 1, 0, 2, 0);
}

static void a_file_without_a_type_is_known_by_its_members(void **state)
{
    fixture *f = *state;

    json_open(f, BPE("\"merges\": [\"#version: 0.2\", \"a b\"]"));
    assert_string_equal(lk_tokenizer_kind(f->tokenizer), "bpe");
    ASSERT_IDS(f, "aab", UNLIMITED, 0, 2);
    json_open(f, "{\"model\": {\"unk_id\": 0, \"vocab\": " ABC "}}");
    assert_string_equal(lk_tokenizer_kind(f->tokenizer), "unigram");
}

static void a_long_text_loses_the_side_that_the_file_names(void **state)
{
    fixture *f = *state;
    static const char around[] =
        ", \"post_processor\": {\"type\": \"BertProcessing\", \"cls\": [\"?\", "
        "0], \"sep\": [\"c\", 4]}, \"truncation\": {\"direction\": \"%s\"}";

    for (size_t i = 0; i < 2; i++) {
        char rest[256], whole[512];

        (void)snprintf(rest, sizeof(rest), around, i == 0 ? "Right" : "Left");
        (void)snprintf(whole, sizeof(whole), UNIGRAM(ABC, "%s"), rest);
        json_open(f, whole);
        if (i == 0)
            ASSERT_IDS(f, "aaabb", 4, 0, 1, 1, 4);
        else
            ASSERT_IDS(f, "aaabb", 4, 0, 3, 2, 4);
        assert_true(f->tokens.truncated);
        ASSERT_IDS(f, "aa", 4, 0, 1, 1, 4);
        assert_false(f->tokens.truncated);
    }
}

static void
a_text_says_something_where_a_piece_is_more_than_a_space(void **state)
{
    fixture *f = *state;

    kind_open(f, "unigram-words");
    assert_true(lk_tokenizer_knows(f->tokenizer, str("and \u0e01"), 9));
    /* the mark of a space and the unknown token are pieces, but empty ones */
    assert_false(lk_tokenizer_knows(f->tokenizer, str(" \u0e01 \u0e02"), 9));
    assert_false(lk_tokenizer_knows(f->tokenizer, str("<mask> </s>"), 9));
    assert_false(lk_tokenizer_knows(f->tokenizer, str("  "), 9));
    kind_open(f, "byte-level");
    assert_true(lk_tokenizer_knows(f->tokenizer, str("\u0e01"), 9));
}

/* ---- refusals ----------------------------------------------------------- */

static void refused(const char *json, const char *message)
{
    lk_tokenizer *tokenizer = NULL;
    linkd_error err = {0};

    assert_int_equal(lk_tokenizer_parse_json(str(json), &tokenizer, &err),
                     LINKD_E_DATA);
    assert_string_equal(err.message, message);
    assert_null(tokenizer);
}

static void damaged_unigram_models_are_refused(void **state)
{
    (void)state;
    refused(UNIGRAM("{}", ""),
            "tokenizer.json: model.vocab is not an array of pieces");
    refused(UNIGRAM("[[\"?\", 0], [\"a\"]]", ""),
            "tokenizer.json: model.vocab[1] is not a piece and a number");
    refused(UNIGRAM("[[\"a\", 0], [\"a\", 0]]", ""),
            "tokenizer.json: model.vocab[1]: token occurs twice");
    refused("{\"model\": {\"type\": \"Unigram\", \"vocab\": " ABC "}}",
            "tokenizer.json: id of \"model.unk_id\" is not an integer");
    refused("{\"model\": {\"type\": \"Unigram\", \"unk_id\": 5, \"vocab\": " ABC
            "}}",
            "tokenizer.json: id 5 of \"model.unk_id\" is not below 5, the "
            "number of tokens");
    refused(UNIGRAM(ABC, ", \"added_tokens\": [{\"content\": \"a\", \"id\": "
                         "2}]"),
            "tokenizer.json: added token \"a\" has another id than in the "
            "vocabulary");
}

static void damaged_bpe_models_are_refused(void **state)
{
    (void)state;
    refused(BPE("\"type\": \"BPE\""),
            "tokenizer.json: model.merges is not an array");
    refused(BPE("\"merges\": [\"a b\", \"b a\"]"),
            "tokenizer.json: model.merges[1] is not two pieces that make a "
            "third");
    refused(BPE("\"merges\": [\"a b a\"]"),
            "tokenizer.json: model.merges[0] is not two pieces that make a "
            "third");
    refused(BPE("\"merges\": [[\"a\"]]"),
            "tokenizer.json: model.merges[0] is not two pieces that make a "
            "third");
    refused(BPE("\"merges\": [], \"unk_token\": \"c\""),
            "tokenizer.json: no token \"c\" in the vocabulary");
    refused(BPE("\"merges\": [], \"dropout\": 0.1"),
            "tokenizer.json: model.dropout is not supported: it makes ids "
            "random");
}

#define NORMALIZER(text) UNIGRAM(ABC, ", \"normalizer\": " text)
#define SPLITTER(text)   UNIGRAM(ABC, ", \"pre_tokenizer\": " text)

static void normalizers_that_are_not_done_here_are_refused(void **state)
{
    (void)state;
    refused(NORMALIZER("{\"type\": \"Sequence\", \"normalizers\": [{\"type\": "
                       "\"NFC\"}, {\"type\": \"Nmt\"}]}"),
            "tokenizer.json: normalizer of type \"Nmt\" is not supported");
    refused(NORMALIZER("{\"type\": \"Replace\", \"content\": \"\", "
                       "\"pattern\": {\"Regex\": \"a$\"}}"),
            "tokenizer.json: normalizer.pattern \"a$\": \"$\" is not "
            "supported here");
    refused(NORMALIZER("{\"type\": \"Replace\", \"content\": \"\", "
                       "\"pattern\": {\"String\": \"\"}}"),
            "tokenizer.json: normalizer has no pattern");
    refused(NORMALIZER("{\"type\": \"Precompiled\", \"precompiled_charsmap\": "
                       "\"AA*A\"}"),
            "tokenizer.json: normalizer.precompiled_charsmap is not base64");
    refused(NORMALIZER("{\"type\": \"Precompiled\", \"precompiled_charsmap\": "
                       "\"CAAAAAAAAAA=\"}"),
            "tokenizer.json: normalizer: precompiled_charsmap is cut off");
}

static void pre_tokenizers_that_are_not_done_here_are_refused(void **state)
{
    (void)state;
    refused(SPLITTER("{\"type\": \"Split\", \"pattern\": {\"Regex\": \"x*\"}, "
                     "\"behavior\": \"Removed\", \"invert\": true}"),
            "tokenizer.json: pre_tokenizer.pattern \"x*\": a match of the "
            "empty text is not supported");
    refused(SPLITTER("{\"type\": \"Split\", \"pattern\": {\"String\": \"x\"}, "
                     "\"behavior\": \"Kept\"}"),
            "tokenizer.json: pre_tokenizer.behavior of type \"Kept\" is not "
            "supported");
    refused(SPLITTER("{\"type\": \"Split\", \"behavior\": \"Removed\"}"),
            "tokenizer.json: pre_tokenizer has no pattern");
    refused(SPLITTER("{\"type\": \"Split\", \"pattern\": {\"Regex\": \"x\"}}"),
            "tokenizer.json: pre_tokenizer.behavior is not a string");
    refused(SPLITTER("{\"type\": \"Metaspace\", \"replacement\": \"ab\"}"),
            "tokenizer.json: pre_tokenizer.replacement is not one character");
    refused(SPLITTER("{\"type\": \"Metaspace\", \"replacement\": \"_\", "
                     "\"prepend_scheme\": \"last\"}"),
            "tokenizer.json: pre_tokenizer.prepend_scheme of type \"last\" is "
            "not supported");
    refused(SPLITTER("{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": "
                     "\"ByteLevel\"}, {\"type\": \"WhitespaceSplit\"}]}"),
            "tokenizer.json: pre_tokenizer goes on after ByteLevel, which is "
            "not supported");
#define WORDS "{\"type\": \"WhitespaceSplit\"}"
    refused(SPLITTER("{\"type\": \"Sequence\", \"pretokenizers\": [" WORDS
                     "," WORDS "," WORDS "," WORDS "," WORDS "]}"),
            "tokenizer.json: pre_tokenizer has more than 4 steps");
}

static void two_processors_that_add_tokens_are_refused(void **state)
{
    (void)state;
#define ROBERTA                                                                \
 "{\"type\": \"RobertaProcessing\", \"cls\": [\"a\", 1], \"sep\": [\"b\", 2]}"
    refused(UNIGRAM(ABC, ", \"post_processor\": {\"type\": \"Sequence\", "
                         "\"processors\": [{\"type\": \"ByteLevel\"}, " ROBERTA
                         ", " ROBERTA "]}"),
            "tokenizer.json: two parts of post_processor add tokens, which is "
            "not supported");
}

/* ---- memory ------------------------------------------------------------- */

static int open_and_encode(const char *json, linkd_error *err)
{
    lk_tokenizer *tokenizer = NULL;
    lk_tokens tokens = {0};
    int rc = lk_tokenizer_parse_json(str(json), &tokenizer, err);

    if (rc == LINKD_OK)
        rc = lk_tokenizer_encode(tokenizer, str("the É\u0301 caf\u00e9 <mask>"),
                                 UNLIMITED, &tokens, err);
    lk_tokens_clear(&tokens);
    lk_tokenizer_close(tokenizer);
    return rc;
}

static void running_out_of_memory_is_reported_at_every_allocation(void **state)
{
    /* those with few pieces, since every allocation is one run */
    static const char *const kinds[] = {"bpe-affixes", "unigram-words",
                                        "wordpiece", "split-next"};

    (void)state;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        char *json = kind_read(kinds[i]);
        linkd_error err;
        size_t n = 1;

        for (;; n++) {
            int rc;

            alloc_fail_at(n);
            rc = open_and_encode(json, &err);
            if (!alloc_fail_off())
                break;
            assert_int_equal(rc, LINKD_E_NOMEM);
        }
        assert_true(n > 20);
        free(json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_have_the_ids_of_hugging_face_in_every_kind),
        cmocka_unit_test(every_code_point_has_the_ids_of_hugging_face),
        cmocka_unit_test(of_equally_likely_ways_the_longest_last_piece_counts),
        cmocka_unit_test(unknown_neighbours_are_one_token),
        cmocka_unit_test(a_file_without_a_type_is_known_by_its_members),
        cmocka_unit_test(a_long_text_loses_the_side_that_the_file_names),
        cmocka_unit_test(
            a_text_says_something_where_a_piece_is_more_than_a_space),
        cmocka_unit_test(damaged_unigram_models_are_refused),
        cmocka_unit_test(damaged_bpe_models_are_refused),
        cmocka_unit_test(normalizers_that_are_not_done_here_are_refused),
        cmocka_unit_test(pre_tokenizers_that_are_not_done_here_are_refused),
        cmocka_unit_test(two_processors_that_add_tokens_are_refused),
        cmocka_unit_test(running_out_of_memory_is_reported_at_every_allocation),
    };

    return cmocka_run_group_tests_name("tokenizer_kinds", tests, set_up,
                                       tear_down);
}
