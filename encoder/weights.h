/* encoder/weights.h — a model directory's weights: one .safetensors file, or
 * several with an index. */
#ifndef LK_ENCODER_WEIGHTS_H
#define LK_ENCODER_WEIGHTS_H

#include "encoder/file.h"
#include "encoder/safetensors.h"

/* One mapped file and its tensors. */
typedef struct lk_weights_part {
    lk_file file;
    lk_safetensors *tensors;
} lk_weights_part;

/* {0} holds nothing. */
typedef struct lk_weights {
    lk_weights_part *parts; /* in the order of their file names */
    size_t n_parts;
} lk_weights;

/* Maps `dir`'s weights. LINKD_E_IO: a file cannot be read. LINKD_E_DATA: a file
 * is damaged, or the directory holds pickled weights only. */
LINKD_MUST_CHECK int lk_weights_open(const char *dir, lk_weights *ret_weights,
                                     linkd_error *err);
void lk_weights_close(lk_weights *weights);

/* The tensor of that name with exactly that shape (n_columns 0: a vector) and a
 * type that reads as numbers. LINKD_E_DATA: there is none. */
LINKD_MUST_CHECK int lk_weights_get(const lk_weights *weights, const char *name,
                                    size_t n_rows, size_t n_columns,
                                    const lk_tensor **ret_tensor,
                                    linkd_error *err);
/* NULL when there is none of that name. */
const lk_tensor *lk_weights_find(const lk_weights *weights, const char *name);

/* Numbers in all tensors together. */
size_t lk_weights_n_parameters(const lk_weights *weights);

#endif
