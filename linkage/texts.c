/* linkage/texts.c — cells to words that can be compared.
 *
 * "Müller-Lüdenscheidt" and "MULLER LUDENSCHEIDT" are the same to a person, so
 * they are made the same here, once, and nothing behind this file knows that
 * there is such a thing as case, an accent or a full stop:
 *
 *   "Ｍüller, (1998)"  ─►  "muller 1998"
 *
 * Unicode's compatibility decomposition (NFKD) and case folding come from
 * utf8proc, which is behind this file alone. Since all combining marks are
 * dropped, the order that NFKD gives them does not matter, and each character
 * can be decomposed by itself. ASCII, most of most tables, takes a table of 128
 * bytes instead.
 *
 * Records are made by chunks, each into a buffer of its own, which are then put
 * one behind the other; where a chunk ends does not depend on the number of
 * workers, and neither does anything else:
 *
 *   chunk 0 [rec 0][rec 1] …   chunk 1 [rec 1024] …   ─►  bytes
 *
 * Marks are dropped in every script, the vowel signs of Devanagari and Thai
 * included: less is told apart there, but nothing that is alike is separated. */
#include "linkage/texts.h"

#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#define RECORDS_PER_CHUNK ((size_t)1024)

enum {
    UTF8_MAX = 4,        /* bytes of a character */
    DECOMPOSED_MAX = 32, /* characters; Unicode's longest, U+FDFA, has 18 */
    PIECE_BYTES = 512,   /* what is collected before it is appended */
    N_ASCII = 0x80,
};

#define FORM                                                                   \
 ((utf8proc_option_t)(UTF8PROC_COMPAT | UTF8PROC_DECOMPOSE |                   \
                      UTF8PROC_CASEFOLD | UTF8PROC_STRIPMARK))

/* Words on their way to a buffer. */
typedef struct writer {
    lk_buf *buf;
    char piece[PIECE_BYTES];
    size_t n;        /* bytes of the piece */
    bool has_words;  /* before what comes next */
    bool must_split; /* what comes next begins a word */
} writer;

/* ---- one cell ------------------------------------------------------------ */

static int piece_flush(writer *w, linkd_error *err)
{
    int rc = lk_buf_append(w->buf, w->piece, w->n, err);

    w->n = 0;
    return rc;
}

/* The caller has made room for it and a space. */
static void word_put(writer *w, const char *bytes, size_t len)
{
    if (w->must_split && w->has_words)
        w->piece[w->n++] = ' ';
    memcpy(w->piece + w->n, bytes, len);
    w->n += len;
    w->has_words = true;
    w->must_split = false;
}

static bool is_word_char(int32_t c)
{
    utf8proc_category_t category = utf8proc_category(c);

    return (category >= UTF8PROC_CATEGORY_LU &&
            category <= UTF8PROC_CATEGORY_LO) ||
           (category >= UTF8PROC_CATEGORY_ND &&
            category <= UTF8PROC_CATEGORY_NO);
}

/* A mark decomposes to nothing and neither joins nor splits. */
static void char_put(writer *w, int32_t c)
{
    utf8proc_int32_t parts[DECOMPOSED_MAX];
    int last_class = UTF8PROC_BOUNDCLASS_START;
    utf8proc_ssize_t n =
        utf8proc_decompose_char(c, parts, DECOMPOSED_MAX, FORM, &last_class);

    LK_ASSERT(n <= DECOMPOSED_MAX);
    for (utf8proc_ssize_t i = 0; i < n; i++) {
        uint8_t bytes[UTF8_MAX];
        utf8proc_ssize_t len = utf8proc_encode_char(parts[i], bytes);

        if (is_word_char(parts[i]))
            word_put(w, (const char *)bytes, (size_t)len);
        else
            w->must_split = true;
    }
}

/* What an ASCII character becomes; 0 is what splits. */
static char ascii_fold(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c - 'A' + 'a');
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ? (char)c : '\0';
}

static void ascii_put(writer *w, uint8_t c)
{
    char folded = ascii_fold(c);

    if (folded == '\0')
        w->must_split = true;
    else
        word_put(w, &folded, 1);
}

static int cell_write(writer *w, linkd_str cell, linkd_error *err)
{
    const uint8_t *at = (const uint8_t *)cell.bytes;
    size_t left = cell.len;
    int rc = LINKD_OK;

    w->must_split = true;
    while (left > 0 && rc == LINKD_OK) {
        utf8proc_ssize_t len = 1;
        utf8proc_int32_t c = *at;

        if (c >= N_ASCII)
            len = utf8proc_iterate(at, (utf8proc_ssize_t)left, &c);
        if (c >= 0 && c < N_ASCII)
            ascii_put(w, (uint8_t)c);
        else if (c >= 0)
            char_put(w, c);
        /* Tables hold valid UTF-8 only; anything else would split. */
        if (len < 1) {
            w->must_split = true;
            len = 1;
        }
        at += len;
        left -= (size_t)len;
        if (w->n > PIECE_BYTES - DECOMPOSED_MAX * (UTF8_MAX + 1))
            rc = piece_flush(w, err);
    }
    return rc == LINKD_OK ? piece_flush(w, err) : rc;
}

