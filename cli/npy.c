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
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/file.h"
#include "linkage/linkage.h"

#define HEADER_BYTES 128
#define MAGIC_BYTES  10 /* with the version and the length */

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

static int head_read(const char *path, FILE *file, lk_npy_shape *ret_shape,
                     linkd_error *err)
{
    char head[LK_NPY_HEAD_MAX];
    size_t len = fread(head, 1, sizeof(head), file);
    linkd_error reason;
    struct stat st;

    if (lk_npy_read_head((linkd_str){head, len}, ret_shape, &reason) !=
        LINKD_OK)
        return fail_npy(path, reason.message, err);
    if (ret_shape->dim > LINKD_DIM_MAX)
        return fail_npy(path, "it does not hold rows of numbers", err);
    if (fseek(file, (long)ret_shape->n_head_bytes, SEEK_SET) != 0 ||
        fstat(fileno(file), &st) != 0)
        return lk_fail(err, LINKD_E_IO, "could not read %s: %s",
                       lk_label_of_path(path).text, strerror(errno));
    if (!lk_npy_is_whole(ret_shape,
                         (uint64_t)st.st_size - ret_shape->n_head_bytes))
        return fail_npy(path, "its length is not what its shape says", err);
    return LINKD_OK;
}

int lk_npy_open(const char *path, lk_npy_file *ret_npy, linkd_error *err)
{
    lk_npy_file npy = {.path = path, .file = fopen(path, "rbe")};
    int rc;

    if (npy.file == NULL)
        return lk_fail_read(path, err);
    rc = head_read(path, npy.file, &npy.shape, err);
    if (rc == LINKD_OK)
        *ret_npy = npy;
    else
        lk_npy_close(&npy);
    return rc;
}

int lk_npy_read(lk_npy_file *npy, size_t n, float *ret_rows, linkd_error *err)
{
    enum {
        CHUNK = 1024,
    };
    unsigned char bytes[CHUNK * sizeof(double)];
    size_t n_left = n * (size_t)npy->shape.dim;

    while (n_left > 0) {
        size_t n_now = n_left < CHUNK ? n_left : CHUNK;

        if (fread(bytes, npy->shape.number_bytes, n_now, npy->file) != n_now)
            return lk_fail_read(npy->path, err);
        lk_npy_numbers(&npy->shape, bytes, n_now, ret_rows);
        ret_rows += n_now;
        n_left -= n_now;
    }
    return LINKD_OK;
}

static int row_check(const char *path, uint64_t row, const float *numbers,
                     size_t dim, linkd_error *err)
{
    bool is_zero = true;

    for (size_t i = 0; i < dim; i++) {
        if (!isfinite(numbers[i]))
            return lk_fail(err, LINKD_E_DATA,
                           "%s: row %" PRIu64 ": number %zu is not finite",
                           lk_label_of_path(path).text, row, i + 1);
        is_zero = is_zero && numbers[i] == 0.0F;
    }
    return is_zero
               ? lk_fail(err, LINKD_E_DATA, "%s: row %" PRIu64 " is all zero",
                         lk_label_of_path(path).text, row)
               : LINKD_OK;
}

int lk_npy_check(lk_npy_file *npy, linkd_error *err)
{
    size_t dim = (size_t)npy->shape.dim;
    float *numbers = calloc(dim, sizeof(*numbers));
    long begin = ftell(npy->file);
    int rc = begin < 0 ? lk_fail_read(npy->path, err) : LINKD_OK;

    if (numbers == NULL)
        return lk_fail_nomem(err);
    for (uint64_t i = 0; i < npy->shape.n_rows && rc == LINKD_OK; i++) {
        rc = lk_npy_read(npy, 1, numbers, err);
        if (rc == LINKD_OK)
            rc = row_check(npy->path, i + 1, numbers, dim, err);
    }
    free(numbers);
    if (rc == LINKD_OK && fseek(npy->file, begin, SEEK_SET) != 0)
        return lk_fail_read(npy->path, err);
    return rc;
}

void lk_npy_close(lk_npy_file *npy)
{
    if (npy->file != NULL)
        (void)fclose(npy->file);
    *npy = (lk_npy_file){0};
}
