/* cli/npy.h — vectors as a NumPy file. */
#ifndef LINKD_CLI_NPY_H
#define LINKD_CLI_NPY_H

#include <stdio.h>

#include "cli/output.h"

/* Writes a header that stands for any number of rows, then rows, then the real
 * shape. LINKD_E_ARG: `output` is no regular file, so that the header could
 * not be completed. */
LINKD_MUST_CHECK int lk_npy_begin(lk_output *output, linkd_error *err);
LINKD_MUST_CHECK int lk_npy_write(lk_output *output, const float *values,
                                  size_t n_values, linkd_error *err);
LINKD_MUST_CHECK int lk_npy_end(lk_output *output, uint64_t n_rows, size_t dim,
                                linkd_error *err);

/* Opens a file of little-endian float32 in C order, of one dimension (then it is
 * one row) or two, and stands before the first number. LINKD_E_DATA: it is
 * none, or it has not the bytes that its shape says. */
LINKD_MUST_CHECK int lk_npy_open(const char *path, FILE **ret_file,
                                 uint64_t *ret_n_rows, size_t *ret_dim,
                                 linkd_error *err);
/* Reads the rows that follow, and goes back to where the file stood. LINKD_E_DATA:
 * one has a number that is not finite, or no other than 0. LINKD_E_IO. */
LINKD_MUST_CHECK int lk_npy_check(const char *path, FILE *file, uint64_t n_rows,
                                  size_t dim, linkd_error *err);

#endif
