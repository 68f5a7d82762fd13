/* index/segment.c — files of vectors that are built once, then only read.
 *
 * FAISS reads what it is given without mistrust: a flipped bit in a file can
 * make it write anywhere. So a file is vouched for by its length and hash, kept
 * in LMDB, and FAISS sees no byte before all of them are checked:
 *
 *   write  FAISS ─► stream that hashes ─► x.tmp ─► fsync ─► x.segment ─► fsync
 *                        └─► length, hash ─► SEGMENTS              (directory)
 *   read   x.segment ─► hash of all ─► same descriptor from its start ─► FAISS
 *
 * The hash is taken from what FAISS handed over, not from what can be read back,
 * so that a disk which stores something else is found out. Between check and
 * use the file is read twice instead of being kept in memory, where a large
 * segment would be twice: who changes a file of ours in that moment, in place,
 * is not guarded against. A new file under the same name is: the descriptor
 * stays with the old one.
 *
 * Numbers are in the order of the machine, as FAISS's are: a segment moved to
 * another kind of machine is a damaged one there, and is built again. */
#include "index/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#define MAGIC          "linkdseg"
#define MAGIC_BYTES    ((size_t)8)
#define FORMAT_VERSION ((uint32_t)1)
#define READ_BYTES     ((size_t)1 << 20)
#define SUFFIX         ".segment"
#define SUFFIX_TMP     ".tmp"

typedef struct header {
    char magic[MAGIC_BYTES];
    uint32_t format;
    uint32_t dim;
    uint64_t n;
} header;

_Static_assert(sizeof(header) == 24, "what a segment file begins with");

/* What stands behind the FILE that FAISS writes to. */
typedef struct sink {
    int fd;
    int error; /* errno of the first write that failed */
    uint64_t n_bytes;
    XXH3_state_t *hash;
} sink;

/* ---- references --------------------------------------------------------- */

static void segment_free(lk_segment *segment)
{
    lk_ann_free(segment->ann);
    free(segment->slots);
    free(segment);
}

void lk_segment_ref(lk_segment *segment)
{
    (void)atomic_fetch_add(&segment->n_refs, 1);
}

void lk_segment_unref(lk_segment *segment)
{
    if (segment != NULL && atomic_fetch_sub(&segment->n_refs, 1) == 1)
        segment_free(segment);
}

lk_segment_set *lk_segment_set_ref(lk_segment_set *set)
{
    if (set != NULL)
        (void)atomic_fetch_add(&set->n_refs, 1);
    return set;
}

void lk_segment_set_unref(lk_segment_set *set)
{
    if (set == NULL || atomic_fetch_sub(&set->n_refs, 1) != 1)
        return;
    for (size_t i = 0; i < set->n; i++)
        lk_segment_unref(set->segments[i]);
    free(set->segments);
    free(set);
}

/* ---- paths -------------------------------------------------------------- */

int lk_segment_path(const char *dir, uint32_t collection, uint32_t generation,
                    uint64_t number, lk_buf *ret_path, linkd_error *err)
{
    return lk_buf_printf(ret_path, err,
                         "%s/segments/%" PRIu32 "-%" PRIu32 "-%" PRIu64 SUFFIX,
                         dir, collection, generation, number);
}

/* The name of a file until it is whole. */
static int tmp_path(const char *path, lk_buf *ret_path, linkd_error *err)
{
    size_t len = strlen(path);

    LK_ASSERT(len > strlen(SUFFIX) && len < INT_MAX);
    return lk_buf_printf(ret_path, err, "%.*s" SUFFIX_TMP,
                         (int)(len - strlen(SUFFIX)), path);
}

static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? path : slash + 1;
}

static int io_fail(linkd_error *err, const char *verb, const char *path,
                   int error)
{
    int code = error == ENOSPC || error == EDQUOT || error == EFBIG
                   ? LINKD_E_FULL
               : error == ENOMEM ? LINKD_E_NOMEM
                                 : LINKD_E_IO;

    return lk_fail(err, code, "could not %s segment %s: %s", verb,
                   name_of(path), strerror(error));
}

/* ---- writing ------------------------------------------------------------ */

static ssize_t sink_write(void *cookie, const char *bytes, size_t len)
{
    sink *to = cookie;
    size_t done = 0;

    while (done < len) {
        ssize_t n = write(to->fd, bytes + done, len - done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            if (to->error == 0)
                to->error = n < 0 ? errno : EIO;
            return 0;
        }
        done += (size_t)n;
    }
    (void)XXH3_64bits_update(to->hash, bytes, len);
    to->n_bytes += len;
    return (ssize_t)len;
}

