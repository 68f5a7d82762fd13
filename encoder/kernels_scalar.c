/* encoder/kernels_scalar.c — the kernels in plain C, the reference for the
 * other tiers and the way to run on any processor. Slow where the processor
 * has no fused multiply-add, since libm then works it out in software. */
#include "encoder/kernels_isa.h"
#include "encoder/kernels_scalar_vec.h"

#define VEC_ISA       "scalar"
#define VEC_TABLE     lk_kernels_scalar
#define VEC_TILE_ROWS 1
#define VEC_TILE_VECS 1
#define VEC_STEP      STEP_FLOAT

#include "encoder/kernels_impl.h"
