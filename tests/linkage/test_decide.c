/* tests/linkage/test_decide.c — decisions on tables made here: people, some of
 * them twice with a typing error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/evidence.h"
#include "tests/linkage/scratch.h"
#include "tests/support/alloc_fail.h"

enum {
    N_PEOPLE = 240, /* on the left; every second one is on the right, too */
};

typedef struct fixture {
    linkd_table *tables[2];
    lk_pool *pool;
    linkd_evidence *evidence;
    linkd_decision decision;
    linkd_error err;
} fixture;

static const linkd_column_pair COLUMNS[] = {{1, 1, 1}, {2, 2, 1}, {3, 3, 1}};

static uint32_t mix(uint32_t x)
{
    x = (x ^ (x >> 16)) * UINT32_C(0x45d9f3b);
    x = (x ^ (x >> 16)) * UINT32_C(0x45d9f3b);
    return x ^ (x >> 16);
}

/* A name of three syllables that a number stands for. */
static void name_of(uint32_t number, char *ret_name)
{
    static const char *const syllables[] = {
        "ba", "ke", "li",  "mo",  "nu",  "ra",  "si",  "to",
        "vu", "ze", "dor", "fan", "gel", "hin", "jos", "pam"};

    (void)snprintf(ret_name, 16, "%s%s%s", syllables[number % 16],
                   syllables[number / 16 % 16], syllables[number / 256 % 16]);
}

static void person_append(lk_buf *csv, uint32_t id, uint32_t person, bool wrong)
{
    char first[16];
    char last[16];
    uint32_t birth = mix(person * 3 + 7);

    name_of(mix(person * 3 + 1), first);
    name_of(mix(person * 3 + 2), last);
    if (wrong)
        last[2] = last[2] == 'x' ? 'y' : 'x';
    assert_int_equal(lk_buf_printf(csv, NULL, "%u,%s,%s,%u-%02u-%02u\n", id,
                                   first, last, 1900 + birth % 80,
                                   1 + birth / 80 % 12, 1 + birth / 960 % 28),
                     LINKD_OK);
}

static void table_open(fixture *f, size_t side, const lk_buf *csv)
{
    const char *name = side == 0 ? "l.csv" : "r.csv";

    scratch_write_text(name, csv->data);
    assert_int_equal(linkd_table_read(name, LINKD_FORMAT_CSV, "id", NULL,
                                      &f->tables[side], &f->err),
                     LINKD_OK);
}

static void csv_begin(lk_buf *csv)
{
    assert_int_equal(lk_buf_printf(csv, NULL, "id,first,last,born\n"),
                     LINKD_OK);
}

/* Right row i is left row 2i for i < N_PEOPLE / 2, then come strangers. */
static void two_tables_make(fixture *f)
{
    lk_buf left = {0};
    lk_buf right = {0};

    csv_begin(&left);
    csv_begin(&right);
    for (uint32_t i = 0; i < N_PEOPLE; i++) {
        bool shared = i < N_PEOPLE / 2;

        person_append(&left, i, i, false);
        person_append(&right, i, shared ? 2 * i : 10000 + i,
                      shared && i % 3 == 0);
    }
    table_open(f, 0, &left);
    table_open(f, 1, &right);
    lk_buf_clear(&left);
    lk_buf_clear(&right);
}

/* Rows 3i, 3i + 1, 3i + 2 are one person. */
static void one_table_make(fixture *f)
{
    lk_buf csv = {0};

    csv_begin(&csv);
    for (uint32_t i = 0; i < N_PEOPLE; i++)
        person_append(&csv, i, i / 3, i % 3 == 2);
    table_open(f, 0, &csv);
    lk_buf_clear(&csv);
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
    linkd_evidence_free(f->evidence);
    linkd_table_free(f->tables[0]);
    linkd_table_free(f->tables[1]);
    lk_pool_free(f->pool);
    free(f);
    return 0;
}

