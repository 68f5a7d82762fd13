/* daemon/upgrade_queries.c — the queries that models are compared by.
 *
 *   provisional   every fifth anchor's text, damaged: what there always is
 *   given         a user's queries, each with the record that answers it
 *   labelled      records of entities that a user knows (upgrade_labels.c)
 *
 * A given query's record is mostly no anchor: then it is added to the gallery,
 * behind the anchors, which are the only ones that are kept. Queries for answers
 * that cannot be added or held out any more go unused, as do those beyond
 * LK_QUERIES_MOST. Which ones is left to chance, the same each time: a file may
 * be in some order. */
#include "daemon/upgrade_gallery.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* ---- provisional ones --------------------------------------------------------- */

static int provisional_make(lk_gallery *g, linkd_error *err)
{
    lk_upgrade_sample *s = g->sample;
    lk_buf query = {0};
    int rc = LINKD_OK;

    for (size_t i = 0; i < s->n && rc == LINKD_OK; i += LINKD_ANCHORS_HELD) {
        lk_buf_reset(&query);
        s->held[i] = true;
        rc = linkd_provisional_query(s->texts[i], &query, err);
        if (rc == LINKD_OK && query.len > 0)
            rc = lk_gallery_ask(g, (linkd_str){query.data, query.len}, i,
                                SIZE_MAX, err);
    }
    lk_buf_clear(&query);
    return rc;
}

/* ---- given ones ---------------------------------------------------------------- */

typedef struct given {
    const lk_job_query *query;
    uint64_t chance;
} given;

static int given_compare(const void *a, const void *b)
{
    const given *x = a;
    const given *y = b;

    if (x->chance != y->chance)
        return x->chance < y->chance ? -1 : 1;
    return (x->query > y->query) - (x->query < y->query);
}

/* Queries of the same text stay together. */
static given *given_shuffle(const lk_job_spec *spec)
{
    given *list = calloc(spec->n_queries + 1, sizeof(*list));

    for (size_t i = 0; list != NULL && i < spec->n_queries; i++) {
        linkd_str text = spec->queries[i].text;

        list[i] = (given){&spec->queries[i], XXH3_64bits(text.bytes, text.len)};
    }
    if (list != NULL)
        qsort(list, spec->n_queries, sizeof(*list), given_compare);
    return list;
}

/* How many from the first on are one query. */
static size_t run_length(const given *list, size_t n)
{
    size_t length = 1;

    while (length < n && list[length].chance == list[0].chance)
        length++;
    return length;
}

/* Puts the answers of one query into one group; SIZE_MAX: not all of them can be
 * held out, or none has a text. */
static int answers_take(lk_gallery *g, linkd_view *view, const given *list,
                        size_t n, size_t *ret_answer, linkd_error *err)
{
    lk_buf text = {0};
    size_t answer = SIZE_MAX;
    size_t place = 0;
    int rc = LINKD_OK;

    for (size_t i = 0; i < n && rc == LINKD_OK && place != SIZE_MAX; i++) {
        rc = lk_gallery_read(g->sample, view, list[i].query->id,
                             "a query looks for", &text, err);
        if (rc != LINKD_OK || text.len == 0)
            continue;
        rc = lk_gallery_hold(g, (linkd_str){text.data, text.len}, &place, err);
        if (rc != LINKD_OK || place == SIZE_MAX)
            continue;
        answer = answer == SIZE_MAX ? place : answer;
        lk_gallery_join(g, place, answer);
    }
    lk_buf_clear(&text);
    *ret_answer = place == SIZE_MAX ? SIZE_MAX : answer;
    return rc;
}

static int given_make(lk_gallery *g, linkd_view *view, const lk_job_spec *spec,
                      linkd_error *err)
{
    given *list = given_shuffle(spec);
    size_t n =
        spec->n_queries < LK_QUERIES_MOST ? spec->n_queries : LK_QUERIES_MOST;
    size_t length;
    size_t answer;
    int rc = list == NULL ? lk_fail_nomem(err) : LINKD_OK;

    for (size_t i = 0; i < n && rc == LINKD_OK; i += length) {
        length = run_length(list + i, spec->n_queries - i);
        rc = answers_take(g, view, list + i, length, &answer, err);
        if (rc == LINKD_OK && answer != SIZE_MAX)
            rc = lk_gallery_ask(g, list[i].query->text, answer, SIZE_MAX, err);
    }
    free(list);
    return rc;
}

