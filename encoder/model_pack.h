/* encoder/model_pack.h — a checkpoint's tensors, packed into one block: what the
 * loaders of all text transformers share. */
#ifndef LK_ENCODER_MODEL_PACK_H
#define LK_ENCODER_MODEL_PACK_H

#include "encoder/model.h"

#define LK_LOG2_E 1.44269504088896340736

/* Parts of the block begin on cache lines. */
#define LK_LINE_FLOATS ((size_t)16)

/* What loading needs besides the model. */
typedef struct lk_packer {
    const lk_weights *weights;
    const lk_kernels *kernels;
    const float *ranges; /* lk_model's that a pass filled, or NULL */
    const char *prefix;  /* of all tensors' names: a checkpoint with a head has
                         * one; or "" */
    float *next;         /* the unused rest of the block */
    float *end;          /* of the block */
    float *rows;         /* [panel_width, widest row], before they are packed */
    /* The block has its numbers already, and may not be written to: loaders take
     * their parts of it as ever, and compute nothing. */
    bool is_packed;
} lk_packer;

/* Rows [first_row, first_row + n_rows_each) of tensors [.., n_columns], on top
 * of one another; the first n_scaled of all are multiplied by a factor. */
typedef struct lk_matrix {
    const lk_tensor *parts[3];
    size_t n_parts;
    size_t first_row;
    size_t n_rows_each;
    size_t n_columns;
    size_t n_scaled;
    double factor;
    /* of int8: inputs are scaled, as their ranges [n_columns] ask for, or by 1
     * where these are NULL */
    bool scales_inputs;
    const float *ranges;
} lk_matrix;

/* Floats of the block that a linear layer takes, its bias included. */
size_t lk_pack_linear_floats(const lk_kernels *kernels, size_t n_in,
                             size_t n_out);
/* And what the scales of its inputs do, if its matrix asks for them. */
size_t lk_pack_scales_floats(const lk_kernels *kernels, size_t n_in);

/* The ranges of a layer's inputs, or NULL. */
const float *lk_pack_ranges(const lk_packer *packer, size_t dim, size_t layer,
                            lk_noted noted);

/* The next n floats of the block, zeroed unless it is packed. */
float *lk_pack_take(lk_packer *packer, size_t n);

/* The tensor `<prefix><format>` of that shape; n_columns 0 is a vector.
 * LINKD_E_DATA: there is none. */
LK_PRINTF(6, 7)
LINKD_MUST_CHECK int lk_pack_tensor(const lk_packer *packer, size_t n_rows,
                                    size_t n_columns,
                                    const lk_tensor **ret_tensor,
                                    linkd_error *err, const char *format, ...);

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

/* Loaders of a family: all numbers into a block of that many floats. */
size_t lk_bert_floats(const lk_kernels *kernels, const lk_config *config);
LINKD_MUST_CHECK int lk_bert_load(lk_packer *packer, const lk_config *config,
                                  lk_model *model, linkd_error *err);
size_t lk_modern_floats(const lk_kernels *kernels, const lk_config *config);
LINKD_MUST_CHECK int lk_modern_load(lk_packer *packer, const lk_config *config,
                                    lk_model *model, linkd_error *err);

#endif
