/* linkage/mixed.c — the records nearest to a query, in whichever generation they
 * are.
 *
 *   query of the model that serves ─┬─ native ─────────────► its vectors ─┐
 *                                   ├─ map ─ align ────────► older ones ──┼► merged
 *     the older model's own query ──┴─ map ─ slerp ─ fuse ─► older ones ──┘ by
 *                                                                    log-odds
 *
 * Scores of two models say different things: .8 may be nearly certain in one
 * and chance in the other, and for another query the other way round. Each
 * generation is searched for k on its own, and how far a score is above what the
 * query scores with the same records in each generation (linkd_level) decides
 * between generations. That and the calibrator are strictly monotone, so that
 * within a generation nothing changes its place, and k of each are enough for the
 * k best of all. A ranking decides among the hundred best of a generation.
 *
 * In a cascade the caller encodes the first of these anew, half of which align
 * has found, and has them scored once more, by linkd_mixed_rescore(). */
#include "linkage/linkage.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "linkage/bridge.h"

/* One generation's part in a search. */
typedef struct part {
    uint32_t generation;
    linkd_way way;
    bool is_strange; /* lk_bridge_fuse() */
    size_t dim;
    linkd_standing standing; /* of what decides the order */
    float limit;             /* the score that hits have to reach */
    float *vector;           /* [dim]; its scores are told and limited */
    float *ranking;          /* [dim]; NULL: `vector` decides the order */
} part;

typedef struct mixed {
    const linkd_bridges *bridges;
    linkd_view *view;
    const linkd_mixed_query *query;
    const linkd_limit *limit;
    bool is_raw; /* one generation, whose scales are damaged */
    part parts[LINKD_GENERATIONS_MAX];
    size_t n;
    lk_arena arena; /* of the vectors */
} mixed;

/* ---- the query in each generation ------------------------------------------- */

static const float *home_find(const linkd_mixed_query *query,
                              uint32_t generation)
{
    for (size_t i = 0; i < query->n_homes; i++)
        if (query->homes[i].generation == generation)
            return query->homes[i].vector;
    return NULL;
}

static int part_native(mixed *m, const linkd_generation *g, part *p,
                       linkd_error *err)
{
    p->way = LINKD_WAY_NATIVE;
    p->vector = lk_arena_alloc(&m->arena, g->dim * sizeof(*p->vector));
    if (p->vector == NULL)
        return lk_fail_nomem(err);
    memcpy(p->vector, m->query->vector, g->dim * sizeof(*p->vector));
    return LINKD_OK;
}

/* What cannot be mapped is the query's own fault. */
static int query_fault(int rc, linkd_error *err)
{
    if (rc == LINKD_E_DATA && err != NULL)
        err->code = LINKD_E_ARG;
    return rc == LINKD_E_DATA ? LINKD_E_ARG : rc;
}

static int part_mapped(mixed *m, const linkd_generation *g,
                       const linkd_bridge *bridge, part *p, linkd_error *err)
{
    const float *home = home_find(m->query, g->number);
    int rc;

    p->way = home != NULL ? LINKD_WAY_FUSE : LINKD_WAY_ALIGN;
    p->vector = lk_arena_alloc(&m->arena, g->dim * sizeof(*p->vector));
    if (p->vector == NULL)
        return lk_fail_nomem(err);
    rc = home != NULL
             ? lk_bridge_fuse(bridge, home, m->query->vector, p->vector,
                              &p->is_strange, err)
             : linkd_bridges_map(m->bridges, m->query->generation, g->number,
                                 m->query->vector, p->vector, err);
    return query_fault(rc, err);
}

static int part_rank(mixed *m, const linkd_bridge *bridge, part *p,
                     linkd_error *err)
{
    const float *home = home_find(m->query, p->generation);

    if (m->query->is_record || p->way != LINKD_WAY_FUSE ||
        bridge->ranking.maps.home == NULL || p->is_strange)
        return LINKD_OK;
    p->ranking = lk_arena_alloc(&m->arena, p->dim * sizeof(*p->ranking));
    if (p->ranking == NULL)
        return lk_fail_nomem(err);
    return query_fault(
        lk_bridge_rank(bridge, home, m->query->vector, p->ranking, err), err);
}

