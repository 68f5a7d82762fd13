/* daemon/known.c — vectors that a collection has already, found by text.
 *
 * The file is read into memory whole: 16 bytes of hash and the vector per
 * record (1.5 GiB for a million of 384 floats; a job of that size needs as much
 * for its search). A table of open addressing, at most half full, leads from a
 * hash to its place. Different texts of equal hash are not told apart: with 128
 * bits and 10^9 texts the chance is 10^-21. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "daemon/vector_sources.h"

#define FILES_MAX 2

static const char magic[8] = "linkdvec";

typedef struct file_head {
    char magic[8];
    uint64_t dim;
    uint64_t n;
} file_head;

/* Begins a row; the vector follows. */
typedef struct entry {
    uint64_t hash[2];
} entry;

static entry entry_of(linkd_str text)
{
    XXH128_hash_t hash = XXH3_128bits(text.bytes, text.len);

    return (entry){{hash.low64, hash.high64}};
}

static int file_fail(const char *verb, linkd_error *err)
{
    int code = lk_errno_code(errno);

    return lk_fail(err, code, "could not %s a job's vectors: %s", verb,
                   strerror(errno));
}

/* ---- writing ------------------------------------------------------------- */

struct lk_known_writer {
    FILE *file;
    char *path;
    file_head head;
    uint64_t check; /* over the rows so far */
};

int lk_known_writer_open(const char *path, size_t dim,
                         lk_known_writer **ret_writer, linkd_error *err)
{
    lk_known_writer *w = calloc(1, sizeof(*w));

    if (w == NULL)
        return lk_fail_nomem(err);
    memcpy(w->head.magic, magic, sizeof(magic));
    w->head.dim = dim;
    w->path = strdup(path);
    if (w->path == NULL) {
        free(w);
        return lk_fail_nomem(err);
    }
    w->file = fopen(path, "we");
    if (w->file == NULL || fwrite(&w->head, sizeof(w->head), 1, w->file) != 1) {
        int rc = file_fail("write", err);

        (void)!lk_known_writer_close(w, false, NULL);
        return rc;
    }
    *ret_writer = w;
    return LINKD_OK;
}

static uint64_t row_check(uint64_t check, const void *e, const void *vector,
                          size_t dim)
{
    check = XXH3_64bits_withSeed(e, sizeof(entry), check);
    return XXH3_64bits_withSeed(vector, dim * sizeof(float), check);
}

int lk_known_writer_add(lk_known_writer *w, linkd_str text, const float *vector,
                        linkd_error *err)
{
    entry e = entry_of(text);

    w->check = row_check(w->check, &e, vector, w->head.dim);
    w->head.n++;
    if (fwrite(&e, sizeof(e), 1, w->file) != 1 ||
        fwrite(vector, sizeof(*vector), w->head.dim, w->file) != w->head.dim)
        return file_fail("write", err);
    return LINKD_OK;
}

static int writer_finish(lk_known_writer *w, linkd_error *err)
{
    if (fwrite(&w->check, sizeof(w->check), 1, w->file) != 1 ||
        fseek(w->file, 0, SEEK_SET) != 0 ||
        fwrite(&w->head, sizeof(w->head), 1, w->file) != 1 ||
        fflush(w->file) != 0 || fsync(fileno(w->file)) != 0)
        return file_fail("write", err);
    return LINKD_OK;
}

int lk_known_writer_close(lk_known_writer *w, bool commit, linkd_error *err)
{
    int rc = LINKD_OK;

    if (commit)
        rc = writer_finish(w, err);
    if (w->file != NULL)
        (void)fclose(w->file);
    if (!commit || rc != LINKD_OK)
        (void)unlink(w->path);
    free(w->path);
    free(w);
    return rc;
}

/* ---- reading ------------------------------------------------------------- */

