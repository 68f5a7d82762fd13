/* compat/bt2_train.c — see bt2_train.h. */
#include "compat/bt2_train.h"

#include <stdlib.h>
#include <string.h>

#include "compat/blas.h"
#include "compat/cayley.h"
#include "compat/losses.h"
#include "compat/polar.h"
#include "compat/train.h"

/* Batches are large because a Cayley step costs more than a batch does. */
static const lk_train_plan plan = {
    .n_batch = 512, .n_epochs = 15, .rate = 1e-3};

/* Of P and B at first: twice that of our numpy prototype (2026-11), whose batch
 * was half as large. */
#define CAYLEY_RATE 1.0

/* ---- state -------------------------------------------------------------- */

static void identity(double *a, size_t n)
{
    memset(a, 0, n * n * sizeof(*a));
    for (size_t i = 0; i < n; i++)
        a[i * n + i] = 1.0;
}

static float *floats(size_t n)
{
    return lk_alloc_aligned(n + 1, sizeof(float));
}

static double *doubles(size_t n)
{
    return lk_alloc_aligned(n + 1, sizeof(double));
}

int lk_bt2_init(lk_bt2 *bt2, size_t dim_new, size_t dim_old, size_t n_added,
                size_t n_max, linkd_error *err)
{
    size_t n_seen = dim_old - n_added;
    size_t larger = dim_new > dim_old ? dim_new : dim_old;
    lk_bt2 b = {.dim_new = dim_new,
                .dim_old = dim_old,
                .n_added = n_added,
                .n_seen = n_seen,
                .basis = doubles(dim_old * dim_old),
                .rotation = doubles(dim_new * dim_new),
                .basis_gradient = floats(dim_old * dim_old),
                .seen_gradient = floats(dim_new * n_seen),
                .basis_now = floats(dim_old * dim_old),
                .seen_now = floats(dim_new * n_seen),
                .lengths = floats(n_max),
                .w = floats(n_max * dim_old),
                .y = floats(n_max * dim_old),
                .y_gradient = floats(n_max * dim_old),
                .part = floats(n_max * dim_old),
                .scratch = doubles(3 * larger * larger)};

    if (b.basis == NULL || b.rotation == NULL || b.basis_gradient == NULL ||
        b.seen_gradient == NULL || b.basis_now == NULL || b.seen_now == NULL ||
        b.lengths == NULL || b.w == NULL || b.y == NULL ||
        b.y_gradient == NULL || b.part == NULL || b.scratch == NULL) {
        lk_bt2_clear(&b);
        return lk_fail_nomem(err);
    }
    identity(b.basis, dim_old);
    identity(b.rotation, dim_new);
    *bt2 = b;
    return LINKD_OK;
}

void lk_bt2_clear(lk_bt2 *bt2)
{
    free(bt2->basis);
    free(bt2->rotation);
    free(bt2->basis_gradient);
    free(bt2->seen_gradient);
    free(bt2->basis_now);
    free(bt2->seen_now);
    free(bt2->lengths);
    free(bt2->w);
    free(bt2->y);
    free(bt2->y_gradient);
    free(bt2->part);
    free(bt2->scratch);
    *bt2 = (lk_bt2){0};
}

/* ---- the loss ------------------------------------------------------------ */

static void copies_make(lk_bt2 *b)
{
    for (size_t i = 0; i < b->dim_old * b->dim_old; i++)
        b->basis_now[i] = (float)b->basis[i];
    for (size_t i = 0; i < b->dim_new; i++)
        for (size_t j = 0; j < b->n_seen; j++)
            b->seen_now[i * b->n_seen + j] =
                (float)b->rotation[i * b->dim_new + j];
}

/* w's first dim_old values for o [n, n_added] of any length. */
static void compared_make(lk_bt2 *b, const float *f, size_t n, const float *o)
{
    size_t q = b->dim_old;
    size_t a = b->n_added;
    size_t k = b->n_seen;

    copies_make(b);
    if (k > 0)
        lk_multiply_f32((lk_product){LK_PLAIN, LK_PLAIN, n, k, b->dim_new},
                        LK_BT2_SCALE, f, b->seen_now, 0.0F, b->part);
    for (size_t i = 0; i < n; i++) {
        memcpy(b->w + i * q, o + i * a, a * sizeof(*b->w));
        b->lengths[i] = lk_row_normalise(b->w + i * q, a);
        if (k > 0)
            memcpy(b->w + i * q + a, b->part + i * k, k * sizeof(*b->w));
    }
}

