/* index/backup.c — copies of a data directory, and a smaller one in its place.
 *
 *   <dir>.tmp-<random>/data.mdb   compacted copy of one moment, by LMDB
 *                     /segments/  hard links, or copies on another file system
 *          │ all of it synced
 *          ▼ renamed
 *   <dir>/
 *
 * Which segments belong to the copy is read from the copy itself. One that the
 * builder has merged away since is left out: whoever opens the backup builds it
 * anew. Links are enough because segments are never changed in place; removing
 * one here leaves the backup's.
 *
 * Invariant: <dir> is complete or not there, at every moment, and a failure
 * leaves nothing behind. A process that is killed leaves the .tmp directory,
 * which nobody takes for a backup.
 *
 * Writes go on meanwhile, but pages that they free are not reused until LMDB's
 * copy is done. */
#include "index/parts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_BYTES ((size_t)1 << 20)
#define STEP       "backup"

typedef struct backup {
    linkd_store *store;
    const linkd_progress *progress;
    const char *dir;
    lk_buf tmp;      /* the directory that is being filled */
    lk_buf segments; /* tmp/segments */
    bool is_made;    /* tmp is there */
    uint64_t n_bytes;
    uint64_t n_bytes_total;
} backup;

/* ---- files --------------------------------------------------------------- */

static int system_fail(const char *verb, const char *path, linkd_error *err)
{
    int number = errno;
    int code = number == EEXIST   ? LINKD_E_CONFLICT
               : number == ENOMEM ? LINKD_E_NOMEM
                                  : lk_errno_code(number);

    return lk_fail(err, code, "could not %s \"%s\": %s", verb, path,
                   strerror(number));
}

static int parent_sync(const char *path, linkd_error *err)
{
    const char *slash = strrchr(path, '/');
    char *parent = NULL;
    int rc;

    if (slash == NULL)
        return lk_dir_sync(".", err);
    if (slash == path)
        return lk_dir_sync("/", err);
    parent = strndup(path, (size_t)(slash - path));
    if (parent == NULL)
        return lk_fail_nomem(err);
    rc = lk_dir_sync(parent, err);
    free(parent);
    return rc;
}

static int bytes_write(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        bytes += n;
        len -= (size_t)n;
    }
    return 0;
}

static int bytes_copy(int from, int to, char *room)
{
    for (;;) {
        ssize_t n = read(from, room, COPY_BYTES);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return (int)n;
        if (bytes_write(to, room, (size_t)n) != 0)
            return -1;
    }
}

/* `from` is an open descriptor: the file may lose its name meanwhile. */
static int file_copy(int from, const char *path, linkd_error *err)
{
    char *room = malloc(COPY_BYTES);
    int to = -1;
    int rc = LINKD_OK;

    if (room == NULL)
        return lk_fail_nomem(err);
    to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (to < 0)
        rc = system_fail("create", path, err);
    else if (bytes_copy(from, to, room) != 0 || fsync(to) != 0)
        rc = system_fail("write", path, err);
    if (to >= 0 && close(to) != 0 && rc == LINKD_OK)
        rc = system_fail("close", path, err);
    free(room);
    return rc;
}

/* Removes a directory of plain files; what it cannot remove it leaves. */
static void dir_remove(const char *path)
{
    DIR *stream = opendir(path);
    const struct dirent *entry;

    if (stream == NULL)
        return;
    for (entry = readdir(stream); entry != NULL; entry = readdir(stream))
        (void)unlinkat(dirfd(stream), entry->d_name, 0);
    (void)closedir(stream);
    (void)rmdir(path);
}

/* ---- backup -------------------------------------------------------------- */

static int progress_add(backup *b, uint64_t n_bytes, linkd_error *err)
{
    b->n_bytes += n_bytes;
    if (b->n_bytes > b->n_bytes_total)
        b->n_bytes_total = b->n_bytes;
    return lk_progress_report(b->progress, STEP, b->n_bytes, b->n_bytes_total,
                              err);
}

static int dirs_make(backup *b, linkd_error *err)
{
    uint64_t number = 0;
    struct stat info;
    int rc;

    if (lstat(b->dir, &info) == 0)
        return lk_fail(err, LINKD_E_CONFLICT, "\"%s\" exists already", b->dir);
    if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number))
        return lk_fail(err, LINKD_E_IO, "could not get random bytes: %s",
                       strerror(errno));
    rc = lk_buf_printf(&b->tmp, err, "%s.tmp-%016" PRIx64, b->dir, number);
    if (rc == LINKD_OK)
        rc = lk_buf_printf(&b->segments, err, "%s/segments", b->tmp.data);
    if (rc != LINKD_OK)
        return rc;
    if (mkdir(b->tmp.data, 0700) != 0)
        return system_fail("make directory", b->tmp.data, err);
    b->is_made = true;
    if (mkdir(b->segments.data, 0700) != 0)
        return system_fail("make directory", b->segments.data, err);
    return LINKD_OK;
}

