/* encoder/tokenizer_json.c — reads a tokenizer.json whose model is WordPiece.
 * The file is foreign: every member's type is checked, and what would change
 * ids and is not done here is refused, never skipped. Of the file's parts
 *
 *   model           vocabulary, unknown token, word limit       all of it
 *   added_tokens    found in the raw text                       all of it
 *   normalizer      BertNormalizer or null                      all of it
 *   pre_tokenizer   BertPreTokenizer                            has no options
 *   post_processor  TemplateProcessing, BertProcessing or null  single texts
 *   truncation, padding, decoder                                ignored
 *
 * The ids of all tokens must be 0 … n - 1, each once: with n tokens that is so
 * when every id is below n and none comes twice. lstrip and rstrip of an added
 * token eat spaces that separate words anyway, so they change no id. */
#include "encoder/tokenizer_parts.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define FILE_NAME "tokenizer.json"

typedef struct json_reader {
    lk_tokenizer *tokenizer;
    const json_t *root;
    const json_t *vocab;
    uint8_t *id_taken; /* [n_ids] */
    size_t n_ids;
    linkd_error *err;
} json_reader;

/* ---- members ------------------------------------------------------------ */

/* A string that must be there. */
static int text_get(const json_t *object, const char *path, const char *key,
                    const char **ret_text, linkd_error *err)
{
    const json_t *value = json_object_get(object, key);

    if (!json_is_string(value))
        return lk_fail(err, LINKD_E_DATA, FILE_NAME ": %s.%s is not a string",
                       path, key);
    *ret_text = json_string_value(value);
    return LINKD_OK;
}

/* A boolean; where it is missing or null `ret_flag` stays as it is. */
static int flag_get(const json_t *object, const char *path, const char *key,
                    bool *ret_flag, linkd_error *err)
{
    const json_t *value = json_object_get(object, key);

    if (value == NULL || json_is_null(value))
        return LINKD_OK;
    if (!json_is_boolean(value))
        return lk_fail(err, LINKD_E_DATA,
                       FILE_NAME ": %s.%s is neither true nor false", path,
                       key);
    *ret_flag = json_is_true(value);
    return LINKD_OK;
}

/* A member of the root that is an object with a type, or null. */
static int part_get(const json_reader *reader, const char *key,
                    const json_t **ret_part, const char **ret_type)
{
    const json_t *part = json_object_get(reader->root, key);

    *ret_part = NULL;
    if (part == NULL || json_is_null(part))
        return LINKD_OK;
    if (!json_is_object(part))
        return lk_fail(reader->err, LINKD_E_DATA,
                       FILE_NAME ": %s is not an object", key);
    *ret_part = part;
    return text_get(part, key, "type", ret_type, reader->err);
}

static int type_refuse(const char *key, const char *type, linkd_error *err)
{
    char shown[LK_SHOWN_MAX];

    return lk_fail(err, LINKD_E_DATA,
                   FILE_NAME ": %s of type \"%s\" is not supported", key,
                   lk_name_show(lk_str(type), shown));
}

/* ---- ids ---------------------------------------------------------------- */

static int id_get(const json_t *value, size_t n_ids, const char *token,
                  uint32_t *ret_id, linkd_error *err)
{
    char shown[LK_SHOWN_MAX];

    if (!json_is_integer(value))
        return lk_fail(err, LINKD_E_DATA,
                       FILE_NAME ": id of \"%s\" is not an integer",
                       lk_name_show(lk_str(token), shown));
    if (json_integer_value(value) < 0 ||
        (uint64_t)json_integer_value(value) >= n_ids)
        return lk_fail(err, LINKD_E_DATA,
                       FILE_NAME ": id %lld of \"%s\" is not below %zu, the "
                                 "number of tokens",
                       (long long)json_integer_value(value),
                       lk_name_show(lk_str(token), shown), n_ids);
    *ret_id = (uint32_t)json_integer_value(value);
    return LINKD_OK;
}

static int id_take(json_reader *reader, const json_t *value, const char *token,
                   uint32_t *ret_id)
{
    char shown[LK_SHOWN_MAX];
    int rc = id_get(value, reader->n_ids, token, ret_id, reader->err);

    if (rc != LINKD_OK)
        return rc;
    LK_ASSERT(reader->id_taken != NULL);
    if (reader->id_taken[*ret_id])
        return lk_fail(reader->err, LINKD_E_DATA,
                       FILE_NAME ": id %u of \"%s\" is another token's too",
                       (unsigned)*ret_id, lk_name_show(lk_str(token), shown));
    reader->id_taken[*ret_id] = 1;
    return LINKD_OK;
}

