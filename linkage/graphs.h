/* linkage/graphs.h — private: many vectors as a few graphs (see index/index.h).
 *
 * One graph is built by one thread, or it would not be the same each time. Four
 * of a quarter of the vectors are built side by side; a search asks all four,
 * which is still a few hundred steps each. */
#ifndef LK_LINKAGE_GRAPHS_H
#define LK_LINKAGE_GRAPHS_H

#include "index/index.h"
#include "linkage/linkage.h"

enum {
    LK_GRAPHS = 4, /* whatever the number of workers is */
};

typedef struct lk_graphs {
    linkd_graph *graphs[LK_GRAPHS];
    size_t begins[LK_GRAPHS]; /* the first of the rows of each */
} lk_graphs;

typedef struct lk_graphs_source {
    const float *vectors; /* [*, dim] */
    const size_t *rows;   /* [n] of the vectors */
    size_t n;
    size_t dim;
    lk_pool *pool;
    const linkd_progress *progress; /* step "graphs", in rows */
} lk_graphs_source;

/* Vectors and rows are borrowed until the graphs are cleared. */
LINKD_MUST_CHECK int lk_graphs_make(const lk_graphs_source *source,
                                    lk_graphs *ret_graphs, linkd_error *err);
void lk_graphs_clear(lk_graphs *graphs);

#endif
