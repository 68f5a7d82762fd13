/* cli/markup.h — foreign text within HTML and SVG. */
#ifndef LINKD_CLI_MARKUP_H
#define LINKD_CLI_MARKUP_H

#include "base/base.h"

/* Appends `text` so that it is nothing but text, in content and in quoted
 * attributes: & < > " ' as entities, and control characters, which XML does
 * not have, as blanks. Of more than `max_chars` (0: no limit) the rest becomes
 * an ellipsis. */
LINKD_MUST_CHECK int lk_markup_append(lk_buf *buf, linkd_str text,
                                      size_t max_chars, linkd_error *err);

#endif
