/* linkage/text.h — private: what reader, table and columns ask of text. */
#ifndef LK_LINKAGE_TEXT_H
#define LK_LINKAGE_TEXT_H

#include "base/base.h"

/* Without characters at both ends that leave no mark on paper: white space of
 * any script and what only steers the layout. `text` is valid UTF-8. */
linkd_str lk_str_trim(linkd_str text);

/* Appends a value to the text of a record, which begins at `begin` of `text`:
 * trimmed, and separated from the value before. A blank one leaves no trace. */
LINKD_MUST_CHECK int lk_text_add(lk_buf *text, size_t begin, linkd_str value,
                                 linkd_error *err);

#endif
