/* daemon/metrics.h — private: counters for /metrics. Any thread; atomic. */
#ifndef LK_DAEMON_METRICS_H
#define LK_DAEMON_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

typedef struct lk_metrics lk_metrics;
typedef struct lk_service lk_service;

LINKD_MUST_CHECK int lk_metrics_new(lk_metrics **ret_metrics, linkd_error *err);
void lk_metrics_free(lk_metrics *metrics);

/* One answered request: by route (its place in lk_routes, or lk_n_routes for
 * none) and status, with its time from the last byte read to the first byte
 * written. */
void lk_metrics_count_request(lk_metrics *metrics, size_t route, int status,
                              double seconds);
void lk_metrics_count_refused(lk_metrics *metrics); /* 503 for a full queue */
void lk_metrics_add_connections(lk_metrics *metrics, int n); /* +1, -1 */
void lk_metrics_count_encoded(lk_metrics *metrics, uint64_t n_texts,
                              uint64_t n_tokens, uint64_t n_batches);
/* Records that searches have encoded anew, and moved to a new model; and what of
 * that could not be done, so that a search went on without. */
void lk_metrics_count_cascade(lk_metrics *metrics, uint64_t n_encoded,
                              uint64_t n_moved);
void lk_metrics_count_degraded(lk_metrics *metrics);

/* Appends Prometheus' text form, with what store and jobs count. */
LINKD_MUST_CHECK int lk_metrics_print(lk_metrics *metrics, lk_service *service,
                                      lk_buf *ret_text, linkd_error *err);

#endif
