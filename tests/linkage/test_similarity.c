/* tests/linkage/test_similarity.c — how alike two strings are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/similarity.h"
#include "tests/linkage/random.h"

enum { TEXT_MAX = 150 };

static linkd_str str(const char *text)
{
    return (linkd_str){text, strlen(text)};
}

static void assert_near(float value, double expected)
{
    assert_true((double)value > expected - 5e-5);
    assert_true((double)value < expected + 5e-5);
}

/* ---- what the measures are, the slow way -------------------------------- */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Optimal string alignment by its definition. */
static size_t distance_by_table(linkd_str a, linkd_str b)
{
    static size_t d[TEXT_MAX + 1][TEXT_MAX + 1];

    for (size_t i = 0; i <= a.len; i++) {
        for (size_t j = 0; j <= b.len; j++) {
            if (i == 0 || j == 0) {
                d[i][j] = i + j;
                continue;
            }
            d[i][j] = d[i - 1][j - 1] + (a.bytes[i - 1] != b.bytes[j - 1]);
            d[i][j] = least(d[i][j], d[i - 1][j] + 1);
            d[i][j] = least(d[i][j], d[i][j - 1] + 1);
            if (i > 1 && j > 1 && a.bytes[i - 1] == b.bytes[j - 2] &&
                a.bytes[i - 2] == b.bytes[j - 1])
                d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
        }
    }
    return d[a.len][b.len];
}

/* A string over `n_letters` letters, and a spoilt copy of it. */
static void pair_draw(uint64_t *seed, size_t max, unsigned n_letters, char *a,
                      linkd_str *ret_a, char *b, linkd_str *ret_b)
{
    size_t n_a = random_next(seed) % (max + 1), n_b = 0;

    for (size_t i = 0; i < n_a; i++)
        a[i] = (char)('a' + random_next(seed) % n_letters);
    for (size_t i = 0; i < n_a && n_b < max; i++) {
        uint64_t what = random_next(seed) % 12;

        if (what == 0)
            continue;
        if (what == 1 && i + 1 < n_a && n_b + 1 < max) {
            b[n_b++] = a[i + 1];
            b[n_b++] = a[i++];
            continue;
        }
        b[n_b++] = a[i];
        if (what == 2)
            b[n_b - 1] = (char)('a' + random_next(seed) % n_letters);
        if (what == 3 && n_b < max)
            b[n_b++] = 'z';
    }
    *ret_a = (linkd_str){a, n_a};
    *ret_b = (linkd_str){b, n_b};
}

/* ---- Jaro-Winkler ------------------------------------------------------- */

/* The examples that Winkler's papers give. */
static void jaro_winkler_gives_the_published_values(void **state)
{
    (void)state;
    assert_near(lk_jaro_winkler(str("MARTHA"), str("MARHTA")), 0.9611);
    assert_near(lk_jaro_winkler(str("DWAYNE"), str("DUANE")), 0.8400);
    assert_near(lk_jaro_winkler(str("DIXON"), str("DICKSONX")), 0.8133);
    assert_near(lk_jaro_winkler(str("SHACKLEFORD"), str("SHACKELFORD")),
                0.9818);
    assert_near(lk_jaro_winkler(str("JERALDINE"), str("GERALDINE")), 0.9259);
}

static void jaro_winkler_of_nothing_in_common_is_0(void **state)
{
    (void)state;
    assert_true(lk_jaro_winkler(str("abc"), str("xyz")) == 0.0F);
    assert_true(lk_jaro_winkler(str(""), str("xyz")) == 0.0F);
    /* the same letters, but too far apart */
    assert_true(lk_jaro_winkler(str("ab"), str("ba")) == 0.0F);
}

static void equal_strings_are_1_whatever_they_are(void **state)
{
    static const char *const texts[] = {"", "a", "7", "smith",
                                        "\xC3\xA9t\xC3\xA8"};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        assert_true(lk_jaro_winkler(str(texts[i]), str(texts[i])) == 1.0F);
        assert_true(lk_edit_similarity(str(texts[i]), str(texts[i])) == 1.0F);
        assert_true(lk_word_similarity(str(texts[i]), str(texts[i])) == 1.0F);
    }
}

/* ---- edit distance ------------------------------------------------------ */

