/* cli/output.c — results that are whole or absent.
 *
 * A reader of pairs.csv must never find half of it: not after Ctrl-C, not on a
 * full disk, not while the run is still going. So the bytes go to
 * `.linkctl.<pid>.<hash of the name>` in the same directory (rename is atomic
 * only inside one file system), which is flushed, synced, closed and then
 * renamed. Every one of these steps can report a full disk, so each is checked.
 * Several outputs of one run are all synced before the first is renamed.
 *
 * What is no regular file (standard output, a pipe, /dev/null) cannot be
 * replaced by rename and is written directly. A symbolic link is followed: the
 * file that it names is replaced or made, not the link. */
#include "cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "cli/interrupt.h"
#include "cli/rows.h"
#include "linkage/linkage.h"

#define BUFFER_BYTES ((size_t)64 << 10)
#define LINKS_MAX    40 /* as many as Linux follows: path_resolution(7) */

struct lk_output {
    lk_label label; /* as messages call it */
    char *path;     /* where it ends up, links resolved */
    char *tmp_path; /* NULL: written directly */
    int fd;
    bool is_owned; /* opened here, so to be closed here */
    bool is_committed;
    size_t n_buffered;
    char buffer[BUFFER_BYTES];
};

static int fail_write(const lk_output *output, linkd_error *err)
{
    return lk_fail(err, LINKD_E_IO, "could not write %s: %s",
                   output->label.text, strerror(errno));
}

