/* cli/questions.c — pairs to be answered, added to a file of labels.
 *
 * The file is the memory of all reviews, so it is written anew as a whole and
 * renamed: whatever ends the program, no answer is lost.
 *
 *   left_id,right_id,match,probability,name_x,name_y,city_x,city_y
 *   17,A-203,1,0.431000,alpha co,alpha inc,rome,rome     kept
 *   18,A-9,,0.612000,beta co,beta company,oslo,oslo      new
 *
 * A file of matches alone has no column match; it gets one full of 1. */
#include "cli/questions.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/explanation.h"
#include "cli/ids.h"
#include "cli/pairs.h"

/* What a column of the file holds. */
typedef enum column_kind {
    COLUMN_LEFT_ID,
    COLUMN_RIGHT_ID,
    COLUMN_MATCH,
    COLUMN_PROBABILITY,
    COLUMN_LEFT, /* a cell of the left row */
    COLUMN_RIGHT,
    COLUMN_OTHER, /* the user's own */
} column_kind;

typedef struct file_column {
    column_kind kind;
    size_t of_table; /* COLUMN_LEFT, COLUMN_RIGHT */
    size_t of_file;  /* LINKD_COLUMN_NONE: it is new */
} file_column;

typedef struct writing {
    const lk_compared *compared;
    linkd_table *file; /* NULL: there is none yet */
    linkd_str *names;
    file_column *columns;
    size_t n_columns;
    lk_arena arena;
} writing;

bool lk_labels_exist(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 && info.st_size > 0;
}

/* ---- columns ------------------------------------------------------------ */

static size_t name_find(const writing *w, linkd_str name)
{
    for (size_t i = 0; i < w->n_columns; i++)
        if (w->names[i].len == name.len &&
            memcmp(w->names[i].bytes, name.bytes, name.len) == 0)
            return i;
    return SIZE_MAX;
}

/* One that the file has already only learns what it is. */
static void column_add(writing *w, linkd_str name, column_kind kind,
                       size_t of_table)
{
    size_t i = name_find(w, name);

    if (i == SIZE_MAX) {
        i = w->n_columns++;
        w->names[i] = name;
        w->columns[i].of_file = LINKD_COLUMN_NONE;
    }
    w->columns[i].kind = kind;
    w->columns[i].of_table = of_table;
}

static int cell_column_add(writing *w, size_t side, size_t column,
                           linkd_error *err)
{
    const char *suffix = side == 0 ? "_x" : "_y";
    linkd_str name;
    char *bytes;

    if (column == LINKD_COLUMN_NONE)
        return LINKD_OK;
    name = linkd_table_column(w->compared->tables[side], column);
    bytes = lk_arena_alloc(&w->arena, name.len + 2);
    if (bytes == NULL)
        return lk_fail_nomem(err);
    memcpy(bytes, name.bytes, name.len);
    memcpy(bytes + name.len, suffix, 2);
    column_add(w, (linkd_str){bytes, name.len + 2},
               side == 0 ? COLUMN_LEFT : COLUMN_RIGHT, column);
    return LINKD_OK;
}

static int columns_make(writing *w, linkd_error *err)
{
    size_t n_old = w->file != NULL ? linkd_table_n_columns(w->file) : 0;
    size_t capacity = n_old + 4 + 2 * w->compared->n_columns;
    int rc = LINKD_OK;

    w->names = calloc(capacity, sizeof(*w->names));
    w->columns = calloc(capacity, sizeof(*w->columns));
    if (w->names == NULL || w->columns == NULL)
        return lk_fail_nomem(err);
    for (; w->n_columns < n_old; w->n_columns++) {
        w->names[w->n_columns] = linkd_table_column(w->file, w->n_columns);
        w->columns[w->n_columns] =
            (file_column){.kind = COLUMN_OTHER, .of_file = w->n_columns};
    }
    column_add(w, (linkd_str){"left_id", 7}, COLUMN_LEFT_ID, 0);
    column_add(w, (linkd_str){"right_id", 8}, COLUMN_RIGHT_ID, 0);
    column_add(w, (linkd_str){"match", 5}, COLUMN_MATCH, 0);
    column_add(w, (linkd_str){"probability", 11}, COLUMN_PROBABILITY, 0);
    for (size_t i = 0; i < w->compared->n_columns && rc == LINKD_OK; i++) {
        rc = cell_column_add(w, 0, w->compared->columns[i].left, err);
        if (rc == LINKD_OK)
            rc = cell_column_add(w, 1, w->compared->columns[i].right, err);
    }
    return rc;
}

/* ---- rows --------------------------------------------------------------- */

static const linkd_cell missing = {.kind = LINKD_CELL_MISSING};

