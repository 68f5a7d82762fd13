/* cli/recall.c — eval --candidates: how many of the true pairs are candidates.
 *
 * A pair that is no candidate can never be found, and every candidate costs
 * time, so recall is told beside the number of candidates, in three ways:
 *
 *   by channel   what each proposes, and what it adds to those before it
 *   by rank      only pairs that are among the k best of one of their rows
 *   in order     how many have to be looked at, the most promising first
 *
 * "A row" divides by the rows of all tables. */
#include "cli/recall.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#include "cli/client.h"
#include "cli/grid.h"
#include "cli/number.h"
#include "cli/truth.h"

static const uint32_t ks[] = {1, 2, 3, 5, 10, 20, 50, 100};
static const double recalls[] = {0.5, 0.8, 0.9, 0.95, 0.99};
enum {
    N_KS = sizeof(ks) / sizeof(*ks),
    N_RECALLS = sizeof(recalls) / sizeof(*recalls),
};

/* Some of the candidates. */
typedef struct part {
    size_t n;
    size_t n_true;
} part;

typedef struct recall_run {
    const lk_recall_values *values;
    unsigned channels;
    lk_compared compared;
    lk_engine engine;
    linkd_evidence *evidence;
    linkd_ranking ranking;
    lk_truth truth;
    double n_rows; /* of all tables */
    part all;
    part by_channel[LK_N_CHANNELS];
    part united[LK_N_CHANNELS]; /* with the channels before it */
    part by_k[N_KS];
    size_t needed[N_RECALLS]; /* candidates; SIZE_MAX: more than there are */
    part first;
} recall_run;

/* ---- counting ----------------------------------------------------------- */

static void part_add(part *p, bool is_true)
{
    p->n++;
    p->n_true += is_true;
}

static void channels_count(recall_run *run, size_t i)
{
    unsigned channels = run->ranking.candidates[i].channels;
    bool is_true = run->truth.is_match[i];
    bool seen = false;

    for (size_t c = 0; c < LK_N_CHANNELS; c++) {
        bool has = (channels >> c & 1U) != 0;

        seen = seen || has;
        if (has)
            part_add(&run->by_channel[c], is_true);
        if (seen)
            part_add(&run->united[c], is_true);
    }
}

static void ranks_count(recall_run *run, size_t i)
{
    for (size_t k = 0; k < N_KS; k++)
        if (run->ranking.ranks[i] <= ks[k])
            part_add(&run->by_k[k], run->truth.is_match[i]);
}

static void order_count(recall_run *run)
{
    const linkd_ranking *ranking = &run->ranking;
    size_t next = 0;
    part so_far = {0};

    for (size_t r = 0; r < N_RECALLS; r++)
        run->needed[r] = SIZE_MAX;
    for (size_t i = 0; i < ranking->n; i++) {
        part_add(&so_far, run->truth.is_match[ranking->order[i]]);
        if (i < run->values->first)
            run->first = so_far;
        while (next < N_RECALLS &&
               (double)so_far.n_true >=
                   recalls[next] * (double)run->truth.n_true)
            run->needed[next++] = so_far.n;
    }
}

static void recall_count(recall_run *run)
{
    for (size_t i = 0; i < run->ranking.n; i++) {
        part_add(&run->all, run->truth.is_match[i]);
        channels_count(run, i);
        ranks_count(run, i);
    }
    order_count(run);
}

static double recall_of(const recall_run *run, part p)
{
    return run->truth.n_true > 0 ? (double)p.n_true / (double)run->truth.n_true
                                 : 0.0;
}

static double per_row(const recall_run *run, size_t n)
{
    return run->n_rows > 0 ? (double)n / run->n_rows : 0.0;
}

/* ---- for people --------------------------------------------------------- */

static int part_cells(const recall_run *run, lk_grid *grid, part p,
                      linkd_error *err)
{
    int rc = lk_grid_printf(grid, err, "%s", lk_count(p.n).text);

    if (rc == LINKD_OK)
        rc = lk_grid_printf(grid, err, "%.1f", per_row(run, p.n));
    if (rc == LINKD_OK)
        rc = lk_grid_printf(grid, err, "%.4f", recall_of(run, p));
    return rc;
}

/* A table whose first `n` columns have these heads, all but the first numbers.
 */
static int grid_begin(lk_grid *grid, const char *const *heads, size_t n,
                      linkd_error *err)
{
    *grid = (lk_grid){.n_columns = n};
    for (size_t i = 1; i < n; i++)
        grid->is_right[i] = true;
    return lk_grid_row(grid, heads, n, err);
}

