/* linkage/similarity.h — private: how alike two strings or two values are.
 * All answers lie within 0 and 1, are symmetric, and allocate nothing. Strings
 * are UTF-8 and are compared by code point; those longer than the named limits
 * are compared by their beginnings. */
#ifndef LK_LINKAGE_SIMILARITY_H
#define LK_LINKAGE_SIMILARITY_H

#include "base/base.h"

enum {
    LK_EDIT_MAX_CHARS = 128,
};

/* Jaro-Winkler, prefix weight 0.1 on up to 4 characters (Winkler 1990). */
float lk_jaro_winkler(linkd_str a, linkd_str b);

/* 1 - distance / longer length; distance counts insertions, deletions,
 * substitutions and swaps of neighbours (optimal string alignment; bit-parallel
 * after Hyyrö 2003 where a string fits a machine word). */
float lk_edit_similarity(linkd_str a, linkd_str b);

/* How much one word stands for another: 1 if equal; words with digits half
 * their edit similarity from 0.79 on; an initial 0.6; else the square of
 * Jaro-Winkler from 0.84 on; else 0. */
float lk_word_similarity(linkd_str a, linkd_str b);

/* ---- values ------------------------------------------------------------- */

/* A number as people write it: sign, currency sign or percent, thousands
 * separators ("1,299.00", "1.299,00", "1 299"), exponent. False if the cell is
 * anything else. */
bool lk_number_parse(linkd_str cell, double *ret_number);

/* A calendar date as days since 1970-01-01 (proleptic Gregorian): 2001-02-28,
 * 2001/2/28, 20010228, 28.02.2001, 28/02/2001 or 02/28/2001 as `month_first`
 * says, 28 Feb 2001, February 28, 2001, each also followed by a time. A bare
 * year is a number, not a date. False if the cell is anything else. */
bool lk_date_parse(linkd_str cell, bool month_first, int64_t *ret_days);
/* Tells whether a column of dates writes the month first: only one reading of
 * all its cells is possible, or neither fails. */
typedef struct lk_date_order {
    size_t n_day_first;   /* cells that only day-first reads */
    size_t n_month_first; /* cells that only month-first reads */
    size_t n_either;      /* cells that both read */
} lk_date_order;
void lk_date_order_see(lk_date_order *order, linkd_str cell);

/* exp(-|a - b| / width); 0 for a width of 0 and different numbers. */
float lk_number_closeness(double a, double b, double width);

#endif
