/* daemon/throttle.h — private: so much a second and no more. Any thread. */
#ifndef LK_DAEMON_THROTTLE_H
#define LK_DAEMON_THROTTLE_H

#include <pthread.h>

#include "base/base.h"

/* A token bucket: it fills at `rate` a second and holds what a second brings. */
typedef struct lk_throttle {
    pthread_mutex_t lock; /* guards: all below */
    double rate;
    double n_tokens;
    uint64_t seen_ns;
} lk_throttle;

/* Full at first. `now_ns` as of lk_clock_ns(). */
void lk_throttle_init(lk_throttle *throttle, size_t rate, uint64_t now_ns);
void lk_throttle_clear(lk_throttle *throttle);
/* Takes up to n; tells how many. */
size_t lk_throttle_take(lk_throttle *throttle, size_t n, uint64_t now_ns);

#endif
