/* tests/linkage/test_ranking.c — which candidates are looked at first, on tables
 * made here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/evidence.h"
#include "tests/linkage/scratch.h"
#include "tests/support/alloc_fail.h"

enum { N = 60, N_FEW = 6 };

typedef struct fixture {
    linkd_table *tables[2];
    lk_pool *pool;
    linkd_evidence *evidence;
    linkd_ranking ranking;
    linkd_error err;
} fixture;

static const linkd_column_pair COLUMNS[] = {{1, 1, 1}};

/* Row i is "<word of i> pump"; the right one has it with a letter added. */
static linkd_table *table_make(const char *path, const char *ending, unsigned n)
{
    linkd_table *table = NULL;
    lk_buf csv = {0};

    assert_int_equal(lk_buf_printf(&csv, NULL, "id,name\n"), LINKD_OK);
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(lk_buf_printf(&csv, NULL, "%u,%c%c%c%c%s pump\n", i,
                                       'a' + i % 7, 'b' + i * 5 % 23,
                                       'c' + i * 11 % 19, 'd' + i / 7, ending),
                         LINKD_OK);
    scratch_write_text(path, csv.data);
    lk_buf_clear(&csv);
    assert_int_equal(
        linkd_table_read(path, LINKD_FORMAT_CSV, "id", NULL, &table, NULL),
        LINKD_OK);
    return table;
}

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    assert_int_equal(lk_pool_new(2, &f->pool, &f->err), LINKD_OK);
    f->tables[0] = table_make("l.csv", "", N);
    f->tables[1] = table_make("r.csv", "x", N);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;

    linkd_ranking_clear(&f->ranking);
    linkd_evidence_free(f->evidence);
    linkd_table_free(f->tables[0]);
    linkd_table_free(f->tables[1]);
    lk_pool_free(f->pool);
    free(f);
    return 0;
}

static void gather(fixture *f, bool two)
{
    linkd_evidence_options options = {.columns = COLUMNS,
                                      .n_columns = 1,
                                      .left_block = LINKD_COLUMN_NONE,
                                      .right_block = LINKD_COLUMN_NONE,
                                      .channels = LINKD_CHANNEL_ALL};

    assert_int_equal(
        linkd_evidence_gather(f->tables[0], two ? f->tables[1] : NULL, NULL,
                              f->pool, &options, NULL, &f->evidence, &f->err),
        LINKD_OK);
}

static void rank(fixture *f, bool two)
{
    gather(f, two);
    assert_int_equal(linkd_evidence_rank(f->evidence, &f->ranking, &f->err),
                     LINKD_OK);
}

static void pairs_that_lead_come_first(void **state)
{
    fixture *f = *state;

    rank(f, true);
    assert_true(f->ranking.n > N);
    for (size_t i = 0; i < N; i++) {
        const linkd_candidate *c = &f->ranking.candidates[f->ranking.order[i]];

        assert_int_equal(c->left, c->right);
        assert_int_equal(f->ranking.ranks[f->ranking.order[i]], 1);
    }
}

/* A rank is of the better of both rows, so each row has a first one. */
static void every_row_has_a_pair_of_the_first_rank(void **state)
{
    fixture *f = *state;
    bool has_first[2][N] = {{false}};

    rank(f, true);
    for (size_t i = 0; i < f->ranking.n; i++) {
        const linkd_candidate *c = &f->ranking.candidates[i];

        assert_true(f->ranking.ranks[i] >= 1);
        if (f->ranking.ranks[i] == 1)
            has_first[0][c->left] = has_first[1][c->right] = true;
    }
    for (size_t row = 0; row < N; row++)
        assert_true(has_first[0][row] && has_first[1][row]);
}

static void
the_order_has_each_candidate_once_and_nothing_is_decided(void **state)
{
    fixture *f = *state;
    size_t seen = 0;
    bool *was = NULL;

    rank(f, false);
    assert_true(f->ranking.n > 0);
    was = calloc(f->ranking.n + 1, sizeof(*was));
    assert_non_null(was);
    for (size_t i = 0; i < f->ranking.n; i++) {
        const linkd_candidate *c = &f->ranking.candidates[i];

        seen += !was[f->ranking.order[i]];
        was[f->ranking.order[i]] = true;
        assert_true(c->left < c->right);
        assert_false(c->accepted);
        assert_true(c->probability == 0.0F);
    }
    free(was);
    assert_int_equal(seen, f->ranking.n);
}

/* In one table equals are no rivals: what comes first is what surprises most,
 * whether or not its rows have other such pairs. */
static void one_table_goes_by_surprise(void **state)
{
    fixture *f = *state;
    float *surprise;

    rank(f, false);
    surprise = calloc(f->ranking.n + 1, sizeof(*surprise));
    assert_non_null(surprise);
    assert_int_equal(lk_surprise(&f->evidence->features, &f->evidence->random,
                                 f->pool, surprise, &f->err),
                     LINKD_OK);
    for (size_t i = 1; i < f->ranking.n; i++)
        assert_true(surprise[f->ranking.order[i - 1]] >=
                    surprise[f->ranking.order[i]]);
    free(surprise);
}

/* Too few pairs at random to say what is surprising. */
static void tables_of_few_rows_go_by_likeness(void **state)
{
    fixture *f = *state;

    linkd_table_free(f->tables[0]);
    linkd_table_free(f->tables[1]);
    f->tables[0] = table_make("l.csv", "", N_FEW);
    f->tables[1] = table_make("r.csv", "x", N_FEW);
    rank(f, true);
    assert_true(f->ranking.n > N_FEW);
    for (size_t i = 0; i < N_FEW; i++) {
        const linkd_candidate *c = &f->ranking.candidates[f->ranking.order[i]];

        assert_int_equal(c->left, c->right);
    }
}

static void memory_that_runs_out_is_reported(void **state)
{
    fixture *f = *state;

    gather(f, true);
    for (size_t nth = 1;; nth++) {
        int rc;

        alloc_fail_at(nth);
        rc = linkd_evidence_rank(f->evidence, &f->ranking, &f->err);
        if (!alloc_fail_off())
            break;
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_null(f->ranking.order);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pairs_that_lead_come_first, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(every_row_has_a_pair_of_the_first_rank,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            the_order_has_each_candidate_once_and_nothing_is_decided, setup,
            teardown),
        cmocka_unit_test_setup_teardown(one_table_goes_by_surprise, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(tables_of_few_rows_go_by_likeness,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(memory_that_runs_out_is_reported, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
