/* tests/linkage/test_bridge_fit.c — bridges are learnt from the same records under
 * two models, and what cannot be learnt from is refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/bridge.h"
#include "tests/linkage/bridged.h"
#include "tests/support/alloc_fail.h"

static linkd_error err;

static linkd_bridge fit(const bridged *b)
{
    linkd_bridge bridge = {0};

    if (linkd_bridge_fit(&b->task, &b->newer, &b->older, &bridge, &err) !=
        LINKD_OK)
        fail_msg("%s", err.message);
    return bridge;
}

static linkd_bridge native(const bridged *b, const linkd_model_sample *sample)
{
    linkd_bridge bridge = {0};

    assert_int_equal(linkd_bridge_native(&b->task, sample, &bridge, &err),
                     LINKD_OK);
    return bridge;
}

static double native_mrr(const bridged *b, const linkd_model_sample *sample)
{
    linkd_bridge bridge = native(b, sample);
    double mrr_10 = bridge.mrr_10[LINKD_WAY_NATIVE];

    linkd_bridge_clear(&bridge);
    return mrr_10;
}

static int setup(void **state)
{
    *state = bridged_make(0.6, 0.1);
    return 0;
}

static int teardown(void **state)
{
    bridged_free(*state);
    return 0;
}

/* ---- what is learnt ------------------------------------------------------------ */

/* A query that was never in the fit finds its record through the map, as it never
 * would without one. */
static void mapped_queries_find_their_records(void **state)
{
    bridged *b = *state;
    linkd_bridge bridge = fit(b);

    assert_non_null(bridge.map);
    assert_true(linkd_bridge_has(&bridge, LINKD_WAY_ALIGN));
    assert_true(linkd_bridge_has(&bridge, LINKD_WAY_FUSE));
    assert_false(linkd_bridge_has(&bridge, LINKD_WAY_NATIVE));
    assert_true(bridge.mrr_10[LINKD_WAY_ALIGN] > 0.8);
    for (size_t i = 0; i < N_QUERIES; i++)
        assert_true(bridge.ranks[LINKD_WAY_ALIGN][i] <= 10);
    linkd_bridge_clear(&bridge);
    assert_null(bridge.map);
    assert_null(bridge.ranks[LINKD_WAY_ALIGN]);
}

/* The map has not seen these; it flatters the others. */
static void mapped_queries_are_ranked_among_what_is_held_out(void **state)
{
    bridged *b = *state;
    linkd_bridge bridge = fit(b);
    float mapped[OLD_DIM];

    for (size_t i = 0; i < N_QUERIES; i++) {
        const float *answer = b->old_anchors + b->answers[i] * OLD_DIM;
        uint32_t rank = 1;

        assert_int_equal(
            lk_bridge_map(&bridge, b->new_queries + i * NEW_DIM, mapped, &err),
            LINKD_OK);
        for (size_t j = 0; j < N_ANCHORS; j += LINKD_ANCHORS_HELD)
            rank += linkd_index_score(mapped, b->old_anchors + j * OLD_DIM,
                                      OLD_DIM) >
                    linkd_index_score(mapped, answer, OLD_DIM);
        assert_int_equal(bridge.ranks[LINKD_WAY_ALIGN][i],
                         rank <= 10 ? rank : 0);
    }
    linkd_bridge_clear(&bridge);
}

/* Of two models that see much alike some weight is the best by chance. */
static void a_weight_that_is_not_better_for_sure_is_0(void **state)
{
    bridged *b = bridged_make(0.3, 0.3);
    lk_held held;
    linkd_bridge bridge = fit(b);
    float *rows, *mapped;
    uint64_t groups[N_QUERIES];
    float weight;

    (void)state;
    assert_int_equal(lk_held_make(&b->task, &held, &err), LINKD_OK);
    rows = lk_held_rows(&held, &b->older);
    mapped = lk_alloc_aligned(N_QUERIES, OLD_DIM * sizeof(*mapped));
    assert_true(rows != NULL && mapped != NULL);
    for (size_t i = 0; i < N_QUERIES; i++) {
        groups[i] = b->answers[i];
        assert_int_equal(lk_bridge_map(&bridge, b->new_queries + i * NEW_DIM,
                                       mapped + i * OLD_DIM, &err),
                         LINKD_OK);
    }
    assert_int_equal(
        linkd_compat_choose_weight(
            &(linkd_retrieval){.queries = {b->old_queries, N_QUERIES, OLD_DIM},
                               .gallery = {rows, N_QUERIES, OLD_DIM},
                               .query_groups = groups,
                               .gallery_groups = groups},
            &(linkd_rows){mapped, N_QUERIES, OLD_DIM}, b->pool, &weight, &err),
        LINKD_OK);
    assert_true(weight > 0.0F); /* or this would show nothing */
    assert_true(bridge.weight == 0.0F);
    free(mapped);
    free(rows);
    lk_held_clear(&held);
    linkd_bridge_clear(&bridge);
    bridged_free(b);
}

