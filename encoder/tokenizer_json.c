/* encoder/tokenizer_json.c — reads a tokenizer.json.
 * The file is foreign: every member's type is checked, and what would change
 * ids and is not done here is refused, never skipped. Of the file's parts
 *
 *   model           WordPiece, Unigram, BPE        tokenizer_models_json.c
 *   normalizer      \ what is done to a text,
 *   pre_tokenizer   / step by step                 tokenizer_steps_json.c
 *   added_tokens    all of it                      here
 *   post_processor  what stands around a text      here
 *   truncation      which end is cut               here
 *   padding, decoder                               ignored
 *
 * The ids of all tokens must be 0 … n - 1, each once: with n tokens that is so
 * when every id is below n and none comes twice. */
#include "encoder/tokenizer_json.h"

#include <stdlib.h>
#include <string.h>

/* ---- members ------------------------------------------------------------- */

int lk_json_text_get(const json_t *object, const char *path, const char *key,
                     const char **ret_text, linkd_error *err)
{
    const json_t *value = json_object_get(object, key);

    if (!json_is_string(value))
        return lk_fail(err, LINKD_E_DATA,
                       LK_TOKENIZER_FILE ": %s.%s is not a string", path, key);
    *ret_text = json_string_value(value);
    return LINKD_OK;
}

int lk_json_text_find(const json_t *object, const char *path, const char *key,
                      const char **ret_text, linkd_error *err)
{
    const json_t *value = json_object_get(object, key);

    if (value == NULL || json_is_null(value))
        return LINKD_OK;
    return lk_json_text_get(object, path, key, ret_text, err);
}

int lk_json_flag_find(const json_t *object, const char *path, const char *key,
                      bool *ret_flag, linkd_error *err)
{
    const json_t *value = json_object_get(object, key);

    if (value == NULL || json_is_null(value))
        return LINKD_OK;
    if (!json_is_boolean(value))
        return lk_fail(err, LINKD_E_DATA,
                       LK_TOKENIZER_FILE ": %s.%s is neither true nor false",
                       path, key);
    *ret_flag = json_is_true(value);
    return LINKD_OK;
}

int lk_json_part_find(const lk_json_reader *reader, const char *key,
                      const json_t **ret_part, const char **ret_type)
{
    const json_t *part = json_object_get(reader->root, key);

    *ret_part = NULL;
    if (part == NULL || json_is_null(part))
        return LINKD_OK;
    if (!json_is_object(part))
        return lk_fail(reader->err, LINKD_E_DATA,
                       LK_TOKENIZER_FILE ": %s is not an object", key);
    *ret_part = part;
    return lk_json_text_get(part, key, "type", ret_type, reader->err);
}

int lk_json_type_refuse(const char *key, const char *type, linkd_error *err)
{
    char shown[LK_SHOWN_MAX];

    return lk_fail(err, LINKD_E_DATA,
                   LK_TOKENIZER_FILE ": %s of type \"%s\" is not supported",
                   key, lk_name_show(lk_str(type), shown));
}

/* ---- ids ----------------------------------------------------------------- */

int lk_json_id_get(const json_t *value, size_t n_ids, const char *token,
                   uint32_t *ret_id, linkd_error *err)
{
    char shown[LK_SHOWN_MAX];

    if (!json_is_integer(value))
        return lk_fail(err, LINKD_E_DATA,
                       LK_TOKENIZER_FILE ": id of \"%s\" is not an integer",
                       lk_name_show(lk_str(token), shown));
    if (json_integer_value(value) < 0 ||
        (uint64_t)json_integer_value(value) >= n_ids)
        return lk_fail(err, LINKD_E_DATA,
                       LK_TOKENIZER_FILE
                       ": id %lld of \"%s\" is not below %zu, the "
                       "number of tokens",
                       (long long)json_integer_value(value),
                       lk_name_show(lk_str(token), shown), n_ids);
    *ret_id = (uint32_t)json_integer_value(value);
    return LINKD_OK;
}

