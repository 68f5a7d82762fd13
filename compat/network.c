/* compat/network.c — see network.h. */
#include "compat/network.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compat/blas.h"

/* The slope of the sigmoid in gelu(h) = h / (1 + e^(-SLOPE h)), as in map.c. */
#define SLOPE 1.702F

int lk_network_init(lk_network *network, linkd_compat_map *map, size_t n_max,
                    linkd_error *err)
{
    lk_network made = {.map = map};
    lk_map_part parts[LK_MAP_PARTS];
    size_t n_values = n_max * map->n_hidden;
    int rc = lk_map_new(&map->info, map->n_hidden, 0, &made.gradient, err);

    lk_map_parts(map, parts);
    for (size_t i = 0; i < LK_NETWORK_PARTS && rc == LINKD_OK; i++)
        rc = lk_adam_init(&made.adams[i], parts[i].n, err);
    if (rc == LINKD_OK && n_values > 0) {
        made.before = lk_alloc_aligned(n_values, sizeof(float));
        made.after = lk_alloc_aligned(n_values, sizeof(float));
        if (made.before == NULL || made.after == NULL)
            rc = lk_fail_nomem(err);
    }
    if (rc == LINKD_OK)
        *network = made;
    else
        lk_network_clear(&made);
    return rc;
}

void lk_network_clear(lk_network *network)
{
    linkd_compat_map_free(network->gradient);
    for (size_t i = 0; i < LK_NETWORK_PARTS; i++)
        lk_adam_clear(&network->adams[i]);
    free(network->before);
    free(network->after);
    *network = (lk_network){0};
}

void lk_network_forward(lk_network *network, const float *x, size_t n,
                        float *ret_y)
{
    const linkd_compat_map *m = network->map;
    size_t p = m->info.dim_from;
    size_t q = m->info.dim_to;
    size_t h = m->n_hidden;

    lk_affine(x, n, p, m->weights, m->bias, q, ret_y);
    if (h == 0)
        return;
    lk_affine(x, n, p, m->hidden_weights, m->hidden_bias, h, network->before);
    for (size_t i = 0; i < n * h; i++)
        network->after[i] =
            network->before[i] / (1.0F + expf(-SLOPE * network->before[i]));
    lk_multiply_f32((lk_product){LK_PLAIN, LK_PLAIN, n, q, h}, 1.0F,
                    network->after, m->out_weights, 1.0F, ret_y);
}

/* ret [dim]: the sum of rows [n, dim]. */
static void rows_sum(const float *rows, size_t n, size_t dim, float *ret)
{
    memset(ret, 0, dim * sizeof(*ret));
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < dim; j++)
            ret[j] += rows[i * dim + j];
}

/* x'g and the sum of g: the gradients of an affine layer. */
static void affine_gradient(const float *x, size_t n, size_t dim_from,
                            const float *g, size_t dim_to, float *ret_weights,
                            float *ret_bias)
{
    lk_multiply_f32((lk_product){LK_TRANSPOSED, LK_PLAIN, dim_from, dim_to, n},
                    1.0F, x, g, 0.0F, ret_weights);
    rows_sum(g, n, dim_to, ret_bias);
}

/* d gelu / dh = s + SLOPE h s (1 - s) with s the sigmoid of SLOPE h. */
static float gelu_slope(float h)
{
    float s = 1.0F / (1.0F + expf(-SLOPE * h));

    return s + SLOPE * h * s * (1.0F - s);
}

void lk_network_backward(lk_network *network, const float *x, size_t n,
                         const float *y_gradient)
{
    const linkd_compat_map *m = network->map;
    linkd_compat_map *g = network->gradient;
    size_t p = m->info.dim_from;
    size_t q = m->info.dim_to;
    size_t h = m->n_hidden;
    float *inner = network->after;

    affine_gradient(x, n, p, y_gradient, q, g->weights, g->bias);
    if (h == 0)
        return;
    lk_multiply_f32((lk_product){LK_TRANSPOSED, LK_PLAIN, h, q, n}, 1.0F,
                    network->after, y_gradient, 0.0F, g->out_weights);
    /* from here on `after` is of no more use, and its place is */
    lk_multiply_f32((lk_product){LK_PLAIN, LK_TRANSPOSED, n, h, q}, 1.0F,
                    y_gradient, m->out_weights, 0.0F, inner);
    for (size_t i = 0; i < n * h; i++)
        inner[i] *= gelu_slope(network->before[i]);
    affine_gradient(x, n, p, inner, h, g->hidden_weights, g->hidden_bias);
}

void lk_network_step(lk_network *network, lk_adam_step_size size)
{
    lk_map_part values[LK_MAP_PARTS];
    lk_map_part gradients[LK_MAP_PARTS];

    lk_map_parts(network->map, values);
    lk_map_parts(network->gradient, gradients);
    for (size_t i = 0; i < LK_NETWORK_PARTS; i++)
        lk_adam_step(&network->adams[i], size, gradients[i].values,
                     values[i].values);
}
