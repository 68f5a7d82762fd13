/* cli/model_import.c — models from directories on this machine.
 *
 * Symbolic links inside the directory are followed: the download cache of the
 * usual Python tools is made of them, and the directory is the user's own
 * choice. Archives are other people's; model_zip.c allows none. */
#include "cli/model_import.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/file.h"
#include "cli/output.h"

#define COPY_BYTES ((size_t)256 << 10)

bool lk_model_is_pickle(const char *file_name)
{
    static const char *const endings[] = {".bin", ".pt", ".pth", ".pkl",
                                          ".ckpt"};
    size_t len = strlen(file_name);

    for (size_t i = 0; i < sizeof(endings) / sizeof(*endings); i++) {
        size_t n = strlen(endings[i]);

        if (len > n && strcasecmp(file_name + len - n, endings[i]) == 0)
            return true;
    }
    return false;
}

static int bytes_copy(int from, const char *from_path, lk_output *to,
                      uint64_t max_bytes, linkd_error *err)
{
    char *bytes = malloc(COPY_BYTES);
    uint64_t sum = 0;
    ssize_t n = 0;
    int rc = bytes != NULL ? LINKD_OK : lk_fail_nomem(err);

    while (rc == LINKD_OK && (n = read(from, bytes, COPY_BYTES)) > 0) {
        sum += (uint64_t)n;
        if (sum > max_bytes)
            rc =
                lk_fail(err, LINKD_E_DATA,
                        "cannot import %s: it is larger than %" PRIu64 " bytes",
                        from_path, max_bytes);
        else
            rc = lk_output_write(to, bytes, (size_t)n, err);
    }
    if (rc == LINKD_OK && n < 0)
        rc = lk_fail_read(from_path, err);
    free(bytes);
    return rc;
}

static int file_copy(const char *from_path, const char *to_path,
                     uint64_t max_bytes, bool is_required, linkd_error *err)
{
    lk_output *to = NULL;
    int from = open(from_path, O_RDONLY | O_CLOEXEC);
    int rc;

    if (from < 0 && errno == ENOENT && !is_required)
        return LINKD_OK;
    if (from < 0)
        return lk_fail_read(from_path, err);
    rc = lk_output_open(to_path, NULL, 0, &to, err);
    if (rc == LINKD_OK)
        rc = bytes_copy(from, from_path, to, max_bytes, err);
    if (rc == LINKD_OK)
        rc = lk_output_commit(&to, 1, err);
    lk_output_close(to);
    (void)close(from);
    return rc;
}

static bool has_pickle(const char *dir)
{
    DIR *stream = opendir(dir);
    struct dirent *entry;
    bool found = false;

    while (stream != NULL && !found && (entry = readdir(stream)) != NULL)
        found = lk_model_is_pickle(entry->d_name);
    if (stream != NULL)
        (void)closedir(stream);
    return found;
}

/* The index is asked for only where the weights are not in one file. */
static int weights_check(const char *dir, const char *index_path,
                         linkd_error *err)
{
    if (access(index_path, F_OK) == 0)
        return LINKD_OK;
    if (has_pickle(dir))
        return lk_fail(err, LINKD_E_DATA,
                       "cannot import %s: its weights are pickled, which can "
                       "run code; " LK_MODEL_WEIGHTS " is needed",
                       dir);
    return lk_fail(err, LINKD_E_IO,
                   "could not import %s: there is neither " LK_MODEL_WEIGHTS
                   " nor " LK_MODEL_INDEX,
                   dir);
}

static int file_bring(void *ctx, const lk_model_file *file, const char *to_path,
                      linkd_error *err)
{
    const char *dir = *(const char **)ctx;
    lk_buf path = {0};
    int rc = lk_buf_printf(&path, err, "%s/%s", dir, file->path);

    if (rc == LINKD_OK && strcmp(file->path, LK_MODEL_INDEX) == 0)
        rc = weights_check(dir, path.data, err);
    if (rc == LINKD_OK)
        rc = file_copy(path.data, to_path, file->max_bytes, file->is_required,
                       err);
    lk_buf_clear(&path);
    return rc;
}

int lk_model_import(const char *path, lk_stage *stage, linkd_error *err)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return lk_fail_read(path, err);
    if (!S_ISDIR(st.st_mode))
        return lk_model_import_zip(path, stage, err);
    return lk_stage_fill(stage, file_bring, &path, err);
}

int lk_model_name_of(const char *path, lk_buf *ret_name, linkd_error *err)
{
    char *resolved = realpath(path, NULL);
    const char *name;
    const char *dot;
    size_t len;
    int rc;

    if (resolved == NULL)
        return lk_fail_read(path, err);
    name = strrchr(resolved, '/') + 1;
    len = strlen(name);
    dot = strrchr(name, '.');
    /* {package}-{version}-{tags}.whl (PEP 427): no dash in the package */
    if (dot != NULL && strcasecmp(dot, ".whl") == 0)
        len = strcspn(name, "-.");
    else if (dot != NULL && strcasecmp(dot, ".zip") == 0)
        len = (size_t)(dot - name);
    rc = lk_buf_append(ret_name, name, len, err);
    free(resolved);
    return rc;
}
