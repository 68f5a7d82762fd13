/* linkage/picture.h — private: what a cell says of a record's picture, to
 * pixels. */
#ifndef LK_LINKAGE_PICTURE_H
#define LK_LINKAGE_PICTURE_H

#include "linkage/linkage.h"

/* `source` is a path, relative to the directory of the file `table_path` unless
 * it begins with a slash, or a data URI in base64. `ret_image` is cleared by the
 * caller. Any thread. LINKD_E_DATA, LINKD_E_IO: it cannot be read; the message
 * leaves it to the caller to say which. LINKD_E_NOMEM. */
LINKD_MUST_CHECK int lk_picture_read(const char *table_path, linkd_str source,
                                     const linkd_image_options *options,
                                     linkd_image *ret_image, linkd_error *err);

/* The source as messages show it. */
lk_label lk_picture_label(linkd_str source);

#endif
