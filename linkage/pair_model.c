/* linkage/pair_model.c — a model from labels that outlives its run.
 *
 *   train   tables ─► features ─► decision without labels ─► stack ─► learned
 *                        │                                              │
 *              columns, kinds, names of features                        │
 *                        └───────────────┬──────────────────────────────┘
 *                                   pair model
 *                        ┌───────────────┴──────────────────────────────┐
 *   apply   others ─► features ─► decision without labels ─► stack ─► decision
 *
 * What a number of the model means depends on what it was compared with, so all
 * of that belongs to it: which columns, what each was taken for, which features
 * came of that in which order, and which encoder made the vectors. What belongs
 * to the run is what the tables say of themselves: how rare a word is, how wide
 * numbers spread, the decision without labels, the mode, and the cut.
 *
 * A column is compared as it was in training even where the tables at hand would
 * have it taken for something else, since half of a table may have a category
 * where the whole has a name. Only numbers and dates cannot be read out of what
 * is none. */
#include "linkage/pair_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "linkage/learn.h"

/* ---- a model ------------------------------------------------------------- */

int lk_pair_model_new(const char *name, linkd_pair_model **ret_model,
                      linkd_error *err)
{
    linkd_pair_model *model = calloc(1, sizeof(*model));

    if (model == NULL)
        return lk_fail_nomem(err);
    model->name = lk_arena_copy(&model->arena, name, strlen(name));
    if (model->name == NULL) {
        linkd_pair_model_free(model);
        return lk_fail_nomem(err);
    }
    *ret_model = model;
    return LINKD_OK;
}

void linkd_pair_model_free(linkd_pair_model *model)
{
    if (model == NULL)
        return;
    lk_learned_clear(&model->learned);
    lk_arena_clear(&model->arena);
    free(model);
}

linkd_pair_model_info linkd_pair_model_describe(const linkd_pair_model *model)
{
    return (linkd_pair_model_info){.within = model->within,
                                   .fingerprint = model->fingerprint,
                                   .n_columns = model->n_columns,
                                   .n_features = model->n_features,
                                   .learned = model->learned.info};
}

/* Whether both sides have it. */
static bool column_is_paired(const lk_model_column *column)
{
    return column->names[0].bytes != NULL && column->names[1].bytes != NULL;
}

size_t lk_pair_model_n_fields(const linkd_pair_model *model)
{
    size_t n = 0;

    for (size_t i = 0; i < model->n_columns; i++)
        n += column_is_paired(&model->columns[i]);
    return n;
}

/* The column of a field. */
static const lk_model_column *field_column(const linkd_pair_model *model,
                                           size_t field)
{
    size_t i = 0;

    while (!column_is_paired(&model->columns[i]) || field-- > 0)
        i++;
    return &model->columns[i];
}

/* ---- training ------------------------------------------------------------ */

static int name_keep(linkd_pair_model *model, const linkd_table *table,
                     size_t column, linkd_str *ret_name, linkd_error *err)
{
    linkd_str name;
    char *copy;

    *ret_name = (linkd_str){NULL, 0};
    if (column == LINKD_COLUMN_NONE)
        return LINKD_OK;
    name = linkd_table_column(table, column);
    copy = lk_arena_copy(&model->arena, name.bytes, name.len);
    if (copy == NULL)
        return lk_fail_nomem(err);
    *ret_name = (linkd_str){copy, name.len};
    return LINKD_OK;
}

static int columns_keep(linkd_pair_model *model, const linkd_evidence *e,
                        linkd_error *err)
{
    const linkd_table *right = e->tables[e->tables[1] != NULL];
    size_t field = 0;
    int rc = LINKD_OK;

    model->columns = lk_arena_alloc(&model->arena, (e->n_column_pairs + 1) *
                                                       sizeof(*model->columns));
    if (model->columns == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < e->n_column_pairs && rc == LINKD_OK; i++) {
        const linkd_column_pair *pair = &e->column_pairs[i];
        lk_model_column *column = &model->columns[model->n_columns++];

        column->compared_as = LINKD_HOLDS_EMPTY;
        rc = name_keep(model, e->tables[0], pair->left, &column->names[0], err);
        if (rc == LINKD_OK)
            rc = name_keep(model, right, pair->right, &column->names[1], err);
        if (pair->left != LINKD_COLUMN_NONE && pair->right != LINKD_COLUMN_NONE)
            column->compared_as = e->fields[field++].compared_as;
    }
    return rc;
}

