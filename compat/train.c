/* compat/train.c — see train.h. */
#include "compat/train.h"

#include <stdlib.h>
#include <string.h>

#include "compat/network.h"
#include "compat/random.h"

typedef struct trainer {
    const lk_train_plan *plan;
    lk_loss_fn *loss;
    void *ctx; /* of loss */
    const lk_pairs *pairs;
    size_t n_batch;
    size_t *order;   /* [pairs->n] */
    double *mean;    /* [dim_from] */
    lk_pairs batch;  /* as they are */
    float *centred;  /* [n_batch, dim_from] */
    float *y;        /* [n_batch, dim_to of the map] */
    float *gradient; /* by y */
    lk_network network;
} trainer;

size_t lk_train_batch(const lk_train_plan *plan, const lk_pairs *pairs)
{
    return pairs->n < plan->n_batch ? pairs->n : plan->n_batch;
}

static void trainer_clear(trainer *t)
{
    free(t->order);
    free(t->mean);
    lk_pairs_clear(&t->batch);
    free(t->centred);
    free(t->y);
    free(t->gradient);
    lk_network_clear(&t->network);
}

static int batch_init(trainer *t, linkd_error *err)
{
    lk_pairs *b = &t->batch;

    b->n = t->n_batch;
    b->dim_from = t->pairs->dim_from;
    b->dim_to = t->pairs->dim_to;
    b->from = lk_alloc_aligned(b->n, b->dim_from * sizeof(*b->from));
    if (t->pairs->to != NULL)
        b->to = lk_alloc_aligned(b->n, b->dim_to * sizeof(*b->to));
    b->labels = calloc(b->n, sizeof(*b->labels));
    if (b->from == NULL || (b->to == NULL) != (t->pairs->to == NULL) ||
        b->labels == NULL)
        return lk_fail_nomem(err);
    return LINKD_OK;
}

static int trainer_init(trainer *t, const lk_fit_input *input,
                        linkd_compat_map *map, linkd_error *err)
{
    size_t p = input->pairs->dim_from;
    size_t q = map->info.dim_to;
    int rc;

    t->pairs = input->pairs;
    t->n_batch = lk_train_batch(t->plan, input->pairs);
    t->order = malloc(t->pairs->n * sizeof(*t->order));
    t->mean = malloc(p * sizeof(*t->mean));
    t->centred = lk_alloc_aligned(t->n_batch, p * sizeof(*t->centred));
    t->y = lk_alloc_aligned(t->n_batch, q * sizeof(*t->y));
    t->gradient = lk_alloc_aligned(t->n_batch, q * sizeof(*t->gradient));
    if (t->order == NULL || t->mean == NULL || t->centred == NULL ||
        t->y == NULL || t->gradient == NULL)
        return lk_fail_nomem(err);
    rc = batch_init(t, err);
    if (rc == LINKD_OK)
        rc = lk_network_init(&t->network, map, t->n_batch, err);
    lk_rows_mean(t->pairs->from, t->pairs->n, p, t->mean);
    return rc;
}

/* bias [dim_to] += sign * mean W */
static void bias_move(const trainer *t, double sign, const float *weights,
                      size_t dim_to, float *bias)
{
    for (size_t j = 0; j < dim_to; j++) {
        double sum = 0.0;

        for (size_t i = 0; i < t->pairs->dim_from; i++)
            sum += t->mean[i] * (double)weights[i * dim_to + j];
        bias[j] += (float)(sign * sum);
    }
}

/* x W + b = (x - m) W + (b + m W), and back with sign -1. */
static void map_move(const trainer *t, double sign)
{
    linkd_compat_map *m = t->network.map;

    bias_move(t, sign, m->weights, m->info.dim_to, m->bias);
    bias_move(t, sign, m->hidden_weights, m->n_hidden, m->hidden_bias);
}

/* The rows of `order` [n_batch]. */
static void batch_fill(trainer *t, const size_t *order)
{
    lk_pairs *b = &t->batch;
    size_t p = b->dim_from;
    size_t q = b->dim_to;

    for (size_t i = 0; i < b->n; i++) {
        size_t row = order[i];

        memcpy(b->from + i * p, t->pairs->from + row * p, p * sizeof(*b->from));
        for (size_t j = 0; j < p; j++)
            t->centred[i * p + j] = b->from[i * p + j] - (float)t->mean[j];
        if (b->to != NULL)
            memcpy(b->to + i * q, t->pairs->to + row * q, q * sizeof(*b->to));
        if (t->pairs->labels != NULL)
            b->labels[i] = t->pairs->labels[row];
    }
}

/* One step on the rows of `order` [n_batch]. */
static int batch_train(trainer *t, const size_t *order, size_t step,
                       double share, linkd_error *err)
{
    lk_adam_step_size size = {t->plan->rate * share, t->plan->decay, step};
    int rc;

    batch_fill(t, order);
    lk_network_forward(&t->network, t->centred, t->n_batch, t->y);
    rc = t->loss(t->ctx, &t->batch, t->y, share, t->gradient, err);
    if (rc != LINKD_OK)
        return rc;
    lk_network_backward(&t->network, t->centred, t->n_batch, t->gradient);
    lk_network_step(&t->network, size);
    return LINKD_OK;
}

static size_t n_epochs_of(const lk_train_plan *plan, size_t asked,
                          size_t n_batches)
{
    size_t needed = (plan->n_steps_min + n_batches - 1) / n_batches;

    if (asked > 0)
        return asked;
    return plan->n_epochs > needed ? plan->n_epochs : needed;
}

static int epochs_run(trainer *t, const lk_fit_input *input, linkd_error *err)
{
    size_t n_batches = t->pairs->n / t->n_batch;
    size_t n_epochs = n_epochs_of(t->plan, input->options->n_epochs, n_batches);
    size_t step = 0;
    lk_random random = {input->options->seed};
    int rc = LINKD_OK;

    for (size_t epoch = 0; epoch < n_epochs && rc == LINKD_OK; epoch++) {
        rc = lk_progress_report(input->progress, "train", epoch, n_epochs, err);
        lk_random_order(&random, t->pairs->n, t->order);
        for (size_t i = 0; i < n_batches && rc == LINKD_OK; i++) {
            step++;
            rc = batch_train(t, t->order + i * t->n_batch, step,
                             lk_cosine_share(step, n_epochs * n_batches), err);
        }
    }
    if (rc == LINKD_OK)
        rc = lk_progress_report(input->progress, "train", n_epochs, n_epochs,
                                err);
    return rc;
}

int lk_train(const lk_fit_input *input, const lk_train_plan *plan,
             linkd_compat_map *map, lk_loss_fn *loss, void *ctx,
             linkd_error *err)
{
    trainer t = {.plan = plan, .loss = loss, .ctx = ctx};
    int rc = trainer_init(&t, input, map, err);

    if (rc == LINKD_OK) {
        map_move(&t, 1.0);
        rc = epochs_run(&t, input, err);
        map_move(&t, -1.0);
    }
    trainer_clear(&t);
    return rc;
}
