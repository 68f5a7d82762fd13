/* tests/compat/test_bt2_train.c — BT² with trained blocks. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compat/bt2_train.h"
#include "compat/map.h"
#include "compat/polar.h"
#include "compat/random.h"
#include "tests/compat/spaces.h"
#include "tests/support/alloc_fail.h"

/* ---- gradients ----------------------------------------------------------- */

enum {
    N = 7,
    NEW = 6,
    OLD = 5,
    ADDED = 3,
    SEEN = OLD - ADDED,
};

typedef struct point {
    double o[N * ADDED];
    double basis[OLD * OLD];
    double rotation[NEW * NEW];
} point;

static void normals(double *values, size_t n, lk_random *random)
{
    for (size_t i = 0; i < n; i++)
        values[i] = lk_random_normal(random);
}

static void rotation_make(double *ret, size_t n, lk_random *random)
{
    double raw[NEW * NEW];

    normals(raw, n * n, random);
    assert_int_equal(lk_polar(raw, n, n, ret, NULL), LINKD_OK);
}

/* The header's formula: 1 - cos(w[0 : OLD] B, u), meaned. */
static double formula(const point *at, const float *f, const float *u)
{
    double sum = 0.0;

    for (size_t i = 0; i < N; i++) {
        double w[OLD];
        double oo = 0.0;
        double yu = 0.0;
        double yy = 0.0;

        for (size_t j = 0; j < ADDED; j++)
            oo += at->o[i * ADDED + j] * at->o[i * ADDED + j];
        for (size_t j = 0; j < ADDED; j++)
            w[j] = at->o[i * ADDED + j] / sqrt(oo);
        for (size_t j = 0; j < SEEN; j++) {
            w[ADDED + j] = 0.0;
            for (size_t k = 0; k < NEW; k++)
                w[ADDED + j] += (double)LK_BT2_SCALE * (double)f[i * NEW + k] *
                                at->rotation[k * NEW + j];
        }
        for (size_t j = 0; j < OLD; j++) {
            double y = 0.0;

            for (size_t k = 0; k < OLD; k++)
                y += w[k] * at->basis[k * OLD + j];
            yu += y * (double)u[i * OLD + j];
            yy += y * y;
        }
        sum += 1.0 - yu / sqrt(yy);
    }
    return sum / N;
}

static double slope(point *at, double *value, const float *f, const float *u)
{
    double was = *value;
    double difference;

    *value = was + 1e-5;
    difference = formula(at, f, u);
    *value = was - 1e-5;
    difference -= formula(at, f, u);
    *value = was;
    return difference / 2e-5;
}

static void unit_rows(float *rows, size_t n, size_t dim, lk_random *random)
{
    for (size_t i = 0; i < n * dim; i++)
        rows[i] = (float)lk_random_normal(random);
    for (size_t i = 0; i < n; i++)
        (void)lk_row_normalise(rows + i * dim, dim);
}

static void gradients_are_slopes_of_the_formula(void **state)
{
    lk_random random = {8};
    float f[N * NEW], u[N * OLD], o[N * ADDED], o_gradient[N * ADDED];
    lk_pairs batch = {
        .from = f, .to = u, .n = N, .dim_from = NEW, .dim_to = OLD};
    lk_bt2 b = {0};
    point at;

    (void)state;
    unit_rows(f, N, NEW, &random);
    unit_rows(u, N, OLD, &random);
    normals(at.o, (size_t)N * ADDED, &random);
    rotation_make(at.basis, OLD, &random);
    rotation_make(at.rotation, NEW, &random);
    for (size_t i = 0; i < (size_t)N * ADDED; i++) {
        o[i] = (float)at.o[i];
        at.o[i] = (double)o[i];
    }
    assert_int_equal(lk_bt2_init(&b, NEW, OLD, ADDED, N, NULL), LINKD_OK);
    memcpy(b.basis, at.basis, sizeof(at.basis));
    memcpy(b.rotation, at.rotation, sizeof(at.rotation));
    assert_near(lk_bt2_loss(&b, &batch, o, o_gradient), formula(&at, f, u),
                1e-6);
    for (size_t i = 0; i < (size_t)N * ADDED; i++)
        assert_near((double)o_gradient[i], slope(&at, &at.o[i], f, u), 1e-5);
    for (size_t i = 0; i < (size_t)OLD * OLD; i++)
        assert_near((double)b.basis_gradient[i], slope(&at, &at.basis[i], f, u),
                    1e-5);
    for (size_t i = 0; i < NEW; i++)
        for (size_t j = 0; j < SEEN; j++)
            assert_near((double)b.seen_gradient[i * SEEN + j],
                        slope(&at, &at.rotation[i * NEW + j], f, u), 1e-5);
    lk_bt2_clear(&b);
}

