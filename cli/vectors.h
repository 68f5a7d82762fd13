/* cli/vectors.h — vectors to a file, row by row. */
#ifndef LINKD_CLI_VECTORS_H
#define LINKD_CLI_VECTORS_H

#include "cli/output.h"
#include "linkage/linkage.h"

typedef enum lk_vectors_format {
    LK_VECTORS_NPY,
    LK_VECTORS_JSONL,
} lk_vectors_format;

typedef struct lk_vectors {
    lk_output *output;
    lk_vectors_format format;
    size_t dim;
    uint64_t n_rows;
    lk_buf line;
} lk_vectors;

/* The format that a name's ending asks for; JSON lines for "-". LINKD_E_ARG:
 * it ends in neither .npy nor .jsonl. */
LINKD_MUST_CHECK int lk_vectors_format_find(const char *path,
                                            lk_vectors_format *ret_format,
                                            linkd_error *err);

LINKD_MUST_CHECK int lk_vectors_begin(lk_vectors *vectors, linkd_error *err);
/* `id` is a JSON value; unused in NumPy files. */
LINKD_MUST_CHECK int lk_vectors_add(lk_vectors *vectors, linkd_str id,
                                    const float *vector, linkd_error *err);
LINKD_MUST_CHECK int lk_vectors_end(lk_vectors *vectors, linkd_error *err);
void lk_vectors_clear(lk_vectors *vectors);

#endif
