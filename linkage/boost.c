/* linkage/boost.c — what boosted trees say of pairs; boost_fit.c grows them. */
#include <stdlib.h>

#include "linkage/boost.h"

void lk_boost_clear(lk_boost *model)
{
    free(model->nodes);
    free(model->roots);
    *model = (lk_boost){0};
}

/* The node below an inner one. */
static const lk_boost_node *
descend(const lk_boost *model, const lk_boost_node *node, const uint8_t *values)
{
    uint8_t value = values[node->feature];
    bool left =
        value == LK_FEATURE_MISSING ? node->missing_left : value <= node->below;

    return &model->nodes[left ? node->left : node->right];
}

double lk_boost_log_odds(const lk_boost *model, const uint8_t *values)
{
    double sum = model->base;

    for (size_t i = 0; i < model->n_trees; i++) {
        const lk_boost_node *node = &model->nodes[model->roots[i]];

        while (node->feature != LK_BOOST_LEAF)
            node = descend(model, node, values);
        sum += (double)node->value;
    }
    return sum;
}

void lk_boost_parts(const lk_boost *model, const uint8_t *values,
                    double *ret_parts)
{
    for (size_t i = 0; i < model->n_features; i++)
        ret_parts[i] = 0;
    for (size_t i = 0; i < model->n_trees; i++) {
        const lk_boost_node *node = &model->nodes[model->roots[i]];

        while (node->feature != LK_BOOST_LEAF) {
            const lk_boost_node *next = descend(model, node, values);

            ret_parts[node->feature] +=
                (double)next->value - (double)node->value;
            node = next;
        }
    }
}
