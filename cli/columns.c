/* cli/columns.c — column names on the command line to columns of a table.
 *
 * A name that does not exist is the mistake that everybody makes first, so its
 * message is followed by the names that do. */
#include "cli/columns.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define HINT_MAX_BYTES 600 /* of a list of columns: some files have thousands */

/* ---- "a,b" -------------------------------------------------------------- */

/* Reads one quoted name; `*at` is behind the opening quote. NULL: not closed.
 */
static char *quoted_copy(const char **at, char *to)
{
    for (; **at != '\0'; (*at)++) {
        if (**at == '"' && *++*at != '"')
            return to;
        *to++ = **at;
    }
    return NULL;
}

static char *plain_copy(const char **at, char *to)
{
    size_t n = strcspn(*at, ",");

    memcpy(to, *at, n);
    *at += n;
    return to + n;
}

/* One name and the comma behind it, unquoted into `to`. */
static int name_split(const char *option, const char **at, char *to,
                      linkd_str *ret_name, linkd_error *err)
{
    bool quoted = **at == '"';
    char *end;

    if (quoted)
        ++*at;
    end = quoted ? quoted_copy(at, to) : plain_copy(at, to);
    if (end == NULL)
        return lk_fail(err, LINKD_E_ARG, "--%s: a quote is not closed", option);
    if (**at != '\0' && **at != ',')
        return lk_fail(err, LINKD_E_ARG,
                       "--%s: a comma is missing before \"%s\"", option, *at);
    if (end == to)
        return lk_fail(err, LINKD_E_ARG, "--%s: a column name is empty",
                       option);
    *ret_name = (linkd_str){to, (size_t)(end - to)};
    return LINKD_OK;
}

static int names_fill(const char *option, const char *text, char *space,
                      lk_name_list *names, linkd_error *err)
{
    for (const char *at = text;; at++) {
        linkd_str *name = &names->names[names->n];
        int rc = name_split(option, &at, space, name, err);

        if (rc != LINKD_OK)
            return rc;
        for (size_t i = 0; i < names->n; i++) {
            if (names->names[i].len == name->len &&
                memcmp(names->names[i].bytes, name->bytes, name->len) == 0)
                return lk_fail(err, LINKD_E_ARG,
                               "--%s names column \"%.*s\" twice", option,
                               (int)name->len, name->bytes);
        }
        space += name->len;
        names->n++;
        if (*at == '\0')
            return LINKD_OK;
    }
}

int lk_name_list_split(const char *option, const char *text,
                       lk_name_list *ret_names, linkd_error *err)
{
    lk_name_list names = {NULL, 0, {0}};
    size_t len = strlen(text);
    /* no more names than bytes, plus one */
    char *space = lk_arena_alloc(&names.arena, len + 1);
    int rc;

    names.names = lk_arena_alloc(&names.arena, (len + 1) * sizeof(linkd_str));
    if (space == NULL || names.names == NULL)
        rc = lk_fail_nomem(err);
    else
        rc = names_fill(option, text, space, &names, err);
    if (rc != LINKD_OK) {
        lk_name_list_clear(&names);
        return rc;
    }
    *ret_names = names;
    return LINKD_OK;
}

void lk_name_list_clear(lk_name_list *names)
{
    lk_arena_clear(&names->arena);
    *names = (lk_name_list){NULL, 0, {0}};
}

int lk_name_list_json(const char *option, const char *text, json_t **ret_array,
                      linkd_error *err)
{
    lk_name_list names = {0};
    json_t *array;
    int rc = lk_name_list_split(option, text, &names, err);

    if (rc != LINKD_OK)
        return rc;
    array = json_array();
    for (size_t i = 0; i < names.n && rc == LINKD_OK; i++)
        if (json_array_append_new(array, json_stringn(names.names[i].bytes,
                                                      names.names[i].len)) != 0)
            rc = lk_fail_nomem(err);
    lk_name_list_clear(&names);
    if (rc == LINKD_OK)
        *ret_array = array;
    else
        json_decref(array);
    return rc;
}

/* ---- the columns that exist --------------------------------------------- */

static void hint_begin(lk_cli *cli)
{
    lk_buf_reset(&cli->hint);
    (void)!lk_buf_printf(&cli->hint, NULL, "its columns are ");
}

/* False once the list is long enough. */
static bool hint_add(lk_cli *cli, size_t i, linkd_str name)
{
    if (cli->hint.len + name.len > HINT_MAX_BYTES) {
        (void)!lk_buf_printf(&cli->hint, NULL, ", ...");
        return false;
    }
    (void)!lk_buf_printf(&cli->hint, NULL, "%s%s", i == 0 ? "" : ", ",
                         lk_label_of(name).text);
    return true;
}

static void hint_table(lk_cli *cli, const linkd_table *table)
{
    hint_begin(cli);
    for (size_t i = 0; i < linkd_table_n_columns(table); i++) {
        if (!hint_add(cli, i, linkd_table_column(table, i)))
            return;
    }
}

