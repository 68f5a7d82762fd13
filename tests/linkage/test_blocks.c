/* tests/linkage/test_blocks.c — which vectors share a block. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/blocks.h"
#include "tests/support/alloc_fail.h"

#define KEY(text)                                                              \
 {                                                                             \
  (text), sizeof(text) - 1                                                     \
 }

static const linkd_str left_keys[] = {KEY("bo"), KEY("ay"), KEY(""),
                                      KEY("bo"), KEY("b"),  KEY("Ay")};
static const linkd_str right_keys[] = {KEY("cy"), KEY("bo"), KEY(""),
                                       KEY("b"),  KEY("bo"), KEY("bo")};
static const lk_side left = {.keys = left_keys, .n = 6};
static const lk_side right = {.keys = right_keys, .n = 6};

static void assert_members(const lk_blocks *blocks, size_t block, size_t side,
                           const size_t *expected, size_t n)
{
    const lk_block *b = &blocks->blocks[block];

    assert_int_equal(b->n[side], n);
    assert_memory_equal(blocks->members[side] + b->begin[side], expected,
                        n * sizeof(*expected));
}

/* "Ay", "ay" and "cy" are on one side only; empty values are no block. */
static void rows_with_equal_values_share_a_block(void **state)
{
    lk_blocks blocks;

    (void)state;
    assert_int_equal(lk_blocks_init(&blocks, &left, &right, NULL), LINKD_OK);
    assert_int_equal(blocks.n, 2);
    assert_members(&blocks, 0, 0, (size_t[]){4}, 1);
    assert_members(&blocks, 0, 1, (size_t[]){3}, 1);
    assert_members(&blocks, 1, 0, (size_t[]){0, 3}, 2);
    assert_members(&blocks, 1, 1, (size_t[]){1, 4, 5}, 3);
    lk_blocks_clear(&blocks);
}

static void one_side_needs_two_rows_for_a_block(void **state)
{
    lk_blocks blocks;

    (void)state;
    assert_int_equal(lk_blocks_init(&blocks, &left, NULL, NULL), LINKD_OK);
    assert_int_equal(blocks.n, 1);
    assert_members(&blocks, 0, 0, (size_t[]){0, 3}, 2);
    assert_int_equal(blocks.blocks[0].n[1], 0);
    lk_blocks_clear(&blocks);
}

static void without_values_all_rows_are_one_block(void **state)
{
    static const lk_side sides[2] = {{.n = 3}, {.n = 2}};
    lk_blocks blocks;

    (void)state;
    assert_int_equal(lk_blocks_init(&blocks, &sides[0], &sides[1], NULL),
                     LINKD_OK);
    assert_int_equal(blocks.n, 1);
    assert_members(&blocks, 0, 0, (size_t[]){0, 1, 2}, 3);
    assert_members(&blocks, 0, 1, (size_t[]){0, 1}, 2);
    lk_blocks_clear(&blocks);
}

static void an_empty_side_leaves_no_block(void **state)
{
    static const lk_side sides[2] = {{.n = 3}, {.n = 0}};
    lk_blocks blocks;

    (void)state;
    assert_int_equal(lk_blocks_init(&blocks, &sides[0], &sides[1], NULL),
                     LINKD_OK);
    assert_int_equal(blocks.n, 0);
    lk_blocks_clear(&blocks);
}

static void memory_that_runs_out_is_reported(void **state)
{
    (void)state;
    for (size_t nth = 1;; nth++) {
        lk_blocks blocks;
        int rc;

        alloc_fail_at(nth);
        rc = lk_blocks_init(&blocks, &left, &right, NULL);
        if (!alloc_fail_off()) {
            lk_blocks_clear(&blocks);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_null(blocks.blocks);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_with_equal_values_share_a_block),
        cmocka_unit_test(one_side_needs_two_rows_for_a_block),
        cmocka_unit_test(without_values_all_rows_are_one_block),
        cmocka_unit_test(an_empty_side_leaves_no_block),
        cmocka_unit_test(memory_that_runs_out_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
