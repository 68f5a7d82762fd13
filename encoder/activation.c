/* encoder/activation.c — what config.json calls an activation function. The
 * names are those of transformers' ACT2FN, in which one function has several. */
#include "encoder/activation.h"

#include <string.h>

static const struct {
    const char *name;
    lk_activation activation;
} names[] = {
    {"gelu", LK_ACTIVATION_GELU},
    {"gelu_python", LK_ACTIVATION_GELU},
    {"gelu_new", LK_ACTIVATION_GELU_TANH},
    {"gelu_fast", LK_ACTIVATION_GELU_TANH},
    {"gelu_pytorch_tanh", LK_ACTIVATION_GELU_TANH},
    {"gelu_python_tanh", LK_ACTIVATION_GELU_TANH},
    {"quick_gelu", LK_ACTIVATION_QUICK_GELU},
};

int lk_activation_get(const json_t *json, const char *key,
                      lk_activation *activation, linkd_error *err)
{
    const json_t *value = json_object_get(json, key);
    const char *name = json_string_value(value);

    if (value == NULL)
        return LINKD_OK;
    if (name == NULL)
        return lk_fail(err, LINKD_E_DATA, "config.json: %s is not a text", key);
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (strcmp(name, names[i].name) == 0) {
            *activation = names[i].activation;
            return LINKD_OK;
        }
    return lk_fail(err, LINKD_E_DATA,
                   "config.json: %s \"%.60s\" is not supported, only gelu, "
                   "gelu_new, gelu_fast, gelu_pytorch_tanh and quick_gelu are",
                   key, name);
}