void lk_columns_hint(lk_cli *cli, const linkd_reader *reader)
{
    hint_begin(cli);
    for (size_t i = 0; i < linkd_reader_n_columns(reader); i++) {
        if (!hint_add(cli, i, linkd_reader_column(reader, i)))
            return;
    }
}

void lk_columns_hint_file(lk_cli *cli, const char *path, linkd_format format)
{
    linkd_reader *reader = NULL;
    linkd_record record;
    bool more;

    if (strcmp(path, "-") == 0 ||
        linkd_reader_open(path, format, &reader, NULL) != LINKD_OK)
        return;
    /* the first line of JSON lines is what tells columns */
    if (linkd_reader_next(reader, &record, &more, NULL) == LINKD_OK)
        lk_columns_hint(cli, reader);
    linkd_reader_close(reader);
}

/* ---- finding ------------------------------------------------------------ */

int lk_fail_column(const char *path, linkd_str name, linkd_error *err)
{
    return lk_fail(err, LINKD_E_ARG, "%s has no column \"%s\"",
                   lk_label_of_path(path).text, lk_label_of(name).text);
}

static int column_find(lk_cli *cli, const linkd_table *table, linkd_str name,
                       size_t *ret_column, linkd_error *err)
{
    size_t column = linkd_table_find_column(table, name);

    if (column == LINKD_COLUMN_NONE) {
        hint_table(cli, table);
        return lk_fail_column(linkd_table_path(table), name, err);
    }
    *ret_column = column;
    return LINKD_OK;
}

static int columns_find(lk_cli *cli, const linkd_table *table,
                        const lk_name_list *names, size_t *ret_columns,
                        linkd_error *err)
{
    int rc = LINKD_OK;

    for (size_t i = 0; i < names->n && rc == LINKD_OK; i++)
        rc = column_find(cli, table, names->names[i], &ret_columns[i], err);
    return rc;
}

int lk_column_find(lk_cli *cli, const linkd_table *table, const char *name,
                   size_t *ret_column, linkd_error *err)
{
    if (name == NULL) {
        *ret_column = LINKD_COLUMN_NONE;
        return LINKD_OK;
    }
    return column_find(cli, table, (linkd_str){name, strlen(name)}, ret_column,
                       err);
}

int lk_column_check_free(lk_cli *cli, const linkd_table *table,
                         const char *name, const char *command,
                         linkd_error *err)
{
    linkd_str wanted = {name, strlen(name)};

    if (linkd_table_find_column(table, wanted) == LINKD_COLUMN_NONE)
        return LINKD_OK;
    lk_cli_hint(cli, "rename it: %s writes a column of that name", command);
    return lk_fail(err, LINKD_E_DATA, "%s has a column \"%s\" already",
                   linkd_table_path(table), name);
}

/* ---- pairs of columns ---------------------------------------------------- */

static int names_pair(lk_cli *cli, const linkd_table *const tables[2],
                      const lk_name_list names[2],
                      linkd_column_pair **ret_pairs, linkd_error *err)
{
    size_t n = names[0].n;
    linkd_column_pair *pairs = calloc(n + 1, sizeof(*pairs));
    size_t *found = calloc(n + 1, sizeof(*found));
    int rc = LINKD_OK;

    if (pairs == NULL || found == NULL)
        rc = lk_fail_nomem(err);
    else if (names[1].n != n)
        rc = lk_fail(err, LINKD_E_ARG,
                     "--left-on names %zu columns and --right-on %zu", n,
                     names[1].n);
    for (size_t side = 0; side < 2 && rc == LINKD_OK; side++) {
        rc = columns_find(cli, tables[side], &names[side], found, err);
        for (size_t i = 0; i < n && rc == LINKD_OK; i++) {
            *(side == 0 ? &pairs[i].left : &pairs[i].right) = found[i];
            pairs[i].similarity = 1;
        }
    }
    free(found);
    if (rc == LINKD_OK)
        *ret_pairs = pairs;
    else
        free(pairs);
    return rc;
}

int lk_columns_pair(lk_cli *cli, const linkd_table *left,
                    const linkd_table *right, const lk_on_values *values,
                    linkd_column_pair **ret_pairs, size_t *ret_n_pairs,
                    linkd_error *err)
{
    const linkd_table *const tables[2] = {left, right};
    bool both = values->on != NULL;
    lk_name_list names[2] = {{0}, {0}};
    int rc;

    if (!both && values->left_on == NULL)
        return linkd_columns_pair(left, right, ret_pairs, ret_n_pairs, err);
    rc =
        lk_name_list_split(both ? "on" : "left-on",
                           both ? values->on : values->left_on, &names[0], err);
    if (rc == LINKD_OK)
        rc = lk_name_list_split(both ? "on" : "right-on",
                                both ? values->on : values->right_on, &names[1],
                                err);
    if (rc == LINKD_OK)
        rc = names_pair(cli, tables, names, ret_pairs, err);
    if (rc == LINKD_OK)
        *ret_n_pairs = names[0].n;
    lk_name_list_clear(&names[0]);
    lk_name_list_clear(&names[1]);
    return rc;
}
