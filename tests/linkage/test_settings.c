/* tests/linkage/test_settings.c — what a collection's records mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/linkage.h"
#include "tests/support/alloc_fail.h"

typedef struct fixture {
    lk_arena arena;
    lk_buf text;
    linkd_settings settings;
    linkd_error err;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof(*f));

    *state = f;
    return f != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    fixture *f = *state;

    lk_arena_clear(&f->arena);
    lk_buf_clear(&f->text);
    free(f);
    return 0;
}

static linkd_str str_of(const char *text)
{
    return (linkd_str){text, strlen(text)};
}

static int parse(fixture *f, const char *json)
{
    return linkd_settings_parse(str_of(json), &f->arena, &f->settings, &f->err);
}

static void must_parse(fixture *f, const char *json)
{
    assert_int_equal(parse(f, json), LINKD_OK);
}

/* ---- reading and printing ------------------------------------------------ */

static void every_member_is_read(void **state)
{
    fixture *f = *state;

    must_parse(f, "{\"text\":[\"name\",\"city\"],\"template\":\"{name}!\","
                  "\"image\":\"photo\",\"threshold\":0.5}");
    assert_int_equal(f->settings.n_text, 2);
    assert_memory_equal(f->settings.text[0].bytes, "name", 4);
    assert_memory_equal(f->settings.text[1].bytes, "city", 4);
    assert_int_equal(f->settings.pattern.len, 7);
    assert_memory_equal(f->settings.image.bytes, "photo", 5);
    assert_true(f->settings.threshold.value == 0.5);
}

static void what_is_absent_or_null_has_a_default(void **state)
{
    static const char *const same[] = {
        "{}", "{\"text\":null,\"template\":null,\"image\":null,"
              "\"threshold\":null}"};
    fixture *f = *state;

    for (size_t i = 0; i < 2; i++) {
        must_parse(f, same[i]);
        assert_int_equal(f->settings.n_text, 0);
        assert_int_equal(f->settings.pattern.len, 0);
        assert_int_equal(f->settings.image.len, 0);
        assert_true(f->settings.threshold.value ==
                    (double)(float)LINKD_DEDUP_THRESHOLD);
    }
}

static void what_is_printed_is_read_again(void **state)
{
    static const char json[] =
        "{\"text\":[\"na\\\"me\",\"st\xC3\xA4"
        "dte\"],"
        "\"template\":\"{{{a}}} {b}\",\"image\":null,\"threshold\":0.74}";
    fixture *f = *state;

    must_parse(f, json);
    assert_int_equal(linkd_settings_print(&f->settings, &f->text, &f->err),
                     LINKD_OK);
    assert_string_equal(f->text.data, json);
}

/* A threshold decides links: no digit of it may get lost. */
static void a_threshold_keeps_its_last_digit(void **state)
{
    fixture *f = *state;
    linkd_limit before;

    must_parse(f, "{\"threshold\":0.123456789}");
    before = f->settings.threshold;
    assert_int_equal(linkd_settings_print(&f->settings, &f->text, &f->err),
                     LINKD_OK);
    must_parse(f, f->text.data);
    assert_int_equal(f->settings.threshold.kind, LINKD_LIMIT_SCORE);
    assert_true(f->settings.threshold.value == before.value);
}

static void a_threshold_of_another_kind_is_printed_as_it_was_given(void **state)
{
    static const char *const thresholds[] = {"{\"false_match_rate\":0.001}",
                                             "{\"probability\":0.95}"};
    fixture *f = *state;

    for (size_t i = 0; i < 2; i++) {
        char json[128];

        (void)snprintf(json, sizeof(json), "{\"threshold\":%s}", thresholds[i]);
        must_parse(f, json);
        lk_buf_reset(&f->text);
        assert_int_equal(linkd_settings_print(&f->settings, &f->text, &f->err),
                         LINKD_OK);
        assert_non_null(strstr(f->text.data, json + 1));
    }
}

static void wrong_settings_are_refused(void **state)
{
    static const struct {
        const char *json;
        const char *message;
    } cases[] = {
        {"[]", "settings are not an object"},
        {"{\"txt\":[]}", "settings have no member \"txt\""},
        {"{\"text\":\"name\"}", "\"text\" is not an array of 1 to 256 fields"},
        {"{\"text\":[]}", "\"text\" is not an array of 1 to 256 fields"},
        {"{\"text\":[\"a\",7]}", "\"text\": item 1 is not a field's name"},
        {"{\"text\":[\"\"]}", "\"text\": item 0 is not a field's name"},
        {"{\"template\":7}", "\"template\" is not a string"},
        {"{\"image\":\"\"}", "\"image\" is not a field's name"},
        {"{\"image\":\"p\",\"text\":[\"a\",\"p\"]}",
         "\"image\": field \"p\" is part of the text, too"},
        {"{\"image\":\"p\",\"template\":\"{a} {p}\"}",
         "\"image\": field \"p\" is part of the text, too"},
        {"{\"threshold\":1.5}", "\"threshold\" is not a number from -1 to 1"},
        {"{\"threshold\":\"0.5\"}",
         "\"threshold\" is not a number from -1 to 1, or an object of one "
         "\"false_match_rate\" or \"probability\""},
    };
    fixture *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(parse(f, cases[i].json), LINKD_E_ARG);
        assert_string_equal(f->err.message, cases[i].message);
    }
    assert_int_equal(parse(f, "{\"text\":"), LINKD_E_ARG);
    assert_int_equal(parse(f, "{\"text\":[\"a\"],\"text\":[\"b\"]}"),
                     LINKD_E_ARG);
}

