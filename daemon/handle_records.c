/* daemon/handle_records.c — records: written in bulk, read, deleted, scrolled.
 *
 * A bulk request is one transaction. A scroll holds no view between its pieces,
 * so it sees what was written behind its place and what was not there when it
 * began. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/bodies.h"
#include "daemon/handlers.h"
#include "daemon/idempotency.h"
#include "daemon/print.h"
#include "daemon/target.h"

/* A guess: 64 KiB of ordinary records. */
#define SCROLL_DEFAULT ((size_t)100)
#define SCROLL_MAX     ((size_t)10000)
/* What every slow reader holds: 1000 of them make 36 MB. */
#define CHUNK_BYTES ((size_t)32 << 10)

/* ---- writing ------------------------------------------------------------- */

static int form_read(lk_request *request, const lk_target *target,
                     lk_records_form *ret_form, linkd_error *err)
{
    static const char *const names[] = {"id", "first_id", NULL};
    lk_records_form form = {.content_type = lk_request_content_type(request),
                            .dim = target->info.options.dim,
                            .takes_vectors = target->model == NULL};
    linkd_str first_id = {0};
    bool found = false;
    int rc = lk_request_check_query(request, names, err);

    if (rc == LINKD_OK)
        rc = lk_request_query(request, "id", &form.id_column, &found, err);
    if (rc == LINKD_OK)
        rc = lk_request_query(request, "first_id", &first_id, &found, err);
    if (rc == LINKD_OK && found)
        rc = lk_str_to_u64(first_id, "first_id", &form.first_id, err);
    if (rc == LINKD_OK)
        *ret_form = form;
    return rc;
}

static int records_put(lk_service *service, const lk_target *target,
                       const lk_records *records, const linkd_once *once,
                       linkd_write_result *ret_result,
                       linkd_unusable *ret_unusable, linkd_error *err)
{
    for (size_t i = 0; i < records->n; i++)
        records->puts[i].generation = target->info.generation;
    if (target->model == NULL)
        return linkd_store_put(service->store, target->name, records->puts,
                               records->n, once, ret_result, err);
    return linkd_collection_put(service->store, target->name, &target->settings,
                                &target->embedder, records->puts, records->n,
                                once, ret_result, ret_unusable, err);
}

/* Nothing where all pictures can be used. */
static int unusable_print(const linkd_unusable *unusable, lk_buf *body,
                          linkd_error *err)
{
    const size_t n_told = unusable->n < LINKD_IMAGE_PROBLEMS_MAX
                              ? unusable->n
                              : LINKD_IMAGE_PROBLEMS_MAX;
    int rc = LINKD_OK;

    if (unusable->n > 0)
        rc = lk_buf_printf(body, err,
                           ",\"unusable_images\":%zu,\"image_problems\":[",
                           unusable->n);
    for (size_t i = 0; i < n_told && rc == LINKD_OK; i++) {
        const char *why = unusable->first[i].why.message;

        rc = lk_buf_printf(body, err,
                           "%s{\"record\":%zu,\"problem\":", i > 0 ? "," : "",
                           unusable->first[i].put);
        if (rc == LINKD_OK)
            rc = lk_json_put_string(body, (linkd_str){why, strlen(why)}, err);
        if (rc == LINKD_OK)
            rc = lk_buf_append(body, "}", 1, err);
    }
    return rc == LINKD_OK && n_told > 0 ? lk_buf_append(body, "]", 1, err) : rc;
}

static int written_print(const linkd_write_result *result,
                         const linkd_unusable *unusable, lk_buf *body,
                         linkd_error *err)
{
    int rc = lk_buf_printf(body, err,
                           "{\"created\":%" PRIu64 ",\"updated\":%" PRIu64
                           ",\"seq\":%" PRIu64,
                           result->n_created, result->n_updated, result->seq);

    if (rc == LINKD_OK)
        rc = unusable_print(unusable, body, err);
    return rc == LINKD_OK ? lk_buf_append(body, "}\n", 2, err) : rc;
}

