/* encoder/kernels_scalar_vec.h — 16 floats in plain C, for the tables that are
 * made of them. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct vec {
    float lane[16];
} vec;

static inline vec vec_load(const float *from)
{
    vec v;

    memcpy(&v, from, sizeof(v));
    return v;
}

static inline void vec_store(float *to, vec v)
{
    memcpy(to, &v, sizeof(v));
}

static inline vec vec_set(float x)
{
    vec v;

    for (int i = 0; i < 16; i++)
        v.lane[i] = x;
    return v;
}

static inline vec vec_add(vec a, vec b)
{
    for (int i = 0; i < 16; i++)
        a.lane[i] += b.lane[i];
    return a;
}

static inline vec vec_sub(vec a, vec b)
{
    for (int i = 0; i < 16; i++)
        a.lane[i] -= b.lane[i];
    return a;
}

static inline vec vec_mul(vec a, vec b)
{
    for (int i = 0; i < 16; i++)
        a.lane[i] *= b.lane[i];
    return a;
}

static inline vec vec_div(vec a, vec b)
{
    for (int i = 0; i < 16; i++)
        a.lane[i] /= b.lane[i];
    return a;
}

static inline vec vec_fma(vec a, vec b, vec c)
{
    for (int i = 0; i < 16; i++)
        c.lane[i] = fmaf(a.lane[i], b.lane[i], c.lane[i]);
    return c;
}

static inline vec vec_min(vec a, vec b)
{
    for (int i = 0; i < 16; i++)
        b.lane[i] = a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i];
    return b;
}

static inline vec vec_max(vec a, vec b)
{
    for (int i = 0; i < 16; i++)
        b.lane[i] = a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i];
    return b;
}

static inline vec vec_first(vec v, size_t n)
{
    for (size_t i = n; i < 16; i++)
        v.lane[i] = 0.0F;
    return v;
}

static inline void vec_zip(vec a, vec b, vec ret_both[2])
{
    for (size_t i = 0; i < 16; i++) {
        ret_both[i / 8].lane[i % 8 * 2] = a.lane[i];
        ret_both[i / 8].lane[i % 8 * 2 + 1] = b.lane[i];
    }
}

static inline vec vec_shift_exponent(vec v, vec n)
{
    uint32_t bits[16];
    uint32_t shift[16];

    memcpy(bits, &v, sizeof(bits));
    memcpy(shift, &n, sizeof(shift));
    for (int i = 0; i < 16; i++)
        bits[i] += shift[i] << 23;
    memcpy(&v, bits, sizeof(v));
    return v;
}

static inline float vec_sum(vec v)
{
    for (int half = 8; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            v.lane[i] += v.lane[i + half];
    return v.lane[0];
}

static inline float vec_largest(vec v)
{
    for (int half = 8; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            v.lane[i] =
                v.lane[i] > v.lane[i + half] ? v.lane[i] : v.lane[i + half];
    return v.lane[0];
}