struct lk_known {
    const linkd_embedder *below; /* may be NULL */
    size_t dim;
    char *files[FILES_MAX]; /* rows of each, behind one another */
    size_t n_files;
    const char **slots; /* [n_slots]: rows by hash, or NULL */
    size_t n_slots;     /* a power of two */
    uint64_t n_found;
};

static size_t row_bytes(size_t dim)
{
    return sizeof(entry) + dim * sizeof(float);
}

static int damaged(linkd_error *err)
{
    return lk_fail(err, LINKD_E_DATA, "the file of a job's vectors is damaged");
}

static int rows_check(const char *rows, const file_head *head, uint64_t check,
                      linkd_error *err)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < head->n; i++) {
        const char *row = rows + i * row_bytes(head->dim);

        sum = row_check(sum, row, row + sizeof(entry), head->dim);
    }
    return sum == check ? LINKD_OK : damaged(err);
}

/* Reads one file and answers its rows. */
static int file_read(lk_known *k, FILE *file, size_t *ret_n, linkd_error *err)
{
    struct stat status;
    file_head head;
    uint64_t check;
    size_t bytes;
    char *rows;

    if (fstat(fileno(file), &status) != 0)
        return file_fail("read", err);
    if (fread(&head, sizeof(head), 1, file) != 1 ||
        memcmp(head.magic, magic, sizeof(magic)) != 0 || head.dim != k->dim ||
        head.n > (uint64_t)status.st_size / row_bytes(k->dim) ||
        (uint64_t)status.st_size !=
            sizeof(head) + head.n * row_bytes(k->dim) + sizeof(check))
        return damaged(err);
    bytes = head.n * row_bytes(k->dim);
    rows = lk_alloc_aligned(bytes + 1, 1);
    if (rows == NULL)
        return lk_fail_nomem(err);
    k->files[k->n_files++] = rows;
    if (fread(rows, 1, bytes, file) != bytes ||
        fread(&check, sizeof(check), 1, file) != 1)
        return file_fail("read", err);
    *ret_n = head.n;
    return rows_check(rows, &head, check, err);
}

static const char **slot_find(const lk_known *k, const entry *e)
{
    size_t i = e->hash[0] & (k->n_slots - 1);

    while (k->slots[i] != NULL && memcmp(k->slots[i], e, sizeof(*e)) != 0)
        i = (i + 1) & (k->n_slots - 1);
    return &k->slots[i];
}

static int slots_fill(lk_known *k, const size_t n[FILES_MAX], linkd_error *err)
{
    k->n_slots = 16;
    while (k->n_slots < 2 * (n[0] + n[1]))
        k->n_slots *= 2;
    k->slots = calloc(k->n_slots, sizeof(*k->slots));
    if (k->slots == NULL)
        return lk_fail_nomem(err);
    for (size_t f = 0; f < k->n_files; f++) {
        for (size_t i = 0; i < n[f]; i++) {
            const char *row = k->files[f] + i * row_bytes(k->dim);
            entry e;

            memcpy(&e, row, sizeof(e));
            *slot_find(k, &e) = row;
        }
    }
    return LINKD_OK;
}

int lk_known_open(const char *const *paths, size_t n_paths, size_t dim,
                  const linkd_embedder *below, lk_known **ret_known,
                  linkd_error *err)
{
    lk_known *k = calloc(1, sizeof(*k));
    size_t n[FILES_MAX] = {0};
    int rc = LINKD_OK;

    if (k == NULL)
        return lk_fail_nomem(err);
    k->dim = dim;
    k->below = below;
    for (size_t i = 0; i < n_paths && rc == LINKD_OK; i++) {
        FILE *file = paths[i] != NULL ? fopen(paths[i], "re") : NULL;

        if (file == NULL && paths[i] != NULL)
            rc = file_fail("open", err);
        if (file == NULL)
            continue;
        LK_ASSERT(k->n_files < FILES_MAX);
        rc = file_read(k, file, &n[k->n_files], err);
        (void)fclose(file);
    }
    if (rc == LINKD_OK)
        rc = slots_fill(k, n, err);
    if (rc == LINKD_OK)
        *ret_known = k;
    else
        lk_known_close(k);
    return rc;
}

