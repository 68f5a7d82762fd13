/* linkage/pair_model_file.c — a pair model as text, and back.
 *
 *   {
 *    "format": "linkd-pair-model",
 *    "version": 1,
 *    "linkd": "0.1.0",                     which wrote it
 *    "command": "link" | "dedup",
 *    "encoder": "32 hex digits" | null,
 *    "columns": [{"left": "name", "right": "firm", "as": "name"}, …],
 *    "features": [[0, "gram"], …, [null, "guess"]],
 *    "labels": {"matches": 98, "others": 102},
 *    "held_out": {"precision": …, "recall": …, "f1": …, "log_loss": …},
 *    "without_labels": {the same},
 *    "learner": "none" | "logistic" | "boosted trees",
 *    "calibration": {"slope": 1.0, "shift": 0.0},
 *    "weights": [intercept, x, x * x, missing, x, …]           logistic
 *    "base": 0.0, "roots": [0, 31, …],                         boosted trees
 *    "nodes": [[feature, below, missing left, left, right, value] | [value], …]
 *   }
 *
 * One member a line. A column that stands alone has null on the other side; a
 * feature's number is that of a column among those that do not, null the whole
 * record. Numbers have 17 digits, with which a double reads back as it was.
 *
 * What is read is foreign: every type, length, range and number of a place is
 * checked, and the children of a node come after it, so that every walk through
 * a tree ends. A change of the format that an older linkd would misread is a new
 * version. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "linkage/pair_model.h"

#define FORMAT  "linkd-pair-model"
#define VERSION 1

/* Far beyond what is ever fitted, and sums of it are still finite floats. */
#define WEIGHT_MAX 1e9

/* As a node's number is kept in 32 bits. */
#define COUNT_MAX ((size_t)UINT32_MAX - 1)

static const char *const commands[] = {"link", "dedup"};

/* ---- writing ------------------------------------------------------------- */

static json_t *json_of_str(linkd_str text)
{
    return text.bytes != NULL ? json_stringn(text.bytes, text.len)
                              : json_null();
}

static json_t *json_of_known(double value)
{
    return isnan(value) ? json_null() : json_real(value);
}

/* Appends what was made to an array; either may have failed. */
static bool item_add(json_t *array, json_t *take_item)
{
    return json_array_append_new(array, take_item) == 0;
}

/* The array, or NULL if one of its items could not be made. */
static json_t *array_end(json_t *take_array, bool whole)
{
    if (whole)
        return take_array;
    json_decref(take_array);
    return NULL;
}

static json_t *json_of_columns(const linkd_pair_model *model)
{
    json_t *array = json_array();
    bool whole = array != NULL;

    for (size_t i = 0; i < model->n_columns && whole; i++) {
        const lk_model_column *c = &model->columns[i];

        whole = item_add(array, json_pack("{s:o, s:o, s:s}", "left",
                                          json_of_str(c->names[0]), "right",
                                          json_of_str(c->names[1]), "as",
                                          linkd_holds_words[c->compared_as]));
    }
    return array_end(array, whole);
}

static json_t *json_of_features(const linkd_pair_model *model)
{
    json_t *array = json_array();
    bool whole = array != NULL;

    for (size_t i = 0; i < model->n_features && whole; i++) {
        lk_feature f = model->features[i];
        json_t *field = f.field == LK_FIELD_RECORD
                            ? json_null()
                            : json_integer((json_int_t)f.field);

        whole = item_add(array, json_pack("[o, s]", field,
                                          lk_comparator_words[f.comparator]));
    }
    return array_end(array, whole);
}

static json_t *json_of_foretold(const linkd_foretold *f)
{
    return json_pack("{s:o, s:o, s:o, s:o}", "precision",
                     json_of_known(f->precision), "recall",
                     json_of_known(f->recall), "f1", json_of_known(f->f1),
                     "log_loss", json_of_known(f->log_loss));
}

static json_t *json_of_weights(const lk_logistic *logistic)
{
    json_t *array = json_array();
    bool whole = array != NULL;

    for (size_t i = 0; i < 1 + 3 * logistic->n_features && whole; i++)
        whole = item_add(array, json_real(logistic->weights[i]));
    return array_end(array, whole);
}

