/* daemon/job_apply.c — what a job decided, into its collection.
 *
 *   dedup  entities of all rows ──────────────────► one assignment, with the
 *          pairs that are not improbable ─► reasons  reasons of its log
 *   link   row ─► record, fields named as their partners ─► put, joining the
 *                                                        most probable partner
 *
 * A job may take hours, and the collection goes on meanwhile: records that are
 * gone by now are left out, and looked for again if one goes in between. */
#include "daemon/job_apply.h"

#include <stdlib.h>
#include <string.h>

/* A record that vanished is found to be gone by the next look; a guess at how
 * often that happens in a row. */
#define ATTEMPTS_MAX 10
/* Rows of one transaction: the batches of linkctl collection import. */
#define ROWS_PER_PUT ((size_t)1000)
/* A less probable pair is no reason that anybody wants to hear; it keeps the
 * edges as few as the doubtful pairs. A guess. */
#define REASON_LEAST 0.01F

/* ---- dedup --------------------------------------------------------------- */

typedef struct members {
    linkd_str *ids;   /* [n]: those that are still there */
    uint64_t *groups; /* [n] */
    size_t n;
    size_t *places; /* [n_rows]: of a row among them, or SIZE_MAX */
    linkd_entity_edge *edges;
    size_t n_edges;
} members;

static int members_new(members *m, size_t n_rows, const lk_job_decided *d,
                       linkd_error *err)
{
    size_t n_edges = 0;

    for (size_t i = 0; i < d->decision.n_candidates; i++)
        n_edges += d->decision.candidates[i].probability >= REASON_LEAST;
    m->ids = calloc(n_rows + 1, sizeof(*m->ids));
    m->groups = calloc(n_rows + 1, sizeof(*m->groups));
    m->places = calloc(n_rows + 1, sizeof(*m->places));
    m->edges = calloc(n_edges + 1, sizeof(*m->edges));
    if (m->ids == NULL || m->groups == NULL || m->places == NULL ||
        m->edges == NULL)
        return lk_fail_nomem(err);
    return LINKD_OK;
}

static void members_clear(members *m)
{
    free(m->edges);
    free(m->places);
    free(m->groups);
    free(m->ids);
}

static int members_find(members *m, linkd_view *view, const linkd_table *table,
                        const size_t *entities, linkd_error *err)
{
    int rc = LINKD_OK;

    m->n = 0;
    for (size_t i = 0; i < linkd_table_n_rows(table) && rc == LINKD_OK; i++) {
        linkd_str id = linkd_table_id(table, i);
        uint64_t number;
        bool found = false;

        rc = linkd_view_find(view, id, &number, &found, err);
        m->places[i] = found ? m->n : SIZE_MAX;
        m->ids[m->n] = id;
        m->groups[m->n] = entities[i];
        m->n += found;
    }
    return rc;
}

static void edges_find(members *m, const linkd_decision *decision)
{
    m->n_edges = 0;
    for (size_t i = 0; i < decision->n_candidates; i++) {
        const linkd_candidate *c = &decision->candidates[i];
        size_t a = m->places[c->left];
        size_t b = m->places[c->right];

        if (c->probability >= REASON_LEAST && a != SIZE_MAX && b != SIZE_MAX)
            m->edges[m->n_edges++] = (linkd_entity_edge){a, b, c->probability};
    }
}

static int members_assign(const lk_job_run *run, const linkd_table *table,
                          const lk_job_decided *d, members *m, linkd_error *err)
{
    linkd_str collection = run->spec->sides[0].collection;
    linkd_write_result written;
    linkd_view *view = NULL;
    int rc = linkd_view_open(run->service->store, collection, &view, err);

    if (rc == LINKD_OK)
        rc = members_find(m, view, table, d->entities, err);
    linkd_view_close(view);
    if (rc != LINKD_OK || m->n == 0)
        return rc;
    edges_find(m, &d->decision);
    return linkd_store_assign_entities(
        run->service->store, collection,
        &(linkd_assignment){m->ids, m->groups, m->n, m->edges, m->n_edges},
        &written, err);
}

static int dedup_apply(const lk_job_run *run, const linkd_table *table,
                       const lk_job_decided *d, linkd_error *err)
{
    members m = {0};
    int rc = members_new(&m, linkd_table_n_rows(table), d, err);

    if (rc == LINKD_OK) {
        rc = LINKD_E_ABSENT;
        for (int i = 0; i < ATTEMPTS_MAX && rc == LINKD_E_ABSENT; i++)
            rc = members_assign(run, table, d, &m, err);
    }
    members_clear(&m);
    return rc;
}