/* From the gradient by w [n, dim_old] in y to those by o and P. */
static void w_gradient_split(lk_bt2 *b, const lk_pairs *batch,
                             float *ret_o_gradient)
{
    size_t n = batch->n;
    size_t q = b->dim_old;
    size_t a = b->n_added;
    size_t k = b->n_seen;

    for (size_t i = 0; i < n; i++) {
        memcpy(ret_o_gradient + i * a, b->y + i * q, a * sizeof(*b->y));
        lk_direction_gradient(b->w + i * q, b->lengths[i], a,
                              ret_o_gradient + i * a);
        if (k > 0)
            memcpy(b->part + i * k, b->y + i * q + a, k * sizeof(*b->y));
    }
    if (k > 0)
        lk_multiply_f32((lk_product){LK_TRANSPOSED, LK_PLAIN, b->dim_new, k, n},
                        LK_BT2_SCALE, batch->from, b->part, 0.0F,
                        b->seen_gradient);
}

double lk_bt2_loss(lk_bt2 *b, const lk_pairs *batch, const float *o,
                   float *ret_o_gradient)
{
    size_t n = batch->n;
    size_t q = b->dim_old;
    lk_loss_rows rows = {.y = b->y, .n = n, .dim = q};
    double loss;

    compared_make(b, batch->from, n, o);
    lk_multiply_f32((lk_product){LK_PLAIN, LK_PLAIN, n, q, q}, 1.0F, b->w,
                    b->basis_now, 0.0F, b->y);
    loss = lk_loss_cosine(&rows, batch->to, b->y_gradient);
    lk_multiply_f32((lk_product){LK_TRANSPOSED, LK_PLAIN, q, q, n}, 1.0F, b->w,
                    b->y_gradient, 0.0F, b->basis_gradient);
    lk_multiply_f32((lk_product){LK_PLAIN, LK_TRANSPOSED, n, q, q}, 1.0F,
                    b->y_gradient, b->basis_now, 0.0F, b->y);
    w_gradient_split(b, batch, ret_o_gradient);
    return loss;
}

/* ---- training ------------------------------------------------------------ */

/* A gradient by the first `n_columns` columns of q [n, n] moves q. */
static int turn(const float *gradient, size_t n_columns, size_t n, double rate,
                double *q, double *scratch, linkd_error *err)
{
    double *whole = scratch + 2 * n * n;

    memset(whole, 0, n * n * sizeof(*whole));
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n_columns; j++)
            whole[i * n + j] = (double)gradient[i * n_columns + j];
    return lk_cayley_step(whole, rate, n, q, scratch, err);
}

static int batch_loss(void *ctx, const lk_pairs *batch, const float *y,
                      double share, float *ret_gradient, linkd_error *err)
{
    lk_bt2 *b = ctx;
    int rc = LINKD_OK;

    (void)lk_bt2_loss(b, batch, y, ret_gradient);
    if (b->n_seen == 0)
        return LINKD_OK;
    rc = turn(b->basis_gradient, b->dim_old, b->dim_old, CAYLEY_RATE * share,
              b->basis, b->scratch, err);
    if (rc == LINKD_OK)
        rc = turn(b->seen_gradient, b->n_seen, b->dim_new, CAYLEY_RATE * share,
                  b->rotation, b->scratch, err);
    return rc;
}

/* Columns [first, first + n_columns) of to [n, dim], seen from the rows. */
static int columns_polar(const float *rows, size_t dim_rows, const float *to,
                         size_t dim, size_t first, size_t n, double *ret,
                         linkd_error *err)
{
    size_t n_columns = dim - first;
    float *cross = floats(dim_rows * dim);
    double *part = doubles(dim_rows * n_columns);
    int rc = LINKD_OK;

    if (cross == NULL || part == NULL) {
        rc = lk_fail_nomem(err);
        goto done;
    }
    lk_multiply_f32((lk_product){LK_TRANSPOSED, LK_PLAIN, dim_rows, dim, n},
                    1.0F, rows, to, 0.0F, cross);
    for (size_t i = 0; i < dim_rows; i++)
        for (size_t j = 0; j < n_columns; j++)
            part[i * n_columns + j] = (double)cross[i * dim + first + j];
    rc = lk_polar(part, dim_rows, n_columns, ret, err);
done:
    free(part);
    free(cross);
    return rc;
}

/* P's seen columns are the rotation to old values [n_added, dim_old), and its
 * others complete it. */
static int rotation_start(lk_bt2 *b, const lk_pairs *pairs, linkd_error *err)
{
    size_t p = b->dim_new;
    size_t k = b->n_seen;
    double *columns = doubles(p * p);
    int rc = columns == NULL
                 ? lk_fail_nomem(err)
                 : columns_polar(pairs->from, p, pairs->to, b->dim_old,
                                 b->n_added, pairs->n, columns, err);

    if (rc == LINKD_OK && p > k)
        rc = lk_complement(columns, p, k, columns + p * k, err);
    for (size_t i = 0; rc == LINKD_OK && i < p; i++)
        for (size_t j = 0; j < p; j++)
            b->rotation[i * p + j] =
                j < k ? columns[i * k + j]
                      : columns[p * k + i * (p - k) + (j - k)];
    free(columns);
    return rc;
}

