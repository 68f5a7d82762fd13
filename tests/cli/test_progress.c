#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/progress.h"

#define SECOND UINT64_C(1000000000)

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
    linkd_progress progress;
} fixture;

static int begin(void **state, lk_meter_style style)
{
    fixture *f = calloc(1, sizeof(*f));

    *state = f;
    f->out = open_memstream(&f->text, &f->len);
    clock_ns = 5 * SECOND;
    lk_meter_init(&f->meter, f->out, style, clock_now);
    f->progress = lk_meter_progress(&f->meter);
    return 0;
}

static int begin_lines(void **state)
{
    return begin(state, LK_METER_LINES);
}

static int begin_terminal(void **state)
{
    return begin(state, LK_METER_TERMINAL);
}

static int end(void **state)
{
    fixture *f = *state;

    (void)fclose(f->out);
    free(f->text);
    free(f);
    return 0;
}

static void tick(fixture *f, double seconds, const char *step, uint64_t done,
                 uint64_t total)
{
    clock_ns += (uint64_t)(seconds * 1e9);
    assert_int_equal(f->progress.report(f->progress.ctx, step, done, total), 0);
    (void)fflush(f->out);
}

/* Seconds left as last drawn, or -1 if the last line tells none. */
static int left_drawn(const fixture *f)
{
    const char *line = f->text;
    char *at;
    long seconds = 0;

    for (const char *next = line; (next = strchr(next, '\r')) != NULL; next++)
        line = next;
    at = strstr(line, " left");
    if (at == NULL)
        return -1;
    while (at[-1] != ' ')
        at--;
    do { /* 0:07, 1:02:03 */
        seconds = seconds * 60 + strtol(at, &at, 10);
    } while (*at++ == ':');
    return (int)seconds;
}

static void each_step_leaves_one_line_when_it_ends(void **state)
{
    fixture *f = *state;

    tick(f, 0, "read", 0, 2000000);
    tick(f, 2, "read", 2000000, 2000000);
    tick(f, 0, "encode", 0, 1000);
    tick(f, 4, "encode", 1000, 1000);
    assert_string_equal(f->text, "read: 2.0 MB in 2.0 s (1.0 MB/s)\n");
    lk_meter_finish(&f->meter);
    lk_meter_finish(&f->meter);
    assert_string_equal(f->text, "read: 2.0 MB in 2.0 s (1.0 MB/s)\n"
                                 "encode: 1,000 rows in 4.0 s (250 rows/s)\n");
}

static void the_same_step_from_the_beginning_is_a_new_one(void **state)
{
    fixture *f = *state;

    tick(f, 1, "read", 500, 500);
    tick(f, 2, "read", 20, 600);
    tick(f, 1, "read", 600, 600);
    lk_meter_finish(&f->meter);
    (void)fflush(f->out);
    assert_string_equal(f->text, "read: 500 B in 1.0 s (500 B/s)\n"
                                 "read: 600 B in 1.0 s (600 B/s)\n");
}

static void a_step_too_short_to_time_is_not_told(void **state)
{
    fixture *f = *state;

    tick(f, 0.24, "read", 500, 500);
    lk_meter_finish(&f->meter);
    (void)fflush(f->out);
    assert_int_equal(f->len, 0);
}

/* A step that counts nothing has no rate. */
static void a_step_without_a_count_leaves_its_time(void **state)
{
    fixture *f = *state;

    tick(f, 0, "fit", 0, 0);
    tick(f, 3, "fit", 0, 0);
    lk_meter_finish(&f->meter);
    (void)fflush(f->out);
    assert_string_equal(f->text, "fit: 3.0 s\n");
}

/* They take unequal times: their number says nothing. */
static void a_step_in_parts_leaves_its_time(void **state)
{
    fixture *f = *state;

    tick(f, 0, "decide", 0, 13);
    tick(f, 3, "decide", 13, 13);
    lk_meter_finish(&f->meter);
    (void)fflush(f->out);
    assert_string_equal(f->text, "decide: 3.0 s\n");
}

