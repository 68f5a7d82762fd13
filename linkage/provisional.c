/* linkage/provisional.c — queries that stand in for users' ones, made from records. */
#include <string.h>

#include <xxhash.h>

#include "linkage/collection.h"
#include "linkage/content.h"

/* Of ten words six stay: guess. So many that the record can still be told, so
 * few that equal texts are no answer. */
#define KEPT_OF_TEN UINT64_C(6)
/* A shorter word is another word when two of its letters change places. */
#define MISSPELT_MIN ((size_t)4)

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Appends a word, with two neighbouring letters in each other's place. */
static int word_add(lk_buf *query, linkd_str word, size_t begin, bool misspelt,
                    linkd_error *err)
{
    size_t middle = word.len / 2;
    int rc = LINKD_OK;

    if (query->len > begin)
        rc = lk_buf_append(query, " ", 1, err);
    if (rc == LINKD_OK)
        rc = lk_buf_append(query, word.bytes, word.len, err);
    if (rc == LINKD_OK && misspelt && is_plain(word.bytes[middle]) &&
        is_plain(word.bytes[middle - 1])) {
        char *at = query->data + query->len - word.len + middle;
        char c = at[0];

        at[0] = at[-1];
        at[-1] = c;
    }
    return rc;
}

static int text_query(linkd_str text, lk_buf *ret_query, linkd_error *err)
{
    uint64_t chance = XXH3_64bits(text.bytes, text.len);
    size_t begin = ret_query->len;
    bool has_misspelt = false;
    linkd_str longest = {"", 0};
    int rc = LINKD_OK;

    for (size_t i = 0; i < text.len && rc == LINKD_OK; i++) {
        linkd_str word = {text.bytes + i, 0};

        while (i < text.len && text.bytes[i] != ' ')
            i++;
        word.len = (size_t)(text.bytes + i - word.bytes);
        if (word.len == 0)
            continue;
        longest = word.len > longest.len ? word : longest;
        chance = XXH3_64bits_withSeed(&i, sizeof(i), chance);
        if (chance % 10 >= KEPT_OF_TEN)
            continue;
        rc = word_add(ret_query, word, begin,
                      !has_misspelt && word.len >= MISSPELT_MIN, err);
        has_misspelt = has_misspelt || word.len >= MISSPELT_MIN;
    }
    if (rc == LINKD_OK && ret_query->len == begin && longest.len > 0)
        rc = word_add(ret_query, longest, begin, longest.len >= MISSPELT_MIN,
                      err);
    return rc;
}

/* Of each side of a picture up to a fifth is cut off: guess, as of copies that
 * are hard to find (docs/images.md). */
#define CUT_MAX UINT64_C(21)

/* Appends the middle of a picture, unless a part is meant already. */
static int picture_query(linkd_str picture, lk_buf *ret_query, linkd_error *err)
{
    uint64_t chance = XXH3_64bits(picture.bytes, picture.len);
    const unsigned left = (unsigned)(chance % CUT_MAX);
    const unsigned right = (unsigned)((chance >> 16) % CUT_MAX);
    const unsigned top = (unsigned)((chance >> 32) % CUT_MAX);
    const unsigned bottom = (unsigned)((chance >> 48) % CUT_MAX);
    int rc = linkd_content_add_picture(ret_query, picture, err);

    if (rc != LINKD_OK || memchr(picture.bytes, '#', picture.len) != NULL)
        return rc;
    return lk_buf_printf(ret_query, err, "#xywh=percent:%u,%u,%u,%u", left, top,
                         100 - left - right, 100 - top - bottom);
}

int linkd_provisional_query(linkd_str content, lk_buf *ret_query,
                            linkd_error *err)
{
    linkd_content c = linkd_content_split(content);
    int rc = text_query(c.text, ret_query, err);

    return rc == LINKD_OK && c.picture.len > 0
               ? picture_query(c.picture, ret_query, err)
               : rc;
}