static void gather_columns(fixture *f, size_t n_columns,
                           const linkd_label *asked, size_t n_asked)
{
    linkd_evidence_options options = {.columns = COLUMNS,
                                      .n_columns = n_columns,
                                      .left_block = LINKD_COLUMN_NONE,
                                      .right_block = LINKD_COLUMN_NONE,
                                      .channels = LINKD_CHANNEL_ALL,
                                      .asked = asked,
                                      .n_asked = n_asked};

    assert_int_equal(linkd_evidence_gather(f->tables[0], f->tables[1], NULL,
                                           f->pool, &options, NULL,
                                           &f->evidence, &f->err),
                     LINKD_OK);
}

static void gather(fixture *f, const linkd_label *asked, size_t n_asked)
{
    gather_columns(f, 3, asked, n_asked);
}

/* What was reported last, and when to stop. */
typedef struct watcher {
    uint64_t done;
    uint64_t total;
    size_t n_reports;
    size_t n_wanted; /* reports until it is enough; 0: never */
} watcher;

static int watch(void *ctx, const char *step, uint64_t done, uint64_t total)
{
    watcher *w = ctx;

    assert_string_equal(step, "decide");
    assert_true(w->n_reports > 0 ? done > w->done : done == 0);
    assert_true(total >= w->total && done <= total);
    w->done = done;
    w->total = total;
    w->n_reports++;
    return w->n_reports == w->n_wanted;
}

static int decide(fixture *f, linkd_decide_options options)
{
    watcher w = {0};
    linkd_progress progress = {watch, &w};
    int rc;

    linkd_decision_clear(&f->decision);
    rc = linkd_evidence_decide(f->evidence, &options, &progress, &f->decision,
                               &f->err);
    if (rc == LINKD_OK)
        assert_int_equal(w.done, w.total);
    return rc;
}

static const linkd_decide_options AUTO = {.assign = LINKD_ASSIGN_AUTO,
                                          .threshold = LINKD_THRESHOLD_AUTO};

static size_t right_links(const linkd_decision *d)
{
    size_t n = 0;

    for (size_t i = 0; i < d->n_candidates; i++)
        n += d->candidates[i].accepted &&
             d->candidates[i].right < N_PEOPLE / 2 &&
             d->candidates[i].left == 2 * d->candidates[i].right;
    return n;
}

static void people_of_both_tables_are_found_without_labels(void **state)
{
    fixture *f = *state;

    two_tables_make(f);
    gather(f, NULL, 0);
    assert_int_equal(decide(f, AUTO), LINKD_OK);
    assert_int_equal(f->decision.verdict.assign, LINKD_ASSIGN_ONE_TO_ONE);
    assert_true(f->decision.verdict.supported);
    assert_true(right_links(&f->decision) >= N_PEOPLE / 2 - 4);
    assert_true(f->decision.n_accepted <= N_PEOPLE / 2 + 2);
    assert_true(f->decision.verdict.f1 > 0.9);
}

/* Right row i is left row 2i, as above; and fifty other left rows are in the
 * right table a dozen times each. Which of the twelve it is nobody can know, but
 * eleven that lose do not show that equal names are of different people. */
static void
rows_that_repeat_teach_nothing_against_those_that_do_not(void **state)
{
    fixture *f = *state;
    lk_buf left = {0};
    lk_buf right = {0};

    csv_begin(&left);
    csv_begin(&right);
    for (uint32_t i = 0; i < N_PEOPLE; i++)
        person_append(&left, i, i, false);
    for (uint32_t i = 0; i < N_PEOPLE / 2; i++)
        person_append(&right, i, 2 * i, i % 3 == 0);
    for (uint32_t i = 0; i < 50 * 12; i++)
        person_append(&right, 1000 + i, 2 * (i / 12) + 1, false);
    table_open(f, 0, &left);
    table_open(f, 1, &right);
    lk_buf_clear(&left);
    lk_buf_clear(&right);
    gather_columns(f, 2, NULL, 0);
    assert_int_equal(
        decide(f, (linkd_decide_options){.assign = LINKD_ASSIGN_ONE_TO_ONE,
                                         .threshold = 0.5}),
        LINKD_OK);
    assert_true(right_links(&f->decision) >= N_PEOPLE / 2 - 8);
}

