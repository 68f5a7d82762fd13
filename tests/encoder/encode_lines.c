/* tests/encoder/encode_lines.c — encodes the lines of standard input.
 *
 *   encode_lines MODEL_DIR WORKERS < lines.txt > vectors.f32
 *
 * Writes float [lines, dim] in the machine's byte order; scripts compare it
 * with the reference implementation. What was encoded goes to standard error.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encoder/encoder.h"

/* Standard input as a whole. */
static int input_read(lk_buf *ret_text, linkd_error *err)
{
    char bytes[65536];
    size_t n;

    while ((n = fread(bytes, 1, sizeof(bytes), stdin)) > 0) {
        int rc = lk_buf_append(ret_text, bytes, n, err);

        if (rc != LINKD_OK)
            return rc;
    }
    return LINKD_OK;
}

/* Points into `text`; a last line needs no line end. */
static int lines_split(const lk_buf *text, linkd_str **ret_lines, size_t *ret_n,
                       linkd_error *err)
{
    size_t capacity = 0;
    size_t n = 0;

    for (size_t at = 0; at < text->len; n++) {
        const char *begin = text->data + at;
        const char *end = memchr(begin, '\n', text->len - at);
        size_t len = end != NULL ? (size_t)(end - begin) : text->len - at;
        int rc = lk_grow((void **)ret_lines, &capacity, n + 1,
                         sizeof(**ret_lines), err);

        if (rc != LINKD_OK)
            return rc;
        (*ret_lines)[n] = (linkd_str){begin, len};
        at += len + 1;
    }
    *ret_n = n;
    return LINKD_OK;
}

static int encode(linkd_encoder *encoder, lk_pool *pool, linkd_error *err)
{
    const size_t dim = linkd_encoder_describe(encoder)->dim;
    linkd_encode_stats stats = {0};
    linkd_str *lines = NULL;
    float *vectors = NULL;
    lk_buf text = {0};
    size_t n = 0;
    uint64_t start_ns;
    int rc = input_read(&text, err);

    if (rc == LINKD_OK)
        rc = lines_split(&text, &lines, &n, err);
    if (rc != LINKD_OK)
        goto done;
    vectors = lk_alloc_aligned(n * dim + 1, sizeof(*vectors));
    if (vectors == NULL) {
        rc = lk_fail_nomem(err);
        goto done;
    }
    start_ns = lk_clock_ns();
    rc = linkd_encoder_encode(encoder, pool, lines, n, vectors, &stats, err);
    if (rc != LINKD_OK)
        goto done;
    fprintf(stderr,
            "%zu texts, %zu tokens, %zu cut, %.3f s, tokenizer %.3f s\n",
            (size_t)stats.n_texts, (size_t)stats.n_tokens,
            (size_t)stats.n_truncated, lk_clock_seconds_since(start_ns),
            stats.tokenize_seconds);
    if (fwrite(vectors, sizeof(*vectors), n * dim, stdout) != n * dim)
        rc = lk_fail(err, LINKD_E_IO, "could not write the vectors");
done:
    free(vectors);
    free(lines);
    lk_buf_clear(&text);
    return rc;
}

int main(int argc, char **argv)
{
    linkd_encoder *encoder = NULL;
    lk_pool *pool = NULL;
    linkd_error err = {0};
    int rc;

    if (argc != 3) {
        fprintf(stderr, "usage: encode_lines MODEL_DIR WORKERS\n");
        return 2;
    }
    rc = linkd_encoder_open(argv[1], NULL, &encoder, &err);
    if (rc == LINKD_OK)
        rc = lk_pool_new(strtoul(argv[2], NULL, 10), &pool, &err);
    if (rc == LINKD_OK)
        rc = encode(encoder, pool, &err);
    if (rc != LINKD_OK)
        fprintf(stderr, "encode_lines: %s\n", err.message);
    lk_pool_free(pool);
    linkd_encoder_close(encoder);
    return rc == LINKD_OK ? 0 : 1;
}
