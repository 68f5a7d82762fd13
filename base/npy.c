/* base/npy.c — what the head of a NumPy file says.
 *
 *   "\x93NUMPY" major minor  length:u16le or u32le  {'descr': '<f4', …}\n  rows
 *
 * (NEP 1 and numpy/lib/format.py, versions 1 to 3. The dictionary is Python's,
 * and numpy.save() always writes it in one form, which is looked for as text.) */
#include "base/base.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#define SHAPE "'shape': ("

static int fail_npy(const char *reason, linkd_error *err)
{
    return lk_fail(err, LINKD_E_DATA, "%s", reason);
}

/* The dictionary as a C string; it ends at ret_shape->n_head_bytes. */
static int dict_take(linkd_str head, char ret_dict[LK_NPY_HEAD_MAX],
                     lk_npy_shape *ret_shape, linkd_error *err)
{
    const unsigned char *at = (const unsigned char *)head.bytes;
    size_t begin, len;

    if (head.len < 10 || memcmp(at, "\x93NUMPY", 6) != 0)
        return fail_npy("it is no NumPy file", err);
    if (at[6] < 1 || at[6] > 3)
        return lk_fail(err, LINKD_E_DATA, "it is of unknown version %d", at[6]);
    begin = at[6] == 1 ? 10 : 12;
    if (head.len < begin)
        return fail_npy("it is cut off", err);
    len = (size_t)at[8] | (size_t)at[9] << 8;
    if (at[6] > 1)
        len |= (size_t)at[10] << 16 | (size_t)at[11] << 24;
    if (len > LK_NPY_HEAD_MAX - begin)
        return fail_npy("its header is too long", err);
    if (len > head.len - begin)
        return fail_npy("it is cut off", err);
    memcpy(ret_dict, head.bytes + begin, len);
    ret_dict[len] = '\0';
    ret_shape->n_head_bytes = begin + len;
    return LINKD_OK;
}

/* "10, 384)", or "384,)" for one row. Too large a number becomes the greatest
 * that there is. */
static bool shape_read(const char *text, lk_npy_shape *ret_shape)
{
    char *end = NULL;

    if (*text < '0' || *text > '9')
        return false;
    ret_shape->n_rows = strtoull(text, &end, 10);
    if (strncmp(end, ",)", 2) == 0) {
        ret_shape->dim = ret_shape->n_rows;
        ret_shape->n_rows = 1;
        return true;
    }
    if (strncmp(end, ", ", 2) != 0 || end[2] < '0' || end[2] > '9')
        return false;
    ret_shape->dim = strtoull(end + 2, &end, 10);
    return *end == ')';
}

static size_t number_bytes_of(const char *dict)
{
    if (strstr(dict, "'descr': '<f4'") != NULL)
        return sizeof(float);
    return strstr(dict, "'descr': '<f8'") != NULL ? sizeof(double) : 0;
}

int lk_npy_read_head(linkd_str head, lk_npy_shape *ret_shape, linkd_error *err)
{
    char dict[LK_NPY_HEAD_MAX];
    const char *shape;
    int rc = dict_take(head, dict, ret_shape, err);

    if (rc != LINKD_OK)
        return rc;
    ret_shape->number_bytes = number_bytes_of(dict);
    if (ret_shape->number_bytes == 0)
        return fail_npy("its numbers are not little-endian float32 or float64",
                        err);
    if (strstr(dict, "'fortran_order': False") == NULL)
        return fail_npy("it is not in C order", err);
    shape = strstr(dict, SHAPE);
    if (shape == NULL || !shape_read(shape + strlen(SHAPE), ret_shape) ||
        ret_shape->dim == 0)
        return fail_npy("it does not hold rows of numbers", err);
    return LINKD_OK;
}

bool lk_npy_is_whole(const lk_npy_shape *shape, uint64_t n_bytes)
{
    uint64_t row_bytes = shape->dim * shape->number_bytes;

    return shape->dim <= UINT64_MAX / shape->number_bytes &&
           n_bytes % row_bytes == 0 && n_bytes / row_bytes == shape->n_rows;
}

static float float_at(const unsigned char *at)
{
    uint32_t bits;
    float value;

    memcpy(&bits, at, sizeof(bits));
    bits = le32toh(bits);
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static float double_at(const unsigned char *at)
{
    uint64_t bits;
    double value;

    memcpy(&bits, at, sizeof(bits));
    bits = le64toh(bits);
    memcpy(&value, &bits, sizeof(value));
    return (float)value;
}

/* In order, so that a number is read before it is written over. */
void lk_npy_numbers(const lk_npy_shape *shape, const void *bytes, size_t n,
                    float *ret)
{
    const unsigned char *at = bytes;
    bool is_double = shape->number_bytes == sizeof(double);

    for (size_t i = 0; i < n; i++, at += shape->number_bytes)
        ret[i] = is_double ? double_at(at) : float_at(at);
}