int lk_json_id_take(lk_json_reader *reader, const json_t *value,
                    const char *token, uint32_t *ret_id)
{
    char shown[LK_SHOWN_MAX];
    int rc = lk_json_id_get(value, reader->n_ids, token, ret_id, reader->err);

    if (rc != LINKD_OK)
        return rc;
    if (reader->is_rest)
        return LINKD_OK;
    LK_ASSERT(reader->id_taken != NULL);
    if (reader->id_taken[*ret_id])
        return lk_fail(reader->err, LINKD_E_DATA,
                       LK_TOKENIZER_FILE
                       ": id %u of \"%s\" is another token's too",
                       (unsigned)*ret_id, lk_name_show(lk_str(token), shown));
    reader->id_taken[*ret_id] = 1;
    return LINKD_OK;
}

/* ---- added tokens -------------------------------------------------------- */

int lk_json_tokens_count(lk_json_reader *reader, const json_t *vocab,
                         size_t n_pieces)
{
    const json_t *added = json_object_get(reader->root, "added_tokens");
    const lk_trie *pieces = &reader->tokenizer->vocabulary;

    if (added != NULL && !json_is_null(added) && !json_is_array(added))
        return lk_fail(reader->err, LINKD_E_DATA,
                       LK_TOKENIZER_FILE ": added_tokens is not an array");
    reader->n_ids = reader->tokenizer->vocab_size;
    if (reader->is_rest)
        return LINKD_OK;
    reader->n_ids = n_pieces;
    for (size_t i = 0; i < json_array_size(added); i++) {
        const char *content = "";
        int rc = lk_json_text_get(json_array_get(added, i), "added_tokens[]",
                                  "content", &content, reader->err);

        if (rc != LINKD_OK)
            return rc;
        if (json_object_get(vocab, content) == NULL &&
            lk_trie_find(pieces, LK_WORDPIECE_WORDS, lk_str(content)) ==
                LK_TRIE_NONE)
            reader->n_ids++;
    }
    reader->tokenizer->vocab_size = reader->n_ids;
    reader->id_taken = calloc(reader->n_ids + 1, 1);
    return reader->id_taken != NULL ? LINKD_OK : lk_fail_nomem(reader->err);
}

/* The id of an added token: the vocabulary's, or one of its own. */
static int added_id_read(lk_json_reader *reader, const json_t *token,
                         const char *content, uint32_t *ret_id)
{
    const json_t *value = json_object_get(token, "id");
    const uint32_t known = lk_trie_find(&reader->tokenizer->vocabulary,
                                        LK_WORDPIECE_WORDS, lk_str(content));
    char shown[LK_SHOWN_MAX];
    int rc;

    if (known == LK_TRIE_NONE)
        return lk_json_id_take(reader, value, content, ret_id);
    rc = lk_json_id_get(value, reader->n_ids, content, ret_id, reader->err);
    if (rc == LINKD_OK && *ret_id != known)
        rc = lk_fail(reader->err, LINKD_E_DATA,
                     LK_TOKENIZER_FILE ": added token \"%s\" has another id "
                                       "than in the vocabulary",
                     lk_name_show(lk_str(content), shown));
    return rc;
}

/* One of added_tokens[]. */
typedef struct added_entry {
    linkd_str content;
    lk_added_token token;
    bool is_special;
    bool is_normalized;
} added_entry;

static int added_entry_read(lk_json_reader *reader, const json_t *json,
                            added_entry *entry)
{
    const struct {
        const char *key;
        bool *value;
    } flags[] = {{"single_word", &entry->token.single_word},
                 {"lstrip", &entry->token.lstrip},
                 {"rstrip", &entry->token.rstrip},
                 {"special", &entry->is_special},
                 {"normalized", &entry->is_normalized}};
    const char *content = "";
    int rc = lk_json_text_get(json, "added_tokens[]", "content", &content,
                              reader->err);

    *entry = (added_entry){.content = lk_str(content)};
    for (size_t i = 0; i < sizeof(flags) / sizeof(*flags) && rc == LINKD_OK;
         i++)
        rc = lk_json_flag_find(json, "added_tokens[]", flags[i].key,
                               flags[i].value, reader->err);
    if (rc == LINKD_OK)
        rc = added_id_read(reader, json, content, &entry->token.id);
    return rc;
}

