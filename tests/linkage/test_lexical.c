/* tests/linkage/test_lexical.c — neighbours through the index against a search
 * of all pairs, and what a budget leaves of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/lexical.h"
#include "tests/linkage/random.h"
#include "tests/support/alloc_fail.h"

enum {
    N_RECORDS = 1200, /* several chunks of queries a side */
    N_LEFT = 500,
    N_WORDS = 300,
    WORDS_PER_RECORD = 6,
    N_FEW_MOST = 8,
};

typedef struct fixture {
    lk_pool *pools[2]; /* of one and of three workers */
    lk_terms terms[2]; /* by lk_lexical_score: 3-grams, words */
    uint32_t blocks[N_RECORDS];
    lk_lexical_options options;
    lk_neighbours found;
    linkd_error err;
} fixture;

/* ---- texts ---------------------------------------------------------------- */

static lk_texts texts_of_buffer(lk_buf *bytes, size_t *offsets, size_t n,
                                size_t n_left)
{
    return (lk_texts){bytes->data, offsets, n, n_left};
}

static lk_terms terms_make(const char *const *records, size_t n, size_t n_left,
                           lk_term_kind kind, lk_pool *pool)
{
    lk_buf bytes = {0};
    size_t *offsets = calloc(n + 1, sizeof(*offsets));
    lk_terms terms = {0};
    lk_texts texts;

    assert_non_null(offsets);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(
            lk_buf_append(&bytes, records[i], strlen(records[i]), NULL),
            LINKD_OK);
        offsets[i + 1] = bytes.len;
    }
    texts = texts_of_buffer(&bytes, offsets, n, n_left);
    assert_int_equal(lk_terms_make(&texts, kind, pool, &terms, NULL), LINKD_OK);
    lk_texts_clear(&texts);
    return terms;
}

/* Words of which some are much more frequent than others. */
static void records_fill(char (*records)[128])
{
    uint64_t random = 11;

    for (size_t i = 0; i < N_RECORDS; i++) {
        records[i][0] = '\0';
        for (size_t w = 0; i % 97 != 5 && w < WORDS_PER_RECORD; w++) {
            size_t below = 1 + random_below(&random, N_WORDS);
            size_t word = random_below(&random, below) * 7919;

            (void)snprintf(records[i] + strlen(records[i]), 20, "%s%zx",
                           w > 0 ? " " : "", word);
        }
    }
}

static int setup(void **state)
{
    static char records[N_RECORDS][128];
    static const char *pointers[N_RECORDS];
    fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    assert_int_equal(lk_pool_new(1, &f->pools[0], &f->err), LINKD_OK);
    assert_int_equal(lk_pool_new(3, &f->pools[1], &f->err), LINKD_OK);
    records_fill(records);
    for (size_t i = 0; i < N_RECORDS; i++) {
        pointers[i] = records[i];
        f->blocks[i] = i % 5 == 4 ? UINT32_MAX : (uint32_t)(i * 31 % 4);
    }
    f->terms[LK_LEXICAL_COSINE] =
        terms_make(pointers, N_RECORDS, N_LEFT, LK_TERM_GRAM, f->pools[0]);
    f->terms[LK_LEXICAL_IDF] =
        terms_make(pointers, N_RECORDS, N_LEFT, LK_TERM_WORD, f->pools[0]);
    f->options = (lk_lexical_options){.score = LK_LEXICAL_COSINE,
                                      .k = 7,
                                      .df_share = 1.0F,
                                      .budget = SIZE_MAX,
                                      .pool = f->pools[0]};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;

    lk_neighbours_clear(&f->found);
    lk_terms_clear(&f->terms[1]);
    lk_terms_clear(&f->terms[0]);
    lk_pool_free(f->pools[1]);
    lk_pool_free(f->pools[0]);
    free(f);
    return 0;
}

/* ---- a search of all pairs ------------------------------------------------ */

static float score_of(const lk_terms *t, const lk_lexical_options *o, size_t a,
                      size_t b)
{
    double sum = 0.0;
    size_t j = t->offsets[b];

    if (o->score == LK_LEXICAL_COSINE)
        return lk_terms_cosine(t, a, b);
    for (size_t i = t->offsets[a]; i < t->offsets[a + 1]; i++) {
        while (j < t->offsets[b + 1] && t->terms[j].id < t->terms[i].id)
            j++;
        if (j < t->offsets[b + 1] && t->terms[j].id == t->terms[i].id)
            sum += (double)lk_terms_idf(t, t->terms[i].id);
    }
    return (float)sum;
}

