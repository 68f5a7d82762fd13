/* cli/upgrade_report.c — one page of HTML about a probe: is another model worth it
 * for a collection, from when on, and what gets better and worse?
 *
 * Everything on it is in the verdict that linkd answered. A member that is not
 * there, because linkd is of another version, leaves its part empty. Texts of
 * records and names of models are not ours, and go through lk_page_text(). */
#include "cli/upgrade_report.h"

#include <math.h>
#include <string.h>

#include "cli/number.h"
#include "cli/page.h"

enum {
    BINS_MAX = 200,
    POINTS_MAX = 100,
    TEXT_CHARS = 160,
};

#define ROUND 0.05

static double number_of(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);

    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text != NULL ? text : "";
}

/* NULL is nothing. */
static void text_put(lk_page *p, const char *text)
{
    if (text != NULL)
        lk_page_text(p, (linkd_str){text, strlen(text)}, TEXT_CHARS);
}

/* "n/a" of what is no number. */
static void figure_cell(lk_page *p, double value)
{
    if (isfinite(value))
        lk_page_printf(p, "<td class=\"n\">%.3f</td>", value);
    else
        lk_page_put(p, "<td class=\"n\">n/a</td>");
}

/* ---- verdict -------------------------------------------------------------- */

static const char *meaning_of(const char *verdict)
{
    static const char *const meanings[][2] = {
        {"fuse", "The new model is better, and mixed queries have much of that "
                 "at once."},
        {"cascade", "The new model is better, and encoding the first hits anew "
                    "has most of that."},
        {"backfill", "The new model is better, but little of that comes "
                     "without encoding the records anew."},
        {"no-upgrade-needed", "No difference between the models is certain."},
        {"refuse", "The new model is worse."},
    };

    for (size_t i = 0; i < sizeof(meanings) / sizeof(*meanings); i++)
        if (strcmp(verdict, meanings[i][0]) == 0)
            return meanings[i][1];
    return "";
}

static void interval_put(lk_page *p, const json_t *interval)
{
    double value = number_of(interval, "value");

    if (isfinite(value))
        lk_page_printf(p, "%+.3f (95 %%: %+.3f to %+.3f)", value,
                       number_of(interval, "low"), number_of(interval, "high"));
    else
        lk_page_put(p, "n/a");
}

static void verdict_write(lk_page *p, const json_t *v)
{
    const char *word = text_of(v, "verdict");
    double seconds = number_of(v, "backfill_seconds");
    bool is_provisional = strcmp(text_of(v, "queries"), "provisional") == 0;

    lk_page_put(p, "<h2>Verdict</h2>\n<p><b>");
    text_put(p, word);
    lk_page_printf(
        p, "</b>: %s</p>\n<p>The new model's difference: ", meaning_of(word));
    interval_put(p, json_object_get(v, "difference"));
    lk_page_printf(p, " MRR@10, by %.0f queries and %.0f records. ",
                   number_of(v, "n_queries"), number_of(v, "anchors"));
    if (is_provisional)
        lk_page_put(p, "The queries were made from the records themselves, "
                       "which may not be what your users ask. ");
    if (isfinite(seconds))
        lk_page_printf(p, "Encoding all records anew takes about %s.",
                       lk_duration(seconds).text);
    lk_page_put(p, "</p>\n");
}

/* ---- ways ----------------------------------------------------------------- */

static void ways_write(lk_page *p, const json_t *v)
{
    static const char *const ways[][2] = {
        {"old", "the model so far"},
        {"align", "new queries, mapped to its vectors"},
        {"fuse", "those, mixed with the old model's queries"},
        {"cascade", "the first hits of these encoded anew"},
        {"new", "the new model throughout"},
    };

    lk_page_put(p, "<h2>Ways to search</h2>\n<table><tr><th></th><th></th><th "
                   "class=\"n\">MRR@10</th><th class=\"n\">recall@1</th><th "
                   "class=\"n\">recall@10</th><th>share of the difference</th>"
                   "</tr>\n");
    for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
        const json_t *way =
            json_object_get(json_object_get(v, "ways"), ways[i][0]);

        lk_page_printf(p, "<tr><td>%s</td><td>%s</td>", ways[i][0], ways[i][1]);
        figure_cell(p, number_of(way, "mrr_10"));
        figure_cell(p, number_of(way, "recall_1"));
        figure_cell(p, number_of(way, "recall_10"));
        lk_page_put(p, "<td>");
        interval_put(p, json_object_get(way, "gain"));
        lk_page_put(p, "</td></tr>\n");
    }
    lk_page_put(p, "</table>\n<p>Maps: ");
    text_put(p, text_of(v, "head"));
    lk_page_printf(p, "; weight of the new model in mixed queries %.1f",
                   number_of(v, "weight"));
    if (json_is_number(json_object_get(v, "ranking_weight")))
        lk_page_put(p, ", in the ranking that puts their first hits in order, "
                       "part of whose worth needs no new model");
    lk_page_printf(
        p,
        ", as a start would take it; each half of the queries is judged with "
        "what the other half has chosen. Of this "
        "sample %.0f hits are encoded anew in a cascade.</p>\n",
        number_of(v, "candidates"));
}