static void grid_end(lk_grid *grid, int rc)
{
    if (rc == LINKD_OK) {
        (void)putchar('\n');
        lk_grid_print(grid, stdout);
    }
    lk_grid_clear(grid);
}

static int channels_print(const recall_run *run, linkd_error *err)
{
    static const char *const heads[] = {"CHANNEL", "CANDIDATES", "A ROW",
                                        "RECALL",  "UNITED",     "A ROW",
                                        "RECALL"};
    lk_grid grid;
    int rc = grid_begin(&grid, heads, 7, err);

    for (size_t c = 0; c < LK_N_CHANNELS && rc == LINKD_OK; c++) {
        if (!(run->channels >> c & 1U))
            continue;
        rc = lk_grid_printf(&grid, err, "%s", lk_channel_words[c]);
        if (rc == LINKD_OK)
            rc = part_cells(run, &grid, run->by_channel[c], err);
        if (rc == LINKD_OK)
            rc = part_cells(run, &grid, run->united[c], err);
    }
    grid_end(&grid, rc);
    return rc;
}

static int ranks_print(const recall_run *run, linkd_error *err)
{
    static const char *const heads[] = {"BEST OF A ROW", "CANDIDATES", "A ROW",
                                        "RECALL"};
    lk_grid grid;
    int rc = grid_begin(&grid, heads, 4, err);

    for (size_t k = 0; k < N_KS && rc == LINKD_OK; k++) {
        rc = lk_grid_printf(&grid, err, "%u", ks[k]);
        if (rc == LINKD_OK)
            rc = part_cells(run, &grid, run->by_k[k], err);
    }
    grid_end(&grid, rc);
    return rc;
}

static int order_print(const recall_run *run, linkd_error *err)
{
    static const char *const heads[] = {"RECALL IN ORDER", "CANDIDATES",
                                        "A ROW"};
    lk_grid grid;
    int rc = grid_begin(&grid, heads, 3, err);

    for (size_t r = 0; r < N_RECALLS && rc == LINKD_OK; r++) {
        size_t n = run->needed[r];

        if (n == SIZE_MAX)
            break;
        rc = lk_grid_printf(&grid, err, "%.2f", recalls[r]);
        if (rc == LINKD_OK)
            rc = lk_grid_printf(&grid, err, "%s", lk_count(n).text);
        if (rc == LINKD_OK)
            rc = lk_grid_printf(&grid, err, "%.1f", per_row(run, n));
    }
    grid_end(&grid, rc);
    return rc;
}

static int tables_print(const recall_run *run, linkd_error *err)
{
    int rc;

    (void)printf("%s, %.1f a row: %s of %s, recall %.4f\n",
                 lk_counted(run->all.n, "candidate", "candidates").text,
                 per_row(run, run->all.n), lk_count(run->all.n_true).text,
                 lk_counted(run->truth.n_true, "true pair", "true pairs").text,
                 recall_of(run, run->all));
    rc = channels_print(run, err);
    if (rc == LINKD_OK)
        rc = ranks_print(run, err);
    if (rc == LINKD_OK)
        rc = order_print(run, err);
    if (rc == LINKD_OK && run->values->first > 0)
        (void)printf("\nthe first %s: recall %.4f\n",
                     lk_count(run->first.n).text, recall_of(run, run->first));
    return rc;
}

/* ---- for programs ------------------------------------------------------- */

static json_t *part_json(const recall_run *run, part p)
{
    return json_pack("{s:I,s:f,s:I,s:f}", "candidates", (json_int_t)p.n,
                     "per_row", per_row(run, p.n), "found",
                     (json_int_t)p.n_true, "recall", recall_of(run, p));
}

/* Appends, or frees both when memory is out; answers the list. */
static json_t *list_add(json_t *list, json_t *item)
{
    if (json_array_append_new(list, item) == 0)
        return list;
    json_decref(list);
    return NULL;
}

static json_t *channels_json(const recall_run *run)
{
    json_t *list = json_array();

    for (size_t c = 0; list != NULL && c < LK_N_CHANNELS; c++) {
        json_t *item;

        if (!(run->channels >> c & 1U))
            continue;
        item = part_json(run, run->by_channel[c]);
        if (json_object_set_new(item, "channel",
                                json_string(lk_channel_words[c])) != 0 ||
            json_object_set_new(item, "united",
                                part_json(run, run->united[c])) != 0) {
            json_decref(item);
            item = NULL;
        }
        list = list_add(list, item);
    }
    return list;
}

