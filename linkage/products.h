/* linkage/products.h — private: inner products of one row of bytes with many. */
#ifndef LK_LINKAGE_PRODUCTS_H
#define LK_LINKAGE_PRODUCTS_H

#include "linkage/collection.h"

/* Rows have a multiple of so many numbers, LINKD_DIM_MAX at most, and begin at an
 * address that is one, too. */
#define LK_PRODUCTS_STEP ((size_t)64)

/* query [dim], rows [n, dim], ret_products [n]. */
typedef void lk_products_fn(const int8_t *query, const uint8_t *rows, size_t n,
                            size_t dim, int32_t *ret_products);

/* Of the ways in which this processor can do it, from 0, the fastest first, which
 * agree bit for bit. NULL: there are no more. */
lk_products_fn *lk_products_nth(size_t nth);

#endif