static int body_write(const lk_segment *segment, size_t dim, FILE *file,
                      linkd_error *err)
{
    header head = {
        .format = FORMAT_VERSION, .dim = (uint32_t)dim, .n = segment->n};

    memcpy(head.magic, MAGIC, MAGIC_BYTES);
    if (fwrite(&head, sizeof(head), 1, file) != 1 ||
        fwrite(segment->slots, sizeof(*segment->slots), segment->n, file) !=
            segment->n)
        return lk_fail(err, LINKD_E_IO, "could not write a segment");
    return lk_ann_write(segment->ann, file, err);
}

/* Writes all of it through `to` and syncs. */
static int sink_fill(sink *to, const lk_segment *segment, size_t dim,
                     const char *path, linkd_error *err)
{
    static const cookie_io_functions_t functions = {.write = sink_write};
    FILE *file = fopencookie(to, "wb", functions);
    int rc;

    if (file == NULL)
        return lk_fail_nomem(err);
    rc = body_write(segment, dim, file, err);
    if (fclose(file) != 0 && rc == LINKD_OK)
        rc = io_fail(err, "write", path, errno);
    if (to->error != 0)
        rc = io_fail(err, "write", path, to->error);
    if (rc == LINKD_OK && fsync(to->fd) != 0)
        rc = io_fail(err, "write", path, errno);
    return rc;
}

static int tmp_write(const lk_segment *segment, size_t dim, const char *path,
                     lk_segment_row *ret_row, linkd_error *err)
{
    sink to = {.fd = -1};
    int rc = LINKD_OK;

    to.hash = XXH3_createState();
    if (to.hash == NULL)
        return lk_fail_nomem(err);
    (void)XXH3_64bits_reset(to.hash);
    to.fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (to.fd < 0)
        rc = io_fail(err, "create", path, errno);
    if (rc == LINKD_OK)
        rc = sink_fill(&to, segment, dim, path, err);
    if (to.fd >= 0 && close(to.fd) != 0 && rc == LINKD_OK)
        rc = io_fail(err, "write", path, errno);
    if (rc == LINKD_OK) {
        ret_row->file_bytes = to.n_bytes;
        ret_row->file_hash = XXH3_64bits_digest(to.hash);
    }
    (void)XXH3_freeState(to.hash);
    return rc;
}

/* Makes a new name in the file's directory survive a power cut. */
static int directory_sync(const char *path, linkd_error *err)
{
    lk_buf dir = {0};
    int fd = -1;
    int rc = lk_buf_append(&dir, path, (size_t)(name_of(path) - path), err);

    if (rc != LINKD_OK)
        goto done;
    fd = open(dir.data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0)
        rc = io_fail(err, "name", path, errno);
done:
    if (fd >= 0)
        (void)close(fd);
    lk_buf_clear(&dir);
    return rc;
}

int lk_segment_write(const lk_segment *segment, const char *path, size_t dim,
                     lk_segment_row *ret_row, linkd_error *err)
{
    lk_segment_row row = *ret_row;
    lk_buf tmp = {0};
    int rc;

    LK_ASSERT(dim <= LINKD_DIM_MAX && lk_ann_count(segment->ann) == segment->n);
    rc = tmp_path(path, &tmp, err);
    if (rc != LINKD_OK)
        goto done;
    rc = tmp_write(segment, dim, tmp.data, &row, err);
    if (rc == LINKD_OK && rename(tmp.data, path) != 0)
        rc = io_fail(err, "name", path, errno);
    if (rc == LINKD_OK)
        rc = directory_sync(path, err);
    if (rc == LINKD_OK) {
        *ret_row = row;
    } else {
        (void)unlink(tmp.data);
        (void)unlink(path);
    }
done:
    lk_buf_clear(&tmp);
    return rc;
}

/* ---- reading ------------------------------------------------------------ */

/* Hashes up to the end of the file, or one byte beyond `n_bytes`. */
static int fd_hash(int fd, uint64_t n_bytes, const char *path,
                   uint64_t *ret_hash, linkd_error *err)
{
    XXH3_state_t *hash = XXH3_createState();
    char *bytes = lk_alloc_aligned(READ_BYTES, 1);
    uint64_t n_read = 0;
    ssize_t n = 1;
    int rc = LINKD_OK;

    if (hash == NULL || bytes == NULL) {
        rc = lk_fail_nomem(err);
        goto done;
    }
    (void)XXH3_64bits_reset(hash);
    while (n_read <= n_bytes && n != 0) {
        n = read(fd, bytes, READ_BYTES);
        if (n < 0 && errno != EINTR) {
            rc = io_fail(err, "read", path, errno);
            goto done;
        }
        if (n > 0) {
            (void)XXH3_64bits_update(hash, bytes, (size_t)n);
            n_read += (uint64_t)n;
        }
    }
    if (n_read != n_bytes)
        rc = lk_fail(err, LINKD_E_DATA,
                     "segment %s changes its length while it is read",
                     name_of(path));
    *ret_hash = XXH3_64bits_digest(hash);
done:
    free(bytes);
    (void)XXH3_freeState(hash);
    return rc;
}

