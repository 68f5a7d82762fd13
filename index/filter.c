/* index/filter.c — which records a filter lets through.
 *
 * FIELDS has a key for every value of every record, in the order of values, and
 * a record's number at its end. So a condition is a run of keys, and the answer
 * a bitmap with a bit for every record number that was ever given out:
 *
 *   city = "Oslo"    ─► seek (city, text, "Oslo") … 17, 40, 41 ─► 0…1…11…
 *   age < 30         ─► seek (age, number) … until 30          ─► 1…1…10…
 *   age < 30         ─► seek (age, text, "+") … until "9…"     ─► 0…1…00…
 *   and, or, not     ─► words of both
 *
 * A node adds its bits to the words that it is given, so OR needs no memory of
 * its own. AND and NOT do, one or two bitmaps for each level that is open; the
 * depth of a tree is limited before it is walked. NOT and an empty AND mean the
 * records that exist: all numbers, if no record was ever deleted, else those
 * that RECORDS has.
 *
 * Invariant: only bits of records that exist are ever set, because a record's
 * keys leave FIELDS in the transaction that deletes or replaces it. */
#include "index/filter.h"

#include "index/parts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORD_BITS ((uint64_t)64)
/* Keys between two questions to stop_cb: about 1 ms, at 0.1 us for one that is
 * in memory. */
#define KEYS_PER_STOP ((size_t)10000)

/* ---- selections ---------------------------------------------------------- */

void linkd_selection_free(linkd_selection *selection)
{
    if (selection == NULL)
        return;
    free(selection->words);
    free(selection);
}

bool linkd_selection_has(const linkd_selection *selection, uint64_t number)
{
    return number < selection->n_bits &&
           (selection->words[number / WORD_BITS] >> number % WORD_BITS & 1) !=
               0;
}

uint64_t linkd_selection_count(const linkd_selection *selection)
{
    return selection->count;
}

uint64_t lk_selection_next(const linkd_selection *selection, uint64_t from)
{
    while (from < selection->n_bits) {
        if (selection->words[from / WORD_BITS] >> from % WORD_BITS == 0)
            from = (from / WORD_BITS + 1) * WORD_BITS;
        else if (linkd_selection_has(selection, from))
            return from;
        else
            from++;
    }
    return LINKD_ID_NONE;
}

/* ---- checks -------------------------------------------------------------- */

static int field_fail(const linkd_collection_options *options, linkd_str field,
                      linkd_error *err)
{
    char names[sizeof(err->message)] = "none";
    size_t at = 0;

    for (size_t i = 0; i < options->n_filter_fields && at < sizeof(names); i++)
        at += (size_t)snprintf(names + at, sizeof(names) - at, "%s%.*s",
                               i == 0 ? "" : ", ",
                               (int)options->filter_fields[i].len,
                               options->filter_fields[i].bytes);
    return lk_fail(
        err, LINKD_E_ARG, "field \"%.*s\" is not one that filters may use: %s",
        (int)(field.len < LINKD_NAME_MAX_BYTES ? field.len
                                               : LINKD_NAME_MAX_BYTES),
        field.bytes, names);
}

static int field_check(const linkd_view *view, linkd_str field,
                       linkd_error *err)
{
    const linkd_collection_options *options = &view->row.options;

    return lk_field_is_filtered(options, field)
               ? LINKD_OK
               : field_fail(options, field, err);
}

static int value_check(const linkd_value *value, linkd_error *err)
{
    if (value->kind == LINKD_VALUE_NUMBER && !isfinite(value->number))
        return lk_fail(err, LINKD_E_ARG,
                       "a number in the filter is not finite");
    return LINKD_OK;
}

static int bound_check(const linkd_value *bound, linkd_error *err)
{
    if (bound == NULL)
        return LINKD_OK;
    if (bound->kind == LINKD_VALUE_BOOL)
        return lk_fail(err, LINKD_E_ARG, "true and false have no range");
    if (bound->kind == LINKD_VALUE_TEXT && bound->text.len > LK_FIELD_TEXT_MAX)
        return lk_fail(err, LINKD_E_ARG,
                       "the bound of a range has %zu bytes, more than %zu",
                       bound->text.len, LK_FIELD_TEXT_MAX);
    return value_check(bound, err);
}

