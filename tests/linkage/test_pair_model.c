/* tests/linkage/test_pair_model.c — what labels of some tables decide about
 * others. Goods of one name come in sizes, and the right table has a half of
 * them in another size: without labels that looks like a way of writing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/pair_model.h"
#include "tests/linkage/scratch.h"
#include "tests/support/alloc_fail.h"

enum {
    N_GOODS = 160, /* of a table */
    N_SAME = 80,   /* of them in both, see is_same() */
    N_LABELLED = 80,
};

typedef struct fixture {
    linkd_table *tables[2]; /* [1] NULL: one table */
    lk_pool *pool;
    linkd_evidence *evidence;
    linkd_pair_model *model;
    linkd_decision decision;
    linkd_label labels[2 * N_LABELLED];
    size_t n_labels;
    bool only_partners; /* are labelled */
    linkd_error err;
} fixture;

/* ---- tables -------------------------------------------------------------- */

static uint32_t mix(uint32_t x)
{
    x = (x ^ (x >> 16)) * UINT32_C(0x45d9f3b);
    x = (x ^ (x >> 16)) * UINT32_C(0x45d9f3b);
    return x ^ (x >> 16);
}

/* Two words of three syllables that a number stands for. */
static void name_append(lk_buf *csv, uint32_t number)
{
    static const char *const syllables[] = {
        "ba", "ke", "li",  "mo",  "nu",  "ra",  "si",  "to",
        "vu", "ze", "dor", "fan", "gel", "hin", "jos", "pam"};
    uint32_t x = mix(number);

    for (size_t i = 0; i < 6; i++, x /= 16)
        assert_int_equal(lk_buf_printf(csv, NULL, "%s%s", i == 3 ? " " : "",
                                       syllables[x % 16]),
                         LINKD_OK);
}

static const char *size_of(uint32_t number)
{
    static const char *const sizes[] = {"small", "medium", "large", "giant"};

    return sizes[number % 4];
}

static bool is_same(size_t i)
{
    return i % 2 == 0;
}

static void row_append(lk_buf *csv, size_t id, uint32_t number, bool other_size)
{
    assert_int_equal(lk_buf_printf(csv, NULL, "%zu,", id), LINKD_OK);
    name_append(csv, number);
    assert_int_equal(lk_buf_printf(csv, NULL, "%s,%s,%u\n",
                                   other_size || number % 3 != 0 ? "" : "e",
                                   size_of(mix(number * 7) + other_size),
                                   mix(number * 11) % 1000),
                     LINKD_OK);
}

static void table_open(fixture *f, size_t side, const char *header,
                       const lk_buf *rows)
{
    const char *name = side == 0 ? "l.csv" : "r.csv";
    lk_buf csv = {0};

    assert_int_equal(lk_buf_printf(&csv, NULL, "%s\n%s", header, rows->data),
                     LINKD_OK);
    scratch_write_text(name, csv.data);
    lk_buf_clear(&csv);
    linkd_table_free(f->tables[side]);
    f->tables[side] = NULL;
    assert_int_equal(linkd_table_read(name, LINKD_FORMAT_CSV, "id", NULL,
                                      &f->tables[side], &f->err),
                     LINKD_OK);
}

#define HEADER "id,name,size,price"

/* Row i of both is the same thing if is_same(i), else of another size. */
static void two_tables_make(fixture *f, uint32_t first)
{
    lk_buf rows[2] = {{0}, {0}};

    for (uint32_t i = 0; i < N_GOODS; i++) {
        row_append(&rows[0], i, first + i, false);
        row_append(&rows[1], i, first + i, !is_same(i));
    }
    for (size_t side = 0; side < 2; side++) {
        table_open(f, side, HEADER, &rows[side]);
        lk_buf_clear(&rows[side]);
    }
}

/* The same one below the other: row i + N_GOODS is the right one's. */
static void one_table_make(fixture *f, uint32_t first)
{
    lk_buf rows = {0};

    for (uint32_t i = 0; i < 2 * N_GOODS; i++)
        row_append(&rows, i, first + i % N_GOODS,
                   i >= N_GOODS && !is_same(i % N_GOODS));
    table_open(f, 0, HEADER, &rows);
    linkd_table_free(f->tables[1]);
    f->tables[1] = NULL;
    lk_buf_clear(&rows);
}

