/* linkage/logistic_fit.c — Newton's method, made cheap for features of a byte.
 *
 *   columns   x0 x0*x0 x1 x1*x1 … | missing, one of each group | 1
 *
 * A step needs the loss, its gradient and its curvature X'WX. The first two
 * are look-ups: what a byte of a feature adds to the log-odds is tabled, and
 * for the gradient the residuals are summed by byte of each feature first. The
 * curvature is all the work (see normal.c), and three things make it less:
 *
 *   - features of one field are missing together. k equal columns that share
 *     the penalty evenly are one column times sqrt(k), and a column of zeros is
 *     none;
 *   - with many examples the first steps are made on an eighth of them, or on
 *     none if there is a model to start from: two or three steps remain;
 *   - workers share the examples, in chunks whose bounds and order of summing
 *     do not depend on the number of workers.
 *
 * The curvature is summed from floats, gradient and loss from doubles: an
 * inexact curvature costs a step, an inexact gradient the answer. A step that
 * makes the loss rise is halved. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "linkage/logistic.h"
#include "linkage/normal.h"

enum {
    RIDGE_TRIES = 12, /* from 1e-9 to 100 times the largest curvature */
    BYTES = 256,
    STEPS_MAX = 25,
    HALVINGS_MAX = 20,
    CHUNKS_MAX = 32,   /* their sums are kept: 32 * 180^2 doubles are 8 MB */
    CHUNK_LEN = 512,   /* examples at least: guess */
    SAMPLE_OF = 8,     /* the first steps see one example in 8 … */
    SAMPLE_MIN = 4096, /* … if so many remain: guess */
};

#define NO_COLUMN SIZE_MAX

#define TOO_LARGE "weights of examples are too large"

/* The loss has settled if a step changes it by less than this share. */
#define SETTLED 1e-6

typedef struct fit {
    const lk_features *features;
    const lk_example *examples;
    size_t n;
    double penalty;
    lk_pool *pool;
    lk_arena arena;

    /* Columns. A feature's x is column 2 * feature, x * x the next one. */
    size_t *missing; /* [n_features] column or NO_COLUMN */
    bool *leads;     /* [n_features] first of those with the same `missing` */
    double *scales;  /* [n_columns] */
    size_t n_columns, stride;

    /* Examples that count at present, each `share` times, in chunks. */
    uint32_t *chosen;
    size_t n_chosen, n_chunks, chunk_len;
    double share;

    double *table;   /* [n_features, 256] of the weights last looked at */
    double *margins; /* [n] log-odds of the chosen, by those weights */
    double *weights, *trial, *gradient, *step; /* [n_columns] */
    double *matrix;                            /* [stride, stride] */

    double *losses;     /* [n_chunks] */
    double *gradients;  /* [n_chunks, n_columns] */
    double *matrices;   /* [n_chunks, stride, stride] */
    double *histograms; /* [n_workers, n_features, 256] */
    float *rows;        /* [n_workers, LK_NORMAL_ROWS, stride] */
} fit;

static const uint8_t *values_of(const fit *f, size_t chosen)
{
    size_t pair = f->examples[f->chosen[chosen]].pair;

    return f->features->values + pair * f->features->n;
}

/* ---- columns ------------------------------------------------------------ */

/* Bits of a number, mixed so that neighbours have nothing in common. Finaliser
 * of MurmurHash3. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 33) * 0xff51afd7ed558ccdU;
    x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53U;
    return x ^ x >> 33;
}

/* Says of each feature in which examples it is missing: a sum of mixed example
 * numbers. Two different sets with one sum (1 in 2^64) would share a weight. */
static void sum_missing(const fit *f, uint64_t *sums)
{
    size_t n_features = f->features->n;

    memset(sums, 0, n_features * sizeof(*sums));
    for (size_t i = 0; i < f->n; i++) {
        const uint8_t *values =
            f->features->values + f->examples[i].pair * n_features;
        uint64_t mixed = mix(i + 1);

        for (size_t j = 0; j < n_features; j++)
            sums[j] += values[j] == LK_FEATURE_MISSING ? mixed : 0;
    }
}

