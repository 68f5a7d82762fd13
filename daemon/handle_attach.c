/* daemon/handle_attach.c — which entity a record belongs to, who else does, and
 * what became of entities. The decision is linkage's; here it is asked for and
 * told. */
#include <inttypes.h>
#include <string.h>

#include "daemon/bodies.h"
#include "daemon/bridges.h"
#include "daemon/handlers.h"
#include "daemon/idempotency.h"
#include "daemon/print.h"
#include "daemon/target.h"

/* Members between looks at the clock and the arena's emptying. A guess. */
#define MEMBERS_PER_CHECK ((size_t)256)

/* ---- attach -------------------------------------------------------------- */

static int attach_read(lk_request *request, const json_t *body,
                       const lk_target *target, linkd_put *ret_put,
                       linkd_attach_options *ret_options, linkd_error *err)
{
    static const char *const members[] = {"id",        "fields", "vector",
                                          "threshold", "filter", NULL};
    lk_records_form form = {.dim = target->info.options.dim,
                            .takes_vectors = target->model == NULL};
    const json_t *filter;
    int rc = lk_json_check_members(body, "the body", members, err);

    ret_options->threshold = target->settings.threshold;
    if (rc == LINKD_OK)
        rc = lk_record_read(body, "the record", &form, &request->arena, ret_put,
                            err);
    if (rc == LINKD_OK)
        rc = lk_json_get_limit(body, "threshold", &ret_options->threshold, err);
    if (rc != LINKD_OK)
        return rc;
    filter = json_object_get(body, "filter");
    if (filter != NULL && !json_is_null(filter))
        rc = lk_json_get_filter(filter, &request->arena, &ret_options->filter,
                                err);
    return rc == LINKD_OK ? lk_once_read(request, &ret_options->once, err) : rc;
}

/* The answer's end: what is wrong with the record's picture, if anything is. */
static int problem_print(lk_buf *body, const linkd_error *problem,
                         linkd_error *err)
{
    linkd_str why = {problem->message, strlen(problem->message)};
    int rc = LINKD_OK;

    if (problem->code != LINKD_OK)
        rc = lk_buf_printf(body, err, ",\"image_problem\":");
    if (rc == LINKD_OK && problem->code != LINKD_OK)
        rc = lk_json_put_string(body, why, err);
    return rc == LINKD_OK ? lk_buf_append(body, "}\n", 2, err) : rc;
}

static int match_print(lk_buf *body, const linkd_attached *attached,
                       linkd_error *err)
{
    linkd_str match = {attached->match.data, attached->match.len};
    int rc;

    if (match.len == 0)
        return lk_buf_append(body, "null", 4, err);
    rc = lk_buf_append(body, "{\"id\":", 6, err);
    if (rc == LINKD_OK)
        rc = lk_json_put_string(body, match, err);
    if (rc == LINKD_OK)
        rc = lk_buf_printf(body, err, ",\"score\":%.6f",
                           (double)attached->score);
    if (rc == LINKD_OK && attached->generation != 0)
        rc = lk_buf_printf(body, err,
                           ",\"generation\":%" PRIu32
                           ",\"way\":\"%s\",\"probability\":%.6f",
                           attached->generation, linkd_way_words[attached->way],
                           (double)attached->probability);
    return rc == LINKD_OK ? lk_buf_append(body, "}", 1, err) : rc;
}

static int attached_print(lk_buf *body, linkd_str id,
                          const linkd_attached *attached,
                          const linkd_error *problem, linkd_error *err)
{
    int rc = lk_buf_append(body, "{\"id\":", 6, err);

    if (rc == LINKD_OK)
        rc = lk_json_put_string(body, id, err);
    if (rc == LINKD_OK)
        rc = lk_buf_printf(
            body, err,
            ",\"entity\":%" PRIu64 ",\"new\":%s,\"match\":", attached->entity,
            attached->is_new ? "true" : "false");
    if (rc == LINKD_OK)
        rc = match_print(body, attached, err);
    if (rc == LINKD_OK)
        rc = lk_buf_printf(body, err, ",\"seq\":%" PRIu64, attached->seq);
    return rc == LINKD_OK ? problem_print(body, problem, err) : rc;
}

