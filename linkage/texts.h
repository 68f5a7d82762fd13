/* linkage/texts.h — private: the words of every record, in one form.
 *
 * Records are numbered over both tables: record r below n_left is row r of the
 * left table, any other is row r - n_left of the right one. A single table that
 * is compared with itself is the left one, and there is no right one. */
#ifndef LK_LINKAGE_TEXTS_H
#define LK_LINKAGE_TEXTS_H

#include "linkage/linkage.h"

/* Words in lower case, without marks, with one space between them. The words of
 * record r are bytes[offsets[r]] … bytes[offsets[r + 1] - 1]. */
typedef struct lk_texts {
    char *bytes;
    size_t *offsets; /* [n + 1] */
    size_t n;        /* records of both sides */
    size_t n_left;
} lk_texts;

/* Which cells of a record count: the same number of columns need not take part
 * on both sides. */
typedef struct lk_texts_source {
    const linkd_table *tables[2]; /* [1] NULL: one table */
    const size_t *columns[2];
    size_t n_columns[2];
} lk_texts_source;

/* Appends the words of one cell to `ret_words` (with a space before them if it
 * holds words already): NFKD, then without combining marks, case folded, split
 * at what is neither letter nor digit (Unicode's L*, N*). */
LINKD_MUST_CHECK int lk_words_append(linkd_str cell, lk_buf *ret_words,
                                     linkd_error *err);

/* Any number of workers gives the same bytes. */
LINKD_MUST_CHECK int lk_texts_make(const lk_texts_source *source, lk_pool *pool,
                                   lk_texts *ret_texts, linkd_error *err);
void lk_texts_clear(lk_texts *texts);

static inline linkd_str lk_texts_get(const lk_texts *texts, size_t record)
{
    size_t begin = texts->offsets[record];

    return (linkd_str){texts->bytes + begin,
                       texts->offsets[record + 1] - begin};
}

#endif
