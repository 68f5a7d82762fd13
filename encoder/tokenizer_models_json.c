/* encoder/tokenizer_models_json.c — the model of a tokenizer.json: WordPiece's
 * vocabulary, Unigram's pieces with their scores, BPE's with its merges. */
#include "encoder/tokenizer_json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The piece `token` gets the id. */
static int piece_add(lk_json_reader *reader, const char *token,
                     linkd_str inside_prefix, uint32_t id)
{
    linkd_error inner;
    int rc = lk_tokenizer_add_piece(reader->tokenizer, lk_str(token),
                                    inside_prefix, id, &inner);

    if (rc != LINKD_OK)
        return lk_fail(reader->err, rc, LK_TOKENIZER_FILE ": %s",
                       inner.message);
    return LINKD_OK;
}

/* A vocabulary that maps pieces to ids. */
static int pieces_read(lk_json_reader *reader, linkd_str inside_prefix)
{
    json_t *vocab = json_object_get(reader->model, "vocab");
    const char *token;
    json_t *value;
    int rc;

    if (reader->is_rest)
        return lk_json_tokens_count(reader, NULL, 0);
    if (!json_is_object(vocab))
        return lk_fail(reader->err, LINKD_E_DATA,
                       LK_TOKENIZER_FILE ": model.vocab is not an object");
    rc = lk_json_tokens_count(reader, vocab, json_object_size(vocab));
    if (rc != LINKD_OK)
        return rc;
    json_object_foreach(vocab, token, value)
    {
        uint32_t id = 0;

        rc = lk_json_id_take(reader, value, token, &id);
        if (rc == LINKD_OK)
            rc = piece_add(reader, token, inside_prefix, id);
        if (rc != LINKD_OK)
            return rc;
    }
    return LINKD_OK;
}

static int piece_get(const lk_json_reader *reader, const char *token,
                     uint32_t *ret_id)
{
    char shown[LK_SHOWN_MAX];
    uint32_t id = lk_trie_find(&reader->tokenizer->vocabulary,
                               LK_WORDPIECE_WORDS, lk_str(token));

    if (id == LK_TRIE_NONE)
        return lk_fail(reader->err, LINKD_E_DATA,
                       LK_TOKENIZER_FILE ": no token \"%s\" in the vocabulary",
                       lk_name_show(lk_str(token), shown));
    *ret_id = id;
    return LINKD_OK;
}

static int byte_pieces_read(const lk_json_reader *reader,
                            lk_byte_pieces *ret_pieces)
{
    int rc = lk_json_flag_find(reader->model, "model", "byte_fallback",
                               &ret_pieces->is_on, reader->err);

    for (unsigned byte = 0; byte < 256; byte++) {
        char name[8];

        (void)snprintf(name, sizeof(name), "<0x%02X>", byte);
        ret_pieces->ids[byte] = lk_trie_find(&reader->tokenizer->vocabulary,
                                             LK_WORDPIECE_WORDS, lk_str(name));
    }
    return rc;
}

/* ---- WordPiece ---------------------------------------------------------- */

static int word_limit_read(const json_t *model, size_t *ret_max_chars,
                           linkd_error *err)
{
    const json_t *value = json_object_get(model, "max_input_chars_per_word");

    *ret_max_chars = LK_WORD_CHARS;
    if (value == NULL)
        return LINKD_OK;
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        json_integer_value(value) > LK_WORD_CHARS_MAX)
        return lk_fail(err, LINKD_E_DATA,
                       LK_TOKENIZER_FILE
                       ": model.max_input_chars_per_word is not an integer "
                       "from 0 to %d",
                       LK_WORD_CHARS_MAX);
    *ret_max_chars = (size_t)json_integer_value(value);
    return LINKD_OK;
}

