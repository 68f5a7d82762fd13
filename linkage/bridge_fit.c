/* linkage/bridge_fit.c — how queries of one model get to the vectors of another,
 * learnt from the same few thousand records under both.
 *
 *   anchors under both ─ 4 of 5 ─► map           (compat/)
 *   queries under both ───────────► weight of the mapped query in a fused one
 *   queries x anchors ────────────► scale of each way: impostors' scores
 *                     └───────────► calibrator of each model's own queries
 *
 * Queries look for anchors that no map has seen. The scores of a query with all
 * records but its own are the impostors of false-match rates. A calibrator is
 * fitted on standard scores (linkd_level) of a query with its own record against
 * those with others. There is one for all ways: standard scores of two models
 * compare as they are, and lines that are fitted on queries made from records are
 * too far apart for those that users make (docs/compat.md). Probabilities are
 * meant among all records of the collection: of n records one is looked for, so
 * that the odds are shifted from the sample's share to 1 : n.
 *
 * With a head of choice the better one of a rotation and a ridge regression is
 * taken, by MRR@10 of the aligned queries; closed forms both. The order of what
 * fused queries find may be left to a ranking, fused queries of another kind
 * (compat/whiten.c), which is tried on what searches would give it (rerank.c). The
 * weight and the ranking are taken if they are better than the own model's queries
 * for sure: the interval of the difference is above 0. With a ranking, fused queries
 * find what it puts in order only if that is better for sure than what the own ones
 * find, since scores and limits are the finder's. Made queries are not users' ones;
 * what is only probably better for them is as often worse for others. All of this
 * is chosen among anchors that no map was fitted on (bridge_held.c).
 *
 * A query on which the two models are much further apart than on those that chose is
 * strange: in another language, say, which one of them may never have learnt. For it
 * neither weight nor ranking was chosen. The new model leads where it is better for
 * sure at what was asked, and the own one is alone where it is not; a query by itself
 * does not tell which of them knows it (docs/compat.md).
 */
#include "linkage/bridge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Impostors that a calibrator sees; a sample serves, the share is put right. */
#define IMPOSTORS_FITTED ((size_t)200000)

size_t lk_bridge_group(const linkd_bridge_task *task, size_t anchor)
{
    return task->groups != NULL ? task->groups[anchor] : anchor;
}

bool lk_bridge_answers(const linkd_bridge_task *task, size_t query,
                       size_t anchor)
{
    return lk_bridge_group(task, anchor) ==
           lk_bridge_group(task, task->answers[query]);
}

bool lk_bridge_asks(const linkd_bridge_task *task, size_t query, size_t anchor)
{
    return task->asked != NULL && task->asked[query] == anchor;
}

/* Neither what is looked for nor what looks. */
static bool is_impostor(const linkd_bridge_task *t, size_t pair)
{
    size_t query = pair / t->n_anchors;
    size_t anchor = pair % t->n_anchors;

    return !lk_bridge_answers(t, query, anchor) &&
           !lk_bridge_asks(t, query, anchor);
}

/* ---- scales --------------------------------------------------------------- */

typedef struct scoring {
    const linkd_bridge_task *task;
    const float *queries; /* [n_queries, dim] */
    const float *anchors; /* [n_anchors, dim] */
    size_t dim;
    float *scores; /* [n_queries, n_anchors] */
} scoring;

static int query_score(void *ctx, size_t i, size_t worker, linkd_error *err)
{
    const scoring *s = ctx;
    float *row = s->scores + i * s->task->n_anchors;

    (void)worker;
    (void)err;
    for (size_t j = 0; j < s->task->n_anchors; j++)
        row[j] = linkd_index_score(s->queries + i * s->dim,
                                   s->anchors + j * s->dim, s->dim);
    return LINKD_OK;
}

/* The standard score of pair i of all. */
static float standard_of(const scoring *s, const linkd_level *levels, size_t i)
{
    return (float)linkd_level_standard(&levels[i / s->task->n_anchors],
                                       (double)s->scores[i]);
}

