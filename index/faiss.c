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
 * Approximately. lk_ann is a graph or an inverted file; its scores are only good
 * for choosing candidates. A graph spends its time comparing, so its vectors are
 * bytes, compared in integers:
 *
 *   component   -range ········ 0 ········ range      beyond: the nearest byte
 *   byte           0 ········ 127.5 ········ 255      0 after the last dimension
 *
 * One range for all dimensions makes distances of bytes proportional to those of
 * the vectors, and among vectors of one length the nearest is the one with the
 * largest inner product. FAISS wants 16 bytes at a time, hence the zeros. The
 * range is the largest component of a sample: of the ten vectors nearest to a
 * query, .989 are among the ten nearest by bytes and all among the first 12; at
 * twice that range .976 and .999 (100,000 x 384 encoded texts, 2026-11-24).
 *
 *   lk_ann_write:  range f32 (0: an inverted file) | FAISS's bytes
 *
 * With faiss_bytes.cpp this is what sees FAISS: its C header puts a bare `OK`
 * and `idx_t` into the global name space. It does not store, remove or
 * filter. */
#include "index/ann.h"

#include <cblas.h>
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

#include "index/faiss_bytes.h"

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
/* Bytes that FAISS compares at once, or one by one if there is a rest. */
#define BYTES_PER_STEP ((size_t)16)
#define BYTE_MAX       255.0F
#define BYTE_MIDDLE    (BYTE_MAX / 2.0F)
/* What newer versions of FAISS call a quantiser that takes bytes. */
#define GRAPH_SUFFIX    ",SQ8_direct"
#define GRAPH_LINKS_MAX 1024L /* guess: far beyond what is of use */
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

int lk_hit_compare(const void *a, const void *b)
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
    qsort(s->ranked, s->n_asked, sizeof(*s->ranked), lk_hit_compare);
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
            qsort(s->ranked, n_kept, sizeof(*s->ranked), lk_hit_compare);
            n_kept = s->k;
            is_cut = true;
        }
    }
    qsort(s->ranked, n_kept, sizeof(*s->ranked), lk_hit_compare);
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

struct lk_ann {
    FaissIndex *index;
    size_t dim;
    size_t width; /* of FAISS's vectors: dim, in a graph with the padding */
    bool is_graph;
    float range; /* of a graph's components; 0: not yet learned */
};

void lk_ann_set_threads(size_t n)
{
    omp_set_num_threads((int)n);
}

/* As what FAISS gets the vectors of a graph: their bytes, each as a float. NULL:
 * out of memory. */
static float *bytes_encode(const lk_ann *ann, const float *vectors, size_t n)
{
    float scale = BYTE_MIDDLE / ann->range;
    float *encoded = lk_alloc_aligned(n * ann->width, sizeof(*encoded));

    for (size_t i = 0; encoded != NULL && i < n; i++) {
        const float *from = vectors + i * ann->dim;
        float *to = encoded + i * ann->width;

        for (size_t j = 0; j < ann->dim; j++) {
            float byte = from[j] * scale + BYTE_MIDDLE + 0.5F;

            byte = byte < 0.0F ? 0.0F : byte;
            to[j] = (float)(int)(byte < BYTE_MAX ? byte : BYTE_MAX);
        }
        for (size_t j = ann->dim; j < ann->width; j++)
            to[j] = 0.0F;
    }
    return encoded;
}

static bool graph_parse(const char *factory, size_t *ret_n_links)
{
    char *end = NULL;
    long n_links;

    if (strncmp(factory, "HNSW", 4) != 0)
        return false;
    n_links = strtol(factory + 4, &end, 10);
    if (n_links <= 0 || n_links > GRAPH_LINKS_MAX ||
        strcmp(end, GRAPH_SUFFIX) != 0)
        return false;
    *ret_n_links = (size_t)n_links;
    return true;
}

static void ivf_prepare(FaissIndexIVF *ivf)
{
    faiss_IndexIVF_set_nprobe(ivf,
                              faiss_IndexIVF_nlist(ivf) / LISTS_PER_PROBE + 1);
}

static int ivf_new(lk_ann *ann, const char *factory, linkd_error *err)
{
    FaissIndexIVF *ivf;

    if (faiss_index_factory(&ann->index, (int)ann->dim, factory,
                            METRIC_INNER_PRODUCT) != OK) {
        ann->index = NULL;
        return lk_fail(err, LINKD_E_ARG, "cannot create index \"%s\": %s",
                       factory, faiss_get_last_error());
    }
    ivf = faiss_IndexIVF_cast(ann->index);
    if (ivf == NULL)
        return lk_fail(err, LINKD_E_ARG,
                       "index \"%s\" is neither a graph of bytes nor lists",
                       factory);
    ivf_prepare(ivf);
    return LINKD_OK;
}

static lk_ann *ann_alloc(size_t dim, bool is_graph)
{
    lk_ann *ann = calloc(1, sizeof(*ann));
    size_t n_steps = (dim + BYTES_PER_STEP - 1) / BYTES_PER_STEP;

    if (ann == NULL)
        return NULL;
    ann->dim = dim;
    ann->is_graph = is_graph;
    ann->width = is_graph ? n_steps * BYTES_PER_STEP : dim;
    return ann;
}

int lk_ann_new(const char *factory, size_t dim, lk_ann **ret_ann,
               linkd_error *err)
{
    size_t n_links = 0;
    bool is_graph = graph_parse(factory, &n_links);
    lk_ann *ann;
    int rc;

    if (dim == 0 || dim > LINKD_DIM_MAX)
        return lk_fail(err, LINKD_E_ARG,
                       "vectors of length %zu cannot be searched", dim);
    blas_make_serial();
    ann = ann_alloc(dim, is_graph);
    if (ann == NULL)
        return lk_fail_nomem(err);
    rc = is_graph ? lk_faiss_bytes_new(ann->width, n_links, &ann->index, err)
                  : ivf_new(ann, factory, err);
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
    free(ann);
}

