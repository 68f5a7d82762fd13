#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "tests/support/alloc_fail.h"

static void arena_memory_is_aligned_and_does_not_overlap(void **state)
{
    lk_arena arena = {0};
    unsigned char *pieces[300];

    (void)state;
    for (size_t i = 0; i < 300; i++) {
        pieces[i] = lk_arena_alloc(&arena, i * 7 + 1);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % alignof(max_align_t), 0);
        memset(pieces[i], (int)(i & 0xFF), i * 7 + 1);
    }
    for (size_t i = 0; i < 300; i++)
        for (size_t j = 0; j < i * 7 + 1; j++)
            assert_int_equal(pieces[i][j], i & 0xFF);
    lk_arena_clear(&arena);
}

static void an_arena_serves_a_request_larger_than_its_blocks(void **state)
{
    lk_arena arena = {0};
    unsigned char *large = lk_arena_alloc(&arena, (size_t)5 << 20);

    (void)state;
    assert_non_null(large);
    large[((size_t)5 << 20) - 1] = 1;
    lk_arena_clear(&arena);
    assert_null(arena.blocks);
}

static void an_arena_refuses_a_size_that_overflows(void **state)
{
    lk_arena arena = {0};

    (void)state;
    assert_null(lk_arena_alloc(&arena, SIZE_MAX));
    assert_null(lk_arena_alloc(&arena, SIZE_MAX - 100));
    assert_null(lk_arena_copy(&arena, "", SIZE_MAX));
    lk_arena_clear(&arena);
}

static void a_copy_in_an_arena_ends_in_nul(void **state)
{
    lk_arena arena = {0};

    (void)state;
    assert_string_equal(lk_arena_copy(&arena, "linkd!", 5), "linkd");
    assert_string_equal(lk_arena_copy(&arena, NULL, 0), "");
    lk_arena_clear(&arena);
}

static void a_buffer_grows_and_stays_terminated(void **state)
{
    lk_buf buf = {0};

    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(lk_buf_append(&buf, "ab", 2, NULL), LINKD_OK);
    assert_int_equal(lk_buf_printf(&buf, NULL, "%d-%s", 42, "z"), LINKD_OK);
    assert_int_equal(buf.len, 2004);
    assert_string_equal(buf.data + 2000, "42-z");
    lk_buf_reset(&buf);
    assert_int_equal(buf.len, 0);
    assert_string_equal(buf.data, "");
    lk_buf_clear(&buf);
    assert_null(buf.data);
}

static void a_buffer_refuses_a_length_that_overflows(void **state)
{
    lk_buf buf = {0};
    linkd_error err = {0};

    (void)state;
    assert_int_equal(lk_buf_append(&buf, "a", 1, &err), LINKD_OK);
    assert_int_equal(lk_buf_append(&buf, "b", SIZE_MAX - 1, &err),
                     LINKD_E_NOMEM);
    assert_string_equal(buf.data, "a");
    lk_buf_clear(&buf);
}

static void an_array_grows_by_more_than_was_asked(void **state)
{
    int *numbers = NULL;
    void *array = NULL;
    size_t capacity = 0;

    (void)state;
    assert_int_equal(lk_grow(&array, &capacity, 100, sizeof(int), NULL),
                     LINKD_OK);
    assert_int_equal(capacity, 100);
    numbers = array;
    numbers[99] = 7;
    assert_int_equal(lk_grow(&array, &capacity, 101, sizeof(int), NULL),
                     LINKD_OK);
    assert_int_equal(capacity, 150);
    numbers = array;
    assert_int_equal(numbers[99], 7);
    free(array);
}

static void an_array_refuses_a_size_that_overflows(void **state)
{
    void *array = NULL;
    size_t capacity = 0;
    linkd_error err = {0};

    (void)state;
    assert_int_equal(lk_grow(&array, &capacity, SIZE_MAX / 4, 8, &err),
                     LINKD_E_NOMEM);
    assert_null(array);
    assert_null(lk_alloc_aligned(SIZE_MAX / 4, 8));
    assert_null(lk_alloc_aligned(SIZE_MAX, 1));
}

static void aligned_memory_starts_at_a_cache_line(void **state)
{
    (void)state;
    for (size_t n = 0; n < 10; n++) {
        void *memory = lk_alloc_aligned(n, 24);

        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % 64, 0);
        free(memory);
    }
}

static void a_failed_allocation_is_reported_and_changes_nothing(void **state)
{
    lk_arena arena = {0};
    lk_buf buf = {0};
    linkd_error err = {0};

    (void)state;
    alloc_fail_at(1);
    assert_null(lk_arena_copy(&arena, "abc", 3));
    assert_true(alloc_fail_off());
    assert_int_equal(lk_buf_append(&buf, "abc", 3, NULL), LINKD_OK);
    alloc_fail_at(1);
    assert_int_equal(lk_buf_printf(&buf, &err, "%0500d", 1), LINKD_E_NOMEM);
    assert_true(alloc_fail_off());
    assert_string_equal(buf.data, "abc");
    alloc_fail_at(1);
    assert_null(lk_alloc_aligned(1, 1));
    assert_true(alloc_fail_off());
    lk_buf_clear(&buf);
    lk_arena_clear(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arena_memory_is_aligned_and_does_not_overlap),
        cmocka_unit_test(an_arena_serves_a_request_larger_than_its_blocks),
        cmocka_unit_test(an_arena_refuses_a_size_that_overflows),
        cmocka_unit_test(a_copy_in_an_arena_ends_in_nul),
        cmocka_unit_test(a_buffer_grows_and_stays_terminated),
        cmocka_unit_test(a_buffer_refuses_a_length_that_overflows),
        cmocka_unit_test(an_array_grows_by_more_than_was_asked),
        cmocka_unit_test(an_array_refuses_a_size_that_overflows),
        cmocka_unit_test(aligned_memory_starts_at_a_cache_line),
        cmocka_unit_test(a_failed_allocation_is_reported_and_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