int lk_handle_put_records(lk_service *service, lk_request *request,
                          lk_response *response, linkd_error *err)
{
    linkd_str body = {request->body.data, request->body.len};
    linkd_write_result result;
    linkd_unusable unusable = {0};
    lk_records records = {0};
    lk_records_form form;
    lk_target target;
    linkd_once once;
    int rc = lk_target_open(service, request, LK_BULK, &target, err);

    if (rc == LINKD_OK)
        rc = form_read(request, &target, &form, err);
    if (rc == LINKD_OK)
        rc = lk_once_read(request, &once, err);
    if (rc != LINKD_OK)
        return rc;
    rc = lk_records_read(body, &form, &request->arena, &records, err);
    if (rc == LINKD_E_ABSENT)
        return lk_response_fail(response, 415, "unsupported_type", rc);
    if (rc == LINKD_OK)
        rc = records_put(service, &target, &records, &once, &result, &unusable,
                         err);
    lk_records_clear(&records);
    if (rc == LINKD_OK)
        rc = lk_once_mark(response, request, result.replayed, err);
    return rc == LINKD_OK
               ? written_print(&result, &unusable, &response->body, err)
               : rc;
}

static int ids_read(const json_t *json, lk_request *request,
                    linkd_str **ret_ids, size_t *ret_n, linkd_error *err)
{
    static const char *const members[] = {"ids", NULL};
    const json_t *array;
    linkd_str *ids;
    size_t n;
    int rc = lk_json_check_members(json, "the body", members, err);

    if (rc != LINKD_OK)
        return rc;
    array = json_object_get(json, "ids");
    n = json_array_size(array);
    if (!json_is_array(array) || n > LINKD_PUT_MAX)
        return lk_fail(err, LINKD_E_ARG,
                       "\"ids\" is not an array of at most %zu ids",
                       LINKD_PUT_MAX);
    ids = lk_arena_alloc(&request->arena, (n + 1) * sizeof(*ids));
    if (ids == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < n; i++) {
        const json_t *id = json_array_get(array, i);

        if (!json_is_string(id))
            return lk_fail(err, LINKD_E_ARG, "id %zu is not a string", i);
        ids[i] = (linkd_str){json_string_value(id), json_string_length(id)};
    }
    *ret_ids = ids;
    *ret_n = n;
    return LINKD_OK;
}

static int deleted_print(lk_request *request, lk_response *response,
                         const linkd_write_result *result, linkd_error *err)
{
    int rc = lk_once_mark(response, request, result->replayed, err);

    if (rc != LINKD_OK)
        return rc;
    return lk_buf_printf(&response->body, err,
                         "{\"deleted\":%" PRIu64 ",\"seq\":%" PRIu64 "}\n",
                         result->n_deleted, result->seq);
}

int lk_handle_delete_records(lk_service *service, lk_request *request,
                             lk_response *response, linkd_error *err)
{
    linkd_str body = {request->body.data, request->body.len};
    linkd_write_result result;
    json_t *json = NULL;
    linkd_str *ids = NULL;
    linkd_once once;
    size_t n = 0;
    int rc = lk_once_read(request, &once, err);

    if (rc == LINKD_OK)
        rc = lk_json_parse(body, &json, err);
    if (rc == LINKD_OK)
        rc = ids_read(json, request, &ids, &n, err);
    if (rc == LINKD_OK)
        rc = linkd_store_delete(service->store, request->params[0], ids, n,
                                &once, &result, err);
    json_decref(json);
    return rc == LINKD_OK ? deleted_print(request, response, &result, err) : rc;
}

int lk_handle_delete_record(lk_service *service, lk_request *request,
                            lk_response *response, linkd_error *err)
{
    linkd_write_result result;
    linkd_once once;
    int rc = lk_once_read(request, &once, err);

    if (rc == LINKD_OK)
        rc = linkd_store_delete(service->store, request->params[0],
                                &request->params[1], 1, &once, &result, err);
    if (rc == LINKD_OK && result.n_deleted == 0)
        return lk_fail(err, LINKD_E_ABSENT, "there is no record \"%s\"",
                       lk_label_of(request->params[1]).text);
    return rc == LINKD_OK ? deleted_print(request, response, &result, err) : rc;
}

/* ---- reading ------------------------------------------------------------- */

/* Vectors of several models do not compare: each says which one's it is. */
static int vector_print(linkd_view *view, uint32_t generation,
                        const float *vector, lk_buf *body, linkd_error *err)
{
    linkd_generation all[LINKD_GENERATIONS_MAX];
    bool was_changed = generation > 1 || linkd_view_generations(view, all) > 1;
    int rc = LINKD_OK;

    if (was_changed)
        rc = lk_buf_printf(body, err, ",\"generation\":%" PRIu32, generation);
    if (rc == LINKD_OK)
        rc = lk_buf_append(body, ",\"vector\":", 10, err);
    return rc == LINKD_OK
               ? lk_print_vector(body, vector, linkd_view_dim(view), err)
               : rc;
}