/* After a round each pair but the certain ones is doubtful, and nothing is left
 * to tell matches from: what was decided so far stands. */
static void nothing_to_tell_matches_from_is_no_failure(void **state)
{
    static const char *const names[9] = {
        "cpyiba evspyx", "lkyaip zgxnrr", "vdgsrw zxivzt",
        "vcnkcl znziow", "dygwuz jdbsgu", "lpgqsu wzqaul",
        "htnjls dcqvqg", "dtvijx gmphet", "gwqagy faukrv"};
    static const char *const tails[9] = {" jlmq", "", "",      " bfnt", " mdoh",
                                         " ctvo", "", " zcqn", ""};
    fixture *f = *state;
    lk_buf sides[2] = {{0}, {0}};

    for (size_t side = 0; side < 2; side++) {
        assert_int_equal(lk_buf_printf(&sides[side], NULL, "id,name\n"),
                         LINKD_OK);
        for (size_t i = 0; i < 9; i++)
            assert_int_equal(lk_buf_printf(&sides[side], NULL, "%zu,%s%s\n", i,
                                           names[i], side == 1 ? tails[i] : ""),
                             LINKD_OK);
    }
    assert_int_equal(lk_buf_printf(&sides[1], NULL,
                                   "x,htnjrdi dcqvqg\ny,inntpi wzqaul\n"
                                   "z,dtvitmw gmphet\n"),
                     LINKD_OK);
    table_open(f, 0, &sides[0]);
    table_open(f, 1, &sides[1]);
    lk_buf_clear(&sides[0]);
    lk_buf_clear(&sides[1]);
    gather_columns(f, 1, NULL, 0);
    assert_int_equal(decide(f, AUTO), LINKD_OK);
    assert_true(f->decision.n_accepted >= 8);
}

static void a_threshold_is_a_probability(void **state)
{
    fixture *f = *state;
    linkd_decide_options options = AUTO;

    two_tables_make(f);
    gather(f, NULL, 0);
    options.threshold = 0.9;
    assert_int_equal(decide(f, options), LINKD_OK);
    assert_true(f->decision.threshold == 0.9);
    for (size_t i = 0; i < f->decision.n_candidates; i++)
        if (f->decision.candidates[i].accepted)
            assert_true(f->decision.candidates[i].probability >= 0.9F);
}

/* With labels, too. */
static void what_is_expected_is_of_the_threshold_asked_for(void **state)
{
    fixture *f = *state;
    linkd_label yes = {.left = 0, .right = 0, .match = true};
    linkd_decide_options options = AUTO;

    two_tables_make(f);
    gather(f, &yes, 1);
    for (options.n_labels = 0; options.n_labels < 2; options.n_labels++) {
        double recall;

        options.labels = &yes;
        options.threshold = 0.5;
        assert_int_equal(decide(f, options), LINKD_OK);
        recall = f->decision.verdict.recall;
        options.threshold = 1.0;
        assert_int_equal(decide(f, options), LINKD_OK);
        assert_true(f->decision.verdict.recall < recall);
    }
}

static void what_is_accepted_comes_by_row_and_probability(void **state)
{
    fixture *f = *state;
    linkd_candidate *accepted = NULL;
    linkd_decide_options options = {.assign = LINKD_ASSIGN_MANY_TO_MANY,
                                    .threshold = 0.01};

    two_tables_make(f);
    gather(f, NULL, 0);
    assert_int_equal(decide(f, options), LINKD_OK);
    alloc_fail_at(1);
    assert_int_equal(linkd_decision_accepted(&f->decision, &accepted, &f->err),
                     LINKD_E_NOMEM);
    assert_true(alloc_fail_off());
    assert_int_equal(linkd_decision_accepted(&f->decision, &accepted, &f->err),
                     LINKD_OK);
    assert_true(f->decision.n_accepted >= N_PEOPLE / 2);
    for (size_t i = 1; i < f->decision.n_accepted; i++) {
        const linkd_candidate *a = &accepted[i - 1];
        const linkd_candidate *b = &accepted[i];

        assert_true(a->accepted && b->accepted);
        assert_true(a->left < b->left ||
                    (a->left == b->left && a->probability >= b->probability));
    }
    free(accepted);
}

