/* daemon/handle_search.c — the records nearest to texts, pictures, vectors or
 * records. Texts below are contents: they have their pictures in them
 * (query_content.h).
 *
 *   body ─► options and queries ─► texts ─► vectors ─► view ─► hits ─► answer
 *
 * The view is opened after the texts are encoded: it is short and never waits.
 * Queries that differ in nothing but their vector are searched together, a run
 * at a time; a query by record leaves that record out, so it goes alone. Hits
 * are printed straight into the response, since many thousands may be asked for.
 *
 * A collection whose model was changed is searched by linkage/mixed.c: a text is
 * encoded by older models, too, as far as they are there, and hits say which
 * generation they are of and how probable they are. In a cascade it is searched
 * twice: once for what is to be encoded anew, with the view closed meanwhile
 * (cascade.h), and once for the answer.
 *
 * A query has no vector when its text holds no word that the model knows, or
 * its record has none: nothing is near to it, and its list is empty. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/bodies.h"
#include "daemon/bridges.h"
#include "daemon/cascade.h"
#include "daemon/handlers.h"
#include "daemon/hits.h"
#include "daemon/print.h"
#include "daemon/query_content.h"
#include "daemon/target.h"

#define QUERIES_MAX ((size_t)1000)
/* Hits of a run that are kept at once: 16 MB. */
#define RUN_HITS_MAX ((size_t)1 << 20)
/* An answer that is longer than any bulk request may be. */
#define ANSWER_MAX_BYTES ((size_t)256 << 20)
/* Hits between looks at clock and length, and the arena's emptying. A guess. */
#define HITS_PER_CHECK ((size_t)256)

typedef struct query {
    linkd_str text; /* of a query by text, picture or both */
    linkd_str id;   /* of a query by record */
    const json_t *vector_json;
    const float *vector; /* [dim], or NULL: has no hits */
    uint32_t generation; /* that the vector is of */
    size_t place;        /* among the encoded texts; SIZE_MAX: no text */
    uint64_t exclude;
} query;

typedef struct search {
    lk_service *service;
    lk_request *request;
    lk_target target;
    query *queries;
    size_t n;
    size_t n_texts;
    lk_query_kinds kinds; /* of these */
    bool is_list;         /* the answer is a list of lists */
    linkd_search_options options;
    bool has_k;
    bool has_threshold;
    float lowest; /* score of a hit, rounded */
    linkd_limit limit;
    bool has_way; /* else the collection's serves */
    linkd_way way;
    bool has_candidates;
    size_t n_candidates; /* of each query, that are encoded anew */
    lk_cascade cascade;
    bool all;
    const linkd_filter *filter; /* may be NULL */
    bool shows_fields;
    const linkd_str *fields; /* [n_fields]; NULL: every one but pictures */
    size_t n_fields;
    linkd_str image; /* the field with the picture */
    linkd_view *view;
    const linkd_bridges *bridges; /* NULL: the model was never changed */
    lk_homes homes;
    lk_buf *body;
} search;

/* ---- options ------------------------------------------------------------- */

static int fields_read(const json_t *value, search *s, linkd_error *err)
{
    size_t n = json_array_size(value);
    linkd_str *names;

    s->shows_fields = !json_is_false(value);
    if (value == NULL || json_is_null(value) || json_is_boolean(value))
        return LINKD_OK;
    if (!json_is_array(value) || n > LINKD_FIELDS_MAX)
        return lk_fail(err, LINKD_E_ARG,
                       "\"fields\" is not true, false or an array of at most "
                       "%zu names",
                       LINKD_FIELDS_MAX);
    names = lk_arena_alloc(&s->request->arena, (n + 1) * sizeof(*names));
    if (names == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < n; i++) {
        const json_t *name = json_array_get(value, i);

        if (!json_is_string(name))
            return lk_fail(err, LINKD_E_ARG,
                           "\"fields\": item %zu is not a field's name", i);
        names[i] =
            (linkd_str){json_string_value(name), json_string_length(name)};
    }
    s->fields = names;
    s->n_fields = n;
    return LINKD_OK;
}

static bool has_member(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);

    return value != NULL && !json_is_null(value);
}

static int range_check(const search *s, linkd_error *err)
{
    if (s->all && s->has_k)
        return lk_fail(err, LINKD_E_ARG, "\"all\" takes no \"k\"");
    if (s->all && s->limit.kind == LINKD_LIMIT_NONE)
        return lk_fail(err, LINKD_E_ARG, "\"all\" needs a \"threshold\"");
    if (s->all && s->has_way && s->way == LINKD_WAY_CASCADE)
        return lk_fail(err, LINKD_E_ARG, "\"all\" takes no cascade");
    return LINKD_OK;
}

