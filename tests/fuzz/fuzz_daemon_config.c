/* A config file of any bytes. What is accepted is within its limits. */
#include <stdint.h>

#include "daemon/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    linkd_str text = {(const char *)data, size};
    lk_config config;
    linkd_error err;

    if (lk_config_init(&config, &err) != LINKD_OK)
        return 0;
    if (lk_config_parse(text, "config", &config, &err) == LINKD_OK) {
        LK_ASSERT(config.data[0] != '\0' && config.socket[0] != '\0');
        LK_ASSERT(config.socket_mode <= 0777);
        LK_ASSERT(config.max_body >= 1024 && config.max_connections >= 1);
        LK_ASSERT(config.idle_timeout_ms >= 1000);
        LK_ASSERT(config.log_level >= LK_LOG_ERROR &&
                  config.log_level <= LK_LOG_DEBUG);
    } else {
        LK_ASSERT(err.code == LINKD_E_ARG || err.code == LINKD_E_NOMEM);
    }
    lk_config_clear(&config);
    return 0;
}
