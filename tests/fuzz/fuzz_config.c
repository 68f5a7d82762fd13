/* A model's JSON files of any bytes. The first byte says which file the rest
 * is. What is accepted must be safe to compute with. */
#include <stdint.h>

#include "encoder/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void model_check(const uint8_t *bytes, size_t len)
{
    linkd_error err;
    lk_config config;

    if (lk_config_parse_model(bytes, len, &config, &err) != LINKD_OK)
        return;
    LK_ASSERT(config.n_heads > 0 && config.dim % config.n_heads == 0);
    LK_ASSERT(config.max_tokens >= 3);
    LK_ASSERT(config.max_tokens <= config.n_positions);
    LK_ASSERT(config.norm_epsilon >= 0.0F);
}

static void modules_check(const uint8_t *bytes, size_t len)
{
    linkd_error err;
    lk_config config = {0};
    lk_buf dir = {0};

    if (lk_config_parse_modules(bytes, len, &config, &dir, &err) == LINKD_OK)
        for (size_t i = 0; i < dir.len; i++)
            LK_ASSERT(dir.data[i] != '/');
    lk_buf_clear(&dir);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lk_config config = {.dim = 48, .n_positions = 64, .max_tokens = 64};
    lk_dense_config dense = {.n_out = 0};
    bool is_set = false;
    linkd_error err;

    if (size == 0)
        return 0;
    switch (data[0]) {
    case 'c':
        model_check(data + 1, size - 1);
        break;
    case 'm':
        modules_check(data + 1, size - 1);
        break;
    case 'd':
        (void)!lk_config_parse_dense(data + 1, size - 1, "d", 48, &dense, &err);
        break;
    case 't':
        if (lk_config_parse_tokenizer(data + 1, size - 1, true, &config,
                                      &err) == LINKD_OK)
            LK_ASSERT(config.max_tokens >= 3 && config.max_tokens <= 64);
        break;
    case 'p':
        (void)!lk_config_parse_pooling(data + 1, size - 1, "p", &config, &err);
        break;
    default:
        if (lk_config_parse_limit(data + 1, size - 1, &config, &is_set, &err) ==
            LINKD_OK)
            LK_ASSERT(config.max_tokens >= 3 && config.max_tokens <= 64);
    }
    return 0;
}
