/* daemon/job_spec.c — what a job is asked to do, from JSON. */
#include "daemon/job_spec.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "daemon/request.h"

#define ON_MAX ((size_t)1024) /* a guess: columns that are compared */
/* Some megabytes, which the job's row keeps. */
#define QUERIES_MAX ((size_t)10000)
#define LABELS_MAX  ((size_t)50000)

static const char *const kind_names[] = {
    [LK_JOB_LINK] = "link",
    [LK_JOB_DEDUP] = "dedup",
    [LK_JOB_BACKUP] = "backup",
    [LK_JOB_FSCK] = "fsck",
    [LK_JOB_UPGRADE_PROBE] = "upgrade-probe",
    [LK_JOB_UPGRADE_START] = "upgrade-start",
    [LK_JOB_UPGRADE_BACKFILL] = "upgrade-backfill",
    [LK_JOB_UPGRADE_GC] = "upgrade-gc",
};

const char *lk_job_kind_name(lk_job_kind kind)
{
    return kind_names[kind];
}

static const char *const assign_names[] = {
    [LINKD_ASSIGN_RECIPROCAL] = "reciprocal",
    [LINKD_ASSIGN_ONE_TO_ONE] = "one-to-one",
    [LINKD_ASSIGN_ONE_TO_MANY] = "one-to-many",
    [LINKD_ASSIGN_MANY_TO_ONE] = "many-to-one",
    [LINKD_ASSIGN_MANY_TO_MANY] = "many-to-many",
    [LINKD_ASSIGN_AUTO] = "auto",
};

const char *lk_job_assign_name(linkd_assign assign)
{
    return assign_names[assign];
}

/* The members of each kind; "kind" first. */
static const char *const link_members[] = {
    "kind", "left",  "right", "on",        "left_on",   "right_on", "assign",
    "k",    "block", "model", "threshold", "min_score", "apply",    NULL};
static const char *const dedup_members[] = {
    "kind",  "input",     "on",        "cluster", "k", "block",
    "model", "threshold", "min_score", "apply",   NULL};
static const char *const backup_members[] = {"kind", "directory", NULL};
static const char *const fsck_members[] = {"kind", NULL};
static const char *const probe_members[] = {"kind",   "collection", "model",
                                            "head",   "anchors",    "queries",
                                            "labels", NULL};
static const char *const start_members[] = {"kind",    "collection", "model",
                                            "head",    "anchors",    "way",
                                            "queries", "labels",     NULL};
static const char *const backfill_members[] = {"kind", "collection", "limit",
                                               "rate", NULL};
static const char *const gc_members[] = {"kind", "collection", NULL};

static const char *const *const members_of[] = {
    [LK_JOB_LINK] = link_members,
    [LK_JOB_DEDUP] = dedup_members,
    [LK_JOB_BACKUP] = backup_members,
    [LK_JOB_FSCK] = fsck_members,
    [LK_JOB_UPGRADE_PROBE] = probe_members,
    [LK_JOB_UPGRADE_START] = start_members,
    [LK_JOB_UPGRADE_BACKFILL] = backfill_members,
    [LK_JOB_UPGRADE_GC] = gc_members,
};

/* Finds `name` in a list of spellings. */
static int choice_read(const json_t *request, const char *member,
                       const char *const *names, size_t n, size_t *ret_choice,
                       linkd_error *err)
{
    linkd_str given = {0};
    int rc = lk_json_get_string(request, member, &given, err);

    if (rc != LINKD_OK || given.bytes == NULL)
        return rc;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(given.bytes, names[i]) == 0) {
            *ret_choice = i;
            return LINKD_OK;
        }
    }
    return lk_fail(err, LINKD_E_ARG, "\"%s\" cannot be \"%s\"", member,
                   lk_label_of(given).text);
}

static int kind_read(const json_t *request, lk_job_spec *spec, linkd_error *err)
{
    size_t kind = SIZE_MAX;
    int rc;

    if (!json_is_object(request))
        return lk_fail(err, LINKD_E_ARG, "the body is not an object");
    rc = choice_read(request, "kind", kind_names,
                     sizeof(kind_names) / sizeof(kind_names[0]), &kind, err);
    if (rc != LINKD_OK)
        return rc;
    if (kind == SIZE_MAX)
        return lk_fail(err, LINKD_E_ARG, "\"kind\" is missing");
    spec->kind = (lk_job_kind)kind;
    return lk_json_check_members(request, "the body", members_of[kind], err);
}