/* ---- matrix --------------------------------------------------------------- */

static void matrix_table(lk_page *p, const json_t *matrix, const char *way,
                         const char *title)
{
    const json_t *models = json_object_get(matrix, "models");
    const json_t *rows = json_object_get(matrix, way);

    lk_page_printf(p, "<div><p>%s</p>\n<table><tr><th>queries of</th>", title);
    for (size_t i = 0; i < json_array_size(models); i++) {
        lk_page_put(p, "<th class=\"n\">vectors of<br>");
        text_put(p, json_string_value(json_array_get(models, i)));
        lk_page_put(p, "</th>");
    }
    lk_page_put(p, "</tr>\n");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);

        lk_page_put(p, "<tr><td>");
        text_put(p, json_string_value(json_array_get(models, i)));
        lk_page_put(p, "</td>");
        for (size_t j = 0; j < json_array_size(row); j++)
            figure_cell(p, json_number_value(json_array_get(row, j)));
        lk_page_put(p, "</tr>\n");
    }
    lk_page_put(p, "</table></div>\n");
}

static void matrix_write(lk_page *p, const json_t *v)
{
    const json_t *matrix = json_object_get(v, "matrix");

    lk_page_put(p,
                "<h2>Compatibility</h2>\n<p>MRR@10 of either model's "
                "queries on either model's vectors. Below the diagonal is "
                "what serves after a start, above it what serves records of "
                "the new model after a rollback.</p>\n<div class=\"two\">\n");
    matrix_table(p, matrix, "align", "mapped");
    matrix_table(p, matrix, "fuse", "mixed");
    lk_page_put(p, "</div>\n");
}

/* ---- backfill ------------------------------------------------------------- */

/* A scale around all values, of round numbers. */
static void scale_fit(lk_curve *curve, const double *y)
{
    double low = curve->level;
    double high = low;

    for (size_t i = 0; i < curve->n; i++) {
        low = fmin(low, y[i]);
        high = fmax(high, y[i]);
    }
    curve->low = floor(low / ROUND) * ROUND;
    curve->high = ceil(high / ROUND) * ROUND;
    if (!(curve->high > curve->low))
        curve->high = curve->low + ROUND;
}

static void backfill_write(lk_page *p, const json_t *v)
{
    const json_t *curve = json_object_get(v, "curve");
    const json_t *points = json_object_get(curve, "points");
    const json_t *old = json_object_get(json_object_get(v, "ways"), "old");
    double x[POINTS_MAX] = {0};
    double y[POINTS_MAX] = {0};
    lk_curve drawn = {.x = x,
                      .y = y,
                      .axis = "share of the records encoded anew",
                      .caption = "MRR@10 of mixed queries during a backfill",
                      .dot_x = (double)NAN,
                      .level = number_of(old, "mrr_10"),
                      .level_name = "the model so far"};

    for (size_t i = 0; i < json_array_size(points) && drawn.n < POINTS_MAX;
         i++) {
        const json_t *point = json_array_get(points, i);

        x[drawn.n] = number_of(point, "share");
        y[drawn.n] = number_of(point, "mrr_10");
        drawn.n += isfinite(x[drawn.n]) && isfinite(y[drawn.n]);
    }
    lk_page_put(p, "<h2>Backfill</h2>\n");
    if (drawn.n == 0)
        return;
    scale_fit(&drawn, y);
    lk_page_curve(p, &drawn);
    lk_page_printf(p, "<p>Mean over the backfill: %.3f.</p>\n",
                   number_of(curve, "area"));
}

/* ---- scores --------------------------------------------------------------- */

static size_t counts_read(const json_t *array, uint64_t *ret_counts)
{
    size_t n = json_array_size(array);

    n = n < BINS_MAX ? n : BINS_MAX;
    for (size_t i = 0; i < n; i++) {
        json_int_t count = json_integer_value(json_array_get(array, i));

        ret_counts[i] = count > 0 ? (uint64_t)count : 0;
    }
    return n;
}

