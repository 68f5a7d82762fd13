/* compat/adam.c — AdamW: Adam (Kingma and Ba 2015) with the decay of values
 * apart from the gradient (Loshchilov and Hutter 2019, algorithm 2). */
#include "compat/adam.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The values that the paper recommends. */
#define KEEP_FIRST  0.9
#define KEEP_SECOND 0.999
#define EPSILON     1e-8F

int lk_adam_init(lk_adam *adam, size_t n, linkd_error *err)
{
    lk_adam made = {.first = lk_alloc_aligned(n + 1, sizeof(float)),
                    .second = lk_alloc_aligned(n + 1, sizeof(float)),
                    .n = n};

    if (made.first == NULL || made.second == NULL) {
        lk_adam_clear(&made);
        return lk_fail_nomem(err);
    }
    memset(made.first, 0, n * sizeof(*made.first));
    memset(made.second, 0, n * sizeof(*made.second));
    *adam = made;
    return LINKD_OK;
}

void lk_adam_clear(lk_adam *adam)
{
    free(adam->first);
    free(adam->second);
    *adam = (lk_adam){0};
}

/* Both running means start at zero; dividing by 1 - keep^step undoes that. */
void lk_adam_step(lk_adam *adam, lk_adam_step_size size, const float *gradient,
                  float *values)
{
    double step = (double)size.step;
    float first_scale = (float)(size.rate / (1.0 - pow(KEEP_FIRST, step)));
    float second_scale = (float)(1.0 / (1.0 - pow(KEEP_SECOND, step)));
    float keep = (float)(1.0 - size.rate * size.decay);

    for (size_t i = 0; i < adam->n; i++) {
        float g = gradient[i];
        float first =
            adam->first[i] + (float)(1.0 - KEEP_FIRST) * (g - adam->first[i]);
        float second = adam->second[i] +
                       (float)(1.0 - KEEP_SECOND) * (g * g - adam->second[i]);

        adam->first[i] = first;
        adam->second[i] = second;
        values[i] =
            values[i] * keep -
            first_scale * first / (sqrtf(second * second_scale) + EPSILON);
    }
}

double lk_cosine_share(size_t step, size_t n_steps)
{
    return 0.5 * (1.0 + cos(3.14159265358979323846 * (double)(step - 1) /
                            (double)n_steps));
}
