/* tests/linkage/test_mixed.c — one search over records of two models: as if each
 * generation had been searched alone, and all that was found put in order. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/bridge.h"
#include "tests/linkage/bridged_store.h"
#include "tests/support/alloc_fail.h"

#define N_MOVED ((size_t)80)
#define K       ((size_t)10)

static bridged *made;
static fitted fits;
static linkd_view *view;
static linkd_bridges *bridges;

static int group_enter(void **state)
{
    (void)state;
    made = bridged_make(0.3, 0.1);
    fits = fitted_make(made);
    linkd_whitened_clear(&fits.there.ranking.maps);
    return 0;
}

static int group_leave(void **state)
{
    (void)state;
    fitted_clear(&fits);
    bridged_free(made);
    return 0;
}

static int setup(void **state)
{
    blobs b = blobs_make(made, &fits);
    int rc = scratch_store_enter(state);

    firms_make(made);
    firms_upgrade(&b);
    firms_move(made, N_MOVED);
    view = firms_view();
    assert_int_equal(linkd_bridges_open(view, &bridges, &err), LINKD_OK);
    blobs_clear(&b);
    return rc;
}

static int teardown(void **state)
{
    linkd_bridges_close(bridges);
    linkd_view_close(view);
    return scratch_store_leave(state);
}

/* With a ranking, of a weight of its own. */
static int ranked_setup(void **state)
{
    const linkd_whitening options = {0.1, 0.8};

    assert_null(fits.there.ranking.maps.home);
    assert_int_equal(linkd_compat_fit_whitened(
                         &(linkd_rows){made->new_anchors, N_ANCHORS, NEW_DIM},
                         &(linkd_rows){made->old_anchors, N_ANCHORS, OLD_DIM},
                         &(linkd_rows){made->old_anchors, N_ANCHORS, OLD_DIM},
                         &options, &fits.there.ranking.maps, &err),
                     LINKD_OK);
    fits.there.ranking.weight = 0.6F;
    return setup(state);
}

static int ranked_teardown(void **state)
{
    linkd_whitened_clear(&fits.there.ranking.maps);
    return teardown(state);
}

/* Every query is further from its mapped one than all that chose the ranking. */
static int strange_setup(void **state)
{
    fits.there.cosine_least = 2.0F;
    fits.there.strange_weight = 0.3F;
    return ranked_setup(state);
}

static int strange_teardown(void **state)
{
    fits.there.cosine_least = -2.0F;
    return ranked_teardown(state);
}

/* ---- queries ----------------------------------------------------------------- */

/* Query i, with its vector under the older model or without it. */
static linkd_mixed_query query_of(size_t i, bool has_home)
{
    linkd_mixed_query query = {.generation = 2,
                               .vector = made->new_queries + i * NEW_DIM};

    if (has_home) {
        query.homes[0].generation = 1;
        query.homes[0].vector = made->old_queries + i * OLD_DIM;
        query.n_homes = 1;
    }
    return query;
}

static int search_rc(const linkd_mixed_query *query, size_t k,
                     linkd_found *ret_found, size_t *ret_n)
{
    static const linkd_limit none = {LINKD_LIMIT_NONE, 0.0};
    linkd_search_options options = LINKD_SEARCH_OPTIONS_INIT;
    linkd_search_stats stats;

    options.k = k;
    return linkd_mixed_search(bridges, view, query, &options, &none, ret_found,
                              ret_n, &stats, &err);
}

static size_t search(size_t i, bool has_home, size_t k, linkd_found *ret_found)
{
    linkd_mixed_query query = query_of(i, has_home);
    size_t n = 0;

    if (search_rc(&query, k, ret_found, &n) != LINKD_OK)
        fail_msg("%s", err.message);
    return n;
}

static size_t range(size_t i, linkd_limit_kind kind, double value,
                    linkd_found **ret_found)
{
    linkd_mixed_query query = query_of(i, true);
    linkd_search_options options = LINKD_SEARCH_OPTIONS_INIT;
    linkd_limit limit = {kind, value};
    linkd_search_stats stats;
    size_t n = 0;

    if (linkd_mixed_range(bridges, view, &query, &options, &limit, ret_found,
                          &n, &stats, &err) != LINKD_OK)
        fail_msg("%s", err.message);
    return n;
}

/* ---- all that it should find ----------------------------------------------------- */