static void histogram_write(lk_page *p, const json_t *counted, const char *axis)
{
    uint64_t matches[BINS_MAX];
    uint64_t others[BINS_MAX];
    lk_histogram h = {
        .series = {matches, others},
        .names = {"looked for", "others"},
        .n = counts_read(json_object_get(counted, "matches"), matches),
        .low = number_of(counted, "low"),
        .high = number_of(counted, "high"),
        .axis = axis,
        .mark = (double)NAN};

    if (h.n > 0 &&
        h.n == counts_read(json_object_get(counted, "others"), others) &&
        h.high > h.low)
        lk_page_histogram(p, &h);
}

static void scores_write(lk_page *p, const json_t *v)
{
    static const char *const ways[][2] = {
        {"old", "The model so far"},
        {"fuse", "Mixed queries on its vectors"},
        {"new", "The new model throughout"},
    };

    lk_page_put(p,
                "<h2>Scores before and after calibration</h2>\n<p>Of a query "
                "with the record it looks for and with all others. Scores "
                "of two models say different things; their log-odds are "
                "one scale. Heights are logarithms.</p>\n");
    for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
        lk_page_printf(p, "<h3>%s</h3>\n<div class=\"two\">\n", ways[i][1]);
        histogram_write(
            p, json_object_get(json_object_get(v, "scores"), ways[i][0]),
            "score");
        histogram_write(
            p, json_object_get(json_object_get(v, "log_odds"), ways[i][0]),
            "log-odds");
        lk_page_put(p, "</div>\n");
    }
}

/* ---- examples ------------------------------------------------------------- */

static void rank_put(lk_page *p, const json_t *ranks, const char *way)
{
    double rank = number_of(ranks, way);

    if (rank > 0.0)
        lk_page_printf(p, "%.0f", rank);
    else
        lk_page_put(p, "none");
}

static void example_row(lk_page *p, const char *name, const char *text)
{
    lk_page_printf(p, "<tr><td style=\"width:11em\">%s</td><td>", name);
    text_put(p, text);
    lk_page_put(p, "</td></tr>\n");
}

static void example_write(lk_page *p, const json_t *example)
{
    const json_t *ranks = json_object_get(example, "ranks");

    lk_page_put(p, "<table>\n");
    example_row(p, "query", text_of(example, "query"));
    example_row(p, "looks for", text_of(example, "answer"));
    example_row(p, "first so far", text_of(example, "old_first"));
    example_row(p, "first by the new model", text_of(example, "new_first"));
    lk_page_put(p, "<tr><td>rank</td><td>");
    rank_put(p, ranks, "old");
    lk_page_put(p, " so far, ");
    rank_put(p, ranks, "fuse");
    lk_page_put(p, " mixed, ");
    rank_put(p, ranks, "cascade");
    lk_page_put(p, " in a cascade, ");
    rank_put(p, ranks, "new");
    lk_page_put(p, " by the new model</td></tr></table>\n");
}

static void examples_write(lk_page *p, const json_t *v, const char *name,
                           const char *title)
{
    const json_t *examples =
        json_object_get(json_object_get(v, "examples"), name);

    lk_page_printf(p, "<h2>%s</h2>\n<p>Ranks are among the first ten.</p>\n",
                   title);
    for (size_t i = 0; i < json_array_size(examples); i++)
        example_write(p, json_array_get(examples, i));
    if (json_array_size(examples) == 0)
        lk_page_put(p, "<p>There are none.</p>\n");
}

/* ---- all ------------------------------------------------------------------ */

static void parts_write(lk_page *p, const json_t *verdict)
{
    verdict_write(p, verdict);
    ways_write(p, verdict);
    matrix_write(p, verdict);
    backfill_write(p, verdict);
    scores_write(p, verdict);
    examples_write(p, verdict, "better", "Queries that get better");
    examples_write(p, verdict, "worse", "Queries that get worse");
}

int lk_upgrade_report_make(const char *collection, const char *model,
                           const json_t *verdict, lk_buf *ret_html,
                           linkd_error *err)
{
    lk_page page = {.rc = LINKD_OK, .err = err};

    lk_page_begin(&page, "upgrade probe");
    lk_page_put(&page, ": ");
    text_put(&page, collection);
    lk_page_put(&page, " to ");
    text_put(&page, model);
    lk_page_put(&page, "</h1>\n");
    if (json_is_object(verdict))
        parts_write(&page, verdict);
    else
        lk_page_put(&page, "<p>The collection had this model before, and its "
                           "maps are there: a start goes back to it.</p>\n");
    lk_page_put(&page, "</body></html>\n");
    if (page.rc == LINKD_OK)
        *ret_html = page.html;
    else
        lk_buf_clear(&page.html);
    return page.rc;
}
