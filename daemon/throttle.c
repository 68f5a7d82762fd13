/* daemon/throttle.c — see throttle.h. */
#include "daemon/throttle.h"

void lk_throttle_init(lk_throttle *throttle, size_t rate, uint64_t now_ns)
{
    (void)pthread_mutex_init(&throttle->lock, NULL);
    throttle->rate = (double)rate;
    throttle->n_tokens = (double)rate;
    throttle->seen_ns = now_ns;
}

void lk_throttle_clear(lk_throttle *throttle)
{
    (void)pthread_mutex_destroy(&throttle->lock);
}

/* Threads may come with their clocks in another order than with the lock. */
static void fill(lk_throttle *throttle, uint64_t now_ns)
{
    if (now_ns <= throttle->seen_ns)
        return;
    throttle->n_tokens +=
        throttle->rate * (double)(now_ns - throttle->seen_ns) * 1e-9;
    if (throttle->n_tokens > throttle->rate)
        throttle->n_tokens = throttle->rate;
    throttle->seen_ns = now_ns;
}

size_t lk_throttle_take(lk_throttle *throttle, size_t n, uint64_t now_ns)
{
    size_t n_taken;

    (void)pthread_mutex_lock(&throttle->lock);
    fill(throttle, now_ns);
    n_taken = (double)n < throttle->n_tokens ? n : (size_t)throttle->n_tokens;
    throttle->n_tokens -= (double)n_taken;
    (void)pthread_mutex_unlock(&throttle->lock);
    return n_taken;
}