/* A vector of zeros alone has any range. */
static float range_find(const float *values, size_t n)
{
    float range = 0.0F;

    for (size_t i = 0; i < n; i++)
        range = fabsf(values[i]) > range ? fabsf(values[i]) : range;
    return range > 0.0F ? range : 1.0F;
}

int lk_ann_train(lk_ann *ann, const float *vectors, size_t n, linkd_error *err)
{
    if (n == 0 || n > INT32_MAX)
        return lk_fail(err, LINKD_E_ARG, "cannot learn from %zu vectors", n);
    if (ann->is_graph)
        ann->range = range_find(vectors, n * ann->dim);
    else if (faiss_Index_train(ann->index, (idx_t)n, vectors) != OK)
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
    if (!ann->is_graph)
        return LINKD_OK;
    visited = lk_alloc_aligned(n + 1, 1);
    free(visited);
    return visited == NULL ? lk_fail_nomem(err) : LINKD_OK;
}

static bool ann_is_trained(const lk_ann *ann)
{
    return ann->is_graph ? ann->range > 0.0F
                         : faiss_Index_is_trained(ann->index) != 0;
}

int lk_ann_add(lk_ann *ann, const float *vectors, size_t n, linkd_error *err)
{
    float *encoded = NULL;
    int rc;

    if (n == 0)
        return LINKD_OK;
    if (!ann_is_trained(ann))
        return lk_fail(err, LINKD_E_ARG, "the index has not been trained");
    rc = visits_reserve(ann, lk_ann_count(ann) + n, err);
    if (rc == LINKD_OK && ann->is_graph) {
        encoded = bytes_encode(ann, vectors, n);
        if (encoded == NULL)
            rc = lk_fail_nomem(err);
        vectors = encoded;
    }
    if (rc == LINKD_OK && faiss_Index_add(ann->index, (idx_t)n, vectors) != OK)
        rc = faiss_fail(err, "add vectors to the index");
    free(encoded);
    return rc;
}

void lk_ann_settle(lk_ann *ann)
{
    if (ann->is_graph)
        lk_faiss_bytes_settle(ann->index);
}

size_t lk_ann_count(const lk_ann *ann)
{
    return (size_t)faiss_Index_ntotal(ann->index);
}

int lk_ann_search(const lk_ann *ann, const float *query, size_t n_asked,
                  float *ret_scores, int64_t *ret_positions, linkd_error *err)
{
    float *encoded = NULL;
    int rc;

    if (n_asked == 0 || n_asked > INT32_MAX)
        return lk_fail(err, LINKD_E_ARG, "cannot ask for %zu candidates",
                       n_asked);
    if (!ann_is_trained(ann))
        return lk_fail(err, LINKD_E_ARG, "the index has not been trained");
    rc = visits_reserve(ann, lk_ann_count(ann), err);
    if (rc == LINKD_OK && ann->is_graph) {
        encoded = bytes_encode(ann, query, 1);
        if (encoded == NULL)
            rc = lk_fail_nomem(err);
        query = encoded;
    }
    if (rc != LINKD_OK)
        return rc;
    lk_ann_set_threads(1);
    if (faiss_Index_search(ann->index, 1, query, (idx_t)n_asked, ret_scores,
                           ret_positions) != OK)
        rc = faiss_fail(err, "search the index");
    free(encoded);
    return rc;
}

int lk_ann_write(const lk_ann *ann, FILE *file, linkd_error *err)
{
    if (fwrite(&ann->range, sizeof(ann->range), 1, file) != 1)
        return lk_fail(err, LINKD_E_IO, "could not write an index");
    if (faiss_write_index(ann->index, file) != OK)
        return lk_fail(err, LINKD_E_IO, "could not write an index: %s",
                       faiss_get_last_error());
    return LINKD_OK;
}

static int ann_fill(lk_ann *ann, FILE *file, linkd_error *err)
{
    FaissIndexIVF *ivf;

    if (faiss_read_index(file, 0, &ann->index) != OK) {
        ann->index = NULL;
        return lk_fail(err, LINKD_E_DATA, "cannot read an index: %s",
                       faiss_get_last_error());
    }
    if ((size_t)faiss_Index_d(ann->index) != ann->width)
        return lk_fail(err, LINKD_E_DATA,
                       "the index holds vectors of length %d, not %zu",
                       faiss_Index_d(ann->index), ann->width);
    if (ann->is_graph)
        return lk_faiss_bytes_adopt(ann->index, err);
    ivf = faiss_IndexIVF_cast(ann->index);
    if (ivf == NULL)
        return lk_fail(err, LINKD_E_DATA, "the index is not one of lists");
    ivf_prepare(ivf);
    return LINKD_OK;
}

int lk_ann_read(FILE *file, size_t dim, lk_ann **ret_ann, linkd_error *err)
{
    lk_ann *ann;
    float range;
    int rc;

    if (fread(&range, sizeof(range), 1, file) != 1)
        return lk_fail(err, LINKD_E_DATA, "an index ends where it begins");
    blas_make_serial();
    ann = ann_alloc(dim, range > 0.0F);
    if (ann == NULL)
        return lk_fail_nomem(err);
    ann->range = range;
    rc = ann_fill(ann, file, err);
    if (rc != LINKD_OK) {
        lk_ann_free(ann);
        return rc;
    }
    lk_ann_settle(ann);
    *ret_ann = ann;
    return LINKD_OK;
}