/* Words can be read from the raw text if the only normalizer is BERT's and no
 * added token has to be found in what it makes, or between words. Spaces that a
 * token takes separate words anyway. */
static bool is_direct(const lk_tokenizer *tokenizer, const added_entry *entries,
                      size_t n)
{
    const lk_normalizer *normalizer = &tokenizer->normalizer;

    if (tokenizer->model != LK_MODEL_WORDPIECE || normalizer->n > 1 ||
        (normalizer->n == 1 && normalizer->steps[0].kind != LK_NORMAL_BERT))
        return false;
    for (size_t i = 0; i < n; i++)
        if (entries[i].is_normalized || entries[i].token.single_word)
            return false;
    return true;
}

static void direct_rules_take(lk_tokenizer *tokenizer)
{
    lk_bert_rules *rules = &tokenizer->rules;

    tokenizer->is_direct = true;
    if (tokenizer->normalizer.n == 1) {
        const lk_bert_rules *wanted = &tokenizer->normalizer.steps[0].rules;

        rules->clean_text = wanted->clean_text;
        rules->handle_chinese_chars = wanted->handle_chinese_chars;
        rules->strip_accents = wanted->strip_accents;
        rules->lowercase = wanted->lowercase;
    }
}

/* A token whose name is found after the normalizer has a normalised name. */
static int name_normalize(const lk_tokenizer *tokenizer, linkd_str content,
                          lk_buf *ret_name, linkd_error *err)
{
    lk_normal_scratch scratch = {0};
    int rc = lk_buf_append(ret_name, content.bytes, content.len, err);

    if (rc == LINKD_OK)
        rc = lk_normalizer_run(&tokenizer->normalizer, &scratch, ret_name, err);
    lk_normal_scratch_clear(&scratch);
    return rc;
}

static int entry_add(lk_tokenizer *tokenizer, const added_entry *entry,
                     linkd_error *err)
{
    lk_buf name = {0};
    int rc;

    if (entry->content.len == 0)
        return LINKD_OK;
    if (tokenizer->is_direct)
        return lk_tokenizer_add_special(tokenizer, entry->content,
                                        entry->token.id, err);
    if (!entry->is_normalized)
        return lk_added_add(&tokenizer->added, LK_ADDED_RAW, entry->content,
                            &entry->token, err);
    rc = name_normalize(tokenizer, entry->content, &name, err);
    if (rc == LINKD_OK && name.len > 0)
        rc = lk_added_add(&tokenizer->added, LK_ADDED_NORMALIZED,
                          (linkd_str){name.data, name.len}, &entry->token, err);
    lk_buf_clear(&name);
    return rc;
}

/* Special ones first: of two with one name the first counts. */
static int entries_add(lk_json_reader *reader, const added_entry *entries,
                       size_t n)
{
    char shown[LK_SHOWN_MAX];
    linkd_error inner;

    for (size_t i = 0; i < 2 * n; i++) {
        const added_entry *entry = &entries[i % n];
        int rc;

        if (entry->is_special != (i < n))
            continue;
        rc = entry_add(reader->tokenizer, entry, &inner);
        if (rc != LINKD_OK)
            return lk_fail(reader->err, rc,
                           LK_TOKENIZER_FILE ": added \"%s\": %s",
                           lk_name_show(entry->content, shown), inner.message);
    }
    return LINKD_OK;
}

