/* cli/report.c — one page of HTML about a run: can it be believed, where does
 * it come from, and which pairs are worth a look?
 *
 * The page holds everything it shows, asks nobody for anything and runs no
 * script, and says so to the browser (its content security policy). All text
 * that is not ours, which is cells, names of columns and files, ids, goes
 * through lk_page_text(). */
#include "cli/report.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/explanation.h"
#include "cli/number.h"
#include "cli/page.h"

enum {
    BINS = 25,
    N_SHOWN = 20,     /* pairs of either list */
    CELL_CHARS = 200, /* of a cell, in pairs */
    NAME_CHARS = 60,
    SIZES_MAX = 50, /* lines of the table of sizes */
    CURVE_POINTS = 300,
    BAR_PIXELS = 300,
};

typedef struct reporter {
    const lk_report *report;
    const linkd_decision *decision;
    const linkd_table *tables[2]; /* both the same: one table */
    lk_page page;
} reporter;

static linkd_str str_of(const char *text)
{
    return (linkd_str){text, strlen(text)};
}

static void head_write(reporter *r)
{
    lk_page *p = &r->page;

    lk_page_begin(p, r->report->command);
    for (size_t side = 0; side < (r->report->right != NULL ? 2U : 1U); side++) {
        lk_page_put(p, side == 0 ? ": " : " and ");
        lk_page_text(p, str_of(linkd_table_path(r->tables[side])), 0);
    }
    lk_page_put(p, "</h1>\n");
}

/* ---- verdict ------------------------------------------------------------ */

static void quality_row(lk_page *p, const char *name, double precision,
                        double recall, double f1)
{
    lk_page_printf(p,
                   "<tr><td>%s</td><td class=\"n\">%.3f</td><td class=\"n\">"
                   "%.3f</td><td class=\"n\">%.3f</td></tr>\n",
                   name, precision, recall, f1);
}

typedef struct quality {
    double precision, recall, f1;
} quality;

static quality quality_of(size_t n_right, size_t n_accepted, size_t n_true)
{
    quality q = {0};

    if (n_accepted > 0)
        q.precision = (double)n_right / (double)n_accepted;
    if (n_true > 0)
        q.recall = (double)n_right / (double)n_true;
    if (n_accepted + n_true > 0)
        q.f1 = 2.0 * (double)n_right / (double)(n_accepted + n_true);
    return q;
}

static quality quality_found(const reporter *r)
{
    const linkd_decision *d = r->decision;
    const lk_truth *truth = r->report->truth;
    size_t n_right = 0;

    for (size_t i = 0; i < d->n_candidates; i++)
        n_right += d->candidates[i].accepted && truth->is_match[i];
    return quality_of(n_right, d->n_accepted, truth->n_true);
}

static void quality_write(reporter *r)
{
    const linkd_verdict *v = &r->decision->verdict;
    lk_page *p = &r->page;

    lk_page_put(p, "<table><tr><th></th><th class=\"n\">precision</th><th "
                   "class=\"n\">recall</th><th class=\"n\">F1</th></tr>\n");
    if (v->supported)
        quality_row(p, "expected", v->precision, v->recall, v->f1);
    if (r->report->truth != NULL) {
        quality q = quality_found(r);

        quality_row(p, "by the truth", q.precision, q.recall, q.f1);
    }
    lk_page_put(p, "</table>\n");
}

static void verdict_write(reporter *r)
{
    const linkd_decision *d = r->decision;
    const linkd_verdict *v = &d->verdict;
    lk_page *p = &r->page;

    lk_page_put(p, "<h2>Verdict</h2>\n");
    if (v->doubt[0] != '\0') {
        lk_page_put(p, "<p class=\"doubt\">Doubtful: ");
        lk_page_text(p, str_of(v->doubt), 0);
        lk_page_put(p, "</p>\n");
    }
    lk_page_printf(p, "<p><b>%s</b> from a probability of %.3f on; ",
                   lk_counted(d->n_accepted, "pair", "pairs").text,
                   d->threshold);
    if (r->report->right == NULL)
        lk_page_printf(
            p, "%s of %s; ",
            lk_counted(d->n_entities, "entity", "entities").text,
            lk_counted(linkd_table_n_rows(r->report->left), "row", "rows")
                .text);
    lk_page_printf(p, "%s", lk_assign_words[v->assign]);
    if (v->why[0] != '\0') {
        lk_page_put(p, ": ");
        lk_page_text(p, str_of(v->why), 0);
    }
    lk_page_put(p, "</p>\n");
    if (v->supported || r->report->truth != NULL)
        quality_write(r);
}