/* On the queries that the weight is chosen on: a weight of 0 is the old query. */
static void fused_queries_are_never_worse_than_the_old_model(void **state)
{
    static const double noises[][2] = {{0.05, 0.9}, {0.9, 0.05}, {0.3, 0.3}};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        bridged *b = bridged_make(noises[i][0], noises[i][1]);
        linkd_bridge bridge = fit(b);

        assert_true(bridge.mrr_10[LINKD_WAY_FUSE] >= native_mrr(b, &b->older));
        assert_true(bridge.weight >= 0.0F && bridge.weight <= 1.0F);
        linkd_bridge_clear(&bridge);
        bridged_free(b);
    }
}

/* A new model that sees nothing but noise does no harm: its weight is 0. */
static void a_useless_model_has_no_weight(void **state)
{
    bridged *b = bridged_make(0.05, 30.0);
    linkd_bridge bridge = fit(b);

    (void)state;
    assert_true(bridge.weight == 0.0F);
    linkd_bridge_clear(&bridge);
    bridged_free(b);
}

/* The share of strangers at a scale's own quantile is what it says. */
static void scales_know_the_share_of_impostors(void **state)
{
    bridged *b = *state;
    linkd_bridge bridge = fit(b);

    for (size_t way = LINKD_WAY_ALIGN; way <= LINKD_WAY_FUSE; way++) {
        const linkd_scale *scale = &bridge.scales[way];

        assert_int_equal(scale->impostors.n, N_QUERIES * (N_ANCHORS - 1));
        assert_true(fabs(linkd_quantiles_false_match_rate(
                             &scale->impostors,
                             linkd_quantiles_score(&scale->impostors, 0.01)) -
                         0.01) < 1e-4);
    }
    linkd_bridge_clear(&bridge);
}

/* The score that a hundredth of what an anchor that is held out scores with the
 * others reaches, by brute force. */
static void assert_records(const linkd_bridge *bridge, const bridged *b,
                           linkd_way way)
{
    const linkd_quantiles *records = &bridge->scales[way].records;
    double limit = linkd_quantiles_score(records, 0.01);
    size_t n_above = 0;

    assert_int_equal(records->n, N_QUERIES * (N_ANCHORS - 1));
    for (size_t i = 0; i < N_ANCHORS; i += LINKD_ANCHORS_HELD) {
        float query[OLD_DIM];
        const float *own = b->old_anchors + i * OLD_DIM;
        const float *foreign = b->new_anchors + i * NEW_DIM;

        memcpy(query, own, sizeof(query));
        if (way == LINKD_WAY_ALIGN)
            assert_int_equal(lk_bridge_map(bridge, foreign, query, NULL),
                             LINKD_OK);
        if (way == LINKD_WAY_FUSE)
            assert_int_equal(
                lk_bridge_fuse(bridge, own, foreign, query, NULL, NULL),
                LINKD_OK);
        for (size_t j = 0; j < N_ANCHORS; j++)
            n_above += i != j && (double)linkd_index_score(
                                     query, b->old_anchors + j * OLD_DIM,
                                     OLD_DIM) >= limit;
    }
    assert_true(fabs((double)n_above / (double)records->n - 0.01) < 5e-4);
}

static void records_have_scales_of_their_own(void **state)
{
    bridged *b = *state;
    linkd_bridge bridge = fit(b);

    assert_true(bridge.weight > 0.0F);
    assert_records(&bridge, b, LINKD_WAY_ALIGN);
    assert_records(&bridge, b, LINKD_WAY_FUSE);
    assert_int_equal(bridge.scales[LINKD_WAY_NATIVE].records.n, 0);
    linkd_bridge_clear(&bridge);
    bridge = native(b, &b->older);
    assert_records(&bridge, b, LINKD_WAY_NATIVE);
    linkd_bridge_clear(&bridge);
}

