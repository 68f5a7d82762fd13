/* cli/vector_file.h — vectors to a file, row by row. */
#ifndef LINKD_CLI_VECTOR_FILE_H
#define LINKD_CLI_VECTOR_FILE_H

#include "cli/output.h"
#include "linkage/linkage.h"

typedef enum lk_vector_format {
    LK_VECTOR_NPY,
    LK_VECTOR_JSONL,
} lk_vector_format;

typedef struct lk_vector_file {
    lk_output *output;
    lk_vector_format format;
    size_t dim;
    uint64_t n_rows;
    lk_buf line;
} lk_vector_file;

/* The format that a name's ending asks for; JSON lines for "-". LINKD_E_ARG:
 * it ends in neither .npy nor .jsonl. */
LINKD_MUST_CHECK int lk_vector_format_find(const char *path,
                                           lk_vector_format *ret_format,
                                           linkd_error *err);

LINKD_MUST_CHECK int lk_vector_file_begin(lk_vector_file *vectors,
                                          linkd_error *err);
/* `id` is a JSON value; unused in NumPy files. */
LINKD_MUST_CHECK int lk_vector_file_add(lk_vector_file *vectors, linkd_str id,
                                        const float *vector, linkd_error *err);
LINKD_MUST_CHECK int lk_vector_file_end(lk_vector_file *vectors,
                                        linkd_error *err);
void lk_vector_file_clear(lk_vector_file *vectors);

#endif