/* ---- steps --------------------------------------------------------------- */

static const linkd_column_pair COLUMNS[] = {{1, 1, 1}, {2, 2, 1}, {3, 3, 1}};

static int gather(fixture *f, const linkd_column_pair *columns,
                  size_t n_columns, const linkd_pair_model *model)
{
    linkd_evidence_options options = {.columns = columns,
                                      .n_columns = n_columns,
                                      .left_block = LINKD_COLUMN_NONE,
                                      .right_block = LINKD_COLUMN_NONE,
                                      .channels = LINKD_CHANNEL_ALL,
                                      .pair_model = model};

    linkd_evidence_free(f->evidence);
    f->evidence = NULL;
    return linkd_evidence_gather(f->tables[0], f->tables[1], NULL, f->pool,
                                 &options, NULL, &f->evidence, &f->err);
}

static void label_add(fixture *f, size_t pair)
{
    const lk_pairset *pairs = &f->evidence->pairs;
    size_t left = pairs->a[pair];
    size_t right = pairs->b[pair];

    f->labels[f->n_labels++] =
        (linkd_label){left, f->tables[1] != NULL ? right - N_GOODS : right,
                      right == N_GOODS + left && is_same(left)};
}

/* Of the first goods the partner is answered, if it is a candidate at all, and
 * another candidate, which is told apart easily. */
static void label(fixture *f)
{
    const lk_pairset *pairs = &f->evidence->pairs;

    f->n_labels = 0;
    for (size_t i = 0; i < N_LABELLED; i++) {
        size_t partner = lk_pairset_find(pairs, i, N_GOODS + i);
        size_t other = 0;

        while (other < pairs->n && (pairs->a[other] != i || other == partner))
            other++;
        if (partner != SIZE_MAX)
            label_add(f, partner);
        if (other < pairs->n && !f->only_partners)
            label_add(f, other);
    }
    assert_true(f->n_labels > N_LABELLED / 2);
}

static bool is_labelled(const fixture *f, const linkd_candidate *c)
{
    for (size_t i = 0; i < f->n_labels; i++)
        if (f->labels[i].left == c->left && f->labels[i].right == c->right)
            return true;
    return false;
}

static void decide(fixture *f, bool with_labels, const linkd_pair_model *model)
{
    linkd_decide_options options = {.assign = LINKD_ASSIGN_AUTO,
                                    .threshold = LINKD_THRESHOLD_AUTO,
                                    .labels = f->labels,
                                    .n_labels = with_labels ? f->n_labels : 0,
                                    .pair_model = model};

    linkd_decision_clear(&f->decision);
    assert_int_equal(linkd_evidence_decide(f->evidence, &options, NULL,
                                           &f->decision, &f->err),
                     LINKD_OK);
}

/* Trains on the tables that there are, and reads the model as from a file. */
static void train_on(fixture *f, size_t n_labels)
{
    linkd_decide_options options = {.assign = LINKD_ASSIGN_AUTO,
                                    .threshold = LINKD_THRESHOLD_AUTO,
                                    .labels = f->labels};
    linkd_pair_model *made = NULL;
    lk_buf json = {0};

    assert_int_equal(gather(f, COLUMNS, 3, NULL), LINKD_OK);
    label(f);
    options.n_labels = n_labels < f->n_labels ? n_labels : f->n_labels;
    assert_int_equal(
        linkd_evidence_train(f->evidence, &options, NULL, &made, &f->err),
        LINKD_OK);
    assert_int_equal(linkd_pair_model_encode(made, &json, &f->err), LINKD_OK);
    linkd_pair_model_free(made);
    assert_int_equal(linkd_pair_model_decode("m.json",
                                             (linkd_str){json.data, json.len},
                                             &f->model, &f->err),
                     LINKD_OK);
    lk_buf_clear(&json);
}

static void train(fixture *f)
{
    train_on(f, SIZE_MAX);
}

