/* The ids of the real all-MiniLM-L6-v2 vocabulary against the golden files that
 * scripts/generate-tokenizer-golden wrote with Hugging Face's tokenizers. */
#include "encoder/encoder.h"
#include "encoder/tokenizer.h"
#include "encoder/unicode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>
#include <xxhash.h>

#define MODEL_NAME "all-MiniLM-L6-v2"
#define GOLDEN_DIR "tests/golden/tokenizer/"

enum {
    BLOCK = 4096, /* code points a line of sweep.txt */
    UNLIMITED = 100000,
};

typedef struct fixture {
    lk_tokenizer *tokenizer;
    lk_tokens tokens;
    linkd_error err;
} fixture;

static int set_up(void **state)
{
    static fixture f;
    lk_buf path = {0};
    int rc = linkd_encoder_find(MODEL_NAME, &path, &f.err);

    if (rc == LINKD_OK)
        rc = lk_tokenizer_open(path.data, &f.tokenizer, &f.err);
    if (rc != LINKD_OK)
        print_error("%s (scripts/setup installs " MODEL_NAME ")\n",
                    f.err.message);
    lk_buf_clear(&path);
    *state = &f;
    return rc == LINKD_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    fixture *f = *state;

    lk_tokens_clear(&f->tokens);
    lk_tokenizer_close(f->tokenizer);
    return 0;
}

static FILE *golden_open(const char *name)
{
    FILE *file = fopen(name, "r");

    if (file == NULL)
        fail_msg("could not open %s", name);
    return file;
}

static void encode(fixture *f, const char *text, size_t len, size_t limit)
{
    linkd_str one = {text, len};

    assert_int_equal(
        lk_tokenizer_encode(f->tokenizer, one, limit, &f->tokens, &f->err),
        LINKD_OK);
}

/* ---- sweep -------------------------------------------------------------- */

typedef struct context {
    const char *name, *before, *after;
} context;

static void code_point_hash(fixture *f, const context *c, uint32_t cp,
                            XXH64_state_t *hash)
{
    char text[16];
    size_t len = strlen(c->before);
    uint32_t n;

    memcpy(text, c->before, len);
    len += lk_utf8_write(cp, (uint8_t *)text + len);
    memcpy(text + len, c->after, strlen(c->after));
    len += strlen(c->after);
    encode(f, text, len, UNLIMITED);
    n = (uint32_t)f->tokens.n;
    assert_int_equal(XXH64_update(hash, &n, sizeof(n)), XXH_OK);
    assert_int_equal(
        XXH64_update(hash, f->tokens.ids, n * sizeof(*f->tokens.ids)), XXH_OK);
}

static uint64_t block_hash(fixture *f, const context *c, uint32_t first)
{
    XXH64_state_t *hash = XXH64_createState();
    uint64_t digest;

    assert_non_null(hash);
    assert_int_equal(XXH64_reset(hash, 0), XXH_OK);
    for (uint32_t cp = first; cp < first + BLOCK; cp++) {
        if (cp < 0xD800 || cp > 0xDFFF)
            code_point_hash(f, c, cp, hash);
    }
    digest = XXH64_digest(hash);
    XXH64_freeState(hash);
    return digest;
}

static void every_code_point_has_the_ids_of_hugging_face(void **state)
{
    static const context contexts[] = {
        {"alone", "", ""}, {"inside", "ab", "cd"}, {"between", "ab ", " cd"}};
    fixture *f = *state;
    FILE *file = golden_open(GOLDEN_DIR "sweep.txt");

    for (size_t i = 0; i < sizeof(contexts) / sizeof(*contexts); i++) {
        for (uint32_t first = 0; first < 0x110000; first += BLOCK) {
            char want[64], got[64];

            assert_non_null(fgets(want, sizeof(want), file));
            (void)snprintf(
                got, sizeof(got), "%s %06X %016llx\n", contexts[i].name,
                (unsigned)first,
                (unsigned long long)block_hash(f, &contexts[i], first));
            assert_string_equal(got, want);
        }
    }
    (void)fclose(file);
}

/* ---- texts -------------------------------------------------------------- */

static void text_check(fixture *f, const json_t *golden)
{
    const json_t *text = json_object_get(golden, "text");
    const json_t *ids = json_object_get(golden, "ids");
    json_int_t limit = json_integer_value(json_object_get(golden, "limit"));

    encode(f, json_string_value(text), json_string_length(text), (size_t)limit);
    if (f->tokens.n != json_array_size(ids))
        fail_msg("\"%s\" has %zu tokens, not %zu", json_string_value(text),
                 f->tokens.n, json_array_size(ids));
    for (size_t i = 0; i < f->tokens.n; i++) {
        json_int_t id = json_integer_value(json_array_get(ids, i));

        if (f->tokens.ids[i] != (uint32_t)id)
            fail_msg("\"%s\": token %zu is %u, not %d", json_string_value(text),
                     i, (unsigned)f->tokens.ids[i], (int)id);
    }
}

static void texts_in_many_scripts_have_the_ids_of_hugging_face(void **state)
{
    fixture *f = *state;
    FILE *file = golden_open(GOLDEN_DIR "texts.jsonl");
    size_t n_texts = 0;
    json_t *golden;

    while ((golden = json_loadf(file, JSON_DISABLE_EOF_CHECK, NULL)) != NULL) {
        text_check(f, golden);
        json_decref(golden);
        n_texts++;
    }
    assert_true(n_texts > 700);
    (void)fclose(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_has_the_ids_of_hugging_face),
        cmocka_unit_test(texts_in_many_scripts_have_the_ids_of_hugging_face),
    };

    return cmocka_run_group_tests_name("tokenizer_parity", tests, set_up,
                                       tear_down);
}
