/* CLIP's vocab.json, merges.txt and tokenizer_config.json of any bytes, with a NUL
 * byte between each, and if they open, a text under their rules. */
#include "encoder/tokenizer.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Cuts what is before the next NUL byte off `rest`. */
static linkd_str part_cut(linkd_str *rest)
{
    const char *end = memchr(rest->bytes, '\0', rest->len);
    const size_t len = end != NULL ? (size_t)(end - rest->bytes) : rest->len;
    const linkd_str part = {rest->bytes, len};
    const size_t n_read = end != NULL ? len + 1 : len;

    rest->bytes += n_read;
    rest->len -= n_read;
    return part;
}

static void tokenizer_use(const lk_tokenizer *tokenizer)
{
    static const char text[] =
        "AB a<|endoftext|>\xc3\xa9 <|STARTOFTEXT|>b's\xff";
    lk_tokens tokens = {0};

    if (lk_tokenizer_encode(tokenizer, (linkd_str){text, sizeof(text)}, 16,
                            &tokens, NULL) == LINKD_OK)
        for (size_t i = 0; i < tokens.n; i++)
            LK_ASSERT(tokens.ids[i] < lk_tokenizer_vocab_size(tokenizer));
    lk_tokens_clear(&tokens);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    linkd_str rest = {size > 0 ? (const char *)data : "", size};
    const linkd_str vocab = part_cut(&rest);
    const linkd_str merges = part_cut(&rest);
    lk_tokenizer *tokenizer = NULL;
    linkd_error err;

    if (lk_tokenizer_parse_clip(vocab, merges, rest, &tokenizer, &err) ==
        LINKD_OK)
        tokenizer_use(tokenizer);
    lk_tokenizer_close(tokenizer);
    return 0;
}
