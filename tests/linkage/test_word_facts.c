/* tests/linkage/test_word_facts.c — words that are excluded at once, and words
 * that are remembered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/similarity.h"
#include "linkage/word_facts.h"
#include "tests/linkage/random.h"
#include "tests/support/alloc_fail.h"

static linkd_str str(const char *text)
{
    return (linkd_str){text, strlen(text)};
}

static bool may_be_like(const char *a, const char *b)
{
    lk_word_fact x = lk_word_fact_of(str(a));
    lk_word_fact y = lk_word_fact_of(str(b));

    return lk_word_may_be_like(&x, &y);
}

static void facts_count_characters_and_not_bytes(void **state)
{
    lk_word_fact fact = lk_word_fact_of(str("\xc3\xb8re\xe2\x82\xac"
                                            "7"));

    (void)state;
    assert_int_equal(fact.n_chars, 5);
    assert_float_equal(fact.per_char, 0.2F, 0.0F);
    assert_true(fact.has_digit);
    assert_true(fact.start == (UINT64_C(0x20ac) << 48 | (uint64_t)'e' << 32 |
                               (uint64_t)'r' << 16 | 0xf8U));
}

static void words_with_nothing_in_common_are_excluded(void **state)
{
    (void)state;
    assert_false(may_be_like("anna", "miller"));
    assert_false(may_be_like("martin", "mueller"));
    assert_false(may_be_like("a", "bob"));
    assert_false(may_be_like("kx1200", "kx1345"));
    assert_true(may_be_like("muller", "mueller"));
    assert_true(may_be_like("b", "bob"));
    assert_true(may_be_like("kx1200", "kx1201"));
}

/* Words of a small alphabet, so that many are alike; every fourth one has
 * digits, every other one is a copy with a letter changed. */
static size_t word_draw(uint64_t *random, char *word, size_t len_before)
{
    static const char letters[] = "abcdesz019";
    size_t n_letters = random_below(random, 4) == 0 ? 10 : 7;
    size_t len = 1 + random_below(random, 9);

    if (len_before > 0 && random_below(random, 2) == 0) {
        word[random_below(random, len_before)] =
            letters[random_below(random, n_letters)];
        return len_before;
    }
    for (size_t i = 0; i < len; i++)
        word[i] = letters[random_below(random, n_letters)];
    return len;
}

/* The whole point of the bound: nothing that is alike gets lost. */
static void no_similar_word_is_ever_excluded(void **state)
{
    char words[2][16] = {{0}, {0}};
    size_t len[2] = {0, 0};
    size_t n_similar = 0;
    size_t n_excluded = 0;
    uint64_t random = 3;

    (void)state;
    for (size_t i = 0; i < 200000; i++) {
        size_t other = i % 2;
        lk_word_fact a, b;

        memcpy(words[1 - other], words[other], sizeof(words[0]));
        len[1 - other] = word_draw(&random, words[1 - other], len[other]);
        a = lk_word_fact_of((linkd_str){words[0], len[0]});
        b = lk_word_fact_of((linkd_str){words[1], len[1]});
        if (lk_word_similarity(a.text, b.text) > 0.0F) {
            n_similar++;
            assert_true(lk_word_may_be_like(&a, &b));
            assert_true(lk_word_may_be_like(&b, &a));
        } else if (!lk_word_may_be_like(&a, &b)) {
            n_excluded++;
        }
    }
    assert_true(n_similar > 20000);
    assert_true(n_excluded > 50000);
}

/* Only their beginnings are compared, so their letters say nothing. */
static void very_long_words_are_never_excluded(void **state)
{
    char a[260];
    char b[260];

    (void)state;
    memset(a, 'x', sizeof(a));
    memset(b, 'x', sizeof(b));
    memset(b + 130, 'q', 130);
    a[259] = '\0';
    b[259] = '\0';
    assert_true(may_be_like(a, b));
}