static int added_read(lk_json_reader *reader)
{
    const json_t *added = json_object_get(reader->root, "added_tokens");
    const size_t n = json_array_size(added);
    added_entry *entries = calloc(n + 1, sizeof(*entries));
    int rc = entries != NULL ? LINKD_OK : lk_fail_nomem(reader->err);

    for (size_t i = 0; i < n && rc == LINKD_OK; i++)
        rc = added_entry_read(reader, json_array_get(added, i), &entries[i]);
    if (rc == LINKD_OK && is_direct(reader->tokenizer, entries, n))
        direct_rules_take(reader->tokenizer);
    else
        reader->tokenizer->is_direct = false;
    if (rc == LINKD_OK)
        rc = entries_add(reader, entries, n);
    free(entries);
    return rc;
}

/* ---- post_processor ------------------------------------------------------ */

static int affix_push(const lk_json_reader *reader, lk_affix *affix,
                      const json_t *value, const char *token)
{
    int rc = lk_json_id_get(value, reader->n_ids, token, &affix->ids[affix->n],
                            reader->err);

    if (rc == LINKD_OK)
        affix->n++;
    return rc;
}

/* Appends the ids of one special token of the template. */
static int special_append(const lk_json_reader *reader, const json_t *part,
                          const json_t *item, lk_affix *affix)
{
    char shown[LK_SHOWN_MAX];
    const char *name = "";
    const json_t *ids;
    int rc = lk_json_text_get(item, "SpecialToken", "id", &name, reader->err);

    if (rc != LINKD_OK)
        return rc;
    ids = json_object_get(
        json_object_get(json_object_get(part, "special_tokens"), name), "ids");
    if (json_array_size(ids) == 0)
        return lk_fail(reader->err, LINKD_E_DATA,
                       LK_TOKENIZER_FILE
                       ": post_processor gives no id for \"%s\"",
                       lk_name_show(lk_str(name), shown));
    for (size_t i = 0; i < json_array_size(ids) && rc == LINKD_OK; i++) {
        if (affix->n == LK_AFFIX_MAX)
            return lk_fail(reader->err, LINKD_E_DATA,
                           LK_TOKENIZER_FILE
                           ": post_processor adds more than %d "
                           "tokens",
                           LK_AFFIX_MAX);
        rc = affix_push(reader, affix, json_array_get(ids, i), name);
    }
    return rc;
}

/* "[CLS] A [SEP]": special tokens around the text, which is there once. */
static int template_read(const lk_json_reader *reader, const json_t *part)
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
                   LK_TOKENIZER_FILE
                   ": post_processor.single is not one text between "
                   "special tokens");
}

/* The older way to say [CLS] A [SEP]: "cls": ["[CLS]", 101]. */
static int bert_processing_read(const lk_json_reader *reader,
                                const json_t *part)
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

/* Of a Sequence only one may add tokens; ByteLevel adds none. */
static int processor_read(const lk_json_reader *reader, const json_t *part,
                          const char *type)
{
    const lk_tokenizer *tokenizer = reader->tokenizer;

    if (strcmp(type, "ByteLevel") == 0)
        return LINKD_OK;
    if (tokenizer->before.n + tokenizer->after.n > 0)
        return lk_fail(reader->err, LINKD_E_DATA,
                       LK_TOKENIZER_FILE ": two parts of post_processor add "
                                         "tokens, which is not supported");
    if (strcmp(type, "TemplateProcessing") == 0)
        return template_read(reader, part);
    if (strcmp(type, "BertProcessing") == 0 ||
        strcmp(type, "RobertaProcessing") == 0)
        return bert_processing_read(reader, part);
    return lk_json_type_refuse("post_processor", type, reader->err);
}

static int post_processor_read(const lk_json_reader *reader)
{
    const json_t *part, *parts;
    const char *type = "";
    int rc = lk_json_part_find(reader, "post_processor", &part, &type);

    if (rc != LINKD_OK || part == NULL)
        return rc;
    if (strcmp(type, "Sequence") != 0)
        return processor_read(reader, part, type);
    parts = json_object_get(part, "processors");
    for (size_t i = 0; i < json_array_size(parts) && rc == LINKD_OK; i++) {
        rc = lk_json_text_get(json_array_get(parts, i),
                              "post_processor.processors[]", "type", &type,
                              reader->err);
        if (rc == LINKD_OK)
            rc = processor_read(reader, json_array_get(parts, i), type);
    }
    return rc;
}

