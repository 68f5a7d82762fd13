/* tests/linkage/test_provisional.c — queries that are made from records. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/collection.h"

static linkd_error err;

static void a_query_is_of_the_records_words(void **state)
{
    static const char text[] = "alpha bravo charlie delta echo foxtrot golf";
    lk_buf queries[2] = {{0}, {0}};
    size_t n_spaces = 0;

    (void)state;
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(
            linkd_provisional_query((linkd_str){text, sizeof(text) - 1},
                                    &queries[i], &err),
            LINKD_OK);
    assert_string_equal(queries[0].data, queries[1].data);
    assert_true(queries[0].len > 0 && queries[0].len < sizeof(text) - 1);
    assert_null(strstr(text, queries[0].data)); /* a word is misspelt */
    for (const char *c = queries[0].data; *c != '\0'; c++)
        n_spaces += *c == ' ';
    assert_true(n_spaces < 6);
    lk_buf_clear(&queries[0]);
    lk_buf_clear(&queries[1]);
}

static void a_text_without_words_makes_no_query(void **state)
{
    lk_buf query = {0};

    (void)state;
    assert_int_equal(
        linkd_provisional_query((linkd_str){"   ", 3}, &query, &err), LINKD_OK);
    assert_int_equal(query.len, 0);
    assert_int_equal(linkd_provisional_query((linkd_str){"x", 1}, &query, &err),
                     LINKD_OK);
    assert_string_equal(query.data, "x");
    lk_buf_clear(&query);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_query_is_of_the_records_words),
        cmocka_unit_test(a_text_without_words_makes_no_query),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
