/* One change of models on one corpus, for bench/upgrade: fits as linkctl upgrade
 * does and judges on queries and records that no fit has seen.
 *
 *   bench_upgrade_worker queries          lines to queries made from them
 *   bench_upgrade_worker judge DIR OLD NEW SUPPORT [HEAD]
 *
 * DIR has PART.MODEL.npy, float32 [n, dim] of length 1, for the parts anchors,
 * made, asked, gallery, queries and others, and the numbers gallery.groups,
 * queries.groups, anchors.groups and asked.answers, one a line. SUPPORT, made or
 * asked, says which queries the weight is chosen on. HEAD is fitted in place of the
 * better one of procrustes and ridge, and on no record of an entity that is judged;
 * contrast learns from anchors.groups. With OLD as NEW a map leads to where it
 * begins: what contrast brings then is the labels'. What was found is a line of
 * JSON. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "linkage/bridge.h"
#include "linkage/linkage.h"

enum {
    TOP = 100, /* that a cascade encodes anew */
    HELD = LINKD_ANCHORS_HELD,
};

static _Noreturn void die(const char *what, const char *why)
{
    fprintf(stderr, "bench_upgrade_worker: %s: %s\n", what, why);
    exit(1);
}

static void *room(size_t n, size_t size)
{
    void *p = lk_alloc_aligned(n + 1, size);

    if (p == NULL)
        die("memory", "there is none");
    return p;
}

/* ---- files -------------------------------------------------------------------- */

static linkd_rows rows_read(const char *dir, const char *part,
                            const char *model)
{
    char path[1024];
    char head[LK_NPY_HEAD_MAX];
    lk_npy_shape shape;
    linkd_error err;
    linkd_rows rows = {0};
    float *data;
    FILE *file;
    size_t len;

    (void)snprintf(path, sizeof(path), "%s/%s.%s.npy", dir, part, model);
    file = fopen(path, "rb");
    if (file == NULL)
        die(path, "it cannot be opened");
    len = fread(head, 1, sizeof(head), file);
    if (lk_npy_read_head((linkd_str){head, len}, &shape, &err) != LINKD_OK ||
        fseek(file, (long)shape.n_head_bytes, SEEK_SET) != 0)
        die(path, err.message);
    rows.n = shape.n_rows;
    rows.dim = shape.dim;
    data = room(rows.n * rows.dim, sizeof(*data));
    if (fread(data, rows.dim * sizeof(*data), rows.n, file) != rows.n)
        die(path, "cut");
    (void)fclose(file);
    rows.data = data;
    return rows;
}

static size_t *numbers_read(const char *dir, const char *name, size_t n)
{
    char path[1024];
    size_t *numbers = room(n, sizeof(*numbers));
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    file = fopen(path, "r");
    for (size_t i = 0; i < n; i++)
        if (file == NULL || fscanf(file, "%zu", &numbers[i]) != 1)
            die(path, "too short");
    (void)fclose(file);
    return numbers;
}

/* ---- what is judged ------------------------------------------------------------- */

typedef struct model {
    linkd_rows anchors, support, gallery, queries, others;
} model;

typedef struct bench {
    model older, newer;
    size_t *gallery_groups, *query_groups;
    linkd_bridge_task task;
    linkd_bridge to_old, old_native, new_native;
    double fit_seconds;
} bench;

static model model_read(const char *dir, const char *name, const char *support)
{
    return (model){.anchors = rows_read(dir, "anchors", name),
                   .support = rows_read(dir, support, name),
                   .gallery = rows_read(dir, "gallery", name),
                   .queries = rows_read(dir, "queries", name),
                   .others = rows_read(dir, "others", name)};
}

