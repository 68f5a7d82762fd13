/* encoder/tokenizer_steps_json.c — the normalizer and the pre_tokenizer of a
 * tokenizer.json: what is done to a text before it reaches the model. */
#include "encoder/tokenizer_json.h"

#include <stdlib.h>
#include <string.h>

/* ---- base64 ------------------------------------------------------------- */

/* The value of a digit; 64: it is none. */
static uint32_t digit_value(char digit)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *found = digit != '\0' ? strchr(digits, digit) : NULL;

    return found != NULL ? (uint32_t)(found - digits) : 64;
}

/* Appends the bytes. False: it is not base64. */
static int base64_decode(const char *text, lk_buf *ret_bytes,
                         bool *ret_is_valid, linkd_error *err)
{
    size_t len = strlen(text);
    uint32_t bits = 0;
    int rc = LINKD_OK;

    *ret_is_valid = len % 4 == 0;
    while (len > 0 && text[len - 1] == '=')
        len--;
    for (size_t i = 0; i < len && rc == LINKD_OK; i++) {
        const uint32_t value = digit_value(text[i]);

        *ret_is_valid = *ret_is_valid && value < 64;
        bits = bits << 6 | (value & 63);
        if (i % 4 > 0) {
            const uint8_t byte = (uint8_t)(bits >> (6 - 2 * (i % 4)));

            rc = lk_buf_append(ret_bytes, &byte, 1, err);
        }
    }
    return rc;
}

/* ---- normalizer --------------------------------------------------------- */

static int bert_read(const json_t *part, lk_bert_rules *rules, linkd_error *err)
{
    const char *const path = "normalizer";
    int rc;

    rules->clean_text = true;
    rules->handle_chinese_chars = true;
    rules->lowercase = true;
    rc = lk_json_flag_find(part, path, "clean_text", &rules->clean_text, err);
    if (rc == LINKD_OK)
        rc = lk_json_flag_find(part, path, "handle_chinese_chars",
                               &rules->handle_chinese_chars, err);
    if (rc == LINKD_OK)
        rc = lk_json_flag_find(part, path, "lowercase", &rules->lowercase, err);
    rules->strip_accents = rules->lowercase;
    if (rc == LINKD_OK)
        rc = lk_json_flag_find(part, path, "strip_accents",
                               &rules->strip_accents, err);
    return rc;
}

static int charsmap_read(const json_t *part, lk_charsmap *charsmap,
                         linkd_error *err)
{
    const char *text = "";
    lk_buf bytes = {0};
    bool is_valid = false;
    linkd_error inner;
    int rc = lk_json_text_get(part, "normalizer", "precompiled_charsmap", &text,
                              err);

    if (rc == LINKD_OK)
        rc = base64_decode(text, &bytes, &is_valid, err);
    if (rc == LINKD_OK && !is_valid)
        rc = lk_fail(err, LINKD_E_DATA,
                     LK_TOKENIZER_FILE ": normalizer.precompiled_charsmap is "
                                       "not base64");
    if (rc == LINKD_OK) {
        rc = lk_charsmap_parse((const uint8_t *)bytes.data, bytes.len, charsmap,
                               &inner);
        if (rc != LINKD_OK)
            rc = lk_fail(err, rc, LK_TOKENIZER_FILE ": normalizer: %s",
                         inner.message);
    }
    lk_buf_clear(&bytes);
    return rc;
}

static int charsmap_borrow(const lk_json_reader *reader, lk_charsmap *charsmap)
{
    const lk_charsmap *kept = reader->charsmap;

    return lk_charsmap_borrow(charsmap, kept->units, kept->n_units, kept->texts,
                              kept->n_text_bytes, reader->err);
}

/* `pattern` of a normalizer or pre_tokenizer: {"String": …} or {"Regex": …}. */
static int pattern_read(const json_t *part, const char *path,
                        lk_pattern **ret_pattern, linkd_error *err)
{
    const json_t *pattern = json_object_get(part, "pattern");
    const char *text = json_string_value(json_object_get(pattern, "String"));
    const char *regex = json_string_value(json_object_get(pattern, "Regex"));
    const char *found = regex != NULL ? regex : text;
    char shown[LK_SHOWN_MAX];
    linkd_error inner;
    int rc;

    if (found == NULL || found[0] == '\0')
        return lk_fail(err, LINKD_E_DATA,
                       LK_TOKENIZER_FILE ": %s has no pattern", path);
    rc = regex != NULL ? lk_pattern_new(regex, ret_pattern, &inner)
                       : lk_pattern_new_plain(text, ret_pattern, &inner);
    if (rc != LINKD_OK)
        return lk_fail(err, rc, LK_TOKENIZER_FILE ": %s.pattern \"%s\": %s",
                       path, lk_name_show(lk_str(found), shown), inner.message);
    return LINKD_OK;
}

