/* linkage/assign_exact.c — the one-to-one assignment with the greatest sum.
 *
 * Taking the best pair first is not enough: with a-x .90, a-y .89, b-x .89 it
 * links a-x and leaves b and y alone, where a-y and b-x are worth twice that.
 * So the sum of (score - threshold) over the links is maximised, exactly.
 *
 * Method: successive shortest augmenting paths with dual potentials, as in
 * Jonker and Volgenant, "A Shortest Augmenting Path Algorithm for Dense and
 * Sparse Linear Assignment Problems", Computing 38 (1987). Where we differ:
 *
 * - The graph is sparse, so distances lie in a heap, and only what a search
 *   touched is reset after it. A search cannot leave its connected component;
 *   splitting the graph first would gain nothing.
 * - A left row may stay alone: think of one more column of its own, at cost 0.
 *   A search ends at the nearest of: a free column; the own column of a row on
 *   the way, which then gives up its link.
 * - No initial reduction phases: candidates are few per row and most rows find
 *   their best column free.
 *
 *   cost(edge) = -weight,  reduced(edge) = cost - u[left] - v[right] >= 0 for
 *   linked left rows, = 0 on links;  v = 0 on free columns, u <= 0.
 *
 * Weights are integers: (score - threshold) * 2^32, rounded, plus one. A score
 * is a float, so above 2^-8 nothing is rounded away, and sums of integers make
 * optimum and ties the same on every machine. The one lets a pair exactly on
 * the threshold count, and prefers more links among equal sums. */
#include "linkage/assign.h"

#include <math.h>
#include <stdlib.h>

#define COLUMN_NONE SIZE_MAX
/* |score - threshold| <= 2 makes 2^33 per link: room for 2^29 links. */
#define WEIGHT_SCALE 0x1p32

typedef struct edge {
    size_t right;
    size_t candidate; /* its number in the input */
    int64_t cost;
} edge;

typedef struct column {
    int64_t v;        /* potential */
    int64_t distance; /* from the search's start; valid if touched */
    size_t row;       /* linked left row, or COLUMN_NONE */
    size_t from;      /* left row before it on the path */
    size_t via;       /* edge by which the path came */
    bool touched;
    bool settled;
} column;

typedef struct heap_entry {
    int64_t distance;
    size_t column;
} heap_entry;

typedef struct solver {
    edge *edges;
    size_t *first; /* [n_left + 1]: the edges of each left row */
    int64_t *u;    /* [n_left] potentials */
    size_t *link;  /* [n_left]: edge of its link, or COLUMN_NONE */
    column *columns;
    size_t *touched; /* columns that the current search touched */
    size_t n_touched;
    heap_entry *heap; /* [n edges] binary, least distance first */
    size_t n_heap;
    int64_t alone_distance; /* nearest own column of a row on the way … */
    size_t alone_row;       /* … and that row */
} solver;

/* ---- the graph ----------------------------------------------------------- */

static int solver_init(solver *s, const lk_assign_input *input,
                       linkd_error *err)
{
    *s = (solver){
        .edges = calloc(input->n + 1, sizeof(*s->edges)),
        .first = calloc(input->n_left + 1, sizeof(*s->first)),
        .u = calloc(input->n_left + 1, sizeof(*s->u)),
        .link = calloc(input->n_left + 1, sizeof(*s->link)),
        .columns = calloc(input->n_right + 1, sizeof(*s->columns)),
        .touched = calloc(input->n_right + 1, sizeof(*s->touched)),
        .heap = calloc(input->n + 1, sizeof(*s->heap)),
    };
    if (s->edges == NULL || s->first == NULL || s->u == NULL ||
        s->link == NULL || s->columns == NULL || s->touched == NULL ||
        s->heap == NULL)
        return lk_fail_nomem(err);
    return LINKD_OK;
}

static void solver_clear(solver *s)
{
    free(s->heap);
    free(s->touched);
    free(s->columns);
    free(s->link);
    free(s->u);
    free(s->first);
    free(s->edges);
}

static void graph_build(solver *s, const lk_assign_input *input)
{
    size_t n = 0;
    size_t at = 0;

    for (size_t row = 0; row < input->n_left; row++) {
        s->first[row] = n;
        s->link[row] = COLUMN_NONE;
        for (; at < input->n && input->candidates[at].left == row; at++) {
            const linkd_pair *pair = &input->candidates[at];
            double gain = (double)pair->score - (double)input->threshold;

            if (pair->score >= input->threshold)
                s->edges[n++] =
                    (edge){pair->right, at, -llround(gain * WEIGHT_SCALE) - 1};
        }
    }
    s->first[input->n_left] = n;
    for (size_t i = 0; i < input->n_right; i++)
        s->columns[i].row = COLUMN_NONE;
}

