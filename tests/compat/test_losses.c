/* tests/compat/test_losses.c — every loss against its formula in double, and
 * every gradient against differences of that formula. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compat/losses.h"
#include "compat/pairs.h"
#include "compat/random.h"
#include "compat/simplex.h"
#include "tests/compat/spaces.h"

enum {
    N = 7,
    DIM = 5,
    N_CLASSES = DIM + 1,
};

/* Classes of a simplex, too; two rows are of one entity, two of another. */
static const uint64_t labels[N] = {0, 1, 2, 1, 5, 4, 0};

#define TEMPERATURE 0.3
#define SCALE       4.0

typedef struct loss_case {
    float y[N * DIM];
    float t[N * DIM]; /* of length 1 */
} loss_case;

static loss_case case_make(void)
{
    loss_case made;
    lk_random random = {11};

    for (size_t i = 0; i < (size_t)N * DIM; i++) {
        made.y[i] = (float)(2.0 * lk_random_normal(&random));
        made.t[i] = (float)lk_random_normal(&random);
    }
    for (size_t i = 0; i < N; i++)
        (void)lk_row_normalise(made.t + i * DIM, DIM);
    return made;
}

/* ---- formulas ------------------------------------------------------------ */

typedef double formula_fn(const double *y, const loss_case *c);

/* <y_i / |y_i|, t_j> */
static double product(const double *y, size_t i, const float *t, size_t j)
{
    double yt = 0.0;
    double yy = 0.0;

    for (size_t k = 0; k < DIM; k++) {
        yt += y[i * DIM + k] * (double)t[j * DIM + k];
        yy += y[i * DIM + k] * y[i * DIM + k];
    }
    return yt / sqrt(yy);
}

static double cosine(const double *y, const loss_case *c)
{
    double sum = 0.0;

    for (size_t i = 0; i < N; i++)
        sum += 1.0 - product(y, i, c->t, i);
    return sum / N;
}

static double infonce(const double *y, const loss_case *c)
{
    double sum = 0.0;

    for (size_t i = 0; i < N; i++) {
        double all = 0.0;

        for (size_t j = 0; j < N; j++)
            if (j == i || labels[j] != labels[i])
                all += exp(product(y, i, c->t, j) / TEMPERATURE);
        sum += log(all) - product(y, i, c->t, i) / TEMPERATURE;
    }
    return sum / N;
}

static double simplex(const double *y, const loss_case *c)
{
    float w[N_CLASSES * DIM];
    double sum = 0.0;

    (void)c;
    for (size_t k = 0; k < N_CLASSES; k++)
        lk_simplex_vertex(N_CLASSES, k, w + k * DIM);
    for (size_t i = 0; i < N; i++) {
        double all = 0.0;

        for (size_t k = 0; k < N_CLASSES; k++)
            all += exp(SCALE * product(y, i, w, k));
        sum += log(all) - SCALE * product(y, i, w, labels[i]);
    }
    return sum / N;
}

static double hoc(const double *y, const loss_case *c)
{
    double sum = 0.0;

    for (size_t i = 0; i < N; i++) {
        double all = 0.0;

        for (size_t j = 0; j < N; j++)
            all += labels[j] == labels[i] ? 1.0
                                          : exp(SCALE * product(y, j, c->t, i));
        sum += log(all) - SCALE * product(y, i, c->t, i);
    }
    return sum / N;
}

/* ---- the same in the code under test ------------------------------------- */

typedef double loss_fn(const lk_loss_rows *rows, const float *t, float *scratch,
                       float *ret_gradient);

static double cosine_under_test(const lk_loss_rows *rows, const float *t,
                                float *scratch, float *ret_gradient)
{
    (void)scratch;
    return lk_loss_cosine(rows, t, ret_gradient);
}

static double infonce_under_test(const lk_loss_rows *rows, const float *t,
                                 float *scratch, float *ret_gradient)
{
    return lk_loss_infonce(rows, t, TEMPERATURE, scratch, ret_gradient);
}

static double simplex_under_test(const lk_loss_rows *rows, const float *t,
                                 float *scratch, float *ret_gradient)
{
    (void)t;
    return lk_loss_simplex(rows, SCALE, scratch, ret_gradient);
}

static double hoc_under_test(const lk_loss_rows *rows, const float *t,
                             float *scratch, float *ret_gradient)
{
    return lk_loss_hoc(rows, t, SCALE, scratch, ret_gradient);
}

/* ---- comparing ----------------------------------------------------------- */

/* Central differences: their error is some 1e-10 here, float's is 1e-6. */
static double slope(formula_fn *formula, const double *y, const loss_case *c,
                    size_t at)
{
    double moved[N * DIM];
    double up;

    memcpy(moved, y, sizeof(moved));
    moved[at] = y[at] + 1e-5;
    up = formula(moved, c);
    moved[at] = y[at] - 1e-5;
    return (up - formula(moved, c)) / 2e-5;
}

static void check(formula_fn *formula, loss_fn *loss)
{
    loss_case c = case_make();
    lk_loss_rows rows = {c.y, labels, N, DIM};
    size_t n_scratch = lk_loss_scratch(N, DIM, N);
    float *scratch = malloc(n_scratch * sizeof(*scratch));
    float gradient[N * DIM];
    double y[N * DIM];

    assert_non_null(scratch);
    for (size_t i = 0; i < (size_t)N * DIM; i++)
        y[i] = (double)c.y[i];
    assert_near(loss(&rows, c.t, scratch, gradient), formula(y, &c), 1e-5);
    for (size_t i = 0; i < (size_t)N * DIM; i++)
        assert_near((double)gradient[i], slope(formula, y, &c, i), 1e-5);
    free(scratch);
}

static void the_cosine_loss_is_its_formula(void **state)
{
    (void)state;
    check(cosine, cosine_under_test);
}

static void infonce_leaves_out_others_of_the_entity(void **state)
{
    (void)state;
    check(infonce, infonce_under_test);
}

static void cross_entropy_is_over_all_vertices(void **state)
{
    (void)state;
    check(simplex, simplex_under_test);
}

static void hoc_is_its_formula(void **state)
{
    (void)state;
    check(hoc, hoc_under_test);
}

/* A row of zeros has no direction: no gradient, and no NaN for the others. */
static void a_row_of_zeros_moves_nothing(void **state)
{
    static loss_fn *const losses[] = {cosine_under_test, infonce_under_test,
                                      simplex_under_test, hoc_under_test};
    loss_case c = case_make();
    lk_loss_rows rows = {c.y, labels, N, DIM};
    size_t n_scratch = lk_loss_scratch(N, DIM, N);
    float *scratch = malloc(n_scratch * sizeof(*scratch));
    float gradient[N * DIM];

    (void)state;
    assert_non_null(scratch);
    memset(c.y + (size_t)2 * DIM, 0, DIM * sizeof(*c.y));
    for (size_t t = 0; t < 4; t++) {
        assert_true(isfinite(losses[t](&rows, c.t, scratch, gradient)));
        for (size_t i = 0; i < (size_t)N * DIM; i++)
            assert_true(isfinite(gradient[i]));
        for (size_t k = 0; k < DIM; k++)
            assert_near(gradient[2 * DIM + k], 0.0F, 0.0F);
    }
    free(scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_cosine_loss_is_its_formula),
        cmocka_unit_test(infonce_leaves_out_others_of_the_entity),
        cmocka_unit_test(cross_entropy_is_over_all_vertices),
        cmocka_unit_test(hoc_is_its_formula),
        cmocka_unit_test(a_row_of_zeros_moves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
