/* cli/pair_model.c — files of linkctl train. */
#include "cli/pair_model.h"

#include "cli/file.h"

/* Trees of a hundred columns are 1 MB. */
#define FILE_MAX_BYTES ((size_t)64 << 20)

int lk_pair_model_load(const char *path, linkd_pair_model **ret_model,
                       linkd_error *err)
{
    lk_buf bytes = {0};
    int rc = lk_file_read(path, FILE_MAX_BYTES, &bytes, err);

    if (rc == LINKD_OK)
        rc = linkd_pair_model_decode(
            path, (linkd_str){bytes.len > 0 ? bytes.data : "", bytes.len},
            ret_model, err);
    lk_buf_clear(&bytes);
    return rc;
}