static int range_check(const linkd_filter *filter, linkd_error *err)
{
    int rc = bound_check(filter->lower, err);

    if (rc == LINKD_OK)
        rc = bound_check(filter->upper, err);
    if (rc != LINKD_OK)
        return rc;
    if (filter->lower == NULL && filter->upper == NULL)
        return lk_fail(err, LINKD_E_ARG, "a range has no bound");
    if (filter->lower != NULL && filter->upper != NULL &&
        filter->lower->kind != filter->upper->kind)
        return lk_fail(err, LINKD_E_ARG,
                       "the bounds of a range are a text and a number");
    return LINKD_OK;
}

static int leaf_check(const linkd_view *view, const linkd_filter *filter,
                      linkd_error *err)
{
    int rc = field_check(view, filter->field, err);

    if (rc == LINKD_OK && filter->op == LINKD_FILTER_EQ &&
        filter->n_values != 1)
        rc = lk_fail(err, LINKD_E_ARG, "equality with %zu values",
                     filter->n_values);
    if (rc == LINKD_OK && filter->op == LINKD_FILTER_RANGE)
        rc = range_check(filter, err);
    if (filter->op != LINKD_FILTER_EQ && filter->op != LINKD_FILTER_IN)
        return rc;
    for (size_t i = 0; i < filter->n_values && rc == LINKD_OK; i++)
        rc = value_check(&filter->values[i], err);
    return rc;
}

/* Walks the tree once before anything is looked up. */
static int node_check(const linkd_view *view, const linkd_filter *filter,
                      size_t depth, size_t *n_nodes, linkd_error *err)
{
    int rc = LINKD_OK;

    if (depth > LINKD_FILTER_DEPTH_MAX)
        return lk_fail(err, LINKD_E_ARG, "the filter is deeper than %zu",
                       LINKD_FILTER_DEPTH_MAX);
    if (++*n_nodes > LINKD_FILTER_NODES_MAX)
        return lk_fail(err, LINKD_E_ARG, "the filter has more than %zu nodes",
                       LINKD_FILTER_NODES_MAX);
    switch (filter->op) {
    case LINKD_FILTER_EQ:
    case LINKD_FILTER_IN:
    case LINKD_FILTER_RANGE:
    case LINKD_FILTER_EXISTS:
        return leaf_check(view, filter, err);
    case LINKD_FILTER_NOT:
        if (filter->n_children != 1)
            return lk_fail(err, LINKD_E_ARG, "not of %zu filters",
                           filter->n_children);
        break;
    case LINKD_FILTER_AND:
    case LINKD_FILTER_OR:
        break;
    default:
        return lk_fail(err, LINKD_E_ARG, "the filter has an unknown operation");
    }
    for (size_t i = 0; i < filter->n_children && rc == LINKD_OK; i++)
        rc = node_check(view, &filter->children[i], depth + 1, n_nodes, err);
    return rc;
}

/* ---- runs of keys -------------------------------------------------------- */

typedef struct evaluation {
    linkd_view *view;
    bool (*stop_cb)(void *ctx); /* may be NULL */
    void *stop_ctx;
    size_t n_keys; /* since stop_cb was asked */
    lk_cursor *fields;
    uint64_t *existing; /* NULL until it is needed */
    uint64_t n_bits;
    size_t n_words;
} evaluation;

/* Asks stop_cb when it is time to. */
static int key_count(evaluation *s, linkd_error *err)
{
    if (++s->n_keys == KEYS_PER_STOP) {
        s->n_keys = 0;
        if (s->stop_cb != NULL && s->stop_cb(s->stop_ctx))
            return lk_fail(err, LINKD_E_CANCELLED, "the filter was stopped");
    }
    return LINKD_OK;
}

/* Adds the record of a key. */
static int key_add(evaluation *s, uint64_t *words, linkd_str key,
                   linkd_error *err)
{
    uint64_t number = lk_key_tail_u64(key);
    int rc = key_count(s, err);

    if (rc != LINKD_OK)
        return rc;
    if (number >= s->n_bits)
        return lk_fail(err, LINKD_E_DATA,
                       "a filter's key names a record that never was");
    words[number / WORD_BITS] |= (uint64_t)1 << number % WORD_BITS;
    return LINKD_OK;
}