/* A limit on another scale than that of scores; one of all. */
static int limit_read(const json_t *object, const char *name,
                      linkd_limit_kind kind, search *s, linkd_error *err)
{
    const json_t *value = json_object_get(object, name);
    double number = json_number_value(value);

    if (value == NULL || json_is_null(value))
        return LINKD_OK;
    if (!json_is_number(value) || !(number > 0.0 && number < 1.0))
        return lk_fail(err, LINKD_E_ARG,
                       "\"%s\" is not a number between 0 and 1", name);
    if (s->limit.kind != LINKD_LIMIT_NONE)
        return lk_fail(err, LINKD_E_ARG,
                       "\"threshold\", \"false_match_rate\" and "
                       "\"probability\" exclude each other");
    s->limit = (linkd_limit){kind, number};
    return LINKD_OK;
}

static int limits_read(const json_t *object, search *s, linkd_error *err)
{
    int rc;

    if (s->has_threshold)
        s->limit =
            (linkd_limit){LINKD_LIMIT_SCORE, (double)s->options.threshold};
    rc = limit_read(object, "false_match_rate", LINKD_LIMIT_FALSE_MATCH_RATE, s,
                    err);
    return rc == LINKD_OK ? limit_read(object, "probability",
                                       LINKD_LIMIT_PROBABILITY, s, err)
                          : rc;
}

/* How records of older models are searched. */
static int compat_read(const json_t *object, search *s, linkd_error *err)
{
    linkd_str compat = {0};
    int rc = lk_json_get_string(object, "compat", &compat, err);

    s->has_way = compat.bytes != NULL;
    s->has_candidates = has_member(object, "candidates");
    s->n_candidates = LK_CASCADE;
    if (rc == LINKD_OK && s->has_way && !linkd_way_parse(compat, &s->way))
        rc = lk_fail(err, LINKD_E_ARG,
                     "\"compat\" is not fuse, align or cascade");
    return rc == LINKD_OK
               ? lk_json_get_size(object, "candidates", 1, LK_CASCADE_MAX,
                                  &s->n_candidates, err)
               : rc;
}

static int options_read(const json_t *object, search *s, linkd_error *err)
{
    const json_t *filter = json_object_get(object, "filter");
    linkd_search_options *o = &s->options;
    int rc = lk_json_get_size(object, "k", 1, LINKD_K_MAX, &o->k, err);

    if (rc == LINKD_OK)
        rc = lk_json_get_float(object, "threshold", &o->threshold, err);
    if (rc == LINKD_OK)
        rc =
            lk_json_get_size(object, "effort", 1, LINKD_K_MAX, &o->effort, err);
    if (rc == LINKD_OK)
        rc = lk_json_get_bool(object, "exact", &o->exact, err);
    if (rc == LINKD_OK)
        rc = lk_json_get_bool(object, "all", &s->all, err);
    if (rc == LINKD_OK)
        rc = fields_read(json_object_get(object, "fields"), s, err);
    if (rc == LINKD_OK && has_member(object, "filter"))
        rc = lk_json_get_filter(filter, &s->request->arena, &s->filter, err);
    s->has_k = has_member(object, "k");
    s->has_threshold = has_member(object, "threshold");
    if (rc == LINKD_OK)
        rc = limits_read(object, s, err);
    if (rc == LINKD_OK)
        rc = compat_read(object, s, err);
    s->lowest = lk_score_round(o->threshold);
    o->threshold = lk_score_margin(o->threshold);
    return rc == LINKD_OK ? range_check(s, err) : rc;
}

/* ---- queries ------------------------------------------------------------- */

static int queries_reserve(search *s, size_t n, linkd_error *err)
{
    if (n == 0 || n > QUERIES_MAX)
        return lk_fail(err, LINKD_E_ARG, "%zu queries at once, not 1 to %zu", n,
                       QUERIES_MAX);
    s->queries = lk_arena_alloc(&s->request->arena, n * sizeof(*s->queries));
    if (s->queries == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < n; i++)
        s->queries[i] = (query){.exclude = LINKD_ID_NONE, .place = SIZE_MAX};
    s->n = n;
    return LINKD_OK;
}

