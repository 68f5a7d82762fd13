/* cli/page.c — a page of HTML as it is written, and the charts on it. Charts
 * are SVG within the page: it is one file that needs nothing else. */
#include "cli/page.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/markup.h"

enum {
    WIDTH = 640,
    HEIGHT = 250,
    LEFT = 60,
    RIGHT = 20,
    TOP = 48,
    BOTTOM = 40,
    PLOT_WIDTH = WIDTH - LEFT - RIGHT,
    PLOT_HEIGHT = HEIGHT - TOP - BOTTOM,
    TICKS = 5,
};

static const char *const colours[2] = {"#2a7f62", "#a9b4c2"};

void lk_page_put(lk_page *page, const char *markup)
{
    if (page->rc == LINKD_OK)
        page->rc =
            lk_buf_append(&page->html, markup, strlen(markup), page->err);
}

void lk_page_printf(lk_page *page, const char *format, ...)
{
    char text[1024];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    lk_page_put(page, text);
}

void lk_page_text(lk_page *page, linkd_str text, size_t max_chars)
{
    if (page->rc == LINKD_OK)
        page->rc = lk_markup_append(&page->html, text, max_chars, page->err);
}

static const char style[] =
    "body{font:15px/1.45 sans-serif;color:#223;margin:2em auto;"
    "max-width:60em;padding:0 1em}h1{font-size:1.5em}h2{font-size:1.15em;"
    "margin-top:2em;border-bottom:1px solid #ccd}table{border-collapse:"
    "collapse;margin:.6em 0}th,td{padding:.2em .8em .2em 0;text-align:left;"
    "vertical-align:top;border-bottom:1px solid #eef}th{color:#667;"
    "font-weight:normal}td.n,th.n{text-align:right;white-space:nowrap}"
    "td{overflow-wrap:anywhere}svg{font:12px sans-serif;max-width:100%;"
    "height:auto}.bar{background:#3b5b92;height:.8em;display:inline-block}"
    ".up{color:#2a7f62}.down{color:#b5483a}.doubt{background:#fbeee6;"
    "padding:.6em 1em}.pair{margin:1.2em 0}.pair table{width:100%;"
    "table-layout:fixed}.two{display:grid;grid-template-columns:1fr 1fr;"
    "gap:0 1em}";

void lk_page_begin(lk_page *page, const char *command)
{
    lk_page_put(page, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta "
                      "charset=\"utf-8\">\n<meta http-equiv=\""
                      "Content-Security-Policy\" content=\"default-src "
                      "'none'; style-src 'unsafe-inline'\">\n<meta "
                      "name=\"viewport\" content=\"width=device-width\">\n"
                      "<title>linkctl ");
    lk_page_put(page, command);
    lk_page_put(page, "</title>\n<style>");
    lk_page_put(page, style);
    lk_page_put(page, "</style></head><body>\n<h1>linkctl ");
    lk_page_put(page, command);
}

/* ---- charts ------------------------------------------------------------- */

static double x_of(double share)
{
    return LEFT + PLOT_WIDTH * share;
}

static double y_of(double share)
{
    return TOP + PLOT_HEIGHT * (1.0 - share);
}

/* Digits behind the point that tell the ticks of a scale apart. */
static int digits_of(double low, double high)
{
    double step = (high - low) / TICKS;

    return step < 0.002 ? 4 : step < 0.02 ? 3 : step < 0.1 ? 2 : 1;
}

static double tick_of(double low, double high, size_t i)
{
    return low + (high - low) * (double)i / TICKS;
}

/* x runs from `low` to `high`. */
static void chart_begin(lk_page *page, const char *axis, double low,
                        double high)
{
    lk_page_printf(page,
                   "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" "
                   "height=\"%d\" viewBox=\"0 0 %d %d\" role=\"img\">\n",
                   WIDTH, HEIGHT, WIDTH, HEIGHT);
    lk_page_printf(page,
                   "<path d=\"M%.0f %.0fV%.0fH%.0f\" fill=\"none\" "
                   "stroke=\"#667\"/>\n",
                   x_of(0), y_of(1), y_of(0), x_of(1));
    for (size_t i = 0; i <= TICKS; i++)
        lk_page_printf(page,
                       "<text x=\"%.0f\" y=\"%.0f\" "
                       "text-anchor=\"middle\">%.*f</text>\n",
                       x_of((double)i / TICKS), y_of(0) + 16,
                       digits_of(low, high), tick_of(low, high, i));
    lk_page_printf(page,
                   "<text x=\"%.0f\" y=\"%d\" text-anchor=\"middle\">%s"
                   "</text>\n",
                   x_of(0.5), HEIGHT - 6, axis);
}

static void y_tick(lk_page *page, double share, const char *label)
{
    lk_page_printf(page,
                   "<text x=\"%d\" y=\"%.0f\" text-anchor=\"end\">%s</text>"
                   "<path d=\"M%.0f %.1fH%.0f\" stroke=\"#dde\"/>\n",
                   LEFT - 6, y_of(share) + 4, label, x_of(0), y_of(share),
                   x_of(1));
}

/* ---- histogram ---------------------------------------------------------- */

/* log10(1 + n), so that one is seen and none is not. */
static double height_of(uint64_t n)
{
    return log10(1.0 + (double)n);
}

static double highest_of(const lk_histogram *h)
{
    double highest = 1.0;

    for (size_t s = 0; s < 2; s++)
        for (size_t i = 0; h->series[s] != NULL && i < h->n; i++)
            highest = fmax(highest, height_of(h->series[s][i]));
    return highest;
}

