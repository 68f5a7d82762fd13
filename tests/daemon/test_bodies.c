#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/bodies.h"
#include "tests/support/alloc_fail.h"

#define DIM ((size_t)2)

static lk_arena arena;
static lk_records records;
static linkd_error err;

static int leave(void **state)
{
    (void)state;
    lk_records_clear(&records);
    lk_arena_clear(&arena);
    return 0;
}

static linkd_str str_of(const char *text)
{
    return (linkd_str){text, strlen(text)};
}

static int body_read(const char *type, linkd_str body, bool takes_vectors)
{
    const lk_records_form form = {.content_type = str_of(type),
                                  .id_column = {"", 0},
                                  .first_id = 7,
                                  .dim = DIM,
                                  .takes_vectors = takes_vectors};

    lk_records_clear(&records);
    err = (linkd_error){0};
    return lk_records_read(body, &form, &arena, &records, &err);
}

static int text_read(const char *type, const char *body)
{
    return body_read(type, str_of(body), true);
}

static void assert_str(linkd_str text, const char *expected)
{
    assert_int_equal(text.len, strlen(expected));
    assert_memory_equal(text.bytes, expected, text.len);
}

static void assert_field(size_t record, size_t i, const char *name,
                         const char *value, linkd_field_kind kind)
{
    const linkd_field *field = &records.puts[record].fields[i];

    assert_true(i < records.puts[record].n_fields);
    assert_str(field->name, name);
    assert_str(field->value, value);
    assert_int_equal(field->kind, kind);
}

#define JSON   "application/json"
#define NDJSON "application/x-ndjson"
#define CSV    "text/csv"
#define NPY    "application/x-npy"
#define OCTETS "application/octet-stream"

static void json_records_have_ids_fields_and_vectors(void **state)
{
    (void)state;
    assert_int_equal(
        text_read(JSON, "{\"records\":[{\"id\":\"a\",\"vector\":[3,4],"
                        "\"fields\":{\"name\":\"A\\u00e9\",\"year\":1.50,"
                        "\"gone\":null,\"tags\":[1,\"x\"],\"on\":true}},"
                        "{\"id\":12345678901234567}]}"),
        LINKD_OK);
    assert_int_equal(records.n, 2);
    assert_str(records.puts[0].id, "a");
    assert_int_equal(records.puts[0].n_fields, 4);
    assert_field(0, 0, "name", "A\xc3\xa9", LINKD_FIELD_TEXT);
    assert_field(0, 1, "year", "1.5", LINKD_FIELD_LITERAL);
    assert_field(0, 2, "tags", "[1,\"x\"]", LINKD_FIELD_LITERAL);
    assert_field(0, 3, "on", "true", LINKD_FIELD_LITERAL);
    assert_true(records.puts[0].vector[0] == 0.6F);
    assert_true(records.puts[0].vector[1] == 0.8F);
    assert_str(records.puts[1].id, "12345678901234567");
    assert_null(records.puts[1].vector);
}

static void lines_may_be_blank_and_the_last_one_open(void **state)
{
    (void)state;
    assert_int_equal(
        text_read(NDJSON, "{\"id\":\"a\"}\r\n\n  \n{\"id\":\"b\"}"), LINKD_OK);
    assert_int_equal(records.n, 2);
    assert_str(records.puts[1].id, "b");
    assert_int_equal(text_read(NDJSON, ""), LINKD_OK);
    assert_int_equal(records.n, 0);
}

static void csv_cells_are_text_and_empty_ones_absent(void **state)
{
    (void)state;
    assert_int_equal(
        text_read(CSV, "name,id,year\n\"Smith, \"\"J\"\"\",7,1900\n,8,\n"),
        LINKD_OK);
    assert_int_equal(records.n, 2);
    assert_str(records.puts[0].id, "7");
    assert_field(0, 0, "name", "Smith, \"J\"", LINKD_FIELD_TEXT);
    assert_field(0, 1, "year", "1900", LINKD_FIELD_TEXT);
    assert_int_equal(records.puts[1].n_fields, 0);
}