static int replace_read(const json_t *part, lk_normal_step *step,
                        linkd_error *err)
{
    const char *content = "";
    int rc = lk_json_text_get(part, "normalizer", "content", &content, err);

    if (rc == LINKD_OK)
        rc = pattern_read(part, "normalizer", &step->pattern, err);
    if (rc == LINKD_OK)
        rc = lk_buf_append(&step->content, content, strlen(content), err);
    return rc;
}

static int strip_read(const json_t *part, lk_normal_step *step,
                      linkd_error *err)
{
    int rc;

    step->is_left = true;
    step->is_right = true;
    rc = lk_json_flag_find(part, "normalizer", "strip_left", &step->is_left,
                           err);
    if (rc == LINKD_OK)
        rc = lk_json_flag_find(part, "normalizer", "strip_right",
                               &step->is_right, err);
    return rc;
}

static int prepend_read(const json_t *part, lk_normal_step *step,
                        linkd_error *err)
{
    const char *text = "";
    int rc = lk_json_text_get(part, "normalizer", "prepend", &text, err);

    if (rc == LINKD_OK)
        rc = lk_buf_append(&step->content, text, strlen(text), err);
    return rc;
}

static int normal_step_read(const lk_json_reader *reader, const json_t *part,
                            lk_normal_step *step)
{
    linkd_error *err = reader->err;

    switch (step->kind) {
    case LK_NORMAL_BERT:
        return bert_read(part, &step->rules, err);
    case LK_NORMAL_CHARSMAP:
        if (reader->is_rest &&
            json_object_get(part, "precompiled_charsmap") == NULL)
            return charsmap_borrow(reader, &step->charsmap);
        return charsmap_read(part, &step->charsmap, err);
    case LK_NORMAL_REPLACE:
        return replace_read(part, step, err);
    case LK_NORMAL_STRIP:
        return strip_read(part, step, err);
    case LK_NORMAL_PREPEND:
        return prepend_read(part, step, err);
    case LK_NORMAL_NFC:
    case LK_NORMAL_NFD:
    case LK_NORMAL_NFKC:
    case LK_NORMAL_NFKD:
    case LK_NORMAL_LOWERCASE:
    case LK_NORMAL_STRIP_ACCENTS:
        break;
    }
    return LINKD_OK;
}

static int normalizer_add(lk_json_reader *reader, const json_t *part,
                          const char *type)
{
    static const struct {
        const char *name;
        lk_normal_kind kind;
    } kinds[] = {{"BertNormalizer", LK_NORMAL_BERT},
                 {"Precompiled", LK_NORMAL_CHARSMAP},
                 {"Replace", LK_NORMAL_REPLACE},
                 {"Strip", LK_NORMAL_STRIP},
                 {"NFC", LK_NORMAL_NFC},
                 {"NFD", LK_NORMAL_NFD},
                 {"NFKC", LK_NORMAL_NFKC},
                 {"NFKD", LK_NORMAL_NFKD},
                 {"Lowercase", LK_NORMAL_LOWERCASE},
                 {"StripAccents", LK_NORMAL_STRIP_ACCENTS},
                 {"Prepend", LK_NORMAL_PREPEND}};
    lk_normal_step *step = NULL;
    int rc;

    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        if (strcmp(type, kinds[i].name) != 0)
            continue;
        rc = lk_normalizer_add(&reader->tokenizer->normalizer, &step,
                               reader->err);
        if (rc != LINKD_OK)
            return rc;
        step->kind = kinds[i].kind;
        return normal_step_read(reader, part, step);
    }
    return lk_json_type_refuse("normalizer", type, reader->err);
}

static bool has_charsmap(const json_t *part)
{
    const char *type = json_string_value(json_object_get(part, "type"));

    return type != NULL && strcmp(type, "Precompiled") == 0;
}

