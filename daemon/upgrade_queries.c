/* daemon/upgrade_queries.c — the queries that models are compared by.
 *
 *   provisional   every fifth anchor's text, damaged: what there always is
 *   given         a user's queries, each with the record that answers it
 *
 * A given query's record is mostly no anchor: then it is added to the gallery,
 * behind the anchors, which are the only ones that are kept. No answer may have
 * been fitted on, or queries would flatter the map, so answers among the anchors
 * are held out; but not more than a fifth of these, and queries for others go
 * unused, as do those beyond LK_QUERIES_MOST. Which ones is left to chance, the same
 * each time: a file may be in some order.
 *
 * Records of the same text are one to every model: the first one stands for
 * all. */
#include "daemon/upgrade.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

static int query_add(lk_upgrade_sample *s, linkd_str query, size_t answer,
                     linkd_error *err)
{
    char *copy = lk_arena_copy(&s->arena, query.bytes, query.len);

    if (copy == NULL)
        return lk_fail_nomem(err);
    s->queries[s->n_queries] = (linkd_str){copy, query.len};
    s->answers[s->n_queries++] = answer;
    return LINKD_OK;
}

/* ---- provisional ones --------------------------------------------------------- */

static int provisional_make(lk_upgrade_sample *s, linkd_error *err)
{
    lk_buf query = {0};
    int rc = LINKD_OK;

    for (size_t i = 0; i < s->n && rc == LINKD_OK; i += LINKD_ANCHORS_HELD) {
        lk_buf_reset(&query);
        s->held[i] = true;
        rc = linkd_provisional_query(s->texts[i], &query, err);
        if (rc == LINKD_OK && query.len > 0)
            rc = query_add(s, (linkd_str){query.data, query.len}, i, err);
    }
    lk_buf_clear(&query);
    return rc;
}

/* ---- the gallery by text -------------------------------------------------------- */

/* Open addressing; a place is a text's number + 1, or 0. */
typedef struct gallery {
    uint32_t *places;
    size_t n_places;
} gallery;

static uint32_t *place_of(const gallery *g, const lk_upgrade_sample *s,
                          linkd_str text)
{
    size_t at = (size_t)XXH3_64bits(text.bytes, text.len) % g->n_places;

    while (g->places[at] != 0) {
        const linkd_str *there = &s->texts[g->places[at] - 1];

        if (there->len == text.len &&
            memcmp(there->bytes, text.bytes, text.len) == 0)
            break;
        at = (at + 1) % g->n_places;
    }
    return &g->places[at];
}