/* ---- histograms --------------------------------------------------------- */

static void bins_fill(const linkd_decision *d, bool of_scores,
                      uint64_t bins[2][BINS])
{
    for (size_t i = 0; i < d->n_candidates; i++) {
        const linkd_candidate *c = &d->candidates[i];
        float value = of_scores ? c->score : c->probability;
        size_t bin = value > 0.0F ? (size_t)(value * (float)BINS) : 0;

        bins[c->accepted ? 0 : 1][bin < BINS ? bin : BINS - 1]++;
    }
}

static void histogram_write(reporter *r, bool of_scores)
{
    uint64_t bins[2][BINS] = {{0}};
    lk_histogram h = {
        .series = {bins[0], bins[1]},
        .names = {"accepted", "not accepted"},
        .n = BINS,
        .high = 1.0,
        .axis = of_scores ? "score" : "probability",
        .mark = of_scores ? (double)NAN : r->decision->threshold,
        .mark_name = "threshold",
    };

    bins_fill(r->decision, of_scores, bins);
    lk_page_histogram(&r->page, &h);
}

static void histograms_write(reporter *r)
{
    lk_page_put(&r->page, "<h2>Candidates by probability and by score</h2>\n"
                          "<p>Heights are logarithms.</p>\n");
    histogram_write(r, false);
    histogram_write(r, true);
}

/* ---- precision and recall ------------------------------------------------ */

static int by_probability(const void *a, const void *b)
{
    const linkd_candidate *x = *(const linkd_candidate *const *)a;
    const linkd_candidate *y = *(const linkd_candidate *const *)b;

    if (x->probability != y->probability)
        return x->probability < y->probability ? 1 : -1;
    return (x > y) - (x < y);
}

/* Points of the curve: at most CURVE_POINTS + 1, candidates of one probability
 * being taken together. */
static size_t curve_fill(const reporter *r,
                         const linkd_candidate *const *sorted, double *recall,
                         double *precision)
{
    const linkd_decision *d = r->decision;
    const lk_truth *truth = r->report->truth;
    double step = 1.0 / CURVE_POINTS;
    size_t n_right = 0;
    size_t n = 0;

    for (size_t i = 0; i < d->n_candidates; i++) {
        bool is_last = i + 1 == d->n_candidates;
        quality q;

        n_right += truth->is_match[sorted[i] - d->candidates];
        if (!is_last && sorted[i + 1]->probability == sorted[i]->probability)
            continue;
        q = quality_of(n_right, i + 1, truth->n_true);
        if (n > 0 && !is_last && q.recall < recall[n - 1] + step)
            continue;
        recall[n] = q.recall;
        precision[n++] = q.precision;
    }
    return n;
}

static void curve_write(reporter *r)
{
    size_t n = r->decision->n_candidates;
    const linkd_candidate **sorted = calloc(n + 1, sizeof(*sorted));
    double *points = calloc((size_t)2 * (CURVE_POINTS + 2), sizeof(*points));
    quality q = quality_found(r);

    if (sorted == NULL || points == NULL) {
        r->page.rc = lk_fail_nomem(r->page.err);
    } else {
        lk_curve curve = {.x = points,
                          .y = points + CURVE_POINTS + 2,
                          .high = 1.0,
                          .axis = "recall",
                          .caption = "precision of the candidates from each "
                                     "probability on; the dot is the result",
                          .dot_x = q.recall,
                          .dot_y = q.precision,
                          .dot_name = "the result",
                          .level = (double)NAN};

        for (size_t i = 0; i < n; i++)
            sorted[i] = &r->decision->candidates[i];
        qsort((void *)sorted, n, sizeof(*sorted), by_probability);
        curve.n = curve_fill(r, sorted, points, points + CURVE_POINTS + 2);
        lk_page_put(&r->page, "<h2>Precision and recall</h2>\n");
        lk_page_curve(&r->page, &curve);
    }
    free(points);
    free((void *)sorted);
}

