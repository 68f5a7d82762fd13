#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/npy.h"
#include "tests/cli/scratch_dir.h"
#include "tests/support/alloc_fail.h"

static void the_header_tells_the_rows_that_were_written(void **state)
{
    static const float values[6] = {1, 2, 3, 4, 5, -0.5F};
    static const char dict[] = "{'descr': '<f4', 'fortran_order': False, "
                               "'shape': (3, 2), } ";
    lk_output *output = NULL;
    linkd_error err;
    char *bytes;
    size_t len;

    (void)state;
    assert_int_equal(lk_output_open("v.npy", NULL, 0, &output, &err), LINKD_OK);
    assert_int_equal(lk_npy_begin(output, &err), LINKD_OK);
    assert_int_equal(lk_npy_write(output, values, 2, &err), LINKD_OK);
    assert_int_equal(lk_npy_write(output, values + 2, 4, &err), LINKD_OK);
    assert_int_equal(lk_npy_end(output, 3, 2, &err), LINKD_OK);
    assert_int_equal(lk_output_commit(&output, 1, &err), LINKD_OK);
    lk_output_close(output);

    bytes = file_read("v.npy", &len);
    assert_int_equal(len, 128 + sizeof(values));
    assert_memory_equal(bytes, "\x93NUMPY\x01\x00\x76\x00", 10);
    assert_memory_equal(bytes + 10, dict, sizeof(dict) - 1);
    assert_int_equal(bytes[127], '\n');
    assert_memory_equal(bytes + 128, values, sizeof(values));
    free(bytes);
}

static void the_longest_shape_fits(void **state)
{
    lk_output *output = NULL;
    linkd_error err;
    char *bytes;

    (void)state;
    assert_int_equal(lk_output_open("v.npy", NULL, 0, &output, &err), LINKD_OK);
    assert_int_equal(lk_npy_begin(output, &err), LINKD_OK);
    assert_int_equal(lk_npy_end(output, UINT64_MAX, SIZE_MAX, &err), LINKD_OK);
    assert_int_equal(lk_output_commit(&output, 1, &err), LINKD_OK);
    lk_output_close(output);
    bytes = file_read("v.npy", NULL);
    assert_non_null(
        strstr(bytes + 10, "(18446744073709551615, 18446744073709551615), }"));
    free(bytes);
}

static void what_cannot_be_patched_is_refused(void **state)
{
    lk_output *output = NULL;
    linkd_error err;

    (void)state;
    assert_int_equal(lk_output_open("/dev/null", NULL, 0, &output, &err),
                     LINKD_OK);
    assert_int_equal(lk_npy_begin(output, &err), LINKD_E_ARG);
    assert_string_equal(err.message,
                        "cannot write NumPy data to a pipe or device");
    lk_output_close(output);
}

static void what_was_written_is_read(void **state)
{
    static const float values[6] = {1, 2, 3, 4, 5, -0.5F};
    float read[6];
    lk_output *output = NULL;
    lk_npy_file npy = {0};
    linkd_error err;

    (void)state;
    assert_int_equal(lk_output_open("v.npy", NULL, 0, &output, &err), LINKD_OK);
    assert_int_equal(lk_npy_begin(output, &err), LINKD_OK);
    assert_int_equal(lk_npy_write(output, values, 6, &err), LINKD_OK);
    assert_int_equal(lk_npy_end(output, 3, 2, &err), LINKD_OK);
    assert_int_equal(lk_output_commit(&output, 1, &err), LINKD_OK);
    lk_output_close(output);

    assert_int_equal(lk_npy_open("v.npy", &npy, &err), LINKD_OK);
    assert_int_equal(npy.shape.n_rows, 3);
    assert_int_equal(npy.shape.dim, 2);
    assert_int_equal(lk_npy_read(&npy, 2, read, &err), LINKD_OK);
    assert_int_equal(lk_npy_read(&npy, 1, read + 4, &err), LINKD_OK);
    assert_memory_equal(read, values, sizeof(values));
    lk_npy_close(&npy);
    assert_null(npy.file);
}

