/* cli/survey.c — a first look at a file that will be streamed.
 *
 * `embed` keeps no rows, but whether ids are unique can be told only from all
 * of them. Remembering the ids would take memory that grows with the file, so
 * 64-bit fingerprints are kept, and of these only as many as fit in a table of
 * fixed size: those in [low, high).
 *
 *   pass 1   [0 ........... high)   the table fills up: high is halved,
 *            [0 .... high)          what lies above it is forgotten
 *   pass 2         [low .... high)  goes on where pass 1 ended, and so forth
 *
 * Reading a file again takes seconds where encoding it takes hours. Two ids
 * with the same fingerprint would be taken for equal: with ten million rows
 * that happens once in 370,000 files. */
#include "cli/survey.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "cli/columns.h"

typedef struct window {
    uint64_t *slots; /* 0: empty */
    size_t n_slots;
    size_t n_used;
    uint64_t low;
    uint64_t high; /* inclusive: the last window ends at UINT64_MAX */
} window;

typedef struct survey {
    const char *path;
    linkd_format format;
    const char *id_name;
    const linkd_progress *progress;
    linkd_reader *reader;
    window window;
    uint64_t n_rows;
    size_t column;
    uint64_t lacking_row; /* the first without the named field, or 0 */
    uint64_t lacking_line;
    bool is_unique;       /* all ids so far are there and differ */
    linkd_id_trial trial; /* of rows in the window, or without an id */
} survey;

/* False if it was there. */
static bool slots_add(window *w, uint64_t hash)
{
    size_t mask = w->n_slots - 1;
    size_t at = (size_t)hash & mask;

    while (w->slots[at] != 0) {
        if (w->slots[at] == hash)
            return false;
        at = (at + 1) & mask;
    }
    w->slots[at] = hash;
    w->n_used++;
    return true;
}

/* Halves the window and keeps what lies in the lower half. */
static int window_shrink(window *w, linkd_error *err)
{
    uint64_t *old = w->slots;

    w->slots = calloc(w->n_slots, sizeof(*w->slots));
    if (w->slots == NULL) {
        w->slots = old;
        return lk_fail_nomem(err);
    }
    w->high = w->low + (w->high - w->low) / 2;
    w->n_used = 0;
    for (size_t i = 0; i < w->n_slots; i++) {
        if (old[i] != 0 && old[i] <= w->high)
            (void)slots_add(w, old[i]);
    }
    free(old);
    return LINKD_OK;
}

static uint64_t fingerprint(linkd_cell id)
{
    uint64_t hash = XXH3_64bits(id.bytes, id.len);

    return hash + (hash == 0); /* 0 marks an empty slot */
}

/* Looks at an id, or at a record without one. */
static int window_add(survey *s, const linkd_record *record, linkd_cell id,
                      bool *ret_is_new, linkd_error *err)
{
    window *w = &s->window;
    uint64_t hash = fingerprint(id);
    bool is_narrowed = false;
    int rc = LINKD_OK;

    *ret_is_new = true;
    if (id.len > 0 && (hash < w->low || hash > w->high))
        return LINKD_OK;
    *ret_is_new = id.len > 0 && slots_add(w, hash);
    linkd_id_trial_add(&s->trial, s->reader, record, id, *ret_is_new, 0);
    while (rc == LINKD_OK && w->n_used > w->n_slots / 2) {
        rc = window_shrink(w, err);
        is_narrowed = true;
    }
    if (is_narrowed) {
        s->trial.n_rows = w->n_used;
        s->trial.n_bad = 0;
    }
    return rc;
}

static int fail_id(const char *path, uint64_t row, uint64_t line,
                   const char *column, const char *what, linkd_error *err)
{
    return lk_fail(err, LINKD_E_DATA,
                   "%s: row %" PRIu64 " (line %" PRIu64
                   "), column \"%s\": the id is %s",
                   lk_label_of_path(path).text, row, line,
                   lk_label_of((linkd_str){column, strlen(column)}).text, what);
}

int lk_id_check(const char *path, const linkd_record *record,
                const char *column, linkd_cell cell, linkd_error *err)
{
    if (cell.kind != LINKD_CELL_MISSING && cell.len > 0)
        return LINKD_OK;
    return fail_id(path, record->row, record->line, column,
                   cell.kind == LINKD_CELL_MISSING ? "missing" : "empty", err);
}

static linkd_cell id_cell(const survey *s, const linkd_record *record)
{
    if (s->column < record->n_cells)
        return record->cells[s->column];
    return (linkd_cell){.bytes = "", .kind = LINKD_CELL_MISSING};
}

/* False where a later record may still bring the column. */
static bool id_column_find(survey *s, const linkd_record *record)
{
    if (s->id_name == NULL || s->column != LINKD_COLUMN_NONE)
        return true;
    s->column = linkd_reader_find_column(
        s->reader, (linkd_str){s->id_name, strlen(s->id_name)});
    if (s->column == LINKD_COLUMN_NONE && s->lacking_row == 0) {
        s->lacking_row = record->row;
        s->lacking_line = record->line;
    }
    return s->lacking_row == 0;
}