/* ---- columns ------------------------------------------------------------ */

static void column_row(lk_page *p, const linkd_column_profile *c)
{
    double filled = c->n_rows > 0 ? (double)c->n_filled / (double)c->n_rows : 0;

    lk_page_put(p, "<tr><td>");
    lk_page_text(p, c->name, NAME_CHARS);
    lk_page_printf(p,
                   "</td><td>%s</td><td class=\"n\">%.1f %%</td><td "
                   "class=\"n\">%s</td><td class=\"n\">%.1f</td><td>",
                   linkd_holds_words[c->type], 100.0 * filled,
                   lk_count(c->n_distinct).text, c->mean_chars);
    if (c->n_filled > 0)
        lk_page_text(p, c->common, NAME_CHARS);
    lk_page_put(p, "</td></tr>\n");
}

static int columns_write(reporter *r, const linkd_table *table)
{
    lk_page *p = &r->page;
    int rc = LINKD_OK;

    lk_page_put(p, "<h3>");
    lk_page_text(p, str_of(linkd_table_path(table)), 0);
    lk_page_printf(p,
                   ", %s</h3>\n<table><tr><th>column</th><th>taken for</th>"
                   "<th class=\"n\">filled</th><th class=\"n\">distinct</th>"
                   "<th class=\"n\">characters</th><th>most common</th></tr>\n",
                   lk_counted(linkd_table_n_rows(table), "row", "rows").text);
    for (size_t i = 0; i < linkd_table_n_columns(table) && rc == LINKD_OK;
         i++) {
        linkd_column_profile profile;

        rc = linkd_column_profile_make(table, i, &profile, p->err);
        if (rc == LINKD_OK)
            column_row(p, &profile);
    }
    lk_page_put(p, "</table>\n");
    return rc;
}

static int profiles_write(reporter *r)
{
    int rc;

    lk_page_put(&r->page, "<h2>Columns</h2>\n");
    rc = columns_write(r, r->report->left);
    if (rc == LINKD_OK && r->report->right != NULL)
        rc = columns_write(r, r->report->right);
    return rc;
}

/* ---- funnel and sizes ---------------------------------------------------- */

static void bar_row(lk_page *p, const char *name, uint64_t n, uint64_t most)
{
    lk_page_printf(p,
                   "<tr><td>%s</td><td class=\"n\">%s</td><td><span "
                   "class=\"bar\" style=\"width:%.0fpx\"></span></td></tr>\n",
                   name, lk_count(n).text,
                   most > 0 ? BAR_PIXELS * (double)n / (double)most : 0.0);
}

static void funnel_write(reporter *r)
{
    const linkd_funnel *f = linkd_evidence_funnel(r->report->decided->evidence);
    lk_page *p = &r->page;
    const size_t channels[] = {f->n_dense, f->n_lexical, f->n_words,
                               f->n_fields};
    uint64_t most = f->n_candidates;

    for (size_t i = 0; i < sizeof(channels) / sizeof(*channels); i++)
        most = channels[i] > most ? channels[i] : most;
    lk_page_put(p, "<h2>Where candidates come from</h2>\n<p>A pair may be "
                   "proposed by several, and by both of its rows.</p>\n"
                   "<table>\n");
    bar_row(p, "near in the model's space", f->n_dense, most);
    bar_row(p, "records share 3-grams", f->n_lexical, most);
    bar_row(p, "records share rare words", f->n_words, most);
    bar_row(p, "one field shares 3-grams", f->n_fields, most);
    if (f->n_asked > 0)
        bar_row(p, "asked for", f->n_asked, most);
    bar_row(p, "<b>candidates</b>", f->n_candidates, most);
    bar_row(p, "<b>accepted</b>", r->decision->n_accepted, most);
    lk_page_put(p, "</table>\n");
    if (f->n_empty[0] + f->n_empty[1] > 0)
        lk_page_printf(
            p, "<p>%s without any word were not compared.</p>\n",
            lk_counted(f->n_empty[0] + f->n_empty[1], "row", "rows").text);
}