json_t *lk_json_charsmap_find(const json_t *root)
{
    json_t *part = json_object_get(root, "normalizer");
    const json_t *parts = json_object_get(part, "normalizers");

    for (size_t i = 0; i < json_array_size(parts); i++)
        if (has_charsmap(json_array_get(parts, i)))
            return json_array_get(parts, i);
    return has_charsmap(part) ? part : NULL;
}

/* ---- pre_tokenizer ------------------------------------------------------ */

static int metaspace_prefix_read(const json_t *part, lk_split_step *step,
                                 linkd_error *err)
{
    const char *scheme = "always";
    bool has_prefix = true;
    int rc = lk_json_flag_find(part, "pre_tokenizer", "add_prefix_space",
                               &has_prefix, err);

    if (!has_prefix)
        scheme = "never";
    if (rc == LINKD_OK)
        rc = lk_json_text_find(part, "pre_tokenizer", "prepend_scheme", &scheme,
                               err);
    if (rc != LINKD_OK)
        return rc;
    if (strcmp(scheme, "always") == 0)
        step->prefixing = LK_PREFIX_ALWAYS;
    else if (strcmp(scheme, "first") == 0)
        step->prefixing = LK_PREFIX_FIRST;
    else if (strcmp(scheme, "never") == 0)
        step->prefixing = LK_PREFIX_NEVER;
    else
        return lk_json_type_refuse("pre_tokenizer.prepend_scheme", scheme, err);
    return LINKD_OK;
}

static int metaspace_read(const json_t *part, lk_split_step *step,
                          linkd_error *err)
{
    const char *space = "";
    uint32_t cp;
    size_t len;
    int rc =
        lk_json_text_get(part, "pre_tokenizer", "replacement", &space, err);

    if (rc != LINKD_OK)
        return rc;
    len = strlen(space);
    if (len == 0 || lk_utf8_read((const uint8_t *)space, len, &cp) != len)
        return lk_fail(err, LINKD_E_DATA,
                       LK_TOKENIZER_FILE ": pre_tokenizer.replacement is not "
                                         "one character");
    memcpy(step->space, space, len);
    step->space_len = len;
    step->splits = true;
    rc = lk_json_flag_find(part, "pre_tokenizer", "split", &step->splits, err);
    if (rc == LINKD_OK)
        rc = metaspace_prefix_read(part, step, err);
    return rc;
}

static int byte_level_read(const json_t *part, lk_split_step *step,
                           linkd_error *err)
{
    bool has_prefix = true;
    int rc = lk_json_flag_find(part, "pre_tokenizer", "add_prefix_space",
                               &has_prefix, err);

    step->prefixing = has_prefix ? LK_PREFIX_ALWAYS : LK_PREFIX_NEVER;
    step->splits = true;
    if (rc == LINKD_OK)
        rc = lk_json_flag_find(part, "pre_tokenizer", "use_regex",
                               &step->splits, err);
    return rc;
}

static int split_read(const json_t *part, lk_split_step *step, linkd_error *err)
{
    static const struct {
        const char *name;
        lk_split_behavior behavior;
    } behaviors[] = {{"Removed", LK_SPLIT_REMOVED},
                     {"Isolated", LK_SPLIT_ISOLATED},
                     {"MergedWithPrevious", LK_SPLIT_WITH_PREVIOUS},
                     {"MergedWithNext", LK_SPLIT_WITH_NEXT},
                     {"Contiguous", LK_SPLIT_CONTIGUOUS}};
    const char *name = "";
    int rc = lk_json_text_get(part, "pre_tokenizer", "behavior", &name, err);

    if (rc == LINKD_OK)
        rc = lk_json_flag_find(part, "pre_tokenizer", "invert",
                               &step->is_inverted, err);
    for (size_t i = 0; i < sizeof(behaviors) / sizeof(*behaviors); i++) {
        if (rc != LINKD_OK || strcmp(name, behaviors[i].name) != 0)
            continue;
        step->behavior = behaviors[i].behavior;
        return pattern_read(part, "pre_tokenizer", &step->pattern, err);
    }
    return rc != LINKD_OK
               ? rc
               : lk_json_type_refuse("pre_tokenizer.behavior", name, err);
}