/* One of "text" and "image", "vector", and "record". */
static int query_read(const json_t *object, const char *where, search *s,
                      query *q, linkd_error *err)
{
    bool has_text = has_member(object, "text") || has_member(object, "image");
    int n =
        has_text + has_member(object, "vector") + has_member(object, "record");
    int rc = lk_json_get_string(object, "record", &q->id, err);

    if (rc == LINKD_OK && n != 1)
        rc = lk_fail(err, LINKD_E_ARG,
                     "%s has not one of \"text\" or \"image\", \"vector\" and "
                     "\"record\"",
                     where);
    if (rc == LINKD_OK && has_text)
        rc = lk_query_content_read(object, where, &s->request->arena, &s->kinds,
                                   &q->text, err);
    if (has_member(object, "vector"))
        q->vector_json = json_object_get(object, "vector");
    s->n_texts += has_text;
    return rc;
}

static int query_list_read(const json_t *array, search *s, linkd_error *err)
{
    static const char *const members[] = {"text", "image", "vector", "record",
                                          NULL};
    int rc;

    if (!json_is_array(array))
        return lk_fail(err, LINKD_E_ARG, "\"queries\" is not an array");
    s->is_list = true;
    rc = queries_reserve(s, json_array_size(array), err);
    for (size_t i = 0; i < s->n && rc == LINKD_OK; i++) {
        const json_t *object = json_array_get(array, i);
        char where[40];

        (void)snprintf(where, sizeof(where), "query %zu", i);
        rc = lk_json_check_members(object, where, members, err);
        if (rc == LINKD_OK)
            rc = query_read(object, where, s, &s->queries[i], err);
    }
    return rc;
}

static int json_read(const json_t *body, search *s, linkd_error *err)
{
    static const char *const members[] = {
        "text",        "vector",           "record",     "queries",
        "k",           "threshold",        "filter",     "fields",
        "exact",       "effort",           "all",        "compat",
        "probability", "false_match_rate", "candidates", "image",
        NULL};
    static const char *const no_parameters[] = {NULL};
    int rc = lk_request_check_query(s->request, no_parameters, err);

    if (rc == LINKD_OK)
        rc = lk_json_check_members(body, "the body", members, err);
    if (rc == LINKD_OK)
        rc = options_read(body, s, err);
    if (rc != LINKD_OK)
        return rc;
    if (!has_member(body, "queries")) {
        rc = queries_reserve(s, 1, err);
        return rc == LINKD_OK
                   ? query_read(body, "the body", s, &s->queries[0], err)
                   : rc;
    }
    if (has_member(body, "text") || has_member(body, "vector") ||
        has_member(body, "record") || has_member(body, "image"))
        return lk_fail(err, LINKD_E_ARG,
                       "the body has \"queries\" and a query beside them");
    return query_list_read(json_object_get(body, "queries"), s, err);
}

/* ---- a body of bare vectors ---------------------------------------------- */

const char *const lk_search_parameters[] = {
    "k",           "threshold",        "filter",     "exact",
    "fields",      "effort",           "all",        "compat",
    "probability", "false_match_rate", "candidates", NULL};

/* The options of the query string as the object that a JSON body would have
 * them in: the value of each is JSON. */
static int parameters_parse(lk_request *request, json_t *object,
                            linkd_error *err)
{
    int rc = lk_request_check_query(request, lk_search_parameters, err);

    for (size_t i = 0; lk_search_parameters[i] != NULL && rc == LINKD_OK; i++) {
        const char *name = lk_search_parameters[i];
        json_t *value = NULL;
        linkd_str text;
        linkd_error why;
        bool found = false;

        rc = lk_request_query(request, name, &text, &found, err);
        if (rc != LINKD_OK || !found)
            continue;
        if (lk_json_parse(text, &value, &why) != LINKD_OK)
            rc = lk_fail(err, LINKD_E_ARG, "\"%s\" of the URL: %s", name,
                         why.message);
        else if (json_object_set_new(object, name, value) != 0)
            rc = lk_fail_nomem(err);
    }
    return rc;
}

static int bytes_read(search *s, linkd_error *err)
{
    linkd_str body = {s->request->body.data, s->request->body.len};
    size_t dim = s->target.info.options.dim;
    float *vectors = NULL;
    size_t n = 0;
    int rc;

    rc = lk_vectors_read(body, false, dim, &s->request->arena, &vectors, &n,
                         err);
    if (rc == LINKD_OK)
        rc = queries_reserve(s, n, err);
    for (size_t i = 0; i < s->n && rc == LINKD_OK; i++)
        s->queries[i].vector = vectors + i * dim;
    s->is_list = n > 1;
    return rc;
}