/* Where few are held out, any anchor looks for others; what is one with it is no
 * stranger. */
static void records_of_one_entity_are_no_strangers(void **state)
{
    bridged *b = *state;
    bool held[N_ANCHORS] = {true};
    size_t groups[N_ANCHORS];
    linkd_bridge bridge;

    for (size_t i = 0; i < N_ANCHORS; i++)
        groups[i] = i / 2;
    b->task.held = held;
    b->task.groups = groups;
    bridge = native(b, &b->older);
    assert_int_equal(bridge.scales[LINKD_WAY_NATIVE].records.n,
                     N_ANCHORS * (N_ANCHORS - 2));
    linkd_bridge_clear(&bridge);
}

/* An anchor that is the query would come before every answer. */
static void a_query_among_the_anchors_does_not_count(void **state)
{
    bridged *b = *state;
    double before = native_mrr(b, &b->older);
    size_t asked[N_QUERIES];
    linkd_bridge bridge;

    for (size_t i = 0; i < N_QUERIES; i++) {
        asked[i] = b->answers[i] + 1;
        memcpy(b->old_anchors + asked[i] * OLD_DIM,
               b->old_queries + i * OLD_DIM, OLD_DIM * sizeof(float));
        memcpy(b->new_anchors + asked[i] * NEW_DIM,
               b->new_queries + i * NEW_DIM, NEW_DIM * sizeof(float));
    }
    assert_true(native_mrr(b, &b->older) < 0.6);
    b->task.asked = asked;
    assert_true(native_mrr(b, &b->older) >= before - 0.05);
    bridge = fit(b);
    assert_int_equal(bridge.scales[LINKD_WAY_FUSE].impostors.n,
                     N_QUERIES * (N_ANCHORS - 2));
    linkd_bridge_clear(&bridge);
}

/* In a collection of a thousand times as many records each one is a thousand
 * times less likely to be the one that was looked for. */
static void probabilities_are_among_all_records(void **state)
{
    bridged *b = *state;
    linkd_bridge few, many;
    double shift = log((double)N_ANCHORS * 1e4 + 1.0) -
                   log((double)N_ANCHORS * 10.0 + 1.0);

    b->task.n_records = N_ANCHORS * 10;
    few = native(b, &b->newer);
    b->task.n_records = N_ANCHORS * 10000;
    many = native(b, &b->newer);
    assert_true(fabs(few.calibrator.offset - shift - many.calibrator.offset) <
                1e-9);
    linkd_bridge_clear(&few);
    linkd_bridge_clear(&many);
}

/* The record that is looked for is likelier than all others, a stranger is not:
 * both where the cohort has it and where it does not. */
static void calibrators_tell_matches_from_impostors(void **state)
{
    bridged *b = *state;
    float scores[N_ANCHORS];

    for (int i = 0; i < 2; i++) {
        linkd_bridge bridge;
        size_t n_likely = 0, n_false = 0;

        b->task.n_records = i == 0 ? N_ANCHORS : N_ANCHORS * 10;
        bridge = native(b, &b->newer);
        for (size_t q = 0; q < N_QUERIES; q++) {
            linkd_standing standing = {.calibrator = &bridge.calibrator};

            for (size_t j = 0; j < N_ANCHORS; j++)
                scores[j] =
                    linkd_index_score(b->new_queries + q * NEW_DIM,
                                      b->new_anchors + j * NEW_DIM, NEW_DIM);
            standing.level = lk_cohort_level_of(&b->task, q, scores);
            for (size_t j = 0; j < N_ANCHORS; j++) {
                bool is_likely = linkd_standing_log_odds(
                                     &standing, (double)scores[j]) > -3.0;

                n_likely += is_likely && j == b->answers[q];
                n_false += is_likely && j != b->answers[q];
            }
        }
        assert_true(n_likely > N_QUERIES * 9 / 10);
        assert_true(n_false < N_QUERIES * N_ANCHORS / 50);
        linkd_bridge_clear(&bridge);
    }
}

