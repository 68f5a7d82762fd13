/* tests/compat/spaces.c — see spaces.h. */
#include "tests/compat/spaces.h"

#include <math.h>
#include <stdlib.h>

#include "compat/pairs.h"
#include "compat/polar.h"
#include "compat/random.h"

static double *normals(lk_random *random, size_t n)
{
    double *values = malloc(n * sizeof(*values));

    for (size_t i = 0; values != NULL && i < n; i++)
        values[i] = lk_random_normal(random);
    return values;
}

/* One model: points [n, d] through orthonormal rows [d, dim] and a shift. */
static float *space_of(const double *points, size_t d, size_t dim,
                       const spaces_options *o, lk_random *random)
{
    double *raw = normals(random, d * dim);
    double *rows = malloc(d * dim * sizeof(*rows));
    double *shift = normals(random, dim);
    float *vectors = malloc(o->n * dim * sizeof(*vectors));

    if (raw == NULL || rows == NULL || shift == NULL || vectors == NULL ||
        lk_polar(raw, d, dim, rows, NULL) != LINKD_OK)
        abort();
    for (size_t i = 0; i < o->n; i++) {
        for (size_t j = 0; j < dim; j++) {
            double sum =
                o->shift * shift[j] + o->noise * lk_random_normal(random);

            for (size_t k = 0; k < d; k++)
                sum += points[i * d + k] * rows[k * dim + j];
            vectors[i * dim + j] = (float)sum;
        }
        (void)lk_row_normalise(vectors + i * dim, dim);
    }
    free(shift);
    free(rows);
    free(raw);
    return vectors;
}

spaces spaces_make(spaces_options o)
{
    lk_random random = {o.seed};
    size_t d = o.dim_from < o.dim_to ? o.dim_from : o.dim_to;
    size_t n_entities = o.n_entities > 0 ? o.n_entities : o.n;
    double *centres = normals(&random, n_entities * d);
    double *points = malloc(o.n * d * sizeof(*points));
    spaces made = {.groups = malloc(o.n * sizeof(uint64_t))};

    if (centres == NULL || points == NULL || made.groups == NULL)
        abort();
    for (size_t i = 0; i < o.n; i++) {
        made.groups[i] = i % n_entities;
        for (size_t k = 0; k < d; k++)
            points[i * d + k] =
                centres[made.groups[i] * d + k] +
                (o.n_entities > 0 ? 0.3 * lk_random_normal(&random) : 0.0);
    }
    made.from = (linkd_rows){space_of(points, d, o.dim_from, &o, &random), o.n,
                             o.dim_from};
    made.to =
        (linkd_rows){space_of(points, d, o.dim_to, &o, &random), o.n, o.dim_to};
    free(points);
    free(centres);
    return made;
}

void spaces_clear(spaces *made)
{
    free((void *)(uintptr_t)made->from.data);
    free((void *)(uintptr_t)made->to.data);
    free(made->groups);
}

double mean_cosine(const float *a, size_t stride_a, const float *b,
                   size_t stride_b, size_t n, size_t dim)
{
    double sum = 0.0;

    for (size_t i = 0; i < n; i++) {
        double ab = 0.0;
        double aa = 0.0;
        double bb = 0.0;

        for (size_t j = 0; j < dim; j++) {
            double x = (double)a[i * stride_a + j];
            double y = (double)b[i * stride_b + j];

            ab += x * y;
            aa += x * x;
            bb += y * y;
        }
        sum += ab / sqrt(aa * bb);
    }
    return sum / (double)n;
}
