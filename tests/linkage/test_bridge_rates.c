/* tests/linkage/test_bridge_rates.c — a limit lets in the share of strangers that
 * it promises, over a change of the model, of queries and records that nothing was
 * fitted on.
 *
 * Points are normal in 16 dimensions, of which the old model sees half, so that
 * whatever is looked for, and in whichever way, a stranger's direction is even on
 * the sphere. Then the scores of any two pairs are independent, if they share a
 * side or not, and of N pairs N p reach a limit of rate p, give or take sqrt(N p).
 * At p = 1e-3, in parts of N p:
 *
 *   reference and scale, of queries   400 x 3,999 pairs, 1,600 within:   2.5 % each
 *   the same of records               200 x 3,999 pairs,   800 within:   3.5 % each
 *   what is counted here              500 x 3,500 pairs, 1,750 within:   2.4 %
 *
 * together sqrt(2.5^2 + 2.5^2 + 2.4^2) = 4.3 % of queries and 5.5 % of records, so
 * that 15 % are 3.5 and 2.7 deviations. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "linkage/bridge.h"
#include "tests/linkage/bridged_store.h"
#include "tests/linkage/random.h"

enum {
    HALF = 8,
    WHOLE = 16,
    N_FITTED = 4000, /* records */
    N_ASKED = 400,   /* queries, each for a tenth record */
    N_FRESH = 4000,
    N_ASKING = 500, /* queries; and records, the first of the fresh ones */
    N_SEEN = N_FITTED + N_ASKED + N_FRESH + N_ASKING,
};

#define RATE 1e-3

/* Records, queries, fresh records, and fresh queries, as the models see them. */
typedef struct seen {
    float older[N_SEEN][HALF];
    float newer[N_SEEN][WHOLE];
} seen;

static seen *all;
static fitted fits;
static linkd_bridges *bridges; /* whose scale of limits is the old model's */

/* Box and Muller's: directions are even, which those of sums of even numbers are
 * not quite. */
