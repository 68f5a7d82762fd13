/* daemon/hits.h — private: how often searches find records of older models, so
 * that a backfill can begin with those. In memory only, and of bounded size: a
 * restart forgets, and so does a table that is full. Any thread. */
#ifndef LK_DAEMON_HITS_H
#define LK_DAEMON_HITS_H

#include "base/base.h"

typedef struct lk_hits lk_hits;

/* Records that are counted at one time. */
#define LK_HITS_MAX ((size_t)65536)

LINKD_MUST_CHECK int lk_hits_new(lk_hits **ret_hits, linkd_error *err);
void lk_hits_free(lk_hits *hits);

/* Counts one hit of a record, by the numbers of collection and record. */
void lk_hits_count(lk_hits *hits, uint32_t collection, uint64_t record);
/* Takes the most hit records of a collection out of the table, at most `n`, most
 * first, of equal ones the lower number first. Tells how many. */
size_t lk_hits_take(lk_hits *hits, uint32_t collection, uint64_t *ret_records,
                    size_t n);

#endif
