/* cli/progress.c — tells a person how far a run is.
 *
 * Rows come in batches and long texts come together, so the rate of a moment
 * says little and the rate since the start says what was, not what will be.
 * The rate here is a mean over all of the step for its first seconds and then
 * decays exponentially; the time left counts down by the clock and is pulled
 * towards rest / rate with the same weight, so it does not jump when one batch
 * is slow. It is shown from the second second on, and never as 0:00: as long as
 * the line is there, something is left to do.
 *
 * Nothing is drawn between reports: no timer, no thread. */
#include "cli/progress.h"

#include <math.h>
#include <string.h>

#include "cli/number.h"

#define DRAW_NS      100000000U /* ten times a second: guess */
#define SAMPLE_NS    250000000U
#define MEMORY_S     8.0 /* time constant of the rate: guess */
#define WEIGHT_MAX   0.3 /* of one sample, however long it took */
#define LEFT_FROM_S  2.0
#define TOLD_FROM_S  0.25 /* what nobody has waited for is not told: guess */
#define LEFT_LIMIT_S (100.0 * 3600)

/* Whether the step's first word is that: "download 1 of 3" counts bytes, too. */
static bool begins_with(const char *step, const char *word)
{
    size_t n = strcspn(step, " ");

    return n == strlen(word) && memcmp(step, word, n) == 0;
}

static const char *step_unit(const char *step)
{
    static const char *const in_bytes[] = {"read", "download", "copy", "upload",
                                           "backup"};
    static const char *const in_rows[] = {"encode", "search", "candidates",
                                          "embed",  "import", "export"};

    for (size_t i = 0; i < sizeof(in_bytes) / sizeof(*in_bytes); i++) {
        if (begins_with(step, in_bytes[i]))
            return "B";
    }
    for (size_t i = 0; i < sizeof(in_rows) / sizeof(*in_rows); i++) {
        if (begins_with(step, in_rows[i]))
            return " rows";
    }
    return "";
}

/* Parts of unequal size: how many there are tells nobody anything. */
static bool is_in_parts(const char *step)
{
    static const char *const in_parts[] = {"compare", "decide", "fit", "judge"};

    for (size_t i = 0; i < sizeof(in_parts) / sizeof(*in_parts); i++) {
        if (strcmp(step, in_parts[i]) == 0)
            return true;
    }
    return false;
}

static lk_number rate_text(const char *step, double rate)
{
    const char *unit = step_unit(step);
    lk_number count;
    lk_number number;

    if (strcmp(unit, "B") == 0)
        return lk_bytes(rate);
    count = lk_per_second(rate);
    (void)snprintf(number.text, sizeof(number.text), "%.26s%.8s", count.text,
                   unit);
    return number;
}

static lk_number done_text(const char *step, uint64_t done)
{
    const char *unit = step_unit(step);

    if (strcmp(unit, "B") == 0)
        return lk_bytes((double)done);
    return *unit != '\0' ? lk_counted(done, "row", "rows") : lk_count(done);
}

static double seconds_between(uint64_t from_ns, uint64_t to_ns)
{
    return to_ns > from_ns ? (double)(to_ns - from_ns) * 1e-9 : 0;
}

static void sample_take(lk_meter *meter, uint64_t now_ns)
{
    double dt = seconds_between(meter->sample_ns, now_ns);
    double elapsed = seconds_between(meter->start_ns, now_ns);
    double weight;
    double left;

    if (now_ns - meter->sample_ns < SAMPLE_NS)
        return;
    weight = elapsed < MEMORY_S ? dt / elapsed
                                : fmin(WEIGHT_MAX, 1 - exp(-dt / MEMORY_S));
    meter->rate += weight * ((double)(meter->done - meter->sample_done) / dt -
                             meter->rate);
    meter->sample_ns = now_ns;
    meter->sample_done = meter->done;
    if (meter->total <= meter->done || meter->rate <= 0 ||
        elapsed < LEFT_FROM_S)
        return;
    left = (double)(meter->total - meter->done) / meter->rate;
    if (meter->left_seconds >= 0) {
        double expected = fmax(0, meter->left_seconds - dt);

        left = expected + fmin(weight, WEIGHT_MAX) * (left - expected);
    }
    meter->left_seconds = left;
}

