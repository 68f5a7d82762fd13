/* The rules of WordPiece and BERT's normaliser on a vocabulary small enough to
 * read, and every complaint about a tokenizer's files. What Hugging Face does
 * with real text is in test_tokenizer_parity.c. */
#include "encoder/tokenizer.h"
#include "tests/support/alloc_fail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    UNLIMITED = 1000,
};

/* The vocabulary in id order, which is also a vocab.txt. */
enum {
    PAD,
    UNK,
    CLS,
    SEP,
    MASK,
    UN,
    A,
    AFF,
    I_AFF,
    I_ABLE,
    I_A,
    CAFE,
    CAFE_ACUTE,
    UPPER_CAFE,
    BANG,
    CJK,
    MARK_A,
    MARK_B,
    B,
    I_MARK_A,
    I_MARK_B,
    JAMO_H,
    I_JAMO_A,
    I_JAMO_N,
    BAD_BYTE,
    I_B,
    SEMICOLON,
    I_DOTTED,
    N_TOKENS
}; /* clang-format off */
static const char *const vocabulary[N_TOKENS] = {
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "un", "a", "aff", "##aff",
    "##able", "##a", "cafe", "café", "CAFE", "!", "中", "\uA953", "\u1DFB", "b",
    "##\uA953", "##\u1DFB", "\u1112", "##\u1161", "##\u11AB", "\uFFFD",
    "##b", ";", "##i\u0307"};
/* clang-format on */

/* The parts of a tokenizer.json; NULL takes the usual one. */
typedef struct json_parts {
    const char *model_start; /* before "vocab" */
    const char *vocab;
    const char *added;
    const char *normalizer;
    const char *pre_tokenizer;
    const char *post_processor;
} json_parts;

#define MODEL_START "\"type\": \"WordPiece\", \"unk_token\": \"[UNK]\""
#define ADDED                                                                  \
 "[{\"id\": 3, \"content\": \"[SEP]\", \"special\": true, \"lstrip\": "        \
 "true, \"single_word\": false, \"normalized\": false}]"
#define TEMPLATE                                                               \
 "{\"type\": \"TemplateProcessing\", \"single\": ["                            \
 "{\"SpecialToken\": {\"id\": \"[CLS]\", \"type_id\": 0}},"                    \
 "{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}},"                            \
 "{\"SpecialToken\": {\"id\": \"[SEP]\", \"type_id\": 0}}],"                   \
 "\"special_tokens\": {\"[CLS]\": {\"ids\": [2]}, \"[SEP]\": {\"ids\": "       \
 "[3]}}}"

static const char *part_or(const char *part, const char *usual)
{
    return part != NULL ? part : usual;
}

static const char *vocab_json(void)
{
    static char text[2048];
    size_t len = (size_t)snprintf(text, sizeof(text), "{");

    for (size_t id = 0; id < N_TOKENS; id++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s\"%s\": %zu",
                                id > 0 ? ", " : "", vocabulary[id], id);
    (void)snprintf(text + len, sizeof(text) - len, "}");
    return text;
}

static const char *json_make(json_parts parts)
{
    static char text[8192];

    (void)snprintf(
        text, sizeof(text),
        "{\"truncation\": {\"max_length\": 1}, \"padding\": {},\n"
        "\"added_tokens\": %s,\n\"normalizer\": %s,\n\"pre_tokenizer\": %s,\n"
        "\"post_processor\": %s,\n\"model\": {%s, \"vocab\": %s}}",
        part_or(parts.added, ADDED),
        part_or(parts.normalizer, "{\"type\": \"BertNormalizer\"}"),
        part_or(parts.pre_tokenizer, "{\"type\": \"BertPreTokenizer\"}"),
        part_or(parts.post_processor, TEMPLATE),
        part_or(parts.model_start, MODEL_START),
        part_or(parts.vocab, vocab_json()));
    return text;
}

static linkd_str str(const char *text)
{
    return (linkd_str){text, strlen(text)};
}

static lk_tokenizer *tokenizer_make(json_parts parts)
{
    lk_tokenizer *tokenizer = NULL;
    linkd_error err;

    if (lk_tokenizer_parse_json(str(json_make(parts)), &tokenizer, &err) !=
        LINKD_OK)
        fail_msg("%s", err.message);
    return tokenizer;
}

static void tokens_assert(const lk_tokens *tokens, const uint32_t *ids,
                          size_t n)
{
    assert_int_equal(tokens->n, n);
    assert_memory_equal(tokens->ids, ids, n * sizeof(*ids));
}

static void ids_assert(const lk_tokenizer *tokenizer, linkd_str text,
                       const uint32_t *ids, size_t n)
{
    lk_tokens tokens = {0};
    linkd_error err;

    assert_int_equal(
        lk_tokenizer_encode(tokenizer, text, UNLIMITED, &tokens, &err),
        LINKD_OK);
    tokens_assert(&tokens, ids, n);
    assert_false(tokens.truncated);
    lk_tokens_clear(&tokens);
}

