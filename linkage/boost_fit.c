/* linkage/boost_fit.c — grows trees level by level. A tree splits the examples
 * so that the loss falls most, by the first two derivatives of the loss: the
 * value of a set of examples with sums of gradients G and of hessians H is
 * -G / (H + penalty), and a split gains the sum over its sides of
 * G^2 / (H + penalty), less that of the whole.
 *
 *   columns     [n_features, n]      the examples' bytes, turned
 *   order       [n]                  examples, those of a branch together:
 *                                    | branch 0 | branch 1 | leaf | …
 *   histograms  [n_features, n_slots, 256]   G and H of a branch by byte
 *
 * Only the smaller child of a branch sums its examples; the larger one has what
 * is left of the parent's sums, in their place. Workers share the features:
 * each sums in the order of the examples, and of equal gains the first feature
 * and the lowest byte win, so that the number of workers does not show. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "linkage/boost.h"

enum {
    BYTES = 256,
};

#define NO_SLOT SIZE_MAX

/* A split that gains less is noise of rounding. */
#define GAIN_MIN 1e-6

/* A byte with a smaller sum of hessians has no examples: what is left after a
 * subtraction is not exactly zero. */
#define EMPTY 1e-9

typedef struct slope {
    float gradient, hessian;
} slope;

typedef struct sums {
    double gradient, hessian;
} sums;

typedef struct split {
    double gain; /* 0: there is none */
    sums left;
    uint8_t below;
    bool missing_left;
} split;

/* A node that may be split, and its examples in `order`. */
typedef struct branch {
    uint32_t node;
    size_t first, n;
    sums total;
    size_t slot;    /* its histograms */
    size_t sibling; /* slot that is taken off what `slot` holds, or NO_SLOT */
} branch;

typedef struct grower {
    const lk_features *features;
    const lk_example *examples;
    size_t n;
    const lk_boost_options *options;
    lk_pool *pool;
    lk_arena arena;
    uint8_t *columns;
    double *margins; /* [n] log-odds so far */
    slope *slopes;   /* [n] */
    uint32_t *order, *scratch;
    size_t n_slots, n_slots_used;
    sums *histograms;
    split *splits;           /* [n_features, n_slots] of the level */
    branch *branches, *next; /* [n_slots] of this level and the one below */
    size_t n_branches, n_next;
    lk_boost model;
} grower;

static sums add(sums a, sums b)
{
    return (sums){a.gradient + b.gradient, a.hessian + b.hessian};
}

static sums subtract(sums a, sums b)
{
    return (sums){a.gradient - b.gradient, a.hessian - b.hessian};
}

/* ---- the best split of a feature ---------------------------------------- */

static double worth(const grower *g, sums s)
{
    return s.gradient * s.gradient / (s.hessian + g->options->penalty);
}

/* Keeps the split if it gains more than the best so far. */
static void consider(const grower *g, sums total, const split *candidate,
                     split *best)
{
    sums right = subtract(total, candidate->left);
    double least = fmax(g->options->leaf_weight, EMPTY);
    double gain;

    if (candidate->left.hessian < least || right.hessian < least)
        return;
    gain = worth(g, candidate->left) + worth(g, right) - worth(g, total);
    if (gain > GAIN_MIN && gain > best->gain) {
        *best = *candidate;
        best->gain = gain;
    }
}

/* Amid the bytes between which no example lies, so that those to come go to
 * the side they are nearer to. */
static uint8_t widen(const sums *histogram, uint8_t below)
{
    unsigned next = below + 1U;

    while (next < LK_FEATURE_MISSING && histogram[next].hessian <= EMPTY)
        next++;
    if (next == LK_FEATURE_MISSING)
        return LK_FEATURE_ONE;
    return (uint8_t)((below + next) / 2);
}

static split best_split(const grower *g, const sums *histogram, sums total)
{
    sums missing = histogram[LK_FEATURE_MISSING];
    bool any_missing = missing.hessian > EMPTY;
    sums left = {0, 0};
    split best = {0};

    for (size_t value = 0; value < LK_FEATURE_MISSING; value++) {
        split candidate = {.below = (uint8_t)value};

        if (histogram[value].hessian <= EMPTY)
            continue;
        left = add(left, histogram[value]);
        candidate.left = left;
        consider(g, total, &candidate, &best);
        if (!any_missing)
            continue;
        candidate.left = add(left, missing);
        candidate.missing_left = true;
        consider(g, total, &candidate, &best);
    }
    if (best.gain > 0) {
        best.below = widen(histogram, best.below);
        /* Nothing tells where missing values belong: with the many. */
        if (!any_missing)
            best.missing_left = 2 * best.left.hessian >= total.hessian;
    }
    return best;
}

