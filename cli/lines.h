/* cli/lines.h — lines out of bytes that come in pieces. */
#ifndef LINKD_CLI_LINES_H
#define LINKD_CLI_LINES_H

#include "base/base.h"

typedef struct lk_lines {
    /* Gets each line that is not empty, without its end. */
    int (*line_cb)(void *ctx, linkd_str line, linkd_error *err);
    void *ctx;
    lk_buf rest; /* of a line whose end is still to come */
} lk_lines;

/* What the callback fails with is passed on. */
LINKD_MUST_CHECK int lk_lines_take(lk_lines *lines, const char *bytes,
                                   size_t len, linkd_error *err);
/* A last line may have no end. */
LINKD_MUST_CHECK int lk_lines_end(lk_lines *lines, linkd_error *err);
void lk_lines_clear(lk_lines *lines);

#endif