/* `vector` is what is searched for. LINKD_E_DATA: a bridge is damaged. */
static int standing_make(const linkd_bridges *bridges, uint32_t from,
                         uint32_t to, linkd_way way, const float *vector,
                         linkd_standing *ret, linkd_error *err)
{
    const linkd_bridge *native = NULL;
    const linkd_bridge *bridge = NULL;
    int rc = linkd_bridges_need(bridges, from, from, &native, err);

    if (rc == LINKD_OK)
        rc = linkd_bridges_need(bridges, from, to, &bridge, err);
    if (rc == LINKD_OK)
        *ret = (linkd_standing){
            .scale = &bridge->scales[way],
            .level = lk_cohort_level(lk_bridges_cohort(bridges, to), vector),
            .calibrator = &native->calibrator};
    return rc;
}

/* Own vectors alone, in the order of scores, which no scale would change. */
static int part_raw(mixed *m, const linkd_generation *g, linkd_error *err)
{
    part *p = &m->parts[m->n];
    int rc;

    *p = (part){.generation = g->number, .dim = g->dim, .limit = -INFINITY};
    rc = part_native(m, g, p, err);
    m->n += rc == LINKD_OK;
    return rc;
}

static int part_make(mixed *m, const linkd_generation *g, linkd_error *err)
{
    const linkd_bridge *bridge = NULL;
    part *p = &m->parts[m->n];
    int rc;

    if (m->is_raw)
        return part_raw(m, g, err);
    rc = linkd_bridges_need(m->bridges, m->query->generation, g->number,
                            &bridge, err);
    *p = (part){.generation = g->number, .dim = g->dim};
    if (rc == LINKD_OK)
        rc = g->number == m->query->generation
                 ? part_native(m, g, p, err)
                 : part_mapped(m, g, bridge, p, err);
    if (rc == LINKD_OK)
        rc = part_rank(m, bridge, p, err);
    if (rc == LINKD_OK)
        rc = standing_make(m->bridges, m->query->generation, g->number, p->way,
                           p->ranking != NULL ? p->ranking : p->vector,
                           &p->standing, err);
    p->standing.is_record = m->query->is_record;
    if (rc == LINKD_OK)
        rc = linkd_limit_score(m->bridges, m->limit, &p->standing, &p->limit,
                               err);
    m->n += rc == LINKD_OK;
    return rc;
}

/* Generations without records are left out. */
static bool is_searched(const mixed *m, const linkd_generation *g)
{
    return g->n_vectors > 0 &&
           (!m->query->own_only || g->number == m->query->generation);
}

/* Whether scales are damaged that nothing is to be compared or limited by. */
static bool scales_are_spared(const mixed *m, const linkd_generation *all,
                              size_t n)
{
    uint32_t own = m->query->generation;

    for (size_t i = 0; i < n; i++)
        if (is_searched(m, &all[i]) && all[i].number != own)
            return false;
    return m->limit->kind == LINKD_LIMIT_NONE &&
           linkd_bridges_find(m->bridges, own, own) == NULL;
}

static int mixed_open(mixed *m, linkd_error *err)
{
    linkd_generation generations[LINKD_GENERATIONS_MAX];
    size_t n = linkd_view_generations(m->view, generations);
    int rc = LINKD_OK;

    m->is_raw = scales_are_spared(m, generations, n);
    for (size_t i = 0; i < n && rc == LINKD_OK; i++)
        if (is_searched(m, &generations[i]))
            rc = part_make(m, &generations[i], err);
    return rc;
}

static int mixed_close(mixed *m, int rc, linkd_error *err)
{
    linkd_generation generations[LINKD_GENERATIONS_MAX];
    size_t n = linkd_view_generations(m->view, generations);

    lk_arena_clear(&m->arena);
    for (size_t i = 0; i < n; i++)
        if (generations[i].state == LINKD_GENERATION_SERVING) {
            int rc_turn = linkd_view_turn_to(m->view, generations[i].number,
                                             rc == LINKD_OK ? err : NULL);

            rc = rc == LINKD_OK ? rc_turn : rc;
        }
    return rc;
}

/* ---- merging ------------------------------------------------------------------ */

/* The view is turned to the part's generation. LINKD_E_DATA: the hit's vector is
 * gone. */
