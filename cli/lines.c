/* cli/lines.c — lines out of bytes that come in pieces: NDJSON as it arrives.
 *
 * A line that lies whole in a piece is handed out from there; only one that is
 * torn between pieces is put together in memory. */
#include "cli/lines.h"

#include <string.h>

static int line_give(lk_lines *lines, const char *bytes, size_t len,
                     linkd_error *err)
{
    return len > 0 ? lines->line_cb(lines->ctx, (linkd_str){bytes, len}, err)
                   : LINKD_OK;
}

static int rest_give(lk_lines *lines, linkd_error *err)
{
    int rc = line_give(lines, lines->rest.data, lines->rest.len, err);

    lk_buf_reset(&lines->rest);
    return rc;
}

int lk_lines_take(lk_lines *lines, const char *bytes, size_t len,
                  linkd_error *err)
{
    const char *end = bytes + len;
    int rc = LINKD_OK;

    while (bytes < end && rc == LINKD_OK) {
        const char *feed = memchr(bytes, '\n', (size_t)(end - bytes));
        size_t n = (size_t)((feed != NULL ? feed : end) - bytes);

        if (feed == NULL)
            return lk_buf_append(&lines->rest, bytes, n, err);
        if (lines->rest.len == 0) {
            rc = line_give(lines, bytes, n, err);
        } else {
            rc = lk_buf_append(&lines->rest, bytes, n, err);
            if (rc == LINKD_OK)
                rc = rest_give(lines, err);
        }
        bytes = feed + 1;
    }
    return rc;
}

int lk_lines_end(lk_lines *lines, linkd_error *err)
{
    return rest_give(lines, err);
}

void lk_lines_clear(lk_lines *lines)
{
    lk_buf_clear(&lines->rest);
}