static int database_copy(backup *b, linkd_error *err)
{
    lk_buf path = {0};
    struct stat info = {0};
    int rc = lk_buf_printf(&path, err, "%s/data.mdb", b->tmp.data);

    if (rc == LINKD_OK)
        rc = lk_env_copy(b->store->env, path.data, err);
    if (rc == LINKD_OK && stat(path.data, &info) != 0)
        rc = system_fail("read", path.data, err);
    if (rc == LINKD_OK)
        rc = progress_add(b, (uint64_t)info.st_size, err);
    lk_buf_clear(&path);
    return rc;
}

/* Links, or copies, a file that may be gone. */
static int segment_file_copy(const char *from, const char *to, linkd_error *err)
{
    int fd = -1;
    int rc;

    if (link(from, to) == 0 || errno == ENOENT)
        return LINKD_OK;
    fd = open(from, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? LINKD_OK : system_fail("open", from, err);
    rc = file_copy(fd, to, err);
    (void)close(fd);
    return rc;
}

static int segment_copy(backup *b, linkd_str key, const lk_segment_row *row,
                        linkd_error *err)
{
    linkd_str pair = {key.bytes, key.len - sizeof(uint64_t)};
    uint64_t both = lk_key_tail_u64(pair); /* collection u32, generation u32 */
    uint32_t collection = (uint32_t)(both >> 32);
    uint32_t generation = (uint32_t)(both & UINT32_MAX);
    uint64_t number = lk_key_tail_u64(key);
    lk_buf from = {0};
    lk_buf to = {0};
    int rc = lk_segment_path(b->store->dir, collection, generation, number,
                             &from, err);

    if (rc == LINKD_OK)
        rc = lk_segment_path(b->tmp.data, collection, generation, number, &to,
                             err);
    if (rc == LINKD_OK)
        rc = segment_file_copy(from.data, to.data, err);
    if (rc == LINKD_OK)
        rc = progress_add(b, row->file_bytes, err);
    lk_buf_clear(&to);
    lk_buf_clear(&from);
    return rc;
}

static int segments_copy(backup *b, lk_cursor *cursor, linkd_error *err)
{
    static const linkd_str first = {"", 0};
    lk_segment_row row;
    linkd_str key;
    linkd_str value;
    linkd_str body;
    bool found = false;
    int rc = lk_cursor_seek(cursor, first, &key, &value, &found, err);

    while (rc == LINKD_OK && found) {
        rc = lk_value_open(LK_TABLE_SEGMENTS, key, value, &body, err);
        if (rc == LINKD_OK)
            rc = lk_segment_row_decode(body, &row, err);
        if (rc == LINKD_OK && key.len != 2 * sizeof(uint64_t))
            rc = lk_fail(err, LINKD_E_DATA, "a segment's key is damaged");
        if (rc == LINKD_OK)
            rc = segment_copy(b, key, &row, err);
        if (rc == LINKD_OK)
            rc = lk_cursor_next(cursor, &key, &value, &found, err);
    }
    return rc;
}

/* Asks the copy which segments belong to it. */
static int copy_complete(backup *b, linkd_error *err)
{
    lk_env *env = NULL;
    lk_txn *txn = NULL;
    lk_cursor *cursor = NULL;
    lk_buf lock = {0};
    int rc = lk_buf_printf(&lock, err, "%s/lock.mdb", b->tmp.data);

    if (rc == LINKD_OK)
        rc = lk_env_open(b->tmp.data, b->store->options.map_bytes, &env, err);
    if (rc == LINKD_OK)
        rc = lk_txn_begin_read(env, &txn, err);
    if (rc == LINKD_OK)
        rc = lk_cursor_open(txn, LK_TABLE_SEGMENTS, &cursor, err);
    if (rc == LINKD_OK)
        rc = segments_copy(b, cursor, err);
    lk_cursor_close(cursor);
    lk_txn_abort(txn);
    if (env != NULL)
        lk_env_close(env);
    if (rc == LINKD_OK)
        (void)unlink(lock.data); /* holds nothing; made again when needed */
    lk_buf_clear(&lock);
    return rc;
}

/* From here on the backup is there. */
static int tmp_rename(backup *b, linkd_error *err)
{
    int rc = lk_dir_sync(b->segments.data, err);

    if (rc == LINKD_OK)
        rc = lk_dir_sync(b->tmp.data, err);
    if (rc != LINKD_OK)
        return rc;
    if (renameat2(AT_FDCWD, b->tmp.data, AT_FDCWD, b->dir, RENAME_NOREPLACE) !=
            0 &&
        (errno != EINVAL || rename(b->tmp.data, b->dir) != 0))
        return system_fail("rename the backup to", b->dir, err);
    b->is_made = false;
    return parent_sync(b->dir, err);
}

static void tmp_remove(const backup *b)
{
    if (!b->is_made)
        return;
    dir_remove(b->segments.data);
    dir_remove(b->tmp.data);
}

static int backup_run(backup *b, linkd_error *err)
{
    linkd_store_stats stats;
    int rc;

    linkd_store_read_stats(b->store, &stats);
    b->n_bytes_total = stats.used_bytes + stats.segment_bytes;
    rc = progress_add(b, 0, err);
    if (rc == LINKD_OK)
        rc = dirs_make(b, err);
    if (rc == LINKD_OK)
        rc = database_copy(b, err);
    if (rc == LINKD_OK)
        rc = copy_complete(b, err);
    if (rc == LINKD_OK)
        rc = tmp_rename(b, err);
    tmp_remove(b);
    return rc;
}

int linkd_store_backup(linkd_store *store, const char *dir,
                       const linkd_progress *progress, linkd_error *err)
{
    backup b = {.store = store, .progress = progress};
    char *name = strdup(dir);
    size_t len = strlen(dir);
    int rc;

    if (name == NULL)
        return lk_fail_nomem(err);
    while (len > 1 && name[len - 1] == '/')
        name[--len] = '\0';
    b.dir = name;
    rc = len == 0 ? lk_fail(err, LINKD_E_ARG, "the backup has no name")
                  : backup_run(&b, err);
    lk_buf_clear(&b.segments);
    lk_buf_clear(&b.tmp);
    free(name);
    return rc;
}

/* ---- compact ------------------------------------------------------------- */

static int file_size(const char *path, uint64_t *ret_bytes, linkd_error *err)
{
    struct stat info;

    if (stat(path, &info) != 0)
        return system_fail("read", path, err);
    *ret_bytes = (uint64_t)info.st_size;
    return LINKD_OK;
}

/* Replaces the database by its copy while its lock is held. */
static int database_replace(linkd_store *store, const char *path,
                            const char *copy, uint64_t *ret_bytes_before,
                            uint64_t *ret_bytes_after, linkd_error *err)
{
    uint64_t before = 0;
    uint64_t after = 0;
    int rc = file_size(path, &before, err);

    (void)unlink(copy); /* of an attempt that was killed */
    if (rc == LINKD_OK)
        rc = lk_env_copy(store->env, copy, err);
    if (rc == LINKD_OK)
        rc = file_size(copy, &after, err);
    if (rc == LINKD_OK && rename(copy, path) != 0)
        rc = system_fail("replace", path, err);
    if (rc != LINKD_OK) {
        (void)unlink(copy);
        return rc;
    }
    *ret_bytes_before = before;
    *ret_bytes_after = after;
    return parent_sync(path, err);
}

int linkd_store_compact(const char *dir, uint64_t *ret_bytes_before,
                        uint64_t *ret_bytes_after, linkd_error *err)
{
    linkd_store_options options = LINKD_STORE_OPTIONS_INIT;
    linkd_store *store = NULL;
    lk_buf path = {0};
    lk_buf copy = {0};
    int rc;

    options.read_only_check = true;
    rc = linkd_store_open(dir, &options, &store, err);
    if (rc == LINKD_OK)
        rc = lk_buf_printf(&path, err, "%s/data.mdb", dir);
    if (rc == LINKD_OK)
        rc = lk_buf_printf(&copy, err, "%s/data.mdb.tmp", dir);
    if (rc == LINKD_OK)
        rc = database_replace(store, path.data, copy.data, ret_bytes_before,
                              ret_bytes_after, err);
    if (store != NULL)
        linkd_store_close(store);
    lk_buf_clear(&copy);
    lk_buf_clear(&path);
    return rc;
}
