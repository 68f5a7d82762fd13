/* encoder/clip.h — what makes CLIP two models in one: its tower for texts, whose
 * vectors lie in one space with those of its tower for pictures (vision.c), and
 * the fingerprint that says so. */
#ifndef LK_ENCODER_CLIP_H
#define LK_ENCODER_CLIP_H

#include "encoder/config.h"
#include "encoder/forward.h"
#include "encoder/stack.h"

/* {0} holds nothing. */
typedef struct lk_clip_text {
    lk_stack stack;
    const lk_tensor *words;  /* [vocab_size, dim], looked up in the file */
    const float *positions;  /* [max_tokens, lk_stride(dim)] */
    uint32_t end_id;         /* its first place is a text's vector … */
    bool is_end_the_largest; /* … or the largest id's is */
    lk_arrays arrays;        /* all numbers but `words` */
} lk_clip_text;

/* Packs the tower; it borrows `weights` for its word table. LINKD_E_DATA: a
 * tensor is missing or does not fit. LINKD_E_ARG: the kernels are of int8. */
LINKD_MUST_CHECK int lk_clip_text_load(const lk_weights *weights,
                                       const lk_config *config,
                                       const lk_kernels *kernels,
                                       lk_clip_text *ret_text,
                                       linkd_error *err);
void lk_clip_text_clear(lk_clip_text *text);

/* As lk_forward(). */
LINKD_MUST_CHECK int lk_clip_text_forward(const lk_clip_text *text,
                                          const lk_batch *batch,
                                          lk_scratch *scratch,
                                          float *ret_vectors, linkd_error *err);

/* One for both towers of a directory: over the weights and all files that change
 * a vector of either. LINKD_E_IO, LINKD_E_NOMEM. */
LINKD_MUST_CHECK int lk_clip_fingerprint(const lk_weights *weights,
                                         const char *dir, char ret_digits[],
                                         linkd_error *err);

#endif
