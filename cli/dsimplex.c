/* cli/dsimplex.c — see dsimplex.h.
 *
 *   labels ─► texts ─► base model ─► vectors ─┐
 *          │        └► earlier model with its ──┤
 *          │           head, if it is there     │
 *          └► entities ─► numbers ──────────────┴► head (compat/simplex_fit.c)
 *                                                    └► <store>/BASE+COLLECTION/
 *
 * A record's text is put together as linkd does it for the collection, or the
 * head would be learnt from other texts than it is used on. The directory gets
 * its name when it is whole. */
#include "cli/dsimplex.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "cli/number.h"
#include "cli/vector_read.h"

#define CHUNK_TEXTS ((size_t)256)
#define CLASSES     UINT64_C(1024) /* where none are asked for: compat.h */
#define SEED        UINT64_C(1)    /* any: the same labels give the same head */

typedef struct maker {
    lk_cli *cli;
    const lk_dsimplex *options;
    lk_arena arena; /* of texts and settings */
    linkd_settings settings;
    linkd_table *table;
    size_t label_column;
    linkd_str *texts; /* [n]: of the rows that have text and entity */
    uint64_t *labels; /* [n] */
    size_t n;
    linkd_head_labels learnt; /* what identifies all of these */
    lk_engine engine;
    float *vectors; /* [n, dim] */
    float *earlier; /* [n, n_classes - 1], or NULL */
    linkd_compat_map *map;
} maker;

static void maker_clear(maker *m)
{
    linkd_compat_map_free(m->map);
    lk_engine_close(&m->engine);
    linkd_table_free(m->table);
    lk_arena_clear(&m->arena);
    free(m->earlier);
    free(m->vectors);
    free(m->labels);
    free(m->texts);
}

/* ---- labelled texts -------------------------------------------------------- */

static int settings_read(maker *m, linkd_error *err)
{
    static const char *const members[] = {"text", "template"};
    json_t *object = json_object();
    char *text;
    int rc;

    for (size_t i = 0; i < 2; i++) {
        json_t *value = json_object_get(m->options->settings, members[i]);

        if (value != NULL)
            (void)json_object_set(object, members[i], value);
    }
    text = json_dumps(object, 0);
    json_decref(object);
    if (text == NULL)
        return lk_fail_nomem(err);
    rc = linkd_settings_parse((linkd_str){text, strlen(text)}, &m->arena,
                              &m->settings, err);
    free(text);
    return rc;
}

/* All that linkctl collection import would send of the row. */
static size_t fields_fill(const maker *m, size_t row, linkd_field *fields)
{
    size_t n = 0;

    for (size_t i = 0; i < linkd_table_n_columns(m->table); i++) {
        linkd_cell cell = linkd_table_cell(m->table, row, i);

        if (i == m->label_column || i == linkd_table_id_column(m->table) ||
            cell.kind == LINKD_CELL_MISSING)
            continue;
        fields[n++] =
            (linkd_field){linkd_table_column(m->table, i),
                          {cell.bytes, cell.len},
                          cell.kind == LINKD_CELL_LITERAL ? LINKD_FIELD_LITERAL
                                                          : LINKD_FIELD_TEXT};
    }
    return n;
}

/* Takes a row that has an entity and a text. */
static int row_take(maker *m, size_t row, linkd_field *fields, linkd_error *err)
{
    linkd_cell entity = linkd_table_cell(m->table, row, m->label_column);
    size_t n_fields = fields_fill(m, row, fields);
    lk_buf text = {0};
    int rc = LINKD_OK;

    if (entity.len > 0)
        rc = linkd_settings_text(&m->settings, fields, n_fields, &text, err);
    if (rc == LINKD_OK && text.len > 0) {
        const char *copy = lk_arena_copy(&m->arena, text.data, text.len);

        if (copy == NULL)
            rc = lk_fail_nomem(err);
        m->texts[m->n] = (linkd_str){copy, text.len};
        m->labels[m->n++] = XXH3_64bits(entity.bytes, entity.len);
    }
    lk_buf_clear(&text);
    return rc;
}

static int rows_take(maker *m, linkd_error *err)
{
    size_t n_rows = linkd_table_n_rows(m->table);
    linkd_field *fields =
        calloc(linkd_table_n_columns(m->table) + 1, sizeof(*fields));
    int rc = LINKD_OK;

    m->texts = calloc(n_rows + 1, sizeof(*m->texts));
    m->labels = calloc(n_rows + 1, sizeof(*m->labels));
    if (fields == NULL || m->texts == NULL || m->labels == NULL)
        rc = lk_fail_nomem(err);
    for (size_t i = 0; i < n_rows && rc == LINKD_OK; i++)
        rc = row_take(m, i, fields, err);
    free(fields);
    return rc;
}

