/* encoder/added_tokens.c — cuts a text at the names of added tokens.
 * Of the names that begin at the leftmost place the longest counts, and the
 * search goes on behind the name, whatever white space the token takes. */
#include "encoder/added_tokens.h"

#include "encoder/unicode.h"

#include <stdlib.h>

int lk_added_init(lk_added *added, linkd_error *err)
{
    return lk_trie_init(&added->names, LK_ADDED_N_ROOTS, err);
}

void lk_added_clear(lk_added *added)
{
    lk_trie_clear(&added->names);
    free(added->tokens);
    *added = (lk_added){0};
}

int lk_added_add(lk_added *added, uint32_t root, linkd_str name,
                 const lk_added_token *token, linkd_error *err)
{
    int rc;

    if (lk_trie_find(&added->names, root, name) != LK_TRIE_NONE)
        return LINKD_OK;
    rc = lk_grow((void **)&added->tokens, &added->capacity, added->n + 1,
                 sizeof(*added->tokens), err);
    if (rc == LINKD_OK)
        rc = lk_trie_insert(&added->names, root, name, (uint32_t)added->n, err);
    if (rc != LINKD_OK)
        return rc;
    added->tokens[added->n++] = *token;
    added->begins[root][(uint8_t)name.bytes[0]] = true;
    return LINKD_OK;
}

/* ---- what is around a match --------------------------------------------- */

static uint32_t shape_ahead(linkd_str text, size_t at, size_t *ret_len)
{
    uint32_t cp;

    *ret_len = 0;
    if (at >= text.len)
        return 0;
    *ret_len =
        lk_utf8_read((const uint8_t *)text.bytes + at, text.len - at, &cp);
    return lk_unicode_shape(cp);
}

static uint32_t shape_behind(linkd_str text, size_t at, size_t *ret_len)
{
    size_t begin = at;

    *ret_len = 0;
    if (at == 0)
        return 0;
    do
        begin--;
    while (begin > 0 && ((uint8_t)text.bytes[begin] & 0xC0) == 0x80);
    return shape_ahead((linkd_str){text.bytes, at}, begin, ret_len);
}

static bool is_single(linkd_str text, size_t begin, size_t end)
{
    size_t len;

    return !(shape_behind(text, begin, &len) & LK_SHAPE_WORD) &&
           !(shape_ahead(text, end, &len) & LK_SHAPE_WORD);
}

static size_t spaces_begin(linkd_str text, size_t at, size_t least)
{
    size_t len;

    while (at > least && (shape_behind(text, at, &len) & LK_SHAPE_SPACE))
        at -= len;
    return at;
}

static size_t spaces_end(linkd_str text, size_t at)
{
    size_t len;

    while (shape_ahead(text, at, &len) & LK_SHAPE_SPACE)
        at += len;
    return at;
}

/* ---- reading ------------------------------------------------------------ */

void lk_added_reader_init(lk_added_reader *reader, const lk_added *added,
                          uint32_t root, linkd_str text)
{
    *reader = (lk_added_reader){.added = added, .root = root, .text = text};
}

/* The next name that counts, as [*ret_begin, *ret_end); NULL: none is left. */
static const lk_added_token *name_find(lk_added_reader *reader,
                                       size_t *ret_begin, size_t *ret_end)
{
    const lk_added *added = reader->added;
    const bool *begins = added->begins[reader->root];
    const linkd_str text = reader->text;

    while (reader->at < text.len) {
        const linkd_str ahead = {text.bytes + reader->at,
                                 text.len - reader->at};
        const lk_added_token *token;
        uint32_t place = LK_TRIE_NONE;
        size_t len = 0;

        if (begins[(uint8_t)ahead.bytes[0]])
            place = lk_trie_match(&added->names, reader->root, ahead, &len);
        if (place == LK_TRIE_NONE) {
            reader->at++;
            continue;
        }
        token = &added->tokens[place];
        reader->at += len;
        if (token->single_word &&
            !is_single(text, reader->at - len, reader->at))
            continue;
        *ret_begin = reader->at - len;
        *ret_end = reader->at;
        return token;
    }
    return NULL;
}

lk_added_kind lk_added_read(lk_added_reader *reader, linkd_str *ret_text,
                            uint32_t *ret_id)
{
    const lk_added_token *token = reader->token;
    const size_t cut_at = reader->cut_at;
    size_t begin = reader->text.len, end = begin;

    if (token != NULL) {
        reader->token = NULL;
        reader->cut_at = reader->token_end;
        *ret_id = token->id;
        return LK_ADDED_TOKEN;
    }
    token = name_find(reader, &begin, &end);
    if (token != NULL && token->lstrip)
        begin =
            spaces_begin(reader->text, begin, begin < cut_at ? begin : cut_at);
    if (token != NULL && token->rstrip)
        end = spaces_end(reader->text, end);
    reader->token = token;
    reader->token_end = end;
    if (cut_at < begin) {
        *ret_text = (linkd_str){reader->text.bytes + cut_at, begin - cut_at};
        reader->cut_at = begin;
        return LK_ADDED_TEXT;
    }
    return token != NULL ? lk_added_read(reader, ret_text, ret_id)
                         : LK_ADDED_END;
}
