/* linkage/vectors.c — the rows of a table as vectors.
 *
 * Rows go to the embedder in chunks: texts of one chunk lie in one buffer, and
 * after each chunk the caller hears how far the work is. What stays is 4 * dim
 * + 8 bytes per row (1,544 for 384 dimensions).
 *
 * Tables with duplicates hold many rows twice, word for word (an eighth of
 * historical-50k), and encoding is nearly all of the time: a text that came
 * before is not encoded again, its vector is copied. Texts are told apart by 128
 * bits of hash, 32 bytes a row while this lasts.
 *
 *   vectors of a chunk   [ n0 n1 n2 … ]        as the embedder gives them
 *                        [ n0 n1 __ n2 __ … ]  each to its row's place, then
 *                        [ n0 n1 n0 n2 r7 … ]  those that came before
 *
 * A row whose cells are all empty would be encoded to the vector of the empty
 * text, which is near to all other empty rows and says nothing; so would one in
 * a script that the model does not know. Such a row gets no vector, so it is
 * never compared.
 *
 *   table ─► cells of the chosen columns ─► text ─┐ x ROWS_PER_CHUNK
 *                              data[n..], rows[n..] ◄─ embedder */
#include "linkage/vectors.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "linkage/strset.h"
#include "linkage/text.h"

/* About a second of work for a small model on two cores: enough to keep all
 * workers busy, short enough for a progress line and for Ctrl-C. */
#define ROWS_PER_CHUNK ((size_t)512)

#define NEW_TEXT SIZE_MAX

/* Which texts have a vector. */
typedef struct known {
    XXH128_canonical_t *hashes; /* [n_rows] by vector number */
    lk_strset set;              /* of them */
} known;

/* The texts of one chunk and what they are built from. */
typedef struct chunk {
    const linkd_embedder *embedder;
    const linkd_table *table;
    const size_t *columns; /* [n_columns], of the table */
    size_t n_columns;
    linkd_cell *cells;  /* [n_columns], of one row */
    size_t *positions;  /* [n_columns]: 0, 1, … */
    lk_buf text;        /* all new texts, one after the other */
    size_t *ends;       /* [ROWS_PER_CHUNK], in `text` */
    linkd_str *strings; /* [ROWS_PER_CHUNK] */
    size_t n_new;
    size_t *firsts; /* [ROWS_PER_CHUNK]: the vector of the same text, or
                       NEW_TEXT */
    size_t n;       /* rows with a vector */
} chunk;

static linkd_str hash_get(const void *ctx, size_t index)
{
    const known *k = ctx;

    return (linkd_str){(const char *)k->hashes[index].digest,
                       sizeof(k->hashes[index].digest)};
}

/* Number `number` is a vector of the text; the first such one comes back. */
static int known_add(known *k, linkd_str text, size_t number, size_t *ret_first,
                     linkd_error *err)
{
    XXH128_canonicalFromHash(&k->hashes[number],
                             XXH3_128bits(text.bytes, text.len));
    return lk_strset_add(&k->set, number, ret_first, err);
}

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
    c->firsts = calloc(ROWS_PER_CHUNK, sizeof(*c->firsts));
    if (c->cells == NULL || c->positions == NULL || c->ends == NULL ||
        c->strings == NULL || c->firsts == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < n_columns; i++)
        c->positions[i] = i;
    return LINKD_OK;
}

static void chunk_clear(chunk *c)
{
    lk_buf_clear(&c->text);
    free(c->firsts);
    free(c->strings);
    free(c->ends);
    free(c->positions);
    free(c->cells);
}

/* Appends the row's text to the chunk. */
static int chunk_append(chunk *c, size_t row, linkd_error *err)
{
    for (size_t i = 0; i < c->n_columns; i++)
        c->cells[i] = linkd_table_cell(c->table, row, c->columns[i]);
    return linkd_record_text(c->cells, c->n_columns, c->positions, c->n_columns,
                             &c->text, err);
}

/* The text is the last one; its vector will be number `number`. */
static int text_take(chunk *c, known *k, linkd_str text, size_t number,
                     linkd_error *err)
{
    size_t first = 0;
    int rc = known_add(k, text, number, &first, err);

    if (rc != LINKD_OK)
        return rc;
    if (first == number)
        c->ends[c->n_new++] = c->text.len;
    else
        c->text.len -= text.len;
    c->firsts[c->n++] = first == number ? NEW_TEXT : first;
    return LINKD_OK;
}

/* Takes the row in as vector `number`, unless it has no text that the embedder
 * knows a word of. */
