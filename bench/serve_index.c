/* linkd's approximate index as a peer of those in bench/serve_peers, which
 * starts it and talks to it by lines:
 *
 *   bench_serve_index DATA ROWS --build     builds DATA/ROWS.linkd.index
 *   bench_serve_index DATA ROWS             loads it, prints its memory, then
 *   {"ef": 64, "threads": 1, "timed": true}  ─►  {"recall": …, "rate": …}
 *
 * A search is what the store does with a segment: FAISS proposes ef candidates
 * by their bytes, and the first of these are scored again from the vectors
 * themselves, which stay in the mapped file of the set as they would in the
 * store's.
 *
 * Uses index/ann.h, private to index/, since a bench may time a part alone. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "index/ann.h"
#include "index/index.h"

enum {
    K = 10,
    N_TIMED = 2000, /* queries a round, as for the peers */
    BUILD_THREADS = 2,
    TRAIN_ROWS = 16384, /* and BLOCK_ROWS: as in index/build.c */
    BLOCK_ROWS = 2048,
    SCORED_MIN = 32, /* and CANDIDATES_PER_SCORE: as in index/search.c */
    CANDIDATES_PER_SCORE = 4,
    MAX_EF = 4096,
    PATH_BYTES = 4096,
};

/* An .npy file of two dimensions, mapped. */
typedef struct matrix {
    void *map;
    size_t map_bytes;
    const void *values;
    size_t n, width;
} matrix;

typedef struct bench {
    const char *data;
    size_t n_rows;
    matrix rows, queries, truth;
    lk_ann *ann;
    int64_t (*found)[K]; /* [N_TIMED] */
    size_t ef;
} bench;

typedef struct candidate {
    int64_t id;
    float score;
} candidate;

/* ---- files --------------------------------------------------------------- */

static int matrix_map(const char *path, matrix *ret, linkd_error *err)
{
    struct stat info = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &info) != 0) {
        if (fd >= 0)
            close(fd);
        return lk_fail(err, LINKD_E_IO, "could not open \"%s\": %s", path,
                       strerror(errno));
    }
    ret->map_bytes = (size_t)info.st_size;
    ret->map = mmap(NULL, ret->map_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (ret->map == MAP_FAILED) {
        ret->map = NULL;
        return lk_fail(err, LINKD_E_IO, "could not map \"%s\": %s", path,
                       strerror(errno));
    }
    return LINKD_OK;
}

/* Version 1 of the format: a magic of 8 bytes, the header's length as u16, then
 * a header such as {'descr': '<f4', …, 'shape': (1000, 384), }. */
static int matrix_open(const char *path, size_t value_bytes, matrix *ret,
                       linkd_error *err)
{
    const unsigned char *bytes;
    const char *shape;
    size_t start;
    int rc = matrix_map(path, ret, err);

    if (rc != LINKD_OK)
        return rc;
    bytes = ret->map;
    start = ret->map_bytes < 10 ? 0 : 10U + bytes[8] + 256U * bytes[9];
    shape = start == 0 || start > ret->map_bytes
                ? NULL
                : memmem(bytes, start, "'shape': (", 10);
    if (shape == NULL ||
        sscanf(shape, "'shape': (%zu, %zu)", &ret->n, &ret->width) != 2 ||
        ret->n * ret->width * value_bytes != ret->map_bytes - start)
        return lk_fail(err, LINKD_E_DATA, "\"%s\" is not a matrix in .npy",
                       path);
    ret->values = bytes + start;
    return LINKD_OK;
}

static void matrix_close(matrix *m)
{
    if (m->map != NULL)
        munmap(m->map, m->map_bytes);
}

static const float *matrix_row(const matrix *m, size_t i)
{
    return (const float *)m->values + i * m->width;
}

static const char *bench_path(const bench *b, const char *suffix, char *path)
{
    (void)snprintf(path, PATH_BYTES, "%s/%zu%s", b->data, b->n_rows, suffix);
    return path;
}

