/* compat/losses.c — see losses.h. The losses of a batch keep in their scratch
 *   z [n, dim] | |y| [n] | scores [n, n_scores]
 * and turn the scores into their own gradient in place. */
#include "compat/losses.h"

#include <math.h>
#include <string.h>

#include "compat/blas.h"
#include "compat/pairs.h"
#include "compat/simplex.h"

typedef struct space {
    float *z;
    float *lengths;
    float *scores;
} space;

size_t lk_loss_scratch(size_t n, size_t dim, size_t n_scores)
{
    return n * (dim + 1 + n_scores);
}

static space space_make(const lk_loss_rows *rows, float *scratch)
{
    space s = {.z = scratch,
               .lengths = scratch + rows->n * rows->dim,
               .scores = scratch + rows->n * (rows->dim + 1)};

    memcpy(s.z, rows->y, rows->n * rows->dim * sizeof(*s.z));
    for (size_t i = 0; i < rows->n; i++)
        s.lengths[i] = lk_row_normalise(s.z + i * rows->dim, rows->dim);
    return s;
}

static double dot(const float *a, const float *b, size_t n)
{
    double sum = 0.0;

    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

void lk_direction_gradient(const float *z, float length, size_t dim,
                           float *gradient)
{
    float along = (float)dot(z, gradient, dim);

    for (size_t j = 0; j < dim; j++)
        gradient[j] =
            length > 0.0F ? (gradient[j] - along * z[j]) / length : 0.0F;
}

static void all_directions(const lk_loss_rows *rows, const space *s,
                           float *gradient)
{
    for (size_t i = 0; i < rows->n; i++)
        lk_direction_gradient(s->z + i * rows->dim, s->lengths[i], rows->dim,
                              gradient + i * rows->dim);
}

double lk_loss_cosine(const lk_loss_rows *rows, const float *targets,
                      float *ret_gradient)
{
    size_t dim = rows->dim;
    double sum = 0.0;

    for (size_t i = 0; i < rows->n; i++) {
        const float *y = rows->y + i * dim;
        const float *t = targets + i * dim;
        float *g = ret_gradient + i * dim;
        double length = sqrt(dot(y, y, dim));
        double cosine = length > 0.0 ? dot(y, t, dim) / length : 0.0;
        double scale = length > 0.0 ? 1.0 / (length * (double)rows->n) : 0.0;

        for (size_t j = 0; j < dim; j++)
            g[j] =
                (float)(scale * (length > 0.0 ? cosine * (double)y[j] / length -
                                                    (double)t[j]
                                              : 0.0));
        sum += 1.0 - cosine;
    }
    return sum / (double)rows->n;
}

/* scores [m], m > 0, become softmax(scores); answers log sum_j e^(scores_j). */
static double softmax(float *scores, size_t m)
{
    float top = scores[0];
    double sum = 0.0;

    for (size_t j = 1; j < m; j++)
        top = fmaxf(top, scores[j]);
    for (size_t j = 0; j < m; j++) {
        scores[j] = expf(scores[j] - top);
        sum += (double)scores[j];
    }
    for (size_t j = 0; j < m; j++)
        scores[j] = (float)((double)scores[j] / sum);
    return log(fmax(sum, 1.0)) + (double)top; /* the top's own term is 1 */
}

double lk_loss_infonce(const lk_loss_rows *rows, const float *targets,
                       double temperature, float *scratch, float *ret_gradient)
{
    size_t n = rows->n;
    size_t dim = rows->dim;
    space s = space_make(rows, scratch);
    float scale = (float)(1.0 / temperature);
    double sum = 0.0;

    lk_multiply_f32((lk_product){LK_PLAIN, LK_TRANSPOSED, n, n, dim}, scale,
                    s.z, targets, 0.0F, s.scores);
    for (size_t i = 0; i < n; i++) {
        float *scores = s.scores + i * n;
        double right = (double)scores[i];

        for (size_t j = 0; j < n; j++)
            if (j != i && rows->labels[j] == rows->labels[i])
                scores[j] = -INFINITY;
        sum += softmax(scores, n) - right;
        scores[i] -= 1.0F;
    }
    lk_multiply_f32((lk_product){LK_PLAIN, LK_PLAIN, n, dim, n},
                    scale / (float)n, s.scores, targets, 0.0F, ret_gradient);
    all_directions(rows, &s, ret_gradient);
    return sum / (double)n;
}

double lk_loss_simplex(const lk_loss_rows *rows, double scale, float *scratch,
                       float *ret_gradient)
{
    size_t n_classes = rows->dim + 1;
    space s = space_make(rows, scratch);
    double sum = 0.0;

    for (size_t i = 0; i < rows->n; i++) {
        float *scores = s.scores + i * n_classes;
        size_t class = (size_t)rows->labels[i];
        double right;

        lk_simplex_scores(s.z + i * rows->dim, n_classes, scores);
        for (size_t k = 0; k < n_classes; k++)
            scores[k] *= (float)scale;
        right = (double)scores[class];
        sum += softmax(scores, n_classes) - right;
        scores[class] -= 1.0F;
        for (size_t k = 0; k < n_classes; k++)
            scores[k] *= (float)(scale / (double)rows->n);
        lk_simplex_sum(scores, n_classes, ret_gradient + i * rows->dim);
    }
    all_directions(rows, &s, ret_gradient);
    return sum / (double)rows->n;
}

double lk_loss_hoc(const lk_loss_rows *rows, const float *old, double scale,
                   float *scratch, float *ret_gradient)
{
    size_t n = rows->n;
    size_t dim = rows->dim;
    space s = space_make(rows, scratch);
    double sum = 0.0;

    lk_multiply_f32((lk_product){LK_PLAIN, LK_TRANSPOSED, n, n, dim},
                    (float)scale, old, s.z, 0.0F, s.scores);
    for (size_t i = 0; i < n; i++) {
        float *scores = s.scores + i * n;
        double right = (double)scores[i];

        for (size_t j = 0; j < n; j++)
            if (rows->labels[j] == rows->labels[i])
                scores[j] = 0.0F;
        sum += softmax(scores, n) - right;
        for (size_t j = 0; j < n; j++)
            if (rows->labels[j] == rows->labels[i])
                scores[j] = 0.0F; /* a constant has no gradient */
        scores[i] = -1.0F;
    }
    lk_multiply_f32((lk_product){LK_TRANSPOSED, LK_PLAIN, n, dim, n},
                    (float)(scale / (double)n), s.scores, old, 0.0F,
                    ret_gradient);
    all_directions(rows, &s, ret_gradient);
    return sum / (double)n;
}
