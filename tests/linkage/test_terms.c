#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/terms.h"
#include "tests/support/alloc_fail.h"

#define TOLERANCE 1e-6 /* a few units of f32 */

/* Texts in memory of their own, as lk_texts_make() gives them. */
static lk_texts texts_of(const char *const *records, size_t n)
{
    lk_texts texts = {.n = n, .n_left = n};
    size_t len = 0;

    texts.offsets = calloc(n + 1, sizeof(*texts.offsets));
    assert_non_null(texts.offsets);
    for (size_t i = 0; i < n; i++) {
        len += strlen(records[i]);
        texts.offsets[i + 1] = len;
    }
    texts.bytes = calloc(len + 1, 1);
    assert_non_null(texts.bytes);
    for (size_t i = 0; i < n; i++)
        memcpy(texts.bytes + texts.offsets[i], records[i], strlen(records[i]));
    return texts;
}

static lk_terms terms_of(const char *const *records, size_t n,
                         lk_term_kind kind)
{
    lk_texts texts = texts_of(records, n);
    lk_terms terms = {0};
    lk_pool *pool = NULL;

    assert_int_equal(lk_pool_new(1, &pool, NULL), LINKD_OK);
    assert_int_equal(lk_terms_make(&texts, kind, pool, &terms, NULL), LINKD_OK);
    lk_pool_free(pool);
    lk_texts_clear(&texts);
    return terms;
}

static size_t n_terms(const lk_terms *terms, size_t record)
{
    return terms->offsets[record + 1] - terms->offsets[record];
}

static void assert_near(float value, double expected)
{
    assert_true(fabs((double)value - expected) < TOLERANCE);
}

/* "ab" is _ab ab_, "c" is _c_: as many 3-grams as characters. */
static void a_word_has_a_gram_for_each_of_its_characters(void **state)
{
    static const char *const records[] = {"ab c", "abcd", "",
                                          "\xE6\x9D\xB1\xE4\xBA\xAC"};
    lk_terms terms = terms_of(records, 4, LK_TERM_GRAM);

    (void)state;
    assert_int_equal(terms.n, 4);
    assert_int_equal(n_terms(&terms, 0), 3);
    assert_int_equal(n_terms(&terms, 1), 4);
    assert_int_equal(n_terms(&terms, 2), 0);
    assert_int_equal(n_terms(&terms, 3), 2);
    assert_int_equal(terms.n_ids, 8); /* _ab is in two records */
    assert_null(terms.sequence);
    lk_terms_clear(&terms);
}

static void a_gram_is_of_characters_of_any_length(void **state)
{
    /* 2, 3 and 4 bytes; the last differs from the first in the end only */
    static const char *const records[] = {
        "\xC3\xB8\xE6\x9D\xB1\xF0\xA0\xAE\xB7",
        "\xC3\xB8\xE6\x9D\xB1\xF0\xA0\xAE\xB7",
        "\xC3\xB8\xE6\x9D\xB1\xF0\xA0\xAE\xB8"};
    lk_terms terms = terms_of(records, 3, LK_TERM_GRAM);

    (void)state;
    assert_int_equal(terms.n_ids, 5);
    assert_near(lk_terms_cosine(&terms, 0, 1), 1.0);
    assert_true(lk_terms_cosine(&terms, 0, 2) < 0.5F);
    assert_true(lk_terms_cosine(&terms, 0, 2) > 0.0F);
    lk_terms_clear(&terms);
}

static void weights_are_those_of_the_book(void **state)
{
    static const char *const records[] = {"x y x", "y", "z"};
    lk_terms terms = terms_of(records, 3, LK_TERM_WORD);
    uint32_t x = terms.sequence[0];
    uint32_t y = terms.sequence[1];
    double x_weight = (1.0 + log(2.0)) * log(1.0 + 3.0 / 1.0);
    double y_weight = log(1.0 + 3.0 / 2.0);
    double length = sqrt(x_weight * x_weight + y_weight * y_weight);

    (void)state;
    assert_int_equal(terms.df[x], 1);
    assert_int_equal(terms.df[y], 2);
    assert_near(lk_terms_idf(&terms, x), log(4.0));
    assert_near(lk_terms_idf(&terms, y), log(2.5));
    assert_int_equal(n_terms(&terms, 0), 2);
    for (size_t i = 0; i < 2; i++)
        assert_near(terms.terms[i].weight,
                    (terms.terms[i].id == x ? x_weight : y_weight) / length);
    assert_near(lk_terms_cosine(&terms, 0, 1), y_weight / length);
    assert_near(lk_terms_cosine(&terms, 1, 0), y_weight / length);
    lk_terms_clear(&terms);
}

static void a_record_without_words_is_like_no_other(void **state)
{
    static const char *const records[] = {"", "a b", ""};
    lk_terms terms = terms_of(records, 3, LK_TERM_WORD);

    (void)state;
    assert_true(lk_terms_cosine(&terms, 0, 1) == 0.0F);
    assert_true(lk_terms_cosine(&terms, 0, 2) == 0.0F);
    assert_true(lk_terms_cosine(&terms, 1, 1) <= 1.0F);
    assert_near(lk_terms_cosine(&terms, 1, 1), 1.0);
    lk_terms_clear(&terms);
}

