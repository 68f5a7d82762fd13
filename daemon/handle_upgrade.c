/* daemon/handle_upgrade.c — the model of a collection, changed and looked at.
 *
 * What takes long is a job; going back is one transaction, and answered when it
 * is done. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "daemon/bridges.h"
#include "daemon/handlers.h"
#include "daemon/idempotency.h"
#include "daemon/jobs.h"
#include "daemon/json.h"
#include "daemon/upgrade.h"

/* ---- jobs ------------------------------------------------------------------ */

/* The body, with kind and collection, as the job's request. */
static int body_read(lk_request *request, const char *kind, json_t **ret_json,
                     linkd_error *err)
{
    linkd_str body = {request->body.data, request->body.len};
    linkd_str collection = request->params[0];
    json_t *json = NULL;
    int rc = LINKD_OK;

    if (body.len > 0)
        rc = lk_json_parse(body, &json, err);
    else if ((json = json_object()) == NULL)
        rc = lk_fail_nomem(err);
    if (rc == LINKD_OK && !json_is_object(json))
        rc = lk_fail(err, LINKD_E_ARG, "the body is not an object");
    if (rc == LINKD_OK && (json_object_get(json, "kind") != NULL ||
                           json_object_get(json, "collection") != NULL))
        rc = lk_fail(err, LINKD_E_ARG,
                     "the body has a \"kind\" or a "
                     "\"collection\": the path says both");
    if (rc == LINKD_OK &&
        (json_object_set_new(json, "kind", json_string(kind)) != 0 ||
         json_object_set_new(json, "collection",
                             json_stringn(collection.bytes, collection.len)) !=
             0))
        rc = lk_fail_nomem(err);
    *ret_json = json;
    return rc;
}

/* What can be told at once is told at once. */
static int job_check(lk_service *service, json_t *json, lk_arena *arena,
                     lk_job_spec *ret_spec, linkd_error *err)
{
    linkd_collection_info info;
    int rc = lk_job_spec_read(json, arena, ret_spec, err);

    if (rc == LINKD_OK && ret_spec->model.len > 0)
        return lk_upgrade_check(service, ret_spec, err);
    if (rc == LINKD_OK)
        rc = linkd_store_describe(service->store, ret_spec->collection, arena,
                                  &info, err);
    return rc;
}

static int job_submit(lk_service *service, lk_request *request,
                      const char *kind, lk_response *response, linkd_error *err)
{
    linkd_once once = {0};
    lk_job_spec spec;
    json_t *json = NULL;
    uint64_t number = 0;
    uint64_t version;
    bool replayed = false;
    bool ended;
    int rc = body_read(request, kind, &json, err);

    if (rc == LINKD_OK)
        rc = lk_once_read(request, &once, err);
    if (rc == LINKD_OK)
        rc = job_check(service, json, &request->arena, &spec, err);
    if (rc == LINKD_OK)
        rc =
            lk_jobs_submit(service->jobs, json, &once, &number, &replayed, err);
    if (rc == LINKD_OK)
        rc = lk_once_mark(response, request, replayed, err);
    if (rc == LINKD_OK)
        rc = lk_response_add_header(response, request, "Location", err,
                                    "/v1/jobs/%" PRIu64, number);
    if (rc == LINKD_OK)
        rc = lk_jobs_print(service->jobs, number, &response->body, &version,
                           &ended, err);
    if (rc == LINKD_OK)
        rc = lk_buf_append(&response->body, "\n", 1, err);
    json_decref(json);
    response->status = rc == LINKD_OK ? 202 : 0;
    return rc;
}

int lk_handle_upgrade_estimate(lk_service *service, lk_request *request,
                               lk_response *response, linkd_error *err)
{
    lk_job_spec spec;
    json_t *json = NULL;
    int rc = body_read(request, "upgrade-probe", &json, err);

    if (rc == LINKD_OK)
        rc = job_check(service, json, &request->arena, &spec, err);
    if (rc == LINKD_OK)
        rc = lk_upgrade_estimate(service, request, &spec, &response->body, err);
    json_decref(json);
    return rc;
}