void lk_known_close(lk_known *k)
{
    if (k == NULL)
        return;
    for (size_t i = 0; i < k->n_files; i++)
        free(k->files[i]);
    free(k->slots);
    free(k);
}

/* ---- as an embedder ------------------------------------------------------ */

/* The vector of a text that is known, else NULL. */
static const char *vector_find(const lk_known *k, linkd_str text)
{
    entry e = entry_of(text);
    const char *row = *slot_find(k, &e);

    return row != NULL ? row + sizeof(entry) : NULL;
}

/* The texts that are not known, and where their vectors go. */
typedef struct unknown {
    linkd_str *texts;
    size_t *places;
    float *vectors;
    size_t n;
} unknown;

static int unknown_embed(const lk_known *k, unknown *u, float *ret_vectors,
                         linkd_encode_stats *stats, linkd_error *err)
{
    int rc;

    if (k->below == NULL)
        return lk_fail(err, LINKD_E_DATA,
                       "a record's vector is missing among the job's");
    u->vectors = lk_alloc_aligned(u->n, k->dim * sizeof(float));
    if (u->vectors == NULL)
        return lk_fail_nomem(err);
    rc = k->below->embed(k->below->ctx, u->texts, u->n, u->vectors, stats, err);
    for (size_t i = 0; i < u->n && rc == LINKD_OK; i++)
        memcpy(ret_vectors + u->places[i] * k->dim, u->vectors + i * k->dim,
               k->dim * sizeof(float));
    return rc;
}

static int known_embed(void *ctx, const linkd_str *texts, size_t n,
                       float *ret_vectors, linkd_encode_stats *stats,
                       linkd_error *err)
{
    lk_known *k = ctx;
    unknown u = {.texts = calloc(n, sizeof(*u.texts)),
                 .places = calloc(n, sizeof(*u.places))};
    int rc = LINKD_OK;

    if (u.texts == NULL || u.places == NULL) {
        rc = lk_fail_nomem(err);
        goto done;
    }
    for (size_t i = 0; i < n; i++) {
        const char *vector = vector_find(k, texts[i]);

        if (vector != NULL) {
            memcpy(ret_vectors + i * k->dim, vector, k->dim * sizeof(float));
        } else {
            u.texts[u.n] = texts[i];
            u.places[u.n++] = i;
        }
    }
    if (u.n > 0)
        rc = unknown_embed(k, &u, ret_vectors, stats, err);
    k->n_found += n - u.n;
    if (rc == LINKD_OK && stats != NULL)
        stats->n_texts += n - u.n;
done:
    free(u.vectors);
    free(u.places);
    free(u.texts);
    return rc;
}

/* What has a vector was known to the model; what has none, it decides, as it does
 * for a table that no collection knows. */
static bool known_knows(void *ctx, linkd_str text)
{
    const lk_known *k = ctx;

    return vector_find(k, text) != NULL ||
           (k->below != NULL && k->below->knows(k->below->ctx, text));
}

linkd_embedder lk_known_embedder(lk_known *k)
{
    return (linkd_embedder){.embed = known_embed,
                            .knows = known_knows,
                            .ctx = k,
                            .dim = k->dim,
                            .fingerprint =
                                k->below != NULL ? k->below->fingerprint : ""};
}

bool lk_known_find(const lk_known *k, linkd_str text, float *ret_vector)
{
    const char *vector = vector_find(k, text);

    if (vector != NULL)
        memcpy(ret_vector, vector, k->dim * sizeof(*ret_vector));
    return vector != NULL;
}

uint64_t lk_known_n_found(const lk_known *k)
{
    return k->n_found;
}