static void sum_branch(const grower *g, const branch *b, const uint8_t *column,
                       sums *histogram)
{
    memset(histogram, 0, BYTES * sizeof(*histogram));
    for (size_t i = b->first; i < b->first + b->n; i++) {
        uint32_t example = g->order[i];
        sums *s = &histogram[column[example]];

        s->gradient += (double)g->slopes[example].gradient;
        s->hessian += (double)g->slopes[example].hessian;
    }
}

/* The histograms of one feature, and its best split of each branch. */
static int feature_task(void *ctx, size_t feature, size_t worker,
                        linkd_error *err)
{
    const grower *g = ctx;
    sums *histograms = g->histograms + feature * g->n_slots * BYTES;

    (void)worker;
    (void)err;
    for (size_t i = 0; i < g->n_branches; i++) {
        const branch *b = &g->branches[i];
        sums *own = histograms + b->slot * BYTES;

        if (b->sibling == NO_SLOT)
            sum_branch(g, b, g->columns + feature * g->n, own);
        else
            for (size_t j = 0; j < BYTES; j++)
                own[j] = subtract(own[j], histograms[b->sibling * BYTES + j]);
    }
    for (size_t i = 0; i < g->n_branches; i++) {
        const branch *b = &g->branches[i];

        g->splits[feature * g->n_slots + i] =
            best_split(g, histograms + b->slot * BYTES, b->total);
    }
    return LINKD_OK;
}

/* ---- one level ---------------------------------------------------------- */

static uint32_t add_node(grower *g, sums total)
{
    double value = -g->options->rate * total.gradient /
                   fmax(total.hessian + g->options->penalty, EMPTY);

    g->model.nodes[g->model.n_nodes] =
        (lk_boost_node){.feature = LK_BOOST_LEAF, .value = (float)value};
    return (uint32_t)g->model.n_nodes++;
}

/* Moves a branch's examples that go left before those that go right, each in
 * the order they had. Returns how many go left. */
static size_t part_examples(grower *g, const branch *b,
                            const lk_boost_node *node)
{
    const uint8_t *column = g->columns + node->feature * g->n;
    size_t n_left = 0, n_right = 0;

    for (size_t i = b->first; i < b->first + b->n; i++) {
        uint32_t example = g->order[i];
        uint8_t value = column[example];

        if (value == LK_FEATURE_MISSING ? node->missing_left
                                        : value <= node->below)
            g->order[b->first + n_left++] = example;
        else
            g->scratch[n_right++] = example;
    }
    memcpy(g->order + b->first + n_left, g->scratch,
           n_right * sizeof(*g->scratch));
    return n_left;
}

/* A leaf is what its examples are worth from now on. */
static void finish_leaf(grower *g, const branch *b)
{
    double value = (double)g->model.nodes[b->node].value;

    for (size_t i = b->first; i < b->first + b->n; i++)
        g->margins[g->order[i]] += value;
}

static void split_branch(grower *g, const branch *b, size_t feature,
                         const split *s)
{
    branch left = {.first = b->first, .total = s->left};
    branch right = {.total = subtract(b->total, s->left)};
    lk_boost_node *node = &g->model.nodes[b->node];
    bool left_is_smaller;

    node->feature = (uint32_t)feature;
    node->below = s->below;
    node->missing_left = s->missing_left;
    left.n = part_examples(g, b, node);
    right.first = b->first + left.n;
    right.n = b->n - left.n;
    left.node = node->left = add_node(g, left.total);
    right.node = node->right = add_node(g, right.total);

    left_is_smaller = left.n < right.n;
    left.slot = left_is_smaller ? g->n_slots_used : b->slot;
    right.slot = left_is_smaller ? b->slot : g->n_slots_used;
    left.sibling = left_is_smaller ? NO_SLOT : right.slot;
    right.sibling = left_is_smaller ? left.slot : NO_SLOT;
    g->n_slots_used++;
    /* The smaller first: the larger needs its sums. */
    g->next[g->n_next++] = left_is_smaller ? left : right;
    g->next[g->n_next++] = left_is_smaller ? right : left;
}

/* Splits all branches that gain by it; the others are leaves. */
static void split_level(grower *g)
{
    branch *old = g->branches;

    g->n_next = 0;
    for (size_t i = 0; i < g->n_branches; i++) {
        size_t best = 0;
        double gain = 0;

        for (size_t j = 0; j < g->features->n; j++)
            if (g->splits[j * g->n_slots + i].gain > gain) {
                gain = g->splits[j * g->n_slots + i].gain;
                best = j;
            }
        if (gain > 0)
            split_branch(g, &g->branches[i], best,
                         &g->splits[best * g->n_slots + i]);
        else
            finish_leaf(g, &g->branches[i]);
    }
    g->branches = g->next;
    g->n_branches = g->n_next;
    g->next = old;
}

/* ---- one tree ----------------------------------------------------------- */