/* Matches first, then a sample of the impostors. */
static size_t standards_take(const scoring *s, const linkd_level *levels,
                             size_t stride, float *standards, bool *is_match)
{
    const linkd_bridge_task *t = s->task;
    size_t n = 0;

    for (size_t i = 0; i < t->n_queries; i++) {
        is_match[n] = true;
        standards[n++] =
            standard_of(s, levels, i * t->n_anchors + t->answers[i]);
    }
    for (size_t i = 0; i < t->n_queries * t->n_anchors; i += stride)
        if (is_impostor(t, i))
            standards[n++] = standard_of(s, levels, i);
    return n;
}

static int calibrate(const scoring *s, linkd_calibrator *ret, linkd_error *err)
{
    const linkd_bridge_task *t = s->task;
    size_t n_all = t->n_queries * t->n_anchors;
    size_t stride = n_all / IMPOSTORS_FITTED + 1;
    size_t n_room = t->n_queries + n_all / stride + 1;
    float *scores = malloc(n_room * sizeof(*scores));
    bool *is_match = calloc(n_room, sizeof(*is_match));
    linkd_level *levels = malloc(t->n_queries * sizeof(*levels));
    size_t n = 0;
    int rc = LINKD_OK;

    if (scores == NULL || is_match == NULL || levels == NULL)
        rc = lk_fail_nomem(err);
    for (size_t i = 0; rc == LINKD_OK && i < t->n_queries; i++)
        levels[i] = lk_cohort_level_of(t, i, s->scores + i * t->n_anchors);
    if (rc == LINKD_OK) {
        n = standards_take(s, levels, stride, scores, is_match);
        rc = linkd_calibrator_fit(scores, is_match, n, ret, err);
    }
    if (rc == LINKD_OK)
        ret->offset += log((double)(n - t->n_queries) / (double)t->n_queries) -
                       log((double)t->n_records + 1.0);
    free(levels);
    free(is_match);
    free(scores);
    return rc;
}

/* Closes the gaps that the matches leave among the scores. */
static size_t impostors_keep(scoring *s)
{
    const linkd_bridge_task *t = s->task;
    size_t n = 0;

    for (size_t i = 0; i < t->n_queries * t->n_anchors; i++)
        if (is_impostor(t, i))
            s->scores[n++] = s->scores[i];
    return n;
}

/* `ret_calibrator` may be NULL. */
static int scale_fit(const linkd_bridge_task *t, const float *queries,
                     const linkd_model_sample *to, linkd_scale *ret,
                     linkd_calibrator *ret_calibrator, linkd_error *err)
{
    scoring s = {
        .task = t, .queries = queries, .anchors = to->anchors, .dim = to->dim};
    int rc;

    if (t->no_scales && ret_calibrator == NULL)
        return LINKD_OK;
    s.scores = lk_alloc_aligned(t->n_queries * t->n_anchors, sizeof(float));
    rc = s.scores == NULL
             ? lk_fail_nomem(err)
             : lk_pool_run(t->pool, t->n_queries, query_score, &s, err);

    if (rc == LINKD_OK && ret_calibrator != NULL)
        rc = calibrate(&s, ret_calibrator, err);
    if (rc == LINKD_OK && !t->no_scales)
        rc = linkd_quantiles_make(s.scores, impostors_keep(&s), &ret->impostors,
                                  err);
    free(s.scores);
    return rc;
}

/* ---- quality --------------------------------------------------------------- */

/* Where queries look for their answers. */
typedef struct gallery {
    const linkd_bridge_task *task;
    linkd_model_sample to;
    uint64_t *anchor_groups, *query_groups; /* the latter are looked for */
} gallery;

static int gallery_make(const linkd_bridge_task *t,
                        const linkd_model_sample *to, gallery *ret,
                        linkd_error *err)
{
    *ret = (gallery){t, *to, calloc(t->n_anchors + 1, sizeof(uint64_t)),
                     calloc(t->n_queries + 1, sizeof(uint64_t))};
    if (ret->anchor_groups == NULL || ret->query_groups == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < t->n_anchors; i++)
        ret->anchor_groups[i] = lk_bridge_group(t, i);
    for (size_t i = 0; i < t->n_queries; i++)
        ret->query_groups[i] = lk_bridge_group(t, t->answers[i]);
    return LINKD_OK;
}

