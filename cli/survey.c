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

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

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
    bool is_unique; /* all ids so far are there and differ */
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

static int window_add(window *w, linkd_cell id, bool *ret_is_new,
                      linkd_error *err)
{
    uint64_t hash = XXH3_64bits(id.bytes, id.len);
    int rc = LINKD_OK;

    hash += hash == 0; /* 0 marks an empty slot */
    *ret_is_new = hash < w->low || hash > w->high || slots_add(w, hash);
    while (rc == LINKD_OK && w->n_used > w->n_slots / 2)
        rc = window_shrink(w, err);
    return rc;
}

size_t lk_reader_find_column(const linkd_reader *reader, linkd_str name)
{
    for (size_t i = 0; i < linkd_reader_n_columns(reader); i++) {
        linkd_str column = linkd_reader_column(reader, i);

        if (column.len == name.len &&
            memcmp(column.bytes, name.bytes, name.len) == 0)
            return i;
    }
    return LINKD_COLUMN_NONE;
}

static int fail_id(const survey *s, const linkd_record *record,
                   const char *what, linkd_error *err)
{
    return lk_fail(err, LINKD_E_DATA, "%s: row %llu, column \"%.64s\": %s",
                   s->path, (unsigned long long)record->row, s->id_name, what);
}

static int id_check(survey *s, const linkd_record *record, linkd_error *err)
{
    bool is_there;
    bool is_new = true;
    int rc = LINKD_OK;

    if (s->id_name != NULL && s->column == LINKD_COLUMN_NONE)
        s->column = lk_reader_find_column(
            s->reader, (linkd_str){s->id_name, strlen(s->id_name)});
    is_there = s->column < record->n_cells &&
               record->cells[s->column].kind != LINKD_CELL_MISSING &&
               record->cells[s->column].len > 0;
    if (is_there)
        rc = window_add(&s->window, record->cells[s->column], &is_new, err);
    s->is_unique = is_there && is_new;
    if (rc != LINKD_OK || s->is_unique || s->id_name == NULL)
        return rc;
    if (s->column == LINKD_COLUMN_NONE)
        return lk_fail(err, LINKD_E_ARG, "%s has no column \"%s\"", s->path,
                       s->id_name);
    return fail_id(s, record,
                   is_there ? "the id is repeated" : "the id is empty", err);
}

static int pass_read(survey *s, linkd_error *err)
{
    linkd_record record;
    bool more = true;
    int rc = LINKD_OK;

    s->n_rows = 0;
    while (rc == LINKD_OK) {
        rc = linkd_reader_next(s->reader, &record, &more, err);
        if (rc != LINKD_OK || !more)
            break;
        s->n_rows++;
        if (s->is_unique)
            rc = id_check(s, &record, err);
        if (rc == LINKD_OK && s->n_rows % 1024 == 0)
            rc = lk_progress_report(s->progress, "read",
                                    linkd_reader_bytes_done(s->reader),
                                    linkd_reader_bytes_total(s->reader), err);
    }
    return rc;
}

static int pass_run(survey *s, linkd_error *err)
{
    int rc = linkd_reader_open(s->path, s->format, &s->reader, err);

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
    return LINKD_OK;
}