/* With room for so many texts more. */
static int gallery_make(const lk_upgrade_sample *s, size_t n_added,
                        gallery *ret, linkd_error *err)
{
    ret->n_places = 2 * (s->n_kept + n_added) + 1;
    ret->places = calloc(ret->n_places, sizeof(*ret->places));
    if (ret->places == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < s->n_kept; i++) {
        uint32_t *place = place_of(ret, s, s->texts[i]);

        if (*place == 0)
            *place = (uint32_t)i + 1;
    }
    return LINKD_OK;
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

static int answer_read(const lk_upgrade_sample *s, linkd_view *view,
                       linkd_str id, lk_buf *ret_text, linkd_error *err)
{
    lk_arena arena = {0};
    linkd_stored record;
    uint64_t number = 0;
    bool found = false;
    int rc = linkd_view_find(view, id, &number, &found, err);

    lk_buf_reset(ret_text);
    if (rc == LINKD_OK && !found)
        rc = lk_fail(err, LINKD_E_ARG,
                     "there is no record \"%s\", which a query looks for",
                     lk_label_of(id).text);
    if (rc == LINKD_OK)
        rc = linkd_view_read(view, number, &arena, &record, err);
    if (rc == LINKD_OK)
        rc = linkd_settings_text(&s->settings, record.fields, record.n_fields,
                                 ret_text, err);
    lk_arena_clear(&arena);
    return rc;
}

/* The answer's place in the gallery, where it is put if need be; SIZE_MAX: it
 * cannot be held out any more. */
static int answer_place(lk_upgrade_sample *s, const gallery *g, linkd_str text,
                        size_t *n_held, size_t *ret_place, linkd_error *err)
{
    uint32_t *place = place_of(g, s, text);
    size_t at = *place == 0 ? s->n : *place - 1;

    *ret_place = SIZE_MAX;
    if (at < s->n_kept && !s->held[at] &&
        (*n_held + 1) * LINKD_ANCHORS_HELD > s->n_kept)
        return LINKD_OK;
    if (at == s->n) {
        char *copy = lk_arena_copy(&s->arena, text.bytes, text.len);

        if (copy == NULL)
            return lk_fail_nomem(err);
        s->texts[s->n++] = (linkd_str){copy, text.len};
        *place = (uint32_t)s->n;
    }
    *n_held += at < s->n_kept && !s->held[at];
    s->held[at] = true;
    *ret_place = at;
    return LINKD_OK;
}

static size_t root_of(const size_t *groups, size_t i)
{
    while (groups[i] != i)
        i = groups[i];
    return i;
}

/* Puts the answers of one query into one group; SIZE_MAX: not all of them can be
 * held out, or none has a text. */
static int answers_take(lk_upgrade_sample *s, linkd_view *view,
                        const gallery *g, const given *list, size_t n,
                        size_t *n_held, size_t *ret_answer, linkd_error *err)
{
    lk_buf text = {0};
    size_t answer = SIZE_MAX;
    size_t place = 0;
    int rc = LINKD_OK;

    for (size_t i = 0; i < n && rc == LINKD_OK && place != SIZE_MAX; i++) {
        rc = answer_read(s, view, list[i].query->id, &text, err);
        if (rc != LINKD_OK || text.len == 0)
            continue;
        rc = answer_place(s, g, (linkd_str){text.data, text.len}, n_held,
                          &place, err);
        if (rc != LINKD_OK || place == SIZE_MAX)
            continue;
        answer = answer == SIZE_MAX ? place : answer;
        s->groups[root_of(s->groups, place)] = root_of(s->groups, answer);
    }
    lk_buf_clear(&text);
    *ret_answer = place == SIZE_MAX ? SIZE_MAX : answer;
    return rc;
}

static int given_take(lk_upgrade_sample *s, linkd_view *view, const gallery *g,
                      const given *list, size_t n, linkd_error *err)
{
    size_t n_held = 0;
    size_t length;
    size_t answer;
    int rc = LINKD_OK;

    for (size_t i = 0; i < n && rc == LINKD_OK && i < LK_QUERIES_MOST;
         i += length) {
        length = run_length(list + i, n - i);
        rc = answers_take(s, view, g, list + i, length, &n_held, &answer, err);
        if (rc == LINKD_OK && answer != SIZE_MAX)
            rc = query_add(s, list[i].query->text, answer, err);
    }
    for (size_t i = 0; i < s->n; i++)
        s->groups[i] = root_of(s->groups, i);
    return rc;
}

static int given_make(lk_upgrade_sample *s, linkd_view *view,
                      const lk_job_spec *spec, linkd_error *err)
{
    gallery g = {0};
    given *list = given_shuffle(spec);
    int rc = list == NULL ? lk_fail_nomem(err)
                          : gallery_make(s, spec->n_queries, &g, err);

    if (rc == LINKD_OK)
        rc = given_take(s, view, &g, list, spec->n_queries, err);
    if (rc == LINKD_OK && s->n_queries < LK_QUERIES_MIN)
        rc = lk_fail(err, LINKD_E_ARG,
                     "%zu different queries can be asked, at least %zu are "
                     "needed",
                     s->n_queries, LK_QUERIES_MIN);
    free(g.places);
    free(list);
    return rc;
}

int lk_upgrade_queries_make(lk_upgrade_sample *s, linkd_view *view,
                            const lk_job_spec *spec, linkd_error *err)
{
    size_t n_added = spec->n_queries;
    linkd_str *texts = lk_upgrade_room(s, s->n + n_added, sizeof(*texts));

    s->n_kept = s->n;
    s->queries = lk_upgrade_room(s, s->n + n_added, sizeof(*s->queries));
    s->answers = lk_upgrade_room(s, s->n + n_added, sizeof(*s->answers));
    s->held = lk_upgrade_room(s, s->n + n_added, sizeof(*s->held));
    s->groups = lk_upgrade_room(s, s->n + n_added, sizeof(*s->groups));
    if (texts == NULL || s->queries == NULL || s->answers == NULL ||
        s->held == NULL || s->groups == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < s->n + n_added; i++)
        s->groups[i] = i;
    memcpy(texts, s->texts, s->n * sizeof(*texts));
    memset(s->held, 0, (s->n + n_added) * sizeof(*s->held));
    s->texts = texts;
    return spec->n_queries > 0 ? given_make(s, view, spec, err)
                               : provisional_make(s, err);
}