static void gallery_clear(gallery *g)
{
    free(g->anchor_groups);
    free(g->query_groups);
}

static linkd_retrieval retrieval_of(const gallery *g, const float *queries)
{
    const linkd_bridge_task *t = g->task;

    return (linkd_retrieval){
        .queries = {queries, t->n_queries, g->to.dim},
        .gallery = {g->to.anchors, t->n_anchors, g->to.dim},
        .query_groups = g->query_groups,
        .gallery_groups = g->anchor_groups,
        .query_rows = t->asked};
}

/* Quality of one way. */
static int way_rank(const gallery *g, const float *queries, linkd_way way,
                    linkd_bridge *bridge, linkd_error *err)
{
    size_t n = g->task->n_queries;
    linkd_retrieval task = retrieval_of(g, queries);
    uint32_t *ranks = calloc(n + 1, sizeof(*ranks));
    int rc = ranks == NULL ? lk_fail_nomem(err)
                           : linkd_compat_ranks(&task, LK_RANKS_K,
                                                g->task->pool, ranks, err);

    free(bridge->ranks[way]);
    bridge->ranks[way] = ranks;
    if (rc == LINKD_OK)
        bridge->mrr_10[way] = linkd_compat_metrics_of(ranks, n).mrr_10;
    return rc;
}

/* Whether the second ranks are better for sure. */
static int better_find(const linkd_bridge_task *t, const uint32_t *ranks,
                       const uint32_t *others, bool *ret_is_better,
                       linkd_error *err)
{
    linkd_interval difference;
    int rc = linkd_compat_difference(ranks, others, t->n_queries, t->seed,
                                     &difference, err);

    if (rc == LINKD_OK)
        *ret_is_better = difference.low > 0.0;
    return rc;
}

/* ---- maps ------------------------------------------------------------------ */

bool lk_bridge_holds(const linkd_bridge_task *task, size_t anchor)
{
    return task->held != NULL ? task->held[anchor]
                              : anchor % LINKD_ANCHORS_HELD == 0;
}

/* The anchors that are fitted on. */
static float *fitted_copy(const linkd_bridge_task *t,
                          const linkd_model_sample *sample, size_t *ret_n)
{
    float *rows = lk_alloc_aligned(t->n_anchors, sample->dim * sizeof(*rows));
    size_t n = 0;

    for (size_t i = 0; rows != NULL && i < t->n_anchors; i++)
        if (!lk_bridge_holds(t, i))
            memcpy(rows + n++ * sample->dim, sample->anchors + i * sample->dim,
                   sample->dim * sizeof(*rows));
    *ret_n = n;
    return rows;
}

static uint64_t *labels_copy(const linkd_bridge_task *t)
{
    uint64_t *labels = calloc(t->n_anchors + 1, sizeof(*labels));
    size_t n = 0;

    for (size_t i = 0; labels != NULL && i < t->n_anchors; i++)
        if (!lk_bridge_holds(t, i))
            labels[n++] = t->labels[i];
    return labels;
}

static int map_fit_anew(const linkd_bridge_task *t,
                        const linkd_model_sample *from,
                        const linkd_model_sample *to, linkd_compat_head head,
                        linkd_compat_map **ret_map, linkd_error *err)
{
    linkd_compat_fit_options options = {.head = head, .seed = t->seed};
    linkd_rows rows[2] = {{.dim = from->dim}, {.dim = to->dim}};
    float *copies[2] = {fitted_copy(t, from, &rows[0].n),
                        fitted_copy(t, to, &rows[1].n)};
    uint64_t *labels = t->labels != NULL ? labels_copy(t) : NULL;
    int rc = LINKD_OK;

    rows[0].data = copies[0];
    rows[1].data = copies[1];
    options.labels = labels;
    if (copies[0] == NULL || copies[1] == NULL ||
        (t->labels != NULL && labels == NULL))
        rc = lk_fail_nomem(err);
    if (rc == LINKD_OK)
        rc = linkd_compat_fit(&rows[0], &rows[1], &options, t->progress,
                              ret_map, err);
    free(labels);
    free(copies[0]);
    free(copies[1]);
    return rc;
}

