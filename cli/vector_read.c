/* cli/vector_read.c — vectors and labels that other programs wrote. Sizes are
 * checked against the file's length before memory is asked for. */
#include "cli/vector_read.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "cli/file.h"
#include "cli/npy.h"
#include "cli/rows.h"
#include "linkage/linkage.h"

static int fail_data(const char *path, const char *reason, linkd_error *err)
{
    return lk_fail(err, LINKD_E_DATA, "%s: %s", lk_label_of_path(path).text,
                   reason);
}

static void floats_from_le(float *values, size_t n)
{
    uint32_t bits;

    for (size_t i = 0; i < n; i++) {
        memcpy(&bits, values + i, sizeof(bits));
        bits = le32toh(bits);
        memcpy(values + i, &bits, sizeof(bits));
    }
}

static int npy_load(const char *path, linkd_rows *ret_rows, float **ret_data,
                    linkd_error *err)
{
    lk_npy_file npy = {0};
    size_t n, dim;
    float *data;
    int rc = lk_npy_open(path, &npy, err);

    if (rc != LINKD_OK)
        return rc;
    n = (size_t)npy.shape.n_rows;
    dim = (size_t)npy.shape.dim;
    data = lk_alloc_aligned(n + 1, dim * sizeof(*data));
    rc = data == NULL ? lk_fail_nomem(err) : lk_npy_read(&npy, n, data, err);
    lk_npy_close(&npy);
    if (rc != LINKD_OK) {
        free(data);
        return rc;
    }
    *ret_rows = (linkd_rows){data, n, dim};
    *ret_data = data;
    return LINKD_OK;
}

/* ---- .fvecs ------------------------------------------------------------- */

/* The dimension of the first row, and by the length of the file the rows. */
static int fvecs_sizes(const char *path, FILE *file, size_t *ret_n,
                       size_t *ret_dim, linkd_error *err)
{
    struct stat st;
    uint32_t dim = 0;
    uint64_t row_bytes;

    if (fstat(fileno(file), &st) != 0)
        return lk_fail_read(path, err);
    if (fread(&dim, sizeof(dim), 1, file) != 1)
        return fail_data(path, "it is empty", err);
    dim = le32toh(dim);
    row_bytes = 4 * ((uint64_t)dim + 1);
    if (dim == 0 || dim > LINKD_COMPAT_DIM_MAX)
        return fail_data(path, "its first row has no possible dimension", err);
    if ((uint64_t)st.st_size % row_bytes != 0)
        return fail_data(path, "its length is not that of whole rows", err);
    *ret_n = (size_t)((uint64_t)st.st_size / row_bytes);
    *ret_dim = dim;
    rewind(file);
    return LINKD_OK;
}

static int fvecs_rows(const char *path, FILE *file, size_t n, size_t dim,
                      float *data, linkd_error *err)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t own = 0;

        if (fread(&own, sizeof(own), 1, file) != 1 ||
            fread(data + i * dim, sizeof(*data), dim, file) != dim)
            return lk_fail_read(path, err);
        if (le32toh(own) != dim)
            return lk_fail(err, LINKD_E_DATA,
                           "%s: row %zu has another dimension than the first",
                           lk_label_of_path(path).text, i + 1);
    }
    floats_from_le(data, n * dim);
    return LINKD_OK;
}

static int fvecs_load(const char *path, linkd_rows *ret_rows, float **ret_data,
                      linkd_error *err)
{
    FILE *file = fopen(path, "rbe");
    size_t n = 0;
    size_t dim = 0;
    float *data = NULL;
    int rc;

    if (file == NULL)
        return lk_fail_read(path, err);
    rc = fvecs_sizes(path, file, &n, &dim, err);
    if (rc == LINKD_OK) {
        data = lk_alloc_aligned(n, dim * sizeof(*data));
        rc = data == NULL ? lk_fail_nomem(err)
                          : fvecs_rows(path, file, n, dim, data, err);
    }
    (void)fclose(file);
    if (rc != LINKD_OK) {
        free(data);
        return rc;
    }
    *ret_rows = (linkd_rows){data, n, dim};
    *ret_data = data;
    return LINKD_OK;
}

int lk_vectors_load(const char *path, linkd_rows *ret_rows, float **ret_data,
                    linkd_error *err)
{
    if (lk_path_ends_in(path, ".npy"))
        return npy_load(path, ret_rows, ret_data, err);
    if (lk_path_ends_in(path, ".fvecs"))
        return fvecs_load(path, ret_rows, ret_data, err);
    return lk_fail(err, LINKD_E_ARG, "%s ends in neither .npy nor .fvecs",
                   lk_label_of_path(path).text);
}

/* ---- labels ------------------------------------------------------------- */

/* A label is the hash of its line: two that differ are taken for one once in
 * 2^64 pairs. */
int lk_labels_load(const char *path, size_t n, uint64_t **ret_labels,
                   linkd_error *err)
{
    FILE *file = fopen(path, "re");
    uint64_t *labels = malloc((n + 1) * sizeof(*labels));
    char *line = NULL;
    size_t capacity = 0;
    size_t n_lines = 0;
    ssize_t len;
    int rc = LINKD_OK;

    if (file == NULL) {
        free(labels);
        return lk_fail_read(path, err);
    }
    if (labels == NULL)
        rc = lk_fail_nomem(err);
    while (rc == LINKD_OK && (len = getline(&line, &capacity, file)) >= 0) {
        while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r'))
            len--;
        if (n_lines < n)
            labels[n_lines] = XXH3_64bits(line, (size_t)len);
        n_lines++;
    }
    if (rc == LINKD_OK && ferror(file))
        rc = lk_fail_read(path, err);
    if (rc == LINKD_OK && n_lines != n)
        rc = lk_fail(err, LINKD_E_DATA, "%s has %zu lines for %zu rows",
                     lk_label_of_path(path).text, n_lines, n);
    free(line);
    (void)fclose(file);
    if (rc == LINKD_OK)
        *ret_labels = labels;
    else
        free(labels);
    return rc;
}

typedef struct label_at {
    uint64_t label;
    size_t row;
} label_at;

static int label_order(const void *a, const void *b)
{
    const label_at *x = a;
    const label_at *y = b;

    if (x->label != y->label)
        return x->label < y->label ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

/* Sorted, a label's first row is at the head of its run. */
int lk_labels_number(uint64_t *labels, size_t n, linkd_error *err)
{
    label_at *sorted = malloc((n + 1) * sizeof(*sorted));
    size_t *firsts = malloc((n + 1) * sizeof(*firsts));
    uint64_t n_numbers = 0;

    if (sorted == NULL || firsts == NULL) {
        free(firsts);
        free(sorted);
        return lk_fail_nomem(err);
    }
    for (size_t i = 0; i < n; i++)
        sorted[i] = (label_at){labels[i], i};
    qsort(sorted, n, sizeof(*sorted), label_order);
    for (size_t i = 0; i < n; i++)
        firsts[sorted[i].row] = i > 0 && sorted[i].label == sorted[i - 1].label
                                    ? firsts[sorted[i - 1].row]
                                    : sorted[i].row;
    for (size_t i = 0; i < n; i++)
        labels[i] = firsts[i] == i ? n_numbers++ : labels[firsts[i]];
    free(firsts);
    free(sorted);
    return LINKD_OK;
}
