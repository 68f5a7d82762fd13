/* encoder/packed.c — packed weights, kept in a file for the next time.
 *
 * Opening a model reads all of its weights to know that they are the same as
 * before (the fingerprint), packs them, parses its vocabulary and, for int8,
 * tries it out. All of that gives the same result every time, so it is written
 * down, and the next process maps it:
 *
 *   0      header: magic, key, lengths, hash of what follows, fingerprint, hash
 *          of the header
 *   4096   image of the tokenizer (tokenizer_image.c), or nothing
 *   …4096  the block of the model (model.c), as the kernels read it
 *
 * Numbers are in the processor's own order: the file is of no use elsewhere, and
 * where it is found the magic number tells. The file is a cache: whatever does not fit is
 * ignored and written anew, deleting it costs a slow start. Nobody syncs it,
 * since after a crash the hash tells.
 *
 *   MODEL/linkd-packed-LAYOUT.bin                   if that can be written, else
 *   $XDG_CACHE_HOME/linkd/packed-HASH-LAYOUT.bin    HASH: of the model's path
 *
 * One model has as many files as there are layouts that somebody used; of those
 * in the cache only the FILES_MAX that were written last are kept. */
#include "encoder/packed.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#define MAGIC      UINT64_C(0x6b6370646b6e696c) /* "linkdpck" */
#define PAGE       ((size_t)4096)
#define FILES_MAX  8
#define CACHE_NAME "packed-"
/* A file half written is of a process that died if it is older than this. */
#define STALE_SECONDS 600

int lk_packed_settle_seconds = 2;

typedef struct header {
    uint64_t magic;
    uint64_t key[2];
    uint64_t tokenizer_len;
    uint64_t n_floats;
    uint64_t content_hash; /* of all after the header's page */
    char fingerprint[LK_FINGERPRINT_DIGITS];
    uint64_t header_hash; /* of all before it */
} header;

bool lk_packed_is_wanted(void)
{
    const char *value = getenv("LINKD_PACKED");

    return value == NULL || strcmp(value, "off") != 0;
}

/* ---- format ------------------------------------------------------------- */

static uint64_t header_hash(const header *h)
{
    return XXH3_64bits(h, offsetof(header, header_hash));
}

static size_t page_up(size_t n)
{
    return (n + PAGE - 1) / PAGE * PAGE;
}

/* Lengths of a header say how long the file has to be; none can overflow. */
static bool is_length(const header *h, size_t len)
{
    return h->tokenizer_len <= len && h->n_floats <= len / sizeof(float) &&
           PAGE + page_up(h->tokenizer_len) + h->n_floats * sizeof(float) ==
               len;
}

bool lk_packed_parse(const uint8_t *bytes, size_t len, lk_packed_key key,
                     lk_packed *packed)
{
    header h;

    if (len < PAGE)
        return false;
    memcpy(&h, bytes, sizeof(h));
    if (h.magic != MAGIC || h.header_hash != header_hash(&h) ||
        h.key[0] != key.low || h.key[1] != key.high || !is_length(&h, len) ||
        h.content_hash != XXH3_64bits(bytes + PAGE, len - PAGE))
        return false;
    memcpy(packed->fingerprint, h.fingerprint, sizeof(h.fingerprint));
    packed->fingerprint[sizeof(h.fingerprint)] = '\0';
    packed->tokenizer =
        (linkd_str){(const char *)bytes + PAGE, h.tokenizer_len};
    packed->block =
        (const float *)(const void *)(bytes + PAGE + page_up(h.tokenizer_len));
    packed->n_floats = h.n_floats;
    return true;
}

/* ---- where -------------------------------------------------------------- */

static int path_beside(const char *dir, const char *layout, lk_buf *ret_path,
                       linkd_error *err)
{
    lk_buf_reset(ret_path);
    return lk_buf_printf(ret_path, err, "%s/linkd-packed-%s.bin", dir, layout);
}

static const char *variable(const char *name)
{
    const char *value = getenv(name);

    return value != NULL && value[0] != '\0' ? value : NULL;
}