static int map_fit(const linkd_bridge_task *t, const linkd_model_sample *from,
                   const linkd_model_sample *to, linkd_compat_head head,
                   linkd_compat_map **ret_map, linkd_error *err)
{
    int rc;

    *ret_map = lk_fitted_find(t->fitted, from, to, (int)head);
    if (*ret_map != NULL)
        return LINKD_OK;
    rc = map_fit_anew(t, from, to, head, ret_map, err);
    if (rc == LINKD_OK)
        lk_fitted_keep(t->fitted, from, to, (int)head, *ret_map);
    return rc;
}

/* The queries' compat block, of length 1, without gaps between rows. */
static int queries_map(const linkd_bridge_task *t,
                       const linkd_model_sample *from,
                       const linkd_compat_map *map, float **ret_mapped,
                       linkd_error *err)
{
    linkd_compat_info info = linkd_compat_map_info(map);
    linkd_rows rows = {from->queries, t->n_queries, from->dim};
    float *mapped =
        lk_alloc_aligned(t->n_queries + 1, info.dim_to * sizeof(*mapped));
    int rc = mapped == NULL ? lk_fail_nomem(err)
                            : linkd_compat_map_apply(map, &rows, mapped, err);

    for (size_t i = 0; rc == LINKD_OK && i < t->n_queries; i++)
        memmove(mapped + i * info.dim_compat, mapped + i * info.dim_to,
                info.dim_compat * sizeof(*mapped));
    rows = (linkd_rows){mapped, t->n_queries, info.dim_compat};
    if (rc == LINKD_OK)
        rc = linkd_compat_normalise(&rows, "the mapped queries", mapped, err);
    if (rc == LINKD_OK)
        *ret_mapped = mapped;
    else
        free(mapped);
    return rc;
}

/* What is fitted, and by which ranks it is chosen. */
typedef struct fitting {
    const linkd_bridge_task *task;
    const linkd_model_sample *from, *to;
    lk_held held;
    float *rows;      /* its anchors */
    gallery unseen;   /* the same: what no map was fitted on */
    linkd_bridge own; /* NATIVE: of the own model's queries there */
} fitting;

static void fitting_end(fitting *f)
{
    linkd_bridge_clear(&f->own);
    gallery_clear(&f->unseen);
    free(f->rows);
    lk_held_clear(&f->held);
}

/* fitting_end() follows, whatever is returned. */
static int fitting_begin(fitting *f, linkd_error *err)
{
    linkd_model_sample to = *f->to;
    int rc = lk_held_make(f->task, &f->held, err);

    if (rc != LINKD_OK)
        return rc;
    f->rows = lk_held_rows(&f->held, f->to);
    if (f->rows == NULL)
        return lk_fail_nomem(err);
    to.anchors = f->rows;
    rc = gallery_make(&f->held.task, &to, &f->unseen, err);
    return rc == LINKD_OK ? way_rank(&f->unseen, to.queries, LINKD_WAY_NATIVE,
                                     &f->own, err)
                          : rc;
}

/* Whether a way is better than the own model's queries, for sure. */
static int gain_find(const fitting *f, const uint32_t *ranks,
                     bool *ret_is_better, linkd_error *err)
{
    return better_find(f->task, f->own.ranks[LINKD_WAY_NATIVE], ranks,
                       ret_is_better, err);
}

/* Fits one head, and keeps it if it is better than what is there. */
static int head_try(const fitting *f, linkd_compat_head head,
                    linkd_bridge *bridge, float **mapped, linkd_error *err)
{
    linkd_bridge tried = {0};
    float *queries = NULL;
    int rc = map_fit(f->task, f->from, f->to, head, &tried.map, err);

    if (rc == LINKD_OK)
        rc = queries_map(f->task, f->from, tried.map, &queries, err);
    if (rc == LINKD_OK)
        rc = way_rank(&f->unseen, queries, LINKD_WAY_ALIGN, &tried, err);
    if (rc == LINKD_OK &&
        (bridge->map == NULL ||
         tried.mrr_10[LINKD_WAY_ALIGN] > bridge->mrr_10[LINKD_WAY_ALIGN])) {
        linkd_bridge_clear(bridge);
        *bridge = tried;
        tried = (linkd_bridge){0};
        free(*mapped);
        *mapped = queries;
        queries = NULL;
    }
    linkd_bridge_clear(&tried);
    free(queries);
    return rc;
}

