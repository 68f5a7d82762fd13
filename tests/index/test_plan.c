/* tests/index/test_plan.c — what the builder decides, without building. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "index/build.h"

#define LIMIT ((uint64_t)50000)
#define K     ((uint64_t)1000)

static lk_span spans[16];
static lk_listed listed[16];

/* A survey of spans that lie end to end. `n_indexed` 0 is a gap. */
typedef struct part {
    uint64_t n_slots;
    uint64_t n_alive;
    uint64_t n_indexed;
} part;

static lk_survey survey_of(const part *parts, size_t n)
{
    lk_survey s = {.kind = LINKD_INDEX_AUTO, .spans = spans, .listed = listed};
    uint64_t at = 0;

    for (size_t i = 0; i < n; i++) {
        spans[i] = (lk_span){.begin = at,
                             .end = at + parts[i].n_slots,
                             .n_alive = parts[i].n_alive,
                             .n_indexed = parts[i].n_indexed};
        at = spans[i].end;
        s.n_vectors += parts[i].n_alive;
        if (parts[i].n_indexed > 0)
            listed[s.n_listed++] = (lk_listed){.number = i,
                                               .begin = spans[i].begin,
                                               .end = spans[i].end,
                                               .is_loaded = true};
    }
    s.n_spans = n;
    return s;
}

static void assert_plan(lk_plan plan, lk_step step, uint64_t begin,
                        uint64_t end)
{
    assert_int_equal(plan.step, step);
    assert_int_equal(plan.begin, begin);
    assert_int_equal(plan.end, end);
}

static void a_small_collection_gets_no_segment(void **state)
{
    static const part parts[] = {{49 * K, 49 * K, 0}};
    lk_survey s = survey_of(parts, 1);

    (void)state;
    assert_plan(lk_plan_make(&s, LIMIT, true), LK_STEP_NONE, 0, 0);
}

static void a_collection_at_the_limit_is_indexed(void **state)
{
    static const part parts[] = {{60 * K, LIMIT, 0}};
    lk_survey s = survey_of(parts, 1);

    (void)state;
    assert_plan(lk_plan_make(&s, LIMIT, false), LK_STEP_BUILD, 0, 60 * K);
    s.kind = LINKD_INDEX_EXACT;
    assert_plan(lk_plan_make(&s, LIMIT, false), LK_STEP_NONE, 0, 0);
}

/* At the limit, deleting and adding one record must not build and forget. */
static void segments_go_at_half_the_limit(void **state)
{
    static const part kept[] = {{50 * K, 45 * K, LIMIT}};
    static const part gone[] = {{50 * K, 24 * K, 30 * K}};
    lk_survey s = survey_of(kept, 1);

    (void)state;
    assert_plan(lk_plan_make(&s, LIMIT, true), LK_STEP_NONE, 0, 0);
    s = survey_of(gone, 1);
    assert_plan(lk_plan_make(&s, LIMIT, true), LK_STEP_FORGET, 0, UINT64_MAX);
}

static void a_short_tail_is_left_to_be_scanned(void **state)
{
    static const part parts[] = {{90 * K, 90 * K, 90 * K}, {4095, 4095, 0}};
    lk_survey s = survey_of(parts, 2);

    (void)state;
    assert_plan(lk_plan_make(&s, LIMIT, true), LK_STEP_NONE, 0, 0);
}

static void a_tail_takes_in_segments_no_larger_than_it(void **state)
{
    static const part parts[] = {{400 * K, 400 * K, 400 * K},
                                 {60 * K, 60 * K, 60 * K},
                                 {90 * K, 90 * K, 0}};
    lk_survey s = survey_of(parts, 3);

    (void)state;
    assert_plan(lk_plan_make(&s, LIMIT, false), LK_STEP_BUILD, 400 * K,
                550 * K);
}

static void a_large_tail_takes_in_all(void **state)
{
    static const part parts[] = {{100 * K, 100 * K, 100 * K},
                                 {300 * K, 300 * K, 300 * K},
                                 {600 * K, 600 * K, 0}};
    lk_survey s = survey_of(parts, 3);

    (void)state;
    assert_plan(lk_plan_make(&s, LIMIT, false), LK_STEP_BUILD, 0, 1000 * K);
}

static void quiet_merges_what_is_not_small_beside_the_largest(void **state)
{
    static const part parts[] = {{400 * K, 400 * K, 400 * K},
                                 {100 * K, 100 * K, 100 * K}};
    lk_survey s = survey_of(parts, 2);

    (void)state;
    assert_plan(lk_plan_make(&s, LIMIT, false), LK_STEP_NONE, 0, 0);
    assert_plan(lk_plan_make(&s, LIMIT, true), LK_STEP_BUILD, 0, 500 * K);
}

static void quiet_leaves_two_segments_where_one_is_small(void **state)
{
    static const part parts[] = {{900 * K, 900 * K, 900 * K},
                                 {40 * K, 40 * K, 40 * K},
                                 {9 * K, 9 * K, 9 * K}};
    lk_survey s = survey_of(parts, 3);

    (void)state;
    assert_plan(lk_plan_make(&s, LIMIT, true), LK_STEP_BUILD, 900 * K, 949 * K);
    s = survey_of(parts, 2);
    assert_plan(lk_plan_make(&s, LIMIT, true), LK_STEP_NONE, 0, 0);
}

