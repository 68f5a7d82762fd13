/* compat/simplex.c — see simplex.h. */
#include "compat/simplex.h"

#include <math.h>

typedef struct shape {
    double scale; /* s */
    double mean;  /* m */
    double last;  /* c - m */
} shape;

static shape shape_of(size_t n_classes)
{
    double n = (double)(n_classes - 1);
    double c = (1.0 - sqrt(1.0 + n)) / n;
    double mean = (1.0 + c) / (n + 1.0);
    double length = sqrt(n) * fabs(c - mean);

    return (shape){.scale = 1.0 / length, .mean = mean, .last = c - mean};
}

void lk_simplex_vertex(size_t n_classes, size_t k, float *ret)
{
    shape s = shape_of(n_classes);
    size_t n = n_classes - 1;

    for (size_t j = 0; j < n; j++)
        ret[j] = (float)(s.scale *
                         (k == n ? s.last : (j == k ? 1.0 : 0.0) - s.mean));
}

void lk_simplex_scores(const float *row, size_t n_classes, float *ret_scores)
{
    shape s = shape_of(n_classes);
    size_t n = n_classes - 1;
    double sum = 0.0;

    for (size_t j = 0; j < n; j++)
        sum += (double)row[j];
    for (size_t k = 0; k < n; k++)
        ret_scores[k] = (float)(s.scale * ((double)row[k] - s.mean * sum));
    ret_scores[n] = (float)(s.scale * s.last * sum);
}

void lk_simplex_sum(const float *scores, size_t n_classes, float *ret_row)
{
    shape s = shape_of(n_classes);
    size_t n = n_classes - 1;
    double common = s.last * (double)scores[n];

    for (size_t k = 0; k < n; k++)
        common -= s.mean * (double)scores[k];
    for (size_t j = 0; j < n; j++)
        ret_row[j] = (float)(s.scale * ((double)scores[j] + common));
}
