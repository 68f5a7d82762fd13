/* Decides about tables again and again, with other constants each time, for
 * bench/constants, which starts it and talks to it by lines:
 *
 *   bench_constants RESULT LEFT [RIGHT]     gathers evidence once, then
 *   3 0.5 0.1 …                             decides with these: RESULT is
 *                                           written anew, ─► "done"
 *
 * bench/constants builds it from a copy of linkage/ in which constant number i
 * is bench_tried[i]; built from linkage/ as it is, it decides the same each time.
 * Columns, channels and options are those of linkctl --model none --id id. */
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "linkage/linkage.h"

enum {
    TRIED_MAX = 64,
    LINE_BYTES = 4096,
};

extern double bench_tried[TRIED_MAX];
double bench_tried[TRIED_MAX];

typedef struct bench {
    const char *result;
    linkd_table *left, *right; /* right: NULL for one table */
    linkd_column_pair *columns;
    size_t n_columns;
    lk_pool *pool;
    linkd_evidence *evidence;
} bench;

/* ---- evidence ------------------------------------------------------------ */

static int columns_of_one(bench *b, linkd_error *err)
{
    size_t n = linkd_table_n_columns(b->left);

    b->columns = calloc(n + 1, sizeof(*b->columns));
    if (b->columns == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < n; i++)
        if (i != linkd_table_id_column(b->left))
            b->columns[b->n_columns++] = (linkd_column_pair){i, i, 1};
    return LINKD_OK;
}

static int gather(bench *b, linkd_error *err)
{
    linkd_evidence_options options = {.left_block = LINKD_COLUMN_NONE,
                                      .right_block = LINKD_COLUMN_NONE,
                                      .channels = LINKD_CHANNEL_ALL};
    int rc = b->right == NULL
                 ? columns_of_one(b, err)
                 : linkd_columns_pair(b->left, b->right, &b->columns,
                                      &b->n_columns, err);

    options.columns = b->columns;
    options.n_columns = b->n_columns;
    if (rc == LINKD_OK)
        rc = lk_pool_new(0, &b->pool, err);
    if (rc == LINKD_OK)
        rc = linkd_evidence_gather(b->left, b->right, NULL, b->pool, &options,
                                   NULL, &b->evidence, err);
    return rc;
}

static int bench_open(bench *b, char **paths, linkd_error *err)
{
    int rc =
        linkd_table_read(paths[0], LINKD_FORMAT_CSV, "id", NULL, &b->left, err);

    if (rc == LINKD_OK && paths[1] != NULL)
        rc = linkd_table_read(paths[1], LINKD_FORMAT_CSV, "id", NULL, &b->right,
                              err);
    return rc == LINKD_OK ? gather(b, err) : rc;
}

static void bench_close(bench *b)
{
    linkd_evidence_free(b->evidence);
    lk_pool_free(b->pool);
    free(b->columns);
    linkd_table_free(b->right);
    linkd_table_free(b->left);
}

/* ---- decisions ----------------------------------------------------------- */

/* The ids are hide.py's, which need no quotes. */
static void entities_write(const bench *b, const linkd_decision *decision,
                           FILE *file)
{
    (void)fputs("id,entity_id\n", file);
    for (size_t row = 0; row < linkd_table_n_rows(b->left); row++) {
        linkd_str id = linkd_table_id(b->left, row);

        (void)fprintf(file, "%.*s,%zu\n", (int)id.len, id.bytes,
                      decision->entities[row]);
    }
}

static void pairs_write(const bench *b, const linkd_decision *decision,
                        FILE *file)
{
    (void)fputs("left_id,right_id\n", file);
    for (size_t i = 0; i < decision->n_candidates; i++) {
        const linkd_candidate *c = &decision->candidates[i];
        linkd_str left = linkd_table_id(b->left, c->left);
        linkd_str right =
            linkd_table_id(b->right != NULL ? b->right : b->left, c->right);

        if (c->accepted)
            (void)fprintf(file, "%.*s,%.*s\n", (int)left.len, left.bytes,
                          (int)right.len, right.bytes);
    }
}

static int result_write(const bench *b, const linkd_decision *decision,
                        linkd_error *err)
{
    FILE *file = fopen(b->result, "w");

    if (file == NULL)
        return lk_fail(err, LINKD_E_IO, "could not open \"%s\"", b->result);
    if (decision->entities != NULL)
        entities_write(b, decision, file);
    else
        pairs_write(b, decision, file);
    if (fclose(file) != 0)
        return lk_fail(err, LINKD_E_IO, "could not write \"%s\"", b->result);
    return LINKD_OK;
}

static void line_read(const char *line)
{
    char *end = NULL;

    for (size_t i = 0; i < TRIED_MAX; i++, line = end)
        bench_tried[i] = strtod(line, &end);
}

static int serve(const bench *b, linkd_error *err)
{
    linkd_decide_options options = {.assign = LINKD_ASSIGN_AUTO,
                                    .threshold = LINKD_THRESHOLD_AUTO};
    char line[LINE_BYTES];
    int rc = LINKD_OK;

    while (rc == LINKD_OK && fgets(line, sizeof(line), stdin) != NULL) {
        linkd_decision decision = {0};

        line_read(line);
        rc = linkd_evidence_decide(b->evidence, &options, NULL, &decision, err);
        if (rc == LINKD_OK)
            rc = result_write(b, &decision, err);
        linkd_decision_clear(&decision);
        if (rc == LINKD_OK)
            (void)puts("done");
        (void)fflush(stdout);
    }
    return rc;
}

int main(int argc, char **argv)
{
    bench b = {0};
    linkd_error err = {0};
    int rc;

    if (argc != 3 && argc != 4) {
        (void)fputs("usage: bench_constants RESULT LEFT [RIGHT]\n", stderr);
        return 2;
    }
    b.result = argv[1];
    rc = bench_open(&b, argv + 2, &err);
    if (rc == LINKD_OK)
        rc = serve(&b, &err);
    if (rc != LINKD_OK)
        (void)fprintf(stderr, "bench_constants: %s\n", err.message);
    bench_close(&b);
    return rc == LINKD_OK ? 0 : 1;
}
