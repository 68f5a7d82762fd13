#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/npy.h"
#include "tests/cli/scratch_dir.h"

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

int main(void)
{
#define TEST(name)                                                             \
 cmocka_unit_test_setup_teardown(name, scratch_dir_enter, scratch_dir_leave)
    const struct CMUnitTest tests[] = {
        TEST(the_header_tells_the_rows_that_were_written),
        TEST(the_longest_shape_fits),
        TEST(what_cannot_be_patched_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