/* Entities have hashes of their names before they have numbers: the first `n_most`
 * of them, in the order in which they come. */
static int entities_hash(const maker *m, uint64_t n_most, uint64_t *ret_n,
                         uint64_t *ret_hash, linkd_error *err)
{
    uint64_t *numbers = calloc(m->n + 1, sizeof(*numbers));
    uint64_t hash = 0;
    uint64_t n = 0;
    int rc = numbers == NULL ? lk_fail_nomem(err) : LINKD_OK;

    if (rc == LINKD_OK) {
        memcpy(numbers, m->labels, m->n * sizeof(*numbers));
        rc = lk_labels_number(numbers, m->n, err);
    }
    for (size_t i = 0; i < m->n && rc == LINKD_OK; i++)
        if (numbers[i] == n && n < n_most) {
            hash =
                XXH3_64bits_withSeed(&m->labels[i], sizeof(*m->labels), hash);
            n++;
        }
    free(numbers);
    *ret_n = n;
    *ret_hash = hash;
    return rc;
}

static int learnt_hash(maker *m, linkd_error *err)
{
    uint64_t hash = m->options->n_classes > 0 ? m->options->n_classes : CLASSES;

    for (size_t i = 0; i < m->n; i++) {
        hash = XXH3_64bits_withSeed(m->texts[i].bytes, m->texts[i].len, hash);
        hash = XXH3_64bits_withSeed(&m->labels[i], sizeof(*m->labels), hash);
    }
    m->learnt.records = hash;
    return entities_hash(m, UINT64_MAX, &m->learnt.n_entities,
                         &m->learnt.entities, err);
}

/* The earlier head's entities come first, by the same numbers; or one entity's
 * records of the two models would be put to places of two. */
static int numbers_check(const maker *m, const linkd_model_head *earlier,
                         linkd_error *err)
{
    uint64_t n = 0;
    uint64_t hash = 0;
    int rc = LINKD_OK;

    if (earlier->labels.n_entities == 0)
        return LINKD_OK;
    rc = entities_hash(m, earlier->labels.n_entities, &n, &hash, err);
    if (rc == LINKD_OK &&
        (n != earlier->labels.n_entities || hash != earlier->labels.entities))
        rc = lk_fail(err, LINKD_E_DATA,
                     "the first %zu entities of %s are others than those that "
                     "model %s was learnt from, or in another order: their "
                     "vectors would not compare",
                     (size_t)earlier->labels.n_entities, m->options->labels,
                     m->options->earlier);
    return rc;
}

static int labels_read(maker *m, linkd_error *err)
{
    static const linkd_str name = {LK_DSIMPLEX_COLUMN,
                                   sizeof(LK_DSIMPLEX_COLUMN) - 1};
    int rc = lk_table_read(m->cli, m->options->labels, LINKD_FORMAT_AUTO, NULL,
                           &m->table, err);

    if (rc != LINKD_OK)
        return rc;
    m->label_column = linkd_table_find_column(m->table, name);
    if (m->label_column == LINKD_COLUMN_NONE)
        return lk_fail(err, LINKD_E_DATA, "%s has no column \"%s\"",
                       m->options->labels, LK_DSIMPLEX_COLUMN);
    rc = rows_take(m, err);
    return rc == LINKD_OK ? learnt_hash(m, err) : rc;
}

/* The head of a model of the store. */
static int head_read(const char *model, linkd_model_head *ret_head,
                     linkd_error *err)
{
    lk_buf store = {0};
    lk_buf path = {0};
    int rc = linkd_encoder_store_path(&store, err);

    if (rc == LINKD_OK)
        rc = lk_buf_printf(&path, err, "%s/%s", store.data, model);
    if (rc == LINKD_OK)
        rc = linkd_model_head_read(path.data, ret_head, err);
    lk_buf_clear(&path);
    lk_buf_clear(&store);
    return rc;
}

/* ---- learning -------------------------------------------------------------- */

