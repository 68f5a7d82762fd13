/* cli/explanation.c — why a pair is what it is: as text, and as JSON.
 *
 *   1 ~ r2: probability 0.998112 (cut 0.412345), accepted
 *
 *   PART          LOG-ODDS  LEFT                   RIGHT
 *   prior            -4.21
 *   name             +7.80  alpha trading company  alpha trading compani
 *   …
 *   total            +6.27
 *
 *   name: agree alpha, trading, company ~ compani (0.95)
 *
 *   left 1: next is r7 at 0.000012, behind by 17.60
 */
#include "cli/explanation.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "cli/channels.h"
#include "cli/command.h"
#include "cli/grid.h"
#include "cli/rows.h"

enum {
    CELL_CHARS = 40,
};

linkd_str lk_id_text(const linkd_table *table, size_t row,
                     lk_id_storage *storage)
{
    if (linkd_table_id_column(table) != LINKD_COLUMN_NONE)
        return linkd_table_id(table, row);
    (void)snprintf(storage->text, sizeof(storage->text), "%zu", row + 1);
    return (linkd_str){storage->text, strlen(storage->text)};
}

/* Both ids of the pair, or of it with another row in the place of one. */
static linkd_str id_of(const lk_told *told, size_t side, lk_id_storage *storage)
{
    const linkd_candidate *c = &told->explanation->candidate;

    return lk_id_text(told->tables[side], side == 0 ? c->left : c->right,
                      storage);
}

static linkd_str runner_up_id(const lk_told *told, size_t side,
                              lk_id_storage *storage)
{
    return lk_id_text(told->tables[1 - side],
                      told->explanation->runners_up[side].row, storage);
}

/* ---- for people --------------------------------------------------------- */

static int part_add(lk_grid *grid, linkd_str name, double log_odds,
                    const linkd_cell *cells, linkd_error *err)
{
    int rc = lk_grid_add(grid, name, err);

    if (rc == LINKD_OK)
        rc = lk_grid_printf(grid, err, "%+.2f",
                            fabs(log_odds) < 0.005 ? 0.0 : log_odds);
    for (size_t i = 0; i < 2 && rc == LINKD_OK; i++) {
        linkd_str cell = {"", 0};

        if (cells != NULL && cells[i].len > 0)
            cell = (linkd_str){cells[i].bytes, cells[i].len};
        rc = lk_grid_add(grid, cell, err);
    }
    return rc;
}

static int named_add(lk_grid *grid, const char *name, double log_odds,
                     linkd_error *err)
{
    return part_add(grid, (linkd_str){name, strlen(name)}, log_odds, NULL, err);
}

static int parts_add(const linkd_explanation *e, lk_grid *grid,
                     linkd_error *err)
{
    int rc = named_add(grid, "(prior)", e->prior, err);

    for (size_t i = 0; i < e->n_fields && rc == LINKD_OK; i++)
        rc = part_add(grid, e->fields[i].name, e->fields[i].log_odds,
                      e->fields[i].cells, err);
    if (rc == LINKD_OK)
        rc = named_add(grid, "(whole record)", e->record, err);
    if (rc == LINKD_OK)
        rc = named_add(grid, "(competition)", e->competition, err);
    return rc == LINKD_OK ? named_add(grid, "total", e->log_odds, err) : rc;
}

static int parts_print(const linkd_explanation *e, FILE *out, linkd_error *err)
{
    static const char *const heads[] = {"PART", "LOG-ODDS", "LEFT", "RIGHT"};
    lk_grid grid = {.n_columns = 4,
                    .cell_max = CELL_CHARS,
                    .is_right = {false, true, false, false}};
    int rc = lk_grid_row(&grid, heads, grid.n_columns, err);

    if (rc == LINKD_OK)
        rc = parts_add(e, &grid, err);
    if (rc == LINKD_OK)
        lk_grid_print(&grid, out);
    lk_grid_clear(&grid);
    return rc;
}

typedef enum word_kind {
    WORDS_AGREE,
    WORDS_SIMILAR,
    WORDS_LEFT,
    WORDS_RIGHT,
    N_WORD_KINDS,
} word_kind;

static const char *const word_kind_names[N_WORD_KINDS] = {
    "agree", "similar", "left_only", "right_only"};