static bool is_id(const writing *w, size_t side, size_t table_row,
                  size_t file_row)
{
    lk_id_storage storage;
    linkd_str id = lk_id_text(w->compared->tables[side], table_row, &storage);
    size_t column = linkd_table_find_column(
        w->file,
        side == 0 ? (linkd_str){"left_id", 7} : (linkd_str){"right_id", 8});
    linkd_cell cell = linkd_table_cell(w->file, file_row, column);

    return lk_str_compare(id, (linkd_str){cell.bytes, cell.len}) == 0;
}

/* A row that waits for the answer which one of the questions has: the answer
 * comes in its place. */
static bool is_answered(const writing *w, size_t row,
                        const lk_question *questions, size_t n)
{
    size_t column = linkd_table_find_column(w->file, (linkd_str){"match", 5});

    if (column == LINKD_COLUMN_NONE ||
        linkd_table_cell(w->file, row, column).len > 0)
        return false;
    for (size_t i = 0; i < n; i++)
        if (questions[i].answer != LK_ANSWER_NONE &&
            is_id(w, 0, questions[i].left, row) &&
            is_id(w, 1, questions[i].right, row))
            return true;
    return false;
}

static int old_row_write(const writing *w, size_t row, lk_rows *rows,
                         linkd_error *err)
{
    for (size_t i = 0; i < w->n_columns; i++) {
        const file_column *c = &w->columns[i];

        if (c->of_file != LINKD_COLUMN_NONE)
            lk_rows_cell(rows, linkd_table_cell(w->file, row, c->of_file));
        else if (c->kind == COLUMN_MATCH)
            lk_rows_text(rows, (linkd_str){"1", 1});
        else
            lk_rows_cell(rows, missing);
    }
    return lk_rows_end(rows, err);
}

static linkd_str answer_word(lk_answer answer)
{
    static const linkd_str words[] = {[LK_ANSWER_NO] = {"0", 1},
                                      [LK_ANSWER_YES] = {"1", 1},
                                      [LK_ANSWER_UNSURE] = {"?", 1},
                                      [LK_ANSWER_NONE] = {"", 0}};

    return words[answer];
}

static int question_write(const writing *w, const lk_question *q, lk_rows *rows,
                          linkd_error *err)
{
    const linkd_table *const *tables = w->compared->tables;

    for (size_t i = 0; i < w->n_columns; i++) {
        size_t column = w->columns[i].of_table;

        switch (w->columns[i].kind) {
        case COLUMN_LEFT_ID:
            lk_rows_id(rows, tables[0], q->left);
            break;
        case COLUMN_RIGHT_ID:
            lk_rows_id(rows, tables[1], q->right);
            break;
        case COLUMN_MATCH:
            lk_rows_text(rows, answer_word(q->answer));
            break;
        case COLUMN_PROBABILITY:
            lk_rows_score(rows, q->probability);
            break;
        case COLUMN_LEFT:
            lk_rows_cell(rows, linkd_table_cell(tables[0], q->left, column));
            break;
        case COLUMN_RIGHT:
            lk_rows_cell(rows, linkd_table_cell(tables[1], q->right, column));
            break;
        case COLUMN_OTHER:
            lk_rows_cell(rows, missing);
            break;
        }
    }
    return lk_rows_end(rows, err);
}

/* ---- all ---------------------------------------------------------------- */

static int rows_write(const writing *w, lk_output *output, const char *path,
                      const lk_question *questions, size_t n, linkd_error *err)
{
    size_t n_old = w->file != NULL ? linkd_table_n_rows(w->file) : 0;
    lk_rows rows = {0};
    int rc = lk_rows_init(&rows, output, lk_rows_format(path), w->names,
                          w->n_columns, err);

    for (size_t i = 0; i < n_old && rc == LINKD_OK; i++)
        if (!is_answered(w, i, questions, n))
            rc = old_row_write(w, i, &rows, err);
    for (size_t i = 0; i < n && rc == LINKD_OK; i++)
        rc = question_write(w, &questions[i], &rows, err);
    lk_rows_clear(&rows);
    return rc;
}

int lk_questions_write(const char *path, const lk_compared *compared,
                       const lk_question *questions, size_t n, linkd_error *err)
{
    writing w = {.compared = compared};
    const char *inputs[2] = {linkd_table_path(compared->tables[0]),
                             linkd_table_path(compared->tables[1])};
    lk_output *output = NULL;
    int rc = LINKD_OK;

    if (lk_labels_exist(path))
        rc = linkd_table_read_result(path, LINKD_FORMAT_AUTO, NULL, NULL,
                                     &w.file, err);
    if (rc == LINKD_OK)
        rc = columns_make(&w, err);
    if (rc == LINKD_OK)
        rc = lk_output_open(path, inputs, 2, &output, err);
    if (rc == LINKD_OK)
        rc = rows_write(&w, output, path, questions, n, err);
    if (rc == LINKD_OK)
        rc = lk_output_commit(&output, 1, err);
    lk_output_close(output);
    linkd_table_free(w.file);
    free(w.names);
    free(w.columns);
    lk_arena_clear(&w.arena);
    return rc;
}