static int wordpiece_read(lk_json_reader *reader)
{
    lk_tokenizer *tokenizer = reader->tokenizer;
    const char *prefix = LK_INSIDE_PREFIX;
    const char *unknown = "";
    int rc = word_limit_read(reader->model, &tokenizer->rules.max_word_chars,
                             reader->err);

    if (rc == LINKD_OK &&
        json_object_get(reader->model, "continuing_subword_prefix") != NULL)
        rc =
            lk_json_text_get(reader->model, "model",
                             "continuing_subword_prefix", &prefix, reader->err);
    if (rc == LINKD_OK)
        rc = pieces_read(reader, lk_str(prefix));
    if (rc == LINKD_OK)
        rc = lk_json_text_get(reader->model, "model", "unk_token", &unknown,
                              reader->err);
    if (rc == LINKD_OK)
        rc = piece_get(reader, unknown, &tokenizer->unknown_id);
    return rc;
}

/* ---- Unigram ------------------------------------------------------------ */

/* vocab[i] is [piece, score], and i its id. */
static int scored_piece_read(lk_json_reader *reader, const json_t *entry,
                             uint32_t id)
{
    const json_t *piece = json_array_get(entry, 0);
    const json_t *score = json_array_get(entry, 1);
    linkd_error inner;
    int rc = LINKD_OK;

    if (json_array_size(entry) != 2 || !json_is_string(piece) ||
        !json_is_number(score) || !isfinite(json_number_value(score)))
        return lk_fail(reader->err, LINKD_E_DATA,
                       LK_TOKENIZER_FILE
                       ": model.vocab[%u] is not a piece and a number",
                       (unsigned)id);
    reader->tokenizer->unigram.owned[id] = json_number_value(score);
    if (json_string_length(piece) > 0)
        rc = lk_trie_insert(&reader->tokenizer->vocabulary, LK_WORDPIECE_WORDS,
                            lk_str(json_string_value(piece)), id, &inner);
    if (rc != LINKD_OK)
        return lk_fail(reader->err, rc,
                       LK_TOKENIZER_FILE ": model.vocab[%u]: %s", (unsigned)id,
                       inner.message);
    return LINKD_OK;
}

static int scored_pieces_read(lk_json_reader *reader)
{
    const json_t *vocab = json_object_get(reader->model, "vocab");
    const size_t n = json_array_size(vocab);
    lk_unigram *unigram = &reader->tokenizer->unigram;
    int rc = LINKD_OK;

    if (reader->is_rest)
        return lk_json_tokens_count(reader, NULL, 0);
    if (n == 0)
        return lk_fail(reader->err, LINKD_E_DATA,
                       LK_TOKENIZER_FILE ": model.vocab is not an array of "
                                         "pieces");
    unigram->owned = calloc(n, sizeof(*unigram->owned));
    if (unigram->owned == NULL)
        return lk_fail_nomem(reader->err);
    unigram->scores = unigram->owned;
    unigram->n_pieces = n;
    for (size_t i = 0; i < n && rc == LINKD_OK; i++)
        rc = scored_piece_read(reader, json_array_get(vocab, i), (uint32_t)i);
    if (rc == LINKD_OK)
        rc = lk_json_tokens_count(reader, NULL, n);
    if (rc == LINKD_OK)
        memset(reader->id_taken, 1, n);
    return rc;
}

static int unigram_read(lk_json_reader *reader)
{
    lk_tokenizer *tokenizer = reader->tokenizer;
    int rc = scored_pieces_read(reader);

    if (rc == LINKD_OK)
        rc = lk_unigram_settle(&tokenizer->unigram, reader->err);
    if (rc == LINKD_OK)
        rc = lk_json_id_get(json_object_get(reader->model, "unk_id"),
                            tokenizer->unigram.n_pieces, "model.unk_id",
                            &tokenizer->unknown_id, reader->err);
    tokenizer->unigram.unknown_id = tokenizer->unknown_id;
    if (rc == LINKD_OK)
        rc = byte_pieces_read(reader, &tokenizer->unigram.bytes);
    return rc;
}

/* ---- BPE ---------------------------------------------------------------- */