static int bench_open(bench *b, linkd_error *err)
{
    char path[PATH_BYTES];
    int rc =
        matrix_open(bench_path(b, ".npy", path), sizeof(float), &b->rows, err);

    if (rc == LINKD_OK)
        rc = matrix_open(bench_path(b, ".truth.npy", path), sizeof(int64_t),
                         &b->truth, err);
    (void)snprintf(path, sizeof(path), "%s/queries.npy", b->data);
    if (rc == LINKD_OK)
        rc = matrix_open(path, sizeof(float), &b->queries, err);
    if (rc == LINKD_OK &&
        (b->queries.width != b->rows.width || b->queries.n < N_TIMED ||
         b->truth.n > N_TIMED || b->truth.width < K))
        rc = lk_fail(err, LINKD_E_DATA, "the sets do not fit each other");
    return rc;
}

/* ---- building ------------------------------------------------------------ */

static int index_save(const bench *b, double seconds, linkd_error *err)
{
    char path[PATH_BYTES];
    FILE *file = fopen(bench_path(b, ".linkd.index", path), "wb");
    long bytes = 0;
    int rc;

    if (file == NULL)
        return lk_fail(err, LINKD_E_IO, "could not create \"%s\": %s", path,
                       strerror(errno));
    rc = lk_ann_write(b->ann, file, err);
    bytes = ftell(file);
    if (fclose(file) != 0 && rc == LINKD_OK)
        rc = lk_fail(err, LINKD_E_IO, "could not write \"%s\"", path);
    if (rc != LINKD_OK)
        return rc;
    file = fopen(bench_path(b, ".linkd.index.json", path), "w");
    if (file == NULL)
        return lk_fail(err, LINKD_E_IO, "could not create \"%s\": %s", path,
                       strerror(errno));
    fprintf(file,
            "{\"build_seconds\": %.1f, \"build_threads\": %d, "
            "\"index_mb\": %ld}",
            seconds, BUILD_THREADS, bytes >> 20);
    return fclose(file) == 0
               ? LINKD_OK
               : lk_fail(err, LINKD_E_IO, "could not write \"%s\"", path);
}

static int index_build(bench *b, linkd_error *err)
{
    uint64_t start = lk_clock_ns();
    size_t n_sample = b->rows.n < TRAIN_ROWS ? b->rows.n : TRAIN_ROWS;
    int rc = lk_ann_new("HNSW32,SQ8_direct", b->rows.width, &b->ann, err);

    if (rc != LINKD_OK)
        return rc;
    lk_ann_set_threads(BUILD_THREADS);
    rc = lk_ann_train(b->ann, matrix_row(&b->rows, 0), n_sample, err);
    for (size_t i = 0; i < b->rows.n && rc == LINKD_OK; i += BLOCK_ROWS) {
        size_t n = b->rows.n - i < BLOCK_ROWS ? b->rows.n - i : BLOCK_ROWS;

        rc = lk_ann_add(b->ann, matrix_row(&b->rows, i), n, err);
    }
    if (rc == LINKD_OK)
        rc = index_save(b, lk_clock_seconds_since(start), err);
    return rc;
}

static int index_load(bench *b, linkd_error *err)
{
    char path[PATH_BYTES];
    FILE *file = fopen(bench_path(b, ".linkd.index", path), "rb");
    int rc;

    if (file == NULL)
        return lk_fail(err, LINKD_E_IO, "could not open \"%s\": %s", path,
                       strerror(errno));
    rc = lk_ann_read(file, b->rows.width, &b->ann, err);
    fclose(file);
    return rc;
}

/* ---- searching ----------------------------------------------------------- */

static int candidate_compare(const void *a, const void *b)
{
    const candidate *x = a, *y = b;

    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return (x->id > y->id) - (x->id < y->id);
}