/* ---- vectors of the queries ---------------------------------------------- */

/* The model is asked for only where a text needs it. */
static int target_open(search *s, linkd_error *err)
{
    lk_target *t = &s->target;
    int rc = s->n_texts > 0
                 ? lk_target_open(s->service, s->request, LK_URGENT, t, err)
                 : lk_target_describe(s->service, s->request, t, err);

    t->storage.use = LINKD_USE_QUERY;
    s->image = t->settings.image;
    return rc == LINKD_OK && s->n_texts > 0
               ? lk_query_kinds_check(&s->kinds, t->model,
                                      t->info.options.model, err)
               : rc;
}

/* The collection's way, where the request names none. */
static int way_settle(search *s, linkd_error *err)
{
    int rc = s->has_way
                 ? LINKD_OK
                 : lk_way_find(s->service->store, s->target.name, &s->way, err);

    if (!s->has_way && s->all && s->way == LINKD_WAY_CASCADE)
        s->way = LINKD_WAY_FUSE;
    if (rc == LINKD_OK && s->has_candidates && s->way != LINKD_WAY_CASCADE)
        rc = lk_fail(err, LINKD_E_ARG,
                     "\"candidates\" needs \"compat\": \"cascade\"");
    return rc;
}

/* All texts of the request in one go. */
static int texts_embed(search *s, linkd_error *err)
{
    lk_arena *arena = &s->request->arena;
    const linkd_embedder *embedder = &s->target.embedder;
    linkd_str *texts = lk_arena_alloc(arena, s->n_texts * sizeof(*texts));
    float *vectors =
        lk_arena_alloc(arena, s->n_texts * embedder->dim * sizeof(*vectors));
    size_t n = 0;
    int rc;

    if (texts == NULL || vectors == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < s->n; i++) {
        query *q = &s->queries[i];

        if (q->text.len == 0 || !embedder->knows(embedder->ctx, q->text))
            continue;
        q->vector = vectors + n * embedder->dim;
        q->place = n;
        texts[n++] = q->text;
    }
    if (n == 0)
        return LINKD_OK;
    rc = embedder->embed(embedder->ctx, texts, n, vectors, NULL, err);
    if (rc == LINKD_OK && s->way != LINKD_WAY_ALIGN)
        rc = lk_homes_embed(s->service, s->request, s->target.name, texts, n,
                            &s->homes, err);
    return rc;
}

static int vectors_parse(search *s, linkd_error *err)
{
    int rc = LINKD_OK;

    for (size_t i = 0; i < s->n && rc == LINKD_OK; i++) {
        query *q = &s->queries[i];
        char where[40] = "\"vector\"";

        if (q->vector_json == NULL)
            continue;
        if (s->is_list)
            (void)snprintf(where, sizeof(where), "query %zu", i);
        rc = lk_json_get_vector(q->vector_json, s->target.info.options.dim,
                                where, &s->request->arena, &q->vector, err);
    }
    return rc;
}

/* Vectors of records are the view's, and as long open. */
static int records_find(search *s, linkd_error *err)
{
    int rc = LINKD_OK;

    for (size_t i = 0; i < s->n && rc == LINKD_OK; i++) {
        query *q = &s->queries[i];
        bool found = false;

        if (q->id.bytes == NULL)
            continue;
        rc = linkd_view_find(s->view, q->id, &q->exclude, &found, err);
        if (rc == LINKD_OK && !found)
            rc = lk_fail(err, LINKD_E_ABSENT, "there is no record \"%s\"",
                         lk_label_of(q->id).text);
        if (rc == LINKD_OK)
            rc = linkd_view_locate(s->view, q->exclude, &q->generation, err);
        if (rc == LINKD_OK && q->generation != 0)
            rc = linkd_view_turn_to(s->view, q->generation, err);
        if (rc == LINKD_OK && q->generation != 0)
            rc = linkd_view_vector(s->view, q->exclude, &q->vector, err);
    }
    return rc == LINKD_OK
               ? linkd_view_turn_to(s->view, s->target.info.generation, err)
               : rc;
}

/* ---- printing ------------------------------------------------------------ */

/* Pictures are long: who wants them names them. */
static bool is_shown(const search *s, linkd_str name)
{
    if (s->fields == NULL)
        return s->image.len == 0 || s->image.len != name.len ||
               memcmp(s->image.bytes, name.bytes, name.len) != 0;
    for (size_t i = 0; i < s->n_fields; i++) {
        if (s->fields[i].len == name.len &&
            memcmp(s->fields[i].bytes, name.bytes, name.len) == 0)
            return true;
    }
    return false;
}

