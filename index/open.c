/* index/open.c — a data directory, from its lock to its threads.
 *
 *   <dir>/LOCK       flock()ed while somebody has the directory
 *   <dir>/data.mdb   the database; lock.mdb beside it is LMDB's own
 *   <dir>/segments/  what may be deleted at any time
 *
 * The lock is the kernel's, so that a killed process leaves nothing to clean
 * up. The format's number lies in the database and is written by the first
 * transaction of all: a database without it was never in use. An older format
 * is opened as it is; a newer one is refused.
 *
 * A directory that has files and no database is somebody else's, and is left
 * alone. A file system's lost+found does not count. */
#include "index/parts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

uint64_t lk_unix_ms(void)
{
    struct timespec now;
    int rc = clock_gettime(CLOCK_REALTIME, &now);

    LK_ASSERT(rc == 0);
    return (uint64_t)now.tv_sec * 1000U + (uint64_t)now.tv_nsec / 1000000U;
}

void lk_store_tell(linkd_store *store, linkd_store_event event,
                   const char *format, ...)
{
    char message[sizeof(((linkd_error *)NULL)->message)];
    va_list args;

    if (store->options.event_cb == NULL)
        return;
    va_start(args, format);
    (void)vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    store->options.event_cb(store->options.event_ctx, event, message);
}

/* ---- the directory -------------------------------------------------------- */

static int system_fail(const char *verb, const char *path, linkd_error *err)
{
    int number = errno;
    int code = number == ENOENT ? LINKD_E_ABSENT : lk_errno_code(number);

    return lk_fail(err, code, "could not %s \"%s\": %s", verb, path,
                   strerror(number));
}

static int path_join(const char *dir, const char *name, lk_buf *ret_path,
                     linkd_error *err)
{
    lk_buf_reset(ret_path);
    return lk_buf_printf(ret_path, err, "%s/%s", dir, name);
}

/* Makes a directory that survives a power cut: `parent` is synced. */
static int dir_make(const char *path, const char *parent, linkd_error *err)
{
    if (mkdir(path, 0700) != 0)
        return errno == EEXIST ? LINKD_OK
                               : system_fail("make directory", path, err);
    return lk_dir_sync(parent, err);
}

static int data_dir_make(const char *dir, linkd_error *err)
{
    lk_buf parent = {0};
    int rc = lk_buf_printf(&parent, err, "%s/..", dir);

    if (rc == LINKD_OK)
        rc = dir_make(dir, parent.data, err);
    lk_buf_clear(&parent);
    return rc;
}

typedef struct dir_content {
    bool database;
    bool lock;
    bool other; /* something that is not ours */
} dir_content;

static void entry_note(const char *name, dir_content *content)
{
    if (strcmp(name, "data.mdb") == 0)
        content->database = true;
    else if (strcmp(name, "LOCK") == 0)
        content->lock = true;
    else if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
             strcmp(name, "lock.mdb") != 0 && strcmp(name, "segments") != 0 &&
             strcmp(name, "lost+found") != 0)
        content->other = true;
}

static int dir_survey(const char *dir, dir_content *ret_content,
                      linkd_error *err)
{
    dir_content content = {0};
    DIR *stream = opendir(dir);
    const struct dirent *entry;

    if (stream == NULL)
        return system_fail("open directory", dir, err);
    for (;;) {
        errno = 0;
        entry = readdir(stream);
        if (entry == NULL)
            break;
        entry_note(entry->d_name, &content);
    }
    if (errno != 0) {
        int rc = system_fail("read directory", dir, err);

        (void)closedir(stream);
        return rc;
    }
    (void)closedir(stream);
    *ret_content = content;
    return LINKD_OK;
}

static int dir_check(const char *dir, const dir_content *content,
                     bool must_exist, linkd_error *err)
{
    if (!content->database && content->other)
        return lk_fail(err, LINKD_E_DATA,
                       "\"%s\" has files, but is not a data directory", dir);
    if (!content->database && must_exist)
        return lk_fail(err, LINKD_E_ABSENT, "\"%s\" holds no data", dir);
    return LINKD_OK;
}

