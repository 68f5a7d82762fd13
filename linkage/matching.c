/* linkage/matching.c — pairs compete for their records.
 *
 * A pair's likelihood ratio says how well two records agree, and nothing of
 * whether one of them agrees still better with a third. Where a record has at
 * most one partner, the probability of a whole matching is proportional to the
 * product of the odds (prior x ratio) of its pairs, and a pair's posterior is
 * its share of all matchings. Summing over them is out of reach; belief
 * propagation is exact if the pairs form a forest and close otherwise, and has
 * one fixed point (Bayati, Shah, Sharma 2008; Zdeborova, Mezard 2006):
 *
 *   free_a(p) = 1 / (1 + sum of odds(q) free_b(q) over the other pairs q of a)
 *   free_b(p) = likewise for b;    posterior odds = odds free_a free_b
 *
 * free_a is how probable it is that `a` is free if p is not there; it is 1 on a
 * side where records may have several partners. Both are renewed at once, half
 * the way (at odds of 1e6 whole steps swing for thousands of sweeps). A record's
 * sum is made once and each pair takes its own term off, so a sweep is linear.
 *
 * The prior odds follow from the number of matches m: of two records that are
 * free as far as m tells, how many candidates are there for each match? m is
 * then the sum of the posteriors, and so on (EM).
 *
 *   ratios [pairs] ─ bounds ─► edges [those that matter] ─ sweeps ─► posteriors
 *                                  ▲                                    │
 *                                  └── prior odds ◄── m ◄───────────────┘
 *
 * Most pairs matter to nobody. All messages lie in (0, 1] and a message falls
 * when others rise, so the sweep from 1 is a lower bound of the fixed point, and
 * the sweep from that an upper bound. Where it leaves a pair odds below
 * NEGLIGIBLE, the pair is left out of the sweeps and gets its posterior at the
 * end from the sums of its records. If the prior changes by a factor c, the
 * bound grows by max(c, 1 / c) at most, so it holds for a while; then it is made
 * anew.
 *
 * Where we differ from the paper: it looks for the best matching, we want the
 * marginals (sums for maxima). Sums are doubles in the order of the pairs, so
 * that the result is the same for any number of workers; messages are floats
 * (products of two floats are exact in a double, and taking a term off a sum
 * must not leave rounding errors of a dominant term). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "linkage/matching.h"

enum {
    CHUNK = 65536, /* pairs of a task */
    EM_STEPS = 15, /* as measured with the rest of the algorithm */
    SWEEPS = 12,   /* per EM step; each starts from the last one's messages */
    SWEEPS_LAST = 40, /* a guess: enough but for long, strong loops */
};

#define RATIO_LOG_MAX   15.0F /* no evidence is better than e^15 */
#define STEP            0.5   /* of the way to the new message */
#define NEGLIGIBLE      1e-5  /* odds */
#define PRIOR_RANGE     16.0  /* factor after which the bounds are made anew */
#define SETTLED         1e-3  /* change of a posterior by a sweep */
#define SETTLED_LAST    1e-5
#define MOVING_SHARE    1e-4 /* of the edges that may still move */
#define MATCHES_SETTLED 1e-4 /* relative change of their number */
#define MATCHES_MIN     3.0
#define FREE_SHARE_MIN  0.01 /* of a side, however many matches there are */

/* A pair that matters. */
typedef struct edge {
    uint32_t a;
    uint32_t b;
    float ratio;
    float free_a;
    float free_b;
} edge;

typedef struct matcher {
    const lk_pairset *pairs;
    lk_pool *pool;
    bool single_a; /* a record has at most one partner */
    bool single_b;
    double prior;         /* odds */
    double prior_bounded; /* what the edges were chosen for */
    float *ratios;        /* [pairs->n]; in the end the posteriors */
    double *sums;         /* [n_records]: of ratio x message, without prior */
    double *sums_b;       /* [n_records]: what records get as `b`, meanwhile */
    double *sums_first;   /* [n_records]: of the lower bound */
    uint32_t *numbers;    /* [n_edges]: the edges' pairs, rising */
    edge *edges;          /* [n_edges] */
    size_t n_edges;
    double *parts; /* [chunks of pairs]: what each task found */
    double tolerance;
    double step;
} matcher;

static size_t chunk_count(size_t n)
{
    return (n + CHUNK - 1) / CHUNK;
}

static size_t chunk_end(size_t chunk, size_t n)
{
    size_t end = (chunk + 1) * CHUNK;

    return end < n ? end : n;
}