static word_kind kind_of(const linkd_word_pair *pair)
{
    if (pair->right.len == 0)
        return WORDS_LEFT;
    if (pair->left.len == 0)
        return WORDS_RIGHT;
    return pair->similarity >= 1.0F ? WORDS_AGREE : WORDS_SIMILAR;
}

static void word_print(const linkd_word_pair *pair, FILE *out)
{
    linkd_str word = pair->left.len > 0 ? pair->left : pair->right;

    (void)fprintf(out, "%.*s", (int)word.len, word.bytes);
    if (kind_of(pair) == WORDS_SIMILAR)
        (void)fprintf(out, " ~ %.*s (%.2f)", (int)pair->right.len,
                      pair->right.bytes, (double)pair->similarity);
}

static void words_print(const linkd_field_part *part, FILE *out)
{
    static const char *const phrases[N_WORD_KINDS] = {
        "agree", "similar", "only left", "only right"};
    const char *separator = ": ";

    (void)fprintf(out, "%s", lk_label_of(part->name).text);
    for (size_t kind = 0; kind < N_WORD_KINDS; kind++) {
        bool is_first = true;

        for (size_t i = 0; i < part->n_words; i++) {
            if (kind_of(&part->words[i]) != (word_kind)kind)
                continue;
            if (is_first)
                (void)fprintf(out, "%s%s ", separator, phrases[kind]);
            else
                (void)fputs(", ", out);
            word_print(&part->words[i], out);
            is_first = false;
            separator = "; ";
        }
    }
    (void)fputc('\n', out);
}

static void runner_up_print(const lk_told *told, size_t side, FILE *out)
{
    static const char *const sides[] = {"left", "right"};
    const linkd_runner_up *r = &told->explanation->runners_up[side];
    lk_id_storage own;
    lk_id_storage other;

    (void)fprintf(out, "%s %s: ", sides[side],
                  lk_label_of(id_of(told, side, &own)).text);
    if (r->candidate == LINKD_CANDIDATE_NONE) {
        (void)fputs("no other candidate\n", out);
        return;
    }
    (void)fprintf(out, "%s at %.6f, %s by %.2f\n",
                  lk_label_of(runner_up_id(told, side, &other)).text,
                  (double)told->decision->candidates[r->candidate].probability,
                  r->margin >= 0.0 ? "behind" : "ahead", fabs(r->margin));
}

int lk_explanation_print(const lk_told *told, FILE *out, linkd_error *err)
{
    const linkd_explanation *e = told->explanation;
    lk_id_storage left;
    lk_id_storage right;
    int rc;

    (void)fprintf(out, "%s ~ %s: probability %.6f (cut %.6f), score %.6f, %s\n",
                  lk_label_of(id_of(told, 0, &left)).text,
                  lk_label_of(id_of(told, 1, &right)).text,
                  (double)e->candidate.probability, told->decision->threshold,
                  (double)e->candidate.score,
                  e->candidate.accepted ? "accepted" : "not accepted");
    (void)fputc('\n', out);
    rc = parts_print(e, out, err);
    if (rc != LINKD_OK)
        return rc;
    (void)fputs("\nWORDS\n", out);
    for (size_t i = 0; i < e->n_fields; i++)
        if (e->fields[i].n_words > 0)
            words_print(&e->fields[i], out);
    (void)fputs("\nNEXT BEST PARTNER\n", out);
    runner_up_print(told, 0, out);
    runner_up_print(told, 1, out);
    return LINKD_OK;
}

/* ---- for programs ------------------------------------------------------- */

/* Appends and remembers the first failure, as lk_rows does. */
typedef struct writer {
    lk_buf *buf;
    int rc;
    linkd_error *err;
} writer;

static void put(writer *w, const char *text)
{
    if (w->rc == LINKD_OK)
        w->rc = lk_buf_append(w->buf, text, strlen(text), w->err);
}

static void put_number(writer *w, const char *name, int decimals, double number)
{
    char digits[64];

    (void)snprintf(digits, sizeof(digits), "%.*f", decimals, number);
    put(w, name);
    /* no zero below zero */
    put(w,
        digits + (digits[0] == '-' && strspn(digits, "-0.") == strlen(digits)));
}

static void put_text(writer *w, const char *name, linkd_str text)
{
    put(w, name);
    if (w->rc == LINKD_OK)
        w->rc = lk_json_append(w->buf, text, w->err);
}