/* ---- the sides ----------------------------------------------------------- */

static int side_read(const json_t *request, const char *member,
                     lk_job_side *side, linkd_error *err)
{
    static const char *const members[] = {"collection", "file", NULL};
    const json_t *json = json_object_get(request, member);
    int rc;

    if (json == NULL)
        return lk_fail(err, LINKD_E_ARG, "\"%s\" is missing", member);
    rc = lk_json_check_members(json, member, members, err);
    if (rc == LINKD_OK)
        rc = lk_json_get_string(json, "collection", &side->collection, err);
    if (rc == LINKD_OK)
        rc = lk_json_get_string(json, "file", &side->file, err);
    if (rc == LINKD_OK && (side->collection.len > 0) == (side->file.len > 0))
        rc = lk_fail(err, LINKD_E_ARG,
                     "\"%s\" names neither or both of a collection and a file",
                     member);
    return rc;
}

/* An array of columns. Absent: *ret_on stays as it is. */
static int on_read(const json_t *request, const char *member, lk_arena *arena,
                   const linkd_str **ret_on, size_t *ret_n, linkd_error *err)
{
    const json_t *json = json_object_get(request, member);
    size_t n = json_array_size(json);
    linkd_str *on;

    if (json == NULL || json_is_null(json))
        return LINKD_OK;
    if (!json_is_array(json) || n == 0 || n > ON_MAX)
        return lk_fail(err, LINKD_E_ARG,
                       "\"%s\" is not an array of 1 to %zu columns", member,
                       ON_MAX);
    on = lk_arena_alloc(arena, n * sizeof(*on));
    if (on == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < n; i++) {
        const json_t *name = json_array_get(json, i);

        if (!json_is_string(name))
            return lk_fail(err, LINKD_E_ARG, "\"%s\": column %zu is no string",
                           member, i);
        on[i] = (linkd_str){json_string_value(name), json_string_length(name)};
    }
    *ret_on = on;
    *ret_n = n;
    return LINKD_OK;
}

static int link_columns_read(const json_t *request, lk_arena *arena,
                             lk_job_spec *spec, linkd_error *err)
{
    const linkd_str *on = NULL;
    size_t n_on = 0;
    int rc = on_read(request, "on", arena, &on, &n_on, err);

    for (size_t i = 0; i < 2; i++) {
        spec->sides[i].on = on;
        spec->sides[i].n_on = n_on;
    }
    if (rc == LINKD_OK)
        rc = on_read(request, "left_on", arena, &spec->sides[0].on,
                     &spec->sides[0].n_on, err);
    if (rc == LINKD_OK)
        rc = on_read(request, "right_on", arena, &spec->sides[1].on,
                     &spec->sides[1].n_on, err);
    return rc;
}

/* ---- the kinds ----------------------------------------------------------- */

static bool has_file(const lk_job_spec *spec)
{
    return spec->sides[0].file.len > 0 || spec->sides[1].file.len > 0;
}

/* A job by scores needs vectors; whatever is given twice is given wrongly. */
static int decide_check(const lk_job_spec *spec, linkd_error *err)
{
    if (isnan(spec->min_score))
        return LINKD_OK;
    if (spec->threshold != LINKD_THRESHOLD_AUTO)
        return lk_fail(err, LINKD_E_ARG,
                       "\"min_score\" excludes \"threshold\"");
    if (spec->without_model)
        return lk_fail(err, LINKD_E_ARG, "\"min_score\" needs a model");
    return LINKD_OK;
}

static int model_read(const json_t *request, lk_job_spec *spec,
                      linkd_error *err)
{
    int rc = lk_json_get_string(request, "model", &spec->model, err);

    if (rc != LINKD_OK || spec->model.len == 0)
        return rc;
    spec->without_model = strcmp(spec->model.bytes, "none") == 0;
    if (!spec->without_model && !has_file(spec))
        return lk_fail(err, LINKD_E_ARG,
                       "\"model\" is for files: a collection has its own");
    return LINKD_OK;
}

/* A number from `least` to 1. Absent: *ret_value stays as it is. */
static int bound_read(const json_t *request, const char *member, int least,
                      double *ret_value, linkd_error *err)
{
    const json_t *json = json_object_get(request, member);
    double value = json_number_value(json);

    if (json == NULL || json_is_null(json))
        return LINKD_OK;
    if (!json_is_number(json) || !(value >= least && value <= 1.0))
        return lk_fail(err, LINKD_E_ARG, "\"%s\" is not a number from %d to 1",
                       member, least);
    *ret_value = value;
    return LINKD_OK;
}