static uint64_t record_number(size_t i)
{
    char id[8];
    uint64_t number = 0;
    bool found = false;

    (void)snprintf(id, sizeof(id), "r%zu", i);
    assert_int_equal(linkd_view_find(view, str_of(id), &number, &found, &err),
                     LINKD_OK);
    assert_true(found);
    return number;
}

static int found_compare(const void *a, const void *b)
{
    const linkd_found *x = a;
    const linkd_found *y = b;

    if (x->log_odds != y->log_odds)
        return x->log_odds > y->log_odds ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

/* Every record by brute force, best first. */
static void oracle(size_t query, bool has_home, linkd_found *ret_found)
{
    const float *native = made->new_queries + query * NEW_DIM;
    linkd_way way = has_home ? LINKD_WAY_FUSE : LINKD_WAY_ALIGN;
    bool is_strange = fits.there.cosine_least > 1.0F;
    float mapped[OLD_DIM];
    float ranking[OLD_DIM];
    float scores[2][N_ANCHORS];
    linkd_level levels[2];

    assert_int_equal(linkd_bridges_map(bridges, 2, 1, native, mapped, &err),
                     LINKD_OK);
    if (has_home)
        linkd_compat_slerp(
            made->old_queries + query * OLD_DIM, mapped, OLD_DIM,
            is_strange ? fits.there.strange_weight : fits.there.weight, mapped);
    memcpy(ranking, mapped, sizeof(ranking));
    if (has_home && fits.there.ranking.maps.home != NULL && !is_strange)
        assert_int_equal(lk_bridge_rank(&fits.there,
                                        made->old_queries + query * OLD_DIM,
                                        native, ranking, &err),
                         LINKD_OK);
    for (size_t i = 0; i < N_ANCHORS; i++) {
        scores[0][i] = linkd_index_score(
            ranking, made->old_anchors + i * OLD_DIM, OLD_DIM);
        scores[1][i] =
            linkd_index_score(native, made->new_anchors + i * NEW_DIM, NEW_DIM);
    }
    levels[0] = lk_cohort_level(lk_bridges_cohort(bridges, 1), ranking);
    levels[1] = lk_cohort_level(lk_bridges_cohort(bridges, 2), native);
    for (size_t i = 0; i < N_ANCHORS; i++) {
        bool moved = i < N_MOVED;
        linkd_found *f = &ret_found[i];

        *f = (linkd_found){.id = record_number(i),
                           .generation = moved ? 2 : 1,
                           .way = moved ? LINKD_WAY_NATIVE : way};
        f->score =
            moved ? scores[1][i]
                  : linkd_index_score(mapped, made->old_anchors + i * OLD_DIM,
                                      OLD_DIM);
        f->log_odds = linkd_calibrator_log_odds(
            &fits.new_native.calibrator,
            linkd_level_standard(&levels[moved], (double)scores[moved][i]));
    }
    qsort(ret_found, N_ANCHORS, sizeof(*ret_found), found_compare);
}

static void assert_found_equal(const linkd_found *found,
                               const linkd_found *expected, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(found[i].id, expected[i].id);
        assert_true(found[i].score == expected[i].score);
        assert_int_equal(found[i].generation, expected[i].generation);
        assert_int_equal(found[i].way, expected[i].way);
        assert_true(found[i].log_odds == expected[i].log_odds);
    }
}

/* ---- tests ------------------------------------------------------------------------ */

static void the_best_of_all_generations_by_brute_force(void **state)
{
    static linkd_found expected[N_ANCHORS];
    static linkd_found found[N_ANCHORS];

    (void)state;
    for (size_t i = 0; i < N_QUERIES; i++)
        for (int home = 0; home < 2; home++) {
            oracle(i, home == 1, expected);
            assert_int_equal(search(i, home == 1, K, found), K);
            assert_found_equal(found, expected, K);
        }
    /* more than there are */
    oracle(0, true, expected);
    assert_int_equal(search(0, true, N_ANCHORS, found), N_ANCHORS);
    assert_found_equal(found, expected, N_ANCHORS);
}

static bool is_among_100(const linkd_found *all, const linkd_found *f)
{
    size_t n_above = 0;

    for (size_t i = 0; i < N_ANCHORS; i++)
        n_above += all[i].generation == 1 && all[i].score > f->score;
    return f->generation == 2 || n_above < 100;
}

