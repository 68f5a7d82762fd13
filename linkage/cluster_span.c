/* linkage/cluster_span.c — the spanning tree of least sum, by Prim's method in
 * linear memory: from a tree that grows by its nearest vector,
 *
 *   rest   [(vector, distance to the tree, from where)…] in any order
 *
 * each step compares the newest vector with the rest, in chunks that workers
 * share, each chunk having a slot for its nearest. Of equal distances the lower
 * vector is nearer, so neither order nor workers matter. Half of the square of n
 * comparisons, each of one vector read from memory: that is what takes time. */
#include "linkage/cluster_vectors.h"

#include <math.h>
#include <stdlib.h>

#define REST_PER_CHUNK   ((size_t)1024) /* guess: 1.5 MB of vectors */
#define STEPS_PER_REPORT ((size_t)256)

typedef struct outside {
    float distance;
    uint32_t number;
    uint32_t from;
} outside;

typedef struct span {
    const lk_space *space;
    const float *cores;
    outside *rest;
    size_t n_rest;
    size_t newest;
    size_t *nearest; /* [n_chunks]: positions in `rest` */
} span;

static bool outside_before(const outside *x, const outside *y)
{
    if (x->distance != y->distance)
        return x->distance < y->distance;
    return x->number < y->number;
}

static void outside_compare(const span *s, outside *o)
{
    float distance = 1.0F - lk_space_score(s->space, s->newest, o->number);

    distance = fmaxf(distance, s->cores[s->newest]);
    distance = fmaxf(distance, s->cores[o->number]);
    if (distance < o->distance ||
        (distance == o->distance && s->newest < o->from)) {
        o->distance = distance;
        o->from = (uint32_t)s->newest;
    }
}

static int chunk_task(void *ctx, size_t chunk, size_t worker, linkd_error *err)
{
    const span *s = ctx;
    size_t begin = chunk * REST_PER_CHUNK;
    size_t n_left = s->n_rest - begin;
    size_t end = begin + (n_left < REST_PER_CHUNK ? n_left : REST_PER_CHUNK);
    size_t nearest = begin;

    (void)worker;
    (void)err;
    for (size_t i = begin; i < end; i++) {
        outside_compare(s, &s->rest[i]);
        if (outside_before(&s->rest[i], &s->rest[nearest]))
            nearest = i;
    }
    s->nearest[chunk] = nearest;
    return LINKD_OK;
}

/* Compares the newest vector with the rest, and takes the nearest out of it. */
static int span_step(span *s, lk_span *ret_span, linkd_error *err)
{
    size_t n_chunks = (s->n_rest + REST_PER_CHUNK - 1) / REST_PER_CHUNK;
    size_t nearest;
    int rc = lk_pool_run(s->space->pool, n_chunks, chunk_task, s, err);

    if (rc != LINKD_OK)
        return rc;
    nearest = s->nearest[0];
    for (size_t i = 1; i < n_chunks; i++)
        if (outside_before(&s->rest[s->nearest[i]], &s->rest[nearest]))
            nearest = s->nearest[i];
    *ret_span = (lk_span){.distance = s->rest[nearest].distance,
                          .a = s->rest[nearest].from,
                          .b = s->rest[nearest].number};
    s->newest = s->rest[nearest].number;
    s->rest[nearest] = s->rest[--s->n_rest];
    return LINKD_OK;
}

static int span_init(span *s, linkd_error *err)
{
    size_t n = s->space->n;

    s->rest = calloc(n, sizeof(*s->rest));
    s->nearest = calloc(n / REST_PER_CHUNK + 1, sizeof(*s->nearest));
    if (s->rest == NULL || s->nearest == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 1; i < n; i++)
        s->rest[s->n_rest++] = (outside){INFINITY, (uint32_t)i, 0};
    return LINKD_OK;
}

int lk_space_span(const lk_space *space, const float *cores, lk_span *ret_spans,
                  linkd_error *err)
{
    span s = {.space = space, .cores = cores};
    int rc = span_init(&s, err);

    for (size_t i = 0; rc == LINKD_OK && s.n_rest > 0; i++) {
        rc = span_step(&s, &ret_spans[i], err);
        if (rc == LINKD_OK && i % STEPS_PER_REPORT == 0)
            rc = lk_progress_report(space->progress, "cluster", i, space->n,
                                    err);
    }
    free(s.nearest);
    free(s.rest);
    return rc;
}
