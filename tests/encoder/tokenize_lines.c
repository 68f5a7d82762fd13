/* Prints the token ids of texts, for scripts/check-tokenizer-parity.
 *
 *   tokenize_lines MODEL_DIR MAX_TOKENS < texts > ids
 *
 * Texts end in a NUL byte each; the answer to a text is one line of ids. */
#include "encoder/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>

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

int main(int argc, char **argv)
{
    lk_tokenizer *tokenizer = NULL;
    linkd_error err;
    int rc;

    if (argc != 3) {
        fputs("usage: tokenize_lines MODEL_DIR MAX_TOKENS\n", stderr);
        return 2;
    }
    rc = lk_tokenizer_open(argv[1], &tokenizer, &err);
    if (rc == LINKD_OK)
        rc = texts_encode(tokenizer, strtoul(argv[2], NULL, 10), &err);
    lk_tokenizer_close(tokenizer);
    if (rc != LINKD_OK)
        fprintf(stderr, "tokenize_lines: %s\n", err.message);
    return rc == LINKD_OK ? 0 : 1;
}