static void each_row_is_linked_once_where_that_is_asked(void **state)
{
    fixture *f = *state;
    linkd_decide_options options = AUTO;
    bool seen[2][N_PEOPLE] = {{false}};

    two_tables_make(f);
    gather(f, NULL, 0);
    options.assign = LINKD_ASSIGN_ONE_TO_ONE;
    options.threshold = 0.0;
    assert_int_equal(decide(f, options), LINKD_OK);
    for (size_t i = 0; i < f->decision.n_candidates; i++) {
        const linkd_candidate *c = &f->decision.candidates[i];

        if (!c->accepted)
            continue;
        assert_false(seen[0][c->left]);
        assert_false(seen[1][c->right]);
        seen[0][c->left] = seen[1][c->right] = true;
    }
}

static void a_person_in_three_rows_is_one_entity(void **state)
{
    fixture *f = *state;
    size_t n_whole = 0;

    one_table_make(f);
    gather(f, NULL, 0);
    assert_int_equal(decide(f, AUTO), LINKD_OK);
    for (size_t i = 0; i < N_PEOPLE; i += 3)
        n_whole += f->decision.entities[i] == f->decision.entities[i + 1] &&
                   f->decision.entities[i] == f->decision.entities[i + 2];
    assert_true(n_whole >= N_PEOPLE / 3 - 3);
    assert_in_range(f->decision.n_entities, N_PEOPLE / 3 - 2, N_PEOPLE / 3 + 4);
    assert_true(f->decision.verdict.f1 > 0.9);
}

static size_t largest_entity(const linkd_decision *d)
{
    size_t sizes[N_PEOPLE] = {0};
    size_t largest = 0;

    for (size_t i = 0; i < N_PEOPLE; i++)
        if (++sizes[d->entities[i]] > largest)
            largest = sizes[d->entities[i]];
    return largest;
}

static void an_entity_grows_no_further_than_it_may(void **state)
{
    fixture *f = *state;
    linkd_entities_options entities = {.cluster = LINKD_CLUSTER_AVERAGE,
                                       .one_per = LINKD_COLUMN_NONE};
    linkd_label yes = {.left = 0, .right = 1, .match = true};
    linkd_decide_options options = AUTO;

    one_table_make(f);
    gather(f, &yes, 1);
    options.entities = &entities;
    assert_int_equal(decide(f, options), LINKD_OK);
    assert_int_equal(largest_entity(&f->decision), 3);
    entities.max_rows = 2;
    assert_int_equal(decide(f, options), LINKD_OK);
    assert_int_equal(largest_entity(&f->decision), 2);
    /* what is expected is of these entities, which leave pairs out */
    assert_true(f->decision.verdict.recall < 0.6);
    /* labels have entities made anew, within the same limits */
    options.labels = &yes;
    options.n_labels = 1;
    assert_int_equal(decide(f, options), LINKD_OK);
    assert_int_equal(largest_entity(&f->decision), 2);
}

/* The first two rows of a person have the same last name, the third another. */
static void an_entity_has_one_row_of_each_value(void **state)
{
    fixture *f = *state;
    linkd_entities_options entities = {.cluster = LINKD_CLUSTER_AVERAGE,
                                       .one_per = 2};
    linkd_decide_options options = AUTO;
    size_t n_together = 0;

    one_table_make(f);
    gather(f, NULL, 0);
    options.entities = &entities;
    assert_int_equal(decide(f, options), LINKD_OK);
    for (size_t i = 0; i < N_PEOPLE; i += 3) {
        const size_t *e = &f->decision.entities[i];

        assert_int_not_equal(e[0], e[1]);
        n_together += e[0] == e[2] || e[1] == e[2];
    }
    assert_true(n_together > N_PEOPLE / 6);
}