static void csv_ids_are_in_the_column_that_was_named(void **state)
{
    lk_records_form form = {.content_type = str_of(CSV),
                            .id_column = str_of("code")};

    (void)state;
    assert_int_equal(lk_records_read(str_of("id,code\n1,x\n"), &form, &arena,
                                     &records, &err),
                     LINKD_OK);
    assert_str(records.puts[0].id, "x");
    assert_field(0, 0, "id", "1", LINKD_FIELD_TEXT);
    lk_records_clear(&records);
    form.id_column = (linkd_str){"", 0};
    assert_int_equal(lk_records_read(str_of("key,code\n1,x\n"), &form, &arena,
                                     &records, &err),
                     LINKD_OK);
    assert_str(records.puts[0].id, "1");
    lk_records_clear(&records);
    form.id_column = str_of("town");
    assert_int_equal(lk_records_read(str_of("key,code\n1,x\n"), &form, &arena,
                                     &records, &err),
                     LINKD_E_ARG);
    assert_string_equal(err.message, "the body has no column \"town\"");
}

static void bare_vectors_are_numbered(void **state)
{
    static const float numbers[] = {3, 4, 0, 2};

    (void)state;
    assert_int_equal(
        body_read(OCTETS, (linkd_str){(const char *)numbers, 16}, true),
        LINKD_OK);
    assert_int_equal(records.n, 2);
    assert_str(records.puts[0].id, "7");
    assert_str(records.puts[1].id, "8");
    assert_true(records.puts[0].vector[0] == 0.6F);
    assert_true(records.puts[1].vector[1] == 1.0F);
}

static void numbers_of_vectors_do_not_wrap(void **state)
{
    static const float numbers[] = {3, 4, 0, 2};
    const lk_records_form form = {.content_type = str_of(OCTETS),
                                  .first_id = UINT64_MAX - 1,
                                  .dim = DIM,
                                  .takes_vectors = true};

    (void)state;
    assert_int_equal(lk_records_read((linkd_str){(const char *)numbers, 16},
                                     &form, &arena, &records, &err),
                     LINKD_E_ARG);
    assert_string_equal(err.message, "\"first_id\" is too large");
}

/* A .npy of two vectors with any header. */
static linkd_str npy_make(const char *start, const char *header)
{
    static char body[4096];
    static const float numbers[] = {3, 4, 0, 2};
    size_t len = strlen(header);

    memcpy(body, start, 8);
    body[8] = (char)(len & 0xFF);
    body[9] = (char)(len >> 8);
    if (start[6] > 1) {
        body[10] = 0;
        body[11] = 0;
    }
    memcpy(body + (start[6] > 1 ? 12 : 10), header, len);
    memcpy(body + (start[6] > 1 ? 12 : 10) + len, numbers, sizeof(numbers));
    return (linkd_str){body,
                       (start[6] > 1 ? 12U : 10U) + len + sizeof(numbers)};
}

#define V1 "\x93NUMPY\x01\0"
#define V2 "\x93NUMPY\x02\0"
#define F4 "{'descr': '<f4', 'fortran_order': False, "

static void npy_files_of_numpy_are_read(void **state)
{
    (void)state;
    assert_int_equal(
        body_read(NPY, npy_make(V1, F4 "'shape': (2, 2), }     \n"), true),
        LINKD_OK);
    assert_int_equal(records.n, 2);
    assert_str(records.puts[1].id, "8");
    assert_true(records.puts[0].vector[1] == 0.8F);
    assert_int_equal(
        body_read(NPY, npy_make(V2, F4 "'shape': (2, 2), }\n"), true),
        LINKD_OK);
}

/* Two numbers in the place of four. */
static void npy_files_of_doubles_are_read(void **state)
{
    static const double numbers[] = {3, 4};
    linkd_str body = npy_make(V1, "{'descr': '<f8', 'fortran_order': False, "
                                  "'shape': (1, 2), }\n");

    (void)state;
    memcpy((char *)(uintptr_t)body.bytes + body.len - sizeof(numbers), numbers,
           sizeof(numbers));
    assert_int_equal(body_read(NPY, body, true), LINKD_OK);
    assert_int_equal(records.n, 1);
    assert_true(records.puts[0].vector[0] == 0.6F);
    assert_true(records.puts[0].vector[1] == 0.8F);
}

