/* daemon/service.h — private: what handlers work with. Made before the server
 * listens, freed after its last worker ended. */
#ifndef LK_DAEMON_SERVICE_H
#define LK_DAEMON_SERVICE_H

#include "daemon/config.h"
#include "daemon/metrics.h"
#include "daemon/routes.h"
#include "daemon/throttle.h"
#include "linkage/linkage.h"

typedef struct lk_models lk_models;             /* daemon/models.h */
typedef struct lk_jobs lk_jobs;                 /* daemon/jobs.h */
typedef struct lk_bridge_cache lk_bridge_cache; /* daemon/bridges.h */
typedef struct lk_hits lk_hits;                 /* daemon/hits.h */

typedef enum lk_phase {
    LK_PHASE_LOADING,
    LK_PHASE_READY,
    LK_PHASE_DRAINING,
} lk_phase;

struct lk_service {
    const lk_config *config;
    linkd_store *store;
    lk_models *models;
    lk_jobs *jobs;
    lk_bridge_cache *bridges;
    linkd_rates *rates;
    lk_hits *hits;
    lk_throttle cascades; /* records that searches move */
    lk_metrics *metrics;
    char *upload_dir;  /* <data>/files */
    _Atomic int phase; /* lk_phase */
};

#endif
