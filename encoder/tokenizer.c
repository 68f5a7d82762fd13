/* encoder/tokenizer.c — opens a tokenizer.
 * Parity with Hugging Face's `tokenizers` is the feature: a model sees the ids
 * that it was trained on, or its vectors are not its vectors.
 *
 *   tokenizer.json ── tokenizer_json.c ─┐
 *   vocab.txt ─────── vocab_txt.c ──────┼─► lk_tokenizer
 *   vocab.json, merges.txt ── vocab_clip.c ┘     │
 *   text ─────────────────────────────────► tokenize.c ─► [CLS] ids… [SEP]
 */
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
#define CLIP_NAME   "vocab.json" /* of CLIP … */
#define MERGES_NAME "merges.txt" /* … with this */

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

int lk_tokenizer_new(lk_tokenizer **ret_tokenizer, linkd_error *err)
{
    lk_tokenizer *tokenizer = calloc(1, sizeof(*tokenizer));
    int rc;

    if (tokenizer == NULL)
        return lk_fail_nomem(err);
    tokenizer->unknown_id = LK_TRIE_NONE;
    tokenizer->space_id = LK_TRIE_NONE;
    tokenizer->is_direct = true;
    rc = lk_trie_init(&tokenizer->vocabulary, LK_WORDPIECE_N_ROOTS, err);
    if (rc == LINKD_OK)
        rc = lk_added_init(&tokenizer->added, err);
    if (rc != LINKD_OK) {
        lk_tokenizer_close(tokenizer);
        return rc;
    }
    tokenizer->rules.added = &tokenizer->vocabulary;
    tokenizer->rules.added_root = LK_WORDPIECE_ADDED;
    *ret_tokenizer = tokenizer;
    return LINKD_OK;
}

int lk_tokenizer_finish(lk_tokenizer *tokenizer, int rc,
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
    int rc = lk_tokenizer_new(&tokenizer, err);

    if (rc != LINKD_OK)
        return rc;
    rc = lk_tokenizer_json_read(tokenizer, json, err);
    return lk_tokenizer_finish(tokenizer, rc, ret_tokenizer);
}

int lk_tokenizer_parse_vocab(linkd_str vocab, linkd_str config,
                             lk_tokenizer **ret_tokenizer, linkd_error *err)
{
    lk_tokenizer *tokenizer = NULL;
    int rc = lk_tokenizer_new(&tokenizer, err);

    if (rc != LINKD_OK)
        return rc;
    rc = lk_vocab_txt_read(tokenizer, vocab, config, err);
    return lk_tokenizer_finish(tokenizer, rc, ret_tokenizer);
}