/* How to decide, before all else since it has the defaults of the rest. */
static int bounds_read(const json_t *request, lk_job_spec *spec,
                       linkd_error *err)
{
    int rc;

    spec->threshold = LINKD_THRESHOLD_AUTO;
    spec->min_score = (double)NAN;
    rc = bound_read(request, "threshold", 0, &spec->threshold, err);
    if (rc == LINKD_OK)
        rc = bound_read(request, "min_score", -1, &spec->min_score, err);
    return rc;
}

static int search_read(const json_t *request, lk_job_spec *spec,
                       linkd_error *err)
{
    int rc = lk_json_get_size(request, "k", 1, LINKD_K_MAX, &spec->k, err);

    if (rc == LINKD_OK)
        rc = lk_json_get_string(request, "block", &spec->block, err);
    if (rc == LINKD_OK)
        rc = lk_json_get_bool(request, "apply", &spec->apply, err);
    if (rc == LINKD_OK)
        rc = model_read(request, spec, err);
    return rc == LINKD_OK ? decide_check(spec, err) : rc;
}

/* Records of the file go into the collection, and need its model for that. */
static int link_apply_check(const lk_job_spec *spec, linkd_error *err)
{
    if (spec->sides[0].file.len == 0 || spec->sides[1].collection.len == 0)
        return lk_fail(err, LINKD_E_ARG,
                       "\"apply\" needs a file on the left and a collection on "
                       "the right");
    if (spec->without_model)
        return lk_fail(err, LINKD_E_ARG,
                       "\"apply\" needs the collection's model");
    return LINKD_OK;
}

static int link_read(const json_t *request, lk_arena *arena, lk_job_spec *spec,
                     linkd_error *err)
{
    bool by_score = !isnan(spec->min_score);
    size_t assign = LINKD_ASSIGN_AUTO;
    int rc;

    spec->n_sides = 2;
    spec->k = by_score ? LINKD_LINK_K : 0;
    rc = side_read(request, "left", &spec->sides[0], err);
    if (rc == LINKD_OK)
        rc = side_read(request, "right", &spec->sides[1], err);
    if (rc == LINKD_OK)
        rc = link_columns_read(request, arena, spec, err);
    if (rc == LINKD_OK)
        rc = choice_read(request, "assign", assign_names,
                         sizeof(assign_names) / sizeof(assign_names[0]),
                         &assign, err);
    if (by_score && assign == LINKD_ASSIGN_AUTO)
        assign = LINKD_ASSIGN_RECIPROCAL;
    spec->assign = (linkd_assign)assign;
    if (rc == LINKD_OK)
        rc = search_read(request, spec, err);
    if (rc == LINKD_OK && spec->apply)
        rc = link_apply_check(spec, err);
    return rc;
}

static int dedup_read(const json_t *request, lk_arena *arena, lk_job_spec *spec,
                      linkd_error *err)
{
    static const char *const names[] = {
        [LINKD_CLUSTER_COMPONENTS] = "components",
        [LINKD_CLUSTER_COMPLETE] = "complete",
    };
    bool by_score = !isnan(spec->min_score);
    size_t cluster = LINKD_CLUSTER_COMPLETE;
    int rc;

    spec->n_sides = 1;
    spec->k = by_score ? LINKD_DEDUP_K : 0;
    spec->assign = LINKD_ASSIGN_MANY_TO_MANY;
    rc = side_read(request, "input", &spec->sides[0], err);
    if (rc == LINKD_OK)
        rc = on_read(request, "on", arena, &spec->sides[0].on,
                     &spec->sides[0].n_on, err);
    if (rc == LINKD_OK)
        rc = choice_read(request, "cluster", names,
                         sizeof(names) / sizeof(names[0]), &cluster, err);
    spec->cluster = (linkd_cluster)cluster;
    if (rc == LINKD_OK)
        rc = search_read(request, spec, err);
    if (rc == LINKD_OK && spec->apply && spec->sides[0].collection.len == 0)
        rc = lk_fail(err, LINKD_E_ARG, "\"apply\" needs a collection as input");
    return rc;
}

static int backup_read(const json_t *request, lk_job_spec *spec,
                       linkd_error *err)
{
    int rc = lk_json_get_string(request, "directory", &spec->directory, err);

    if (rc == LINKD_OK &&
        (spec->directory.len == 0 || spec->directory.bytes[0] != '/'))
        rc = lk_fail(err, LINKD_E_ARG, "\"directory\" is not an absolute path");
    return rc;
}