static int found_make(const mixed *m, const part *p, const linkd_hit *hit,
                      linkd_found *ret, linkd_error *err)
{
    float order = hit->score;
    const float *vector = NULL;
    int rc = LINKD_OK;

    *ret = (linkd_found){.id = hit->id,
                         .score = hit->score,
                         .generation = p->generation,
                         .way = p->way,
                         .is_raw = m->is_raw};
    if (p->ranking != NULL) {
        rc = linkd_view_vector(m->view, hit->id, &vector, err);
        if (rc == LINKD_OK && vector == NULL)
            rc = lk_fail(err, LINKD_E_DATA,
                         "damaged database: a hit has no vector");
        if (rc != LINKD_OK)
            return rc;
        ret->score = linkd_index_score(p->vector, vector, p->dim);
        order = linkd_index_score(p->ranking, vector, p->dim);
    }
    ret->log_odds = m->is_raw
                        ? (double)order
                        : linkd_standing_log_odds(&p->standing, (double)order);
    return rc;
}

static int found_compare(const void *a, const void *b)
{
    const linkd_found *x = a;
    const linkd_found *y = b;

    if (x->log_odds != y->log_odds)
        return x->log_odds > y->log_odds ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static void stats_add(linkd_search_stats *stats, const linkd_search_stats *more)
{
    stats->exact = stats->exact && more->exact;
    stats->n_scanned += more->n_scanned;
    stats->n_segments += more->n_segments;
}

/* What is searched for: what the limit is of, since a probability is of what
 * decides the order. */
static const float *part_vector(const mixed *m, const part *p)
{
    return p->ranking != NULL && m->limit->kind == LINKD_LIMIT_PROBABILITY
               ? p->ranking
               : p->vector;
}

static size_t room_of(size_t k)
{
    return k > LK_RANKED ? k : LK_RANKED;
}

/* hits [room_of(options->k)]: as many as that, if a ranking decides. */
static int part_search(mixed *m, const part *p,
                       const linkd_search_options *options, linkd_hit *hits,
                       linkd_search_stats *stats, linkd_error *err)
{
    linkd_search_options of_part = *options;
    linkd_search_stats part_stats = {.exact = true};
    int rc = linkd_view_turn_to(m->view, p->generation, err);

    if (p->ranking != NULL)
        of_part.k = room_of(options->k);
    for (size_t i = of_part.k; i < room_of(options->k); i++)
        hits[i].id = LINKD_ID_NONE;
    of_part.threshold = lk_score_margin(p->limit);
    if (rc == LINKD_OK)
        rc = linkd_view_search(m->view, part_vector(m, p), 1, &of_part, hits,
                               &part_stats, err);
    stats_add(stats, &part_stats);
    return rc;
}

/* A margin lets in what rounds to the limit. */
static bool is_within(const part *p, const linkd_hit *hit)
{
    return hit->id != LINKD_ID_NONE &&
           lk_score_round(hit->score) >= lk_score_round(p->limit);
}

int linkd_mixed_search(const linkd_bridges *bridges, linkd_view *view,
                       const linkd_mixed_query *query,
                       const linkd_search_options *options,
                       const linkd_limit *limit, linkd_found *ret_found,
                       size_t *ret_n, linkd_search_stats *ret_stats,
                       linkd_error *err)
{
    mixed m = {
        .bridges = bridges, .view = view, .query = query, .limit = limit};
    size_t k = options->k;
    size_t room = room_of(k);
    linkd_search_stats stats = {.exact = true};
    linkd_found *all = calloc(LINKD_GENERATIONS_MAX * room, sizeof(*all));
    linkd_hit *hits = calloc(room, sizeof(*hits));
    size_t n = 0;
    int rc;

    if (all == NULL || hits == NULL) {
        free(hits);
        free(all);
        return lk_fail_nomem(err);
    }
    rc = mixed_open(&m, err);
    for (size_t i = 0; i < m.n && rc == LINKD_OK; i++) {
        rc = part_search(&m, &m.parts[i], options, hits, &stats, err);
        for (size_t j = 0;
             rc == LINKD_OK && j < room && is_within(&m.parts[i], &hits[j]);
             j++)
            rc = found_make(&m, &m.parts[i], &hits[j], &all[n++], err);
    }
    rc = mixed_close(&m, rc, err);
    if (rc == LINKD_OK) {
        qsort(all, n, sizeof(*all), found_compare);
        *ret_n = n < k ? n : k;
        memcpy(ret_found, all, *ret_n * sizeof(*all));
        *ret_stats = stats;
    }
    free(hits);
    free(all);
    return rc;
}

/* Appends what a generation has within the limit. */
static int part_range(mixed *m, const part *p,
                      const linkd_search_options *options, linkd_found **all,
                      size_t *n, linkd_search_stats *stats, linkd_error *err)
{
    linkd_search_options of_part = *options;
    linkd_search_stats part_stats = {0};
    linkd_hit *hits = NULL;
    linkd_found *more;
    size_t n_hits = 0;
    int rc = linkd_view_turn_to(m->view, p->generation, err);

    of_part.threshold = lk_score_margin(p->limit);
    if (rc == LINKD_OK)
        rc = linkd_view_range(m->view, part_vector(m, p), &of_part, &hits,
                              &n_hits, &part_stats, err);
    if (rc != LINKD_OK)
        return rc;
    more = realloc(*all, (*n + n_hits + 1) * sizeof(*more));
    if (more == NULL)
        rc = lk_fail_nomem(err);
    else
        *all = more;
    for (size_t i = 0; rc == LINKD_OK && i < n_hits; i++)
        if (is_within(p, &hits[i]))
            rc = found_make(m, p, &hits[i], &(*all)[(*n)++], err);
    stats_add(stats, &part_stats);
    free(hits);
    return rc;
}

int linkd_mixed_range(const linkd_bridges *bridges, linkd_view *view,
                      const linkd_mixed_query *query,
                      const linkd_search_options *options,
                      const linkd_limit *limit, linkd_found **ret_found,
                      size_t *ret_n, linkd_search_stats *ret_stats,
                      linkd_error *err)
{
    mixed m = {
        .bridges = bridges, .view = view, .query = query, .limit = limit};
    linkd_search_stats stats = {.exact = true};
    linkd_found *all = NULL;
    size_t n = 0;
    int rc = mixed_open(&m, err);

    for (size_t i = 0; i < m.n && rc == LINKD_OK; i++)
        rc = part_range(&m, &m.parts[i], options, &all, &n, &stats, err);
    rc = mixed_close(&m, rc, err);
    if (rc != LINKD_OK) {
        free(all);
        return rc;
    }
    if (n > 0)
        qsort(all, n, sizeof(*all), found_compare);
    *ret_found = all;
    *ret_n = n;
    *ret_stats = stats;
    return LINKD_OK;
}

/* ---- cascades ---------------------------------------------------------------- */

/* Appends it unless it is there. */
static size_t found_add(linkd_found *all, size_t n, const linkd_found *more)
{
    for (size_t i = 0; i < n; i++)
        if (all[i].id == more->id)
            return n;
    all[n] = *more;
    return n + 1;
}

int linkd_mixed_candidates(const linkd_bridges *bridges, linkd_view *view,
                           const linkd_mixed_query *query,
                           const linkd_search_options *options,
                           size_t n_candidates, linkd_found *ret_found,
                           size_t *ret_n, linkd_search_stats *ret_stats,
                           linkd_error *err)
{
    static const linkd_limit no_limit = {LINKD_LIMIT_NONE, 0.0};
    linkd_mixed_query mapped_query = {.generation = query->generation,
                                      .vector = query->vector};
    size_t k = options->k;
    linkd_found *fused = calloc(2 * k + 1, sizeof(*fused));
    linkd_found *mapped;
    linkd_search_stats stats = {.exact = true};
    linkd_search_stats more = {.exact = true};
    size_t n_fused = 0, n_mapped = 0, n = 0;
    int rc;

    LK_ASSERT(n_candidates <= k);
    if (fused == NULL)
        return lk_fail_nomem(err);
    mapped = fused + k;
    rc = linkd_mixed_search(bridges, view, query, options, &no_limit, fused,
                            &n_fused, &stats, err);
    if (rc == LINKD_OK && query->n_homes > 0) {
        rc = linkd_mixed_search(bridges, view, &mapped_query, options,
                                &no_limit, mapped, &n_mapped, &more, err);
        stats_add(&stats, &more);
    }
    for (size_t i = 0; i < k && n < k && rc == LINKD_OK; i++) {
        if (i < n_fused)
            n = found_add(ret_found, n, &fused[i]);
        if (i < n_mapped && n < n_candidates)
            n = found_add(ret_found, n, &mapped[i]);
    }
    if (rc == LINKD_OK) {
        *ret_n = n;
        *ret_stats = stats;
    }
    free(fused);
    return rc;
}

static int fresh_compare(const void *key, const void *item)
{
    const uint64_t *number = key;
    const linkd_fresh *fresh = item;

    return (*number > fresh->number) - (*number < fresh->number);
}

/* The record's vector; NULL: there is none, or it is of an older text. */
static int fresh_find(linkd_view *view, const linkd_fresh *fresh, size_t n,
                      uint64_t number, const float **ret_vector,
                      linkd_error *err)
{
    const linkd_fresh *found =
        bsearch(&number, fresh, n, sizeof(*fresh), fresh_compare);
    lk_arena arena = {0};
    linkd_stored record = {0};
    int rc = LINKD_OK;

    *ret_vector = NULL;
    if (found == NULL)
        return LINKD_OK;
    rc = linkd_view_read(view, number, &arena, &record, err);
    if (rc == LINKD_OK && record.seq == found->seq)
        *ret_vector = found->vector;
    lk_arena_clear(&arena);
    return rc;
}

/* The generation need not serve any more. 0: it is gone. */
static size_t dim_of(linkd_view *view, uint32_t generation)
{
    linkd_generation generations[LINKD_GENERATIONS_MAX];
    size_t n = linkd_view_generations(view, generations);

    for (size_t i = 0; i < n; i++)
        if (generations[i].number == generation)
            return generations[i].dim;
    return 0;
}

/* Whether a hit is within the limit; `standing` is that of a fresh vector. */
static int keep_find(const linkd_bridges *bridges, uint32_t generation,
                     const linkd_limit *limit, const linkd_standing *standing,
                     const linkd_found *f, bool *ret_kept, linkd_error *err)
{
    linkd_standing of_other = *standing;
    double p = limit->value;
    float least = 0.0F;
    int rc;

    if (limit->kind == LINKD_LIMIT_PROBABILITY) {
        *ret_kept = f->log_odds >= log(p / (1.0 - p));
        return LINKD_OK;
    }
    if (f->way != LINKD_WAY_CASCADE) {
        of_other.scale = &linkd_bridges_find(bridges, generation, f->generation)
                              ->scales[f->way];
        standing = &of_other; /* other limits are by the scale alone */
    }
    rc = linkd_limit_score(bridges, limit, standing, &least, err);
    *ret_kept = lk_score_round(f->score) >= lk_score_round(least);
    return rc;
}

int linkd_mixed_rescore(const linkd_bridges *bridges, linkd_view *view,
                        const linkd_mixed_query *query,
                        const linkd_fresh *fresh, size_t n_fresh,
                        const linkd_limit *limit, size_t k, linkd_found *found,
                        size_t *n, linkd_error *err)
{
    uint32_t own = query->generation;
    size_t dim = dim_of(view, own);
    linkd_standing standing = {0};
    size_t n_kept = 0;
    int rc = dim > 0 ? standing_make(bridges, own, own, LINKD_WAY_NATIVE,
                                     query->vector, &standing, err)
                     : LINKD_OK;

    standing.is_record = query->is_record;
    for (size_t i = 0; i < *n && rc == LINKD_OK; i++) {
        linkd_found f = found[i];
        const float *vector = NULL;
        bool kept = false;

        if (f.generation != own && dim > 0)
            rc = fresh_find(view, fresh, n_fresh, f.id, &vector, err);
        if (rc == LINKD_OK && vector != NULL) {
            f.score = linkd_index_score(query->vector, vector, dim);
            f.generation = own;
            f.way = LINKD_WAY_CASCADE;
            f.log_odds = linkd_standing_log_odds(&standing, (double)f.score);
        }
        if (rc == LINKD_OK)
            rc = keep_find(bridges, own, limit, &standing, &f, &kept, err);
        if (rc == LINKD_OK && kept)
            found[n_kept++] = f;
    }
    if (rc != LINKD_OK)
        return rc;
    qsort(found, n_kept, sizeof(*found), found_compare);
    *n = n_kept < k ? n_kept : k;
    return LINKD_OK;
}
