/* linkage/linkage.h — tables to decisions: reads records, turns them into text
 * and vectors, finds candidates, assigns pairs, clusters them into entities and
 * measures the result against a truth. The only folder that composes encoder,
 * index and compat.
 *
 *   tables.h ─► link.h ─► probability.h ─► dedup.h
 *                 ├─────► rows.h
 *                 └─► content.h ─► collection.h ─► trial.h
 *   model_head.h
 *
 * Others include this header only. */
#ifndef LINKD_LINKAGE_H
#define LINKD_LINKAGE_H

#include "linkage/dedup.h"
#include "linkage/model_head.h"
#include "linkage/rows.h"
#include "linkage/trial.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- measuring against a truth ------------------------------------------ */

typedef struct linkd_pair_quality {
    uint64_t n_result, n_truth, n_common;
    double precision, recall, f1; /* 0 where the divisor is 0 */
} linkd_pair_quality;

typedef struct linkd_evaluation {
    linkd_pair_quality pairs;
    bool has_clusters; /* the result names entities */
    /* B-cubed: Bagga and Baldwin 1998, per row, then averaged over rows */
    double b3_precision, b3_recall, b3_f1;
    size_t n_rows, n_entities_result, n_entities_truth;
} linkd_evaluation;

/* `result` is pairs (columns left_id, right_id) or entities (the id column and
 * entity_id); `truth` likewise. Pairs are compared as pairs; entities are
 * compared as pairs and as clusters over the rows of the result, a truth of
 * pairs being closed transitively first. A row without an entity_id is an
 * entity of its own. LINKD_E_DATA: a file has neither form, a pair lacks an
 * id, a row of the truth is missing from a result of entities, or pairs have
 * no id in common with the truth, left or right. */
LINKD_MUST_CHECK int linkd_evaluate(const linkd_table *result,
                                    const linkd_table *truth,
                                    linkd_evaluation *ret_evaluation,
                                    linkd_error *err);

#ifdef __cplusplus
}
#endif
#endif
