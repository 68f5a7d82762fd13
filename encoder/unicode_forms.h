/* encoder/unicode_forms.h — the generated tables behind unicode_normal.c and
 * graphemes.c: what Hugging Face's tokenizers answer. */
#ifndef LK_ENCODER_UNICODE_FORMS_H
#define LK_ENCODER_UNICODE_FORMS_H

#include "encoder/unicode_tables.h"

typedef struct lk_unicode_composition {
    uint32_t first, second, composed;
} lk_unicode_composition;

/* Runs of code points with an equal shape, by their first: cp << 8 | shape. A
 * shape is a grapheme class, a byte-level class and flags; see unicode.h. */
extern const size_t lk_unicode_n_shapes;
extern const uint32_t lk_unicode_shapes[];

/* The combining class of every code point whose class is not 0: cp << 8 |
 * class, sorted. */
extern const size_t lk_unicode_n_classes;
extern const uint32_t lk_unicode_classes[];

/* Full canonical decompositions without Hangul, as in unicode_tables.h, and the
 * pairs that compose, sorted. */
extern const size_t lk_unicode_n_full_decompositions;
extern const lk_unicode_pair lk_unicode_full_decompositions[];
extern const size_t lk_unicode_n_compositions;
extern const lk_unicode_composition lk_unicode_compositions[];

/* What NFKD makes of code points that NFD makes something else of, likewise. */
extern const size_t lk_unicode_n_compatible_decompositions;
extern const lk_unicode_pair lk_unicode_compatible_decompositions[];

/* Runs of code points of one general category, by their first: cp << 8 | number
 * of the category among the names. */
enum { LK_N_CATEGORIES = 30 };
extern const char lk_unicode_category_names[LK_N_CATEGORIES][3];
extern const size_t lk_unicode_n_categories;
extern const uint32_t lk_unicode_categories[];

#endif