/* As a probe reports them: one of one when it is done. */
static void steps_of_an_upgrade_leave_their_time(void **state)
{
    fixture *f = *state;

    tick(f, 0, "fit", 0, 1);
    tick(f, 3, "fit", 1, 1);
    tick(f, 0, "judge", 0, 1);
    tick(f, 2, "judge", 1, 1);
    lk_meter_finish(&f->meter);
    (void)fflush(f->out);
    assert_string_equal(f->text, "fit: 3.0 s\njudge: 2.0 s\n");
}

static void a_step_in_parts_is_drawn_without_a_rate(void **state)
{
    fixture *f = *state;

    tick(f, 0, "decide", 0, 4);
    tick(f, 3, "decide", 1, 4);
    assert_string_equal(f->text, "\r\033[Kdecide  25 %  0:09 left");
}

static void what_follows_a_step_that_is_done_is_not_its_time(void **state)
{
    fixture *f = *state;

    tick(f, 2, "candidates", 600, 600);
    clock_ns += 9 * SECOND;
    lk_meter_finish(&f->meter);
    (void)fflush(f->out);
    assert_string_equal(f->text,
                        "candidates: 600 rows in 2.0 s (300 rows/s)\n");
}

static void work_that_is_first_reported_when_done_took_its_time(void **state)
{
    fixture *f = *state;

    tick(f, 3, "search", 600, 600);
    lk_meter_finish(&f->meter);
    (void)fflush(f->out);
    assert_string_equal(f->text, "search: 600 rows in 3.0 s (200 rows/s)\n");
}

/* Shards are steps of their own, and count bytes as a single file does. */
static void a_step_counts_what_its_first_word_says(void **state)
{
    fixture *f = *state;

    tick(f, 0, "download 1 of 2", 0, 3000000);
    tick(f, 1, "download 1 of 2", 3000000, 3000000);
    tick(f, 0, "download 2 of 2", 4000000, 5000000);
    tick(f, 1, "download 2 of 2", 5000000, 5000000);
    tick(f, 0, "downloads", 0, 5000);
    tick(f, 1, "downloads", 5000, 5000);
    lk_meter_finish(&f->meter);
    (void)fflush(f->out);
    assert_string_equal(f->text, "download 1 of 2: 3.0 MB in 1.0 s (3.0 MB/s)\n"
                                 "download 2 of 2: 5.0 MB in 1.0 s (5.0 MB/s)\n"
                                 "downloads: 5,000 in 1.0 s (5,000/s)\n");
}

static void a_silent_meter_is_not_even_asked(void **state)
{
    lk_meter meter;

    (void)state;
    lk_meter_init(&meter, stderr, LK_METER_SILENT, clock_now);
    assert_null(lk_meter_progress(&meter).report);
    lk_meter_finish(&meter);
}

static void the_line_is_redrawn_in_place_but_not_for_every_report(void **state)
{
    fixture *f = *state;
    size_t len;

    tick(f, 0, "encode", 0, 1000);
    tick(f, 0.5, "encode", 100, 1000);
    assert_string_equal(f->text, "\r\033[Kencode  10 %  200 rows/s");
    len = f->len;
    tick(f, 0.05, "encode", 110, 1000);
    assert_int_equal(f->len, len);
}

static void no_time_left_is_told_in_the_first_two_seconds(void **state)
{
    fixture *f = *state;

    tick(f, 0, "encode", 0, 1000);
    for (int i = 1; i <= 19; i++) {
        tick(f, 0.1, "encode", (uint64_t)i, 1000);
        assert_int_equal(left_drawn(f), -1);
    }
    for (int i = 20; i <= 25; i++)
        tick(f, 0.1, "encode", (uint64_t)i, 1000);
    assert_in_range(left_drawn(f), 96, 99);
}

static void a_steady_rate_gives_the_time_that_is_really_left(void **state)
{
    fixture *f = *state;

    tick(f, 0, "encode", 0, 6000);
    for (int i = 1; i < 600; i++) {
        tick(f, 0.1, "encode", (uint64_t)i * 10, 6000);
        if (i >= 25) {
            int left = left_drawn(f);
            int real = (600 - i) / 10;

            assert_true(left >= 1);
            assert_true(abs(left - real) <= 1);
        }
    }
}