/* Of an older generation's hundred best by the fused query, in the order of the
 * ranking; what is beyond them does not come. */
static void the_best_by_their_ranking(void **state)
{
    static linkd_found expected[N_ANCHORS];
    static linkd_found found[N_ANCHORS];
    size_t n_turned = 0;

    (void)state;
    for (size_t i = 0; i < N_QUERIES; i++) {
        const linkd_found *next = expected;

        assert_int_equal(search(i, true, K, found), K);
        oracle(i, true, expected);
        for (size_t j = 0; j < K; j++) {
            while (!is_among_100(expected, next))
                next++;
            assert_found_equal(&found[j], next++, 1);
            n_turned += j > 0 && found[j].generation == 1 &&
                        found[j - 1].generation == 1 &&
                        found[j].score > found[j - 1].score;
        }
    }
    assert_true(n_turned > N_QUERIES / 2); /* or scores had decided */
}

/* ---- attaching --------------------------------------------------------------------- */

/* The vectors of one model; a text is the number of an anchor. */
typedef struct anchors {
    const float *vectors;
    size_t dim;
} anchors;

static int anchors_embed(void *ctx, const linkd_str *texts, size_t n,
                         float *ret_vectors, linkd_encode_stats *stats,
                         linkd_error *ret_err)
{
    const anchors *a = ctx;

    (void)stats;
    (void)ret_err;
    for (size_t i = 0; i < n; i++) {
        char text[8] = "";

        memcpy(text, texts[i].bytes, texts[i].len);
        memcpy(ret_vectors + i * a->dim,
               a->vectors + (size_t)atoi(text) * a->dim,
               a->dim * sizeof(*ret_vectors));
    }
    return LINKD_OK;
}

static bool anchors_know(void *ctx, linkd_str text)
{
    (void)ctx;
    (void)text;
    return true;
}

/* Attaches the text of record i as a new record; the id of its match. */
static void attach(size_t i, lk_buf *ret_match)
{
    static const linkd_str names[] = {{"n", 1}};
    const linkd_settings settings = {
        .text = names, .n_text = 1, .threshold = {LINKD_LIMIT_SCORE, 0.1}};
    anchors newer = {made->new_anchors, NEW_DIM};
    anchors older = {made->old_anchors, OLD_DIM};
    const linkd_embedder embedder = {.embed = anchors_embed,
                                     .knows = anchors_know,
                                     .ctx = &newer,
                                     .dim = NEW_DIM,
                                     .fingerprint = "cafe"};
    linkd_home home = {.generation = 1, .embedder = embedder};
    linkd_attach_options options = {
        .threshold = {LINKD_LIMIT_SCORE, 0.1}, .homes = &home, .n_homes = 1};
    linkd_attached attached;
    char text[8];
    linkd_field field = {.name = names[0]};
    linkd_put put = {.fields = &field, .n_fields = 1, .generation = 2};

    (void)snprintf(text, sizeof(text), "%zu", i);
    field.value = str_of(text);
    put.id = field.value;
    home.embedder.ctx = &older;
    home.embedder.dim = OLD_DIM;
    home.embedder.fingerprint = "beef";
    assert_int_equal(linkd_collection_attach(store, str_of("firms"), &settings,
                                             &embedder, &put, &options,
                                             &attached, &err),
                     LINKD_OK);
    lk_buf_reset(ret_match);
    assert_int_equal(
        lk_buf_append(ret_match, attached.match.data, attached.match.len, &err),
        LINKD_OK);
    lk_buf_clear(&attached.match);
}

/* However a ranking would order them. */
static void an_equal_record_is_attached_to(void **state)
{
    lk_buf match = {0};

    (void)state;
    for (size_t i = N_MOVED; i < N_ANCHORS; i += 7) {
        char id[8];

        (void)snprintf(id, sizeof(id), "r%zu", i);
        attach(i, &match);
        assert_string_equal(match.data, id);
    }
    lk_buf_clear(&match);
}

/* Both kinds of records are found first by their own queries. */
static void no_generation_is_left_out(void **state)
{
    size_t n_first[3] = {0};

    (void)state;
    for (size_t i = 0; i < N_QUERIES; i++) {
        linkd_found first;

        assert_int_equal(search(i, true, 1, &first), 1);
        n_first[first.generation] +=
            first.id == record_number(made->answers[i]);
    }
    assert_true(n_first[1] > (N_QUERIES * 6 / 10) * 7 / 10);
    assert_true(n_first[2] > (N_QUERIES * 4 / 10) * 7 / 10);
}