/* ---- fused queries --------------------------------------------------------- */

/* Mixes the own model's queries and mapped ones: [n_queries, dim], freed with
 * free(). */
static float *queries_mix(const fitting *f, const float *own,
                          const float *mapped, float weight)
{
    size_t dim = f->to->dim;
    float *queries =
        lk_alloc_aligned(f->task->n_queries + 1, dim * sizeof(*queries));

    for (size_t i = 0; queries != NULL && i < f->task->n_queries; i++)
        linkd_compat_slerp(own + i * dim, mapped + i * dim, dim, weight,
                           queries + i * dim);
    return queries;
}

/* Mixes them with the weight at which they are best together. */
static int queries_fuse(const fitting *f, const float *own, const float *mapped,
                        float *ret_weight, float **ret_queries,
                        linkd_error *err)
{
    linkd_retrieval task = retrieval_of(&f->unseen, own);
    linkd_rows rows = {mapped, f->task->n_queries, f->to->dim};
    int rc = linkd_compat_choose_weight(&task, &rows, f->task->pool, ret_weight,
                                        err);

    if (rc != LINKD_OK)
        return rc;
    *ret_queries = queries_mix(f, own, mapped, *ret_weight);
    return *ret_queries != NULL ? LINKD_OK : lk_fail_nomem(err);
}

/* Without a weight the own query is alone. */
static int weight_drop(const fitting *f, const float *mapped,
                       linkd_bridge *bridge, float **queries, linkd_error *err)
{
    free(*queries);
    bridge->weight = 0.0F;
    *queries = queries_mix(f, f->to->queries, mapped, 0.0F);
    return *queries != NULL
               ? way_rank(&f->unseen, *queries, LINKD_WAY_FUSE, bridge, err)
               : lk_fail_nomem(err);
}

/* ret_queries [n_queries, dim]: the fused ones, freed with free(), whatever is
 * returned. */
static int fuse_fit(const fitting *f, const float *mapped, linkd_bridge *bridge,
                    float **ret_queries, linkd_error *err)
{
    bool is_better = false;
    int rc = queries_fuse(f, f->to->queries, mapped, &bridge->weight,
                          ret_queries, err);

    if (rc == LINKD_OK)
        rc = way_rank(&f->unseen, *ret_queries, LINKD_WAY_FUSE, bridge, err);
    if (rc == LINKD_OK)
        rc = gain_find(f, bridge->ranks[LINKD_WAY_FUSE], &is_better, err);
    if (rc == LINKD_OK && !is_better)
        rc = weight_drop(f, mapped, bridge, ret_queries, err);
    return rc;
}

/* ---- the order of what they find --------------------------------------------- */

/* Chosen on two of six corpora, debian and historical. Over all of them shrinkages
 * of .03 to .3 and a share of .6 bring 42 to 49 % of the gain, these 46 (asked
 * queries, 2026-11-29). */
static const linkd_whitening whitening = {.shrinkage = 0.1, .share = 0.3};

static int whitened_fit_anew(const linkd_bridge_task *t,
                             const linkd_model_sample *from,
                             const linkd_model_sample *to,
                             linkd_whitened *ret_maps, linkd_error *err)
{
    linkd_rows rows[2] = {{.dim = from->dim}, {.dim = to->dim}};
    const linkd_rows stored = {to->anchors, t->n_anchors, to->dim};
    float *copies[2] = {fitted_copy(t, from, &rows[0].n),
                        fitted_copy(t, to, &rows[1].n)};
    int rc = LINKD_OK;

    rows[0].data = copies[0];
    rows[1].data = copies[1];
    if (copies[0] == NULL || copies[1] == NULL)
        rc = lk_fail_nomem(err);
    if (rc == LINKD_OK)
        rc = linkd_compat_fit_whitened(&rows[0], &rows[1], &stored, &whitening,
                                       ret_maps, err);
    free(copies[0]);
    free(copies[1]);
    return rc;
}

