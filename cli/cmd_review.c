/* cli/cmd_review.c — linkctl review: asks about the pairs whose answers teach
 * most. One file of labels carries questions and answers from run to run:
 *
 *   labels ─► decide ─► choose ─► questions, empty in the column match
 *     ▲                                            │
 *     └──── a person fills them in, or --ask ◄─────┘ */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/number.h"
#include "cli/questions.h"

typedef struct review_values {
    lk_compared_values compared;
    lk_decide_values decide;
    const char *model;
    size_t n;
    size_t k;
    size_t n_threads;
    int assign;
    bool ask;
} review_values;

#define AT(member) offsetof(review_values, member)

static const review_values defaults = {
    .model = LK_MODEL_DEFAULT,
    .decide = {.threshold = LINKD_THRESHOLD_AUTO, .min_score = (double)NAN},
    .n = 20,
    .assign = LINKD_ASSIGN_AUTO,
};

static const lk_option options[] = {
    {"labels", 0, LK_OPTION_TEXT, AT(decide.labels), "FILE", NULL, 0, 0,
     "file of the answers, which questions are added to;\n"
     "it need not exist yet"},
    {"count", 'n', LK_OPTION_COUNT, AT(n), "N", NULL, 1, 10000,
     "pairs to ask about (20); those that are still to be\n"
     "answered count"},
    {"ask", 0, LK_OPTION_FLAG, AT(ask), NULL, NULL, 0, 0,
     "ask here and now, and learn from every N answers"},
    LK_COMPARED_OPTIONS(AT(compared)),
    {"pair-model", 0, LK_OPTION_TEXT, AT(decide.pair_model), "FILE", NULL, 0, 0,
     "until there is an answer, ask what is doubtful to what\n"
     "linkctl train learned from labels of other tables"},
    {"assign", 0, LK_OPTION_WORD, AT(assign), "HOW", lk_assign_words, 0, 0,
     "as for link (auto)"},
    {"k", 'k', LK_OPTION_COUNT, AT(k), "N", NULL, 1, 10000,
     "as for link and dedup"},
    LK_CHANNELS_OPTION(AT(decide.channels)),
    {"model", 'm', LK_OPTION_TEXT, AT(model), "NAME", NULL, 0, 0,
     "name or directory of the model (" LK_MODEL_DEFAULT ");\n"
     "none: compare words and letters only"},
    LK_FORMAT_OPTION(AT(compared)),
    LK_THREADS_OPTION(AT(n_threads)),
};

static const char *const operands[] = {"LEFT", "RIGHT"};

static const lk_syntax syntax = {
    .name = "review",
    .operands = operands,
    .n_operands_min = 1,
    .n_operands_max = 2,
    .options = options,
    .n_options = sizeof(options) / sizeof(*options),
    .summary = "Asks about the pairs whose answers would teach most.",
    .notes =
        "With one operand it is about the rows of one table. Questions are "
        "added\n"
        "to the file of labels, both rows side by side. Write 1 or 0 into the\n"
        "column match, or ? if nobody can tell, and run it again: it learns\n"
        "from the answers and asks what is doubtful then. link, dedup, "
        "explain\n"
        "and score learn from the same file with --labels.\n\n"
        "Examples:\n"
        "  linkctl review ours.csv theirs.csv --labels labels.csv\n"
        "  linkctl review people.csv --labels labels.csv -n 50 --ask\n"
        "  linkctl link ours.csv theirs.csv --labels labels.csv -o pairs.csv\n",
};

typedef struct review_run {
    lk_cli *cli;
    const review_values *values;
    lk_compared compared;
    lk_engine engine;
    lk_decided decided;
    lk_question *questions; /* waiting ones of the file, then new ones */
    size_t n_questions;
    size_t n_waiting;
} review_run;

/* ---- choosing ----------------------------------------------------------- */

static void question_add(review_run *run, size_t candidate)
{
    const linkd_candidate *c = &run->decided.decision.candidates[candidate];

    run->questions[run->n_questions++] =
        (lk_question){.left = c->left,
                      .right = c->right,
                      .probability = c->probability,
                      .answer = LK_ANSWER_NONE};
}

