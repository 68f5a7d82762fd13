/* tests/daemon/test_hits.c — the most hit records come first, and once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "daemon/hits.h"
#include "tests/support/alloc_fail.h"

static int enter(void **state)
{
    lk_hits *hits = NULL;
    int rc = lk_hits_new(&hits, NULL);

    *state = hits;
    return rc;
}

static int leave(void **state)
{
    lk_hits_free(*state);
    return 0;
}

static void count(lk_hits *hits, uint32_t collection, uint64_t record, int n)
{
    for (int i = 0; i < n; i++)
        lk_hits_count(hits, collection, record);
}

static void records_come_by_count_and_then_by_number(void **state)
{
    uint64_t records[8];

    count(*state, 1, 30, 2);
    count(*state, 1, 10, 2);
    count(*state, 1, 20, 5);
    count(*state, 1, 40, 1);
    assert_int_equal(lk_hits_take(*state, 1, records, 8), 4);
    assert_int_equal(records[0], 20);
    assert_int_equal(records[1], 10);
    assert_int_equal(records[2], 30);
    assert_int_equal(records[3], 40);
}

static void what_was_taken_is_gone_and_the_rest_stays(void **state)
{
    uint64_t records[2];

    count(*state, 1, 10, 3);
    count(*state, 1, 20, 2);
    count(*state, 1, 30, 1);
    assert_int_equal(lk_hits_take(*state, 1, records, 2), 2);
    assert_int_equal(lk_hits_take(*state, 1, records, 2), 1);
    assert_int_equal(records[0], 30);
    assert_int_equal(lk_hits_take(*state, 1, records, 2), 0);
}

static void collections_are_counted_apart(void **state)
{
    uint64_t records[4];

    count(*state, 1, 10, 1);
    count(*state, 2, 10, 5);
    count(*state, 2, 20, 9);
    assert_int_equal(lk_hits_take(*state, 1, records, 4), 1);
    assert_int_equal(lk_hits_take(*state, 2, records, 4), 2);
    assert_int_equal(records[0], 20);
}

static void nothing_was_counted_at_first(void **state)
{
    uint64_t record;

    assert_int_equal(lk_hits_take(*state, 1, &record, 1), 0);
}

/* One hit each is less than what a record that is hit often has left. */
static void a_full_table_forgets_the_seldom_hit(void **state)
{
    uint64_t *records = calloc(LK_HITS_MAX + 1, sizeof(*records));
    size_t n;

    assert_non_null(records);
    count(*state, 1, UINT64_MAX, 8);
    for (uint64_t i = 0; i < 2 * LK_HITS_MAX; i++)
        lk_hits_count(*state, 1, i);
    n = lk_hits_take(*state, 1, records, LK_HITS_MAX + 1);
    assert_in_range(n, 2, LK_HITS_MAX);
    assert_true(records[0] == UINT64_MAX);
    free(records);
}

static void running_out_of_memory_loses_counts_only(void **state)
{
    lk_hits *hits = NULL;
    uint64_t record = 0;

    alloc_fail_at(1);
    assert_int_equal(lk_hits_new(&hits, NULL), LINKD_E_NOMEM);
    assert_true(alloc_fail_off());
    alloc_fail_at(1);
    lk_hits_count(*state, 1, 10);
    assert_true(alloc_fail_off());
    assert_int_equal(lk_hits_take(*state, 1, &record, 1), 0);
    lk_hits_count(*state, 1, 10);
    for (size_t nth = 1; nth <= 2; nth++) {
        alloc_fail_at(nth);
        assert_int_equal(lk_hits_take(*state, 1, &record, 1), 0);
        assert_true(alloc_fail_off());
    }
    assert_int_equal(lk_hits_take(*state, 1, &record, 1), 1);
    assert_int_equal(record, 10);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, enter, leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(records_come_by_count_and_then_by_number),
        TEST(what_was_taken_is_gone_and_the_rest_stays),
        TEST(collections_are_counted_apart),
        TEST(nothing_was_counted_at_first),
        TEST(a_full_table_forgets_the_seldom_hit),
        TEST(running_out_of_memory_loses_counts_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
