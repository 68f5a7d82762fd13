/* linkage/vectors.c — the rows of a table as vectors.
 *
 * Rows go to the embedder in chunks: texts of one chunk lie in one buffer, and
 * after each chunk the caller hears how far the work is. What stays is 4 * dim
 * + 8 bytes per row (1,544 for 384 dimensions). A row whose cells are all
 * empty would be encoded to the vector of the empty text, which is near to all
 * other empty rows and says nothing; so would one in a script that the model
 * does not know. Such a row gets no vector, so it is never compared.
 *
 *   table ─► cells of the chosen columns ─► text ─┐ x ROWS_PER_CHUNK
 *                              data[n..], rows[n..] ◄─ embedder */
#include "linkage/vectors.h"

#include <stdlib.h>

#include "linkage/text.h"

/* About a second of work for a small model on two cores: enough to keep all
 * workers busy, short enough for a progress line and for Ctrl-C. */
#define ROWS_PER_CHUNK ((size_t)512)

/* The texts of one chunk and what they are built from. */
typedef struct chunk {
    const linkd_embedder *embedder;
    const linkd_table *table;
    const size_t *columns; /* [n_columns], of the table */
    size_t n_columns;
    linkd_cell *cells;  /* [n_columns], of one row */
    size_t *positions;  /* [n_columns]: 0, 1, … */
    lk_buf text;        /* all texts, one after the other */
    size_t *ends;       /* [ROWS_PER_CHUNK], in `text` */
    linkd_str *strings; /* [ROWS_PER_CHUNK] */
    size_t n;
} chunk;

int lk_columns_of_side(const linkd_table *table, const linkd_column_pair *pairs,
                       size_t n_pairs, size_t side, size_t **ret_columns,
                       size_t *ret_n, linkd_error *err)
{
    size_t *columns = calloc(n_pairs + 1, sizeof(*columns));
    size_t n = 0;

    if (columns == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < n_pairs; i++) {
        size_t column = side == 0 ? pairs[i].left : pairs[i].right;

        if (column != LINKD_COLUMN_NONE)
            columns[n++] = column;
    }
    if (n == 0) {
        free(columns);
        return lk_fail(err, LINKD_E_ARG, "no column of %s takes part",
                       linkd_table_path(table));
    }
    *ret_columns = columns;
    *ret_n = n;
    return LINKD_OK;
}

static int chunk_init(chunk *c, const linkd_embedder *embedder,
                      const linkd_table *table, const size_t *columns,
                      size_t n_columns, linkd_error *err)
{
    *c = (chunk){.embedder = embedder,
                 .table = table,
                 .columns = columns,
                 .n_columns = n_columns};
    c->cells = calloc(n_columns + 1, sizeof(*c->cells));
    c->positions = calloc(n_columns + 1, sizeof(*c->positions));
    c->ends = calloc(ROWS_PER_CHUNK, sizeof(*c->ends));
    c->strings = calloc(ROWS_PER_CHUNK, sizeof(*c->strings));
    if (c->cells == NULL || c->positions == NULL || c->ends == NULL ||
        c->strings == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < n_columns; i++)
        c->positions[i] = i;
    return LINKD_OK;
}

static void chunk_clear(chunk *c)
{
    lk_buf_clear(&c->text);
    free(c->strings);
    free(c->ends);
    free(c->positions);
    free(c->cells);
}

/* Appends the row's text to the chunk, unless it has none that the embedder
 * knows a word of. */
static int chunk_add(chunk *c, size_t row, bool *ret_added, linkd_error *err)
{
    size_t begin = c->text.len;
    int rc;

    for (size_t i = 0; i < c->n_columns; i++)
        c->cells[i] = linkd_table_cell(c->table, row, c->columns[i]);
    rc = linkd_record_text(c->cells, c->n_columns, c->positions, c->n_columns,
                           &c->text, err);
    if (rc != LINKD_OK)
        return rc;
    *ret_added =
        c->text.len > begin &&
        c->embedder->knows(c->embedder->ctx, (linkd_str){c->text.data + begin,
                                                         c->text.len - begin});
    if (*ret_added)
        c->ends[c->n++] = c->text.len;
    else
        c->text.len = begin;
    return LINKD_OK;
}

