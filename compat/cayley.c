/* compat/cayley.c — see cayley.h. PyTorch's parametrisation, which the BT²
 * authors use, takes the exponential of A instead; both reach every rotation,
 * and this one needs no gradient through a series. Rounding adds up to some
 * 1e-14 in hundreds of steps. */
#include "compat/cayley.h"

#include <string.h>

#include "compat/blas.h"

/* a <- scale (a - a') */
static void skew(double *a, double scale, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        a[i * n + i] = 0.0;
        for (size_t j = 0; j < i; j++) {
            double value = scale * (a[i * n + j] - a[j * n + i]);

            a[i * n + j] = value;
            a[j * n + i] = -value;
        }
    }
}

/* I + A is never singular: the eigenvalues of a skew A are imaginary. */
int lk_cayley_step(const double *gradient, double rate, size_t n, double *q,
                   double *scratch, linkd_error *err)
{
    double *a = scratch;
    double *turned = scratch + n * n;
    int rc;

    lk_multiply((lk_product){LK_PLAIN, LK_TRANSPOSED, n, n, n}, 1.0, gradient,
                q, 0.0, a);
    skew(a, 0.5 * rate, n);
    memcpy(turned, q, n * n * sizeof(*q));
    lk_multiply((lk_product){LK_PLAIN, LK_PLAIN, n, n, n}, -1.0, a, q, 1.0,
                turned);
    for (size_t i = 0; i < n; i++)
        a[i * n + i] += 1.0;
    rc = lk_solve(a, n, turned, n, err);
    if (rc == LINKD_OK)
        memcpy(q, turned, n * n * sizeof(*q));
    return rc;
}