static void a_range_is_all_within_the_limit(void **state)
{
    static linkd_found expected[N_ANCHORS];

    (void)state;
    for (size_t i = 0; i < 10; i++) {
        linkd_found *found = NULL;
        size_t n = range(i, LINKD_LIMIT_PROBABILITY, 0.01, &found);

        oracle(i, true, expected);
        assert_found_equal(found, expected, n);
        assert_true(n > 0);
        assert_true(linkd_found_probability(&found[n - 1]) > 0.0099);
        assert_true(linkd_found_probability(&expected[n]) < 0.0101);
        free(found);
    }
}

/* The share of strangers that a false-match rate lets in is that rate, whichever
 * model they are of. */
static void a_false_match_rate_is_kept_in_each_generation(void **state)
{
    size_t n_false[3] = {0};
    double n_pairs[3] = {0.0, 39.0 * (double)(N_ANCHORS - N_MOVED),
                         39.0 * (double)N_MOVED};

    (void)state;
    for (size_t i = 0; i < N_QUERIES; i++) {
        linkd_found *found = NULL;
        size_t n = range(i, LINKD_LIMIT_FALSE_MATCH_RATE, 0.05, &found);
        uint64_t answer = record_number(made->answers[i]);

        for (size_t j = 0; j < n; j++)
            n_false[found[j].generation] += found[j].id != answer;
        free(found);
    }
    for (size_t g = 1; g <= 2; g++)
        assert_true(fabs((double)n_false[g] / n_pairs[g] - 0.05) < 0.01);
}

/* As those of its model's records with others, which no query's are. */
static void a_limit_of_a_record_is_of_records(void **state)
{
    double limit =
        linkd_quantiles_score(&fits.there.scales[LINKD_WAY_FUSE].records, 0.05);
    linkd_search_options options = LINKD_SEARCH_OPTIONS_INIT;
    const linkd_limit rate = {LINKD_LIMIT_FALSE_MATCH_RATE, 0.05};

    (void)state;
    for (size_t i = 0; i < 10; i++) {
        linkd_mixed_query query = {
            .generation = 2,
            .vector = made->new_anchors + i * NEW_DIM,
            .homes = {{1, made->old_anchors + i * OLD_DIM}},
            .n_homes = 1,
            .is_record = true};
        linkd_found *found = NULL;
        linkd_search_stats stats;
        float fused[OLD_DIM];
        size_t n = 0;
        size_t n_older = 0;

        assert_int_equal(linkd_mixed_range(bridges, view, &query, &options,
                                           &rate, &found, &n, &stats, &err),
                         LINKD_OK);
        for (size_t j = 0; j < n; j++)
            n_older += found[j].generation == 1;
        assert_int_equal(lk_bridge_fuse(&fits.there, query.homes[0].vector,
                                        query.vector, fused, NULL, &err),
                         LINKD_OK);
        for (size_t j = N_MOVED; j < N_ANCHORS; j++)
            n_older -= lk_score_round(linkd_index_score(
                           fused, made->old_anchors + j * OLD_DIM, OLD_DIM)) >=
                       lk_score_round((float)limit);
        assert_int_equal(n_older, 0);
        free(found);
    }
}

static void a_range_without_hits_is_empty(void **state)
{
    linkd_found *found = NULL;

    (void)state;
    assert_int_equal(range(0, LINKD_LIMIT_PROBABILITY, 1.0 - 1e-12, &found), 0);
    free(found);
}

/* Whatever came of a search, the view is where it was. */
static void the_view_turns_back(void **state)
{
    linkd_mixed_query query = query_of(0, true);
    float zero[NEW_DIM] = {0.0F};
    linkd_found found[K];
    size_t n = 0;

    (void)state;
    (void)search(0, true, K, found);
    assert_int_equal(linkd_view_dim(view), NEW_DIM);
    query.vector = zero;
    assert_int_equal(search_rc(&query, K, found, &n), LINKD_E_ARG);
    assert_int_equal(linkd_view_dim(view), NEW_DIM);
}

