/* cli/user_queries.c — see user_queries.h. */
#include "cli/user_queries.h"

static json_t *cell_json(const linkd_table *table, size_t row, size_t column)
{
    linkd_cell cell = linkd_table_cell(table, row, column);

    return json_stringn(cell.len > 0 ? cell.bytes : "", cell.len);
}

static int queries_fill(const linkd_table *table, json_t *queries,
                        linkd_error *err)
{
    size_t query = linkd_table_find_column(table, (linkd_str){"query", 5});
    size_t id = linkd_table_find_column(table, (linkd_str){"id", 2});
    int rc = LINKD_OK;

    if (query == LINKD_COLUMN_NONE || id == LINKD_COLUMN_NONE)
        return lk_fail(err, LINKD_E_DATA, "%s has no column %s",
                       lk_label_of_path(linkd_table_path(table)).text,
                       query == LINKD_COLUMN_NONE ? "query" : "id");
    for (size_t i = 0; i < linkd_table_n_rows(table) && rc == LINKD_OK; i++)
        if (json_array_append_new(queries,
                                  json_pack("{s:o, s:o}", "query",
                                            cell_json(table, i, query), "id",
                                            cell_json(table, i, id))) != 0)
            rc = lk_fail_nomem(err);
    return rc;
}

int lk_user_queries_read(lk_cli *cli, const char *path, json_t *body,
                         linkd_error *err)
{
    linkd_table *table = NULL;
    json_t *queries = json_array();
    int rc = queries == NULL ? lk_fail_nomem(err)
                             : linkd_table_read(path, LINKD_FORMAT_AUTO, NULL,
                                                &cli->progress, &table, err);

    if (rc == LINKD_OK)
        rc = queries_fill(table, queries, err);
    if (rc == LINKD_OK && json_object_set(body, "queries", queries) != 0)
        rc = lk_fail_nomem(err);
    linkd_table_free(table);
    json_decref(queries);
    return rc;
}