static int features_keep(linkd_pair_model *model, const lk_features *features,
                         const lk_features *context, linkd_error *err)
{
    size_t n = features->n + context->n;

    model->features =
        lk_arena_alloc(&model->arena, (n + 1) * sizeof(*model->features));
    if (model->features == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < n; i++)
        model->features[i] = i < features->n
                                 ? features->features[i]
                                 : context->features[i - features->n];
    model->n_features = n;
    return LINKD_OK;
}

static int evidence_keep(linkd_pair_model *model, const linkd_evidence *e,
                         const lk_features *context, linkd_error *err)
{
    int rc = columns_keep(model, e, err);

    model->within = e->tables[1] == NULL;
    model->fingerprint =
        lk_arena_copy(&model->arena, e->fingerprint, strlen(e->fingerprint));
    if (rc == LINKD_OK && model->fingerprint == NULL)
        rc = lk_fail_nomem(err);
    return rc == LINKD_OK ? features_keep(model, &e->features, context, err)
                          : rc;
}

int lk_pair_model_train(const linkd_evidence *evidence,
                        const lk_decision_input *input,
                        const lk_outcome *outcome, linkd_pair_model **ret_model,
                        linkd_error *err)
{
    linkd_pair_model *model = NULL;
    lk_features context = {0};
    int rc = lk_pair_model_new("the model", &model, err);

    if (rc == LINKD_OK)
        rc = lk_learn_context(input, outcome, &context, err);
    if (rc == LINKD_OK)
        rc = evidence_keep(model, evidence, &context, err);
    if (rc == LINKD_OK)
        rc = lk_learn_fit(input, outcome, &context, &model->learned, err);
    lk_features_clear(&context);
    if (rc == LINKD_OK)
        *ret_model = model;
    else
        linkd_pair_model_free(model);
    return rc;
}

/* ---- do the tables fit? -------------------------------------------------- */

static int sides_check(const linkd_pair_model *model, bool within,
                       linkd_error *err)
{
    if (model->within == within)
        return LINKD_OK;
    return lk_fail(
        err, LINKD_E_DATA, "%s was trained on %s, and cannot decide about %s",
        lk_label_of_path(model->name).text,
        model->within ? "one table" : "two tables", within ? "one" : "two");
}

static int encoder_check(const linkd_pair_model *model, const char *fingerprint,
                         linkd_error *err)
{
    if (strcmp(model->fingerprint, fingerprint) == 0)
        return LINKD_OK;
    if (model->fingerprint[0] == '\0')
        return lk_fail(err, LINKD_E_DATA,
                       "%s was trained without an encoder (--model none)",
                       lk_label_of_path(model->name).text);
    return lk_fail(err, LINKD_E_DATA,
                   "%s was trained with the encoder of fingerprint %.32s, "
                   "not %s%.32s",
                   lk_label_of_path(model->name).text, model->fingerprint,
                   fingerprint[0] != '\0' ? "of " : "without one", fingerprint);
}

static int column_find(const linkd_pair_model *model, const linkd_table *table,
                       linkd_str name, size_t *ret_column, linkd_error *err)
{
    *ret_column = LINKD_COLUMN_NONE;
    if (name.bytes == NULL)
        return LINKD_OK;
    *ret_column = linkd_table_find_column(table, name);
    if (*ret_column != LINKD_COLUMN_NONE)
        return LINKD_OK;
    return lk_fail(err, LINKD_E_DATA,
                   "%s compares a column \"%s\", and %s has none",
                   lk_label_of_path(model->name).text, lk_label_of(name).text,
                   lk_label_of_path(linkd_table_path(table)).text);
}

int linkd_pair_model_columns(const linkd_pair_model *model,
                             const linkd_table *left, const linkd_table *right,
                             linkd_column_pair **ret_pairs, size_t *ret_n_pairs,
                             linkd_error *err)
{
    linkd_column_pair *pairs = NULL;
    int rc = sides_check(model, right == NULL, err);

    if (rc != LINKD_OK)
        return rc;
    pairs = calloc(model->n_columns + 1, sizeof(*pairs));
    if (pairs == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < model->n_columns && rc == LINKD_OK; i++) {
        const lk_model_column *column = &model->columns[i];

        pairs[i].similarity = 1.0F;
        rc = column_find(model, left, column->names[0], &pairs[i].left, err);
        if (rc == LINKD_OK)
            rc = column_find(model, right != NULL ? right : left,
                             column->names[1], &pairs[i].right, err);
    }
    if (rc != LINKD_OK) {
        free(pairs);
        return rc;
    }
    *ret_pairs = pairs;
    *ret_n_pairs = model->n_columns;
    return LINKD_OK;
}