/* What `text` becomes under `parts`, between [CLS] and [SEP]. */
#define ASSERT_IDS(parts, text, ...)                                           \
 parts_assert(parts, str(text), (const uint32_t[]){CLS, __VA_ARGS__, SEP},     \
              sizeof((const uint32_t[]){CLS, __VA_ARGS__, SEP}) /              \
                  sizeof(uint32_t))

static void parts_assert(json_parts parts, linkd_str text, const uint32_t *ids,
                         size_t n)
{
    lk_tokenizer *tokenizer = tokenizer_make(parts);

    ids_assert(tokenizer, text, ids, n);
    lk_tokenizer_close(tokenizer);
}

static const json_parts usual = {0};

/* Settings of the normaliser, over the defaults. */
#define NORMALIZER(settings)                                                   \
 (json_parts)                                                                  \
 {                                                                             \
  .normalizer = "{\"type\": \"BertNormalizer\", " settings "}"                 \
 }

/* ---- pieces ------------------------------------------------------------- */

static void a_word_splits_from_the_left_into_its_longest_pieces(void **state)
{
    (void)state;
    ASSERT_IDS(usual, "unaffable", UN, I_AFF, I_ABLE);
    /* "aff" begins this word, so "##aff" must not be taken for it */
    ASSERT_IDS(usual, "affable", AFF, I_ABLE);
    ASSERT_IDS(usual, "aa", A, I_A);
}

static void a_word_that_does_not_split_to_its_end_is_unknown(void **state)
{
    (void)state;
    ASSERT_IDS(usual, "unaffabl un", UNK, UN);
    ASSERT_IDS(usual, "zun", UNK);
}

static void a_word_over_the_limit_of_characters_is_unknown(void **state)
{
    const json_parts parts = {.model_start = MODEL_START
                              ", \"max_input_chars_per_word\": 4"};

    (void)state;
    ASSERT_IDS(parts, "aaaa", A, I_A, I_A, I_A);
    ASSERT_IDS(parts, "aaaaa a", UNK, A);
    /* characters are counted, not bytes */
    ASSERT_IDS(parts, "caf\u00e9", CAFE);
}

static void the_prefix_of_pieces_inside_a_word_is_the_files(void **state)
{
    const json_parts parts = {
        .model_start = MODEL_START ", \"continuing_subword_prefix\": \"un\"",
        .vocab = "{\"[PAD]\": 0, \"[UNK]\": 1, \"[CLS]\": 2, \"[SEP]\": 3, "
                 "\"a\": 4, \"unb\": 5}"};

    (void)state;
    ASSERT_IDS(parts, "ab unb", 4, 5, 5);
}

static void a_model_without_a_type_but_a_prefix_is_wordpiece(void **state)
{
    const json_parts parts = {.model_start =
                                  "\"unk_token\": \"[UNK]\", "
                                  "\"continuing_subword_prefix\": \"##\""};
    lk_tokenizer *tokenizer = tokenizer_make(parts);

    (void)state;
    assert_string_equal(lk_tokenizer_kind(tokenizer), "wordpiece");
    assert_int_equal(lk_tokenizer_vocab_size(tokenizer), N_TOKENS);
    lk_tokenizer_close(tokenizer);
}

/* ---- words -------------------------------------------------------------- */

static void spaces_of_every_kind_separate_words(void **state)
{
    (void)state;
    ASSERT_IDS(usual, " a\tb\r\na\u3000b\u00a0a\u2028b ", A, B, A, B, A, B);
}

static void punctuation_is_a_word_of_its_own(void **state)
{
    (void)state;
    ASSERT_IDS(usual, "a!!b", A, BANG, BANG, B);
    /* U+037E decomposes into a semicolon, which splits then */
    ASSERT_IDS(usual, "a\u037eb", A, SEMICOLON, B);
}

static void punctuation_newer_than_unicode_8_is_part_of_a_word(void **state)
{
    (void)state;
    /* Hugging Face's categories are frozen: U+2E42 splits, U+2E44 does not */
    ASSERT_IDS(usual, "a\u2e42b", A, UNK, B);
    ASSERT_IDS(usual, "a\u2e44b", UNK);
}

static void cjk_characters_stand_alone_unless_switched_off(void **state)
{
    (void)state;
    ASSERT_IDS(usual, "a\u4e2d\u4e2db", A, CJK, CJK, B);
    ASSERT_IDS(NORMALIZER("\"handle_chinese_chars\": false"), "a\u4e2d a", UNK,
               A);
}

static void accents_are_stripped_where_case_is(void **state)
{
    (void)state;
    ASSERT_IDS(usual, "CAF\u00c9 cafe\u0301", CAFE, CAFE);
    ASSERT_IDS(NORMALIZER("\"strip_accents\": null, \"lowercase\": false"),
               "caf\u00e9 CAFE", CAFE_ACUTE, UPPER_CAFE);
}

