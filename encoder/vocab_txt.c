/* encoder/vocab_txt.c — reads the vocab.txt of older model directories.
 * One token a line, whose number from 0 is its id; the options come from
 * tokenizer_config.json, by the defaults of Hugging Face's BertTokenizer.
 * Nothing in vocab.txt says that it is BERT's, so a tokenizer_class that is not
 * is refused. */
#include "encoder/tokenizer_parts.h"

#include <jansson.h>
#include <string.h>

#define VOCAB_NAME  "vocab.txt"
#define CONFIG_NAME "tokenizer_config.json"

/* ---- vocab.txt ---------------------------------------------------------- */

static bool text_is_utf8(linkd_str text)
{
    const uint8_t *bytes = (const uint8_t *)text.bytes;

    for (size_t at = 0; at < text.len;) {
        uint32_t cp;
        size_t len = lk_utf8_read(bytes + at, text.len - at, &cp);

        if (cp == LK_REPLACEMENT_CP && len == 1)
            return false;
        at += len;
    }
    return true;
}

/* Cuts the next line off `rest`, without its end. */
static linkd_str line_cut(linkd_str *rest)
{
    const char *end = memchr(rest->bytes, '\n', rest->len);
    size_t len = end != NULL ? (size_t)(end - rest->bytes) : rest->len;
    size_t n_read = end != NULL ? len + 1 : len;
    linkd_str line = {rest->bytes, len};

    if (len > 0 && line.bytes[len - 1] == '\r')
        line.len--;
    rest->bytes += n_read;
    rest->len -= n_read;
    return line;
}

static int lines_read(lk_tokenizer *tokenizer, linkd_str rest, linkd_error *err)
{
    uint32_t id = 0;

    for (; rest.len > 0; id++) {
        linkd_str token = line_cut(&rest);
        linkd_error inner;
        int rc;

        if (!text_is_utf8(token))
            return lk_fail(err, LINKD_E_DATA,
                           VOCAB_NAME ": line %u is not UTF-8", id + 1);
        rc = lk_tokenizer_add_piece(tokenizer, token, lk_str(LK_INSIDE_PREFIX),
                                    id, &inner);
        if (rc != LINKD_OK)
            return lk_fail(err, rc, VOCAB_NAME ": line %u: %s", id + 1,
                           inner.message);
    }
    tokenizer->vocab_size = id;
    return LINKD_OK;
}

/* ---- tokenizer_config.json ---------------------------------------------- */

static int class_check(const json_t *config, linkd_error *err)
{
    static const char *const known[] = {"BertTokenizer", "DistilBertTokenizer",
                                        "ElectraTokenizer"};
    const json_t *value = json_object_get(config, "tokenizer_class");
    const char *name = json_string_value(value);
    char shown[LK_SHOWN_MAX];

    if (value == NULL || json_is_null(value))
        return LINKD_OK;
    if (name == NULL)
        return lk_fail(err, LINKD_E_DATA,
                       CONFIG_NAME ": tokenizer_class is not a string");
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
        size_t len = strlen(known[i]);

        if (strncmp(name, known[i], len) == 0 &&
            (name[len] == '\0' || strcmp(name + len, "Fast") == 0))
            return LINKD_OK;
    }
    return lk_fail(err, LINKD_E_DATA,
                   CONFIG_NAME
                   ": tokenizer \"%s\" is not supported without tokenizer.json",
                   lk_name_show(lk_str(name), shown));
}

/* A boolean; where it is missing or null `ret_flag` stays as it is. */
static int flag_get(const json_t *config, const char *key, bool *ret_flag,
                    linkd_error *err)
{
    const json_t *value = json_object_get(config, key);

    if (value == NULL || json_is_null(value))
        return LINKD_OK;
    if (!json_is_boolean(value))
        return lk_fail(err, LINKD_E_DATA,
                       CONFIG_NAME ": %s is neither true nor false", key);
    *ret_flag = json_is_true(value);
    return LINKD_OK;
}

/* The name of a special token: a string, or an object with its content. */
static int name_get(const json_t *config, const char *key,
                    const char **ret_name, linkd_error *err)
{
    const json_t *value = json_object_get(config, key);

    if (value == NULL || json_is_null(value))
        return LINKD_OK;
    if (json_is_object(value))
        value = json_object_get(value, "content");
    if (!json_is_string(value))
        return lk_fail(err, LINKD_E_DATA, CONFIG_NAME ": %s is not a string",
                       key);
    *ret_name = json_string_value(value);
    return LINKD_OK;
}

