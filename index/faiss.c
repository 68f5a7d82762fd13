/* index/faiss.c — the door to FAISS: nearest neighbours by inner product,
 * exactly (linkd_index) and approximately (lk_ann).
 *
 * Exactly.
 * FAISS compares a block of queries with all vectors by one matrix product,
 * which is as fast as the machine goes, but the low bits of its scores depend
 * on how many queries were asked at once and on the BLAS kernel that the
 * processor gets. A threshold and a tie then fall differently from run to run.
 * So FAISS only proposes:
 *
 *   queries ─► FAISS: k + SLACK best ─► linkd_index_score of each ─► sort ─► k
 *                                              │
 *            a vector left out could still win ▼
 *                                     scan of every vector
 *
 * Invariant: the hits of a query are the k first of all vectors in the order
 * (linkd_index_score descending, id ascending). They depend on the query and
 * the vectors alone, bit for bit. Proof of the short way: a computed inner
 * product of dim terms, summed in any order, is within dim * 2^-24 * |q| * |v|
 * of the true one (Higham, Accuracy and Stability of Numerical Algorithms,
 * §3.1). A vector that FAISS left out scored no better there than the last one
 * that it proposed, so here it scores at most `margin` = two such errors more.
 * If that is below the k-th score, it cannot belong to the hits. If it is not,
 * as among many equal vectors, the query is scanned.
 *
 * Approximately. lk_ann is any index that FAISS's factory makes; its scores are
 * only good for choosing candidates. How wide an HNSW search is, is a field of
 * the index (efSearch): k alone does not widen it, because FAISS stops after
 * efSearch candidates however many answers are wanted (HNSW.cpp,
 * search_from_candidates), and its C functions have parameters per search only
 * in newer versions than Debian's. So searches pass a gate: those of one width
 * run together, one of another width waits until they have left. Widths are
 * powers of two, so that they seldom differ.
 *
 * This is the one file that sees FAISS: its C header puts a bare `OK` and
 * `idx_t` into the global name space. It does not store, remove or filter. */
#include "index/ann.h"

#include <cblas.h>
#include <faiss/c_api/AutoTune_c.h>
#include <faiss/c_api/IndexFlat_c.h>
#include <faiss/c_api/IndexIVF_c.h>
#include <faiss/c_api/Index_c.h>
#include <faiss/c_api/error_c.h>
#include <faiss/c_api/index_factory_c.h>
#include <faiss/c_api/index_io_c.h>
#include <float.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* From <omp.h>, which clang looks for in a package of its own although FAISS
 * is linked with gcc's runtime. */
extern void omp_set_num_threads(int n);

/* A guess: more than k candidates make the scan rare, each costs one score. */
#define SLACK ((size_t)16)
/* Queries per FAISS call: enough for its matrix product (it wants 20), few
 * enough that its scratch stays in the cache. */
#define QUERIES_PER_CALL ((size_t)256)
/* Bounds the answers of one call, 12 bytes each, when k is huge. */
#define ANSWERS_PER_CALL ((size_t)1 << 20)
/* How wide a search of a graph is at least, and at most: FAISS takes as many
 * steps as that, and looks through an array as long at each. */
#define WIDTH_MIN ((size_t)16)
#define WIDTH_MAX ((size_t)4096)
/* How wide FAISS searches for the neighbours of a vector that it adds. Of
 * 99,000 x 384 encoded texts, HNSW32,SQ8, 2026-11-24: 40 takes 34 s of one core
 * and gives recall@10 .959 at 64 candidates, 200 takes 85 s and gives .978. */
#define WIDTH_OF_BUILD 40
/* Of the lists of an IVF one in so many is searched: 1 in 32 gave recall@10 .933
 * there. */
#define LISTS_PER_PROBE ((size_t)16)
/* Partial sums of a score: one AVX-512 or four SSE registers. */
#define LANES ((size_t)16)

struct linkd_index {
    FaissIndexFlat *flat;
    size_t dim;
    size_t n;
    double max_norm; /* of the vectors */
};

/* What one call of linkd_index_search works with. */
typedef struct search {
    const linkd_index *index;
    const float *vectors; /* [n, dim], inside FAISS */
    size_t k;
    size_t n_asked;    /* answers per query that FAISS is asked for */
    float *scores;     /* [queries per call, n_asked] */
    idx_t *labels;     /* [queries per call, n_asked] */
    linkd_hit *ranked; /* [n_asked] */
} search;