/* In the order of the chunks, whoever did them. */
static double parts_sum(const matcher *m, size_t n_chunks)
{
    double sum = 0.0;

    for (size_t i = 0; i < n_chunks; i++)
        sum += m->parts[i];
    return sum;
}

/* ---- the prior ---------------------------------------------------------- */

/* How many records of a side of n are free beside n_matched matched ones. */
static double free_count(double n, double n_matched)
{
    return fmax(n - n_matched, FREE_SHARE_MIN * n);
}

/* Matches per candidate whose records could still take it. */
static double prior_odds(const matcher *m, double n_matches)
{
    const lk_pairset *pairs = m->pairs;
    double n = (double)pairs->n;
    double n_a = (double)(pairs->within ? pairs->n_records : pairs->n_left);
    double n_b = (double)pairs->n_records - (double)pairs->n_left;

    if (!m->single_a && !m->single_b)
        return n_matches / (n - n_matches);
    if (pairs->within) {
        double n_free = free_count(n_a, 2.0 * n_matches);

        return n_matches * (n_a - 1.0) * n_a / (n_free * n_free * n);
    }
    if (m->single_a && m->single_b)
        return n_matches * n_a * n_b /
               (free_count(n_a, n_matches) * free_count(n_b, n_matches) * n);
    if (m->single_a)
        return n_matches * n_a / (free_count(n_a, n_matches) * n);
    return n_matches * n_b / (free_count(n_b, n_matches) * n);
}

static double matches_within_reason(const matcher *m, double n_matches)
{
    bool within = m->pairs->within && m->single_a;
    size_t n = within ? m->pairs->n_records : m->pairs->n;

    return fmin(fmax(n_matches, MATCHES_MIN), 0.5 * (double)n);
}

/* ---- sums of records ---------------------------------------------------- */

/* Adds up what records get: `a` records in item 0, `b` records in item 1. They
 * are different records with two tables, but not with one. */
static int sums_run(matcher *m, lk_task_fn *task, linkd_error *err)
{
    size_t n = m->pairs->n_records;
    int rc;

    memset(m->sums, 0, n * sizeof(*m->sums));
    memset(m->sums_b, 0, n * sizeof(*m->sums_b));
    rc = lk_pool_run(m->pool, 2, task, m, err);
    if (rc != LINKD_OK)
        return rc;
    for (size_t i = 0; i < n; i++)
        m->sums[i] += m->sums_b[i];
    return LINKD_OK;
}

static int edge_sums_task(void *ctx, size_t item, size_t worker,
                          linkd_error *err)
{
    matcher *m = ctx;

    (void)worker;
    (void)err;
    if (item == 0 && m->single_a)
        for (size_t i = 0; i < m->n_edges; i++)
            m->sums[m->edges[i].a] +=
                (double)m->edges[i].ratio * (double)m->edges[i].free_b;
    if (item == 1 && m->single_b)
        for (size_t i = 0; i < m->n_edges; i++)
            m->sums_b[m->edges[i].b] +=
                (double)m->edges[i].ratio * (double)m->edges[i].free_a;
    return LINKD_OK;
}

/* The chance that a record is free, given its sum, without one term of it. No
 * fmax(): it is a call, and this runs a billion times. */
static inline double free_without(const matcher *m, double sum, double term)
{
    double rest = sum - term;

    return 1.0 / (1.0 + m->prior * (rest > 0.0 ? rest : 0.0));
}

/* ---- which pairs matter ------------------------------------------------- */

static int first_sums_task(void *ctx, size_t item, size_t worker,
                           linkd_error *err)
{
    matcher *m = ctx;

    (void)worker;
    (void)err;
    if (item == 0 && m->single_a)
        for (size_t i = 0; i < m->pairs->n; i++)
            m->sums[m->pairs->a[i]] += (double)m->ratios[i];
    if (item == 1 && m->single_b)
        for (size_t i = 0; i < m->pairs->n; i++)
            m->sums_b[m->pairs->b[i]] += (double)m->ratios[i];
    return LINKD_OK;
}

/* A pair's term in the sum of its other record, at the lower bound. */
static double low_term(const matcher *m, uint32_t record, double ratio)
{
    return ratio * free_without(m, m->sums_first[record], ratio);
}

