/* encoder/dense.h — the linear layers that some models of sentence-transformers
 * put behind the pooling (LaBSE, distiluse): 2_Dense/config.json and its
 * weights. */
#ifndef LK_ENCODER_DENSE_H
#define LK_ENCODER_DENSE_H

#include "encoder/config.h"
#include "encoder/model_pack.h"

/* {0} is no layer. */
typedef struct lk_dense {
    const lk_kernels *kernels;
    size_t n;
    lk_dense_activation activations[LK_DENSE_MAX];
    lk_weights weights[LK_DENSE_MAX];
    lk_linear layers[LK_DENSE_MAX];
    lk_block blocks[LK_DENSE_MAX];
    size_t dim; /* of the last one's outputs */
} lk_dense;

/* Opens the weights of the layers that `config` names; after a failure, too,
 * lk_dense_close() frees what there is. LINKD_E_IO, LINKD_E_DATA. */
LINKD_MUST_CHECK int lk_dense_open(const char *dir, const lk_config *config,
                                   lk_dense *dense, linkd_error *err);
/* Packs them. LINKD_E_DATA: a tensor is missing or has another shape. */
LINKD_MUST_CHECK int lk_dense_load(lk_dense *dense, const lk_config *config,
                                   const lk_kernels *kernels, linkd_error *err);
void lk_dense_close(lk_dense *dense);

/* Floats of scratch for one vector. */
size_t lk_dense_scratch(const lk_dense *dense);

/* All layers over one pooled vector, to length 1.
 *   pooled      [lk_stride(n_in)], the first layer's input
 *   scratch     lk_dense_scratch() floats, 64-byte aligned
 *   ret_vector  [dim] */
void lk_dense_run(const lk_dense *dense, const float *pooled, float *scratch,
                  float *ret_vector);

#endif
