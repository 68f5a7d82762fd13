/* cli/manifest.c — what a run did, for people and machines.
 *
 * Half a year later somebody asks with which model and which options a result
 * was made. `<output>.manifest.json` beside it answers; it is opened with the
 * other outputs, so that it takes no input's place, and appears together with
 * the result. The options are read from the table that also parsed them,
 * so none can be forgotten. The same object, on one line, is what --json
 * prints. */
#include "cli/manifest.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/number.h"
#include "index/index.h"

#define OUTPUTS_MAX 8

static void add(lk_manifest *manifest, json_t *object, const char *name,
                json_t *value)
{
    if (json_object_set_new(object, name, value) != 0)
        manifest->failed = true;
}

static json_t *text_json(linkd_str text)
{
    return text.bytes != NULL ? json_stringn(text.bytes, text.len)
                              : json_null();
}

static json_t *rounded_json(double value)
{
    return json_real(round(value * 1000) / 1000);
}

static json_t *option_json(const lk_option *option, const void *slot)
{
    const char *text;

    switch (option->kind) {
    case LK_OPTION_FLAG:
        return json_boolean(*(const bool *)slot);
    case LK_OPTION_COUNT:
        return json_integer((json_int_t) * (const size_t *)slot);
    case LK_OPTION_REAL: /* NaN: not given */
        return isnan(*(const double *)slot) ? json_null()
                                            : json_real(*(const double *)slot);
    case LK_OPTION_WORD:
        return json_string(option->words[*(const int *)slot]);
    case LK_OPTION_TEXT:
        text = *(const char *const *)slot;
        return text != NULL ? json_string(text) : json_null();
    }
    return NULL;
}

static json_t *options_json(lk_manifest *manifest, const lk_syntax *syntax,
                            const void *values)
{
    json_t *options = json_object();

    for (size_t i = 0; i < syntax->n_options; i++) {
        const lk_option *option = &syntax->options[i];

        add(manifest, options, option->name,
            option_json(option, (const char *)values + option->offset));
    }
    return options;
}

void lk_manifest_init(lk_manifest *manifest, const lk_syntax *syntax,
                      const void *values)
{
    *manifest = (lk_manifest){.root = json_object(),
                              .counts = json_object(),
                              .seconds = json_object(),
                              .inputs = json_array(),
                              .columns = json_array()};
    add(manifest, manifest->root, "linkctl", json_string(LINKD_VERSION));
    add(manifest, manifest->root, "index", json_string(linkd_index_library()));
    add(manifest, manifest->root, "created", json_string(lk_utc_now().text));
    add(manifest, manifest->root, "command", json_string(syntax->name));
    add(manifest, manifest->root, "options",
        options_json(manifest, syntax, values));
    add(manifest, manifest->root, "inputs", json_incref(manifest->inputs));
    add(manifest, manifest->root, "columns", json_incref(manifest->columns));
    add(manifest, manifest->root, "counts", json_incref(manifest->counts));
    add(manifest, manifest->root, "seconds", json_incref(manifest->seconds));
}

void lk_manifest_clear(lk_manifest *manifest)
{
    json_decref(manifest->root);
    json_decref(manifest->counts);
    json_decref(manifest->seconds);
    json_decref(manifest->inputs);
    json_decref(manifest->columns);
    lk_output_close(manifest->output);
    *manifest = (lk_manifest){0};
}

void lk_manifest_model(lk_manifest *manifest, const char *name,
                       const linkd_encoder_info *info)
{
    json_t *model = json_object();

    add(manifest, model, "name", json_string(name));
    add(manifest, model, "fingerprint", json_string(info->fingerprint));
    add(manifest, model, "architecture", json_string(info->architecture));
    add(manifest, model, "pooling", json_string(info->pooling));
    add(manifest, model, "precision", json_string(info->precision));
    add(manifest, model, "isa", json_string(info->isa));
    add(manifest, model, "dim", json_integer((json_int_t)info->dim));
    add(manifest, manifest->root, "model", model);
}

void lk_manifest_engine(lk_manifest *manifest, const char *name,
                        const lk_engine *engine)
{
    if (engine->encoder != NULL)
        lk_manifest_model(manifest, name,
                          linkd_encoder_describe(engine->encoder));
}