static int splitter_add(lk_json_reader *reader, const json_t *part,
                        const char *type)
{
    lk_splitter *splitter = &reader->tokenizer->splitter;
    lk_split_step *step = &splitter->steps[splitter->n];
    int rc = LINKD_OK;

    if (splitter->n == LK_SPLIT_STEPS_MAX)
        return lk_fail(reader->err, LINKD_E_DATA,
                       LK_TOKENIZER_FILE ": pre_tokenizer has more than %d "
                                         "steps",
                       LK_SPLIT_STEPS_MAX);
    if (splitter->n > 0 && step[-1].kind == LK_SPLIT_BYTE_LEVEL)
        return lk_fail(reader->err, LINKD_E_DATA,
                       LK_TOKENIZER_FILE ": pre_tokenizer goes on after "
                                         "ByteLevel, which is not supported");
    if (strcmp(type, "Metaspace") == 0) {
        step->kind = LK_SPLIT_METASPACE;
        rc = metaspace_read(part, step, reader->err);
    } else if (strcmp(type, "ByteLevel") == 0) {
        step->kind = LK_SPLIT_BYTE_LEVEL;
        rc = byte_level_read(part, step, reader->err);
    } else if (strcmp(type, "WhitespaceSplit") == 0) {
        step->kind = LK_SPLIT_SPACES;
    } else if (strcmp(type, "Split") == 0) {
        step->kind = LK_SPLIT_PATTERN;
        rc = split_read(part, step, reader->err);
    } else {
        return lk_json_type_refuse("pre_tokenizer", type, reader->err);
    }
    splitter->n++;
    return rc;
}

/* ---- both --------------------------------------------------------------- */

/* The one part, or those of a Sequence. */
static int parts_read(lk_json_reader *reader, const char *key,
                      const char *members,
                      int (*add)(lk_json_reader *reader, const json_t *part,
                                 const char *type))
{
    const json_t *part, *parts;
    const char *type = "";
    int rc = lk_json_part_find(reader, key, &part, &type);

    if (rc != LINKD_OK || part == NULL)
        return rc;
    if (strcmp(type, "Sequence") != 0)
        return add(reader, part, type);
    parts = json_object_get(part, members);
    for (size_t i = 0; i < json_array_size(parts) && rc == LINKD_OK; i++) {
        rc = lk_json_text_get(json_array_get(parts, i), key, "type", &type,
                              reader->err);
        if (rc == LINKD_OK)
            rc = add(reader, json_array_get(parts, i), type);
    }
    return rc;
}

/* WordPiece's words are BERT's. */
static int words_check(const lk_json_reader *reader)
{
    const json_t *part;
    const char *type = "null";
    int rc = lk_json_part_find(reader, "pre_tokenizer", &part, &type);

    if (rc == LINKD_OK && strcmp(type, "BertPreTokenizer") != 0)
        rc = lk_json_type_refuse("pre_tokenizer", type, reader->err);
    return rc;
}

/* The piece that is nothing but a space, as the last step spells it. */
static void space_find(lk_tokenizer *tokenizer)
{
    const size_t n = tokenizer->splitter.n;
    const lk_split_step *last =
        n > 0 ? &tokenizer->splitter.steps[n - 1] : NULL;
    uint8_t utf8[LK_UTF8_MAX];
    linkd_str space = {(const char *)utf8, 0};

    if (last == NULL || last->kind == LK_SPLIT_SPACES ||
        last->kind == LK_SPLIT_PATTERN)
        return;
    if (last->kind == LK_SPLIT_METASPACE)
        space = (linkd_str){last->space, last->space_len};
    else
        space.len = lk_utf8_write(lk_byte_level_char(' '), utf8);
    tokenizer->space_id =
        lk_trie_find(&tokenizer->vocabulary, LK_WORDPIECE_WORDS, space);
}

int lk_json_steps_read(lk_json_reader *reader)
{
    int rc = parts_read(reader, "normalizer", "normalizers", normalizer_add);

    if (rc == LINKD_OK && reader->tokenizer->model == LK_MODEL_WORDPIECE)
        return words_check(reader);
    if (rc == LINKD_OK)
        rc = parts_read(reader, "pre_tokenizer", "pretokenizers", splitter_add);
    if (rc == LINKD_OK)
        space_find(reader->tokenizer);
    return rc;
}