/* A blank is no value: such rows exclude nobody. */
static void rows_without_a_source_may_be_together(void **state)
{
    fixture *f = *state;
    linkd_entities_options entities = {.cluster = LINKD_CLUSTER_AVERAGE,
                                       .one_per = 4};
    linkd_decide_options options = AUTO;
    lk_buf csv = {0};
    size_t largest;

    assert_int_equal(lk_buf_printf(&csv, NULL, "id,first,last,born,source\n"),
                     LINKD_OK);
    for (uint32_t i = 0; i < N_PEOPLE; i++) {
        person_append(&csv, i, i / 3, i % 3 == 2);
        csv.len--; /* the line's end */
        assert_int_equal(
            lk_buf_printf(&csv, NULL, ",%s\n", i % 3 == 0 ? "register" : " "),
            LINKD_OK);
    }
    table_open(f, 0, &csv);
    lk_buf_clear(&csv);
    gather(f, NULL, 0);
    options.entities = &entities;
    assert_int_equal(decide(f, options), LINKD_OK);
    largest = largest_entity(&f->decision);
    assert_int_equal(largest, 3);
}

/* Nothing of what comes out may depend on who computed it. */
static void one_worker_and_two_decide_the_same(void **state)
{
    fixture *f = *state;
    linkd_decision first;
    size_t n;

    two_tables_make(f);
    gather(f, NULL, 0);
    assert_int_equal(decide(f, AUTO), LINKD_OK);
    first = f->decision;
    f->decision = (linkd_decision){0};
    linkd_evidence_free(f->evidence);
    f->evidence = NULL;
    lk_pool_free(f->pool);
    assert_int_equal(lk_pool_new(2, &f->pool, &f->err), LINKD_OK);
    gather(f, NULL, 0);
    assert_int_equal(decide(f, AUTO), LINKD_OK);
    n = first.n_candidates;
    assert_int_equal(n, f->decision.n_candidates);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(first.candidates[i].right,
                         f->decision.candidates[i].right);
        assert_memory_equal(&first.candidates[i].probability,
                            &f->decision.candidates[i].probability,
                            sizeof(float));
    }
    linkd_decision_clear(&first);
}

static const linkd_candidate *candidate_of(const fixture *f, size_t left,
                                           size_t right)
{
    size_t i = linkd_decision_find(&f->decision, left, right);

    assert_int_not_equal(i, LINKD_CANDIDATE_NONE);
    return &f->decision.candidates[i];
}

static void a_label_counts_more_than_the_evidence(void **state)
{
    fixture *f = *state;
    linkd_label labels[] = {{.left = 0, .right = 1, .match = false},
                            {.left = 5, .right = 7, .match = true}};
    linkd_decide_options options = AUTO;

    one_table_make(f);
    gather(f, labels, 2);
    assert_int_equal(decide(f, AUTO), LINKD_OK);
    assert_true(candidate_of(f, 0, 1)->accepted);
    assert_false(candidate_of(f, 5, 7)->accepted);
    options.labels = labels;
    options.n_labels = 2;
    assert_int_equal(decide(f, options), LINKD_OK);
    assert_false(candidate_of(f, 0, 1)->accepted);
    assert_true(candidate_of(f, 0, 1)->probability == 0.0F);
    assert_true(candidate_of(f, 5, 7)->accepted);
    assert_true(candidate_of(f, 5, 7)->probability == 1.0F);
    assert_non_null(strstr(f->decision.verdict.learned, "1 matches, 1 others"));
}

/* Row 0 belongs to right row 0; the label says that 2 does, so 0 goes empty. */
static void an_answered_link_takes_its_rows_from_others(void **state)
{
    fixture *f = *state;
    linkd_label label = {.left = 2, .right = 0, .match = true};
    linkd_decide_options options = AUTO;

    two_tables_make(f);
    gather(f, &label, 1);
    assert_int_equal(decide(f, AUTO), LINKD_OK);
    assert_true(candidate_of(f, 0, 0)->accepted);
    assert_true(candidate_of(f, 2, 1)->accepted);
    options.labels = &label;
    options.n_labels = 1;
    assert_int_equal(decide(f, options), LINKD_OK);
    assert_true(candidate_of(f, 2, 0)->accepted);
    assert_false(candidate_of(f, 0, 0)->accepted);
    assert_false(candidate_of(f, 2, 1)->accepted);
}