static void bench_fit(bench *b)
{
    linkd_error err;
    linkd_model_sample older = {b->older.anchors.dim, b->older.anchors.data,
                                b->older.support.data};
    linkd_model_sample newer = {b->newer.anchors.dim, b->newer.anchors.data,
                                b->newer.support.data};
    clock_t begin = clock();

    if (linkd_bridge_fit(&b->task, &newer, &older, &b->to_old, &err) !=
            LINKD_OK ||
        linkd_bridge_native(&b->task, &older, &b->old_native, &err) !=
            LINKD_OK ||
        linkd_bridge_native(&b->task, &newer, &b->new_native, &err) != LINKD_OK)
        die("fit", err.message);
    b->fit_seconds = (double)(clock() - begin) / CLOCKS_PER_SEC;
}

/* ---- scores ----------------------------------------------------------------------- */

/* [queries.n, gallery.n] */
static float *scores_of(const linkd_rows *queries, const linkd_rows *gallery)
{
    size_t dim = queries->dim < gallery->dim ? queries->dim : gallery->dim;
    float *scores = room(queries->n * gallery->n, sizeof(*scores));

    for (size_t i = 0; i < queries->n; i++)
        for (size_t j = 0; j < gallery->n; j++)
            scores[i * gallery->n + j] =
                linkd_index_score(queries->data + i * queries->dim,
                                  gallery->data + j * gallery->dim, dim);
    return scores;
}

typedef enum query_kind {
    ALIGN,
    FUSE,
    RANKING, /* what decides the order of what FUSE finds */
    CONTROL, /* the old query alone, led where RANKING is */
} query_kind;

static bool is_ranked(const bench *b)
{
    return b->to_old.ranking.maps.home != NULL;
}

static int query_lead(const linkd_bridge *bridge, const float *own,
                      const float *foreign, query_kind kind, float *ret,
                      linkd_error *err)
{
    bool is_strange = false;
    int rc;

    if (kind == ALIGN)
        return lk_bridge_map(bridge, foreign, ret, err);
    rc = lk_bridge_fuse(bridge, own, foreign, ret, &is_strange, err);
    if (rc != LINKD_OK || kind == FUSE || is_strange ||
        bridge->ranking.maps.home == NULL)
        return rc;
    return lk_bridge_rank(bridge, own, foreign, ret, err);
}

static linkd_rows queries_lead(const bench *b, const linkd_rows *own,
                               const linkd_rows *foreign, query_kind kind)
{
    float *data = room(own->n * own->dim, sizeof(*data));
    linkd_bridge alone = b->to_old;
    linkd_error err;
    int rc = LINKD_OK;

    if (kind == CONTROL)
        alone.weight = alone.strange_weight = alone.ranking.weight = 0.0F;
    for (size_t i = 0; i < own->n && rc == LINKD_OK; i++)
        rc = query_lead(&alone, own->data + i * own->dim,
                        foreign->data + i * foreign->dim, kind,
                        data + i * own->dim, &err);
    if (rc != LINKD_OK)
        die("queries", err.message);
    return (linkd_rows){data, own->n, own->dim};
}

/* Of judged queries, those that no choice was made for. */
static double strange_share(const bench *b)
{
    const linkd_rows *own = &b->older.queries;
    float *led = room(own->dim, sizeof(*led));
    size_t n_strange = 0;
    linkd_error err;

    for (size_t i = 0; i < own->n; i++) {
        bool is_strange = false;

        if (lk_bridge_fuse(&b->to_old, own->data + i * own->dim,
                           b->newer.queries.data + i * b->newer.queries.dim,
                           led, &is_strange, &err) != LINKD_OK)
            die("queries", err.message);
        n_strange += is_strange;
    }
    free(led);
    return (double)n_strange / (double)own->n;
}

/* ---- ranks ------------------------------------------------------------------------ */