/* One column for all features that are missing in the same examples. */
static void group_missing(fit *f, const uint64_t *sums)
{
    size_t n_features = f->features->n;
    size_t n = 2 * n_features;

    for (size_t i = 0; i < n; i++)
        f->scales[i] = 1;
    for (size_t i = 0; i < n_features; i++) {
        size_t first = 0;

        while (sums[first] != sums[i])
            first++;
        f->leads[i] = sums[i] != 0 && first == i;
        f->missing[i] = NO_COLUMN;
        if (sums[i] == 0)
            continue;
        if (f->leads[i])
            f->scales[n] = 0;
        f->missing[i] = f->leads[i] ? n++ : f->missing[first];
        f->scales[f->missing[i]] += 1;
    }
    for (size_t i = 2 * n_features; i < n; i++)
        f->scales[i] = sqrt(f->scales[i]);
    f->scales[n++] = 1; /* the intercept */
    f->n_columns = n;
    f->stride = lk_normal_stride(n);
}

/* From columns to the weights of a model, and back. */
static void weights_to_model(const fit *f, double *ret_weights)
{
    ret_weights[0] = f->weights[f->n_columns - 1];
    for (size_t i = 0; i < f->features->n; i++) {
        size_t missing = f->missing[i];
        double *weights = ret_weights + 1 + 3 * i;

        weights[0] = f->weights[2 * i];
        weights[1] = f->weights[2 * i + 1];
        weights[2] =
            missing == NO_COLUMN ? 0 : f->weights[missing] / f->scales[missing];
    }
}

static void weights_from_model(fit *f, const double *model)
{
    memset(f->weights, 0, f->n_columns * sizeof(*f->weights));
    f->weights[f->n_columns - 1] = model[0];
    for (size_t i = 0; i < f->features->n; i++) {
        size_t missing = f->missing[i];
        const double *weights = model + 1 + 3 * i;

        f->weights[2 * i] = weights[0];
        f->weights[2 * i + 1] = weights[1];
        if (missing != NO_COLUMN)
            f->weights[missing] += weights[2] / f->scales[missing];
    }
}

/* ---- loss and gradient -------------------------------------------------- */

static void fill_table(fit *f, const double *weights)
{
    for (size_t i = 0; i < f->features->n; i++) {
        double *table = f->table + i * BYTES;
        size_t missing = f->missing[i];

        for (size_t value = 0; value < LK_FEATURE_MISSING; value++) {
            double x = (double)value / LK_FEATURE_ONE;

            table[value] = x * (weights[2 * i] + x * weights[2 * i + 1]);
        }
        table[LK_FEATURE_MISSING] =
            f->leads[i] ? weights[missing] * f->scales[missing] : 0;
    }
}

/* The gradient of a chunk from its residuals, summed by byte. */
static void fold_histogram(const fit *f, const double *histogram,
                           double *gradient)
{
    for (size_t i = 0; i < f->features->n; i++) {
        const double *sums = histogram + i * BYTES;
        double plain = 0, square = 0;

        for (size_t value = 0; value < LK_FEATURE_MISSING; value++) {
            double x = (double)value / LK_FEATURE_ONE;

            plain += x * sums[value];
            square += x * x * sums[value];
        }
        gradient[2 * i] = plain;
        gradient[2 * i + 1] = square;
        if (f->leads[i])
            gradient[f->missing[i]] =
                f->scales[f->missing[i]] * sums[LK_FEATURE_MISSING];
    }
}

/* -ln P(answer), without overflow. */
static double loss_of(double margin, double answer)
{
    return log1p(exp(-fabs(margin))) + fmax(margin, 0) - answer * margin;
}

static double probability(double margin)
{
    return 1 / (1 + exp(-margin));
}

static size_t chunk_end(const fit *f, size_t chunk)
{
    size_t end = (chunk + 1) * f->chunk_len;

    return end < f->n_chosen ? end : f->n_chosen;
}

static int loss_task(void *ctx, size_t chunk, size_t worker, linkd_error *err)
{
    const fit *f = ctx;
    size_t n_features = f->features->n;
    double *histogram = f->histograms + worker * n_features * BYTES;
    double *gradient = f->gradients + chunk * f->n_columns;
    double loss = 0, sum = 0;

    (void)err;
    memset(histogram, 0, n_features * BYTES * sizeof(*histogram));
    for (size_t i = chunk * f->chunk_len; i < chunk_end(f, chunk); i++) {
        const lk_example *example = &f->examples[f->chosen[i]];
        const uint8_t *values = values_of(f, i);
        double margin = f->trial[f->n_columns - 1];
        double residual;

        for (size_t j = 0; j < n_features; j++)
            margin += f->table[j * BYTES + values[j]];
        f->margins[i] = margin;
        loss +=
            (double)example->weight * loss_of(margin, (double)example->answer);
        residual = (double)example->weight *
                   (probability(margin) - (double)example->answer);
        sum += residual;
        for (size_t j = 0; j < n_features; j++)
            histogram[j * BYTES + values[j]] += residual;
    }
    f->losses[chunk] = loss;
    fold_histogram(f, histogram, gradient);
    gradient[f->n_columns - 1] = sum;
    return LINKD_OK;
}

