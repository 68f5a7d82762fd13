/* encoder/self_check.h — whether a model bears int8. */
#ifndef LK_ENCODER_SELF_CHECK_H
#define LK_ENCODER_SELF_CHECK_H

#include "encoder/model.h"
#include "encoder/tokenizer.h"

/* Encodes a few fixed texts with `model` and with the same weights in f32, which
 * are packed for that and freed. LINKD_E_DATA: a cosine is below 0.99.
 * LINKD_E_NOMEM. */
LINKD_MUST_CHECK int lk_self_check(const lk_model *model,
                                   const lk_weights *weights,
                                   const lk_config *config,
                                   const lk_tokenizer *tokenizer,
                                   linkd_error *err);

#endif