int lk_handle_upgrade_probe(lk_service *service, lk_request *request,
                            lk_response *response, linkd_error *err)
{
    return job_submit(service, request, "upgrade-probe", response, err);
}

int lk_handle_upgrade_start(lk_service *service, lk_request *request,
                            lk_response *response, linkd_error *err)
{
    return job_submit(service, request, "upgrade-start", response, err);
}

int lk_handle_upgrade_backfill(lk_service *service, lk_request *request,
                               lk_response *response, linkd_error *err)
{
    return job_submit(service, request, "upgrade-backfill", response, err);
}

int lk_handle_upgrade_gc(lk_service *service, lk_request *request,
                         lk_response *response, linkd_error *err)
{
    return job_submit(service, request, "upgrade-gc", response, err);
}

/* ---- status ---------------------------------------------------------------- */

static const char *const state_words[] = {
    [LINKD_GENERATION_SERVING] = "serving",
    [LINKD_GENERATION_OLD] = "old",
    [LINKD_GENERATION_CLOSED] = "closed",
    [LINKD_GENERATION_DROPPED] = "dropped",
};

typedef struct status {
    lk_service *service;
    linkd_generation generations[LINKD_GENERATIONS_MAX];
    bool has_model[LINKD_GENERATIONS_MAX];
    linkd_bridge scales[LINKD_GENERATIONS_MAX]; /* from what serves, no maps */
    bool has_bridge[LINKD_GENERATIONS_MAX];
    /* Why it has none, or none back */
    linkd_error damages[LINKD_GENERATIONS_MAX];
    linkd_error limits_damage;
    size_t n;
    size_t serving; /* its place */
    linkd_way way;  /* the collection's */
    uint64_t n_vectors;
    bool has_quality;
    lk_upgrade_quality quality; /* of the serving generation's start */
    double n_to_encode;         /* with the model that serves */
} status;

static int quality_read(status *s, linkd_view *view, linkd_error *err)
{
    linkd_str bytes;
    int rc =
        linkd_view_blob(view, s->generations[s->serving].number,
                        LINKD_BLOB_QUALITY, 0, &bytes, &s->has_quality, err);

    if (rc == LINKD_OK && s->has_quality)
        rc = lk_upgrade_quality_decode(bytes, &s->quality, err);
    return rc;
}

/* Records of older models, but for what is mapped and for the part that the start had
 * encoded, which is spread over all of them. */
static double to_encode_of(const status *s)
{
    double share = s->has_quality ? s->quality.share_encoded : 0.0;
    uint64_t n = 0;
    lk_model *model = NULL;
    bool has_model =
        s->has_model[s->serving] &&
        lk_generation_model(s->service, &s->generations[s->serving], &model);

    for (size_t i = 0; i < s->n; i++)
        if (i != s->serving &&
            !(has_model && lk_upgrade_is_base(model, &s->generations[i])))
            n += s->generations[i].n_vectors;
    return round((double)n * (1.0 - share));
}

/* What serves leads to older records, and they lead back in jobs and in searches
 * for what is near them. */
static void bridges_look(status *s, const linkd_bridges *bridges, size_t i)
{
    uint32_t serving = s->generations[s->serving].number;
    uint32_t other = s->generations[i].number;
    const linkd_bridge *bridge = NULL;
    const linkd_bridge *back = NULL;
    int rc =
        linkd_bridges_need(bridges, serving, other, &bridge, &s->damages[i]);

    s->has_bridge[i] = rc == LINKD_OK;
    if (rc == LINKD_OK)
        s->scales[i] = *bridge; /* its map is not used after release */
    if (rc == LINKD_OK)
        (void)!linkd_bridges_need(bridges, other, serving, &back,
                                  &s->damages[i]);
}

