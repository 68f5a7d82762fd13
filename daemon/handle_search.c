/* daemon/handle_search.c — the records nearest to texts, pictures, vectors or
 * records. Texts below are contents: they have their pictures in them
 * (query_content.h).
 *
 *   body ─► options and queries ─► texts ─► vectors ─► view ─► hits ─► answer
 *           (search_read.c)                              (search_print.c)
 *
 * The view is opened after the texts are encoded: it is short and never waits.
 * Queries that differ in nothing but their vector are searched together, a run
 * at a time; a query by record leaves that record out, so it goes alone.
 *
 * A collection whose model was changed is searched by linkage/mixed.c: a text is
 * encoded by older models, too, as far as they are there, and hits say which
 * generation they are of and how probable they are. In a cascade it is searched
 * twice: once for what is to be encoded anew, with the view closed meanwhile
 * (cascade.h), and once for the answer.
 *
 * A query has no vector when its text holds no word that the model knows, or
 * its record has none: nothing is near to it, and its list is empty. */
#include "daemon/search.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/handlers.h"
#include "daemon/hits.h"

/* Hits of a run that are kept at once: 16 MB. */
#define RUN_HITS_MAX ((size_t)1 << 20)

/* ---- vectors of the queries ---------------------------------------------- */

/* All texts of the request in one go. */
static int texts_embed(lk_search *s, linkd_error *err)
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
        lk_query *q = &s->queries[i];

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

static int vectors_parse(lk_search *s, linkd_error *err)
{
    int rc = LINKD_OK;

    for (size_t i = 0; i < s->n && rc == LINKD_OK; i++) {
        lk_query *q = &s->queries[i];
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

/* Without older models' records there is nothing to compare one of them with. */
static int native_check(const lk_search *s, const lk_query *q, linkd_error *err)
{
    if (!s->own_only || q->generation == 0 ||
        q->generation == s->target.info.generation)
        return LINKD_OK;
    return lk_fail(err, LINKD_E_ARG,
                   "record \"%s\" is of an older model, which \"compat\": "
                   "\"native\" leaves out",
                   lk_label_of(q->id).text);
}

/* Vectors of records are the view's, and as long open. */
static int records_find(lk_search *s, linkd_error *err)
{
    int rc = LINKD_OK;

    for (size_t i = 0; i < s->n && rc == LINKD_OK; i++) {
        lk_query *q = &s->queries[i];
        bool found = false;

        if (q->id.bytes == NULL)
            continue;
        rc = linkd_view_find(s->view, q->id, &q->exclude, &found, err);
        if (rc == LINKD_OK && !found)
            rc = lk_fail(err, LINKD_E_ABSENT, "there is no record \"%s\"",
                         lk_label_of(q->id).text);
        if (rc == LINKD_OK)
            rc = linkd_view_locate(s->view, q->exclude, &q->generation, err);
        if (rc == LINKD_OK)
            rc = native_check(s, q, err);
        if (rc == LINKD_OK && q->generation != 0)
            rc = linkd_view_turn_to(s->view, q->generation, err);
        if (rc == LINKD_OK && q->generation != 0)
            rc = linkd_view_vector(s->view, q->exclude, &q->vector, err);
    }
    return rc == LINKD_OK
               ? linkd_view_turn_to(s->view, s->target.info.generation, err)
               : rc;
}

/* ---- searching ----------------------------------------------------------- */

/* How many queries from the ith on can be searched together. */
static size_t run_length(const lk_search *s, size_t i)
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
static int run_gather(const lk_search *s, size_t i, size_t n,
                      float **ret_vectors, linkd_error *err)
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

static int run_search(lk_search *s, size_t i, size_t n, linkd_error *err)
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
        rc = lk_search_print_separator(s, i + j, err);
        if (rc == LINKD_OK)
            rc = lk_search_print_hits(s, hits + j * k, k, &stats, err);
    }
    free(vectors);
    free(hits);
    return rc;
}

/* Everything above the threshold, for one query. */
static int range_search(lk_search *s, size_t i, linkd_error *err)
{
    linkd_search_stats stats = {0};
    linkd_hit *hits = NULL;
    size_t n = 0;
    int rc;

    s->options.exclude = s->queries[i].exclude;
    rc = linkd_view_range(s->view, s->queries[i].vector, &s->options, &hits, &n,
                          &stats, err);
    if (rc == LINKD_OK)
        rc = lk_search_print_separator(s, i, err);
    if (rc == LINKD_OK)
        rc = lk_search_print_hits(s, hits, n, &stats, err);
    free(hits);
    return rc;
}

/* ---- all generations ------------------------------------------------------- */

static linkd_mixed_query mixed_query_of(const lk_search *s, const lk_query *q)
{
    linkd_mixed_query mixed = {.generation = q->generation,
                               .vector = q->vector,
                               .is_record = q->id.bytes != NULL,
                               .own_only = s->own_only};

    if (q->place != SIZE_MAX)
        lk_homes_add(&s->homes, q->place, &mixed);
    return mixed;
}

/* Whether what is found for it can be encoded anew. */
static bool is_cascaded(const lk_search *s, const lk_query *q)
{
    return s->way == LINKD_WAY_CASCADE && q->vector != NULL &&
           q->generation == s->target.info.generation;
}