/* ---- link ---------------------------------------------------------------- */

typedef struct attaching {
    const lk_job_run *run;
    const lk_job_deciding *deciding;
    linkd_str collection;
    linkd_settings settings;
    uint32_t generation; /* that the job's vectors are of */
    const linkd_table *left;
    const linkd_table *right;
    linkd_str
        *names; /* [n_columns] of the left table: of the field, or empty */
    size_t *partners; /* [n_rows] of the left table: SIZE_MAX: none */
    linkd_put *puts;  /* [ROWS_PER_PUT] */
    lk_arena settled; /* lives as long */
    lk_arena fields;  /* of one chunk */
} attaching;

static bool name_is_taken(const attaching *a, size_t column, linkd_str name)
{
    for (size_t i = 0; i < linkd_table_n_columns(a->left); i++)
        if (i != column && name.len > 0 && a->names[i].len == name.len &&
            memcmp(a->names[i].bytes, name.bytes, name.len) == 0)
            return true;
    return false;
}

/* A column that was compared has the name of its partner, so that the record
 * has a text; one whose name is taken then is left out. */
static int names_choose(attaching *a, linkd_error *err)
{
    const lk_job_tables *t = a->deciding->tables;
    size_t n = linkd_table_n_columns(a->left);

    a->names = calloc(n + 1, sizeof(*a->names));
    if (a->names == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < t->n_columns; i++) {
        const linkd_column_pair *pair = &t->columns[i];

        if (pair->left != LINKD_COLUMN_NONE &&
            pair->right != LINKD_COLUMN_NONE &&
            pair->right != linkd_table_text_column(a->right))
            a->names[pair->left] = linkd_table_column(a->right, pair->right);
    }
    for (size_t i = 0; i < n; i++) {
        linkd_str own = linkd_table_column(a->left, i);

        if (i == linkd_table_id_column(a->left))
            a->names[i] = (linkd_str){"", 0};
        else if (a->names[i].len == 0 && !name_is_taken(a, i, own))
            a->names[i] = own;
    }
    return LINKD_OK;
}

/* Of several pairs of a row the first is the best. */
static int partners_choose(attaching *a, const lk_job_decided *d,
                           linkd_error *err)
{
    size_t n = linkd_table_n_rows(a->left);

    a->partners = calloc(n + 1, sizeof(*a->partners));
    if (a->partners == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < n; i++)
        a->partners[i] = SIZE_MAX;
    for (size_t i = d->n_pairs; i-- > 0;)
        a->partners[d->pairs[i].left] = d->pairs[i].right;
    return LINKD_OK;
}

static int put_make(attaching *a, size_t row, linkd_put *put, linkd_error *err)
{
    size_t n = linkd_table_n_columns(a->left);
    linkd_field *fields = lk_arena_alloc(&a->fields, (n + 1) * sizeof(*fields));

    if (fields == NULL)
        return lk_fail_nomem(err);
    *put = (linkd_put){.id = linkd_table_id(a->left, row),
                       .fields = fields,
                       .new_entity = true};
    for (size_t i = 0; i < n; i++) {
        linkd_cell cell = linkd_table_cell(a->left, row, i);

        if (a->names[i].len == 0 || cell.kind == LINKD_CELL_MISSING ||
            cell.len == 0)
            continue;
        fields[put->n_fields++] =
            (linkd_field){a->names[i],
                          {cell.bytes, cell.len},
                          cell.kind == LINKD_CELL_LITERAL ? LINKD_FIELD_LITERAL
                                                          : LINKD_FIELD_TEXT};
    }
    return LINKD_OK;
}

/* Which partners are still there. */
static int joins_set(attaching *a, size_t begin, size_t n, linkd_error *err)
{
    linkd_view *view = NULL;
    int rc = linkd_view_open(a->run->service->store, a->collection, &view, err);

    for (size_t i = 0; i < n && rc == LINKD_OK; i++) {
        size_t partner = a->partners[begin + i];
        uint64_t number;
        bool found = false;

        a->puts[i].join = (linkd_str){"", 0};
        a->puts[i].generation = a->generation;
        if (partner == SIZE_MAX)
            continue;
        rc = linkd_view_find(view, linkd_table_id(a->right, partner), &number,
                             &found, err);
        if (found)
            a->puts[i].join = linkd_table_id(a->right, partner);
    }
    linkd_view_close(view);
    return rc;
}

