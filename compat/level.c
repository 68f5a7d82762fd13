/* compat/level.c — scores of a query in units of what it scores with a cohort. */
#include <math.h>

#include "compat/compat.h"

/* Of the deviation of all scores, what is added to that of the highest ones, which
 * are few, and of copies of one record have none. */
#define SHARE_OF_ALL 0.3

/* Puts a score among the n highest ones, highest first, if it is one of them;
 * their number then. */
static size_t top_add(double *top, size_t n, double score)
{
    size_t at = n;

    if (n == LINKD_LEVEL_TOP && score <= top[n - 1])
        return n;
    if (n == LINKD_LEVEL_TOP)
        at--;
    else
        n++;
    for (; at > 0 && top[at - 1] < score; at--)
        top[at] = top[at - 1];
    top[at] = score;
    return n;
}

/* Sums of values that were counted from `first`, which keeps digits. */
typedef struct moments {
    double first, sum, squares;
    size_t n;
} moments;

static void moments_add(moments *m, double value)
{
    double d = value - m->first;

    m->sum += d;
    m->squares += d * d;
    m->n++;
}

static double moments_mean(const moments *m)
{
    return m->first + m->sum / (double)m->n;
}

static double moments_variance(const moments *m)
{
    double mean = m->sum / (double)m->n;

    return fmax(m->squares / (double)m->n - mean * mean, 0.0);
}

linkd_level linkd_level_of(const float *scores, size_t n)
{
    double top[LINKD_LEVEL_TOP] = {0.0};
    moments all = {.first = (double)scores[0]};
    moments highest;
    size_t n_top = 0;
    double more;

    for (size_t i = 0; i < n; i++) {
        n_top = top_add(top, n_top, (double)scores[i]);
        moments_add(&all, (double)scores[i]);
    }
    highest = (moments){.first = top[0]};
    for (size_t i = 0; i < n_top; i++)
        moments_add(&highest, top[i]);
    more = SHARE_OF_ALL * SHARE_OF_ALL * moments_variance(&all);
    return (linkd_level){moments_mean(&highest),
                         sqrt(moments_variance(&highest) + more) +
                             1e-9 /* all are alike */};
}

double linkd_level_standard(const linkd_level *level, double score)
{
    return (score - level->mean) / level->deviation;
}

double linkd_level_score(const linkd_level *level, double standard)
{
    return level->mean + standard * level->deviation;
}
