/* tests/linkage/test_compare.c — texts of a small table against one another. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/compare.h"
#include "linkage/similarity.h"
#include "tests/linkage/random.h"
#include "tests/linkage/scratch.h"
#include "tests/support/alloc_fail.h"

static const lk_comparator ALL[] = {LK_COMPARE_GRAM,  LK_COMPARE_EDIT,
                                    LK_COMPARE_EXACT, LK_COMPARE_EVIDENCE,
                                    LK_COMPARE_CODE,  LK_COMPARE_WORD};
enum { N_ALL = sizeof(ALL) / sizeof(ALL[0]) };

typedef struct fixture {
    linkd_table *table;
    lk_pool *pool;
    lk_texts texts;
    lk_terms grams;
    lk_terms words;
    lk_compare compare;
    lk_comparer comparer;
    float values[LK_N_COMPARATORS];
    linkd_error err;
} fixture;

static void comparer_drop(fixture *f)
{
    lk_comparer_clear(&f->comparer);
    lk_compare_clear(&f->compare);
    lk_terms_clear(&f->words);
    lk_terms_clear(&f->grams);
    lk_texts_clear(&f->texts);
    linkd_table_free(f->table);
    f->table = NULL;
}

/* Ids are row numbers; the column `text` is compared. */
static void comparer_make(fixture *f, const char *csv)
{
    static const size_t columns[] = {1};
    lk_texts_source source = {.columns = {columns}, .n_columns = {1}};

    comparer_drop(f);
    scratch_write_text("table.csv", csv);
    assert_int_equal(linkd_table_read("table.csv", LINKD_FORMAT_CSV, "id", NULL,
                                      &f->table, &f->err),
                     LINKD_OK);
    source.tables[0] = f->table;
    assert_int_equal(lk_texts_make(&source, f->pool, &f->texts, &f->err),
                     LINKD_OK);
    assert_int_equal(
        lk_terms_make(&f->texts, LK_TERM_GRAM, f->pool, &f->grams, &f->err),
        LINKD_OK);
    assert_int_equal(
        lk_terms_make(&f->texts, LK_TERM_WORD, f->pool, &f->words, &f->err),
        LINKD_OK);
    assert_int_equal(
        lk_compare_init(&f->compare, &f->texts, &f->grams, &f->words, &f->err),
        LINKD_OK);
    assert_int_equal(lk_comparer_init(&f->comparer, &f->compare, &f->err),
                     LINKD_OK);
}

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    assert_int_equal(lk_pool_new(1, &f->pool, &f->err), LINKD_OK);
    comparer_make(f, "id,text\n"
                     "0,Anna Maria Muller\n"
                     "1,Ana Maria Mueller\n"
                     "2,Maria\n"
                     "3,\n"
                     "4,saw KX-120 b\n"
                     "5,saw kx120b 9999\n"
                     "6,drill m77\n"
                     "7,Muller Anna Maria\n");
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;

    comparer_drop(f);
    lk_pool_free(f->pool);
    free(f);
    return 0;
}

static void run(fixture *f, size_t a, size_t b)
{
    lk_comparer_run(&f->comparer, a, b, ALL, N_ALL, f->values);
}

static float idf(const fixture *f, float df)
{
    return logf(1.0F + (float)f->texts.n / df);
}

static float alike(const char *a, const char *b)
{
    return lk_word_similarity((linkd_str){a, strlen(a)},
                              (linkd_str){b, strlen(b)});
}

