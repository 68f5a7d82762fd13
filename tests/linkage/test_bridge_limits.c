/* tests/linkage/test_bridge_limits.c — what a limit comes to over a bridge, and
 * without the scale of limits. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/bridge.h"
#include "tests/linkage/bridged_group.h"

static float limit_of(const linkd_bridges *bridges, const linkd_limit *limit,
                      const linkd_standing *standing)
{
    float score = NAN;

    assert_int_equal(linkd_limit_score(bridges, limit, standing, &score, &err),
                     LINKD_OK);
    return score;
}

static float limit_score(const linkd_bridges *bridges, linkd_limit_kind kind,
                         double value, const linkd_scale *scale)
{
    linkd_limit limit = {kind, value};
    linkd_standing standing = {.scale = scale,
                               .level = {0.5, 0.1},
                               .calibrator = &fits.new_native.calibrator};

    return limit_of(bridges, &limit, &standing);
}

static float record_limit_score(const linkd_bridges *bridges,
                                linkd_limit_kind kind, double value,
                                const linkd_scale *scale)
{
    linkd_limit limit = {kind, value};
    linkd_standing standing = {.scale = scale, .is_record = true};

    return limit_of(bridges, &limit, &standing);
}

/* What a threshold lets in of strangers under the first model it lets in under
 * every other one. */
static void a_score_keeps_its_share_of_impostors(void **state)
{
    blobs b = blobs_make(made, &fits);
    linkd_bridges *bridges = NULL;
    const linkd_scale *reference = &fits.old_native.scales[LINKD_WAY_NATIVE];
    const linkd_scale *scale = &fits.there.scales[LINKD_WAY_FUSE];
    float low = reference->impostors.scores[0];
    float high = reference->impostors.scores[LINKD_QUANTILES - 1];

    (void)state;
    firms_upgrade(&b);
    assert_int_equal(open_rc(&bridges), LINKD_OK);
    for (size_t i = 10; i < LINKD_QUANTILES - 1; i += 25) {
        double t = (double)reference->impostors.scores[i];
        double before =
            linkd_quantiles_false_match_rate(&reference->impostors, t);
        double after = linkd_quantiles_false_match_rate(
            &scale->impostors,
            (double)limit_score(bridges, LINKD_LIMIT_SCORE, t, scale));

        assert_true(fabs(log(after / before)) < 0.05);
    }
    /* bit for bit where the model is the first one */
    assert_true(limit_score(bridges, LINKD_LIMIT_SCORE, 0.7, reference) ==
                0.7F);
    assert_true(limit_score(bridges, LINKD_LIMIT_SCORE, (double)low, scale) ==
                -INFINITY);
    /* beyond all impostors: above theirs, and 1 stays 1 */
    assert_true(
        limit_score(bridges, LINKD_LIMIT_SCORE, (double)high + 1e-3, scale) >
        scale->impostors.scores[LINKD_QUANTILES - 1]);
    assert_true(
        fabs((double)limit_score(bridges, LINKD_LIMIT_SCORE, 1.0, scale) -
             1.0) < 1e-6);
    linkd_bridges_close(bridges);
    blobs_clear(&b);
}

static void other_limits_are_of_the_way_itself(void **state)
{
    blobs b = blobs_make(made, &fits);
    linkd_bridges *bridges = NULL;
    const linkd_scale *scale = &fits.there.scales[LINKD_WAY_ALIGN];
    double score;

    (void)state;
    firms_upgrade(&b);
    assert_int_equal(open_rc(&bridges), LINKD_OK);
    score = (double)limit_score(bridges, LINKD_LIMIT_PROBABILITY, 0.9, scale);
    assert_true(
        fabs(linkd_found_probability(&(linkd_found){
                 .log_odds = linkd_calibrator_log_odds(
                     &fits.new_native.calibrator, (score - 0.5) / 0.1)}) -
             0.9) < 1e-5);
    score =
        (double)limit_score(bridges, LINKD_LIMIT_FALSE_MATCH_RATE, 0.01, scale);
    assert_true(
        fabs(linkd_quantiles_false_match_rate(&scale->impostors, score) -
             0.01) < 1e-4);
    assert_true(limit_score(bridges, LINKD_LIMIT_NONE, 0.0, scale) ==
                -INFINITY);
    linkd_bridges_close(bridges);
    blobs_clear(&b);
}

/* Records score otherwise than queries, the more so if a model has a prompt for
 * each. */
