/* cli/compat_file.c — see compat_file.h. */
#include "cli/compat_file.h"

#include "cli/file.h"
#include "linkage/linkage.h"

int lk_compat_map_load(const char *path, linkd_compat_map **ret_map,
                       linkd_error *err)
{
    lk_buf bytes = {0};
    linkd_error own;
    int rc = lk_file_read(path, SIZE_MAX, &bytes, err);

    if (rc == LINKD_OK) {
        rc = linkd_compat_map_decode((const unsigned char *)bytes.data,
                                     bytes.len, ret_map, &own);
        if (rc != LINKD_OK)
            (void)lk_fail(err, rc, "%s: %s", lk_label_of_path(path).text,
                          own.message);
    }
    lk_buf_clear(&bytes);
    return rc;
}
