/* tests/cli/test_markup.c — foreign text within HTML and SVG. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/markup.h"
#include "tests/support/alloc_fail.h"

static void assert_markup(const char *text, size_t max_chars,
                          const char *wanted)
{
    lk_buf buf = {0};
    linkd_error err = {0};

    assert_int_equal(lk_buf_append(&buf, "<b>", 3, &err), LINKD_OK);
    assert_int_equal(lk_markup_append(&buf, (linkd_str){text, strlen(text)},
                                      max_chars, &err),
                     LINKD_OK);
    assert_string_equal(buf.data + 3, wanted);
    lk_buf_clear(&buf);
}

static void what_could_be_markup_becomes_entities(void **state)
{
    (void)state;
    assert_markup("<script a='1' b=\"2\">x && y</script>", 0,
                  "&lt;script a=&#39;1&#39; b=&quot;2&quot;&gt;x &amp;&amp; "
                  "y&lt;/script&gt;");
}

static void control_characters_become_blanks(void **state)
{
    (void)state;
    assert_markup("a\tb\nc\x01\x7f", 0, "a b c  ");
}

static void other_text_stays_as_it_is(void **state)
{
    (void)state;
    assert_markup("", 0, "");
    assert_markup("Zürich 東京", 0, "Zürich 東京");
}

static void long_text_is_cut_between_characters(void **state)
{
    (void)state;
    assert_markup("Zü<rich", 3, "Zü&lt;…");
    assert_markup("東京", 2, "東京");
    assert_markup("東京", 1, "東…");
}

static void memory_may_run_out(void **state)
{
    lk_buf buf = {0};
    linkd_error err = {0};
    (void)state;

    alloc_fail_at(1);
    assert_int_equal(lk_markup_append(&buf, (linkd_str){"a<b", 3}, 0, &err),
                     LINKD_E_NOMEM);
    assert_true(alloc_fail_off());
    lk_buf_clear(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_could_be_markup_becomes_entities),
        cmocka_unit_test(control_characters_become_blanks),
        cmocka_unit_test(other_text_stays_as_it_is),
        cmocka_unit_test(long_text_is_cut_between_characters),
        cmocka_unit_test(memory_may_run_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
