/* daemon/checkpoint.c — what a job has encoded, kept for after a crash.
 *
 *   block  texts_hash u64 | n u64 | f32 [n, dim] | check u64
 *
 * Invariant: a vector that is read back is of the text that was asked for. A
 * block counts only if its head is of these texts and its check, which is over
 * head and vectors, agrees; so neither the order in which the disk took the
 * parts nor what a crash left in between matters, and nothing is synced for
 * correctness. What is lost is encoded again.
 *
 * What this does not do: know the model. The job does, and refuses to go on
 * with another one. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "daemon/vector_sources.h"

/* A guess: what may be encoded twice, against what a sync costs. */
#define SYNC_SECONDS 5.0

typedef struct block_head {
    uint64_t texts_hash;
    uint64_t n;
} block_head;

struct lk_checkpoint {
    const linkd_embedder *below;
    int fd;
    off_t place;     /* of the next block */
    bool is_reading; /* blocks of an earlier run may follow */
    uint64_t synced_ns;
    uint64_t n_reused;
};

static int file_fail(const char *verb, linkd_error *err)
{
    int code = lk_errno_code(errno);

    return lk_fail(err, code, "could not %s the job's checkpoint: %s", verb,
                   strerror(errno));
}

static uint64_t texts_hash(const linkd_str *texts, size_t n)
{
    uint64_t hash = n;

    for (size_t i = 0; i < n; i++)
        hash = XXH3_64bits_withSeed(texts[i].bytes, texts[i].len,
                                    hash ^ texts[i].len);
    return hash;
}

static uint64_t block_hash(const block_head *head, const float *vectors,
                           size_t n_floats)
{
    return XXH3_64bits_withSeed(vectors, n_floats * sizeof(*vectors),
                                head->texts_hash ^ head->n);
}

/* All of `len` bytes at `place`; false at the end of the file. */
static bool bytes_read(int fd, void *bytes, size_t len, off_t place)
{
    char *at = bytes;

    while (len > 0) {
        ssize_t n = pread(fd, at, len, place);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
        place += n;
    }
    return true;
}

static int bytes_write(int fd, const void *bytes, size_t len, off_t place,
                       linkd_error *err)
{
    const char *at = bytes;

    while (len > 0) {
        ssize_t n = pwrite(fd, at, len, place);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return file_fail("write", err);
        at += n;
        len -= (size_t)n;
        place += n;
    }
    return LINKD_OK;
}

static off_t block_bytes(size_t n_floats)
{
    return (off_t)(sizeof(block_head) + n_floats * sizeof(float) +
                   sizeof(uint64_t));
}

/* Whether the next block is there, whole, and of these texts. */
static bool block_read(lk_checkpoint *c, uint64_t hash, size_t n,
                       float *ret_vectors)
{
    size_t n_floats = n * c->below->dim;
    off_t place = c->place + (off_t)sizeof(block_head);
    block_head head;
    uint64_t check;

    if (!bytes_read(c->fd, &head, sizeof(head), c->place) ||
        head.texts_hash != hash || head.n != n)
        return false;
    if (!bytes_read(c->fd, ret_vectors, n_floats * sizeof(float), place) ||
        !bytes_read(c->fd, &check, sizeof(check),
                    place + (off_t)(n_floats * sizeof(float))))
        return false;
    return check == block_hash(&head, ret_vectors, n_floats);
}

static int block_write(lk_checkpoint *c, uint64_t hash, size_t n,
                       const float *vectors, linkd_error *err)
{
    size_t n_floats = n * c->below->dim;
    block_head head = {.texts_hash = hash, .n = n};
    uint64_t check = block_hash(&head, vectors, n_floats);
    off_t place = c->place + (off_t)sizeof(head);
    off_t after = place + (off_t)(n_floats * sizeof(float));
    int rc = bytes_write(c->fd, &head, sizeof(head), c->place, err);

    if (rc == LINKD_OK)
        rc = bytes_write(c->fd, vectors, n_floats * sizeof(float), place, err);
    if (rc == LINKD_OK)
        rc = bytes_write(c->fd, &check, sizeof(check), after, err);
    if (rc != LINKD_OK)
        return rc;
    if (lk_clock_seconds_since(c->synced_ns) < SYNC_SECONDS)
        return LINKD_OK;
    c->synced_ns = lk_clock_ns();
    return fdatasync(c->fd) == 0 ? LINKD_OK : file_fail("sync", err);
}

static int checkpoint_embed(void *ctx, const linkd_str *texts, size_t n,
                            float *ret_vectors, linkd_encode_stats *stats,
                            linkd_error *err)
{
    lk_checkpoint *c = ctx;
    uint64_t hash = texts_hash(texts, n);
    int rc;

    if (c->is_reading && block_read(c, hash, n, ret_vectors)) {
        c->place += block_bytes(n * c->below->dim);
        c->n_reused += n;
        if (stats != NULL)
            stats->n_texts += n;
        return LINKD_OK;
    }
    if (c->is_reading && ftruncate(c->fd, c->place) != 0)
        return file_fail("cut", err);
    c->is_reading = false;
    rc = c->below->embed(c->below->ctx, texts, n, ret_vectors, stats, err);
    if (rc == LINKD_OK)
        rc = block_write(c, hash, n, ret_vectors, err);
    if (rc == LINKD_OK)
        c->place += block_bytes(n * c->below->dim);
    return rc;
}

static bool checkpoint_knows(void *ctx, linkd_str text)
{
    const lk_checkpoint *c = ctx;

    return c->below->knows(c->below->ctx, text);
}

int lk_checkpoint_open(const char *path, const linkd_embedder *below,
                       lk_checkpoint **ret_checkpoint, linkd_error *err)
{
    lk_checkpoint *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return lk_fail_nomem(err);
    c->below = below;
    c->is_reading = true;
    c->synced_ns = lk_clock_ns();
    c->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (c->fd < 0) {
        free(c);
        return file_fail("open", err);
    }
    *ret_checkpoint = c;
    return LINKD_OK;
}

void lk_checkpoint_close(lk_checkpoint *c)
{
    if (c == NULL)
        return;
    (void)close(c->fd);
    free(c);
}

linkd_embedder lk_checkpoint_embedder(lk_checkpoint *c)
{
    return (linkd_embedder){.embed = checkpoint_embed,
                            .knows = checkpoint_knows,
                            .ctx = c,
                            .dim = c->below->dim,
                            .fingerprint = c->below->fingerprint};
}

uint64_t lk_checkpoint_n_reused(const lk_checkpoint *c)
{
    return c->n_reused;
}
