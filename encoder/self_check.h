/* encoder/self_check.h — whether a model bears int8. */
#ifndef LK_ENCODER_SELF_CHECK_H
#define LK_ENCODER_SELF_CHECK_H

#include "encoder/model.h"
#include "encoder/tokenizer.h"

/* lk_model_load() of int8: encodes a few fixed texts with the same weights in
 * f32, which are packed for that and freed; packs them as the ranges of these
 * texts' inputs ask for; and encodes the texts again. LINKD_E_DATA also: a cosine
 * is below 0.99. */
LINKD_MUST_CHECK int lk_checked_load(const lk_weights *weights,
                                     const lk_config *config,
                                     const lk_kernels *kernels,
                                     const lk_tokenizer *tokenizer,
                                     lk_model *ret_model, linkd_error *err);

#endif
