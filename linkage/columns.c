/* linkage/columns.c — finds out which columns of two tables mean the same, so
 * that nobody has to write --left-on and --right-on for tables that are already
 * well named.
 *
 * Equal names are believed. What is left is compared by content: a column's
 * profile is how often each character 3-gram occurs in a sample of its cells,
 * hashed into PROFILE_BUCKETS counts, and two columns are as alike as the cosine
 * of their profiles. That sees phone numbers, dates, codes, people's names and
 * prose apart in any script, since a 3-gram is three bytes and knows nothing of
 * characters. A cell counts as if it had a space at both ends: so cells of one
 * digit have a 3-gram, and where words begin and end is seen. Dates count as if
 * they were all written 2001-02-28.
 *
 *                 actor name  director name        "starring" alone would take
 *   starring         0.58         0.60             the directors; the sum of
 *   writer           0.57         0.60             the other choice is greater
 *
 * Pairs are chosen by the greatest sum, as links are: of two columns of people's
 * names on each side, the most alike pair alone often is wrong by a hair. What
 * is left over stands alone.
 *
 * Work is bounded whatever the tables: equal names by a hash set, contents only
 * among the first COMPARED_MAX columns of each side that have no counterpart,
 * and SAMPLE_ROWS cells of each. It does not look at meaning: "Libellé" pairs
 * with "Label" because the products under them look alike, or not at all. */
#include "linkage/assign.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "linkage/similarity.h"
#include "linkage/strset.h"
#include "linkage/text.h"

enum {
    PROFILE_BUCKETS = 4096,
    SAMPLE_ROWS = 2000,
    SAMPLE_CELL_BYTES = 256, /* a guess: one long text must not be the column */
    COMPARED_MAX = 256,      /* a guess: 0.1 s and 8 MiB at most */
    DATE_BYTES = 32,
    SECONDS_PER_DAY = 24 * 60 * 60,
};

/* Measured 2026-11-24 on twelve pairs of public tables (products, films, papers,
 * firms, restaurants, tariffs, translations): of the columns that a person would
 * pair, those that look alike at all have 0.26 (a job and professions) to 1.0;
 * wrong pairs among the columns still free have up to 0.24, except for two
 * different dates (0.43). */
static const float SIMILARITY_MIN = 0.25F;

typedef struct side {
    const linkd_table *table;
    lk_arena arena;
    linkd_str *names; /* lower case, trimmed */
    size_t *partners; /* [n_columns], LINKD_COLUMN_NONE: none yet */
    float *similarities;
    size_t open[COMPARED_MAX]; /* columns to be compared by content */
    size_t n_open;
    float *profiles; /* [n_open, PROFILE_BUCKETS] of length 1, or zeros */
} side;

/* ---- names -------------------------------------------------------------- */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static linkd_str name_key(const void *ctx, size_t index)
{
    const side *of = ctx;

    return of->names[index];
}

static int side_init(side *of, const linkd_table *table, linkd_error *err)
{
    size_t n = linkd_table_n_columns(table);

    of->table = table;
    of->names = calloc(n + 1, sizeof(*of->names));
    of->partners = calloc(n + 1, sizeof(*of->partners));
    of->similarities = calloc(n + 1, sizeof(*of->similarities));
    if (of->names == NULL || of->partners == NULL || of->similarities == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < n; i++) {
        linkd_str name = lk_str_trim(linkd_table_column(table, i));
        char *copy = lk_arena_copy(&of->arena, name.bytes, name.len);

        if (copy == NULL)
            return lk_fail_nomem(err);
        for (size_t j = 0; j < name.len; j++)
            copy[j] = lower(copy[j]);
        of->names[i] = (linkd_str){copy, name.len};
        of->partners[i] = LINKD_COLUMN_NONE;
    }
    return LINKD_OK;
}

static void side_clear(side *of)
{
    free(of->names);
    free(of->partners);
    free(of->similarities);
    free(of->profiles);
    lk_arena_clear(&of->arena);
}

/* Ids say nothing about a row, unless they are all that it has: a list of
 * names is the first thing that people link. */
static bool takes_part(const side *of, size_t column)
{
    if (column == linkd_table_text_column(of->table))
        return false;
    return column != linkd_table_id_column(of->table) ||
           linkd_table_n_columns(of->table) == 1;
}

