/* cli/model_zip.c — models from zip archives and Python wheels.
 *
 * An archive is hostile until read: a name may leave the directory, an entry
 * may be a link, a kilobyte may unpack to a terabyte. Nothing is ever written
 * under an entry's own name (model_store.c has the list of names), every entry
 * is read through a size limit, and an archive that holds an absolute path,
 * ".." or a link anywhere is refused as a whole: no honest one does. libzip
 * checks the CRCs. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zip.h>

#include "cli/model_import.h"
#include "cli/output.h"

#define ENTRIES_MAX 100000
#define COPY_BYTES  ((size_t)256 << 10)

typedef struct archive {
    zip_t *zip;
    const char *path;
    const char *folder; /* the model's, with its slash, … */
    size_t folder_len;  /* … and so long */
} archive;

static int fail_entry(const archive *a, const char *name, const char *why,
                      linkd_error *err)
{
    return lk_fail(err, LINKD_E_DATA, "cannot import %s: %.80s: %s", a->path,
                   name, why);
}

static bool name_is_safe(const char *name)
{
    if (name[0] == '/' || strchr(name, '\\') != NULL)
        return false;
    while (*name != '\0') {
        size_t n = strcspn(name, "/");

        if (n == 2 && memcmp(name, "..", 2) == 0)
            return false;
        name += n;
        name += *name == '/';
    }
    return true;
}

static bool is_link(const archive *a, zip_uint64_t entry)
{
    zip_uint8_t system;
    zip_uint32_t attributes;

    if (zip_file_get_external_attributes(a->zip, entry, 0, &system,
                                         &attributes) != 0)
        return false;
    return system == ZIP_OPSYS_UNIX && S_ISLNK(attributes >> 16);
}

/* Is `name` <folder>/<file>? Then *ret_folder is the length with the slash. */
static bool ends_in_file(const char *name, const char *file, size_t *ret_folder)
{
    size_t len = strlen(name);
    size_t n = strlen(file);

    if (len < n || strcmp(name + len - n, file) != 0 ||
        (len > n && name[len - n - 1] != '/'))
        return false;
    *ret_folder = len - n;
    return true;
}

static int64_t entry_find(const archive *a, const char *folder,
                          size_t folder_len, const char *file)
{
    char name[1024];
    int n =
        snprintf(name, sizeof(name), "%.*s%s", (int)folder_len, folder, file);

    if (n < 0 || (size_t)n >= sizeof(name))
        return -1;
    return zip_name_locate(a->zip, name, ZIP_FL_ENC_GUESS);
}

static int entries_check(const archive *a, linkd_error *err)
{
    zip_int64_t n = zip_get_num_entries(a->zip, 0);

    if (n > ENTRIES_MAX)
        return lk_fail(err, LINKD_E_DATA,
                       "cannot import %s: it has more than %d entries", a->path,
                       ENTRIES_MAX);
    for (zip_int64_t i = 0; i < n; i++) {
        const char *name =
            zip_get_name(a->zip, (zip_uint64_t)i, ZIP_FL_ENC_GUESS);

        if (name == NULL)
            return fail_entry(a, "?", zip_strerror(a->zip), err);
        if (!name_is_safe(name))
            return fail_entry(a, name, "the path leaves the archive", err);
        if (is_link(a, (zip_uint64_t)i))
            return fail_entry(a, name, "it is a link", err);
    }
    return LINKD_OK;
}

static int fail_no_model(const archive *a, bool has_pickle, linkd_error *err)
{
    if (has_pickle)
        return lk_fail(err, LINKD_E_DATA,
                       "cannot import %s: its weights are pickled, which can "
                       "run code; " LK_MODEL_WEIGHTS " is needed",
                       a->path);
    return lk_fail(err, LINKD_E_DATA,
                   "cannot import %s: no folder in it holds both config.json "
                   "and " LK_MODEL_WEIGHTS " or " LK_MODEL_INDEX,
                   a->path);
}