/* Batches of 50 rows a second that take turns with stalls of two seconds. */
static void uneven_batches_do_not_make_it_jump(void **state)
{
    fixture *f = *state;
    uint64_t done = 0;
    int last = -1;

    tick(f, 0, "encode", 0, 20000);
    for (int i = 0; done < 19900; i++) {
        double seconds = i % 3 == 0 ? 2.2 : 0.4;
        int left;

        done += 100;
        tick(f, seconds, "encode", done, 20000);
        left = left_drawn(f);
        if (i > 12) {
            assert_true(left >= 1);
            assert_true(abs(last - left) <= 12);
        }
        last = left;
    }
}

static void a_slower_second_half_is_learnt_without_a_jump(void **state)
{
    fixture *f = *state;
    uint64_t done = 0;
    int last = -1;

    tick(f, 0, "encode", 0, 10000);
    for (int i = 0; i < 500; i++) { /* 100/s */
        done += 10;
        tick(f, 0.1, "encode", done, 10000);
    }
    last = left_drawn(f);
    assert_in_range(last, 49, 51);
    for (int i = 0; i < 300; i++) { /* 50/s: 70 s are left after 30 s */
        int left;

        done += 5;
        tick(f, 0.1, "encode", done, 10000);
        left = left_drawn(f);
        assert_true(abs(left - last) <= 2);
        last = left;
    }
    assert_in_range(last, 60, 76);
}

static void a_long_stall_shows_no_nonsense(void **state)
{
    fixture *f = *state;
    int before;

    tick(f, 0, "encode", 0, 1000);
    for (int i = 1; i <= 40; i++)
        tick(f, 0.1, "encode", (uint64_t)i * 2, 1000);
    before = left_drawn(f);
    assert_in_range(before, 44, 48);
    tick(f, 3600, "encode", 81, 1000);
    assert_in_range(left_drawn(f), 1, 359999);
    for (int i = 1; i < 400; i++)
        tick(f, 0.1, "encode", 81 + (uint64_t)i * 2, 1000);
    assert_in_range(left_drawn(f), 1, 60);
}

static void an_unknown_total_counts_up(void **state)
{
    fixture *f = *state;

    tick(f, 0, "embed", 0, 0);
    tick(f, 1, "embed", 2048, 0);
    assert_string_equal(f->text, "\r\033[Kembed  2,048 rows  2,048 rows/s");
}

/* A model is loaded between reading and the first report of encoding, which
 * tells of work that is done. */
static void what_came_before_the_last_finish_is_no_part_of_a_step(void **state)
{
    fixture *f = *state;

    clock_ns += 3 * SECOND;
    lk_meter_finish(&f->meter);
    tick(f, 2, "encode", 6, 6);
    lk_meter_finish(&f->meter);
    (void)fflush(f->out);
    assert_string_equal(f->text, "encode: 6 rows in 2.0 s (3.0 rows/s)\n");
}

int main(void)
{
#define LINES(name) cmocka_unit_test_setup_teardown(name, begin_lines, end)
#define TERMINAL(name)                                                         \
 cmocka_unit_test_setup_teardown(name, begin_terminal, end)
    const struct CMUnitTest tests[] = {
        LINES(what_came_before_the_last_finish_is_no_part_of_a_step),
        LINES(each_step_leaves_one_line_when_it_ends),
        LINES(the_same_step_from_the_beginning_is_a_new_one),
        LINES(a_step_too_short_to_time_is_not_told),
        LINES(a_step_without_a_count_leaves_its_time),
        LINES(a_step_in_parts_leaves_its_time),
        LINES(steps_of_an_upgrade_leave_their_time),
        LINES(what_follows_a_step_that_is_done_is_not_its_time),
        LINES(work_that_is_first_reported_when_done_took_its_time),
        LINES(a_step_counts_what_its_first_word_says),
        LINES(a_silent_meter_is_not_even_asked),
        TERMINAL(the_line_is_redrawn_in_place_but_not_for_every_report),
        TERMINAL(a_step_in_parts_is_drawn_without_a_rate),
        TERMINAL(no_time_left_is_told_in_the_first_two_seconds),
        TERMINAL(a_steady_rate_gives_the_time_that_is_really_left),
        TERMINAL(uneven_batches_do_not_make_it_jump),
        TERMINAL(a_slower_second_half_is_learnt_without_a_jump),
        TERMINAL(a_long_stall_shows_no_nonsense),
        TERMINAL(an_unknown_total_counts_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