void lk_manifest_source(lk_manifest *manifest, const char *name,
                        uint64_t n_rows)
{
    json_t *input = json_object();

    add(manifest, input, "path", json_string(name));
    add(manifest, input, "rows", json_integer((json_int_t)n_rows));
    if (json_array_append_new(manifest->inputs, input) != 0)
        manifest->failed = true;
}

void lk_manifest_input(lk_manifest *manifest, const char *path, uint64_t n_rows,
                       const linkd_str *id_column)
{
    json_t *input = json_object();

    add(manifest, input, "path", json_string(path));
    add(manifest, input, "rows", json_integer((json_int_t)n_rows));
    add(manifest, input, "id_column",
        id_column != NULL ? text_json(*id_column) : json_null());
    if (json_array_append_new(manifest->inputs, input) != 0)
        manifest->failed = true;
}

void lk_manifest_table(lk_manifest *manifest, const linkd_table *table)
{
    size_t id_column = linkd_table_id_column(table);
    linkd_str name = {NULL, 0};

    if (id_column != LINKD_COLUMN_NONE)
        name = linkd_table_column(table, id_column);
    lk_manifest_input(manifest, linkd_table_path(table),
                      linkd_table_n_rows(table),
                      id_column != LINKD_COLUMN_NONE ? &name : NULL);
}

static json_t *column_json(const linkd_table *table, size_t column)
{
    return column != LINKD_COLUMN_NONE
               ? text_json(linkd_table_column(table, column))
               : json_null();
}

void lk_manifest_pairing(lk_manifest *manifest, const linkd_table *left,
                         const linkd_table *right,
                         const linkd_column_pair *pair)
{
    json_t *object = json_object();

    add(manifest, object, "left", column_json(left, pair->left));
    add(manifest, object, "right", column_json(right, pair->right));
    if (pair->left != LINKD_COLUMN_NONE && pair->right != LINKD_COLUMN_NONE)
        add(manifest, object, "similarity",
            rounded_json((double)pair->similarity));
    if (json_array_append_new(manifest->columns, object) != 0)
        manifest->failed = true;
}

void lk_manifest_column(lk_manifest *manifest, linkd_str name)
{
    if (json_array_append_new(manifest->columns, text_json(name)) != 0)
        manifest->failed = true;
}

void lk_manifest_count(lk_manifest *manifest, const char *name, uint64_t n)
{
    add(manifest, manifest->counts, name, json_integer((json_int_t)n));
}

void lk_manifest_seconds(lk_manifest *manifest, const char *step, double s)
{
    add(manifest, manifest->seconds, step, rounded_json(s));
}

void lk_manifest_encode(lk_manifest *manifest, const linkd_encode_stats *stats,
                        double seconds)
{
    lk_manifest_count(manifest, "tokens", stats->n_tokens);
    lk_manifest_count(manifest, "truncated_texts", stats->n_truncated);
    lk_manifest_seconds(manifest, "encode", seconds);
}

void lk_manifest_verdict(lk_manifest *manifest, const linkd_verdict *verdict,
                         const char *assign, double threshold)
{
    json_t *object = json_object();

    add(manifest, object, "assign", json_string(assign));
    add(manifest, object, "why", json_string(verdict->why));
    add(manifest, object, "threshold", rounded_json(threshold));
    add(manifest, object, "precision", rounded_json(verdict->precision));
    add(manifest, object, "recall", rounded_json(verdict->recall));
    add(manifest, object, "f1", rounded_json(verdict->f1));
    add(manifest, object, "matches", rounded_json(verdict->n_matches));
    add(manifest, object, "unseen", rounded_json(verdict->n_unseen));
    add(manifest, object, "supported", json_boolean(verdict->supported));
    add(manifest, object, "doubt", json_string(verdict->doubt));
    if (verdict->learned[0] != '\0')
        add(manifest, object, "learned", json_string(verdict->learned));
    add(manifest, manifest->root, "verdict", object);
}

static json_t *known_json(double value)
{
    return isnan(value) ? json_null() : rounded_json(value);
}

static json_t *foretold_json(lk_manifest *manifest, const linkd_foretold *f)
{
    json_t *object = json_object();

    add(manifest, object, "precision", known_json(f->precision));
    add(manifest, object, "recall", known_json(f->recall));
    add(manifest, object, "f1", known_json(f->f1));
    add(manifest, object, "log_loss", known_json(f->log_loss));
    return object;
}