/* Stays empty where there is no home to keep a cache in. */
static int cache_dir(lk_buf *ret_path, linkd_error *err)
{
    const char *cache = variable("XDG_CACHE_HOME");
    const char *home = variable("HOME");

    lk_buf_reset(ret_path);
    if (cache != NULL)
        return lk_buf_printf(ret_path, err, "%s/linkd", cache);
    if (home != NULL)
        return lk_buf_printf(ret_path, err, "%s/.cache/linkd", home);
    return LINKD_OK;
}

static int path_in_cache(const char *dir, const char *layout, lk_buf *ret_path,
                         linkd_error *err)
{
    char full[PATH_MAX];
    int rc = cache_dir(ret_path, err);

    if (rc != LINKD_OK || ret_path->len == 0)
        return rc;
    if (realpath(dir, full) == NULL) {
        lk_buf_reset(ret_path);
        return LINKD_OK;
    }
    return lk_buf_printf(ret_path, err, "/" CACHE_NAME "%016" PRIx64 "-%s.bin",
                         (uint64_t)XXH3_64bits(full, strlen(full)), layout);
}

/* ---- open --------------------------------------------------------------- */

static bool open_at(const char *path, lk_packed_key key, lk_packed *packed)
{
    lk_packed found = {0};

    if (path[0] == '\0' || !lk_file_exists(path) ||
        lk_file_map(path, &found.file, NULL) != LINKD_OK)
        return false;
    if (!lk_packed_parse(found.file.bytes, found.file.len, key, &found)) {
        lk_file_unmap(&found.file);
        return false;
    }
    *packed = found;
    return true;
}

int lk_packed_open(const char *dir, const char *layout, lk_packed_key key,
                   lk_packed *packed, linkd_error *err)
{
    lk_buf path = {0};
    int rc = path_beside(dir, layout, &path, err);

    if (rc == LINKD_OK && !open_at(path.data, key, packed)) {
        rc = path_in_cache(dir, layout, &path, err);
        if (rc == LINKD_OK && path.len > 0)
            (void)open_at(path.data, key, packed);
    }
    lk_buf_clear(&path);
    return rc;
}

void lk_packed_close(lk_packed *packed)
{
    lk_file_unmap(&packed->file);
    *packed = (lk_packed){0};
}

/* ---- save --------------------------------------------------------------- */

static header header_of(lk_packed_key key, const lk_packed *packed,
                        uint64_t content_hash)
{
    header h = {.magic = MAGIC,
                .key = {key.low, key.high},
                .tokenizer_len = packed->tokenizer.len,
                .n_floats = packed->n_floats,
                .content_hash = content_hash};

    memcpy(h.fingerprint, packed->fingerprint, sizeof(h.fingerprint));
    h.header_hash = header_hash(&h);
    return h;
}

