/* compat/pairs.h — private: checked and normalised rows of both sides, which
 * every head is fitted on. */
#ifndef LK_COMPAT_PAIRS_H
#define LK_COMPAT_PAIRS_H

#include "compat/compat.h"

typedef struct lk_pairs {
    float *from; /* [n, dim_from], of length 1 */
    float *to;   /* [n, dim_to], of length 1; NULL: there is no other side */
    uint64_t *labels; /* [n] in the order of the rows, or NULL */
    size_t n;
    size_t dim_from, dim_to;
} lk_pairs;

/* Row i / |row i| in place; a zero row stays. Answers its length. */
float lk_row_normalise(float *row, size_t dim);

/* ret_mean [dim]; rows [n, dim], n > 0 */
void lk_rows_mean(const float *rows, size_t n, size_t dim, double *ret_mean);

/* rows - mean, in double; freed with free(). NULL: no memory. */
double *lk_rows_centred(const float *rows, size_t n, size_t dim,
                        const double *mean);

/* LINKD_E_ARG: other numbers of rows or dimensions than compat.h allows. */
LINKD_MUST_CHECK int lk_pairs_check(const linkd_rows *from,
                                    const linkd_rows *to, linkd_error *err);

/* What messages call the first side's rows. */
const char *lk_from_name(const linkd_compat_fit_options *options);

/* Copies in a random order, by options' seed and with its labels; `to` may be
 * NULL. LINKD_E_DATA: as linkd_compat_normalise(), or all rows of a side are
 * alike. */
LINKD_MUST_CHECK int lk_pairs_make(const linkd_rows *from, const linkd_rows *to,
                                   const linkd_compat_fit_options *options,
                                   lk_pairs *ret_pairs, linkd_error *err);
void lk_pairs_clear(lk_pairs *pairs);
/* Borrowed pairs [first, first + n). */
lk_pairs lk_pairs_part(const lk_pairs *pairs, size_t first, size_t n);

#endif
