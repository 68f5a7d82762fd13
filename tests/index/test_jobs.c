/* tests/index/test_jobs.c — the states of jobs survive, in order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/index/scratch_store.h"
#include "tests/support/alloc_fail.h"

static uint64_t job_put(uint64_t number, const char *text)
{
    assert_int_equal(
        linkd_store_put_job(store, &number, str_of(text), NULL, &err),
        LINKD_OK);
    return number;
}

/* Asserts what the first job from `from` on is. */
static void assert_next(uint64_t from, uint64_t number, const char *text)
{
    lk_arena arena = {0};
    uint64_t found_number = 0;
    linkd_str found_text = {0};
    bool found = false;

    assert_int_equal(linkd_store_next_job(store, from, &arena, &found_number,
                                          &found_text, &found, &err),
                     LINKD_OK);
    assert_true(found);
    assert_int_equal(found_number, number);
    assert_int_equal(found_text.len, strlen(text));
    assert_memory_equal(found_text.bytes, text, strlen(text));
    lk_arena_clear(&arena);
}

static bool has_next(uint64_t from)
{
    lk_arena arena = {0};
    uint64_t number;
    linkd_str text;
    bool found = true;

    assert_int_equal(
        linkd_store_next_job(store, from, &arena, &number, &text, &found, &err),
        LINKD_OK);
    lk_arena_clear(&arena);
    return found;
}

static void jobs_come_back_in_order_after_a_restart(void **state)
{
    uint64_t first;
    uint64_t second;

    (void)state;
    assert_false(has_next(0));
    first = job_put(0, "one");
    second = job_put(0, "two");
    assert_true(second > first);
    assert_int_equal(job_put(first, "one, later"), first);
    scratch_store_reopen();
    assert_next(0, first, "one, later");
    assert_next(first + 1, second, "two");
    assert_false(has_next(second + 1));
}

static void
a_deleted_job_is_gone_and_its_number_is_not_given_again(void **state)
{
    uint64_t number;

    (void)state;
    number = job_put(0, "one");
    assert_int_equal(linkd_store_delete_job(store, number, &err), LINKD_OK);
    assert_false(has_next(0));
    assert_int_equal(linkd_store_delete_job(store, number, &err),
                     LINKD_E_ABSENT);
    assert_int_equal(job_put(0, "two"), number + 1);
}

/* A worker that did not notice must not bring a deleted job back. */
static void the_state_of_a_deleted_job_is_refused(void **state)
{
    uint64_t number;

    (void)state;
    number = job_put(0, "one");
    assert_int_equal(linkd_store_delete_job(store, number, &err), LINKD_OK);
    assert_int_equal(
        linkd_store_put_job(store, &number, str_of("two"), NULL, &err),
        LINKD_E_ABSENT);
    assert_string_equal(err.message, "there is no job 1");
}

static void a_repeated_key_answers_the_first_job(void **state)
{
    const linkd_once once = {.key = str_of("job-key"), .request_hash = 5};
    const linkd_once other = {.key = str_of("job-key"), .request_hash = 6};
    uint64_t first = 0;
    uint64_t second = 0;

    (void)state;
    assert_int_equal(
        linkd_store_put_job(store, &first, str_of("one"), &once, &err),
        LINKD_OK);
    scratch_store_reopen();
    assert_int_equal(
        linkd_store_put_job(store, &second, str_of("one"), &once, &err),
        LINKD_OK);
    assert_int_equal(second, first);
    assert_int_equal(count_of(LK_TABLE_JOBS), 1);
    second = 0;
    assert_int_equal(
        linkd_store_put_job(store, &second, str_of("one"), &other, &err),
        LINKD_E_CONFLICT);
}

/* After a crash jobs whose inputs were not whole are removed; the client, who
 * was not answered, submits again. */
static void a_repeated_key_brings_back_a_removed_job(void **state)
{
    const linkd_once once = {.key = str_of("job-key"), .request_hash = 5};
    uint64_t first = 0;
    uint64_t second = 0;

    (void)state;
    assert_int_equal(
        linkd_store_put_job(store, &first, str_of("one"), &once, &err),
        LINKD_OK);
    assert_int_equal(linkd_store_delete_job(store, first, &err), LINKD_OK);
    assert_int_equal(
        linkd_store_put_job(store, &second, str_of("again"), &once, &err),
        LINKD_OK);
    assert_int_equal(second, first);
    assert_next(0, first, "again");
}

/* One key is one request, whatever kind it was of. */
static void the_key_of_a_put_is_not_a_jobs_key(void **state)
{
    const linkd_once once = {.key = str_of("key"), .request_hash = 5};
    const linkd_put record = {.id = str_of("a")};
    linkd_write_result result;
    uint64_t number = 0;

    (void)state;
    assert_int_equal(linkd_store_put(store, str_of("people"), &record, 1, &once,
                                     &result, &err),
                     LINKD_OK);
    assert_int_equal(
        linkd_store_put_job(store, &number, str_of("one"), &once, &err),
        LINKD_E_CONFLICT);
}

static void reading_a_job_survives_failing_allocations(void **state)
{
    lk_arena arena = {0};
    uint64_t number;
    linkd_str text;
    bool found;
    int rc;

    (void)state;
    job_put(0, "one");
    for (size_t n = 1;; n++) {
        alloc_fail_at(n);
        rc = linkd_store_next_job(store, 0, &arena, &number, &text, &found,
                                  &err);
        if (!alloc_fail_off())
            break;
        assert_true(rc == LINKD_E_NOMEM || rc == LINKD_OK);
    }
    assert_int_equal(rc, LINKD_OK);
    lk_arena_clear(&arena);
}

int main(void)
{
#define TEST(name)                                                             \
 cmocka_unit_test_setup_teardown(name, scratch_store_enter, scratch_store_leave)
    const struct CMUnitTest tests[] = {
        TEST(jobs_come_back_in_order_after_a_restart),
        TEST(a_deleted_job_is_gone_and_its_number_is_not_given_again),
        TEST(the_state_of_a_deleted_job_is_refused),
        TEST(a_repeated_key_answers_the_first_job),
        TEST(a_repeated_key_brings_back_a_removed_job),
        TEST(the_key_of_a_put_is_not_a_jobs_key),
        TEST(reading_a_job_survives_failing_allocations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
