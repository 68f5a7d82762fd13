/* bench/open_speed.c — what it costs to open a model, and which part takes it.
 *
 *   bench_open_speed [--vision] MODEL_DIR [ROUNDS]
 *
 * Best and median of wall time, in milliseconds, files in the page cache. The
 * first round packs the model (encoder/packed.h) unless LINKD_PACKED is off.
 * --vision: of an image model. LINKD_ISA and LINKD_PRECISION choose the kernels. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encoder/encoder.h"
#include "encoder/tokenizer.h"
#include "encoder/weights.h"

typedef int (*step)(const char *dir, linkd_error *err);

static int tokenizer_step(const char *dir, linkd_error *err)
{
    lk_tokenizer *tokenizer = NULL;
    int rc = lk_tokenizer_open(dir, &tokenizer, err);

    lk_tokenizer_close(tokenizer);
    return rc;
}

static int weights_step(const char *dir, linkd_error *err)
{
    lk_weights weights = {0};
    int rc = lk_weights_open(dir, &weights, err);

    lk_weights_close(&weights);
    return rc;
}

static int encoder_step(const char *dir, linkd_error *err)
{
    linkd_encoder *encoder = NULL;
    int rc = linkd_encoder_open(dir, NULL, &encoder, err);

    linkd_encoder_close(encoder);
    return rc;
}

static int vision_step(const char *dir, linkd_error *err)
{
    linkd_vision *vision = NULL;
    int rc = linkd_vision_open(dir, NULL, 1, &vision, err);

    linkd_vision_close(vision);
    return rc;
}

/* Open, encode one text, close: what a command for a single record does. */
static int text_step(const char *dir, linkd_error *err)
{
    static const linkd_str text = {"Ann Lee, 12 Main Street, Bern", 29};
    linkd_encoder *encoder = NULL;
    lk_pool *pool = NULL;
    float *vector = NULL;
    int rc = linkd_encoder_open(dir, NULL, &encoder, err);

    if (rc == LINKD_OK)
        rc = lk_pool_new(1, &pool, err);
    if (rc == LINKD_OK) {
        vector = calloc(linkd_encoder_describe(encoder)->dim, sizeof(*vector));
        rc = vector != NULL ? linkd_encoder_encode(encoder, pool, &text, 1,
                                                   vector, NULL, err)
                            : lk_fail_nomem(err);
    }
    free(vector);
    lk_pool_free(pool);
    linkd_encoder_close(encoder);
    return rc;
}

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static int step_time(const char *name, step run, const char *dir,
                     size_t n_rounds, linkd_error *err)
{
    double *ms = calloc(n_rounds, sizeof(*ms));
    int rc = ms != NULL ? run(dir, err) : lk_fail_nomem(err); /* warm up */

    for (size_t i = 0; i < n_rounds && rc == LINKD_OK; i++) {
        const uint64_t start = lk_clock_ns();

        rc = run(dir, err);
        ms[i] = lk_clock_seconds_since(start) * 1e3;
    }
    if (rc == LINKD_OK) {
        qsort(ms, n_rounds, sizeof(*ms), compare_doubles);
        printf("%-24s %8.2f best %8.2f median ms\n", name, ms[0],
               ms[n_rounds / 2]);
    }
    free(ms);
    return rc;
}

static int texts_time(const char *dir, size_t n_rounds, linkd_error *err)
{
    int rc = step_time("tokenizer", tokenizer_step, dir, n_rounds, err);

    if (rc == LINKD_OK)
        rc = step_time("weights' headers", weights_step, dir, n_rounds, err);
    if (rc == LINKD_OK)
        rc = step_time("encoder, all of it", encoder_step, dir, n_rounds, err);
    if (rc == LINKD_OK)
        rc = step_time("encoder and one text", text_step, dir, n_rounds, err);
    return rc;
}

int main(int argc, char **argv)
{
    const bool is_vision = argc > 1 && strcmp(argv[1], "--vision") == 0;
    const int at = is_vision ? 2 : 1;
    const size_t n_rounds =
        argc > at + 1 ? strtoul(argv[at + 1], NULL, 10) : 20;
    linkd_error err = {0};
    int rc;

    if (argc <= at || n_rounds == 0) {
        fprintf(stderr,
                "usage: bench_open_speed [--vision] MODEL_DIR [ROUNDS]\n");
        return 2;
    }
    rc = is_vision
             ? step_time("image model", vision_step, argv[at], n_rounds, &err)
             : texts_time(argv[at], n_rounds, &err);
    if (rc != LINKD_OK)
        fprintf(stderr, "bench_open_speed: %s\n", err.message);
    return rc == LINKD_OK ? 0 : 1;
}
