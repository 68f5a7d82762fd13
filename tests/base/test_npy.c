#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"

static linkd_error err;
static lk_npy_shape shape;

/* Reads a head of this version whose length is that of the dictionary. */
static int head_read(int version, const char *dict)
{
    char head[512] = "\x93NUMPY";
    size_t begin = version == 1 ? 10 : 12;
    size_t len = strlen(dict);

    assert_true(begin + len <= sizeof(head));
    head[6] = (char)version;
    head[8] = (char)(len & 0xFF);
    head[9] = (char)(len >> 8);
    memcpy(head + begin, dict, len);
    return lk_npy_read_head((linkd_str){head, begin + len}, &shape, &err);
}

#define F4 "{'descr': '<f4', 'fortran_order': False, "

static void all_versions_and_shapes_are_read(void **state)
{
    (void)state;
    for (int version = 1; version <= 3; version++) {
        assert_int_equal(head_read(version, F4 "'shape': (10, 384), }   \n"),
                         LINKD_OK);
        assert_int_equal(shape.n_rows, 10);
        assert_int_equal(shape.dim, 384);
        assert_int_equal(shape.n_head_bytes,
                         (version == 1 ? 10 : 12) +
                             strlen(F4 "'shape': (10, 384), }   \n"));
    }
    assert_int_equal(head_read(1, F4 "'shape': (384,), }\n"), LINKD_OK);
    assert_int_equal(shape.n_rows, 1);
    assert_int_equal(shape.dim, 384);
    assert_int_equal(head_read(1, F4 "'shape': (0, 8), }\n"), LINKD_OK);
    assert_int_equal(shape.n_rows, 0);
}

static void other_dictionaries_are_refused_with_the_reason(void **state)
{
    static const char *const cases[][2] = {
        {"{'descr': '<f2', 'fortran_order': False, 'shape': (2, 2)}",
         "its numbers are not little-endian float32 or float64"},
        {"{'descr': '>f8', 'fortran_order': False, 'shape': (2, 2)}",
         "its numbers are not little-endian float32 or float64"},
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2)}",
         "it is not in C order"},
        {F4 "}", "it does not hold rows of numbers"},
        {F4 "'shape': ()}", "it does not hold rows of numbers"},
        {F4 "'shape': (2, 0)}", "it does not hold rows of numbers"},
        {F4 "'shape': (2, 2, 1)}", "it does not hold rows of numbers"},
        {F4 "'shape': (-2, 2)}", "it does not hold rows of numbers"},
        {F4 "'shape': (2, -2)}", "it does not hold rows of numbers"},
        {F4 "'shape': (2, 2", "it does not hold rows of numbers"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        assert_int_equal(head_read(1, cases[i][0]), LINKD_E_DATA);
        assert_string_equal(err.message, cases[i][1]);
    }
}

static void other_bytes_are_refused_with_the_reason(void **state)
{
#define BYTES(text)                                                            \
 {                                                                             \
  text, sizeof(text) - 1                                                       \
 }
    static const struct {
        linkd_str bytes;
        const char *reason;
    } cases[] = {
        {BYTES(""), "it is no NumPy file"},
        {BYTES("\x93NUMPY\x01\0\x01"), "it is no NumPy file"},
        {BYTES("id,name\n1,a long enough line\n"), "it is no NumPy file"},
        {BYTES("\x93NUMPY\0\0\x02\0{}"), "it is of unknown version 0"},
        {BYTES("\x93NUMPY\x04\0\x02\0{}"), "it is of unknown version 4"},
        {BYTES("\x93NUMPY\x01\0\x76\0{'descr'"), "it is cut off"},
        {BYTES("\x93NUMPY\x02\0\x76\0"), "it is cut off"},
        {BYTES("\x93NUMPY\x01\0\xFF\xFF{}"), "its header is too long"},
        {BYTES("\x93NUMPY\x02\0\0\0\0\x01{}"), "its header is too long"},
    };
#undef BYTES

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        assert_int_equal(lk_npy_read_head(cases[i].bytes, &shape, &err),
                         LINKD_E_DATA);
        assert_string_equal(err.message, cases[i].reason);
    }
}

static void the_length_of_the_numbers_is_told(void **state)
{
    (void)state;
    assert_true(lk_npy_is_whole(&(lk_npy_shape){2, 2, 0, 4}, 16));
    assert_true(lk_npy_is_whole(&(lk_npy_shape){0, 2, 0, 4}, 0));
    assert_false(lk_npy_is_whole(&(lk_npy_shape){2, 2, 0, 4}, 15));
    assert_false(lk_npy_is_whole(&(lk_npy_shape){3, 2, 0, 4}, 16));
    /* 2^61 + 2 rows of eight bytes are sixteen bytes, modulo 2^64, and so are
     * two rows of 2^62 + 2 numbers */
    assert_false(
        lk_npy_is_whole(&(lk_npy_shape){2305843009213693954U, 2, 0, 4}, 16));
    assert_false(
        lk_npy_is_whole(&(lk_npy_shape){2, 4611686018427387906U, 0, 4}, 16));
}

/* NumPy's own numbers are of eight bytes. */
static void numbers_of_either_width_become_floats(void **state)
{
    static const unsigned char f4[] = {0, 0, 0x20, 0xC0, 0, 0, 0, 0x3F};
    static const unsigned char f8[] = {0, 0, 0, 0, 0, 0, 0x04, 0xC0,
                                       0, 0, 0, 0, 0, 0, 0xE0, 0x3F};
    float one[2], two[2];
    double large = 1e300;

    (void)state;
    assert_int_equal(head_read(1, F4 "'shape': (1, 2), }\n"), LINKD_OK);
    assert_true(lk_npy_is_whole(&shape, 8));
    lk_npy_numbers(&shape, f4, 2, one);
    assert_int_equal(head_read(1, "{'descr': '<f8', 'fortran_order': False, "
                                  "'shape': (1, 2), }\n"),
                     LINKD_OK);
    assert_true(lk_npy_is_whole(&shape, 16));
    assert_false(lk_npy_is_whole(&shape, 8));
    lk_npy_numbers(&shape, f8, 2, two);
    assert_true(one[0] == -2.5F && one[1] == 0.5F);
    assert_memory_equal(one, two, sizeof(one));
    lk_npy_numbers(&shape, &large, 1, one);
    assert_true(isinf(one[0]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_versions_and_shapes_are_read),
        cmocka_unit_test(other_dictionaries_are_refused_with_the_reason),
        cmocka_unit_test(other_bytes_are_refused_with_the_reason),
        cmocka_unit_test(the_length_of_the_numbers_is_told),
        cmocka_unit_test(numbers_of_either_width_become_floats),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
