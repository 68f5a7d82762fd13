/* cli/cmd_compat_eval.c — linkctl compat eval: what searching with a map is
 * worth, by queries whose relevant rows are known.
 *
 * Half of the queries choose the weight of fused ones, the other half is
 * judged. Four ways are compared: the old model alone, the new model's queries
 * mapped, both fused, and everything embedded anew. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/compat_file.h"
#include "cli/grid.h"
#include "cli/number.h"
#include "cli/vector_read.h"

enum {
    K = 100,
    N_WAYS = 4,
    QUERIES_MIN = 10, /* half of them are judged: guess */
};

typedef struct eval_values {
    const char *old_gallery;
    const char *new_gallery;
    const char *old_queries;
    const char *new_queries;
    const char *gallery_groups;
    const char *query_groups;
    const char *from_model;
    const char *to_model;
    size_t threads;
    bool json;
} eval_values;

#define AT(member) offsetof(eval_values, member)

static const eval_values defaults = {0};

static const lk_option options[] = {
    {"old-gallery", 0, LK_OPTION_TEXT, AT(old_gallery), "FILE", NULL, 0, 0,
     "stored vectors, by the old model"},
    {"new-gallery", 0, LK_OPTION_TEXT, AT(new_gallery), "FILE", NULL, 0, 0,
     "the same records by the new one, to know what\n"
     "embedding them anew would be worth (optional)"},
    {"old-queries", 0, LK_OPTION_TEXT, AT(old_queries), "FILE", NULL, 0, 0,
     "queries by the old model"},
    {"new-queries", 0, LK_OPTION_TEXT, AT(new_queries), "FILE", NULL, 0, 0,
     "the same queries by the new one"},
    {"gallery-groups", 0, LK_OPTION_TEXT, AT(gallery_groups), "FILE", NULL, 0,
     0, "a label a line for each stored vector"},
    {"query-groups", 0, LK_OPTION_TEXT, AT(query_groups), "FILE", NULL, 0, 0,
     "a label a line for each query: rows of the same label\n"
     "are what it looks for"},
    {"from-model", 0, LK_OPTION_TEXT, AT(from_model), "NAME", NULL, 0, 0,
     "the new model: a map that was fitted from another is\n"
     "refused"},
    {"to-model", 0, LK_OPTION_TEXT, AT(to_model), "NAME", NULL, 0, 0,
     "the old model, likewise"},
    {"threads", 'j', LK_OPTION_COUNT, AT(threads), "N", NULL, 1, LK_THREADS_MAX,
     "threads to use (as many as there are processors)"},
    {"json", 0, LK_OPTION_FLAG, AT(json), NULL, NULL, 0, 0,
     "print one JSON object"},
};

static const char *const operands[] = {"MAP"};

static const lk_syntax syntax = {
    .name = "compat eval",
    .operands = operands,
    .n_operands_min = 1,
    .n_operands_max = 1,
    .options = options,
    .n_options = sizeof(options) / sizeof(*options),
    .summary = "Tells what searching old vectors with a map is worth.",
    .notes =
        "All files of vectors are .npy or .fvecs. What is relevant has to "
        "come\n"
        "from outside, not from the new model's own neighbours: those would\n"
        "praise any map. The weight of fused queries is chosen on every "
        "second\n"
        "query, and the others are judged.\n\n"
        "Examples:\n"
        "  linkctl compat eval new-to-old.map --old-gallery old.npy \\\n"
        "      --new-gallery new.npy --old-queries q-old.npy \\\n"
        "      --new-queries q-new.npy --gallery-groups groups.txt \\\n"
        "      --query-groups q-groups.txt\n",
};

/* ---- inputs ------------------------------------------------------------- */

typedef struct eval_run_state {
    const eval_values *values;
    linkd_compat_map *map;
    lk_pool *pool;
    linkd_rows old_gallery, new_gallery, old_queries, new_queries;
    float *data[4];
    float *mapped;
    size_t dim_mapped;
    uint64_t *gallery_groups;
    uint64_t *query_groups;
    float weight;
    uint32_t *ranks[N_WAYS]; /* of the judged queries */
    size_t n_judged;
    size_t n_unanswered; /* of these: they look for what is not stored */
    size_t n_ways;
} eval_state;

static const char *const way_names[N_WAYS] = {"old model", "mapped", "fused",
                                              "new model"};

