/* encoder/tokenize.c — text to ids, once a tokenizer is put together.
 * There are two ways. Most BERT models go the direct one: their words are read
 * from the raw text in one pass (bert_words.c). All others go Hugging Face's,
 * step by step:
 *
 *   raw text ─ cut at added tokens ─ normalizer ─ cut at those added tokens
 *   that are normalized, too ─ splitter ─ unigram.c or bpe.c, or words without
 *   rules and wordpiece.c ─► ids
 *
 * Encoding only reads the tokenizer: the text's state is on the stack, in the
 * caller's lk_tokens and in the scratch that hangs on it. */
#include "encoder/tokenizer_parts.h"

#include <stdlib.h>
#include <string.h>

struct lk_token_scratch {
    lk_buf raw;    /* the text as valid UTF-8 */
    lk_buf normal; /* what the normalizer makes of a part of it */
    lk_normal_scratch normalizer;
    lk_split_scratch splitter;
    lk_unigram_scratch unigram;
    lk_bpe_scratch bpe;
};

/* One text on its way. */
typedef struct encoding {
    const lk_tokenizer *tokenizer;
    lk_tokens *tokens;
    lk_token_scratch *scratch;
    size_t end; /* no more ids than that are wanted */
} encoding;

/* ---- tokens ------------------------------------------------------------- */

static int tokens_reserve(lk_tokens *tokens, size_t n_more, linkd_error *err)
{
    return lk_grow((void **)&tokens->ids, &tokens->capacity, tokens->n + n_more,
                   sizeof(*tokens->ids), err);
}

int lk_tokens_append(lk_tokens *tokens, uint32_t id, linkd_error *err)
{
    int rc = tokens_reserve(tokens, 1, err);

    if (rc == LINKD_OK)
        tokens->ids[tokens->n++] = id;
    return rc;
}

static int affix_append(lk_tokens *tokens, const lk_affix *affix,
                        linkd_error *err)
{
    int rc = LINKD_OK;

    for (size_t i = 0; i < affix->n && rc == LINKD_OK; i++)
        rc = lk_tokens_append(tokens, affix->ids[i], err);
    return rc;
}

static int scratch_get(lk_tokens *tokens, linkd_error *err)
{
    if (tokens->scratch == NULL)
        tokens->scratch = calloc(1, sizeof(*tokens->scratch));
    return tokens->scratch != NULL ? LINKD_OK : lk_fail_nomem(err);
}

static void scratch_free(lk_token_scratch *scratch)
{
    if (scratch == NULL)
        return;
    lk_buf_clear(&scratch->raw);
    lk_buf_clear(&scratch->normal);
    lk_normal_scratch_clear(&scratch->normalizer);
    lk_split_scratch_clear(&scratch->splitter);
    free(scratch->unigram.nodes);
    lk_bpe_scratch_clear(&scratch->bpe);
    free(scratch);
}

void lk_tokens_clear(lk_tokens *tokens)
{
    free(tokens->ids);
    scratch_free(tokens->scratch);
    *tokens = (lk_tokens){0};
}

/* ---- words -------------------------------------------------------------- */

/* Appends the pieces of the word that was read last. */
static int word_append(const lk_tokenizer *tokenizer,
                       const lk_word_reader *reader, lk_tokens *tokens,
                       linkd_error *err)
{
    linkd_str word = {(const char *)reader->bytes, reader->len};
    int rc = tokens_reserve(tokens, reader->len + 1, err);

    if (rc != LINKD_OK)
        return rc;
    if (reader->n_chars > tokenizer->rules.max_word_chars)
        tokens->ids[tokens->n++] = tokenizer->unknown_id;
    else
        tokens->n +=
            lk_wordpiece_split(&tokenizer->vocabulary, word,
                               tokenizer->unknown_id, &tokens->ids[tokens->n]);
    return LINKD_OK;
}

static int words_append(const encoding *e, linkd_str text, linkd_error *err)
{
    lk_word_reader reader;
    lk_word_kind kind;
    int rc = LINKD_OK;

    lk_word_reader_init(&reader, &e->tokenizer->rules, text);
    while (e->tokens->n <= e->end && rc == LINKD_OK &&
           (kind = lk_word_read(&reader)) != LK_WORD_END) {
        if (kind == LK_WORD_ADDED)
            rc = lk_tokens_append(e->tokens, reader.added_id, err);
        else
            rc = word_append(e->tokenizer, &reader, e->tokens, err);
    }
    return rc;
}

/* ---- step by step ------------------------------------------------------- */