/* What it compares matters, and not what it learned. */
static void train_little(fixture *f)
{
    train_on(f, 2);
}

/* F1 of the accepted pairs. */
static double quality(const fixture *f)
{
    size_t shift = f->tables[1] != NULL ? 0 : N_GOODS;
    size_t n_right = 0;

    for (size_t i = 0; i < f->decision.n_candidates; i++) {
        const linkd_candidate *c = &f->decision.candidates[i];

        n_right +=
            c->accepted && c->right == shift + c->left && is_same(c->left);
    }
    return 2.0 * (double)n_right / (double)(f->decision.n_accepted + N_SAME);
}

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    assert_int_equal(lk_pool_new(1, &f->pool, &f->err), LINKD_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;

    linkd_decision_clear(&f->decision);
    linkd_pair_model_free(f->model);
    linkd_evidence_free(f->evidence);
    linkd_table_free(f->tables[0]);
    linkd_table_free(f->tables[1]);
    lk_pool_free(f->pool);
    free(f);
    return 0;
}

/* ---- what it decides ----------------------------------------------------- */

static void other_tables_are_decided_better_than_without(void **state)
{
    fixture *f = *state;
    linkd_column_pair *columns = NULL;
    size_t n_columns = 0;
    double without;

    two_tables_make(f, 0);
    train(f);
    two_tables_make(f, 5000);
    assert_int_equal(gather(f, COLUMNS, 3, NULL), LINKD_OK);
    decide(f, false, NULL);
    without = quality(f);
    assert_true(without < 0.8);
    assert_int_equal(linkd_pair_model_columns(f->model, f->tables[0],
                                              f->tables[1], &columns,
                                              &n_columns, &f->err),
                     LINKD_OK);
    assert_int_equal(gather(f, columns, n_columns, f->model), LINKD_OK);
    free(columns);
    decide(f, false, f->model);
    assert_true(quality(f) > 0.95);
    assert_true(f->decision.verdict.supported);
    assert_non_null(strstr(f->decision.verdict.learned, "of the pair model: "));
}

static void one_table_is_decided_better_than_without(void **state)
{
    fixture *f = *state;
    double without;

    one_table_make(f, 0);
    train(f);
    assert_true(linkd_pair_model_describe(f->model).within);
    one_table_make(f, 5000);
    assert_int_equal(gather(f, COLUMNS, 3, f->model), LINKD_OK);
    decide(f, false, NULL);
    without = quality(f);
    decide(f, false, f->model);
    assert_true(quality(f) > without + 0.1);
    assert_true(quality(f) > 0.9);
}

/* Then nothing tells that far pairs are unlikely, and there are many. */
static void labels_of_near_pairs_alone_do_not_glue_entities(void **state)
{
    fixture *f = *state;

    f->only_partners = true;
    one_table_make(f, 0);
    train(f);
    one_table_make(f, 5000);
    assert_int_equal(gather(f, COLUMNS, 3, f->model), LINKD_OK);
    decide(f, false, f->model);
    assert_true(f->decision.threshold == 0.5);
    assert_true(quality(f) > 0.9);
}

/* On the tables of its labels it says what the labels would, of all pairs that
 * were not answered, to the bit. */
static void it_repeats_what_the_labels_taught(void **state)
{
    fixture *f = *state;
    linkd_decision with_labels;
    size_t n_compared = 0;

    two_tables_make(f, 0);
    train(f);
    decide(f, true, NULL);
    with_labels = f->decision;
    f->decision = (linkd_decision){0};
    assert_int_equal(gather(f, COLUMNS, 3, f->model), LINKD_OK);
    decide(f, false, f->model);
    assert_int_equal(f->decision.n_candidates, with_labels.n_candidates);
    for (size_t i = 0; i < f->decision.n_candidates; i++) {
        const linkd_candidate *c = &f->decision.candidates[i];

        if (is_labelled(f, c))
            continue; /* pinned by its label */
        assert_true(c->probability == with_labels.candidates[i].probability);
        n_compared++;
    }
    assert_true(n_compared > N_GOODS);
    linkd_decision_clear(&with_labels);
}

