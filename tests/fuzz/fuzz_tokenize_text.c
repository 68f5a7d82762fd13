/* Any bytes as a text, under three normalisers: BERT's, a cased one, and one
 * with every step off. The first byte sets the limit: what is read under a
 * limit must be the beginning of what is read without. */
#include "encoder/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    N_TOKENIZERS = 3,
    AFFIXES = 2, /* [CLS] and [SEP] */
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
/* clang-format on */

static lk_tokenizer *tokenizer_get(size_t i)
{
    static const char *const json[N_TOKENIZERS] = {
        TOKENIZER("{\"type\": \"BertNormalizer\"}"),
        TOKENIZER("{\"type\": \"BertNormalizer\", \"lowercase\": false, "
                  "\"clean_text\": false, \"strip_accents\": true}"),
        TOKENIZER("null")};
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
    lk_tokens all = {0}, cut = {0};
    size_t n;

    LK_ASSERT(lk_tokenizer_encode(tokenizer, text, UNLIMITED, &all, NULL) ==
              LINKD_OK);
    LK_ASSERT(lk_tokenizer_encode(tokenizer, text, limit, &cut, NULL) ==
              LINKD_OK);
    n = all.n < limit ? all.n : limit;
    LK_ASSERT(cut.n == n && cut.truncated == (all.n > limit));
    LK_ASSERT(all.n <= text.len * 4 + AFFIXES);
    for (size_t i = 0; i + 1 < n; i++)
        LK_ASSERT(all.ids[i] == cut.ids[i]);
    lk_tokens_clear(&all);
    lk_tokens_clear(&cut);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    for (size_t i = 0; i < N_TOKENIZERS; i++)
        text_check(tokenizer_get(i),
                   (linkd_str){(const char *)data + 1, size - 1},
                   AFFIXES + data[0]);
    return 0;
}
