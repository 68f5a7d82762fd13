/* linkage/lexical.h — private: the records that share the most terms, found
 * through an inverted index. Work is bounded: each query visits its rarest terms
 * first and stops when its budget of postings is spent, so a run is linear in
 * the number of records however common the common terms are. */
#ifndef LK_LINKAGE_LEXICAL_H
#define LK_LINKAGE_LEXICAL_H

#include "linkage/terms.h"

typedef struct lk_neighbour {
    uint32_t record; /* UINT32_MAX fills a short row */
    float score;
} lk_neighbour;

typedef enum lk_lexical_score {
    LK_LEXICAL_COSINE, /* exact cosine of the records that were met */
    LK_LEXICAL_IDF,    /* sum of the idf of the terms they share */
} lk_lexical_score;

typedef struct lk_lexical_options {
    lk_lexical_score score;
    size_t k;     /* neighbours per record */
    size_t k_far; /* up to this many while score >= far_share * the best
                         one's; k_far <= k: none more */
    float far_share;
    float score_min; /* what scores less is left out */
    float df_share;  /* terms in more than this share of the side that is
                         searched (and in more than 50 records) are skipped */
    size_t budget;   /* postings a query visits at most */
    /* [n records]: only records with equal numbers are neighbours; UINT32_MAX
     * has none. NULL: all may be. */
    const uint32_t *blocks;
    lk_pool *pool;
    const linkd_progress *progress; /* step "candidates", in queries */
} lk_lexical_options;

/* Rows of neighbours of the queries, one after the other: those of query q are
 * neighbours[offsets[q]] … neighbours[offsets[q + 1] - 1], best first, of equal
 * scores the lower record first. */
typedef struct lk_neighbours {
    lk_neighbour *neighbours;
    size_t *offsets; /* [n + 1] */
    size_t n;        /* queries: all records of both sides, by record number */
} lk_neighbours;

/* For every record its neighbours on the other side; with one side (n_left ==
 * n), its neighbours among the others. */
LINKD_MUST_CHECK int lk_lexical_search(const lk_terms *terms,
                                       const lk_lexical_options *options,
                                       lk_neighbours *ret_neighbours,
                                       linkd_error *err);
void lk_neighbours_clear(lk_neighbours *neighbours);

#endif
