/* linkage/rates.c — what a false-match rate comes to in a collection whose model was
 * never changed.
 *
 *   records ─ evenly spread, at most 4,000 ─► stored vectors ─► 200 of them with
 *                                                 all others ─► quantiles
 *
 * That is the sample, and the distribution, that the start of an upgrade makes of
 * its old model's records (upgrade_sample.c, bridge_records.c), so that a rate lets
 * in the same before and after. No text is encoded for it, and so there are no
 * queries: whoever searches by text gets the limit of records. After an upgrade
 * queries have a scale of their own.
 *
 * What it comes to depends on what is stored, not on who asked when: a sample is of
 * the oldest records, as many as there are with all but the four highest bits set to
 * 0. It holds until that number is another one, which takes a growth by 6 to 12 %, or
 * as many vectors were written; records that are deleted stay in it as long, or until
 * linkd is started again. Records that belong together and are both in the
 * sample count as strangers; of a large collection there are few. */
#include "linkage/linkage.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "linkage/bridge.h"

/* Kept at one time, 2 kB each: guess. */
#define ENTRIES_MAX ((size_t)64)
/* With so many strangers above it a score has the rate it should to about a half:
 * one standard deviation of a count of 5, if they are independent. */
#define STRANGERS_MIN 5.0
#define STEP_BITS     4

typedef struct scale {
    size_t n_records;       /* of the sample */
    linkd_quantiles scores; /* with strangers; n is 0: too few records */
} scale;

typedef struct entry {
    uint32_t collection;
    uint64_t n_numbers, n_slots; /* rounded down */
    uint64_t used;               /* when it was last asked for */
    scale scale;
} entry;

struct linkd_rates {
    pthread_mutex_t lock; /* guards all below */
    uint64_t clock;
    entry entries[ENTRIES_MAX];
    size_t n;
};

int linkd_rates_new(linkd_rates **ret_rates, linkd_error *err)
{
    linkd_rates *rates = calloc(1, sizeof(*rates));

    if (rates == NULL)
        return lk_fail_nomem(err);
    (void)pthread_mutex_init(&rates->lock, NULL);
    *ret_rates = rates;
    return LINKD_OK;
}

void linkd_rates_free(linkd_rates *rates)
{
    if (rates == NULL)
        return;
    (void)pthread_mutex_destroy(&rates->lock);
    free(rates);
}

/* ---- the sample ------------------------------------------------------------ */

static uint64_t step_down(uint64_t n)
{
    uint64_t lowest = 1; /* of the bits that stay */

    while (n / lowest >> STEP_BITS != 0)
        lowest *= 2;
    return n - n % lowest;
}

typedef struct sample {
    uint64_t first;   /* number of the oldest record */
    uint64_t n_range; /* numbers from there on that are looked at */
    size_t n_wanted;
    size_t n;
    float *vectors; /* [n, dim] */
} sample;

static int range_find(linkd_view *view, sample *s, linkd_error *err)
{
    bool found = false;
    int rc = linkd_view_next(view, 0, &s->first, &found, err);

    if (rc != LINKD_OK || !found)
        return rc;
    s->n_range = step_down(linkd_view_n_numbers(view) - s->first);
    s->n_wanted =
        s->n_range < LINKD_ANCHORS ? (size_t)s->n_range : LINKD_ANCHORS;
    return LINKD_OK;
}

/* Of n_range numbers every (n_range / n_wanted)th, or the next that there is. */
static int vectors_take(linkd_view *view, sample *s, linkd_error *err)
{
    size_t dim = linkd_view_dim(view);
    uint64_t number = s->first;
    uint64_t end = s->first + s->n_range;
    bool found = true;
    int rc = LINKD_OK;

    s->vectors = lk_alloc_aligned(s->n_wanted + 1, dim * sizeof(*s->vectors));
    if (s->vectors == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 1; i <= s->n_wanted && rc == LINKD_OK; i++, number++) {
        uint64_t at =
            s->first + (i * s->n_range + s->n_wanted - 1) / s->n_wanted - 1;
        const float *vector = NULL;

        rc = linkd_view_next(view, at > number ? at : number, &number, &found,
                             err);
        if (rc != LINKD_OK || !found || number >= end)
            break;
        rc = linkd_view_vector(view, number, &vector, err);
        if (rc == LINKD_OK && vector != NULL)
            memcpy(s->vectors + s->n++ * dim, vector, dim * sizeof(*vector));
    }
    return rc;
}