static bool may_meet(const lk_terms *t, const lk_lexical_options *o, size_t a,
                     size_t b)
{
    bool same_side = (a < t->n_left) == (b < t->n_left);
    bool one_side = t->n_left == t->n;

    return a != b && (one_side || !same_side) &&
           (o->blocks == NULL ||
            (o->blocks[a] != UINT32_MAX && o->blocks[a] == o->blocks[b]));
}

static int neighbour_compare(const void *a, const void *b)
{
    const lk_neighbour *x = a;
    const lk_neighbour *y = b;

    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return (x->record > y->record) - (x->record < y->record);
}

static void assert_row_is_that_of_all_pairs(const fixture *f, const lk_terms *t,
                                            size_t query)
{
    static lk_neighbour all[N_RECORDS];
    const lk_lexical_options *o = &f->options;
    const lk_neighbour *row = f->found.neighbours + f->found.offsets[query];
    size_t n_row = f->found.offsets[query + 1] - f->found.offsets[query];
    size_t n = 0;
    size_t n_expected = 0;

    for (size_t r = 0; r < t->n; r++) {
        float score =
            may_meet(t, o, query, r) ? score_of(t, o, query, r) : 0.0F;

        if (score > 0.0F && score >= o->score_min)
            all[n++] = (lk_neighbour){(uint32_t)r, score};
    }
    qsort(all, n, sizeof(*all), neighbour_compare);
    while (n_expected < n &&
           (n_expected < o->k ||
            (n_expected < o->k_far &&
             all[n_expected].score >= o->far_share * all[0].score)))
        n_expected++;
    assert_int_equal(n_row, n_expected);
    for (size_t i = 0; i < n_row; i++) {
        assert_int_equal(row[i].record, all[i].record);
        assert_true(row[i].score == all[i].score);
    }
}

static void search(fixture *f, const lk_terms *terms)
{
    lk_neighbours_clear(&f->found);
    assert_int_equal(lk_lexical_search(terms, &f->options, &f->found, &f->err),
                     LINKD_OK);
    assert_int_equal(f->found.n, terms->n);
}

static void assert_all_rows(fixture *f, lk_lexical_score score)
{
    f->options.score = score;
    search(f, &f->terms[score]);
    for (size_t q = 0; q < N_RECORDS; q++)
        assert_row_is_that_of_all_pairs(f, &f->terms[score], q);
}

/* ---- against it ----------------------------------------------------------- */

static void rows_are_those_of_a_search_of_all_pairs(void **state)
{
    fixture *f = *state;

    assert_all_rows(f, LK_LEXICAL_COSINE);
    assert_all_rows(f, LK_LEXICAL_IDF);
}

static void one_table_is_compared_with_itself(void **state)
{
    fixture *f = *state;

    for (size_t i = 0; i < 2; i++)
        f->terms[i].n_left = N_RECORDS;
    assert_all_rows(f, LK_LEXICAL_COSINE);
    assert_all_rows(f, LK_LEXICAL_IDF);
}

static void only_records_of_a_block_are_neighbours(void **state)
{
    fixture *f = *state;

    f->options.blocks = f->blocks;
    assert_all_rows(f, LK_LEXICAL_COSINE);
    assert_all_rows(f, LK_LEXICAL_IDF);
    /* i % 5 == 4 has no block */
    assert_int_equal(f->found.offsets[4], f->found.offsets[5]);
}

static void more_are_given_while_they_are_nearly_as_good(void **state)
{
    fixture *f = *state;

    f->options.k = 2;
    f->options.k_far = 30;
    f->options.far_share = 0.6F;
    assert_all_rows(f, LK_LEXICAL_COSINE);
    assert_true(f->found.offsets[N_RECORDS] > 2 * N_RECORDS);
}

static void what_scores_less_than_is_asked_for_is_left_out(void **state)
{
    fixture *f = *state;

    f->options.score_min = 0.4F;
    assert_all_rows(f, LK_LEXICAL_COSINE);
    assert_true(f->found.offsets[N_RECORDS] < 7 * N_RECORDS);
}

static void no_neighbours_may_be_wanted(void **state)
{
    fixture *f = *state;

    f->options.k = 0;
    search(f, &f->terms[0]);
    assert_int_equal(f->found.offsets[N_RECORDS], 0);
}