static int fields_print(const search *s, const linkd_stored *record,
                        lk_arena *arena, linkd_error *err)
{
    const linkd_field *fields = record->fields;
    size_t n = record->n_fields;
    int rc;

    if (!s->shows_fields)
        return LINKD_OK;
    if (s->fields != NULL || s->image.len > 0) {
        linkd_field *shown = lk_arena_alloc(arena, (n + 1) * sizeof(*shown));

        if (shown == NULL)
            return lk_fail_nomem(err);
        n = 0;
        for (size_t i = 0; i < record->n_fields; i++) {
            if (is_shown(s, fields[i].name))
                shown[n++] = fields[i];
        }
        fields = shown;
    }
    rc = lk_buf_append(s->body, ",\"fields\":", 10, err);
    return rc == LINKD_OK ? lk_print_fields(s->body, fields, n, err) : rc;
}

/* What only a collection whose model was changed has to say of a hit. */
static int generation_print(const search *s, const linkd_found *hit,
                            linkd_error *err)
{
    if (s->bridges == NULL)
        return LINKD_OK;
    return lk_buf_printf(s->body, err,
                         ",\"generation\":%" PRIu32
                         ",\"way\":\"%s\",\"probability\":%.6f",
                         hit->generation, linkd_way_words[hit->way],
                         linkd_found_probability(hit));
}

static int hit_print(const search *s, const linkd_found *hit, lk_arena *arena,
                     linkd_error *err)
{
    linkd_stored record;
    int rc = linkd_view_read(s->view, hit->id, arena, &record, err);

    if (rc == LINKD_OK)
        rc = lk_buf_append(s->body, "{\"id\":", 6, err);
    if (rc == LINKD_OK)
        rc = lk_json_put_string(s->body, record.id, err);
    if (rc == LINKD_OK)
        rc = lk_buf_printf(s->body, err, ",\"score\":%.6f",
                           (double)lk_score_round(hit->score));
    if (rc == LINKD_OK)
        rc = generation_print(s, hit, err);
    if (rc == LINKD_OK)
        rc = lk_print_entity(s->body, record.entity, err);
    if (rc == LINKD_OK)
        rc = fields_print(s, &record, arena, err);
    return rc == LINKD_OK ? lk_buf_append(s->body, "}", 1, err) : rc;
}

static int answer_check(const search *s, linkd_error *err)
{
    if (lk_request_is_over(s->request))
        return lk_fail(err, LINKD_E_CANCELLED,
                       "the time for the request ran out");
    if (s->body->len > ANSWER_MAX_BYTES)
        return lk_fail(err, LINKD_E_ARG,
                       "the answer would have more than %zu MB: ask for less, "
                       "or without \"fields\"",
                       ANSWER_MAX_BYTES >> 20);
    return LINKD_OK;
}

/* Hits are in order: the first one that is none ends the list. */
static bool is_hit(const search *s, const linkd_hit *hit)
{
    return hit->id != LINKD_ID_NONE && lk_score_round(hit->score) >= s->lowest;
}

static int list_print(const search *s, const linkd_found *hits, size_t n,
                      const linkd_search_stats *stats, linkd_error *err)
{
    lk_arena arena = {0};
    int rc = lk_buf_append(s->body, "{\"hits\":[", 9, err);

    for (size_t i = 0; i < n && rc == LINKD_OK; i++) {
        if (i % HITS_PER_CHECK == HITS_PER_CHECK - 1) {
            lk_arena_clear(&arena);
            rc = answer_check(s, err);
        }
        if (rc == LINKD_OK && i > 0)
            rc = lk_buf_append(s->body, ",", 1, err);
        if (rc == LINKD_OK)
            rc = hit_print(s, &hits[i], &arena, err);
    }
    lk_arena_clear(&arena);
    if (rc != LINKD_OK)
        return rc;
    return lk_buf_printf(s->body, err,
                         "],\"exact\":%s,\"scanned\":%" PRIu64 "}",
                         stats->exact ? "true" : "false", stats->n_scanned);
}

/* The same of a search in one generation. */
static int hits_print(const search *s, const linkd_hit *hits, size_t n,
                      const linkd_search_stats *stats, linkd_error *err)
{
    linkd_found *found = calloc(n + 1, sizeof(*found));
    size_t n_found = 0;
    int rc;

    if (found == NULL)
        return lk_fail_nomem(err);
    for (; n_found < n && is_hit(s, &hits[n_found]); n_found++)
        found[n_found] =
            (linkd_found){.id = hits[n_found].id, .score = hits[n_found].score};
    rc = list_print(s, found, n_found, stats, err);
    free(found);
    return rc;
}