static int part_append(void *ctx, linkd_str part, bool *ret_stop,
                       linkd_error *err)
{
    const encoding *e = ctx;
    const lk_tokenizer *tokenizer = e->tokenizer;
    int rc;

    if (tokenizer->model == LK_MODEL_UNIGRAM)
        rc = lk_unigram_split(&tokenizer->unigram, &tokenizer->vocabulary,
                              LK_WORDPIECE_WORDS, part, &e->scratch->unigram,
                              e->tokens, err);
    else
        rc = lk_bpe_split(&tokenizer->bpe, &tokenizer->vocabulary,
                          LK_WORDPIECE_WORDS, part, &e->scratch->bpe, e->tokens,
                          err);
    *ret_stop = e->tokens->n > e->end;
    return rc;
}

/* A normalised text between added tokens. */
static int parts_append(encoding *e, linkd_str text, bool is_first,
                        linkd_error *err)
{
    if (e->tokenizer->model == LK_MODEL_WORDPIECE)
        return words_append(e, text, err);
    return lk_splitter_run(&e->tokenizer->splitter, &e->scratch->splitter, text,
                           is_first, part_append, e, err);
}

/* A raw text between added tokens. */
static int segment_append(encoding *e, linkd_str raw, bool is_first,
                          linkd_error *err)
{
    lk_buf *normal = &e->scratch->normal;
    lk_added_reader reader;
    lk_added_kind kind;
    linkd_str text;
    uint32_t id;
    int rc;

    lk_buf_reset(normal);
    rc = lk_buf_append(normal, raw.bytes, raw.len, err);
    if (rc == LINKD_OK)
        rc = lk_normalizer_run(&e->tokenizer->normalizer,
                               &e->scratch->normalizer, normal, err);
    if (rc != LINKD_OK)
        return rc;
    lk_added_reader_init(&reader, &e->tokenizer->added, LK_ADDED_NORMALIZED,
                         (linkd_str){normal->data, normal->len});
    while (e->tokens->n <= e->end && rc == LINKD_OK &&
           (kind = lk_added_read(&reader, &text, &id)) != LK_ADDED_END) {
        rc = kind == LK_ADDED_TOKEN ? lk_tokens_append(e->tokens, id, err)
                                    : parts_append(e, text, is_first, err);
        is_first = false;
    }
    return rc;
}

/* The text with U+FFFD for each byte that is not UTF-8. */
static int raw_write(linkd_str text, lk_buf *raw, linkd_error *err)
{
    const uint8_t *at = (const uint8_t *)text.bytes;
    size_t left = text.len;
    int rc = LINKD_OK;

    lk_buf_reset(raw);
    while (left > 0 && rc == LINKD_OK) {
        uint8_t utf8[LK_UTF8_MAX];
        uint32_t cp;
        size_t len = lk_utf8_read(at, left, &cp);

        rc = lk_buf_append(raw, utf8, lk_utf8_write(cp, utf8), err);
        at += len;
        left -= len;
    }
    return rc;
}

static int segments_append(encoding *e, linkd_str text, linkd_error *err)
{
    lk_added_reader reader;
    lk_added_kind kind;
    linkd_str segment;
    bool is_first = true;
    uint32_t id;
    int rc = scratch_get(e->tokens, err);

    if (rc != LINKD_OK)
        return rc;
    e->scratch = e->tokens->scratch;
    rc = raw_write(text, &e->scratch->raw, err);
    if (rc != LINKD_OK)
        return rc;
    lk_added_reader_init(
        &reader, &e->tokenizer->added, LK_ADDED_RAW,
        (linkd_str){e->scratch->raw.data, e->scratch->raw.len});
    while (e->tokens->n <= e->end && rc == LINKD_OK &&
           (kind = lk_added_read(&reader, &segment, &id)) != LK_ADDED_END) {
        rc = kind == LK_ADDED_TOKEN ? lk_tokens_append(e->tokens, id, err)
                                    : segment_append(e, segment, is_first, err);
        is_first = false;
    }
    return rc;
}

/* ---- encoding ----------------------------------------------------------- */

/* Cuts the text's own ids, those from `begin` on, down to e->end in all. */
static void tokens_cut(const encoding *e, size_t begin)
{
    lk_tokens *tokens = e->tokens;
    const size_t n_over = tokens->n > e->end ? tokens->n - e->end : 0;

    tokens->truncated = n_over > 0;
    tokens->n -= n_over;
    if (n_over > 0 && e->tokenizer->keeps_end)
        memmove(tokens->ids + begin, tokens->ids + begin + n_over,
                (tokens->n - begin) * sizeof(*tokens->ids));
}

