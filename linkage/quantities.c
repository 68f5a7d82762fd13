/* linkage/quantities.c — numbers and dates that are to be compared.
 *
 * Two prices of 9.99 and 12.99 are close where prices differ by hundreds and far
 * apart where they differ by cents: distances are measured in the field's own
 * spread. Where values span more than a factor of 20 their logarithms are
 * compared, since 1,000 is to 1,100 what 10 is to 11; the spread is then that of
 * the logarithms. */
#include "linkage/quantities.h"

#include <math.h>
#include <stdlib.h>

#include "linkage/similarity.h"
#include "linkage/text.h"

/* Of the robust deviation; measured with the prototype's other constants, not
 * by itself. */
static const double WIDTH_SHARE = 0.25;
/* Quartiles of a normal distribution are this many deviations apart. */
static const double QUARTILES = 1.35;

static double cell_read(linkd_cell cell, const linkd_column_profile *profile)
{
    linkd_str text = lk_str_trim((linkd_str){cell.bytes, cell.len});
    int64_t days = 0;
    double number = 0.0;

    if (profile->type == LINKD_HOLDS_DATE) {
        if (!lk_date_parse(text, profile->month_first, &days))
            return (double)NAN;
        number = (double)days;
    } else if (!lk_number_parse(text, &number)) {
        return (double)NAN;
    }
    if (profile->logarithmic)
        return number > 0.0 ? log(number) : (double)NAN;
    return isfinite(number) ? number : (double)NAN;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

static int spread_of(const double *values, size_t n, double *ret_spread,
                     linkd_error *err)
{
    double *sorted = calloc(n + 1, sizeof(*sorted));
    size_t n_sorted = 0;

    if (sorted == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < n; i++)
        if (!isnan(values[i]))
            sorted[n_sorted++] = values[i];
    qsort(sorted, n_sorted, sizeof(*sorted), ascending);
    *ret_spread = (sorted[n_sorted * 3 / 4] - sorted[n_sorted / 4]) / QUARTILES;
    free(sorted);
    return LINKD_OK;
}

int lk_quantities_make(const linkd_table *const tables[2],
                       const lk_field *field, lk_quantities *ret_quantities,
                       linkd_error *err)
{
    size_t n_left = linkd_table_n_rows(tables[0]);
    size_t n_right = tables[1] != NULL ? linkd_table_n_rows(tables[1]) : 0;
    lk_quantities q = {.values =
                           calloc(n_left + n_right + 1, sizeof(*q.values))};
    double spread = field->profile.spread;
    int rc = LINKD_OK;

    if (q.values == NULL)
        return lk_fail_nomem(err);
    for (size_t r = 0; r < n_left + n_right; r++) {
        size_t side = r >= n_left;

        q.values[r] =
            cell_read(linkd_table_cell(tables[side], r - side * n_left,
                                       field->columns[side]),
                      &field->profile);
    }
    if (field->profile.logarithmic)
        rc = spread_of(q.values, n_left + n_right, &spread, err);
    q.width = WIDTH_SHARE * spread;
    if (rc == LINKD_OK)
        *ret_quantities = q;
    else
        lk_quantities_clear(&q);
    return rc;
}

void lk_quantities_clear(lk_quantities *quantities)
{
    free(quantities->values);
    *quantities = (lk_quantities){0};
}

float lk_quantities_closeness(const lk_quantities *quantities, size_t a,
                              size_t b)
{
    double x = quantities->values[a];
    double y = quantities->values[b];

    return isnan(x) || isnan(y) ? NAN
                                : lk_number_closeness(x, y, quantities->width);
}
