/* Each way in which a .safetensors file can lie has its message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "encoder/safetensors.h"
#include "tests/support/alloc_fail.h"

/* A file of that header and n_data bytes 0, 1, 2 … after it. Freed with free().
 */
static uint8_t *file_new(const char *header, size_t n_data, size_t *ret_len)
{
    const size_t n = strlen(header);
    uint8_t *bytes = malloc(8 + n + n_data);

    assert_non_null(bytes);
    memset(bytes, 0, 8);
    bytes[0] = (uint8_t)n;
    bytes[1] = (uint8_t)(n >> 8);
    memcpy(bytes + 8, header, n);
    for (size_t i = 0; i < n_data; i++)
        bytes[8 + n + i] = (uint8_t)i;
    *ret_len = 8 + n + n_data;
    return bytes;
}

static void assert_refused_bytes(const void *bytes, size_t len,
                                 const char *message)
{
    lk_safetensors *file = NULL;
    linkd_error err = {0};

    assert_int_equal(
        lk_safetensors_parse(bytes, len, "m.safetensors", &file, &err),
        LINKD_E_DATA);
    assert_string_equal(err.message, message);
    assert_null(file);
}

static void assert_refused(const char *header, size_t n_data,
                           const char *message)
{
    size_t len;
    uint8_t *bytes = file_new(header, n_data, &len);

    assert_refused_bytes(bytes, len, message);
    free(bytes);
}

static lk_safetensors *parse(const uint8_t *bytes, size_t len)
{
    lk_safetensors *file = NULL;
    linkd_error err = {0};

    if (lk_safetensors_parse(bytes, len, "m.safetensors", &file, &err) !=
        LINKD_OK)
        fail_msg("%s", err.message);
    return file;
}

#define ENTRY(name, dtype, shape, begin, end)                                  \
 "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape                      \
 ",\"data_offsets\":[" begin "," end "]}"

static void tensors_are_found_by_name_whatever_their_order(void **state)
{
    size_t len;
    uint8_t *bytes =
        file_new("{\"__metadata__\":{\"format\":\"pt\"}," ENTRY(
                     "z", "F32", "[2,3]", "0",
                     "24") "," ENTRY("a", "I64", "[1]", "24", "32") "}",
                 32, &len);
    lk_safetensors *file = parse(bytes, len);
    const lk_tensor *z = lk_safetensors_find(file, "z");

    (void)state;
    assert_int_equal(lk_safetensors_n_tensors(file), 2);
    assert_string_equal(lk_safetensors_get(file, 0)->name, "a");
    assert_int_equal(lk_safetensors_get(file, 0)->dtype, LK_DTYPE_OTHER);
    assert_int_equal(z->n_dims, 2);
    assert_int_equal(z->shape[0], 2);
    assert_int_equal(z->shape[1], 3);
    assert_int_equal(z->n_elements, 6);
    assert_ptr_equal(z->data, bytes + len - 32);
    assert_null(lk_safetensors_find(file, "b"));
    lk_safetensors_free(file);
    free(bytes);
}

static void numbers_are_read_from_every_float_type(void **state)
{
    static const uint8_t data[] = {
        0x00, 0x00, 0xC0, 0x3F, /* f32 1.5 */
        0x00, 0xC0,             /* f16 -2 */
        0x01, 0x00,             /* f16 2^-24, the smallest */
        0xFF, 0x7B,             /* f16 65504, the largest */
        0x01, 0x80,             /* f16 -2^-24 */
        0x80, 0x3F,             /* bf16 1 */
    };
    size_t len;
    uint8_t *bytes =
        file_new("{" ENTRY("a", "F32", "[1]", "0", "4") "," ENTRY(
                     "b", "F16", "[4]", "4", "12") "," ENTRY("c", "BF16", "[]",
                                                             "12", "14") "}",
                 sizeof(data), &len);
    lk_safetensors *file;
    float values[4];

    (void)state;
    memcpy(bytes + len - sizeof(data), data, sizeof(data));
    file = parse(bytes, len);
    lk_tensor_read(lk_safetensors_find(file, "a"), 0, 1, values);
    assert_true(values[0] == 1.5F);
    lk_tensor_read(lk_safetensors_find(file, "b"), 0, 4, values);
    assert_true(values[0] == -2.0F);
    assert_true(values[1] == 0x1p-24F);
    assert_true(values[2] == 65504.0F);
    assert_true(values[3] == -0x1p-24F);
    lk_tensor_read(lk_safetensors_find(file, "c"), 0, 1, values);
    assert_true(values[0] == 1.0F);
    lk_safetensors_free(file);
    free(bytes);
}

static void an_empty_tensor_takes_no_place(void **state)
{
    size_t len;
    uint8_t *bytes = file_new("{" ENTRY("a", "F32", "[1]", "0", "4") "," ENTRY(
                                  "b", "F32", "[0,7]", "0", "0") "}",
                              4, &len);
    lk_safetensors *file = parse(bytes, len);

    (void)state;
    assert_int_equal(lk_safetensors_find(file, "b")->n_elements, 0);
    lk_safetensors_free(file);
    free(bytes);
}

static void a_file_that_is_cut_off_is_refused(void **state)
{
    static const uint8_t short_header[16] = {100};

    (void)state;
    assert_refused_bytes("abc", 3,
                         "m.safetensors: is cut off: 3 bytes are no "
                         "safetensors file");
    assert_refused_bytes(short_header, 16,
                         "m.safetensors: is cut off: header of 100 bytes in a "
                         "file of 16");
    assert_refused("{" ENTRY("a", "F32", "[2]", "0", "8") "}", 7,
                   "m.safetensors: tensor \"a\" lies beyond the end of the "
                   "file");
}