static void words_keep_their_order_and_repeats(void **state)
{
    static const char *const records[] = {"b a b", "", "a"};
    lk_terms terms = terms_of(records, 3, LK_TERM_WORD);
    const uint32_t *s = terms.sequence;

    (void)state;
    assert_int_equal(terms.sequence_offsets[1], 3);
    assert_int_equal(terms.sequence_offsets[2], 3);
    assert_int_equal(terms.sequence_offsets[3], 4);
    assert_int_equal(s[0], s[2]);
    assert_int_equal(s[1], s[3]);
    assert_int_not_equal(s[0], s[1]);
    lk_terms_clear(&terms);
}

static void no_records_have_no_terms(void **state)
{
    static const char *const records[] = {"", ""};
    lk_terms terms = terms_of(records, 2, LK_TERM_GRAM);

    (void)state;
    assert_int_equal(terms.n_ids, 0);
    assert_int_equal(terms.offsets[2], 0);
    lk_terms_clear(&terms);
    terms = terms_of(records, 0, LK_TERM_WORD);
    assert_int_equal(terms.n, 0);
    assert_int_equal(terms.offsets[0], 0);
    lk_terms_clear(&terms);
}

/* ---- many records --------------------------------------------------------- */

enum {
    N_MANY = 6000,
};

static lk_texts many_texts(void)
{
    static char records[N_MANY][512];
    static const char *pointers[N_MANY];

    for (size_t i = 0; i < N_MANY; i++) {
        (void)snprintf(records[i], sizeof(records[i]), "w%zu street %zu %zu", i,
                       i * 7919, i % 10);
        if (i % 1000 == 0) /* more terms than are sorted by insertion */
            for (size_t n = 0; n < 40; n++)
                (void)snprintf(records[i] + strlen(records[i]), 12, " %zu",
                               (i + n) * 104729 % 1000003);
        pointers[i] = records[i];
    }
    return texts_of(pointers, N_MANY);
}

static void assert_terms_are_in_order(const lk_terms *terms)
{
    for (size_t r = 0; r < terms->n; r++) {
        double sum = 0.0;

        for (size_t i = terms->offsets[r]; i < terms->offsets[r + 1]; i++) {
            double weight = (double)terms->terms[i].weight;

            sum += weight * weight;
            assert_true(terms->terms[i].id < terms->n_ids);
            if (i > terms->offsets[r])
                assert_true(terms->terms[i - 1].id < terms->terms[i].id);
        }
        assert_near((float)sum, 1.0);
    }
}

static void the_number_of_workers_changes_nothing(void **state)
{
    lk_texts texts = many_texts();
    lk_term_kind kinds[] = {LK_TERM_GRAM, LK_TERM_WORD};

    (void)state;
    for (size_t k = 0; k < 2; k++) {
        lk_terms made[2] = {{0}, {0}};
        size_t n;

        for (size_t i = 0; i < 2; i++) {
            lk_pool *pool = NULL;

            assert_int_equal(lk_pool_new(1 + 2 * i, &pool, NULL), LINKD_OK);
            assert_int_equal(
                lk_terms_make(&texts, kinds[k], pool, &made[i], NULL),
                LINKD_OK);
            lk_pool_free(pool);
        }
        n = made[0].offsets[N_MANY];
        assert_terms_are_in_order(&made[0]);
        assert_int_equal(made[1].offsets[N_MANY], n);
        assert_int_equal(made[1].n_ids, made[0].n_ids);
        assert_memory_equal(made[1].terms, made[0].terms, n * sizeof(lk_term));
        assert_memory_equal(made[1].df, made[0].df, made[0].n_ids * 4);
        if (k == 1)
            assert_memory_equal(made[1].sequence, made[0].sequence,
                                made[0].sequence_offsets[N_MANY] * 4);
        lk_terms_clear(&made[1]);
        lk_terms_clear(&made[0]);
    }
    lk_texts_clear(&texts);
}

static void running_out_of_memory_is_an_error_at_every_point(void **state)
{
    lk_texts texts = many_texts();
    lk_pool *pool = NULL;

    (void)state;
    assert_int_equal(lk_pool_new(1, &pool, NULL), LINKD_OK);
    for (size_t n = 1;; n++) {
        lk_terms terms = {0};
        linkd_error err = {0};
        int rc;

        alloc_fail_at(n);
        rc = lk_terms_make(&texts, LK_TERM_WORD, pool, &terms, &err);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            assert_true(n > 12);
            lk_terms_clear(&terms);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_int_equal(err.code, LINKD_E_NOMEM);
        assert_null(terms.terms);
    }
    lk_pool_free(pool);
    lk_texts_clear(&texts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_word_has_a_gram_for_each_of_its_characters),
        cmocka_unit_test(a_gram_is_of_characters_of_any_length),
        cmocka_unit_test(weights_are_those_of_the_book),
        cmocka_unit_test(a_record_without_words_is_like_no_other),
        cmocka_unit_test(words_keep_their_order_and_repeats),
        cmocka_unit_test(no_records_have_no_terms),
        cmocka_unit_test(the_number_of_workers_changes_nothing),
        cmocka_unit_test(running_out_of_memory_is_an_error_at_every_point),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
