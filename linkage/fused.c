/* linkage/fused.c — rows that have texts and pictures as vectors.
 *
 *   cells of the columns ─► texts' vectors ────┐
 *   cell of the image ─► pictures' vectors ────┴► mean, of length 1
 *
 * Both come from one model with one space (CLIP), so that the mean of the two
 * unit vectors is near to what is like either (CLIPPINGS, arXiv 2304.03464). A row
 * with one of them alone has that one: whoever has no picture can still be found
 * by text. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "linkage/vectors.h"

/* Pictures of which vectors are held beside those of the rows. */
#define ROWS_PER_CHUNK ((size_t)256)

typedef struct fusing {
    lk_vectors_maker *maker;
    const linkd_table *table;
    const lk_vectors *texts; /* n 0: there are none */
    size_t next;             /* of texts */
    linkd_str sources[ROWS_PER_CHUNK];
    float *pictures; /* [ROWS_PER_CHUNK, dim]; zeros: there is none */
    lk_vectors vectors;
} fusing;

static bool is_zero(const float *vector, size_t dim)
{
    for (size_t k = 0; k < dim; k++)
        if (vector[k] != 0.0F)
            return false;
    return true;
}

/* The mean's direction; that of two opposite vectors is the first's. */
static void mean_write(const float *a, const float *b, size_t dim,
                       float *ret_vector)
{
    double squares = 0.0;

    for (size_t k = 0; k < dim; k++) {
        const double sum = (double)a[k] + (double)b[k];

        squares += sum * sum;
    }
    for (size_t k = 0; k < dim; k++)
        ret_vector[k] =
            squares > 1e-12
                ? (float)(((double)a[k] + (double)b[k]) / sqrt(squares))
                : a[k];
}

bool lk_vectors_fuse(const float *text, const float *picture, size_t dim,
                     float *ret_vector)
{
    const bool has_picture = !is_zero(picture, dim);

    if (text == NULL && !has_picture)
        return false;
    if (text != NULL && has_picture)
        mean_write(text, picture, dim, ret_vector);
    else
        memcpy(ret_vector, has_picture ? picture : text,
               dim * sizeof(*ret_vector));
    return true;
}

/* The row's vector, if it has one. */
static void row_fuse(fusing *f, size_t row, const float *picture)
{
    const size_t dim = f->vectors.dim;
    const float *text = NULL;

    if (f->next < f->texts->n && f->texts->rows[f->next] == row)
        text = f->texts->data + f->next++ * dim;
    if (lk_vectors_fuse(text, picture, dim,
                        f->vectors.data + f->vectors.n * dim))
        f->vectors.rows[f->vectors.n++] = row;
}

/* Rows [first, first + n). */
static int rows_fuse(fusing *f, size_t first, size_t n, linkd_error *err)
{
    const linkd_pictures *p = f->maker->pictures;
    const bool *wanted = f->maker->wanted;
    int rc;

    for (size_t i = 0; i < n; i++) {
        const linkd_cell cell =
            linkd_table_cell(f->table, first + i, f->maker->image);

        f->sources[i] = (linkd_str){cell.bytes, cell.len};
        if (wanted != NULL && !wanted[first + i])
            f->sources[i].len = 0;
    }
    rc = linkd_embed_images(p->vision, p->pool, linkd_table_path(f->table),
                            f->sources, n, first, &p->image, f->pictures,
                            p->problems, err);
    if (rc != LINKD_OK)
        return rc;
    for (size_t i = 0; i < n; i++)
        row_fuse(f, first + i, f->pictures + i * f->vectors.dim);
    f->maker->n_done += n;
    return lk_progress_report(f->maker->progress, "encode", f->maker->n_done,
                              f->maker->n_total, err);
}

static int all_fuse(fusing *f, linkd_error *err)
{
    const size_t n_rows = linkd_table_n_rows(f->table);
    const size_t dim = f->vectors.dim;
    int rc = LINKD_OK;

    f->pictures = lk_alloc_aligned(ROWS_PER_CHUNK * dim, sizeof(float));
    f->vectors.data = lk_alloc_aligned(n_rows, dim * sizeof(float));
    f->vectors.rows = lk_alloc_aligned(n_rows, sizeof(*f->vectors.rows));
    if (f->pictures == NULL || f->vectors.data == NULL ||
        f->vectors.rows == NULL)
        return lk_fail_nomem(err);
    if (f->maker->n_done == 0)
        rc = lk_progress_report(f->maker->progress, "encode", 0,
                                f->maker->n_total, err);
    for (size_t row = 0; row < n_rows && rc == LINKD_OK;
         row += ROWS_PER_CHUNK) {
        const size_t left = n_rows - row;

        rc = rows_fuse(f, row, left < ROWS_PER_CHUNK ? left : ROWS_PER_CHUNK,
                       err);
    }
    return rc;
}

/* They take no time beside the pictures, whose progress is what is told. */
static int texts_encode(lk_vectors_maker *maker, const linkd_table *table,
                        const size_t *columns, size_t n_columns,
                        lk_vectors *ret_texts, linkd_error *err)
{
    const linkd_progress *progress = maker->progress;
    const uint64_t n_done = maker->n_done;
    const char *of_pictures =
        linkd_vision_describe(maker->pictures->vision)->fingerprint;
    int rc;

    if (strcmp(maker->embedder->fingerprint, of_pictures) != 0)
        return lk_fail(err, LINKD_E_ARG,
                       "texts and pictures of a row need one model for both, "
                       "as CLIP is");
    maker->progress = NULL;
    rc = lk_vectors_of_texts(maker, table, columns, n_columns, ret_texts, err);
    maker->progress = progress;
    maker->n_done = n_done;
    return rc;
}

static int fused_make(lk_vectors_maker *maker, const linkd_table *table,
                      const size_t *columns, size_t n_columns,
                      lk_vectors *ret_vectors, linkd_error *err)
{
    const linkd_vision_info *info =
        linkd_vision_describe(maker->pictures->vision);
    lk_vectors texts = {0};
    fusing *f = calloc(1, sizeof(*f));
    int rc = f != NULL ? LINKD_OK : lk_fail_nomem(err);

    if (rc == LINKD_OK && n_columns > 0)
        rc = texts_encode(maker, table, columns, n_columns, &texts, err);
    if (rc == LINKD_OK) {
        *f = (fusing){.maker = maker,
                      .table = table,
                      .texts = &texts,
                      .vectors = {.dim = info->dim}};
        rc = all_fuse(f, err);
        free(f->pictures);
        if (rc == LINKD_OK)
            *ret_vectors = f->vectors;
        else
            lk_vectors_clear(&f->vectors);
    }
    lk_vectors_clear(&texts);
    free(f);
    return rc;
}

int lk_vectors_make(lk_vectors_maker *maker, const linkd_table *table,
                    const size_t *columns, size_t n_columns,
                    lk_vectors *ret_vectors, linkd_error *err)
{
    if (maker->pictures == NULL)
        return lk_vectors_of_texts(maker, table, columns, n_columns,
                                   ret_vectors, err);
    return fused_make(maker, table, columns, n_columns, ret_vectors, err);
}