static void a_header_length_that_lies_is_refused(void **state)
{
    static const uint8_t huge[16] = {0, 0, 0, 0, 0, 0, 0, 0x80};

    (void)state;
    assert_refused_bytes(
        huge, 16,
        "m.safetensors: header of 9223372036854775808 bytes is "
        "over the limit of 16777216");
}

static void a_pickle_is_refused_as_such(void **state)
{
    static const char message[] =
        "m.safetensors: is a pickle, which is not read since loading one runs "
        "the code in it; safetensors is needed";

    (void)state;
    assert_refused_bytes("PK\003\004 archive of torch.save", 28, message);
    assert_refused_bytes("\x80\x02}q\001(X\005\000\000\000", 12, message);
}

static void a_header_that_is_not_json_is_refused(void **state)
{
    (void)state;
    assert_refused("[]", 0, "m.safetensors: header is not a JSON object");
    assert_refused("{]", 0,
                   "m.safetensors: header is not JSON: string or '}' expected "
                   "near ']'");
}

static void a_name_that_occurs_twice_is_refused(void **state)
{
    (void)state;
    assert_refused("{\"a\":1,\"a\":2}", 0,
                   "m.safetensors: header is not JSON: duplicate object key "
                   "near '\"a\"'");
}

static void tensors_that_overlap_are_refused(void **state)
{
    (void)state;
    assert_refused("{" ENTRY("a", "F32", "[2]", "0",
                             "8") "," ENTRY("b", "F32", "[2]", "4", "12") "}",
                   12, "m.safetensors: tensor \"b\" overlaps another");
}

static void bytes_that_no_tensor_owns_are_refused(void **state)
{
    (void)state;
    assert_refused("{" ENTRY("a", "U8", "[2]", "0",
                             "2") "," ENTRY("b", "U8", "[2]", "3", "5") "}",
                   5, "m.safetensors: tensor \"b\" leaves a gap before it");
    assert_refused("{" ENTRY("a", "U8", "[2]", "0", "2") "}", 5,
                   "m.safetensors: 3 bytes at the end belong to no tensor");
}

static void a_shape_must_make_the_tensors_bytes(void **state)
{
    static const char other[] =
        "m.safetensors: tensor \"a\" has other bytes than its shape needs";

    (void)state;
    assert_refused("{" ENTRY("a", "F32", "[3]", "0", "8") "}", 8, other);
    assert_refused("{" ENTRY("a", "F16", "[2]", "0", "8") "}", 8, other);
    /* 2^62 elements of 4 bytes wrap around to 0 */
    assert_refused("{" ENTRY("a", "F32", "[4611686018427387904]", "0", "0") "}",
                   0, other);
    assert_refused(
        "{" ENTRY("a", "F32", "[4294967296,4294967296,4]", "0", "8") "}", 8,
        "m.safetensors: tensor \"a\" has a shape that is too large");
    assert_refused("{" ENTRY("a", "F32", "[-1]", "0", "8") "}", 8,
                   "m.safetensors: tensor \"a\" has a size that is not a "
                   "number");
    assert_refused("{" ENTRY("a", "F32", "[1,1,1,1,1,1,1,1,2]", "0", "8") "}",
                   8, "m.safetensors: tensor \"a\" has more than 8 dimensions");
}

static void an_entry_must_be_complete(void **state)
{
    (void)state;
    assert_refused("{\"a\":7}", 0,
                   "m.safetensors: tensor \"a\" has an unknown type");
    assert_refused("{" ENTRY("a", "F31", "[2]", "0", "8") "}", 8,
                   "m.safetensors: tensor \"a\" has an unknown type");
    assert_refused("{\"a\":{\"dtype\":\"F32\"}}", 0,
                   "m.safetensors: tensor \"a\" has no shape");
    assert_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 0,
                   "m.safetensors: tensor \"a\" has no pair of offsets");
    assert_refused("{" ENTRY("a", "F32", "[2]", "8", "0") "}", 8,
                   "m.safetensors: tensor \"a\" ends before it begins");
}

static void memory_that_runs_out_is_reported(void **state)
{
    size_t len;
    uint8_t *bytes =
        file_new("{" ENTRY("a", "F32", "[1]", "0", "4") "}", 4, &len);

    (void)state;
    for (size_t n = 1;; n++) {
        lk_safetensors *file = NULL;
        int rc;

        alloc_fail_at(n);
        rc = lk_safetensors_parse(bytes, len, "m.safetensors", &file, NULL);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            assert_true(n > 2);
            lk_safetensors_free(file);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_null(file);
    }
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_are_found_by_name_whatever_their_order),
        cmocka_unit_test(numbers_are_read_from_every_float_type),
        cmocka_unit_test(an_empty_tensor_takes_no_place),
        cmocka_unit_test(a_file_that_is_cut_off_is_refused),
        cmocka_unit_test(a_header_length_that_lies_is_refused),
        cmocka_unit_test(a_pickle_is_refused_as_such),
        cmocka_unit_test(a_header_that_is_not_json_is_refused),
        cmocka_unit_test(a_name_that_occurs_twice_is_refused),
        cmocka_unit_test(tensors_that_overlap_are_refused),
        cmocka_unit_test(bytes_that_no_tensor_owns_are_refused),
        cmocka_unit_test(a_shape_must_make_the_tensors_bytes),
        cmocka_unit_test(an_entry_must_be_complete),
        cmocka_unit_test(memory_that_runs_out_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