float linkd_index_score(const float *a, const float *b, size_t dim)
{
    float lanes[LANES] = {0};
    size_t whole = dim - dim % LANES;

    for (size_t i = 0; i < whole; i += LANES)
        for (size_t j = 0; j < LANES; j++)
            lanes[j] += a[i + j] * b[i + j];
    for (size_t i = whole; i < dim; i++)
        lanes[i - whole] += a[i] * b[i];
    for (size_t width = LANES / 2; width > 0; width /= 2)
        for (size_t j = 0; j < width; j++)
            lanes[j] += lanes[j + width];
    return lanes[0];
}

/* The length of a vector; infinite or NaN exactly when a number in it is. */
static double vector_norm(const float *vector, size_t dim)
{
    double sum = 0.0;

    for (size_t i = 0; i < dim; i++)
        sum += (double)vector[i] * (double)vector[i];
    return sqrt(sum);
}

/* The first row that is not finite, or `n`. */
static size_t bad_row_find(const float *rows, size_t n, size_t dim)
{
    size_t i = 0;

    while (i < n && isfinite(vector_norm(rows + i * dim, dim)))
        i++;
    return i;
}

/* Sizes and numbers are checked before FAISS sees them, so what it can still
 * throw is std::bad_alloc. Its text belongs to the calling thread and is
 * overwritten by the next call. */
static int faiss_fail(linkd_error *err, const char *what)
{
    return lk_fail(err, LINKD_E_NOMEM, "could not %s: %s", what,
                   faiss_get_last_error());
}

static void blas_serialise(void)
{
    openblas_set_num_threads(1);
}

/* Parallelism is ours, over blocks of queries. OpenBLAS keeps its setting for
 * the process, OpenMP keeps one per thread. */
static void blas_make_serial(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, blas_serialise);
}

int linkd_index_new(size_t dim, linkd_index **ret_index, linkd_error *err)
{
    linkd_index *index = NULL;

    if (dim == 0 || dim > INT32_MAX)
        return lk_fail(err, LINKD_E_ARG,
                       "vectors of length %zu cannot be "
                       "searched",
                       dim);
    blas_make_serial();
    index = calloc(1, sizeof(*index));
    if (index == NULL)
        return lk_fail_nomem(err);
    index->dim = dim;
    if (faiss_IndexFlat_new_with(&index->flat, (idx_t)dim,
                                 METRIC_INNER_PRODUCT) != OK) {
        free(index);
        return faiss_fail(err, "create an index");
    }
    *ret_index = index;
    return LINKD_OK;
}

void linkd_index_free(linkd_index *index)
{
    if (index == NULL)
        return;
    faiss_IndexFlat_free(index->flat);
    free(index);
}

int linkd_index_add(linkd_index *index, const float *vectors, size_t n,
                    linkd_error *err)
{
    size_t bad = bad_row_find(vectors, n, index->dim);

    if (bad < n)
        return lk_fail(err, LINKD_E_ARG, "vector %zu is not finite", bad);
    if (n == 0)
        return LINKD_OK;
    if (faiss_Index_add(index->flat, (idx_t)n, vectors) != OK)
        return faiss_fail(err, "add vectors to the index");
    for (size_t i = 0; i < n; i++)
        index->max_norm = fmax(
            index->max_norm, vector_norm(vectors + i * index->dim, index->dim));
    index->n += n;
    return LINKD_OK;
}

/* ---- search -------------------------------------------------------------- */