static int fd_verify(int fd, const char *path, const lk_segment_row *row,
                     linkd_error *err)
{
    struct stat info;
    uint64_t hash = 0;
    int rc;

    if (fstat(fd, &info) != 0)
        return io_fail(err, "read", path, errno);
    if (!S_ISREG(info.st_mode))
        return lk_fail(err, LINKD_E_DATA, "segment %s is not a file",
                       name_of(path));
    if ((uint64_t)info.st_size != row->file_bytes)
        return lk_fail(err, LINKD_E_DATA,
                       "segment %s has %jd bytes, not %" PRIu64, name_of(path),
                       (intmax_t)info.st_size, row->file_bytes);
    rc = fd_hash(fd, row->file_bytes, path, &hash, err);
    if (rc != LINKD_OK)
        return rc;
    if (hash != row->file_hash)
        return lk_fail(err, LINKD_E_DATA, "segment %s has a wrong checksum",
                       name_of(path));
    if (lseek(fd, 0, SEEK_SET) != 0)
        return io_fail(err, "read", path, errno);
    return LINKD_OK;
}

static bool header_fits(const header *head, size_t dim,
                        const lk_segment_row *row)
{
    return memcmp(head->magic, MAGIC, MAGIC_BYTES) == 0 &&
           head->format == FORMAT_VERSION && head->dim == dim &&
           head->n == row->n && row->slot_begin < row->slot_end &&
           row->n <= row->slot_end - row->slot_begin;
}

static bool slots_fit(const uint64_t *slots, size_t n,
                      const lk_segment_row *row)
{
    for (size_t i = 0; i < n; i++) {
        if (slots[i] < row->slot_begin || slots[i] >= row->slot_end ||
            (i > 0 && slots[i] <= slots[i - 1]))
            return false;
    }
    return true;
}

/* The file is as it was written; that it belongs to this row is not said. */
static int file_parse(FILE *file, size_t dim, const char *path,
                      const lk_segment_row *row, lk_segment *segment,
                      linkd_error *err)
{
    header head;
    int rc;

    if (fread(&head, sizeof(head), 1, file) != 1 ||
        !header_fits(&head, dim, row))
        return lk_fail(err, LINKD_E_DATA, "segment %s is not what its row says",
                       name_of(path));
    segment->slot_begin = row->slot_begin;
    segment->slot_end = row->slot_end;
    segment->file_bytes = row->file_bytes;
    segment->n = (size_t)head.n;
    segment->slots = lk_alloc_aligned(segment->n, sizeof(*segment->slots));
    if (segment->slots == NULL)
        return lk_fail_nomem(err);
    if (fread(segment->slots, sizeof(*segment->slots), segment->n, file) !=
            segment->n ||
        !slots_fit(segment->slots, segment->n, row))
        return lk_fail(err, LINKD_E_DATA, "segment %s has wrong slots",
                       name_of(path));
    rc = lk_ann_read(file, dim, &segment->ann, err);
    if (rc == LINKD_OK && lk_ann_count(segment->ann) != segment->n)
        rc = lk_fail(err, LINKD_E_DATA, "segment %s has %zu vectors, not %zu",
                     name_of(path), lk_ann_count(segment->ann), segment->n);
    return rc;
}

int lk_segment_read(const char *path, size_t dim, const lk_segment_row *row,
                    lk_segment **ret_segment, linkd_error *err)
{
    lk_segment *segment = NULL;
    FILE *file = NULL;
    int rc;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0 && errno == ENOENT)
        return lk_fail(err, LINKD_E_ABSENT, "segment %s is gone",
                       name_of(path));
    if (fd < 0)
        return io_fail(err, "open", path, errno);
    rc = fd_verify(fd, path, row, err);
    if (rc != LINKD_OK)
        goto done;
    segment = calloc(1, sizeof(*segment));
    file = fdopen(fd, "rb");
    if (segment == NULL || file == NULL) {
        rc = lk_fail_nomem(err);
        goto done;
    }
    atomic_init(&segment->n_refs, 1);
    rc = file_parse(file, dim, path, row, segment, err);
    if (rc != LINKD_OK)
        goto done;
    *ret_segment = segment;
    segment = NULL;
done:
    if (file != NULL)
        (void)fclose(file);
    else
        (void)close(fd);
    if (segment != NULL)
        segment_free(segment);
    return rc;
}