static json_t *json_of_roots(const lk_boost *boost)
{
    json_t *array = json_array();
    bool whole = array != NULL;

    for (size_t i = 0; i < boost->n_trees && whole; i++)
        whole = item_add(array, json_integer((json_int_t)boost->roots[i]));
    return array_end(array, whole);
}

static json_t *json_of_nodes(const lk_boost *boost)
{
    json_t *array = json_array();
    bool whole = array != NULL;

    for (size_t i = 0; i < boost->n_nodes && whole; i++) {
        const lk_boost_node *n = &boost->nodes[i];

        whole = item_add(
            array, n->feature == LK_BOOST_LEAF
                       ? json_pack("[f]", (double)n->value)
                       : json_pack("[I, i, b, I, I, f]", (json_int_t)n->feature,
                                   (int)n->below, (int)n->missing_left,
                                   (json_int_t)n->left, (json_int_t)n->right,
                                   (double)n->value));
    }
    return array_end(array, whole);
}

/* One member on a line of its own, the last one without a comma. */
static int member_add(lk_buf *buf, const char *name, json_t *take_value,
                      linkd_error *err)
{
    char *text = NULL;
    int rc;

    if (take_value != NULL)
        text = json_dumps(take_value, JSON_COMPACT | JSON_ENCODE_ANY |
                                          JSON_REAL_PRECISION(17));
    json_decref(take_value);
    if (text == NULL)
        return lk_fail_nomem(err);
    rc = lk_buf_printf(buf, err, "%s \"%s\": %s",
                       buf->data[buf->len - 1] == '{' ? "\n" : ",\n", name,
                       text);
    free(text);
    return rc;
}

static int about_add(const linkd_pair_model *model, lk_buf *buf,
                     linkd_error *err)
{
    const linkd_learned_info *info = &model->learned.info;
    const struct {
        const char *name;
        json_t *value;
    } members[] = {
        {"format", json_string(FORMAT)},
        {"version", json_integer(VERSION)},
        {"linkd", json_string(LINKD_VERSION)},
        {"command", json_string(commands[model->within])},
        {"encoder", model->fingerprint[0] != '\0'
                        ? json_string(model->fingerprint)
                        : json_null()},
        {"columns", json_of_columns(model)},
        {"features", json_of_features(model)},
        {"labels",
         json_pack("{s:I, s:I}", "matches", (json_int_t)info->n_matches,
                   "others", (json_int_t)info->n_others)},
        {"held_out", json_of_foretold(&info->held_out)},
        {"without_labels", json_of_foretold(&info->without)},
        {"learner", json_string(linkd_learner_words[info->learner])},
        {"calibration",
         json_pack("{s:f, s:f}", "slope", model->learned.calibration.slope,
                   "shift", model->learned.calibration.shift)},
    };
    int rc = LINKD_OK;

    for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++)
        if (rc == LINKD_OK)
            rc = member_add(buf, members[i].name, members[i].value, err);
        else
            json_decref(members[i].value);
    return rc;
}

static int trees_add(const lk_boost *boost, lk_buf *buf, linkd_error *err)
{
    int rc = member_add(buf, "base", json_real(boost->base), err);

    if (rc == LINKD_OK)
        rc = member_add(buf, "roots", json_of_roots(boost), err);
    if (rc == LINKD_OK)
        rc = member_add(buf, "nodes", json_of_nodes(boost), err);
    return rc;
}

int linkd_pair_model_encode(const linkd_pair_model *model, lk_buf *ret_json,
                            linkd_error *err)
{
    const lk_learned *learned = &model->learned;
    int rc = lk_buf_append(ret_json, "{", 1, err);

    if (rc == LINKD_OK)
        rc = about_add(model, ret_json, err);
    if (rc == LINKD_OK && learned->info.learner == LINKD_LEARNER_LOGISTIC)
        rc = member_add(ret_json, "weights",
                        json_of_weights(&learned->model.logistic), err);
    if (rc == LINKD_OK && learned->info.learner == LINKD_LEARNER_TREES)
        rc = trees_add(&learned->model.boost, ret_json, err);
    return rc == LINKD_OK ? lk_buf_append(ret_json, "\n}\n", 3, err) : rc;
}

