/* A vocab.txt and a tokenizer_config.json of any bytes, cut at the first NUL,
 * and if they open, a text under their rules. */
#include "encoder/tokenizer.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char text[] = "un\u00e9 \u4e2dA!\u1dfb\ua953 [SEP]\xff\x01";
    const uint8_t *cut = size > 0 ? memchr(data, 0, size) : NULL;
    size_t vocab_len = cut != NULL ? (size_t)(cut - data) : size;
    linkd_str vocab = {size > 0 ? (const char *)data : "", vocab_len};
    linkd_str config = {"", 0};
    lk_tokenizer *tokenizer = NULL;
    lk_tokens tokens = {0};
    linkd_error err;

    if (cut != NULL)
        config = (linkd_str){(const char *)cut + 1, size - vocab_len - 1};
    if (lk_tokenizer_parse_vocab(vocab, config, &tokenizer, &err) != LINKD_OK)
        return 0;
    if (lk_tokenizer_encode(tokenizer, (linkd_str){text, sizeof(text)}, 16,
                            &tokens, &err) == LINKD_OK) {
        LK_ASSERT(tokens.n <= 16);
        for (size_t i = 0; i < tokens.n; i++)
            LK_ASSERT(tokens.ids[i] < lk_tokenizer_vocab_size(tokenizer));
    }
    lk_tokens_clear(&tokens);
    lk_tokenizer_close(tokenizer);
    return 0;
}