static lk_field_key_kind key_kind(linkd_value_kind kind)
{
    return kind == LINKD_VALUE_TEXT     ? LK_FIELD_KEY_TEXT
           : kind == LINKD_VALUE_NUMBER ? LK_FIELD_KEY_NUMBER
                                        : LK_FIELD_KEY_BOOL;
}

/* The key up to and with the value. */
static void value_key(const evaluation *s, linkd_str field,
                      const linkd_value *value, lk_key *key)
{
    lk_field_key_begin(key, s->view->collection, field, key_kind(value->kind));
    if (value->kind == LINKD_VALUE_TEXT)
        lk_field_key_add_text(key, value->text);
    else if (value->kind == LINKD_VALUE_NUMBER)
        lk_field_key_add_number(key, value->number);
    else
        lk_field_key_add_bool(key, value->boolean);
}

/* Adds the records of all keys that begin with `prefix`. No value's key begins
 * another one's. */
static int prefix_add(evaluation *s, const lk_key *prefix, uint64_t *words,
                      linkd_error *err)
{
    linkd_str key;
    linkd_str value;
    bool found = false;
    int rc = lk_cursor_seek(s->fields, lk_key_str(prefix), &key, &value, &found,
                            err);

    while (rc == LINKD_OK && found &&
           lk_str_starts_with(key, lk_key_str(prefix))) {
        rc = key_add(s, words, key, err);
        if (rc == LINKD_OK)
            rc = lk_cursor_next(s->fields, &key, &value, &found, err);
    }
    return rc;
}

/* What a range of keys begins and ends with. */
typedef struct range {
    lk_key kind; /* all keys of the field's values of that kind */
    lk_key lower;
    lk_key upper;
    const linkd_filter *filter;
} range;

static void range_fill(const evaluation *s, const linkd_filter *filter,
                       range *r)
{
    const linkd_value *bound =
        filter->lower != NULL ? filter->lower : filter->upper;

    r->filter = filter;
    lk_field_key_begin(&r->kind, s->view->collection, filter->field,
                       key_kind(bound->kind));
    r->lower = r->kind;
    if (filter->lower != NULL)
        value_key(s, filter->field, filter->lower, &r->lower);
    if (filter->upper != NULL)
        value_key(s, filter->field, filter->upper, &r->upper);
}

static bool range_is_past(const range *r, linkd_str key)
{
    linkd_str upper = lk_key_str(&r->upper);
    size_t len = key.len < upper.len ? key.len : upper.len;
    int order;

    if (!lk_str_starts_with(key, lk_key_str(&r->kind)))
        return true;
    if (r->filter->upper == NULL)
        return false;
    order = memcmp(key.bytes, upper.bytes, len);
    return order > 0 || (order == 0 && r->filter->upper_excluded);
}

static bool range_is_at_lower(const range *r, linkd_str key)
{
    return r->filter->lower != NULL && r->filter->lower_excluded &&
           lk_str_starts_with(key, lk_key_str(&r->lower));
}

static bool range_has(const linkd_filter *filter, double number)
{
    const linkd_value *lower = filter->lower;
    const linkd_value *upper = filter->upper;

    if (lower != NULL && (filter->lower_excluded ? number <= lower->number
                                                 : number < lower->number))
        return false;
    return upper == NULL || (filter->upper_excluded ? number < upper->number
                                                    : number <= upper->number);
}

/* Adds the records whose value is a text that is a number in a range of numbers:
 * those of CSV are texts. Texts are in the order of their bytes, so all that
 * begin like a number are looked at. */
static int text_numbers_add(evaluation *s, const linkd_filter *filter,
                            uint64_t *words, linkd_error *err)
{
    lk_key prefix, first;
    linkd_str key, value;
    bool found = false;
    int rc;

    lk_field_key_begin(&prefix, s->view->collection, filter->field,
                       LK_FIELD_KEY_TEXT);
    first = prefix;
    lk_key_add_u8(&first, '+'); /* before '-', '.' and the digits */
    rc = lk_cursor_seek(s->fields, lk_key_str(&first), &key, &value, &found,
                        err);
    while (rc == LINKD_OK && found &&
           lk_str_starts_with(key, lk_key_str(&prefix)) &&
           (unsigned char)key.bytes[prefix.len] <= '9') {
        linkd_str text = {key.bytes + prefix.len,
                          key.len - prefix.len - LK_FIELD_TEXT_TAIL};
        double number;

        rc = lk_field_number_parse(text, &number) && range_has(filter, number)
                 ? key_add(s, words, key, err)
                 : key_count(s, err);
        if (rc == LINKD_OK)
            rc = lk_cursor_next(s->fields, &key, &value, &found, err);
    }
    return rc;
}