static void unbalanced_braces_are_refused(void **state)
{
    static const char *const bad[] = {"{name",  "name}", "{}",      "{a{b}}",
                                      "{{name", "a}}{",  "{a}}}x{", "}"};
    fixture *f = *state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        lk_buf json = {0};

        assert_int_equal(
            lk_buf_printf(&json, NULL, "{\"template\":\"%s\"}", bad[i]),
            LINKD_OK);
        assert_int_equal(parse(f, json.data), LINKD_E_ARG);
        assert_memory_equal(f->err.message, "\"template\"", 10);
        lk_buf_clear(&json);
    }
}

/* Otherwise every record of the collection would have the same text. */
static void a_template_without_a_field_is_refused(void **state)
{
    fixture *f = *state;

    assert_int_equal(parse(f, "{\"template\":\"hello\"}"), LINKD_E_ARG);
    assert_string_equal(f->err.message,
                        "\"template\" names 0 fields, not 1 to 256");
}

/* ---- texts --------------------------------------------------------------- */

static const linkd_field record[] = {
    {{"name", 4}, {" Acme ", 6}, LINKD_FIELD_TEXT},
    {{"founded", 7}, {"1949", 4}, LINKD_FIELD_LITERAL},
    {{"city", 4}, {"Berlin", 6}, LINKD_FIELD_TEXT},
    {{"note", 4}, {" \t", 2}, LINKD_FIELD_TEXT},
    {{"tags", 4}, {"[\"a\",\"b\"]", 9}, LINKD_FIELD_LITERAL},
};
#define N_FIELDS (sizeof(record) / sizeof(record[0]))

static void assert_text(fixture *f, const char *settings, const char *expected)
{
    must_parse(f, settings);
    lk_buf_reset(&f->text);
    assert_int_equal(
        linkd_settings_text(&f->settings, record, N_FIELDS, &f->text, &f->err),
        LINKD_OK);
    assert_int_equal(f->text.len, strlen(expected));
    if (f->text.len > 0)
        assert_string_equal(f->text.data, expected);
}

static void named_fields_are_joined_in_their_order(void **state)
{
    assert_text(*state, "{\"text\":[\"city\",\"name\"]}", "Berlin, Acme");
}

static void blank_and_missing_fields_leave_no_trace(void **state)
{
    assert_text(*state, "{\"text\":[\"note\",\"name\",\"nothing\",\"city\"]}",
                "Acme, Berlin");
    assert_text(*state, "{\"text\":[\"note\",\"nothing\"]}", "");
}

static void named_literals_are_their_json_text(void **state)
{
    assert_text(*state, "{\"text\":[\"founded\",\"tags\"]}",
                "1949, [\"a\",\"b\"]");
}

static void without_settings_all_texts_come_by_name(void **state)
{
    assert_text(*state, "{}", "Berlin, Acme");
}

static void a_template_puts_values_in_their_places(void **state)
{
    assert_text(*state, "{\"template\":\"{name} ({city}), {founded}\"}",
                "Acme (Berlin), 1949");
    assert_text(*state, "{\"template\":\"{{{name}}}, {nothing}\"}", "{Acme}, ");
}

/* Else all of them would be alike: ", " is near ", ". */
static void a_template_whose_fields_are_all_blank_is_no_text(void **state)
{
    assert_text(*state, "{\"template\":\"{nothing}, {note}\"}", "");
}

static void a_template_goes_before_named_fields(void **state)
{
    assert_text(*state, "{\"text\":[\"city\"],\"template\":\"{name}\"}",
                "Acme");
}

static void what_the_buffer_had_stays(void **state)
{
    fixture *f = *state;

    must_parse(f, "{\"text\":[\"name\"]}");
    assert_int_equal(lk_buf_append(&f->text, "x", 1, NULL), LINKD_OK);
    assert_int_equal(
        linkd_settings_text(&f->settings, record, N_FIELDS, &f->text, &f->err),
        LINKD_OK);
    assert_string_equal(f->text.data, "xAcme");
    must_parse(f, "{\"template\":\"{nothing}.\"}");
    assert_int_equal(
        linkd_settings_text(&f->settings, record, N_FIELDS, &f->text, &f->err),
        LINKD_OK);
    assert_string_equal(f->text.data, "xAcme");
}