/* The loss at `trial`; leaves the gradient and the margins there. */
static int look(fit *f, double *ret_loss, linkd_error *err)
{
    size_t n = f->n_columns;
    double loss = 0, squares = 0;
    int rc;

    fill_table(f, f->trial);
    rc = lk_pool_run(f->pool, f->n_chunks, loss_task, f, err);
    if (rc != LINKD_OK)
        return rc;
    memset(f->gradient, 0, n * sizeof(*f->gradient));
    for (size_t i = 0; i < f->n_chunks; i++) {
        loss += f->losses[i];
        for (size_t j = 0; j < n; j++)
            f->gradient[j] += f->gradients[i * n + j];
    }
    for (size_t j = 0; j < n; j++) {
        double shrink = j + 1 < n ? f->penalty * f->trial[j] : 0;

        f->gradient[j] = f->share * f->gradient[j] + shrink;
        squares += shrink * f->trial[j];
    }
    *ret_loss = f->share * loss + squares / 2;
    return LINKD_OK;
}

/* ---- curvature ---------------------------------------------------------- */

/* One example as a row of columns times `root`. */
static void fill_row(const fit *f, const uint8_t *values, float root,
                     size_t row, float *rows)
{
    for (size_t i = 0; i < f->features->n; i++) {
        size_t missing = f->missing[i];
        float *column = rows + lk_normal_at(row, 2 * i);
        float x = (float)values[i] / (float)LK_FEATURE_ONE;

        if (values[i] != LK_FEATURE_MISSING) {
            column[0] = root * x;
            column[1] = root * x * x;
        } else if (f->leads[i]) {
            rows[lk_normal_at(row, missing)] = root * (float)f->scales[missing];
        }
    }
    rows[lk_normal_at(row, f->n_columns - 1)] = root;
}

static int curvature_task(void *ctx, size_t chunk, size_t worker,
                          linkd_error *err)
{
    const fit *f = ctx;
    size_t size = LK_NORMAL_ROWS * f->stride;
    float *rows = f->rows + worker * size;
    double *matrix = f->matrices + chunk * f->stride * f->stride;
    size_t end = chunk_end(f, chunk);

    (void)err;
    memset(matrix, 0, f->stride * f->stride * sizeof(*matrix));
    for (size_t i = chunk * f->chunk_len; i < end; i += LK_NORMAL_ROWS) {
        size_t n = end - i < LK_NORMAL_ROWS ? end - i : LK_NORMAL_ROWS;

        memset(rows, 0, size * sizeof(*rows));
        for (size_t j = 0; j < n; j++) {
            double p = probability(f->margins[i + j]);
            double weight = (double)f->examples[f->chosen[i + j]].weight;

            fill_row(f, values_of(f, i + j), (float)sqrt(weight * p * (1 - p)),
                     j, rows);
        }
        lk_normal_add(rows, n, f->stride, matrix);
    }
    return LINKD_OK;
}

/* The sum of the chunks, plus `ridge` on the diagonal. */
static void sum_curvature(fit *f, double ridge)
{
    size_t size = f->stride * f->stride;

    memset(f->matrix, 0, size * sizeof(*f->matrix));
    for (size_t i = 0; i < f->n_chunks; i++)
        for (size_t j = 0; j < size; j++)
            f->matrix[j] += f->matrices[i * size + j];
    for (size_t i = 0; i < size; i++)
        f->matrix[i] *= f->share;
    for (size_t i = 0; i < f->n_columns; i++)
        f->matrix[i * (f->stride + 1)] +=
            ridge + (i + 1 < f->n_columns ? f->penalty : 0);
}

/* Newton's step from the last point looked at. Without a penalty, or with huge
 * weights, the matrix may be singular to the precision of its sums; a ridge,
 * raised until it suffices, shortens the step there. */
