#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "daemon/routes.h"

typedef struct fixture {
    lk_request request;
    const lk_route *route;
    lk_buf allow;
    linkd_error err;
} fixture;

static fixture f;

static int enter(void **state)
{
    (void)state;
    f = (fixture){0};
    return 0;
}

static int leave(void **state)
{
    (void)state;
    lk_arena_clear(&f.request.arena);
    lk_buf_clear(&f.allow);
    return 0;
}

static int find(lk_method method, const char *path)
{
    f.request.method = method;
    f.request.path = (linkd_str){path, strlen(path)};
    return lk_routes_find(&f.request, &f.route, &f.allow, &f.err);
}

static void a_path_has_a_route_for_each_method(void **state)
{
    (void)state;
    assert_int_equal(find(LK_GET, "/v1/collections/firms"), LINKD_OK);
    assert_string_equal(f.route->name, "getCollection");
    assert_int_equal(find(LK_PUT, "/v1/collections/firms"), LINKD_OK);
    assert_string_equal(f.route->name, "createCollection");
    assert_int_equal(f.route->role, LK_ROLE_ADMIN);
}

static void parameters_are_decoded(void **state)
{
    (void)state;
    assert_int_equal(find(LK_GET, "/v1/collections/a%2Db/records/x%2Fy%20z+"),
                     LINKD_OK);
    assert_string_equal(f.route->name, "getRecord");
    assert_string_equal(f.request.params[0].bytes, "a-b");
    assert_string_equal(f.request.params[1].bytes, "x/y z+");
}

/* "delete" under records is no record's id when it is posted to. */
static void literal_parts_and_parameters_do_not_mix(void **state)
{
    (void)state;
    assert_int_equal(find(LK_POST, "/v1/collections/a/records/delete"),
                     LINKD_OK);
    assert_string_equal(f.route->name, "deleteRecords");
    assert_int_equal(find(LK_GET, "/v1/collections/a/records/delete"),
                     LINKD_OK);
    assert_string_equal(f.route->name, "getRecord");
}

static void other_methods_are_told_what_is_allowed(void **state)
{
    (void)state;
    assert_int_equal(find(LK_POST, "/v1/collections/firms"), LINKD_E_CONFLICT);
    assert_string_equal(f.allow.data, "PUT, GET, DELETE");
    assert_int_equal(find(LK_DELETE, "/healthz"), LINKD_E_CONFLICT);
    assert_string_equal(f.allow.data, "GET");
}

static void other_paths_are_absent(void **state)
{
    static const char *const paths[] = {"",
                                        "/",
                                        "healthz",
                                        "/healthz/",
                                        "//healthz",
                                        "/v1/collections/",
                                        "/v1",
                                        "/V1/version",
                                        "/v1/collections//records",
                                        "*",
                                        "/v1/collections/a/records/b/c"};

    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        assert_int_equal(find(LK_GET, paths[i]), LINKD_E_ABSENT);
        assert_string_equal(f.err.message, "there is no such path");
    }
}

static void a_parameter_that_is_not_text_is_refused(void **state)
{
    (void)state;
    assert_int_equal(find(LK_GET, "/v1/collections/%FF"), LINKD_E_ARG);
    assert_int_equal(find(LK_GET, "/v1/collections/%0"), LINKD_E_ARG);
}

/* /openapi.json is printed from them as they are. */
static void every_schema_is_json(void **state)
{
    (void)state;
    for (size_t i = 0; i < lk_n_routes; i++) {
        const char *const schemas[] = {lk_routes[i].request,
                                       lk_routes[i].response};

        for (size_t j = 0; j < 2; j++) {
            json_t *json =
                schemas[j] != NULL
                    ? json_loads(schemas[j], JSON_REJECT_DUPLICATES, NULL)
                    : json_object();

            if (!json_is_object(json))
                fail_msg("%s: %s", lk_routes[i].name, schemas[j]);
            json_decref(json);
        }
    }
}

/* Changing anything needs more than the right to read. */
static void writes_need_a_writer(void **state)
{
    (void)state;
    for (size_t i = 0; i < lk_n_routes; i++) {
        const lk_route *route = &lk_routes[i];

        if (route->method == LK_PUT || route->method == LK_DELETE)
            assert_true(route->role >= LK_ROLE_WRITE);
        if (route->lane == LK_LANE_WRITE)
            assert_true(route->role >= LK_ROLE_WRITE);
    }
}

/* Sixteen clients that embed 2,048 texts each would hold every worker of the
 * searches for minutes. */
static void bulk_encoding_takes_no_worker_of_the_searches(void **state)
{
    (void)state;
    assert_int_equal(find(LK_POST, "/v1/collections/a/search"), LINKD_OK);
    assert_int_equal(f.route->lane, LK_LANE_READ);
    assert_int_equal(find(LK_POST, "/v1/embeddings"), LINKD_OK);
    assert_int_equal(f.route->lane, LK_LANE_EMBED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, enter, leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_path_has_a_route_for_each_method),
        TEST(parameters_are_decoded),
        TEST(literal_parts_and_parameters_do_not_mix),
        TEST(other_methods_are_told_what_is_allowed),
        TEST(other_paths_are_absent),
        TEST(a_parameter_that_is_not_text_is_refused),
        TEST(every_schema_is_json),
        TEST(writes_need_a_writer),
        TEST(bulk_encoding_takes_no_worker_of_the_searches),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