static int second_sums_task(void *ctx, size_t item, size_t worker,
                            linkd_error *err)
{
    matcher *m = ctx;
    const lk_pairset *pairs = m->pairs;

    (void)worker;
    (void)err;
    if (item == 0 && m->single_a)
        for (size_t i = 0; i < pairs->n; i++)
            m->sums[pairs->a[i]] +=
                low_term(m, pairs->b[i], (double)m->ratios[i]);
    if (item == 1 && m->single_b)
        for (size_t i = 0; i < pairs->n; i++)
            m->sums_b[pairs->b[i]] +=
                low_term(m, pairs->a[i], (double)m->ratios[i]);
    return LINKD_OK;
}

static bool pair_matters(const matcher *m, size_t i)
{
    uint32_t a = m->pairs->a[i];
    uint32_t b = m->pairs->b[i];
    double ratio = (double)m->ratios[i];
    double odds = m->prior * ratio;

    if (odds < NEGLIGIBLE)
        return false;
    if (m->single_a)
        odds *= free_without(m, m->sums[a], low_term(m, b, ratio));
    if (m->single_b)
        odds *= free_without(m, m->sums[b], low_term(m, a, ratio));
    return odds >= NEGLIGIBLE;
}

static int edge_count_task(void *ctx, size_t item, size_t worker,
                           linkd_error *err)
{
    matcher *m = ctx;
    size_t end = chunk_end(item, m->pairs->n);
    size_t n = 0;

    (void)worker;
    (void)err;
    for (size_t i = item * CHUNK; i < end; i++)
        n += pair_matters(m, i);
    m->parts[item] = (double)n;
    return LINKD_OK;
}

/* Reads from parts where the chunk's edges begin. */
static int edge_fill_task(void *ctx, size_t item, size_t worker,
                          linkd_error *err)
{
    matcher *m = ctx;
    size_t end = chunk_end(item, m->pairs->n);
    size_t n = (size_t)m->parts[item];

    (void)worker;
    (void)err;
    for (size_t i = item * CHUNK; i < end; i++) {
        if (!pair_matters(m, i))
            continue;
        m->numbers[n] = (uint32_t)i;
        m->edges[n] = (edge){.a = m->pairs->a[i],
                             .b = m->pairs->b[i],
                             .ratio = m->ratios[i],
                             .free_a = 1.0F,
                             .free_b = 1.0F};
        n++;
    }
    return LINKD_OK;
}

/* Turns counts into starts; answers their sum. */
static size_t parts_to_starts(matcher *m, size_t n_chunks)
{
    double start = 0.0;

    for (size_t i = 0; i < n_chunks; i++) {
        double count = m->parts[i];

        m->parts[i] = start;
        start += count;
    }
    return (size_t)start;
}

static int edges_alloc(matcher *m, size_t n, linkd_error *err)
{
    free(m->numbers);
    free(m->edges);
    m->n_edges = 0;
    m->numbers = malloc((n + 1) * sizeof(*m->numbers));
    m->edges = malloc((n + 1) * sizeof(*m->edges));
    if (m->numbers == NULL || m->edges == NULL)
        return lk_fail_nomem(err);
    m->n_edges = n;
    return LINKD_OK;
}

static int edges_choose(matcher *m, linkd_error *err)
{
    size_t n_chunks = chunk_count(m->pairs->n);
    double *swap;
    int rc = sums_run(m, first_sums_task, err);

    if (rc != LINKD_OK)
        return rc;
    swap = m->sums_first;
    m->sums_first = m->sums;
    m->sums = swap;
    rc = sums_run(m, second_sums_task, err);
    if (rc == LINKD_OK)
        rc = lk_pool_run(m->pool, n_chunks, edge_count_task, m, err);
    if (rc == LINKD_OK)
        rc = edges_alloc(m, parts_to_starts(m, n_chunks), err);
    if (rc == LINKD_OK)
        rc = lk_pool_run(m->pool, n_chunks, edge_fill_task, m, err);
    m->prior_bounded = m->prior;
    return rc;
}

/* ---- sweeps ------------------------------------------------------------- */

/* Goes a step towards the target. Tells whether it moved a posterior of these
 * odds: what moves hardly changes by more than the message's own share times
 * min(odds, 1 / odds). */
static inline bool message_move(const matcher *m, float *message, double target,
                                double odds)
{
    double old = (double)*message;
    double change = m->step * (target - old);
    double moved = fabs(change);
    double limit = m->tolerance * old;

    *message = (float)(old + change);
    return moved * odds > limit && moved > limit * odds;
}