int lk_words_append(linkd_str cell, lk_buf *ret_words, linkd_error *err)
{
    writer w = {.buf = ret_words, .has_words = ret_words->len > 0};

    return cell_write(&w, cell, err);
}

/* ---- all records --------------------------------------------------------- */

typedef struct maker {
    const lk_texts_source *source;
    lk_texts texts;
    lk_buf *chunks; /* [n_chunks] */
    size_t n_chunks;
} maker;

static size_t chunk_end(const maker *m, size_t chunk)
{
    size_t end = (chunk + 1) * RECORDS_PER_CHUNK;

    return end < m->texts.n ? end : m->texts.n;
}

static int record_write(const maker *m, size_t record, lk_buf *buf,
                        linkd_error *err)
{
    const lk_texts_source *source = m->source;
    size_t side = record >= m->texts.n_left;
    size_t row = side ? record - m->texts.n_left : record;
    writer w = {.buf = buf};
    int rc = LINKD_OK;

    for (size_t i = 0; i < source->n_columns[side] && rc == LINKD_OK; i++) {
        linkd_cell cell = linkd_table_cell(source->tables[side], row,
                                           source->columns[side][i]);

        if (cell.kind != LINKD_CELL_MISSING)
            rc = cell_write(&w, (linkd_str){cell.bytes, cell.len}, err);
    }
    return rc;
}

/* Leaves in offsets[r + 1] how long record r is. */
static int chunk_task(void *ctx, size_t chunk, size_t worker, linkd_error *err)
{
    maker *m = ctx;
    lk_buf *buf = &m->chunks[chunk];
    int rc = LINKD_OK;

    (void)worker;
    for (size_t r = chunk * RECORDS_PER_CHUNK;
         r < chunk_end(m, chunk) && rc == LINKD_OK; r++) {
        size_t begin = buf->len;

        rc = record_write(m, r, buf, err);
        m->texts.offsets[r + 1] = buf->len - begin;
    }
    return rc;
}

static int chunks_join(maker *m, linkd_error *err)
{
    lk_texts *texts = &m->texts;

    for (size_t r = 0; r < texts->n; r++)
        texts->offsets[r + 1] += texts->offsets[r];
    texts->bytes = lk_alloc_aligned(texts->offsets[texts->n], 1);
    if (texts->bytes == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < m->n_chunks; i++) {
        if (m->chunks[i].len > 0)
            memcpy(texts->bytes + texts->offsets[i * RECORDS_PER_CHUNK],
                   m->chunks[i].data, m->chunks[i].len);
        lk_buf_clear(&m->chunks[i]);
    }
    return LINKD_OK;
}

static int maker_init(maker *m, const lk_texts_source *source, linkd_error *err)
{
    lk_texts *texts = &m->texts;

    *m = (maker){.source = source};
    texts->n_left = linkd_table_n_rows(source->tables[0]);
    texts->n = texts->n_left;
    if (source->tables[1] != NULL)
        texts->n += linkd_table_n_rows(source->tables[1]);
    m->n_chunks = (texts->n + RECORDS_PER_CHUNK - 1) / RECORDS_PER_CHUNK;
    m->chunks = calloc(m->n_chunks + 1, sizeof(*m->chunks));
    texts->offsets = calloc(texts->n + 1, sizeof(*texts->offsets));
    if (m->chunks == NULL || texts->offsets == NULL)
        return lk_fail_nomem(err);
    return LINKD_OK;
}

int lk_texts_make(const lk_texts_source *source, lk_pool *pool,
                  lk_texts *ret_texts, linkd_error *err)
{
    maker m;
    int rc = maker_init(&m, source, err);

    if (rc == LINKD_OK)
        rc = lk_pool_run(pool, m.n_chunks, chunk_task, &m, err);
    if (rc == LINKD_OK)
        rc = chunks_join(&m, err);
    for (size_t i = 0; m.chunks != NULL && i < m.n_chunks; i++)
        lk_buf_clear(&m.chunks[i]);
    free(m.chunks);
    if (rc == LINKD_OK)
        *ret_texts = m.texts;
    else
        lk_texts_clear(&m.texts);
    return rc;
}

void lk_texts_clear(lk_texts *texts)
{
    free(texts->offsets);
    free(texts->bytes);
    *texts = (lk_texts){0};
}