static bool is_of_numbers(const linkd_filter *filter)
{
    return (filter->lower != NULL ? filter->lower : filter->upper)->kind ==
           LINKD_VALUE_NUMBER;
}

static int range_add(evaluation *s, const linkd_filter *filter, uint64_t *words,
                     linkd_error *err)
{
    range r = {0};
    linkd_str key;
    linkd_str value;
    bool found = false;
    int rc;

    range_fill(s, filter, &r);
    rc = lk_cursor_seek(s->fields, lk_key_str(&r.lower), &key, &value, &found,
                        err);
    while (rc == LINKD_OK && found && !range_is_past(&r, key)) {
        if (!range_is_at_lower(&r, key))
            rc = key_add(s, words, key, err);
        if (rc == LINKD_OK)
            rc = lk_cursor_next(s->fields, &key, &value, &found, err);
    }
    if (rc == LINKD_OK && is_of_numbers(filter))
        rc = text_numbers_add(s, filter, words, err);
    return rc;
}

static int values_add(evaluation *s, const linkd_filter *filter,
                      uint64_t *words, linkd_error *err)
{
    lk_key key;
    int rc = LINKD_OK;

    for (size_t i = 0; i < filter->n_values && rc == LINKD_OK; i++) {
        const linkd_value *value = &filter->values[i];

        value_key(s, filter->field, value, &key);
        rc = prefix_add(s, &key, words, err);
        if (rc == LINKD_OK && value->kind == LINKD_VALUE_NUMBER)
            rc = text_numbers_add(s,
                                  &(linkd_filter){.field = filter->field,
                                                  .lower = value,
                                                  .upper = value},
                                  words, err);
    }
    return rc;
}

static int exists_add(evaluation *s, linkd_str field, uint64_t *words,
                      linkd_error *err)
{
    lk_key key;

    lk_field_key_begin(&key, s->view->collection, field, LK_FIELD_KEY_EXISTS);
    return prefix_add(s, &key, words, err);
}

/* ---- trees --------------------------------------------------------------- */

static uint64_t *words_new(const evaluation *s)
{
    return calloc(s->n_words + 1, sizeof(uint64_t));
}

static void words_fill(const evaluation *s, uint64_t *words)
{
    memset(words, 0xFF, s->n_words * sizeof(*words));
    if (s->n_bits % WORD_BITS != 0)
        words[s->n_words - 1] = ((uint64_t)1 << s->n_bits % WORD_BITS) - 1;
}

static int records_add(evaluation *s, uint64_t *words, linkd_error *err)
{
    lk_cursor *cursor = NULL;
    lk_key first;
    linkd_str prefix;
    linkd_str key;
    linkd_str value;
    bool found = false;
    int rc = lk_cursor_open(s->view->txn, LK_TABLE_RECORDS, &cursor, err);

    if (rc != LINKD_OK)
        return rc;
    lk_key_record(&first, s->view->collection, 0);
    prefix = (linkd_str){(const char *)first.bytes, sizeof(uint32_t)};
    rc = lk_cursor_seek(cursor, lk_key_str(&first), &key, &value, &found, err);
    while (rc == LINKD_OK && found && lk_str_starts_with(key, prefix)) {
        rc = key_add(s, words, key, err);
        if (rc == LINKD_OK)
            rc = lk_cursor_next(cursor, &key, &value, &found, err);
    }
    lk_cursor_close(cursor);
    return rc;
}

static int existing_find(evaluation *s, linkd_error *err)
{
    if (s->existing != NULL)
        return LINKD_OK;
    s->existing = words_new(s);
    if (s->existing == NULL)
        return lk_fail_nomem(err);
    if (s->view->row.n_records != s->n_bits)
        return records_add(s, s->existing, err);
    words_fill(s, s->existing);
    return LINKD_OK;
}

static int node_add(evaluation *s, const linkd_filter *filter, uint64_t *words,
                    linkd_error *err);