static int rules_read(const json_t *config, lk_bert_rules *rules,
                      linkd_error *err)
{
    int rc;

    rules->clean_text = true;
    rules->handle_chinese_chars = true;
    rules->lowercase = true;
    rules->max_word_chars = LK_WORD_CHARS;
    rc = flag_get(config, "tokenize_chinese_chars",
                  &rules->handle_chinese_chars, err);
    if (rc == LINKD_OK)
        rc = flag_get(config, "do_lower_case", &rules->lowercase, err);
    rules->strip_accents = rules->lowercase;
    if (rc == LINKD_OK)
        rc = flag_get(config, "strip_accents", &rules->strip_accents, err);
    return rc;
}

/* ---- special tokens ----------------------------------------------------- */

typedef struct special_token {
    const char *key;
    const char *name;
    bool is_needed;
} special_token;

static int special_read(lk_tokenizer *tokenizer, const json_t *config,
                        special_token token, uint32_t *ret_id, linkd_error *err)
{
    char shown[LK_SHOWN_MAX];
    linkd_error inner;
    int rc = name_get(config, token.key, &token.name, err);

    if (rc != LINKD_OK)
        return rc;
    *ret_id = lk_trie_find(&tokenizer->vocabulary, LK_WORDPIECE_WORDS,
                           lk_str(token.name));
    if (*ret_id == LK_TRIE_NONE && !token.is_needed)
        return LINKD_OK;
    if (*ret_id == LK_TRIE_NONE)
        return lk_fail(err, LINKD_E_DATA, VOCAB_NAME ": no token \"%s\"",
                       lk_name_show(lk_str(token.name), shown));
    rc = lk_tokenizer_add_special(tokenizer, lk_str(token.name), *ret_id,
                                  &inner);
    if (rc != LINKD_OK)
        return lk_fail(err, rc, CONFIG_NAME ": %s \"%s\": %s", token.key,
                       lk_name_show(lk_str(token.name), shown), inner.message);
    return LINKD_OK;
}

static int specials_read(lk_tokenizer *tokenizer, const json_t *config,
                         linkd_error *err)
{
    enum { UNKNOWN, BEFORE, AFTER, PADDING, MASK, N_SPECIALS };
    static const special_token specials[N_SPECIALS] = {
        {"unk_token", "[UNK]", true},
        {"cls_token", "[CLS]", true},
        {"sep_token", "[SEP]", true},
        {"pad_token", "[PAD]", false},
        {"mask_token", "[MASK]", false}};
    uint32_t ids[N_SPECIALS];

    for (size_t i = 0; i < N_SPECIALS; i++) {
        int rc = special_read(tokenizer, config, specials[i], &ids[i], err);

        if (rc != LINKD_OK)
            return rc;
    }
    tokenizer->unknown_id = ids[UNKNOWN];
    tokenizer->before = (lk_affix){{ids[BEFORE]}, 1};
    tokenizer->after = (lk_affix){{ids[AFTER]}, 1};
    return LINKD_OK;
}

/* ---- both files --------------------------------------------------------- */

static int config_parse(linkd_str text, json_t **ret_config, linkd_error *err)
{
    char shown[LK_SHOWN_MAX];
    json_error_t problem;
    json_t *config = text.len == 0
                         ? json_object()
                         : json_loadb(text.bytes, text.len,
                                      JSON_REJECT_DUPLICATES, &problem);

    if (config == NULL && (text.len == 0 || json_error_code(&problem) ==
                                                json_error_out_of_memory))
        return lk_fail_nomem(err);
    if (config == NULL)
        return lk_fail(err, LINKD_E_DATA, CONFIG_NAME ": line %d: %s",
                       problem.line, lk_name_show(lk_str(problem.text), shown));
    *ret_config = config;
    return LINKD_OK;
}

int lk_vocab_txt_read(lk_tokenizer *tokenizer, linkd_str vocab,
                      linkd_str config_text, linkd_error *err)
{
    json_t *config = NULL;
    int rc = config_parse(config_text, &config, err);

    if (rc == LINKD_OK)
        rc = class_check(config, err);
    if (rc == LINKD_OK)
        rc = rules_read(config, &tokenizer->rules, err);
    if (rc == LINKD_OK)
        rc = lines_read(tokenizer, vocab, err);
    if (rc == LINKD_OK)
        rc = specials_read(tokenizer, config, err);
    json_decref(config);
    return rc;
}
