/* linkage/evidence.h — private: what was gathered, for the decision and for
 * whoever explains it. */
#ifndef LK_LINKAGE_EVIDENCE_H
#define LK_LINKAGE_EVIDENCE_H

#include "linkage/decision.h"

struct linkd_evidence {
    const linkd_table *tables[2]; /* [1] NULL: one table */
    lk_pool *pool;
    lk_field *fields;
    size_t n_fields;
    size_t *columns[2]; /* all that take part, with or without a counterpart */
    size_t n_columns[2];
    linkd_column_pair *column_pairs; /* the same as they came */
    size_t n_column_pairs;
    const char *fingerprint; /* of the encoder, borrowed; "": none */
    uint32_t *text_numbers;  /* [n_records]: equal for equal texts */
    lk_pairset pairs;
    lk_features features; /* of `pairs` */
    lk_features random;   /* of pairs drawn at random */
    float *scores;        /* [pairs.n], see linkd_candidate */
    linkd_funnel funnel;
};

/* The table and the row of a record. */
static inline size_t lk_evidence_row(const linkd_evidence *evidence,
                                     size_t record)
{
    return record < evidence->pairs.n_left ? record
                                           : record - evidence->pairs.n_left;
}

/* All candidates by left, then right, none accepted, each with its probability
 * (`posteriors` [pairs.n]; NULL: 0). `ret_candidates` is freed with free(). */
LINKD_MUST_CHECK int lk_evidence_candidates(const linkd_evidence *evidence,
                                            const float *posteriors,
                                            linkd_candidate **ret_candidates,
                                            linkd_error *err);

#endif