/* ---- the heap ------------------------------------------------------------ */

static bool entry_before(heap_entry a, heap_entry b)
{
    return a.distance != b.distance ? a.distance < b.distance
                                    : a.column < b.column;
}

static void heap_push(solver *s, heap_entry entry)
{
    size_t at = s->n_heap++;

    while (at > 0 && entry_before(entry, s->heap[(at - 1) / 2])) {
        s->heap[at] = s->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    s->heap[at] = entry;
}

static heap_entry heap_pop(solver *s)
{
    heap_entry top = s->heap[0];
    heap_entry last = s->heap[--s->n_heap];
    size_t at = 0;

    for (;;) {
        size_t child = 2 * at + 1;

        if (child >= s->n_heap)
            break;
        if (child + 1 < s->n_heap &&
            entry_before(s->heap[child + 1], s->heap[child]))
            child++;
        if (!entry_before(s->heap[child], last))
            break;
        s->heap[at] = s->heap[child];
        at = child;
    }
    s->heap[at] = last;
    return top;
}

/* ---- one search ---------------------------------------------------------- */

/* Goes on from `row`, which is `distance` away; an edge is relaxed once per
 * search, so the heap never holds more entries than there are edges. */
static void row_expand(solver *s, size_t row, int64_t distance)
{
    int64_t base = distance - s->u[row];

    if (base < s->alone_distance) {
        s->alone_distance = base;
        s->alone_row = row;
    }
    for (size_t e = s->first[row]; e < s->first[row + 1]; e++) {
        column *c = &s->columns[s->edges[e].right];
        int64_t through = base + s->edges[e].cost - c->v;

        if (c->settled || (c->touched && c->distance <= through))
            continue;
        if (!c->touched)
            s->touched[s->n_touched++] = s->edges[e].right;
        c->touched = true;
        c->distance = through;
        c->from = row;
        c->via = e;
        heap_push(s, (heap_entry){through, s->edges[e].right});
    }
}

/* The nearest free column, or COLUMN_NONE if s->alone_row's own is nearer.
 * Columns nearer than the end are settled. */
static size_t end_find(solver *s, size_t start)
{
    s->alone_distance = INT64_MAX;
    s->u[start] = 0;
    row_expand(s, start, 0);
    while (s->n_heap > 0) {
        heap_entry entry = heap_pop(s);
        column *c = &s->columns[entry.column];

        if (c->settled)
            continue;
        if (entry.distance > s->alone_distance)
            break;
        if (c->row == COLUMN_NONE)
            return entry.column;
        c->settled = true;
        row_expand(s, c->row, entry.distance);
    }
    return COLUMN_NONE;
}

/* Keeps reduced costs from below 0, and at 0 along the path. */
static void potentials_update(solver *s, size_t start, int64_t end_distance)
{
    s->u[start] = end_distance;
    for (size_t i = 0; i < s->n_touched; i++) {
        column *c = &s->columns[s->touched[i]];

        if (c->settled) {
            s->u[c->row] += end_distance - c->distance;
            c->v += c->distance - end_distance;
        }
        c->touched = false;
        c->settled = false;
    }
    s->n_touched = 0;
    s->n_heap = 0;
}

/* Relinks the rows on the way to free column `end`. */
static void path_apply(solver *s, size_t start, size_t end)
{
    for (;;) {
        column *c = &s->columns[end];
        size_t row = c->from;
        size_t old_edge = s->link[row];

        c->row = row;
        s->link[row] = c->via;
        if (row == start)
            return;
        end = s->edges[old_edge].right;
    }
}

static void row_link(solver *s, size_t start)
{
    size_t end = end_find(s, start);

    if (end != COLUMN_NONE) {
        potentials_update(s, start, s->columns[end].distance);
        path_apply(s, start, end);
        return;
    }
    potentials_update(s, start, s->alone_distance);
    if (s->alone_row != start) {
        size_t given_up = s->edges[s->link[s->alone_row]].right;

        s->link[s->alone_row] = COLUMN_NONE;
        path_apply(s, start, given_up);
    }
}

int lk_assign_one_to_one(const lk_assign_input *input, bool *ret_chosen,
                         linkd_error *err)
{
    solver s;
    int rc = solver_init(&s, input, err);

    if (rc == LINKD_OK) {
        graph_build(&s, input);
        for (size_t row = 0; row < input->n_left; row++)
            row_link(&s, row);
        for (size_t row = 0; row < input->n_left; row++)
            if (s.link[row] != COLUMN_NONE)
                ret_chosen[s.edges[s.link[row]].candidate] = true;
    }
    solver_clear(&s);
    return rc;
}