static void queries_that_are_no_vectors_are_refused(void **state)
{
    linkd_mixed_query query = query_of(0, false);
    float vector[NEW_DIM];
    linkd_found found[K] = {{.id = 42}};
    size_t n = 7;

    (void)state;
    memcpy(vector, query.vector, sizeof(vector));
    vector[5] = NAN;
    query.vector = vector;
    assert_int_equal(search_rc(&query, K, found, &n), LINKD_E_ARG);
    assert_int_equal(err.code, LINKD_E_ARG);
    assert_int_equal(n, 7);
    assert_int_equal(found[0].id, 42);
    query = query_of(0, false);
    query.generation = 3;
    assert_int_equal(search_rc(&query, K, found, &n), LINKD_E_DATA);
    assert_string_equal(err.message,
                        "generation 1's records cannot be found by "
                        "generation 3's model until a rollback, or until "
                        "they are encoded anew: nothing leads from one "
                        "to the other");
}

static void a_search_without_memory_finds_nothing(void **state)
{
    linkd_mixed_query query = query_of(0, true);

    (void)state;
    for (size_t n_alloc = 1;; n_alloc++) {
        linkd_found found[K];
        size_t n = 7;
        int rc;

        alloc_fail_at(n_alloc);
        rc = search_rc(&query, K, found, &n);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_int_equal(n, 7);
        assert_int_equal(linkd_view_dim(view), NEW_DIM);
    }
}

/* ---- candidates of a cascade ------------------------------------------------------ */

#define N_CANDIDATES ((size_t)6)

static int candidates_rc(const linkd_mixed_query *query, linkd_found *ret_found,
                         size_t *ret_n)
{
    linkd_search_options options = LINKD_SEARCH_OPTIONS_INIT;
    linkd_search_stats stats;

    options.k = K;
    return linkd_mixed_candidates(bridges, view, query, &options, N_CANDIDATES,
                                  ret_found, ret_n, &stats, &err);
}

static bool is_among(const linkd_found *found, size_t n, uint64_t id)
{
    for (size_t i = 0; i < n; i++)
        if (found[i].id == id)
            return true;
    return false;
}

/* The next of `expected` that is not among the first n. */
static void assert_next(const linkd_found *found, size_t n,
                        const linkd_found *expected)
{
    while (is_among(found, n, expected->id))
        expected++;
    assert_found_equal(&found[n], expected, 1);
}

/* The older model takes each query for another one, so that the ways differ. */
static void candidates_are_the_best_of_both_ways_in_turn(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_QUERIES; i++) {
        linkd_mixed_query query = query_of(i, true);
        linkd_mixed_query away = query_of(i, false);
        linkd_found fused[2 * K], mapped[K], found[K];
        size_t n = 0;

        query.homes[0].vector =
            made->old_queries + (i + 1) % N_QUERIES * OLD_DIM;
        assert_int_equal(search_rc(&query, 2 * K, fused, &n), LINKD_OK);
        assert_int_equal(search_rc(&away, K, mapped, &n), LINKD_OK);
        assert_int_equal(candidates_rc(&query, found, &n), LINKD_OK);
        assert_int_equal(n, K);
        assert_found_equal(found, fused, 1);
        for (size_t j = 0; j < n; j++)
            assert_false(is_among(found, j, found[j].id));
        for (size_t j = 0; j < N_CANDIDATES / 2; j++) {
            assert_true(is_among(found, N_CANDIDATES, fused[j].id));
            assert_true(is_among(found, N_CANDIDATES, mapped[j].id));
        }
        for (size_t j = N_CANDIDATES; j < n; j++)
            assert_next(found, j, fused);
    }
}

static void candidates_of_a_query_without_home_are_what_is_found(void **state)
{
    static linkd_found mapped[N_ANCHORS];
    linkd_mixed_query query = query_of(0, false);
    linkd_found found[K];
    size_t n = 0;

    (void)state;
    oracle(0, false, mapped);
    assert_int_equal(candidates_rc(&query, found, &n), LINKD_OK);
    assert_int_equal(n, K);
    assert_found_equal(found, mapped, K);
}

static void candidates_without_memory_are_not_found(void **state)
{
    linkd_mixed_query query = query_of(0, true);

    (void)state;
    for (size_t n_alloc = 1;; n_alloc++) {
        linkd_found found[K];
        size_t n = 7;
        int rc;

        alloc_fail_at(n_alloc);
        rc = candidates_rc(&query, found, &n);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_int_equal(n, 7);
    }
}

