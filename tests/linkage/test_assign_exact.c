/* tests/linkage/test_assign_exact.c — the one-to-one choice against all
 * possible choices. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/assign.h"
#include "tests/linkage/random.h"

#define ROWS_MAX  ((size_t)6)
#define N_GRAPHS  ((size_t)600)
#define THRESHOLD 0.25F

typedef struct graph {
    linkd_pair candidates[ROWS_MAX * ROWS_MAX];
    lk_assign_input input;
} graph;

static void graph_fill(graph *g, uint64_t *random)
{
    size_t n = 0;
    size_t n_left = 1 + random_below(random, ROWS_MAX);
    size_t n_right = 1 + random_below(random, ROWS_MAX);
    size_t density = 1 + random_below(random, 4);

    for (size_t left = 0; left < n_left; left++)
        for (size_t right = 0; right < n_right; right++)
            if (random_below(random, 4) < density)
                g->candidates[n++] =
                    (linkd_pair){left, right, random_score(random)};
    g->input = (lk_assign_input){g->candidates, n, n_left, n_right, THRESHOLD};
}

/* A pair's worth in 1/64, and a little for being a pair at all. */
static int64_t pair_worth(const linkd_pair *pair)
{
    return (int64_t)((pair->score - THRESHOLD) * 64.0F) * 1000 + 1;
}

/* The best that candidates from number `at` on can add. */
static int64_t best_worth(const lk_assign_input *input, size_t at,
                          unsigned used_left, unsigned used_right)
{
    const linkd_pair *pair = &input->candidates[at];
    int64_t without;
    int64_t with;

    if (at == input->n)
        return 0;
    without = best_worth(input, at + 1, used_left, used_right);
    if (pair->score < input->threshold || (used_left >> pair->left & 1) != 0 ||
        (used_right >> pair->right & 1) != 0)
        return without;
    with = pair_worth(pair) + best_worth(input, at + 1,
                                         used_left | 1U << pair->left,
                                         used_right | 1U << pair->right);
    return with > without ? with : without;
}

/* The worth of a choice, which must use no row twice. */
static int64_t choice_worth(const lk_assign_input *input, const bool *chosen)
{
    unsigned used_left = 0;
    unsigned used_right = 0;
    int64_t worth = 0;

    for (size_t i = 0; i < input->n; i++) {
        const linkd_pair *pair = &input->candidates[i];

        if (!chosen[i])
            continue;
        assert_true(pair->score >= input->threshold);
        assert_int_equal(used_left >> pair->left & 1, 0);
        assert_int_equal(used_right >> pair->right & 1, 0);
        used_left |= 1U << pair->left;
        used_right |= 1U << pair->right;
        worth += pair_worth(pair);
    }
    return worth;
}

static void no_other_choice_is_worth_more(void **state)
{
    uint64_t random = 1;
    graph g;

    (void)state;
    for (size_t i = 0; i < N_GRAPHS; i++) {
        bool chosen[ROWS_MAX * ROWS_MAX] = {false};

        graph_fill(&g, &random);
        assert_int_equal(lk_assign_one_to_one(&g.input, chosen, NULL),
                         LINKD_OK);
        assert_int_equal(choice_worth(&g.input, chosen),
                         best_worth(&g.input, 0, 0, 0));
    }
}

/* Taking .90 first leaves the other two rows alone. */
static void the_best_pair_gives_way_to_two_good_ones(void **state)
{
    static const linkd_pair pairs[] = {
        {0, 0, 0.90F}, {0, 1, 0.89F}, {1, 0, 0.89F}};
    lk_assign_input input = {pairs, 3, 2, 2, 0.5F};
    bool chosen[3] = {false};

    (void)state;
    assert_int_equal(lk_assign_one_to_one(&input, chosen, NULL), LINKD_OK);
    assert_false(chosen[0]);
    assert_true(chosen[1]);
    assert_true(chosen[2]);
}

/* One pair of .95 is worth more above .9 than two of .92; above .5 it is not:
 * what counts is how far a score is above the threshold. */
static void the_threshold_decides_what_one_pair_is_worth(void **state)
{
    static const linkd_pair pairs[] = {
        {0, 0, 0.95F}, {0, 1, 0.92F}, {1, 0, 0.92F}};
    lk_assign_input input = {pairs, 3, 2, 2, 0.9F};
    bool chosen[3] = {false};

    (void)state;
    assert_int_equal(lk_assign_one_to_one(&input, chosen, NULL), LINKD_OK);
    assert_true(chosen[0]);
    assert_false(chosen[1]);
    assert_false(chosen[2]);
}

/* Every row must move by one for the last one to find a place, and each loses
 * a little by it, together less than the last one gains. */
static void a_long_chain_is_relinked_to_the_end(void **state)
{
    enum { LENGTH = 1000 };
    linkd_pair *pairs = calloc(2 * LENGTH, sizeof(*pairs));
    bool *chosen = calloc(2 * LENGTH, sizeof(*chosen));
    lk_assign_input input = {pairs, 2 * LENGTH - 1, LENGTH, LENGTH, 0.5F};
    size_t n_chosen = 0;

    (void)state;
    assert_non_null(pairs);
    assert_non_null(chosen);
    for (size_t i = 0; i < LENGTH; i++) {
        pairs[2 * i] = (linkd_pair){i, i, 0.9F};
        pairs[2 * i + 1] = (linkd_pair){i, i + 1, 0.9F - 0x1p-12F};
    }
    /* the last row wants the first column, and no other */
    memmove(pairs + 2 * LENGTH - 2, &(linkd_pair){LENGTH - 1, 0, 0.9F},
            sizeof(*pairs));
    assert_int_equal(lk_assign_one_to_one(&input, chosen, NULL), LINKD_OK);
    for (size_t i = 0; i < input.n; i++)
        n_chosen += chosen[i] ? 1 : 0;
    assert_int_equal(n_chosen, LENGTH);
    assert_true(chosen[1]);
    assert_true(chosen[input.n - 1]);
    free(chosen);
    free(pairs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_other_choice_is_worth_more),
        cmocka_unit_test(the_best_pair_gives_way_to_two_good_ones),
        cmocka_unit_test(the_threshold_decides_what_one_pair_is_worth),
        cmocka_unit_test(a_long_chain_is_relinked_to_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
