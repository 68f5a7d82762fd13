/* tests/compat/test_simplex.c — the vertices of a regular simplex. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "compat/random.h"
#include "compat/simplex.h"
#include "tests/compat/spaces.h"

enum {
    K_MAX = 1024, /* the default of the head */
};

static float *vertices(size_t n_classes)
{
    float *w = malloc(n_classes * (n_classes - 1) * sizeof(*w));

    assert_non_null(w);
    for (size_t k = 0; k < n_classes; k++)
        lk_simplex_vertex(n_classes, k, w + k * (n_classes - 1));
    return w;
}

static double dot(const float *a, const float *b, size_t n)
{
    double sum = 0.0;

    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

/* <w_i, w_i> = 1 and <w_i, w_j> = -1 / (K - 1). */
static void all_vertices_are_as_far_from_each_other(void **state)
{
    static const size_t sizes[] = {2, 3, 7, K_MAX};

    (void)state;
    for (size_t t = 0; t < 4; t++) {
        size_t n = sizes[t];
        float *w = vertices(n);

        for (size_t i = 0; i<n; i += n> 100 ? 31 : 1)
            for (size_t j = 0; j < n; j++)
                assert_near(dot(w + i * (n - 1), w + j * (n - 1), n - 1),
                            i == j ? 1.0 : -1.0 / (double)(n - 1), 1e-6);
        free(w);
    }
}

/* The shortcut and the product that it stands for. */
static void products_are_those_with_every_vertex(void **state)
{
    static const size_t sizes[] = {2, 3, 40};
    lk_random random = {5};

    (void)state;
    for (size_t t = 0; t < 3; t++) {
        size_t n = sizes[t];
        float *w = vertices(n);
        float row[K_MAX], scores[K_MAX], back[K_MAX];

        for (size_t j = 0; j + 1 < n; j++)
            row[j] = (float)lk_random_normal(&random);
        lk_simplex_scores(row, n, scores);
        for (size_t k = 0; k < n; k++)
            assert_near((double)scores[k], dot(row, w + k * (n - 1), n - 1),
                        1e-5);
        for (size_t k = 0; k < n; k++)
            scores[k] = (float)lk_random_normal(&random);
        lk_simplex_sum(scores, n, back);
        for (size_t j = 0; j + 1 < n; j++) {
            double sum = 0.0;

            for (size_t k = 0; k < n; k++)
                sum += (double)scores[k] * (double)w[k * (n - 1) + j];
            assert_near((double)back[j], sum, 1e-5);
        }
        free(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_vertices_are_as_far_from_each_other),
        cmocka_unit_test(products_are_those_with_every_vertex),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