static int chunk_put(attaching *a, size_t begin, size_t n, linkd_error *err)
{
    linkd_write_result written;
    int rc = LINKD_OK;

    for (size_t i = 0; i < n && rc == LINKD_OK; i++)
        rc = put_make(a, begin + i, &a->puts[i], err);
    if (rc == LINKD_OK)
        rc = LINKD_E_CONFLICT;
    for (int i = 0; i < ATTEMPTS_MAX && rc == LINKD_E_CONFLICT; i++) {
        rc = joins_set(a, begin, n, err);
        if (rc == LINKD_OK)
            rc = linkd_collection_put(a->run->service->store, a->collection,
                                      &a->settings, a->deciding->embedder,
                                      a->puts, n, NULL, &written, NULL, err);
    }
    lk_arena_clear(&a->fields);
    return rc;
}

static int chunks_put(attaching *a, linkd_error *err)
{
    size_t n_rows = linkd_table_n_rows(a->left);
    int rc = LINKD_OK;

    for (size_t i = 0; i < n_rows && rc == LINKD_OK; i += ROWS_PER_PUT) {
        size_t n = n_rows - i < ROWS_PER_PUT ? n_rows - i : ROWS_PER_PUT;

        rc = chunk_put(a, i, n, err);
        if (rc == LINKD_OK)
            rc = lk_progress_report(a->deciding->progress, "apply", i + n,
                                    n_rows, err);
    }
    return rc;
}

static int settings_read(attaching *a, linkd_error *err)
{
    linkd_collection_info info;
    int rc = linkd_store_describe(a->run->service->store, a->collection,
                                  &a->settled, &info, err);

    if (rc == LINKD_OK)
        rc = linkd_settings_parse(info.options.settings, &a->settled,
                                  &a->settings, err);
    if (rc == LINKD_OK &&
        (info.options.fingerprint.len != a->run->vectors->fingerprint.len ||
         memcmp(info.options.fingerprint.bytes,
                a->run->vectors->fingerprint.bytes,
                info.options.fingerprint.len) != 0))
        rc = lk_fail(err, LINKD_E_CONFLICT,
                     "collection \"%s\" changed its model while the job ran",
                     lk_label_of(a->collection).text);
    if (rc == LINKD_OK)
        a->generation = info.generation;
    return rc;
}

static int link_apply(const lk_job_run *run, const lk_job_deciding *deciding,
                      const lk_job_decided *d, linkd_error *err)
{
    attaching a = {.run = run,
                   .deciding = deciding,
                   .collection = run->spec->sides[1].collection,
                   .left = deciding->tables->tables[0],
                   .right = deciding->tables->tables[1]};
    int rc = settings_read(&a, err);

    if (rc == LINKD_OK)
        rc = names_choose(&a, err);
    if (rc == LINKD_OK)
        rc = partners_choose(&a, d, err);
    a.puts = calloc(ROWS_PER_PUT, sizeof(*a.puts));
    if (rc == LINKD_OK && a.puts == NULL)
        rc = lk_fail_nomem(err);
    if (rc == LINKD_OK)
        rc = chunks_put(&a, err);
    free(a.puts);
    free(a.partners);
    free(a.names);
    lk_arena_clear(&a.fields);
    lk_arena_clear(&a.settled);
    return rc;
}

int lk_job_apply_check(const lk_job_tables *tables, linkd_error *err)
{
    if (tables->spec->apply && tables->spec->kind == LK_JOB_LINK &&
        linkd_table_id_column(tables->tables[0]) == LINKD_COLUMN_NONE)
        return lk_fail(err, LINKD_E_ARG,
                       "\"apply\" needs ids: a first column of values that are "
                       "neither empty nor repeated");
    return LINKD_OK;
}

int lk_job_apply(const lk_job_run *run, const lk_job_deciding *deciding,
                 const lk_job_decided *decided, linkd_error *err)
{
    if (run->spec->kind == LK_JOB_LINK)
        return link_apply(run, deciding, decided, err);
    return dedup_apply(run, deciding->tables->tables[0], decided, err);
}