static void npy_files_of_others_are_refused(void **state)
{
    static const struct {
        const char *start;
        const char *header;
        const char *message;
    } cases[] = {
        {"\x93NUMPX\x01\0", "", "the .npy cannot be read: it is no NumPy file"},
        {V1, F4 "'shape': (4, 1)}",
         "vectors have 1 numbers, not the collection's 2"},
        {V1, F4 "'shape': (3, 2)}",
         "the .npy says 3 vectors but holds 16 bytes"},
        {V1, F4 "'shape': (999999999999999999, 2)}",
         "the .npy says 999999999999999999 vectors but holds 16 bytes"},
        /* 2^61 + 2 vectors of eight bytes are sixteen bytes, modulo 2^64 */
        {V1, F4 "'shape': (2305843009213693954, 2)}",
         "the .npy says 2305843009213693954 vectors but holds 16 bytes"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(
            body_read(NPY, npy_make(cases[i].start, cases[i].header), true),
            LINKD_E_ARG);
        assert_string_equal(err.message, cases[i].message);
    }
}

static void wrong_bodies_are_told_what_is_wrong(void **state)
{
    static const struct {
        const char *type;
        const char *body;
        const char *message;
    } cases[] = {
        {JSON, "{}", "\"records\" is not an array"},
        {JSON, "{\"records\":[1]}", "record 0 is not an object"},
        {JSON, "{\"records\":[{\"id\":\"a\"},{}]}", "record 1 has no \"id\""},
        {JSON, "{\"records\":[{\"id\":\"\"}]}", "record 0 has no \"id\""},
        {JSON, "{\"records\":[{\"id\":1.5}]}", "record 0 has no \"id\""},
        {JSON, "{\"records\":[{\"id\":\"a\",\"fields\":[]}]}",
         "record 0: \"fields\" is not an object"},
        {NDJSON, "{\"id\":\"a\"}\n\n{\"id\":\n",
         "line 3: not valid JSON: line 1 column 6: unexpected token near end "
         "of "
         "file"},
        {NDJSON, "\n[]\n", "line 2 is not an object"},
        {CSV, "id,name\na,b,c\n",
         "the body: row 1 (line 2): 3 fields where the header has 2"},
        {CSV, "id,name\na,b\n,c\n", "the body: row 2 has no id"},
        {OCTETS, "123456789",
         "9 bytes are not a whole number of vectors of 2 f32"},
        {OCTETS, "", "there are no vectors in the body"},
        {"text/html", "",
         "content type \"text/html\" is none of application/json, "
         "application/x-ndjson, text/csv, application/x-npy and "
         "application/octet-stream"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int rc = text_read(cases[i].type, cases[i].body);

        assert_string_equal(err.message, cases[i].message);
        assert_int_equal(rc, strcmp(cases[i].type, "text/html") == 0
                                 ? LINKD_E_ABSENT
                                 : LINKD_E_ARG);
        assert_int_equal(records.n, 0);
    }
}

static void vectors_that_are_none_are_told_by_place(void **state)
{
    static const float zero[] = {3, 4, 0, 0};
    static const float endless[] = {3, 4, 0, INFINITY};

    (void)state;
    assert_int_equal(
        body_read(OCTETS, (linkd_str){(const char *)zero, 16}, true),
        LINKD_E_ARG);
    assert_string_equal(err.message, "vector 1 is all zero");
    assert_int_equal(
        body_read(OCTETS, (linkd_str){(const char *)endless, 16}, true),
        LINKD_E_ARG);
    assert_string_equal(err.message, "vector 1: number 1 is not finite");
}

/* JSON has no NaN, but writers of JSON have. */
static void numbers_that_are_none_are_told_by_place(void **state)
{
    static const char *const cases[][2] = {
        {"[1]", "the vector has 1 numbers, not the collection's 2"},
        {"[1,1e39]", "the vector: number 1 is not finite"},
        {"[null,1]", "the vector: number 0 is not a number"},
        {"[1,\"NaN\"]", "the vector: number 1 is not a number"},
        {"[1,true]", "the vector: number 1 is not a number"},
        {"\"AACAPwAAwH8=\"", "the vector: number 1 is not finite"},
        {"[1,1e999]",
         "not valid JSON: line 1 column 27: real number overflow near '1e999'"},
        {"[1,NaN]", "not valid JSON: line 1 column 25: invalid token near "
                    "'NaN'"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char body[80];
        char wanted[120];

        (void)snprintf(body, sizeof(body),
                       "{\"id\":\"a\"}\n{\"id\":\"b\",\"vector\":%s}",
                       cases[i][0]);
        (void)snprintf(wanted, sizeof(wanted), "line 2: %s", cases[i][1]);
        assert_int_equal(text_read(NDJSON, body), LINKD_E_ARG);
        assert_string_equal(err.message, wanted);
        assert_int_equal(records.n, 0);
    }
    assert_int_equal(
        text_read(JSON, "{\"records\":[{\"id\":\"a\",\"vector\":[1,1e39]}]}"),
        LINKD_E_ARG);
    assert_string_equal(err.message,
                        "record 0: the vector: number 1 is not finite");
}

static void a_collection_with_a_model_takes_no_vectors(void **state)
{
    static const float numbers[] = {3, 4};

    (void)state;
    assert_int_equal(
        body_read(OCTETS, (linkd_str){(const char *)numbers, 8}, false),
        LINKD_E_ARG);
    assert_string_equal(
        err.message, "the collection has a model: send records, not vectors");
    assert_int_equal(
        body_read(JSON,
                  str_of("{\"records\":[{\"id\":\"a\",\"vector\":[1,2]}]}"),
                  false),
        LINKD_E_ARG);
    assert_string_equal(err.message,
                        "record 0 has a vector, but the collection has a model "
                        "that makes them");
}

static void a_request_has_a_most_of_records(void **state)
{
    size_t n = LINKD_PUT_MAX + 1;
    char *body = malloc(n * 2 + 4);
    size_t len = 0;

    (void)state;
    assert_non_null(body);
    len += (size_t)sprintf(body, "id\n");
    for (size_t i = 0; i < n; i++)
        len += (size_t)sprintf(body + len, "a\n");
    assert_int_equal(body_read(CSV, (linkd_str){body, len}, true), LINKD_E_ARG);
    assert_string_equal(err.message,
                        "there are more than 65536 records in one request");
    free(body);
}

static void every_lack_of_memory_is_told(void **state)
{
    static const struct {
        const char *type;
        const char *body;
    } cases[] = {
        {NDJSON, "{\"id\":\"a\",\"fields\":{\"n\":1},\"vector\":[1,2]}\n"},
        {CSV, "id,name\na,b\n"},
        {OCTETS, "12345678"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t n = 1;; n++) {
            int rc;

            lk_arena_clear(&arena);
            alloc_fail_at(n);
            rc = text_read(cases[i].type, cases[i].body);
            if (!alloc_fail_off())
                break;
            assert_int_equal(rc, LINKD_E_NOMEM);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(json_records_have_ids_fields_and_vectors,
                                  leave),
        cmocka_unit_test_teardown(lines_may_be_blank_and_the_last_one_open,
                                  leave),
        cmocka_unit_test_teardown(csv_cells_are_text_and_empty_ones_absent,
                                  leave),
        cmocka_unit_test_teardown(csv_ids_are_in_the_column_that_was_named,
                                  leave),
        cmocka_unit_test_teardown(bare_vectors_are_numbered, leave),
        cmocka_unit_test_teardown(numbers_of_vectors_do_not_wrap, leave),
        cmocka_unit_test_teardown(npy_files_of_numpy_are_read, leave),
        cmocka_unit_test_teardown(npy_files_of_doubles_are_read, leave),
        cmocka_unit_test_teardown(npy_files_of_others_are_refused, leave),
        cmocka_unit_test_teardown(wrong_bodies_are_told_what_is_wrong, leave),
        cmocka_unit_test_teardown(vectors_that_are_none_are_told_by_place,
                                  leave),
        cmocka_unit_test_teardown(numbers_that_are_none_are_told_by_place,
                                  leave),
        cmocka_unit_test_teardown(a_collection_with_a_model_takes_no_vectors,
                                  leave),
        cmocka_unit_test_teardown(a_request_has_a_most_of_records, leave),
        cmocka_unit_test_teardown(every_lack_of_memory_is_told, leave),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