static bool is_free(const side *of, size_t column)
{
    return takes_part(of, column) && of->partners[column] == LINKD_COLUMN_NONE;
}

static void join(side *left, size_t left_column, side *right,
                 size_t right_column, float similarity)
{
    left->partners[left_column] = right_column;
    left->similarities[left_column] = similarity;
    right->partners[right_column] = left_column;
}

static int pair_by_name(side *left, side *right, linkd_error *err)
{
    lk_strset names = {.key = name_key, .ctx = right};
    int rc = LINKD_OK;

    for (size_t i = 0; i < linkd_table_n_columns(right->table); i++) {
        size_t unused;

        if (is_free(right, i))
            rc = lk_strset_add(&names, i, &unused, err);
        if (rc != LINKD_OK)
            goto done;
    }
    for (size_t i = 0; i < linkd_table_n_columns(left->table); i++) {
        size_t found;

        if (!is_free(left, i) || left->names[i].len == 0)
            continue;
        found = lk_strset_find(&names, left->names[i]);
        if (found != SIZE_MAX && is_free(right, found))
            join(left, i, right, found, 1.0F);
    }
done:
    lk_strset_clear(&names);
    return rc;
}

/* ---- contents ----------------------------------------------------------- */

static size_t bucket_of(const unsigned char *gram)
{
    uint32_t value = (uint32_t)gram[0] << 16 | (uint32_t)gram[1] << 8 | gram[2];

    /* Knuth's multiplicative hash, TAOCP 6.4; the top bits are the mixed ones. */
    return value * UINT32_C(2654435761) >> 20;
}

static size_t sample_size(const linkd_table *table)
{
    size_t n_rows = linkd_table_n_rows(table);

    return n_rows < SAMPLE_ROWS ? n_rows : SAMPLE_ROWS;
}

/* Of one of the rows of the sample, which are as far apart as can be. */
static linkd_str sample_cell(const linkd_table *table, size_t column, size_t i)
{
    size_t n_rows = linkd_table_n_rows(table);
    size_t n = sample_size(table);
    linkd_cell cell = linkd_table_cell(table, i * n_rows / n, column);

    return lk_str_trim((linkd_str){cell.bytes, cell.len});
}

static bool dates_put_month_first(const linkd_table *table, size_t column,
                                  size_t n_sample)
{
    lk_date_order order = {0};

    for (size_t i = 0; i < n_sample; i++)
        lk_date_order_see(&order, sample_cell(table, column, i));
    return order.n_month_first > order.n_day_first;
}

/* A date as 2001-02-28 in `space`, so that 28.02.2001 is like it; else the text
 * itself. */
static linkd_str date_spell(linkd_str text, bool month_first,
                            char space[DATE_BYTES])
{
    int64_t days;
    time_t seconds;
    struct tm day;

    if (!lk_date_parse(text, month_first, &days))
        return text;
    seconds = (time_t)(days * SECONDS_PER_DAY);
    if (gmtime_r(&seconds, &day) == NULL)
        return text;
    return (linkd_str){space, strftime(space, DATE_BYTES, "%Y-%m-%d", &day)};
}

static void cell_count(linkd_str text, float *profile)
{
    unsigned char gram[3] = {0, ' ', 0};

    if (text.len == 0)
        return;
    if (text.len > SAMPLE_CELL_BYTES)
        text.len = SAMPLE_CELL_BYTES;
    for (size_t i = 0; i <= text.len; i++) {
        gram[2] = i < text.len ? (unsigned char)lower(text.bytes[i]) : ' ';
        if (i > 0)
            profile[bucket_of(gram)] += 1.0F;
        gram[0] = gram[1];
        gram[1] = gram[2];
    }
}

static void profile_make(const linkd_table *table, size_t column,
                         float *profile)
{
    size_t n = sample_size(table);
    bool month_first = dates_put_month_first(table, column, n);
    char space[DATE_BYTES];
    double square = 0.0;

    for (size_t i = 0; i < n; i++)
        cell_count(
            date_spell(sample_cell(table, column, i), month_first, space),
            profile);
    for (size_t i = 0; i < PROFILE_BUCKETS; i++)
        square += (double)profile[i] * (double)profile[i];
    if (square == 0.0)
        return;
    for (size_t i = 0; i < PROFILE_BUCKETS; i++)
        profile[i] = (float)((double)profile[i] / sqrt(square));
}

