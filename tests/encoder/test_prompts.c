/* What config_sentence_transformers.json says of prompts. That they get into
 * vectors is in tests/e2e/embed_kinds.bats. */
#include "encoder/prompts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int parse(const char *text, lk_prompts *ret_prompts, linkd_error *err)
{
    return lk_prompts_parse(text, strlen(text), ret_prompts, err);
}

static void prompts_are_found_by_name(void **state)
{
    lk_prompts prompts = {0};

    (void)state;
    assert_int_equal(
        parse("{\"prompts\": {\"query\": \"query: \", \"passage\": \"\"}, "
              "\"default_prompt_name\": \"query\"}",
              &prompts, NULL),
        LINKD_OK);
    assert_string_equal(prompts.standard, "query: ");
    assert_string_equal(lk_prompts_find(&prompts, "passage"), "");
    assert_null(lk_prompts_find(&prompts, "document"));
    lk_prompts_clear(&prompts);
}

static void each_use_has_its_prompt(void **state)
{
    static const struct {
        const char *text;
        const char *prompts[LINKD_N_USES]; /* any, query, record */
    } cases[] = {
        {"{}", {"", "", ""}},
        {"{\"prompts\": {\"query\": \"q\", \"document\": \"d\"}}",
         {"", "q", "d"}},
        {"{\"prompts\": {\"query\": \"q\", \"passage\": \"p\"}}",
         {"", "q", "p"}},
        {"{\"prompts\": {\"query\": \"q\", \"corpus\": \"c\", "
         "\"document\": \"\"}}",
         {"", "q", ""}},
        {"{\"prompts\": {\"query\": \"q\", \"other\": \"o\"}, "
         "\"default_prompt_name\": \"other\"}",
         {"o", "q", "o"}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        lk_prompts prompts = {0};

        assert_int_equal(parse(cases[i].text, &prompts, NULL), LINKD_OK);
        for (linkd_use use = 0; use < LINKD_N_USES; use++)
            assert_string_equal(lk_prompts_for(&prompts, use),
                                cases[i].prompts[use]);
        lk_prompts_clear(&prompts);
    }
}

static void a_file_without_prompts_has_none(void **state)
{
    static const char *const texts[] = {
        "{}", "{\"__version__\": {}, \"default_prompt_name\": null}"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        lk_prompts prompts = {0};

        assert_int_equal(parse(texts[i], &prompts, NULL), LINKD_OK);
        assert_string_equal(prompts.standard, "");
        assert_null(lk_prompts_find(&prompts, "query"));
        lk_prompts_clear(&prompts);
    }
}

static void a_directory_need_not_have_the_file(void **state)
{
    lk_prompts prompts = {0};

    (void)state;
    assert_int_equal(lk_prompts_read("/nonexistent", &prompts, NULL), LINKD_OK);
    assert_string_equal(prompts.standard, "");
    assert_null(lk_prompts_find(&prompts, "query"));
    lk_prompts_clear(&prompts);
}

static void damaged_files_are_refused(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"[]", "config_sentence_transformers.json: is not a JSON object"},
        {"{\"prompts\": {\"query\": 1}}",
         "config_sentence_transformers.json: prompt \"query\" is not a text"},
        {"{\"prompts\": {}, \"default_prompt_name\": \"query\"}",
         "config_sentence_transformers.json: default_prompt_name \"query\" is "
         "none of the prompts"},
        {"{\"default_prompt_name\": 1}",
         "config_sentence_transformers.json: default_prompt_name \"\" is none "
         "of the prompts"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        lk_prompts prompts = {0};
        linkd_error err = {0};

        assert_int_equal(parse(cases[i].text, &prompts, &err), LINKD_E_DATA);
        assert_string_equal(err.message, cases[i].message);
        assert_null(prompts.file);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prompts_are_found_by_name),
        cmocka_unit_test(each_use_has_its_prompt),
        cmocka_unit_test(a_file_without_prompts_has_none),
        cmocka_unit_test(a_directory_need_not_have_the_file),
        cmocka_unit_test(damaged_files_are_refused),
    };

    return cmocka_run_group_tests_name("prompts", tests, NULL, NULL);
}
