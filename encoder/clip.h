/* encoder/clip.h — what makes CLIP two models in one: its tower for texts, whose
 * vectors lie in one space with those of its tower for pictures (vision.c), and
 * the fingerprint that says so. */
#ifndef LK_ENCODER_CLIP_H
#define LK_ENCODER_CLIP_H

#include "encoder/config.h"
#include "encoder/fingerprint.h"
#include "encoder/forward.h"
#include "encoder/stack.h"

/* {0} holds nothing. */
typedef struct lk_clip_text {
    lk_stack stack;
    const lk_tensor *words;  /* [vocab_size, dim], looked up in the file */
    const float *positions;  /* [max_tokens, lk_stride(dim)] */
    uint32_t end_id;         /* its first place is a text's vector … */
    bool is_end_the_largest; /* … or the largest id's is */
} lk_clip_text;

/* Packs the tower; its word table is looked up in the packer's weights.
 * LINKD_E_DATA: a tensor is missing or does not fit. LINKD_E_ARG: the kernels are
 * of int8. Whatever it answers, lk_clip_text_clear() frees all but the numbers. */
LINKD_MUST_CHECK int lk_clip_text_load(lk_packer *packer,
                                       const lk_config *config,
                                       lk_clip_text *ret_text,
                                       linkd_error *err);
void lk_clip_text_clear(lk_clip_text *text);

/* As lk_forward(). */
LINKD_MUST_CHECK int lk_clip_text_forward(const lk_clip_text *text,
                                          const lk_batch *batch,
                                          lk_scratch *scratch,
                                          float *ret_vectors, linkd_error *err);

/* Hashes what a fingerprint of both towers of a directory is over: the weights and
 * all files that change a vector of either. LINKD_E_IO, LINKD_E_NOMEM. */
LINKD_MUST_CHECK int lk_clip_hash(lk_fingerprint *fingerprint,
                                  const lk_weights *weights, const char *dir,
                                  linkd_error *err);

#endif