/* ---- model -------------------------------------------------------------- */

/* Files from before 2021 do not say the type; the prefix gives it away. */
static int kind_check(const json_t *model, linkd_error *err)
{
    char shown[LK_SHOWN_MAX];
    const char *kind = "WordPiece";
    int rc;

    if (json_object_get(model, "type") != NULL ||
        json_object_get(model, "continuing_subword_prefix") == NULL) {
        rc = text_get(model, "model", "type", &kind, err);
        if (rc != LINKD_OK)
            return rc;
    }
    if (strcmp(kind, "WordPiece") != 0)
        return lk_fail(err, LINKD_E_DATA,
                       FILE_NAME
                       ": tokenizer of kind \"%s\" is not supported yet",
                       lk_name_show(lk_str(kind), shown));
    return LINKD_OK;
}

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
                       FILE_NAME ": model.max_input_chars_per_word is not an "
                                 "integer from 0 to %d",
                       LK_WORD_CHARS_MAX);
    *ret_max_chars = (size_t)json_integer_value(value);
    return LINKD_OK;
}

static int pieces_read(json_reader *reader, linkd_str inside_prefix)
{
    const char *token;
    const json_t *value;
    void *at;

    /* jansson's own loop macro casts const away */
    for (at = json_object_iter((json_t *)(uintptr_t)reader->vocab); at != NULL;
         at = json_object_iter_next((json_t *)(uintptr_t)reader->vocab, at)) {
        linkd_error inner;
        uint32_t id = 0;
        int rc;

        token = json_object_iter_key(at);
        value = json_object_iter_value(at);
        rc = id_take(reader, value, token, &id);
        if (rc != LINKD_OK)
            return rc;
        rc = lk_tokenizer_add_piece(reader->tokenizer, lk_str(token),
                                    inside_prefix, id, &inner);
        if (rc != LINKD_OK)
            return lk_fail(reader->err, rc, FILE_NAME ": %s", inner.message);
    }
    return LINKD_OK;
}

static int unknown_read(json_reader *reader, const json_t *model)
{
    lk_tokenizer *tokenizer = reader->tokenizer;
    char shown[LK_SHOWN_MAX];
    const char *unknown = "";
    int rc = text_get(model, "model", "unk_token", &unknown, reader->err);

    if (rc != LINKD_OK)
        return rc;
    tokenizer->unknown_id = lk_trie_find(&tokenizer->vocabulary,
                                         LK_WORDPIECE_WORDS, lk_str(unknown));
    if (tokenizer->unknown_id == LK_TRIE_NONE)
        return lk_fail(reader->err, LINKD_E_DATA,
                       FILE_NAME ": no token \"%s\" in the vocabulary",
                       lk_name_show(lk_str(unknown), shown));
    return LINKD_OK;
}

static int model_read(json_reader *reader, const json_t *model)
{
    const char *prefix = LK_INSIDE_PREFIX;
    int rc = word_limit_read(model, &reader->tokenizer->rules.max_word_chars,
                             reader->err);

    if (rc == LINKD_OK &&
        json_object_get(model, "continuing_subword_prefix") != NULL)
        rc = text_get(model, "model", "continuing_subword_prefix", &prefix,
                      reader->err);
    if (rc == LINKD_OK)
        rc = pieces_read(reader, lk_str(prefix));
    if (rc == LINKD_OK)
        rc = unknown_read(reader, model);
    reader->tokenizer->kind = "wordpiece";
    return rc;
}

/* ---- added tokens ------------------------------------------------------- */

/* Finds the model's vocabulary and counts all tokens, added ones included. */
static int tokens_count(json_reader *reader, const json_t *model)
{
    const json_t *added = json_object_get(reader->root, "added_tokens");

    reader->vocab = json_object_get(model, "vocab");
    if (!json_is_object(reader->vocab))
        return lk_fail(reader->err, LINKD_E_DATA,
                       FILE_NAME ": model.vocab is not an object");
    if (added != NULL && !json_is_null(added) && !json_is_array(added))
        return lk_fail(reader->err, LINKD_E_DATA,
                       FILE_NAME ": added_tokens is not an array");
    reader->n_ids = json_object_size(reader->vocab);
    for (size_t i = 0; i < json_array_size(added); i++) {
        const char *content = "";
        int rc = text_get(json_array_get(added, i), "added_tokens[]", "content",
                          &content, reader->err);

        if (rc != LINKD_OK)
            return rc;
        if (json_object_get(reader->vocab, content) == NULL)
            reader->n_ids++;
    }
    reader->tokenizer->vocab_size = reader->n_ids;
    reader->id_taken = calloc(reader->n_ids + 1, 1);
    return reader->id_taken != NULL ? LINKD_OK : lk_fail_nomem(reader->err);
}