/* By `values` [n_queries, n], earlier rows first of equal ones. */
static uint32_t *ranks_of(const bench *b, const double *values)
{
    size_t n = b->older.gallery.n;
    uint32_t *ranks = room(b->older.queries.n, sizeof(*ranks));

    for (size_t i = 0; i < b->older.queries.n; i++) {
        const double *v = values + i * n;
        size_t best = SIZE_MAX;
        uint32_t rank = 1;

        for (size_t j = 0; j < n; j++)
            if (b->gallery_groups[j] == b->query_groups[i] &&
                (best == SIZE_MAX || v[j] > v[best]))
                best = j;
        for (size_t j = 0; j < n; j++)
            rank += v[j] > v[best] || (v[j] == v[best] && j < best);
        ranks[i] = rank <= 10 ? rank : 0;
    }
    return ranks;
}

static uint32_t *ranks_by_score(const bench *b, const float *scores)
{
    size_t n = b->older.queries.n * b->older.gallery.n;
    double *values = room(n, sizeof(*values));
    uint32_t *ranks;

    for (size_t i = 0; i < n; i++)
        values[i] = (double)scores[i];
    ranks = ranks_of(b, values);
    free(values);
    return ranks;
}

static int float_compare(const void *a, const void *b)
{
    float x = *(const float *)a;
    float y = *(const float *)b;

    return (x < y) - (x > y);
}

/* The score that n / 2 of a row's are not above, and more than n / 2 are not if
 * there is no other. */
static float half_score(const float *row, size_t n_row, size_t n, float *sorted)
{
    memcpy(sorted, row, n_row * sizeof(*sorted));
    qsort(sorted, n_row, sizeof(*sorted), float_compare);
    return sorted[(n < n_row ? n : n_row) / 2 - 1];
}

/* TOP candidates, half of them the best by fused score and half by mapped, take
 * the new model's score, above all others. */
static uint32_t *cascade_ranks(const bench *b, const float *fused,
                               const float *mapped, const float *anew)
{
    size_t n = b->older.gallery.n;
    double *values = room(b->older.queries.n * n, sizeof(*values));
    float *sorted = room(n, sizeof(*sorted));
    uint32_t *ranks;

    for (size_t i = 0; i < b->older.queries.n; i++) {
        const float *by_fuse = fused + i * n;
        const float *by_map = mapped + i * n;
        float least_fuse = half_score(by_fuse, n, TOP, sorted);
        float least_map = half_score(by_map, n, TOP, sorted);

        for (size_t j = 0; j < n; j++)
            values[i * n + j] =
                by_fuse[j] >= least_fuse || by_map[j] >= least_map
                    ? 10.0 + (double)anew[i * n + j]
                    : (double)by_fuse[j];
    }
    free(sorted);
    ranks = ranks_of(b, values);
    free(values);
    return ranks;
}

/* ---- mixed galleries -------------------------------------------------------------- */

static bool is_moved(size_t row, double share)
{
    return (double)(row * 2654435761U % 4294967296U) / 4294967296.0 < share;
}

/* Scores of queries with the gallery, [n_queries, n]. */
typedef struct scored {
    const float *scores;       /* that are told, and limited */
    const float *order;        /* that decide the order */
    const linkd_level *levels; /* [n_queries]: of those with the cohort */
} scored;

/* As a search has them: what is not among the TOP by score comes last. */
static void last_put(const float *scores, size_t n_queries, size_t n,
                     float *order)
{
    float *sorted = room(n, sizeof(*sorted));

    for (size_t i = 0; i < n_queries; i++) {
        float least = half_score(scores + i * n, n, (size_t)2 * TOP, sorted);

        for (size_t j = 0; j < n; j++)
            if (scores[i * n + j] < least)
                order[i * n + j] -= 10.0F;
    }
    free(sorted);
}

/* ret_levels [n queries]; returns the seconds of a query. */
static double levels_find(const linkd_rows *queries, const model *m,
                          linkd_level *ret_levels)
{
    lk_cohort cohort;
    linkd_error err;
    clock_t begin;

    if (lk_cohort_make(m->anchors.data, m->anchors.n, m->anchors.dim, &cohort,
                       &err) != LINKD_OK)
        die("cohort", err.message);
    begin = clock();
    for (size_t i = 0; i < queries->n; i++)
        ret_levels[i] =
            lk_cohort_level(&cohort, queries->data + i * queries->dim);
    lk_cohort_clear(&cohort);
    return (double)(clock() - begin) / CLOCKS_PER_SEC / (double)queries->n;
}

