/* linkage/bridge_records.c — what records score with each other over a change of
 * the model.
 *
 * Who attaches a record, or asks for a record's neighbours, compares records, not
 * queries. Records are longer, and a model may have one prompt for them and another
 * for queries, so their scores lie elsewhere: moved as those of queries, a limit
 * let in .2 to 6 times as many strangers as before, or none (docs/upgrade.md). So
 * there is a distribution of their own, of anchors that no map was fitted on, each
 * with all others. */
#include <stdlib.h>
#include <string.h>

#include "linkage/bridge.h"

/* So many look for others: of 4,000 anchors, 800,000 scores. */
#define ASKING   ((size_t)200)
#define HELD_MIN ((size_t)10)

typedef struct asking {
    const linkd_bridge_task *task;
    const linkd_model_sample *from, *to;
    const linkd_bridge *bridge;
    linkd_way way;
    size_t records[ASKING];
    size_t n;
    float *scores; /* [n, n_anchors] */
} asking;

static size_t held_count(const linkd_bridge_task *t)
{
    size_t n = 0;

    for (size_t i = 0; i < t->n_anchors; i++)
        n += lk_bridge_holds(t, i);
    return n;
}

size_t lk_bridge_n_asking(const linkd_bridge_task *task)
{
    size_t n_held = held_count(task);
    size_t n = n_held >= HELD_MIN ? n_held : task->n_anchors;

    return n < ASKING ? n : ASKING;
}

/* Any anchors, evenly spread, where few are held out of the fit. */
static void asking_choose(asking *a)
{
    const linkd_bridge_task *t = a->task;
    size_t n_held = held_count(t);
    size_t n = n_held >= HELD_MIN ? n_held : t->n_anchors;
    size_t n_asking = lk_bridge_n_asking(t);
    size_t at = 0;

    LK_ASSERT(t->n_anchors > 0);
    for (size_t i = 0; i < t->n_anchors; i++)
        if ((n != n_held || lk_bridge_holds(t, i)) &&
            at++ * n_asking / n >= a->n)
            a->records[a->n++] = i;
}

/* The record as it is searched for. */
static int record_lead(const asking *a, size_t record, float *ret_vector,
                       linkd_error *err)
{
    const float *own = a->to->anchors + record * a->to->dim;
    const float *foreign =
        a->from != NULL ? a->from->anchors + record * a->from->dim : NULL;

    if (a->way == LINKD_WAY_ALIGN)
        return lk_bridge_map(a->bridge, foreign, ret_vector, err);
    if (a->way == LINKD_WAY_FUSE)
        return lk_bridge_fuse(a->bridge, own, foreign, ret_vector, NULL, err);
    memcpy(ret_vector, own, a->to->dim * sizeof(*ret_vector));
    return LINKD_OK;
}

static int record_score(void *ctx, size_t i, size_t worker, linkd_error *err)
{
    const asking *a = ctx;
    size_t dim = a->to->dim;
    size_t n_anchors = a->task->n_anchors;
    float vector[LINKD_DIM_MAX];
    int rc = record_lead(a, a->records[i], vector, err);

    (void)worker;
    for (size_t j = 0; j < n_anchors && rc == LINKD_OK; j++)
        a->scores[i * n_anchors + j] =
            linkd_index_score(vector, a->to->anchors + j * dim, dim);
    return rc;
}

/* Closes the gaps that the records themselves leave, and those that are one with
 * them. */
static size_t others_keep(asking *a)
{
    const linkd_bridge_task *t = a->task;
    size_t n = 0;

    for (size_t i = 0; i < a->n * t->n_anchors; i++) {
        size_t record = a->records[i / t->n_anchors];
        size_t other = i % t->n_anchors;

        if (t->groups != NULL ? t->groups[record] != t->groups[other]
                              : record != other)
            a->scores[n++] = a->scores[i];
    }
    return n;
}

static int way_fit(asking *a, linkd_quantiles *ret, linkd_error *err)
{
    int rc = lk_pool_run(a->task->pool, a->n, record_score, a, err);

    return rc == LINKD_OK
               ? linkd_quantiles_make(a->scores, others_keep(a), ret, err)
               : rc;
}

int lk_bridge_fit_records(const linkd_bridge_task *task,
                          const linkd_model_sample *from,
                          const linkd_model_sample *to, linkd_bridge *bridge,
                          linkd_error *err)
{
    asking a = {.task = task, .from = from, .to = to, .bridge = bridge};
    int rc = LINKD_OK;

    asking_choose(&a);
    a.scores = lk_alloc_aligned(a.n * task->n_anchors + 1, sizeof(*a.scores));
    if (a.scores == NULL)
        return lk_fail_nomem(err);
    for (a.way = 0; a.way < LINKD_N_SCALES && rc == LINKD_OK; a.way++)
        if (linkd_bridge_has(bridge, a.way))
            rc = way_fit(&a, &bridge->scales[a.way].records, err);
    free(a.scores);
    return rc;
}
