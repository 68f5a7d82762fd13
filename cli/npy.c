/* cli/npy.c — vectors as a NumPy file: written as they come, and read.
 *
 *   "\x93NUMPY" 1 0  length:u16le  {'descr': '<f4', 'fortran_order': False,
 *   'shape': (rows, dim), }  spaces  "\n"  rows × dim × f32le
 *
 * (numpy/lib/format.py, version 1.0: the header ends at a multiple of 64.) The
 * number of rows is known only at the end, so the header has a fixed size with
 * room for the longest shape and is written again. */
#include "cli/npy.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "linkage/linkage.h"

#define HEADER_BYTES   128
#define MAGIC_BYTES    10 /* with the version and the length */
#define DICT_MAX_BYTES 4096

static void header_format(char header[HEADER_BYTES], uint64_t n_rows,
                          size_t dim)
{
    static const char magic[8] = {'\x93', 'N', 'U', 'M', 'P', 'Y', 1, 0};
    char dict[HEADER_BYTES - MAGIC_BYTES + 1];
    int len = snprintf(dict, sizeof(dict),
                       "{'descr': '<f4', 'fortran_order': False, "
                       "'shape': (%" PRIu64 ", %zu), }",
                       n_rows, dim);

    LK_ASSERT(len > 0 && (size_t)len < sizeof(dict) - 1);
    memset(header, ' ', HEADER_BYTES);
    memcpy(header, magic, sizeof(magic));
    header[8] = (char)(HEADER_BYTES - MAGIC_BYTES);
    header[9] = 0;
    memcpy(header + MAGIC_BYTES, dict, (size_t)len);
    header[HEADER_BYTES - 1] = '\n';
}

int lk_npy_begin(lk_output *output, linkd_error *err)
{
    char header[HEADER_BYTES];

    if (!lk_output_is_file(output))
        return lk_fail(err, LINKD_E_ARG,
                       "cannot write NumPy data to a pipe or device");
    header_format(header, 0, 0);
    return lk_output_write(output, header, sizeof(header), err);
}

int lk_npy_write(lk_output *output, const float *values, size_t n_values,
                 linkd_error *err)
{
    uint32_t bits[1024];
    int rc = LINKD_OK;

    for (size_t at = 0; at < n_values && rc == LINKD_OK;) {
        size_t n = n_values - at;

        if (n > sizeof(bits) / sizeof(*bits))
            n = sizeof(bits) / sizeof(*bits);
        memcpy(bits, values + at, n * sizeof(*bits));
        for (size_t i = 0; i < n; i++)
            bits[i] = htole32(bits[i]);
        rc = lk_output_write(output, bits, n * sizeof(*bits), err);
        at += n;
    }
    return rc;
}

int lk_npy_end(lk_output *output, uint64_t n_rows, size_t dim, linkd_error *err)
{
    char header[HEADER_BYTES];

    header_format(header, n_rows, dim);
    return lk_output_patch(output, 0, header, sizeof(header), err);
}

/* ---- reading ------------------------------------------------------------ */

static int fail_npy(const char *path, const char *reason, linkd_error *err)
{
    return lk_fail(err, LINKD_E_DATA, "%s: %s", lk_label_of_path(path).text,
                   reason);
}

/* The dictionary, as text. Versions 2 and 3 have four bytes of length. */
static int dict_read(const char *path, FILE *file, char dict[DICT_MAX_BYTES],
                     linkd_error *err)
{
    unsigned char head[MAGIC_BYTES + 2] = {0};
    size_t len;

    if (fread(head, 1, MAGIC_BYTES, file) != MAGIC_BYTES ||
        memcmp(head, "\x93NUMPY", 6) != 0)
        return fail_npy(path, "it is no NumPy file", err);
    len = (size_t)head[8] | (size_t)head[9] << 8;
    if (head[6] > 1) {
        if (fread(head + MAGIC_BYTES, 1, 2, file) != 2)
            return fail_npy(path, "it is cut off", err);
        len |= (size_t)head[10] << 16 | (size_t)head[11] << 24;
    }
    if (len >= DICT_MAX_BYTES)
        return fail_npy(path, "its header is too long", err);
    if (fread(dict, 1, len, file) != len)
        return fail_npy(path, "it is cut off", err);
    dict[len] = '\0';
    return LINKD_OK;
}

static int dict_parse(const char *path, const char *dict, uint64_t *ret_n_rows,
                      size_t *ret_dim, linkd_error *err)
{
    const char *shape = strstr(dict, "'shape': (");
    unsigned long long n_rows;
    unsigned long long dim;
    char *end = NULL;

    if (strstr(dict, "'descr': '<f4'") == NULL)
        return fail_npy(path, "its numbers are not float32", err);
    if (strstr(dict, "'fortran_order': False") == NULL || shape == NULL)
        return fail_npy(path, "it is not in C order", err);
    n_rows = strtoull(shape + strlen("'shape': ("), &end, 10);
    dim = strncmp(end, ", ", 2) == 0 ? strtoull(end + 2, NULL, 10) : 0;
    if (strncmp(end, ",)", 2) == 0) { /* one vector */
        dim = n_rows;
        n_rows = 1;
    }
    if (dim == 0 || dim > LINKD_DIM_MAX)
        return fail_npy(path, "it does not hold rows of numbers", err);
    *ret_n_rows = n_rows;
    *ret_dim = (size_t)dim;
    return LINKD_OK;
}

static int size_check(const char *path, FILE *file, uint64_t n_rows, size_t dim,
                      linkd_error *err)
{
    struct stat st;
    long at = ftell(file);

    if (at < 0 || fstat(fileno(file), &st) != 0)
        return lk_fail(err, LINKD_E_IO, "could not read %s: %s",
                       lk_label_of_path(path).text, strerror(errno));
    LK_ASSERT(dim > 0);
    if (n_rows > UINT64_MAX / (dim * sizeof(float)) ||
        (uint64_t)(st.st_size - at) != n_rows * dim * sizeof(float))
        return fail_npy(path, "its length is not what its shape says", err);
    return LINKD_OK;
}

int lk_npy_open(const char *path, FILE **ret_file, uint64_t *ret_n_rows,
                size_t *ret_dim, linkd_error *err)
{
    char dict[DICT_MAX_BYTES];
    FILE *file = fopen(path, "rbe");
    uint64_t n_rows = 0;
    size_t dim = 0;
    int rc;

    if (file == NULL)
        return lk_fail(err, LINKD_E_IO, "could not read %s: %s",
                       lk_label_of_path(path).text, strerror(errno));
    rc = dict_read(path, file, dict, err);
    if (rc == LINKD_OK)
        rc = dict_parse(path, dict, &n_rows, &dim, err);
    if (rc == LINKD_OK)
        rc = size_check(path, file, n_rows, dim, err);
    if (rc != LINKD_OK) {
        (void)fclose(file);
        return rc;
    }
    *ret_file = file;
    *ret_n_rows = n_rows;
    *ret_dim = dim;
    return LINKD_OK;
}