/* `ranking`: queries that decide the order, or NULL. */
static scored scored_of(const linkd_rows *queries, const linkd_rows *ranking,
                        const model *m)
{
    const linkd_rows *deciding = ranking != NULL ? ranking : queries;
    scored ret = {.scores = scores_of(queries, &m->gallery)};
    float *order = NULL;
    linkd_level *levels = room(queries->n, sizeof(*levels));

    levels_find(deciding, m, levels);
    if (ranking != NULL) {
        order = scores_of(ranking, &m->gallery);
        last_put(ret.scores, queries->n, m->gallery.n, order);
    }
    ret.order = order != NULL ? order : ret.scores;
    ret.levels = levels;
    return ret;
}

/* Query i over a mixed gallery: by standard scores, as searches merge. */
static void standards_mix(const bench *b, const scored *fused,
                          const scored *anew, size_t i, double share,
                          double *ret)
{
    size_t n = b->older.gallery.n;

    for (size_t j = 0; j < n; j++) {
        const scored *from = is_moved(j, share) ? anew : fused;

        ret[j] = linkd_level_standard(&from->levels[i],
                                      (double)from->order[i * n + j]);
    }
}

/* A score of the old model that was chosen as a limit, moved to another scale. */
static double limit_move(const bench *b, const linkd_scale *to, double score)
{
    const linkd_quantiles *from =
        &b->old_native.scales[LINKD_WAY_NATIVE].impostors;

    return linkd_quantiles_score(&to->impostors,
                                 linkd_quantiles_false_match_rate(from, score));
}

/* F1 of linking every query, with an answer or without, to its best record. */
typedef struct linking {
    const bench *b;
    scored fused[2], anew[2]; /* of queries, and of others */
    double limits[2];         /* of fused and of new scores */
} linking;

static double linking_f1(const linking *l, double share)
{
    const bench *b = l->b;
    size_t n = b->older.gallery.n;
    double *mixed = room(n, sizeof(*mixed));
    size_t n_right = 0;
    size_t n_made = 0;

    for (int part = 0; part < 2; part++)
        for (size_t i = 0;
             i < (part == 0 ? b->older.queries.n : b->older.others.n); i++) {
            const float *fused = l->fused[part].scores + i * n;
            const float *anew = l->anew[part].scores + i * n;
            size_t best = 0;
            bool made;

            standards_mix(b, &l->fused[part], &l->anew[part], i, share, mixed);
            for (size_t j = 1; j < n; j++)
                best = mixed[j] > mixed[best] ? j : best;
            made = is_moved(best, share) ? (double)anew[best] >= l->limits[1]
                                         : (double)fused[best] >= l->limits[0];
            n_made += made;
            n_right += made && part == 0 &&
                       b->gallery_groups[best] == b->query_groups[i];
        }
    free(mixed);
    return 2.0 * (double)n_right / (double)(n_made + b->older.queries.n);
}

/* ---- thresholds -------------------------------------------------------------------- */

/* Scores of judged queries with records that are not theirs, highest first. */
static float *impostors_of(const bench *b, const float *scores, size_t *ret_n)
{
    size_t n = b->older.gallery.n;
    float *found = room(b->older.queries.n * n, sizeof(*found));

    *ret_n = 0;
    for (size_t i = 0; i < b->older.queries.n * n; i++)
        if (b->gallery_groups[i % n] != b->query_groups[i / n])
            found[(*ret_n)++] = scores[i];
    qsort(found, *ret_n, sizeof(*found), float_compare);
    return found;
}

static double share_above(const float *impostors, size_t n, double limit)
{
    size_t above = 0;

    while (above < n && (double)impostors[above] >= limit)
        above++;
    return (double)above / (double)n;
}