static int whitened_fit(const linkd_bridge_task *t,
                        const linkd_model_sample *from,
                        const linkd_model_sample *to, linkd_whitened *ret_maps,
                        linkd_error *err)
{
    int rc;

    ret_maps->home = lk_fitted_find(t->fitted, from, to, LK_ROLE_HOME);
    ret_maps->map = lk_fitted_find(t->fitted, from, to, LK_ROLE_RANK);
    if (ret_maps->home != NULL && ret_maps->map != NULL)
        return LINKD_OK;
    linkd_whitened_clear(ret_maps);
    rc = whitened_fit_anew(t, from, to, ret_maps, err);
    if (rc == LINKD_OK) {
        lk_fitted_keep(t->fitted, from, to, LK_ROLE_HOME, ret_maps->home);
        lk_fitted_keep(t->fitted, from, to, LK_ROLE_RANK, ret_maps->map);
    }
    return rc;
}

static int ranking_rank(const fitting *f, const float *fused,
                        const float *queries, linkd_bridge *ret,
                        linkd_error *err)
{
    const lk_rerank_task task = {&f->held.task, &f->unseen.to, fused, queries};
    size_t n = f->task->n_queries;
    uint32_t *ranks = calloc(n + 1, sizeof(*ranks));
    int rc = ranks == NULL ? lk_fail_nomem(err) : lk_rerank(&task, ranks, err);

    ret->ranks[LINKD_WAY_FUSE] = ranks;
    if (rc == LINKD_OK)
        ret->mrr_10[LINKD_WAY_FUSE] = linkd_compat_metrics_of(ranks, n).mrr_10;
    return rc;
}

/* ret_queries [n_queries, dim]: those that decide the order, freed with free(),
 * whatever is returned. */
static int ranking_make(const fitting *f, linkd_reranking *ret,
                        float **ret_queries, linkd_error *err)
{
    float *own = NULL;
    float *mapped = NULL;
    int rc = whitened_fit(f->task, f->from, f->to, &ret->maps, err);

    if (rc == LINKD_OK)
        rc = queries_map(f->task, f->to, ret->maps.home, &own, err);
    if (rc == LINKD_OK)
        rc = queries_map(f->task, f->from, ret->maps.map, &mapped, err);
    if (rc == LINKD_OK)
        rc = queries_fuse(f, own, mapped, &ret->weight, ret_queries, err);
    free(mapped);
    free(own);
    return rc;
}

/* Ranks of what the ranking's `queries` put in order: the own model's queries find
 * it, or fused ones if that is better for sure. */
static int finder_choose(const fitting *f, const float *fused,
                         const float *queries, linkd_bridge *ret,
                         bool *ret_is_fused, linkd_error *err)
{
    linkd_bridge tried = {0};
    int rc = ranking_rank(f, f->to->queries, queries, ret, err);

    if (rc == LINKD_OK)
        rc = ranking_rank(f, fused, queries, &tried, err);
    if (rc == LINKD_OK)
        rc = better_find(f->task, ret->ranks[LINKD_WAY_FUSE],
                         tried.ranks[LINKD_WAY_FUSE], ret_is_fused, err);
    if (rc == LINKD_OK && *ret_is_fused) {
        free(ret->ranks[LINKD_WAY_FUSE]);
        ret->ranks[LINKD_WAY_FUSE] = tried.ranks[LINKD_WAY_FUSE];
        ret->mrr_10[LINKD_WAY_FUSE] = tried.mrr_10[LINKD_WAY_FUSE];
        tried.ranks[LINKD_WAY_FUSE] = NULL;
    }
    linkd_bridge_clear(&tried);
    return rc;
}