static int status_read(status *s, lk_request *request, linkd_error *err)
{
    const linkd_bridges *bridges = NULL;
    linkd_view *view = NULL;
    int rc = lk_generations_list(s->service->store, request->params[0],
                                 &request->arena, s->generations, &s->n, err);

    for (size_t i = 0; i < s->n && rc == LINKD_OK; i++) {
        lk_model *model;

        s->has_model[i] =
            s->generations[i].model.len > 0 &&
            lk_generation_model(s->service, &s->generations[i], &model);
        s->n_vectors += s->generations[i].n_vectors;
        if (s->generations[i].state == LINKD_GENERATION_SERVING)
            s->serving = i;
    }
    if (rc == LINKD_OK)
        rc = linkd_view_open(s->service->store, request->params[0], &view, err);
    if (rc == LINKD_OK)
        rc = linkd_way_read(view, &s->way, err);
    if (rc == LINKD_OK)
        rc = quality_read(s, view, err);
    s->n_to_encode = to_encode_of(s);
    if (rc == LINKD_OK)
        rc = lk_bridges_get(s->service->bridges, view, &bridges, err);
    for (size_t i = 0; i < s->n && rc == LINKD_OK && bridges != NULL; i++)
        bridges_look(s, bridges, i);
    if (rc == LINKD_OK && bridges != NULL)
        (void)!linkd_bridges_check_limits(bridges, &s->limits_damage);
    lk_bridges_release(s->service->bridges, bridges);
    linkd_view_close(view);
    return lk_damage_name(rc, request->params[0], err);
}

/* Without its own model a generation's records are found by mapped queries. */
static linkd_way way_of(const status *s, size_t i)
{
    if (i == s->serving)
        return LINKD_WAY_NATIVE;
    return s->way != LINKD_WAY_FUSE || s->has_model[i] ? s->way
                                                       : LINKD_WAY_ALIGN;
}

/* Nothing where nothing is damaged. */
static int damage_print(const linkd_error *damage, lk_buf *body,
                        linkd_error *err)
{
    linkd_str text = {damage->message, strlen(damage->message)};
    int rc;

    if (damage->code == LINKD_OK)
        return LINKD_OK;
    rc = lk_buf_append(body, ",\"damaged\":", 11, err);
    return rc == LINKD_OK ? lk_json_put_string(body, text, err) : rc;
}

static double share_of(const status *s, size_t i)
{
    return s->n_vectors > 0
               ? (double)s->generations[i].n_vectors / (double)s->n_vectors
               : 0.0;
}

static int generation_print(const status *s, size_t i, lk_buf *body,
                            linkd_error *err)
{
    const linkd_generation *g = &s->generations[i];
    linkd_way way = way_of(s, i);
    int rc = lk_buf_printf(
        body, err, "%s{\"generation\":%" PRIu32 ",\"state\":\"%s\",\"model\":",
        i > 0 ? "," : "", g->number, state_words[g->state]);

    if (rc == LINKD_OK)
        rc = g->model.len > 0 ? lk_json_put_string(body, g->model, err)
                              : lk_buf_append(body, "null", 4, err);
    if (rc == LINKD_OK)
        rc = lk_buf_printf(body, err,
                           ",\"present\":%s,\"dim\":%zu,\"vectors\":%" PRIu64
                           ",\"inactive\":%" PRIu64 ",\"percent\":%.2f",
                           s->has_model[i] ? "true" : "false", g->dim,
                           g->n_vectors, g->n_inactive, 100.0 * share_of(s, i));
    if (rc == LINKD_OK && s->has_bridge[i])
        rc = lk_buf_printf(body, err, ",\"way\":\"%s\",\"weight\":%.2f",
                           linkd_way_words[way], (double)s->scales[i].weight);
    if (rc == LINKD_OK && s->has_bridge[i] &&
        s->scales[i].ranking.maps.home != NULL)
        rc = lk_buf_printf(body, err, ",\"ranking_weight\":%.2f",
                           (double)s->scales[i].ranking.weight);
    if (rc == LINKD_OK)
        rc = damage_print(&s->damages[i], body, err);
    return rc == LINKD_OK ? lk_buf_append(body, "}", 1, err) : rc;
}