static bool is_quantity(linkd_holds holds)
{
    return holds == LINKD_HOLDS_NUMBER || holds == LINKD_HOLDS_DATE;
}

static int field_impose(const linkd_pair_model *model,
                        const lk_model_column *column,
                        const linkd_evidence *evidence, lk_field *field,
                        linkd_error *err)
{
    linkd_holds holds = field->profile.type;

    if (is_quantity(column->compared_as) && holds != column->compared_as &&
        holds != LINKD_HOLDS_EMPTY)
        return lk_fail(
            err, LINKD_E_DATA,
            "%s compares the column \"%s\" as %s, and that of %s "
            "holds %s",
            lk_label_of_path(model->name).text, lk_label_of(field->name).text,
            linkd_holds_words[column->compared_as],
            lk_label_of_path(linkd_table_path(evidence->tables[0])).text,
            linkd_holds_words[holds]);
    field->compared_as = column->compared_as;
    return LINKD_OK;
}

int lk_pair_model_impose(const linkd_pair_model *model,
                         linkd_evidence *evidence, linkd_error *err)
{
    int rc = sides_check(model, evidence->tables[1] == NULL, err);

    if (rc == LINKD_OK)
        rc = encoder_check(model, evidence->fingerprint, err);
    if (rc == LINKD_OK && evidence->n_fields != lk_pair_model_n_fields(model))
        rc = lk_fail(err, LINKD_E_ARG,
                     "%zu columns are compared, and %zu by the pair model",
                     evidence->n_fields, lk_pair_model_n_fields(model));
    for (size_t i = 0; i < evidence->n_fields && rc == LINKD_OK; i++)
        rc = field_impose(model, field_column(model, i), evidence,
                          &evidence->fields[i], err);
    return rc;
}

/* ---- applying ------------------------------------------------------------ */

static bool is_same_feature(lk_feature a, lk_feature b)
{
    return a.field == b.field && a.comparator == b.comparator;
}

static const char *feature_column(const linkd_pair_model *model, lk_feature f,
                                  lk_label *storage)
{
    if (f.field == LK_FIELD_RECORD)
        return "the whole record";
    *storage = lk_label_of(field_column(model, f.field)->names[0]);
    return storage->text;
}

static int features_check(const linkd_pair_model *model,
                          const lk_features *features,
                          const lk_features *context, linkd_error *err)
{
    size_t n = features->n + context->n;

    for (size_t i = 0; i < model->n_features || i < n; i++) {
        lk_feature at_hand = {LK_FIELD_RECORD, LK_N_COMPARATORS};
        lk_label column;

        if (i < n)
            at_hand = i < features->n ? features->features[i]
                                      : context->features[i - features->n];
        if (i < model->n_features &&
            is_same_feature(model->features[i], at_hand))
            continue;
        if (i >= model->n_features)
            return lk_fail(
                err, LINKD_E_DATA, "%s knows %zu features, and there are %zu",
                lk_label_of_path(model->name).text, model->n_features, n);
        return lk_fail(err, LINKD_E_DATA,
                       "%s compares %s by \"%s\" as feature %zu, and this "
                       "linkd does not",
                       lk_label_of_path(model->name).text,
                       feature_column(model, model->features[i], &column),
                       lk_comparator_words[model->features[i].comparator], i);
    }
    return LINKD_OK;
}

bool lk_pair_model_is_idle(const linkd_pair_model *model)
{
    return model->learned.info.learner == LINKD_LEARNER_NONE;
}

int lk_pair_model_apply(const linkd_pair_model *model,
                        const linkd_evidence *evidence,
                        const lk_decision_input *input, lk_outcome *outcome,
                        linkd_error *err)
{
    lk_features context = {0};
    int rc = sides_check(model, evidence->tables[1] == NULL, err);

    if (rc == LINKD_OK)
        rc = encoder_check(model, evidence->fingerprint, err);
    if (rc == LINKD_OK)
        rc = lk_learn_context(input, outcome, &context, err);
    if (rc == LINKD_OK)
        rc = features_check(model, input->features, &context, err);
    if (rc == LINKD_OK && !lk_pair_model_is_idle(model))
        rc = lk_learned_apply(&model->learned, input, &context, outcome, err);
    if (rc == LINKD_OK)
        lk_learned_tell(&model->learned.info, true, &outcome->verdict);
    lk_features_clear(&context);
    return rc;
}
