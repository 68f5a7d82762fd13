/* linkage/quantities.h — private: a field of numbers or dates as numbers. */
#ifndef LK_LINKAGE_QUANTITIES_H
#define LK_LINKAGE_QUANTITIES_H

#include "linkage/features.h"

typedef struct lk_quantities {
    double *values; /* [n_records]; NAN: no number, or no date. Logarithms where
                       the profile says so. */
    double width;   /* a distance that is much: for lk_number_closeness() */
} lk_quantities;

/* `tables` as in lk_features_source; the field holds LINKD_HOLDS_NUMBER or
 * LINKD_HOLDS_DATE. */
LINKD_MUST_CHECK int lk_quantities_make(const linkd_table *const tables[2],
                                        const lk_field *field,
                                        lk_quantities *ret_quantities,
                                        linkd_error *err);
void lk_quantities_clear(lk_quantities *quantities);

/* NAN where one of the two is. */
float lk_quantities_closeness(const lk_quantities *quantities, size_t a,
                              size_t b);

#endif
