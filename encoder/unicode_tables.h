/* encoder/unicode_tables.h — the generated tables that unicode.c searches. */
#ifndef LK_ENCODER_UNICODE_TABLES_H
#define LK_ENCODER_UNICODE_TABLES_H

#include <stddef.h>
#include <stdint.h>

typedef struct lk_unicode_pair {
    uint32_t from, to;
} lk_unicode_pair;

/* Runs of code points with equal properties, by their first: cp << 8 | LK_CP_*.
 * Starts at code point 0 and covers them all. */
extern const size_t lk_unicode_n_ranges;
extern const uint32_t lk_unicode_ranges[];

/* The combining class of every mark that accent stripping leaves in place:
 * cp << 8 | class, sorted. */
extern const size_t lk_unicode_n_orders;
extern const uint32_t lk_unicode_orders[];

/* A code point and one code point of what replaces it; neighbours with the
 * same `from` are one replacement. Sorted by `from`. Decompositions are full,
 * without the stripped marks and without Hangul, which is computed. */
extern const size_t lk_unicode_n_decompositions;
extern const lk_unicode_pair lk_unicode_decompositions[];
extern const size_t lk_unicode_n_lowers;
extern const lk_unicode_pair lk_unicode_lowers[];

#endif