static int write_all(const lk_output *output, const char *bytes, size_t len,
                     linkd_error *err)
{
    while (len > 0) {
        ssize_t n = write(output->fd, bytes, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail_write(output, err);
        bytes += n;
        len -= (size_t)n;
    }
    return LINKD_OK;
}

static int flush(lk_output *output, linkd_error *err)
{
    size_t n = output->n_buffered;

    output->n_buffered = 0;
    return write_all(output, output->buffer, n, err);
}

static int inputs_check(const lk_output *output, const struct stat *target,
                        const char *const *inputs, size_t n_inputs,
                        linkd_error *err)
{
    for (size_t i = 0; i < n_inputs; i++) {
        struct stat input;

        if (inputs[i] == NULL || stat(inputs[i], &input) != 0)
            continue;
        if (input.st_dev == target->st_dev && input.st_ino == target->st_ino)
            return lk_fail(err, LINKD_E_ARG, "cannot write %s: it is also read",
                           output->label.text);
    }
    return LINKD_OK;
}

/* Length of the directory in front of the name, with its slash. */
static size_t dir_len(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? (size_t)(slash + 1 - path) : 0;
}

/* The hash keeps the name short, since one of 255 bytes leaves no room for an
 * ending, and the same for one file, so that O_EXCL finds two outputs that are
 * one. */
static char *tmp_path_make(const char *path)
{
    size_t dir = dir_len(path);
    const char *name = path + dir;
    char *tmp_path;

    if (asprintf(&tmp_path, "%.*s.linkctl.%ld.%016" PRIx64, (int)dir, path,
                 (long)getpid(), (uint64_t)XXH3_64bits(name, strlen(name))) < 0)
        return NULL;
    return tmp_path;
}

/* `mode` is the one of the file that is replaced. */
static int tmp_open(lk_output *output, const mode_t *mode, linkd_error *err)
{
    output->tmp_path = tmp_path_make(output->path);
    if (output->tmp_path == NULL)
        return lk_fail_nomem(err);
    lk_interrupt_guard(output->tmp_path);
    output->fd =
        open(output->tmp_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (output->fd < 0) {
        int rc = fail_write(output, err);

        if (errno == EEXIST) /* not ours to remove */
            rc = lk_fail(
                err, LINKD_E_ARG, "cannot write %s twice at once: %s exists",
                output->label.text, lk_label_of_path(output->tmp_path).text);
        lk_interrupt_release(output->tmp_path);
        free(output->tmp_path);
        output->tmp_path = NULL;
        return rc;
    }
    output->is_owned = true;
    if (mode != NULL)
        (void)fchmod(output->fd, *mode & 07777);
    return LINKD_OK;
}

static int direct_open(lk_output *output, linkd_error *err)
{
    output->fd = open(output->path, O_WRONLY | O_CLOEXEC);
    output->is_owned = output->fd >= 0;
    return output->is_owned ? LINKD_OK : fail_write(output, err);
}

static int existing_open(lk_output *output, const struct stat *target,
                         linkd_error *err)
{
    char *resolved;

    if (S_ISDIR(target->st_mode)) {
        errno = EISDIR;
        return fail_write(output, err);
    }
    if (!S_ISREG(target->st_mode))
        return direct_open(output, err);
    resolved = realpath(output->path, NULL);
    if (resolved == NULL)
        return fail_write(output, err);
    free(output->path);
    output->path = resolved;
    return tmp_open(output, &target->st_mode, err);
}

/* One step along a symbolic link. */
static int link_follow(lk_output *output, linkd_error *err)
{
    char target[PATH_MAX];
    ssize_t len = readlink(output->path, target, sizeof(target));
    char *path;

    if (len < 0)
        return fail_write(output, err);
    if (asprintf(&path, "%.*s%.*s",
                 target[0] == '/' ? 0 : (int)dir_len(output->path),
                 output->path, (int)len, target) < 0)
        return lk_fail_nomem(err);
    free(output->path);
    output->path = path;
    return LINKD_OK;
}

/* Nothing is there yet, unless a link to what is to be made. */
static int new_open(lk_output *output, linkd_error *err)
{
    struct stat st;

    for (int i = 0; i < LINKS_MAX; i++) {
        int rc;

        if (lstat(output->path, &st) != 0 || !S_ISLNK(st.st_mode))
            return tmp_open(output, NULL, err);
        rc = link_follow(output, err);
        if (rc != LINKD_OK)
            return rc;
    }
    errno = ELOOP;
    return fail_write(output, err);
}

/* Files of these endings would be taken for what they are not. */
static int ending_check(const lk_output *output, linkd_error *err)
{
    static const char *const foreign[] = {".parquet", ".arrow", ".feather",
                                          ".xlsx",    ".xls",   ".ods",
                                          ".gz",      ".zst",   ".zip"};

    for (size_t i = 0; i < sizeof(foreign) / sizeof(*foreign); i++) {
        if (lk_path_ends_in(output->path, foreign[i]))
            return lk_fail(err, LINKD_E_ARG,
                           "cannot write %s: %s files are not written",
                           output->label.text, foreign[i]);
    }
    return LINKD_OK;
}

static int path_open(lk_output *output, const char *const *inputs,
                     size_t n_inputs, linkd_error *err)
{
    struct stat target;
    int rc;

    if (strcmp(output->path, "-") == 0) {
        output->fd = STDOUT_FILENO;
        return LINKD_OK;
    }
    if (stat(output->path, &target) != 0)
        return errno == ENOENT ? new_open(output, err)
                               : fail_write(output, err);
    rc = inputs_check(output, &target, inputs, n_inputs, err);
    if (rc != LINKD_OK)
        return rc;
    return existing_open(output, &target, err);
}

int lk_output_open(const char *path, const char *const *inputs, size_t n_inputs,
                   lk_output **ret_output, linkd_error *err)
{
    lk_output *output = calloc(1, sizeof(*output));
    int rc;

    if (output == NULL)
        return lk_fail_nomem(err);
    output->fd = -1;
    if (strcmp(path, "-") == 0)
        output->label = lk_label_of((linkd_str){"to standard output", 18});
    else
        output->label = lk_label_of_path(path);
    output->path = strdup(path);
    if (output->path == NULL)
        rc = lk_fail_nomem(err);
    else
        rc = ending_check(output, err);
    if (rc == LINKD_OK)
        rc = path_open(output, inputs, n_inputs, err);
    if (rc != LINKD_OK) {
        lk_output_close(output);
        return rc;
    }
    *ret_output = output;
    return LINKD_OK;
}

void lk_output_close(lk_output *output)
{
    if (output == NULL)
        return;
    if (output->is_owned)
        (void)close(output->fd);
    if (output->tmp_path != NULL) {
        if (!output->is_committed)
            (void)unlink(output->tmp_path);
        lk_interrupt_release(output->tmp_path);
    }
    free(output->tmp_path);
    free(output->path);
    free(output);
}

int lk_output_write(lk_output *output, const void *bytes, size_t len,
                    linkd_error *err)
{
    int rc;

    if (output->n_buffered + len > BUFFER_BYTES) {
        rc = flush(output, err);
        if (rc != LINKD_OK)
            return rc;
    }
    if (len > BUFFER_BYTES)
        return write_all(output, bytes, len, err);
    memcpy(output->buffer + output->n_buffered, bytes, len);
    output->n_buffered += len;
    return LINKD_OK;
}

int lk_output_patch(lk_output *output, uint64_t offset, const void *bytes,
                    size_t len, linkd_error *err)
{
    int rc = flush(output, err);

    LK_ASSERT(output->tmp_path != NULL);
    if (rc != LINKD_OK)
        return rc;
    if (pwrite(output->fd, bytes, len, (off_t)offset) != (ssize_t)len)
        return fail_write(output, err);
    return LINKD_OK;
}

bool lk_output_is_file(const lk_output *output)
{
    return output->tmp_path != NULL;
}

static int sync_and_close(lk_output *output, linkd_error *err)
{
    int rc = flush(output, err);

    if (rc != LINKD_OK || !output->is_owned)
        return rc;
    if (output->tmp_path != NULL && fsync(output->fd) != 0)
        return fail_write(output, err);
    output->is_owned = false;
    return close(output->fd) == 0 ? LINKD_OK : fail_write(output, err);
}

int lk_output_commit(lk_output *const *outputs, size_t n_outputs,
                     linkd_error *err)
{
    for (size_t i = 0; i < n_outputs; i++) {
        int rc = outputs[i] ? sync_and_close(outputs[i], err) : LINKD_OK;

        if (rc != LINKD_OK)
            return rc;
    }
    for (size_t i = 0; i < n_outputs; i++) {
        lk_output *output = outputs[i];

        if (output == NULL || output->tmp_path == NULL)
            continue;
        if (rename(output->tmp_path, output->path) != 0)
            return fail_write(output, err);
        output->is_committed = true;
    }
    return LINKD_OK;
}