static int chunk_add(chunk *c, known *k, size_t row, size_t number,
                     linkd_error *err)
{
    size_t begin = c->text.len;
    linkd_str text;
    int rc = chunk_append(c, row, err);

    if (rc != LINKD_OK || c->text.len == begin)
        return rc;
    text = (linkd_str){c->text.data + begin, c->text.len - begin};
    if (c->embedder->knows(c->embedder->ctx, text))
        return text_take(c, k, text, number, err);
    c->text.len = begin;
    return LINKD_OK;
}

/* Strings are cut only now, since the buffer moves while it grows. */
static void chunk_cut(chunk *c)
{
    size_t begin = 0;

    for (size_t i = 0; i < c->n_new; i++) {
        c->strings[i] = (linkd_str){c->text.data + begin, c->ends[i] - begin};
        begin = c->ends[i];
    }
}

/* From the vectors of the new texts, which lie at the chunk's beginning, to one
 * for each of its rows: the last first, so that none is overwritten. */
static void vectors_spread(const chunk *c, lk_vectors *vectors)
{
    size_t dim = vectors->dim;
    float *data = vectors->data + vectors->n * dim;
    size_t n_new = c->n_new;

    for (size_t i = c->n; n_new < i; i--)
        if (c->firsts[i - 1] == NEW_TEXT)
            memmove(data + (i - 1) * dim, data + --n_new * dim,
                    dim * sizeof(*data));
    for (size_t i = 0; i < c->n; i++)
        if (c->firsts[i] != NEW_TEXT)
            memcpy(data + i * dim, vectors->data + c->firsts[i] * dim,
                   dim * sizeof(*data));
}

static int chunk_encode(chunk *c, lk_vectors_maker *maker, lk_vectors *vectors,
                        linkd_error *err)
{
    int rc = LINKD_OK;

    chunk_cut(c);
    if (c->n_new > 0)
        rc = c->embedder->embed(c->embedder->ctx, c->strings, c->n_new,
                                vectors->data + vectors->n * vectors->dim,
                                &maker->stats, err);
    if (rc == LINKD_OK)
        vectors_spread(c, vectors);
    return rc;
}

/* Encodes rows [begin, end), at most ROWS_PER_CHUNK of them. */
static int rows_encode(lk_vectors_maker *maker, chunk *c, known *k,
                       size_t begin, size_t end, lk_vectors *vectors,
                       linkd_error *err)
{
    int rc = LINKD_OK;

    c->n = 0;
    c->n_new = 0;
    lk_buf_reset(&c->text);
    for (size_t row = begin; row < end && rc == LINKD_OK; row++) {
        size_t number = vectors->n + c->n;

        if (maker->wanted != NULL && !maker->wanted[row])
            continue;
        vectors->rows[number] = row;
        rc = chunk_add(c, k, row, number, err);
    }
    if (rc == LINKD_OK)
        rc = chunk_encode(c, maker, vectors, err);
    if (rc != LINKD_OK)
        return rc;
    vectors->n += c->n;
    maker->n_done += end - begin;
    return lk_progress_report(maker->progress, "encode", maker->n_done,
                              maker->n_total, err);
}

int lk_vectors_of_texts(lk_vectors_maker *maker, const linkd_table *table,
                        const size_t *columns, size_t n_columns,
                        lk_vectors *ret_vectors, linkd_error *err)
{
    size_t n_rows = linkd_table_n_rows(table);
    lk_vectors vectors = {.dim = maker->embedder->dim};
    known k = {.set = {.key = hash_get, .ctx = &k}};
    chunk c;
    int rc = chunk_init(&c, maker->embedder, table, columns, n_columns, err);

    if (rc != LINKD_OK)
        goto done;
    vectors.data = lk_alloc_aligned(n_rows, vectors.dim * sizeof(float));
    vectors.rows = lk_alloc_aligned(n_rows, sizeof(*vectors.rows));
    k.hashes = lk_alloc_aligned(n_rows, sizeof(*k.hashes));
    if (vectors.data == NULL || vectors.rows == NULL || k.hashes == NULL) {
        rc = lk_fail_nomem(err);
        goto done;
    }
    if (maker->n_done == 0)
        rc = lk_progress_report(maker->progress, "encode", 0, maker->n_total,
                                err);
    for (size_t row = 0; row < n_rows && rc == LINKD_OK;
         row += ROWS_PER_CHUNK) {
        size_t n_left = n_rows - row;

        rc = rows_encode(
            maker, &c, &k, row,
            row + (n_left < ROWS_PER_CHUNK ? n_left : ROWS_PER_CHUNK), &vectors,
            err);
    }
done:
    lk_strset_clear(&k.set);
    free(k.hashes);
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