static void state_clear(eval_state *s)
{
    for (size_t i = 0; i < 4; i++)
        free(s->data[i]);
    for (size_t i = 0; i < N_WAYS; i++)
        free(s->ranks[i]);
    free(s->mapped);
    free(s->gallery_groups);
    free(s->query_groups);
    lk_pool_free(s->pool);
    linkd_compat_map_free(s->map);
}

static int needed_check(const eval_values *v, linkd_error *err)
{
    const struct {
        const char *value;
        const char *name;
    } needed[] = {{v->old_gallery, "old-gallery"},
                  {v->old_queries, "old-queries"},
                  {v->new_queries, "new-queries"},
                  {v->gallery_groups, "gallery-groups"},
                  {v->query_groups, "query-groups"}};

    for (size_t i = 0; i < sizeof(needed) / sizeof(*needed); i++)
        if (needed[i].value == NULL)
            return lk_fail(err, LINKD_E_ARG, "--%s is needed", needed[i].name);
    return LINKD_OK;
}

/* Files whose sizes have to agree, as rows are read side by side. */
static int sizes_check(const eval_state *s, linkd_error *err)
{
    const eval_values *v = s->values;
    const struct {
        const char *what;
        const char *one;
        size_t n_one;
        const char *other;
        size_t n_other;
    } sizes[] = {
        {"rows", v->old_queries, s->old_queries.n, v->new_queries,
         s->new_queries.n},
        {"dimensions", v->old_gallery, s->old_gallery.dim, v->old_queries,
         s->old_queries.dim},
        {"rows", v->new_gallery, s->new_gallery.n, v->old_gallery,
         s->old_gallery.n},
        {"dimensions", v->new_gallery, s->new_gallery.dim, v->new_queries,
         s->new_queries.dim},
    };

    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
        if (sizes[i].one != NULL && sizes[i].n_one != sizes[i].n_other)
            return lk_fail(err, LINKD_E_ARG,
                           "%s has %zu %s, %s has %zu: they have to agree",
                           lk_label_of_path(sizes[i].one).text, sizes[i].n_one,
                           sizes[i].what, lk_label_of_path(sizes[i].other).text,
                           sizes[i].n_other);
    if (s->old_queries.n < QUERIES_MIN)
        return lk_fail(err, LINKD_E_ARG,
                       "%s: %zu queries are too few to judge by: %d at least",
                       lk_label_of_path(v->old_queries).text, s->old_queries.n,
                       QUERIES_MIN);
    return LINKD_OK;
}

static int map_check(const eval_state *s, const char *map_path,
                     linkd_error *err)
{
    const eval_values *v = s->values;
    size_t dim = linkd_compat_map_info(s->map).dim_compat;
    int rc = lk_compat_names_check(map_path, s->map, v->from_model, v->to_model,
                                   err);

    if (rc == LINKD_OK)
        rc = lk_compat_rows_check(map_path, s->map, v->new_queries,
                                  &s->new_queries, err);
    if (rc == LINKD_OK && s->old_gallery.dim != dim)
        rc = lk_fail(err, LINKD_E_ARG,
                     "%s goes to vectors of %zu dimensions, %s has %zu",
                     lk_label_of_path(map_path).text, dim,
                     lk_label_of_path(v->old_gallery).text, s->old_gallery.dim);
    return rc;
}

static int rows_load(const char *path, linkd_rows *ret_rows, float **ret_data,
                     linkd_error *err)
{
    return path == NULL ? LINKD_OK
                        : lk_compat_rows_load(path, ret_rows, ret_data, err);
}

