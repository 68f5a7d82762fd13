/* cli/waterfall.c — an explanation as a picture: what each part adds to the
 * log-odds, every bar beginning where the one before it ended.
 *
 *   prior           ▄▄▄▄▄▄|                       -4.21
 *   name                  |  ▄▄▄▄▄▄▄▄▄▄▄▄▄        +7.80
 *   total                 |▄▄▄▄▄▄▄▄▄▄             +6.27
 *
 * The scale fits all of it, zero included. */
#include <math.h>
#include <string.h>

#include "cli/explanation.h"
#include "cli/markup.h"

enum {
    WIDTH = 720,
    BARS_LEFT = 170, /* pixels before the bars, for names */
    BARS_WIDTH = 460,
    ROW_HEIGHT = 26,
    BAR_HEIGHT = 16,
    TOP = 40,
    NAME_CHARS = 22,
};

#define COLOUR_UP    "#2a7f62"
#define COLOUR_DOWN  "#b5483a"
#define COLOUR_TOTAL "#3b5b92"

typedef struct waterfall {
    lk_buf *svg;
    linkd_error *err;
    double low, high; /* of the scale */
    double at;        /* where the next bar begins */
    size_t row;
} waterfall;

static double part_of(const linkd_explanation *e, size_t i)
{
    if (i == 0)
        return e->prior;
    if (i <= e->n_fields)
        return e->fields[i - 1].log_odds;
    return i == e->n_fields + 1 ? e->record : e->competition;
}

static linkd_str name_of(const linkd_explanation *e, size_t i)
{
    if (i == 0)
        return (linkd_str){"(prior)", 7};
    if (i <= e->n_fields)
        return e->fields[i - 1].name;
    return i == e->n_fields + 1 ? (linkd_str){"(whole record)", 14}
                                : (linkd_str){"(competition)", 13};
}

static void scale_find(waterfall *w, const linkd_explanation *e)
{
    double sum = 0.0;

    for (size_t i = 0; i < e->n_fields + 3; i++) {
        sum += part_of(e, i);
        w->low = fmin(w->low, sum);
        w->high = fmax(w->high, sum);
    }
    if (w->high - w->low < 1.0)
        w->high = w->low + 1.0;
}

static double x_of(const waterfall *w, double value)
{
    return BARS_LEFT + BARS_WIDTH * (value - w->low) / (w->high - w->low);
}

static int bar_append(waterfall *w, linkd_str name, double from, double to,
                      const char *colour)
{
    double y = TOP + ROW_HEIGHT * (double)w->row++;
    double x = x_of(w, fmin(from, to));
    double width = fmax(x_of(w, fmax(from, to)) - x, 1.0);
    int rc = lk_buf_printf(w->svg, w->err,
                           "<text x=\"%d\" y=\"%.0f\" text-anchor=\"end\">",
                           BARS_LEFT - 10, y + 13);

    if (rc == LINKD_OK)
        rc = lk_markup_append(w->svg, name, NAME_CHARS, w->err);
    if (rc == LINKD_OK)
        rc = lk_buf_printf(
            w->svg, w->err,
            "</text><rect x=\"%.1f\" y=\"%.0f\" width=\"%.1f\" height=\"%d\" "
            "fill=\"%s\"/><text x=\"%d\" y=\"%.0f\" "
            "text-anchor=\"end\">%+.2f</text>\n",
            x, y, width, BAR_HEIGHT, colour, WIDTH - 10, y + 13,
            fabs(to - from) < 0.005 ? 0.0 : to - from);
    return rc;
}

static int bars_append(waterfall *w, const linkd_explanation *e)
{
    int rc = LINKD_OK;

    for (size_t i = 0; i < e->n_fields + 3 && rc == LINKD_OK; i++) {
        double part = part_of(e, i);

        rc = bar_append(w, name_of(e, i), w->at, w->at + part,
                        part >= 0.0 ? COLOUR_UP : COLOUR_DOWN);
        w->at += part;
    }
    return rc == LINKD_OK ? bar_append(w, (linkd_str){"total", 5}, 0.0,
                                       e->log_odds, COLOUR_TOTAL)
                          : rc;
}

static int title_append(waterfall *w, const lk_told *told)
{
    const linkd_candidate *c = &told->explanation->candidate;
    lk_id_storage storage;
    linkd_str left = lk_id_text(told->tables[0], c->left, &storage);
    int rc = lk_buf_printf(w->svg, w->err,
                           "<text x=\"10\" y=\"22\" font-weight=\"bold\">");

    if (rc == LINKD_OK)
        rc = lk_markup_append(w->svg, left, NAME_CHARS, w->err);
    if (rc == LINKD_OK)
        rc = lk_buf_append(w->svg, " ~ ", 3, w->err);
    if (rc == LINKD_OK)
        rc = lk_markup_append(w->svg,
                              lk_id_text(told->tables[1], c->right, &storage),
                              NAME_CHARS, w->err);
    if (rc == LINKD_OK)
        rc = lk_buf_printf(
            w->svg, w->err, ": probability %.4f, %s (log-odds)</text>\n",
            (double)c->probability, c->accepted ? "accepted" : "not accepted");
    return rc;
}

int lk_explanation_svg(const lk_told *told, lk_buf *ret_svg, linkd_error *err)
{
    const linkd_explanation *e = told->explanation;
    waterfall w = {.svg = ret_svg, .err = err};
    size_t height = TOP + ROW_HEIGHT * (e->n_fields + 4) + 10;
    int rc;

    scale_find(&w, e);
    rc = lk_buf_printf(
        ret_svg, err,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" "
        "height=\"%zu\" viewBox=\"0 0 %d %zu\" role=\"img\" "
        "font-family=\"sans-serif\" font-size=\"13\" fill=\"#222\">\n"
        "<rect width=\"%d\" height=\"%zu\" fill=\"#fff\"/>\n",
        WIDTH, height, WIDTH, height, WIDTH, height);
    if (rc == LINKD_OK)
        rc = title_append(&w, told);
    if (rc == LINKD_OK)
        rc = lk_buf_printf(ret_svg, err,
                           "<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%zu\" "
                           "stroke=\"#999\"/>\n",
                           x_of(&w, 0.0), TOP - 6, x_of(&w, 0.0), height - 8);
    if (rc == LINKD_OK)
        rc = bars_append(&w, e);
    return rc == LINKD_OK ? lk_buf_printf(ret_svg, err, "</svg>\n") : rc;
}
