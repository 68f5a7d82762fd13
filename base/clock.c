/* Time for measuring, which never runs backwards; not the time of day. */
#include "base/base.h"

#include <time.h>

uint64_t lk_clock_ns(void)
{
    struct timespec now;
    int rc = clock_gettime(CLOCK_MONOTONIC, &now);

    LK_ASSERT(rc == 0);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

double lk_clock_seconds_since(uint64_t start_ns)
{
    return (double)(lk_clock_ns() - start_ns) * 1e-9;
}
