/* daemon/batches.h — private: texts of many workers, encoded together by one
 * thread: under load batches form by themselves, and a lone query never waits
 * for company. Queries go before bulk texts, which come in slices so that a
 * query waits for one slice at most. */
#ifndef LK_DAEMON_BATCHES_H
#define LK_DAEMON_BATCHES_H

#include "linkage/linkage.h"

/* Texts at most that are encoded at once: about 0.1 s of short ones on two
 * cores. */
#define LK_BATCH_MAX ((size_t)64)

typedef struct lk_batches lk_batches;

typedef enum lk_urgency {
    LK_URGENT, /* somebody waits for a query */
    LK_BULK,
    LK_JOB, /* as bulk, but never refused: few jobs run at a time */
} lk_urgency;

/* Makes the vectors of a batch; ret_vectors [n, dim]. On the thread, one at a
 * time. */
typedef struct lk_batch_encoder {
    int (*encode)(void *ctx, const linkd_str *texts, size_t n,
                  float *ret_vectors, linkd_error *err);
    void *ctx;
    size_t dim;
    size_t n_pictures; /* of a slice at most */
} lk_batch_encoder;

/* How a worker waits. */
typedef struct lk_waiting {
    lk_urgency urgency;
    bool (*stop_cb)(void *ctx); /* may be NULL */
    void *stop_ctx;
} lk_waiting;

/* LINKD_E_NOMEM. */
LINKD_MUST_CHECK int lk_batches_new(const lk_batch_encoder *encoder,
                                    lk_batches **ret_batches, linkd_error *err);
/* Waits for what was asked for already. */
void lk_batches_free(lk_batches *batches);

/* Encodes n > 0 texts and returns; the calling worker waits. LINKD_E_BUSY: more
 * than 4096 texts of this urgency wait already. LINKD_E_CANCELLED: stop_cb said
 * so while it waited. LINKD_E_NOMEM, and what the encoder says. */
LINKD_MUST_CHECK int lk_batches_embed(lk_batches *batches,
                                      const lk_waiting *waiting,
                                      const linkd_str *texts, size_t n,
                                      float *ret_vectors, linkd_error *err);

#endif
