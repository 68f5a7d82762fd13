/* cli/page.h — a page of HTML as it is written. */
#ifndef LINKD_CLI_PAGE_H
#define LINKD_CLI_PAGE_H

#include "base/base.h"

/* Appends and keeps the first failure, so that a page can be written line by
 * line and be checked at its end. */
typedef struct lk_page {
    lk_buf html;
    int rc;
    linkd_error *err;
} lk_page;

/* Our own markup, as it is. */
void lk_page_put(lk_page *page, const char *markup);
/* The same; at most 1 kB comes out of it, of arguments that are ours. */
void lk_page_printf(lk_page *page, const char *format, ...) LK_PRINTF(2, 3);
/* Foreign text, see lk_markup_append(). */
void lk_page_text(lk_page *page, linkd_str text, size_t max_chars);

/* From the document's beginning to the title within <h1>, which is left open for
 * what the page is about: "linkctl <command>". A browser that shows the page is
 * told to run no script and to load nothing. */
void lk_page_begin(lk_page *page, const char *command);

/* Bars of how many lie in each of `n` equal parts from `low` to `high`; two
 * series, of which the second may be NULL. Heights are logarithms: most
 * candidates are nothing alike. A `mark` within that is drawn as a line. */
typedef struct lk_histogram {
    const uint64_t *series[2]; /* each [n] */
    const char *names[2];
    size_t n;
    double low, high;
    const char *axis;
    double mark; /* NAN: none */
    const char *mark_name;
} lk_histogram;
void lk_page_histogram(lk_page *page, const lk_histogram *histogram);

/* A line through points, x from 0 to 1 and y from `low` to `high`. */
typedef struct lk_curve {
    const double *x, *y; /* [n] */
    size_t n;
    double low, high;
    const char *axis; /* of x */
    const char *caption;
    double dot_x, dot_y; /* NAN: none */
    const char *dot_name;
    double level; /* a line across at this y; NAN: none */
    const char *level_name;
} lk_curve;
void lk_page_curve(lk_page *page, const lk_curve *curve);

#endif