/* The limit of the old model at which linking is best. */
static double limit_choose(const bench *b, const scored old[2], double *ret_f1)
{
    double best = 0.0;

    *ret_f1 = 0.0;
    for (double limit = 0.3; limit < 1.0; limit += 0.01) {
        linking l = {b, {old[0], old[1]}, {old[0], old[1]}, {limit, limit}};
        double f1 = linking_f1(&l, 0.0);

        if (f1 > *ret_f1) {
            *ret_f1 = f1;
            best = limit;
        }
    }
    return best;
}

/* ---- the line ----------------------------------------------------------------------- */

static void metrics_print(const char *name, const bench *b,
                          const uint32_t *ranks)
{
    linkd_compat_metrics m = linkd_compat_metrics_of(ranks, b->older.queries.n);

    printf(",\"%s\":[%.5f,%.5f,%.5f]", name, m.recall_1, m.recall_10, m.mrr_10);
}

static void interval_print(const char *name, const linkd_interval *i)
{
    if (isfinite(i->value))
        printf(",\"%s\":[%.5f,%.5f,%.5f]", name, i->value, i->low, i->high);
}

static void gain_print(const char *name, const bench *b, const uint32_t *old,
                       const uint32_t *way, const uint32_t *anew)
{
    linkd_interval gain;

    if (linkd_compat_gain(old, way, anew, b->older.queries.n, 1, &gain, NULL) !=
        LINKD_OK)
        die("memory", "there is none");
    interval_print(name, &gain);
}

static const double shares[] = {0, 0.1, 0.25, 0.5, 0.75, 0.9, 1};

static void curve_print(const bench *b, const scored *fused, const scored *anew)
{
    size_t n = b->older.gallery.n;
    double *mixed = room(b->older.queries.n * n, sizeof(*mixed));

    printf(",\"curve\":[");
    for (size_t s = 0; s < 7; s++) {
        uint32_t *ranks;

        for (size_t i = 0; i < b->older.queries.n; i++)
            standards_mix(b, fused, anew, i, shares[s], mixed + i * n);
        ranks = ranks_of(b, mixed);
        printf("%s%.5f", s == 0 ? "" : ",",
               linkd_compat_metrics_of(ranks, b->older.queries.n).mrr_10);
        free(ranks);
    }
    printf("]");
    free(mixed);
}

static void rates_print(const bench *b, const float *old, const float *fused,
                        const float *anew)
{
    static const double targets[] = {1e-3, 1e-4};
    size_t n;
    float *of_old = impostors_of(b, old, &n);
    float *of_fused = impostors_of(b, fused, &n);
    float *of_new = impostors_of(b, anew, &n);

    printf(",\"rates\":[");
    for (size_t i = 0; i < 2; i++) {
        double limit = (double)of_old[(size_t)(targets[i] * (double)n)];
        double moved[2] = {
            limit_move(b, &b->to_old.scales[LINKD_WAY_FUSE], limit),
            limit_move(b, &b->new_native.scales[LINKD_WAY_NATIVE], limit)};

        printf("%s[%g,%.4f,%.4f,%.4f,%.4f]", i == 0 ? "" : ",", targets[i],
               share_above(of_fused, n, limit) / targets[i],
               share_above(of_fused, n, moved[0]) / targets[i],
               share_above(of_new, n, limit) / targets[i],
               share_above(of_new, n, moved[1]) / targets[i]);
    }
    printf("]");
    free(of_old);
    free(of_fused);
    free(of_new);
}

static void linking_print(const bench *b, const linking *old, linking *l)
{
    double f1;
    double limit = limit_choose(b, old->fused, &f1);

    l->limits[0] = limit_move(b, &b->to_old.scales[LINKD_WAY_FUSE], limit);
    l->limits[1] =
        limit_move(b, &b->new_native.scales[LINKD_WAY_NATIVE], limit);
    printf(",\"f1_old\":%.5f,\"f1\":[", f1);
    for (size_t s = 0; s < 7; s++)
        printf("%s%.5f", s == 0 ? "" : ",", linking_f1(l, shares[s]));
    printf("]");
}