/* ---- what is fitted ------------------------------------------------------- */

static linkd_compat_map *fit(const linkd_rows *from, const linkd_rows *to,
                             size_t n_added)
{
    linkd_compat_fit_options options = {
        .head = LINKD_HEAD_BT2_TRAINED, .seed = 1, .n_added = n_added};
    linkd_compat_map *map = NULL;
    linkd_error err;

    if (linkd_compat_fit(from, to, &options, &(linkd_progress){0}, &map,
                         &err) != LINKD_OK)
        fail_msg("%s", err.message);
    return map;
}

static float *apply(const linkd_compat_map *map, const linkd_rows *rows)
{
    float *z = malloc(rows->n * map->info.dim_to * sizeof(*z));

    assert_non_null(z);
    assert_int_equal(linkd_compat_map_apply(map, rows, z, NULL), LINKD_OK);
    return z;
}

static double dot(const float *a, const float *b, size_t n)
{
    double sum = 0.0;

    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

/* z, with B undone: o and then C f P. */
static void basis_undo(const linkd_compat_map *map, float *z)
{
    float w[64];
    size_t q = map->n_basis;

    for (size_t i = 0; i < q; i++)
        w[i] = (float)dot(z, map->basis + i * q, q);
    memcpy(z, w, q * sizeof(*z));
}

static const size_t added_cases[] = {16, 10, 1}; /* all, some and one */

static void the_new_models_scores_are_kept(void **state)
{
    spaces s = spaces_make((spaces_options){
        .n = 300, .dim_from = 24, .dim_to = 16, .noise = 0.1, .seed = 4});

    (void)state;
    for (size_t t = 0; t < 3; t++) {
        size_t a = added_cases[t];
        linkd_compat_map *map = fit(&s.from, &s.to, a);
        float *z = apply(map, &s.from);
        size_t dim = a + 24;

        assert_int_equal(map->info.dim_to, dim);
        assert_int_equal(map->info.dim_compat, 16);
        assert_near(dot(z, z, dim), 5.0, 1e-4);
        for (size_t i = 0; i + 1 < 300; i++) {
            float *one = z + i * dim;
            float *two = one + dim;
            double native =
                dot(s.from.data + i * 24, s.from.data + i * 24 + 24, 24);
            double whole = dot(one, two, dim);

            if (i == 0)
                basis_undo(map, one);
            basis_undo(map, two);
            /* B cancels, and the native block alone has the native score */
            if (i == 0)
                assert_near(whole, dot(one, two, dim), 1e-5);
            assert_near(dot(one + a, two + a, 24) / 4.0, native, 1e-5);
        }
        free(z);
        linkd_compat_map_free(map);
    }
    spaces_clear(&s);
}

/* rows [n, dim], `stride` apart */
static void assert_orthonormal(const float *rows, size_t n, size_t dim,
                               size_t stride, double scale)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            assert_near(dot(rows + i * stride, rows + j * stride, dim) /
                            (scale * scale),
                        i == j ? 1.0 : 0.0, 1e-5);
}

static void both_transforms_stay_orthonormal(void **state)
{
    spaces s = spaces_make((spaces_options){
        .n = 300, .dim_from = 24, .dim_to = 16, .noise = 0.1, .seed = 4});

    (void)state;
    for (size_t t = 0; t < 3; t++) {
        size_t a = added_cases[t];
        linkd_compat_map *map = fit(&s.from, &s.to, a);

        assert_int_equal(map->n_basis, a == 16 ? 0 : 16);
        assert_orthonormal(map->basis, map->n_basis, 16, 16, 1.0);
        assert_orthonormal(map->weights + a, 24, 24, a + 24,
                           (double)LK_BT2_SCALE);
        linkd_compat_map_free(map);
    }
    spaces_clear(&s);
}

static double prefix_cosine(const spaces *s, size_t n_added, size_t n_epochs)
{
    linkd_compat_fit_options options = {.head = LINKD_HEAD_BT2_TRAINED,
                                        .seed = 1,
                                        .n_added = n_added,
                                        .n_epochs = n_epochs};
    linkd_compat_map *map = NULL;
    double cosine;

    assert_int_equal(linkd_compat_fit(&s->from, &s->to, &options,
                                      &(linkd_progress){0}, &map, NULL),
                     LINKD_OK);
    cosine = (double)map->info.cosine;
    linkd_compat_map_free(map);
    return cosine;
}