/* With its own answer among ten records nobody would stand out. */
static void answers_are_no_part_of_a_large_collections_cohort(void **state)
{
    bridged *b = *state;
    float scores[N_ANCHORS] = {0.0F};
    linkd_level with, without;

    scores[b->answers[3]] = 1.0F;
    b->task.n_records = N_ANCHORS;
    with = lk_cohort_level_of(&b->task, 3, scores);
    b->task.n_records = 2 * N_ANCHORS + 1;
    without = lk_cohort_level_of(&b->task, 3, scores);
    assert_true(fabs(with.mean - 0.1) < 1e-9);
    assert_true(without.mean == 0.0);
}

/* Texts that came with a user's queries are not there when a search is made. */
static void only_what_is_kept_is_in_the_cohort(void **state)
{
    bridged *b = *state;
    float scores[N_ANCHORS] = {0.0F};

    b->task.n_records = N_ANCHORS * 10000;
    scores[N_ANCHORS - 1] = 1.0F;
    assert_true(lk_cohort_level_of(&b->task, 0, scores).mean > 0.05);
    b->task.n_kept = N_ANCHORS - 1;
    assert_true(lk_cohort_level_of(&b->task, 0, scores).mean == 0.0);
}

static void auto_takes_the_better_head(void **state)
{
    bridged *b = *state;
    linkd_bridge chosen;
    double best = 0.0;

    b->task.auto_head = true;
    chosen = fit(b);
    b->task.auto_head = false;
    for (int i = 0; i < 2; i++) {
        linkd_bridge one;

        b->task.head = i == 0 ? LINKD_HEAD_PROCRUSTES : LINKD_HEAD_RIDGE;
        one = fit(b);
        if (one.mrr_10[LINKD_WAY_ALIGN] > best)
            best = one.mrr_10[LINKD_WAY_ALIGN];
        linkd_bridge_clear(&one);
    }
    assert_true(chosen.mrr_10[LINKD_WAY_ALIGN] == best);
    linkd_bridge_clear(&chosen);
}

static void every_head_makes_a_bridge_both_ways(void **state)
{
    bridged *b = *state;

    b->task.labels = b->labels;
    for (size_t head = 0; head < LINKD_N_HEADS; head++) {
        linkd_bridge there = {0};
        linkd_bridge back = {0};
        linkd_bridge_task way_back;
        linkd_compat_info info;

        if (head == LINKD_HEAD_SIMPLEX)
            continue; /* of labels alone */
        b->task.head = (linkd_compat_head)head;
        there = fit(b);
        assert_int_equal(linkd_compat_map_info(there.map).head, head);
        assert_int_equal(linkd_compat_map_info(there.map).dim_compat, OLD_DIM);
        way_back = linkd_bridge_task_back(&b->task, &b->older, &b->newer);
        assert_int_equal(
            linkd_bridge_fit(&way_back, &b->older, &b->newer, &back, &err),
            LINKD_OK);
        info = linkd_compat_map_info(back.map);
        assert_int_equal(info.dim_compat, NEW_DIM);
        /* a lossless map has no room for the longer model's rows */
        if (head == LINKD_HEAD_BT2 || head == LINKD_HEAD_BT2_TRAINED)
            assert_true(info.head == LINKD_HEAD_PROCRUSTES ||
                        info.head == LINKD_HEAD_RIDGE);
        else
            assert_int_equal(info.head, head);
        linkd_bridge_clear(&there);
        linkd_bridge_clear(&back);
    }
}

/* Of models of one size both ways are lossless. */
static void a_lossless_head_goes_back_where_there_is_room(void **state)
{
    bridged *b = *state;
    linkd_bridge_task back;

    b->task.head = LINKD_HEAD_BT2;
    back = linkd_bridge_task_back(&b->task, &b->newer, &b->newer);
    assert_false(back.auto_head);
    back = linkd_bridge_task_back(&b->task, &b->newer, &b->older);
    assert_false(back.auto_head);
}

static void the_same_fit_has_the_same_bytes(void **state)
{
    bridged *b = *state;
    linkd_bridge bridges[2];
    lk_buf bytes[2] = {{0}, {0}};
    unsigned char *maps[2] = {NULL, NULL};
    size_t lens[2] = {0, 0};

    for (size_t i = 0; i < 2; i++) {
        lk_pool *pool = NULL;

        assert_int_equal(lk_pool_new(i + 1, &pool, &err), LINKD_OK);
        b->task.pool = pool;
        bridges[i] = fit(b);
        lk_pool_free(pool);
        assert_int_equal(linkd_scales_encode(&bridges[i], &bytes[i], &err),
                         LINKD_OK);
        assert_int_equal(
            linkd_compat_map_encode(bridges[i].map, &maps[i], &lens[i], &err),
            LINKD_OK);
    }
    assert_int_equal(bytes[0].len, bytes[1].len);
    assert_memory_equal(bytes[0].data, bytes[1].data, bytes[0].len);
    assert_int_equal(lens[0], lens[1]);
    assert_memory_equal(maps[0], maps[1], lens[0]);
    for (size_t i = 0; i < 2; i++) {
        linkd_bridge_clear(&bridges[i]);
        lk_buf_clear(&bytes[i]);
        free(maps[i]);
    }
}

