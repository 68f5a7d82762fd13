/* tests/index/test_sets.c — what a search holds does not change under it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>

#include "index/parts.h"
#include "tests/support/alloc_fail.h"

static lk_sets *sets;
static linkd_error err;

static int setup(void **state)
{
    (void)state;
    assert_int_equal(lk_sets_new(&sets, &err), LINKD_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    lk_sets_free(sets);
    return 0;
}

/* Sets look at the bounds of segments only: no index is needed in one. */
static lk_segment *segment_new(uint64_t number, uint64_t begin, uint64_t end)
{
    lk_segment *segment = calloc(1, sizeof(*segment));

    assert_non_null(segment);
    segment->number = number;
    segment->slot_begin = begin;
    segment->slot_end = end;
    segment->file_bytes = 100;
    atomic_init(&segment->n_refs, 1);
    return segment;
}

static void segment_put(uint64_t number, uint64_t begin, uint64_t end)
{
    assert_int_equal(lk_sets_replace(sets, 1, 1,
                                     segment_new(number, begin, end), NULL, 0,
                                     &err),
                     LINKD_OK);
}

static void assert_numbers(uint32_t collection, const uint64_t *numbers,
                           size_t n)
{
    lk_segment_set *set = lk_sets_get(sets, collection, 1);

    if (n == 0)
        assert_null(set);
    else
        assert_non_null(set);
    for (size_t i = 0; set != NULL && i < n; i++) {
        assert_int_equal(set->n, n);
        assert_int_equal(set->segments[i]->number, numbers[i]);
    }
    lk_segment_set_unref(set);
}

static void segments_lie_in_the_order_of_their_slots(void **state)
{
    (void)state;
    segment_put(1, 64, 128);
    segment_put(2, 0, 64);
    segment_put(3, 256, 512);
    segment_put(4, 128, 192);
    assert_numbers(1, (const uint64_t[]){2, 1, 4, 3}, 4);
    assert_numbers(2, NULL, 0);
}

static void a_segment_takes_the_place_of_those_within_its_range(void **state)
{
    (void)state;
    segment_put(1, 0, 64);
    segment_put(2, 64, 128);
    segment_put(3, 128, 192);
    segment_put(4, 0, 128);
    assert_numbers(1, (const uint64_t[]){4, 3}, 2);
}

static void segments_are_removed_by_number(void **state)
{
    static const uint64_t removed[] = {1, 3, 77};

    (void)state;
    segment_put(1, 0, 64);
    segment_put(2, 64, 128);
    segment_put(3, 128, 192);
    assert_int_equal(lk_sets_replace(sets, 1, 1, NULL, removed, 3, &err),
                     LINKD_OK);
    assert_numbers(1, (const uint64_t[]){2}, 1);
    assert_int_equal(
        lk_sets_replace(sets, 1, 1, NULL, (const uint64_t[]){2}, 1, &err),
        LINKD_OK);
    assert_numbers(1, NULL, 0);
    assert_int_equal(lk_sets_replace(sets, 1, 1, NULL, removed, 3, &err),
                     LINKD_OK);
    assert_numbers(1, NULL, 0);
}

static void a_dropped_collection_loses_all_its_generations(void **state)
{
    linkd_store_stats stats;

    (void)state;
    segment_put(1, 0, 64);
    assert_int_equal(
        lk_sets_replace(sets, 1, 2, segment_new(2, 0, 64), NULL, 0, &err),
        LINKD_OK);
    assert_int_equal(
        lk_sets_replace(sets, 2, 1, segment_new(3, 0, 64), NULL, 0, &err),
        LINKD_OK);
    lk_sets_read_stats(sets, &stats);
    assert_int_equal(stats.n_segments, 3);
    assert_int_equal(stats.segment_bytes, 300);

    lk_sets_drop(sets, 1);
    assert_numbers(1, NULL, 0);
    assert_null(lk_sets_get(sets, 1, 2));
    assert_numbers(2, (const uint64_t[]){3}, 1);
}

static void a_set_that_is_held_stays_as_it_was(void **state)
{
    lk_segment_set *held;

    (void)state;
    segment_put(1, 0, 64);
    held = lk_sets_get(sets, 1, 1);
    segment_put(2, 0, 128);
    lk_sets_drop(sets, 1);
    assert_int_equal(held->n, 1);
    assert_int_equal(held->segments[0]->number, 1);
    assert_int_equal(held->segments[0]->slot_end, 64);
    lk_segment_set_unref(held);
}

static void memory_that_runs_out_changes_nothing(void **state)
{
    (void)state;
    for (size_t n = 1;; n++) {
        lk_segment *segment = segment_new(2, 64, 128);
        int rc;

        lk_sets_drop(sets, 1);
        segment_put(1, 0, 64);
        lk_segment_ref(segment);
        alloc_fail_at(n);
        rc = lk_sets_replace(sets, 1, 1, segment, NULL, 0, &err);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            lk_segment_unref(segment);
            assert_true(n > 1);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_int_equal(atomic_load(&segment->n_refs), 1); /* was taken */
        lk_segment_unref(segment);
        assert_numbers(1, (const uint64_t[]){1}, 1);
    }
}

static void *reader_main(void *arg)
{
    atomic_bool *stop = arg;
    uint64_t n = 0;

    do {
        lk_segment_set *set = lk_sets_get(sets, 1, 1);

        for (size_t i = 0; set != NULL && i < set->n; i++)
            n += set->segments[i]->slot_end - set->segments[i]->slot_begin;
        lk_segment_set_unref(set);
    } while (!atomic_load(stop));
    return (void *)(uintptr_t)(n > 0);
}

/* For the thread sanitizer: readers take and leave sets while they change. */
static void sets_are_replaced_under_their_readers(void **state)
{
    pthread_t threads[3];
    atomic_bool stop = false;

    (void)state;
    segment_put(0, 0, 64);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, reader_main, &stop),
                         0);
    for (uint64_t i = 1; i < 2000; i++)
        segment_put(i, i % 4 * 64, (i % 4 + 1) * 64);
    atomic_store(&stop, true);
    for (size_t i = 0; i < 3; i++) {
        void *result = NULL;

        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_ptr_equal(result, (void *)(uintptr_t)1);
    }
    assert_numbers(1, (const uint64_t[]){1996, 1997, 1998, 1999}, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(segments_lie_in_the_order_of_their_slots),
        TEST(a_segment_takes_the_place_of_those_within_its_range),
        TEST(segments_are_removed_by_number),
        TEST(a_dropped_collection_loses_all_its_generations),
        TEST(a_set_that_is_held_stays_as_it_was),
        TEST(memory_that_runs_out_changes_nothing),
        TEST(sets_are_replaced_under_their_readers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