int lk_handle_attach(lk_service *service, lk_request *request,
                     lk_response *response, linkd_error *err)
{
    linkd_str text = {request->body.data, request->body.len};
    lk_model_embedder storage[LINKD_GENERATIONS_MAX];
    linkd_home homes[LINKD_GENERATIONS_MAX];
    linkd_attach_options options = {.rates = service->rates, .homes = homes};
    linkd_attached attached = {0};
    linkd_error problem = {0};
    linkd_put put = {0};
    json_t *body = NULL;
    lk_target target = {0};
    linkd_way way = LINKD_WAY_ALIGN;
    int rc = lk_json_parse(text, &body, err);

    if (rc == LINKD_OK)
        rc = lk_target_open(service, request, LK_URGENT, &target, err);
    if (rc == LINKD_OK)
        rc = attach_read(request, body, &target, &put, &options, err);
    put.generation = rc == LINKD_OK ? target.info.generation : 0;
    if (rc == LINKD_OK && target.model != NULL)
        rc = lk_way_find(service->store, target.name, &way, err);
    if (rc == LINKD_OK && way != LINKD_WAY_ALIGN)
        rc = lk_homes_find(service, request, target.name, storage, homes,
                           &options.n_homes, err);
    if (rc == LINKD_OK)
        rc = linkd_collection_attach(
            service->store, target.name, &target.settings,
            target.model != NULL ? &target.embedder : NULL, &put, &options,
            &attached, err);
    rc = lk_damage_name(rc, target.name, err);
    if (rc == LINKD_OK && linkd_settings_check_picture(&target.settings, &put,
                                                       &problem) != LINKD_OK)
        rc = problem.code == LINKD_E_NOMEM ? lk_fail_nomem(err) : LINKD_OK;
    if (rc == LINKD_OK)
        rc = attached_print(&response->body, put.id, &attached, &problem, err);
    if (rc == LINKD_OK)
        rc = lk_once_mark(response, request, attached.replayed, err);
    lk_buf_clear(&attached.match);
    json_decref(body);
    return rc;
}

/* ---- entities ------------------------------------------------------------ */

/* Appends the ids of the members, and counts them. */
static int members_print(linkd_view *view, uint64_t entity, lk_request *request,
                         lk_buf *body, size_t *ret_n, linkd_error *err)
{
    lk_arena arena = {0};
    uint64_t number = 0;
    bool found = true;
    size_t n = 0;
    int rc;

    for (;; n++) {
        linkd_stored record;

        rc = linkd_view_next_member(view, entity, number, &number, &found, err);
        if (rc == LINKD_OK && found && n % MEMBERS_PER_CHECK == 0) {
            lk_arena_clear(&arena);
            if (lk_request_is_over(request))
                rc = lk_fail(err, LINKD_E_CANCELLED,
                             "the time for the request ran out");
        }
        if (rc != LINKD_OK || !found)
            break;
        rc = linkd_view_read(view, number++, &arena, &record, err);
        if (rc == LINKD_OK && n > 0)
            rc = lk_buf_append(body, ",", 1, err);
        if (rc == LINKD_OK)
            rc = lk_json_put_string(body, record.id, err);
        if (rc != LINKD_OK)
            break;
    }
    lk_arena_clear(&arena);
    *ret_n = n;
    return rc;
}

int lk_handle_get_entity(lk_service *service, lk_request *request,
                         lk_response *response, linkd_error *err)
{
    lk_buf *body = &response->body;
    linkd_view *view = NULL;
    uint64_t entity = 0;
    size_t n = 0;
    int rc = lk_str_to_u64(request->params[1], "entity", &entity, err);

    if (rc == LINKD_OK)
        rc = linkd_view_open(service->store, request->params[0], &view, err);
    if (rc == LINKD_OK)
        rc = lk_buf_printf(body, err, "{\"entity\":%" PRIu64 ",\"records\":[",
                           entity);
    if (rc == LINKD_OK)
        rc = members_print(view, entity, request, body, &n, err);
    if (rc == LINKD_OK && n == 0)
        rc =
            lk_fail(err, LINKD_E_ABSENT, "there is no entity %" PRIu64, entity);
    linkd_view_close(view);
    return rc == LINKD_OK ? lk_buf_append(body, "]}\n", 3, err) : rc;
}

