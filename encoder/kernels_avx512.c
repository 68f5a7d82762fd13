/* encoder/kernels_avx512.c — the kernels for AVX-512 (F, DQ, BW, VL).
 * The tile of 14 x 32 takes 28 of the 32 registers. 6 x 64 is as fast at many
 * rows and 6 % slower at eight (measured 2026-11-24, Zen 4),
 * so one shape serves long batches and a lone query. */
#include "encoder/kernels_avx512_vec.h"
#include "encoder/kernels_isa.h"

#define VEC_ISA       "avx512"
#define VEC_TABLE     lk_kernels_avx512
#define VEC_TILE_ROWS 14
#define VEC_TILE_VECS 2
#define VEC_STEP      STEP_FLOAT

#include "encoder/kernels_impl.h"
