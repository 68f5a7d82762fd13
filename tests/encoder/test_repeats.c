/* Token sequences that come twice. */
#include "encoder/repeats.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { N = 7, DIM = 2 };

/* 0 and 3 are the same, and 1, 4 and 6; 2 begins as 1 does. */
static uint32_t ids[N][3] = {{1, 2},    {5, 6, 7}, {5, 6},   {1, 2},
                             {5, 6, 7}, {9},       {5, 6, 7}};
static const size_t lengths[N] = {2, 3, 2, 2, 3, 1, 3};
static const size_t expected_places[N] = {0, 1, 2, 0, 1, 3, 1};

static size_t fold(lk_tokens *sequences, size_t *ret_places)
{
    uint32_t table[16];

    assert_int_equal(lk_repeats_table_size(N), 16);
    memset(table, 0xFF, sizeof(table)); /* comes as it is */
    for (size_t i = 0; i < N; i++)
        sequences[i] = (lk_tokens){.ids = ids[i], .n = lengths[i]};
    return lk_repeats_fold(sequences, N, table, ret_places);
}

static void distinct_sequences_come_first_and_in_order(void **state)
{
    static const size_t firsts[] = {0, 1, 2, 5};
    lk_tokens sequences[N];
    size_t places[N];

    (void)state;
    assert_int_equal(fold(sequences, places), 4);
    for (size_t i = 0; i < 4; i++) {
        assert_ptr_equal(sequences[i].ids, ids[firsts[i]]);
        assert_int_equal(sequences[i].n, lengths[firsts[i]]);
    }
    assert_memory_equal(places, expected_places, sizeof(places));
}

/* Each owns its ids: one that were lost would leak, one twice be freed twice. */
static void no_sequence_is_lost(void **state)
{
    lk_tokens sequences[N];
    size_t places[N];
    size_t n_seen = 0;

    (void)state;
    fold(sequences, places);
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < N; j++)
            n_seen += sequences[j].ids == ids[i];
    assert_int_equal(n_seen, N);
}

static void vectors_return_to_all_who_asked(void **state)
{
    float vectors[N * DIM] = {0, .5F, 1, 1.5F, 2, 2.5F, 3, 3.5F};

    (void)state;
    lk_repeats_unfold(expected_places, N, DIM, vectors);
    for (size_t i = 0; i < N; i++) {
        assert_true(vectors[i * DIM] == (float)expected_places[i]);
        assert_true(vectors[i * DIM + 1] == (float)expected_places[i] + 0.5F);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distinct_sequences_come_first_and_in_order),
        cmocka_unit_test(no_sequence_is_lost),
        cmocka_unit_test(vectors_return_to_all_who_asked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