static int dir_lock(const char *dir, int *ret_fd, linkd_error *err)
{
    lk_buf path = {0};
    int fd = -1;
    int rc = path_join(dir, "LOCK", &path, err);

    if (rc != LINKD_OK)
        goto done;
    fd = open(path.data, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        rc = system_fail("open", path.data, err);
    else if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        *ret_fd = fd;
    else if (errno == EWOULDBLOCK)
        rc = lk_fail(err, LINKD_E_BUSY,
                     "data directory \"%s\" is in use by another process", dir);
    else
        rc = system_fail("lock", path.data, err);
    if (rc != LINKD_OK && fd >= 0)
        (void)close(fd);
done:
    lk_buf_clear(&path);
    return rc;
}

/* ---- the format ------------------------------------------------------------ */

static int format_read(linkd_store *store, uint64_t *ret_format,
                       bool *ret_found, linkd_error *err)
{
    lk_txn *txn = NULL;
    int rc = lk_txn_begin_read(store->env, &txn, err);

    if (rc == LINKD_OK)
        rc = lk_meta_find(txn, "format", ret_format, ret_found, err);
    lk_txn_abort(txn);
    return rc;
}

static int format_write(linkd_store *store, linkd_error *err)
{
    lk_txn *txn = NULL;
    uint64_t uuid = 0;
    int rc;

    if (getrandom(&uuid, sizeof(uuid), 0) != (ssize_t)sizeof(uuid))
        return lk_fail(err, LINKD_E_IO, "could not get random bytes: %s",
                       strerror(errno));
    rc = lk_txn_begin_write(store->env, &txn, err);
    if (rc == LINKD_OK)
        rc = lk_meta_put(txn, "format", LK_FORMAT_FIRST, err);
    if (rc == LINKD_OK)
        rc = lk_meta_put(txn, "uuid", uuid, err);
    if (rc == LINKD_OK)
        rc = lk_meta_put(txn, "seq", 0, err);
    if (rc == LINKD_OK)
        return lk_txn_commit(txn, err);
    lk_txn_abort(txn);
    return rc;
}

static int database_is_empty(linkd_store *store, bool *ret_empty,
                             linkd_error *err)
{
    uint64_t n_meta = 0, n_collections = 0;
    lk_txn *txn = NULL;
    int rc = lk_txn_begin_read(store->env, &txn, err);

    if (rc == LINKD_OK)
        rc = lk_txn_count(txn, LK_TABLE_META, &n_meta, err);
    if (rc == LINKD_OK)
        rc = lk_txn_count(txn, LK_TABLE_COLLECTIONS, &n_collections, err);
    lk_txn_abort(txn);
    *ret_empty = n_meta == 0 && n_collections == 0;
    return rc;
}

/* `may_be_new`: the database was made just now, or by an attempt that did not
 * come this far. One that has lost its format is not made new: that would give
 * out old numbers again. */
static int format_check(linkd_store *store, bool may_be_new, linkd_error *err)
{
    uint64_t format = 0;
    bool found = false;
    bool is_empty = false;
    int rc = format_read(store, &format, &found, err);

    if (rc != LINKD_OK)
        return rc;
    if (!found && may_be_new)
        rc = database_is_empty(store, &is_empty, err);
    if (rc != LINKD_OK)
        return rc;
    if (is_empty)
        return format_write(store, err);
    if (!found)
        return lk_fail(err, LINKD_E_DATA,
                       "the database in \"%s\" is not one of linkd",
                       store->dir);
    if (format > LK_FORMAT_VERSION)
        return lk_fail(err, LINKD_E_DATA,
                       "file is version %" PRIu64 ", newest known is %" PRIu64
                       ": \"%s\"",
                       format, LK_FORMAT_VERSION, store->dir);
    return LINKD_OK;
}

/* ---- opening ---------------------------------------------------------------- */

static int dir_open(linkd_store *store, dir_content *ret_content,
                    linkd_error *err)
{
    bool only_checks = store->options.read_only_check;
    lk_buf path = {0};
    int rc = LINKD_OK;

    if (!only_checks)
        rc = data_dir_make(store->dir, err);
    if (rc == LINKD_OK)
        rc = dir_survey(store->dir, ret_content, err);
    if (rc == LINKD_OK)
        rc = dir_check(store->dir, ret_content, only_checks, err);
    if (rc == LINKD_OK)
        rc = dir_lock(store->dir, &store->lock_fd, err);
    if (rc == LINKD_OK)
        rc = path_join(store->dir, "segments", &path, err);
    if (rc == LINKD_OK)
        rc = dir_make(path.data, store->dir, err);
    lk_buf_clear(&path);
    return rc;
}

static int parts_start(linkd_store *store, linkd_error *err)
{
    int rc = lk_sets_new(&store->sets, err);

    if (rc != LINKD_OK || store->options.read_only_check)
        return rc;
    rc = lk_writer_new(store, &store->writer, err);
    if (rc == LINKD_OK)
        rc = lk_builder_new(store, &store->builder, err);
    return rc;
}

int linkd_store_open(const char *dir, const linkd_store_options *options,
                     linkd_store **ret_store, linkd_error *err)
{
    static const linkd_store_options defaults = LINKD_STORE_OPTIONS_INIT;
    linkd_store *store = calloc(1, sizeof(*store));
    dir_content content = {0};
    int rc;

    if (store == NULL)
        return lk_fail_nomem(err);
    store->lock_fd = -1;
    store->options = options != NULL ? *options : defaults;
    store->dir = malloc(strlen(dir) + 1);
    if (store->dir == NULL) {
        rc = lk_fail_nomem(err);
        goto done;
    }
    memcpy(store->dir, dir, strlen(dir) + 1);
    rc = dir_open(store, &content, err);
    if (rc == LINKD_OK)
        rc = lk_env_open(dir, store->options.map_bytes, &store->env, err);
    if (rc == LINKD_OK) /* LMDB syncs its file, and not that file's name */
        rc = lk_dir_sync(dir, err);
    if (rc == LINKD_OK)
        rc = format_check(store, !content.database || content.lock, err);
    if (rc == LINKD_OK)
        rc = parts_start(store, err);
done:
    if (rc != LINKD_OK) {
        linkd_store_close(store);
        return rc;
    }
    *ret_store = store;
    return LINKD_OK;
}

/* The builder writes through the writer, so it goes first. */
void linkd_store_close(linkd_store *store)
{
    if (store == NULL)
        return;
    lk_builder_free(store->builder);
    lk_writer_free(store->writer);
    lk_sets_free(store->sets);
    lk_env_close(store->env);
    if (store->lock_fd >= 0)
        (void)close(store->lock_fd);
    free(store->dir);
    free(store);
}

void linkd_store_read_stats(linkd_store *store, linkd_store_stats *ret_stats)
{
    linkd_store_stats stats = {0};

    lk_env_read_size(store->env, &stats.map_bytes, &stats.used_bytes);
    lk_sets_read_stats(store->sets, &stats);
    if (store->writer != NULL)
        lk_writer_read_stats(store->writer, &stats);
    if (store->builder != NULL)
        lk_builder_read_stats(store->builder, &stats);
    *ret_stats = stats;
}