static int questions_choose(review_run *run, linkd_error *err)
{
    const lk_decided *d = &run->decided;
    const lk_labels *labels = &d->labels;
    size_t n = run->values->n;
    size_t n_new = n > labels->n_waiting ? n - labels->n_waiting : 0;
    size_t *chosen = calloc(n_new + 1, sizeof(*chosen));
    int rc = LINKD_OK;

    free(run->questions);
    run->n_questions = 0;
    run->questions =
        calloc(n_new + labels->n_waiting + 1, sizeof(*run->questions));
    if (chosen == NULL || run->questions == NULL)
        rc = lk_fail_nomem(err);
    for (size_t i = 0; i < labels->n_waiting && rc == LINKD_OK; i++) {
        const linkd_label *l = &labels->pairs[labels->n + i];

        question_add(run, linkd_decision_find(&d->decision, l->left, l->right));
    }
    run->n_waiting = run->n_questions;
    if (rc == LINKD_OK)
        rc = linkd_evidence_review(d->evidence, &d->decision, labels->pairs,
                                   labels->n_pairs, n_new, chosen, &n_new, err);
    for (size_t i = 0; i < n_new && rc == LINKD_OK; i++)
        question_add(run, chosen[i]);
    free(chosen);
    return rc;
}

/* ---- asking ------------------------------------------------------------- */

static void cell_print(const review_run *run, size_t side, size_t row,
                       size_t column)
{
    const linkd_table *table = run->compared.tables[side];
    linkd_cell cell = linkd_table_cell(table, row, column);
    linkd_str name = linkd_table_column(table, column);

    (void)printf("  %s %.*s: %.*s\n", side == 0 ? "<" : ">", (int)name.len,
                 name.bytes, (int)cell.len, cell.len > 0 ? cell.bytes : "");
}

static void question_print(const review_run *run, size_t i)
{
    const lk_question *q = &run->questions[i];

    (void)printf("\n%zu of %zu, probability %.2f\n", i + 1, run->n_questions,
                 (double)q->probability);
    for (size_t c = 0; c < run->compared.n_columns; c++) {
        const linkd_column_pair *pair = &run->compared.columns[c];

        if (pair->left != LINKD_COLUMN_NONE)
            cell_print(run, 0, q->left, pair->left);
        if (pair->right != LINKD_COLUMN_NONE)
            cell_print(run, 1, q->right, pair->right);
    }
}

/* False: no more answers, by q or the end of the input. */
static bool answer_take(lk_answer *ret_answer)
{
    char line[64];

    for (;;) {
        size_t len;

        (void)printf("the same? y, n, ? (cannot tell), q (quit): ");
        (void)fflush(stdout);
        if (fgets(line, sizeof(line), stdin) == NULL)
            return false;
        len = strcspn(line, "\n");
        if (len == 1 && (line[0] == 'q' || line[0] == 'Q'))
            return false;
        if (len > 0 && lk_answer_of((linkd_str){line, len}, ret_answer) &&
            *ret_answer != LK_ANSWER_NONE)
            return true;
    }
}

/* Every answer is in the file before the next question is asked. */
static int questions_ask(review_run *run, bool *ret_more, linkd_error *err)
{
    int rc = LINKD_OK;

    *ret_more = true;
    for (size_t i = 0; i < run->n_questions && rc == LINKD_OK; i++) {
        question_print(run, i);
        if (!answer_take(&run->questions[i].answer)) {
            *ret_more = false;
            (void)printf("\n");
            return LINKD_OK;
        }
        rc = lk_questions_write(run->values->decide.labels, &run->compared,
                                &run->questions[i], 1, err);
    }
    return rc;
}

/* ---- the steps ---------------------------------------------------------- */

static int labels_read_again(review_run *run, linkd_error *err)
{
    const review_values *v = run->values;
    lk_decided *d = &run->decided;
    linkd_decide_options opts = {.assign = (linkd_assign)v->assign,
                                 .threshold = v->decide.threshold};
    int rc;

    lk_labels_clear(&d->labels);
    rc = lk_labels_read(v->decide.labels, run->compared.left,
                        run->compared.right, NULL, &d->labels, err);
    if (rc != LINKD_OK)
        return rc;
    linkd_decision_clear(&d->decision);
    opts.labels = d->labels.pairs;
    opts.n_labels = d->labels.n;
    if (d->labels.n == 0)
        opts.pair_model = run->compared.pair_model;
    return linkd_evidence_decide(d->evidence, &opts, NULL, &d->decision, err);
}