static json_t *ranks_json(const recall_run *run)
{
    json_t *list = json_array();

    for (size_t k = 0; list != NULL && k < N_KS; k++) {
        json_t *item = part_json(run, run->by_k[k]);

        if (json_object_set_new(item, "k", json_integer(ks[k])) != 0) {
            json_decref(item);
            item = NULL;
        }
        list = list_add(list, item);
    }
    return list;
}

static json_t *order_json(const recall_run *run)
{
    json_t *list = json_array();

    for (size_t r = 0; list != NULL && r < N_RECALLS; r++)
        if (run->needed[r] != SIZE_MAX)
            list = list_add(list,
                            json_pack("{s:f,s:I,s:f}", "recall", recalls[r],
                                      "candidates", (json_int_t)run->needed[r],
                                      "per_row", per_row(run, run->needed[r])));
    return list;
}

static int json_print(const recall_run *run, linkd_error *err)
{
    json_t *root = json_pack(
        "{s:I,s:o,s:o,s:o,s:o}", "truth", (json_int_t)run->truth.n_true,
        "united", part_json(run, run->all), "channels", channels_json(run),
        "best_of_a_row", ranks_json(run), "in_order", order_json(run));
    int rc = LINKD_OK;

    if (run->values->first > 0 &&
        json_object_set_new(root, "first", part_json(run, run->first)) != 0)
        rc = lk_fail_nomem(err);
    if (rc == LINKD_OK)
        rc = lk_json_print(root, err);
    json_decref(root);
    return rc;
}

/* ---- all ---------------------------------------------------------------- */

static int candidates_gather(lk_cli *cli, recall_run *run, linkd_error *err)
{
    const lk_recall_values *v = run->values;
    lk_decide_input input =
        lk_compared_input(&run->compared, &run->engine, v->k);
    int rc = lk_engine_open(cli, v->model, v->n_threads, &run->engine, err);

    if (rc == LINKD_OK)
        rc = lk_decide_gather(cli, &input, v->channels, &run->evidence, err);
    if (rc == LINKD_OK)
        rc = linkd_evidence_rank(run->evidence, &run->ranking, err);
    lk_meter_finish(&cli->meter);
    return rc;
}

static int truth_read(lk_cli *cli, recall_run *run, linkd_error *err)
{
    linkd_decision all = {.candidates = run->ranking.candidates,
                          .n_candidates = run->ranking.n};
    const linkd_progress silent = {NULL, NULL};

    return lk_truth_read(cli->args.operands[cli->args.n_operands - 1],
                         run->compared.left, run->compared.right, &all, &silent,
                         &run->truth, err);
}

static int options_check(lk_cli *cli, recall_run *run, linkd_error *err)
{
    const lk_recall_values *v = run->values;
    bool with_model = !lk_model_is_none(v->model);
    int rc =
        lk_compared_check(&v->compared, NULL, cli->args.n_operands == 2, err);

    if (rc == LINKD_OK)
        rc = lk_channels_parse(v->channels, with_model, &run->channels, err);
    if (!with_model)
        run->channels &= ~(unsigned)LINKD_CHANNEL_DENSE;
    return rc == LINKD_OK ? lk_model_check(cli, v->model, err) : rc;
}

static int steps_run(lk_cli *cli, recall_run *run, linkd_error *err)
{
    const lk_compared_values *v = &run->values->compared;
    int rc = options_check(cli, run, err);

    if (rc == LINKD_OK)
        rc = lk_compared_read(cli, v, cli->args.n_operands == 2, &run->compared,
                              err);
    if (rc == LINKD_OK)
        rc = lk_compared_pair(cli, v, NULL, &run->compared, err);
    if (rc == LINKD_OK)
        rc = candidates_gather(cli, run, err);
    if (rc == LINKD_OK)
        rc = truth_read(cli, run, err);
    return rc;
}

static void recall_clear(recall_run *run)
{
    lk_truth_clear(&run->truth);
    linkd_ranking_clear(&run->ranking);
    linkd_evidence_free(run->evidence);
    lk_engine_close(&run->engine);
    lk_compared_clear(&run->compared);
}

int lk_recall_run(lk_cli *cli, const lk_recall_values *values, bool json,
                  linkd_error *err)
{
    recall_run run = {.values = values};
    int rc = steps_run(cli, &run, err);

    if (rc == LINKD_OK) {
        run.n_rows = (double)linkd_table_n_rows(run.compared.left);
        if (run.compared.right != NULL)
            run.n_rows += (double)linkd_table_n_rows(run.compared.right);
        recall_count(&run);
        rc = json ? json_print(&run, err) : tables_print(&run, err);
    }
    recall_clear(&run);
    return rc;
}