/* ---- reading: parts ------------------------------------------------------ */

/* What is read, and what messages call it. */
typedef struct reading {
    const json_t *root;
    linkd_pair_model *model;
    const char *name;
    linkd_error *err;
} reading;

static int fail_member(const reading *r, const char *member, const char *wanted)
{
    return lk_fail(r->err, LINKD_E_DATA, "%s: \"%s\" is not %s",
                   lk_label_of_path(r->name).text, member, wanted);
}

static int fail_item(const reading *r, const char *member, size_t item,
                     const char *wanted)
{
    return lk_fail(r->err, LINKD_E_DATA, "%s: \"%s\": item %zu is not %s",
                   lk_label_of_path(r->name).text, member, item, wanted);
}

/* False: not a number of that range. */
static bool number_get(const json_t *value, double low, double high,
                       double *ret_number)
{
    double number = json_number_value(value);

    if (!json_is_number(value) || !(number >= low && number <= high))
        return false;
    *ret_number = number;
    return true;
}

/* False: not a whole number below `end`. */
static bool count_get(const json_t *value, size_t end, size_t *ret_count)
{
    json_int_t number = json_integer_value(value);

    if (!json_is_integer(value) || number < 0 || (uint64_t)number >= end)
        return false;
    *ret_count = (size_t)number;
    return true;
}

/* The place of a string among words [n], or n. */
static size_t word_get(const json_t *value, const char *const *words, size_t n)
{
    const char *text = json_string_value(value);
    size_t i = 0;

    while (i < n && (text == NULL || strcmp(words[i], text) != 0))
        i++;
    return i;
}

/* An array that has an item at least. */
static const json_t *items_get(const reading *r, const char *member)
{
    const json_t *array = json_object_get(r->root, member);

    return json_is_array(array) && json_array_size(array) > 0 ? array : NULL;
}

static void *room(reading *r, size_t n, size_t size)
{
    void *items = lk_arena_alloc(&r->model->arena, n * size);

    if (items == NULL)
        (void)lk_fail_nomem(r->err);
    else
        memset(items, 0, n * size);
    return items;
}

/* ---- reading: what it is about -------------------------------------------- */

static int version_read(const reading *r)
{
    static const char *const formats[] = {FORMAT};
    const json_t *format = json_object_get(r->root, "format");
    size_t version = 0;

    if (word_get(format, formats, 1) == 1)
        return lk_fail(r->err, LINKD_E_DATA,
                       "%s is no pair model of linkctl train",
                       lk_label_of_path(r->name).text);
    if (!count_get(json_object_get(r->root, "version"), COUNT_MAX, &version) ||
        version == 0)
        return fail_member(r, "version", "a version");
    if (version > VERSION)
        return lk_fail(r->err, LINKD_E_DATA,
                       "%s is version %zu, newest known is %d",
                       lk_label_of_path(r->name).text, version, VERSION);
    return LINKD_OK;
}

static int string_copy(reading *r, const json_t *value, linkd_str *ret_str)
{
    size_t len = json_string_length(value);
    char *copy = lk_arena_copy(&r->model->arena, json_string_value(value), len);

    if (copy == NULL)
        return lk_fail_nomem(r->err);
    *ret_str = (linkd_str){copy, len};
    return LINKD_OK;
}

static bool is_fingerprint(const json_t *value)
{
    const char *text = json_string_value(value);

    return text != NULL && strlen(text) == 32 &&
           strspn(text, "0123456789abcdef") == 32;
}

static int command_read(reading *r)
{
    const json_t *encoder = json_object_get(r->root, "encoder");
    linkd_str fingerprint = {"", 0};
    size_t command = word_get(json_object_get(r->root, "command"), commands, 2);
    int rc = LINKD_OK;

    if (command == 2)
        return fail_member(r, "command", "link or dedup");
    if (!json_is_null(encoder) && !is_fingerprint(encoder))
        return fail_member(r, "encoder", "null or 32 hex digits");
    if (json_is_string(encoder))
        rc = string_copy(r, encoder, &fingerprint);
    r->model->within = command == 1;
    r->model->fingerprint = fingerprint.bytes;
    return rc;
}

