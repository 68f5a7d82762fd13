/* Any bytes as a text, for every kind of tokenizer: WordPiece under three
 * normalisers, BERT's, a cased one, and one with every step off; Unigram; byte
 * pairs of characters and of bytes, split by expressions. The first byte says
 * which, and sets the limit: what is read under a limit must be the beginning
 * of what is read without. */
#include "encoder/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    N_TOKENIZERS = 7,
    AFFIXES = 2, /* [CLS] and [SEP] */
    /* tokens of a byte at most: U+FFFD's three bytes stand for one, and a code
     * point of three bytes decomposes to 33 */
    EXPANSION = 11,
    UNLIMITED = 1 << 20,
};

/* clang-format off */
#define TOKENIZER(normalizer)                                                  \
    "{\"added_tokens\": [{\"id\": 11, \"content\": \"[SEP]\"},"                \
    "                    {\"id\": 12, \"content\": \"\u00e9]\"}],"             \
    " \"normalizer\": " normalizer ","                                         \
    " \"pre_tokenizer\": {\"type\": \"BertPreTokenizer\"},"                    \
    " \"post_processor\": {\"type\": \"BertProcessing\","                      \
    "                      \"sep\": [0, 2], \"cls\": [0, 1]},"                 \
    " \"model\": {\"type\": \"WordPiece\", \"unk_token\": \"?\","              \
    "             \"max_input_chars_per_word\": 6, \"vocab\": {"               \
    "     \"?\": 0, \"[\": 1, \"]\": 2, \"a\": 3, \"##a\": 4, \"e\": 5,"       \
    "     \"##e\": 6, \"\ua953\": 7, \"##\ua953\": 8, \"\u1dfb\": 9,"          \
    "     \"##\u1dfb\": 10}}}"
#define OTHER(steps, model)                                                    \
    "{\"added_tokens\": [{\"id\": 7, \"content\": \"<m>\", \"lstrip\": true}," \
    "                    {\"id\": 8, \"content\": \"\u00e9]\","                \
    "                     \"normalized\": true, \"single_word\": true}],"      \
    steps ","                                                                  \
    " \"post_processor\": {\"type\": \"BertProcessing\","                      \
    "                      \"sep\": [0, 2], \"cls\": [0, 1]},"                 \
    " \"model\": " model "}"
#define SPLIT(regex, behavior)                                                 \
    "{\"type\": \"Split\", \"pattern\": {\"Regex\": \"" regex "\"},"           \
    " \"behavior\": \"" behavior "\"}"
#define GPT4                                                                   \
    "(?i:'s|'t|'re)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}{1,3}"     \
    "| ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+"
#define PAIRS(options, space)                                                  \
    "{\"type\": \"BPE\", " options "\"merges\": [\"a b\", \"ab a\"],"          \
    " \"vocab\": {\"?\": 0, \"a\": 1, \"b\": 2, \"ab\": 3, \"aba\": 4,"        \
    "             \"" space "\": 5, \"<0xC3>\": 6}}"
/* clang-format on */

static lk_tokenizer *tokenizer_get(size_t i)
{
    static const char *const json[N_TOKENIZERS] = {
        TOKENIZER("{\"type\": \"BertNormalizer\"}"),
        TOKENIZER("{\"type\": \"BertNormalizer\", \"lowercase\": false, "
                  "\"clean_text\": false, \"strip_accents\": true}"),
        TOKENIZER("null"),
        OTHER(
            "\"normalizer\": {\"type\": \"Sequence\", \"normalizers\": ["
            "{\"type\": \"NFKC\"}, {\"type\": \"Replace\", \"content\": \" \","
            " \"pattern\": {\"Regex\": \" {2,}|[^\\\\S\\\\n]\"}}]}, "
            "\"pre_tokenizer\": {\"type\": \"Metaspace\", "
            "\"replacement\": \"\u2581\"}",
            "{\"type\": \"Unigram\", \"unk_id\": 0, \"vocab\": [[\"?\", 0],"
            "[\"a\", -1], [\"b\", -2], [\"ab\", -3], [\"\u2581\", -4],"
            "[\"\u2581a\", -3], [\"\u00e9\", -9]]}"),
        OTHER("\"normalizer\": {\"type\": \"NFC\"}, \"pre_tokenizer\": "
              "{\"type\": \"Sequence\", \"pretokenizers\": [" SPLIT(
                  GPT4, "Isolated") ", {\"type\": \"ByteLevel\", "
                                    "\"use_regex\": false}]}",
              PAIRS("", "\u0120")),
        OTHER("\"normalizer\": {\"type\": \"NFKD\"}, "
              "\"pre_tokenizer\": {\"type\": \"ByteLevel\"}",
              PAIRS("\"ignore_merges\": true, ", "\u0120")),
        OTHER("\"normalizer\": {\"type\": \"Lowercase\"}, "
              "\"pre_tokenizer\": {\"type\": \"Sequence\", \"pretokenizers\": "
              "[" SPLIT("\\\\p{P}|b(?=a)", "MergedWithNext") "," SPLIT(
                  "[a-c]++", "Contiguous") "]}",
              PAIRS("\"unk_token\": \"?\", \"byte_fallback\": true, "
                    "\"fuse_unk\": true, ",
                    "\u2581"))};
    static lk_tokenizer *tokenizers[N_TOKENIZERS];
    linkd_str one = {json[i], strlen(json[i])};

    if (tokenizers[i] == NULL)
        LK_ASSERT(lk_tokenizer_parse_json(one, &tokenizers[i], NULL) ==
                  LINKD_OK);
    return tokenizers[i];
}

static void text_check(const lk_tokenizer *tokenizer, linkd_str text,
                       size_t limit)
{
    static lk_tokens all, cut; /* kept from text to text, as encoders do */
    size_t n;

    LK_ASSERT(lk_tokenizer_encode(tokenizer, text, UNLIMITED, &all, NULL) ==
              LINKD_OK);
    LK_ASSERT(lk_tokenizer_encode(tokenizer, text, limit, &cut, NULL) ==
              LINKD_OK);
    n = all.n < limit ? all.n : limit;
    LK_ASSERT(cut.n == n && cut.truncated == (all.n > limit));
    LK_ASSERT(all.n <= text.len * EXPANSION + AFFIXES);
    for (size_t i = 0; i + 1 < n; i++)
        LK_ASSERT(all.ids[i] == cut.ids[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    text_check(tokenizer_get(data[0] % N_TOKENIZERS),
               (linkd_str){(const char *)data + 1, size - 1},
               AFFIXES + data[0] / N_TOKENIZERS);
    return 0;
}
