/* encoder/vocab_clip.c — reads the vocab.json and merges.txt of older checkpoints of
 * CLIP. They are made into the tokenizer.json that transformers' CLIPTokenizer
 * makes of them, and read as such:
 *
 *   vocab.json             {"piece": id, …}
 *   merges.txt             "a b" a line, the first may be "#version: 0.2"
 *   tokenizer_config.json  the special tokens, if it is there
 *
 * GPT-2 and RoBERTa have files of these names, too, with other rules: what is not
 * CLIP's is refused. */
#include "encoder/tokenizer_json.h"

#include <string.h>

#define VOCAB_NAME  "vocab.json"
#define MERGES_NAME "merges.txt"
#define CONFIG_NAME "tokenizer_config.json"

/* All but what the three files say (transformers 5.24, tokenization_clip.py). */
static const char SKELETON[] =
    "{\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"}"
    ","
    "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"\\\\s+\"},\"content\":\" "
    "\"},"
    "{\"type\":\"Lowercase\"}]},"
    "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":["
    "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"<\\\\|startoftext\\\\|>|"
    "<\\\\|endoftext\\\\|>|'s|'t|'re|'ve|'m|'ll|'d|[\\\\p{L}]+|[\\\\p{N}]|"
    "[^\\\\s\\\\p{L}\\\\p{N}]+\"},\"behavior\":\"Removed\",\"invert\":true},"
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":false}]},"
    "\"post_processor\":{\"type\":\"RobertaProcessing\"},"
    "\"model\":{\"type\":\"BPE\",\"end_of_word_suffix\":\"</w>\"}}";

typedef enum role { BOS, EOS, UNKNOWN, PADDING, N_ROLES } role;

static const struct {
    const char *key;
    const char *usual;
} roles[N_ROLES] = {[BOS] = {"bos_token", "<|startoftext|>"},
                    [EOS] = {"eos_token", "<|endoftext|>"},
                    [UNKNOWN] = {"unk_token", "<|endoftext|>"},
                    [PADDING] = {"pad_token", "<|endoftext|>"}};

/* The files, and what is made of them. */
typedef struct clip_reader {
    json_t *vocab;
    json_t *config; /* {}: there is none */
    json_t *root;
    json_t *added;           /* root's added_tokens */
    json_t *tokens[N_ROLES]; /* as the configuration has them; borrowed */
    json_t *usual[N_ROLES];  /* where it is silent */
    linkd_error *err;
} clip_reader;

static int json_parse(const char *name, linkd_str text, json_t **ret_json,
                      linkd_error *err)
{
    char shown[LK_SHOWN_MAX];
    json_error_t problem;

    *ret_json =
        json_loadb(text.bytes, text.len, JSON_REJECT_DUPLICATES, &problem);
    if (*ret_json == NULL &&
        json_error_code(&problem) == json_error_out_of_memory)
        return lk_fail_nomem(err);
    if (*ret_json == NULL)
        return lk_fail(err, LINKD_E_DATA, "%s: line %d: %s", name, problem.line,
                       lk_name_show(lk_str(problem.text), shown));
    if (!json_is_object(*ret_json))
        return lk_fail(err, LINKD_E_DATA, "%s: is not an object", name);
    return LINKD_OK;
}

/* jansson fails for want of memory only, where all values are sound. */
static int put(json_t *object, const char *key, json_t *take_value,
               linkd_error *err)
{
    return json_object_set_new(object, key, take_value) == 0
               ? LINKD_OK
               : lk_fail_nomem(err);
}

/* ---- merges.txt --------------------------------------------------------- */

static bool has_piece(const clip_reader *r, linkd_str first, linkd_str second,
                      lk_buf *scratch)
{
    lk_buf_reset(scratch);
    return lk_buf_append(scratch, first.bytes, first.len, NULL) == LINKD_OK &&
           lk_buf_append(scratch, second.bytes, second.len, NULL) == LINKD_OK &&
           lk_buf_append(scratch, "", 1, NULL) == LINKD_OK &&
           json_object_get(r->vocab, scratch->data) != NULL;
}

/* Whether a line is two pieces that make a third. */
static bool is_merge(const clip_reader *r, linkd_str line, lk_buf *scratch)
{
    const char *space = memchr(line.bytes, ' ', line.len);
    const linkd_str none = {"", 0};
    linkd_str left, right;

    if (space == NULL || memchr(line.bytes, '\0', line.len) != NULL)
        return false;
    left = (linkd_str){line.bytes, (size_t)(space - line.bytes)};
    right = (linkd_str){space + 1, line.len - left.len - 1};
    return memchr(right.bytes, ' ', right.len) == NULL &&
           has_piece(r, left, none, scratch) &&
           has_piece(r, right, none, scratch) &&
           has_piece(r, left, right, scratch);
}

static int merge_add(const clip_reader *r, linkd_str line, size_t number,
                     lk_buf *scratch, json_t *merges)
{
    static const char version[] = "#version";
    char shown[LK_SHOWN_MAX];

    if (line.len >= sizeof(version) - 1 &&
        memcmp(line.bytes, version, sizeof(version) - 1) == 0)
        return LINKD_OK;
    /* room for what is looked up, so that a look-up cannot fail */
    lk_buf_reset(scratch);
    if (lk_buf_append(scratch, line.bytes, line.len, NULL) != LINKD_OK ||
        lk_buf_append(scratch, "", 1, NULL) != LINKD_OK)
        return lk_fail_nomem(r->err);
    if (!is_merge(r, line, scratch))
        return lk_fail(r->err, LINKD_E_DATA,
                       MERGES_NAME
                       ": line %zu: \"%s\" is not two pieces of " VOCAB_NAME
                       " that make a third",
                       number, lk_name_show(line, shown));
    return json_array_append_new(merges, json_stringn(line.bytes, line.len)) ==
                   0
               ? LINKD_OK
               : lk_fail_nomem(r->err);
}

static int merges_read(const clip_reader *r, linkd_str text, json_t *merges)
{
    lk_buf scratch = {0};
    int rc = LINKD_OK;

    for (size_t number = 1; text.len > 0 && rc == LINKD_OK; number++) {
        const char *end = memchr(text.bytes, '\n', text.len);
        const size_t n = end != NULL ? (size_t)(end - text.bytes) : text.len;
        linkd_str line = {text.bytes, n};

        if (n > 0 && line.bytes[n - 1] == '\r')
            line.len--;
        rc = merge_add(r, line, number, &scratch, merges);
        text.bytes += end != NULL ? n + 1 : n;
        text.len -= end != NULL ? n + 1 : n;
    }
    lk_buf_clear(&scratch);
    return rc;
}

/* ---- special tokens ----------------------------------------------------- */

/* A token is its name, or an object with it. */
static const char *name_of(const json_t *token)
{
    return json_is_object(token)
               ? json_string_value(json_object_get(token, "content"))
               : json_string_value(token);
}

/* Puts a token among the added ones, in place of one of that name. */
static int added_put(const clip_reader *r, const char *key, const json_t *token)
{
    const char *name = name_of(token);
    const json_t *id = name != NULL ? json_object_get(r->vocab, name) : NULL;
    char shown[LK_SHOWN_MAX];
    json_t *entry;
    size_t at = 0;
    int rc;

    if (id == NULL)
        return lk_fail(r->err, LINKD_E_DATA,
                       VOCAB_NAME ": no token \"%s\", which is " CONFIG_NAME
                                  "'s or CLIP's %s",
                       lk_name_show(lk_str(name != NULL ? name : ""), shown),
                       key);
    entry = json_is_object(token) ? json_copy((json_t *)(uintptr_t)token)
                                  : json_object();
    if (entry == NULL)
        return lk_fail_nomem(r->err);
    rc = put(entry, "content", json_string(name), r->err);
    if (rc == LINKD_OK)
        rc = put(entry, "id", json_deep_copy(id), r->err);
    if (rc == LINKD_OK)
        rc = put(entry, "special", json_true(), r->err);
    while (at < json_array_size(r->added) &&
           strcmp(name_of(json_array_get(r->added, at)), name) != 0)
        at++;
    if (rc == LINKD_OK && (at < json_array_size(r->added)
                               ? json_array_set(r->added, at, entry)
                               : json_array_append(r->added, entry)) != 0)
        rc = lk_fail_nomem(r->err);
    json_decref(entry);
    return rc;
}

/* What a saved tokenizer had added. */
static int decoder_read(const clip_reader *r)
{
    json_t *decoder = json_object_get(r->config, "added_tokens_decoder");
    const char *id;
    json_t *token;

    json_object_foreach(decoder, id, token)
    {
        int rc = added_put(r, "added_tokens_decoder", token);

        if (rc != LINKD_OK)
            return rc;
    }
    return LINKD_OK;
}

static bool is_added(const clip_reader *r, const char *name)
{
    for (size_t i = 0; i < json_array_size(r->added); i++)
        if (strcmp(name_of(json_array_get(r->added, i)), name) == 0)
            return true;
    return false;
}

/* As transformers adds them: a name that is added already stays as it is, a token
 * that is equal to an earlier role's is passed over, and else the last of one name
 * counts. */
static int roles_read(clip_reader *r)
{
    int rc = decoder_read(r);

    for (size_t i = 0; i < N_ROLES; i++) {
        r->tokens[i] = json_object_get(r->config, roles[i].key);
        if (r->tokens[i] == NULL || json_is_null(r->tokens[i]))
            r->tokens[i] = r->usual[i] = json_string(roles[i].usual);
        if (r->tokens[i] == NULL)
            return lk_fail_nomem(r->err);
    }
    for (size_t i = 0; i < N_ROLES && rc == LINKD_OK; i++) {
        bool is_known = json_is_string(r->tokens[i]) &&
                        json_object_get(r->config, "added_tokens_decoder") &&
                        is_added(r, json_string_value(r->tokens[i]));

        for (size_t k = 0; k < i; k++)
            is_known = is_known || json_equal(r->tokens[k], r->tokens[i]);
        if (!is_known)
            rc = added_put(r, roles[i].key, r->tokens[i]);
    }
    return rc;
}

/* ["<|endoftext|>", 49407] */
static int processor_put(const clip_reader *r, const char *key, role of)
{
    const char *name = name_of(r->tokens[of]);
    json_t *pair = json_pack("[s, O]", name, json_object_get(r->vocab, name));

    return pair != NULL ? put(json_object_get(r->root, "post_processor"), key,
                              pair, r->err)
                        : lk_fail_nomem(r->err);
}

/* ---- all of it ---------------------------------------------------------- */

static int class_check(const clip_reader *r)
{
    const json_t *value = json_object_get(r->config, "tokenizer_class");
    const char *name = json_string_value(value);
    char shown[LK_SHOWN_MAX];

    if (value == NULL || json_is_null(value) ||
        (name != NULL && (strcmp(name, "CLIPTokenizer") == 0 ||
                          strcmp(name, "CLIPTokenizerFast") == 0)))
        return LINKD_OK;
    return lk_fail(r->err, LINKD_E_DATA,
                   CONFIG_NAME
                   ": tokenizer \"%s\" is not supported without tokenizer.json",
                   lk_name_show(lk_str(name != NULL ? name : "?"), shown));
}

static int root_make(clip_reader *r, linkd_str merges)
{
    json_t *model = json_object_get(r->root, "model");
    int rc = class_check(r);

    if (rc == LINKD_OK)
        rc = put(r->root, "added_tokens", json_array(), r->err);
    r->added = json_object_get(r->root, "added_tokens");
    if (rc == LINKD_OK)
        rc = roles_read(r);
    if (rc == LINKD_OK)
        rc = put(model, "merges", json_array(), r->err);
    if (rc == LINKD_OK)
        rc = merges_read(r, merges, json_object_get(model, "merges"));
    if (rc == LINKD_OK)
        rc = put(model, "unk_token", json_string(name_of(r->tokens[UNKNOWN])),
                 r->err);
    if (rc == LINKD_OK)
        rc = put(model, "vocab", json_incref(r->vocab), r->err);
    if (rc == LINKD_OK)
        rc = processor_put(r, "cls", BOS);
    if (rc == LINKD_OK)
        rc = processor_put(r, "sep", EOS);
    return rc;
}

/* Of what is made here only the vocabulary can be wrong yet. */
static int tokenizer_read(lk_tokenizer *tokenizer, json_t *root,
                          linkd_error *err)
{
    static const char prefix[] = LK_TOKENIZER_FILE;
    linkd_error inner;
    int rc = lk_tokenizer_json_read_root(tokenizer, root, &inner);

    if (rc == LINKD_OK)
        return LINKD_OK;
    return strncmp(inner.message, prefix, sizeof(prefix) - 1) == 0
               ? lk_fail(err, rc, VOCAB_NAME "%s",
                         inner.message + sizeof(prefix) - 1)
               : lk_fail(err, rc, "%s", inner.message);
}

int lk_vocab_clip_read(lk_tokenizer *tokenizer, linkd_str vocab,
                       linkd_str merges, linkd_str config, linkd_error *err)
{
    clip_reader r = {.err = err};
    int rc = json_parse("CLIP", lk_str(SKELETON), &r.root, err);

    if (rc == LINKD_OK)
        rc = json_parse(VOCAB_NAME, vocab, &r.vocab, err);
    if (rc == LINKD_OK)
        rc = json_parse(CONFIG_NAME, config.len > 0 ? config : lk_str("{}"),
                        &r.config, err);
    if (rc == LINKD_OK)
        rc = root_make(&r, merges);
    if (rc == LINKD_OK)
        rc = tokenizer_read(tokenizer, r.root, err);
    for (size_t i = 0; i < N_ROLES; i++)
        json_decref(r.usual[i]);
    json_decref(r.root);
    json_decref(r.vocab);
    json_decref(r.config);
    return rc;
}