static int id_add(survey *s, const linkd_record *record, linkd_error *err)
{
    linkd_cell id = id_cell(s, record);
    bool is_new;
    int rc = window_add(s, record, id, &is_new, err);

    s->is_unique = s->is_unique && is_new;
    if (rc != LINKD_OK || s->is_unique || s->id_name == NULL)
        return rc;
    rc = lk_id_check(s->path, record, s->id_name, id, err);
    if (rc != LINKD_OK)
        return rc;
    return fail_id(s->path, record->row, record->line, s->id_name, "repeated",
                   err);
}

/* A record had no such field; whether any has tells typing from data. */
static int id_column_check(const survey *s, linkd_error *err)
{
    if (s->lacking_row == 0)
        return LINKD_OK;
    if (s->column == LINKD_COLUMN_NONE)
        return lk_fail_column(s->path,
                              (linkd_str){s->id_name, strlen(s->id_name)}, err);
    return fail_id(s->path, s->lacking_row, s->lacking_line, s->id_name,
                   "missing", err);
}

/* A header tells the columns before the first record; JSON lines do not. */
static int header_check(const survey *s, linkd_error *err)
{
    linkd_str name = {s->id_name, s->id_name != NULL ? strlen(s->id_name) : 0};

    if (s->id_name == NULL || linkd_reader_n_columns(s->reader) == 0 ||
        linkd_reader_find_column(s->reader, name) != LINKD_COLUMN_NONE)
        return LINKD_OK;
    return lk_fail_column(s->path, name, err);
}

static int pass_read(survey *s, linkd_error *err)
{
    linkd_record record;
    bool more = true;
    int rc = LINKD_OK;

    s->n_rows = 0;
    s->trial = (linkd_id_trial){0};
    while (rc == LINKD_OK) {
        rc = linkd_reader_next(s->reader, &record, &more, err);
        if (rc != LINKD_OK || !more)
            break;
        s->n_rows++;
        if (id_column_find(s, &record))
            rc = id_add(s, &record, err);
        if (rc == LINKD_OK && s->n_rows % 1024 == 0)
            rc = lk_progress_report(s->progress, "read",
                                    linkd_reader_bytes_done(s->reader),
                                    linkd_reader_bytes_total(s->reader), err);
    }
    if (rc == LINKD_OK)
        rc = id_column_check(s, err);
    return rc;
}

static int pass_run(survey *s, linkd_error *err)
{
    int rc = linkd_reader_open(s->path, s->format, &s->reader, err);

    if (rc == LINKD_OK)
        rc = header_check(s, err);
    if (rc == LINKD_OK)
        rc = pass_read(s, err);
    if (rc == LINKD_OK)
        rc = lk_progress_report(s->progress, "read",
                                linkd_reader_bytes_total(s->reader),
                                linkd_reader_bytes_total(s->reader), err);
    linkd_reader_close(s->reader);
    s->reader = NULL;
    return rc;
}

static int passes_run(survey *s, linkd_error *err)
{
    window *w = &s->window;
    int rc = pass_run(s, err);

    while (rc == LINKD_OK && s->is_unique && w->high < UINT64_MAX) {
        uint64_t width = w->high - w->low;

        memset(w->slots, 0, w->n_slots * sizeof(*w->slots));
        w->n_used = 0;
        w->low = w->high + 1;
        w->high = UINT64_MAX - w->low > width ? w->low + width : UINT64_MAX;
        rc = pass_run(s, err);
    }
    return rc;
}

int lk_survey_file(const char *path, linkd_format format, const char *id_column,
                   size_t n_slots, const linkd_progress *progress,
                   lk_survey *ret_survey, linkd_error *err)
{
    survey s = {.path = path,
                .format = format,
                .id_name = id_column,
                .progress = progress,
                .column = id_column != NULL ? LINKD_COLUMN_NONE : 0,
                .is_unique = true,
                .window = {.n_slots = n_slots, .high = UINT64_MAX}};
    int rc;

    s.window.slots = calloc(n_slots, sizeof(*s.window.slots));
    if (s.window.slots == NULL)
        return lk_fail_nomem(err);
    rc = passes_run(&s, err);
    free(s.window.slots);
    if (rc != LINKD_OK)
        return rc;
    ret_survey->n_rows = s.n_rows;
    ret_survey->id_column = s.is_unique ? s.column : LINKD_COLUMN_NONE;
    ret_survey->id_trial = s.trial;
    return LINKD_OK;
}

bool lk_is_pipe(const char *path)
{
    struct stat st;

    return strcmp(path, "-") == 0 ||
           (stat(path, &st) == 0 && !S_ISREG(st.st_mode) &&
            !S_ISDIR(st.st_mode));
}

int lk_survey_input(lk_cli *cli, const char *path, linkd_format format,
                    const char *id_column, lk_survey *ret_survey,
                    linkd_error *err)
{
    int rc;

    *ret_survey = (lk_survey){.id_column = LINKD_COLUMN_NONE};
    if (lk_is_pipe(path)) {
        if (id_column == NULL && !cli->args.quiet)
            (void)fprintf(stderr, "ids are row numbers: a pipe cannot be "
                                  "looked through before (--id)\n");
        return LINKD_OK;
    }
    rc = lk_survey_file(path, format, id_column, LK_SURVEY_SLOTS,
                        &cli->progress, ret_survey, err);
    if (rc == LINKD_OK)
        lk_meter_finish(&cli->meter);
    if (rc == LINKD_E_ARG)
        lk_columns_hint_file(cli, path, format);
    return rc;
}
