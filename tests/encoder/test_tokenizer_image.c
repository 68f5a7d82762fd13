/* A tokenizer from its image gives the ids of the one that it was made of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "encoder/tokenizer_image.h"
#include "tests/support/alloc_fail.h"

/* Case counts, accents stay, words have at most 5 characters, and a long text
 * loses its beginning: nothing of it is what an empty tokenizer does. */
static const char JSON[] =
    "{\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\","
    "\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":5,"
    "\"vocab\":{\"[UNK]\":0,\"[CLS]\":1,\"[SEP]\":2,\"Ab\":3,\"##c\":4,"
    "\"d\":5}},"
    "\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true,"
    "\"handle_chinese_chars\":true,\"strip_accents\":false,"
    "\"lowercase\":false},"
    "\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},"
    "\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"[SEP]\",2],"
    "\"cls\":[\"[CLS]\",1]},"
    "\"truncation\":{\"direction\":\"Left\",\"max_length\":9,"
    "\"strategy\":\"LongestFirst\",\"stride\":0},"
    "\"added_tokens\":[{\"id\":2,\"content\":\"[SEP]\",\"special\":true}]}";

static const char *const TEXTS[] = {
    "",       "Abc d",    "abc d", "Abcccc Abccc",
    "d[SEP]", "\xc3\xa9", "x",     "d d d d d Ab",
};
enum { N_TEXTS = sizeof(TEXTS) / sizeof(*TEXTS), MAX_TOKENS = 6 };

static lk_tokenizer *tokenizer_made(void)
{
    lk_tokenizer *tokenizer = NULL;
    linkd_error err;

    if (lk_tokenizer_parse_json((linkd_str){JSON, sizeof(JSON) - 1}, &tokenizer,
                                &err) != LINKD_OK)
        fail_msg("%s", err.message);
    return tokenizer;
}

static void assert_same_ids(const lk_tokenizer *a, const lk_tokenizer *b)
{
    lk_tokens x = {0}, y = {0};

    for (size_t i = 0; i < N_TEXTS; i++) {
        const linkd_str text = {TEXTS[i], strlen(TEXTS[i])};

        assert_int_equal(lk_tokenizer_encode(a, text, MAX_TOKENS, &x, NULL),
                         LINKD_OK);
        assert_int_equal(lk_tokenizer_encode(b, text, MAX_TOKENS, &y, NULL),
                         LINKD_OK);
        assert_int_equal(x.n, y.n);
        assert_memory_equal(x.ids, y.ids, x.n * sizeof(*x.ids));
        assert_int_equal(x.truncated, y.truncated);
        assert_int_equal(lk_tokenizer_knows(a, text, MAX_TOKENS),
                         lk_tokenizer_knows(b, text, MAX_TOKENS));
    }
    lk_tokens_clear(&x);
    lk_tokens_clear(&y);
}

static void check_image(bool is_bare)
{
    lk_tokenizer *made = tokenizer_made();
    lk_tokenizer *read = NULL;
    lk_buf image = {0};

    if (is_bare)
        lk_tokenizer_bare(made);
    assert_int_equal(lk_tokenizer_image_write(made, &image, NULL), LINKD_OK);
    assert_int_equal(lk_tokenizer_image_read((linkd_str){image.data, image.len},
                                             &read, NULL),
                     LINKD_OK);
    assert_int_equal(lk_tokenizer_vocab_size(read), 6);
    assert_string_equal(lk_tokenizer_kind(read), "wordpiece");
    assert_same_ids(made, read);
    lk_tokenizer_close(read);
    lk_tokenizer_close(made);
    lk_buf_clear(&image);
}

static void an_image_gives_the_same_ids(void **state)
{
    (void)state;
    check_image(false);
    check_image(true);
}

/* BPE: the others have parts of many kinds. */
static void a_tokenizer_of_another_way_has_no_image(void **state)
{
    static const char bpe[] =
        "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]}}";
    lk_tokenizer *tokenizer = NULL;
    lk_buf image = {0};
    linkd_error err;

    (void)state;
    if (lk_tokenizer_parse_json((linkd_str){bpe, sizeof(bpe) - 1}, &tokenizer,
                                &err) != LINKD_OK)
        fail_msg("%s", err.message);
    assert_int_equal(lk_tokenizer_image_write(tokenizer, &image, NULL),
                     LINKD_OK);
    assert_int_equal(image.len, 0);
    lk_tokenizer_close(tokenizer);
}

/* Whatever a byte is changed to: it is refused, or gives ids of the vocabulary.
 * (fuzz_packed goes further.) */
static void a_damaged_image_gives_no_wild_ids(void **state)
{
    lk_tokenizer *made = tokenizer_made();
    lk_buf image = {0};
    size_t n_refused = 0;

    (void)state;
    assert_int_equal(lk_tokenizer_image_write(made, &image, NULL), LINKD_OK);
    for (size_t i = 0; i < image.len; i++) {
        lk_tokenizer *read = NULL;
        lk_tokens tokens = {0};
        const char kept = image.data[i];
        int rc;

        image.data[i] = (char)~kept;
        rc = lk_tokenizer_image_read((linkd_str){image.data, image.len}, &read,
                                     NULL);
        image.data[i] = kept;
        n_refused += rc == LINKD_E_DATA;
        if (rc != LINKD_OK)
            continue;
        assert_int_equal(lk_tokenizer_encode(read, (linkd_str){"Abc d x", 7},
                                             MAX_TOKENS, &tokens, NULL),
                         LINKD_OK);
        for (size_t k = 0; k < tokens.n; k++)
            assert_in_range(tokens.ids[k], 0,
                            lk_tokenizer_vocab_size(read) - 1);
        lk_tokens_clear(&tokens);
        lk_tokenizer_close(read);
    }
    assert_in_range(n_refused, 50, image.len);
    lk_tokenizer_close(made);
    lk_buf_clear(&image);
}

static void memory_that_runs_out_is_said(void **state)
{
    lk_tokenizer *made = tokenizer_made();

    (void)state;
    for (size_t n = 1;; n++) {
        lk_tokenizer *read = NULL;
        lk_buf image = {0};
        int rc;

        alloc_fail_at(n);
        rc = lk_tokenizer_image_write(made, &image, NULL);
        if (rc == LINKD_OK)
            rc = lk_tokenizer_image_read((linkd_str){image.data, image.len},
                                         &read, NULL);
        lk_tokenizer_close(read);
        lk_buf_clear(&image);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            assert_true(n > 3);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
    }
    lk_tokenizer_close(made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_image_gives_the_same_ids),
        cmocka_unit_test(a_tokenizer_of_another_way_has_no_image),
        cmocka_unit_test(a_damaged_image_gives_no_wild_ids),
        cmocka_unit_test(memory_that_runs_out_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