static double normal(uint64_t *state)
{
    double u = ((double)random_next(state) + 1.0) / 4294967297.0;
    double v = (double)random_next(state) / 4294967296.0;

    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

static void unit(float *vector, size_t dim)
{
    linkd_rows row = {vector, 1, dim};

    assert_int_equal(linkd_compat_normalise(&row, "row", vector, &err),
                     LINKD_OK);
}

/* The new model is the better one, and has other axes. */
static void see(const double *point, size_t i, uint64_t *state)
{
    for (size_t k = 0; k < HALF; k++)
        all->older[i][k] = (float)(point[k] + 0.4 * normal(state));
    for (size_t k = 0; k < WHOLE; k++)
        all->newer[i][k] =
            (float)(0.3 * normal(state) - point[(5 * k + 1) % WHOLE]);
    unit(all->older[i], HALF);
    unit(all->newer[i], WHOLE);
}

static void point_make(double *ret_point, uint64_t *state)
{
    for (size_t k = 0; k < WHOLE; k++)
        ret_point[k] = normal(state);
}

static void seen_make(size_t *answers)
{
    uint64_t state = 5;
    double point[WHOLE];

    for (size_t i = 0; i < N_FITTED; i++) {
        point_make(point, &state);
        see(point, i, &state);
        if (i % (N_FITTED / N_ASKED) != 0)
            continue;
        answers[i / (N_FITTED / N_ASKED)] = i;
        for (size_t k = 0; k < WHOLE; k++)
            point[k] += 0.2 * normal(&state);
        see(point, N_FITTED + i / (N_FITTED / N_ASKED), &state);
    }
    for (size_t i = N_FITTED + N_ASKED; i < N_SEEN; i++) {
        point_make(point, &state);
        see(point, i, &state);
    }
}

static void fits_make(const size_t *answers)
{
    bridged large = {
        .older = {HALF, all->older[0], all->older[N_FITTED]},
        .newer = {WHOLE, all->newer[0], all->newer[N_FITTED]},
        .task = {.n_anchors = N_FITTED,
                 .n_queries = N_ASKED,
                 .answers = answers,
                 .n_records = N_FITTED,
                 .head = LINKD_HEAD_PROCRUSTES,
                 .seed = 3},
    };

    assert_int_equal(lk_pool_new(1, &large.task.pool, NULL), LINKD_OK);
    fits = fitted_make(&large);
    lk_pool_free(large.task.pool);
}

/* A store has to be there for them, of whatever records. */
static void bridges_make(void)
{
    bridged *few = bridged_make(0.4, 0.1);
    fitted few_fits = fitted_make(few);
    blobs b = blobs_make(few, &few_fits);
    lk_buf *reference = &b.bytes[BLOB_REFERENCE];
    linkd_view *view;

    lk_buf_reset(reference);
    assert_int_equal(linkd_scales_encode(&fits.old_native, reference, &err),
                     LINKD_OK);
    firms_make(few);
    firms_upgrade(&b);
    view = firms_view();
    assert_int_equal(linkd_bridges_open(view, &bridges, &err), LINKD_OK);
    linkd_view_close(view);
    blobs_clear(&b);
    fitted_clear(&few_fits);
    bridged_free(few);
}

static int group_enter(void **state)
{
    size_t answers[N_ASKED];
    int rc = scratch_store_enter(state);

    all = malloc(sizeof(*all));
    assert_non_null(all);
    seen_make(answers);
    fits_make(answers);
    bridges_make();
    return rc;
}

static int group_leave(void **state)
{
    linkd_bridges_close(bridges);
    fitted_clear(&fits);
    free(all);
    return scratch_store_leave(state);
}

/* ---- counting -------------------------------------------------------------------- */

/* A way to search, from the new model's queries or, for what was before, from the
 * old one's. */
typedef struct searched {
    const linkd_scale *scale;
    linkd_way way;
    bool is_newer; /* what is searched */
} searched;

static const float *query_lead(const searched *s, size_t i, float *storage)
{
    if (s->way == LINKD_WAY_NATIVE)
        return s->is_newer ? all->newer[i] : all->older[i];
    assert_int_equal(
        s->way == LINKD_WAY_ALIGN
            ? lk_bridge_map(&fits.there, all->newer[i], storage, &err)
            : lk_bridge_fuse(&fits.there, all->older[i], all->newer[i], storage,
                             NULL, &err),
        LINKD_OK);
    return storage;
}

/* The share of fresh strangers that fresh queries or records find from a score on. */
static double share_of(const searched *s, bool is_record, float score)
{
    const size_t strangers = N_FITTED + N_ASKED;
    const size_t asking = strangers + N_FRESH;
    size_t dim = s->is_newer ? WHOLE : HALF;
    size_t n = 0;
    size_t n_all = 0;

    for (size_t i = 0; i < N_ASKING; i++) {
        float storage[WHOLE];
        size_t asks = is_record ? strangers + i : asking + i;
        const float *query = query_lead(s, asks, storage);

        for (size_t j = strangers + N_ASKING; j < asking; j++) {
            const float *stranger = s->is_newer ? all->newer[j] : all->older[j];

            n += linkd_index_score(query, stranger, dim) >= score;
            n_all++;
        }
    }
    return (double)n / (double)n_all;
}

static float limit_score(const searched *s, bool is_record, linkd_limit limit)
{
    const linkd_standing standing = {.scale = s->scale, .is_record = is_record};
    float score = NAN;

    assert_int_equal(
        linkd_limit_score(bridges, &limit, &standing, &score, &err), LINKD_OK);
    return score;
}

static void assert_rate(const searched *s, bool is_record, linkd_limit limit)
{
    double share = share_of(s, is_record, limit_score(s, is_record, limit));

    if (!(share >= 0.85 * RATE && share <= 1.15 * RATE))
        fail_msg("%s, %s: %.3g of strangers", linkd_way_words[s->way],
                 is_record ? "records" : "queries", share);
}

/* A score that has the rate with the old model, before and after. */
static void assert_rates(const searched *s)
{
    const linkd_scale *before = &fits.old_native.scales[LINKD_WAY_NATIVE];

    for (int is_record = 0; is_record <= 1; is_record++) {
        const linkd_quantiles *others =
            is_record ? &before->records : &before->impostors;

        assert_rate(s, is_record,
                    (linkd_limit){LINKD_LIMIT_SCORE,
                                  linkd_quantiles_score(others, RATE)});
        assert_rate(s, is_record,
                    (linkd_limit){LINKD_LIMIT_FALSE_MATCH_RATE, RATE});
    }
}

/* ---- tests ------------------------------------------------------------------------ */

static void before_a_change_limits_have_their_rate(void **state)
{
    (void)state;
    assert_rates(&(searched){&fits.old_native.scales[LINKD_WAY_NATIVE],
                             LINKD_WAY_NATIVE, false});
}

static void mapped_queries_keep_the_rate(void **state)
{
    (void)state;
    assert_rates(&(searched){&fits.there.scales[LINKD_WAY_ALIGN],
                             LINKD_WAY_ALIGN, false});
}

static void fused_queries_keep_the_rate(void **state)
{
    (void)state;
    assert_true(fits.there.weight > 0.0F && fits.there.weight < 1.0F);
    assert_rates(
        &(searched){&fits.there.scales[LINKD_WAY_FUSE], LINKD_WAY_FUSE, false});
}

/* The same cosine would let in no fifth: it has twice the dimensions. */
static void the_new_models_own_queries_keep_the_rate(void **state)
{
    const searched s = {&fits.new_native.scales[LINKD_WAY_NATIVE],
                        LINKD_WAY_NATIVE, true};
    const linkd_scale *before = &fits.old_native.scales[LINKD_WAY_NATIVE];

    (void)state;
    assert_rates(&s);
    assert_true(share_of(&s, false,
                         (float)linkd_quantiles_score(&before->impostors,
                                                      RATE)) < RATE / 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(before_a_change_limits_have_their_rate),
        cmocka_unit_test(mapped_queries_keep_the_rate),
        cmocka_unit_test(fused_queries_keep_the_rate),
        cmocka_unit_test(the_new_models_own_queries_keep_the_rate),
    };

    return cmocka_run_group_tests(tests, group_enter, group_leave);
}
