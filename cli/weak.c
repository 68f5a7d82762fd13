/* cli/weak.c — --weak of dedup: the entities to look at first.
 *
 * linkd_entities_check() takes any number that grows with how sure a pair is, so
 * here it gets probabilities in place of log-odds, and answers in them. */
#include "cli/weak.h"

#include <math.h>
#include <stdlib.h>

#include "cli/pairs.h"

static const linkd_str columns[] = {{"entity_id", 9}, {"rows", 4},
                                    {"compared", 8},  {"links", 5},
                                    {"bridges", 7},   {"left_id", 7},
                                    {"right_id", 8},  {"probability", 11},
                                    {"smaller", 7},   {"mean_probability", 16}};

/* The candidates of a decision as edges. */
typedef struct edges {
    uint32_t *a;
    uint32_t *b;
    float *probabilities;
} edges;

static void edges_clear(edges *e)
{
    free(e->probabilities);
    free(e->b);
    free(e->a);
}

static int edges_make(const linkd_decision *d, edges *e, linkd_error *err)
{
    e->a = calloc(d->n_candidates + 1, sizeof(*e->a));
    e->b = calloc(d->n_candidates + 1, sizeof(*e->b));
    e->probabilities = calloc(d->n_candidates + 1, sizeof(*e->probabilities));
    if (e->a == NULL || e->b == NULL || e->probabilities == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < d->n_candidates; i++) {
        e->a[i] = d->candidates[i].left;
        e->b[i] = d->candidates[i].right;
        e->probabilities[i] = d->candidates[i].probability;
    }
    return LINKD_OK;
}

static int health_write(const linkd_table *table, const linkd_entity_health *h,
                        lk_rows *rows, linkd_error *err)
{
    lk_rows_count(rows, h->entity + 1);
    lk_rows_count(rows, h->n_records);
    lk_rows_count(rows, h->n_compared);
    lk_rows_count(rows, h->n_links);
    lk_rows_count(rows, h->n_bridges);
    if (isinf(h->weakest)) {
        for (size_t i = 0; i < 4; i++)
            lk_rows_none(rows);
    } else {
        lk_rows_id(rows, table, h->a);
        lk_rows_id(rows, table, h->b);
        lk_rows_score(rows, h->weakest);
        lk_rows_count(rows, h->n_smaller);
    }
    lk_rows_score(rows, (float)h->mean);
    return lk_rows_end(rows, err);
}

static int entities_check(const linkd_table *table, const linkd_decision *d,
                          linkd_entity_health **ret_health, size_t *ret_n,
                          linkd_error *err)
{
    edges e = {0};
    int rc = edges_make(d, &e, err);

    if (rc == LINKD_OK) {
        linkd_edges all = {.a = e.a,
                           .b = e.b,
                           .log_odds = e.probabilities,
                           .n = d->n_candidates,
                           .n_records = linkd_table_n_rows(table)};

        rc = linkd_entities_check(&all, d->entities, d->n_entities,
                                  (float)d->threshold, ret_health, ret_n, err);
    }
    edges_clear(&e);
    return rc;
}

int lk_weak_write(const linkd_table *table, const linkd_decision *decision,
                  lk_output *output, linkd_format format, linkd_error *err)
{
    linkd_entity_health *health = NULL;
    size_t n = 0;
    lk_rows rows = {0};
    int rc = entities_check(table, decision, &health, &n, err);

    if (rc == LINKD_OK)
        rc = lk_rows_init(&rows, output, format, columns,
                          sizeof(columns) / sizeof(*columns), err);
    for (size_t i = 0; i < n && rc == LINKD_OK; i++)
        rc = health_write(table, &health[i], &rows, err);
    lk_rows_clear(&rows);
    free(health);
    return rc;
}
