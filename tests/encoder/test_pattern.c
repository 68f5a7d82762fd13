/* Regular expressions of tokenizer files. That they mean what they mean to
 * Hugging Face's tokenizers is seen in test_tokenizer_kinds.c; here it is what
 * each part of one does, and what is refused. */
#include "encoder/pattern.h"
#include "tests/support/alloc_fail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static lk_pattern *pattern_open(const char *text)
{
    lk_pattern *pattern = NULL;
    linkd_error err;

    if (lk_pattern_new(text, &pattern, &err) != LINKD_OK)
        fail_msg("%s: %s", text, err.message);
    return pattern;
}

/* All matches, each in brackets. */
static void matches_print(const char *pattern_text, const char *text,
                          char *ret_found, size_t size)
{
    lk_pattern *pattern = pattern_open(pattern_text);
    lk_pattern_search search;
    size_t begin, end, len = 0;

    ret_found[0] = '\0';
    lk_pattern_search_init(&search, pattern, (linkd_str){text, strlen(text)});
    while (lk_pattern_next(&search, &begin, &end))
        len += (size_t)snprintf(ret_found + len, size - len, "[%.*s]",
                                (int)(end - begin), text + begin);
    lk_pattern_free(pattern);
}

static void matches_check(const char *pattern, const char *text,
                          const char *wanted)
{
    char found[256];

    matches_print(pattern, text, found, sizeof(found));
    if (strcmp(found, wanted) != 0)
        fail_msg("%s in \"%s\" is %s, not %s", pattern, text, found, wanted);
}

