#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "daemon/handlers.h"
#include "daemon/service.h"

typedef struct fixture {
    lk_service service;
    lk_request request;
    lk_response response;
    json_t *json; /* of the answer */
    linkd_error err;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    f->service.phase = LK_PHASE_READY;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;

    lk_arena_clear(&f->request.arena);
    lk_buf_clear(&f->response.body);
    json_decref(f->json);
    free(f);
    return 0;
}

/* Runs a handler that succeeds, and parses what it answers. */
static void answer_read(fixture *f, lk_handler *handler)
{
    assert_int_equal(handler(&f->service, &f->request, &f->response, &f->err),
                     LINKD_OK);
    assert_int_equal(f->response.status, 0);
    f->json = json_loadb(f->response.body.data, f->response.body.len,
                         JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(f->json);
}

static const char *text_at(const json_t *json, const char *name)
{
    const char *text = json_string_value(json_object_get(json, name));

    assert_non_null(text);
    return text;
}

static void health_does_not_depend_on_the_phase(void **state)
{
    fixture *f = *state;

    f->service.phase = LK_PHASE_LOADING;
    answer_read(f, lk_handle_healthz);
    assert_string_equal(text_at(f->json, "status"), "ok");
}

static void it_is_ready_neither_while_it_loads_nor_while_it_drains(void **state)
{
    fixture *f = *state;

    f->service.phase = LK_PHASE_LOADING;
    assert_int_equal(
        lk_handle_readyz(&f->service, &f->request, &f->response, &f->err),
        LINKD_E_BUSY);
    assert_string_equal(f->err.message, "the daemon is starting");
    f->service.phase = LK_PHASE_DRAINING;
    assert_int_equal(
        lk_handle_readyz(&f->service, &f->request, &f->response, &f->err),
        LINKD_E_BUSY);
    assert_string_equal(f->err.message, "the daemon is stopping");
    f->service.phase = LK_PHASE_READY;
    answer_read(f, lk_handle_readyz);
    assert_string_equal(text_at(f->json, "status"), "ready");
}

static void the_version_is_of_linkd_its_format_and_libraries(void **state)
{
    fixture *f = *state;
    const json_t *libraries;

    answer_read(f, lk_handle_version);
    assert_string_equal(text_at(f->json, "linkd"), LINKD_VERSION);
    assert_int_equal(json_integer_value(json_object_get(f->json, "format")),
                     LINKD_STORE_FORMAT);
    libraries = json_object_get(f->json, "libraries");
    assert_string_equal(text_at(libraries, "index"), linkd_index_library());
    assert_string_equal(text_at(libraries, "jansson"), JANSSON_VERSION);
}

/* The operation of a route, whose path and method must be there. */
static const json_t *operation_of(const fixture *f, const lk_route *route)
{
    static const char *const methods[] = {"get", "put", "post", "delete"};
    const json_t *paths = json_object_get(f->json, "paths");
    const json_t *operation = json_object_get(
        json_object_get(paths, route->path), methods[route->method]);

    assert_non_null(operation);
    return operation;
}

static void openapi_has_every_route_with_its_parameters(void **state)
{
    fixture *f = *state;

    answer_read(f, lk_handle_openapi);
    assert_string_equal(text_at(f->json, "openapi"), "3.1.0");
    for (size_t i = 0; i < lk_n_routes; i++) {
        const json_t *operation = operation_of(f, &lk_routes[i]);
        const json_t *parameters = json_object_get(operation, "parameters");
        size_t n = 0;

        for (const char *at = lk_routes[i].path; *at != '\0'; at++)
            n += *at == '{';
        assert_string_equal(text_at(operation, "operationId"),
                            lk_routes[i].name);
        for (size_t j = 0; lk_routes[i].handler == lk_handle_search &&
                           lk_search_parameters[j] != NULL;
             j++)
            n++;
        assert_int_equal(json_array_size(parameters), n);
        assert_int_equal(json_object_get(operation, "requestBody") != NULL,
                         lk_routes[i].request != NULL ||
                             lk_routes[i].body_to_file);
    }
}

static void operation_ids_are_unique(void **state)
{
    (void)state;
    for (size_t i = 0; i < lk_n_routes; i++) {
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(lk_routes[i].name, lk_routes[j].name);
    }
}

static void openapi_keeps_the_schemas_of_the_table(void **state)
{
    fixture *f = *state;
    lk_route search = {.method = LK_POST,
                       .path = "/v1/collections/{collection}/search"};
    const json_t *schema, *parameter;

    answer_read(f, lk_handle_openapi);
    schema = json_object_get(
        json_object_get(
            json_object_get(
                json_object_get(operation_of(f, &search), "requestBody"),
                "content"),
            "application/json"),
        "schema");
    assert_string_equal(text_at(schema, "type"), "object");
    parameter = json_array_get(
        json_object_get(operation_of(f, &search), "parameters"), 0);
    assert_string_equal(text_at(parameter, "name"), "collection");
    assert_string_equal(text_at(parameter, "in"), "path");
}

/* A client that posts vectors has its options in the URL. */
static void openapi_has_the_urls_options_of_a_search(void **state)
{
    fixture *f = *state;
    const lk_route search = {.method = LK_POST,
                             .path = "/v1/collections/{collection}/search"};
    const json_t *operation, *content, *parameter;

    answer_read(f, lk_handle_openapi);
    operation = operation_of(f, &search);
    content =
        json_object_get(json_object_get(operation, "requestBody"), "content");
    assert_non_null(json_object_get(content, "application/octet-stream"));
    for (size_t i = 0; lk_search_parameters[i] != NULL; i++) {
        parameter =
            json_array_get(json_object_get(operation, "parameters"), i + 1);
        assert_string_equal(text_at(parameter, "name"),
                            lk_search_parameters[i]);
        assert_string_equal(text_at(parameter, "in"), "query");
        assert_true(json_is_object(json_object_get(
            json_object_get(json_object_get(parameter, "content"),
                            "application/json"),
            "schema")));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(health_does_not_depend_on_the_phase),
        TEST(it_is_ready_neither_while_it_loads_nor_while_it_drains),
        TEST(the_version_is_of_linkd_its_format_and_libraries),
        TEST(openapi_has_every_route_with_its_parameters),
        TEST(operation_ids_are_unique),
        TEST(openapi_keeps_the_schemas_of_the_table),
        TEST(openapi_has_the_urls_options_of_a_search),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
