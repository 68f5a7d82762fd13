/* encoder/kernels_isa.h — the tables there are, one per kernels_<isa>.c. */
#ifndef LK_ENCODER_KERNELS_ISA_H
#define LK_ENCODER_KERNELS_ISA_H

#include "encoder/kernels.h"

#if defined(__x86_64__)
#define LK_HAVE_X86 1
#else
#define LK_HAVE_X86 0
#endif

/* Values of VEC_STEP, and of lk_kernels.step. */
#define STEP_FLOAT 1
#define STEP_PAIRS 2
#define STEP_BYTES 4

extern const lk_kernels lk_kernels_scalar;
extern const lk_kernels lk_kernels_scalar_bf16;
extern const lk_kernels lk_kernels_scalar_int8;
#if LK_HAVE_X86
extern const lk_kernels lk_kernels_avx2;
extern const lk_kernels lk_kernels_avx2_int8;
extern const lk_kernels lk_kernels_avx_vnni;
extern const lk_kernels lk_kernels_avx512;
extern const lk_kernels lk_kernels_avx512_bf16;
extern const lk_kernels lk_kernels_avx512_vnni;
#endif

#endif
