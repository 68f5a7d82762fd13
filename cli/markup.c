/* cli/markup.c — foreign text within HTML and SVG.
 *
 * Whoever fills a cell of a table must not be able to write the page that shows
 * it. Everything that is not ours goes through here. */
#include "cli/markup.h"

#include <string.h>

static const char *entity_of(char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return (unsigned char)c < 0x20 || c == 0x7f ? " " : NULL;
    }
}

/* Bytes of the first `n` characters. */
static size_t prefix_len(linkd_str text, size_t n)
{
    size_t i = 0;

    while (i < text.len) {
        if (((unsigned char)text.bytes[i] & 0xC0) != 0x80 && n-- == 0)
            break;
        i++;
    }
    return i;
}

int lk_markup_append(lk_buf *buf, linkd_str text, size_t max_chars,
                     linkd_error *err)
{
    size_t end = max_chars > 0 ? prefix_len(text, max_chars) : text.len;
    size_t from = 0;
    int rc = LINKD_OK;

    for (size_t i = 0; i < end && rc == LINKD_OK; i++) {
        const char *entity = entity_of(text.bytes[i]);

        if (entity == NULL)
            continue;
        if (i > from)
            rc = lk_buf_append(buf, text.bytes + from, i - from, err);
        if (rc == LINKD_OK)
            rc = lk_buf_append(buf, entity, strlen(entity), err);
        from = i + 1;
    }
    if (rc == LINKD_OK && end > from)
        rc = lk_buf_append(buf, text.bytes + from, end - from, err);
    if (rc == LINKD_OK && end < text.len)
        rc = lk_buf_append(buf, "\xe2\x80\xa6", 3, err); /* … */
    return rc;
}