int lk_tokenizer_parse_clip(linkd_str vocab, linkd_str merges, linkd_str config,
                            lk_tokenizer **ret_tokenizer, linkd_error *err)
{
    lk_tokenizer *tokenizer = NULL;
    int rc = lk_tokenizer_new(&tokenizer, err);

    if (rc != LINKD_OK)
        return rc;
    rc = lk_vocab_clip_read(tokenizer, vocab, merges, config, err);
    return lk_tokenizer_finish(tokenizer, rc, ret_tokenizer);
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

/* What there is in place of tokenizer.json. */
typedef struct vocab_files {
    lk_file vocab;  /* vocab.txt, or CLIP's … */
    lk_file merges; /* … with these */
    lk_file config;
    bool is_clip;
} vocab_files;

static int vocab_files_open(const char *dir, vocab_files *files,
                            linkd_error *err)
{
    bool exists;
    int rc = file_open(dir, VOCAB_NAME, VOCAB_BYTES_MAX, &files->vocab, &exists,
                       err);

    if (rc == LINKD_OK && !exists) {
        rc = file_open(dir, CLIP_NAME, VOCAB_BYTES_MAX, &files->vocab, &exists,
                       err);
        if (rc == LINKD_OK && exists)
            rc = file_open(dir, MERGES_NAME, VOCAB_BYTES_MAX, &files->merges,
                           &files->is_clip, err);
        if (rc == LINKD_OK && !files->is_clip)
            rc = lk_fail(err, LINKD_E_DATA,
                         "neither " JSON_NAME " nor " VOCAB_NAME
                         " in \"%s\", nor CLIP's " CLIP_NAME
                         " with " MERGES_NAME,
                         dir);
    }
    if (rc == LINKD_OK)
        rc = file_open(dir, CONFIG_NAME, CONFIG_BYTES_MAX, &files->config,
                       &exists, err);
    return rc;
}

static int vocab_open(const char *dir, lk_tokenizer **ret_tokenizer,
                      linkd_error *err)
{
    vocab_files f = {0};
    int rc = vocab_files_open(dir, &f, err);

    if (rc == LINKD_OK)
        rc = f.is_clip ? lk_tokenizer_parse_clip(
                             content_of(&f.vocab), content_of(&f.merges),
                             content_of(&f.config), ret_tokenizer, err)
                       : lk_tokenizer_parse_vocab(content_of(&f.vocab),
                                                  content_of(&f.config),
                                                  ret_tokenizer, err);
    lk_file_unmap(&f.vocab);
    lk_file_unmap(&f.merges);
    lk_file_unmap(&f.config);
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

void lk_tokenizer_bare(lk_tokenizer *tokenizer)
{
    tokenizer->before.n = 0;
    tokenizer->after.n = 0;
    tokenizer->is_bare = true;
}

void lk_tokenizer_cut(lk_tokenizer *tokenizer, bool keeps_end)
{
    tokenizer->keeps_end = keeps_end;
}

static bool lowercases(const lk_tokenizer *tokenizer)
{
    const lk_normalizer *normalizer = &tokenizer->normalizer;

    if (tokenizer->is_direct)
        return tokenizer->rules.lowercase;
    for (size_t i = 0; i < normalizer->n; i++) {
        const lk_normal_step *step = &normalizer->steps[i];

        if (step->kind == LK_NORMAL_LOWERCASE ||
            (step->kind == LK_NORMAL_BERT && step->rules.lowercase))
            return true;
    }
    return false;
}

int lk_tokenizer_lowercase(lk_tokenizer *tokenizer, bool *ret_is_new,
                           linkd_error *err)
{
    lk_normalizer *normalizer = &tokenizer->normalizer;
    lk_normal_step *step = NULL;
    int rc;

    *ret_is_new = !lowercases(tokenizer);
    if (!*ret_is_new)
        return LINKD_OK;
    if (tokenizer->is_direct) {
        tokenizer->rules.lowercase = true;
        lk_bert_rules_init(&tokenizer->rules);
        return LINKD_OK;
    }
    rc = lk_normalizer_add(normalizer, &step, err);
    if (rc != LINKD_OK)
        return rc;
    memmove(normalizer->steps + 1, normalizer->steps,
            (normalizer->n - 1) * sizeof(*step));
    normalizer->steps[0] = (lk_normal_step){.kind = LK_NORMAL_LOWERCASE};
    return LINKD_OK;
}

void lk_tokenizer_close(lk_tokenizer *tokenizer)
{
    if (tokenizer == NULL)
        return;
    lk_trie_clear(&tokenizer->vocabulary);
    free(tokenizer->rest);
    lk_unigram_clear(&tokenizer->unigram);
    lk_bpe_clear(&tokenizer->bpe);
    lk_added_clear(&tokenizer->added);
    lk_normalizer_clear(&tokenizer->normalizer);
    lk_splitter_clear(&tokenizer->splitter);
    free(tokenizer);
}

const char *lk_tokenizer_kind(const lk_tokenizer *tokenizer)
{
    static const char *const names[] = {[LK_MODEL_WORDPIECE] = "wordpiece",
                                        [LK_MODEL_UNIGRAM] = "unigram",
                                        [LK_MODEL_BPE] = "bpe"};

    return names[tokenizer->model];
}

size_t lk_tokenizer_vocab_size(const lk_tokenizer *tokenizer)
{
    return tokenizer->vocab_size;
}