static void sizes_table(lk_page *p, const size_t *counts, size_t n)
{
    size_t most = 0;
    size_t n_lines = 0;
    char name[32];

    for (size_t size = 1; size <= n; size++)
        most = counts[size] > most ? counts[size] : most;
    lk_page_put(p, "<h2>Sizes of entities</h2>\n<table><tr><th>rows</th><th "
                   "class=\"n\">entities</th><th></th></tr>\n");
    for (size_t size = 1; size <= n; size++) {
        if (counts[size] == 0)
            continue;
        if (++n_lines > SIZES_MAX) {
            lk_page_put(p, "<tr><td>and larger ones</td></tr>\n");
            break;
        }
        (void)snprintf(name, sizeof(name), "%zu", size);
        bar_row(p, name, counts[size], most);
    }
    lk_page_put(p, "</table>\n");
}

static int sizes_write(reporter *r)
{
    const linkd_decision *d = r->decision;
    size_t n = linkd_table_n_rows(r->report->left);
    size_t *sizes = calloc(d->n_entities + 1, sizeof(*sizes));
    size_t *counts = calloc(n + 1, sizeof(*counts)); /* entities of a size */
    int rc = LINKD_OK;

    if (sizes == NULL || counts == NULL) {
        rc = lk_fail_nomem(r->page.err);
    } else {
        for (size_t i = 0; i < n; i++)
            sizes[d->entities[i]]++;
        for (size_t i = 0; i < d->n_entities; i++)
            counts[sizes[i]]++;
        sizes_table(&r->page, counts, n);
    }
    free(counts);
    free(sizes);
    return rc;
}

/* ---- pairs -------------------------------------------------------------- */

typedef struct shown_pairs {
    size_t candidates[N_SHOWN];
    size_t n;
} shown_pairs;

/* Weakest first among the accepted, strongest first among the others; of equal
 * ones the earlier. */
static bool comes_before(const linkd_decision *d, size_t x, size_t y,
                         bool accepted)
{
    float p = d->candidates[x].probability;
    float q = d->candidates[y].probability;

    if (p != q)
        return accepted ? p < q : p > q;
    return x < y;
}

static void pairs_choose(const linkd_decision *d, bool accepted,
                         shown_pairs *shown)
{
    for (size_t i = 0; i < d->n_candidates; i++) {
        size_t at = shown->n;

        if (d->candidates[i].accepted != accepted)
            continue;
        if (at == N_SHOWN &&
            !comes_before(d, i, shown->candidates[--at], accepted))
            continue;
        for (;
             at > 0 && comes_before(d, i, shown->candidates[at - 1], accepted);
             at--)
            shown->candidates[at] = shown->candidates[at - 1];
        shown->candidates[at] = i;
        shown->n += shown->n < N_SHOWN;
    }
}

static void cell_write(lk_page *p, linkd_cell cell)
{
    lk_page_put(p, "<td>");
    if (cell.len > 0)
        lk_page_text(p, (linkd_str){cell.bytes, cell.len}, CELL_CHARS);
    lk_page_put(p, "</td>");
}

static void part_write(lk_page *p, double log_odds)
{
    lk_page_printf(p, "<td class=\"n %s\">%+.2f</td></tr>\n",
                   log_odds >= 0.0 ? "up" : "down", log_odds);
}

static void other_part_write(lk_page *p, const char *name, double log_odds)
{
    lk_page_printf(p, "<tr><td>(%s)</td><td></td><td></td>", name);
    part_write(p, log_odds);
}

static void pair_head(reporter *r, const linkd_explanation *e, size_t candidate)
{
    const linkd_candidate *c = &e->candidate;
    lk_page *p = &r->page;
    lk_id_storage storage;

    lk_page_printf(p, "<div class=\"pair\">probability <b>%.4f</b>, score %.4f",
                   (double)c->probability, (double)c->score);
    if (r->report->truth != NULL)
        lk_page_put(p, r->report->truth->is_match[candidate]
                           ? ", <span class=\"up\">true</span>"
                           : ", <span class=\"down\">false</span>");
    lk_page_put(p, "<table><tr><th>column</th><th>left ");
    lk_page_text(p, lk_id_text(r->tables[0], c->left, &storage), NAME_CHARS);
    lk_page_put(p, "</th><th>right ");
    lk_page_text(p, lk_id_text(r->tables[1], c->right, &storage), NAME_CHARS);
    lk_page_put(p, "</th><th class=\"n\">log-odds</th></tr>\n");
}