/* ---- truncation --------------------------------------------------------- */

static int truncation_read(const lk_json_reader *reader)
{
    const char *side = "Right";
    int rc = lk_json_text_find(json_object_get(reader->root, "truncation"),
                               "truncation", "direction", &side, reader->err);

    reader->tokenizer->keeps_end = strcmp(side, "Left") == 0;
    return rc;
}

/* ---- the file ------------------------------------------------------------ */

static int root_read(lk_json_reader *reader)
{
    int rc;

    reader->model = json_object_get(reader->root, "model");
    if (!json_is_object(reader->model))
        return lk_fail(reader->err, LINKD_E_DATA,
                       LK_TOKENIZER_FILE ": model is not an object");
    rc = lk_json_model_read(reader);
    if (rc == LINKD_OK)
        rc = lk_json_steps_read(reader);
    if (rc == LINKD_OK)
        rc = added_read(reader);
    if (rc == LINKD_OK)
        rc = post_processor_read(reader);
    if (rc == LINKD_OK)
        rc = truncation_read(reader);
    return rc;
}

/* All but what is large, and has its own place in an image. */
static int rest_keep(lk_tokenizer *tokenizer, json_t *root, linkd_error *err)
{
    json_t *model = json_object_get(root, "model");
    json_t *charsmap = lk_json_charsmap_find(root);

    if (tokenizer->is_direct)
        return LINKD_OK;
    (void)json_object_del(model, "vocab");
    (void)json_object_del(model, "merges");
    /* files from before 2021 do not say it, but are known by these */
    if (json_object_set_new(model, "type",
                            json_string(lk_json_kind_name(tokenizer->model))) !=
        0)
        return lk_fail_nomem(err);
    if (charsmap != NULL)
        (void)json_object_del(charsmap, "precompiled_charsmap");
    tokenizer->rest = json_dumps(root, JSON_COMPACT);
    return tokenizer->rest != NULL ? LINKD_OK : lk_fail_nomem(err);
}

static int json_parse(linkd_str json, json_t **ret_root, linkd_error *err)
{
    char shown[LK_SHOWN_MAX];
    json_error_t problem;

    *ret_root =
        json_loadb(json.bytes, json.len, JSON_REJECT_DUPLICATES, &problem);
    if (*ret_root != NULL)
        return LINKD_OK;
    if (json_error_code(&problem) == json_error_out_of_memory)
        return lk_fail_nomem(err);
    return lk_fail(err, LINKD_E_DATA, LK_TOKENIZER_FILE ": line %d: %s",
                   problem.line, lk_name_show(lk_str(problem.text), shown));
}

int lk_tokenizer_json_read_root(lk_tokenizer *tokenizer, json_t *root,
                                linkd_error *err)
{
    lk_json_reader reader = {.tokenizer = tokenizer, .root = root, .err = err};
    int rc = root_read(&reader);

    if (rc == LINKD_OK)
        rc = rest_keep(tokenizer, root, err);
    free(reader.id_taken);
    return rc;
}

int lk_tokenizer_json_read(lk_tokenizer *tokenizer, linkd_str json,
                           linkd_error *err)
{
    json_t *root = NULL;
    int rc = json_parse(json, &root, err);

    if (rc == LINKD_OK)
        rc = lk_tokenizer_json_read_root(tokenizer, root, err);
    json_decref(root);
    return rc;
}

int lk_tokenizer_json_read_rest(lk_tokenizer *tokenizer, linkd_str rest,
                                const lk_charsmap *charsmap, linkd_error *err)
{
    lk_json_reader reader = {.tokenizer = tokenizer,
                             .is_rest = true,
                             .charsmap = charsmap,
                             .err = err};
    json_t *root = NULL;
    int rc = json_parse(rest, &root, err);

    reader.root = root;
    if (rc == LINKD_OK)
        rc = root_read(&reader);
    json_decref(root);
    return rc;
}
