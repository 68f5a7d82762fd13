/* compat/blas.c — OpenBLAS and the LAPACK that it carries, behind one door.
 *
 * LAPACK is Fortran: its matrices are stored by columns, so that a row-major
 * matrix is its transpose there. Each function says how it makes use of that.
 * Debian's OpenBLAS has no C header for LAPACK; the four routines are declared
 * here as their documentation has them. */
#include "compat/blas.h"

#include <cblas.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

extern void dpotrf_(const char *uplo, const int *n, double *a, const int *lda,
                    int *info);
extern void dgesv_(const int *n, const int *nrhs, double *a, const int *lda,
                   int *ipiv, double *b, const int *ldb, int *info);
extern void dgesdd_(const char *jobz, const int *m, const int *n, double *a,
                    const int *lda, double *s, double *u, const int *ldu,
                    double *vt, const int *ldvt, double *work, const int *lwork,
                    int *iwork, int *info);
extern void dgeqrf_(const int *m, const int *n, double *a, const int *lda,
                    double *tau, double *work, const int *lwork, int *info);
extern void dorgqr_(const int *m, const int *n, const int *k, double *a,
                    const int *lda, const double *tau, double *work,
                    const int *lwork, int *info);

static void one_thread_set(void)
{
    openblas_set_num_threads(1);
}

static void one_thread(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, one_thread_set);
}

static CBLAS_TRANSPOSE transpose_of(lk_op op)
{
    return op == LK_PLAIN ? CblasNoTrans : CblasTrans;
}

void lk_multiply(lk_product size, double alpha, const double *a,
                 const double *b, double beta, double *c)
{
    int m = (int)size.m;
    int n = (int)size.n;
    int k = (int)size.k;

    one_thread();
    cblas_dgemm(CblasRowMajor, transpose_of(size.a_op), transpose_of(size.b_op),
                m, n, k, alpha, a, size.a_op == LK_PLAIN ? k : m, b,
                size.b_op == LK_PLAIN ? n : k, beta, c, n);
}

void lk_multiply_f32(lk_product size, float alpha, const float *a,
                     const float *b, float beta, float *c)
{
    int m = (int)size.m;
    int n = (int)size.n;
    int k = (int)size.k;

    one_thread();
    cblas_sgemm(CblasRowMajor, transpose_of(size.a_op), transpose_of(size.b_op),
                m, n, k, alpha, a, size.a_op == LK_PLAIN ? k : m, b,
                size.b_op == LK_PLAIN ? n : k, beta, c, n);
}

void lk_inner_products(const float *a, size_t n_a, const float *b, size_t n_b,
                       size_t dim, size_t stride, float *ret)
{
    one_thread();
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)n_a, (int)n_b,
                (int)dim, 1.0F, a, (int)dim, b, (int)stride, 0.0F, ret,
                (int)n_b);
}

/* By columns the lower triangle of a symmetric matrix becomes L; by rows that is
 * an upper U with a = U'U. */
int lk_solve_definite(double *a, size_t n, double *b, size_t m,
                      linkd_error *err)
{
    int size = (int)n;
    int info = 0;

    one_thread();
    dpotrf_("L", &size, a, &size, &info);
    if (info != 0)
        return lk_fail(err, LINKD_E_DATA,
                       "the rows have too little variety to fit a map on");
    cblas_dtrsm(CblasRowMajor, CblasLeft, CblasUpper, CblasTrans, CblasNonUnit,
                size, (int)m, 1.0, a, size, b, (int)m);
    cblas_dtrsm(CblasRowMajor, CblasLeft, CblasUpper, CblasNoTrans,
                CblasNonUnit, size, (int)m, 1.0, a, size, b, (int)m);
    return LINKD_OK;
}

void lk_transpose(const double *from, size_t n_rows, size_t n_columns,
                  double *to)
{
    for (size_t i = 0; i < n_rows; i++)
        for (size_t j = 0; j < n_columns; j++)
            to[j * n_rows + i] = from[i * n_columns + j];
}

/* Both matrices are turned to columns. */
int lk_solve(double *a, size_t n, double *b, size_t m, linkd_error *err)
{
    int size = (int)n;
    int n_sides = (int)m;
    int info = 0;
    double *columns = malloc((n * n + n * m) * sizeof(*columns));
    int *pivots = malloc(n * sizeof(*pivots));
    int rc = LINKD_OK;

    if (columns == NULL || pivots == NULL) {
        rc = lk_fail_nomem(err);
        goto done;
    }
    one_thread();
    lk_transpose(a, n, n, columns);
    lk_transpose(b, n, m, columns + n * n);
    dgesv_(&size, &n_sides, columns, &size, pivots, columns + n * n, &size,
           &info);
    if (info != 0)
        rc = lk_fail(err, LINKD_E_DATA, "a matrix cannot be inverted");
    else
        lk_transpose(columns + n * n, m, n, b);
done:
    free(pivots);
    free(columns);
    return rc;
}

/* By columns it is a' [n, m] = vt' s u', so that LAPACK's left vectors are our
 * vt and its right ones our u, both in place by rows. */
int lk_svd(double *a, size_t m, size_t n, double *ret_u, double *ret_s,
           double *ret_vt, linkd_error *err)
{
    int rows = (int)n;
    int columns = (int)m;
    int rank = rows < columns ? rows : columns;
    int info = 0;
    int ask = -1;
    double best = 0.0;
    int *integers = malloc(8 * (size_t)rank * sizeof(*integers));
    double *work = NULL;

    one_thread();
    dgesdd_("S", &rows, &columns, a, &rows, ret_s, ret_vt, &rows, ret_u, &rank,
            &best, &ask, integers, &info);
    ask = (int)best;
    work = malloc((size_t)ask * sizeof(*work));
    if (integers != NULL && work != NULL)
        dgesdd_("S", &rows, &columns, a, &rows, ret_s, ret_vt, &rows, ret_u,
                &rank, work, &ask, integers, &info);
    free(work);
    if (integers == NULL || work == NULL) {
        free(integers);
        return lk_fail_nomem(err);
    }
    free(integers);
    if (info != 0)
        return lk_fail(err, LINKD_E_DATA,
                       "the singular values of the pairs were not found");
    return LINKD_OK;
}

/* Householder vectors of q's columns span the rest too: LAPACK's Q with m
 * columns has it in the last m - n. */
int lk_complement(const double *q, size_t m, size_t n, double *ret_rest,
                  linkd_error *err)
{
    int rows = (int)m;
    int columns = (int)n;
    int n_work = 64 * rows;
    int info = 0;
    double *a = calloc(m * m, sizeof(*a));
    double *work = malloc((size_t)n_work * sizeof(*work));
    double *tau = malloc(n * sizeof(*tau));
    int rc = LINKD_OK;

    if (a == NULL || work == NULL || tau == NULL) {
        rc = lk_fail_nomem(err);
        goto done;
    }
    one_thread();
    lk_transpose(q, m, n, a);
    dgeqrf_(&rows, &columns, a, &rows, tau, work, &n_work, &info);
    LK_ASSERT(info == 0);
    dorgqr_(&rows, &rows, &columns, a, &rows, tau, work, &n_work, &info);
    LK_ASSERT(info == 0);
    lk_transpose(a + n * m, m - n, m, ret_rest);
done:
    free(tau);
    free(work);
    free(a);
    return rc;
}
