/* cli/labels.c — answered pairs from a file.
 *
 *   left_id,right_id,match
 *   17,A-203,1
 *   17,A-204,0
 *   18,A-9,        still to be answered
 *
 * Rows are sorted by pair, the better answer first, so that one pass drops what
 * is named again and finds what contradicts itself. */
#include "cli/labels.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/ids.h"

/* A row of the file. */
typedef struct entry {
    size_t rows[2]; /* of the tables */
    lk_answer answer;
    size_t number; /* from 1 */
} entry;

typedef struct reading {
    const linkd_table *file;
    const linkd_table *tables[2]; /* the same one twice: within it */
    size_t columns[3];            /* left_id, right_id, match */
    lk_ids ids[2];
    entry *entries;
    size_t n;
} reading;

static const char *const columns_wanted[] = {"left_id", "right_id", "match"};

bool lk_answer_of(linkd_str word, lk_answer *ret_answer)
{
    static const struct {
        const char *word;
        lk_answer answer;
    } words[] = {{"", LK_ANSWER_NONE},    {"1", LK_ANSWER_YES},
                 {"yes", LK_ANSWER_YES},  {"y", LK_ANSWER_YES},
                 {"true", LK_ANSWER_YES}, {"0", LK_ANSWER_NO},
                 {"no", LK_ANSWER_NO},    {"n", LK_ANSWER_NO},
                 {"false", LK_ANSWER_NO}, {"?", LK_ANSWER_UNSURE}};

    while (word.len > 0 && strchr(" \t\r", word.bytes[0]) != NULL) {
        word.bytes++;
        word.len--;
    }
    while (word.len > 0 && strchr(" \t\r", word.bytes[word.len - 1]) != NULL)
        word.len--;
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (strlen(words[i].word) == word.len &&
            (word.len == 0 ||
             strncasecmp(words[i].word, word.bytes, word.len) == 0)) {
            *ret_answer = words[i].answer;
            return true;
        }
    return false;
}

/* ---- rows --------------------------------------------------------------- */

static const char *file_name(const reading *r, lk_label *storage)
{
    *storage = lk_label_of_path(linkd_table_path(r->file));
    return storage->text;
}

static int columns_find(reading *r, linkd_error *err)
{
    lk_label name;

    for (size_t i = 0; i < 3; i++) {
        const char *wanted = columns_wanted[i];

        r->columns[i] = linkd_table_find_column(
            r->file, (linkd_str){wanted, strlen(wanted)});
        if (i < 2 && r->columns[i] == LINKD_COLUMN_NONE &&
            linkd_table_n_rows(r->file) > 0)
            return lk_fail(err, LINKD_E_DATA, "%s has no column %s",
                           file_name(r, &name), wanted);
    }
    return LINKD_OK;
}

static int row_find(const reading *r, size_t side, size_t number,
                    size_t *ret_row, linkd_error *err)
{
    linkd_cell cell = linkd_table_cell(r->file, number - 1, r->columns[side]);
    bool within = r->tables[0] == r->tables[1];
    lk_label name;

    *ret_row = lk_ids_find(&r->ids[within ? 0 : side], cell);
    if (*ret_row != SIZE_MAX)
        return LINKD_OK;
    return lk_fail(err, LINKD_E_DATA,
                   "%s: row %zu, %s: %s has no row with id \"%s\"",
                   file_name(r, &name), number, columns_wanted[side],
                   lk_label_of_path(linkd_table_path(r->tables[side])).text,
                   lk_label_of((linkd_str){cell.bytes, cell.len}).text);
}

static int answer_read(const reading *r, size_t number, lk_answer *ret_answer,
                       linkd_error *err)
{
    linkd_cell cell;
    linkd_str word;
    lk_label name;

    *ret_answer = LK_ANSWER_YES;
    if (r->columns[2] == LINKD_COLUMN_NONE)
        return LINKD_OK;
    cell = linkd_table_cell(r->file, number - 1, r->columns[2]);
    word = (linkd_str){cell.len > 0 ? cell.bytes : "", cell.len};
    if (lk_answer_of(word, ret_answer))
        return LINKD_OK;
    return lk_fail(err, LINKD_E_DATA,
                   "%s: row %zu, match: \"%s\" is neither 1, 0, yes, no, ? nor "
                   "empty",
                   file_name(r, &name), number, lk_label_of(word).text);
}

static int entry_read(const reading *r, size_t number, entry *e,
                      linkd_error *err)
{
    lk_label name;
    int rc = row_find(r, 0, number, &e->rows[0], err);

    if (rc == LINKD_OK)
        rc = row_find(r, 1, number, &e->rows[1], err);
    if (rc == LINKD_OK)
        rc = answer_read(r, number, &e->answer, err);
    if (rc != LINKD_OK || r->tables[0] != r->tables[1])
        return rc;
    if (e->rows[0] == e->rows[1])
        return lk_fail(err, LINKD_E_DATA, "%s: row %zu pairs a row with itself",
                       file_name(r, &name), number);
    if (e->rows[0] > e->rows[1]) {
        size_t row = e->rows[0];

        e->rows[0] = e->rows[1];
        e->rows[1] = row;
    }
    return LINKD_OK;
}

