/* linkd's side of bench/embed: holds a model and does what the lines of its
 * standard input say, as bench/peers/worker.py does for the others.
 *
 *   bench_embed_worker MODEL THREADS
 *     load BATCH PATH  ─► {}             the texts of a file, one a line
 *     go               ─► {"seconds": …, "cpu_seconds": …,
 *                          "tokenize_seconds": …, "tokens": …}
 *     write PATH       ─► {}             unit vectors, f32 [n, dim]
 *
 * The times cover everything from bytes to unit vectors. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/base.h"
#include "encoder/encoder.h"

typedef struct workload {
    linkd_encoder *encoder;
    lk_pool *pool;
    char *bytes;
    linkd_str *texts;
    size_t n_texts;
    size_t batch;
    float *vectors;
} workload;

static int read_texts(workload *w, const char *path, linkd_error *err)
{
    FILE *file = fopen(path, "rb");
    lk_buf all = {0};
    size_t capacity = 0;
    char piece[65536];
    size_t n;

    if (file == NULL)
        return lk_fail(err, LINKD_E_IO, "could not open %s", path);
    while ((n = fread(piece, 1, sizeof(piece), file)) > 0)
        if (lk_buf_append(&all, piece, n, err) != LINKD_OK)
            break;
    fclose(file);
    w->bytes = all.data;
    for (char *line = all.data, *end; line != NULL && *line != '\0';
         line = end + 1) {
        void *texts = w->texts;

        end = strchr(line, '\n');
        if (end == NULL)
            break;
        if (lk_grow(&texts, &capacity, w->n_texts + 1, sizeof(*w->texts), err))
            return err->code;
        w->texts = texts;
        w->texts[w->n_texts++] = (linkd_str){line, (size_t)(end - line)};
    }
    return LINKD_OK;
}

static int encode_all(const workload *w, linkd_encode_stats *stats,
                      linkd_error *err)
{
    size_t dim = linkd_encoder_describe(w->encoder)->dim;

    for (size_t i = 0; i < w->n_texts; i += w->batch) {
        size_t left = w->n_texts - i;
        size_t n = left < w->batch ? left : w->batch;
        int rc = linkd_encoder_encode(w->encoder, w->pool, w->texts + i, n,
                                      w->vectors + i * dim, stats, err);

        if (rc != LINKD_OK)
            return rc;
    }
    return LINKD_OK;
}

/* Of all threads: what a busy machine takes away is not in it. */
static double cpu_seconds(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Room for the texts' vectors. */
static int load(workload *w, const char *path, linkd_error *err)
{
    size_t dim = linkd_encoder_describe(w->encoder)->dim;
    int rc;

    free(w->bytes);
    free(w->texts);
    free(w->vectors);
    w->bytes = NULL;
    w->texts = NULL;
    w->vectors = NULL;
    w->n_texts = 0;
    rc = read_texts(w, path, err);
    if (rc != LINKD_OK)
        return rc;
    w->vectors = lk_alloc_aligned(w->n_texts, dim * sizeof(float));
    return w->vectors != NULL ? LINKD_OK : lk_fail_nomem(err);
}

static int encode_timed(const workload *w, linkd_error *err)
{
    linkd_encode_stats stats = {0};
    const uint64_t start = lk_clock_ns();
    const double cpu_start = cpu_seconds();
    int rc = encode_all(w, &stats, err);

    if (rc == LINKD_OK)
        printf("{\"seconds\": %.6f, \"cpu_seconds\": %.6f, "
               "\"tokenize_seconds\": %.6f, \"tokens\": %llu}\n",
               lk_clock_seconds_since(start), cpu_seconds() - cpu_start,
               stats.tokenize_seconds, (unsigned long long)stats.n_tokens);
    return rc;
}

static int vectors_write(const workload *w, const char *path, linkd_error *err)
{
    size_t n = w->n_texts * linkd_encoder_describe(w->encoder)->dim;
    FILE *file = NULL;
    int rc = encode_all(w, NULL, err);

    if (rc != LINKD_OK)
        return rc;
    file = fopen(path, "wb");
    if (file == NULL || fwrite(w->vectors, sizeof(float), n, file) != n)
        rc = lk_fail(err, LINKD_E_IO, "could not write %s", path);
    if (file != NULL && fclose(file) != 0 && rc == LINKD_OK)
        rc = lk_fail(err, LINKD_E_IO, "could not write %s", path);
    return rc;
}

static int serve(workload *w, linkd_error *err)
{
    char line[4096];
    int rc = LINKD_OK;

    while (rc == LINKD_OK && fgets(line, sizeof(line), stdin) != NULL) {
        char *path = strrchr(line, ' ');

        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "load ", 5) == 0 && path != NULL) {
            w->batch = (size_t)strtoul(line + 5, NULL, 10);
            rc = load(w, path + 1, err);
        } else if (strncmp(line, "write ", 6) == 0) {
            rc = vectors_write(w, line + 6, err);
        } else {
            rc = encode_timed(w, err);
            fflush(stdout);
            continue;
        }
        if (rc == LINKD_OK)
            printf("{}\n");
        fflush(stdout);
    }
    return rc;
}

int main(int argc, char **argv)
{
    workload w = {0};
    linkd_error err = {0};
    int rc = LINKD_E_ARG;

    if (argc != 3) {
        fprintf(stderr, "usage: bench_embed_worker MODEL THREADS\n");
        return 2;
    }
    rc = linkd_encoder_open(argv[1], NULL, &w.encoder, &err);
    if (rc == LINKD_OK)
        rc = lk_pool_new((size_t)strtoul(argv[2], NULL, 10), &w.pool, &err);
    if (rc == LINKD_OK)
        rc = serve(&w, &err);
    if (rc != LINKD_OK)
        fprintf(stderr, "bench_embed_worker: %s\n", err.message);
    free(w.vectors);
    free(w.texts);
    free(w.bytes);
    lk_pool_free(w.pool);
    linkd_encoder_close(w.encoder);
    return rc == LINKD_OK ? 0 : 1;
}