/* B is the rotation from w to old vectors, with o and P as they start; the first
 * rows that fit a batch are enough. */
static int basis_start(lk_bt2 *b, const linkd_compat_map *added,
                       const lk_pairs *pairs, linkd_error *err)
{
    size_t n = lk_train_batch(&plan, pairs);
    float *o = floats(n * b->n_added);
    int rc = o == NULL ? lk_fail_nomem(err)
                       : lk_map_apply(added, pairs->from, n, o, err);

    if (rc == LINKD_OK) {
        compared_make(b, pairs->from, n, o);
        rc = columns_polar(b->w, b->dim_old, pairs->to, b->dim_old, 0, n,
                           b->basis, err);
    }
    free(o);
    return rc;
}

/* o starts as the first values of the Procrustes map. */
static int added_start(const lk_fit_input *input, size_t n_added,
                       linkd_compat_map **ret_map, linkd_error *err)
{
    linkd_compat_map *all = NULL;
    linkd_compat_map *map = NULL;
    linkd_compat_info info;
    int rc = lk_fit_procrustes(input, &all, err);

    if (rc != LINKD_OK)
        return rc;
    info = all->info;
    info.dim_to = info.dim_compat = n_added;
    rc = lk_map_new(&info, 0, 0, &map, err);
    if (rc == LINKD_OK) {
        for (size_t i = 0; i < info.dim_from; i++)
            memcpy(map->weights + i * n_added,
                   all->weights + i * all->info.dim_to,
                   n_added * sizeof(*map->weights));
        memcpy(map->bias, all->bias, n_added * sizeof(*map->bias));
        *ret_map = map;
    }
    linkd_compat_map_free(all);
    return rc;
}

static int compose(const lk_bt2 *b, const linkd_compat_map *added,
                   linkd_compat_map **ret_map, linkd_error *err)
{
    size_t p = b->dim_new;
    size_t a = b->n_added;
    linkd_compat_info info = {.head = LINKD_HEAD_BT2_TRAINED,
                              .dim_from = p,
                              .dim_to = a + p,
                              .dim_compat = b->dim_old};
    linkd_compat_map *map;
    int rc = lk_map_new(&info, 0, b->n_seen > 0 ? b->dim_old : 0, &map, err);

    if (rc != LINKD_OK)
        return rc;
    map->n_unit = a;
    memcpy(map->bias, added->bias, a * sizeof(*map->bias));
    for (size_t i = 0; i < p; i++) {
        float *row = map->weights + i * (a + p);

        memcpy(row, added->weights + i * a, a * sizeof(*row));
        for (size_t j = 0; j < p; j++)
            row[a + j] = LK_BT2_SCALE * (float)b->rotation[i * p + j];
    }
    for (size_t i = 0; i < map->n_basis * map->n_basis; i++)
        map->basis[i] = (float)b->basis[i];
    *ret_map = map;
    return LINKD_OK;
}

static int n_added_check(size_t n_added, const lk_pairs *pairs,
                         linkd_error *err)
{
    if (n_added > pairs->dim_to)
        return lk_fail(err, LINKD_E_ARG,
                       "%zu added dimensions are more than the old model's %zu",
                       n_added, pairs->dim_to);
    if (n_added + pairs->dim_from < pairs->dim_to)
        return lk_fail(err, LINKD_E_ARG,
                       "%zu added and %zu own dimensions do not cover the old "
                       "model's %zu",
                       n_added, pairs->dim_from, pairs->dim_to);
    return LINKD_OK;
}

int lk_fit_bt2_trained(const lk_fit_input *input, linkd_compat_map **ret_map,
                       linkd_error *err)
{
    const lk_pairs *pairs = input->pairs;
    size_t asked = input->options->n_added;
    size_t n_added = asked > 0 ? asked : pairs->dim_to;
    linkd_compat_map *added = NULL;
    lk_bt2 b = {0};
    int rc = n_added_check(n_added, pairs, err);

    if (rc == LINKD_OK)
        rc = added_start(input, n_added, &added, err);
    if (rc == LINKD_OK)
        rc = lk_bt2_init(&b, pairs->dim_from, pairs->dim_to, n_added,
                         lk_train_batch(&plan, pairs), err);
    if (rc == LINKD_OK && b.n_seen > 0)
        rc = rotation_start(&b, pairs, err);
    if (rc == LINKD_OK && b.n_seen > 0)
        rc = basis_start(&b, added, pairs, err);
    if (rc == LINKD_OK)
        rc = lk_train(input, &plan, added, batch_loss, &b, err);
    if (rc == LINKD_OK)
        rc = compose(&b, added, ret_map, err);
    lk_bt2_clear(&b);
    linkd_compat_map_free(added);
    return rc;
}