/* ---- reading: what is compared -------------------------------------------- */

static int column_read(reading *r, size_t i, const json_t *item)
{
    static const char *const sides[] = {"left", "right"};
    lk_model_column *column = &r->model->columns[i];
    size_t as =
        word_get(json_object_get(item, "as"), linkd_holds_words, LINKD_N_HOLDS);
    int rc = LINKD_OK;

    if (as == LINKD_N_HOLDS)
        return fail_item(r, "columns", i, "compared as anything known");
    column->compared_as = (linkd_holds)as;
    for (size_t side = 0; side < 2 && rc == LINKD_OK; side++) {
        const json_t *name = json_object_get(item, sides[side]);

        if (json_is_string(name))
            rc = string_copy(r, name, &column->names[side]);
        else if (!json_is_null(name))
            rc = fail_item(r, "columns", i, "a pair of names");
    }
    if (rc == LINKD_OK && column->names[0].bytes == NULL &&
        column->names[1].bytes == NULL)
        return fail_item(r, "columns", i, "a pair of names");
    return rc;
}

static int columns_read(reading *r)
{
    const json_t *array = items_get(r, "columns");
    size_t n = json_array_size(array);
    int rc = LINKD_OK;

    if (array == NULL || n > LINKD_COLUMNS_MAX)
        return fail_member(r, "columns", "an array of columns");
    r->model->columns = room(r, n, sizeof(*r->model->columns));
    if (r->model->columns == NULL)
        return LINKD_E_NOMEM;
    r->model->n_columns = n;
    for (size_t i = 0; i < n && rc == LINKD_OK; i++)
        rc = column_read(r, i, json_array_get(array, i));
    return rc;
}

static int feature_read(reading *r, size_t i, const json_t *item,
                        size_t n_fields)
{
    lk_feature *feature = &r->model->features[i];
    const json_t *field = json_array_get(item, 0);
    size_t comparator = word_get(json_array_get(item, 1), lk_comparator_words,
                                 LK_N_COMPARATORS);

    if (json_array_size(item) != 2)
        return fail_item(r, "features", i, "a column and a comparator");
    if (comparator == LK_N_COMPARATORS)
        return fail_item(r, "features", i, "of a known comparator");
    feature->comparator = (lk_comparator)comparator;
    feature->field = LK_FIELD_RECORD;
    if (!json_is_null(field) && !count_get(field, n_fields, &feature->field))
        return fail_item(r, "features", i, "of a column that there is");
    return LINKD_OK;
}

static int features_read(reading *r)
{
    const json_t *array = items_get(r, "features");
    size_t n_fields = lk_pair_model_n_fields(r->model);
    size_t n = json_array_size(array);
    int rc = LINKD_OK;

    if (array == NULL || n > COUNT_MAX / 3)
        return fail_member(r, "features", "an array of features");
    r->model->features = room(r, n, sizeof(*r->model->features));
    if (r->model->features == NULL)
        return LINKD_E_NOMEM;
    r->model->n_features = n;
    for (size_t i = 0; i < n && rc == LINKD_OK; i++)
        rc = feature_read(r, i, json_array_get(array, i), n_fields);
    return rc;
}

/* ---- reading: what was learned --------------------------------------------- */

/* null is a figure that cannot be told. */
static int figure_read(const reading *r, const char *member, const char *figure,
                       double high, double *ret_figure)
{
    const json_t *value =
        json_object_get(json_object_get(r->root, member), figure);

    if (json_is_null(value))
        *ret_figure = (double)NAN;
    else if (!number_get(value, 0.0, high, ret_figure))
        return lk_fail(r->err, LINKD_E_DATA,
                       "%s: \"%s\" of \"%s\" is not null or a number from 0 "
                       "to %g",
                       lk_label_of_path(r->name).text, figure, member, high);
    return LINKD_OK;
}

