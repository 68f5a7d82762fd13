/* cli/keep.c — one row an entity, and where the others went:
 *
 *   entities ─► a row for each ─► --keep: those rows, with entity_id
 *                             └─► --dropped: id,kept_id,entity_id of the rest
 *
 * So nothing is lost on the way: input rows are kept rows plus dropped ones. */
#include "cli/keep.h"

#include <stdlib.h>
#include <string.h>

#include "cli/pairs.h"
#include "cli/rows.h"

const char *const lk_keep_words[] = {"complete", "longest", "first", NULL};

static bool is_same(const char *a, const char *b)
{
    return a != NULL && b != NULL && strcmp(a, b) == 0;
}

static int fail_same(const char *option, linkd_error *err)
{
    return lk_fail(err, LINKD_E_ARG, "--%s is a file that is written already",
                   option);
}

int lk_keep_open(const lk_keep_values *values, bool by_given,
                 const char *const *taken, size_t n_taken,
                 const char *const *inputs, size_t n_inputs,
                 lk_output **ret_outputs, linkd_error *err)
{
    int rc = LINKD_OK;

    if (by_given && values->keep == NULL && values->dropped == NULL)
        return lk_fail(err, LINKD_E_ARG, "--keep-by needs --keep or --dropped");
    if (is_same(values->keep, values->dropped))
        return fail_same("dropped", err);
    for (size_t i = 0; i < n_taken; i++) {
        if (is_same(values->keep, taken[i]))
            return fail_same("keep", err);
        if (is_same(values->dropped, taken[i]))
            return fail_same("dropped", err);
    }
    if (values->keep != NULL)
        rc = lk_output_open(values->keep, inputs, n_inputs, &ret_outputs[0],
                            err);
    if (rc == LINKD_OK && values->dropped != NULL)
        rc = lk_output_open(values->dropped, inputs, n_inputs, &ret_outputs[1],
                            err);
    return rc;
}

/* The entities of one run. */
typedef struct keeping {
    const linkd_table *table;
    const size_t *entities; /* [n_rows] */
    size_t n_entities;
    size_t *kept; /* [n_entities]: rows */
} keeping;

static bool is_kept(const void *of, size_t row)
{
    const keeping *k = of;

    return k->kept[k->entities[row]] == row;
}

static void entity_write(void *of, lk_rows *rows, size_t row)
{
    const keeping *k = of;

    lk_rows_count(rows, k->entities[row] + 1);
}

static int entities_write(keeping *k, bool (*takes)(const void *of, size_t row),
                          lk_output *output, linkd_format format,
                          linkd_error *err)
{
    static const linkd_str column = {"entity_id", 9};
    const lk_added with_entity = {.columns = &column,
                                  .n_columns = 1,
                                  .cells_add = entity_write,
                                  .takes = takes,
                                  .of = k};

    return lk_rows_write_added(k->table, &with_entity, output, format, err);
}

int lk_entities_write(const linkd_table *table, const size_t *entities,
                      lk_output *output, linkd_format format, linkd_error *err)
{
    keeping k = {.table = table, .entities = entities};

    return entities_write(&k, NULL, output, format, err);
}

static int dropped_write(const keeping *k, lk_output *output,
                         linkd_format format, linkd_error *err)
{
    static const linkd_str names[] = {
        {"id", 2}, {"kept_id", 7}, {"entity_id", 9}};
    lk_rows rows = {0};
    int rc = lk_rows_init(&rows, output, format, names, 3, err);

    for (size_t row = 0; row < linkd_table_n_rows(k->table) && rc == LINKD_OK;
         row++) {
        size_t entity = k->entities[row];

        if (k->kept[entity] == row)
            continue;
        lk_rows_id(&rows, k->table, row);
        lk_rows_id(&rows, k->table, k->kept[entity]);
        lk_rows_count(&rows, entity + 1);
        rc = lk_rows_end(&rows, err);
    }
    lk_rows_clear(&rows);
    return rc;
}

int lk_keep_write(const lk_keep_values *values, const linkd_table *table,
                  const size_t *entities, size_t n_entities,
                  lk_output *const *outputs, linkd_error *err)
{
    keeping k = {table, entities, n_entities, NULL};
    int rc;

    if (outputs[0] == NULL && outputs[1] == NULL)
        return LINKD_OK;
    rc = linkd_entities_keep(table, entities, n_entities,
                             (linkd_keep)values->by, &k.kept, err);
    if (rc == LINKD_OK && outputs[0] != NULL)
        rc = entities_write(&k, is_kept, outputs[0],
                            lk_rows_format(values->keep), err);
    if (rc == LINKD_OK && outputs[1] != NULL)
        rc =
            dropped_write(&k, outputs[1], lk_rows_format(values->dropped), err);
    free(k.kept);
    return rc;
}
