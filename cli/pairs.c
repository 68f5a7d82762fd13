/* cli/pairs.c — accepted pairs to a file, and the rows that are in none. */
#include "cli/pairs.h"

#include <stdlib.h>
#include <string.h>

const linkd_str lk_pair_columns[LK_PAIR_COLUMNS] = {
    {"left_id", 7}, {"right_id", 8}, {"score", 5}, {"probability", 11}};

void lk_rows_id(lk_rows *rows, const linkd_table *table, size_t row)
{
    size_t column = linkd_table_id_column(table);

    if (column != LINKD_COLUMN_NONE)
        lk_rows_cell(rows, linkd_table_cell(table, row, column));
    else
        lk_rows_count(rows, row + 1);
}

/* Appends a table's columns with "_x" or "_y" behind their names. */
static int names_append(const linkd_table *table, const char *suffix,
                        lk_arena *arena, linkd_str *names, linkd_error *err)
{
    for (size_t i = 0; i < linkd_table_n_columns(table); i++) {
        linkd_str name = linkd_table_column(table, i);
        char *bytes = lk_arena_alloc(arena, name.len + 2);

        if (bytes == NULL)
            return lk_fail_nomem(err);
        memcpy(bytes, name.bytes, name.len);
        memcpy(bytes + name.len, suffix, 2);
        names[i] = (linkd_str){bytes, name.len + 2};
    }
    return LINKD_OK;
}

static void row_append(lk_rows *rows, const linkd_table *table, size_t row)
{
    for (size_t i = 0; i < linkd_table_n_columns(table); i++)
        lk_rows_cell(rows, linkd_table_cell(table, row, i));
}

static int body_write(const lk_pairs *pairs, lk_rows *rows, linkd_error *err)
{
    int rc = LINKD_OK;

    for (size_t i = 0; i < pairs->n_pairs && rc == LINKD_OK; i++) {
        const linkd_pair *pair = &pairs->pairs[i];

        lk_rows_id(rows, pairs->left, pair->left);
        lk_rows_id(rows, pairs->right, pair->right);
        lk_rows_score(rows, pair->score);
        if (pairs->probabilities != NULL)
            lk_rows_score(rows, pairs->probabilities[i]);
        else
            lk_rows_none(rows);
        if (pairs->wide) {
            row_append(rows, pairs->left, pair->left);
            row_append(rows, pairs->right, pair->right);
        }
        rc = lk_rows_end(rows, err);
    }
    return rc;
}

int lk_pairs_write(const lk_pairs *pairs, lk_output *output,
                   linkd_format format, linkd_error *err)
{
    size_t n_left = pairs->wide ? linkd_table_n_columns(pairs->left) : 0;
    size_t n_right = pairs->wide ? linkd_table_n_columns(pairs->right) : 0;
    size_t n = LK_PAIR_COLUMNS + n_left + n_right;
    linkd_str *names = calloc(n, sizeof(*names));
    lk_arena arena = {0};
    lk_rows rows = {0};
    int rc = LINKD_OK;

    if (names == NULL)
        return lk_fail_nomem(err);
    memcpy(names, lk_pair_columns, sizeof(lk_pair_columns));
    if (pairs->wide)
        rc = names_append(pairs->left, "_x", &arena, names + LK_PAIR_COLUMNS,
                          err);
    if (rc == LINKD_OK && pairs->wide)
        rc = names_append(pairs->right, "_y", &arena,
                          names + LK_PAIR_COLUMNS + n_left, err);
    if (rc == LINKD_OK)
        rc = lk_rows_init(&rows, output, format, names, n, err);
    if (rc == LINKD_OK)
        rc = body_write(pairs, &rows, err);
    lk_rows_clear(&rows);
    lk_arena_clear(&arena);
    free(names);
    return rc;
}

static int side_write(const linkd_table *table, const bool *matched,
                      const char *side, lk_rows *rows, size_t *ret_n,
                      linkd_error *err)
{
    size_t n = 0;
    int rc = LINKD_OK;

    for (size_t i = 0; i < linkd_table_n_rows(table) && rc == LINKD_OK; i++) {
        if (matched[i])
            continue;
        n++;
        if (rows == NULL)
            continue;
        lk_rows_text(rows, (linkd_str){side, strlen(side)});
        lk_rows_id(rows, table, i);
        rc = lk_rows_end(rows, err);
    }
    *ret_n = n;
    return rc;
}

int lk_unmatched_write(const lk_pairs *pairs, lk_output *output,
                       linkd_format format, size_t *ret_n_left,
                       size_t *ret_n_right, linkd_error *err)
{
    static const linkd_str columns[] = {{"side", 4}, {"id", 2}};
    size_t n_left = linkd_table_n_rows(pairs->left);
    size_t n_right = linkd_table_n_rows(pairs->right);
    bool *matched = calloc(n_left + n_right + 1, sizeof(*matched));
    lk_rows rows = {0};
    lk_rows *used = output != NULL ? &rows : NULL;
    int rc = LINKD_OK;

    if (matched == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < pairs->n_pairs; i++) {
        matched[pairs->pairs[i].left] = true;
        matched[n_left + pairs->pairs[i].right] = true;
    }
    if (output != NULL)
        rc = lk_rows_init(&rows, output, format, columns, 2, err);
    if (rc == LINKD_OK)
        rc = side_write(pairs->left, matched, "left", used, ret_n_left, err);
    if (rc == LINKD_OK)
        rc = side_write(pairs->right, matched + n_left, "right", used,
                        ret_n_right, err);
    lk_rows_clear(&rows);
    free(matched);
    return rc;
}