static bool is_field(const linkd_explanation *e, size_t side, size_t column)
{
    for (size_t i = 0; i < e->n_fields; i++)
        if (e->fields[i].columns[side] == column)
            return true;
    return false;
}

/* Columns that are compared with no other. */
static void rest_write(reporter *r, const linkd_explanation *e, size_t side)
{
    const linkd_table *table = r->tables[side];
    size_t row = side == 0 ? e->candidate.left : e->candidate.right;
    lk_page *p = &r->page;

    for (size_t i = 0; i < linkd_table_n_columns(table); i++) {
        if (i == linkd_table_id_column(table) || is_field(e, side, i))
            continue;
        lk_page_put(p, "<tr><td>");
        lk_page_text(p, linkd_table_column(table, i), NAME_CHARS);
        lk_page_put(p, side == 0 ? "</td>" : "</td><td></td>");
        cell_write(p, linkd_table_cell(table, row, i));
        lk_page_put(p, side == 0 ? "<td></td><td></td></tr>\n"
                                 : "<td></td></tr>\n");
    }
}

static void pair_write(reporter *r, const linkd_explanation *e,
                       size_t candidate)
{
    lk_page *p = &r->page;

    pair_head(r, e, candidate);
    for (size_t i = 0; i < e->n_fields; i++) {
        lk_page_put(p, "<tr><td>");
        lk_page_text(p, e->fields[i].name, NAME_CHARS);
        lk_page_put(p, "</td>");
        cell_write(p, e->fields[i].cells[0]);
        cell_write(p, e->fields[i].cells[1]);
        part_write(p, e->fields[i].log_odds);
    }
    rest_write(r, e, 0);
    if (r->report->right != NULL)
        rest_write(r, e, 1);
    other_part_write(p, "prior", e->prior);
    other_part_write(p, "whole record", e->record);
    other_part_write(p, "competition", e->competition);
    lk_page_put(p, "</table></div>\n");
}

static int pairs_write(reporter *r, const linkd_explainer *explainer,
                       bool accepted)
{
    shown_pairs shown = {.n = 0};
    int rc = LINKD_OK;

    pairs_choose(r->decision, accepted, &shown);
    lk_page_printf(&r->page, "<h2>%s</h2>\n",
                   accepted ? "Weakest accepted pairs"
                            : "Strongest rejected pairs");
    for (size_t i = 0; i < shown.n && rc == LINKD_OK; i++) {
        linkd_explanation e = {0};

        rc = linkd_explainer_explain(explainer, shown.candidates[i], &e,
                                     r->page.err);
        if (rc == LINKD_OK)
            pair_write(r, &e, shown.candidates[i]);
        linkd_explanation_clear(&e);
    }
    if (shown.n == 0)
        lk_page_put(&r->page, "<p>There are none.</p>\n");
    return rc;
}

static int all_pairs_write(reporter *r)
{
    linkd_explainer *explainer = NULL;
    int rc = linkd_explainer_new(r->report->decided->evidence, r->decision,
                                 &explainer, r->page.err);

    if (rc == LINKD_OK)
        rc = pairs_write(r, explainer, true);
    if (rc == LINKD_OK)
        rc = pairs_write(r, explainer, false);
    linkd_explainer_free(explainer);
    return rc;
}

/* ---- all ---------------------------------------------------------------- */

int lk_report_make(const lk_report *report, lk_buf *ret_html, linkd_error *err)
{
    reporter r = {.report = report,
                  .decision = &report->decided->decision,
                  .tables = {report->left, report->right != NULL
                                               ? report->right
                                               : report->left},
                  .page = {.rc = LINKD_OK, .err = err}};
    int rc;

    head_write(&r);
    verdict_write(&r);
    histograms_write(&r);
    if (report->truth != NULL)
        curve_write(&r);
    funnel_write(&r);
    rc = report->right == NULL ? sizes_write(&r) : LINKD_OK;
    if (rc == LINKD_OK)
        rc = all_pairs_write(&r);
    if (rc == LINKD_OK)
        rc = profiles_write(&r);
    lk_page_put(&r.page, "</body></html>\n");
    if (rc == LINKD_OK)
        rc = r.page.rc;
    if (rc == LINKD_OK)
        *ret_html = r.page.html;
    else
        lk_buf_clear(&r.page.html);
    return rc;
}