static void an_edit_is_an_insertion_deletion_substitution_or_swap(void **state)
{
    (void)state;
    assert_near(lk_edit_similarity(str("kitten"), str("sitting")),
                1.0 - 3.0 / 7.0);
    assert_near(lk_edit_similarity(str("abcd"), str("acbd")), 0.75);
    assert_near(lk_edit_similarity(str("abcd"), str("abc")), 0.75);
    assert_near(lk_edit_similarity(str("abc"), str("")), 0.0);
    /* a swapped pair is not edited again: 3, where 2 would do otherwise */
    assert_near(lk_edit_similarity(str("ca"), str("abc")), 0.0);
}

/* Both widths of words, pairs that differ everywhere and nearly nowhere. */
static void edit_similarity_is_what_the_matrix_gives(void **state)
{
    static const size_t lengths[] = {3, 9, 63, 64, 65, LK_EDIT_MAX_CHARS};
    char a[TEXT_MAX], b[TEXT_MAX];
    uint64_t seed = 7;

    (void)state;
    for (size_t round = 0; round < 3000; round++) {
        linkd_str x, y;
        size_t longer;

        pair_draw(&seed, lengths[round % 6], 2 + (unsigned)(round % 11), a, &x,
                  b, &y);
        longer = x.len > y.len ? x.len : y.len;
        if (longer == 0)
            continue;
        assert_near(lk_edit_similarity(x, y),
                    1.0 - (double)distance_by_table(x, y) / (double)longer);
    }
}

static void long_strings_are_compared_by_their_beginnings(void **state)
{
    char a[TEXT_MAX], b[TEXT_MAX];

    (void)state;
    memset(a, 'x', sizeof(a));
    memset(b, 'x', sizeof(b));
    b[LK_EDIT_MAX_CHARS] = 'y';
    assert_true(lk_edit_similarity((linkd_str){a, TEXT_MAX},
                                   (linkd_str){b, TEXT_MAX}) == 1.0F);
    b[LK_EDIT_MAX_CHARS - 1] = 'y';
    assert_near(
        lk_edit_similarity((linkd_str){a, TEXT_MAX}, (linkd_str){b, TEXT_MAX}),
        1.0 - 1.0 / LK_EDIT_MAX_CHARS);
}

static void a_character_counts_once_however_many_bytes_it_has(void **state)
{
    (void)state;
    /* Łódź, Lodz */
    assert_near(lk_edit_similarity(str("\xC5\x81\xC3\xB3"
                                       "d\xC5\xBA"),
                                   str("Lodz")),
                0.25);
    /* 東京都, 東京 */
    assert_near(lk_edit_similarity(str("\xE6\x9D\xB1\xE4\xBA\xAC\xE9\x83\xBD"),
                                   str("\xE6\x9D\xB1\xE4\xBA\xAC")),
                2.0 / 3.0);
    /* MARTHA and MARHTA in other letters: МАРТХА, МАРХТА */
    assert_near(lk_jaro_winkler(str("\xD0\x9C\xD0\x90\xD0\xA0\xD0\xA2\xD0\xA5"
                                    "\xD0\x90"),
                                str("\xD0\x9C\xD0\x90\xD0\xA0\xD0\xA5\xD0\xA2"
                                    "\xD0\x90")),
                0.9611);
}

static size_t utf8_put(char *bytes, uint32_t c)
{
    bytes[0] = (char)(0xE0 | c >> 12);
    bytes[1] = (char)(0x80 | (c >> 6 & 0x3F));
    bytes[2] = (char)(0x80 | (c & 0x3F));
    return 3;
}

/* 256 characters, none twice: as many as an alphabet ever has. */
static void strings_without_a_character_in_common_are_0(void **state)
{
    char a[3 * LK_EDIT_MAX_CHARS], b[3 * LK_EDIT_MAX_CHARS];
    size_t n = 0;

    (void)state;
    for (uint32_t i = 0; i < LK_EDIT_MAX_CHARS; i++) {
        (void)utf8_put(a + n, 0x4E00 + i);
        n += utf8_put(b + n, 0x5E00 + 7 * i);
    }
    assert_true(lk_edit_similarity((linkd_str){a, n}, (linkd_str){b, n}) ==
                0.0F);
    assert_true(lk_jaro_winkler((linkd_str){a, n}, (linkd_str){b, n}) == 0.0F);
}

/* ---- words -------------------------------------------------------------- */

static void words_of_letters_go_by_the_square_of_jaro_winkler(void **state)
{
    (void)state;
    assert_near(lk_word_similarity(str("martha"), str("marhta")),
                0.96111 * 0.96111);
    assert_near(lk_word_similarity(str("dixon"), str("dicksonx")), 0.0);
    assert_near(lk_word_similarity(str("smith"), str("jones")), 0.0);
}