static int find_step(fit *f, linkd_error *err)
{
    double largest = 1;
    double ridge = 1e-9;
    int rc = lk_pool_run(f->pool, f->n_chunks, curvature_task, f, err);

    if (rc != LINKD_OK)
        return rc;
    sum_curvature(f, 0);
    for (size_t i = 0; i < f->n_columns; i++)
        largest = fmax(largest, f->matrix[i * (f->stride + 1)]);
    for (size_t try = 0; try < RIDGE_TRIES; try++, ridge *= 10) {
        memcpy(f->step, f->gradient, f->n_columns * sizeof(*f->step));
        if (lk_normal_solve(f->matrix, f->stride, f->n_columns, f->step))
            return LINKD_OK;
        sum_curvature(f, ridge * largest);
    }
    return lk_fail(err, LINKD_E_ARG, TOO_LARGE);
}

/* ---- descent ------------------------------------------------------------ */

/* Goes along the step, less far while the loss rises. *ret_loss stays as it is
 * if no part of the step makes it fall. */
static int descend(fit *f, double *ret_loss, linkd_error *err)
{
    double length = 1;
    int rc = LINKD_OK;

    for (size_t i = 0; rc == LINKD_OK && i < HALVINGS_MAX; i++, length /= 2) {
        double loss = 0;

        for (size_t j = 0; j < f->n_columns; j++)
            f->trial[j] = f->weights[j] - length * f->step[j];
        rc = look(f, &loss, err);
        if (rc == LINKD_OK && loss <= *ret_loss) {
            memcpy(f->weights, f->trial, f->n_columns * sizeof(*f->weights));
            *ret_loss = loss;
            break;
        }
    }
    return rc;
}

/* Newton steps on the chosen examples until the loss settles. */
static int minimise(fit *f, linkd_error *err)
{
    double loss = 0;
    int rc;

    memcpy(f->trial, f->weights, f->n_columns * sizeof(*f->trial));
    rc = look(f, &loss, err);
    for (size_t i = 0; rc == LINKD_OK && i < STEPS_MAX; i++) {
        double before = loss;

        rc = find_step(f, err);
        if (rc == LINKD_OK)
            rc = descend(f, &loss, err);
        if (before - loss <= SETTLED * before)
            break;
    }
    return rc;
}

/* ---- examples ----------------------------------------------------------- */

/* Lets about one example in `of` count. False: too few, or one answer only. */
static bool choose(fit *f, size_t of)
{
    bool seen[2] = {false, false};

    f->n_chosen = 0;
    for (size_t i = 0; i < f->n; i++)
        if (of == 1 || mix(i) % of == 0) {
            f->chosen[f->n_chosen++] = (uint32_t)i;
            seen[f->examples[i].answer > 0.5F] = true;
        }
    f->share = (double)f->n / (double)(f->n_chosen > 0 ? f->n_chosen : 1);
    f->chunk_len = (f->n_chosen + CHUNKS_MAX - 1) / CHUNKS_MAX;
    if (f->chunk_len < CHUNK_LEN)
        f->chunk_len = CHUNK_LEN;
    f->n_chunks = (f->n_chosen + f->chunk_len - 1) / f->chunk_len;
    return of == 1 || (f->n_chosen >= SAMPLE_MIN && seen[0] && seen[1]);
}

int lk_examples_prior(const lk_example *examples, size_t n, double *ret_prior,
                      linkd_error *err)
{
    double sums[2] = {0, 0};

    for (size_t i = 0; i < n; i++)
        sums[examples[i].answer > 0.5F] += (double)examples[i].weight;
    if (n == 0)
        return lk_fail(err, LINKD_E_ARG, "there is no example to learn from");
    if (!isfinite(sums[0]) || !isfinite(sums[1]))
        return lk_fail(err, LINKD_E_ARG, TOO_LARGE);
    if (!(sums[0] > 0) || !(sums[1] > 0))
        return lk_fail(err, LINKD_E_ARG, "all examples have the same answer");
    *ret_prior = log(sums[1] / sums[0]);
    return LINKD_OK;
}

/* ---- memory ------------------------------------------------------------- */

static void *take(fit *f, size_t n, size_t size)
{
    return n > SIZE_MAX / 64 / size ? NULL
                                    : lk_arena_alloc(&f->arena, n * size);
}