static void two_workers_decide_the_same(void **state)
{
    fixture *f = *state;
    linkd_decision first;

    two_tables_make(f, 0);
    train(f);
    two_tables_make(f, 5000);
    assert_int_equal(gather(f, COLUMNS, 3, f->model), LINKD_OK);
    decide(f, false, f->model);
    first = f->decision;
    f->decision = (linkd_decision){0};
    linkd_evidence_free(f->evidence);
    f->evidence = NULL;
    lk_pool_free(f->pool);
    assert_int_equal(lk_pool_new(2, &f->pool, &f->err), LINKD_OK);
    assert_int_equal(gather(f, COLUMNS, 3, f->model), LINKD_OK);
    decide(f, false, f->model);
    assert_int_equal(first.n_candidates, f->decision.n_candidates);
    for (size_t i = 0; i < first.n_candidates; i++)
        assert_true(first.candidates[i].probability ==
                    f->decision.candidates[i].probability);
    linkd_decision_clear(&first);
}

/* Figures of labels that were held out: half of what looks alike is wrong
 * without them. */
static void what_is_told_is_of_labels_held_out(void **state)
{
    fixture *f = *state;
    linkd_pair_model_info info;

    two_tables_make(f, 0);
    train(f);
    info = linkd_pair_model_describe(f->model);
    assert_int_equal(info.learned.n_matches + info.learned.n_others,
                     f->n_labels);
    assert_true(info.learned.learner != LINKD_LEARNER_NONE);
    assert_true(info.learned.without.precision < 0.7);
    assert_true(info.learned.held_out.precision > 0.9);
    assert_true(info.learned.held_out.recall > 0.9);
    assert_true(info.learned.held_out.f1 > 0.9);
    assert_true(info.learned.held_out.log_loss < info.learned.without.log_loss);
    assert_int_equal(info.n_columns, 3);
    assert_string_equal(info.fingerprint, "");
}

static void matches_alone_tell_recall_alone(void **state)
{
    fixture *f = *state;
    linkd_decide_options options = {.assign = LINKD_ASSIGN_AUTO,
                                    .threshold = LINKD_THRESHOLD_AUTO,
                                    .labels = f->labels};
    linkd_learned_info learned;

    two_tables_make(f, 0);
    assert_int_equal(gather(f, COLUMNS, 3, NULL), LINKD_OK);
    label(f);
    for (size_t i = 0; i < f->n_labels; i++)
        if (f->labels[i].match)
            f->labels[options.n_labels++] = f->labels[i];
    assert_int_equal(
        linkd_evidence_train(f->evidence, &options, NULL, &f->model, &f->err),
        LINKD_OK);
    learned = linkd_pair_model_describe(f->model).learned;
    assert_int_equal(learned.n_others, 0);
    assert_true(learned.without.recall > 0.9);
    assert_true(learned.without.precision != learned.without.precision);
    assert_true(learned.without.f1 != learned.without.f1);
}

/* Where labels teach nothing, what is decided is what would be without. */
static void a_model_of_few_labels_leaves_the_decision_as_it_is(void **state)
{
    fixture *f = *state;
    linkd_decide_options options = {.assign = LINKD_ASSIGN_AUTO,
                                    .threshold = LINKD_THRESHOLD_AUTO,
                                    .labels = f->labels,
                                    .n_labels = 6};
    linkd_decision without;

    two_tables_make(f, 0);
    assert_int_equal(gather(f, COLUMNS, 3, NULL), LINKD_OK);
    label(f);
    assert_int_equal(
        linkd_evidence_train(f->evidence, &options, NULL, &f->model, &f->err),
        LINKD_OK);
    decide(f, false, NULL);
    without = f->decision;
    f->decision = (linkd_decision){0};
    decide(f, false, f->model);
    assert_non_null(strstr(f->decision.verdict.learned,
                           "too few to learn from, so it decides nothing"));
    assert_int_equal(without.n_accepted, f->decision.n_accepted);
    for (size_t i = 0; i < without.n_candidates; i++)
        assert_true(without.candidates[i].probability ==
                    f->decision.candidates[i].probability);
    linkd_decision_clear(&without);
}