/* An lk_task_fn: one query. */
static int query_run(void *ctx, size_t item, size_t worker, linkd_error *err)
{
    bench *b = ctx;
    const float *query = matrix_row(&b->queries, item);
    float scores[MAX_EF];
    int64_t ids[MAX_EF];
    candidate best[MAX_EF];
    size_t n_scored = b->ef / CANDIDATES_PER_SCORE;
    size_t n = 0;
    int rc = lk_ann_search(b->ann, query, b->ef, scores, ids, err);

    (void)worker;
    if (rc != LINKD_OK)
        return rc;
    n_scored = n_scored < SCORED_MIN ? SCORED_MIN : n_scored;
    for (size_t i = 0; i < b->ef && n < n_scored; i++) {
        if (ids[i] < 0)
            break;
        best[n].id = ids[i];
        best[n].score = linkd_index_score(
            query, matrix_row(&b->rows, (size_t)ids[i]), b->rows.width);
        n++;
    }
    qsort(best, n, sizeof(*best), candidate_compare);
    for (size_t i = 0; i < K; i++)
        b->found[item][i] = i < n ? best[i].id : -1;
    return LINKD_OK;
}

static double recall_of(const bench *b)
{
    const int64_t *truth = b->truth.values;
    size_t n_same = 0;

    for (size_t i = 0; i < b->truth.n; i++)
        for (size_t j = 0; j < K; j++)
            for (size_t l = 0; l < K; l++)
                n_same += b->found[i][j] == truth[i * b->truth.width + l];
    return (double)n_same / (double)(b->truth.n * K);
}

static int answer(bench *b, const char *line, linkd_error *err)
{
    char timed[6];
    size_t n_threads, n_queries;
    lk_pool *pool = NULL;
    uint64_t start;
    int rc;

    if (sscanf(line, "{\"ef\": %zu, \"threads\": %zu, \"timed\": %5[a-z]}",
               &b->ef, &n_threads, timed) != 3 ||
        b->ef == 0 || b->ef > MAX_EF)
        return lk_fail(err, LINKD_E_DATA, "not understood: %s", line);
    n_queries = strcmp(timed, "true") == 0 ? N_TIMED : b->truth.n;
    rc = lk_pool_new(n_threads, &pool, err);
    if (rc != LINKD_OK)
        return rc;
    start = lk_clock_ns();
    rc = lk_pool_run(pool, n_queries, query_run, b, err);
    if (rc == LINKD_OK)
        printf("{\"recall\": %.6f, \"rate\": %.1f}\n", recall_of(b),
               (double)n_queries / lk_clock_seconds_since(start));
    fflush(stdout);
    lk_pool_free(pool);
    return rc;
}

/* ---- memory -------------------------------------------------------------- */

static long status_mb(const char *name)
{
    char line[256];
    long kb = 0;
    size_t len = strlen(name);
    FILE *file = fopen("/proc/self/status", "r");

    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        if (strncmp(line, name, len) == 0)
            kb = strtol(line + len, NULL, 10);
    if (file != NULL)
        fclose(file);
    return kb / 1024;
}

static int serve(bench *b, linkd_error *err)
{
    char line[256];
    long anon_mb = status_mb("RssAnon:"), file_mb = status_mb("RssFile:");
    int rc = index_load(b, err);

    if (rc != LINKD_OK)
        return rc;
    printf("{\"RssAnon\": %ld, \"RssFile\": %ld}\n",
           status_mb("RssAnon:") - anon_mb, status_mb("RssFile:") - file_mb);
    fflush(stdout);
    while (rc == LINKD_OK && fgets(line, sizeof(line), stdin) != NULL)
        rc = answer(b, line, err);
    return rc;
}

int main(int argc, char **argv)
{
    bench b = {0};
    linkd_error err = {0};
    int builds = argc == 4 && strcmp(argv[3], "--build") == 0;
    int rc;

    if (argc != 3 && !builds) {
        fprintf(stderr, "usage: bench_serve_index DATA ROWS [--build]\n");
        return 2;
    }
    b.data = argv[1];
    b.n_rows = strtoul(argv[2], NULL, 10);
    b.found = calloc(N_TIMED, sizeof(*b.found));
    rc = b.found == NULL ? lk_fail_nomem(&err) : bench_open(&b, &err);
    if (rc == LINKD_OK)
        rc = builds ? index_build(&b, &err) : serve(&b, &err);
    if (rc != LINKD_OK)
        fprintf(stderr, "bench_serve_index: %s\n", err.message);
    lk_ann_free(b.ann);
    matrix_close(&b.rows);
    matrix_close(&b.queries);
    matrix_close(&b.truth);
    free(b.found);
    return rc == LINKD_OK ? 0 : 1;
}
