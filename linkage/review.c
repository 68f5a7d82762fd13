/* linkage/review.c — which pairs to ask people about.
 *
 * A pair near the cut teaches most, but only such pairs teach a model nothing
 * about what it is wrongly sure of. So the probabilities are split into strata,
 * and each has a share of what is asked, most for those near one half:
 *
 *   probability  0 … .001 … .02 … .1 … .3 … .7 … .9 … .98 … 1
 *   share           none   .05  .10  .20  .30  .20  .10   .05
 *
 * Within a stratum the order is that of a hash, so that all that is in it is
 * asked about; a record is asked about once. What a stratum lacks goes to the
 * next one in the order of shares. */
#include <stdlib.h>

#include "linkage/evidence.h"

typedef struct stratum {
    float low;  /* probabilities above, */
    float high; /* up to this one */
    double share;
} stratum;

/* Guesses; tried on one set, see bench/labels. */
static const stratum STRATA[] = {{0.3F, 0.7F, 0.30},   {0.1F, 0.3F, 0.20},
                                 {0.7F, 0.9F, 0.20},   {0.02F, 0.1F, 0.10},
                                 {0.9F, 0.98F, 0.10},  {0.98F, 1.0F, 0.05},
                                 {0.001F, 0.02F, 0.05}};

enum {
    N_STRATA = sizeof(STRATA) / sizeof(*STRATA),
};

typedef struct question {
    uint32_t stratum;
    uint32_t hash;
    uint32_t candidate;
} question;

typedef struct reviewing {
    const linkd_evidence *evidence;
    const linkd_decision *decision;
    bool *is_known; /* [n_candidates]: answered, or asked before or now */
    bool *is_taken; /* [n_records] */
    question *questions;
    size_t n_questions;
    size_t *chosen;
    size_t n_chosen;
} reviewing;

static uint32_t hash_of(uint32_t x)
{
    x = (x ^ (x >> 16)) * UINT32_C(0x45d9f3b);
    x = (x ^ (x >> 16)) * UINT32_C(0x45d9f3b);
    return x ^ (x >> 16);
}

/* N_STRATA: not worth a question. */
static uint32_t stratum_of(float probability)
{
    uint32_t s = 0;

    while (s < N_STRATA &&
           !(probability > STRATA[s].low && probability <= STRATA[s].high))
        s++;
    return s;
}

static int by_stratum_then_hash(const void *a, const void *b)
{
    const question *x = a;
    const question *y = b;

    if (x->stratum != y->stratum)
        return x->stratum < y->stratum ? -1 : 1;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return (x->candidate > y->candidate) - (x->candidate < y->candidate);
}

static int by_hash(const void *a, const void *b)
{
    uint32_t x = hash_of((uint32_t) * (const size_t *)a);
    uint32_t y = hash_of((uint32_t) * (const size_t *)b);

    return (x > y) - (x < y);
}

static int questions_list(reviewing *r, linkd_error *err)
{
    const linkd_decision *d = r->decision;
    size_t n = 0;

    for (size_t i = 0; i < d->n_candidates; i++)
        n += stratum_of(d->candidates[i].probability) < N_STRATA;
    r->questions = calloc(n + 1, sizeof(*r->questions));
    if (r->questions == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < d->n_candidates; i++) {
        uint32_t s = stratum_of(d->candidates[i].probability);

        if (s < N_STRATA && !r->is_known[i])
            r->questions[r->n_questions++] =
                (question){s, hash_of((uint32_t)i), (uint32_t)i};
    }
    qsort(r->questions, r->n_questions, sizeof(*r->questions),
          by_stratum_then_hash);
    return LINKD_OK;
}

/* Chooses up to `limit` in all from a stratum; `again`: also of records that
 * are asked about already. */
static void stratum_choose(reviewing *r, uint32_t s, size_t limit, bool again)
{
    const lk_pairset *pairs = &r->evidence->pairs;

    for (size_t i = 0; i < r->n_questions && r->n_chosen < limit; i++) {
        size_t c = r->questions[i].candidate;

        if (r->questions[i].stratum != s || r->is_known[c])
            continue;
        if (!again && (r->is_taken[pairs->a[c]] || r->is_taken[pairs->b[c]]))
            continue;
        r->is_known[c] = true;
        r->is_taken[pairs->a[c]] = r->is_taken[pairs->b[c]] = true;
        r->chosen[r->n_chosen++] = c;
    }
}

static void questions_choose(reviewing *r, size_t n)
{
    double share = 0.0;

    for (uint32_t s = 0; s < N_STRATA; s++) {
        share += STRATA[s].share;
        stratum_choose(r, s, (size_t)(share * (double)n + 0.5), false);
    }
    for (uint32_t s = 0; s < 2 * N_STRATA; s++)
        stratum_choose(r, s % N_STRATA, n, s >= N_STRATA);
}

int linkd_evidence_review(const linkd_evidence *evidence,
                          const linkd_decision *decision,
                          const linkd_label *known, size_t n_known, size_t n,
                          size_t *ret_candidates, size_t *ret_n,
                          linkd_error *err)
{
    reviewing r = {
        .evidence = evidence, .decision = decision, .chosen = ret_candidates};
    int rc = LINKD_OK;

    r.is_known = calloc(decision->n_candidates + 1, sizeof(*r.is_known));
    r.is_taken = calloc(evidence->pairs.n_records + 1, sizeof(*r.is_taken));
    if (r.is_known == NULL || r.is_taken == NULL)
        rc = lk_fail_nomem(err);
    for (size_t i = 0; i < n_known && rc == LINKD_OK; i++) {
        size_t c = linkd_decision_find(decision, known[i].left, known[i].right);

        if (c != LINKD_CANDIDATE_NONE)
            r.is_known[c] = true;
    }
    if (rc == LINKD_OK)
        rc = questions_list(&r, err);
    if (rc == LINKD_OK) {
        questions_choose(&r, n);
        qsort(r.chosen, r.n_chosen, sizeof(*r.chosen), by_hash);
        *ret_n = r.n_chosen;
    }
    free(r.questions);
    free(r.is_taken);
    free(r.is_known);
    return rc;
}
