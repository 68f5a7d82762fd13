/* compat/polar.c — Newton–Schulz iteration X <- 1.5 X - .5 X X'X from c / |c|,
 * which drives every singular value to 1 and needs products only (Higham 2008,
 * Functions of Matrices, 8.3: convergence from singular values in (0, sqrt 3)).
 * A value far below the largest one takes 1 / log2(1.5) steps for each halving;
 * one of zero never gets there, and then the singular vectors are computed. */
#include "compat/polar.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compat/blas.h"

/* 1.5^50 = 6e8: smaller values are rounding noise of a covariance in float. */
enum {
    STEPS_MAX = 60,
};

#define TOLERANCE 1e-9

/* gram = x'x, and how far from the identity it is. */
static double gram_make(const double *x, size_t m, size_t n, double *gram)
{
    double worst = 0.0;

    lk_multiply((lk_product){LK_TRANSPOSED, LK_PLAIN, n, n, m}, 1.0, x, x, 0.0,
                gram);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            worst = fmax(worst, fabs(gram[i * n + j] - (i == j ? 1.0 : 0.0)));
    return worst;
}

/* x [m, n] with m >= n. Answers whether it converged. */
static bool iterate(double *x, size_t m, size_t n, double *gram, double *next)
{
    for (size_t step = 0; step < STEPS_MAX; step++) {
        if (gram_make(x, m, n, gram) < TOLERANCE)
            return true;
        memcpy(next, x, m * n * sizeof(*x));
        lk_multiply((lk_product){LK_PLAIN, LK_PLAIN, m, n, n}, -0.5, x, gram,
                    1.5, next);
        memcpy(x, next, m * n * sizeof(*x));
    }
    return gram_make(x, m, n, gram) < TOLERANCE;
}

static int by_singular_vectors(const double *c, size_t m, size_t n, double *ret,
                               linkd_error *err)
{
    size_t r = m < n ? m : n;
    double *copy = malloc((m * n + m * r + r + r * n) * sizeof(*copy));
    double *u, *s, *vt;
    int rc;

    if (copy == NULL)
        return lk_fail_nomem(err);
    u = copy + m * n;
    s = u + m * r;
    vt = s + r;
    memcpy(copy, c, m * n * sizeof(*copy));
    rc = lk_svd(copy, m, n, u, s, vt, err);
    if (rc == LINKD_OK)
        lk_multiply((lk_product){LK_PLAIN, LK_PLAIN, m, n, r}, 1.0, u, vt, 0.0,
                    ret);
    free(copy);
    return rc;
}

/* m >= n */
static int tall(const double *c, size_t m, size_t n, double *ret,
                linkd_error *err)
{
    double *scratch = malloc((n * n + m * n) * sizeof(*scratch));
    double norm = 0.0;
    bool converged = false;

    if (scratch == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < m * n; i++)
        norm += c[i] * c[i];
    norm = sqrt(norm);
    if (norm > 0.0) {
        for (size_t i = 0; i < m * n; i++)
            ret[i] = c[i] / norm;
        converged = iterate(ret, m, n, scratch, scratch + n * n);
    }
    free(scratch);
    if (!(norm > 0.0))
        return lk_fail(err, LINKD_E_DATA,
                       "the rows of the two sides have nothing in common");
    return converged ? LINKD_OK : by_singular_vectors(c, m, n, ret, err);
}

int lk_polar(const double *c, size_t m, size_t n, double *ret, linkd_error *err)
{
    double *turned;
    int rc;

    if (m >= n)
        return tall(c, m, n, ret, err);
    turned = calloc(2 * m * n, sizeof(*turned));
    if (turned == NULL)
        return lk_fail_nomem(err);
    lk_transpose(c, m, n, turned);
    rc = tall(turned, n, m, turned + m * n, err);
    if (rc == LINKD_OK)
        lk_transpose(turned + m * n, n, m, ret);
    free(turned);
    return rc;
}