static void draw(lk_meter *meter, uint64_t now_ns)
{
    bool has_total = meter->total > 0 && meter->done <= meter->total;
    double since_sample = seconds_between(meter->sample_ns, now_ns);

    (void)fprintf(meter->out, "\r\033[K%s", meter->step);
    if (has_total)
        (void)fprintf(meter->out, "  %2.0f %%",
                      floor((double)meter->done * 100 / (double)meter->total));
    else if (meter->done > 0)
        (void)fprintf(meter->out, "  %s",
                      done_text(meter->step, meter->done).text);
    if (meter->rate > 0 && !is_in_parts(meter->step))
        (void)fprintf(meter->out, "  %s/s",
                      rate_text(meter->step, meter->rate).text);
    if (has_total && meter->left_seconds >= 0 &&
        meter->left_seconds < LEFT_LIMIT_S)
        (void)fprintf(
            meter->out, "  %s left",
            lk_duration(fmax(1, meter->left_seconds - since_sample)).text);
    (void)fflush(meter->out);
    meter->drawn_ns = now_ns;
    meter->is_drawn = true;
}

static void step_begin(lk_meter *meter, const char *step, uint64_t start_ns)
{
    (void)snprintf(meter->step, sizeof(meter->step), "%s", step);
    meter->done = 0;
    meter->start_ns = start_ns;
    meter->drawn_ns = start_ns;
    meter->sample_ns = start_ns;
    meter->sample_done = 0;
    meter->rate = 0;
    meter->left_seconds = -1;
}

static int report(void *ctx, const char *step, uint64_t done, uint64_t total)
{
    lk_meter *meter = ctx;
    uint64_t now_ns = meter->now_ns();

    if (strncmp(meter->step, step, sizeof(meter->step) - 1) != 0 ||
        done < meter->done) {
        if (meter->step[0] != '\0')
            lk_meter_finish(meter);
        /* work that is reported as done already began before */
        step_begin(meter, step, done > 0 ? meter->idle_ns : now_ns);
    }
    meter->done = done;
    meter->total = total;
    meter->report_ns = now_ns;
    sample_take(meter, now_ns);
    if (meter->style == LK_METER_TERMINAL &&
        now_ns - meter->drawn_ns >= DRAW_NS)
        draw(meter, now_ns);
    return 0;
}

void lk_meter_init(lk_meter *meter, FILE *out, lk_meter_style style,
                   uint64_t (*now_ns)(void))
{
    *meter = (lk_meter){.out = out, .style = style, .now_ns = now_ns};
    meter->idle_ns = now_ns();
}

linkd_progress lk_meter_progress(lk_meter *meter)
{
    if (meter->style == LK_METER_SILENT)
        return (linkd_progress){NULL, NULL};
    return (linkd_progress){report, meter};
}

void lk_meter_erase(lk_meter *meter)
{
    if (meter->is_drawn) {
        (void)fputs("\r\033[K", meter->out);
        (void)fflush(meter->out);
    }
    meter->is_drawn = false;
}

void lk_meter_finish(lk_meter *meter)
{
    bool is_whole = meter->total > 0 && meter->done >= meter->total;
    double seconds;

    meter->idle_ns = meter->now_ns();
    if (meter->step[0] == '\0')
        return;
    /* what comes behind a step that is done may not be of it */
    seconds = seconds_between(meter->start_ns,
                              is_whole ? meter->report_ns : meter->idle_ns);
    lk_meter_erase(meter);
    if (seconds >= TOLD_FROM_S &&
        (meter->done == 0 || is_in_parts(meter->step)))
        (void)fprintf(meter->out, "%s: %.1f s\n", meter->step, seconds);
    else if (seconds >= TOLD_FROM_S)
        (void)fprintf(
            meter->out, "%s: %s in %.1f s (%s/s)\n", meter->step,
            done_text(meter->step, meter->done).text, seconds,
            rate_text(meter->step, (double)meter->done / seconds).text);
    (void)fflush(meter->out);
    meter->step[0] = '\0';
}
