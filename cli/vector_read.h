/* cli/vector_read.h — a file of vectors, whole: NumPy's .npy or .fvecs. */
#ifndef LINKD_CLI_VECTOR_READ_H
#define LINKD_CLI_VECTOR_READ_H

#include "compat/compat.h"

/* By the name's ending, .npy (float32 or float64, C order) or .fvecs (for each row its
 * dimension as int32, then as many float32; little-endian). The rows' data is
 * freed with free(). LINKD_E_ARG: it ends in neither. LINKD_E_DATA: it is no
 * such file. LINKD_E_IO. */
LINKD_MUST_CHECK int lk_vectors_load(const char *path, linkd_rows *ret_rows,
                                     float **ret_data, linkd_error *err);

/* One label a line, as many as `n`; equal lines get equal numbers; freed with
 * free(). LINKD_E_DATA: there are more or fewer lines. */
LINKD_MUST_CHECK int lk_labels_load(const char *path, size_t n,
                                    uint64_t **ret_labels, linkd_error *err);

/* Instead of each label the number of labels that came first before it did:
 * 0, 1, … in the order in which they appear. */
LINKD_MUST_CHECK int lk_labels_number(uint64_t *labels, size_t n,
                                      linkd_error *err);

#endif
