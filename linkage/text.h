/* linkage/text.h — private: what reader, table and columns ask of text. */
#ifndef LK_LINKAGE_TEXT_H
#define LK_LINKAGE_TEXT_H

#include "base/base.h"

/* Without characters at both ends that leave no mark on paper: white space of
 * any script and what only steers the layout. `text` is valid UTF-8. */
linkd_str lk_str_trim(linkd_str text);

#endif
