/* encoder/tokenizer.c — opens a tokenizer and turns text into ids.
 * Parity with Hugging Face's `tokenizers` is the feature: a model sees the ids
 * that it was trained on, or its vectors are not its vectors.
 *
 *   tokenizer.json ── tokenizer_json.c ─┐
 *                                       ├─► lk_tokenizer
 *   vocab.txt ─────── vocab_txt.c ──────┘        │
 *   text ─► bert_words.c ─► words ─► wordpiece.c ─► [CLS] ids… [SEP]
 *
 * WordPiece is the one kind so far; another kind gets its own words and pieces
 * beside these two and a reader that fills `kind`. Encoding only reads the
 * tokenizer: the text's state is on the stack and in the caller's lk_tokens. */
#include "encoder/file.h"
#include "encoder/tokenizer_parts.h"

#include <stdlib.h>
#include <string.h>

enum {
    /* the largest known, Gemma's, has 33 MB */
    JSON_BYTES_MAX = 64 << 20,
    /* the largest known, LaBSE's 501,153 tokens, has 5 MB */
    VOCAB_BYTES_MAX = 16 << 20,
    CONFIG_BYTES_MAX = 1 << 20, /* guess: they have a few hundred bytes */
};

#define JSON_NAME   "tokenizer.json"
#define VOCAB_NAME  "vocab.txt"
#define CONFIG_NAME "tokenizer_config.json"

/* ---- putting one together ----------------------------------------------- */

linkd_str lk_str(const char *text)
{
    return (linkd_str){text, strlen(text)};
}

const char *lk_name_show(linkd_str name, char shown[LK_SHOWN_MAX])
{
    size_t len = name.len < LK_SHOWN_MAX - 1 ? name.len : LK_SHOWN_MAX - 1;

    for (size_t i = 0; i < len; i++) {
        char byte = name.bytes[i];

        shown[i] = byte >= ' ' && byte <= '~' ? byte : '?';
    }
    shown[len] = '\0';
    return shown;
}

int lk_tokenizer_add_piece(lk_tokenizer *tokenizer, linkd_str token,
                           linkd_str inside_prefix, uint32_t id,
                           linkd_error *err)
{
    linkd_str inside;
    int rc;

    if (token.len == 0)
        return LINKD_OK;
    rc = lk_trie_insert(&tokenizer->vocabulary, LK_WORDPIECE_WORDS, token, id,
                        err);
    if (rc != LINKD_OK || token.len <= inside_prefix.len ||
        memcmp(token.bytes, inside_prefix.bytes, inside_prefix.len) != 0)
        return rc;
    inside.bytes = token.bytes + inside_prefix.len;
    inside.len = token.len - inside_prefix.len;
    return lk_trie_insert(&tokenizer->vocabulary, LK_WORDPIECE_INSIDE, inside,
                          id, err);
}

int lk_tokenizer_add_special(lk_tokenizer *tokenizer, linkd_str token,
                             uint32_t id, linkd_error *err)
{
    if (token.len == 0)
        return LINKD_OK;
    tokenizer->rules.added_begins[(uint8_t)token.bytes[0]] = true;
    return lk_trie_insert(&tokenizer->vocabulary, LK_WORDPIECE_ADDED, token, id,
                          err);
}

static int tokenizer_new(lk_tokenizer **ret_tokenizer, linkd_error *err)
{
    lk_tokenizer *tokenizer = calloc(1, sizeof(*tokenizer));
    int rc;

    if (tokenizer == NULL)
        return lk_fail_nomem(err);
    rc = lk_trie_init(&tokenizer->vocabulary, LK_WORDPIECE_N_ROOTS, err);
    if (rc != LINKD_OK) {
        lk_tokenizer_close(tokenizer);
        return rc;
    }
    tokenizer->rules.added = &tokenizer->vocabulary;
    tokenizer->rules.added_root = LK_WORDPIECE_ADDED;
    *ret_tokenizer = tokenizer;
    return LINKD_OK;
}

/* Hands over what a reader made, or frees it when the reader failed. */
static int tokenizer_finish(lk_tokenizer *tokenizer, int rc,
                            lk_tokenizer **ret_tokenizer)
{
    if (rc != LINKD_OK) {
        lk_tokenizer_close(tokenizer);
        return rc;
    }
    lk_bert_rules_init(&tokenizer->rules);
    *ret_tokenizer = tokenizer;
    return LINKD_OK;
}

int lk_tokenizer_parse_json(linkd_str json, lk_tokenizer **ret_tokenizer,
                            linkd_error *err)
{
    lk_tokenizer *tokenizer = NULL;
    int rc = tokenizer_new(&tokenizer, err);

    if (rc != LINKD_OK)
        return rc;
    rc = lk_tokenizer_json_read(tokenizer, json, err);
    return tokenizer_finish(tokenizer, rc, ret_tokenizer);
}

int lk_tokenizer_parse_vocab(linkd_str vocab, linkd_str config,
                             lk_tokenizer **ret_tokenizer, linkd_error *err)
{
    lk_tokenizer *tokenizer = NULL;
    int rc = tokenizer_new(&tokenizer, err);

    if (rc != LINKD_OK)
        return rc;
    rc = lk_vocab_txt_read(tokenizer, vocab, config, err);
    return tokenizer_finish(tokenizer, rc, ret_tokenizer);
}

/* ---- files -------------------------------------------------------------- */

/* Maps a file of the directory. One that is not there is not an error: it has
 * no bytes. `file` is the caller's to unmap, after a failure too. */
