/* tests/cli/test_lines.c — lines out of bytes that come in pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/lines.h"

static int line_note(void *ctx, linkd_str line, linkd_error *err)
{
    int rc = lk_buf_append(ctx, line.bytes, line.len, err);

    return rc == LINKD_OK ? lk_buf_append(ctx, "|", 1, err) : rc;
}

static int line_refuse(void *ctx, linkd_str line, linkd_error *err)
{
    (void)ctx;
    return lk_fail(err, LINKD_E_DATA, "%.*s", (int)line.len, line.bytes);
}

/* Every way of tearing a text must give the same lines. */
static void the_pieces_do_not_matter(void **state)
{
    static const char text[] = "one\ntwo\n\nthree";
    (void)state;

    for (size_t piece = 1; piece <= sizeof(text); piece++) {
        lk_buf noted = {0};
        lk_lines lines = {.line_cb = line_note, .ctx = &noted};
        linkd_error err = {0};

        for (size_t at = 0; at < strlen(text); at += piece) {
            size_t rest = strlen(text) - at;

            assert_int_equal(lk_lines_take(&lines, text + at,
                                           rest < piece ? rest : piece, &err),
                             LINKD_OK);
        }
        assert_int_equal(lk_lines_end(&lines, &err), LINKD_OK);
        assert_string_equal(noted.data, "one|two|three|");
        lk_lines_clear(&lines);
        lk_buf_clear(&noted);
    }
}

static void a_line_that_is_refused_ends_it(void **state)
{
    lk_lines lines = {.line_cb = line_refuse};
    linkd_error err = {0};
    (void)state;

    assert_int_equal(lk_lines_take(&lines, "a\nb\n", 4, &err), LINKD_E_DATA);
    assert_string_equal(err.message, "a");
    lk_lines_clear(&lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_pieces_do_not_matter),
        cmocka_unit_test(a_line_that_is_refused_ends_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
