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

/* ---- charts ------------------------------------------------------------- */

static double x_of(double share)
{
    return LEFT + PLOT_WIDTH * share;
}

static double y_of(double share)
{
    return TOP + PLOT_HEIGHT * (1.0 - share);
}

static void chart_begin(lk_page *page, const char *axis)
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
                       "text-anchor=\"middle\">%.1f</text>\n",
                       x_of((double)i / TICKS), y_of(0) + 16,
                       (double)i / TICKS);
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
                       colours[s], (double)i * slot, (double)(i + 1) * slot,
                       h->series[s][i], h->names[s]);
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
    if (!(h->mark >= 0.0 && h->mark <= 1.0))
        return;
    lk_page_printf(page,
                   "<path class=\"mark\" d=\"M%.1f %dV%.0f\" "
                   "stroke=\"#b5483a\" stroke-width=\"2\" "
                   "stroke-dasharray=\"5 3\"/>\n",
                   x_of(h->mark), TOP - 6, y_of(0));
    lk_page_printf(page,
                   "<text x=\"%.1f\" y=\"%d\" text-anchor=\"%s\" "
                   "fill=\"#b5483a\">%s %.2f</text>\n",
                   x_of(h->mark), TOP - 10, h->mark > 0.5 ? "end" : "start",
                   h->mark_name, h->mark);
}

void lk_page_histogram(lk_page *page, const lk_histogram *histogram)
{
    double highest = highest_of(histogram);

    chart_begin(page, histogram->axis);
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

/* ---- precision and recall ------------------------------------------------ */

void lk_page_curve(lk_page *page, const lk_curve *curve)
{
    chart_begin(page, "recall");
    for (size_t i = 1; i <= TICKS; i++) {
        char label[32];

        (void)snprintf(label, sizeof(label), "%.1f", (double)i / TICKS);
        y_tick(page, (double)i / TICKS, label);
    }
    lk_page_put(page, "<polyline fill=\"none\" stroke=\"#3b5b92\" "
                      "stroke-width=\"2\" points=\"");
    for (size_t i = 0; i < curve->n; i++)
        lk_page_printf(page, "%.1f,%.1f ", x_of(curve->recall[i]),
                       y_of(curve->precision[i]));
    lk_page_printf(page,
                   "\"/>\n<circle cx=\"%.1f\" cy=\"%.1f\" r=\"5\" "
                   "fill=\"#b5483a\"><title>the result</title></circle>\n",
                   x_of(curve->result_recall), y_of(curve->result_precision));
    lk_page_printf(page,
                   "<text x=\"%d\" y=\"18\">precision of the candidates from "
                   "each probability on; the dot is the result</text>\n"
                   "</svg>\n",
                   LEFT);
}