static int foretold_read(const reading *r, const char *member,
                         linkd_foretold *f)
{
    int rc = figure_read(r, member, "precision", 1.0, &f->precision);

    if (rc == LINKD_OK)
        rc = figure_read(r, member, "recall", 1.0, &f->recall);
    if (rc == LINKD_OK)
        rc = figure_read(r, member, "f1", 1.0, &f->f1);
    return rc == LINKD_OK
               ? figure_read(r, member, "log_loss", WEIGHT_MAX, &f->log_loss)
               : rc;
}

static int labels_read(reading *r)
{
    linkd_learned_info *info = &r->model->learned.info;
    const json_t *labels = json_object_get(r->root, "labels");
    int rc;

    if (!count_get(json_object_get(labels, "matches"), COUNT_MAX,
                   &info->n_matches) ||
        !count_get(json_object_get(labels, "others"), COUNT_MAX,
                   &info->n_others))
        return fail_member(r, "labels", "a number of matches and of others");
    rc = foretold_read(r, "held_out", &info->held_out);
    return rc == LINKD_OK ? foretold_read(r, "without_labels", &info->without)
                          : rc;
}

static int calibration_read(reading *r)
{
    lk_calibration *c = &r->model->learned.calibration;
    const json_t *object = json_object_get(r->root, "calibration");

    if (!number_get(json_object_get(object, "slope"), LK_SLOPE_MIN,
                    LK_SLOPE_MAX, &c->slope) ||
        !number_get(json_object_get(object, "shift"), -WEIGHT_MAX, WEIGHT_MAX,
                    &c->shift))
        return fail_member(r, "calibration", "a slope and a shift");
    return LINKD_OK;
}

static int weights_read(reading *r)
{
    lk_logistic *logistic = &r->model->learned.model.logistic;
    const json_t *array = items_get(r, "weights");
    size_t n = 1 + 3 * r->model->n_features;

    if (array == NULL || json_array_size(array) != n)
        return fail_member(r, "weights", "one number and three a feature");
    logistic->weights = calloc(n, sizeof(*logistic->weights));
    if (logistic->weights == NULL)
        return lk_fail_nomem(r->err);
    logistic->n_features = r->model->n_features;
    for (size_t i = 0; i < n; i++)
        if (!number_get(json_array_get(array, i), -WEIGHT_MAX, WEIGHT_MAX,
                        &logistic->weights[i]))
            return fail_item(r, "weights", i, "a weight");
    return LINKD_OK;
}

/* ---- reading: trees -------------------------------------------------------- */

static int value_read(const reading *r, size_t i, const json_t *value,
                      float *ret_value)
{
    double number = 0.0;

    if (!number_get(value, -WEIGHT_MAX, WEIGHT_MAX, &number))
        return fail_item(r, "nodes", i, "of a number");
    *ret_value = (float)number;
    return LINKD_OK;
}

/* A node that comes after node i. */
static bool child_get(const json_t *value, size_t i, size_t n,
                      uint32_t *ret_child)
{
    size_t child = 0;

    if (!count_get(value, n, &child) || child <= i)
        return false;
    *ret_child = (uint32_t)child;
    return true;
}

static int inner_read(const reading *r, size_t i, const json_t *item,
                      lk_boost_node *node)
{
    size_t n = r->model->learned.model.boost.n_nodes;
    const json_t *missing_left = json_array_get(item, 2);
    size_t feature = 0;
    size_t below = 0;

    if (!count_get(json_array_get(item, 0), r->model->n_features, &feature))
        return fail_item(r, "nodes", i, "of a feature that there is");
    if (!count_get(json_array_get(item, 1), LK_FEATURE_MISSING, &below))
        return fail_item(r, "nodes", i, "split at a byte below 255");
    if (!json_is_boolean(missing_left))
        return fail_item(r, "nodes", i, "telling where missing values go");
    if (!child_get(json_array_get(item, 3), i, n, &node->left) ||
        !child_get(json_array_get(item, 4), i, n, &node->right))
        return fail_item(r, "nodes", i, "above two nodes that come later");
    node->feature = (uint32_t)feature;
    node->below = (uint8_t)below;
    node->missing_left = json_is_true(missing_left);
    return value_read(r, i, json_array_get(item, 5), &node->value);
}