/* Leaves unknown tokens out; a text of nothing else is one. */
static int tokens_sift(const lk_tokenizer *tokenizer, lk_tokens *tokens,
                       linkd_error *err)
{
    const uint32_t unknown = tokenizer->unknown_id;
    size_t n = 0;

    for (size_t i = 0; i < tokens->n; i++)
        if (tokens->ids[i] != unknown)
            tokens->ids[n++] = tokens->ids[i];
    tokens->n = n;
    if (n > 0)
        return LINKD_OK;
    return lk_tokens_append(tokens, unknown != LK_TRIE_NONE ? unknown : 0, err);
}

int lk_tokenizer_encode(const lk_tokenizer *tokenizer, linkd_str text,
                        size_t max_tokens, lk_tokens *tokens, linkd_error *err)
{
    const size_t n_affixes = tokenizer->before.n + tokenizer->after.n;
    encoding e = {.tokenizer = tokenizer, .tokens = tokens};
    int rc;

    if (max_tokens < n_affixes)
        return lk_fail(err, LINKD_E_ARG,
                       "a limit of %zu tokens leaves no room for the %zu that "
                       "every text has",
                       max_tokens, n_affixes);
    tokens->n = 0;
    e.end = tokenizer->keeps_end || tokenizer->is_bare
                ? SIZE_MAX
                : max_tokens - tokenizer->after.n;
    rc = affix_append(tokens, &tokenizer->before, err);
    if (rc == LINKD_OK)
        rc = tokenizer->is_direct ? words_append(&e, text, err)
                                  : segments_append(&e, text, err);
    e.end = max_tokens - tokenizer->after.n;
    if (rc == LINKD_OK && tokenizer->is_bare)
        rc = tokens_sift(tokenizer, tokens, err);
    if (rc == LINKD_OK) {
        tokens_cut(&e, tokenizer->before.n);
        rc = affix_append(tokens, &tokenizer->after, err);
    }
    return rc;
}

/* ---- whether anything is known ------------------------------------------ */

/* True if the word that was read last has pieces. */
static bool word_is_known(const lk_tokenizer *tokenizer,
                          const lk_word_reader *reader)
{
    linkd_str word = {(const char *)reader->bytes, reader->len};
    uint32_t ids[LK_WORD_CHARS_MAX * LK_UTF8_MAX];

    return reader->n_chars <= tokenizer->rules.max_word_chars &&
           (lk_wordpiece_split(&tokenizer->vocabulary, word,
                               tokenizer->unknown_id, ids) > 1 ||
            ids[0] != tokenizer->unknown_id);
}

static bool words_are_known(const lk_tokenizer *tokenizer, linkd_str text,
                            size_t max_tokens)
{
    lk_word_reader reader;
    lk_word_kind kind;

    lk_word_reader_init(&reader, &tokenizer->rules, text);
    /* up to the first known word every word is one id */
    for (size_t n = tokenizer->before.n + tokenizer->after.n;
         n < max_tokens && (kind = lk_word_read(&reader)) != LK_WORD_END; n++) {
        if (kind == LK_WORD_PLAIN && word_is_known(tokenizer, &reader))
            return true;
    }
    return false;
}

/* Whether an id is a piece of some word: not unknown, not added, and more than
 * the mark of a space. */
static bool piece_says_something(const lk_tokenizer *tokenizer, uint32_t id)
{
    if (id == tokenizer->unknown_id || id == tokenizer->space_id)
        return false;
    for (size_t i = 0; i < tokenizer->added.n; i++)
        if (tokenizer->added.tokens[i].id == id)
            return false;
    return true;
}

static bool pieces_are_known(const lk_tokenizer *tokenizer, linkd_str text,
                             size_t max_tokens)
{
    lk_tokens tokens = {0};
    bool is_known = false;

    if (lk_tokenizer_encode(tokenizer, text, max_tokens, &tokens, NULL) !=
        LINKD_OK)
        tokens.n = 0;
    for (size_t i = 0; i < tokens.n && !is_known; i++)
        is_known = piece_says_something(tokenizer, tokens.ids[i]);
    lk_tokens_clear(&tokens);
    return is_known;
}

bool lk_tokenizer_knows(const lk_tokenizer *tokenizer, linkd_str text,
                        size_t max_tokens)
{
    return tokenizer->is_direct ? words_are_known(tokenizer, text, max_tokens)
                                : pieces_are_known(tokenizer, text, max_tokens);
}
