/* Prints the token ids of texts, for scripts/check-tokenizer-parity.
 *
 *   tokenize_lines [--image] MODEL_DIR MAX_TOKENS < texts > ids
 *
 * Texts end in a NUL byte each; the answer to a text is one line of ids. With
 * --image it is that of the tokenizer's image, as packed models have it. */
#include "encoder/tokenizer_image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void ids_print(const lk_tokens *tokens)
{
    for (size_t i = 0; i < tokens->n; i++)
        printf(i > 0 ? " %u" : "%u", (unsigned)tokens->ids[i]);
    putchar('\n');
}

static int texts_encode(const lk_tokenizer *tokenizer, size_t max_tokens,
                        linkd_error *err)
{
    lk_tokens tokens = {0};
    char *text = NULL;
    size_t capacity = 0;
    ssize_t len;
    int rc = LINKD_OK;

    while (rc == LINKD_OK && (len = getdelim(&text, &capacity, 0, stdin)) > 0) {
        linkd_str one = {text, (size_t)len - 1};

        rc = lk_tokenizer_encode(tokenizer, one, max_tokens, &tokens, err);
        if (rc == LINKD_OK)
            ids_print(&tokens);
    }
    free(text);
    lk_tokens_clear(&tokens);
    return rc;
}

/* The tokenizer, or what its image gives, which borrows `image`. */
static int tokenizer_open(const char *dir, bool by_image, lk_buf *image,
                          lk_tokenizer **ret_tokenizer, linkd_error *err)
{
    lk_tokenizer *made = NULL;
    int rc = lk_tokenizer_open(dir, &made, err);

    if (rc != LINKD_OK || !by_image) {
        *ret_tokenizer = made;
        return rc;
    }
    rc = lk_tokenizer_image_write(made, image, err);
    lk_tokenizer_close(made);
    if (rc == LINKD_OK)
        rc = lk_tokenizer_image_read((linkd_str){image->data, image->len},
                                     ret_tokenizer, err);
    return rc;
}

int main(int argc, char **argv)
{
    const bool by_image = argc == 4 && strcmp(argv[1], "--image") == 0;
    lk_tokenizer *tokenizer = NULL;
    lk_buf image = {0};
    linkd_error err;
    int rc;

    if (argc != 3 && !by_image) {
        fputs("usage: tokenize_lines [--image] MODEL_DIR MAX_TOKENS\n", stderr);
        return 2;
    }
    rc = tokenizer_open(argv[argc - 2], by_image, &image, &tokenizer, &err);
    if (rc == LINKD_OK)
        rc = texts_encode(tokenizer, strtoul(argv[argc - 1], NULL, 10), &err);
    lk_tokenizer_close(tokenizer);
    lk_buf_clear(&image);
    if (rc != LINKD_OK)
        fprintf(stderr, "tokenize_lines: %s\n", err.message);
    return rc == LINKD_OK ? 0 : 1;
}