static int added_flags_check(const json_t *token, const char *content,
                             linkd_error *err)
{
    static const char *const refused[] = {"single_word", "normalized"};
    char shown[LK_SHOWN_MAX];

    for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
        bool flag = false;
        int rc = flag_get(token, "added_tokens[]", refused[i], &flag, err);

        if (rc != LINKD_OK)
            return rc;
        if (flag)
            return lk_fail(err, LINKD_E_DATA,
                           FILE_NAME ": added token \"%s\" is %s, which is not "
                                     "supported",
                           lk_name_show(lk_str(content), shown), refused[i]);
    }
    return LINKD_OK;
}

/* The id of an added token: the vocabulary's, or one of its own. */
static int added_id_read(json_reader *reader, const json_t *token,
                         const char *content, uint32_t *ret_id)
{
    const json_t *value = json_object_get(token, "id");
    const json_t *known = json_object_get(reader->vocab, content);
    char shown[LK_SHOWN_MAX];

    if (known == NULL)
        return id_take(reader, value, content, ret_id);
    if (!json_equal(value, known))
        return lk_fail(reader->err, LINKD_E_DATA,
                       FILE_NAME ": added token \"%s\" has another id than in "
                                 "the vocabulary",
                       lk_name_show(lk_str(content), shown));
    return id_get(value, reader->n_ids, content, ret_id, reader->err);
}

static int added_read(json_reader *reader)
{
    const json_t *added = json_object_get(reader->root, "added_tokens");

    for (size_t i = 0; i < json_array_size(added); i++) {
        const json_t *token = json_array_get(added, i);
        const char *content =
            json_string_value(json_object_get(token, "content"));
        char shown[LK_SHOWN_MAX];
        linkd_error inner;
        uint32_t id = 0;
        int rc = added_flags_check(token, content, reader->err);

        if (rc == LINKD_OK)
            rc = added_id_read(reader, token, content, &id);
        if (rc != LINKD_OK)
            return rc;
        rc = lk_tokenizer_add_special(reader->tokenizer, lk_str(content), id,
                                      &inner);
        if (rc != LINKD_OK)
            return lk_fail(reader->err, rc, FILE_NAME ": added \"%s\": %s",
                           lk_name_show(lk_str(content), shown), inner.message);
    }
    return LINKD_OK;
}

/* ---- normalizer, pre_tokenizer ------------------------------------------ */

static int normalizer_read(const json_reader *reader)
{
    lk_bert_rules *rules = &reader->tokenizer->rules;
    const char *const key = "normalizer";
    linkd_error *err = reader->err;
    const json_t *part;
    const char *type = "";
    int rc = part_get(reader, key, &part, &type);

    if (rc != LINKD_OK || part == NULL)
        return rc;
    if (strcmp(type, "BertNormalizer") != 0)
        return type_refuse(key, type, err);
    rules->clean_text = true;
    rules->handle_chinese_chars = true;
    rules->lowercase = true;
    rc = flag_get(part, key, "clean_text", &rules->clean_text, err);
    if (rc == LINKD_OK)
        rc = flag_get(part, key, "handle_chinese_chars",
                      &rules->handle_chinese_chars, err);
    if (rc == LINKD_OK)
        rc = flag_get(part, key, "lowercase", &rules->lowercase, err);
    rules->strip_accents = rules->lowercase;
    if (rc == LINKD_OK)
        rc = flag_get(part, key, "strip_accents", &rules->strip_accents, err);
    return rc;
}

static int pre_tokenizer_check(const json_reader *reader)
{
    const json_t *part;
    const char *type = "null";
    int rc = part_get(reader, "pre_tokenizer", &part, &type);

    if (rc == LINKD_OK && strcmp(type, "BertPreTokenizer") != 0)
        rc = type_refuse("pre_tokenizer", type, reader->err);
    return rc;
}

/* ---- post_processor ----------------------------------------------------- */

static int affix_push(const json_reader *reader, lk_affix *affix,
                      const json_t *value, const char *token)
{
    int rc =
        id_get(value, reader->n_ids, token, &affix->ids[affix->n], reader->err);

    if (rc == LINKD_OK)
        affix->n++;
    return rc;
}

