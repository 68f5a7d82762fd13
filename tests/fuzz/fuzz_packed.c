/* A file of packed weights, whose image of a tokenizer is then put to work. The
 * hashes are made to hold, so that what is behind them is reached; the first
 * bytes may spoil one. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "encoder/packed.h"
#include "encoder/tokenizer_image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PAGE = 4096, HEADER_HASH_AT = 80, CONTENT_HASH_AT = 40 };

static void hash_put(uint8_t *at, const uint8_t *bytes, size_t len)
{
    const uint64_t hash = XXH3_64bits(bytes, len);

    memcpy(at, &hash, sizeof(hash));
}

static void tokenizer_use(lk_tokenizer *tokenizer)
{
    static const char text[] =
        "w1 ab\xc3\xa9 [SEP] \xff w2 <m>xb  don't \xef\xbc\xa1";
    lk_tokens tokens = {0};

    if (lk_tokenizer_encode(tokenizer, (linkd_str){text, sizeof(text) - 1}, 32,
                            &tokens, NULL) == LINKD_OK)
        for (size_t i = 0; i < tokens.n; i++)
            LK_ASSERT(tokens.ids[i] < lk_tokenizer_vocab_size(tokenizer));
    lk_tokens_clear(&tokens);
}

static void image_use(linkd_str image)
{
    lk_tokenizer *tokenizer = NULL;

    if (lk_tokenizer_image_read(image, &tokenizer, NULL) == LINKD_OK)
        tokenizer_use(tokenizer);
    lk_tokenizer_close(tokenizer);
}

static void packed_use(const lk_packed *packed)
{
    volatile float last = 0.0F;

    if (packed->n_floats > 0)
        last = packed->block[packed->n_floats - 1];
    (void)last;
    image_use(packed->tokenizer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const bool is_content_true = size > 0 && data[0] % 4 != 0;
    uint8_t *bytes = aligned_alloc(64, (size / 64 + 1) * 64);
    lk_packed packed = {0};
    lk_packed_key key = {0};

    if (bytes == NULL)
        return 0;
    if (size > 0)
        memcpy(bytes, data, size);
    image_use((linkd_str){(const char *)bytes, size}); /* it is aligned */
    if (size >= PAGE) {
        memcpy(bytes, "linkdpck", 8);
        memcpy(&key.low, bytes + 8, 8);
        memcpy(&key.high, bytes + 16, 8);
        if (is_content_true)
            hash_put(bytes + CONTENT_HASH_AT, bytes + PAGE, size - PAGE);
        hash_put(bytes + HEADER_HASH_AT, bytes, HEADER_HASH_AT);
    }
    if (lk_packed_parse(bytes, size, key, &packed))
        packed_use(&packed);
    free(bytes);
    return 0;
}
