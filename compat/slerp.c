/* compat/slerp.c — a query between the old model's and the mapped new one's. */
#include <math.h>

#include "compat/compat.h"

/* Nearly the same direction: the two coefficients are the weights' limits. */
#define SINE_MIN 1e-6

void linkd_compat_slerp(const float *old_query, const float *new_query,
                        size_t dim, float weight, float *ret)
{
    double cosine = 0.0;
    double w = (double)weight;
    double a = 1.0 - w;
    double b = w;
    double angle, sine;

    for (size_t j = 0; j < dim; j++)
        cosine += (double)old_query[j] * (double)new_query[j];
    angle = acos(fmin(fmax(cosine, -1.0), 1.0));
    sine = sin(angle);
    if (sine > SINE_MIN) {
        a = sin((1.0 - w) * angle) / sine;
        b = sin(w * angle) / sine;
    }
    for (size_t j = 0; j < dim; j++)
        ret[j] = (float)(a * (double)old_query[j] + b * (double)new_query[j]);
}
