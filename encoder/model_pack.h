/* encoder/model_pack.h — a checkpoint's tensors, packed into one block: what the
 * loaders of all models share. */
#ifndef LK_ENCODER_MODEL_PACK_H
#define LK_ENCODER_MODEL_PACK_H

#include "encoder/kernels.h"
#include "encoder/weights.h"

#include <stdbool.h>

#define LK_LOG2_E 1.44269504088896340736

/* Parts of the block begin on cache lines. */
#define LK_LINE_FLOATS ((size_t)16)

/* All numbers of a model. {0} holds none. */
typedef struct lk_block {
    const float *floats; /* [n], 64-byte aligned */
    size_t n;
    float *owned; /* the same, or NULL: they are borrowed */
} lk_block;

void lk_block_clear(lk_block *block);

/* Which of a layer's inputs a pass may note. */
typedef enum lk_noted {
    LK_NOTED_PROJECTION,
    LK_NOTED_FFN_IN,
} lk_noted;

/* What loading needs besides the model. Who makes one fills the first four. */
typedef struct lk_packer {
    const lk_weights *weights;
    const lk_kernels *kernels;
    const float *ranges; /* lk_model's that a pass filled, or NULL */
    const char *prefix;  /* of all tensors' names: a checkpoint with a head has
                          * one; or "" */
    lk_block block;
    size_t n_taken; /* floats of it */
    size_t widest;  /* the widest row of all matrices so far */
    float *rows;    /* [panel_width, widest], before they are packed */
    /* The block has its numbers already, or is only measured, and may not be
     * written to: loaders take their parts of it as ever, and compute nothing. */
    bool is_packed;
} lk_packer;

/* A model to be loaded. */
typedef struct lk_pack_job {
    /* Fills the model, with its numbers from the packer: the same ones in the
     * same order each time. */
    int (*load)(lk_packer *packer, void *model, linkd_error *err);
    void (*clear)(void *model); /* all that load() makes, even half of it */
    void *model;
} lk_pack_job;

/* Loads twice: to see how large the block has to be, and into it. After a
 * failure the model is cleared. LINKD_E_NOMEM, and what load() fails with. */
LINKD_MUST_CHECK int lk_block_make(lk_packer *packer, const lk_pack_job *job,
                                   lk_block *ret_block, linkd_error *err);
/* Loads from the block of a model that was made before, [n]: borrows it, and
 * reads no numbers of tensors. LINKD_E_DATA also: it is not of that size. */
LINKD_MUST_CHECK int lk_block_place(lk_packer *packer, const lk_pack_job *job,
                                    const float *floats, size_t n,
                                    lk_block *ret_block, linkd_error *err);

/* Rows [first_row, first_row + n_rows_each) of tensors [.., n_columns], on top
 * of one another, each changed as its place among all of them says; the first
 * n_scaled are multiplied by a factor. */
typedef struct lk_matrix {
    const lk_tensor *parts[3];
    size_t n_parts;
    size_t first_row;
    size_t n_rows_each;
    size_t n_columns;
    void (*change)(const void *ctx, size_t row, float *values); /* or NULL */
    const void *change_ctx;
    size_t n_scaled;
    double factor;
    /* of int8: inputs are scaled, as their ranges [n_columns] ask for, or by 1
     * where these are NULL */
    bool scales_inputs;
    const float *ranges;
} lk_matrix;

/* The ranges of a layer's inputs, or NULL. */
const float *lk_pack_ranges(const lk_packer *packer, size_t dim, size_t layer,
                            lk_noted noted);

/* The next n floats of the block, zeroed unless it is packed; then they may be
 * NULL, and nobody reads them. */
float *lk_pack_take(lk_packer *packer, size_t n);

/* The tensor `<prefix><format>` of that shape; n_columns 0 is a vector.
 * LINKD_E_DATA: there is none. */
LK_PRINTF(6, 7)
LINKD_MUST_CHECK int lk_pack_tensor(const lk_packer *packer, size_t n_rows,
                                    size_t n_columns,
                                    const lk_tensor **ret_tensor,
                                    linkd_error *err, const char *format, ...);

/* The tensor of that name of n numbers, whatever its shape. LINKD_E_DATA. */
LK_PRINTF(5, 6)
LINKD_MUST_CHECK int lk_pack_numbers(const lk_packer *packer, size_t n,
                                     const lk_tensor **ret_tensor,
                                     linkd_error *err, const char *format, ...);
LK_PRINTF(2, 3)
bool lk_pack_has(const lk_packer *packer, const char *format, ...);

/* Of a packed block the values are there already, and nothing is read.
 * LINKD_E_DATA: a value is not finite, and would spread to every vector. */
LINKD_MUST_CHECK int lk_pack_values(const lk_packer *packer,
                                    const lk_tensor *tensor, size_t first,
                                    size_t n, float *ret_values,
                                    linkd_error *err);

/* Packs panel by panel, and gives the tensors' memory back. The bias is left
 * zero. LINKD_E_DATA as lk_pack_values(). */
LINKD_MUST_CHECK int lk_pack_matrix(lk_packer *packer, const lk_matrix *matrix,
                                    lk_linear *ret_linear, float **ret_bias,
                                    linkd_error *err);

/* Adds to the bias [n_out] what the matrix [n_out, n_in] makes of `shift`, which is
 * then left out of its inputs. Of a packed block nothing is read. LINKD_E_DATA as
 * above. */
LINKD_MUST_CHECK int lk_pack_shift(const lk_packer *packer,
                                   const lk_tensor *matrix, size_t n_out,
                                   const float *shift, size_t n_in, float *bias,
                                   linkd_error *err);

/* The norm `<prefix><name>.weight` and `.bias`. LINKD_E_DATA as above. */
LINKD_MUST_CHECK int lk_pack_norm(lk_packer *packer, const char *name,
                                  size_t width, float epsilon,
                                  lk_norm *ret_norm, linkd_error *err);

#endif