static void a_label_of_a_pair_that_is_no_candidate_is_refused(void **state)
{
    fixture *f = *state;
    linkd_label stranger = {.left = 0, .right = 0, .match = true};
    linkd_decide_options options = AUTO;

    one_table_make(f);
    gather(f, NULL, 0);
    options.labels = &stranger;
    options.n_labels = 1;
    assert_int_equal(decide(f, options), LINKD_E_ARG);
    assert_string_equal(f->err.message,
                        "label 1 is of a pair that is no candidate");
}

static void an_asked_pair_is_a_candidate_however_strange(void **state)
{
    fixture *f = *state;
    linkd_label asked = {.left = 1, .right = N_PEOPLE - 1};

    two_tables_make(f);
    gather(f, &asked, 1);
    assert_int_equal(linkd_evidence_funnel(f->evidence)->n_asked, 1);
    assert_int_not_equal(
        lk_pairset_find(&f->evidence->pairs, 1, N_PEOPLE + N_PEOPLE - 1),
        SIZE_MAX);
}

/* Strangers of few names and towns are alike, but no more than chance has it. */
static void a_table_of_strangers_has_no_duplicates(void **state)
{
    static const char *const towns[] = {"berlin", "hamburg", "muenchen",
                                        "koeln"};
    fixture *f = *state;
    lk_buf csv = {0};

    csv_begin(&csv);
    for (uint32_t i = 0; i < 400; i++) {
        char first[16];

        name_of(mix(i) % 256, first);
        assert_int_equal(lk_buf_printf(&csv, NULL, "%u,%s,%s,%u\n", i, first,
                                       towns[mix(i + 1000) % 4],
                                       1900 + mix(i + 2000) % 80),
                         LINKD_OK);
    }
    table_open(f, 0, &csv);
    lk_buf_clear(&csv);
    gather(f, NULL, 0);
    assert_int_equal(decide(f, AUTO), LINKD_OK);
    assert_true(f->decision.n_accepted <= 4);
    assert_false(f->decision.verdict.supported && f->decision.n_accepted > 0 &&
                 f->decision.verdict.f1 > 0.5);
}

/* Sizes and colours of products: alike, and no two of them the same. */
static void a_table_of_variants_has_no_duplicates_or_is_doubted(void **state)
{
    static const char *const sizes[] = {"small", "medium", "large", "huge"};
    static const char *const colours[] = {"red", "blue", "green", "black"};
    fixture *f = *state;
    lk_buf csv = {0};

    csv_begin(&csv);
    for (uint32_t i = 0; i < 640; i++) {
        char brand[16];
        char model[16];

        name_of(mix(i / 64), brand);
        name_of(mix(i / 16 + 500), model);
        assert_int_equal(lk_buf_printf(&csv, NULL, "%u,%s,%s %s %s %s,%u\n", i,
                                       brand, brand, model, sizes[i % 4],
                                       colours[i / 4 % 4],
                                       10 + mix(i + 3000) % 90),
                         LINKD_OK);
    }
    table_open(f, 0, &csv);
    lk_buf_clear(&csv);
    gather(f, NULL, 0);
    assert_int_equal(decide(f, AUTO), LINKD_OK);
    assert_false(f->decision.verdict.supported && f->decision.n_accepted > 10);
}

/* Few of the right are on the left, and names and towns are few: what chance
 * makes is not believed, and what it cannot make is. */