/* A version 1 file of this dictionary and as many bytes of numbers. */
static void assert_npy(const char *dict, size_t n_bytes, const char *wanted)
{
    FILE *file = fopen("x.npy", "wb");
    lk_npy_file npy = {0};
    linkd_error err = {0};

    assert_non_null(file);
    (void)fwrite("\x93NUMPY\x01\x00", 1, 8, file);
    (void)fputc((int)strlen(dict), file);
    (void)fputc(0, file);
    (void)fputs(dict, file);
    for (size_t i = 0; i < n_bytes; i++)
        (void)fputc(0, file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(lk_npy_open("x.npy", &npy, &err), LINKD_E_DATA);
    assert_null(npy.file);
    assert_string_equal(err.message, wanted);
}

#define DICT(descr, order, shape)                                              \
 "{'descr': '" descr "', 'fortran_order': " order ", 'shape': (" shape "), }"

/* More numbers than are read at once. */
static void doubles_are_read_as_floats(void **state)
{
    static const char dict[] = DICT("<f8", "False", "3, 1000");
    FILE *file = fopen("x.npy", "wb");
    lk_npy_file npy = {0};
    float read[3000];

    (void)state;
    assert_non_null(file);
    (void)fwrite("\x93NUMPY\x01\x00", 1, 8, file);
    (void)fputc((int)strlen(dict), file);
    (void)fputc(0, file);
    (void)fputs(dict, file);
    for (int i = 0; i < 3000; i++) {
        double value = i + 0.25;

        (void)fwrite(&value, sizeof(value), 1, file);
    }
    assert_int_equal(fclose(file), 0);
    assert_int_equal(lk_npy_open("x.npy", &npy, NULL), LINKD_OK);
    assert_int_equal(lk_npy_read(&npy, 3, read, NULL), LINKD_OK);
    for (int i = 0; i < 3000; i++)
        assert_true(read[i] == (float)i + 0.25F);
    assert_int_equal(lk_npy_read(&npy, 1, read, NULL), LINKD_E_IO);
    lk_npy_close(&npy);
}

static void
what_is_no_matrix_of_numbers_is_refused_with_the_reason(void **state)
{
    (void)state;
    assert_npy(DICT("<f4", "True", "1, 1"), 4, "x.npy: it is not in C order");
    assert_npy(DICT("<f4", "False", "1, 99999"), 4,
               "x.npy: it does not hold rows of numbers");
    assert_npy(DICT("<f4", "False", "2, 2"), 15,
               "x.npy: its length is not what its shape says");
    assert_npy(DICT("<f4", "False", "999999999999999999, 8192"), 16,
               "x.npy: its length is not what its shape says");
}

/* Rows of two numbers; stands before the first. */
static lk_npy_file rows_open(const float *values, size_t n_rows)
{
    FILE *file = fopen("rows", "wb+");

    assert_non_null(file);
    assert_int_equal(fputs("head", file) >= 0, 1);
    assert_int_equal(fwrite(values, 2 * sizeof(*values), n_rows, file), n_rows);
    assert_int_equal(fseek(file, 4, SEEK_SET), 0);
    return (lk_npy_file){"x.npy", file, {n_rows, 2, 4, sizeof(float)}};
}

static void a_row_that_is_no_vector_is_named(void **state)
{
    static const struct {
        float values[6];
        const char *wanted;
    } cases[] = {
        {{1, 2, 0, NAN, 5, 6}, "x.npy: row 2: number 2 is not finite"},
        {{1, 2, 3, 4, -INFINITY, 6}, "x.npy: row 3: number 1 is not finite"},
        {{1, 2, 0, -0.0F, 5, 6}, "x.npy: row 2 is all zero"},
    };
    linkd_error err;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        lk_npy_file npy = rows_open(cases[i].values, 3);

        assert_int_equal(lk_npy_check(&npy, &err), LINKD_E_DATA);
        assert_string_equal(err.message, cases[i].wanted);
        lk_npy_close(&npy);
    }
}

static void checked_rows_can_be_read(void **state)
{
    static const float values[4] = {0, 2, 3, 0};
    lk_npy_file npy = rows_open(values, 2);
    float read[4];
    linkd_error err;

    (void)state;
    alloc_fail_at(1);
    assert_int_equal(lk_npy_check(&npy, &err), LINKD_E_NOMEM);
    assert_true(alloc_fail_off());
    assert_int_equal(lk_npy_check(&npy, &err), LINKD_OK);
    assert_int_equal(lk_npy_read(&npy, 2, read, &err), LINKD_OK);
    assert_memory_equal(read, values, sizeof(values));
    assert_int_equal(fseek(npy.file, 4, SEEK_SET), 0);
    npy.shape.n_rows = 3;
    assert_int_equal(lk_npy_check(&npy, &err), LINKD_E_IO);
    lk_npy_close(&npy);
}

int main(void)
{
#define TEST(name)                                                             \
 cmocka_unit_test_setup_teardown(name, scratch_dir_enter, scratch_dir_leave)
    const struct CMUnitTest tests[] = {
        TEST(the_header_tells_the_rows_that_were_written),
        TEST(the_longest_shape_fits),
        TEST(what_cannot_be_patched_is_refused),
        TEST(what_was_written_is_read),
        TEST(doubles_are_read_as_floats),
        TEST(what_is_no_matrix_of_numbers_is_refused_with_the_reason),
        TEST(a_row_that_is_no_vector_is_named),
        TEST(checked_rows_can_be_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
