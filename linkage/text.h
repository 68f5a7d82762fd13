/* linkage/text.h — private: what reader, table and columns ask of text. */
#ifndef LK_LINKAGE_TEXT_H
#define LK_LINKAGE_TEXT_H

#include "base/base.h"

/* The first byte that is NUL or no part of valid UTF-8, or `len`. */
size_t lk_utf8_check(const char *bytes, size_t len);

/* Without ASCII white space at both ends. */
linkd_str lk_str_trim(linkd_str text);

#endif
