/* daemon/handle_status.c — how the daemon is, and what it can be asked.
 *
 * /openapi.json is printed from lk_routes, the table that requests are routed
 * by: a path cannot be in one and not in the other. */
#include <inttypes.h>
#include <jansson.h>
#include <llhttp.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "daemon/handlers.h"
#include "daemon/json.h"
#include "daemon/service.h"

int lk_handle_healthz(lk_service *service, lk_request *request,
                      lk_response *response, linkd_error *err)
{
    (void)service;
    (void)request;
    return lk_buf_printf(&response->body, err, "{\"status\":\"ok\"}\n");
}

int lk_handle_readyz(lk_service *service, lk_request *request,
                     lk_response *response, linkd_error *err)
{
    int phase = atomic_load(&service->phase);

    (void)request;
    if (phase == LK_PHASE_LOADING)
        return lk_fail(err, LINKD_E_BUSY, "the daemon is starting");
    if (phase == LK_PHASE_DRAINING)
        return lk_fail(err, LINKD_E_BUSY, "the daemon is stopping");
    return lk_buf_printf(&response->body, err, "{\"status\":\"ready\"}\n");
}

int lk_handle_metrics(lk_service *service, lk_request *request,
                      lk_response *response, linkd_error *err)
{
    (void)request;
    response->content_type = "text/plain; version=0.0.4; charset=utf-8";
    return lk_metrics_print(service->metrics, service, &response->body, err);
}

int lk_handle_version(lk_service *service, lk_request *request,
                      lk_response *response, linkd_error *err)
{
    (void)service;
    (void)request;
    return lk_buf_printf(
        &response->body, err,
        "{\"linkd\":\"%s\",\"format\":%" PRIu64 ",\"libraries\":{"
        "\"index\":\"%s\",\"libuv\":\"%s\",\"llhttp\":\"%d.%d.%d\","
        "\"jansson\":\"%s\"}}\n",
        LINKD_VERSION, LINKD_STORE_FORMAT, linkd_index_library(),
        uv_version_string(), LLHTTP_VERSION_MAJOR, LLHTTP_VERSION_MINOR,
        LLHTTP_VERSION_PATCH, JANSSON_VERSION);
}

/* ---- openapi ------------------------------------------------------------ */

static const char openapi_head[] =
    "{\"openapi\":\"3.1.0\",\"info\":{\"title\":\"linkd\",\"version\":\"%s\","
    "\"description\":\"Collections of records, searched and linked.\"},"
    "\"servers\":[{\"url\":\"http://localhost\"}],"
    "\"security\":[{},{\"token\":[]}],\"paths\":{";

static const char openapi_tail[] =
    "},\"components\":{\"securitySchemes\":{\"token\":{\"type\":\"http\","
    "\"scheme\":\"bearer\",\"description\":\"TCP only; on the Unix socket the "
    "peer's user decides\"}},"
    "\"responses\":{\"Problem\":{\"description\":\"Problem document (RFC 9457)"
    "\",\"content\":{\"application/problem+json\":{\"schema\":{\"$ref\":"
    "\"#/components/schemas/Problem\"}}}}},"
    "\"schemas\":{\"Problem\":{\"type\":\"object\",\"required\":[\"type\","
    "\"title\",\"status\",\"code\",\"detail\"],\"properties\":{"
    "\"type\":{\"type\":\"string\"},\"title\":{\"type\":\"string\"},"
    "\"status\":{\"type\":\"integer\"},\"code\":{\"type\":\"string\"},"
    "\"detail\":{\"type\":\"string\"}}}}}}\n";

/* What a search has in the URL is JSON, as in its body. */
static int search_parameter_print(const json_t *members, const char *name,
                                  lk_buf *out, linkd_error *err)
{
    char *schema = json_dumps(json_object_get(members, name), JSON_COMPACT);
    int rc = schema == NULL
                 ? lk_fail_nomem(err)
                 : lk_buf_printf(out, err,
                                 ",{\"name\":\"%s\",\"in\":\"query\","
                                 "\"description\":\"with a body of vectors\","
                                 "\"content\":{\"application/json\":"
                                 "{\"schema\":%s}}}",
                                 name, schema);

    free(schema);
    return rc;
}

static int search_parameters_print(const lk_route *route, lk_buf *out,
                                   linkd_error *err)
{
    json_t *body = json_loads(route->request, 0, NULL);
    const json_t *members = json_object_get(body, "properties");
    int rc = body == NULL ? lk_fail_nomem(err) : LINKD_OK;

    for (size_t i = 0; lk_search_parameters[i] != NULL && rc == LINKD_OK; i++)
        rc = search_parameter_print(members, lk_search_parameters[i], out, err);
    json_decref(body);
    return rc;
}

/* One for each {name} in the path. */
static int path_parameters_print(const lk_route *route, lk_buf *out,
                                 linkd_error *err)
{
    const char *at = route->path;
    const char *separator = "";
    int rc = lk_buf_printf(out, err, ",\"parameters\":[");

    while (rc == LINKD_OK && (at = strchr(at, '{')) != NULL) {
        size_t len = strcspn(++at, "}");

        rc =
            lk_buf_printf(out, err,
                          "%s{\"name\":\"%.*s\",\"in\":\"path\","
                          "\"required\":true,\"schema\":{\"type\":\"string\"}}",
                          separator, (int)len, at);
        separator = ",";
    }
    return rc;
}

