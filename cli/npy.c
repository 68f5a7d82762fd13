/* cli/npy.c — vectors as a NumPy file, written as they come.
 *
 *   "\x93NUMPY" 1 0  length:u16le  {'descr': '<f4', 'fortran_order': False,
 *   'shape': (rows, dim), }  spaces  "\n"  rows × dim × f32le
 *
 * (numpy/lib/format.py, version 1.0: the header ends at a multiple of 64.) The
 * number of rows is known only at the end, so the header has a fixed size with
 * room for the longest shape and is written again. */
#include "cli/npy.h"

#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

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