#define assert_value(f, comparator, expected)                                  \
 assert_float_equal((f)->values[LK_COMPARE_##comparator], expected, 1e-5F)

static void equal_texts_are_one_everywhere(void **state)
{
    fixture *f = *state;

    run(f, 0, 0);
    assert_value(f, GRAM, 1.0F);
    assert_value(f, SOFT, 1.0F);
    assert_value(f, CONTAIN, 1.0F);
    assert_value(f, EDIT, 1.0F);
    assert_value(f, EXACT, 1.0F);
    assert_value(f, WORD, 1.0F);
}

/* Anna is in rows 0 and 7, Maria in four rows, Muller in two; Ana and Mueller in
 * one each. */
static void words_count_by_their_nearest_word_and_their_rarity(void **state)
{
    fixture *f = *state;
    float anna = alike("anna", "ana");
    float muller = alike("muller", "mueller");
    float of_0 = idf(f, 2) * anna + idf(f, 4) + idf(f, 2) * muller;
    float of_1 = idf(f, 1) * anna + idf(f, 4) + idf(f, 1) * muller;
    float weight_0 = idf(f, 2) + idf(f, 4) + idf(f, 2);
    float weight_1 = idf(f, 1) + idf(f, 4) + idf(f, 1);

    assert_true(anna > 0.7F && anna < 1.0F);
    run(f, 0, 1);
    assert_value(f, SOFT, (of_0 + of_1) / (weight_0 + weight_1));
    assert_value(f, CONTAIN, fmaxf(of_0 / weight_0, of_1 / weight_1));
    assert_value(f, EVIDENCE, 0.5F * (of_0 + of_1) / (8.0F * logf(9.0F)));
    assert_value(f, EXACT, 0.0F);
}

static void a_part_of_a_text_is_contained_in_it(void **state)
{
    fixture *f = *state;

    run(f, 0, 2);
    assert_value(f, CONTAIN, 1.0F);
    assert_value(f, SOFT,
                 2.0F * idf(f, 4) / (2.0F * idf(f, 4) + 2.0F * idf(f, 2)));
}

static void the_order_of_words_matters_to_edits_alone(void **state)
{
    fixture *f = *state;

    run(f, 0, 7);
    assert_value(f, GRAM, 1.0F);
    assert_value(f, SOFT, 1.0F);
    assert_value(f, WORD, 1.0F);
    assert_true(f->values[LK_COMPARE_EDIT] < 0.6F);
    assert_value(f, EXACT, 0.0F);
}

static void a_text_without_words_is_missing(void **state)
{
    fixture *f = *state;

    for (size_t side = 0; side < 2; side++) {
        run(f, side == 0 ? 0 : 3, side == 0 ? 3 : 0);
        for (size_t i = 0; i < N_ALL; i++)
            assert_true(isnan(f->values[ALL[i]]));
    }
}

/* Row 4 has "120" as a code; row 5 "kx120b" and "9999"; row 6 "m77". */
static void codes_are_found_in_whatever_spelling(void **state)
{
    fixture *f = *state;

    run(f, 4, 5);
    assert_value(f, CODE, 1.0F);
    run(f, 5, 6);
    assert_value(f, CODE, 0.0F);
    run(f, 0, 5);
    assert_true(isnan(f->values[LK_COMPARE_CODE]));
}

/* The last `a` is kept: other pairs in between must not show. */
static void what_was_compared_before_does_not_matter(void **state)
{
    float alone[8 * 8][LK_N_COMPARATORS];
    fixture *f = *state;

    for (size_t i = 0; i < 64; i++) {
        lk_comparer_clear(&f->comparer);
        assert_int_equal(lk_comparer_init(&f->comparer, &f->compare, NULL),
                         LINKD_OK);
        run(f, i / 8, i % 8);
        memcpy(alone[i], f->values, sizeof(f->values));
    }
    for (size_t i = 64; i-- > 0;) {
        run(f, i / 8, i % 8);
        for (size_t c = 0; c < N_ALL; c++)
            assert_memory_equal(&f->values[ALL[c]], &alone[i][ALL[c]],
                                sizeof(float));
    }
}

static void both_directions_say_the_same(void **state)
{
    float forth[LK_N_COMPARATORS];
    fixture *f = *state;

    for (size_t a = 0; a < 8; a++)
        for (size_t b = 0; b < 8; b++) {
            run(f, a, b);
            memcpy(forth, f->values, sizeof(forth));
            run(f, b, a);
            for (size_t c = 0; c < N_ALL; c++)
                if (!isnan(forth[ALL[c]]))
                    assert_float_equal(f->values[ALL[c]], forth[ALL[c]], 1e-6F);
        }
}

/* 60 words: the 49th and later ones differ and do not count. */
static void only_the_first_48_words_are_matched(void **state)
{
    fixture *f = *state;
    lk_buf csv = {0};

    assert_int_equal(lk_buf_printf(&csv, NULL, "id,text\n"), LINKD_OK);
    for (size_t row = 0; row < 2; row++) {
        assert_int_equal(lk_buf_printf(&csv, NULL, "%zu,", row), LINKD_OK);
        for (size_t w = 0; w < 60; w++)
            assert_int_equal(lk_buf_printf(&csv, NULL, "%c%c%c ",
                                           'a' + (int)(w / 8), 'a' + (int)w % 8,
                                           w < 48 ? 'x' : 'y' + (int)row),
                             LINKD_OK);
        assert_int_equal(lk_buf_printf(&csv, NULL, "\n"), LINKD_OK);
    }
    comparer_make(f, csv.data);
    lk_buf_clear(&csv);
    run(f, 0, 1);
    assert_value(f, SOFT, 1.0F);
    assert_true(f->values[LK_COMPARE_WORD] < 0.9F);
}

static void evidence_beyond_eight_rare_words_is_one(void **state)
{
    fixture *f = *state;

    comparer_make(f, "id,text\n0,a b c d e f g h i j k u v w\n"
                     "1,a b c d e f g h i j k u v w\n"
                     "2,a b\n3,l\n4,m\n5,n\n6,o\n7,p\n8,q\n9,r\n");
    run(f, 0, 1);
    assert_value(f, EVIDENCE, 1.0F);
    run(f, 0, 2);
    assert_true(f->values[LK_COMPARE_EVIDENCE] < 0.2F);
}

/* Against the definition, without bounds and without a memory. */
static float soft_plainly(const fixture *f, size_t a, size_t b)
{
    const lk_terms *words = &f->words;
    size_t records[2] = {a, b};
    float sum = 0.0F;
    float weight = 0.0F;

    for (size_t side = 0; side < 2; side++) {
        size_t own = records[side];
        size_t other = records[1 - side];

        for (size_t x = words->sequence_offsets[own];
             x < words->sequence_offsets[own + 1]; x++) {
            const lk_word_fact *fact = &f->compare.facts[words->sequence[x]];
            float best = 0.0F;

            for (size_t y = words->sequence_offsets[other];
                 y < words->sequence_offsets[other + 1]; y++)
                best =
                    fmaxf(best, lk_word_similarity(
                                    fact->text,
                                    f->compare.facts[words->sequence[y]].text));
            sum += best * fact->idf;
            weight += fact->idf;
        }
    }
    return sum / weight;
}

static void random_texts_agree_with_the_definition(void **state)
{
    enum { N = 60 };
    fixture *f = *state;
    lk_buf csv = {0};
    uint64_t random = 11;

    assert_int_equal(lk_buf_printf(&csv, NULL, "id,text\n"), LINKD_OK);
    for (size_t row = 0; row < N; row++) {
        assert_int_equal(lk_buf_printf(&csv, NULL, "%zu,", row), LINKD_OK);
        for (size_t i = 20 + random_below(&random, 60); i-- > 0;)
            assert_int_equal(
                lk_buf_printf(&csv, NULL, "%c",
                              "aaeimnrst1     "[random_below(&random, 15)]),
                LINKD_OK);
        assert_int_equal(lk_buf_printf(&csv, NULL, "z\n"), LINKD_OK);
    }
    comparer_make(f, csv.data);
    lk_buf_clear(&csv);
    for (size_t a = 0; a < N; a++)
        for (size_t b = 0; b < N; b++) {
            run(f, a, b);
            assert_float_equal(f->values[LK_COMPARE_SOFT],
                               soft_plainly(f, a, b), 1e-5F);
            assert_float_equal(f->values[LK_COMPARE_GRAM],
                               lk_terms_cosine(&f->grams, a, b), 1e-6F);
        }
}

static void memory_that_runs_out_is_reported(void **state)
{
    fixture *f = *state;

    for (size_t nth = 1;; nth++) {
        lk_compare compare = {0};
        lk_comparer comparer = {0};
        int rc;

        alloc_fail_at(nth);
        rc = lk_compare_init(&compare, &f->texts, &f->grams, &f->words, NULL);
        if (rc == LINKD_OK)
            rc = lk_comparer_init(&comparer, &compare, NULL);
        lk_comparer_clear(&comparer);
        lk_compare_clear(&compare);
        if (!alloc_fail_off())
            break;
        assert_int_equal(rc, LINKD_E_NOMEM);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(equal_texts_are_one_everywhere),
        TEST(words_count_by_their_nearest_word_and_their_rarity),
        TEST(a_part_of_a_text_is_contained_in_it),
        TEST(the_order_of_words_matters_to_edits_alone),
        TEST(a_text_without_words_is_missing),
        TEST(codes_are_found_in_whatever_spelling),
        TEST(what_was_compared_before_does_not_matter),
        TEST(both_directions_say_the_same),
        TEST(only_the_first_48_words_are_matched),
        TEST(evidence_beyond_eight_rare_words_is_one),
        TEST(random_texts_agree_with_the_definition),
        TEST(memory_that_runs_out_is_reported),
    };

    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
