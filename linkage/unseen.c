/* linkage/unseen.c — how many matches are beyond what the pairs can show.
 *
 * Posteriors sum to the matches that the candidates support. A film whose title
 * is missing has a partner as likely as any other, but its pairs say too little,
 * or it is nobody's candidate: the sum misses it, and a recall that is relative
 * to the sum is far too good. What is missing can be counted, though:
 *
 *   fields filled          rows   matches found per row
 *   title, actor, writer  13936   .70
 *          actor, writer   8458   .03  of .70: 5,700 are not seen
 *
 * Rows that say less are taken to have as many partners as rows that have all
 * of their fields and more: which fields are empty is no reason to have a
 * partner or none (missing at random; Rubin 1976). The most filled come first,
 * and those below them are compared with what was made of them. A few rows tell
 * nothing of many: groups are only held against at least as many rows. Both
 * sides of a link are asked, and whose rows miss more is believed.
 *
 * What no row shows, e.g. translated titles, is not counted: still a lower
 * bound. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "linkage/decision.h"

enum {
    FIELDS_MAX = 10, /* further fields are not looked at */
    N_PATTERNS = 1 << FIELDS_MAX,
};

/* Rows with the same fields filled. */
typedef struct group {
    double n_rows;
    double n_matches;
} group;

typedef struct counter {
    const lk_pairset *pairs;
    const lk_features *features;
    const float *posteriors;
    uint16_t *bits;     /* [features->n]: of the feature's field, or 0 */
    uint16_t *patterns; /* [n_records]: the fields that are filled */
    double *matches;    /* [n_records]: sum of a record's posteriors */
    bool *is_compared;  /* [n_records]: it is in a pair */
    group *groups;      /* [N_PATTERNS] */
} counter;

/* ---- what rows have ----------------------------------------------------- */

/* The fields are numbered as their features come. */
static void bits_make(counter *c)
{
    size_t fields[FIELDS_MAX];
    size_t n = 0;

    for (size_t i = 0; i < c->features->n; i++) {
        size_t field = c->features->features[i].field;
        size_t k = 0;

        while (k < n && fields[k] != field)
            k++;
        if (field == LK_FIELD_RECORD || k == FIELDS_MAX)
            continue;
        if (k == n)
            fields[n++] = field;
        c->bits[i] = (uint16_t)(1U << k);
    }
}

/* A field is filled if any pair of the record could be compared by it. */
static void rows_fill(counter *c)
{
    const lk_pairset *pairs = c->pairs;
    size_t n = c->features->n;

    for (size_t i = 0; i < pairs->n; i++) {
        uint32_t a = pairs->a[i];
        uint32_t b = pairs->b[i];
        uint16_t filled = 0;

        for (size_t k = 0; k < n; k++)
            if (c->features->values[i * n + k] != LK_FEATURE_MISSING)
                filled |= c->bits[k];
        c->patterns[a] |= filled;
        c->patterns[b] |= filled;
        c->matches[a] += (double)c->posteriors[i];
        c->matches[b] += (double)c->posteriors[i];
        c->is_compared[a] = c->is_compared[b] = true;
    }
}

/* ---- what they miss ----------------------------------------------------- */

static size_t bits_count(size_t bits)
{
    size_t n = 0;

    for (; bits > 0; bits &= bits - 1)
        n++;
    return n;
}

/* Matches that a group misses, added to it. */
static double group_complete(counter *c, size_t pattern)
{
    group *g = &c->groups[pattern];
    group more = {0};
    double missed;

    for (size_t q = pattern + 1; q < N_PATTERNS; q++)
        if ((q & pattern) == pattern) {
            more.n_rows += c->groups[q].n_rows;
            more.n_matches += c->groups[q].n_matches;
        }
    if (g->n_rows <= 0.0 || more.n_rows < g->n_rows)
        return 0.0;
    missed = fmax(more.n_matches / more.n_rows * g->n_rows - g->n_matches, 0.0);
    g->n_matches += missed;
    return missed;
}

static double side_count(counter *c, size_t begin, size_t end)
{
    double missed = 0.0;

    memset(c->groups, 0, N_PATTERNS * sizeof(*c->groups));
    for (size_t r = begin; r < end; r++) {
        c->groups[c->patterns[r]].n_rows += 1.0;
        c->groups[c->patterns[r]].n_matches += c->matches[r];
    }
    for (size_t n_bits = FIELDS_MAX + 1; n_bits-- > 0;)
        for (size_t p = 0; p < N_PATTERNS; p++)
            if (bits_count(p) == n_bits)
                missed += group_complete(c, p);
    return missed;
}

static double share_compared(const counter *c, size_t begin, size_t end)
{
    size_t n = 0;

    for (size_t r = begin; r < end; r++)
        n += c->is_compared[r];
    return end > begin ? (double)n / (double)(end - begin) : 1.0;
}

/* ---- all ---------------------------------------------------------------- */

static void unseen_count(counter *c, lk_unseen *ret_unseen)
{
    size_t n_left = c->pairs->n_left;
    size_t n = c->pairs->n_records;

    bits_make(c);
    rows_fill(c);
    if (c->pairs->within) /* a pair is missed by both of its rows */
        *ret_unseen =
            (lk_unseen){side_count(c, 0, n) / 2.0, share_compared(c, 0, n)};
    else
        *ret_unseen = (lk_unseen){
            fmax(side_count(c, 0, n_left), side_count(c, n_left, n)),
            fmax(share_compared(c, 0, n_left), share_compared(c, n_left, n))};
}

int lk_unseen_count(const lk_pairset *pairs, const lk_features *features,
                    const float *posteriors, lk_unseen *ret_unseen,
                    linkd_error *err)
{
    size_t n = pairs->n_records;
    counter c = {
        .pairs = pairs,
        .features = features,
        .posteriors = posteriors,
        .bits = calloc(features->n + 1, sizeof(*c.bits)),
        .patterns = calloc(n + 1, sizeof(*c.patterns)),
        .matches = calloc(n + 1, sizeof(*c.matches)),
        .is_compared = calloc(n + 1, sizeof(*c.is_compared)),
        .groups = calloc(N_PATTERNS, sizeof(*c.groups)),
    };
    bool is_made = c.bits != NULL && c.patterns != NULL && c.matches != NULL &&
                   c.is_compared != NULL && c.groups != NULL;

    if (is_made)
        unseen_count(&c, ret_unseen);
    free(c.bits);
    free(c.patterns);
    free(c.matches);
    free(c.is_compared);
    free(c.groups);
    return is_made ? LINKD_OK : lk_fail_nomem(err);
}