static void strip_accents_overrules_lowercase(void **state)
{
    (void)state;
    ASSERT_IDS(NORMALIZER("\"strip_accents\": false"), "CAF\u00c9", CAFE_ACUTE);
    ASSERT_IDS(NORMALIZER("\"strip_accents\": true, \"lowercase\": false"),
               "CAF\u00c9 caf\u00e9", UPPER_CAFE, CAFE);
}

static void lower_case_may_be_longer_than_upper_case(void **state)
{
    (void)state;
    /* U+0130 is i and a dot above when accents stay */
    ASSERT_IDS(NORMALIZER("\"strip_accents\": false"), "a\u0130", A, I_DOTTED);
}

static void hangul_is_decomposed_with_the_accents(void **state)
{
    (void)state;
    ASSERT_IDS(usual, "\ud55c \ud558", JAMO_H, I_JAMO_A, I_JAMO_N, JAMO_H,
               I_JAMO_A);
}

static void marks_that_are_kept_come_in_canonical_order(void **state)
{
    (void)state;
    /* class 9 goes before class 230, whichever way they were typed */
    ASSERT_IDS(usual, "a\u1dfb\ua953", A, I_MARK_A, I_MARK_B);
    ASSERT_IDS(usual, "a\ua953\u1dfb", A, I_MARK_A, I_MARK_B);
    /* U+0CBF has class 0: dropped, it still keeps the two apart */
    ASSERT_IDS(usual, "a\u1dfb\u0cbf\ua953", A, I_MARK_B, I_MARK_A);
    ASSERT_IDS(NORMALIZER("\"strip_accents\": false"), "a\u1dfb\ua953", A,
               I_MARK_B, I_MARK_A);
}

static void control_characters_vanish_unless_clean_text_is_off(void **state)
{
    (void)state;
    ASSERT_IDS(usual, "a\x01\u200b\u00adb", A, I_B);
    /* without cleaning U+000B is the space that Unicode says it is */
    ASSERT_IDS(NORMALIZER("\"clean_text\": false"),
               "a\x0b"
               "b\x01",
               A, UNK);
}

static void a_nul_byte_is_a_character_like_others(void **state)
{
    static const uint32_t ids[] = {CLS, A, I_B, SEP};

    (void)state;
    parts_assert(usual, (linkd_str){"a\0b", 3}, ids, 4);
}

static void each_byte_that_is_not_utf_8_is_a_replacement_character(void **state)
{
    const json_parts dirty = NORMALIZER("\"clean_text\": false");

    (void)state;
    /* cleaning drops it: bad lead, cut off, overlong, surrogate, too high */
    ASSERT_IDS(usual, "a\xff\xc3", A);
    ASSERT_IDS(usual,
               "\xc1\x81\xe0\x81\x81"
               "a\xed\xa0\x80\xf4\x90\x80\x80",
               A);
    ASSERT_IDS(dirty, "\xff", BAD_BYTE);
    ASSERT_IDS(dirty, "\xe4\xb8!", UNK, BANG);
}

static void without_a_normalizer_text_stays_as_it_is(void **state)
{
    const json_parts parts = {.normalizer = "null"};

    (void)state;
    ASSERT_IDS(parts, "CAFE caf\u00e9 Un", UPPER_CAFE, CAFE_ACUTE, UNK);
}

/* Before all else, so that a normalizer that knows capitals finds none; accents
 * stay where they are kept. */
