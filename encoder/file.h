/* encoder/file.h — whole files, mapped read-only. */
#ifndef LK_ENCODER_FILE_H
#define LK_ENCODER_FILE_H

#include "base/base.h"

/* What the file system tells of a file without reading it. A file that was
 * written to or replaced has another one: a time of change cannot be set. */
typedef struct lk_file_identity {
    uint64_t inode;
    uint64_t len;
    int64_t modified_ns; /* since 1970 */
    int64_t changed_ns;
} lk_file_identity;

/* {0} is no file. An empty file has no bytes and a length of 0. */
typedef struct lk_file {
    const uint8_t *bytes;
    size_t len;
    lk_file_identity identity;
} lk_file;

/* Maps the file. LINKD_E_IO: it cannot be opened, or is not a plain file. */
LINKD_MUST_CHECK int lk_file_map(const char *path, lk_file *ret_file,
                                 linkd_error *err);
void lk_file_unmap(lk_file *file);

/* Whether there is anything under that path. */
int lk_file_exists(const char *path);

/* Gives back the memory behind the pages of `bytes`, a part of a mapped file.
 * They are read again from disk when they are needed again. */
void lk_file_release(const void *bytes, size_t len);

/* "dir/name" in `ret_path`, which is emptied first. */
LINKD_MUST_CHECK int lk_file_path(const char *dir, const char *name,
                                  lk_buf *ret_path, linkd_error *err);

#endif