static void remembered_similarities_are_those_that_were_computed(void **state)
{
    static const char *const texts[] = {"muller", "mueller", "miller", "anna"};
    lk_word_fact facts[4];
    lk_word_cache cache = {0};

    (void)state;
    for (size_t i = 0; i < 4; i++)
        facts[i] = lk_word_fact_of(str(texts[i]));
    assert_int_equal(lk_word_cache_init(&cache, NULL), LINKD_OK);
    for (size_t round = 0; round < 2; round++)
        for (uint32_t x = 0; x < 4; x++)
            for (uint32_t y = 0; y < 4; y++)
                if (x != y)
                    assert_float_equal(
                        lk_word_cache_get(&cache, facts, x, y),
                        lk_word_similarity(facts[x].text, facts[y].text), 0.0F);
    lk_word_cache_clear(&cache);
}

/* 40,000 pairs in 32,768 places: those that collide are computed again. */
static void a_full_memory_forgets_but_never_confuses(void **state)
{
    enum { N = 200 };
    static char texts[N][4];
    static lk_word_fact facts[N];
    lk_word_cache cache = {0};

    (void)state;
    for (size_t i = 0; i < N; i++) {
        texts[i][0] = (char)('a' + (char)(i % 3));
        texts[i][1] = (char)('a' + (char)(i / 3 % 3));
        texts[i][2] = (char)('a' + (char)(i / 9 % 23));
        facts[i] = lk_word_fact_of((linkd_str){texts[i], 3});
    }
    assert_int_equal(lk_word_cache_init(&cache, NULL), LINKD_OK);
    for (size_t round = 0; round < 2; round++)
        for (uint32_t x = 0; x < N; x++)
            for (uint32_t y = 0; y < N; y++)
                if (x != y)
                    assert_float_equal(
                        lk_word_cache_get(&cache, facts, x, y),
                        lk_word_similarity(facts[x].text, facts[y].text), 0.0F);
    lk_word_cache_clear(&cache);
}

static void each_word_has_its_own_text_and_weight(void **state)
{
    char bytes[] = "red hatredhat";
    size_t offsets[] = {0, 7, 7, 13};
    size_t sequence_offsets[] = {0, 2, 2, 3};
    uint32_t sequence[] = {1, 0, 2};
    uint32_t df[] = {1, 1, 1};
    float idf[] = {1.3862944F, 1.3862944F, 1.3862944F}; /* ln(1 + 3 / 1) */
    lk_texts texts = {bytes, offsets, 3, 3};
    lk_terms words = {.n = 3,
                      .n_left = 3,
                      .n_ids = 3,
                      .df = df,
                      .idf = idf,
                      .sequence = sequence,
                      .sequence_offsets = sequence_offsets};
    lk_word_fact *facts = NULL;

    (void)state;
    assert_int_equal(lk_word_facts_make(&texts, &words, &facts, NULL),
                     LINKD_OK);
    assert_memory_equal(facts[1].text.bytes, "red", 3);
    assert_int_equal(facts[1].text.len, 3);
    assert_memory_equal(facts[0].text.bytes, "hat", 3);
    assert_memory_equal(facts[2].text.bytes, "redhat", 6);
    assert_int_equal(facts[2].n_chars, 6);
    assert_float_equal(facts[2].idf, 1.3862944F, 0.0F);
    free(facts);
    facts = NULL;

    alloc_fail_at(1);
    assert_int_equal(lk_word_facts_make(&texts, &words, &facts, NULL),
                     LINKD_E_NOMEM);
    assert_true(alloc_fail_off());
    assert_null(facts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(facts_count_characters_and_not_bytes),
        cmocka_unit_test(words_with_nothing_in_common_are_excluded),
        cmocka_unit_test(no_similar_word_is_ever_excluded),
        cmocka_unit_test(very_long_words_are_never_excluded),
        cmocka_unit_test(remembered_similarities_are_those_that_were_computed),
        cmocka_unit_test(a_full_memory_forgets_but_never_confuses),
        cmocka_unit_test(each_word_has_its_own_text_and_weight),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