static void verdict_print(const review_run *run)
{
    const linkd_decision *d = &run->decided.decision;

    lk_verdict_note(&d->verdict, d->threshold);
}

static int ask_in_turn(review_run *run, linkd_error *err)
{
    bool more = true;
    int rc = LINKD_OK;

    while (more && run->n_questions > 0 && rc == LINKD_OK) {
        rc = questions_ask(run, &more, err);
        if (rc == LINKD_OK && more)
            rc = labels_read_again(run, err);
        if (rc == LINKD_OK && more) {
            verdict_print(run);
            rc = questions_choose(run, err);
        }
    }
    return rc;
}

static void summary_print(const review_run *run)
{
    if (run->cli->args.quiet)
        return;
    verdict_print(run);
    if (run->values->ask)
        return;
    (void)fprintf(
        stderr,
        "%s to answer in %s: write 1 or 0 into the column match, ? if "
        "nobody can tell\n",
        lk_counted(run->n_questions, "pair", "pairs").text,
        run->values->decide.labels);
}

static int questions_put(review_run *run, linkd_error *err)
{
    if (run->values->ask)
        return ask_in_turn(run, err);
    return lk_questions_write(run->values->decide.labels, &run->compared,
                              run->questions + run->n_waiting,
                              run->n_questions - run->n_waiting, err);
}

static int pairs_decide(review_run *run, linkd_error *err)
{
    const review_values *v = run->values;
    lk_decide_input input =
        lk_compared_input(&run->compared, &run->engine, v->k);
    lk_decide_values decide = v->decide;

    input.assign = (linkd_assign)v->assign;
    if (!lk_labels_exist(decide.labels))
        decide.labels = NULL;
    return lk_decide_run(run->cli, &input, &decide, &run->decided, err);
}

static int steps_run(review_run *run, linkd_error *err)
{
    const review_values *v = run->values;
    int rc = lk_model_check(run->cli, v->model, err);

    if (rc == LINKD_OK)
        rc = lk_compared_read(run->cli, &v->compared,
                              run->cli->args.n_operands == 1, &run->compared,
                              err);
    if (rc == LINKD_OK)
        rc = lk_compared_pair(run->cli, &v->compared, v->decide.pair_model,
                              &run->compared, err);
    if (rc == LINKD_OK)
        rc =
            lk_engine_open(run->cli, v->model, v->n_threads, &run->engine, err);
    if (rc == LINKD_OK)
        rc = pairs_decide(run, err);
    if (rc == LINKD_OK)
        rc = questions_choose(run, err);
    if (rc != LINKD_OK)
        return rc;
    summary_print(run);
    return questions_put(run, err);
}

static int values_check(const review_run *run, linkd_error *err)
{
    const review_values *v = run->values;
    size_t n = run->cli->args.n_operands;

    if (v->decide.labels == NULL)
        return lk_fail(err, LINKD_E_ARG, "review needs --labels");
    for (size_t i = 0; v->ask && i < n; i++)
        if (strcmp(run->cli->args.operands[i], "-") == 0)
            return lk_fail(err, LINKD_E_ARG,
                           "--ask needs standard input for the answers");
    return lk_inputs_check(run->cli, err);
}

/* Answers and a pair model go together here: the answers take over. */
static int decide_check(const review_run *run, linkd_error *err)
{
    lk_decide_values decide = run->values->decide;

    decide.labels = NULL;
    return lk_decide_check(&decide, run->values->model, err);
}

static int review_run_all(lk_cli *cli, const void *values, linkd_error *err)
{
    review_run run = {.cli = cli, .values = values};
    int rc = values_check(&run, err);

    if (rc == LINKD_OK)
        rc = lk_compared_check(&run.values->compared,
                               run.values->decide.pair_model,
                               cli->args.n_operands == 1, err);
    if (rc == LINKD_OK)
        rc = decide_check(&run, err);
    if (rc == LINKD_OK)
        rc = steps_run(&run, err);
    free(run.questions);
    lk_decided_clear(&run.decided);
    lk_engine_close(&run.engine);
    lk_compared_clear(&run.compared);
    return rc;
}

const lk_command lk_cmd_review = {
    .syntax = &syntax,
    .defaults = &defaults,
    .values_size = sizeof(review_values),
    .run = review_run_all,
};
