/* compat/random.c — SplitMix64 and what is drawn from it. */
#include "compat/random.h"

#include <math.h>

static uint64_t next(lk_random *random)
{
    uint64_t x = random->state += 0x9E3779B97F4A7C15U;

    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9U;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBU;
    return x ^ (x >> 31);
}

size_t lk_random_below(lk_random *random, size_t n)
{
    return (size_t)(next(random) % n);
}

/* In (0, 1]. */
static double uniform(lk_random *random)
{
    return (double)((next(random) >> 11) + 1) * 0x1p-53;
}

/* Box and Muller 1958, one of the two. */
double lk_random_normal(lk_random *random)
{
    double radius = sqrt(-2.0 * log(uniform(random)));

    return radius * cos(2.0 * 3.14159265358979323846 * uniform(random));
}

/* Fisher and Yates, as Durstenfeld 1964. */
void lk_random_order(lk_random *random, size_t n, size_t *ret_order)
{
    for (size_t i = 0; i < n; i++) {
        size_t j = lk_random_below(random, i + 1);

        ret_order[i] = ret_order[j];
        ret_order[j] = i;
    }
}