static void limits_of_records_are_of_their_scores(void **state)
{
    blobs b = blobs_make(made, &fits);
    linkd_bridges *bridges = NULL;
    const linkd_scale *reference = &fits.old_native.scales[LINKD_WAY_NATIVE];
    const linkd_scale *scale = &fits.there.scales[LINKD_WAY_FUSE];
    size_t n_apart = 0;

    (void)state;
    firms_upgrade(&b);
    assert_int_equal(open_rc(&bridges), LINKD_OK);
    for (size_t i = 10; i < LINKD_QUANTILES - 1; i += 25) {
        double t = (double)reference->records.scores[i];
        double rate = linkd_quantiles_false_match_rate(&reference->records, t);
        float score = record_limit_score(bridges, LINKD_LIMIT_SCORE, t, scale);

        assert_true(fabs(log(linkd_quantiles_false_match_rate(&scale->records,
                                                              (double)score) /
                             rate)) < 0.05);
        assert_true(fabs((double)(record_limit_score(
                                      bridges, LINKD_LIMIT_FALSE_MATCH_RATE,
                                      rate, scale) -
                                  score)) < 1e-3);
        n_apart += fabsf(score - limit_score(bridges, LINKD_LIMIT_SCORE, t,
                                             scale)) > 1e-2F;
    }
    assert_true(n_apart > 0);
    linkd_bridges_close(bridges);
    blobs_clear(&b);
}

/* ---- the scale of limits is damaged ------------------------------------------------- */

/* Its other half lies in the first generation, and nothing is missed. */
static void damaged_limits_go_by_their_copy(void **state)
{
    const linkd_scale *scale = &fits.there.scales[LINKD_WAY_FUSE];

    for (int i = 0; i < 3; i++) {
        blobs b = blobs_make(made, &fits);
        linkd_bridges *whole = NULL;
        linkd_bridges *bridges = NULL;

        firms_upgrade(&b);
        assert_int_equal(open_rc(&whole), LINKD_OK);
        assert_int_equal(linkd_bridges_check_limits(whole, &err), LINKD_OK);
        scratch_store_leave(state);
        bridged_enter(state);
        if (i == 0)
            b.bytes[BLOB_REFERENCE].len--;
        if (i == 1) /* the first number of the native scale is no number */
            memset(b.bytes[BLOB_REFERENCE].data + 48, 0xFF, 4);
        if (i == 2)
            b.of[BLOB_REFERENCE].kind = 77;
        firms_upgrade(&b);
        assert_true(key_get() != 0);
        assert_int_equal(open_rc(&bridges), LINKD_OK);
        assert_int_equal(linkd_bridges_check_limits(bridges, &err),
                         LINKD_E_DATA);
        assert_non_null(strstr(err.message, "the scale of limits has only its "
                                            "copy, which goes with generation "
                                            "1: damaged database: "));
        for (int eighths = -8; eighths <= 8; eighths++) {
            double score = eighths / 8.0;

            assert_true(limit_score(bridges, LINKD_LIMIT_SCORE, score, scale) ==
                        limit_score(whole, LINKD_LIMIT_SCORE, score, scale));
        }
        linkd_bridges_close(bridges);
        linkd_bridges_close(whole);
        blobs_clear(&b);
        scratch_store_leave(state);
        bridged_enter(state);
    }
}

static void without_their_copy_only_scores_are_no_limits(void **state)
{
    const linkd_scale *scale = &fits.there.scales[LINKD_WAY_FUSE];
    const linkd_standing standing = {.scale = scale};
    const linkd_limit limit = {LINKD_LIMIT_SCORE, 0.5};
    blobs b = blobs_make(made, &fits);
    linkd_bridges *bridges = NULL;
    float score = 42.0F;

    (void)state;
    b.bytes[BLOB_REFERENCE].len--;
    b.bytes[BLOB_OLD_SCALES].len--;
    firms_upgrade(&b);
    assert_int_equal(open_rc(&bridges), LINKD_OK);
    assert_int_equal(
        linkd_limit_score(bridges, &limit, &standing, &score, &err),
        LINKD_E_DATA);
    assert_string_equal(err.message,
                        "scores cannot be limits any more, but probabilities "
                        "and false-match rates can: damaged database: a blob "
                        "has a wrong form");
    assert_true(score == 42.0F);
    assert_true(limit_score(bridges, LINKD_LIMIT_FALSE_MATCH_RATE, 0.01,
                            scale) > -1.0F);
    assert_true(limit_score(bridges, LINKD_LIMIT_PROBABILITY, 0.5, scale) >
                -1.0F);
    assert_true(limit_score(bridges, LINKD_LIMIT_NONE, 0.0, scale) ==
                -INFINITY);
    assert_true(leads(bridges, 2, 1, ""));
    linkd_bridges_close(bridges);
    blobs_clear(&b);
}

#define TEST(name)                                                             \
 cmocka_unit_test_setup_teardown(name, bridged_enter, scratch_store_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_score_keeps_its_share_of_impostors),
        TEST(other_limits_are_of_the_way_itself),
        TEST(limits_of_records_are_of_their_scores),
        TEST(damaged_limits_go_by_their_copy),
        TEST(without_their_copy_only_scores_are_no_limits),
    };

    return cmocka_run_group_tests(tests, bridged_group_enter,
                                  bridged_group_leave);
}