static int and_add(evaluation *s, const linkd_filter *filter, uint64_t *words,
                   linkd_error *err)
{
    uint64_t *all = words_new(s);
    uint64_t *one = words_new(s);
    int rc = LINKD_OK;

    if (all == NULL || one == NULL)
        rc = lk_fail_nomem(err);
    if (rc == LINKD_OK)
        rc = node_add(s, &filter->children[0], all, err);
    for (size_t i = 1; i < filter->n_children && rc == LINKD_OK; i++) {
        memset(one, 0, s->n_words * sizeof(*one));
        rc = node_add(s, &filter->children[i], one, err);
        for (size_t j = 0; j < s->n_words; j++)
            all[j] &= one[j];
    }
    for (size_t j = 0; j < s->n_words && rc == LINKD_OK; j++)
        words[j] |= all[j];
    free(one);
    free(all);
    return rc;
}

static int not_add(evaluation *s, const linkd_filter *filter, uint64_t *words,
                   linkd_error *err)
{
    uint64_t *one = words_new(s);
    int rc = existing_find(s, err);

    if (one == NULL)
        return lk_fail_nomem(err);
    if (rc == LINKD_OK)
        rc = node_add(s, &filter->children[0], one, err);
    for (size_t j = 0; j < s->n_words && rc == LINKD_OK; j++)
        words[j] |= s->existing[j] & ~one[j];
    free(one);
    return rc;
}

static int everything_add(evaluation *s, uint64_t *words, linkd_error *err)
{
    int rc = existing_find(s, err);

    for (size_t j = 0; j < s->n_words && rc == LINKD_OK; j++)
        words[j] |= s->existing[j];
    return rc;
}

static int node_add(evaluation *s, const linkd_filter *filter, uint64_t *words,
                    linkd_error *err)
{
    int rc = LINKD_OK;

    switch (filter->op) {
    case LINKD_FILTER_EQ:
    case LINKD_FILTER_IN:
        return values_add(s, filter, words, err);
    case LINKD_FILTER_RANGE:
        return range_add(s, filter, words, err);
    case LINKD_FILTER_EXISTS:
        return exists_add(s, filter->field, words, err);
    case LINKD_FILTER_AND:
        if (filter->n_children == 0)
            return everything_add(s, words, err);
        return and_add(s, filter, words, err);
    case LINKD_FILTER_NOT:
        return not_add(s, filter, words, err);
    case LINKD_FILTER_OR:
        break;
    }
    for (size_t i = 0; i < filter->n_children && rc == LINKD_OK; i++)
        rc = node_add(s, &filter->children[i], words, err);
    return rc;
}

/* ---- public -------------------------------------------------------------- */

static uint64_t words_count(const uint64_t *words, size_t n)
{
    uint64_t count = 0;

    for (size_t i = 0; i < n; i++)
        for (uint64_t word = words[i]; word != 0; word &= word - 1)
            count++;
    return count;
}

int linkd_view_select(linkd_view *view, const linkd_filter *filter,
                      bool (*stop_cb)(void *ctx), void *stop_ctx,
                      linkd_selection **ret_selection, linkd_error *err)
{
    uint64_t n_bits = view->row.next_number;
    evaluation s = {.view = view,
                    .stop_cb = stop_cb,
                    .stop_ctx = stop_ctx,
                    .n_bits = n_bits,
                    .n_words = (size_t)((n_bits + WORD_BITS - 1) / WORD_BITS)};
    linkd_selection *selection = NULL;
    size_t n_nodes = 0;
    int rc = node_check(view, filter, 1, &n_nodes, err);

    if (rc != LINKD_OK)
        return rc;
    selection = calloc(1, sizeof(*selection));
    if (selection != NULL)
        selection->words = words_new(&s);
    if (selection == NULL || selection->words == NULL)
        rc = lk_fail_nomem(err);
    if (rc == LINKD_OK)
        rc = lk_cursor_open(view->txn, LK_TABLE_FIELDS, &s.fields, err);
    if (rc == LINKD_OK)
        rc = node_add(&s, filter, selection->words, err);
    lk_cursor_close(s.fields);
    free(s.existing);
    if (rc != LINKD_OK) {
        linkd_selection_free(selection);
        return rc;
    }
    selection->n_bits = n_bits;
    selection->count = words_count(selection->words, s.n_words);
    *ret_selection = selection;
    return LINKD_OK;
}