/* ---- upgrades ------------------------------------------------------------- */

/* Those of upgrades, beside "auto". Between two models with heads of one simplex
 * there is nothing to learn. */
static const struct {
    const char *word;
    linkd_compat_head head;
} heads[] = {
    {"procrustes", LINKD_HEAD_PROCRUSTES},
    {"ridge", LINKD_HEAD_RIDGE},
    {"mlp", LINKD_HEAD_MLP},
    {"bt2", LINKD_HEAD_BT2},
    {"contrast", LINKD_HEAD_CONTRAST},
    {"dsimplex", LINKD_HEAD_SIMPLEX},
};
#define N_HEADS (sizeof(heads) / sizeof(*heads))

const char *lk_job_head_name(linkd_compat_head head)
{
    size_t i = 0;

    while (i < N_HEADS && heads[i].head != head)
        i++;
    LK_ASSERT(i < N_HEADS);
    return heads[i].word;
}

static int head_read(const json_t *request, lk_job_spec *spec, linkd_error *err)
{
    linkd_str word = {"auto", 4};
    size_t i = 0;
    int rc = lk_json_get_string(request, "head", &word, err);

    if (rc != LINKD_OK)
        return rc;
    spec->auto_head = lk_str_is(word, "auto");
    if (spec->auto_head)
        return LINKD_OK;
    while (i < N_HEADS && !lk_str_is(word, heads[i].word))
        i++;
    if (i == N_HEADS)
        return lk_fail(err, LINKD_E_ARG,
                       "\"head\" is not auto, procrustes, ridge, mlp, bt2, "
                       "contrast or dsimplex");
    spec->head = heads[i].head;
    return LINKD_OK;
}

static int labels_check(const lk_job_spec *spec, linkd_error *err)
{
    return !spec->auto_head && spec->head == LINKD_HEAD_CONTRAST &&
                   spec->n_labels == 0
               ? lk_fail(err, LINKD_E_ARG, "the head contrast needs \"labels\"")
               : LINKD_OK;
}

static int way_read(const json_t *request, lk_job_spec *spec, linkd_error *err)
{
    linkd_str word = {"fuse", 4};
    int rc = lk_json_get_string(request, "way", &word, err);

    if (rc == LINKD_OK && !linkd_way_parse(word, &spec->way))
        rc = lk_fail(err, LINKD_E_ARG, "\"way\" is not fuse, align or cascade");
    return rc;
}

/* An object of two texts, neither of them empty. */
static int texts_read(const json_t *item, const char *const members[3],
                      const char *what, size_t i, linkd_str *const ret_texts[2],
                      linkd_error *err)
{
    char where[40];
    int rc;

    (void)snprintf(where, sizeof(where), "%s %zu", what, i);
    *ret_texts[0] = *ret_texts[1] = (linkd_str){"", 0};
    rc = lk_json_check_members(item, where, members, err);
    for (size_t m = 0; m < 2 && rc == LINKD_OK; m++)
        rc = lk_json_get_string(item, members[m], ret_texts[m], err);
    if (rc == LINKD_OK && (ret_texts[0]->len == 0 || ret_texts[1]->len == 0))
        rc = lk_fail(err, LINKD_E_ARG, "%s has no \"%s\" or no \"%s\"", where,
                     members[0], members[1]);
    return rc;
}

/* Room for an array of `least` to `most` items. Absent: *ret_n is 0. */
static int array_read(const json_t *request, const char *member, size_t least,
                      size_t most, size_t item_bytes, lk_arena *arena,
                      void **ret_array, size_t *ret_n, linkd_error *err)
{
    const json_t *json = json_object_get(request, member);
    size_t n = json_array_size(json);

    *ret_n = 0;
    if (json == NULL || json_is_null(json))
        return LINKD_OK;
    if (!json_is_array(json) || n < least || n > most)
        return lk_fail(err, LINKD_E_ARG,
                       "\"%s\" is not an array of %zu to %zu %s", member, least,
                       most, member);
    *ret_array = lk_arena_alloc(arena, n * item_bytes);
    if (*ret_array == NULL)
        return lk_fail_nomem(err);
    *ret_n = n;
    return LINKD_OK;
}