static int separator_print(const search *s, size_t i, linkd_error *err)
{
    return i > 0 ? lk_buf_append(s->body, ",", 1, err) : LINKD_OK;
}

/* ---- searching ----------------------------------------------------------- */

/* How many queries from the ith on can be searched together. */
static size_t run_length(const search *s, size_t i)
{
    size_t most = RUN_HITS_MAX / s->options.k;
    size_t n = 0;

    if (s->queries[i].exclude != LINKD_ID_NONE)
        return 1;
    while (i + n < s->n && n < most && s->queries[i + n].vector != NULL &&
           s->queries[i + n].exclude == LINKD_ID_NONE)
        n++;
    return n;
}

/* Their vectors in one array. */
static int run_gather(const search *s, size_t i, size_t n, float **ret_vectors,
                      linkd_error *err)
{
    size_t dim = linkd_view_dim(s->view);
    float *vectors = lk_alloc_aligned(n, dim * sizeof(*vectors));

    if (vectors == NULL)
        return lk_fail_nomem(err);
    for (size_t j = 0; j < n; j++)
        memcpy(vectors + j * dim, s->queries[i + j].vector,
               dim * sizeof(*vectors));
    *ret_vectors = vectors;
    return LINKD_OK;
}

static int run_search(search *s, size_t i, size_t n, linkd_error *err)
{
    size_t k = s->options.k;
    linkd_hit *hits = calloc(n * k + 1, sizeof(*hits));
    linkd_search_stats stats = {0};
    float *vectors = NULL;
    int rc =
        hits == NULL ? lk_fail_nomem(err) : run_gather(s, i, n, &vectors, err);

    s->options.exclude = s->queries[i].exclude;
    if (rc == LINKD_OK)
        rc = linkd_view_search(s->view, vectors, n, &s->options, hits, &stats,
                               err);
    for (size_t j = 0; j < n && rc == LINKD_OK; j++) {
        rc = separator_print(s, i + j, err);
        if (rc == LINKD_OK)
            rc = hits_print(s, hits + j * k, k, &stats, err);
    }
    free(vectors);
    free(hits);
    return rc;
}

/* Everything above the threshold, for one query. */
static int range_search(search *s, size_t i, linkd_error *err)
{
    linkd_search_stats stats = {0};
    linkd_hit *hits = NULL;
    size_t n = 0;
    int rc;

    s->options.exclude = s->queries[i].exclude;
    rc = linkd_view_range(s->view, s->queries[i].vector, &s->options, &hits, &n,
                          &stats, err);
    if (rc == LINKD_OK)
        rc = separator_print(s, i, err);
    if (rc == LINKD_OK)
        rc = hits_print(s, hits, n, &stats, err);
    free(hits);
    return rc;
}

/* ---- all generations ------------------------------------------------------- */

static linkd_mixed_query mixed_query_of(const search *s, const query *q)
{
    linkd_mixed_query mixed = {.generation = q->generation,
                               .vector = q->vector};

    if (q->place != SIZE_MAX)
        lk_homes_add(&s->homes, q->place, &mixed);
    return mixed;
}

/* Whether what is found for it can be encoded anew. */
static bool is_cascaded(const search *s, const query *q)
{
    return s->way == LINKD_WAY_CASCADE && q->vector != NULL &&
           q->generation == s->target.info.generation;
}

/* The k best, or the candidates of a cascade, if they are more. */
static int mixed_find(search *s, const query *q, bool cascades,
                      linkd_found **ret_found, size_t *ret_n,
                      linkd_search_stats *stats, linkd_error *err)
{
    linkd_mixed_query mixed = mixed_query_of(s, q);
    linkd_search_options options = s->options;
    linkd_found *found;
    int rc;

    options.exclude = q->exclude;
    if (cascades && options.k < s->n_candidates)
        options.k = s->n_candidates;
    found = calloc(options.k + 1, sizeof(*found));
    if (found == NULL)
        return lk_fail_nomem(err);
    rc = cascades
             ? linkd_mixed_candidates(s->bridges, s->view, &mixed, &options,
                                      s->n_candidates, found, ret_n, stats, err)
             : linkd_mixed_search(s->bridges, s->view, &mixed, &options,
                                  &s->limit, found, ret_n, stats, err);
    if (rc == LINKD_OK)
        *ret_found = found;
    else
        free(found);
    return rc;
}

