/* tests/linkage/bridged_store.h — a store whose collection "firms" has changed its
 * model: records of bridged.h, some of them moved on, and the bridges between. */
#ifndef LINKD_TESTS_BRIDGED_STORE_H
#define LINKD_TESTS_BRIDGED_STORE_H

#include "tests/index/scratch_store.h"
#include "tests/linkage/bridged.h"

/* All bridges: newer to older, back, and each to itself. */
typedef struct fitted {
    linkd_bridge there, back, old_native, new_native;
} fitted;

fitted fitted_make(const bridged *made);
void fitted_clear(fitted *f);

/* The blobs of one change of the model, as an upgrade writes them: they may be
 * changed before firms_upgrade(). */
enum {
    BLOB_THERE_MAP,
    BLOB_THERE_SCALES,
    BLOB_BACK_MAP,
    BLOB_BACK_SCALES,
    BLOB_OLD_SCALES,
    BLOB_NEW_SCALES,
    BLOB_REFERENCE,
    BLOB_OLD_ANCHORS,
    BLOB_NEW_ANCHORS,
    N_BLOBS,
};
typedef struct blobs {
    linkd_blob of[N_BLOBS];
    lk_buf bytes[N_BLOBS];
} blobs;

/* Bytes of which the test may change any; firms_upgrade() takes them as they
 * are then. */
blobs blobs_make(const bridged *made, const fitted *f);
void blobs_clear(blobs *b);

/* "firms" with all records under the older model: record i is "r<i>". */
void firms_make(const bridged *made);
/* The newer model serves, with these blobs. */
void firms_upgrade(blobs *b);
/* Records in [0, n) get their vectors under the newer model. */
void firms_move(const bridged *made, size_t n);

linkd_view *firms_view(void);

#endif
