/* cli/npy.h — vectors as a NumPy file. */
#ifndef LINKD_CLI_NPY_H
#define LINKD_CLI_NPY_H

#include "cli/output.h"

/* Writes a header that stands for any number of rows, then rows, then the real
 * shape. LINKD_E_ARG: `output` is no regular file, so that the header could
 * not be completed. */
LINKD_MUST_CHECK int lk_npy_begin(lk_output *output, linkd_error *err);
LINKD_MUST_CHECK int lk_npy_write(lk_output *output, const float *values,
                                  size_t n_values, linkd_error *err);
LINKD_MUST_CHECK int lk_npy_end(lk_output *output, uint64_t n_rows, size_t dim,
                                linkd_error *err);

#endif
