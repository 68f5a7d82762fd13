/* encoder/safetensors.h — named tensors in a .safetensors file. */
#ifndef LK_ENCODER_SAFETENSORS_H
#define LK_ENCODER_SAFETENSORS_H

#include "base/base.h"

#define LK_TENSOR_DIMS_MAX 8

/* Element types that can be read as numbers; the format's other types are
 * parsed, so that a file with an integer buffer in it opens. */
typedef enum lk_dtype {
    LK_DTYPE_F32,
    LK_DTYPE_F16,
    LK_DTYPE_BF16,
    LK_DTYPE_OTHER,
} lk_dtype;

/* Borrowed from its lk_safetensors; `data` has no alignment. */
typedef struct lk_tensor {
    const char *name;
    lk_dtype dtype;
    size_t n_dims;
    size_t shape[LK_TENSOR_DIMS_MAX];
    size_t n_elements;
    const uint8_t *data;
    size_t n_bytes;
} lk_tensor;

typedef struct lk_safetensors lk_safetensors;

/* Reads the header of a whole file in memory, as hostile input. `bytes` is
 * borrowed until lk_safetensors_free(); `name` is for messages.
 * LINKD_E_DATA: anything is not as the format says; the message begins with
 * `name`. */
LINKD_MUST_CHECK int lk_safetensors_parse(const uint8_t *bytes, size_t len,
                                          const char *name,
                                          lk_safetensors **ret_file,
                                          linkd_error *err);
void lk_safetensors_free(lk_safetensors *file);

size_t lk_safetensors_n_tensors(const lk_safetensors *file);
/* Tensors are in the order of their names. */
const lk_tensor *lk_safetensors_get(const lk_safetensors *file, size_t i);
/* NULL when there is none of that name. */
const lk_tensor *lk_safetensors_find(const lk_safetensors *file,
                                     const char *name);

/* Elements first … first + n - 1 as floats. The type is not LK_DTYPE_OTHER and
 * the range lies inside the tensor. */
void lk_tensor_read(const lk_tensor *tensor, size_t first, size_t n,
                    float *ret_values);

#endif
