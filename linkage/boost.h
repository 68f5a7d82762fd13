/* linkage/boost.h — private: gradient-boosted trees on pair features, for
 * tables with labels, where features interact. Histogram trees on the bytes of
 * the features as they are; a missing value goes to the side of a split that
 * gains more (Friedman 2001; Chen and Guestrin 2016, 3.4). */
#ifndef LK_LINKAGE_BOOST_H
#define LK_LINKAGE_BOOST_H

#include "linkage/logistic.h"

typedef struct lk_boost_options {
    size_t n_trees;
    size_t depth;       /* of a tree, at most LK_BOOST_MAX_DEPTH */
    double rate;        /* learning rate */
    double penalty;     /* L2 on leaf values */
    double leaf_weight; /* least sum of hessians of a leaf */
} lk_boost_options;

enum {
    LK_BOOST_MAX_DEPTH = 8,
};

/* The feature of a node that has none. */
#define LK_BOOST_LEAF UINT32_MAX

#define LK_BOOST_OPTIONS_INIT                                                  \
 {                                                                             \
  .n_trees = 100, .depth = 4, .rate = 0.1, .penalty = 1.0, .leaf_weight = 1.0  \
 }

typedef struct lk_boost_node {
    uint32_t feature; /* or LK_BOOST_LEAF */
    uint8_t below;    /* values <= this go left */
    bool missing_left;
    uint32_t left, right; /* node numbers */
    float value; /* a leaf's log-odds; an inner node's mean, a root's is 0 */
} lk_boost_node;

typedef struct lk_boost {
    lk_boost_node *nodes; /* of all trees */
    size_t n_nodes;
    uint32_t *roots; /* [n_trees] */
    size_t n_trees;
    double base; /* log-odds before any feature is looked at */
    size_t n_features;
} lk_boost;

/* As lk_logistic_fit(). `n_trees` and `depth` are at least 1. */
LINKD_MUST_CHECK int lk_boost_fit(const lk_features *features,
                                  const lk_example *examples, size_t n,
                                  const lk_boost_options *options,
                                  lk_pool *pool, lk_boost *ret_model,
                                  linkd_error *err);
void lk_boost_clear(lk_boost *model);
double lk_boost_log_odds(const lk_boost *model, const uint8_t *values);
/* What each feature adds: the change of the node means along the path, summed
 * over the trees (Saabas 2014). The parts and `base` sum to the log-odds. */
void lk_boost_parts(const lk_boost *model, const uint8_t *values,
                    double *ret_parts);

#endif