static int queries_read(const json_t *request, lk_arena *arena,
                        lk_job_spec *spec, linkd_error *err)
{
    static const char *const members[] = {"query", "id", NULL};
    const json_t *json = json_object_get(request, "queries");
    lk_job_query *list;
    void *array = NULL;
    int rc = array_read(request, "queries", LK_QUERIES_MIN, QUERIES_MAX,
                        sizeof(*list), arena, &array, &spec->n_queries, err);

    list = array;
    for (size_t i = 0; i < spec->n_queries && rc == LINKD_OK; i++) {
        linkd_str *const texts[] = {&list[i].text, &list[i].id};

        rc = texts_read(json_array_get(json, i), members, "query", i, texts,
                        err);
    }
    spec->queries = list;
    return rc;
}

static int labels_read(const json_t *request, lk_arena *arena,
                       lk_job_spec *spec, linkd_error *err)
{
    static const char *const members[] = {"id", "entity", NULL};
    const json_t *json = json_object_get(request, "labels");
    lk_job_label *list;
    void *array = NULL;
    int rc = array_read(request, "labels", 2, LABELS_MAX, sizeof(*list), arena,
                        &array, &spec->n_labels, err);

    list = array;
    for (size_t i = 0; i < spec->n_labels && rc == LINKD_OK; i++) {
        linkd_str *const texts[] = {&list[i].id, &list[i].entity};

        rc = texts_read(json_array_get(json, i), members, "label", i, texts,
                        err);
    }
    spec->labels = list;
    return rc;
}

/* Leaves room for what answers a query or is labelled, and is no anchor. */
static void anchors_limit(lk_job_spec *spec)
{
    size_t n_added = spec->n_queries + spec->n_labels;
    size_t most = LINKD_ANCHORS_MAX - n_added;

    if (spec->n_anchors > most)
        spec->n_anchors = most;
}

static int upgrade_start_read(const json_t *request, lk_arena *arena,
                              lk_job_spec *spec, linkd_error *err)
{
    int rc = lk_json_get_string(request, "model", &spec->model, err);

    spec->n_anchors = LINKD_ANCHORS;
    if (rc == LINKD_OK && spec->model.len == 0)
        rc = lk_fail(err, LINKD_E_ARG, "\"model\" is missing");
    if (rc == LINKD_OK)
        rc = head_read(request, spec, err);
    if (rc == LINKD_OK)
        rc = way_read(request, spec, err);
    if (rc == LINKD_OK)
        rc = lk_json_get_size(request, "anchors", LINKD_ANCHORS_MIN,
                              LINKD_ANCHORS_MAX, &spec->n_anchors, err);
    if (rc == LINKD_OK)
        rc = queries_read(request, arena, spec, err);
    if (rc == LINKD_OK)
        rc = labels_read(request, arena, spec, err);
    if (rc == LINKD_OK)
        rc = labels_check(spec, err);
    if (rc == LINKD_OK)
        anchors_limit(spec);
    return rc;
}

static int upgrade_read(const json_t *request, lk_arena *arena,
                        lk_job_spec *spec, linkd_error *err)
{
    int rc = lk_json_get_string(request, "collection", &spec->collection, err);

    if (rc != LINKD_OK)
        return rc;
    if (spec->kind == LK_JOB_UPGRADE_START ||
        spec->kind == LK_JOB_UPGRADE_PROBE)
        return upgrade_start_read(request, arena, spec, err);
    rc = lk_json_get_size(request, "limit", 1, SIZE_MAX / 2, &spec->limit, err);
    if (rc == LINKD_OK)
        rc = lk_json_get_size(request, "rate", 1, SIZE_MAX / 2, &spec->rate,
                              err);
    return rc;
}

int lk_job_spec_read(const json_t *request, lk_arena *arena,
                     lk_job_spec *ret_spec, linkd_error *err)
{
    lk_job_spec spec = {0};
    int rc = kind_read(request, &spec, err);

    if (rc != LINKD_OK)
        return rc;
    rc = bounds_read(request, &spec, err);
    if (rc != LINKD_OK)
        return rc;
    if (spec.kind == LK_JOB_LINK)
        rc = link_read(request, arena, &spec, err);
    else if (spec.kind == LK_JOB_DEDUP)
        rc = dedup_read(request, arena, &spec, err);
    else if (spec.kind == LK_JOB_BACKUP)
        rc = backup_read(request, &spec, err);
    else if (spec.kind >= LK_JOB_UPGRADE_PROBE)
        rc = upgrade_read(request, arena, &spec, err);
    if (rc == LINKD_OK)
        *ret_spec = spec;
    return rc;
}