/* ---- what was merged and split ------------------------------------------- */

/* Events of one answer, some hundred bytes each. */
#define EVENTS_DEFAULT UINT64_C(1000)
#define EVENTS_MAX     UINT64_C(10000)

static int reason_print(const linkd_entity_event *event, lk_buf *body,
                        linkd_error *err)
{
    int rc;

    if (event->ids[0].len == 0)
        return lk_buf_printf(body, err, "null}");
    rc = lk_buf_printf(body, err, "{\"records\":[");
    if (rc == LINKD_OK)
        rc = lk_json_put_string(body, event->ids[0], err);
    if (rc == LINKD_OK)
        rc = lk_buf_append(body, ",", 1, err);
    if (rc == LINKD_OK)
        rc = lk_json_put_string(body, event->ids[1], err);
    if (rc == LINKD_OK)
        rc = lk_buf_printf(body, err, "],\"probability\":%.6f}}",
                           (double)event->probability);
    return rc;
}

static int event_print(const linkd_entity_event *event, lk_buf *body,
                       linkd_error *err)
{
    int rc = lk_buf_printf(body, err,
                           "{\"seq\":%" PRIu64 ",\"event\":\"%s\","
                           "\"entity\":%" PRIu64 ",\"other\":%" PRIu64
                           ",\"reason\":",
                           event->seq, event->merged ? "merge" : "split",
                           event->entity, event->other);

    return rc == LINKD_OK ? reason_print(event, body, err) : rc;
}

/* Appends at most `limit` events; *from becomes 0 at the end, else where the
 * next answer begins. */
static int events_print(linkd_view *view, uint64_t limit, uint64_t *from,
                        lk_buf *body, linkd_error *err)
{
    bool found = true;
    int rc = LINKD_OK;

    for (uint64_t n = 0; rc == LINKD_OK; n++) {
        linkd_entity_event event;

        rc = linkd_view_next_event(view, *from, &event, &found, err);
        if (rc != LINKD_OK || !found || n == limit)
            break;
        *from = event.seq + 1;
        if (n > 0)
            rc = lk_buf_append(body, ",", 1, err);
        if (rc == LINKD_OK)
            rc = event_print(&event, body, err);
    }
    if (!found)
        *from = 0;
    return rc;
}

static int events_options(lk_request *request, uint64_t *ret_from,
                          uint64_t *ret_limit, linkd_error *err)
{
    static const char *const names[] = {"from", "limit", NULL};
    linkd_str text = {0};
    bool found = false;
    int rc = lk_request_check_query(request, names, err);

    if (rc == LINKD_OK)
        rc = lk_request_query(request, "from", &text, &found, err);
    if (rc == LINKD_OK && found)
        rc = lk_str_to_u64(text, "from", ret_from, err);
    if (rc == LINKD_OK)
        rc = lk_request_query(request, "limit", &text, &found, err);
    if (rc == LINKD_OK && found)
        rc = lk_str_to_u64(text, "limit", ret_limit, err);
    if (rc == LINKD_OK && (*ret_limit == 0 || *ret_limit > EVENTS_MAX))
        rc = lk_fail(err, LINKD_E_ARG, "\"limit\" is not from 1 to %" PRIu64,
                     EVENTS_MAX);
    return rc;
}

int lk_handle_list_events(lk_service *service, lk_request *request,
                          lk_response *response, linkd_error *err)
{
    lk_buf *body = &response->body;
    linkd_view *view = NULL;
    uint64_t from = 0;
    uint64_t limit = EVENTS_DEFAULT;
    int rc = events_options(request, &from, &limit, err);

    if (rc == LINKD_OK)
        rc = linkd_view_open(service->store, request->params[0], &view, err);
    if (rc == LINKD_OK)
        rc = lk_buf_printf(body, err, "{\"events\":[");
    if (rc == LINKD_OK)
        rc = events_print(view, limit, &from, body, err);
    linkd_view_close(view);
    if (rc == LINKD_OK && from > 0)
        return lk_buf_printf(body, err, "],\"next\":%" PRIu64 "}\n", from);
    return rc == LINKD_OK ? lk_buf_printf(body, err, "],\"next\":null}\n") : rc;
}