static int file_open(const char *dir, const char *name, size_t max_bytes,
                     lk_file *file, bool *ret_exists, linkd_error *err)
{
    lk_buf path = {0};
    int rc = lk_file_path(dir, name, &path, err);

    if (rc != LINKD_OK)
        return rc;
    *ret_exists = lk_file_exists(path.data) != 0;
    if (*ret_exists)
        rc = lk_file_map(path.data, file, err);
    if (rc == LINKD_OK && file->len > max_bytes)
        rc = lk_fail(err, LINKD_E_DATA,
                     "%s: %zu bytes are over the limit of %zu", name, file->len,
                     max_bytes);
    lk_buf_clear(&path);
    return rc;
}

static linkd_str content_of(const lk_file *file)
{
    return (linkd_str){file->len > 0 ? (const char *)file->bytes : "",
                       file->len};
}

static int vocab_open(const char *dir, lk_tokenizer **ret_tokenizer,
                      linkd_error *err)
{
    lk_file vocab = {0}, config = {0};
    bool exists;
    int rc = file_open(dir, VOCAB_NAME, VOCAB_BYTES_MAX, &vocab, &exists, err);

    if (rc == LINKD_OK && !exists)
        rc = lk_fail(err, LINKD_E_DATA,
                     "neither " JSON_NAME " nor " VOCAB_NAME " in \"%s\"", dir);
    if (rc == LINKD_OK)
        rc = file_open(dir, CONFIG_NAME, CONFIG_BYTES_MAX, &config, &exists,
                       err);
    if (rc == LINKD_OK)
        rc = lk_tokenizer_parse_vocab(content_of(&vocab), content_of(&config),
                                      ret_tokenizer, err);
    lk_file_unmap(&vocab);
    lk_file_unmap(&config);
    return rc;
}

int lk_tokenizer_open(const char *dir, lk_tokenizer **ret_tokenizer,
                      linkd_error *err)
{
    lk_file json = {0};
    bool exists;
    int rc = file_open(dir, JSON_NAME, JSON_BYTES_MAX, &json, &exists, err);

    if (rc == LINKD_OK && exists)
        rc = lk_tokenizer_parse_json(content_of(&json), ret_tokenizer, err);
    else if (rc == LINKD_OK)
        rc = vocab_open(dir, ret_tokenizer, err);
    lk_file_unmap(&json);
    return rc;
}

void lk_tokenizer_close(lk_tokenizer *tokenizer)
{
    if (tokenizer == NULL)
        return;
    lk_trie_clear(&tokenizer->vocabulary);
    free(tokenizer);
}

const char *lk_tokenizer_kind(const lk_tokenizer *tokenizer)
{
    return tokenizer->kind;
}

size_t lk_tokenizer_vocab_size(const lk_tokenizer *tokenizer)
{
    return tokenizer->vocab_size;
}

/* ---- encoding ----------------------------------------------------------- */

static int tokens_reserve(lk_tokens *tokens, size_t n_more, linkd_error *err)
{
    return lk_grow((void **)&tokens->ids, &tokens->capacity, tokens->n + n_more,
                   sizeof(*tokens->ids), err);
}

static int affix_append(lk_tokens *tokens, const lk_affix *affix,
                        linkd_error *err)
{
    int rc = tokens_reserve(tokens, affix->n, err);

    if (rc != LINKD_OK)
        return rc;
    for (size_t i = 0; i < affix->n; i++)
        tokens->ids[tokens->n++] = affix->ids[i];
    return LINKD_OK;
}

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

/* Appends the text's own ids until there are `end` of them. */
static int text_append(const lk_tokenizer *tokenizer, linkd_str text,
                       size_t end, lk_tokens *tokens, linkd_error *err)
{
    lk_word_reader reader;
    lk_word_kind kind;
    int rc = LINKD_OK;

    lk_word_reader_init(&reader, &tokenizer->rules, text);
    while (tokens->n <= end && rc == LINKD_OK &&
           (kind = lk_word_read(&reader)) != LK_WORD_END) {
        if (kind == LK_WORD_ADDED)
            rc = affix_append(tokens, &(lk_affix){{reader.added_id}, 1}, err);
        else
            rc = word_append(tokenizer, &reader, tokens, err);
    }
    tokens->truncated = tokens->n > end;
    if (tokens->truncated)
        tokens->n = end;
    return rc;
}

int lk_tokenizer_encode(const lk_tokenizer *tokenizer, linkd_str text,
                        size_t max_tokens, lk_tokens *tokens, linkd_error *err)
{
    size_t n_affixes = tokenizer->before.n + tokenizer->after.n;
    int rc;

    if (max_tokens < n_affixes)
        return lk_fail(err, LINKD_E_ARG,
                       "a limit of %zu tokens leaves no room for the %zu that "
                       "every text has",
                       max_tokens, n_affixes);
    tokens->n = 0;
    rc = affix_append(tokens, &tokenizer->before, err);
    if (rc == LINKD_OK)
        rc = text_append(tokenizer, text, max_tokens - tokenizer->after.n,
                         tokens, err);
    if (rc == LINKD_OK)
        rc = affix_append(tokens, &tokenizer->after, err);
    return rc;
}

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

bool lk_tokenizer_knows(const lk_tokenizer *tokenizer, linkd_str text,
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

void lk_tokens_clear(lk_tokens *tokens)
{
    free(tokens->ids);
    *tokens = (lk_tokens){0};
}
