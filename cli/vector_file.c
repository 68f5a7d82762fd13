/* cli/vector_file.c — vectors to a NumPy file or to JSON lines
 * {"id": …, "embedding": […]}, row by row. Nine significant digits bring every
 * float back bit for bit. */
#include "cli/vector_file.h"

#include <stdio.h>
#include <string.h>

#include "cli/npy.h"
#include "cli/rows.h"

#define FLOAT_MAX_CHARS 24

int lk_vector_format_find(const char *path, lk_vector_format *ret_format,
                          linkd_error *err)
{
    if (lk_path_ends_in(path, ".npy"))
        *ret_format = LK_VECTOR_NPY;
    else if (strcmp(path, "-") == 0 || lk_path_ends_in(path, ".jsonl") ||
             lk_path_ends_in(path, ".ndjson"))
        *ret_format = LK_VECTOR_JSONL;
    else
        return lk_fail(err, LINKD_E_ARG,
                       "--output: %s ends in neither .npy nor .jsonl",
                       lk_label_of_path(path).text);
    return LINKD_OK;
}

int lk_vector_file_begin(lk_vector_file *vectors, linkd_error *err)
{
    if (vectors->format == LK_VECTOR_NPY)
        return lk_npy_begin(vectors->output, err);
    return LINKD_OK;
}

static int values_append(lk_buf *line, const float *vector, size_t dim,
                         linkd_error *err)
{
    int rc = LINKD_OK;

    for (size_t i = 0; i < dim && rc == LINKD_OK; i++) {
        char text[FLOAT_MAX_CHARS + 2];
        int n = snprintf(text, sizeof(text), "%s%.9g", i == 0 ? "" : ", ",
                         (double)vector[i]);

        rc = lk_buf_append(line, text, (size_t)n, err);
    }
    return rc;
}

static int line_write(lk_vector_file *vectors, linkd_str id,
                      const float *vector, linkd_error *err)
{
    lk_buf *line = &vectors->line;
    int rc;

    lk_buf_reset(line);
    rc = lk_buf_append(line, "{\"id\": ", 7, err);
    if (rc == LINKD_OK)
        rc = lk_buf_append(line, id.bytes, id.len, err);
    if (rc == LINKD_OK)
        rc = lk_buf_append(line, ", \"embedding\": [", 16, err);
    if (rc == LINKD_OK)
        rc = values_append(line, vector, vectors->dim, err);
    if (rc == LINKD_OK)
        rc = lk_buf_append(line, "]}\n", 3, err);
    if (rc != LINKD_OK)
        return rc;
    return lk_output_write(vectors->output, line->data, line->len, err);
}

int lk_vector_file_add(lk_vector_file *vectors, linkd_str id,
                       const float *vector, linkd_error *err)
{
    vectors->n_rows++;
    if (vectors->format == LK_VECTOR_NPY)
        return lk_npy_write(vectors->output, vector, vectors->dim, err);
    return line_write(vectors, id, vector, err);
}

int lk_vector_file_end(lk_vector_file *vectors, linkd_error *err)
{
    if (vectors->format == LK_VECTOR_NPY)
        return lk_npy_end(vectors->output, vectors->n_rows, vectors->dim, err);
    return LINKD_OK;
}

void lk_vector_file_clear(lk_vector_file *vectors)
{
    lk_buf_clear(&vectors->line);
}