static void put_cell(writer *w, const char *name, linkd_cell cell)
{
    if (cell.kind == LINKD_CELL_TEXT) {
        put_text(w, name, (linkd_str){cell.bytes, cell.len});
        return;
    }
    put(w, name);
    if (cell.kind == LINKD_CELL_MISSING)
        put(w, "null");
    else if (w->rc == LINKD_OK)
        w->rc = lk_buf_append(w->buf, cell.bytes, cell.len, w->err);
}

static void put_words(writer *w, const linkd_field_part *part, word_kind kind)
{
    const char *separator = "";

    put(w, ", \"");
    put(w, word_kind_names[kind]);
    put(w, "\": [");
    for (size_t i = 0; i < part->n_words; i++) {
        const linkd_word_pair *pair = &part->words[i];

        if (kind_of(pair) != kind)
            continue;
        put(w, separator);
        if (kind == WORDS_SIMILAR) {
            put_text(w, "{\"left\": ", pair->left);
            put_text(w, ", \"right\": ", pair->right);
            put_number(w, ", \"similarity\": ", 4, (double)pair->similarity);
            put(w, "}");
        } else {
            put_text(w, "", pair->left.len > 0 ? pair->left : pair->right);
        }
        separator = ", ";
    }
    put(w, "]");
}

static void put_fields(writer *w, const linkd_explanation *e)
{
    for (size_t i = 0; i < e->n_fields; i++) {
        const linkd_field_part *part = &e->fields[i];

        put_text(w, i > 0 ? ", {\"field\": " : "{\"field\": ", part->name);
        put_number(w, ", \"log_odds\": ", 4, part->log_odds);
        put_cell(w, ", \"left\": ", part->cells[0]);
        put_cell(w, ", \"right\": ", part->cells[1]);
        for (size_t kind = 0; kind < N_WORD_KINDS; kind++)
            put_words(w, part, (word_kind)kind);
        put(w, "}");
    }
}

static void put_runner_up(writer *w, const lk_told *told, size_t side)
{
    const linkd_runner_up *r = &told->explanation->runners_up[side];
    lk_id_storage storage;

    put(w, side == 0 ? "\"left\": " : ", \"right\": ");
    if (r->candidate == LINKD_CANDIDATE_NONE) {
        put(w, "null");
        return;
    }
    put_text(w, "{\"id\": ", runner_up_id(told, side, &storage));
    put_number(w, ", \"probability\": ", 6,
               (double)told->decision->candidates[r->candidate].probability);
    put_number(w, ", \"margin\": ", 4, r->margin);
    put(w, "}");
}

static void put_channels(writer *w, unsigned channels)
{
    const char *separator = "";

    put(w, ", \"channels\": [");
    for (size_t i = 0; i <= LK_N_CHANNELS; i++) {
        if ((channels >> i & 1U) == 0)
            continue;
        put(w, separator);
        put_text(w, "",
                 (linkd_str){lk_channel_words[i], strlen(lk_channel_words[i])});
        separator = ", ";
    }
    put(w, "]");
}

int lk_explanation_json(const lk_told *told, lk_buf *ret_line, linkd_error *err)
{
    const linkd_explanation *e = told->explanation;
    writer w = {ret_line, LINKD_OK, err};
    lk_id_storage storage;

    put_text(&w, "{\"left_id\": ", id_of(told, 0, &storage));
    put_text(&w, ", \"right_id\": ", id_of(told, 1, &storage));
    put_number(&w, ", \"score\": ", 6, (double)e->candidate.score);
    put_number(&w, ", \"probability\": ", 6, (double)e->candidate.probability);
    put_number(&w, ", \"threshold\": ", 6, told->decision->threshold);
    put(&w, e->candidate.accepted ? ", \"accepted\": true"
                                  : ", \"accepted\": false");
    put_channels(&w, e->candidate.channels);
    put_number(&w, ", \"log_odds\": ", 4, e->log_odds);
    put_number(&w, ", \"prior\": ", 4, e->prior);
    put(&w, ", \"fields\": [");
    put_fields(&w, e);
    put_number(&w, "], \"record\": ", 4, e->record);
    put_number(&w, ", \"competition\": ", 4, e->competition);
    put(&w, ", \"runners_up\": {");
    put_runner_up(&w, told, 0);
    put_runner_up(&w, told, 1);
    put(&w, "}}\n");
    return w.rc;
}