/* ---- all of them ---------------------------------------------------------------- */

/* Room for texts that are no anchors, and nothing asked yet. */
static int sample_widen(lk_upgrade_sample *s, size_t n_added, linkd_error *err)
{
    size_t n = s->n + n_added;
    linkd_str *texts = lk_upgrade_room(s, n, sizeof(*texts));

    s->n_kept = s->n;
    s->queries = lk_upgrade_room(s, n, sizeof(*s->queries));
    s->answers = lk_upgrade_room(s, n, sizeof(*s->answers));
    s->asked = lk_upgrade_room(s, n, sizeof(*s->asked));
    s->held = lk_upgrade_room(s, n, sizeof(*s->held));
    s->groups = lk_upgrade_room(s, n, sizeof(*s->groups));
    if (texts == NULL || s->queries == NULL || s->answers == NULL ||
        s->asked == NULL || s->held == NULL || s->groups == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < n; i++)
        s->groups[i] = i;
    memcpy(texts, s->texts, s->n * sizeof(*texts));
    memset(s->held, 0, n * sizeof(*s->held));
    s->texts = texts;
    return LINKD_OK;
}

/* Texts that may be no anchors; with these it is as many as a fit takes at most. */
static size_t n_added_of(const lk_upgrade_sample *s, const lk_job_spec *spec)
{
    size_t n = spec->n_queries + spec->n_labels;
    size_t most = s->n < LINKD_ANCHORS_MAX ? LINKD_ANCHORS_MAX - s->n : 0;

    return n < most ? n : most;
}

/* A user's are as many as there are, and may be too few. */
static int enough_check(const lk_upgrade_sample *s, const lk_job_spec *spec,
                        linkd_error *err)
{
    bool is_users = spec->n_queries > 0 || spec->n_labels > 0;

    if (!is_users || s->n_queries >= LK_QUERIES_MIN)
        return LINKD_OK;
    return lk_fail(err, LINKD_E_ARG,
                   "%zu different queries can be asked, at least %zu are "
                   "needed%s",
                   s->n_queries, LK_QUERIES_MIN,
                   spec->n_queries > 0
                       ? ""
                       : ": labels ask one for each entity of two records or "
                         "more");
}

bool lk_upgrade_is_taught(const lk_job_spec *spec)
{
    return !spec->auto_head && spec->head == LINKD_HEAD_CONTRAST;
}

/* That there are two records of one entity to fit on. */
static int taught_check(const lk_upgrade_sample *s, const lk_job_spec *spec,
                        linkd_error *err)
{
    bool *seen = calloc(spec->n_labels + s->n + 1, sizeof(*seen));
    bool is_taught = false;

    if (seen == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < s->n; i++)
        if (!s->held[i]) {
            is_taught = is_taught || seen[s->labels[i]];
            seen[s->labels[i]] = true;
        }
    free(seen);
    return is_taught ? LINKD_OK
                     : lk_fail(err, LINKD_E_ARG,
                               "the head learns nothing from the labels: they "
                               "name no entity of two records beside those "
                               "that are asked for");
}

int lk_upgrade_queries_make(lk_upgrade_sample *s, linkd_view *view,
                            const lk_job_spec *spec, linkd_error *err)
{
    size_t n_added = n_added_of(s, spec);
    lk_gallery g = {0};
    int rc = sample_widen(s, n_added, err);

    if (rc == LINKD_OK)
        rc = lk_gallery_open(s, n_added, &g, err);
    if (rc == LINKD_OK && spec->n_queries > 0)
        rc = given_make(&g, view, spec, err);
    else if (rc == LINKD_OK && spec->n_labels == 0)
        rc = provisional_make(&g, err);
    if (rc == LINKD_OK && spec->n_labels > 0)
        rc = lk_upgrade_labels_make(&g, view, spec, err);
    if (rc == LINKD_OK) {
        /* entities have numbers below that of labels */
        lk_gallery_hold_others(&g,
                               lk_upgrade_is_taught(spec) ? spec->n_labels : 0);
        lk_gallery_settle(&g);
        rc = enough_check(s, spec, err);
    }
    if (rc == LINKD_OK && spec->n_labels > 0 && lk_upgrade_is_taught(spec))
        rc = taught_check(s, spec, err);
    lk_gallery_close(&g);
    return rc;
}