static double lead_seconds(const bench *b, query_kind kind)
{
    clock_t begin = clock();
    linkd_rows led =
        queries_lead(b, &b->older.queries, &b->newer.queries, kind);
    double seconds = (double)(clock() - begin) / CLOCKS_PER_SEC;

    free((void *)(uintptr_t)led.data);
    return seconds / (double)b->older.queries.n;
}

/* Of putting a query's scores in one generation on the scale of all. */
static double level_seconds(const model *m, const linkd_rows *queries)
{
    linkd_level *levels = room(queries->n, sizeof(*levels));
    double seconds = levels_find(queries, m, levels);

    free(levels);
    return seconds;
}

static void bench_judge(const bench *b)
{
    const model *o = &b->older;
    const model *w = &b->newer;
    linkd_rows align = queries_lead(b, &o->queries, &w->queries, ALIGN);
    linkd_rows fuse = queries_lead(b, &o->queries, &w->queries, FUSE);
    linkd_rows ranking = queries_lead(b, &o->queries, &w->queries, RANKING);
    linkd_rows control = queries_lead(b, &o->queries, &w->queries, CONTROL);
    linkd_rows others = queries_lead(b, &o->others, &w->others, FUSE);
    linkd_rows others_ranking =
        queries_lead(b, &o->others, &w->others, RANKING);
    scored of_fuse = scored_of(&fuse, is_ranked(b) ? &ranking : NULL, o);
    scored of_new = scored_of(&w->queries, NULL, w);
    scored of_old = scored_of(&o->queries, NULL, o);
    const float *by_old = of_old.scores;
    const float *by_fuse = of_fuse.scores;
    const float *by_new = of_new.scores;
    uint32_t *old = ranks_by_score(b, by_old);
    uint32_t *fused = ranks_by_score(b, of_fuse.order);
    uint32_t *anew = ranks_by_score(b, by_new);
    float *by_map = scores_of(&align, &o->gallery);
    uint32_t *cascade = cascade_ranks(b, of_fuse.order, by_map, by_new);
    linking old_linking = {
        b, {of_old, scored_of(&o->others, NULL, o)}, {{0}}, {0}};
    linking l = {
        b,
        {of_fuse, scored_of(&others, is_ranked(b) ? &others_ranking : NULL, o)},
        {of_new, scored_of(&w->others, NULL, w)},
        {0}};
    linkd_interval better;

    metrics_print("old", b, old);
    metrics_print("naive", b,
                  ranks_by_score(b, scores_of(&w->queries, &o->gallery)));
    metrics_print("align", b, ranks_by_score(b, by_map));
    metrics_print("control", b,
                  ranks_by_score(b, scores_of(&control, &o->gallery)));
    metrics_print("fuse", b, fused);
    metrics_print("cascade", b, cascade);
    metrics_print("new", b, anew);
    if (linkd_compat_difference(old, anew, o->queries.n, 1, &better, NULL) !=
        LINKD_OK)
        die("memory", "there is none");
    interval_print("difference", &better);
    gain_print("gain_fuse", b, old, fused, anew);
    gain_print("gain_cascade", b, old, cascade, anew);
    curve_print(b, &of_fuse, &of_new);
    rates_print(b, by_old, by_fuse, by_new);
    linking_print(b, &old_linking, &l);
    printf(",\"us_align\":%.1f,\"us_fuse\":%.1f,\"us_level\":%.1f",
           1e6 * lead_seconds(b, ALIGN),
           1e6 * lead_seconds(b, is_ranked(b) ? RANKING : FUSE),
           1e6 * level_seconds(o, &fuse));
}

static bool is_judged(const bench *b, size_t group)
{
    for (size_t i = 0; i < b->older.queries.n; i++)
        if (b->query_groups[i] == group)
            return true;
    return false;
}

