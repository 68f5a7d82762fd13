/* encoder/vision_swin.h — Swin (Liu et al. 2021, "Swin Transformer: Hierarchical
 * Vision Transformer using Shifted Windows"): a picture's patches in a grid,
 * whose layers attend inside small windows; from stage to stage four rows become
 * one of twice the width. */
#ifndef LK_ENCODER_VISION_SWIN_H
#define LK_ENCODER_VISION_SWIN_H

#include "encoder/vision_config.h"
#include "encoder/vision_pixels.h"

/* In a window's list of rows: a place beyond the grid. */
#define LK_SWIN_OUTSIDE UINT32_MAX

typedef struct lk_swin_stage {
    lk_stack stack;          /* of the last stage with the model's final norm */
    size_t n_down, n_across; /* rows of the grid */
    size_t n_windows_down, n_windows_across;
    /* The grid's rows as windows hold them, one window after the other: where
     * the grid begins, and shifted by half a window; NULL: there is one window
     * to a side, which is never shifted. */
    uint32_t *places, *shifted_places;
    const float *masks;  /* [4][n, n] of shifted windows, n rows to a window: 1
                          * for the last ones across + 2 for the last ones down */
    const float *biases; /* [n_layers][n_heads][n, n], times log2(e) */
    lk_norm merge_norm;  /* of four rows in one; width 0: the last stage */
    lk_linear merge;
} lk_swin_stage;

/* {0} holds nothing. */
typedef struct lk_swin {
    lk_pixels patches;
    lk_norm patch_norm;
    size_t window_rows; /* the square of the window's side */
    lk_swin_stage stages[LK_SWIN_STAGES_MAX];
    size_t n_stages;
} lk_swin;

/* Packs the weights for pictures as `preparation` leaves them, of any size that
 * no stage's grid gets too small for a window. LINKD_E_DATA: one does, a tensor
 * is missing or does not fit, or a value is not finite. Whatever it answers,
 * lk_swin_clear() frees all but the numbers. */
LINKD_MUST_CHECK int lk_swin_load(lk_packer *packer,
                                  const lk_vision_config *config,
                                  const lk_preparation *preparation,
                                  lk_swin *ret_swin, linkd_error *err);
void lk_swin_clear(lk_swin *swin);

/* Numbers of a vector. */
size_t lk_swin_dim(const lk_swin *swin);

/* Floats of scratch that one forward pass needs, 64-byte aligned. */
size_t lk_swin_scratch(const lk_swin *swin);

/* One prepared picture to its unit vector [lk_swin_dim()]: that along the mean of
 * the last stage's rows. */
void lk_swin_forward(const lk_swin *swin, const linkd_image *image,
                     float *scratch, float *ret_vector);

#endif
