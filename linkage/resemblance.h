/* linkage/resemblance.h — private: how surprising it is that two pictures of a table
 * are as alike as they are, by their vectors and by their perceptual hashes. */
#ifndef LK_LINKAGE_RESEMBLANCE_H
#define LK_LINKAGE_RESEMBLANCE_H

#include "linkage/candidates.h"
#include "linkage/vectors.h"

/* Fewer rows do not show how alike strangers are. A guess: of 50 there are 1,225
 * pairs. */
#define LK_RESEMBLANCE_ROWS_MIN ((size_t)50)

typedef struct lk_resemblance {
    const lk_vectors *vectors; /* borrowed */
    const linkd_str *keys;     /* borrowed, as lk_side has them; or NULL */
    uint64_t *hashes;          /* [vectors->n] */
    bool *has_hash;            /* [vectors->n]: not pictures of one colour */
    float *cosines; /* of pairs, nearly all of them strangers; ascending */
    size_t n_cosines;
    double middle; /* of bits that differ between them, */
    double spread; /* and its standard deviation */
} lk_resemblance;

/* Room for the hashes of the vectors' pictures, of which there are none yet. Pairs
 * whose keys differ, if there are keys, become no candidates.
 * Cleared even if it fails. LINKD_E_ARG: there are fewer vectors than
 * LK_RESEMBLANCE_ROWS_MIN. LINKD_E_NOMEM. */
LINKD_MUST_CHECK int lk_resemblance_new(lk_resemblance *resemblance,
                                        const lk_vectors *vectors,
                                        const linkd_str *keys,
                                        linkd_error *err);
/* Reads the pictures again, from their column, for the hashes. LINKD_E_NOMEM. */
LINKD_MUST_CHECK int lk_resemblance_hash(lk_resemblance *resemblance,
                                         const linkd_table *table,
                                         const linkd_pictures *pictures,
                                         size_t column, linkd_error *err);
/* Looks at all pairs, or at many drawn at random. LINKD_E_NOMEM. */
LINKD_MUST_CHECK int lk_resemblance_measure(lk_resemblance *resemblance,
                                            linkd_error *err);
void lk_resemblance_clear(lk_resemblance *resemblance);

/* -log10 of the chance that two strangers are as alike as a and b; symmetric.
 * `ctx` is a resemblance. */
float lk_resemblance_score(const void *ctx, size_t a, size_t b);

/* Adds the pairs whose hashes are near to the candidates, and gives all of them
 * their scores. LINKD_E_NOMEM. */
LINKD_MUST_CHECK int
lk_resemblance_candidates(const lk_resemblance *resemblance,
                          lk_candidates *candidates, linkd_error *err);

/* The score from which on one pair in a hundred is expected to be of strangers;
 * FLT_MAX: there are no such pairs. LINKD_E_NOMEM. */
LINKD_MUST_CHECK int lk_resemblance_limit(const lk_resemblance *resemblance,
                                          const lk_candidates *candidates,
                                          float *ret_limit, linkd_error *err);

#endif