/* All of it, though a call may write less. */
static bool write_all(int fd, const void *bytes, size_t len)
{
    const char *at = bytes;

    while (len > 0) {
        const ssize_t n = write(fd, at, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

static bool content_write(int fd, lk_packed_key key, const lk_packed *packed,
                          XXH3_state_t *state)
{
    static const uint8_t zeros[PAGE];
    const linkd_str image = packed->tokenizer;
    const size_t padding = page_up(image.len) - image.len;
    const size_t block_len = packed->n_floats * sizeof(float);
    header h;

    (void)XXH3_64bits_reset(state);
    (void)XXH3_64bits_update(state, image.bytes, image.len);
    (void)XXH3_64bits_update(state, zeros, padding);
    (void)XXH3_64bits_update(state, packed->block, block_len);
    h = header_of(key, packed, XXH3_64bits_digest(state));
    return write_all(fd, &h, sizeof(h)) &&
           write_all(fd, zeros, PAGE - sizeof(h)) &&
           write_all(fd, image.bytes, image.len) &&
           write_all(fd, zeros, padding) &&
           write_all(fd, packed->block, block_len);
}

/* A new file of that name, or -1. One name for all processes: who comes second
 * leaves it to the first. */
static int temporary_open(const char *path)
{
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
    struct stat status;
    int fd = open(path, flags, 0644);

    if (fd >= 0 || errno != EEXIST || stat(path, &status) != 0 ||
        time(NULL) - status.st_mtime < STALE_SECONDS || unlink(path) != 0)
        return fd;
    return open(path, flags, 0644);
}

/* Writes and closes the file, gives it its name if it is whole, else removes it. */
static void file_finish(int fd, const char *temporary, const char *path,
                        lk_packed_key key, const lk_packed *packed,
                        XXH3_state_t *state)
{
    const bool written = content_write(fd, key, packed, state);

    if (close(fd) != 0 || !written || rename(temporary, path) != 0)
        (void)unlink(temporary);
}

static int save_at(const char *path, lk_packed_key key, const lk_packed *packed,
                   linkd_error *err)
{
    XXH3_state_t *state = XXH3_createState();
    lk_buf temporary = {0};
    int fd = -1;
    int rc = state != NULL ? lk_buf_printf(&temporary, err, "%s.new", path)
                           : lk_fail_nomem(err);

    if (rc == LINKD_OK)
        fd = temporary_open(temporary.data);
    if (fd >= 0)
        file_finish(fd, temporary.data, path, key, packed, state);
    (void)XXH3_freeState(state);
    lk_buf_clear(&temporary);
    return rc;
}

/* Removes the file that was written first, not `kept`, if there are more than
 * FILES_MAX. */
static void oldest_remove(DIR *stream, const char *kept)
{
    char oldest[NAME_MAX + 1] = "";
    time_t oldest_time = 0;
    size_t n = 0;

    for (const struct dirent *entry; (entry = readdir(stream)) != NULL;) {
        struct stat status;

        if (strncmp(entry->d_name, CACHE_NAME, strlen(CACHE_NAME)) != 0 ||
            fstatat(dirfd(stream), entry->d_name, &status, 0) != 0)
            continue;
        n++;
        if (strcmp(entry->d_name, kept) == 0 ||
            (oldest[0] != '\0' && status.st_mtime >= oldest_time))
            continue;
        oldest_time = status.st_mtime;
        memcpy(oldest, entry->d_name, strlen(entry->d_name) + 1);
    }
    if (n > FILES_MAX)
        (void)unlinkat(dirfd(stream), oldest, 0);
}

static void cache_limit(const char *dir, const char *kept_path)
{
    DIR *stream = opendir(dir);

    if (stream == NULL)
        return;
    oldest_remove(stream, strrchr(kept_path, '/') + 1);
    closedir(stream);
}

/* Makes the cache's directory and the one that it lies in. */
static void cache_make(char *dir)
{
    char *slash = strrchr(dir, '/');

    *slash = '\0';
    (void)mkdir(dir, 0700);
    *slash = '/';
    (void)mkdir(dir, 0700);
}

static int save_in_cache(const char *dir, const char *layout, lk_packed_key key,
                         const lk_packed *packed, linkd_error *err)
{
    lk_buf cache = {0}, path = {0};
    int rc = cache_dir(&cache, err);

    if (rc == LINKD_OK)
        rc = path_in_cache(dir, layout, &path, err);
    if (rc == LINKD_OK && path.len > 0) {
        cache_make(cache.data);
        rc = save_at(path.data, key, packed, err);
        cache_limit(cache.data, path.data);
    }
    lk_buf_clear(&path);
    lk_buf_clear(&cache);
    return rc;
}

static int save_beside(const char *dir, const char *layout, lk_packed_key key,
                       const lk_packed *packed, linkd_error *err)
{
    lk_buf path = {0};
    int rc = path_beside(dir, layout, &path, err);

    if (rc == LINKD_OK)
        rc = save_at(path.data, key, packed, err);
    lk_buf_clear(&path);
    return rc;
}

int lk_packed_save(const char *dir, const char *layout, lk_packed_key key,
                   const lk_packed *packed, linkd_error *err)
{
    return access(dir, W_OK) == 0
               ? save_beside(dir, layout, key, packed, err)
               : save_in_cache(dir, layout, key, packed, err);
}