/* What a head is fitted on that was asked for. */
static void head_choose(bench *b, const char *dir, const char *head)
{
    size_t n = b->task.n_anchors;
    size_t *groups = numbers_read(dir, "anchors.groups", n);
    uint64_t *labels = room(n, sizeof(*labels));
    bool *held = room(n, sizeof(*held));
    linkd_error err;

    if (linkd_compat_head_parse(head, &b->task.head, &err) != LINKD_OK)
        die(head, err.message);
    for (size_t i = 0; i < n; i++) {
        labels[i] = groups[i];
        held[i] = i % HELD == 0 || is_judged(b, groups[i]);
    }
    free(groups);
    b->task.held = held;
    if (b->task.head == LINKD_HEAD_CONTRAST)
        b->task.labels = labels;
}

/* `head` may be NULL. */
static int judge(char **argv, const char *head)
{
    bench b = {.older = model_read(argv[2], argv[3], argv[5]),
               .newer = model_read(argv[2], argv[4], argv[5])};
    const linkd_progress progress = {0};
    size_t n_support = b.older.support.n;
    size_t *answers;

    if (strcmp(argv[5], "asked") == 0) {
        answers = numbers_read(argv[2], "asked.answers", n_support);
    } else {
        answers = room(n_support, sizeof(*answers));
        for (size_t i = 0; i < n_support; i++)
            answers[i] = i * HELD;
    }
    b.gallery_groups =
        numbers_read(argv[2], "gallery.groups", b.older.gallery.n);
    b.query_groups = numbers_read(argv[2], "queries.groups", b.older.queries.n);
    b.task = (linkd_bridge_task){.n_anchors = b.older.anchors.n,
                                 .n_queries = n_support,
                                 .answers = answers,
                                 .n_records = b.older.gallery.n,
                                 .seed = 1,
                                 .progress = &progress};
    b.task.auto_head = head == NULL;
    if (!b.task.auto_head)
        head_choose(&b, argv[2], head);
    if (lk_pool_new(1, &b.task.pool, NULL) != LINKD_OK)
        die("memory", "there is none");
    bench_fit(&b);
    printf("{\"old_model\":\"%s\",\"new_model\":\"%s\",\"support\":\"%s\","
           "\"weight\":%.1f,\"ranked\":%s,\"ranking_weight\":%.1f,"
           "\"strange\":%.4f,\"strange_weight\":%.1f,"
           "\"head\":\"%s\",\"support_align\":%.5f,\"fit_seconds\":%.2f",
           argv[3], argv[4], argv[5], (double)b.to_old.weight,
           is_ranked(&b) ? "true" : "false", (double)b.to_old.ranking.weight,
           strange_share(&b), (double)b.to_old.strange_weight,
           linkd_compat_head_words[linkd_compat_map_info(b.to_old.map).head],
           b.to_old.mrr_10[LINKD_WAY_ALIGN], b.fit_seconds);
    bench_judge(&b);
    printf("}\n");
    return 0;
}

static int queries_make(void)
{
    char *line = NULL;
    size_t room_of_line = 0;
    ssize_t n;

    while ((n = getline(&line, &room_of_line, stdin)) > 0) {
        lk_buf query = {0};

        n -= line[n - 1] == '\n';
        if (linkd_provisional_query((linkd_str){line, (size_t)n}, &query,
                                    NULL) != LINKD_OK)
            die("memory", "there is none");
        printf("%.*s\n", (int)query.len, query.len > 0 ? query.data : "");
        lk_buf_clear(&query);
    }
    free(line);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "queries") == 0)
        return queries_make();
    if ((argc == 6 || argc == 7) && strcmp(argv[1], "judge") == 0)
        return judge(argv, argv[6]); /* NULL after the last one */
    fprintf(stderr, "see the head of bench/upgrade_worker.c\n");
    return 2;
}
