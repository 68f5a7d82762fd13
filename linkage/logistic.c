/* linkage/logistic.c — what a fitted model says of pairs; logistic_fit.c fits.
 *
 * A feature is a byte, so all that it can add to the log-odds are 256 numbers.
 * For many pairs they are written down first (float [n_features, 256]), and a
 * pair costs one look-up a feature instead of arithmetic and a branch. */
#include <stdlib.h>

#include "linkage/logistic.h"

enum {
    BYTES = 256,
};

void lk_logistic_clear(lk_logistic *model)
{
    free(model->weights);
    *model = (lk_logistic){0};
}

/* What one feature adds. */
static double part(const lk_logistic *model, size_t feature, uint8_t value)
{
    const double *weights = model->weights + 1 + 3 * feature;
    double x = (double)value / LK_FEATURE_ONE;

    if (value == LK_FEATURE_MISSING)
        return weights[2];
    return x * (weights[0] + x * weights[1]);
}

double lk_logistic_log_odds(const lk_logistic *model, const uint8_t *values)
{
    double sum = model->weights[0];

    for (size_t i = 0; i < model->n_features; i++)
        sum += part(model, i, values[i]);
    return sum;
}

void lk_logistic_parts(const lk_logistic *model, const uint8_t *values,
                       double *ret_parts)
{
    for (size_t i = 0; i < model->n_features; i++)
        ret_parts[i] = part(model, i, values[i]);
}

int lk_logistic_table_make(const lk_logistic *model,
                           lk_logistic_table *ret_table, linkd_error *err)
{
    float *parts =
        lk_alloc_aligned(model->n_features + 1, BYTES * sizeof(*parts));

    if (parts == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < model->n_features; i++)
        for (size_t value = 0; value < BYTES; value++)
            parts[i * BYTES + value] = (float)part(model, i, (uint8_t)value);
    *ret_table = (lk_logistic_table){.parts = parts,
                                     .n_features = model->n_features,
                                     .intercept = (float)model->weights[0]};
    return LINKD_OK;
}

void lk_logistic_table_clear(lk_logistic_table *table)
{
    free(table->parts);
    *table = (lk_logistic_table){0};
}

float lk_logistic_table_log_odds(const lk_logistic_table *table,
                                 const uint8_t *values)
{
    /* Four sums, as one addition would wait for the one before it. */
    float sums[4] = {table->intercept};
    const float *parts = table->parts;
    size_t i = 0;

    for (; i + 4 <= table->n_features; i += 4, parts += (size_t)4 * BYTES) {
        sums[0] += parts[values[i]];
        sums[1] += parts[BYTES + values[i + 1]];
        sums[2] += parts[2 * BYTES + values[i + 2]];
        sums[3] += parts[3 * BYTES + values[i + 3]];
    }
    for (; i < table->n_features; i++, parts += BYTES)
        sums[0] += parts[values[i]];
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}
