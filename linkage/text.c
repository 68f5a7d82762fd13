/* linkage/text.c — how a record becomes the one text that the encoder sees, and
 * how foreign text is shown in a message.
 *
 * The fields' names are left out on purpose: a model trained on sentences reads
 * "Sony, PSLX350H, 149.00" as well as a labelled form, the labels would be the
 * same in all records, and they cost tokens. Numbers and other JSON literals
 * take part as they are written. */
#include "linkage/text.h"

#include <string.h>

#include "linkage/linkage.h"

enum {
    UTF8_MAX = 4, /* bytes of a character */
};

/* A comma is what people write between parts of one thing, and what the texts
 * that sentence encoders were trained on have there. */
static const char FIELD_SEPARATOR[] = ", ";

static const char ELLIPSIS[] = "...";
static const char STDIN_LABEL[] = "standard input";

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xC0U) == 0x80;
}

/* Unicode's White_Space, and of its Cf those that print nothing: spreadsheets
 * and web pages fill empty cells with them (Unicode 15, PropList.txt and
 * DerivedGeneralCategory.txt). */
static const struct {
    uint32_t first, last;
} blanks[] = {
    {0x09, 0x0D},     {0x20, 0x20},     {0x85, 0x85},     {0xA0, 0xA0},
    {0xAD, 0xAD},     {0x061C, 0x061C}, {0x1680, 0x1680}, {0x180E, 0x180E},
    {0x2000, 0x200F}, {0x2028, 0x202F}, {0x205F, 0x206F}, {0x3000, 0x3000},
    {0xFEFF, 0xFEFF},
};

static bool is_blank(const char *character, size_t len)
{
    static const uint8_t lead_bits[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    uint32_t c = (uint8_t)character[0] & lead_bits[len];

    for (size_t i = 1; i < len; i++)
        c = c << 6 | ((uint8_t)character[i] & 0x3FU);
    for (size_t i = 0; i < sizeof(blanks) / sizeof(blanks[0]); i++)
        if (c >= blanks[i].first && c <= blanks[i].last)
            return true;
    return false;
}

/* Bytes of the first character, and of the last one. */
static size_t first_len(linkd_str text)
{
    size_t len = 1;

    while (len < text.len && len < UTF8_MAX && is_continuation(text.bytes[len]))
        len++;
    return len;
}

static size_t last_len(linkd_str text)
{
    size_t len = 1;

    while (len < text.len && len < UTF8_MAX &&
           is_continuation(text.bytes[text.len - len]))
        len++;
    return len;
}

linkd_str lk_str_trim(linkd_str text)
{
    while (text.len > 0) {
        size_t len = last_len(text);

        if (!is_blank(text.bytes + text.len - len, len))
            break;
        text.len -= len;
    }
    while (text.len > 0) {
        size_t len = first_len(text);

        if (!is_blank(text.bytes, len))
            break;
        text.bytes += len;
        text.len -= len;
    }
    return text;
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

int lk_text_add(lk_buf *text, size_t begin, linkd_str value, linkd_error *err)
{
    linkd_str trimmed = lk_str_trim(value);
    int rc = LINKD_OK;

    if (trimmed.len == 0)
        return LINKD_OK;
    if (text->len > begin)
        rc = lk_buf_append(text, FIELD_SEPARATOR, sizeof(FIELD_SEPARATOR) - 1,
                           err);
    if (rc == LINKD_OK)
        rc = lk_buf_append(text, trimmed.bytes, trimmed.len, err);
    return rc;
}

int linkd_record_text(const linkd_cell *cells, size_t n_cells,
                      const size_t *columns, size_t n_columns, lk_buf *ret_text,
                      linkd_error *err)
{
    size_t begin = ret_text->len;
    int rc = LINKD_OK;

    for (size_t i = 0; i < n_columns && rc == LINKD_OK; i++) {
        const linkd_cell *cell;

        /* A JSONL record ends before the columns that came later. */
        if (columns[i] >= n_cells)
            continue;
        cell = &cells[columns[i]];
        if (cell->kind != LINKD_CELL_MISSING)
            rc = lk_text_add(ret_text, begin,
                             (linkd_str){cell->bytes, cell->len}, err);
    }
    return rc;
}
