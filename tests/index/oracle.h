/* tests/index/oracle.h — what the collection "people" of scratch_store.h should
 * hold, kept beside it as plain arrays, and searches that anybody can read. */
#ifndef LINKD_TESTS_ORACLE_H
#define LINKD_TESTS_ORACLE_H

#include "tests/index/scratch_store.h"

#define ORACLE_IDS ((size_t)3000)

typedef struct oracle_record {
    bool exists;
    bool has_vector;
    float vector[DIM];
    uint64_t group; /* in the field "group", a number */
    uint64_t number;
} oracle_record;

extern oracle_record oracle[ORACLE_IDS]; /* record i has the id "r<i>" */

uint64_t random_below(uint64_t n);
/* A vector of length 1 in a random direction. */
void random_vector(float *ret_vector);

/* Starts from nothing with a fixed seed. */
void oracle_reset(uint64_t seed);
/* Puts records [begin, end) with new vectors in one write. */
void oracle_fill(size_t begin, size_t end);
/* One random write: new vector, vector taken away, or deleted. */
void oracle_change(void);
/* Builds segments of [0, end of the last full chunk), cut at `cut`. */
void oracle_build_segments(uint64_t cut);

/* Writes a segment of the first two chunks and lists it; on a store without a
 * builder, which would take it away again. */
void oracle_list_segment(lk_buf *ret_path);

/* The k best of the records in groups below `n_groups`, best first. */
size_t oracle_search(const float *query, size_t k, uint64_t n_groups,
                     linkd_hit *ret_hits);

linkd_view *view_open(void);
/* Records in groups below `n_groups`. */
linkd_selection *select_groups(linkd_view *view, double n_groups);

#endif