static int entries_read(reading *r, linkd_error *err)
{
    int rc = columns_find(r, err);

    if (rc == LINKD_OK)
        rc = lk_ids_list(r->tables[0], &r->ids[0], err);
    if (rc == LINKD_OK && r->tables[0] != r->tables[1])
        rc = lk_ids_list(r->tables[1], &r->ids[1], err);
    if (rc != LINKD_OK)
        return rc;
    r->entries = calloc(linkd_table_n_rows(r->file) + 1, sizeof(entry));
    if (r->entries == NULL)
        return lk_fail_nomem(err);
    for (; r->n < linkd_table_n_rows(r->file) && rc == LINKD_OK; r->n++) {
        r->entries[r->n].number = r->n + 1;
        rc = entry_read(r, r->n + 1, &r->entries[r->n], err);
    }
    return rc;
}

/* ---- pairs -------------------------------------------------------------- */

static int by_pair(const void *a, const void *b)
{
    const entry *x = a;
    const entry *y = b;

    for (size_t side = 0; side < 2; side++)
        if (x->rows[side] != y->rows[side])
            return x->rows[side] < y->rows[side] ? -1 : 1;
    if (x->answer != y->answer)
        return x->answer < y->answer ? -1 : 1;
    return x->number < y->number ? -1 : 1;
}

static bool is_same_pair(const entry *x, const entry *y)
{
    return x->rows[0] == y->rows[0] && x->rows[1] == y->rows[1];
}

/* Keeps the best answer of each pair. */
static int entries_unite(reading *r, linkd_error *err)
{
    size_t n = 0;
    lk_label name;

    qsort(r->entries, r->n, sizeof(*r->entries), by_pair);
    for (size_t i = 0; i < r->n; i++) {
        const entry *e = &r->entries[i];
        const entry *kept = n > 0 ? &r->entries[n - 1] : NULL;

        if (kept == NULL || !is_same_pair(kept, e))
            r->entries[n++] = *e;
        else if (kept->answer == LK_ANSWER_NO && e->answer == LK_ANSWER_YES)
            return lk_fail(err, LINKD_E_DATA,
                           "%s: row %zu, match: row %zu says no of the same "
                           "pair",
                           file_name(r, &name), e->number, kept->number);
    }
    r->n = n;
    return LINKD_OK;
}

/* In the order of lk_labels. */
static size_t group_of(lk_answer answer)
{
    if (answer == LK_ANSWER_NONE)
        return 1;
    return answer == LK_ANSWER_UNSURE ? 2 : 0;
}

static int labels_fill(const reading *r, lk_labels *labels, linkd_error *err)
{
    size_t counts[3] = {0};

    labels->pairs = calloc(r->n + 1, sizeof(*labels->pairs));
    if (labels->pairs == NULL)
        return lk_fail_nomem(err);
    for (size_t group = 0; group < 3; group++)
        for (size_t i = 0; i < r->n; i++) {
            const entry *e = &r->entries[i];

            if (group_of(e->answer) != group)
                continue;
            counts[group]++;
            labels->pairs[labels->n_pairs++] =
                (linkd_label){.left = e->rows[0],
                              .right = e->rows[1],
                              .match = e->answer == LK_ANSWER_YES};
        }
    labels->n = counts[0];
    labels->n_waiting = counts[1];
    return LINKD_OK;
}

int lk_labels_read(const char *path, const linkd_table *left,
                   const linkd_table *right, const linkd_progress *progress,
                   lk_labels *ret_labels, linkd_error *err)
{
    reading r = {.tables = {left, right != NULL ? right : left}};
    lk_labels labels = {0};
    linkd_table *file = NULL;
    int rc = linkd_table_read_result(path, LINKD_FORMAT_AUTO, NULL, progress,
                                     &file, err);

    r.file = file;
    if (rc == LINKD_OK)
        rc = entries_read(&r, err);
    if (rc == LINKD_OK)
        rc = entries_unite(&r, err);
    if (rc == LINKD_OK)
        rc = labels_fill(&r, &labels, err);
    lk_ids_clear(&r.ids[0]);
    lk_ids_clear(&r.ids[1]);
    free(r.entries);
    linkd_table_free(file);
    if (rc == LINKD_OK)
        *ret_labels = labels;
    return rc;
}

void lk_labels_clear(lk_labels *labels)
{
    free(labels->pairs);
    *labels = (lk_labels){0};
}
