#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"

static void an_error_carries_its_code_and_message(void **state)
{
    linkd_error err = {0};

    (void)state;
    assert_int_equal(lk_fail(&err, LINKD_E_DATA, "row %d: %s", 7, "ragged"),
                     LINKD_E_DATA);
    assert_int_equal(err.code, LINKD_E_DATA);
    assert_string_equal(err.message, "row 7: ragged");
}

static void a_caller_that_wants_no_message_still_gets_the_code(void **state)
{
    (void)state;
    assert_int_equal(lk_fail(NULL, LINKD_E_IO, "lost"), LINKD_E_IO);
}

static void context_can_be_put_in_front_of_an_error(void **state)
{
    linkd_error err = {0};

    (void)state;
    assert_int_equal(lk_fail(&err, LINKD_E_IO, "disk full"), LINKD_E_IO);
    assert_int_equal(lk_fail(&err, err.code, "model: %s", err.message),
                     LINKD_E_IO);
    assert_string_equal(err.message, "model: disk full");
}

static void a_message_that_just_fits_is_whole(void **state)
{
    linkd_error err = {0};
    char text[sizeof(err.message)];

    (void)state;
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(lk_fail(&err, LINKD_E_IO, "%s", text), LINKD_E_IO);
    assert_string_equal(err.message, text);
}

/* A message ends up in JSON, where half a character would be invalid. */
static void a_long_message_is_cut_between_characters(void **state)
{
    linkd_error err = {0};
    char text[400];
    size_t len;

    (void)state;
    for (size_t i = 0; i + 2 < sizeof(text); i += 2)
        memcpy(text + i, "\xC3\xA9", 2); /* é */
    text[sizeof(text) - 2] = '\0';
    assert_int_equal(lk_fail(&err, LINKD_E_IO, "x%s", text), LINKD_E_IO);
    len = strlen(err.message);
    assert_string_equal(err.message + len - 3, "...");
    assert_int_equal((len - 4) % 2, 0); /* x, whole é's, ... */
    assert_true(len > sizeof(err.message) - 6);
}

static void running_out_of_memory_needs_no_memory_to_say_so(void **state)
{
    linkd_error err = {0};

    (void)state;
    assert_int_equal(lk_fail_nomem(&err), LINKD_E_NOMEM);
    assert_string_equal(err.message, "out of memory");
}

static int stop(void *ctx, const char *step, uint64_t done, uint64_t total)
{
    assert_string_equal(step, "read");
    assert_int_equal(done, 3);
    assert_int_equal(total, 9);
    return *(int *)ctx;
}

static void a_progress_callback_can_stop_the_work(void **state)
{
    int answer = 1;
    linkd_progress progress = {stop, &answer};
    linkd_error err = {0};

    (void)state;
    assert_int_equal(lk_progress_report(&progress, "read", 3, 9, &err),
                     LINKD_E_CANCELLED);
    assert_string_equal(err.message, "interrupted");
    answer = 0;
    assert_int_equal(lk_progress_report(&progress, "read", 3, 9, &err),
                     LINKD_OK);
    assert_int_equal(lk_progress_report(NULL, "read", 3, 9, &err), LINKD_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_error_carries_its_code_and_message),
        cmocka_unit_test(a_caller_that_wants_no_message_still_gets_the_code),
        cmocka_unit_test(context_can_be_put_in_front_of_an_error),
        cmocka_unit_test(a_message_that_just_fits_is_whole),
        cmocka_unit_test(a_long_message_is_cut_between_characters),
        cmocka_unit_test(running_out_of_memory_needs_no_memory_to_say_so),
        cmocka_unit_test(a_progress_callback_can_stop_the_work),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