/* ---- what cannot be learnt from -------------------------------------------------- */

static void assert_refused(const bridged *b, int code, const char *message)
{
    linkd_bridge bridge = {.weight = 42.0F};

    assert_int_equal(
        linkd_bridge_fit(&b->task, &b->newer, &b->older, &bridge, &err), code);
    assert_string_equal(err.message, message);
    assert_true(bridge.weight == 42.0F); /* nothing is written */
    assert_null(bridge.map);
}

static void assert_same_bytes(const linkd_compat_map *a,
                              const linkd_compat_map *b)
{
    unsigned char *bytes[2] = {NULL, NULL};
    size_t lens[2] = {0, 0};

    assert_int_equal(linkd_compat_map_encode(a, &bytes[0], &lens[0], &err),
                     LINKD_OK);
    assert_int_equal(linkd_compat_map_encode(b, &bytes[1], &lens[1], &err),
                     LINKD_OK);
    assert_int_equal(lens[0], lens[1]);
    assert_memory_equal(bytes[0], bytes[1], lens[0]);
    free(bytes[0]);
    free(bytes[1]);
}

/* Of other queries, too: a map sees none. */
static void bridges_of_the_same_anchors_share_their_maps(void **state)
{
    bridged *b = *state;
    linkd_fitted fitted = {.n = 0};
    linkd_bridge bare, first, second;

    b->task.head = LINKD_HEAD_RIDGE;
    bare = fit(b);
    b->task.fitted = &fitted;
    first = fit(b);
    assert_int_equal(fitted.n, 3); /* and two of the ranking that was tried */
    b->task.n_queries /= 2;
    second = fit(b);
    assert_int_equal(fitted.n, 3);
    assert_ptr_equal(first.map, second.map);
    assert_same_bytes(bare.map, second.map);
    /* another head, and the other way, are other maps */
    linkd_bridge_clear(&second);
    b->task.head = LINKD_HEAD_PROCRUSTES;
    second = fit(b);
    assert_ptr_not_equal(first.map, second.map);
    assert_int_equal(fitted.n, 4);
    linkd_bridge_clear(&second);
    assert_int_equal(
        linkd_bridge_fit(&b->task, &b->older, &b->newer, &second, &err),
        LINKD_OK);
    assert_int_equal(linkd_compat_map_info(second.map).dim_to, NEW_DIM);
    linkd_bridge_clear(&second);
    linkd_fitted_clear(&fitted);
    /* the first one owns its map still */
    assert_same_bytes(bare.map, first.map);
    linkd_bridge_clear(&first);
    linkd_bridge_clear(&bare);
}

static void too_few_anchors_are_refused(void **state)
{
    bridged *b = *state;
    linkd_bridge bridge = {0};

    b->task.n_anchors = LINKD_ANCHORS_MIN - 1;
    assert_refused(b, LINKD_E_ARG, "99 records to fit on, not 100 to 65536");
    assert_int_equal(linkd_bridge_native(&b->task, &b->older, &bridge, &err),
                     LINKD_E_ARG);
    b->task.n_anchors = LINKD_ANCHORS_MAX + 1;
    assert_refused(b, LINKD_E_ARG, "65537 records to fit on, not 100 to 65536");
    b->task.n_anchors = N_ANCHORS;
    b->task.n_queries = 1;
    assert_refused(b, LINKD_E_ARG, "1 queries are too few");
}

static void constant_vectors_are_refused(void **state)
{
    bridged *b = *state;

    for (size_t i = 1; i < N_ANCHORS; i++)
        memcpy(b->old_anchors + i * OLD_DIM, b->old_anchors,
               OLD_DIM * sizeof(float));
    assert_refused(b, LINKD_E_DATA,
                   "the rows of the second side are all alike");
}

