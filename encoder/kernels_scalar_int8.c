/* encoder/kernels_scalar_int8.c — the kernels of int8 in plain C, the reference
 * for the other tiers. */
#include "encoder/kernels_isa.h"
#include "encoder/kernels_scalar_vec.h"

#define VEC_ISA       "scalar"
#define VEC_TABLE     lk_kernels_scalar_int8
#define VEC_TILE_ROWS 1
#define VEC_TILE_VECS 1
#define VEC_STEP      STEP_BYTES

static inline int32_t dot(float inputs, float weights)
{
    uint8_t a[4];
    int8_t b[4];
    int32_t sum = 0;

    memcpy(a, &inputs, sizeof(a));
    memcpy(b, &weights, sizeof(b));
    for (int i = 0; i < 4; i++)
        sum += a[i] * b[i];
    return sum;
}

static inline vec vec_dot(vec a, vec b, vec c)
{
    int32_t sums[16];

    memcpy(sums, &c, sizeof(sums));
    for (int i = 0; i < 16; i++)
        sums[i] += dot(a.lane[i], b.lane[i]);
    memcpy(&c, sums, sizeof(c));
    return c;
}

static inline vec vec_of_integers(vec v)
{
    int32_t integers[16];

    memcpy(integers, &v, sizeof(integers));
    for (int i = 0; i < 16; i++)
        v.lane[i] = (float)integers[i];
    return v;
}

static inline vec vec_merge_bytes(vec a, vec b, vec c, vec d)
{
    const vec parts[4] = {a, b, c, d};
    vec merged;

    for (size_t i = 0; i < 16; i++) {
        uint8_t bytes[4];

        for (size_t j = 0; j < 4; j++) {
            uint32_t bits;

            memcpy(&bits, &parts[j].lane[i], sizeof(bits));
            bytes[j] = (uint8_t)bits;
        }
        memcpy(&merged.lane[i], bytes, sizeof(bytes));
    }
    return merged;
}

#include "encoder/kernels_impl.h"