static void words_much_longer_must_begin_with_the_shorter_one(void **state)
{
    (void)state;
    assert_near(lk_word_similarity(str("inter"), str("international")),
                0.87692 * 0.87692);
    assert_near(lk_word_similarity(str("intra"), str("international")), 0.0);
}

static void an_initial_stands_for_a_word(void **state)
{
    (void)state;
    assert_near(lk_word_similarity(str("j"), str("john")), 0.6);
    assert_near(lk_word_similarity(str("john"), str("j")), 0.6);
    assert_near(lk_word_similarity(str("j"), str("mary")), 0.0);
    /* É of Émile */
    assert_near(lk_word_similarity(str("\xC3\x89"), str("\xC3\x89mile")), 0.6);
    assert_near(lk_word_similarity(str(""), str("mary")), 0.0);
}

static void words_with_digits_are_nearly_equal_or_different(void **state)
{
    (void)state;
    assert_near(lk_word_similarity(str("pslx350h"), str("pslx350")),
                0.5 * 0.875);
    assert_near(lk_word_similarity(str("1994"), str("1995")), 0.0);
    assert_near(lk_word_similarity(str("12"), str("13")), 0.0);
    /* equal letters, but one has a digit more, and is too short */
    assert_near(lk_word_similarity(str("mk2"), str("mk")), 0.0);
}

/* The quick looks must not change an answer. */
static float word_slowly(linkd_str a, linkd_str b)
{
    float jaro = lk_jaro_winkler(a, b);
    size_t shorter = least(a.len, b.len), longer = a.len + b.len - shorter;

    if (shorter <= 1)
        return longer > 0 && shorter > 0 && a.bytes[0] == b.bytes[0] ? 0.6F
                                                                     : 0.0F;
    if (longer - shorter > 4 && memcmp(a.bytes, b.bytes, shorter) != 0)
        return 0.0F;
    return jaro >= 0.84F ? jaro * jaro : 0.0F;
}

static void quick_looks_change_no_answer(void **state)
{
    char a[TEXT_MAX], b[TEXT_MAX];
    uint64_t seed = 11;
    size_t n_similar = 0;

    (void)state;
    for (size_t round = 0; round < 20000; round++) {
        linkd_str x, y;

        pair_draw(&seed, 4 + round % 12, 3 + (unsigned)(round % 23), a, &x, b,
                  &y);
        if (x.len == y.len && memcmp(a, b, x.len) == 0)
            continue;
        assert_true(lk_word_similarity(x, y) == word_slowly(x, y));
        n_similar += lk_word_similarity(x, y) > 0.0F;
    }
    assert_in_range(n_similar, 5000, 18000);
}

static void all_measures_are_symmetric(void **state)
{
    char a[TEXT_MAX], b[TEXT_MAX];
    uint64_t seed = 13;

    (void)state;
    for (size_t round = 0; round < 5000; round++) {
        linkd_str x, y;

        pair_draw(&seed, TEXT_MAX - 1, 2 + (unsigned)(round % 7), a, &x, b, &y);
        assert_true(lk_jaro_winkler(x, y) == lk_jaro_winkler(y, x));
        assert_true(lk_edit_similarity(x, y) == lk_edit_similarity(y, x));
        assert_true(lk_word_similarity(x, y) == lk_word_similarity(y, x));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jaro_winkler_gives_the_published_values),
        cmocka_unit_test(jaro_winkler_of_nothing_in_common_is_0),
        cmocka_unit_test(equal_strings_are_1_whatever_they_are),
        cmocka_unit_test(an_edit_is_an_insertion_deletion_substitution_or_swap),
        cmocka_unit_test(edit_similarity_is_what_the_matrix_gives),
        cmocka_unit_test(long_strings_are_compared_by_their_beginnings),
        cmocka_unit_test(a_character_counts_once_however_many_bytes_it_has),
        cmocka_unit_test(strings_without_a_character_in_common_are_0),
        cmocka_unit_test(words_of_letters_go_by_the_square_of_jaro_winkler),
        cmocka_unit_test(words_much_longer_must_begin_with_the_shorter_one),
        cmocka_unit_test(an_initial_stands_for_a_word),
        cmocka_unit_test(words_with_digits_are_nearly_equal_or_different),
        cmocka_unit_test(quick_looks_change_no_answer),
        cmocka_unit_test(all_measures_are_symmetric),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
