/* tests/cli/test_job.c — what is shown of a job that is looked at now and then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/job.h"

static uint64_t clock_ns;

static uint64_t clock_now(void)
{
    return clock_ns;
}

typedef struct fixture {
    FILE *out;
    char *text;
    size_t len;
    lk_meter meter;
    lk_job_seen seen;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    f->out = open_memstream(&f->text, &f->len);
    clock_ns = UINT64_C(5000000000);
    lk_meter_init(&f->meter, f->out, LK_METER_LINES, clock_now);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;

    (void)fclose(f->out);
    free(f->text);
    free(f);
    return 0;
}

static void look(fixture *f, int seconds, json_t *take_job)
{
    assert_non_null(take_job);
    clock_ns += (uint64_t)seconds * 1000000000U;
    lk_job_show(&f->meter, take_job, &f->seen);
    json_decref(take_job);
    assert_int_equal(fflush(f->out), 0);
}

/* After so many seconds the job is at `done` of `total`. */
static void look_at(fixture *f, int seconds, const char *step, int done,
                    int total)
{
    look(f, seconds,
         json_pack("{s:s, s:{s:s, s:i, s:i}}", "state", "running", "progress",
                   "step", step, "done", done, "total", total));
}

/* It is at no step. */
static void look_idle(fixture *f, int seconds, const char *job_state)
{
    look(f, seconds, json_pack("{s:s, s:n}", "state", job_state, "progress"));
}

/* Its last rows are counted between two looks. */
static void a_step_that_another_has_followed_was_complete(void **state)
{
    fixture *f = *state;

    look_at(f, 0, "encode", 0, 700);
    look_at(f, 4, "encode", 350, 700);
    look_at(f, 1, "candidates", 0, 700);
    look_at(f, 2, "candidates", 700, 700);
    look_at(f, 1, "candidates", 700, 700);
    look_at(f, 0, "decide", 0, 13);
    look_at(f, 2, "decide", 12, 13);
    look_idle(f, 1, "done");
    assert_string_equal(f->text, "encode: 700 rows in 5.0 s (140 rows/s)\n"
                                 "candidates: 700 rows in 2.0 s (350 rows/s)\n"
                                 "decide: 3.0 s\n");
}

static void waiting_for_its_turn_is_no_time_of_its_first_step(void **state)
{
    fixture *f = *state;

    look_idle(f, 0, "queued");
    look_idle(f, 60, "queued");
    look_idle(f, 1, "running");
    look_at(f, 1, "read", 2000, 2000);
    assert_string_equal(f->text, "read: 2.0 kB in 1.0 s (2.0 kB/s)\n");
}

/* It goes on after a restart, and nobody knows how far the step came. */
static void a_job_that_failed_or_begins_anew_completed_nothing(void **state)
{
    fixture *f = *state;

    look_at(f, 0, "encode", 0, 700);
    look_at(f, 4, "encode", 350, 700);
    look_idle(f, 0, "running");
    look_at(f, 1, "encode", 0, 700);
    look_at(f, 4, "encode", 400, 700);
    look_idle(f, 0, "failed");
    assert_string_equal(f->text, "encode: 350 rows in 4.0 s (88 rows/s)\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_step_that_another_has_followed_was_complete),
        TEST(waiting_for_its_turn_is_no_time_of_its_first_step),
        TEST(a_job_that_failed_or_begins_anew_completed_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