static void the_number_of_workers_changes_nothing(void **state)
{
    fixture *f = *state;
    lk_neighbours one;

    f->options.budget = 300; /* what a query visits must not depend on others */
    f->options.k_far = 12;
    f->options.far_share = 0.5F;
    search(f, &f->terms[0]);
    one = f->found;
    f->found = (lk_neighbours){0};
    f->options.pool = f->pools[1];
    search(f, &f->terms[0]);
    assert_memory_equal(f->found.offsets, one.offsets,
                        (N_RECORDS + 1) * sizeof(*one.offsets));
    assert_memory_equal(f->found.neighbours, one.neighbours,
                        one.offsets[N_RECORDS] * sizeof(*one.neighbours));
    lk_neighbours_clear(&one);
}

/* ---- budgets and frequent terms ------------------------------------------- */

static size_t row_len(const fixture *f, size_t query)
{
    return f->found.offsets[query + 1] - f->found.offsets[query];
}

static lk_neighbour row_first(const fixture *f, size_t query)
{
    assert_true(row_len(f, query) > 0);
    return f->found.neighbours[f->found.offsets[query]];
}

/* Words: "all" in 200 records, "rare" in two of them. */
static lk_terms frequent_terms(const fixture *f, const char *word)
{
    static const char *records[200];

    for (size_t i = 0; i < 200; i++)
        records[i] = "all";
    records[20] = word;
    records[150] = word;
    return terms_make(records, 200, 200, LK_TERM_WORD, f->pools[0]);
}

static void terms_of_too_many_records_find_nobody(void **state)
{
    fixture *f = *state;
    lk_terms terms = frequent_terms(f, "all rare");

    f->options.df_share = 0.2F;
    search(f, &terms);
    assert_int_equal(row_len(f, 0), 0);
    assert_int_equal(row_len(f, 20), 1);
    assert_int_equal(row_first(f, 20).record, 150);
    /* the score is that of all terms they share */
    assert_true(row_first(f, 20).score == lk_terms_cosine(&terms, 20, 150));
    assert_true(row_first(f, 20).score > 0.99F);
    lk_terms_clear(&terms);
}

static void terms_of_few_records_are_never_too_frequent(void **state)
{
    static const char *const records[N_FEW_MOST] = {"a", "a", "a", "a",
                                                    "a", "a", "a", "a"};
    fixture *f = *state;
    lk_terms terms =
        terms_make(records, N_FEW_MOST, 3, LK_TERM_WORD, f->pools[0]);

    f->options.df_share = 0.01F;
    f->options.k = 2;
    search(f, &terms);
    for (size_t q = 0; q < N_FEW_MOST; q++) {
        assert_int_equal(row_len(f, q), 2);
        assert_int_equal(row_first(f, q).record, q < 3 ? 3 : 0);
    }
    lk_terms_clear(&terms);
}

/* Enough were met by the rare word, so the budget is not spent on the other. */
static void a_budget_goes_to_rare_terms_first(void **state)
{
    fixture *f = *state;
    lk_terms terms = frequent_terms(f, "all rare");

    f->options.k = 1;
    f->options.budget = 2;
    search(f, &terms);
    assert_int_equal(row_len(f, 20), 1);
    assert_int_equal(row_first(f, 20).record, 150);
    assert_int_equal(row_first(f, 150).record, 20);
    lk_terms_clear(&terms);
}

/* Record 100 stands in the middle of its table, and so do those it meets. */
static void a_list_beyond_the_budget_is_visited_around_the_query(void **state)
{
    fixture *f = *state;
    lk_terms terms = frequent_terms(f, "all");

    f->options.k = 10;
    f->options.budget = 5;
    search(f, &terms);
    assert_int_equal(row_len(f, 100), 4); /* itself is the fifth */
    assert_int_equal(row_first(f, 100).record, 98);
    assert_int_equal(row_first(f, 0).record, 1);
    assert_int_equal(row_len(f, 0), 4);
    assert_int_equal(row_first(f, 199).record, 195);
    f->options.budget = 0;
    search(f, &terms);
    assert_int_equal(f->found.offsets[200], 0);
    lk_terms_clear(&terms);
}

