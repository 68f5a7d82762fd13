/* A tokenizer.json of any bytes, and if it opens, a text under its rules. */
#include "encoder/tokenizer.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char text[] =
        "un\u00e9 \u4e2dA!\u1dfb\ua953 [SEP]\xff\x01"
        "<mask>  don't 12\tab \u00a9\u200d\ufb01 \u1112\u1161";
    linkd_str json = {(const char *)data, size};
    lk_tokenizer *tokenizer = NULL;
    lk_tokens tokens = {0};
    linkd_error err;

    if (lk_tokenizer_parse_json(json, &tokenizer, &err) != LINKD_OK)
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