/* The k best, or the candidates of a cascade, if they are more. */
static int mixed_find(lk_search *s, const lk_query *q, bool cascades,
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

static int mixed_best(lk_search *s, const lk_query *q, linkd_found **ret_found,
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

static int mixed_all(lk_search *s, const lk_query *q, linkd_found **ret_found,
                     size_t *ret_n, linkd_search_stats *stats, linkd_error *err)
{
    linkd_mixed_query mixed = mixed_query_of(s, q);

    s->options.exclude = q->exclude;
    return linkd_mixed_range(s->bridges, s->view, &mixed, &s->options,
                             &s->limit, ret_found, ret_n, stats, err);
}

/* For backfills: those of older models. */
static void hits_count(const lk_search *s, const linkd_found *found, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (found[i].generation != s->target.info.generation ||
            found[i].way == LINKD_WAY_CASCADE)
            lk_hits_count(s->service->hits, s->target.info.number, found[i].id);
}

/* One query in all generations. */
static int mixed_search(lk_search *s, size_t i, linkd_error *err)
{
    const lk_query *q = &s->queries[i];
    linkd_search_stats stats = {.exact = true};
    linkd_found *found = NULL;
    size_t n = 0;
    int rc = s->all ? mixed_all(s, q, &found, &n, &stats, err)
                    : mixed_best(s, q, &found, &n, &stats, err);

    if (rc == LINKD_OK) {
        hits_count(s, found, n);
        rc = lk_search_print_separator(s, i, err);
    }
    if (rc == LINKD_OK)
        rc = lk_search_print_list(s, found, n, &stats, err);
    free(found);
    return rc;
}

/* ---- the answer -------------------------------------------------------------- */

static int nothing_print(const lk_search *s, size_t i, linkd_error *err)
{
    linkd_search_stats stats = {.exact = true};
    int rc = lk_search_print_separator(s, i, err);

    return rc == LINKD_OK ? lk_search_print_list(s, NULL, 0, &stats, err) : rc;
}

static int lists_print(lk_search *s, linkd_error *err)
{
    size_t n = 1;
    int rc = LINKD_OK;

    for (size_t i = 0; i < s->n && rc == LINKD_OK; i += n) {
        n = 1;
        rc = lk_search_check_answer(s, err);
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
static int view_check(lk_search *s, linkd_error *err)
{
    int rc = linkd_view_turn_to(s->view, s->target.info.generation, NULL);

    if (rc == LINKD_E_ABSENT ||
        linkd_view_collection(s->view) != s->target.info.number ||
        linkd_view_dim(s->view) != s->target.info.options.dim)
        return lk_fail(err, LINKD_E_CONFLICT,
                       "the collection was replaced during the search");
    for (size_t i = 0; i < s->n; i++)
        s->queries[i].generation = s->target.info.generation;
    return LINKD_OK;
}

/* What a collection with one model is searched by. */
static int limit_settle(lk_search *s, linkd_error *err)
{
    int rc = linkd_rates_settle(s->service->rates, s->view, &s->limit, err);

    if (rc == LINKD_OK && s->limit.kind == LINKD_LIMIT_SCORE) {
        s->lowest = lk_score_round((float)s->limit.value);
        s->options.threshold = lk_score_margin((float)s->limit.value);
    }
    return rc;
}

/* What is searched; view_end() whatever it returns. */
static int view_begin(lk_search *s, linkd_selection **ret_selection,
                      linkd_error *err)
{
    int rc = linkd_view_open(s->service->store, s->target.name, &s->view, err);

    if (rc == LINKD_OK)
        rc = lk_bridges_get(s->service->bridges, s->view, &s->bridges, err);
    if (rc == LINKD_OK)
        rc = view_check(s, err);
    if (rc == LINKD_OK && s->bridges == NULL)
        rc = limit_settle(s, err);
    if (rc == LINKD_OK && s->filter != NULL)
        rc = linkd_view_select(s->view, s->filter, s->options.stop_cb,
                               s->options.stop_ctx, ret_selection, err);
    s->options.selection = *ret_selection;
    return rc == LINKD_OK ? records_find(s, err) : rc;
}

static void view_end(lk_search *s, linkd_selection *selection)
{
    linkd_selection_free(selection);
    linkd_view_close(s->view);
    lk_bridges_release(s->service->bridges, s->bridges);
    s->view = NULL;
    s->bridges = NULL;
}

/* Records that are worth being encoded anew. A failure is left to the search
 * that follows. */
static void candidates_find(lk_search *s)
{
    linkd_selection *selection = NULL;
    int rc = view_begin(s, &selection, NULL);

    for (size_t i = 0; rc == LINKD_OK && s->bridges != NULL && i < s->n; i++) {
        const lk_query *q = &s->queries[i];
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

static void cascade_run(lk_search *s)
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

static int view_search(lk_search *s, linkd_error *err)
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

int lk_handle_search(lk_service *service, lk_request *request,
                     lk_response *response, linkd_error *err)
{
    lk_search s = {.service = service,
                   .request = request,
                   .options = LINKD_SEARCH_OPTIONS_INIT,
                   .shows_fields = true,
                   .lowest = -1.0F,
                   .body = &response->body};
    json_t *json = NULL;
    int rc;

    s.options.stop_cb = lk_request_is_over;
    s.options.stop_ctx = request;
    rc = lk_search_read(&s, &json, err);
    if (rc == LINKD_OK)
        rc = vectors_parse(&s, err);
    if (rc == LINKD_OK && s.n_texts > 0)
        rc = texts_embed(&s, err);
    if (rc == LINKD_OK && s.way == LINKD_WAY_CASCADE)
        cascade_run(&s);
    if (rc == LINKD_OK)
        rc = lk_damage_name(view_search(&s, err), s.target.name, err);
    if (rc == LINKD_OK)
        lk_cascade_write(&s.cascade);
    json_decref(json);
    return rc;
}
