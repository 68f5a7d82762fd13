/* encoder/kernels.c — which kernel table this processor runs.
 * A table is one instruction set at one precision; the list is ordered from
 * slow to fast. Every precision has a table in plain C, the reference for the
 * others; that of bf16 is slower than any f32, so it has to be named. */
#include "encoder/kernels.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#include <stdlib.h>
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

/* Compilers of 2022 know no name for it. */
static int has_avx_vnni(void)
{
    unsigned a, b, c, d;

    return has_avx2() && __get_cpuid_count(7, 1, &a, &b, &c, &d) &&
           (a >> 4 & 1U) != 0;
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

static int has_avx512_vnni(void)
{
    return has_avx512() && __builtin_cpu_supports("avx512vnni");
}
#endif

static const tier TIERS[] = {
    {&lk_kernels_scalar_bf16, always},
    {&lk_kernels_scalar, always},
    {&lk_kernels_scalar_int8, always},
#if LK_HAVE_X86
    {&lk_kernels_avx2, has_avx2},
    {&lk_kernels_avx2_int8, has_avx2},
    {&lk_kernels_avx_vnni, has_avx_vnni},
    {&lk_kernels_avx512, has_avx512},
    {&lk_kernels_avx512_bf16, has_avx512_bf16},
    {&lk_kernels_avx512_vnni, has_avx512_vnni},
#endif
};

static const size_t N_TIERS = sizeof(TIERS) / sizeof(TIERS[0]);

static bool is_asked(const char *asked, const char *name)
{
    return asked == NULL || strcmp(asked, name) == 0;
}

/* int8 changes vectors by more than rounding, so nobody gets it unasked. */
static bool is_precise(const char *asked, const char *name)
{
    return asked == NULL ? strcmp(name, "int8") != 0 : strcmp(asked, name) == 0;
}

/* A reference that is slower than any f32 is no answer to "the fastest". */
static bool has_name(const char *isa, const lk_kernels *kernels)
{
    return isa != NULL || kernels != &lk_kernels_scalar_bf16;
}

static bool is_known(const char *isa)
{
    for (size_t i = 0; i < N_TIERS; i++)
        if (is_asked(isa, TIERS[i].kernels->isa))
            return true;
    return false;
}

static bool is_known_at(const char *isa, const char *precision)
{
    for (size_t i = 0; i < N_TIERS; i++)
        if (is_asked(isa, TIERS[i].kernels->isa) &&
            is_precise(precision, TIERS[i].kernels->precision))
            return true;
    return false;
}

static int fail_choice(const char *isa, const char *precision, linkd_error *err)
{
    if (!is_known(isa))
        return lk_fail(err, LINKD_E_ARG,
                       "unknown instruction set \"%s\" in LINKD_ISA: scalar, "
                       "avx2, avx_vnni, avx512, avx512_bf16 and avx512_vnni "
                       "are known",
                       isa);
    if (!is_known_at(NULL, precision))
        return lk_fail(err, LINKD_E_ARG,
                       "unknown precision \"%s\": f32, bf16 and int8 are known",
                       precision);
    if (!is_known_at(isa, precision))
        return lk_fail(err, LINKD_E_ARG,
                       "%s, which LINKD_ISA asks for, has no precision %s", isa,
                       precision != NULL ? precision : "f32 or bf16");
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
            is_precise(precision, candidate->kernels->precision) &&
            has_name(isa, candidate->kernels) && candidate->is_supported()) {
            *ret_kernels = candidate->kernels;
            return LINKD_OK;
        }
    }
    return fail_choice(isa, precision, err);
}

/* What a variable of the environment asks for, or NULL. */
static const char *wanted(const char *variable)
{
    const char *value = getenv(variable);

    return value != NULL && value[0] != '\0' ? value : NULL;
}

int lk_kernels_wanted(const char *precision, const lk_kernels **ret_kernels,
                      linkd_error *err)
{
    if (precision == NULL)
        precision = wanted("LINKD_PRECISION");
    if (precision != NULL && strcmp(precision, "auto") == 0)
        precision = NULL;
    return lk_kernels_choose(wanted("LINKD_ISA"), precision, ret_kernels, err);
}

size_t lk_panel_floats(const lk_kernels *kernels, size_t n_in)
{
    size_t n_steps = (n_in + kernels->step - 1) / kernels->step;

    if (kernels->step == STEP_BYTES) /* scales and sums, too */
        n_steps = lk_stride(n_in) / kernels->step + 2;
    return kernels->panel_width * n_steps;
}

/* The inputs of a block of rows, rounded; of bytes also a code a row, and two rows
 * before they are rounded. */
size_t lk_linear_scratch(const lk_kernels *kernels, size_t n_in, size_t n_rows)
{
    const size_t height = n_rows < LK_BLOCK_ROWS ? n_rows : LK_BLOCK_ROWS;
    const size_t inputs = height * lk_stride(n_in) / kernels->step;

    if (kernels->step == STEP_FLOAT)
        return 0;
    if (kernels->step == STEP_PAIRS)
        return inputs;
    return inputs + 2 * LK_BLOCK_ROWS + 2 * lk_stride(n_in);
}

size_t lk_attention_scratch(const lk_kernels *kernels, const lk_heads *heads,
                            size_t n_tokens)
{
    const size_t step = kernels->step == STEP_PAIRS ? 2 : 1;
    const size_t dim = heads->head_dim;
    const size_t keys = lk_round_up(n_tokens, kernels->panel_width);
    const size_t columns = lk_round_up(dim, kernels->panel_width);

    return keys * ((dim + step - 1) / step)            /* transposed keys */
           + (n_tokens + step - 1) / step * columns    /* values */
           + kernels->tile_rows * keys                 /* scores */
           + kernels->tile_rows * kernels->panel_width /* weighted values */
           +
           (step - 1) * kernels->tile_rows * columns / 2; /* rounded queries */
}