/* Strings are cut only now, since the buffer moves while it grows. */
static void chunk_cut(chunk *c)
{
    size_t begin = 0;

    for (size_t i = 0; i < c->n; i++) {
        c->strings[i] = (linkd_str){c->text.data + begin, c->ends[i] - begin};
        begin = c->ends[i];
    }
}

/* Encodes rows [begin, end), at most ROWS_PER_CHUNK of them. */
static int rows_encode(lk_vectors_maker *maker, chunk *c, size_t begin,
                       size_t end, lk_vectors *vectors, linkd_error *err)
{
    int rc = LINKD_OK;

    c->n = 0;
    lk_buf_reset(&c->text);
    for (size_t row = begin; row < end && rc == LINKD_OK; row++) {
        bool added = false;

        if (maker->wanted != NULL && !maker->wanted[row])
            continue;
        rc = chunk_add(c, row, &added, err);
        if (added)
            vectors->rows[vectors->n + c->n - 1] = row;
    }
    if (rc != LINKD_OK)
        return rc;
    chunk_cut(c);
    if (c->n > 0)
        rc = c->embedder->embed(c->embedder->ctx, c->strings, c->n,
                                vectors->data + vectors->n * vectors->dim,
                                &maker->stats, err);
    if (rc != LINKD_OK)
        return rc;
    vectors->n += c->n;
    maker->n_done += end - begin;
    return lk_progress_report(maker->progress, "encode", maker->n_done,
                              maker->n_total, err);
}

int lk_vectors_make(lk_vectors_maker *maker, const linkd_table *table,
                    const size_t *columns, size_t n_columns,
                    lk_vectors *ret_vectors, linkd_error *err)
{
    size_t n_rows = linkd_table_n_rows(table);
    lk_vectors vectors = {.dim = maker->embedder->dim};
    chunk c;
    int rc = chunk_init(&c, maker->embedder, table, columns, n_columns, err);

    if (rc != LINKD_OK)
        goto done;
    vectors.data = lk_alloc_aligned(n_rows, vectors.dim * sizeof(float));
    vectors.rows = lk_alloc_aligned(n_rows, sizeof(*vectors.rows));
    if (vectors.data == NULL || vectors.rows == NULL) {
        rc = lk_fail_nomem(err);
        goto done;
    }
    for (size_t row = 0; row < n_rows && rc == LINKD_OK;
         row += ROWS_PER_CHUNK) {
        size_t n_left = n_rows - row;

        rc = rows_encode(
            maker, &c, row,
            row + (n_left < ROWS_PER_CHUNK ? n_left : ROWS_PER_CHUNK), &vectors,
            err);
    }
done:
    chunk_clear(&c);
    if (rc == LINKD_OK)
        *ret_vectors = vectors;
    else
        lk_vectors_clear(&vectors);
    return rc;
}

int lk_vectors_read_blocks(const lk_vectors *vectors, const linkd_table *table,
                           size_t column, linkd_str **ret_keys,
                           linkd_error *err)
{
    linkd_str *keys = NULL;

    if (column != LINKD_COLUMN_NONE) {
        keys = calloc(vectors->n + 1, sizeof(*keys));
        if (keys == NULL)
            return lk_fail_nomem(err);
        for (size_t i = 0; i < vectors->n; i++) {
            linkd_cell cell = linkd_table_cell(table, vectors->rows[i], column);

            keys[i] = lk_str_trim((linkd_str){cell.bytes, cell.len});
        }
    }
    *ret_keys = keys;
    return LINKD_OK;
}

void lk_vectors_clear(lk_vectors *vectors)
{
    free(vectors->rows);
    free(vectors->data);
    *vectors = (lk_vectors){0};
}
