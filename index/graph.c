/* index/graph.c — nearest neighbours of vectors that stay where they are.
 *
 * One run of the command line has its vectors in memory already, and as many
 * queries as vectors. Comparing all with all grows with the square of their
 * number; a graph (ann.h) is looked through in a few hundred steps, whatever
 * that number is:
 *
 *   caller's vectors ─► bytes ─► graph      the vectors are not copied
 *   query ─► graph: `width` candidates ─► linkd_index_score ─► sort ─► k hits
 *                                               │
 *   caller's vectors ───────────────────────────┘
 *
 * FAISS adds with several threads in whichever order they arrive, so that no
 * two graphs are the same. Here one thread adds, in the order of the rows: equal
 * rows in, equal hits out. Whoever wants more threads makes more graphs. */
#include <stdlib.h>
#include <string.h>

#include "index/ann.h"

#define FACTORY "HNSW32,SQ8_direct"
/* The range of the components is learned from so many rows, evenly spread. */
#define SAMPLE_ROWS ((size_t)4096)
/* Rows that are copied at a time on their way into the graph. */
#define ROWS_PER_CALL ((size_t)256)

struct linkd_graph {
    const float *vectors;
    const size_t *rows; /* [n] or NULL */
    size_t n;
    size_t dim;
    lk_ann *ann;
};

static const float *vector_of(const linkd_graph *g, size_t i)
{
    return g->vectors + (g->rows != NULL ? g->rows[i] : i) * g->dim;
}

/* Copies `n` rows from the one at `first` on, every `step`th. NULL: out of
 * memory. */
static float *rows_gather(const linkd_graph *g, size_t first, size_t step,
                          size_t n)
{
    float *rows = lk_alloc_aligned(n, g->dim * sizeof(*rows));

    for (size_t i = 0; rows != NULL && i < n; i++)
        memcpy(rows + i * g->dim, vector_of(g, first + i * step),
               g->dim * sizeof(*rows));
    return rows;
}

static int graph_train(linkd_graph *g, linkd_error *err)
{
    size_t step = (g->n + SAMPLE_ROWS - 1) / SAMPLE_ROWS;
    size_t n = (g->n + step - 1) / step;
    float *sample = rows_gather(g, 0, step, n);
    int rc = sample == NULL ? lk_fail_nomem(err)
                            : lk_ann_train(g->ann, sample, n, err);

    free(sample);
    return rc;
}

int linkd_graph_new(const float *vectors, const size_t *rows, size_t n,
                    size_t dim, linkd_graph **ret_graph, linkd_error *err)
{
    linkd_graph *g = calloc(1, sizeof(*g));
    int rc;

    if (g == NULL)
        return lk_fail_nomem(err);
    g->vectors = vectors;
    g->rows = rows;
    g->n = n;
    g->dim = dim;
    rc = lk_ann_new(FACTORY, dim, &g->ann, err);
    if (rc == LINKD_OK && n > 0)
        rc = graph_train(g, err);
    if (rc == LINKD_OK)
        *ret_graph = g;
    else
        linkd_graph_free(g);
    return rc;
}

void linkd_graph_free(linkd_graph *graph)
{
    if (graph == NULL)
        return;
    lk_ann_free(graph->ann);
    free(graph);
}

size_t linkd_graph_count(const linkd_graph *graph)
{
    return lk_ann_count(graph->ann);
}

int linkd_graph_grow(linkd_graph *graph, size_t n, linkd_error *err)
{
    size_t at = linkd_graph_count(graph);
    size_t end = n < graph->n - at ? at + n : graph->n;
    int rc = LINKD_OK;

    lk_ann_set_threads(1);
    while (at < end && rc == LINKD_OK) {
        size_t n_rows = end - at < ROWS_PER_CALL ? end - at : ROWS_PER_CALL;
        float *copy = rows_gather(graph, at, 1, n_rows);

        rc = copy == NULL ? lk_fail_nomem(err)
                          : lk_ann_add(graph->ann, copy, n_rows, err);
        free(copy);
        at += n_rows;
    }
    if (rc == LINKD_OK && at == graph->n)
        lk_ann_settle(graph->ann);
    return rc;
}

/* ---- searching ---------------------------------------------------------- */

/* What a search works with; each [width]. */
typedef struct scratch {
    float *scores;
    int64_t *positions;
    linkd_hit *hits;
} scratch;

static int query_search(const linkd_graph *g, const float *query, size_t k,
                        size_t width, const scratch *work, linkd_hit *ret_hits,
                        linkd_error *err)
{
    size_t n = 0;
    int rc =
        lk_ann_search(g->ann, query, width, work->scores, work->positions, err);

    if (rc != LINKD_OK)
        return rc;
    for (size_t i = 0; i < width && work->positions[i] >= 0; i++) {
        size_t id = (size_t)work->positions[i];

        work->hits[n++] = (linkd_hit){
            .id = id,
            .score = linkd_index_score(query, vector_of(g, id), g->dim)};
    }
    qsort(work->hits, n, sizeof(*work->hits), lk_hit_compare);
    for (size_t i = 0; i < k; i++)
        ret_hits[i] = i < n ? work->hits[i] : (linkd_hit){.id = LINKD_ID_NONE};
    return LINKD_OK;
}

int linkd_graph_search(const linkd_graph *graph, const float *queries,
                       size_t n_queries, size_t k, size_t width,
                       linkd_hit *ret_hits, linkd_error *err)
{
    scratch work;
    int rc = LINKD_OK;

    if (k == 0 || width < k)
        return lk_fail(err, LINKD_E_ARG,
                       "%zu neighbours cannot be chosen from %zu candidates", k,
                       width);
    if (graph->n == 0) {
        for (size_t i = 0; i < n_queries * k; i++)
            ret_hits[i] = (linkd_hit){.id = LINKD_ID_NONE};
        return LINKD_OK;
    }
    work =
        (scratch){.scores = lk_alloc_aligned(width, sizeof(*work.scores)),
                  .positions = lk_alloc_aligned(width, sizeof(*work.positions)),
                  .hits = lk_alloc_aligned(width, sizeof(*work.hits))};
    if (work.scores == NULL || work.positions == NULL || work.hits == NULL)
        rc = lk_fail_nomem(err);
    for (size_t i = 0; i < n_queries && rc == LINKD_OK; i++)
        rc = query_search(graph, queries + i * graph->dim, k, width, &work,
                          ret_hits + i * k, err);
    free(work.hits);
    free(work.positions);
    free(work.scores);
    return rc;
}
