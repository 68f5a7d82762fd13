/* encoder/kernels_avx2.c — the kernels for AVX2 with FMA.
 * The tile of 6 x 16 takes 12 of the 16 registers, which leaves two for the
 * weights and one for the input. */
#include "encoder/kernels_avx2_vec.h"
#include "encoder/kernels_isa.h"

#define VEC_ISA       "avx2"
#define VEC_TABLE     lk_kernels_avx2
#define VEC_TILE_ROWS 6
#define VEC_TILE_VECS 1
#define VEC_STEP      STEP_FLOAT

#include "encoder/kernels_impl.h"