static int label_order(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* Half of the queries chooses and half is judged: neither says anything if none
 * of it has an answer. */
static int answers_count(eval_state *s, linkd_error *err)
{
    const eval_values *v = s->values;
    size_t n_answered[2] = {0};
    size_t n = s->old_gallery.n;
    uint64_t *labels = malloc((n + 1) * sizeof(*labels));

    if (labels == NULL)
        return lk_fail_nomem(err);
    memcpy(labels, s->gallery_groups, n * sizeof(*labels));
    qsort(labels, n, sizeof(*labels), label_order);
    for (size_t i = 0; i < s->old_queries.n; i++)
        n_answered[i % 2] += bsearch(&s->query_groups[i], labels, n,
                                     sizeof(*labels), label_order) != NULL;
    free(labels);
    if (n_answered[0] == 0 || n_answered[1] == 0)
        return lk_fail(err, LINKD_E_DATA,
                       "no label of %s, of the %s line and every second one "
                       "after it, is in %s",
                       lk_label_of_path(v->query_groups).text,
                       n_answered[0] == 0 ? "first" : "second",
                       lk_label_of_path(v->gallery_groups).text);
    s->n_unanswered = s->old_queries.n / 2 - n_answered[1];
    return LINKD_OK;
}

static int inputs_load(eval_state *s, const char *map_path, linkd_error *err)
{
    const eval_values *v = s->values;
    int rc = needed_check(v, err);

    if (rc == LINKD_OK)
        rc = lk_compat_map_load(map_path, &s->map, err);
    if (rc == LINKD_OK)
        rc = rows_load(v->old_gallery, &s->old_gallery, &s->data[0], err);
    if (rc == LINKD_OK)
        rc = rows_load(v->new_gallery, &s->new_gallery, &s->data[1], err);
    if (rc == LINKD_OK)
        rc = rows_load(v->old_queries, &s->old_queries, &s->data[2], err);
    if (rc == LINKD_OK)
        rc = rows_load(v->new_queries, &s->new_queries, &s->data[3], err);
    if (rc == LINKD_OK)
        rc = sizes_check(s, err);
    if (rc == LINKD_OK)
        rc = map_check(s, map_path, err);
    if (rc == LINKD_OK)
        rc = lk_labels_load(v->gallery_groups, s->old_gallery.n,
                            &s->gallery_groups, err);
    if (rc == LINKD_OK)
        rc = lk_labels_load(v->query_groups, s->old_queries.n, &s->query_groups,
                            err);
    if (rc == LINKD_OK)
        rc = answers_count(s, err);
    return rc;
}

/* The new queries' compat block, of length 1, without gaps between rows. */
static int queries_map(eval_state *s, linkd_error *err)
{
    linkd_compat_info info = linkd_compat_map_info(s->map);
    size_t n = s->new_queries.n;
    linkd_rows block;
    int rc;

    s->dim_mapped = info.dim_compat;
    s->mapped = lk_alloc_aligned(n + 1, info.dim_to * sizeof(*s->mapped));
    if (s->mapped == NULL)
        return lk_fail_nomem(err);
    rc = linkd_compat_map_apply(s->map, &s->new_queries, s->mapped, err);
    for (size_t i = 0; rc == LINKD_OK && i < n; i++)
        memmove(s->mapped + i * info.dim_compat, s->mapped + i * info.dim_to,
                info.dim_compat * sizeof(*s->mapped));
    block = (linkd_rows){s->mapped, n, info.dim_compat};
    if (rc == LINKD_OK)
        rc = linkd_compat_normalise(&block, "the mapped queries", s->mapped,
                                    err);
    return rc;
}

/* ---- halves ------------------------------------------------------------- */

/* Every second query, from `first`. */
typedef struct half {
    float *old_queries, *mapped, *new_queries;
    uint64_t *groups;
    size_t n;
} half;

static void half_clear(half *h)
{
    free(h->old_queries);
    free(h->mapped);
    free(h->new_queries);
    free(h->groups);
}

static float *every_second(const float *rows, size_t dim, size_t first,
                           size_t n)
{
    float *picked = lk_alloc_aligned(n + 1, dim * sizeof(*picked));

    for (size_t i = 0; picked != NULL && i < n; i++)
        memcpy(picked + i * dim, rows + (first + 2 * i) * dim,
               dim * sizeof(*picked));
    return picked;
}

static int half_make(const eval_state *s, size_t first, half *ret,
                     linkd_error *err)
{
    size_t n = (s->old_queries.n - first + 1) / 2;
    half h = {.old_queries = every_second(s->old_queries.data,
                                          s->old_queries.dim, first, n),
              .mapped = every_second(s->mapped, s->dim_mapped, first, n),
              .new_queries = every_second(s->new_queries.data,
                                          s->new_queries.dim, first, n),
              .groups = malloc((n + 1) * sizeof(uint64_t)),
              .n = n};

    if (h.old_queries == NULL || h.mapped == NULL || h.new_queries == NULL ||
        h.groups == NULL) {
        half_clear(&h);
        return lk_fail_nomem(err);
    }
    for (size_t i = 0; i < n; i++)
        h.groups[i] = s->query_groups[first + 2 * i];
    *ret = h;
    return LINKD_OK;
}

static linkd_retrieval task_of(const eval_state *s, const half *h,
                               const linkd_rows *queries,
                               const linkd_rows *gallery)
{
    return (linkd_retrieval){.queries = *queries,
                             .gallery = *gallery,
                             .query_groups = h->groups,
                             .gallery_groups = s->gallery_groups};
}

static int weight_choose(eval_state *s, linkd_error *err)
{
    half h = {0};
    int rc = half_make(s, 0, &h, err);

    if (rc == LINKD_OK) {
        linkd_rows old_queries = {h.old_queries, h.n, s->old_queries.dim};
        linkd_rows mapped = {h.mapped, h.n, s->dim_mapped};
        linkd_retrieval task = task_of(s, &h, &old_queries, &s->old_gallery);

        rc = linkd_compat_choose_weight(&task, &mapped, s->pool, &s->weight,
                                        err);
    }
    half_clear(&h);
    return rc;
}

static int way_rank(eval_state *s, const half *h, size_t way,
                    linkd_rows queries, const linkd_rows *gallery,
                    linkd_error *err)
{
    linkd_retrieval task = task_of(s, h, &queries, gallery);

    s->ranks[way] = malloc((h->n + 1) * sizeof(uint32_t));
    if (s->ranks[way] == NULL)
        return lk_fail_nomem(err);
    return linkd_compat_ranks(&task, K, s->pool, s->ranks[way], err);
}

static int ways_judge(eval_state *s, linkd_error *err)
{
    half h = {0};
    linkd_rows mapped;
    int rc = half_make(s, 1, &h, err);

    mapped = (linkd_rows){h.mapped, h.n, s->dim_mapped};
    if (rc == LINKD_OK)
        rc = way_rank(s, &h, 0,
                      (linkd_rows){h.old_queries, h.n, s->old_queries.dim},
                      &s->old_gallery, err);
    if (rc == LINKD_OK)
        rc = way_rank(s, &h, 1, mapped, &s->old_gallery, err);
    if (rc == LINKD_OK) {
        size_t dim = s->dim_mapped;

        for (size_t i = 0; i < h.n; i++)
            linkd_compat_slerp(h.old_queries + i * dim, h.mapped + i * dim, dim,
                               s->weight, h.mapped + i * dim);
        rc = way_rank(s, &h, 2, mapped, &s->old_gallery, err);
    }
    if (rc == LINKD_OK && s->new_gallery.data != NULL)
        rc = way_rank(s, &h, 3,
                      (linkd_rows){h.new_queries, h.n, s->new_queries.dim},
                      &s->new_gallery, err);
    s->n_judged = h.n;
    s->n_ways = s->new_gallery.data != NULL ? 4 : 3;
    half_clear(&h);
    return rc;
}

/* ---- answers ------------------------------------------------------------ */

typedef struct way_result {
    linkd_compat_metrics metrics;
    linkd_interval difference; /* of MRR@10 from the old model's */
    linkd_interval gain;       /* NAN without a new gallery, or a sure gain */
    linkd_flips flips;
} way_result;

static int way_result_make(const eval_state *s, size_t way, way_result *ret,
                           linkd_error *err)
{
    int rc;

    ret->metrics = linkd_compat_metrics_of(s->ranks[way], s->n_judged);
    ret->flips = linkd_compat_flips(s->ranks[0], s->ranks[way], s->n_judged);
    ret->gain = (linkd_interval){(double)NAN, (double)NAN, (double)NAN};
    rc = linkd_compat_difference(s->ranks[0], s->ranks[way], s->n_judged, 1,
                                 &ret->difference, err);
    if (rc == LINKD_OK && s->n_ways == N_WAYS)
        rc = linkd_compat_gain(s->ranks[0], s->ranks[way], s->ranks[3],
                               s->n_judged, 1, &ret->gain, err);
    return rc;
}

static int row_print(lk_grid *grid, const char *name, const way_result *r,
                     linkd_error *err)
{
    int rc = lk_grid_printf(grid, err, "%s", name);

    if (rc == LINKD_OK)
        rc = lk_grid_printf(grid, err, "%.4f", r->metrics.recall_1);
    if (rc == LINKD_OK)
        rc = lk_grid_printf(grid, err, "%.4f", r->metrics.recall_10);
    if (rc == LINKD_OK)
        rc = lk_grid_printf(grid, err, "%.4f", r->metrics.mrr_10);
    if (rc == LINKD_OK)
        rc = lk_grid_printf(grid, err, "%+.4f (%+.4f to %+.4f)",
                            r->difference.value, r->difference.low,
                            r->difference.high);
    if (rc == LINKD_OK && isnan(r->gain.value))
        rc = lk_grid_printf(grid, err, "%s", "");
    else if (rc == LINKD_OK)
        rc = lk_grid_printf(grid, err, "%.0f %% (%.0f to %.0f)",
                            100.0 * r->gain.value, 100.0 * r->gain.low,
                            100.0 * r->gain.high);
    if (rc == LINKD_OK)
        rc = lk_grid_printf(grid, err, "+%.1f -%.1f %%",
                            100.0 * r->flips.positive,
                            100.0 * r->flips.negative);
    return rc;
}

static int results_print(const eval_state *s, const way_result *results,
                         linkd_error *err)
{
    static const char *const heads[] = {
        "QUERIES",         "RECALL@1",        "RECALL@10", "MRR@10",
        "OVER OLD (95 %)", "GAIN HAD (95 %)", "FIRST"};
    lk_grid grid = {.n_columns = sizeof(heads) / sizeof(*heads),
                    .is_right = {false, true, true, true, true, true, true}};
    int rc = lk_grid_row(&grid, heads, grid.n_columns, err);

    for (size_t i = 0; i < s->n_ways && rc == LINKD_OK; i++)
        rc = row_print(&grid, way_names[i], &results[i], err);
    if (rc == LINKD_OK) {
        lk_grid_print(&grid, stdout);
        (void)printf("\n%s judged; weight of the new model in fused queries "
                     "%.1f, chosen on the others\n",
                     lk_counted(s->n_judged, "query", "queries").text,
                     (double)s->weight);
        if (s->n_unanswered > 0)
            (void)printf("no stored vector has the label of %s of these\n",
                         lk_count(s->n_unanswered).text);
    }
    lk_grid_clear(&grid);
    return rc;
}

static json_t *interval_json(const linkd_interval *i)
{
    return isnan(i->value) ? json_null()
                           : json_pack("{s:f,s:f,s:f}", "value", i->value,
                                       "low", i->low, "high", i->high);
}

static json_t *way_json(const char *name, const way_result *r)
{
    return json_pack("{s:s,s:f,s:f,s:f,s:o,s:o,s:f,s:f}", "queries", name,
                     "recall_1", r->metrics.recall_1, "recall_10",
                     r->metrics.recall_10, "mrr_10", r->metrics.mrr_10,
                     "difference", interval_json(&r->difference), "gain",
                     interval_json(&r->gain), "positive_flips",
                     r->flips.positive, "negative_flips", r->flips.negative);
}

static int results_json(const eval_state *s, const way_result *results,
                        linkd_error *err)
{
    json_t *ways = json_array();
    json_t *root;
    int failed = ways == NULL;
    int rc;

    for (size_t i = 0; i < s->n_ways && !failed; i++)
        failed =
            json_array_append_new(ways, way_json(way_names[i], &results[i]));
    root = json_pack("{s:I,s:I,s:f,s:o}", "queries", (json_int_t)s->n_judged,
                     "unanswered", (json_int_t)s->n_unanswered, "weight",
                     (double)s->weight, "ways", ways);
    rc = failed ? lk_fail_nomem(err) : lk_json_print(root, err);
    json_decref(root);
    return rc;
}

static int eval_run(lk_cli *cli, const void *opaque, linkd_error *err)
{
    eval_state s = {.values = opaque};
    way_result results[N_WAYS] = {0};
    int rc = inputs_load(&s, cli->args.operands[0], err);

    if (rc == LINKD_OK)
        rc = lk_pool_new(s.values->threads, &s.pool, err);
    if (rc == LINKD_OK)
        rc = queries_map(&s, err);
    if (rc == LINKD_OK)
        rc = weight_choose(&s, err);
    if (rc == LINKD_OK)
        rc = ways_judge(&s, err);
    for (size_t i = 0; i < s.n_ways && rc == LINKD_OK; i++)
        rc = way_result_make(&s, i, &results[i], err);
    if (rc == LINKD_OK)
        rc = s.values->json ? results_json(&s, results, err)
                            : results_print(&s, results, err);
    state_clear(&s);
    return rc;
}

const lk_command lk_cmd_compat_eval = {&syntax, &defaults, sizeof(defaults),
                                       eval_run};
