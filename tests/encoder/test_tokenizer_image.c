/* A tokenizer from its image gives the ids of the one that it was made of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "encoder/tokenizer_image.h"
#include "tests/encoder/tokenizer_kinds.h"
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
    "",         "Abc d", "abc d",        "Abcccc Abccc", "d[SEP]",
    "\xc3\xa9", "x",     "d d d d d Ab", "xb<m>abA ?",
};
enum { N_TEXTS = sizeof(TEXTS) / sizeof(*TEXTS), MAX_TOKENS = 6 };

/* "x" becomes "a". */
#define CHARSMAP                                                               \
 "6AEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"        \
 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"        \
 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"        \
 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"        \
 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"        \
 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"        \
 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"        \
 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"        \
 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"        \
 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAHgFAAAAAACAYQA="

/* With a charsmap, and a name that is found behind the normalizer. */
static const char UNIGRAM[] =
    "{\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"byte_fallback\":false,"
    "\"vocab\":[[\"?\",0],[\"a\",-1.5],[\"b\",-2],[\"ab\",-3],[\"A\",-4]]},"
    "\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":"
    "\"" CHARSMAP "\"},\"added_tokens\":[{\"id\":5,\"content\":\"<m>\","
    "\"normalized\":true}]}";

static const char BPE[] =
    "{\"model\":{\"type\":\"BPE\",\"unk_token\":\"?\",\"merges\":[\"A b\","
    "\"Ab c\"],\"vocab\":{\"?\":0,\"A\":1,\"b\":2,\"c\":3,\"Ab\":4,\"Abc\":5}},"
    "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false}}";

static lk_tokenizer *tokenizer_parse(const char *json)
{
    lk_tokenizer *tokenizer = NULL;
    linkd_error err;

    if (lk_tokenizer_parse_json((linkd_str){json, strlen(json)}, &tokenizer,
                                &err) != LINKD_OK)
        fail_msg("%s", err.message);
    return tokenizer;
}

static lk_tokenizer *tokenizer_made(void)
{
    return tokenizer_parse(JSON);
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

/* What comes back from the image; `image` is the caller's to clear, after it. */
static lk_tokenizer *image_of(const lk_tokenizer *made, lk_buf *image)
{
    lk_tokenizer *read = NULL;

    assert_int_equal(lk_tokenizer_image_write(made, image, NULL), LINKD_OK);
    assert_int_equal(lk_tokenizer_image_read(
                         (linkd_str){image->data, image->len}, &read, NULL),
                     LINKD_OK);
    assert_int_equal(lk_tokenizer_vocab_size(read),
                     lk_tokenizer_vocab_size(made));
    assert_string_equal(lk_tokenizer_kind(read), lk_tokenizer_kind(made));
    return read;
}

static void check_image(const char *json, bool is_bare)
{
    lk_tokenizer *made = tokenizer_parse(json);
    lk_tokenizer *read;
    lk_buf image = {0};

    if (is_bare)
        lk_tokenizer_bare(made);
    read = image_of(made, &image);
    if (is_bare) /* of any other kind than WordPiece the image is silent */
        lk_tokenizer_bare(read);
    assert_same_ids(made, read);
    lk_tokenizer_close(read);
    lk_tokenizer_close(made);
    lk_buf_clear(&image);
}

static void an_image_gives_the_same_ids(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        check_image(JSON, i == 1);
        check_image(UNIGRAM, i == 1);
        check_image(BPE, i == 1);
    }
}

/* The ids of both, with whatever limit is usual. */
static void assert_golden_ids(const lk_tokenizer *read, const json_t *golden)
{
    const json_t *text = json_object_get(golden, "text");
    const json_t *ids = json_object_get(golden, "ids");
    const linkd_str one = {json_string_value(text), json_string_length(text)};
    lk_tokens tokens = {0};

    assert_int_equal(lk_tokenizer_encode(read, one, 100000, &tokens, NULL),
                     LINKD_OK);
    assert_int_equal(tokens.n, json_array_size(ids));
    for (size_t i = 0; i < tokens.n; i++)
        assert_int_equal(tokens.ids[i],
                         json_integer_value(json_array_get(ids, i)));
    lk_tokens_clear(&tokens);
}

static void every_kind_gives_the_ids_of_hugging_face(void **state)
{
    FILE *file = fopen(GOLDEN_DIR "texts.jsonl", "r");
    lk_tokenizer *read = NULL;
    lk_buf image = {0};
    char kind[64] = "";
    size_t n_kinds = 0;

    (void)state;
    assert_non_null(file);
    for (json_t *golden;
         (golden = json_loadf(file, JSON_DISABLE_EOF_CHECK, NULL)) != NULL;) {
        const char *name = json_string_value(json_object_get(golden, "kind"));

        if (strcmp(kind, name) != 0) {
            char *json;
            lk_tokenizer *made;

            (void)snprintf(kind, sizeof(kind), "%s", name);
            json = kind_read(kind);
            made = tokenizer_parse(json);
            free(json);
            lk_tokenizer_close(read);
            lk_buf_reset(&image);
            read = image_of(made, &image);
            lk_tokenizer_close(made);
            n_kinds++;
        }
        assert_golden_ids(read, golden);
        json_decref(golden);
    }
    assert_int_equal(n_kinds, 18);
    lk_tokenizer_close(read);
    lk_buf_clear(&image);
    (void)fclose(file);
}

