/* tests/cli/test_file.c — files that are read whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/file.h"
#include "tests/cli/scratch_dir.h"
#include "tests/support/alloc_fail.h"

enum {
    N_BYTES = 200000, /* more than is read at a time */
};

static void bytes_write(const char *name)
{
    FILE *file = fopen(name, "wb");

    assert_non_null(file);
    for (size_t i = 0; i < N_BYTES; i++)
        assert_int_not_equal(fputc((int)(i % 251), file), EOF);
    assert_int_equal(fclose(file), 0);
}

static void all_of_a_file_is_read(void **state)
{
    lk_buf bytes = {0};
    linkd_error err = {0};

    (void)state;
    bytes_write("bytes");
    assert_int_equal(lk_file_read("bytes", N_BYTES, &bytes, &err), LINKD_OK);
    assert_int_equal(bytes.len, N_BYTES);
    for (size_t i = 0; i < N_BYTES; i++)
        assert_int_equal((uint8_t)bytes.data[i], i % 251);
    lk_buf_clear(&bytes);
}

static void a_file_over_the_limit_is_refused(void **state)
{
    lk_buf bytes = {0};
    linkd_error err = {0};

    (void)state;
    bytes_write("bytes");
    assert_int_equal(lk_file_read("bytes", N_BYTES - 1, &bytes, &err),
                     LINKD_E_DATA);
    assert_string_equal(err.message, "bytes is too large");
    lk_buf_clear(&bytes);
}

static void what_cannot_be_read_is_told(void **state)
{
    lk_buf bytes = {0};
    linkd_error err = {0};

    (void)state;
    assert_int_equal(lk_file_read("absent", N_BYTES, &bytes, &err), LINKD_E_IO);
    assert_string_equal(err.message,
                        "could not read absent: No such file or directory");
    /* it opens, and then cannot be read */
    assert_int_equal(lk_file_read(".", N_BYTES, &bytes, &err), LINKD_E_IO);
    assert_string_equal(err.message, "could not read .: Is a directory");
    lk_buf_clear(&bytes);
}

static void running_out_of_memory_is_told(void **state)
{
    lk_buf bytes = {0};
    linkd_error err = {0};

    (void)state;
    bytes_write("bytes");
    alloc_fail_at(1);
    assert_int_equal(lk_file_read("bytes", N_BYTES, &bytes, &err),
                     LINKD_E_NOMEM);
    assert_true(alloc_fail_off());
    lk_buf_clear(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_a_file_is_read),
        cmocka_unit_test(a_file_over_the_limit_is_refused),
        cmocka_unit_test(what_cannot_be_read_is_told),
        cmocka_unit_test(running_out_of_memory_is_told),
    };

    return cmocka_run_group_tests(tests, scratch_dir_enter, scratch_dir_leave);
}
