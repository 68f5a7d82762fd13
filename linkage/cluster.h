/* linkage/cluster.h — private: pairs to entities. */
#ifndef LK_LINKAGE_CLUSTER_H
#define LK_LINKAGE_CLUSTER_H

#include "linkage/disjoint.h"
#include "linkage/linkage.h"

/* ---- what an entity may hold -------------------------------------------- */

/* {0} allows everything. */
typedef struct lk_cluster_limits {
    size_t max_rows; /* of an entity; 0: any number */
    /* [n_rows]: an entity has at most one row of each source. NULL: any. */
    const uint32_t *sources;
    size_t n_sources; /* every source is below */
} lk_cluster_limits;

/* Sets of rows that grow only as far as the limits allow. */
typedef struct lk_groups {
    lk_disjoint *sets;
    lk_cluster_limits limits;
    uint32_t *sizes; /* [n_rows], by name; these four NULL without limits */
    uint32_t *next;  /* [n_rows]: chains of the rows of a set, */
    uint32_t *last;  /* which start at its name and end here */
    uint32_t *seen;  /* [n_sources]: the tick at which it was seen last */
    uint32_t tick;
} lk_groups;

/* `sets` is borrowed; each row of it must be alone still. */
LINKD_MUST_CHECK int lk_groups_init(lk_groups *groups,
                                    const lk_cluster_limits *limits,
                                    lk_disjoint *sets, linkd_error *err);
void lk_groups_clear(lk_groups *groups);
/* May these two sets become one? Named by their lowest rows, a != b. Once the
 * answer is no it stays no, for whatever the two grow to. */
bool lk_groups_may_unite(lk_groups *groups, size_t a, size_t b);
void lk_groups_unite(lk_groups *groups, size_t a, size_t b);

/* ---- entities from pairs with scores ------------------------------------ */

typedef struct lk_cluster_input {
    const linkd_pair *candidates; /* distinct, left < right, sorted */
    size_t n;
    size_t n_rows;
    float threshold;
    /* The score of any two rows, the same as in candidates and symmetric. */
    float (*score)(const void *ctx, size_t a, size_t b);
    const void *ctx;
    lk_cluster_limits limits;
} lk_cluster_input;

/* Numbers entities from 0 in order of their first rows. A row without an
 * accepted pair is an entity by itself. LINKD_E_ARG: LINKD_CLUSTER_AVERAGE,
 * for which rows that are no candidates have a score of 0, asks for a threshold
 * above 0.
 *   ret_entities [n_rows] */
LINKD_MUST_CHECK int lk_cluster(const lk_cluster_input *input,
                                linkd_cluster method, size_t *ret_entities,
                                size_t *ret_n_entities, linkd_error *err);

/* LINKD_CLUSTER_COMPLETE: unites, in `sets`, the rows of each entity. */
LINKD_MUST_CHECK int lk_cluster_complete(const lk_cluster_input *input,
                                         lk_disjoint *sets, linkd_error *err);

/* ---- entities from pairs with log-odds ---------------------------------- */

typedef struct lk_average_options {
    float missing; /* log-odds of pairs that were never compared */
    float stop;    /* entities merge while their mean is above; >= missing */
    lk_cluster_limits limits;
} lk_average_options;

/* research: prototype, step 10 */
#define LK_AVERAGE_OPTIONS_INIT                                                \
 {                                                                             \
  .missing = -3.0F, .stop = 0.0F                                               \
 }

/* Greedy average linkage: the two entities with the greatest mean log-odds over
 * all pairs between them become one, again and again. Numbers as lk_cluster().
 *   ret_entities [edges->n_records]
 * LINKD_E_ARG: log-odds are not finite, a pair names a record that is not there
 * or a record with itself, or `missing` is above `stop`. */
LINKD_MUST_CHECK int lk_cluster_average(const linkd_edges *edges,
                                        const lk_average_options *options,
                                        size_t *ret_entities,
                                        size_t *ret_n_entities,
                                        linkd_error *err);
/* The same, uniting the rows of each entity in `sets`. */
LINKD_MUST_CHECK int lk_cluster_average_unite(const linkd_edges *edges,
                                              const lk_average_options *options,
                                              lk_disjoint *sets,
                                              linkd_error *err);

#endif