static void vectors_that_are_not_finite_are_refused_by_row(void **state)
{
    bridged *b = *state;
    float *value = &b->new_anchors[7 * NEW_DIM + 3];
    float before = *value;

    *value = NAN;
    assert_refused(b, LINKD_E_DATA,
                   "row 6 of the first side has a value that is not finite");
    *value = INFINITY;
    assert_refused(b, LINKD_E_DATA,
                   "row 6 of the first side has a value that is not finite");
    *value = before;
    b->new_queries[2] = NAN;
    assert_refused(b, LINKD_E_DATA,
                   "row 1 of the vectors has a value that is not finite");
}

static void queries_that_find_nothing_have_no_calibrator(void **state)
{
    bridged *b = *state;
    linkd_bridge bridge = {.weight = 42.0F};

    /* away from all that it was near to */
    for (size_t i = 0; i < N_QUERIES * OLD_DIM; i++)
        b->old_queries[i] = -b->old_queries[i];
    for (size_t i = 0; i < N_QUERIES * NEW_DIM; i++)
        b->new_queries[i] = -b->new_queries[i];
    assert_int_equal(linkd_bridge_native(&b->task, &b->older, &bridge, &err),
                     LINKD_E_DATA);
    assert_string_equal(err.message, "matches do not score higher than others");
    assert_true(bridge.weight == 42.0F);
}

static void labels_of_one_class_are_refused(void **state)
{
    bridged *b = *state;

    b->task.head = LINKD_HEAD_CONTRAST;
    assert_refused(b, LINKD_E_ARG,
                   "this head needs labels: which pairs are one entity");
    b->task.labels = b->labels;
    for (size_t i = 0; i < N_ANCHORS; i++)
        b->labels[i] = 4;
    assert_refused(b, LINKD_E_ARG,
                   "all labels are the same, so that nothing tells entities "
                   "apart");
}

/* Gives three directions wide numbers that say nothing of the record. */
static void directions_spoil(float *rows, size_t n, size_t step)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < 3; j++)
            rows[i * OLD_DIM + j] =
                (float)(i * step * (j + 3) % (11 + 2 * j)) / 2.0F - 2.75F;
    assert_int_equal(linkd_compat_normalise(&(linkd_rows){rows, n, OLD_DIM},
                                            "rows", rows, &err),
                     LINKD_OK);
}

/* Where the widest directions are noise, the order is put right by dividing by the
 * covariance; scores and limits stay as they were. */
static void a_ranking_is_kept_where_it_is_better_for_sure(void **state)
{
    bridged *spoilt = bridged_make(0.3, 2.0);
    bridged *good = *state;
    linkd_bridge bridge;
    linkd_bridge scratch = {0};

    directions_spoil(spoilt->old_anchors, N_ANCHORS, 37);
    directions_spoil(spoilt->old_queries, N_QUERIES, 53);
    bridge = fit(spoilt);
    assert_non_null(bridge.ranking.maps.home);
    assert_non_null(bridge.ranking.maps.map);
    scratch = native(spoilt, &spoilt->older);
    assert_true(bridge.mrr_10[LINKD_WAY_FUSE] >
                scratch.mrr_10[LINKD_WAY_NATIVE] + 0.04);
    assert_true(linkd_compat_metrics_of(bridge.ranks[LINKD_WAY_FUSE], N_QUERIES)
                    .mrr_10 == bridge.mrr_10[LINKD_WAY_FUSE]);
    assert_int_equal(bridge.scales[LINKD_WAY_FUSE].impostors.n,
                     N_QUERIES * (N_ANCHORS - 1));
    linkd_bridge_clear(&scratch);
    linkd_bridge_clear(&bridge);
    assert_null(bridge.ranking.maps.home);
    bridge = fit(good);
    assert_null(bridge.ranking.maps.home);
    linkd_bridge_clear(&bridge);
    bridged_free(spoilt);
}

/* Whether the record that a fused query looks for is among its first n of those that are
 * held out. */
static bool is_found(const bridged *b, const linkd_bridge *bridge, size_t query,
                     size_t n)
{
    float fused[OLD_DIM];
    float scores[N_ANCHORS];
    size_t n_before = 0;

    assert_int_equal(lk_bridge_fuse(bridge, b->old_queries + query * OLD_DIM,
                                    b->new_queries + query * NEW_DIM, fused,
                                    NULL, &err),
                     LINKD_OK);
    for (size_t i = 0; i < N_ANCHORS; i++)
        scores[i] =
            linkd_index_score(fused, b->old_anchors + i * OLD_DIM, OLD_DIM);
    for (size_t i = 0; i < N_ANCHORS; i += LINKD_ANCHORS_HELD)
        n_before += scores[i] > scores[b->answers[query]];
    return n_before < n;
}

