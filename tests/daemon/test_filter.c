#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/json.h"

typedef struct fixture {
    lk_arena arena;
    json_t *json;
    const linkd_filter *filter;
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
    json_decref(f.json);
    lk_arena_clear(&f.arena);
    return 0;
}

static int filter_read(const char *text)
{
    json_decref(f.json);
    f.json = NULL;
    assert_int_equal(
        lk_json_parse((linkd_str){text, strlen(text)}, &f.json, &f.err),
        LINKD_OK);
    return lk_json_get_filter(f.json, &f.arena, &f.filter, &f.err);
}

static void assert_str(linkd_str text, const char *expected)
{
    assert_int_equal(text.len, strlen(expected));
    assert_memory_equal(text.bytes, expected, text.len);
}

static void eq_keeps_the_kind_of_its_value(void **state)
{
    (void)state;
    assert_int_equal(filter_read("{\"eq\":{\"city\":\"Bonn\"}}"), LINKD_OK);
    assert_int_equal(f.filter->op, LINKD_FILTER_EQ);
    assert_str(f.filter->field, "city");
    assert_int_equal(f.filter->n_values, 1);
    assert_int_equal(f.filter->values[0].kind, LINKD_VALUE_TEXT);
    assert_str(f.filter->values[0].text, "Bonn");
    assert_int_equal(filter_read("{\"eq\":{\"n\":7.5}}"), LINKD_OK);
    assert_int_equal(f.filter->values[0].kind, LINKD_VALUE_NUMBER);
    assert_true(f.filter->values[0].number > 7.4);
    assert_int_equal(filter_read("{\"eq\":{\"b\":false}}"), LINKD_OK);
    assert_int_equal(f.filter->values[0].kind, LINKD_VALUE_BOOL);
    assert_false(f.filter->values[0].boolean);
}

static void in_takes_any_number_of_values(void **state)
{
    (void)state;
    assert_int_equal(filter_read("{\"in\":{\"city\":[\"Bonn\",7]}}"), LINKD_OK);
    assert_int_equal(f.filter->op, LINKD_FILTER_IN);
    assert_int_equal(f.filter->n_values, 2);
    assert_int_equal(f.filter->values[1].kind, LINKD_VALUE_NUMBER);
    assert_int_equal(filter_read("{\"in\":{\"city\":[]}}"), LINKD_OK);
    assert_int_equal(f.filter->n_values, 0);
}

static void ranges_tell_open_from_closed_ends(void **state)
{
    (void)state;
    assert_int_equal(filter_read("{\"range\":{\"n\":{\"gte\":1,\"lt\":2}}}"),
                     LINKD_OK);
    assert_int_equal(f.filter->op, LINKD_FILTER_RANGE);
    assert_true(f.filter->lower->number < 1.5);
    assert_true(f.filter->upper->number > 1.5);
    assert_false(f.filter->lower_excluded);
    assert_true(f.filter->upper_excluded);
    assert_int_equal(filter_read("{\"range\":{\"n\":{\"gt\":\"a\"}}}"),
                     LINKD_OK);
    assert_true(f.filter->lower_excluded);
    assert_null(f.filter->upper);
    assert_int_equal(filter_read("{\"range\":{\"n\":{\"lte\":3}}}"), LINKD_OK);
    assert_null(f.filter->lower);
    assert_false(f.filter->upper_excluded);
}

static void and_or_not_and_exists_make_a_tree(void **state)
{
    const linkd_filter *node;

    (void)state;
    assert_int_equal(
        filter_read("{\"and\":[{\"not\":{\"exists\":\"a\"}},"
                    "{\"or\":[{\"eq\":{\"b\":1}},{\"exists\":\"c\"}]}]}"),
        LINKD_OK);
    assert_int_equal(f.filter->op, LINKD_FILTER_AND);
    assert_int_equal(f.filter->n_children, 2);
    node = &f.filter->children[0];
    assert_int_equal(node->op, LINKD_FILTER_NOT);
    assert_int_equal(node->n_children, 1);
    assert_int_equal(node->children[0].op, LINKD_FILTER_EXISTS);
    assert_str(node->children[0].field, "a");
    node = &f.filter->children[1];
    assert_int_equal(node->op, LINKD_FILTER_OR);
    assert_str(node->children[1].field, "c");
    assert_int_equal(filter_read("{\"and\":[]}"), LINKD_OK);
    assert_int_equal(f.filter->n_children, 0);
}

static void what_is_no_filter_is_refused(void **state)
{
    static const char *const cases[][2] = {
        {"[]", "filter: a node is not an object with one member"},
        {"{}", "filter: a node is not an object with one member"},
        {"{\"eq\":{\"a\":1},\"not\":{}}",
         "filter: a node is not an object with one member"},
        {"{\"is\":{\"a\":1}}", "filter: unknown operator \"is\""},
        {"{\"eq\":{\"a\":1,\"b\":2}}",
         "filter: \"eq\" is not an object with one member"},
        {"{\"eq\":{\"a\":null}}",
         "filter: a value for \"a\" is not a string, number or boolean"},
        {"{\"in\":{\"a\":7}}", "filter: \"in\" has no array of at most "},
        {"{\"in\":{\"a\":[[]]}}",
         "filter: a value for \"a\" is not a string, number or boolean"},
        {"{\"range\":{\"a\":{}}}", "filter: \"range\" of \"a\" has no bounds"},
        {"{\"range\":{\"a\":{\"ge\":1}}}",
         "filter: \"range\" has an unknown bound \"ge\""},
        {"{\"range\":{\"a\":{\"gt\":1,\"gte\":2}}}",
         "filter: \"range\" has two lower bounds"},
        {"{\"exists\":7}", "filter: \"exists\" takes a field's name"},
        {"{\"and\":{}}", "filter: \"and\" and \"or\" take an array"},
        {"{\"not\":[]}", "filter: a node is not an object with one member"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(filter_read(cases[i][0]), LINKD_E_ARG);
        assert_memory_equal(f.err.message, cases[i][1], strlen(cases[i][1]));
    }
}

static void a_tree_has_a_limit_of_nodes(void **state)
{
    lk_buf text = {0};

    (void)state;
    assert_int_equal(lk_buf_printf(&text, NULL, "{\"or\":["), LINKD_OK);
    for (size_t i = 0; i < LINKD_FILTER_NODES_MAX; i++)
        assert_int_equal(lk_buf_printf(&text, NULL, "%s{\"exists\":\"a\"}",
                                       i > 0 ? "," : ""),
                         LINKD_OK);
    assert_int_equal(lk_buf_printf(&text, NULL, "]}"), LINKD_OK);
    assert_int_equal(filter_read(text.data), LINKD_E_ARG);
    assert_string_equal(f.err.message, "filter: it has more than 1024 nodes");
    lk_buf_clear(&text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, enter, leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(eq_keeps_the_kind_of_its_value),
        TEST(in_takes_any_number_of_values),
        TEST(ranges_tell_open_from_closed_ends),
        TEST(and_or_not_and_exists_make_a_tree),
        TEST(what_is_no_filter_is_refused),
        TEST(a_tree_has_a_limit_of_nodes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