/* A rollback has come in between: another model serves, of another dimension. */
static void fresh_vectors_are_scored_by_all_of_their_numbers(void **state)
{
    static const linkd_limit none = {LINKD_LIMIT_NONE, 0.0};
    const float *vector = made->new_anchors + N_MOVED * NEW_DIM;
    linkd_mixed_query query = query_of(0, false);
    uint64_t number = record_number(N_MOVED);
    linkd_found found = {.id = number, .generation = 1, .way = LINKD_WAY_ALIGN};
    linkd_fresh fresh = {.number = number, .vector = vector};
    lk_arena arena = {0};
    linkd_stored record = {0};
    uint64_t n_back = 0;
    size_t n = 1;

    (void)state;
    assert_int_equal(
        linkd_store_serve_generation(store, str_of("firms"), 1, &n_back, &err),
        LINKD_OK);
    linkd_view_close(view);
    view = firms_view();
    assert_int_equal(linkd_view_dim(view), OLD_DIM);
    assert_int_equal(linkd_view_read(view, number, &arena, &record, &err),
                     LINKD_OK);
    fresh.seq = record.seq;
    lk_arena_clear(&arena);
    assert_int_equal(linkd_mixed_rescore(bridges, view, &query, &fresh, 1,
                                         &none, 1, &found, &n, &err),
                     LINKD_OK);
    assert_int_equal(n, 1);
    assert_int_equal(found.way, LINKD_WAY_CASCADE);
    assert_true(found.score ==
                linkd_index_score(query.vector, vector, NEW_DIM));
}

/* Or all there is, where only a list could not be made shorter. */
static void a_range_without_memory_finds_nothing(void **state)
{
    static const linkd_limit limit = {LINKD_LIMIT_FALSE_MATCH_RATE, 0.1};
    linkd_mixed_query query = query_of(0, true);
    linkd_search_options options = LINKD_SEARCH_OPTIONS_INIT;
    linkd_found *all = NULL;
    size_t n_all = range(0, limit.kind, limit.value, &all);
    size_t n_failed = 0;

    (void)state;
    for (size_t n_alloc = 1;; n_alloc++) {
        linkd_search_stats stats;
        linkd_found *found = NULL;
        size_t n = 0;
        int rc;

        alloc_fail_at(n_alloc);
        rc = linkd_mixed_range(bridges, view, &query, &options, &limit, &found,
                               &n, &stats, &err);
        if (!alloc_fail_off())
            n_alloc = 0;
        n_failed += rc != LINKD_OK;
        if (rc != LINKD_OK) {
            assert_int_equal(rc, LINKD_E_NOMEM);
            assert_null(found);
        } else {
            assert_int_equal(n, n_all);
            assert_found_equal(found, all, n_all);
        }
        free(found);
        if (n_alloc == 0)
            break;
    }
    assert_true(n_failed > 3);
    free(all);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define RANKED(name)                                                           \
 cmocka_unit_test_setup_teardown(name, ranked_setup, ranked_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_best_of_all_generations_by_brute_force),
        RANKED(the_best_by_their_ranking),
        cmocka_unit_test_setup_teardown(
            the_best_of_all_generations_by_brute_force, strange_setup,
            strange_teardown),
        RANKED(an_equal_record_is_attached_to),
        RANKED(a_range_is_all_within_the_limit),
        RANKED(a_false_match_rate_is_kept_in_each_generation),
        RANKED(a_search_without_memory_finds_nothing),
        TEST(no_generation_is_left_out),
        TEST(a_range_is_all_within_the_limit),
        TEST(a_false_match_rate_is_kept_in_each_generation),
        TEST(a_limit_of_a_record_is_of_records),
        TEST(a_range_without_hits_is_empty),
        TEST(the_view_turns_back),
        TEST(queries_that_are_no_vectors_are_refused),
        TEST(a_search_without_memory_finds_nothing),
        TEST(candidates_are_the_best_of_both_ways_in_turn),
        TEST(candidates_of_a_query_without_home_are_what_is_found),
        TEST(candidates_without_memory_are_not_found),
        TEST(fresh_vectors_are_scored_by_all_of_their_numbers),
        TEST(a_range_without_memory_finds_nothing),
    };

    return cmocka_run_group_tests(tests, group_enter, group_leave);
}