static void what_chance_cannot_make_is_told_from_strangers(void **state)
{
    static const char *const towns[] = {"berlin", "hamburg", "muenchen",
                                        "koeln"};
    fixture *f = *state;
    lk_buf csv[2] = {{0}, {0}};
    size_t n_right = 0;

    for (size_t side = 0; side < 2; side++) {
        csv_begin(&csv[side]);
        for (uint32_t i = 0; i < 600; i++) {
            /* the first 30 are the same people */
            uint32_t person = i < 30 ? i : i + 1000 * (uint32_t)side;
            char first[16];

            name_of(mix(person) % 256, first);
            assert_int_equal(lk_buf_printf(&csv[side], NULL,
                                           "%u,%s%s,%s,%u-%02u\n", i, first,
                                           side == 1 && i < 10 ? "s" : "",
                                           towns[mix(person + 5000) % 4],
                                           1900 + mix(person + 9000) % 80,
                                           1 + mix(person + 7000) % 12),
                             LINKD_OK);
        }
        table_open(f, side, &csv[side]);
        lk_buf_clear(&csv[side]);
    }
    gather(f, NULL, 0);
    assert_int_equal(decide(f, AUTO), LINKD_OK);
    for (size_t i = 0; i < f->decision.n_candidates; i++) {
        const linkd_candidate *c = &f->decision.candidates[i];

        n_right += c->accepted && c->left == c->right && c->left < 30;
    }
    assert_true(n_right >= 25);
    assert_true(f->decision.n_accepted <= n_right + 5);
    assert_non_null(strstr(f->decision.verdict.why, "chance"));
}

/* Two rows teach nothing; equal ones are linked all the same, with a doubt. */
static void
a_table_too_small_to_learn_from_is_decided_with_a_doubt(void **state)
{
    fixture *f = *state;
    lk_buf csv = {0};

    csv_begin(&csv);
    person_append(&csv, 1, 1, false);
    person_append(&csv, 2, 2, false);
    table_open(f, 0, &csv);
    table_open(f, 1, &csv);
    lk_buf_clear(&csv);
    gather(f, NULL, 0);
    assert_int_equal(decide(f, AUTO), LINKD_OK);
    assert_int_equal(f->decision.n_accepted, 2);
    assert_false(f->decision.verdict.supported);
    assert_non_null(strstr(f->decision.verdict.doubt, "too few rows"));
}

/* ---- progress ----------------------------------------------------------- */

/* Stops at the nth report for every n, and answers how many there are. */
static size_t stop_everywhere(fixture *f, linkd_assign assign)
{
    linkd_decide_options options = AUTO;

    options.assign = assign;
    for (size_t n = 1;; n++) {
        watcher w = {.n_wanted = n};
        linkd_progress progress = {watch, &w};
        linkd_decision decision = {0};
        int rc = linkd_evidence_decide(f->evidence, &options, &progress,
                                       &decision, &f->err);

        linkd_decision_clear(&decision);
        if (rc == LINKD_OK) {
            assert_int_equal(w.n_reports, n - 1);
            return n - 1;
        }
        assert_int_equal(rc, LINKD_E_CANCELLED);
        assert_int_equal(w.n_reports, n);
    }
}

/* Three fits a mode, four where the mode is found out, the beginning, the end. */
static void a_link_is_told_by_its_fits_and_stops_at_each(void **state)
{
    fixture *f = *state;

    two_tables_make(f);
    gather(f, NULL, 0);
    assert_int_equal(stop_everywhere(f, LINKD_ASSIGN_ONE_TO_ONE), 1 + 3 + 1);
    assert_int_equal(stop_everywhere(f, LINKD_ASSIGN_AUTO), 1 + 4 * 3 + 1);
}

/* The same with the mixture before the fits. */
static void a_dedup_is_told_by_its_fits_and_stops_at_each(void **state)
{
    fixture *f = *state;

    one_table_make(f);
    gather(f, NULL, 0);
    assert_int_equal(stop_everywhere(f, LINKD_ASSIGN_AUTO), 1 + 1 + 3 + 1);
}

/* Which step reported last, and whether with a count. */
typedef struct booking {
    char step[16];
    uint64_t done;
    size_t n_embedded;
} booking;