static void ranking_keep(linkd_bridge *tried, linkd_bridge *bridge)
{
    free(bridge->ranks[LINKD_WAY_FUSE]);
    bridge->ranks[LINKD_WAY_FUSE] = tried->ranks[LINKD_WAY_FUSE];
    tried->ranks[LINKD_WAY_FUSE] = NULL;
    bridge->mrr_10[LINKD_WAY_FUSE] = tried->mrr_10[LINKD_WAY_FUSE];
    bridge->ranking = tried->ranking;
    tried->ranking = (linkd_reranking){0};
}

static int ranking_fit(const fitting *f, const float *mapped,
                       linkd_bridge *bridge, float **fused, linkd_error *err)
{
    linkd_bridge tried = {0};
    float *queries = NULL;
    bool is_fused = false;
    bool is_better = false;
    int rc = ranking_make(f, &tried.ranking, &queries, err);

    if (rc == LINKD_OK)
        rc = finder_choose(f, *fused, queries, &tried, &is_fused, err);
    if (rc == LINKD_OK)
        rc = gain_find(f, tried.ranks[LINKD_WAY_FUSE], &is_better, err);
    is_better = is_better &&
                tried.mrr_10[LINKD_WAY_FUSE] > bridge->mrr_10[LINKD_WAY_FUSE];
    if (rc == LINKD_OK && is_better && !is_fused)
        rc = weight_drop(f, mapped, bridge, fused, err);
    if (rc == LINKD_OK && is_better)
        ranking_keep(&tried, bridge);
    free(queries);
    linkd_bridge_clear(&tried);
    return rc;
}

/* ---- strange queries ---------------------------------------------------------- */

/* Chosen on Debian's descriptions, asked for in Russian, German and Japanese, from
 * the two MiniLMs to e5 (2026-11-29): of .5, .6, … 1 it is best by MRR@10, and none of
 * the six is worse for it. */
#define STRANGE_WEIGHT 0.7F
/* Of 4 some of debian's and historical's own queries would be strange, if few of their
 * kind choose, and be worse for it. */
#define DEVIATIONS 5.0
/* The deviation of fewer queries says little: guess. */
#define QUERIES_TELLING ((size_t)100)
/* No query is strange. */
#define COSINE_NONE (-2.0F)

/* Ranks of a model's queries among all of its vectors. */
static int native_rank(const linkd_bridge_task *t,
                       const linkd_model_sample *sample, linkd_bridge *ret,
                       linkd_error *err)
{
    gallery all = {0};
    int rc = gallery_make(t, sample, &all, err);

    if (rc == LINKD_OK)
        rc = way_rank(&all, sample->queries, LINKD_WAY_NATIVE, ret, err);
    gallery_clear(&all);
    return rc;
}

/* Whether the other model is the better one for sure, each on its own vectors. */
static int lead_find(const fitting *f, bool *ret_leads, linkd_error *err)
{
    linkd_bridge own = {0};
    linkd_bridge other = {0};
    int rc = native_rank(f->task, f->to, &own, err);

    if (rc == LINKD_OK)
        rc = native_rank(f->task, f->from, &other, err);
    if (rc == LINKD_OK)
        rc = better_find(f->task, own.ranks[LINKD_WAY_NATIVE],
                         other.ranks[LINKD_WAY_NATIVE], ret_leads, err);
    linkd_bridge_clear(&own);
    linkd_bridge_clear(&other);
    return rc;
}

/* Nearly all cosines of queries and mapped ones are above it. */
static float cosine_least(const linkd_bridge_task *t,
                          const linkd_model_sample *to, const float *mapped)
{
    double sum = 0.0;
    double squares = 0.0;
    double mean;

    for (size_t i = 0; i < t->n_queries; i++) {
        double cosine = (double)linkd_index_score(
            to->queries + i * to->dim, mapped + i * to->dim, to->dim);

        sum += cosine;
        squares += cosine * cosine;
    }
    mean = sum / (double)t->n_queries;
    return (float)(mean -
                   DEVIATIONS *
                       sqrt(fmax(squares / (double)t->n_queries - mean * mean,
                                 0.0)));
}