static void training_brings_the_prefix_nearer_to_old_rows(void **state)
{
    spaces s = spaces_make((spaces_options){.n = 800,
                                            .dim_from = 24,
                                            .dim_to = 16,
                                            .noise = 0.1,
                                            .shift = 1.0,
                                            .seed = 5});
    double all = prefix_cosine(&s, 16, 30);
    double little = prefix_cosine(&s, 6, 1);
    double more = prefix_cosine(&s, 6, 100);

    (void)state;
    if (!(all > more && 1.0 - more < 0.75 * (1.0 - little)))
        fail_msg("all %.4f, some after 1 epoch %.4f, after 100 %.4f", all,
                 little, more);
    spaces_clear(&s);
}

/* Three generations: the third's prefix compares with the second's rows, and a
 * shorter prefix with the first's. The third model is the second one, seen
 * through a mirror and with noise. */
static void prefixes_compare_along_a_chain(void **state)
{
    spaces s = spaces_make((spaces_options){
        .n = 500, .dim_from = 20, .dim_to = 12, .noise = 0.05, .seed = 6});
    linkd_compat_map *second = fit(&s.from, &s.to, 0);
    float *z2 = apply(second, &s.from);
    linkd_rows rows2 = {z2, 500, 32};
    float *mirrored = malloc((size_t)500 * 20 * sizeof(*mirrored));
    linkd_rows from3 = {mirrored, 500, 20};
    lk_random random = {2};
    linkd_compat_map *third;
    float *z3;

    (void)state;
    assert_non_null(mirrored);
    for (size_t i = 0; i < (size_t)500 * 20; i++)
        mirrored[i] = s.from.data[i / 20 * 20 + 19 - i % 20] +
                      (float)(0.01 * lk_random_normal(&random));
    third = fit(&from3, &rows2, 0);
    z3 = apply(third, &from3);
    assert_int_equal(third->info.dim_to, 32 + 20);
    assert_true(mean_cosine(z3, 52, z2, 32, 500, 32) > 0.97);
    assert_true(mean_cosine(z3, 52, s.to.data, 12, 500, 12) > 0.9);
    free(z3);
    linkd_compat_map_free(third);
    free(mirrored);
    free(z2);
    linkd_compat_map_free(second);
    spaces_clear(&s);
}

static void refused(const spaces *s, size_t n_added, const char *message)
{
    linkd_compat_fit_options options = {.head = LINKD_HEAD_BT2_TRAINED,
                                        .n_added = n_added};
    linkd_compat_map *map = NULL;
    linkd_error err;

    assert_int_equal(linkd_compat_fit(&s->from, &s->to, &options,
                                      &(linkd_progress){0}, &map, &err),
                     LINKD_E_ARG);
    assert_string_equal(err.message, message);
    assert_null(map);
}

static void added_dimensions_have_to_fit(void **state)
{
    spaces s = spaces_make(
        (spaces_options){.n = 60, .dim_from = 6, .dim_to = 12, .seed = 1});

    (void)state;
    refused(&s, 13, "13 added dimensions are more than the old model's 12");
    refused(&s, 5,
            "5 added and 6 own dimensions do not cover the old model's 12");
    linkd_compat_map_free(fit(&s.from, &s.to, 6)); /* just enough */
    spaces_clear(&s);
}

static void it_says_when_memory_is_out(void **state)
{
    spaces s = spaces_make(
        (spaces_options){.n = 60, .dim_from = 8, .dim_to = 6, .seed = 1});

    (void)state;
    for (size_t nth = 1;; nth++) {
        linkd_compat_fit_options options = {
            .head = LINKD_HEAD_BT2_TRAINED, .n_added = 2, .n_epochs = 1};
        linkd_compat_map *map = NULL;
        int rc;

        alloc_fail_at(nth);
        rc = linkd_compat_fit(&s.from, &s.to, &options, &(linkd_progress){0},
                              &map, NULL);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            linkd_compat_map_free(map);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_null(map);
    }
    spaces_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_slopes_of_the_formula),
        cmocka_unit_test(the_new_models_scores_are_kept),
        cmocka_unit_test(both_transforms_stay_orthonormal),
        cmocka_unit_test(training_brings_the_prefix_nearer_to_old_rows),
        cmocka_unit_test(prefixes_compare_along_a_chain),
        cmocka_unit_test(added_dimensions_have_to_fit),
        cmocka_unit_test(it_says_when_memory_is_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