static int sample_score(linkd_view *view, const sample *s, scale *ret,
                        linkd_error *err)
{
    linkd_model_sample vectors = {.dim = linkd_view_dim(view),
                                  .anchors = s->vectors};
    linkd_bridge_task task = {.n_anchors = s->n};
    linkd_bridge bridge = {0};
    int rc = lk_pool_new(1, &task.pool, err);

    if (rc == LINKD_OK)
        rc = lk_bridge_fit_records(&task, NULL, &vectors, &bridge, err);
    lk_pool_free(task.pool);
    if (rc == LINKD_OK)
        ret->scores = bridge.scales[LINKD_WAY_NATIVE].records;
    return rc;
}

static int scale_make(linkd_view *view, scale *ret, linkd_error *err)
{
    sample s = {0};
    int rc = range_find(view, &s, err);

    if (rc == LINKD_OK)
        rc = vectors_take(view, &s, err);
    *ret = (scale){.n_records = s.n};
    if (rc == LINKD_OK && s.n >= LINKD_ANCHORS_MIN)
        rc = sample_score(view, &s, ret, err);
    free(s.vectors);
    return rc;
}

/* ---- what was made --------------------------------------------------------- */

/* Under the lock, as the next one. */
static entry *entry_find(linkd_rates *rates, const entry *wanted)
{
    for (size_t i = 0; i < rates->n; i++) {
        entry *e = &rates->entries[i];

        if (e->collection == wanted->collection &&
            e->n_numbers == wanted->n_numbers && e->n_slots == wanted->n_slots)
            return e;
    }
    return NULL;
}

/* The next one, or the one that was asked for longest ago. */
static entry *entry_place(linkd_rates *rates)
{
    entry *oldest = &rates->entries[0];

    if (rates->n < ENTRIES_MAX)
        return &rates->entries[rates->n++];
    for (size_t i = 1; i < ENTRIES_MAX; i++)
        if (rates->entries[i].used < oldest->used)
            oldest = &rates->entries[i];
    return oldest;
}

static int scale_get(linkd_rates *rates, linkd_view *view, scale *ret,
                     linkd_error *err)
{
    entry wanted = {.collection = linkd_view_collection(view),
                    .n_numbers = step_down(linkd_view_n_numbers(view)),
                    .n_slots = step_down(linkd_view_n_slots(view))};
    entry *e;
    int rc = LINKD_OK;

    (void)pthread_mutex_lock(&rates->lock);
    e = entry_find(rates, &wanted);
    if (e == NULL) {
        rc = scale_make(view, &wanted.scale, err);
        if (rc == LINKD_OK)
            e = entry_place(rates);
        if (rc == LINKD_OK)
            *e = wanted;
    }
    if (rc == LINKD_OK) {
        e->used = ++rates->clock;
        *ret = e->scale;
    }
    (void)pthread_mutex_unlock(&rates->lock);
    return rc;
}

/* ---- limits ---------------------------------------------------------------- */

/* Pairs that are compared of so many records. */
static double n_pairs_of(size_t n_records)
{
    linkd_bridge_task task = {.n_anchors = n_records};

    return (double)lk_bridge_n_asking(&task) * (double)(n_records - 1);
}

static int too_few(const scale *s, double rate, linkd_error *err)
{
    size_t n = LINKD_ANCHORS_MIN;

    while (n <= LINKD_ANCHORS &&
           (step_down(n) != n || rate * n_pairs_of(n) < STRANGERS_MIN))
        n++;
    if (n > LINKD_ANCHORS)
        return lk_fail(
            err, LINKD_E_ARG,
            "\"false_match_rate\": %g is below %.2g, the lowest that "
            "can be told before the model is changed",
            rate, STRANGERS_MIN / n_pairs_of(LINKD_ANCHORS));
    return lk_fail(err, LINKD_E_ARG,
                   "\"false_match_rate\": %g takes %zu records with vectors to "
                   "compare, and there are %zu",
                   rate, n, s->n_records);
}

int linkd_rates_settle(linkd_rates *rates, linkd_view *view, linkd_limit *limit,
                       linkd_error *err)
{
    double rate = limit->value;
    scale s;
    int rc;

    if (limit->kind == LINKD_LIMIT_PROBABILITY)
        return lk_fail(err, LINKD_E_ARG,
                       "\"probability\" is known only of a collection whose "
                       "model was changed: an upgrade's start makes its scale");
    if (limit->kind != LINKD_LIMIT_FALSE_MATCH_RATE)
        return LINKD_OK;
    rc = rates != NULL ? scale_get(rates, view, &s, err)
                       : scale_make(view, &s, err);
    if (rc != LINKD_OK)
        return rc;
    if (rate * (double)s.scores.n < STRANGERS_MIN)
        return too_few(&s, rate, err);
    *limit = (linkd_limit){LINKD_LIMIT_SCORE,
                           linkd_quantiles_score(&s.scores, rate)};
    return LINKD_OK;
}