static int strange_fit(const fitting *f, const float *mapped,
                       linkd_bridge *bridge, linkd_error *err)
{
    bool leads = false;
    int rc = LINKD_OK;

    bridge->cosine_least = COSINE_NONE;
    if (f->task->n_queries < QUERIES_TELLING)
        return LINKD_OK;
    rc = lead_find(f, &leads, err);
    bridge->strange_weight = leads ? STRANGE_WEIGHT : 0.0F;
    bridge->cosine_least = cosine_least(f->task, f->to, mapped);
    return rc;
}

linkd_bridge_task linkd_bridge_task_back(const linkd_bridge_task *task,
                                         const linkd_model_sample *older,
                                         const linkd_model_sample *newer)
{
    linkd_bridge_task back = *task;
    bool is_lossless =
        task->head == LINKD_HEAD_BT2 || task->head == LINKD_HEAD_BT2_TRAINED;

    back.auto_head =
        task->auto_head || (is_lossless && older->dim < newer->dim);
    return back;
}

static int task_check(const linkd_bridge_task *t, linkd_error *err)
{
    if (t->n_anchors < LINKD_ANCHORS_MIN || t->n_anchors > LINKD_ANCHORS_MAX)
        return lk_fail(err, LINKD_E_ARG,
                       "%zu records to fit on, not %zu to %zu", t->n_anchors,
                       LINKD_ANCHORS_MIN, LINKD_ANCHORS_MAX);
    if (t->n_queries < 2)
        return lk_fail(err, LINKD_E_ARG, "%zu queries are too few",
                       t->n_queries);
    return LINKD_OK;
}

int linkd_bridge_fit(const linkd_bridge_task *task,
                     const linkd_model_sample *from,
                     const linkd_model_sample *to, linkd_bridge *ret_bridge,
                     linkd_error *err)
{
    static const linkd_compat_head tried[] = {LINKD_HEAD_PROCRUSTES,
                                              LINKD_HEAD_RIDGE};
    size_t n_tried = task->auto_head ? sizeof(tried) / sizeof(*tried) : 1;
    fitting f = {.task = task, .from = from, .to = to};
    linkd_bridge bridge = {0};
    float *mapped = NULL;
    float *fused = NULL;
    int rc = task_check(task, err);

    if (rc == LINKD_OK)
        rc = fitting_begin(&f, err);
    for (size_t i = 0; i < n_tried && rc == LINKD_OK; i++)
        rc = head_try(&f, task->auto_head ? tried[i] : task->head, &bridge,
                      &mapped, err);
    if (rc == LINKD_OK)
        rc = scale_fit(task, mapped, to, &bridge.scales[LINKD_WAY_ALIGN], NULL,
                       err);
    if (rc == LINKD_OK)
        rc = fuse_fit(&f, mapped, &bridge, &fused, err);
    if (rc == LINKD_OK)
        rc = ranking_fit(&f, mapped, &bridge, &fused, err);
    if (rc == LINKD_OK)
        rc = scale_fit(task, fused, to, &bridge.scales[LINKD_WAY_FUSE], NULL,
                       err);
    if (rc == LINKD_OK)
        rc = strange_fit(&f, mapped, &bridge, err);
    if (rc == LINKD_OK && !task->no_scales)
        rc = lk_bridge_fit_records(task, from, to, &bridge, err);
    free(fused);
    free(mapped);
    fitting_end(&f);
    if (rc == LINKD_OK)
        *ret_bridge = bridge;
    else
        linkd_bridge_clear(&bridge);
    return rc;
}

int linkd_bridge_native(const linkd_bridge_task *task,
                        const linkd_model_sample *sample,
                        linkd_bridge *ret_bridge, linkd_error *err)
{
    linkd_bridge bridge = {0};
    int rc = task_check(task, err);

    if (rc == LINKD_OK)
        rc = native_rank(task, sample, &bridge, err);
    if (rc == LINKD_OK)
        rc = scale_fit(task, sample->queries, sample,
                       &bridge.scales[LINKD_WAY_NATIVE], &bridge.calibrator,
                       err);
    if (rc == LINKD_OK && !task->no_scales)
        rc = lk_bridge_fit_records(task, NULL, sample, &bridge, err);
    if (rc == LINKD_OK)
        *ret_bridge = bridge;
    else
        linkd_bridge_clear(&bridge);
    return rc;
}