/* ret_vectors [n, dim]; the caller frees them, whatever is returned. */
static int texts_encode(const maker *m, const lk_engine *engine,
                        float **ret_vectors, linkd_error *err)
{
    size_t dim = linkd_encoder_describe(engine->encoder)->dim;
    int rc = LINKD_OK;

    *ret_vectors = lk_alloc_aligned(m->n + 1, dim * sizeof(**ret_vectors));
    if (*ret_vectors == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < m->n && rc == LINKD_OK; i += CHUNK_TEXTS) {
        size_t n = m->n - i < CHUNK_TEXTS ? m->n - i : CHUNK_TEXTS;

        rc = lk_progress_report(&m->cli->progress, "embed", i, m->n, err);
        if (rc == LINKD_OK)
            rc = linkd_encoder_encode(engine->encoder, engine->pool,
                                      m->texts + i, n, *ret_vectors + i * dim,
                                      NULL, err);
    }
    return rc == LINKD_OK
               ? lk_progress_report(&m->cli->progress, "embed", m->n, m->n, err)
               : rc;
}

/* The texts by an earlier head, and the model under it. */
static int earlier_apply(maker *m, const linkd_model_head *head,
                         const lk_engine *engine, linkd_error *err)
{
    const linkd_encoder_info *info = linkd_encoder_describe(engine->encoder);
    size_t dim = linkd_compat_map_info(head->map).dim_to;
    float *vectors = NULL;
    int rc = linkd_model_head_check(head, info->fingerprint, info->dim, err);

    if (rc == LINKD_OK)
        rc = texts_encode(m, engine, &vectors, err);
    if (rc == LINKD_OK) {
        m->earlier = lk_alloc_aligned(m->n + 1, dim * sizeof(*m->earlier));
        rc = m->earlier == NULL
                 ? lk_fail_nomem(err)
                 : linkd_model_head_apply(head, vectors, m->n, m->earlier, err);
    }
    free(vectors);
    return rc;
}

/* A head can be learnt without it: where the model under it is gone, or another
 * one by now, it is. */
static int earlier_read(maker *m, const linkd_model_head *head,
                        linkd_error *err)
{
    lk_engine engine = {0};
    int rc = LINKD_OK;

    if (head->map != NULL &&
        lk_engine_open(m->cli, head->base, 0, &engine, NULL) == LINKD_OK)
        rc = earlier_apply(m, head, &engine, err);
    lk_engine_close(&engine);
    return rc == LINKD_E_CONFLICT ? LINKD_OK : rc;
}

static int head_fit(maker *m, linkd_error *err)
{
    const linkd_encoder_info *info = linkd_encoder_describe(m->engine.encoder);
    linkd_rows rows = {m->vectors, m->n, info->dim};
    linkd_rows earlier = {m->earlier, m->n, m->options->n_classes - 1};
    linkd_compat_fit_options options = {
        .head = LINKD_HEAD_SIMPLEX,
        .from = (const unsigned char *)info->fingerprint,
        .from_name = "the labels",
        .seed = SEED,
        .labels = m->labels,
        .n_classes = m->options->n_classes};

    return linkd_compat_fit_simplex(&rows, m->earlier != NULL ? &earlier : NULL,
                                    &options, &m->cli->progress, &m->map, err);
}

/* ---- keeping --------------------------------------------------------------- */

/* Writes the head into a directory beside its place, and renames that. */
static int stage_write(const maker *m, const char *stage, const char *target,
                       linkd_error *err)
{
    int rc = LINKD_OK;

    if (mkdir(stage, 0777) != 0)
        return lk_fail(err, LINKD_E_IO, "could not make %s: %s", stage,
                       strerror(errno));
    rc = linkd_model_head_write(stage, m->options->base, &m->learnt, m->map,
                                err);
    if (rc == LINKD_OK && rename(stage, target) != 0)
        rc = lk_fail(err, LINKD_E_IO, "could not make %s: %s", target,
                     strerror(errno));
    return rc;
}

static void stage_remove(const char *stage)
{
    static const char *const names[] = {"/head.map", "/base", ""};

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        lk_buf path = {0};

        if (lk_buf_printf(&path, NULL, "%s%s", stage, names[i]) == LINKD_OK)
            (void)remove(path.data);
        lk_buf_clear(&path);
    }
}

/* A head that is there already is taken if it was learnt from the same. */
static int target_look(const maker *m, const char *target, const char *name,
                       bool *ret_found, linkd_error *err)
{
    linkd_model_head head = {0};
    struct stat status;
    int rc = LINKD_OK;

    *ret_found = stat(target, &status) == 0;
    if (*ret_found)
        rc = linkd_model_head_read(target, &head, err);
    if (rc == LINKD_OK && *ret_found &&
        (head.map == NULL || head.labels.n_entities != m->learnt.n_entities ||
         head.labels.entities != m->learnt.entities ||
         head.labels.records != m->learnt.records)) {
        rc = lk_fail(
            err, LINKD_E_ARG,
            "there is a model \"%s\" already, which was not learnt from "
            "these labels",
            name);
        lk_cli_hint(m->cli, "if no collection has it: rm -r %s", target);
    }
    linkd_model_head_clear(&head);
    return rc;
}

