/* How a record becomes the one text that the encoder sees, and how foreign text
 * is shown in a message.
 *
 * The fields' names are left out on purpose: a model trained on sentences reads
 * "Sony, PSLX350H, 149.00" as well as a labelled form, the labels would be the
 * same in all records, and they cost tokens. Numbers and other JSON literals
 * take part as they are written. */
#include "linkage/text.h"

#include <string.h>

#include "linkage/linkage.h"

/* A comma is what people write between parts of one thing, and what the texts
 * that sentence encoders were trained on have there. */
static const char FIELD_SEPARATOR[] = ", ";

static const char ELLIPSIS[] = "...";
static const char STDIN_LABEL[] = "standard input";

static bool is_white(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

linkd_str lk_str_trim(linkd_str text)
{
    while (text.len > 0 && is_white(text.bytes[text.len - 1]))
        text.len--;
    while (text.len > 0 && is_white(text.bytes[0])) {
        text.bytes++;
        text.len--;
    }
    return text;
}

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xC0U) == 0x80;
}

/* Copies text that is known to fit; what would break the line becomes "?". */
static void label_put(lk_label *label, size_t at, linkd_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.bytes[i];

        label->text[at + i] = c < 0x20 || c == 0x7F ? '?' : text.bytes[i];
    }
    label->text[at + text.len] = '\0';
}

lk_label lk_label_of(linkd_str text)
{
    lk_label label;
    size_t room = sizeof(label.text) - sizeof(ELLIPSIS);

    if (text.len <= room) {
        label_put(&label, 0, text);
        return label;
    }
    text.len = room;
    while (text.len > 0 && is_continuation(text.bytes[text.len]))
        text.len--;
    label_put(&label, 0, text);
    memcpy(label.text + text.len, ELLIPSIS, sizeof(ELLIPSIS));
    return label;
}

lk_label lk_label_of_path(const char *path)
{
    lk_label label;
    linkd_str text = {path, strlen(path)};
    size_t room = sizeof(label.text) - sizeof(ELLIPSIS);
    size_t cut;

    if (strcmp(path, "-") == 0)
        return lk_label_of((linkd_str){STDIN_LABEL, sizeof(STDIN_LABEL) - 1});
    if (text.len <= room) {
        label_put(&label, 0, text);
        return label;
    }
    cut = text.len - room;
    while (cut < text.len && is_continuation(text.bytes[cut]))
        cut++;
    memcpy(label.text, ELLIPSIS, sizeof(ELLIPSIS));
    label_put(&label, sizeof(ELLIPSIS) - 1,
              (linkd_str){path + cut, text.len - cut});
    return label;
}

int linkd_record_text(const linkd_cell *cells, size_t n_cells,
                      const size_t *columns, size_t n_columns, lk_buf *ret_text,
                      linkd_error *err)
{
    bool is_first = true;
    int rc = LINKD_OK;

    for (size_t i = 0; i < n_columns && rc == LINKD_OK; i++) {
        const linkd_cell *cell;
        linkd_str text;

        /* A JSONL record ends before the columns that came later. */
        if (columns[i] >= n_cells)
            continue;
        cell = &cells[columns[i]];
        if (cell->kind == LINKD_CELL_MISSING)
            continue;
        text = lk_str_trim((linkd_str){cell->bytes, cell->len});
        if (text.len == 0)
            continue;
        if (!is_first)
            rc = lk_buf_append(ret_text, FIELD_SEPARATOR,
                               sizeof(FIELD_SEPARATOR) - 1, err);
        if (rc == LINKD_OK)
            rc = lk_buf_append(ret_text, text.bytes, text.len, err);
        is_first = false;
    }
    return rc;
}
