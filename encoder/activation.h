/* encoder/activation.h — a model's activation function, by what config.json calls
 * it. */
#ifndef LK_ENCODER_ACTIVATION_H
#define LK_ENCODER_ACTIVATION_H

#include <jansson.h>

#include "encoder/kernels.h"

/* The function that `key` names, in the words of transformers; if there is no such
 * member, `*activation` stays as it is. LINKD_E_DATA: it is none of those that are
 * supported. */
LINKD_MUST_CHECK int lk_activation_get(const json_t *json, const char *key,
                                       lk_activation *activation,
                                       linkd_error *err);

#endif