static int hit_compare(const void *a, const void *b)
{
    const linkd_hit *x = a;
    const linkd_hit *y = b;

    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

/* Writes the first `k` of `hits`, and fills up with LINKD_ID_NONE. */
static void hits_write(const linkd_hit *hits, size_t n, size_t k,
                       linkd_hit *ret_hits)
{
    size_t n_kept = n < k ? n : k;

    if (n_kept > 0)
        memcpy(ret_hits, hits, n_kept * sizeof(*hits));
    for (size_t i = n_kept; i < k; i++)
        ret_hits[i] = (linkd_hit){.id = LINKD_ID_NONE};
}

static linkd_hit hit_score(const search *s, const float *query, size_t id)
{
    size_t dim = s->index->dim;

    return (linkd_hit){
        .id = id,
        .score = linkd_index_score(query, s->vectors + id * dim, dim)};
}

/* Ranks what FAISS proposed for one query. False: its answers do not prove
 * that no other vector belongs to the first k, and nothing is written. */
static bool proposal_rank(search *s, const float *query, const float *scores,
                          const idx_t *labels, linkd_hit *ret_hits)
{
    const linkd_index *index = s->index;
    double margin = (double)index->dim * (double)FLT_EPSILON *
                    vector_norm(query, index->dim) * index->max_norm;
    double best_outside = (double)scores[s->n_asked - 1] + margin;

    for (size_t i = 0; i < s->n_asked; i++) {
        if (labels[i] < 0)
            return false;
        s->ranked[i] = hit_score(s, query, (size_t)labels[i]);
    }
    qsort(s->ranked, s->n_asked, sizeof(*s->ranked), hit_compare);
    if (s->n_asked < index->n &&
        !((double)s->ranked[s->k - 1].score > best_outside))
        return false;
    hits_write(s->ranked, s->n_asked, s->k, ret_hits);
    return true;
}

/* Looks at every vector. Of equal scores the earlier id is the better one, so
 * one that only equals the k-th so far is no hit. */
static void query_scan(search *s, const float *query, linkd_hit *ret_hits)
{
    size_t n_kept = 0;
    bool is_cut = false; /* ranked[k - 1] is the k-th so far */

    for (size_t id = 0; id < s->index->n; id++) {
        linkd_hit hit = hit_score(s, query, id);

        if (is_cut && !(hit.score > s->ranked[s->k - 1].score))
            continue;
        s->ranked[n_kept++] = hit;
        if (n_kept == s->n_asked && n_kept > s->k) {
            qsort(s->ranked, n_kept, sizeof(*s->ranked), hit_compare);
            n_kept = s->k;
            is_cut = true;
        }
    }
    qsort(s->ranked, n_kept, sizeof(*s->ranked), hit_compare);
    hits_write(s->ranked, n_kept, s->k, ret_hits);
}

static int queries_search(search *s, const float *queries, size_t n,
                          linkd_hit *ret_hits, linkd_error *err)
{
    if (faiss_Index_search(s->index->flat, (idx_t)n, queries, (idx_t)s->n_asked,
                           s->scores, s->labels) != OK)
        return faiss_fail(err, "search the index");
    for (size_t i = 0; i < n; i++) {
        const float *query = queries + i * s->index->dim;
        size_t at = i * s->n_asked;

        if (!proposal_rank(s, query, s->scores + at, s->labels + at,
                           ret_hits + i * s->k))
            query_scan(s, query, ret_hits + i * s->k);
    }
    return LINKD_OK;
}

static int search_run(search *s, const float *queries, size_t n_queries,
                      linkd_hit *ret_hits, linkd_error *err)
{
    size_t n_fit = ANSWERS_PER_CALL / s->n_asked;
    size_t n_step = n_fit < QUERIES_PER_CALL ? n_fit + 1 : QUERIES_PER_CALL;
    int rc = LINKD_OK;

    s->scores = lk_alloc_aligned(n_step * s->n_asked, sizeof(*s->scores));
    s->labels = lk_alloc_aligned(n_step * s->n_asked, sizeof(*s->labels));
    s->ranked = lk_alloc_aligned(s->n_asked, sizeof(*s->ranked));
    if (s->scores == NULL || s->labels == NULL || s->ranked == NULL)
        rc = lk_fail_nomem(err);
    for (size_t i = 0; i < n_queries && rc == LINKD_OK; i += n_step) {
        size_t n = n_queries - i < n_step ? n_queries - i : n_step;

        rc = queries_search(s, queries + i * s->index->dim, n,
                            ret_hits + i * s->k, err);
    }
    free(s->ranked);
    free(s->labels);
    free(s->scores);
    return rc;
}

int linkd_index_search(const linkd_index *index, const float *queries,
                       size_t n_queries, size_t k, linkd_hit *ret_hits,
                       linkd_error *err)
{
    search s = {.index = index, .k = k};
    size_t n_floats = 0;
    size_t bad = bad_row_find(queries, n_queries, index->dim);
    float *vectors = NULL;

    if (k == 0)
        return lk_fail(err, LINKD_E_ARG, "a search for 0 neighbours");
    if (bad < n_queries)
        return lk_fail(err, LINKD_E_ARG, "query %zu is not finite", bad);
    if (index->n == 0) {
        hits_write(NULL, 0, n_queries * k, ret_hits);
        return LINKD_OK;
    }
    omp_set_num_threads(1);
    faiss_IndexFlat_xb(index->flat, &vectors, &n_floats);
    LK_ASSERT(n_floats == index->n * index->dim);
    s.vectors = vectors;
    s.n_asked = index->n - SLACK > k && index->n > SLACK ? k + SLACK : index->n;
    return search_run(&s, queries, n_queries, ret_hits, err);
}

const char *linkd_index_library(void)
{
    return "faiss " LK_FAISS_VERSION;
}

/* ---- approximate --------------------------------------------------------- */

/* Lets searches of one width in together, in the order in which they came. */
typedef struct gate {
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t moved;
    uint64_t next_ticket;
    uint64_t serving; /* the ticket that may enter next */
    size_t n_inside;
    size_t width; /* of those inside */
} gate;

struct lk_ann {
    FaissIndex *index;
    FaissParameterSpace *space; /* sets parameters by name */
    gate *gate;                 /* NULL: the width of a search is fixed */
    size_t dim;
};

static gate *gate_new(void)
{
    gate *g = calloc(1, sizeof(*g));

    if (g == NULL)
        return NULL;
    if (pthread_mutex_init(&g->lock, NULL) != 0) {
        free(g);
        return NULL;
    }
    if (pthread_cond_init(&g->moved, NULL) != 0) {
        (void)pthread_mutex_destroy(&g->lock);
        free(g);
        return NULL;
    }
    return g;
}

static void gate_free(gate *g)
{
    if (g == NULL)
        return;
    (void)pthread_cond_destroy(&g->moved);
    (void)pthread_mutex_destroy(&g->lock);
    free(g);
}

static bool width_set(const lk_ann *ann, size_t width)
{
    return faiss_ParameterSpace_set_index_parameter(
               ann->space, ann->index, "efSearch", (double)width) == OK;
}

static int gate_enter(const lk_ann *ann, size_t width, linkd_error *err)
{
    gate *g = ann->gate;
    bool is_set = true;
    uint64_t ticket;

    (void)pthread_mutex_lock(&g->lock);
    ticket = g->next_ticket++;
    while (ticket != g->serving || (g->n_inside > 0 && g->width != width))
        (void)pthread_cond_wait(&g->moved, &g->lock);
    if (g->width != width)
        is_set = width_set(ann, width);
    if (is_set) {
        g->width = width;
        g->n_inside++;
    }
    g->serving++;
    (void)pthread_cond_broadcast(&g->moved);
    (void)pthread_mutex_unlock(&g->lock);
    return is_set ? LINKD_OK : faiss_fail(err, "set the width of a search");
}

static void gate_leave(gate *g)
{
    (void)pthread_mutex_lock(&g->lock);
    g->n_inside--;
    if (g->n_inside == 0)
        (void)pthread_cond_broadcast(&g->moved);
    (void)pthread_mutex_unlock(&g->lock);
}

void lk_ann_set_threads(size_t n)
{
    omp_set_num_threads((int)n);
}

/* Makes ready for searching what ann->index is: of an IVF, how many lists are
 * looked into; of a graph, that each search may set its width. */
static int ann_prepare(lk_ann *ann, linkd_error *err)
{
    FaissIndexIVF *ivf = faiss_IndexIVF_cast(ann->index);

    if (faiss_ParameterSpace_new(&ann->space) != OK)
        return faiss_fail(err, "prepare an index");
    if (ivf != NULL) {
        size_t n_lists = faiss_IndexIVF_nlist(ivf);

        faiss_IndexIVF_set_nprobe(ivf, n_lists / LISTS_PER_PROBE + 1);
        return LINKD_OK;
    }
    if (!width_set(ann, WIDTH_MIN) ||
        faiss_ParameterSpace_set_index_parameter(
            ann->space, ann->index, "efConstruction", WIDTH_OF_BUILD) != OK)
        return lk_fail(err, LINKD_E_ARG,
                       "the index is neither a graph nor one of lists");
    ann->gate = gate_new();
    return ann->gate == NULL ? lk_fail_nomem(err) : LINKD_OK;
}

int lk_ann_new(const char *factory, size_t dim, lk_ann **ret_ann,
               linkd_error *err)
{
    lk_ann *ann;
    int rc;

    if (dim == 0 || dim > LINKD_DIM_MAX)
        return lk_fail(err, LINKD_E_ARG,
                       "vectors of length %zu cannot be searched", dim);
    blas_make_serial();
    ann = calloc(1, sizeof(*ann));
    if (ann == NULL)
        return lk_fail_nomem(err);
    ann->dim = dim;
    if (faiss_index_factory(&ann->index, (int)dim, factory,
                            METRIC_INNER_PRODUCT) != OK) {
        rc = lk_fail(err, LINKD_E_ARG, "cannot create index \"%s\": %s",
                     factory, faiss_get_last_error());
        ann->index = NULL;
    } else {
        rc = ann_prepare(ann, err);
    }
    if (rc != LINKD_OK) {
        lk_ann_free(ann);
        return rc;
    }
    *ret_ann = ann;
    return LINKD_OK;
}

void lk_ann_free(lk_ann *ann)
{
    if (ann == NULL)
        return;
    faiss_Index_free(ann->index);
    faiss_ParameterSpace_free(ann->space);
    gate_free(ann->gate);
    free(ann);
}

int lk_ann_train(lk_ann *ann, const float *vectors, size_t n, linkd_error *err)
{
    if (n == 0 || n > INT32_MAX)
        return lk_fail(err, LINKD_E_ARG, "cannot learn from %zu vectors", n);
    if (faiss_Index_train(ann->index, (idx_t)n, vectors) != OK)
        return faiss_fail(err, "train an index");
    return LINKD_OK;
}

/* FAISS numbers the nodes of a graph by int. What it allocates within its
 * parallel sections cannot be caught when it fails: bytes marking the vectors
 * seen, per thread. That they were there a moment before is the best there is
 * to know. */
static int visits_reserve(const lk_ann *ann, size_t n, linkd_error *err)
{
    void *visited;

    if (n > INT32_MAX)
        return lk_fail(err, LINKD_E_ARG, "an index cannot hold %zu vectors", n);
    if (ann->gate == NULL)
        return LINKD_OK;
    visited = lk_alloc_aligned(n + 1, 1);
    free(visited);
    return visited == NULL ? lk_fail_nomem(err) : LINKD_OK;
}

int lk_ann_add(lk_ann *ann, const float *vectors, size_t n, linkd_error *err)
{
    int rc;

    if (n == 0)
        return LINKD_OK;
    if (!faiss_Index_is_trained(ann->index))
        return lk_fail(err, LINKD_E_ARG, "the index has not been trained");
    rc = visits_reserve(ann, lk_ann_count(ann) + n, err);
    if (rc == LINKD_OK && faiss_Index_add(ann->index, (idx_t)n, vectors) != OK)
        rc = faiss_fail(err, "add vectors to the index");
    return rc;
}

size_t lk_ann_count(const lk_ann *ann)
{
    return (size_t)faiss_Index_ntotal(ann->index);
}

static size_t width_of(size_t n_asked)
{
    size_t width = WIDTH_MIN;

    while (width < n_asked && width < WIDTH_MAX)
        width *= 2;
    return width;
}

int lk_ann_search(const lk_ann *ann, const float *query, size_t n_asked,
                  float *ret_scores, int64_t *ret_positions, linkd_error *err)
{
    int rc = LINKD_OK;

    if (n_asked == 0 || n_asked > INT32_MAX)
        return lk_fail(err, LINKD_E_ARG, "cannot ask for %zu candidates",
                       n_asked);
    rc = visits_reserve(ann, lk_ann_count(ann), err);
    if (rc == LINKD_OK && ann->gate != NULL)
        rc = gate_enter(ann, width_of(n_asked), err);
    if (rc != LINKD_OK)
        return rc;
    lk_ann_set_threads(1);
    if (faiss_Index_search(ann->index, 1, query, (idx_t)n_asked, ret_scores,
                           ret_positions) != OK)
        rc = faiss_fail(err, "search the index");
    if (ann->gate != NULL)
        gate_leave(ann->gate);
    return rc;
}

int lk_ann_write(const lk_ann *ann, FILE *file, linkd_error *err)
{
    if (faiss_write_index(ann->index, file) != OK)
        return lk_fail(err, LINKD_E_IO, "could not write an index: %s",
                       faiss_get_last_error());
    return LINKD_OK;
}

int lk_ann_read(FILE *file, size_t dim, lk_ann **ret_ann, linkd_error *err)
{
    lk_ann *ann = calloc(1, sizeof(*ann));
    int rc = LINKD_OK;

    if (ann == NULL)
        return lk_fail_nomem(err);
    blas_make_serial();
    ann->dim = dim;
    if (faiss_read_index(file, 0, &ann->index) != OK) {
        rc = lk_fail(err, LINKD_E_DATA, "cannot read an index: %s",
                     faiss_get_last_error());
        ann->index = NULL;
    } else if ((size_t)faiss_Index_d(ann->index) != dim) {
        rc = lk_fail(err, LINKD_E_DATA,
                     "the index holds vectors of length %d, not %zu",
                     faiss_Index_d(ann->index), dim);
    } else {
        rc = ann_prepare(ann, err);
    }
    if (rc != LINKD_OK) {
        lk_ann_free(ann);
        return rc;
    }
    *ret_ann = ann;
    return LINKD_OK;
}