static bool edge_move(const matcher *m, edge *e)
{
    double ratio = (double)e->ratio;
    double term_a = ratio * (double)e->free_b;
    double term_b = ratio * (double)e->free_a;
    double odds = m->prior * term_a * (double)e->free_a;
    bool moved = false;

    if (m->single_a)
        moved = message_move(m, &e->free_a,
                             free_without(m, m->sums[e->a], term_a), odds);
    if (m->single_b)
        moved |= message_move(m, &e->free_b,
                              free_without(m, m->sums[e->b], term_b), odds);
    return moved;
}

static int sweep_task(void *ctx, size_t item, size_t worker, linkd_error *err)
{
    matcher *m = ctx;
    size_t end = chunk_end(item, m->n_edges);
    size_t n_moved = 0;

    (void)worker;
    (void)err;
    for (size_t i = item * CHUNK; i < end; i++)
        n_moved += edge_move(m, &m->edges[i]);
    m->parts[item] = (double)n_moved;
    return LINKD_OK;
}

/* Until no more than a few edges move, or n_sweeps are over. */
static int sweeps_run(matcher *m, size_t n_sweeps, double tolerance,
                      linkd_error *err)
{
    size_t n_chunks = chunk_count(m->n_edges);
    double few = (double)m->n_edges * MOVING_SHARE;
    int rc = LINKD_OK;

    m->tolerance = tolerance;
    for (size_t i = 0; i < n_sweeps; i++) {
        rc = sums_run(m, edge_sums_task, err);
        if (rc == LINKD_OK)
            rc = lk_pool_run(m->pool, n_chunks, sweep_task, m, err);
        if (rc != LINKD_OK || parts_sum(m, n_chunks) <= few)
            break;
    }
    return rc;
}

/* ---- posteriors --------------------------------------------------------- */

static double edge_posterior(const matcher *m, const edge *e)
{
    double odds =
        m->prior * (double)e->ratio * (double)e->free_a * (double)e->free_b;

    return odds / (1.0 + odds);
}

static int edge_matches_task(void *ctx, size_t item, size_t worker,
                             linkd_error *err)
{
    matcher *m = ctx;
    size_t end = chunk_end(item, m->n_edges);
    double sum = 0.0;

    (void)worker;
    (void)err;
    for (size_t i = item * CHUNK; i < end; i++)
        sum += edge_posterior(m, &m->edges[i]);
    m->parts[item] = sum;
    return LINKD_OK;
}

/* The posteriors of pairs that are no edges: their records are as free as
 * their edges leave them. What this makes of edges is set right afterwards. */
static int rest_task(void *ctx, size_t item, size_t worker, linkd_error *err)
{
    matcher *m = ctx;
    size_t end = chunk_end(item, m->pairs->n);

    (void)worker;
    (void)err;
    for (size_t i = item * CHUNK; i < end; i++) {
        double odds = m->prior * (double)m->ratios[i] *
                      free_without(m, m->sums[m->pairs->a[i]], 0.0) *
                      free_without(m, m->sums[m->pairs->b[i]], 0.0);

        m->ratios[i] = (float)(odds / (1.0 + odds));
    }
    return LINKD_OK;
}

static int posteriors_sum_task(void *ctx, size_t item, size_t worker,
                               linkd_error *err)
{
    matcher *m = ctx;
    size_t end = chunk_end(item, m->pairs->n);
    double sum = 0.0;

    (void)worker;
    (void)err;
    for (size_t i = item * CHUNK; i < end; i++)
        sum += (double)m->ratios[i];
    m->parts[item] = sum;
    return LINKD_OK;
}

/* Replaces the ratios. */
static int posteriors_make(matcher *m, double *ret_n_matches, linkd_error *err)
{
    size_t n_chunks = chunk_count(m->pairs->n);
    int rc = sums_run(m, edge_sums_task, err);

    if (rc == LINKD_OK)
        rc = lk_pool_run(m->pool, n_chunks, rest_task, m, err);
    if (rc != LINKD_OK)
        return rc;
    for (size_t i = 0; i < m->n_edges; i++)
        m->ratios[m->numbers[i]] = (float)edge_posterior(m, &m->edges[i]);
    rc = lk_pool_run(m->pool, n_chunks, posteriors_sum_task, m, err);
    if (rc == LINKD_OK)
        *ret_n_matches = parts_sum(m, n_chunks);
    return rc;
}

/* ---- the whole ---------------------------------------------------------- */

static bool bounds_hold(const matcher *m)
{
    return m->prior <= PRIOR_RANGE * m->prior_bounded &&
           m->prior >= m->prior_bounded / PRIOR_RANGE;
}