/* Of a million records a search gives it a hundred: of 40 less than one. Those ten
 * are put in order that quality is measured by, whatever it would bring forward. */
static void a_ranking_is_tried_on_what_searches_give_it(void **state)
{
    bridged *b = *state;
    linkd_bridge bridge;
    size_t n_beyond = 0;
    float ranking[OLD_DIM];

    directions_spoil(b->old_anchors, N_ANCHORS, 37);
    directions_spoil(b->old_queries, N_QUERIES, 53);
    b->task.n_records = 1000000;
    bridge = fit(b);
    assert_non_null(bridge.ranking.maps.home);
    for (size_t i = 0; i < N_QUERIES; i++) {
        size_t n_before = 0;

        assert_int_equal(lk_bridge_rank(&bridge, b->old_queries + i * OLD_DIM,
                                        b->new_queries + i * NEW_DIM, ranking,
                                        &err),
                         LINKD_OK);
        for (size_t j = 0; j < N_ANCHORS; j += LINKD_ANCHORS_HELD)
            n_before +=
                linkd_index_score(ranking, b->old_anchors + j * OLD_DIM,
                                  OLD_DIM) >
                linkd_index_score(
                    ranking, b->old_anchors + b->answers[i] * OLD_DIM, OLD_DIM);
        assert_int_equal(bridge.ranks[LINKD_WAY_FUSE][i] > 0,
                         is_found(b, &bridge, i, 10));
        n_beyond += n_before < 10 && !is_found(b, &bridge, i, 10);
    }
    assert_true(n_beyond > 0); /* or this would show nothing */
    linkd_bridge_clear(&bridge);
}

static int spoilt_setup(void **state)
{
    *state = bridged_make(0.3, 2.0);
    return 0;
}

static void assert_nothing_left_without_memory(bridged *b)
{
    b->task.auto_head = true;
    for (size_t n = 1;; n++) {
        linkd_bridge bridge = {0};
        int rc;

        alloc_fail_at(n);
        rc = linkd_bridge_fit(&b->task, &b->newer, &b->older, &bridge, &err);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            linkd_bridge_clear(&bridge);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_null(bridge.map);
    }
}

static void a_fit_without_memory_leaves_nothing(void **state)
{
    assert_nothing_left_without_memory(*state);
}

/* ---- strange queries ------------------------------------------------------------ */

#define N_TIMES ((size_t)3)
#define N_MANY  (N_TIMES * N_QUERIES)

/* Each query so many times that the least cosine is telling. */
typedef struct many {
    bridged *made;
    float old_queries[N_MANY * OLD_DIM], new_queries[N_MANY * NEW_DIM];
    size_t answers[N_MANY];
} many;

static many *many_make(double old_noise, double new_noise)
{
    many *m = calloc(1, sizeof(*m));
    bridged *b = bridged_make(old_noise, new_noise);

    assert_non_null(m);
    m->made = b;
    for (size_t i = 0; i < N_TIMES; i++) {
        memcpy(m->old_queries + i * N_QUERIES * OLD_DIM, b->old_queries,
               sizeof(b->old_queries));
        memcpy(m->new_queries + i * N_QUERIES * NEW_DIM, b->new_queries,
               sizeof(b->new_queries));
        memcpy(m->answers + i * N_QUERIES, b->answers, sizeof(b->answers));
    }
    b->older.queries = m->old_queries;
    b->newer.queries = m->new_queries;
    b->task.n_queries = N_MANY;
    b->task.answers = m->answers;
    return m;
}

static void many_free(many *m)
{
    bridged_free(m->made);
    free(m);
}

/* Query i, and whether it is strange if the own model sees the opposite. */
static bool query_fuse(const many *m, const linkd_bridge *bridge, size_t i,
                       bool is_opposite, float *ret_own, float *ret_fused)
{
    bool is_strange = false;

    for (size_t k = 0; k < OLD_DIM; k++)
        ret_own[k] =
            m->old_queries[i * OLD_DIM + k] * (is_opposite ? -1.0F : 1.0F);
    assert_int_equal(lk_bridge_fuse(bridge, ret_own,
                                    m->new_queries + i * NEW_DIM, ret_fused,
                                    &is_strange, &err),
                     LINKD_OK);
    return is_strange;
}

