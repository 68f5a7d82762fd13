/* linkage/id_trial.c — tells ids with a mistake from a column of something else.
 *
 * Without a named column ids are those of the first one if they are unique, else
 * row numbers. A list of names with namesakes is meant to get numbers. A list of
 * ids where one slipped in twice is not, and how many differ tells them apart,
 * together with what people call such columns. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "linkage/tables.h"

enum {
    NAMED_BAD_SHARE = 2, /* 1 of 2: what repeats more often names a group */
    BAD_SHARE = 20,      /* 1 of 20: guess */
};

static bool has_blank(linkd_cell cell)
{
    for (size_t i = 0; i < cell.len; i++) {
        if (isspace((unsigned char)cell.bytes[i]))
            return true;
    }
    return false;
}

void linkd_id_trial_add(linkd_id_trial *trial, const linkd_reader *reader,
                        const linkd_record *record, linkd_cell id, bool is_new,
                        uint64_t equal_row)
{
    bool is_there = id.kind != LINKD_CELL_MISSING && id.len > 0;

    trial->n_rows++;
    trial->has_blanks = trial->has_blanks || has_blank(id);
    if (is_there && is_new)
        return;
    trial->n_bad++;
    if (trial->row != 0)
        return;
    trial->row = record->row;
    trial->line = record->line;
    trial->equal_row = equal_row;
    trial->value = lk_label_of((linkd_str){id.bytes, id.len});
    if (linkd_reader_n_columns(reader) > 0)
        trial->column = lk_label_of(linkd_reader_column(reader, 0));
}

/* "product_id", "Record ID", "productId", but not "paid". */
static bool ends_in_id(const char *name, size_t len)
{
    const char *end = name + len - 2;

    if (len < 3 || strcasecmp(end, "id") != 0)
        return false;
    return !isalpha((unsigned char)end[-1]) ||
           (end[0] == 'I' && islower((unsigned char)end[-1]));
}

static bool is_named_so(const char *name)
{
    static const char *const names[] = {"id", "key", "sku", "uuid", "guid"};

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        if (strcasecmp(name, names[i]) == 0)
            return true;
    }
    return ends_in_id(name, strlen(name));
}

bool linkd_id_trial_is_flawed(const linkd_id_trial *trial)
{
    if (trial->row == 0 || trial->column.text[0] == '\0')
        return false;
    if (is_named_so(trial->column.text))
        return trial->n_bad * NAMED_BAD_SHARE <= trial->n_rows;
    return !trial->has_blanks && trial->n_bad * BAD_SHARE <= trial->n_rows;
}