/* All but the chunks' sums and scratch, whose size depends on the groups. */
static int allocate(fit *f, uint64_t **ret_sums, linkd_error *err)
{
    size_t n_features = f->features->n;

    *ret_sums = take(f, n_features + 1, sizeof(**ret_sums));
    f->missing = take(f, n_features + 1, sizeof(*f->missing));
    f->leads = take(f, n_features + 1, sizeof(*f->leads));
    f->scales = take(f, 3 * n_features + 1, sizeof(*f->scales));
    f->table = take(f, n_features + 1, BYTES * sizeof(*f->table));
    f->chosen = take(f, f->n, sizeof(*f->chosen));
    f->margins = take(f, f->n, sizeof(*f->margins));
    if (*ret_sums == NULL || f->missing == NULL || f->leads == NULL ||
        f->scales == NULL || f->table == NULL || f->chosen == NULL ||
        f->margins == NULL)
        return lk_fail_nomem(err);
    return LINKD_OK;
}

static int allocate_sums(fit *f, linkd_error *err)
{
    size_t n = f->n_columns;
    size_t n_workers = lk_pool_n_workers(f->pool);
    size_t size = f->stride * f->stride * sizeof(*f->matrix);
    double *vectors = take(f, 4 * n, sizeof(*vectors));

    f->matrix = take(f, 1, size);
    f->losses = take(f, CHUNKS_MAX, sizeof(*f->losses));
    f->gradients = take(f, CHUNKS_MAX, n * sizeof(*f->gradients));
    f->matrices = take(f, CHUNKS_MAX, size);
    f->histograms = take(f, n_workers * (f->features->n + 1),
                         BYTES * sizeof(*f->histograms));
    f->rows = take(f, n_workers * f->stride, LK_NORMAL_ROWS * sizeof(*f->rows));
    if (vectors == NULL || f->matrix == NULL || f->losses == NULL ||
        f->gradients == NULL || f->matrices == NULL || f->histograms == NULL ||
        f->rows == NULL)
        return lk_fail_nomem(err);
    f->weights = vectors;
    f->trial = vectors + n;
    f->gradient = vectors + 2 * n;
    f->step = vectors + 3 * n;
    return LINKD_OK;
}

/* ---- fitting ------------------------------------------------------------ */

static int prepare(fit *f, linkd_error *err)
{
    uint64_t *sums = NULL;
    int rc = allocate(f, &sums, err);

    if (rc != LINKD_OK)
        return rc;
    sum_missing(f, sums);
    group_missing(f, sums);
    return allocate_sums(f, err);
}

/* From the model's weights, or (NULL) from the answers alone. */
static int run(fit *f, const double *model, linkd_error *err)
{
    double prior = 0;
    int rc = lk_examples_prior(f->examples, f->n, &prior, err);

    if (rc == LINKD_OK)
        rc = prepare(f, err);
    if (rc != LINKD_OK)
        return rc;
    if (model != NULL) {
        weights_from_model(f, model);
    } else {
        memset(f->weights, 0, f->n_columns * sizeof(*f->weights));
        f->weights[f->n_columns - 1] = prior;
        if (choose(f, SAMPLE_OF))
            rc = minimise(f, err);
    }
    (void)choose(f, 1);
    return rc == LINKD_OK ? minimise(f, err) : rc;
}

int lk_logistic_refit(const lk_features *features, const lk_example *examples,
                      size_t n, double penalty, lk_pool *pool,
                      lk_logistic *model, linkd_error *err)
{
    fit f = {.features = features,
             .examples = examples,
             .n = n,
             .penalty = penalty,
             .pool = pool};
    int rc;

    LK_ASSERT(model->n_features == features->n && n <= UINT32_MAX);
    rc = run(&f, model->weights, err);
    if (rc == LINKD_OK)
        weights_to_model(&f, model->weights);
    lk_arena_clear(&f.arena);
    return rc;
}

int lk_logistic_fit(const lk_features *features, const lk_example *examples,
                    size_t n, double penalty, lk_pool *pool,
                    lk_logistic *ret_model, linkd_error *err)
{
    fit f = {.features = features,
             .examples = examples,
             .n = n,
             .penalty = penalty,
             .pool = pool};
    double *weights = lk_alloc_aligned(1 + 3 * features->n, sizeof(*weights));
    int rc = LINKD_OK;

    LK_ASSERT(n <= UINT32_MAX);
    if (weights == NULL)
        rc = lk_fail_nomem(err);
    else
        rc = run(&f, NULL, err);
    if (rc == LINKD_OK) {
        weights_to_model(&f, weights);
        *ret_model =
            (lk_logistic){.weights = weights, .n_features = features->n};
        weights = NULL;
    }
    free(weights);
    lk_arena_clear(&f.arena);
    return rc;
}
