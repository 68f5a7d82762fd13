/* tests/compat/test_network.c — a map's network, forwards and backwards. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compat/network.h"
#include "compat/random.h"
#include "tests/compat/spaces.h"
#include "tests/support/alloc_fail.h"

enum {
    N = 6,
    P = 4,
    Q = 3,
    H = 5,
};

static linkd_compat_map *map_make(size_t n_hidden)
{
    linkd_compat_info info = {
        .head = LINKD_HEAD_MLP, .dim_from = P, .dim_to = Q, .dim_compat = Q};
    lk_random random = {3};
    lk_map_part parts[LK_MAP_PARTS];
    linkd_compat_map *map = NULL;

    assert_int_equal(lk_map_new(&info, n_hidden, 0, &map, NULL), LINKD_OK);
    lk_map_parts(map, parts);
    for (size_t i = 0; i < LK_MAP_PARTS; i++)
        for (size_t j = 0; j < parts[i].n; j++)
            parts[i].values[j] = (float)(0.7 * lk_random_normal(&random));
    return map;
}

static void fill(float *values, size_t n, uint64_t seed)
{
    lk_random random = {seed};

    for (size_t i = 0; i < n; i++)
        values[i] = (float)lk_random_normal(&random);
}

/* sum_ij c_ij y_ij, in double. */
static double weighted(const linkd_compat_map *m, const float *x,
                       const float *c)
{
    double sum = 0.0;

    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < Q; j++) {
            double y = (double)m->bias[j];

            for (size_t k = 0; k < P; k++)
                y += (double)x[i * P + k] * (double)m->weights[k * Q + j];
            for (size_t h = 0; h < m->n_hidden; h++) {
                double z = (double)m->hidden_bias[h];

                for (size_t k = 0; k < P; k++)
                    z += (double)x[i * P + k] *
                         (double)m->hidden_weights[k * m->n_hidden + h];
                y += z / (1.0 + exp(-1.702 * z)) *
                     (double)m->out_weights[h * Q + j];
            }
            sum += (double)c[i * Q + j] * y;
        }
    return sum;
}

/* What is trained is what is applied. */
static void it_makes_what_the_map_makes(void **state)
{
    static const size_t hidden[2] = {0, H};
    float x[N * P], y[N * Q], applied[N * Q];

    (void)state;
    fill(x, (size_t)N * P, 7);
    for (size_t t = 0; t < 2; t++) {
        linkd_compat_map *map = map_make(hidden[t]);
        lk_network network = {0};

        assert_int_equal(lk_network_init(&network, map, N, NULL), LINKD_OK);
        lk_network_forward(&network, x, N, y);
        assert_int_equal(lk_map_apply(map, x, N, applied, NULL), LINKD_OK);
        for (size_t i = 0; i < (size_t)N * Q; i++)
            assert_near(y[i], applied[i], 1e-6F);
        lk_network_clear(&network);
        linkd_compat_map_free(map);
    }
}

static double slope(linkd_compat_map *map, float *value, const float *x,
                    const float *c)
{
    float was = *value;
    float up = was + 0.004F;
    float down = was - 0.004F;
    double difference;

    *value = up;
    difference = weighted(map, x, c);
    *value = down;
    difference -= weighted(map, x, c);
    *value = was;
    return difference / ((double)up - (double)down);
}

static void gradients_are_slopes(void **state)
{
    static const size_t hidden[2] = {0, H};
    float x[N * P], c[N * Q], y[N * Q];

    (void)state;
    fill(x, (size_t)N * P, 7);
    fill(c, (size_t)N * Q, 8);
    for (size_t t = 0; t < 2; t++) {
        linkd_compat_map *map = map_make(hidden[t]);
        lk_network network = {0};
        lk_map_part values[LK_MAP_PARTS], gradients[LK_MAP_PARTS];

        assert_int_equal(lk_network_init(&network, map, N, NULL), LINKD_OK);
        lk_network_forward(&network, x, N, y);
        lk_network_backward(&network, x, N, c);
        lk_map_parts(map, values);
        lk_map_parts(network.gradient, gradients);
        for (size_t i = 0; i < LK_NETWORK_PARTS; i++)
            for (size_t j = 0; j < values[i].n; j++)
                assert_near((double)gradients[i].values[j],
                            slope(map, &values[i].values[j], x, c), 2e-4);
        lk_network_clear(&network);
        linkd_compat_map_free(map);
    }
}

static void it_says_when_memory_is_out(void **state)
{
    linkd_compat_map *map = map_make(H);

    (void)state;
    for (size_t nth = 1;; nth++) {
        lk_network network = {0};
        int rc;

        alloc_fail_at(nth);
        rc = lk_network_init(&network, map, N, NULL);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            lk_network_clear(&network);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
    }
    linkd_compat_map_free(map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_makes_what_the_map_makes),
        cmocka_unit_test(gradients_are_slopes),
        cmocka_unit_test(it_says_when_memory_is_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