static void the_same_goes_for_entities(void **state)
{
    fixture *f = *state;
    linkd_decision without;

    one_table_make(f, 0);
    train_little(f);
    decide(f, false, NULL);
    without = f->decision;
    f->decision = (linkd_decision){0};
    decide(f, false, f->model);
    assert_true(without.threshold == f->decision.threshold);
    assert_true(without.verdict.f1 == f->decision.verdict.f1);
    assert_int_equal(without.n_entities, f->decision.n_entities);
    assert_memory_equal(without.entities, f->decision.entities,
                        2 * (size_t)N_GOODS * sizeof(*without.entities));
    linkd_decision_clear(&without);
}

/* A part of a table may hold what looks like something else. */
static void columns_are_compared_as_in_training(void **state)
{
    fixture *f = *state;
    lk_buf rows = {0};

    two_tables_make(f, 0);
    train_little(f);
    for (size_t i = 0; i < 30; i++)
        assert_int_equal(
            lk_buf_printf(&rows, NULL, "%zu,X-%zu,small,\n", i, 1000 + i),
            LINKD_OK);
    table_open(f, 0, HEADER, &rows);
    table_open(f, 1, HEADER, &rows);
    lk_buf_clear(&rows);
    assert_int_equal(gather(f, COLUMNS, 3, NULL), LINKD_OK);
    assert_int_equal(f->evidence->fields[0].compared_as, LINKD_HOLDS_CODE);
    assert_int_equal(f->evidence->fields[1].compared_as, LINKD_HOLDS_EMPTY);
    assert_int_equal(gather(f, COLUMNS, 3, f->model), LINKD_OK);
    assert_int_equal(f->evidence->fields[0].compared_as, LINKD_HOLDS_NAME);
    assert_int_equal(f->evidence->fields[1].compared_as, LINKD_HOLDS_CATEGORY);
    assert_int_equal(f->evidence->fields[2].compared_as, LINKD_HOLDS_NUMBER);
    decide(f, false, f->model);
}

/* ---- what it refuses ----------------------------------------------------- */

static void columns_refused(fixture *f, const char *message)
{
    linkd_column_pair *columns = NULL;
    size_t n_columns = 0;

    assert_int_equal(linkd_pair_model_columns(f->model, f->tables[0],
                                              f->tables[1], &columns,
                                              &n_columns, &f->err),
                     LINKD_E_DATA);
    assert_null(columns);
    assert_string_equal(f->err.message, message);
}

static void a_table_without_a_column_of_it_is_refused(void **state)
{
    fixture *f = *state;
    lk_buf rows = {0};

    two_tables_make(f, 0);
    train_little(f);
    assert_int_equal(lk_buf_printf(&rows, NULL, "1,x,small,2\n"), LINKD_OK);
    table_open(f, 1, "id,name,width,price", &rows);
    lk_buf_clear(&rows);
    columns_refused(f, "m.json compares a column \"size\", and r.csv has none");
}

static void one_table_is_not_two(void **state)
{
    fixture *f = *state;

    two_tables_make(f, 0);
    train_little(f);
    one_table_make(f, 0);
    columns_refused(f, "m.json was trained on two tables, and cannot decide "
                       "about one");
    assert_int_equal(gather(f, COLUMNS, 3, f->model), LINKD_E_DATA);
    linkd_pair_model_free(f->model);
    f->model = NULL;
    train_little(f);
    two_tables_make(f, 0);
    columns_refused(f, "m.json was trained on one table, and cannot decide "
                       "about two");
}

static void a_column_of_names_is_not_one_of_numbers(void **state)
{
    fixture *f = *state;
    lk_buf rows = {0};

    two_tables_make(f, 0);
    train_little(f);
    for (size_t i = 0; i < 30; i++) {
        assert_int_equal(lk_buf_printf(&rows, NULL, "%zu,", i), LINKD_OK);
        name_append(&rows, (uint32_t)i);
        assert_int_equal(lk_buf_printf(&rows, NULL, ",small,"), LINKD_OK);
        name_append(&rows, (uint32_t)(7 * i));
        assert_int_equal(lk_buf_printf(&rows, NULL, "\n"), LINKD_OK);
    }
    table_open(f, 0, HEADER, &rows);
    table_open(f, 1, HEADER, &rows);
    lk_buf_clear(&rows);
    assert_int_equal(gather(f, COLUMNS, 3, f->model), LINKD_E_DATA);
    assert_string_equal(f->err.message,
                        "m.json compares the column \"price\" as number, and "
                        "that of l.csv holds name");
}

