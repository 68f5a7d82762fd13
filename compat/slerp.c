/* compat/slerp.c — a query between the old model's and the mapped new one's. */
#include "compat/slerp.h"

#include <math.h>

#include "compat/compat.h"

/* Nearly the same direction: the two factors are the weights' limits. */
#define SINE_MIN 1e-6

void lk_slerp_parts(double cosine, double weight, double ret_parts[2])
{
    double angle = acos(fmin(fmax(cosine, -1.0), 1.0));
    double sine = sin(angle);

    ret_parts[0] = 1.0 - weight;
    ret_parts[1] = weight;
    if (sine > SINE_MIN) {
        ret_parts[0] = sin((1.0 - weight) * angle) / sine;
        ret_parts[1] = sin(weight * angle) / sine;
    }
}

void linkd_compat_slerp(const float *old_query, const float *new_query,
                        size_t dim, float weight, float *ret)
{
    double cosine = 0.0;
    double parts[2];

    for (size_t j = 0; j < dim; j++)
        cosine += (double)old_query[j] * (double)new_query[j];
    lk_slerp_parts(cosine, (double)weight, parts);
    for (size_t j = 0; j < dim; j++)
        ret[j] = (float)(parts[0] * (double)old_query[j] +
                         parts[1] * (double)new_query[j]);
}
