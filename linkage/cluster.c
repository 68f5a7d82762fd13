/* linkage/cluster.c — pairs to entities: whatever a chain of pairs connects, or
 * centres and what is like them (both here), complete linkage
 * (cluster_complete.c) or average linkage (cluster_average.c). The first three
 * see only candidates that reach the threshold.
 *
 * Centres: pairs are taken best first. Of a pair of which neither row belongs
 * anywhere, the lower becomes a centre and the other belongs to it; a row that
 * belongs nowhere joins a centre that it is paired with; all other pairs say
 * nothing. After CENTER of Hassanzadeh, Chiang, Lee and Miller 2009, who leave
 * open which row of a pair is the centre. One pass, no chain is longer than
 * two.
 *
 * With limits, components take pairs best first, too, and leave out those that
 * would break one: then the order decides, and better pairs come first. */
#include "linkage/cluster.h"

#include <math.h>
#include <stdlib.h>

/* ---- pairs best first ---------------------------------------------------- */

static int pair_compare(const void *a, const void *b)
{
    const linkd_pair *x = a;
    const linkd_pair *y = b;

    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    if (x->left != y->left)
        return x->left > y->left ? 1 : -1;
    return (x->right > y->right) - (x->right < y->right);
}

/* Those that reach the threshold; freed with free(). */
static int pairs_sort(const lk_cluster_input *input, linkd_pair **ret_pairs,
                      size_t *ret_n, linkd_error *err)
{
    linkd_pair *pairs = calloc(input->n + 1, sizeof(*pairs));
    size_t n = 0;

    if (pairs == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < input->n; i++)
        if (input->candidates[i].score >= input->threshold)
            pairs[n++] = input->candidates[i];
    qsort(pairs, n, sizeof(*pairs), pair_compare);
    *ret_pairs = pairs;
    *ret_n = n;
    return LINKD_OK;
}

/* ---- components ---------------------------------------------------------- */

static void components_unite(const lk_cluster_input *input, lk_disjoint *sets)
{
    for (size_t i = 0; i < input->n; i++)
        if (input->candidates[i].score >= input->threshold)
            lk_disjoint_unite(sets, input->candidates[i].left,
                              input->candidates[i].right);
}

static int components_limited(const lk_cluster_input *input, lk_groups *groups,
                              linkd_error *err)
{
    linkd_pair *pairs = NULL;
    size_t n = 0;
    int rc = pairs_sort(input, &pairs, &n, err);

    for (size_t i = 0; i < n; i++) {
        size_t a = lk_disjoint_find(groups->sets, pairs[i].left);
        size_t b = lk_disjoint_find(groups->sets, pairs[i].right);

        if (a != b && lk_groups_may_unite(groups, a, b))
            lk_groups_unite(groups, a, b);
    }
    free(pairs);
    return rc;
}

static int components_find(const lk_cluster_input *input, lk_disjoint *sets,
                           linkd_error *err)
{
    lk_groups groups = {0};
    int rc;

    if (input->limits.max_rows == 0 && input->limits.sources == NULL) {
        components_unite(input, sets);
        return LINKD_OK;
    }
    rc = lk_groups_init(&groups, &input->limits, sets, err);
    if (rc == LINKD_OK)
        rc = components_limited(input, &groups, err);
    lk_groups_clear(&groups);
    return rc;
}

/* ---- centres ------------------------------------------------------------- */

typedef enum role { ROLE_NONE, ROLE_CENTRE, ROLE_MEMBER } role;

/* `row` belongs nowhere and joins `centre`, unless limits forbid it. */
static void centre_join(lk_groups *groups, uint8_t *roles, size_t centre,
                        size_t row)
{
    size_t name = lk_disjoint_find(groups->sets, centre);

    if (!lk_groups_may_unite(groups, name, row))
        return;
    lk_groups_unite(groups, name, row);
    roles[centre] = ROLE_CENTRE;
    roles[row] = ROLE_MEMBER;
}