/* In which most is found by now: mixed queries take all older models. */
static linkd_way expected_way(const status *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (i != s->serving && s->generations[i].n_vectors > 0 &&
            way_of(s, i) == LINKD_WAY_ALIGN)
            return LINKD_WAY_ALIGN;
    return s->way;
}

/* What is left to do, and how good it is meanwhile. */
static int quality_print(const status *s, lk_buf *body, linkd_error *err)
{
    double seconds = s->n_to_encode * s->quality.seconds_per_text;
    linkd_way way = expected_way(s);
    double expected;
    int rc = lk_buf_printf(
        body, err, ",\"to_encode\":%.0f,\"seconds_left\":", s->n_to_encode);

    if (rc == LINKD_OK && (seconds > 0.0 || s->n_to_encode == 0.0))
        rc = lk_buf_printf(body, err, "%.3f", seconds);
    else if (rc == LINKD_OK)
        rc = lk_buf_append(body, "null", 4, err);
    if (rc == LINKD_OK)
        rc = lk_buf_printf(body, err, ",\"quality\":");
    if (rc != LINKD_OK || !s->has_quality)
        return rc == LINKD_OK ? lk_buf_append(body, "null", 4, err) : rc;
    expected =
        lk_upgrade_quality_expected(&s->quality, way, share_of(s, s->serving));
    if (json_object_set_new(s->quality.figures, "expected",
                            json_real(expected)) != 0 ||
        json_object_set_new(s->quality.figures, "expected_way",
                            json_string(linkd_way_words[way])) != 0)
        return lk_fail_nomem(err);
    return lk_json_put_value(body, s->quality.figures, err);
}

int lk_handle_get_upgrade(lk_service *service, lk_request *request,
                          lk_response *response, linkd_error *err)
{
    status s = {.service = service};
    lk_buf *body = &response->body;
    int rc = status_read(&s, request, err);

    if (rc == LINKD_OK)
        rc = lk_buf_printf(body, err,
                           "{\"serving\":%" PRIu32 ",\"previous\":%" PRIu32
                           ",\"remaining\":%" PRIu64 ",\"way\":\"%s\"",
                           s.generations[s.serving].number,
                           s.generations[s.serving].previous,
                           s.n_vectors - s.generations[s.serving].n_vectors,
                           linkd_way_words[s.way]);
    if (rc == LINKD_OK)
        rc = quality_print(&s, body, err);
    if (rc == LINKD_OK)
        rc = damage_print(&s.limits_damage, body, err);
    if (rc == LINKD_OK)
        rc = lk_buf_printf(body, err, ",\"generations\":[");
    for (size_t i = 0; i < s.n && rc == LINKD_OK; i++)
        rc = generation_print(&s, i, body, err);
    json_decref(s.quality.figures);
    return rc == LINKD_OK ? lk_buf_append(body, "]}\n", 3, err) : rc;
}

/* ---- going back ------------------------------------------------------------- */

int lk_handle_upgrade_rollback(lk_service *service, lk_request *request,
                               lk_response *response, linkd_error *err)
{
    linkd_generation all[LINKD_GENERATIONS_MAX];
    uint32_t previous = 0;
    uint64_t n_moved = 0;
    size_t n = 0;
    int rc = lk_generations_list(service->store, request->params[0],
                                 &request->arena, all, &n, err);

    for (size_t i = 0; i < n; i++)
        if (all[i].state == LINKD_GENERATION_SERVING)
            previous = all[i].previous;
    if (rc == LINKD_OK && previous == 0)
        rc = lk_fail(err, LINKD_E_CONFLICT,
                     "there is no generation to go back to");
    if (rc == LINKD_OK)
        rc = linkd_store_serve_generation(service->store, request->params[0],
                                          previous, &n_moved, err);
    if (rc == LINKD_E_ABSENT && n > 0)
        rc = lk_fail(err, LINKD_E_CONFLICT,
                     "the generation to go back to was freed");
    if (rc != LINKD_OK)
        return rc;
    return lk_buf_printf(&response->body, err,
                         "{\"serving\":%" PRIu32 ",\"moved\":%" PRIu64 "}\n",
                         previous, n_moved);
}