/* The derivatives of the loss at the log-odds so far, and the root. */
static void plant(grower *g)
{
    sums total = {0, 0};

    for (size_t i = 0; i < g->n; i++) {
        const lk_example *e = &g->examples[i];
        double p = 1 / (1 + exp(-g->margins[i]));

        g->slopes[i] = (slope){
            .gradient = (float)((double)e->weight * (p - (double)e->answer)),
            .hessian = (float)((double)e->weight * p * (1 - p))};
        total.gradient += (double)g->slopes[i].gradient;
        total.hessian += (double)g->slopes[i].hessian;
        g->order[i] = (uint32_t)i;
    }
    g->branches[0] =
        (branch){.node = add_node(g, total), .n = g->n, .total = total};
    g->branches[0].sibling = NO_SLOT;
    g->n_branches = 1;
    g->n_slots_used = 1;
}

/* The root's value is no feature's doing: it becomes part of the base. */
static void move_root_to_base(grower *g, uint32_t root)
{
    float value = g->model.nodes[root].value;

    for (size_t i = root; i < g->model.n_nodes; i++)
        g->model.nodes[i].value -= value;
    g->model.base += (double)value;
}

static int grow_tree(grower *g, linkd_error *err)
{
    uint32_t root = (uint32_t)g->model.n_nodes;

    plant(g);
    for (size_t i = 0; i < g->options->depth && g->n_branches > 0; i++) {
        int rc = lk_pool_run(g->pool, g->features->n, feature_task, g, err);

        if (rc != LINKD_OK)
            return rc;
        split_level(g);
    }
    for (size_t i = 0; i < g->n_branches; i++)
        finish_leaf(g, &g->branches[i]);
    g->model.roots[g->model.n_trees++] = root;
    move_root_to_base(g, root);
    return LINKD_OK;
}

/* ---- all trees ---------------------------------------------------------- */

static int allocate(grower *g, linkd_error *err)
{
    size_t n = g->n, n_features = g->features->n;
    size_t n_trees = g->options->n_trees;
    lk_arena *arena = &g->arena;

    g->n_slots = (size_t)1 << (g->options->depth - 1);
    g->columns = lk_arena_alloc(arena, n * n_features + 1);
    g->margins = lk_arena_alloc(arena, n * sizeof(*g->margins));
    g->slopes = lk_arena_alloc(arena, n * sizeof(*g->slopes));
    g->order = lk_arena_alloc(arena, n * sizeof(*g->order));
    g->scratch = lk_arena_alloc(arena, n * sizeof(*g->scratch));
    g->histograms = lk_arena_alloc(arena, (n_features * g->n_slots + 1) *
                                              BYTES * sizeof(*g->histograms));
    g->splits = lk_arena_alloc(arena, (n_features * g->n_slots + 1) *
                                          sizeof(*g->splits));
    /* The level below the last one is twice as wide. */
    g->branches = lk_arena_alloc(arena, 2 * g->n_slots * sizeof(*g->branches));
    g->next = lk_arena_alloc(arena, 2 * g->n_slots * sizeof(*g->next));
    g->model.nodes =
        lk_alloc_aligned(n_trees * 4 * g->n_slots, sizeof(*g->model.nodes));
    g->model.roots = lk_alloc_aligned(n_trees, sizeof(*g->model.roots));
    if (g->columns == NULL || g->margins == NULL || g->slopes == NULL ||
        g->order == NULL || g->scratch == NULL || g->histograms == NULL ||
        g->splits == NULL || g->branches == NULL || g->next == NULL ||
        g->model.nodes == NULL || g->model.roots == NULL)
        return lk_fail_nomem(err);
    return LINKD_OK;
}

static void turn(grower *g)
{
    for (size_t i = 0; i < g->n; i++) {
        const uint8_t *values =
            g->features->values + g->examples[i].pair * g->features->n;

        for (size_t j = 0; j < g->features->n; j++)
            g->columns[j * g->n + i] = values[j];
        g->margins[i] = g->model.base;
    }
}

int lk_boost_fit(const lk_features *features, const lk_example *examples,
                 size_t n, const lk_boost_options *options, lk_pool *pool,
                 lk_boost *ret_model, linkd_error *err)
{
    grower g = {.features = features,
                .examples = examples,
                .n = n,
                .options = options,
                .pool = pool,
                .model = {.n_features = features->n}};
    int rc;

    LK_ASSERT(options->n_trees > 0 && options->depth > 0 &&
              options->depth <= LK_BOOST_MAX_DEPTH && n <= UINT32_MAX);
    rc = lk_examples_prior(examples, n, &g.model.base, err);
    if (rc == LINKD_OK)
        rc = allocate(&g, err);
    if (rc == LINKD_OK)
        turn(&g);
    for (size_t i = 0; rc == LINKD_OK && i < options->n_trees; i++)
        rc = grow_tree(&g, err);
    if (rc == LINKD_OK) {
        *ret_model = g.model;
        g.model = (lk_boost){0};
    }
    lk_boost_clear(&g.model);
    lk_arena_clear(&g.arena);
    return rc;
}