static double value_of(const lk_histogram *h, double share)
{
    return h->low + (h->high - h->low) * share;
}

static void series_draw(lk_page *page, const lk_histogram *h, size_t s,
                        double highest)
{
    size_t n_series = h->series[1] != NULL ? 2 : 1;
    double slot = 1.0 / (double)h->n;
    double width = 0.86 * slot / (double)n_series;

    for (size_t i = 0; i < h->n; i++) {
        double share = height_of(h->series[s][i]) / highest;

        if (h->series[s][i] == 0)
            continue;
        lk_page_printf(page,
                       "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" "
                       "height=\"%.1f\" fill=\"%s\"><title>%.2f to %.2f: "
                       "%" PRIu64 " %s</title></rect>\n",
                       x_of((double)i * slot + width * (double)s + 0.07 * slot),
                       y_of(share), PLOT_WIDTH * width, PLOT_HEIGHT * share,
                       colours[s], value_of(h, (double)i * slot),
                       value_of(h, (double)(i + 1) * slot), h->series[s][i],
                       h->names[s]);
    }
}

static void legend_draw(lk_page *page, const lk_histogram *h)
{
    for (size_t s = 0; s < 2 && h->series[s] != NULL; s++)
        lk_page_printf(page,
                       "<rect x=\"%d\" y=\"8\" width=\"12\" height=\"12\" "
                       "fill=\"%s\"/><text x=\"%d\" y=\"18\">%s</text>\n",
                       LEFT + 130 * (int)s, colours[s],
                       LEFT + 18 + 130 * (int)s, h->names[s]);
}

static void mark_draw(lk_page *page, const lk_histogram *h)
{
    double share = (h->mark - h->low) / (h->high - h->low);

    if (!(share >= 0.0 && share <= 1.0))
        return;
    lk_page_printf(page,
                   "<path class=\"mark\" d=\"M%.1f %dV%.0f\" "
                   "stroke=\"#b5483a\" stroke-width=\"2\" "
                   "stroke-dasharray=\"5 3\"/>\n",
                   x_of(share), TOP - 6, y_of(0));
    lk_page_printf(page,
                   "<text x=\"%.1f\" y=\"%d\" text-anchor=\"%s\" "
                   "fill=\"#b5483a\">%s %.2f</text>\n",
                   x_of(share), TOP - 10, share > 0.5 ? "end" : "start",
                   h->mark_name, h->mark);
}

void lk_page_histogram(lk_page *page, const lk_histogram *histogram)
{
    double highest = highest_of(histogram);

    chart_begin(page, histogram->axis, histogram->low, histogram->high);
    for (double n = 10.0; height_of((uint64_t)n) <= highest; n *= 10.0) {
        char label[32];

        (void)snprintf(label, sizeof(label), "%.0f", n);
        y_tick(page, height_of((uint64_t)n) / highest, label);
    }
    series_draw(page, histogram, 0, highest);
    if (histogram->series[1] != NULL)
        series_draw(page, histogram, 1, highest);
    legend_draw(page, histogram);
    mark_draw(page, histogram);
    lk_page_put(page, "</svg>\n");
}

/* ---- curve -------------------------------------------------------------- */

static double share_of(const lk_curve *c, double y)
{
    return (y - c->low) / (c->high - c->low);
}

static void dot_draw(lk_page *page, const lk_curve *c)
{
    if (!isfinite(c->dot_x) || !isfinite(c->dot_y))
        return;
    lk_page_printf(page,
                   "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"5\" "
                   "fill=\"#b5483a\"><title>%s</title></circle>\n",
                   x_of(c->dot_x), y_of(share_of(c, c->dot_y)), c->dot_name);
}

static void level_draw(lk_page *page, const lk_curve *c)
{
    double y = y_of(share_of(c, c->level));

    if (!isfinite(c->level))
        return;
    lk_page_printf(page,
                   "<path d=\"M%.0f %.1fH%.0f\" stroke=\"#b5483a\" "
                   "stroke-width=\"2\" stroke-dasharray=\"5 3\"/>\n"
                   "<text x=\"%.0f\" y=\"%.1f\" text-anchor=\"end\" "
                   "fill=\"#b5483a\">%s</text>\n",
                   x_of(0), y, x_of(1), x_of(1), y - 5, c->level_name);
}

void lk_page_curve(lk_page *page, const lk_curve *curve)
{
    chart_begin(page, curve->axis, 0.0, 1.0);
    for (size_t i = 1; i <= TICKS; i++) {
        char label[32];

        (void)snprintf(label, sizeof(label), "%.*f",
                       digits_of(curve->low, curve->high),
                       tick_of(curve->low, curve->high, i));
        y_tick(page, (double)i / TICKS, label);
    }
    lk_page_put(page, "<polyline fill=\"none\" stroke=\"#3b5b92\" "
                      "stroke-width=\"2\" points=\"");
    for (size_t i = 0; i < curve->n; i++)
        lk_page_printf(page, "%.1f,%.1f ", x_of(curve->x[i]),
                       y_of(share_of(curve, curve->y[i])));
    lk_page_put(page, "\"/>\n");
    level_draw(page, curve);
    dot_draw(page, curve);
    lk_page_printf(page, "<text x=\"%d\" y=\"18\">%s</text>\n</svg>\n", LEFT,
                   curve->caption);
}