static void fewer_columns_than_the_model_has_are_refused(void **state)
{
    fixture *f = *state;

    two_tables_make(f, 0);
    train_little(f);
    assert_int_equal(gather(f, COLUMNS, 2, f->model), LINKD_E_ARG);
    assert_string_equal(f->err.message,
                        "2 columns are compared, and 3 by the pair model");
}

static void vectors_of_another_encoder_are_refused(void **state)
{
    fixture *f = *state;
    linkd_decide_options options = {.assign = LINKD_ASSIGN_AUTO,
                                    .threshold = 0.5};

    two_tables_make(f, 0);
    train_little(f);
    f->model->fingerprint = "0123456789abcdef0123456789abcdef";
    assert_int_equal(gather(f, COLUMNS, 3, f->model), LINKD_E_DATA);
    assert_string_equal(f->err.message,
                        "m.json was trained with the encoder of fingerprint "
                        "0123456789abcdef0123456789abcdef, not without one");
    f->model->fingerprint = "";
    assert_int_equal(gather(f, COLUMNS, 3, f->model), LINKD_OK);
    f->evidence->fingerprint = "fedcba9876543210fedcba9876543210";
    f->model->fingerprint = "0123456789abcdef0123456789abcdef";
    options.pair_model = f->model;
    assert_int_equal(linkd_evidence_decide(f->evidence, &options, NULL,
                                           &f->decision, &f->err),
                     LINKD_E_DATA);
    assert_string_equal(f->err.message,
                        "m.json was trained with the encoder of fingerprint "
                        "0123456789abcdef0123456789abcdef, not of "
                        "fedcba9876543210fedcba9876543210");
    f->model->fingerprint = "";
    assert_int_equal(linkd_evidence_decide(f->evidence, &options, NULL,
                                           &f->decision, &f->err),
                     LINKD_E_DATA);
    assert_string_equal(f->err.message,
                        "m.json was trained without an encoder (--model none)");
}

static void features_that_are_not_its_own_are_refused(void **state)
{
    fixture *f = *state;
    linkd_decide_options options = {.assign = LINKD_ASSIGN_AUTO,
                                    .threshold = LINKD_THRESHOLD_AUTO};
    size_t n;

    two_tables_make(f, 0);
    train_little(f);
    options.pair_model = f->model;
    f->model->features[1].comparator = LK_COMPARE_CODE;
    assert_int_equal(linkd_evidence_decide(f->evidence, &options, NULL,
                                           &f->decision, &f->err),
                     LINKD_E_DATA);
    assert_string_equal(f->err.message,
                        "m.json compares name by \"code\" as feature 1, and "
                        "this linkd does not");
    f->model->features[1].comparator = LK_COMPARE_SOFT;
    n = f->model->n_features--;
    assert_int_equal(linkd_evidence_decide(f->evidence, &options, NULL,
                                           &f->decision, &f->err),
                     LINKD_E_DATA);
    assert_non_null(strstr(f->err.message, "features, and there are"));
    f->model->n_features = n;
}

static void labels_and_a_model_exclude_each_other(void **state)
{
    fixture *f = *state;
    linkd_decide_options options = {.assign = LINKD_ASSIGN_AUTO,
                                    .threshold = LINKD_THRESHOLD_AUTO,
                                    .labels = f->labels};

    two_tables_make(f, 0);
    train_little(f);
    options.n_labels = f->n_labels;
    options.pair_model = f->model;
    assert_int_equal(linkd_evidence_decide(f->evidence, &options, NULL,
                                           &f->decision, &f->err),
                     LINKD_E_ARG);
    assert_string_equal(f->err.message,
                        "labels and a pair model exclude each other");
}

/* ---- memory --------------------------------------------------------------- */