static int centres_unite(const lk_cluster_input *input, lk_groups *groups,
                         uint8_t *roles, linkd_error *err)
{
    linkd_pair *pairs = NULL;
    size_t n = 0;
    int rc = pairs_sort(input, &pairs, &n, err);

    for (size_t i = 0; i < n; i++) {
        size_t left = pairs[i].left;
        size_t right = pairs[i].right;

        if (roles[right] == ROLE_NONE && roles[left] != ROLE_MEMBER)
            centre_join(groups, roles, left, right);
        else if (roles[left] == ROLE_NONE && roles[right] == ROLE_CENTRE)
            centre_join(groups, roles, right, left);
    }
    free(pairs);
    return rc;
}

static int centres_find(const lk_cluster_input *input, lk_disjoint *sets,
                        linkd_error *err)
{
    lk_groups groups = {0};
    uint8_t *roles = calloc(input->n_rows + 1, sizeof(*roles));
    int rc = roles != NULL ? LINKD_OK : lk_fail_nomem(err);

    if (rc == LINKD_OK)
        rc = lk_groups_init(&groups, &input->limits, sets, err);
    if (rc == LINKD_OK)
        rc = centres_unite(input, &groups, roles, err);
    lk_groups_clear(&groups);
    free(roles);
    return rc;
}

/* ---- average linkage of scores ------------------------------------------- */

/* Scores in the place of log-odds, in three arrays. */
typedef struct score_edges {
    uint32_t *a;
    uint32_t *b;
    float *scores;
} score_edges;

static void score_edges_clear(score_edges *e)
{
    free(e->a);
    free(e->b);
    free(e->scores);
}

static int score_edges_make(const lk_cluster_input *input, score_edges *e,
                            linkd_error *err)
{
    if (input->n_rows >= UINT32_MAX)
        return lk_fail(err, LINKD_E_ARG, "too many rows to cluster");
    e->a = calloc(input->n + 1, sizeof(*e->a));
    e->b = calloc(input->n + 1, sizeof(*e->b));
    e->scores = calloc(input->n + 1, sizeof(*e->scores));
    if (e->a == NULL || e->b == NULL || e->scores == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < input->n; i++) {
        e->a[i] = (uint32_t)input->candidates[i].left;
        e->b[i] = (uint32_t)input->candidates[i].right;
        e->scores[i] = input->candidates[i].score;
    }
    return LINKD_OK;
}

static int averages_find(const lk_cluster_input *input, lk_disjoint *sets,
                         linkd_error *err)
{
    score_edges e = {0};
    /* just below, since a pair at the threshold is one */
    lk_average_options options = {.missing = 0.0F,
                                  .stop = nextafterf(input->threshold, -1.0F),
                                  .limits = input->limits};
    int rc;

    if (!(input->threshold > 0.0F))
        return lk_fail(err, LINKD_E_ARG,
                       "average linkage needs a threshold above 0");
    rc = score_edges_make(input, &e, err);
    if (rc == LINKD_OK) {
        linkd_edges edges = {e.a, e.b, e.scores, input->n, input->n_rows};

        rc = lk_cluster_average_unite(&edges, &options, sets, err);
    }
    score_edges_clear(&e);
    return rc;
}

int lk_cluster(const lk_cluster_input *input, linkd_cluster method,
               size_t *ret_entities, size_t *ret_n_entities, linkd_error *err)
{
    lk_disjoint sets;
    int rc = lk_disjoint_init(&sets, input->n_rows, err);

    if (rc == LINKD_OK && method == LINKD_CLUSTER_COMPONENTS)
        rc = components_find(input, &sets, err);
    if (rc == LINKD_OK && method == LINKD_CLUSTER_COMPLETE)
        rc = lk_cluster_complete(input, &sets, err);
    if (rc == LINKD_OK && method == LINKD_CLUSTER_AVERAGE)
        rc = averages_find(input, &sets, err);
    if (rc == LINKD_OK && method == LINKD_CLUSTER_CENTRE)
        rc = centres_find(input, &sets, err);
    if (rc == LINKD_OK)
        *ret_n_entities = lk_disjoint_number(&sets, ret_entities);
    lk_disjoint_clear(&sets);
    return rc;
}
