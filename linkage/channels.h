/* linkage/channels.h — private: all ways in which a pair becomes a candidate. */
#ifndef LK_LINKAGE_CHANNELS_H
#define LK_LINKAGE_CHANNELS_H

#include "linkage/evidence.h"
#include "linkage/vectors.h"

/* What the channels read. Borrowed. */
typedef struct lk_channels_input {
    const linkd_evidence *evidence; /* tables, fields, pool */
    const linkd_evidence_options *options;
    const lk_terms *grams; /* of the whole records */
    const lk_terms *words;
    const uint32_t *blocks;    /* [n_records] or NULL, see lexical.h */
    const lk_vectors *vectors; /* [2] of the sides; NULL: no model */
    const linkd_progress *progress;
} lk_channels_input;

/* Counts what each channel proposes in `funnel`. */
LINKD_MUST_CHECK int lk_channels_run(const lk_channels_input *input,
                                     linkd_funnel *funnel,
                                     lk_pairset *ret_pairs, linkd_error *err);

#endif