static int parameters_print(const lk_route *route, lk_buf *out,
                            linkd_error *err)
{
    int rc = path_parameters_print(route, out, err);

    if (rc == LINKD_OK && route->handler == lk_handle_search)
        rc = search_parameters_print(route, out, err);
    return rc == LINKD_OK ? lk_buf_printf(out, err, "]") : rc;
}

/* `other` is another type that it may have, or NULL. */
static int content_print(const char *schema, const char *other, lk_buf *out,
                         linkd_error *err)
{
    return lk_buf_printf(
        out, err, ",\"content\":{\"application/json\":{\"schema\":%s}%s%s%s}",
        schema, other != NULL ? ",\"" : "", other != NULL ? other : "",
        other != NULL ? "\":{}" : "");
}

static int body_print(const lk_route *route, lk_buf *out, linkd_error *err)
{
    int rc;

    if (route->body_to_file)
        return lk_buf_printf(out, err,
                             ",\"requestBody\":{\"required\":true,"
                             "\"content\":{\"*/*\":{}}}");
    if (route->request == NULL)
        return LINKD_OK;
    rc = lk_buf_printf(out, err, ",\"requestBody\":{\"required\":true");
    if (rc == LINKD_OK)
        rc = content_print(route->request,
                           route->handler == lk_handle_search
                               ? "application/octet-stream"
                               : NULL,
                           out, err);
    return rc == LINKD_OK ? lk_buf_printf(out, err, "}") : rc;
}

static int responses_print(const lk_route *route, lk_buf *out, linkd_error *err)
{
    int rc = lk_buf_printf(out, err,
                           ",\"responses\":{\"2XX\":{\"description\":"
                           "\"Done\"");

    if (rc == LINKD_OK && route->response != NULL)
        rc = content_print(route->response, NULL, out, err);
    if (rc == LINKD_OK)
        rc = lk_buf_printf(out, err,
                           "},\"default\":{\"$ref\":"
                           "\"#/components/responses/Problem\"}}");
    return rc;
}

static int operation_print(const lk_route *route, lk_buf *out, linkd_error *err)
{
    static const char *const methods[LK_N_METHODS] = {
        [LK_GET] = "get",
        [LK_PUT] = "put",
        [LK_POST] = "post",
        [LK_DELETE] = "delete",
    };
    static const char *const roles[] = {"none", "read", "write", "admin"};
    linkd_str summary = {route->summary, strlen(route->summary)};
    int rc =
        lk_buf_printf(out, err,
                      "\"%s\":{\"operationId\":\"%s\","
                      "\"x-linkd-role\":\"%s\",\"summary\":",
                      methods[route->method], route->name, roles[route->role]);

    if (rc == LINKD_OK)
        rc = lk_json_put_string(out, summary, err);
    if (rc == LINKD_OK && route->role == LK_ROLE_NONE)
        rc = lk_buf_printf(out, err, ",\"security\":[]");
    if (rc == LINKD_OK)
        rc = parameters_print(route, out, err);
    if (rc == LINKD_OK)
        rc = body_print(route, out, err);
    if (rc == LINKD_OK)
        rc = responses_print(route, out, err);
    return rc == LINKD_OK ? lk_buf_printf(out, err, "}") : rc;
}

/* Whether an earlier route has the path: it is printed there. */
static bool is_printed(size_t route)
{
    for (size_t i = 0; i < route; i++) {
        if (strcmp(lk_routes[i].path, lk_routes[route].path) == 0)
            return true;
    }
    return false;
}

/* All methods of the path of a route. */
static int path_print(size_t route, lk_buf *out, linkd_error *err)
{
    const char *separator = "";
    int rc = lk_buf_printf(out, err, "%s\"%s\":{", route > 0 ? "," : "",
                           lk_routes[route].path);

    for (size_t i = route; i < lk_n_routes && rc == LINKD_OK; i++) {
        if (strcmp(lk_routes[i].path, lk_routes[route].path) != 0)
            continue;
        rc = lk_buf_printf(out, err, "%s", separator);
        if (rc == LINKD_OK)
            rc = operation_print(&lk_routes[i], out, err);
        separator = ",";
    }
    return rc == LINKD_OK ? lk_buf_printf(out, err, "}") : rc;
}

int lk_handle_openapi(lk_service *service, lk_request *request,
                      lk_response *response, linkd_error *err)
{
    lk_buf *out = &response->body;
    int rc = lk_buf_printf(out, err, openapi_head, LINKD_VERSION);

    (void)service;
    (void)request;
    for (size_t i = 0; i < lk_n_routes && rc == LINKD_OK; i++) {
        if (!is_printed(i))
            rc = path_print(i, out, err);
    }
    return rc == LINKD_OK
               ? lk_buf_append(out, openapi_tail, sizeof(openapi_tail) - 1, err)
               : rc;
}