/* The one folder with a model in it, as a length of *ret_folder. */
static int folder_find(const archive *a, const char **ret_folder,
                       size_t *ret_len, linkd_error *err)
{
    zip_int64_t n = zip_get_num_entries(a->zip, 0);
    const char *found = NULL;
    size_t found_len = 0;
    bool has_pickle = false;

    for (zip_int64_t i = 0; i < n; i++) {
        const char *name =
            zip_get_name(a->zip, (zip_uint64_t)i, ZIP_FL_ENC_GUESS);
        size_t len;

        has_pickle = has_pickle || lk_model_is_pickle(name);
        if ((!ends_in_file(name, LK_MODEL_WEIGHTS, &len) &&
             !ends_in_file(name, LK_MODEL_INDEX, &len)) ||
            entry_find(a, name, len, "config.json") < 0)
            continue;
        if (found != NULL && len == found_len && memcmp(name, found, len) == 0)
            continue; /* it has both */
        if (found != NULL)
            return lk_fail(err, LINKD_E_DATA,
                           "cannot import %s: it holds several models, %.60s "
                           "and %.60s",
                           a->path, found, name);
        found = name;
        found_len = len;
    }
    if (found == NULL)
        return fail_no_model(a, has_pickle, err);
    *ret_folder = found;
    *ret_len = found_len;
    return LINKD_OK;
}

static int bytes_unpack(const archive *a, zip_file_t *from, lk_output *to,
                        const lk_model_file *file, linkd_error *err)
{
    char *bytes = malloc(COPY_BYTES);
    uint64_t sum = 0;
    zip_int64_t n = 0;
    int rc = bytes != NULL ? LINKD_OK : lk_fail_nomem(err);

    while (rc == LINKD_OK && (n = zip_fread(from, bytes, COPY_BYTES)) > 0) {
        sum += (uint64_t)n;
        if (sum > file->max_bytes)
            rc = fail_entry(a, file->path, "it is too large", err);
        else
            rc = lk_output_write(to, bytes, (size_t)n, err);
    }
    if (rc == LINKD_OK && n < 0)
        rc = fail_entry(a, file->path, zip_file_strerror(from), err);
    free(bytes);
    return rc;
}

static int entry_unpack(const archive *a, zip_uint64_t entry,
                        const lk_model_file *file, const char *to_path,
                        linkd_error *err)
{
    lk_output *to = NULL;
    zip_file_t *from;
    zip_stat_t st;
    int rc;

    if (zip_stat_index(a->zip, entry, 0, &st) != 0)
        return fail_entry(a, file->path, zip_strerror(a->zip), err);
    if ((st.valid & ZIP_STAT_SIZE) != 0 && st.size > file->max_bytes)
        return fail_entry(a, file->path, "it is too large", err);
    from = zip_fopen_index(a->zip, entry, 0);
    if (from == NULL)
        return fail_entry(a, file->path, zip_strerror(a->zip), err);
    rc = lk_output_open(to_path, NULL, 0, &to, err);
    if (rc == LINKD_OK)
        rc = bytes_unpack(a, from, to, file, err);
    if (rc == LINKD_OK)
        rc = lk_output_commit(&to, 1, err);
    lk_output_close(to);
    (void)zip_fclose(from);
    return rc;
}

static int file_bring(void *ctx, const lk_model_file *file, const char *to_path,
                      linkd_error *err)
{
    const archive *a = ctx;
    int64_t entry = entry_find(a, a->folder, a->folder_len, file->path);

    if (entry >= 0)
        return entry_unpack(a, (zip_uint64_t)entry, file, to_path, err);
    return file->is_required
               ? fail_entry(a, file->path, "it is not in the archive", err)
               : LINKD_OK;
}

static int archive_unpack(archive *a, lk_stage *stage, linkd_error *err)
{
    int rc = entries_check(a, err);

    if (rc == LINKD_OK)
        rc = folder_find(a, &a->folder, &a->folder_len, err);
    return rc == LINKD_OK ? lk_stage_fill(stage, file_bring, a, err) : rc;
}

int lk_model_import_zip(const char *path, lk_stage *stage, linkd_error *err)
{
    archive a = {.path = path};
    int code = 0;
    int rc;

    a.zip = zip_open(path, ZIP_RDONLY, &code);
    if (a.zip == NULL) {
        zip_error_t reason;

        zip_error_init_with_code(&reason, code);
        rc = lk_fail(err, LINKD_E_DATA, "cannot import %s: %s", path,
                     zip_error_strerror(&reason));
        zip_error_fini(&reason);
        return rc;
    }
    rc = archive_unpack(&a, stage, err);
    zip_discard(a.zip);
    return rc;
}