/* What chose is of the kind that was chosen for. */
static void the_better_model_leads_strange_queries(void **state)
{
    many *m = many_make(0.8, 0.1);
    linkd_bridge bridge = fit(m->made);
    float own[OLD_DIM], fused[OLD_DIM], mapped[OLD_DIM];

    (void)state;
    assert_true(native_mrr(m->made, &m->made->newer) >
                native_mrr(m->made, &m->made->older) + 0.1);
    for (size_t i = 0; i < N_MANY; i++)
        assert_false(query_fuse(m, &bridge, i, false, own, fused));
    assert_true(bridge.weight != 0.7F);
    assert_true(query_fuse(m, &bridge, 0, true, own, fused));
    assert_int_equal(lk_bridge_map(&bridge, m->new_queries, mapped, &err),
                     LINKD_OK);
    linkd_compat_slerp(own, mapped, OLD_DIM, 0.7F, mapped);
    assert_memory_equal(fused, mapped, sizeof(fused));
    linkd_bridge_clear(&bridge);
    many_free(m);
}

static void a_model_that_is_no_better_leads_none(void **state)
{
    many *m = many_make(0.4, 0.6);
    linkd_bridge bridge = fit(m->made);
    float own[OLD_DIM], fused[OLD_DIM];

    (void)state;
    bridge.weight = 0.5F; /* of other queries */
    assert_true(query_fuse(m, &bridge, 0, true, own, fused));
    assert_memory_equal(fused, own, sizeof(fused));
    linkd_bridge_clear(&bridge);
    many_free(m);
}

static void few_queries_do_not_tell_what_is_strange(void **state)
{
    many *m = many_make(0.8, 0.1);
    linkd_bridge bridge;
    float own[OLD_DIM], fused[OLD_DIM];

    (void)state;
    m->made->task.n_queries = 99;
    bridge = fit(m->made);
    assert_false(query_fuse(m, &bridge, 0, true, own, fused));
    linkd_bridge_clear(&bridge);
    many_free(m);
}

static void a_fit_of_strange_queries_without_memory_leaves_nothing(void **state)
{
    many *m = many_make(0.8, 0.1);

    (void)state;
    assert_nothing_left_without_memory(m->made);
    many_free(m);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(mapped_queries_find_their_records),
        TEST(mapped_queries_are_ranked_among_what_is_held_out),
        cmocka_unit_test(a_weight_that_is_not_better_for_sure_is_0),
        TEST(fused_queries_are_never_worse_than_the_old_model),
        TEST(a_useless_model_has_no_weight),
        TEST(scales_know_the_share_of_impostors),
        TEST(records_have_scales_of_their_own),
        TEST(records_of_one_entity_are_no_strangers),
        TEST(a_query_among_the_anchors_does_not_count),
        TEST(probabilities_are_among_all_records),
        TEST(calibrators_tell_matches_from_impostors),
        TEST(answers_are_no_part_of_a_large_collections_cohort),
        TEST(only_what_is_kept_is_in_the_cohort),
        TEST(auto_takes_the_better_head),
        TEST(every_head_makes_a_bridge_both_ways),
        TEST(a_lossless_head_goes_back_where_there_is_room),
        TEST(the_same_fit_has_the_same_bytes),
        TEST(bridges_of_the_same_anchors_share_their_maps),
        TEST(too_few_anchors_are_refused),
        TEST(constant_vectors_are_refused),
        TEST(vectors_that_are_not_finite_are_refused_by_row),
        TEST(queries_that_find_nothing_have_no_calibrator),
        TEST(labels_of_one_class_are_refused),
        TEST(a_ranking_is_kept_where_it_is_better_for_sure),
        cmocka_unit_test_setup_teardown(
            a_ranking_is_tried_on_what_searches_give_it, spoilt_setup,
            teardown),
        TEST(a_fit_without_memory_leaves_nothing),
        cmocka_unit_test(the_better_model_leads_strange_queries),
        cmocka_unit_test(a_model_that_is_no_better_leads_none),
        cmocka_unit_test(few_queries_do_not_tell_what_is_strange),
        cmocka_unit_test(
            a_fit_of_strange_queries_without_memory_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
