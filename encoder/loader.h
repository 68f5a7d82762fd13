/* encoder/loader.h — a checkpoint's tensors, read whole and packed for the
 * kernels: what the readers of pre-norm models (stack.h) share. */
#ifndef LK_ENCODER_LOADER_H
#define LK_ENCODER_LOADER_H

#include "encoder/kernels.h"
#include "encoder/weights.h"

/* Owns the numbers of a model. {0} holds none. */
typedef struct lk_arrays {
    void **arrays;
    size_t n;
    size_t capacity;
} lk_arrays;

void lk_arrays_clear(lk_arrays *arrays);

typedef struct lk_loader {
    const lk_weights *weights;
    const lk_kernels *kernels;
    lk_arrays *arrays;
    char prefix[32]; /* of the tensors' names */
    float *rows;     /* a matrix before it is packed: lk_loader_reserve() */
} lk_loader;

/* Room in `rows` for the widest of n matrices, given as pairs of n_out and n_in.
 * The caller frees `rows`. LINKD_E_NOMEM. */
LINKD_MUST_CHECK int lk_loader_reserve(lk_loader *loader, size_t n,
                                       const size_t (*shapes)[2],
                                       linkd_error *err);

/* n zeroed floats that the model owns; NULL: memory is out, and `err` says so. */
float *lk_loader_floats(lk_loader *loader, size_t n, linkd_error *err);

bool lk_loader_has(const lk_loader *loader, const char *name);

/* Reads a whole tensor of n numbers, whatever its shape. LINKD_E_DATA: there is
 * none, it has another size, or a value is not finite. */
LINKD_MUST_CHECK int lk_loader_read(const lk_loader *loader, const char *name,
                                    size_t n, float *ret_values,
                                    linkd_error *err);

/* Packs rows [n_out, n_in]; the bias is the model's, [lk_stride(n_out)]. */
LINKD_MUST_CHECK int lk_loader_linear(lk_loader *loader, size_t n_in,
                                      size_t n_out, const float *bias,
                                      lk_linear *ret_linear, linkd_error *err);

/* The norm `<name>.weight` and `<name>.bias`. */
LINKD_MUST_CHECK int lk_loader_norm(lk_loader *loader, const char *name,
                                    size_t width, float epsilon,
                                    lk_norm *ret_norm, linkd_error *err);

#endif