/* The partial scores of so many records are made in more than one go. */
static void neighbours_are_found_however_far_apart(void **state)
{
    enum { N_FAR = 70000 };

    fixture *f = *state;
    char(*records)[16] = calloc(N_FAR, sizeof(*records));
    const char **pointers = calloc(N_FAR, sizeof(*pointers));
    lk_terms terms;

    assert_non_null(records);
    assert_non_null(pointers);
    for (size_t i = 0; i < N_FAR; i++) {
        (void)snprintf(records[i], sizeof(records[i]), "%zu a",
                       i % (N_FAR / 2));
        pointers[i] = records[i];
    }
    terms = terms_make(pointers, N_FAR, N_FAR, LK_TERM_WORD, f->pools[0]);
    f->options.k = 1;
    f->options.budget = 10;
    search(f, &terms);
    for (size_t q = 0; q < N_FAR; q++)
        assert_int_equal(row_first(f, q).record, (q + N_FAR / 2) % N_FAR);
    lk_terms_clear(&terms);
    free((void *)pointers);
    free(records);
}

/* ---- nothing to search ---------------------------------------------------- */

static void empty_sides_have_no_neighbours(void **state)
{
    static const char *const records[] = {"", "", "a"};
    fixture *f = *state;
    lk_terms terms = terms_make(records, 3, 2, LK_TERM_WORD, f->pools[0]);

    search(f, &terms);
    assert_int_equal(f->found.offsets[3], 0);
    terms.n_left = 0;
    search(f, &terms);
    assert_int_equal(f->found.offsets[3], 0);
    lk_terms_clear(&terms);
    terms = terms_make(records, 0, 0, LK_TERM_WORD, f->pools[0]);
    search(f, &terms);
    assert_int_equal(f->found.offsets[0], 0);
    lk_terms_clear(&terms);
}

/* ---- progress and failures ------------------------------------------------ */

typedef struct watcher {
    uint64_t last;
    uint64_t stop_at;
    size_t n_reports;
} watcher;

static int watch(void *ctx, const char *step, uint64_t done, uint64_t total)
{
    watcher *w = ctx;

    assert_string_equal(step, "candidates");
    assert_int_equal(total, N_RECORDS);
    assert_true(done > w->last);
    w->last = done;
    w->n_reports++;
    return done >= w->stop_at;
}

static void the_search_reports_queries_of_both_sides(void **state)
{
    fixture *f = *state;
    watcher w = {.stop_at = UINT64_MAX};
    linkd_progress progress = {watch, &w};

    f->options.progress = &progress;
    search(f, &f->terms[0]);
    assert_int_equal(w.last, N_RECORDS);
    assert_int_equal(w.n_reports, 2);
}

static void the_search_stops_when_its_caller_says_so(void **state)
{
    fixture *f = *state;
    watcher w = {.stop_at = 1};
    linkd_progress progress = {watch, &w};

    f->options.progress = &progress;
    assert_int_equal(
        lk_lexical_search(&f->terms[0], &f->options, &f->found, &f->err),
        LINKD_E_CANCELLED);
    assert_string_equal(f->err.message, "interrupted");
    assert_int_equal(w.n_reports, 1);
    assert_null(f->found.offsets);
}

static void running_out_of_memory_is_an_error_at_every_point(void **state)
{
    fixture *f = *state;

    f->options.blocks = f->blocks;
    for (size_t n = 1;; n++) {
        int rc;

        alloc_fail_at(n);
        rc = lk_lexical_search(&f->terms[1], &f->options, &f->found, &f->err);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            assert_true(n > 30);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_int_equal(f->err.code, LINKD_E_NOMEM);
        assert_null(f->found.offsets);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(rows_are_those_of_a_search_of_all_pairs),
        TEST(one_table_is_compared_with_itself),
        TEST(only_records_of_a_block_are_neighbours),
        TEST(more_are_given_while_they_are_nearly_as_good),
        TEST(what_scores_less_than_is_asked_for_is_left_out),
        TEST(no_neighbours_may_be_wanted),
        TEST(the_number_of_workers_changes_nothing),
        TEST(terms_of_too_many_records_find_nobody),
        TEST(terms_of_few_records_are_never_too_frequent),
        TEST(a_budget_goes_to_rare_terms_first),
        TEST(a_list_beyond_the_budget_is_visited_around_the_query),
        TEST(neighbours_are_found_however_far_apart),
        TEST(empty_sides_have_no_neighbours),
        TEST(the_search_reports_queries_of_both_sides),
        TEST(the_search_stops_when_its_caller_says_so),
        TEST(running_out_of_memory_is_an_error_at_every_point),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