/* Reads an image of hostile bytes. */
static int hostile_read(const char *bytes, size_t len)
{
    lk_tokenizer *read = NULL;
    lk_tokens tokens = {0};
    int rc = lk_tokenizer_image_read((linkd_str){bytes, len}, &read, NULL);

    if (rc != LINKD_OK)
        return rc;
    for (size_t i = 0; i < N_TEXTS; i++) {
        const linkd_str text = {TEXTS[i], strlen(TEXTS[i])};

        assert_int_equal(
            lk_tokenizer_encode(read, text, MAX_TOKENS, &tokens, NULL),
            LINKD_OK);
        for (size_t k = 0; k < tokens.n; k++)
            assert_in_range(tokens.ids[k], 0,
                            lk_tokenizer_vocab_size(read) - 1);
    }
    lk_tokens_clear(&tokens);
    lk_tokenizer_close(read);
    return LINKD_OK;
}

/* Whatever a byte is changed to: it is refused, or gives ids of the vocabulary.
 * (fuzz_packed goes further.) */
static void a_damaged_image_gives_no_wild_ids(void **state)
{
    static const char *const all[] = {JSON, UNIGRAM, BPE};

    (void)state;
    for (size_t kind = 0; kind < sizeof(all) / sizeof(*all); kind++) {
        lk_tokenizer *made = tokenizer_parse(all[kind]);
        lk_buf image = {0};
        size_t n_refused = 0;

        assert_int_equal(lk_tokenizer_image_write(made, &image, NULL),
                         LINKD_OK);
        for (size_t i = 0; i < image.len; i++) {
            const char kept = image.data[i];

            image.data[i] = (char)~kept;
            n_refused += hostile_read(image.data, image.len) == LINKD_E_DATA;
            image.data[i] = kept;
        }
        assert_in_range(n_refused, 50, image.len);
        for (size_t len = 0; len < image.len; len += len < 600 ? 1 : 64)
            assert_int_equal(hostile_read(image.data, len), LINKD_E_DATA);
        lk_tokenizer_close(made);
        lk_buf_clear(&image);
    }
}

/* The arrays are used where they lie. */
static void an_image_that_is_not_aligned_is_refused(void **state)
{
    lk_tokenizer *made = tokenizer_made();
    lk_buf image = {0};

    (void)state;
    assert_int_equal(lk_buf_append(&image, "four", 4, NULL), LINKD_OK);
    assert_int_equal(lk_tokenizer_image_write(made, &image, NULL), LINKD_OK);
    assert_int_equal(hostile_read(image.data + 4, image.len - 4), LINKD_E_DATA);
    memmove(image.data, image.data + 4, image.len - 4);
    assert_int_equal(hostile_read(image.data, image.len - 4), LINKD_OK);
    lk_tokenizer_close(made);
    lk_buf_clear(&image);
}

/* The rest says BPE, where the head has a Unigram's scores and no merges. */
static void an_image_of_two_kinds_is_refused(void **state)
{
    static const char unigram[] = "\"type\":\"Unigram\"";
    static const char bpe[] = "\"type\":\"BPE\"    ";
    lk_tokenizer *made = tokenizer_parse(UNIGRAM);
    lk_buf image = {0};
    size_t at = 0;

    (void)state;
    assert_int_equal(sizeof(unigram), sizeof(bpe));
    assert_int_equal(lk_tokenizer_image_write(made, &image, NULL), LINKD_OK);
    while (at + sizeof(unigram) < image.len &&
           memcmp(image.data + at, unigram, sizeof(unigram) - 1) != 0)
        at++;
    assert_true(at + sizeof(unigram) < image.len);
    memcpy(image.data + at, bpe, sizeof(bpe) - 1);
    assert_int_equal(hostile_read(image.data, image.len), LINKD_E_DATA);
    lk_tokenizer_close(made);
    lk_buf_clear(&image);
}

static void check_without_memory(const char *json)
{
    lk_tokenizer *made = tokenizer_parse(json);

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

static void memory_that_runs_out_is_said(void **state)
{
    (void)state;
    check_without_memory(JSON);
    check_without_memory(UNIGRAM);
    check_without_memory(BPE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_image_gives_the_same_ids),
        cmocka_unit_test(every_kind_gives_the_ids_of_hugging_face),
        cmocka_unit_test(a_damaged_image_gives_no_wild_ids),
        cmocka_unit_test(an_image_that_is_not_aligned_is_refused),
        cmocka_unit_test(an_image_of_two_kinds_is_refused),
        cmocka_unit_test(memory_that_runs_out_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