static void each_part_of_an_expression_matches_what_it_says(void **state)
{
    static const struct {
        const char *pattern, *text, *wanted;
    } cases[] = {
        {"b", "abcb", "[b][b]"},
        {"é.", "aébécé\n", "[éb][éc]"},
        /* choices in their order, not by length */
        {"a|ab|b", "ab", "[a][b]"},
        {"(?:ab|a)b", "abb ab", "[abb][ab]"},
        {"(a|b)c", "acbcc", "[ac][bc]"},
        {"x(?:ab)?y", "xy xaby xay", "[xy][xaby]"},
        /* as many as can be, and fewer if the rest needs it */
        {"a*ab", "aaab", "[aaab]"},
        {"a++ab|b", "aaab", "[b]"},
        {"a?+b", "aab", "[ab]"},
        {"a{2}", "aaaaa", "[aa][aa]"},
        {"a{2,3}", "aaaaaa a", "[aaa][aaa]"},
        {"a{2,}", "a aaaa", "[aaaa]"},
        {"é+é\u0301?b", "ééb", "[ééb]"},
        /* classes */
        {"[a-cx-]+", "abc-x d", "[abc-x]"},
        {"[^a-c\\n]+", "abxyc\nz", "[xy][z]"},
        {"[\\[\\]\\\\]", "a[b]\\", "[[][]][\\]"},
        {"\\p{L}+", "abcé1Σ", "[abcé][Σ]"},
        {"\\p{Lu}\\p{^Lu}", "AbC1é", "[Ab][C1]"},
        {"[\\p{N}\\P{L}]+", "a1²b-", "[1²][-]"},
        {"\\s\\S\\d\\D", "a\u3000b1c \t2x", "[\u3000b1c]"},
        {"\\u00e9\\t\\.", "aé\t.", "[é\t.]"},
        /* what is ahead is not taken */
        {"\\s+(?!\\S)|\\s+", "a   b  ", "[  ][ ][  ]"},
        {"a(?=b|c)", "ab ac ad", "[a][a]"},
        {"(?i:'ve|'s)", "'VE 'vE 've 'S '\u017f 'x",
         "['VE]['vE]['ve]['S]['\u017f]"},
        {"(?i:k)k", "Kk \u212ak kK", "[Kk][\u212ak]"},
        {"\\p{L}", "", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        matches_check(cases[i].pattern, cases[i].text, cases[i].wanted);
}

static void a_plain_text_means_itself(void **state)
{
    lk_pattern *pattern = NULL;
    lk_pattern_search search;
    size_t begin, end;

    (void)state;
    assert_int_equal(lk_pattern_new_plain(".é(", &pattern, NULL), LINKD_OK);
    lk_pattern_search_init(&search, pattern, (linkd_str){"a.é(", 5});
    assert_true(lk_pattern_next(&search, &begin, &end));
    assert_int_equal(begin, 1);
    assert_int_equal(end, 5);
    assert_false(lk_pattern_next(&search, &begin, &end));
    lk_pattern_free(pattern);
}

/* A hostile file must not hold a worker for ever. */
static void an_expression_that_goes_back_on_itself_gives_up(void **state)
{
    static const char *const hostile[] = {"a*a*a*a*a*a*a*a*b", "a++b"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        lk_pattern *pattern = pattern_open(hostile[i]);
        lk_pattern_search search;
        static char text[4000];
        size_t begin, end;

        memset(text, 'a', sizeof(text));
        lk_pattern_search_init(&search, pattern,
                               (linkd_str){text, sizeof(text)});
        assert_false(lk_pattern_next(&search, &begin, &end));
        assert_int_equal(search.n_tries, 0);
        lk_pattern_free(pattern);
    }
}

/* What a tokenizer's own expressions cost on a long text of one kind. */
static void long_runs_are_walked_over_once(void **state)
{
    lk_pattern *pattern = pattern_open("\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+");
    lk_pattern_search search;
    char text[20000];
    size_t begin, end;

    (void)state;
    memset(text, ' ', sizeof(text));
    lk_pattern_search_init(&search, pattern, (linkd_str){text, sizeof(text)});
    assert_true(lk_pattern_next(&search, &begin, &end));
    assert_int_equal(end, sizeof(text));
    assert_true(search.n_tries > 19000000);
    lk_pattern_free(pattern);
}

static void what_is_not_supported_is_refused_by_name(void **state)
{
    static const struct {
        const char *pattern, *message;
    } cases[] = {
        {"", "a match of the empty text is not supported"},
        {"a*|b", "a match of the empty text is not supported"},
        {"^a", "\"^\" is not supported here"},
        {"*a", "\"*\" is not supported here"},
        {"a\\", "a backslash at the end is not supported"},
        {"\\bA", "\"\\b\" is not supported"},
        {"\\1", "\"\\1\" is not supported"},
        {"\\p{Greek}", "no category of characters \"Greek\""},
        {"\\p{}", "no category of characters \"\""},
        {"\\pL", "\"\\p\" without braces is not supported"},
        {"\\u00g0", "\"\\u\" without four digits is not supported"},
        {"[a[b]]", "a class within a class is not supported"},
        {"[a&&b]", "a class within a class is not supported"},
        {"[]a]", "a class that begins with \"]\" is not supported"},
        {"[a", "a class without an end is not supported"},
        {"[b-a]", "such a range of characters is not supported"},
        {"[a-\\s]", "such a range of characters is not supported"},
        {"(?i:[a-z])", "such a range of characters is not supported"},
        {"(?i:é)", "\"(?i:\" around more than ASCII is not supported"},
        {"a{,2}", "\"{\" without a number is not supported"},
        {"a{3,2}", "such a repetition is not supported"},
        {"a{1001}", "such a repetition is not supported"},
        {"a{2}+", "a repetition of a repetition is not supported"},
        {"a+?", "a repetition of a repetition is not supported"},
        {"(?:a)*", "the repetition of a group is not supported"},
        {"(?:a)??", "a repetition of a repetition is not supported"},
        {"(?<a>b)", "such a group is not supported"},
        {"(a", "a group without an end is not supported"},
        {"a)", "\")\" without a group is not supported"},
        {"((((((((((a))))))))))", "so deep a pattern is not supported"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        lk_pattern *pattern = NULL;
        linkd_error err = {0};

        assert_int_equal(lk_pattern_new(cases[i].pattern, &pattern, &err),
                         LINKD_E_DATA);
        assert_null(pattern);
        if (strcmp(err.message, cases[i].message) != 0)
            fail_msg("%s: %s", cases[i].pattern, err.message);
    }
}

static void a_pattern_longer_than_any_in_use_is_refused(void **state)
{
    lk_pattern *pattern = NULL;
    char text[1000];
    linkd_error err = {0};

    (void)state;
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(lk_pattern_new(text, &pattern, &err), LINKD_E_DATA);
    assert_string_equal(err.message, "so long a pattern is not supported");
    assert_int_equal(lk_pattern_new_plain(text, &pattern, &err), LINKD_E_DATA);
}

static void running_out_of_memory_is_reported(void **state)
{
    static const char text[] = "(?i:'s|[^\\s\\p{Lu}x]+)|\\P{L}{2}(?!\\d)";

    (void)state;
    for (size_t n = 1;; n++) {
        lk_pattern *pattern = NULL;
        int rc;

        alloc_fail_at(n);
        rc = lk_pattern_new(text, &pattern, NULL);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            assert_true(n > 10);
            lk_pattern_free(pattern);
            return;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_null(pattern);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_part_of_an_expression_matches_what_it_says),
        cmocka_unit_test(a_plain_text_means_itself),
        cmocka_unit_test(an_expression_that_goes_back_on_itself_gives_up),
        cmocka_unit_test(long_runs_are_walked_over_once),
        cmocka_unit_test(what_is_not_supported_is_refused_by_name),
        cmocka_unit_test(a_pattern_longer_than_any_in_use_is_refused),
        cmocka_unit_test(running_out_of_memory_is_reported),
    };

    return cmocka_run_group_tests_name("pattern", tests, NULL, NULL);
}
