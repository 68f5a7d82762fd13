/* encoder/kernels.c — which kernel table this processor runs.
 * A table is one instruction set at one precision; the list is ordered from
 * slow to fast. */
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

static int has_avx512_bf16(void)
{
    return has_avx512() && __builtin_cpu_supports("avx512bf16");
}
#endif

static const tier TIERS[] = {
    {&lk_kernels_scalar, always},
#if LK_HAVE_X86
    {&lk_kernels_avx2, has_avx2},
    {&lk_kernels_avx512, has_avx512},
    {&lk_kernels_avx512_bf16, has_avx512_bf16},
#endif
};

static const size_t N_TIERS = sizeof(TIERS) / sizeof(TIERS[0]);

static bool is_asked(const char *asked, const char *name)
{
    return asked == NULL || strcmp(asked, name) == 0;
}

static bool is_known(const char *isa, const char *precision)
{
    for (size_t i = 0; i < N_TIERS; i++)
        if (is_asked(isa, TIERS[i].kernels->isa) &&
            is_asked(precision, TIERS[i].kernels->precision))
            return true;
    return false;
}

static int fail_choice(const char *isa, const char *precision, linkd_error *err)
{
    if (!is_known(isa, NULL))
        return lk_fail(err, LINKD_E_ARG,
                       "unknown instruction set \"%s\" in LINKD_ISA: scalar, "
                       "avx2, avx512 and avx512_bf16 are known",
                       isa);
    if (!is_known(NULL, precision))
        return lk_fail(err, LINKD_E_ARG,
                       "unknown precision \"%s\": f32 and bf16 are known",
                       precision);
    if (!is_known(isa, precision))
        return lk_fail(err, LINKD_E_ARG,
                       "%s, which LINKD_ISA asks for, has no precision %s", isa,
                       precision);
    return lk_fail(err, LINKD_E_ARG, "this processor does not have %s%s",
                   isa != NULL ? isa : precision,
                   isa != NULL ? ", which LINKD_ISA asks for" : "");
}

int lk_kernels_choose(const char *isa, const char *precision,
                      const lk_kernels **ret_kernels, linkd_error *err)
{
    for (size_t i = N_TIERS; i-- > 0;) {
        const tier *candidate = &TIERS[i];

        if (is_asked(isa, candidate->kernels->isa) &&
            is_asked(precision, candidate->kernels->precision) &&
            candidate->is_supported()) {
            *ret_kernels = candidate->kernels;
            return LINKD_OK;
        }
    }
    return fail_choice(isa, precision, err);
}

size_t lk_panel_floats(const lk_kernels *kernels, size_t n_in)
{
    return kernels->panel_width *
           (kernels->weight_bytes == sizeof(float) ? n_in : (n_in + 1) / 2);
}

/* The inputs of a block of rows, rounded. */
size_t lk_linear_scratch(const lk_kernels *kernels, size_t n_in, size_t n_rows)
{
    if (kernels->weight_bytes == sizeof(float))
        return 0;
    return (n_rows < LK_BLOCK_ROWS ? n_rows : LK_BLOCK_ROWS) * lk_stride(n_in) /
           2;
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