/* Appends the ids of one special token of the template. */
static int special_append(const json_reader *reader, const json_t *part,
                          const json_t *item, lk_affix *affix)
{
    char shown[LK_SHOWN_MAX];
    const char *name = "";
    const json_t *ids;
    int rc = text_get(item, "SpecialToken", "id", &name, reader->err);

    if (rc != LINKD_OK)
        return rc;
    ids = json_object_get(
        json_object_get(json_object_get(part, "special_tokens"), name), "ids");
    if (json_array_size(ids) == 0)
        return lk_fail(reader->err, LINKD_E_DATA,
                       FILE_NAME ": post_processor gives no id for \"%s\"",
                       lk_name_show(lk_str(name), shown));
    for (size_t i = 0; i < json_array_size(ids) && rc == LINKD_OK; i++) {
        if (affix->n == LK_AFFIX_MAX)
            return lk_fail(reader->err, LINKD_E_DATA,
                           FILE_NAME ": post_processor adds more than %d "
                                     "tokens",
                           LK_AFFIX_MAX);
        rc = affix_push(reader, affix, json_array_get(ids, i), name);
    }
    return rc;
}

/* "[CLS] A [SEP]": special tokens around the text, which is there once. */
static int template_read(const json_reader *reader, const json_t *part)
{
    lk_affix *affix = &reader->tokenizer->before;
    const json_t *items = json_object_get(part, "single");

    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *item = json_array_get(items, i);
        const json_t *special = json_object_get(item, "SpecialToken");
        int rc;

        if (special != NULL) {
            rc = special_append(reader, part, special, affix);
            if (rc != LINKD_OK)
                return rc;
        } else if (json_object_get(item, "Sequence") != NULL &&
                   affix == &reader->tokenizer->before) {
            affix = &reader->tokenizer->after;
        } else {
            break;
        }
        if (i + 1 == json_array_size(items) &&
            affix == &reader->tokenizer->after)
            return LINKD_OK;
    }
    return lk_fail(reader->err, LINKD_E_DATA,
                   FILE_NAME ": post_processor.single is not one text between "
                             "special tokens");
}

/* The older way to say [CLS] A [SEP]: "cls": ["[CLS]", 101]. */
static int bert_processing_read(const json_reader *reader, const json_t *part)
{
    int rc = affix_push(reader, &reader->tokenizer->before,
                        json_array_get(json_object_get(part, "cls"), 1),
                        "post_processor.cls");

    if (rc == LINKD_OK)
        rc = affix_push(reader, &reader->tokenizer->after,
                        json_array_get(json_object_get(part, "sep"), 1),
                        "post_processor.sep");
    return rc;
}

static int post_processor_read(const json_reader *reader)
{
    const json_t *part;
    const char *type = "";
    int rc = part_get(reader, "post_processor", &part, &type);

    if (rc != LINKD_OK || part == NULL)
        return rc;
    if (strcmp(type, "TemplateProcessing") == 0)
        return template_read(reader, part);
    if (strcmp(type, "BertProcessing") == 0)
        return bert_processing_read(reader, part);
    return type_refuse("post_processor", type, reader->err);
}

/* ---- the file ----------------------------------------------------------- */

static int root_read(json_reader *reader)
{
    const json_t *model = json_object_get(reader->root, "model");
    int rc;

    if (!json_is_object(model))
        return lk_fail(reader->err, LINKD_E_DATA,
                       FILE_NAME ": model is not an object");
    rc = kind_check(model, reader->err);
    if (rc == LINKD_OK)
        rc = tokens_count(reader, model);
    if (rc == LINKD_OK)
        rc = model_read(reader, model);
    if (rc == LINKD_OK)
        rc = added_read(reader);
    if (rc == LINKD_OK)
        rc = normalizer_read(reader);
    if (rc == LINKD_OK)
        rc = pre_tokenizer_check(reader);
    if (rc == LINKD_OK)
        rc = post_processor_read(reader);
    return rc;
}

int lk_tokenizer_json_read(lk_tokenizer *tokenizer, linkd_str json,
                           linkd_error *err)
{
    json_reader reader = {.tokenizer = tokenizer, .err = err};
    char shown[LK_SHOWN_MAX];
    json_error_t problem;
    json_t *root =
        json_loadb(json.bytes, json.len, JSON_REJECT_DUPLICATES, &problem);
    int rc;

    if (root == NULL && json_error_code(&problem) == json_error_out_of_memory)
        return lk_fail_nomem(err);
    if (root == NULL)
        return lk_fail(err, LINKD_E_DATA, FILE_NAME ": line %d: %s",
                       problem.line, lk_name_show(lk_str(problem.text), shown));
    reader.root = root;
    rc = root_read(&reader);
    free(reader.id_taken);
    json_decref(root);
    return rc;
}
