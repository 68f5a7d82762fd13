/* linkage/graphs.c — many vectors as a few graphs.
 *
 *   rows  [ graph 0 | graph 1 | graph 2 | graph 3 ]
 *            └► +R      +R        +R        +R     one round, a task a graph
 *
 * All grow by ROWS_PER_ROUND before the caller hears of it and may stop. */
#include "linkage/graphs.h"

/* 0.5 to 1 ms each. */
#define ROWS_PER_ROUND ((size_t)512)

static size_t graph_begin(const lk_graphs_source *source, size_t graph)
{
    return source->n / LK_GRAPHS * graph;
}

static size_t graph_len(const lk_graphs_source *source, size_t graph)
{
    size_t end =
        graph + 1 < LK_GRAPHS ? graph_begin(source, graph + 1) : source->n;

    return end - graph_begin(source, graph);
}

static int grow_task(void *ctx, size_t item, size_t worker, linkd_error *err)
{
    lk_graphs *graphs = ctx;

    (void)worker;
    return linkd_graph_grow(graphs->graphs[item], ROWS_PER_ROUND, err);
}

static size_t rows_count(const lk_graphs *graphs)
{
    size_t n = 0;

    for (size_t i = 0; i < LK_GRAPHS; i++)
        n += linkd_graph_count(graphs->graphs[i]);
    return n;
}

static int graphs_begin(const lk_graphs_source *source, lk_graphs *graphs,
                        linkd_error *err)
{
    int rc = LINKD_OK;

    for (size_t i = 0; i < LK_GRAPHS && rc == LINKD_OK; i++) {
        graphs->begins[i] = graph_begin(source, i);
        rc = linkd_graph_new(source->vectors, source->rows + graphs->begins[i],
                             graph_len(source, i), source->dim,
                             &graphs->graphs[i], err);
    }
    return rc;
}

int lk_graphs_make(const lk_graphs_source *source, lk_graphs *ret_graphs,
                   linkd_error *err)
{
    lk_graphs graphs = {0};
    int rc = graphs_begin(source, &graphs, err);
    size_t n = 0;

    while (rc == LINKD_OK && n < source->n) {
        rc = lk_pool_run(source->pool, LK_GRAPHS, grow_task, &graphs, err);
        if (rc != LINKD_OK)
            break;
        n = rows_count(&graphs);
        rc = lk_progress_report(source->progress, "graphs", n, source->n, err);
    }
    if (rc == LINKD_OK)
        *ret_graphs = graphs;
    else
        lk_graphs_clear(&graphs);
    return rc;
}

void lk_graphs_clear(lk_graphs *graphs)
{
    for (size_t i = 0; i < LK_GRAPHS; i++)
        linkd_graph_free(graphs->graphs[i]);
    *graphs = (lk_graphs){0};
}
