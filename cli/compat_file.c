/* cli/compat_file.c — see compat_file.h. */
#include "cli/compat_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "linkage/linkage.h"

static int fail_read(const char *path, linkd_error *err)
{
    return lk_fail(err, LINKD_E_IO, "could not read %s: %s",
                   lk_label_of_path(path).text, strerror(errno));
}

static int bytes_read(const char *path, unsigned char **ret_bytes,
                      size_t *ret_len, linkd_error *err)
{
    FILE *file = fopen(path, "rbe");
    unsigned char *bytes = NULL;
    struct stat st;
    size_t len = 0;
    int rc = LINKD_OK;

    if (file == NULL)
        return fail_read(path, err);
    if (fstat(fileno(file), &st) != 0) {
        rc = fail_read(path, err);
    } else {
        len = (size_t)st.st_size;
        bytes = malloc(len + 1);
        if (bytes == NULL)
            rc = lk_fail_nomem(err);
        else if (fread(bytes, 1, len, file) != len)
            rc = fail_read(path, err);
    }
    (void)fclose(file);
    if (rc != LINKD_OK) {
        free(bytes);
        return rc;
    }
    *ret_bytes = bytes;
    *ret_len = len;
    return LINKD_OK;
}

int lk_compat_map_load(const char *path, linkd_compat_map **ret_map,
                       linkd_error *err)
{
    unsigned char *bytes = NULL;
    size_t len = 0;
    linkd_error own;
    int rc = bytes_read(path, &bytes, &len, err);

    if (rc != LINKD_OK)
        return rc;
    rc = linkd_compat_map_decode(bytes, len, ret_map, &own);
    free(bytes);
    if (rc != LINKD_OK)
        return lk_fail(err, rc, "%s: %s", lk_label_of_path(path).text,
                       own.message);
    return LINKD_OK;
}