/* The two sides of a merge: ["a", "b"], or "a b" in older files. */
static bool sides_get(const json_t *merge, linkd_str *ret_left,
                      linkd_str *ret_right)
{
    const char *text = json_string_value(merge);
    const char *space = text != NULL ? strchr(text, ' ') : NULL;
    const char *left = json_string_value(json_array_get(merge, 0));
    const char *right = json_string_value(json_array_get(merge, 1));

    if (space != NULL && strchr(space + 1, ' ') == NULL) {
        *ret_left = (linkd_str){text, (size_t)(space - text)};
        *ret_right = lk_str(space + 1);
        return true;
    }
    if (json_array_size(merge) != 2 || left == NULL || right == NULL)
        return false;
    *ret_left = lk_str(left);
    *ret_right = lk_str(right);
    return true;
}

/* The ids of a merge's sides and of what they make; `joined` is scratch. */
static int merge_find(const lk_json_reader *reader, const json_t *json,
                      lk_buf *joined, lk_merge *ret_merge)
{
    const lk_trie *trie = &reader->tokenizer->vocabulary;
    const size_t prefix_len = reader->tokenizer->bpe.inside_prefix.len;
    linkd_str left, right;
    int rc;

    ret_merge->id = LK_TRIE_NONE;
    if (!sides_get(json, &left, &right) || right.len < prefix_len)
        return LINKD_OK;
    lk_buf_reset(joined);
    rc = lk_buf_append(joined, left.bytes, left.len, reader->err);
    if (rc == LINKD_OK)
        rc = lk_buf_append(joined, right.bytes + prefix_len,
                           right.len - prefix_len, reader->err);
    if (rc != LINKD_OK)
        return rc;
    ret_merge->left = lk_trie_find(trie, LK_WORDPIECE_WORDS, left);
    ret_merge->right = lk_trie_find(trie, LK_WORDPIECE_WORDS, right);
    if (ret_merge->left != LK_TRIE_NONE && ret_merge->right != LK_TRIE_NONE)
        ret_merge->id = lk_trie_find(trie, LK_WORDPIECE_WORDS,
                                     (linkd_str){joined->data, joined->len});
    return LINKD_OK;
}

static bool is_version_line(const json_t *merge)
{
    const char *text = json_string_value(merge);

    return text != NULL && strncmp(text, "#version", strlen("#version")) == 0;
}

static int merges_read(lk_json_reader *reader)
{
    const json_t *merges = json_object_get(reader->model, "merges");
    lk_bpe *bpe = &reader->tokenizer->bpe;
    lk_buf joined = {0};
    uint32_t rank = 0;
    int rc;

    if (reader->is_rest)
        return LINKD_OK;
    if (!json_is_array(merges))
        return lk_fail(reader->err, LINKD_E_DATA,
                       LK_TOKENIZER_FILE ": model.merges is not an array");
    rc = lk_bpe_merges_init(bpe, json_array_size(merges), reader->err);
    for (size_t i = 0; i < json_array_size(merges) && rc == LINKD_OK; i++) {
        const json_t *json = json_array_get(merges, i);
        lk_merge merge = {.rank = rank};

        if (is_version_line(json))
            continue;
        rank++;
        rc = merge_find(reader, json, &joined, &merge);
        if (rc == LINKD_OK && merge.id == LK_TRIE_NONE)
            rc = lk_fail(reader->err, LINKD_E_DATA,
                         LK_TOKENIZER_FILE ": model.merges[%zu] is not two "
                                           "pieces that make a third",
                         i);
        if (rc == LINKD_OK)
            lk_bpe_merge_put(bpe, merge);
    }
    lk_buf_clear(&joined);
    return rc;
}

/* A text that is missing or null is empty. */
static int affix_text_read(const lk_json_reader *reader, const char *key,
                           lk_buf *ret_text)
{
    const char *text = "";
    int rc = lk_json_text_find(reader->model, "model", key, &text, reader->err);

    if (rc == LINKD_OK)
        rc = lk_buf_append(ret_text, text, strlen(text), reader->err);
    return rc;
}

