/* encoder/kernels_isa.h — the tables there are, one per kernels_<isa>.c. */
#ifndef LK_ENCODER_KERNELS_ISA_H
#define LK_ENCODER_KERNELS_ISA_H

#include "encoder/kernels.h"

#if defined(__x86_64__)
#define LK_HAVE_X86 1
#else
#define LK_HAVE_X86 0
#endif

extern const lk_kernels lk_kernels_scalar;
#if LK_HAVE_X86
extern const lk_kernels lk_kernels_avx2;
extern const lk_kernels lk_kernels_avx512;
extern const lk_kernels lk_kernels_avx512_bf16;
#endif

#endif