static void texts_are_made_lower_case_on_demand(void **state)
{
    static const struct {
        const char *normalizer;
        bool is_new;
    } cases[] = {
        {"null", true},
        {"{\"type\": \"BertNormalizer\", \"strip_accents\": false, "
         "\"lowercase\": false}",
         true},
        {"{\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"NFC\"}, "
         "{\"type\": \"Replace\", \"pattern\": {\"String\": \"CAF\"}, "
         "\"content\": \"un \"}]}",
         true},
        {"{\"type\": \"BertNormalizer\", \"strip_accents\": false}", false},
        {"{\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"NFC\"}, "
         "{\"type\": \"Lowercase\"}]}",
         false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        lk_tokenizer *tokenizer =
            tokenizer_make((json_parts){.normalizer = cases[i].normalizer});
        bool is_new = !cases[i].is_new;

        assert_int_equal(lk_tokenizer_lowercase(tokenizer, &is_new, NULL),
                         LINKD_OK);
        assert_true(is_new == cases[i].is_new);
        ids_assert(tokenizer, str("CAF\u00c9 Un"),
                   (const uint32_t[]){CLS, CAFE_ACUTE, UN, SEP}, 4);
        lk_tokenizer_close(tokenizer);
    }
}

/* A token that stands for a word of its own is found step by step. */
static void a_step_more_needs_memory(void **state)
{
    lk_tokenizer *tokenizer = tokenizer_make((json_parts){
        .normalizer = "null",
        .added = "[{\"id\": 3, \"content\": \"[SEP]\", \"special\": true, "
                 "\"single_word\": true}]"});
    bool is_new = false;
    int rc;

    (void)state;
    alloc_fail_at(1);
    rc = lk_tokenizer_lowercase(tokenizer, &is_new, NULL);
    assert_true(alloc_fail_off());
    assert_int_equal(rc, LINKD_E_NOMEM);
    lk_tokenizer_close(tokenizer);
}

/* ---- special tokens ----------------------------------------------------- */

static void the_name_of_an_added_token_in_a_text_is_that_token(void **state)
{
    (void)state;
    ASSERT_IDS(usual, "a[SEP]b [SEP] [sep]", A, SEP, B, SEP, UNK, UNK, UNK);
    ASSERT_IDS(usual, "[SEP", UNK, UNK);
    /* [MASK] is in the vocabulary, but not added */
    ASSERT_IDS(usual, "[MASK]", UNK, UNK, UNK);
}

static void an_added_token_cuts_a_word_and_the_longest_counts(void **state)
{
    const json_parts parts = {
        .added = "[{\"id\": 6, \"content\": \"a\"}, {\"id\": 28, \"content\": "
                 "\"a b\"}, {\"id\": 29, \"content\": \"\u00e9\"}]"};
    lk_tokenizer *tokenizer = tokenizer_make(parts);
    static const uint32_t ids[] = {CLS, B, 28, B, A, B, 29, B, SEP};

    (void)state;
    assert_int_equal(lk_tokenizer_vocab_size(tokenizer), 30);
    ids_assert(tokenizer, str("ba bbab\u00e9b"), ids, 9);
    lk_tokenizer_close(tokenizer);
}

static void the_template_says_what_stands_around_a_text(void **state)
{
    static const uint32_t ids[] = {CLS, PAD, MASK, A, SEP, SEP};
    static const uint32_t bare[] = {A};

    (void)state;
    parts_assert(
        (json_parts){.post_processor =
                         "{\"type\": \"TemplateProcessing\", \"single\": ["
                         "{\"SpecialToken\": {\"id\": \"x\"}}, "
                         "{\"SpecialToken\": {\"id\": \"y\"}}, "
                         "{\"Sequence\": {\"id\": \"A\"}}, "
                         "{\"SpecialToken\": {\"id\": \"z\"}}], "
                         "\"special_tokens\": {\"x\": {\"ids\": [2, 0]}, "
                         "\"y\": {\"ids\": [4]}, \"z\": {\"ids\": [3, 3]}}}"},
        str("a"), ids, 6);
    parts_assert((json_parts){.post_processor = "null"}, str("a"), bare, 1);
    ASSERT_IDS(((json_parts){.post_processor =
                                 "{\"type\": \"BertProcessing\", \"sep\": "
                                 "[\"[SEP]\", 3], \"cls\": [\"[CLS]\", 2]}"}),
               "a", A);
}

/* ---- limit -------------------------------------------------------------- */

static void limit_assert(const char *text, size_t limit, bool truncated,
                         const uint32_t *ids, size_t n)
{
    lk_tokenizer *tokenizer = tokenizer_make(usual);
    lk_tokens tokens = {0};
    linkd_error err;

    assert_int_equal(
        lk_tokenizer_encode(tokenizer, str(text), limit, &tokens, &err),
        LINKD_OK);
    tokens_assert(&tokens, ids, n);
    assert_int_equal(tokens.truncated, truncated);
    lk_tokens_clear(&tokens);
    lk_tokenizer_close(tokenizer);
}

static void a_long_text_is_cut_before_its_last_special_token(void **state)
{
    (void)state;
    /* also in the middle of a word */
    limit_assert("b unaffable", 5, true, (uint32_t[]){CLS, B, UN, I_AFF, SEP},
                 5);
    limit_assert("a b a b", 3, true, (uint32_t[]){CLS, A, SEP}, 3);
    limit_assert("a", 2, true, (uint32_t[]){CLS, SEP}, 2);
}

static void a_text_that_just_fits_is_not_called_truncated(void **state)
{
    (void)state;
    limit_assert("a b  \x01 ", 4, false, (uint32_t[]){CLS, A, B, SEP}, 4);
    limit_assert("", 2, false, (uint32_t[]){CLS, SEP}, 2);
}

static void a_limit_without_room_for_special_tokens_is_refused(void **state)
{
    lk_tokenizer *tokenizer = tokenizer_make(usual);
    lk_tokens tokens = {0};
    linkd_error err;

    (void)state;
    assert_int_equal(lk_tokenizer_encode(tokenizer, str("a"), 1, &tokens, &err),
                     LINKD_E_ARG);
    assert_string_equal(err.message, "a limit of 1 tokens leaves no room for "
                                     "the 2 that every text has");
    lk_tokenizer_close(tokenizer);
}

/* ---- a damaged tokenizer.json ------------------------------------------- */

static void json_refused(const char *json, const char *message)
{
    lk_tokenizer *tokenizer = NULL;
    linkd_error err;

    assert_int_equal(lk_tokenizer_parse_json(str(json), &tokenizer, &err),
                     LINKD_E_DATA);
    assert_string_equal(err.message, message);
    assert_null(tokenizer);
}

static void parts_refused(json_parts parts, const char *message)
{
    json_refused(json_make(parts), message);
}

static void json_that_is_none_is_refused_with_its_line(void **state)
{
    (void)state;
    json_refused("{\n\"model\": }",
                 "tokenizer.json: line 2: unexpected token near '}'");
    json_refused("[]", "tokenizer.json: model is not an object");
    json_refused("{\"model\": 1}", "tokenizer.json: model is not an object");
}

static void a_kind_that_is_not_known_is_refused_by_name(void **state)
{
    (void)state;
    json_refused("{\"model\": {\"type\": \"WordLevel\", \"vocab\": {}}}",
                 "tokenizer.json: tokenizer of kind \"WordLevel\" is not "
                 "supported");
    json_refused("{\"model\": {\"type\": \"B\\nPE\\u0007\"}}",
                 "tokenizer.json: tokenizer of kind \"B?PE?\" is not "
                 "supported");
    json_refused("{\"model\": {}}",
                 "tokenizer.json: model.type is not a string");
}

static void ids_must_be_whole_numbers_without_gap_or_repeat(void **state)
{
    (void)state;
    parts_refused((json_parts){.vocab = "[]"},
                  "tokenizer.json: model.vocab is not an object");
    parts_refused((json_parts){.vocab = "{\"[UNK]\": 0.5}"},
                  "tokenizer.json: id of \"[UNK]\" is not an integer");
    parts_refused((json_parts){.vocab = "{\"[UNK]\": -1}"},
                  "tokenizer.json: id -1 of \"[UNK]\" is not below 2, the "
                  "number of tokens");
    parts_refused((json_parts){.vocab = "{\"a\": 4294967296}", .added = "[]"},
                  "tokenizer.json: id 4294967296 of \"a\" is not below 1, the "
                  "number of tokens");
    parts_refused((json_parts){.vocab = "{\"a\": 0, \"b\": 0}"},
                  "tokenizer.json: id 0 of \"b\" is another token's too");
    parts_refused((json_parts){.vocab = "{\"a\": 0, \"a\": 1}"},
                  "tokenizer.json: line 6: duplicate object key near '\"a\"'");
}

static void a_vocabulary_without_the_unknown_token_is_refused(void **state)
{
    (void)state;
    parts_refused((json_parts){.vocab = "{\"a\": 0}", .added = "[]"},
                  "tokenizer.json: no token \"[UNK]\" in the vocabulary");
    parts_refused((json_parts){.model_start = "\"type\": \"WordPiece\""},
                  "tokenizer.json: model.unk_token is not a string");
}

static void options_of_the_model_are_checked(void **state)
{
    (void)state;
    parts_refused(
        (json_parts){.model_start =
                         MODEL_START ", \"max_input_chars_per_word\": 1001"},
        "tokenizer.json: model.max_input_chars_per_word is not an integer "
        "from 0 to 1000");
    parts_refused(
        (json_parts){.model_start =
                         MODEL_START ", \"continuing_subword_prefix\": 1"},
        "tokenizer.json: model.continuing_subword_prefix is not a string");
}

static void added_tokens_are_checked(void **state)
{
    (void)state;
    parts_refused((json_parts){.added = "{}"},
                  "tokenizer.json: added_tokens is not an array");
    parts_refused((json_parts){.added = "[1]"},
                  "tokenizer.json: added_tokens[].content is not a string");
    parts_refused((json_parts){.added = "[{\"content\": \"a\", \"id\": 7}]"},
                  "tokenizer.json: added token \"a\" has another id than in "
                  "the vocabulary");
    parts_refused((json_parts){.added = "[{\"content\": \"x\", \"id\": 7}]"},
                  "tokenizer.json: id 7 of \"x\" is another token's too");
    parts_refused((json_parts){.added = "[{\"content\": \"x\"}]"},
                  "tokenizer.json: id of \"x\" is not an integer");
    parts_refused((json_parts){.added = "[{\"content\": \"a\", \"id\": 6}, "
                                        "{\"content\": \"a\", \"id\": 6}]"},
                  "tokenizer.json: added \"a\": token occurs twice");
}

static void flags_of_added_tokens_must_be_flags(void **state)
{
    (void)state;
    parts_refused(
        (json_parts){.added = "[{\"content\": \"a\", \"id\": 6, "
                              "\"normalized\": 1}]"},
        "tokenizer.json: added_tokens[].normalized is neither true nor false");
}

static void other_normalizers_and_pre_tokenizers_are_refused(void **state)
{
    (void)state;
    parts_refused((json_parts){.normalizer = "{\"type\": \"Nmt\"}"},
                  "tokenizer.json: normalizer of type \"Nmt\" is not "
                  "supported");
    parts_refused(NORMALIZER("\"lowercase\": 1"),
                  "tokenizer.json: normalizer.lowercase is neither true nor "
                  "false");
    parts_refused((json_parts){.normalizer = "[]"},
                  "tokenizer.json: normalizer is not an object");
    parts_refused((json_parts){.normalizer = "{}"},
                  "tokenizer.json: normalizer.type is not a string");
    parts_refused((json_parts){.pre_tokenizer = "null"},
                  "tokenizer.json: pre_tokenizer of type \"null\" is not "
                  "supported");
}

/* A template whose only item is `item`. */
#define SINGLE(item)                                                           \
 (json_parts)                                                                  \
 {                                                                             \
  .post_processor = "{\"type\": \"TemplateProcessing\", \"single\": [" item    \
                    "], \"special_tokens\": {\"x\": {\"ids\": [99]}, "         \
                    "\"y\": {\"ids\": [1, 1, 1, 1, 1, 1, 1, 1, 1]}}}"          \
 }

static void templates_that_do_not_hold_one_text_are_refused(void **state)
{
    static const char *const not_one =
        "tokenizer.json: post_processor.single is not one text between special "
        "tokens";

    (void)state;
    parts_refused(SINGLE(""), not_one);
    parts_refused(SINGLE("1"), not_one);
    parts_refused(SINGLE("{\"Sequence\": 1}, {\"Sequence\": 1}"), not_one);
    parts_refused(SINGLE("{\"SpecialToken\": 1}"),
                  "tokenizer.json: SpecialToken.id is not a string");
    parts_refused(SINGLE("{\"SpecialToken\": {\"id\": \"[CLS]\"}}"),
                  "tokenizer.json: post_processor gives no id for \"[CLS]\"");
    parts_refused(SINGLE("{\"SpecialToken\": {\"id\": \"x\"}}"),
                  "tokenizer.json: id 99 of \"x\" is not below 28, the number "
                  "of tokens");
    parts_refused(SINGLE("{\"SpecialToken\": {\"id\": \"y\"}}"),
                  "tokenizer.json: post_processor adds more than 8 tokens");
    parts_refused((json_parts){.post_processor = "{\"type\": \"Roberta\"}"},
                  "tokenizer.json: post_processor of type \"Roberta\" is not "
                  "supported");
    parts_refused(
        (json_parts){.post_processor = "{\"type\": \"BertProcessing\"}"},
        "tokenizer.json: id of \"post_processor.cls\" is not an integer");
}

/* ---- vocab.txt ---------------------------------------------------------- */

static lk_tokenizer *vocab_parse(const char *vocab, const char *config)
{
    lk_tokenizer *tokenizer = NULL;
    linkd_error err;

    if (lk_tokenizer_parse_vocab(str(vocab), str(config), &tokenizer, &err) !=
        LINKD_OK)
        fail_msg("%s", err.message);
    return tokenizer;
}

static void a_vocab_txt_alone_means_berts_defaults(void **state)
{
    lk_tokenizer *tokenizer =
        vocab_parse("[UNK]\n[CLS]\r\n[SEP]\ncafe\n\n##s\n[MASK]", "");
    static const uint32_t ids[] = {1, 3, 5, 6, 0, 2};

    (void)state;
    assert_int_equal(lk_tokenizer_vocab_size(tokenizer), 7);
    ids_assert(tokenizer, str("CAF\u00c9s[MASK]x"), ids, 6);
    lk_tokenizer_close(tokenizer);
}

static void tokenizer_config_json_sets_case_accents_and_names(void **state)
{
    lk_tokenizer *tokenizer = vocab_parse(
        "<u>\n<s>\n</s>\nA\na\n\u00c9\nA\u4e2d\n",
        "{\"do_lower_case\": false, \"tokenize_chinese_chars\": false, "
        "\"unk_token\": \"<u>\", \"cls_token\": {\"content\": \"<s>\"}, "
        "\"sep_token\": \"</s>\", \"tokenizer_class\": "
        "\"DistilBertTokenizerFast\"}");
    static const uint32_t ids[] = {1, 3, 4, 5, 6, 2, 2};

    (void)state;
    ids_assert(tokenizer, str("A a \u00c9 A\u4e2d</s>"), ids, 7);
    lk_tokenizer_close(tokenizer);
}

static void vocab_refused(const char *vocab, const char *config,
                          const char *message)
{
    lk_tokenizer *tokenizer = NULL;
    linkd_error err;

    assert_int_equal(
        lk_tokenizer_parse_vocab(str(vocab), str(config), &tokenizer, &err),
        LINKD_E_DATA);
    assert_string_equal(err.message, message);
    assert_null(tokenizer);
}

static void a_damaged_vocab_txt_is_refused_with_its_line(void **state)
{
    (void)state;
    vocab_refused("", "", "vocab.txt: no token \"[UNK]\"");
    vocab_refused("[UNK]\n[SEP]\n", "", "vocab.txt: no token \"[CLS]\"");
    vocab_refused("[UNK]\n[CLS]\n", "", "vocab.txt: no token \"[SEP]\"");
    vocab_refused("a\nb\na\n", "", "vocab.txt: line 3: token occurs twice");
    vocab_refused("a\n\xff\n", "", "vocab.txt: line 2 is not UTF-8");
}

static void a_damaged_tokenizer_config_json_is_refused(void **state)
{
    static const char *const vocab = "[UNK]\n[CLS]\n[SEP]\n";

    (void)state;
    vocab_refused(vocab, "{",
                  "tokenizer_config.json: line 1: string or '}' expected near "
                  "end of file");
    vocab_refused(vocab, "{\"tokenizer_class\": 1}",
                  "tokenizer_config.json: tokenizer_class is not a string");
    vocab_refused(vocab, "{\"tokenizer_class\": \"BertJapaneseTokenizer\"}",
                  "tokenizer_config.json: tokenizer \"BertJapaneseTokenizer\" "
                  "is not supported without tokenizer.json");
    vocab_refused(vocab, "{\"do_lower_case\": \"yes\"}",
                  "tokenizer_config.json: do_lower_case is neither true nor "
                  "false");
    vocab_refused(vocab, "{\"cls_token\": 1}",
                  "tokenizer_config.json: cls_token is not a string");
    vocab_refused(vocab, "{\"cls_token\": \"[SEP]\"}",
                  "tokenizer_config.json: sep_token \"[SEP]\": token occurs "
                  "twice");
}

/* ---- directories -------------------------------------------------------- */

static char dir[sizeof("/tmp/linkd-test-XXXXXX")];

static int dir_enter(void **state)
{
    (void)state;
    (void)strcpy(dir, "/tmp/linkd-test-XXXXXX");
    return mkdtemp(dir) != NULL && chdir(dir) == 0 ? 0 : -1;
}

static int dir_leave(void **state)
{
    (void)state;
    (void)remove("tokenizer.json");
    (void)unlink("vocab.txt");
    (void)unlink("tokenizer_config.json");
    return chdir("/") == 0 && rmdir(dir) == 0 ? 0 : -1;
}

static void file_write(const char *name, const char *text)
{
    FILE *file = fopen(name, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void tokenizer_json_is_preferred_to_vocab_txt(void **state)
{
    lk_tokenizer *tokenizer = NULL;
    linkd_error err;

    (void)state;
    file_write("vocab.txt", "[UNK]\n[CLS]\n[SEP]\n");
    file_write("tokenizer_config.json", "{\"do_lower_case\": true}");
    assert_int_equal(lk_tokenizer_open(".", &tokenizer, &err), LINKD_OK);
    assert_int_equal(lk_tokenizer_vocab_size(tokenizer), 3);
    lk_tokenizer_close(tokenizer);

    file_write("tokenizer.json", json_make(usual));
    assert_int_equal(lk_tokenizer_open(".", &tokenizer, &err), LINKD_OK);
    assert_int_equal(lk_tokenizer_vocab_size(tokenizer), N_TOKENS);
    lk_tokenizer_close(tokenizer);
}

static void open_refused(const char *path, int code, const char *message)
{
    lk_tokenizer *tokenizer = NULL;
    linkd_error err;

    assert_int_equal(lk_tokenizer_open(path, &tokenizer, &err), code);
    assert_string_equal(err.message, message);
    assert_null(tokenizer);
}

static void a_directory_without_a_tokenizer_is_refused(void **state)
{
    (void)state;
    open_refused(
        "nowhere", LINKD_E_DATA,
        "neither tokenizer.json nor vocab.txt in \"nowhere\", nor CLIP's "
        "vocab.json with merges.txt");
    open_refused(
        "/dev/null", LINKD_E_DATA,
        "neither tokenizer.json nor vocab.txt in \"/dev/null\", nor CLIP's "
        "vocab.json with merges.txt");
}

static void files_too_large_for_a_tokenizer_are_not_read(void **state)
{
    (void)state;
    file_write("vocab.txt", "");
    assert_int_equal(truncate("vocab.txt", 100000000), 0);
    open_refused(".", LINKD_E_DATA,
                 "vocab.txt: 100000000 bytes are over the limit of 16777216");
    file_write("tokenizer.json", "");
    assert_int_equal(truncate("tokenizer.json", 100000000), 0);
    open_refused(
        ".", LINKD_E_DATA,
        "tokenizer.json: 100000000 bytes are over the limit of 67108864");
}

static void a_tokenizer_json_that_is_no_file_is_an_io_error(void **state)
{
    (void)state;
    assert_int_equal(mkdir("tokenizer.json", 0700), 0);
    open_refused(".", LINKD_E_IO,
                 "could not read ./tokenizer.json: not a plain file");
}

/* ---- memory ------------------------------------------------------------- */

static int open_and_encode(const char *json, linkd_error *err)
{
    lk_tokenizer *tokenizer = NULL;
    lk_tokens tokens = {0};
    int rc = lk_tokenizer_parse_json(str(json), &tokenizer, err);

    if (rc == LINKD_OK)
        rc = lk_tokenizer_encode(tokenizer, str("unaffable [SEP] a b a b a b"),
                                 UNLIMITED, &tokens, err);
    lk_tokens_clear(&tokens);
    lk_tokenizer_close(tokenizer);
    return rc;
}

static void running_out_of_memory_is_reported_at_every_allocation(void **state)
{
    const char *json = json_make(usual);
    linkd_error err;
    size_t n = 1;

    (void)state;
    for (;; n++) {
        int rc;

        alloc_fail_at(n);
        rc = open_and_encode(json, &err);
        if (!alloc_fail_off())
            break;
        assert_int_equal(rc, LINKD_E_NOMEM);
    }
    assert_true(n > 5);
}

int main(void)
{
#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, dir_enter, dir_leave)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_word_splits_from_the_left_into_its_longest_pieces),
        cmocka_unit_test(a_word_that_does_not_split_to_its_end_is_unknown),
        cmocka_unit_test(a_word_over_the_limit_of_characters_is_unknown),
        cmocka_unit_test(the_prefix_of_pieces_inside_a_word_is_the_files),
        cmocka_unit_test(a_model_without_a_type_but_a_prefix_is_wordpiece),
        cmocka_unit_test(spaces_of_every_kind_separate_words),
        cmocka_unit_test(punctuation_is_a_word_of_its_own),
        cmocka_unit_test(punctuation_newer_than_unicode_8_is_part_of_a_word),
        cmocka_unit_test(cjk_characters_stand_alone_unless_switched_off),
        cmocka_unit_test(accents_are_stripped_where_case_is),
        cmocka_unit_test(strip_accents_overrules_lowercase),
        cmocka_unit_test(lower_case_may_be_longer_than_upper_case),
        cmocka_unit_test(texts_are_made_lower_case_on_demand),
        cmocka_unit_test(a_step_more_needs_memory),
        cmocka_unit_test(hangul_is_decomposed_with_the_accents),
        cmocka_unit_test(marks_that_are_kept_come_in_canonical_order),
        cmocka_unit_test(control_characters_vanish_unless_clean_text_is_off),
        cmocka_unit_test(a_nul_byte_is_a_character_like_others),
        cmocka_unit_test(
            each_byte_that_is_not_utf_8_is_a_replacement_character),
        cmocka_unit_test(without_a_normalizer_text_stays_as_it_is),
        cmocka_unit_test(the_name_of_an_added_token_in_a_text_is_that_token),
        cmocka_unit_test(an_added_token_cuts_a_word_and_the_longest_counts),
        cmocka_unit_test(the_template_says_what_stands_around_a_text),
        cmocka_unit_test(a_long_text_is_cut_before_its_last_special_token),
        cmocka_unit_test(a_text_that_just_fits_is_not_called_truncated),
        cmocka_unit_test(a_limit_without_room_for_special_tokens_is_refused),
        cmocka_unit_test(json_that_is_none_is_refused_with_its_line),
        cmocka_unit_test(a_kind_that_is_not_known_is_refused_by_name),
        cmocka_unit_test(ids_must_be_whole_numbers_without_gap_or_repeat),
        cmocka_unit_test(a_vocabulary_without_the_unknown_token_is_refused),
        cmocka_unit_test(options_of_the_model_are_checked),
        cmocka_unit_test(added_tokens_are_checked),
        cmocka_unit_test(flags_of_added_tokens_must_be_flags),
        cmocka_unit_test(other_normalizers_and_pre_tokenizers_are_refused),
        cmocka_unit_test(templates_that_do_not_hold_one_text_are_refused),
        cmocka_unit_test(a_vocab_txt_alone_means_berts_defaults),
        cmocka_unit_test(tokenizer_config_json_sets_case_accents_and_names),
        cmocka_unit_test(a_damaged_vocab_txt_is_refused_with_its_line),
        cmocka_unit_test(a_damaged_tokenizer_config_json_is_refused),
        IN_DIR(tokenizer_json_is_preferred_to_vocab_txt),
        IN_DIR(a_directory_without_a_tokenizer_is_refused),
        IN_DIR(files_too_large_for_a_tokenizer_are_not_read),
        IN_DIR(a_tokenizer_json_that_is_no_file_is_an_io_error),
        cmocka_unit_test(running_out_of_memory_is_reported_at_every_allocation),
    };

    return cmocka_run_group_tests_name("tokenizer", tests, NULL, NULL);
}
