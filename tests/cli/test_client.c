/* tests/cli/test_client.c — where linkd is, and what its answers mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/client.h"
#include "cli/remote.h"

static void assert_socket(const char *option, const char *wanted)
{
    lk_buf path = {0};

    assert_int_equal(lk_socket_path(option, &path, NULL), LINKD_OK);
    assert_string_equal(path.data, wanted);
    lk_buf_clear(&path);
}

static void the_option_wins_over_the_environment_over_the_default(void **state)
{
    (void)state;
    assert_int_equal(setenv("LINKD_SOCKET", "/env/s", 1), 0);
    assert_int_equal(setenv("XDG_RUNTIME_DIR", "/run/user/7", 1), 0);

    assert_socket("/own/s", "/own/s");
    assert_socket(NULL, "/env/s");
    assert_int_equal(setenv("LINKD_SOCKET", "", 1), 0);
    assert_socket(NULL, "/run/user/7/linkd.sock");
    assert_int_equal(unsetenv("XDG_RUNTIME_DIR"), 0);
    assert_socket(NULL, "/run/linkd/linkd.sock");
}

/* A name must not be able to reach another path than that of a collection. */
static void names_in_paths_are_escaped(void **state)
{
    lk_buf path = {0};
    (void)state;

    assert_int_equal(
        lk_collection_path(&path, "../a b?\xc3\xa4", "/search", NULL),
        LINKD_OK);
    assert_string_equal(path.data,
                        "/v1/collections/..%2Fa%20b%3F%C3%A4/search");
    lk_buf_clear(&path);
}

static void a_problem_becomes_an_error_of_its_detail(void **state)
{
    static const struct {
        long status;
        int code;
    } cases[] = {
        {400, LINKD_E_ARG},  {404, LINKD_E_ABSENT}, {409, LINKD_E_CONFLICT},
        {413, LINKD_E_ARG},  {503, LINKD_E_BUSY},   {504, LINKD_E_BUSY},
        {507, LINKD_E_FULL}, {403, LINKD_E_DATA},   {500, LINKD_E_DATA},
    };
    static const char body[] = "{\"code\":\"x\",\"detail\":\"so it is\"}";
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        linkd_error err = {0};

        assert_int_equal(lk_fail_problem(cases[i].status,
                                         (linkd_str){body, strlen(body)}, &err),
                         cases[i].code);
        assert_string_equal(err.message, "so it is");
    }
}

static void
an_answer_that_is_no_problem_document_is_told_by_its_status(void **state)
{
    static const char *const bodies[] = {"", "<html>", "[]", "{\"detail\":1}"};
    (void)state;

    for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++) {
        linkd_error err = {0};

        assert_int_equal(
            lk_fail_problem(418, (linkd_str){bodies[i], strlen(bodies[i])},
                            &err),
            LINKD_E_DATA);
        assert_string_equal(
            err.message, "what listens there answers 418, not as linkd would");
    }
}

static void an_operand_names_a_collection_by_its_prefix(void **state)
{
    (void)state;
    assert_string_equal(lk_operand_collection("collection:firms"), "firms");
    assert_null(lk_operand_collection("./collection:firms"));
    assert_null(lk_operand_collection("firms.csv"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_option_wins_over_the_environment_over_the_default),
        cmocka_unit_test(names_in_paths_are_escaped),
        cmocka_unit_test(a_problem_becomes_an_error_of_its_detail),
        cmocka_unit_test(
            an_answer_that_is_no_problem_document_is_told_by_its_status),
        cmocka_unit_test(an_operand_names_a_collection_by_its_prefix),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