static int bpe_options_read(lk_json_reader *reader)
{
    const json_t *model = reader->model;
    lk_bpe *bpe = &reader->tokenizer->bpe;
    int rc;

    if (json_number_value(json_object_get(model, "dropout")) != 0.0)
        return lk_fail(reader->err, LINKD_E_DATA,
                       LK_TOKENIZER_FILE ": model.dropout is not supported: "
                                         "it makes ids random");
    rc = lk_json_flag_find(model, "model", "fuse_unk", &bpe->fuses_unknown,
                           reader->err);
    if (rc == LINKD_OK)
        rc = lk_json_flag_find(model, "model", "ignore_merges",
                               &bpe->ignores_merges, reader->err);
    if (rc == LINKD_OK)
        rc = affix_text_read(reader, "continuing_subword_prefix",
                             &bpe->inside_prefix);
    if (rc == LINKD_OK)
        rc = affix_text_read(reader, "end_of_word_suffix", &bpe->end_suffix);
    return rc;
}

static int bpe_read(lk_json_reader *reader)
{
    lk_tokenizer *tokenizer = reader->tokenizer;
    const char *unknown = NULL;
    int rc = bpe_options_read(reader);

    if (rc == LINKD_OK)
        rc = pieces_read(reader, (linkd_str){NULL, SIZE_MAX});
    if (rc == LINKD_OK)
        rc = merges_read(reader);
    if (rc == LINKD_OK)
        rc = byte_pieces_read(reader, &tokenizer->bpe.bytes);
    if (rc == LINKD_OK)
        rc = lk_json_text_find(reader->model, "model", "unk_token", &unknown,
                               reader->err);
    if (rc == LINKD_OK && unknown != NULL && unknown[0] != '\0') {
        rc = piece_get(reader, unknown, &tokenizer->unknown_id);
        tokenizer->bpe.has_unknown = true;
        tokenizer->bpe.unknown_id = tokenizer->unknown_id;
    }
    return rc;
}

/* ---- the kind ----------------------------------------------------------- */

/* Files from before 2021 do not say the type; their members give it away. */
static int kind_get(const lk_json_reader *reader, const char **ret_kind)
{
    const json_t *model = reader->model;

    if (json_object_get(model, "type") == NULL &&
        json_is_array(json_object_get(model, "merges")))
        *ret_kind = "BPE";
    else if (json_object_get(model, "type") == NULL &&
             json_is_array(json_object_get(model, "vocab")))
        *ret_kind = "Unigram";
    else if (json_object_get(model, "type") == NULL &&
             json_object_get(model, "continuing_subword_prefix") != NULL)
        *ret_kind = "WordPiece";
    else
        return lk_json_text_get(model, "model", "type", ret_kind, reader->err);
    return LINKD_OK;
}

static const struct {
    const char *name;
    int (*read)(lk_json_reader *reader);
} kinds[] = {[LK_MODEL_WORDPIECE] = {"WordPiece", wordpiece_read},
             [LK_MODEL_UNIGRAM] = {"Unigram", unigram_read},
             [LK_MODEL_BPE] = {"BPE", bpe_read}};

const char *lk_json_kind_name(lk_token_model model)
{
    return kinds[model].name;
}

int lk_json_model_read(lk_json_reader *reader)
{
    char shown[LK_SHOWN_MAX];
    const char *kind = "";
    int rc = kind_get(reader, &kind);

    if (rc != LINKD_OK)
        return rc;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        if (strcmp(kind, kinds[i].name) != 0)
            continue;
        reader->tokenizer->model = (lk_token_model)i;
        return kinds[i].read(reader);
    }
    return lk_fail(reader->err, LINKD_E_DATA,
                   LK_TOKENIZER_FILE
                   ": tokenizer of kind \"%s\" is not supported",
                   lk_name_show(lk_str(kind), shown));
}