/* Both paths, in the model store. */
static int paths_make(const char *name, lk_buf *ret_stage, lk_buf *ret_target,
                      linkd_error *err)
{
    lk_buf store = {0};
    int rc = linkd_encoder_store_path(&store, err);

    if (rc == LINKD_OK)
        rc = lk_buf_printf(ret_target, err, "%s/%s", store.data, name);
    if (rc == LINKD_OK)
        rc = lk_buf_printf(ret_stage, err, "%s/.head-%s.%ld", store.data, name,
                           (long)getpid());
    lk_buf_clear(&store);
    return rc;
}

/* ---- all ------------------------------------------------------------------- */

static int texts_read(maker *m, linkd_error *err)
{
    int rc = settings_read(m, err);

    if (rc == LINKD_OK)
        rc = lk_model_check(m->cli, m->options->base, err);
    return rc == LINKD_OK ? labels_read(m, err) : rc;
}

static int learn(maker *m, linkd_error *err)
{
    linkd_model_head earlier = {0};
    int rc = LINKD_OK;

    if (m->options->earlier != NULL)
        rc = head_read(m->options->earlier, &earlier, err);
    if (rc == LINKD_OK)
        rc = numbers_check(m, &earlier, err);
    if (rc == LINKD_OK)
        rc = lk_engine_open(m->cli, m->options->base, 0, &m->engine, err);
    if (rc == LINKD_OK)
        rc = lk_labels_number(m->labels, m->n, err);
    if (rc == LINKD_OK)
        rc = texts_encode(m, &m->engine, &m->vectors, err);
    if (rc == LINKD_OK)
        rc = earlier_read(m, &earlier, err);
    linkd_model_head_clear(&earlier);
    return rc == LINKD_OK ? head_fit(m, err) : rc;
}

static void summary_print(const maker *m, const char *name)
{
    linkd_compat_info info = linkd_compat_map_info(m->map);

    if (!m->cli->args.quiet)
        (void)fprintf(
            stderr,
            "made model %s: %zu dimensions, from %s; mean cosine of held-out "
            "records and their entities' places %.3f\n",
            name, info.dim_to, lk_counted(m->n, "record", "records").text,
            (double)info.cosine);
}

static int head_make(maker *m, const char *stage, const char *target,
                     const char *name, linkd_error *err)
{
    int rc = learn(m, err);

    if (rc != LINKD_OK)
        return rc;
    rc = stage_write(m, stage, target, err);
    if (rc == LINKD_OK)
        summary_print(m, name);
    else
        stage_remove(stage);
    return rc;
}

int lk_dsimplex_make(lk_cli *cli, const lk_dsimplex *options, lk_buf *ret_name,
                     linkd_error *err)
{
    maker m = {.cli = cli, .options = options};
    lk_buf stage = {0};
    lk_buf target = {0};
    bool is_there = false;
    int rc =
        strchr(options->base, '/') != NULL
            ? lk_fail(err, LINKD_E_ARG,
                      "a head needs a model of the model store, not a path")
            : lk_buf_printf(ret_name, err, "%s+%s", options->base,
                            options->collection);

    if (rc == LINKD_OK)
        rc = paths_make(ret_name->data, &stage, &target, err);
    if (rc == LINKD_OK)
        rc = texts_read(&m, err);
    if (rc == LINKD_OK)
        rc = target_look(&m, target.data, ret_name->data, &is_there, err);
    if (rc == LINKD_OK && !is_there)
        rc = head_make(&m, stage.data, target.data, ret_name->data, err);
    else if (rc == LINKD_OK && !cli->args.quiet)
        (void)fprintf(stderr,
                      "model %s is there already, learnt from these labels\n",
                      ret_name->data);
    lk_buf_clear(&target);
    lk_buf_clear(&stage);
    maker_clear(&m);
    return rc;
}

int lk_dsimplex_classes(const char *model, size_t *ret_n, linkd_error *err)
{
    linkd_model_head head = {0};
    int rc = head_read(model, &head, err);

    if (rc == LINKD_OK)
        *ret_n =
            head.map != NULL ? linkd_compat_map_info(head.map).dim_to + 1 : 0;
    linkd_model_head_clear(&head);
    return rc;
}