static void a_fifth_dead_is_built_again(void **state)
{
    static const part parts[] = {{100 * K, 80 * K, 100 * K},
                                 {60 * K, 48 * K - 1, 60 * K}};
    lk_survey s = survey_of(parts, 2);

    (void)state;
    assert_plan(lk_plan_make(&s, LIMIT, false), LK_STEP_BUILD, 100 * K,
                160 * K);
    s = survey_of(parts, 1);
    assert_plan(lk_plan_make(&s, LIMIT, false), LK_STEP_NONE, 0, 0);
}

static void a_dead_segment_is_forgotten(void **state)
{
    static const part parts[] = {{10 * K, 0, 10 * K},
                                 {100 * K, 100 * K, 100 * K}};
    lk_survey s = survey_of(parts, 2);

    (void)state;
    assert_plan(lk_plan_make(&s, LIMIT, false), LK_STEP_FORGET, 0, 10 * K);
}

/* However few vectors it had: else it would be told at every start. */
static void a_damaged_segment_is_built_again(void **state)
{
    static const part parts[] = {{200 * K, 200 * K, 200 * K}, {640, 10, 0}};
    static const part dead[] = {{200 * K, 200 * K, 200 * K}, {640, 0, 0}};
    lk_survey s = survey_of(parts, 2);

    (void)state;
    listed[s.n_listed++] =
        (lk_listed){.number = 9, .begin = 200 * K, .end = 200 * K + 640};
    assert_plan(lk_plan_make(&s, LIMIT, false), LK_STEP_BUILD, 200 * K,
                200 * K + 640);
    s = survey_of(dead, 2);
    listed[s.n_listed++] =
        (lk_listed){.number = 9, .begin = 200 * K, .end = 200 * K + 640};
    assert_plan(lk_plan_make(&s, LIMIT, false), LK_STEP_FORGET, 200 * K,
                200 * K + 640);
}

static void a_row_that_cannot_be_read_is_forgotten(void **state)
{
    static const part parts[] = {{200 * K, 200 * K, 200 * K}};
    lk_survey s = survey_of(parts, 1);

    (void)state;
    listed[s.n_listed++] = (lk_listed){.number = 9};
    assert_plan(lk_plan_make(&s, LIMIT, false), LK_STEP_FORGET, 0, 0);
}

static void half_dead_chunks_are_emptied_before_all_else(void **state)
{
    static const part parts[] = {{60 * K, 55 * K, 0}};
    lk_survey s = survey_of(parts, 1);

    (void)state;
    s.n_vacuum = 15;
    assert_int_equal(lk_plan_make(&s, LIMIT, false).step, LK_STEP_BUILD);
    assert_int_equal(lk_plan_make(&s, LIMIT, true).step, LK_STEP_VACUUM);
    s.n_vacuum = 16;
    assert_int_equal(lk_plan_make(&s, LIMIT, false).step, LK_STEP_VACUUM);
}

/* 4 million vectors that come 5000 at a time: few segments at any moment, and
 * each vector built again only some times. */
static void a_steady_load_keeps_segments_few(void **state)
{
    part parts[64];
    size_t n = 0;
    uint64_t n_built = 0, n_all = 0;

    (void)state;
    for (size_t round = 0; round < 800; round++) {
        lk_survey s;
        lk_plan plan;
        uint64_t n_merged = 0;
        size_t n_kept = 0;

        parts[n++] = (part){5 * K, 5 * K, 0};
        n_all += 5 * K;
        if (n_all < LIMIT) {
            n = 1;
            parts[0] = (part){n_all, n_all, 0};
            continue;
        }
        s = survey_of(parts, n);
        plan = lk_plan_make(&s, LIMIT, false);
        assert_int_equal(plan.step, LK_STEP_BUILD);
        assert_int_equal(plan.end, n_all);
        for (size_t i = 0; i < n; i++) {
            if (spans[i].begin >= plan.begin)
                n_merged += spans[i].n_alive;
            else
                parts[n_kept++] = parts[i];
        }
        parts[n_kept++] = (part){n_merged, n_merged, n_merged};
        n = n_kept;
        n_built += n_merged;
        assert_true(n <= 10);
    }
    assert_true(n_built <= 10 * n_all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_collection_gets_no_segment),
        cmocka_unit_test(a_collection_at_the_limit_is_indexed),
        cmocka_unit_test(segments_go_at_half_the_limit),
        cmocka_unit_test(a_short_tail_is_left_to_be_scanned),
        cmocka_unit_test(a_tail_takes_in_segments_no_larger_than_it),
        cmocka_unit_test(a_large_tail_takes_in_all),
        cmocka_unit_test(quiet_merges_what_is_not_small_beside_the_largest),
        cmocka_unit_test(quiet_leaves_two_segments_where_one_is_small),
        cmocka_unit_test(a_fifth_dead_is_built_again),
        cmocka_unit_test(a_dead_segment_is_forgotten),
        cmocka_unit_test(a_damaged_segment_is_built_again),
        cmocka_unit_test(a_row_that_cannot_be_read_is_forgotten),
        cmocka_unit_test(half_dead_chunks_are_emptied_before_all_else),
        cmocka_unit_test(a_steady_load_keeps_segments_few),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
