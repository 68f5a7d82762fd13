/* cli/file.c — files that are read whole. */
#include "cli/file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "linkage/linkage.h"

enum {
    READ_BYTES = 1 << 16,
};

int lk_fail_read(const char *path, linkd_error *err)
{
    return lk_fail(err, LINKD_E_IO, "could not read %s: %s",
                   lk_label_of_path(path).text, strerror(errno));
}

/* Without asking for its length first: a pipe has none, and a file may grow. */
static int stream_read(FILE *file, const char *path, size_t max_bytes,
                       lk_buf *bytes, linkd_error *err)
{
    char chunk[READ_BYTES];
    size_t n;
    int rc = LINKD_OK;

    while (rc == LINKD_OK && (n = fread(chunk, 1, sizeof(chunk), file)) > 0) {
        if (n > max_bytes)
            return lk_fail(err, LINKD_E_DATA, "%s is too large",
                           lk_label_of_path(path).text);
        max_bytes -= n;
        rc = lk_buf_append(bytes, chunk, n, err);
    }
    return rc == LINKD_OK && ferror(file) ? lk_fail_read(path, err) : rc;
}

int lk_file_read(const char *path, size_t max_bytes, lk_buf *ret_bytes,
                 linkd_error *err)
{
    FILE *file = fopen(path, "rbe");
    int rc;

    if (file == NULL)
        return lk_fail_read(path, err);
    rc = stream_read(file, path, max_bytes, ret_bytes, err);
    (void)fclose(file);
    return rc;
}
