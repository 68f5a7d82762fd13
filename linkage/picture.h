/* linkage/picture.h — private: what a cell says of a record's picture, to
 * pixels. */
#ifndef LK_LINKAGE_PICTURE_H
#define LK_LINKAGE_PICTURE_H

#include "linkage/linkage.h"

/* `source` is a path, relative to the directory of the file `table_path` unless
 * it begins with a slash, or a data URI in base64, which may name a part of the
 * picture (content.h). `ret_image` is cleared by the
 * caller. Any thread. LINKD_E_DATA, LINKD_E_IO: it cannot be read; the message
 * leaves it to the caller to say which. LINKD_E_NOMEM. */
LINKD_MUST_CHECK int lk_picture_read(const char *table_path, linkd_str source,
                                     const linkd_image_options *options,
                                     linkd_image *ret_image, linkd_error *err);

/* Counts a picture that cannot be used, and notes what `problem` says while
 * there is room. `row` is counted from 0. LINKD_E_NOMEM. */
LINKD_MUST_CHECK int lk_picture_problem(linkd_image_problems *problems,
                                        uint64_t row, linkd_str source,
                                        const linkd_error *problem,
                                        linkd_error *err);

/* The perceptual hash of a picture, which has a number. */
typedef struct lk_hashed {
    uint64_t hash;
    size_t number;
} lk_hashed;

/* For qsort: by hash, those of one hash by number. */
int lk_hashed_compare(const void *a, const void *b);

#endif
