/* compat/blas.h — private: the few products and factorisations that maps are
 * fitted with. Matrices are row-major and dense. One thread, so that results
 * do not depend on how many there are. */
#ifndef LK_COMPAT_BLAS_H
#define LK_COMPAT_BLAS_H

#include "base/base.h"

typedef enum lk_op {
    LK_PLAIN,
    LK_TRANSPOSED,
} lk_op;

/* The sizes of C = A B: A is [m, k], B is [k, n], after the ops. */
typedef struct lk_product {
    lk_op a_op, b_op;
    size_t m, n, k;
} lk_product;

/* c = alpha * a b + beta * c */
void lk_multiply(lk_product size, double alpha, const double *a,
                 const double *b, double beta, double *c);
void lk_multiply_f32(lk_product size, float alpha, const float *a,
                     const float *b, float beta, float *c);

/* to [n_columns, n_rows] = from [n_rows, n_columns] turned. */
void lk_transpose(const double *from, size_t n_rows, size_t n_columns,
                  double *to);

/* ret [n_a, n_b]: of every row of a [n_a, dim] with every row of b, whose rows
 * are `stride` apart, over the first dim values. */
void lk_inner_products(const float *a, size_t n_a, const float *b, size_t n_b,
                       size_t dim, size_t stride, float *ret);

/* Solves a x = b for b [n, m], which becomes x; a [n, n] is symmetric and is
 * overwritten. LINKD_E_DATA: a is not positive definite. */
LINKD_MUST_CHECK int lk_solve_definite(double *a, size_t n, double *b, size_t m,
                                       linkd_error *err);
/* Solves a x = b for b [n, m], which becomes x; a [n, n] is overwritten.
 * LINKD_E_DATA: a is singular. */
LINKD_MUST_CHECK int lk_solve(double *a, size_t n, double *b, size_t m,
                              linkd_error *err);

/* a [m, n] = u [m, r] diag(s) vt [r, n], r = min(m, n); a is overwritten.
 * LINKD_E_DATA: it did not converge. */
LINKD_MUST_CHECK int lk_svd(double *a, size_t m, size_t n, double *ret_u,
                            double *ret_s, double *ret_vt, linkd_error *err);

/* Orthonormal columns [m, m - n] that complete those of q [m, n], m > n. */
LINKD_MUST_CHECK int lk_complement(const double *q, size_t m, size_t n,
                                   double *ret_rest, linkd_error *err);

#endif