static int em_step(matcher *m, double n_matches, double *ret_n_matches,
                   linkd_error *err)
{
    size_t n_chunks;
    int rc = LINKD_OK;

    m->prior = prior_odds(m, n_matches);
    if (!bounds_hold(m))
        rc = edges_choose(m, err);
    n_chunks = chunk_count(m->n_edges);
    if (rc == LINKD_OK)
        rc = sweeps_run(m, SWEEPS, SETTLED, err);
    if (rc == LINKD_OK)
        rc = lk_pool_run(m->pool, n_chunks, edge_matches_task, m, err);
    if (rc == LINKD_OK)
        *ret_n_matches = matches_within_reason(m, parts_sum(m, n_chunks));
    return rc;
}

static int em_run(matcher *m, double n_matches, linkd_error *err)
{
    for (size_t i = 0; i < EM_STEPS; i++) {
        double renewed;
        int rc = em_step(m, n_matches, &renewed, err);

        if (rc != LINKD_OK)
            return rc;
        if (fabs(renewed - n_matches) <= MATCHES_SETTLED * n_matches)
            break;
        n_matches = renewed;
    }
    return sweeps_run(m, SWEEPS_LAST, SETTLED_LAST, err);
}

typedef struct exp_job {
    const float *log_ratios;
    matcher *m;
} exp_job;

static int exp_task(void *ctx, size_t item, size_t worker, linkd_error *err)
{
    const exp_job *job = ctx;
    size_t end = chunk_end(item, job->m->pairs->n);

    (void)worker;
    (void)err;
    for (size_t i = item * CHUNK; i < end; i++)
        job->m->ratios[i] = expf(
            fminf(fmaxf(job->log_ratios[i], -RATIO_LOG_MAX), RATIO_LOG_MAX));
    return LINKD_OK;
}

static void matcher_clear(matcher *m)
{
    free(m->ratios);
    free(m->sums);
    free(m->sums_b);
    free(m->sums_first);
    free(m->numbers);
    free(m->edges);
    free(m->parts);
    *m = (matcher){0};
}

static int matcher_init(matcher *m, const lk_pairset *pairs,
                        lk_multiplicity multiplicity, lk_pool *pool,
                        linkd_error *err)
{
    size_t n_records = pairs->n_records;

    *m = (matcher){
        .pairs = pairs,
        .pool = pool,
        .single_a =
            multiplicity == LK_ONE_TO_ONE || multiplicity == LK_MANY_TO_ONE,
        .single_b =
            multiplicity == LK_ONE_TO_ONE || multiplicity == LK_ONE_TO_MANY,
        .ratios = malloc((pairs->n + 1) * sizeof(*m->ratios)),
        .sums = calloc(n_records + 1, sizeof(*m->sums)),
        .sums_b = calloc(n_records + 1, sizeof(*m->sums_b)),
        .sums_first = calloc(n_records + 1, sizeof(*m->sums_first)),
        .parts = calloc(chunk_count(pairs->n) + 1, sizeof(*m->parts)),
    };
    /* With one side only, a sweep from anywhere arrives. */
    m->step = m->single_a && m->single_b ? STEP : 1.0;
    if (m->ratios != NULL && m->sums != NULL && m->sums_b != NULL &&
        m->sums_first != NULL && m->parts != NULL)
        return LINKD_OK;
    matcher_clear(m);
    return lk_fail_nomem(err);
}

int lk_matching_infer(const lk_pairset *pairs, const float *log_ratios,
                      lk_multiplicity multiplicity, double n_matches,
                      lk_pool *pool, lk_matching *ret_matching,
                      linkd_error *err)
{
    matcher m;
    exp_job job = {log_ratios, &m};
    double sum = 0.0;
    int rc = matcher_init(&m, pairs, multiplicity, pool, err);

    if (rc != LINKD_OK)
        return rc;
    LK_ASSERT(n_matches > 0.0);
    n_matches = matches_within_reason(&m, n_matches);
    rc = lk_pool_run(pool, chunk_count(pairs->n), exp_task, &job, err);
    if (rc == LINKD_OK && pairs->n > 0)
        rc = em_run(&m, n_matches, err);
    if (rc == LINKD_OK && pairs->n > 0)
        rc = posteriors_make(&m, &sum, err);
    if (rc == LINKD_OK) {
        *ret_matching = (lk_matching){m.ratios, sum};
        m.ratios = NULL;
    }
    matcher_clear(&m);
    return rc;
}

void lk_matching_clear(lk_matching *matching)
{
    free(matching->posteriors);
    *matching = (lk_matching){0};
}