static int nodes_read(reading *r)
{
    lk_boost *boost = &r->model->learned.model.boost;
    const json_t *array = items_get(r, "nodes");
    size_t n = json_array_size(array);
    int rc = LINKD_OK;

    if (array == NULL || n > COUNT_MAX)
        return fail_member(r, "nodes", "an array of nodes");
    boost->nodes = calloc(n, sizeof(*boost->nodes));
    if (boost->nodes == NULL)
        return lk_fail_nomem(r->err);
    boost->n_nodes = n;
    for (size_t i = 0; i < n && rc == LINKD_OK; i++) {
        const json_t *item = json_array_get(array, i);
        lk_boost_node *node = &boost->nodes[i];

        node->feature = LK_BOOST_LEAF;
        if (json_array_size(item) == 6)
            rc = inner_read(r, i, item, node);
        else if (json_array_size(item) == 1)
            rc = value_read(r, i, json_array_get(item, 0), &node->value);
        else
            rc = fail_item(r, "nodes", i, "an array of 1 or 6");
    }
    return rc;
}

static int roots_read(reading *r)
{
    lk_boost *boost = &r->model->learned.model.boost;
    const json_t *array = items_get(r, "roots");
    size_t n = json_array_size(array);

    if (array == NULL || n > boost->n_nodes)
        return fail_member(r, "roots", "an array of trees");
    boost->roots = calloc(n, sizeof(*boost->roots));
    if (boost->roots == NULL)
        return lk_fail_nomem(r->err);
    boost->n_trees = n;
    for (size_t i = 0; i < n; i++) {
        size_t root = 0;

        if (!count_get(json_array_get(array, i), boost->n_nodes, &root))
            return fail_item(r, "roots", i, "a node that there is");
        boost->roots[i] = (uint32_t)root;
    }
    return LINKD_OK;
}

static int trees_read(reading *r)
{
    lk_boost *boost = &r->model->learned.model.boost;
    int rc;

    boost->n_features = r->model->n_features;
    if (!number_get(json_object_get(r->root, "base"), -WEIGHT_MAX, WEIGHT_MAX,
                    &boost->base))
        return fail_member(r, "base", "a number");
    rc = nodes_read(r);
    return rc == LINKD_OK ? roots_read(r) : rc;
}

static int learner_read(reading *r)
{
    size_t learner = word_get(json_object_get(r->root, "learner"),
                              linkd_learner_words, LINKD_N_LEARNERS);
    int rc;

    if (learner == LINKD_N_LEARNERS)
        return fail_member(r, "learner", "none, logistic or boosted trees");
    r->model->learned.info.learner = (linkd_learner)learner;
    rc = calibration_read(r);
    if (rc == LINKD_OK && learner == LINKD_LEARNER_LOGISTIC)
        rc = weights_read(r);
    if (rc == LINKD_OK && learner == LINKD_LEARNER_TREES)
        rc = trees_read(r);
    return rc;
}

/* ---- reading: all ----------------------------------------------------------- */

static int model_read(reading *r)
{
    int rc = version_read(r);

    if (rc == LINKD_OK)
        rc = command_read(r);
    if (rc == LINKD_OK)
        rc = columns_read(r);
    if (rc == LINKD_OK)
        rc = features_read(r);
    if (rc == LINKD_OK)
        rc = labels_read(r);
    return rc == LINKD_OK ? learner_read(r) : rc;
}

int linkd_pair_model_decode(const char *name, linkd_str json,
                            linkd_pair_model **ret_model, linkd_error *err)
{
    linkd_pair_model *model = NULL;
    json_error_t why;
    json_t *root =
        json_loadb(json.bytes, json.len, JSON_REJECT_DUPLICATES, &why);
    reading r = {.root = root, .name = name, .err = err};
    int rc;

    if (root == NULL)
        return lk_fail(err, LINKD_E_DATA, "%s is not JSON: line %d: %.100s",
                       lk_label_of_path(name).text, why.line, why.text);
    rc = lk_pair_model_new(name, &model, err);
    r.model = model;
    if (rc == LINKD_OK)
        rc = model_read(&r);
    json_decref(root);
    if (rc == LINKD_OK)
        *ret_model = model;
    else
        linkd_pair_model_free(model);
    return rc;
}