/* The record as a JSON object, with its vector if wanted. */
static int record_print(linkd_view *view, uint64_t number, bool with_vector,
                        lk_arena *arena, lk_buf *body, linkd_error *err)
{
    linkd_stored record;
    const float *vector = NULL;
    uint32_t generation = 0;
    int rc = linkd_view_read(view, number, arena, &record, err);

    if (rc == LINKD_OK)
        rc = lk_buf_append(body, "{\"id\":", 6, err);
    if (rc == LINKD_OK)
        rc = lk_json_put_string(body, record.id, err);
    if (rc == LINKD_OK)
        rc = lk_buf_append(body, ",\"fields\":", 10, err);
    if (rc == LINKD_OK)
        rc = lk_print_fields(body, record.fields, record.n_fields, err);
    if (rc == LINKD_OK)
        rc = lk_print_entity(body, record.entity, err);
    if (rc == LINKD_OK && with_vector)
        rc = linkd_view_locate(view, number, &generation, err);
    if (rc == LINKD_OK && generation != 0)
        rc = linkd_view_turn_to(view, generation, err);
    if (rc == LINKD_OK && generation != 0)
        rc = linkd_view_vector(view, number, &vector, err);
    if (rc == LINKD_OK && vector != NULL)
        rc = vector_print(view, generation, vector, body, err);
    return rc == LINKD_OK ? lk_buf_append(body, "}", 1, err) : rc;
}

static int wants_vectors(lk_request *request, bool *ret_wanted,
                         linkd_error *err)
{
    linkd_str value = {0};
    bool found = false;
    int rc = lk_request_query(request, "vectors", &value, &found, err);

    if (rc != LINKD_OK)
        return rc;
    *ret_wanted = found && lk_str_is(value, "true");
    if (found && !*ret_wanted && !lk_str_is(value, "false"))
        return lk_fail(err, LINKD_E_ARG, "\"vectors\" is not true or false");
    return LINKD_OK;
}

int lk_handle_get_record(lk_service *service, lk_request *request,
                         lk_response *response, linkd_error *err)
{
    static const char *const names[] = {"vectors", NULL};
    linkd_view *view = NULL;
    uint64_t number = 0;
    bool found = false;
    bool vectors = false;
    int rc = lk_request_check_query(request, names, err);

    if (rc == LINKD_OK)
        rc = wants_vectors(request, &vectors, err);
    if (rc == LINKD_OK)
        rc = linkd_view_open(service->store, request->params[0], &view, err);
    if (rc == LINKD_OK)
        rc = linkd_view_find(view, request->params[1], &number, &found, err);
    if (rc == LINKD_OK && !found)
        rc = lk_fail(err, LINKD_E_ABSENT, "there is no record \"%s\"",
                     lk_label_of(request->params[1]).text);
    if (rc == LINKD_OK)
        rc = record_print(view, number, vectors, &request->arena,
                          &response->body, err);
    linkd_view_close(view);
    return rc == LINKD_OK ? lk_buf_append(&response->body, "\n", 1, err) : rc;
}

/* ---- scrolling ----------------------------------------------------------- */

/* A walk over the records from one number on. As NDJSON it is a stream: each
 * piece is read in a view of its own, so that a slow client holds none open. */
typedef struct scroll {
    linkd_store *store;
    lk_request *request; /* NULL from a stream's second piece on */
    char *collection;
    json_t *filter_json; /* the filter borrows from it */
    lk_arena arena;      /* of the filter */
    const linkd_filter *filter;
    linkd_selection *selection; /* by the filter, as of the first piece */
    uint64_t next;
    size_t limit; /* of a page; a stream has none */
    bool vectors;
} scroll;

static void scroll_free(void *ctx)
{
    scroll *s = ctx;

    if (s == NULL)
        return;
    linkd_selection_free(s->selection);
    json_decref(s->filter_json);
    lk_arena_clear(&s->arena);
    free(s->collection);
    free(s);
}

/* Appends records until `limit` or about CHUNK_BYTES are reached; `separator`
 * stands between them, `end` after each. */
