/* linkd's side of bench/embed: holds a model and a list of texts, and encodes
 * them all each time a line arrives on standard input.
 *
 *   bench_embed_worker MODEL TEXTS BATCH THREADS
 *     TEXTS: one text a line
 *     each input line ─► {"seconds": …, "cpu_seconds": …,
 *                         "tokenize_seconds": …, "tokens": …}
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

static int serve(const workload *w, linkd_error *err)
{
    char line[64];

    while (fgets(line, sizeof(line), stdin) != NULL) {
        linkd_encode_stats stats = {0};
        const uint64_t start = lk_clock_ns();
        const double cpu_start = cpu_seconds();
        int rc = encode_all(w, &stats, err);

        if (rc != LINKD_OK)
            return rc;
        printf("{\"seconds\": %.6f, \"cpu_seconds\": %.6f, "
               "\"tokenize_seconds\": %.6f, \"tokens\": %llu}\n",
               lk_clock_seconds_since(start), cpu_seconds() - cpu_start,
               stats.tokenize_seconds, (unsigned long long)stats.n_tokens);
        fflush(stdout);
    }
    return LINKD_OK;
}

int main(int argc, char **argv)
{
    workload w = {0};
    linkd_error err = {0};
    int rc = LINKD_E_ARG;

    if (argc != 5) {
        fprintf(stderr,
                "usage: bench_embed_worker MODEL TEXTS BATCH THREADS\n");
        return 2;
    }
    w.batch = (size_t)strtoul(argv[3], NULL, 10);
    rc = linkd_encoder_open(argv[1], NULL, &w.encoder, &err);
    if (rc == LINKD_OK)
        rc = lk_pool_new((size_t)strtoul(argv[4], NULL, 10), &w.pool, &err);
    if (rc == LINKD_OK)
        rc = read_texts(&w, argv[2], &err);
    if (rc == LINKD_OK) {
        w.vectors = lk_alloc_aligned(
            w.n_texts, linkd_encoder_describe(w.encoder)->dim * sizeof(float));
        rc = w.vectors != NULL ? serve(&w, &err) : lk_fail_nomem(&err);
    }
    if (rc != LINKD_OK)
        fprintf(stderr, "bench_embed_worker: %s\n", err.message);
    free(w.vectors);
    free(w.texts);
    free(w.bytes);
    lk_pool_free(w.pool);
    linkd_encoder_close(w.encoder);
    return rc == LINKD_OK ? 0 : 1;
}