void lk_manifest_learned(lk_manifest *manifest,
                         const linkd_learned_info *learned)
{
    json_t *object = json_object();

    add(manifest, object, "learner",
        json_string(linkd_learner_words[learned->learner]));
    add(manifest, object, "matches",
        json_integer((json_int_t)learned->n_matches));
    add(manifest, object, "others",
        json_integer((json_int_t)learned->n_others));
    add(manifest, object, "held_out",
        foretold_json(manifest, &learned->held_out));
    add(manifest, object, "without_labels",
        foretold_json(manifest, &learned->without));
    add(manifest, manifest->root, "learned", object);
}

void lk_manifest_job(lk_manifest *manifest, const json_t *job)
{
    json_t *counts = json_object_get(job, "counts");
    json_t *number = json_object_get(job, "job");

    if (json_is_object(counts) && json_object_update(manifest->counts, counts))
        manifest->failed = true;
    add(manifest, manifest->root, "job", json_incref(number));
}

static char *manifest_text(const lk_manifest *manifest, size_t flags,
                           linkd_error *err)
{
    char *text = NULL;

    if (!manifest->failed)
        text = json_dumps(manifest->root, flags | JSON_REAL_PRECISION(9));
    if (text == NULL)
        lk_fail_nomem(err);
    return text;
}

int lk_manifest_open(lk_manifest *manifest, const lk_output *result,
                     const char *path, const char *const *inputs,
                     size_t n_inputs, linkd_error *err)
{
    lk_buf name = {0};
    int rc;

    if (!lk_output_is_file(result))
        return LINKD_OK;
    rc = lk_buf_printf(&name, err, "%s.manifest.json", path);
    if (rc == LINKD_OK)
        rc =
            lk_output_open(name.data, inputs, n_inputs, &manifest->output, err);
    lk_buf_clear(&name);
    return rc;
}

int lk_result_open(const char *path, const char *const *inputs, size_t n_inputs,
                   lk_output **ret_output, lk_manifest *manifest,
                   linkd_error *err)
{
    int rc = lk_output_open(path, inputs, n_inputs, ret_output, err);

    return rc == LINKD_OK ? lk_manifest_open(manifest, *ret_output, path,
                                             inputs, n_inputs, err)
                          : rc;
}

static int file_write(const lk_manifest *manifest, linkd_error *err)
{
    char *text = manifest_text(manifest, JSON_INDENT(2), err);
    int rc;

    if (text == NULL)
        return LINKD_E_NOMEM;
    rc = lk_output_write(manifest->output, text, strlen(text), err);
    if (rc == LINKD_OK)
        rc = lk_output_write(manifest->output, "\n", 1, err);
    free(text);
    return rc;
}

int lk_manifest_commit(lk_manifest *manifest, lk_output *const *outputs,
                       size_t n_outputs, linkd_error *err)
{
    lk_output *all[OUTPUTS_MAX + 1] = {NULL};
    int rc = LINKD_OK;

    LK_ASSERT(n_outputs > 0 && n_outputs <= OUTPUTS_MAX);
    for (size_t i = 0; i < n_outputs; i++)
        all[i] = outputs[i];
    all[n_outputs] = manifest->output;
    if (manifest->output != NULL)
        rc = file_write(manifest, err);
    if (rc == LINKD_OK)
        rc = lk_output_commit(all, n_outputs + 1, err);
    return rc;
}

int lk_manifest_print(const lk_manifest *manifest, const char *const *outputs,
                      size_t n_outputs, linkd_error *err)
{
    char *text = manifest_text(manifest, JSON_COMPACT, err);
    FILE *out = stdout;
    int n;

    if (text == NULL)
        return LINKD_E_NOMEM;
    for (size_t i = 0; i < n_outputs; i++)
        if (outputs[i] != NULL && strcmp(outputs[i], "-") == 0)
            out = stderr;
    n = fprintf(out, "%s\n", text);
    free(text);
    if (n < 0 || fflush(out) != 0)
        return lk_fail(err, LINKD_E_IO, "could not write the summary: %s",
                       strerror(errno));
    return LINKD_OK;
}
