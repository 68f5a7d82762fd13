/* daemon/search_read.c — what a search asks for: a JSON object, or bare vectors
 * with the options in the URL. */
#include "daemon/search.h"

#include <stdio.h>

#include "daemon/bodies.h"
#include "daemon/handlers.h"

#define QUERIES_MAX ((size_t)1000)

/* ---- options ------------------------------------------------------------- */

static int fields_read(const json_t *value, lk_search *s, linkd_error *err)
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

static int range_check(const lk_search *s, linkd_error *err)
{
    if (s->all && s->has_k)
        return lk_fail(err, LINKD_E_ARG, "\"all\" takes no \"k\"");
    if (s->all && s->has_way && s->way == LINKD_WAY_CASCADE)
        return lk_fail(err, LINKD_E_ARG, "\"all\" takes no cascade");
    return LINKD_OK;
}

/* A limit on another scale than that of scores; one of all. */
static int rate_read(const json_t *object, const char *name,
                     linkd_limit_kind kind, lk_search *s, linkd_error *err)
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

static int limits_read(const json_t *object, lk_search *s, linkd_error *err)
{
    int rc = lk_json_get_limit(object, "threshold", &s->limit, err);

    if (rc == LINKD_OK)
        rc = rate_read(object, "false_match_rate", LINKD_LIMIT_FALSE_MATCH_RATE,
                       s, err);
    return rc == LINKD_OK ? rate_read(object, "probability",
                                      LINKD_LIMIT_PROBABILITY, s, err)
                          : rc;
}

/* How records of older models are searched. */
static int compat_read(const json_t *object, lk_search *s, linkd_error *err)
{
    linkd_str compat = {0};
    int rc = lk_json_get_string(object, "compat", &compat, err);

    s->own_only = lk_str_is(compat, linkd_way_words[LINKD_WAY_NATIVE]);
    s->has_way = compat.bytes != NULL && !s->own_only;
    s->has_candidates = has_member(object, "candidates");
    s->n_candidates = LK_CASCADE;
    if (rc == LINKD_OK && s->has_way && !linkd_way_parse(compat, &s->way))
        rc = lk_fail(err, LINKD_E_ARG,
                     "\"compat\" is not fuse, align, cascade or native");
    return rc == LINKD_OK
               ? lk_json_get_size(object, "candidates", 1, LK_CASCADE_MAX,
                                  &s->n_candidates, err)
               : rc;
}

static int options_read(const json_t *object, lk_search *s, linkd_error *err)
{
    const json_t *filter = json_object_get(object, "filter");
    linkd_search_options *o = &s->options;
    int rc = lk_json_get_size(object, "k", 1, LINKD_K_MAX, &o->k, err);

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
    if (rc == LINKD_OK)
        rc = limits_read(object, s, err);
    if (rc == LINKD_OK)
        rc = compat_read(object, s, err);
    return rc == LINKD_OK ? range_check(s, err) : rc;
}

/* ---- queries ------------------------------------------------------------- */

static int queries_reserve(lk_search *s, size_t n, linkd_error *err)
{
    if (n == 0 || n > QUERIES_MAX)
        return lk_fail(err, LINKD_E_ARG, "%zu queries at once, not 1 to %zu", n,
                       QUERIES_MAX);
    s->queries = lk_arena_alloc(&s->request->arena, n * sizeof(*s->queries));
    if (s->queries == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < n; i++)
        s->queries[i] = (lk_query){.exclude = LINKD_ID_NONE, .place = SIZE_MAX};
    s->n = n;
    return LINKD_OK;
}

/* One of "text" and "image", "vector", and "record". */
static int query_read(const json_t *object, const char *where, lk_search *s,
                      lk_query *q, linkd_error *err)
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

static int query_list_read(const json_t *array, lk_search *s, linkd_error *err)
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

static int json_read(const json_t *body, lk_search *s, linkd_error *err)
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

static int bytes_read(lk_search *s, linkd_error *err)
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

/* ---- the collection -------------------------------------------------------- */

/* The model is asked for only where a text needs it. */
static int target_open(lk_search *s, linkd_error *err)
{
    lk_target *t = &s->target;
    int rc = s->n_texts > 0
                 ? lk_target_open(s->service, s->request, LK_URGENT, t, err)
                 : lk_target_describe(s->service, s->request, t, err);

    t->storage.use = LINKD_USE_QUERY;
    s->image = t->settings.image;
    if (s->all && s->limit.kind == LINKD_LIMIT_NONE)
        s->limit = t->settings.threshold;
    return rc == LINKD_OK && s->n_texts > 0
               ? lk_query_kinds_check(&s->kinds, t->model,
                                      t->info.options.model, err)
               : rc;
}

/* The collection's way, where the request names none. */
static int way_settle(lk_search *s, linkd_error *err)
{
    int rc = s->has_way
                 ? LINKD_OK
                 : lk_way_find(s->service->store, s->target.name, &s->way, err);

    if (!s->has_way && s->all && s->way == LINKD_WAY_CASCADE)
        s->way = LINKD_WAY_FUSE;
    if (s->own_only)
        s->way = LINKD_WAY_ALIGN; /* needs no other model's vector */
    if (rc == LINKD_OK && s->has_candidates && s->way != LINKD_WAY_CASCADE)
        rc = lk_fail(err, LINKD_E_ARG,
                     "\"candidates\" needs \"compat\": \"cascade\"");
    return rc;
}

/* Options and queries of either kind of body, and the collection. */
int lk_search_read(lk_search *s, json_t **ret_json, linkd_error *err)
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
