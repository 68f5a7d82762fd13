/* linkage/bridge.h — private: one bridge put to use. */
#ifndef LK_LINKAGE_BRIDGE_H
#define LK_LINKAGE_BRIDGE_H

#include "linkage/collection.h"

/* Maps a vector; ret_vector [dim of the other model], of length 1.
 * LINKD_E_DATA: it is zero or not finite. */
LINKD_MUST_CHECK int lk_bridge_map(const linkd_bridge *bridge,
                                   const float *vector, float *ret_vector,
                                   linkd_error *err);

/* A blob of vectors, as linkd_vectors_decode, where they lie: float32 [n, dim] at
 * any address. LINKD_E_DATA: it has a wrong form. */
LINKD_MUST_CHECK int lk_vectors_find(linkd_str bytes, const void **ret_vectors,
                                     size_t *ret_n, size_t *ret_dim,
                                     linkd_error *err);
/* A blob of scales without what may follow them, which is long. */
linkd_str lk_scales_head(linkd_str bytes);

/* The number that anchors share which answer the same queries. */
size_t lk_bridge_group(const linkd_bridge_task *task, size_t anchor);
/* Whether an anchor is an answer to a query. */
bool lk_bridge_answers(const linkd_bridge_task *task, size_t query,
                       size_t anchor);
/* Whether it is the query. */
bool lk_bridge_asks(const linkd_bridge_task *task, size_t query, size_t anchor);

/* Whether an anchor is not fitted on. */
bool lk_bridge_holds(const linkd_bridge_task *task, size_t anchor);

/* A map of those that are fitted already, with an owner more, or NULL. The role of
 * a map alone is its head. */
#define LK_ROLE_HOME ((int)LINKD_N_HEADS)
#define LK_ROLE_RANK ((int)LINKD_N_HEADS + 1)
linkd_compat_map *lk_fitted_find(linkd_fitted *fitted,
                                 const linkd_model_sample *from,
                                 const linkd_model_sample *to, int role);
/* Keeps one for later, if there is room; NULL, the first, is fine. */
void lk_fitted_keep(linkd_fitted *fitted, const linkd_model_sample *from,
                    const linkd_model_sample *to, int role,
                    linkd_compat_map *map);

/* The anchors that are not fitted on, and those that are looked for: ranks among
 * them are as in a collection (bridge_held.c). */
typedef struct lk_held {
    linkd_bridge_task task; /* of these alone; not to be fitted on */
    size_t *places;         /* [task.n_anchors]: their numbers among all */
    size_t *answers, *asked, *groups; /* the task's */
} lk_held;

/* Borrows what the task does, but for its numbers of anchors. */
LINKD_MUST_CHECK int lk_held_make(const linkd_bridge_task *task,
                                  lk_held *ret_held, linkd_error *err);
void lk_held_clear(lk_held *held);
/* Their vectors of a sample, [task.n_anchors, dim], freed with free(); NULL: out of
 * memory. */
float *lk_held_rows(const lk_held *held, const linkd_model_sample *sample);

/* How many anchors look for others in what follows. */
size_t lk_bridge_n_asking(const linkd_bridge_task *task);
/* What records score with others in each way of a bridge that is fitted otherwise:
 * the scales' `records`. `from` is not looked at if it leads to its own. */
LINKD_MUST_CHECK int lk_bridge_fit_records(const linkd_bridge_task *task,
                                           const linkd_model_sample *from,
                                           const linkd_model_sample *to,
                                           linkd_bridge *bridge,
                                           linkd_error *err);

/* The score of `to` with as large a share of strangers above it as `score` has in
 * `from`; -infinity below all of them. */
double lk_score_transfer(const linkd_quantiles *from, const linkd_quantiles *to,
                         double score);
/* What records score with others under the collection's first model. LINKD_E_DATA:
 * that scale is damaged. */
LINKD_MUST_CHECK int lk_bridges_reference(const linkd_bridges *bridges,
                                          linkd_quantiles *ret_records,
                                          linkd_error *err);

/* ---- a ranking on a sample -------------------------------------------------- */

/* Ranks beyond are not told. */
#define LK_RANKS_K ((size_t)10)
/* Of so many hits at least a ranking decides the order: the first hundred by the
 * fused query have nearly all that it would bring forward. */
#define LK_RANKED ((size_t)100)

typedef struct lk_rerank_task {
    const linkd_bridge_task *sample;
    const linkd_model_sample *to;
    const float *found_by;  /* [n_queries, dim]: the fused queries */
    const float *ranked_by; /* likewise: those that decide the order */
} lk_rerank_task;

/* Of the sample's anchors so many are put in order for a query. */
size_t lk_rerank_n_first(const linkd_bridge_task *sample);
/* ret_ranks [n_queries]: as those of linkd_bridge. */
LINKD_MUST_CHECK int lk_rerank(const lk_rerank_task *task, uint32_t *ret_ranks,
                               linkd_error *err);

/* ---- the cohort: every so-manieth anchor ------------------------------------ */

/* As many as there are unless more are asked for: fewer cost F1 of linking over two
 * generations (docs/compat.md). */
#define LK_COHORT_MAX ((size_t)4096)

typedef struct lk_cohort {
    size_t n, dim;
    size_t width;  /* dim, and what is added for products.h */
    uint8_t *rows; /* [n, width], see cohort.c */
    float *scales; /* [n]: what a row's numbers are multiplied by */
} lk_cohort;

/* Of so many anchors one is of the cohort, from the first. */
size_t lk_cohort_stride(size_t n_anchors);
/* From floats [n_anchors, dim], at any address. */
LINKD_MUST_CHECK int lk_cohort_make(const void *anchors, size_t n_anchors,
                                    size_t dim, lk_cohort *ret_cohort,
                                    linkd_error *err);
void lk_cohort_clear(lk_cohort *cohort);
/* Where the scores of a query [dim] lie with a cohort. */
linkd_level lk_cohort_level(const lk_cohort *cohort, const float *query);
/* The same for a query of a task, whose `scores` [n_anchors] are with all
 * anchors. What answers it is left out, as most collections have answers that are
 * not of the cohort; of a small one the cohort has half of all records. */
linkd_level lk_cohort_level_of(const linkd_bridge_task *task, size_t query,
                               const float *scores);
/* Of a generation's vectors; NULL: there is no such one. */
const lk_cohort *lk_bridges_cohort(const linkd_bridges *bridges,
                                   uint32_t generation);

/* The query that is searched for with LINKD_WAY_FUSE: `own` is of the model that
 * the bridge leads to, `vector` of the other. ret_vector [dim of `own`], another
 * array; *ret_is_strange, or NULL: it is not of the kind that the ranking was
 * chosen for. LINKD_E_DATA: one of them is zero or not finite. */
LINKD_MUST_CHECK int lk_bridge_fuse(const linkd_bridge *bridge,
                                    const float *own, const float *vector,
                                    float *ret_vector, bool *ret_is_strange,
                                    linkd_error *err);

/* Such a query again, for the order of what the first one finds. The bridge has a
 * ranking, and the query is not strange. */
LINKD_MUST_CHECK int lk_bridge_rank(const linkd_bridge *bridge,
                                    const float *own, const float *vector,
                                    float *ret_vector, linkd_error *err);

#endif