static lk_decision_input input_of(const fixture *f)
{
    return (lk_decision_input){.pairs = &f->evidence->pairs,
                               .features = &f->evidence->features,
                               .pool = f->pool};
}

static lk_outcome outcome_of(const fixture *f)
{
    return (lk_outcome){.log_odds = calloc(f->evidence->pairs.n, sizeof(float)),
                        .posteriors =
                            calloc(f->evidence->pairs.n, sizeof(float))};
}

static void running_out_of_memory_while_training_is_told(void **state)
{
    fixture *f = *state;
    linkd_label few[6];
    lk_decision_input input;
    lk_outcome outcome;

    two_tables_make(f, 0);
    assert_int_equal(gather(f, COLUMNS, 3, NULL), LINKD_OK);
    label(f);
    for (size_t i = 0; i < 6; i++) {
        few[i] = f->labels[i];
        few[i].right += N_GOODS; /* records, not rows */
    }
    input = input_of(f);
    input.labels = few;
    input.n_labels = 6;
    outcome = outcome_of(f);
    for (size_t n = 1;; n++) {
        linkd_pair_model *model = NULL;
        int rc;

        alloc_fail_at(n);
        rc =
            lk_pair_model_train(f->evidence, &input, &outcome, &model, &f->err);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            linkd_pair_model_free(model);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_null(model);
    }
    lk_outcome_clear(&outcome);
}

static void running_out_of_memory_while_applying_changes_nothing(void **state)
{
    fixture *f = *state;
    linkd_column_pair *columns = NULL;
    size_t n_columns = 0;
    lk_decision_input input = {0};

    two_tables_make(f, 0);
    train(f);
    input.pairs = &f->evidence->pairs;
    input.features = &f->evidence->features;
    input.pool = f->pool;
    for (size_t n = 1;; n++) {
        lk_outcome outcome = {.log_odds = calloc(input.pairs->n, sizeof(float)),
                              .posteriors =
                                  calloc(input.pairs->n, sizeof(float))};
        bool failed;
        int rc;

        alloc_fail_at(n);
        rc = lk_pair_model_apply(f->model, f->evidence, &input, &outcome,
                                 &f->err);
        failed = alloc_fail_off();
        assert_int_equal(rc, failed ? LINKD_E_NOMEM : LINKD_OK);
        assert_true((outcome.log_odds[0] != 0.0F) == !failed);
        lk_outcome_clear(&outcome);
        if (!failed)
            break;
    }
    alloc_fail_at(1);
    assert_int_equal(linkd_pair_model_columns(f->model, f->tables[0],
                                              f->tables[1], &columns,
                                              &n_columns, &f->err),
                     LINKD_E_NOMEM);
    assert_true(alloc_fail_off());
}

#define MODEL_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MODEL_TEST(other_tables_are_decided_better_than_without),
        MODEL_TEST(one_table_is_decided_better_than_without),
        MODEL_TEST(labels_of_near_pairs_alone_do_not_glue_entities),
        MODEL_TEST(it_repeats_what_the_labels_taught),
        MODEL_TEST(two_workers_decide_the_same),
        MODEL_TEST(what_is_told_is_of_labels_held_out),
        MODEL_TEST(matches_alone_tell_recall_alone),
        MODEL_TEST(a_model_of_few_labels_leaves_the_decision_as_it_is),
        MODEL_TEST(the_same_goes_for_entities),
        MODEL_TEST(columns_are_compared_as_in_training),
        MODEL_TEST(a_table_without_a_column_of_it_is_refused),
        MODEL_TEST(one_table_is_not_two),
        MODEL_TEST(a_column_of_names_is_not_one_of_numbers),
        MODEL_TEST(fewer_columns_than_the_model_has_are_refused),
        MODEL_TEST(vectors_of_another_encoder_are_refused),
        MODEL_TEST(features_that_are_not_its_own_are_refused),
        MODEL_TEST(labels_and_a_model_exclude_each_other),
        MODEL_TEST(running_out_of_memory_while_training_is_told),
        MODEL_TEST(running_out_of_memory_while_applying_changes_nothing),
    };

    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
