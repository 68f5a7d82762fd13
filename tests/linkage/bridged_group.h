/* tests/linkage/bridged_group.h — what tests of bridges share: one fit for all of
 * them, and a store for each. */
#ifndef LINKD_TESTS_BRIDGED_GROUP_H
#define LINKD_TESTS_BRIDGED_GROUP_H

#include "tests/linkage/bridged_store.h"

extern bridged *made;
extern fitted fits; /* of `made` */

int bridged_group_enter(void **state);
int bridged_group_leave(void **state);
/* A store with "firms", whose model is not changed yet; left by
 * scratch_store_leave(). */
int bridged_enter(void **state);

/* Opens the bridges of "firms" as they are in the store. */
int open_rc(linkd_bridges **ret_bridges);
uint64_t key_get(void);

/* The bridge from the newer model to the older one, with a ranking, which is to be
 * cleared. */
linkd_bridge ranked_there(void);
/* All blobs, with these scales from the newer model to the older one. */
blobs scales_blobs(const linkd_bridge *there);

/* Whether one generation's model has a way to another's records; `message` is why
 * it has none. */
bool leads(const linkd_bridges *bridges, uint32_t from, uint32_t to,
           const char *message);

#endif
