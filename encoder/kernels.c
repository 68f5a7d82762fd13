/* encoder/kernels.c — which kernel table this processor runs.
 * The list is ordered from slow to fast. Precision will be its second
 * dimension: a table is one instruction set at one precision. */
#include "encoder/kernels.h"

#include <string.h>

#include "encoder/kernels_isa.h"

typedef struct tier {
    const lk_kernels *kernels;
    int (*is_supported)(void);
} tier;

static int always(void)
{
    return 1;
}

#if LK_HAVE_X86
static int has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static int has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl");
}
#endif

static const tier TIERS[] = {
    {&lk_kernels_scalar, always},
#if LK_HAVE_X86
    {&lk_kernels_avx2, has_avx2},
    {&lk_kernels_avx512, has_avx512},
#endif
};

static const size_t N_TIERS = sizeof(TIERS) / sizeof(TIERS[0]);

int lk_kernels_choose(const char *isa, const lk_kernels **ret_kernels,
                      linkd_error *err)
{
    for (size_t i = N_TIERS; i-- > 0;) {
        const tier *candidate = &TIERS[i];

        if (isa != NULL && strcmp(isa, candidate->kernels->isa) != 0)
            continue;
        if (candidate->is_supported()) {
            *ret_kernels = candidate->kernels;
            return LINKD_OK;
        }
        if (isa != NULL)
            return lk_fail(err, LINKD_E_ARG,
                           "this processor does not have %s, which LINKD_ISA "
                           "asks for",
                           isa);
    }
    return lk_fail(err, LINKD_E_ARG,
                   "unknown instruction set \"%s\" in LINKD_ISA: scalar, avx2 "
                   "and avx512 are known",
                   isa);
}

size_t lk_attention_scratch(const lk_kernels *kernels, const lk_heads *heads,
                            size_t n_tokens)
{
    size_t keys = lk_round_up(n_tokens, kernels->panel_width);
    size_t columns = lk_round_up(heads->head_dim, kernels->panel_width);

    return keys * heads->head_dim                       /* transposed keys */
           + n_tokens * columns                         /* values */
           + kernels->tile_rows * keys                  /* scores */
           + kernels->tile_rows * kernels->panel_width; /* weighted values */
}
