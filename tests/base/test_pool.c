#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "tests/support/alloc_fail.h"

enum { N_ITEMS = 1000, MAX_WORKERS = 4 };

typedef struct record {
    unsigned times_run[N_ITEMS];
    atomic_uint running[MAX_WORKERS];
    atomic_uint n_clashes;
    size_t fail_from; /* this item and every 10th after it fail */
} record;

static int note_item(void *ctx, size_t item, size_t worker, linkd_error *err)
{
    record *r = ctx;

    if (worker >= MAX_WORKERS || atomic_fetch_add(&r->running[worker], 1) != 0)
        atomic_fetch_add(&r->n_clashes, 1);
    r->times_run[item]++;
    atomic_fetch_sub(&r->running[worker], 1);
    if (r->fail_from != 0 && item >= r->fail_from &&
        (item - r->fail_from) % 10 == 0)
        return lk_fail(err, LINKD_E_DATA, "item %zu", item);
    return LINKD_OK;
}

static lk_pool *new_pool(size_t n_workers)
{
    lk_pool *pool = NULL;

    assert_int_equal(lk_pool_new(n_workers, &pool, NULL), LINKD_OK);
    return pool;
}

static void every_item_runs_once_on_any_number_of_workers(void **state)
{
    (void)state;
    for (size_t n_workers = 1; n_workers <= MAX_WORKERS; n_workers++) {
        lk_pool *pool = new_pool(n_workers);
        record r = {0};

        assert_int_equal(lk_pool_n_workers(pool), n_workers);
        assert_int_equal(lk_pool_run(pool, N_ITEMS, note_item, &r, NULL),
                         LINKD_OK);
        for (size_t i = 0; i < N_ITEMS; i++)
            assert_int_equal(r.times_run[i], 1);
        assert_int_equal(atomic_load(&r.n_clashes), 0);
        lk_pool_free(pool);
    }
}

/* The thread that waits must never miss the end of a task, nor a sleeping
 * worker its start: many short tasks in a row would hang. */
static void a_pool_runs_many_tasks_one_after_another(void **state)
{
    lk_pool *pool = new_pool(3);
    record r = {0};

    (void)state;
    for (size_t n = 0; n < 2000; n++)
        assert_int_equal(lk_pool_run(pool, n % 5, note_item, &r, NULL),
                         LINKD_OK);
    assert_int_equal(r.times_run[0], 1600);
    assert_int_equal(r.times_run[3], 400);
    assert_int_equal(r.times_run[4], 0);
    lk_pool_free(pool);
}

/* Which error a user sees must not depend on which thread was faster. */
static void the_lowest_failure_is_the_one_reported(void **state)
{
    (void)state;
    for (int round = 0; round < 200; round++) {
        lk_pool *pool = new_pool(4);
        record r = {.fail_from = 5};
        linkd_error err = {0};

        assert_int_equal(lk_pool_run(pool, N_ITEMS, note_item, &r, &err),
                         LINKD_E_DATA);
        assert_string_equal(err.message, "item 5");
        lk_pool_free(pool);
    }
}

static void after_a_failure_no_new_item_starts(void **state)
{
    lk_pool *pool = new_pool(1);
    record r = {.fail_from = 7};

    (void)state;
    assert_int_equal(lk_pool_run(pool, N_ITEMS, note_item, &r, NULL),
                     LINKD_E_DATA);
    assert_int_equal(r.times_run[7], 1);
    assert_int_equal(r.times_run[8], 0);
    lk_pool_free(pool);
}

static void a_pool_works_again_after_a_failure(void **state)
{
    lk_pool *pool = new_pool(2);
    record failing = {.fail_from = 3};
    record sound = {0};

    (void)state;
    assert_int_equal(lk_pool_run(pool, 100, note_item, &failing, NULL),
                     LINKD_E_DATA);
    assert_int_equal(lk_pool_run(pool, 100, note_item, &sound, NULL), LINKD_OK);
    assert_int_equal(sound.times_run[99], 1);
    lk_pool_free(pool);
}

static void zero_workers_means_one_for_each_processor(void **state)
{
    lk_pool *pool = new_pool(0);

    (void)state;
    assert_true(lk_pool_n_workers(pool) >= 1);
    lk_pool_free(pool);
}

static void a_pool_that_cannot_be_made_leaks_nothing(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 2; n++) {
        lk_pool *pool = NULL;
        linkd_error err = {0};

        alloc_fail_at(n);
        assert_int_equal(lk_pool_new(2, &pool, &err), LINKD_E_NOMEM);
        assert_true(alloc_fail_off());
        assert_null(pool);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_item_runs_once_on_any_number_of_workers),
        cmocka_unit_test(a_pool_runs_many_tasks_one_after_another),
        cmocka_unit_test(the_lowest_failure_is_the_one_reported),
        cmocka_unit_test(after_a_failure_no_new_item_starts),
        cmocka_unit_test(a_pool_works_again_after_a_failure),
        cmocka_unit_test(zero_workers_means_one_for_each_processor),
        cmocka_unit_test(a_pool_that_cannot_be_made_leaks_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