static int booking_note(void *ctx, const char *step, uint64_t done,
                        uint64_t total)
{
    booking *b = ctx;

    /* not before it is counted: its time would be another step's */
    if (strcmp(step, b->step) != 0)
        assert_int_equal(done, 0);
    (void)snprintf(b->step, sizeof(b->step), "%s", step);
    b->done = done;
    assert_true(done <= total);
    return 0;
}

static int booked_embed(void *ctx, const linkd_str *texts, size_t n,
                        float *ret_vectors, linkd_encode_stats *stats,
                        linkd_error *err)
{
    booking *b = ctx;

    (void)texts;
    (void)stats;
    (void)err;
    assert_string_equal(b->step, "encode");
    for (size_t i = 0; i < n; i++) {
        ret_vectors[2 * i] = (b->n_embedded + i) % 2 == 0 ? 1.0F : 0.0F;
        ret_vectors[2 * i + 1] = 1.0F - ret_vectors[2 * i];
    }
    b->n_embedded += n;
    return LINKD_OK;
}

static bool all_known(void *ctx, linkd_str text)
{
    (void)ctx;
    (void)text;
    return true;
}

/* Who asks now and then, as linkctl asks linkd, books time by the step that was
 * reported last. */
static void every_step_is_reported_when_it_begins(void **state)
{
    fixture *f = *state;
    booking b = {.step = ""};
    linkd_progress progress = {booking_note, &b};
    linkd_embedder embedder = {.embed = booked_embed,
                               .knows = all_known,
                               .ctx = &b,
                               .dim = 2,
                               .fingerprint = "two"};
    linkd_evidence_options options = {.columns = COLUMNS,
                                      .n_columns = 3,
                                      .left_block = LINKD_COLUMN_NONE,
                                      .right_block = LINKD_COLUMN_NONE,
                                      .channels = LINKD_CHANNEL_LEXICAL};

    two_tables_make(f);
    assert_int_equal(linkd_evidence_gather(f->tables[0], f->tables[1],
                                           &embedder, f->pool, &options,
                                           &progress, &f->evidence, &f->err),
                     LINKD_OK);
    assert_true(b.n_embedded > N_PEOPLE);
    assert_string_equal(b.step, "compare");
}

#define DECIDE_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DECIDE_TEST(people_of_both_tables_are_found_without_labels),
        DECIDE_TEST(rows_that_repeat_teach_nothing_against_those_that_do_not),
        DECIDE_TEST(nothing_to_tell_matches_from_is_no_failure),
        DECIDE_TEST(a_threshold_is_a_probability),
        DECIDE_TEST(what_is_expected_is_of_the_threshold_asked_for),
        DECIDE_TEST(what_is_accepted_comes_by_row_and_probability),
        DECIDE_TEST(each_row_is_linked_once_where_that_is_asked),
        DECIDE_TEST(a_person_in_three_rows_is_one_entity),
        DECIDE_TEST(an_entity_grows_no_further_than_it_may),
        DECIDE_TEST(an_entity_has_one_row_of_each_value),
        DECIDE_TEST(rows_without_a_source_may_be_together),
        DECIDE_TEST(one_worker_and_two_decide_the_same),
        DECIDE_TEST(a_label_counts_more_than_the_evidence),
        DECIDE_TEST(an_answered_link_takes_its_rows_from_others),
        DECIDE_TEST(a_label_of_a_pair_that_is_no_candidate_is_refused),
        DECIDE_TEST(an_asked_pair_is_a_candidate_however_strange),
        DECIDE_TEST(a_table_of_strangers_has_no_duplicates),
        DECIDE_TEST(a_table_of_variants_has_no_duplicates_or_is_doubted),
        DECIDE_TEST(what_chance_cannot_make_is_told_from_strangers),
        DECIDE_TEST(a_link_is_told_by_its_fits_and_stops_at_each),
        DECIDE_TEST(a_dedup_is_told_by_its_fits_and_stops_at_each),
        DECIDE_TEST(every_step_is_reported_when_it_begins),
        DECIDE_TEST(a_table_too_small_to_learn_from_is_decided_with_a_doubt),
    };

    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