/* The promise that a record scores the same in a collection and in a file. */
static void a_record_has_the_text_of_the_same_row(void **state)
{
    static const size_t columns[N_FIELDS] = {4, 3, 2, 1, 0};
    fixture *f = *state;
    linkd_cell cells[N_FIELDS];
    lk_buf row = {0};

    for (size_t i = 0; i < N_FIELDS; i++)
        cells[i] = (linkd_cell){.bytes = record[i].value.bytes,
                                .len = (uint32_t)record[i].value.len,
                                .kind = record[i].kind == LINKD_FIELD_TEXT
                                            ? LINKD_CELL_TEXT
                                            : LINKD_CELL_LITERAL};
    assert_int_equal(
        linkd_record_text(cells, N_FIELDS, columns, N_FIELDS, &row, &f->err),
        LINKD_OK);
    assert_text(f,
                "{\"text\":[\"tags\",\"note\",\"city\",\"founded\",\"name\"]}",
                row.data);
    lk_buf_clear(&row);
}

static void settings_that_find_no_memory_are_an_error(void **state)
{
    fixture *f = *state;
    size_t n_failed = 0;

    for (size_t n = 1;; n++) {
        int rc;

        alloc_fail_at(n);
        rc = parse(f, "{\"text\":[\"a\",\"b\"],\"image\":\"c\"}");
        if (rc == LINKD_OK) {
            lk_buf_clear(&f->text);
            rc = linkd_settings_print(&f->settings, &f->text, &f->err);
        }
        if (!alloc_fail_off())
            break;
        assert_int_equal(rc, LINKD_E_NOMEM);
        n_failed++;
        lk_arena_clear(&f->arena);
    }
    assert_true(n_failed >= 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* ---- pictures ------------------------------------------------------------ */

static const linkd_field goods[] = {
    {{"name", 4}, {"chair", 5}, LINKD_FIELD_TEXT},
    {{"photo", 5}, {"data:image/png;base64,AAAA", 26}, LINKD_FIELD_TEXT},
};

/* As in files: what is not named is no text beside a picture. */
static void a_picture_follows_the_text_that_was_named(void **state)
{
    fixture *f = *state;

    must_parse(f, "{\"image\":\"photo\",\"text\":[\"name\"]}");
    assert_int_equal(
        linkd_settings_text(&f->settings, goods, 2, &f->text, &f->err),
        LINKD_OK);
    assert_string_equal(f->text.data, "chair\x1d"
                                      "data:image/png;base64,AAAA");
    lk_buf_reset(&f->text);
    must_parse(f, "{\"image\":\"photo\"}");
    assert_int_equal(
        linkd_settings_text(&f->settings, goods, 2, &f->text, &f->err),
        LINKD_OK);
    assert_string_equal(f->text.data, "\x1d"
                                      "data:image/png;base64,AAAA");
    lk_buf_reset(&f->text);
    assert_int_equal(
        linkd_settings_text(&f->settings, goods, 1, &f->text, &f->err),
        LINKD_OK);
    assert_int_equal(f->text.len, 0);
}

static void a_picture_that_cannot_be_used_is_told(void **state)
{
    static const linkd_field path = {
        {"photo", 5}, {"a.png", 5}, LINKD_FIELD_TEXT};
    const linkd_put puts[] = {{.fields = goods, .n_fields = 2},
                              {.fields = &path, .n_fields = 1},
                              {.fields = goods, .n_fields = 1}};
    fixture *f = *state;

    must_parse(f, "{\"image\":\"photo\"}");
    assert_int_equal(
        linkd_settings_check_picture(&f->settings, &puts[0], &f->err),
        LINKD_E_DATA);
    assert_string_equal(f->err.message, "image is no JPEG, PNG or WebP file");
    assert_int_equal(
        linkd_settings_check_picture(&f->settings, &puts[1], &f->err),
        LINKD_E_DATA);
    assert_string_equal(f->err.message,
                        "is no data URI: linkd opens no files for clients");
    assert_int_equal(
        linkd_settings_check_picture(&f->settings, &puts[2], &f->err),
        LINKD_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_member_is_read),
        TEST(a_picture_follows_the_text_that_was_named),
        TEST(a_picture_that_cannot_be_used_is_told),
        TEST(what_is_absent_or_null_has_a_default),
        TEST(what_is_printed_is_read_again),
        TEST(a_threshold_keeps_its_last_digit),
        TEST(a_threshold_of_another_kind_is_printed_as_it_was_given),
        TEST(wrong_settings_are_refused),
        TEST(unbalanced_braces_are_refused),
        TEST(a_template_without_a_field_is_refused),
        TEST(named_fields_are_joined_in_their_order),
        TEST(blank_and_missing_fields_leave_no_trace),
        TEST(named_literals_are_their_json_text),
        TEST(without_settings_all_texts_come_by_name),
        TEST(a_template_puts_values_in_their_places),
        TEST(a_template_whose_fields_are_all_blank_is_no_text),
        TEST(a_template_goes_before_named_fields),
        TEST(what_the_buffer_had_stays),
        TEST(a_record_has_the_text_of_the_same_row),
        TEST(settings_that_find_no_memory_are_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