static int mixed_best(search *s, const query *q, linkd_found **ret_found,
                      size_t *ret_n, linkd_search_stats *stats,
                      linkd_error *err)
{
    linkd_mixed_query mixed = mixed_query_of(s, q);
    bool cascades = is_cascaded(s, q) && s->cascade.n_fresh > 0;
    int rc = mixed_find(s, q, cascades, ret_found, ret_n, stats, err);

    if (rc == LINKD_OK && cascades)
        rc = linkd_mixed_rescore(s->bridges, s->view, &mixed, s->cascade.fresh,
                                 s->cascade.n_fresh, &s->limit, s->options.k,
                                 *ret_found, ret_n, err);
    return rc;
}

static int mixed_all(search *s, const query *q, linkd_found **ret_found,
                     size_t *ret_n, linkd_search_stats *stats, linkd_error *err)
{
    linkd_mixed_query mixed = mixed_query_of(s, q);

    s->options.exclude = q->exclude;
    return linkd_mixed_range(s->bridges, s->view, &mixed, &s->options,
                             &s->limit, ret_found, ret_n, stats, err);
}

/* For backfills: those of older models. */
static void hits_count(const search *s, const linkd_found *found, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (found[i].generation != s->target.info.generation ||
            found[i].way == LINKD_WAY_CASCADE)
            lk_hits_count(s->service->hits, s->target.info.number, found[i].id);
}

/* One query in all generations. */
static int mixed_search(search *s, size_t i, linkd_error *err)
{
    const query *q = &s->queries[i];
    linkd_search_stats stats = {.exact = true};
    linkd_found *found = NULL;
    size_t n = 0;
    int rc = s->all ? mixed_all(s, q, &found, &n, &stats, err)
                    : mixed_best(s, q, &found, &n, &stats, err);

    if (rc == LINKD_OK) {
        hits_count(s, found, n);
        rc = separator_print(s, i, err);
    }
    if (rc == LINKD_OK)
        rc = list_print(s, found, n, &stats, err);
    free(found);
    return rc;
}

/* ---- the answer -------------------------------------------------------------- */

static int nothing_print(const search *s, size_t i, linkd_error *err)
{
    linkd_search_stats stats = {.exact = true};
    int rc = separator_print(s, i, err);

    return rc == LINKD_OK ? list_print(s, NULL, 0, &stats, err) : rc;
}

static int lists_print(search *s, linkd_error *err)
{
    size_t n = 1;
    int rc = LINKD_OK;

    for (size_t i = 0; i < s->n && rc == LINKD_OK; i += n) {
        n = 1;
        rc = answer_check(s, err);
        if (rc != LINKD_OK)
            break;
        if (s->queries[i].vector == NULL) {
            rc = nothing_print(s, i, err);
        } else if (s->bridges != NULL) {
            rc = mixed_search(s, i, err);
        } else if (s->all) {
            rc = range_search(s, i, err);
        } else {
            n = run_length(s, i);
            rc = run_search(s, i, n, err);
        }
    }
    return rc;
}

/* It may have been dropped and made anew since it was described, or given other
 * generations. */
static int view_check(search *s, linkd_error *err)
{
    bool has_limit = s->limit.kind == LINKD_LIMIT_FALSE_MATCH_RATE ||
                     s->limit.kind == LINKD_LIMIT_PROBABILITY;
    int rc = linkd_view_turn_to(s->view, s->target.info.generation, NULL);

    if (rc == LINKD_E_ABSENT ||
        linkd_view_collection(s->view) != s->target.info.number ||
        linkd_view_dim(s->view) != s->target.info.options.dim)
        return lk_fail(err, LINKD_E_CONFLICT,
                       "the collection was replaced during the search");
    if (s->bridges == NULL && has_limit)
        return lk_fail(err, LINKD_E_ARG,
                       "a false-match rate or a probability is known only of a "
                       "collection whose model was upgraded");
    for (size_t i = 0; i < s->n; i++)
        s->queries[i].generation = s->target.info.generation;
    return LINKD_OK;
}