static int scroll_read(scroll *s, bool is_stream, lk_buf *body, bool *ret_more,
                       linkd_error *err)
{
    linkd_str name = {s->collection, strlen(s->collection)};
    linkd_view *view = NULL;
    lk_arena arena = {0};
    size_t begin = body->len;
    size_t n = 0;
    bool found = true;
    int rc = linkd_view_open(s->store, name, &view, err);

    if (rc == LINKD_OK && s->filter != NULL && s->selection == NULL)
        rc = linkd_view_select(view, s->filter, lk_request_is_over, s->request,
                               &s->selection, err);
    while (rc == LINKD_OK && n < s->limit &&
           (!is_stream || body->len - begin < CHUNK_BYTES)) {
        uint64_t number = 0;

        rc = linkd_view_next(view, s->next, &number, &found, err);
        if (rc != LINKD_OK || !found)
            break;
        s->next = number + 1;
        if (s->selection != NULL && !linkd_selection_has(s->selection, number))
            continue;
        if (n++ > 0 && !is_stream)
            rc = lk_buf_append(body, ",", 1, err);
        if (rc == LINKD_OK)
            rc = record_print(view, number, s->vectors, &arena, body, err);
        if (rc == LINKD_OK && is_stream)
            rc = lk_buf_append(body, "\n", 1, err);
        lk_arena_clear(&arena);
    }
    linkd_view_close(view);
    *ret_more = found;
    return rc;
}

static int scroll_stream(void *ctx, lk_buf *ret_chunk,
                         lk_stream_state *ret_state, linkd_error *err)
{
    bool more = false;
    int rc = scroll_read(ctx, true, ret_chunk, &more, err);

    *ret_state = more ? LK_STREAM_MORE : LK_STREAM_END;
    return rc;
}

/* A cursor is the number of the next record. */
static int scroll_options(lk_request *request, scroll *s, linkd_error *err)
{
    linkd_str text = {0};
    uint64_t limit = SCROLL_DEFAULT;
    bool found = false;
    int rc = wants_vectors(request, &s->vectors, err);

    if (rc == LINKD_OK)
        rc = lk_request_query(request, "cursor", &text, &found, err);
    if (rc == LINKD_OK && found)
        rc = lk_str_to_u64(text, "cursor", &s->next, err);
    if (rc == LINKD_OK)
        rc = lk_request_query(request, "limit", &text, &found, err);
    if (rc == LINKD_OK && found)
        rc = lk_str_to_u64(text, "limit", &limit, err);
    if (rc == LINKD_OK && (limit == 0 || limit > SCROLL_MAX))
        rc = lk_fail(err, LINKD_E_ARG, "\"limit\" is not from 1 to %zu",
                     SCROLL_MAX);
    s->limit = (size_t)limit;
    if (rc == LINKD_OK)
        rc = lk_request_query(request, "filter", &text, &found, err);
    if (rc == LINKD_OK && found)
        rc = lk_json_parse(text, &s->filter_json, err);
    if (rc == LINKD_OK && found)
        rc = lk_json_get_filter(s->filter_json, &s->arena, &s->filter, err);
    return rc;
}

static int scroll_page(scroll *s, lk_buf *body, linkd_error *err)
{
    bool more = false;
    int rc = lk_buf_append(body, "{\"records\":[", 12, err);

    if (rc == LINKD_OK)
        rc = scroll_read(s, false, body, &more, err);
    if (rc == LINKD_OK && more)
        rc = lk_buf_printf(body, err, "],\"cursor\":\"%" PRIu64 "\"}\n",
                           s->next);
    else if (rc == LINKD_OK)
        rc = lk_buf_printf(body, err, "],\"cursor\":null}\n");
    return rc;
}

int lk_handle_scroll_records(lk_service *service, lk_request *request,
                             lk_response *response, linkd_error *err)
{
    static const char *const names[] = {"limit", "cursor", "filter", "vectors",
                                        NULL};
    bool is_stream =
        lk_str_is(lk_request_header(request, "accept"), "application/x-ndjson");
    scroll *s = calloc(1, sizeof(*s));
    int rc = s == NULL ? lk_fail_nomem(err)
                       : lk_request_check_query(request, names, err);

    if (rc == LINKD_OK)
        rc = scroll_options(request, s, err);
    if (rc == LINKD_OK) {
        s->store = service->store;
        s->request = request;
        s->collection =
            strndup(request->params[0].bytes, request->params[0].len);
        if (s->collection == NULL)
            rc = lk_fail_nomem(err);
    }
    if (rc == LINKD_OK && !is_stream)
        rc = scroll_page(s, &response->body, err);
    if (rc == LINKD_OK && is_stream) {
        bool more = false;

        /* the first piece here, so that failures have their status */
        s->limit = SIZE_MAX;
        response->content_type = "application/x-ndjson";
        rc = scroll_read(s, true, &response->body, &more, err);
        s->request = NULL;
        if (rc == LINKD_OK && more) {
            response->stream = (lk_stream){
                .next = scroll_stream, .free = scroll_free, .ctx = s};
            s = NULL;
        }
    }
    scroll_free(s);
    return rc;
}