static int profiles_make(side *of, linkd_error *err)
{
    size_t n_columns = linkd_table_n_columns(of->table);

    for (size_t i = 0; i < n_columns && of->n_open < COMPARED_MAX; i++) {
        if (is_free(of, i))
            of->open[of->n_open++] = i;
    }
    of->profiles =
        calloc(of->n_open * PROFILE_BUCKETS + 1, sizeof(*of->profiles));
    if (of->profiles == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < of->n_open; i++)
        profile_make(of->table, of->open[i],
                     of->profiles + i * PROFILE_BUCKETS);
    return LINKD_OK;
}

static float similarity_of(const side *left, size_t i, const side *right,
                           size_t j)
{
    const float *a = left->profiles + i * PROFILE_BUCKETS;
    const float *b = right->profiles + j * PROFILE_BUCKETS;
    double sum = 0.0;

    for (size_t k = 0; k < PROFILE_BUCKETS; k++)
        sum += (double)a[k] * (double)b[k];
    return (float)sum;
}

/* The pairs of open columns that are alike enough, in the order that assigning
 * asks for. */
static size_t likenesses_list(const side *left, const side *right,
                              linkd_pair *ret_pairs)
{
    size_t n = 0;

    for (size_t i = 0; i < left->n_open; i++) {
        for (size_t j = 0; j < right->n_open; j++) {
            float similarity = similarity_of(left, i, right, j);

            if (similarity >= SIMILARITY_MIN)
                ret_pairs[n++] = (linkd_pair){i, j, similarity};
        }
    }
    return n;
}

static int pair_by_content(side *left, side *right, linkd_error *err)
{
    size_t n = left->n_open * right->n_open;
    linkd_pair *pairs = calloc(n + 1, sizeof(*pairs));
    bool *chosen = calloc(n + 1, sizeof(*chosen));
    lk_assign_input input = {.candidates = pairs,
                             .n_left = left->n_open,
                             .n_right = right->n_open,
                             .threshold = SIMILARITY_MIN};
    int rc;

    if (pairs == NULL || chosen == NULL) {
        rc = lk_fail_nomem(err);
        goto done;
    }
    input.n = likenesses_list(left, right, pairs);
    rc = lk_assign_one_to_one(&input, chosen, err);
    if (rc != LINKD_OK)
        goto done;
    for (size_t i = 0; i < input.n; i++) {
        if (chosen[i])
            join(left, left->open[pairs[i].left], right,
                 right->open[pairs[i].right], pairs[i].score);
    }
done:
    free(pairs);
    free(chosen);
    return rc;
}

/* ---- result ------------------------------------------------------------- */

static int pairs_list(const side *left, const side *right,
                      linkd_column_pair **ret_pairs, size_t *ret_n_pairs,
                      linkd_error *err)
{
    size_t n_left = linkd_table_n_columns(left->table);
    size_t n_right = linkd_table_n_columns(right->table);
    linkd_column_pair *pairs = calloc(n_left + n_right + 1, sizeof(*pairs));
    size_t n = 0;

    if (pairs == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < n_left; i++) {
        if (takes_part(left, i))
            pairs[n++] = (linkd_column_pair){i, left->partners[i],
                                             left->similarities[i]};
    }
    for (size_t i = 0; i < n_right; i++) {
        if (is_free(right, i))
            pairs[n++] = (linkd_column_pair){LINKD_COLUMN_NONE, i, 0.0F};
    }
    *ret_pairs = pairs;
    *ret_n_pairs = n;
    return LINKD_OK;
}

int linkd_columns_pair(const linkd_table *left, const linkd_table *right,
                       linkd_column_pair **ret_pairs, size_t *ret_n_pairs,
                       linkd_error *err)
{
    side l = {0}, r = {0};
    int rc = side_init(&l, left, err);

    if (rc == LINKD_OK)
        rc = side_init(&r, right, err);
    if (rc == LINKD_OK)
        rc = pair_by_name(&l, &r, err);
    if (rc == LINKD_OK)
        rc = profiles_make(&l, err);
    if (rc == LINKD_OK)
        rc = profiles_make(&r, err);
    if (rc == LINKD_OK)
        rc = pair_by_content(&l, &r, err);
    if (rc == LINKD_OK)
        rc = pairs_list(&l, &r, ret_pairs, ret_n_pairs, err);
    side_clear(&l);
    side_clear(&r);
    return rc;
}
