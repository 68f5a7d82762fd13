/* encoder/forward.h — packed tokens to unit vectors. */
#ifndef LK_ENCODER_FORWARD_H
#define LK_ENCODER_FORWARD_H

#include "encoder/model.h"
#include "encoder/tokenizer.h"

/* One worker's memory for a forward pass; {0} is none yet. It holds, per token
 * of the largest batch so far, 2 * lk_stride(dim) + max(lk_stride(3 * dim),
 * lk_stride(n_inner)) floats, and the largest kernel's scratch. */
typedef struct lk_scratch {
    float *floats;
    size_t capacity;
} lk_scratch;

void lk_scratch_clear(lk_scratch *scratch);
/* Room for that many floats, whose contents may be lost. LINKD_E_NOMEM. */
LINKD_MUST_CHECK int lk_scratch_reserve(lk_scratch *scratch, size_t n_floats,
                                        linkd_error *err);

/* Sequences one after the other, with no padding between them. */
typedef struct lk_batch {
    const lk_tokens *sequences; /* each of 1 to max_tokens ids below the
                                 * model's vocabulary size */
    const size_t *starts; /* [n + 1] sums of the lengths before; only their
                           * differences count */
    size_t n;
} lk_batch;

/* All layers over one batch.
 *   ret_vectors [n, dim], or the dense layers' dim, every row of length 1
 * One call at a time per scratch. LINKD_E_NOMEM: the scratch cannot grow. */
LINKD_MUST_CHECK int lk_forward(const lk_model *model, lk_pooling pooling,
                                const lk_batch *batch, lk_scratch *scratch,
                                float *ret_vectors, linkd_error *err);

#endif