/* What is searched; view_end() whatever it returns. */
static int view_begin(search *s, linkd_selection **ret_selection,
                      linkd_error *err)
{
    int rc = linkd_view_open(s->service->store, s->target.name, &s->view, err);

    if (rc == LINKD_OK)
        rc = lk_bridges_get(s->service->bridges, s->view, &s->bridges, err);
    if (rc == LINKD_OK)
        rc = view_check(s, err);
    if (rc == LINKD_OK && s->filter != NULL)
        rc = linkd_view_select(s->view, s->filter, s->options.stop_cb,
                               s->options.stop_ctx, ret_selection, err);
    s->options.selection = *ret_selection;
    return rc == LINKD_OK ? records_find(s, err) : rc;
}

static void view_end(search *s, linkd_selection *selection)
{
    linkd_selection_free(selection);
    linkd_view_close(s->view);
    lk_bridges_release(s->service->bridges, s->bridges);
    s->view = NULL;
    s->bridges = NULL;
}

/* Records that are worth being encoded anew. A failure is left to the search
 * that follows. */
static void candidates_find(search *s)
{
    linkd_selection *selection = NULL;
    int rc = view_begin(s, &selection, NULL);

    for (size_t i = 0; rc == LINKD_OK && s->bridges != NULL && i < s->n; i++) {
        const query *q = &s->queries[i];
        linkd_search_stats stats = {.exact = true};
        linkd_found *found = NULL;
        size_t n = 0;

        if (!is_cascaded(s, q))
            continue;
        rc = mixed_find(s, q, true, &found, &n, &stats, NULL);
        if (rc == LINKD_OK)
            lk_cascade_add(&s->cascade, found,
                           n < s->n_candidates ? n : s->n_candidates);
        free(found);
    }
    if (rc == LINKD_OK)
        lk_cascade_read(&s->cascade, s->view);
    else
        s->cascade.n = 0;
    view_end(s, selection);
}

static void cascade_run(search *s)
{
    if (s->target.info.options.model.len == 0)
        return; /* then it was never changed */
    lk_cascade_open(s->service, s->request, s->target.name, &s->target.info,
                    s->n * s->n_candidates, &s->cascade);
    if (s->cascade.model == NULL)
        return;
    candidates_find(s);
    lk_cascade_encode(&s->cascade);
}

static int view_search(search *s, linkd_error *err)
{
    linkd_selection *selection = NULL;
    int rc = view_begin(s, &selection, err);

    if (rc == LINKD_OK && s->is_list)
        rc = lk_buf_append(s->body, "{\"results\":[", 12, err);
    if (rc == LINKD_OK)
        rc = lists_print(s, err);
    if (rc == LINKD_OK && s->is_list)
        rc = lk_buf_append(s->body, "]}", 2, err);
    if (rc == LINKD_OK)
        rc = lk_buf_append(s->body, "\n", 1, err);
    view_end(s, selection);
    return rc;
}

/* Options and queries of either kind of body, and the collection. */
static int request_read(search *s, json_t **ret_json, linkd_error *err)
{
    linkd_str body = {s->request->body.data, s->request->body.len};
    bool is_binary = lk_str_is(lk_request_content_type(s->request),
                               "application/octet-stream");
    int rc = LINKD_OK;

    if (!is_binary)
        rc = lk_json_parse(body, ret_json, err);
    else if ((*ret_json = json_object()) == NULL)
        rc = lk_fail_nomem(err);
    else
        rc = parameters_parse(s->request, *ret_json, err);
    if (rc == LINKD_OK)
        rc = is_binary ? options_read(*ret_json, s, err)
                       : json_read(*ret_json, s, err);
    if (rc == LINKD_OK)
        rc = target_open(s, err);
    if (rc == LINKD_OK)
        rc = way_settle(s, err);
    return rc == LINKD_OK && is_binary ? bytes_read(s, err) : rc;
}

int lk_handle_search(lk_service *service, lk_request *request,
                     lk_response *response, linkd_error *err)
{
    search s = {.service = service,
                .request = request,
                .options = LINKD_SEARCH_OPTIONS_INIT,
                .shows_fields = true,
                .body = &response->body};
    json_t *json = NULL;
    int rc;

    s.options.stop_cb = lk_request_is_over;
    s.options.stop_ctx = request;
    rc = request_read(&s, &json, err);
    if (rc == LINKD_OK)
        rc = vectors_parse(&s, err);
    if (rc == LINKD_OK && s.n_texts > 0)
        rc = texts_embed(&s, err);
    if (rc == LINKD_OK && s.way == LINKD_WAY_CASCADE)
        cascade_run(&s);
    if (rc == LINKD_OK)
        rc = view_search(&s, err);
    if (rc == LINKD_OK)
        lk_cascade_write(&s.cascade);
    json_decref(json);
    return rc;
}
