/* linkage/dedup.h — one table to entities, by texts or by pictures; and scores that
 * decide nothing. Part of linkage.h. */
#ifndef LINKD_LINKAGE_DEDUP_H
#define LINKD_LINKAGE_DEDUP_H

#include "linkage/probability.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- scores without a decision ------------------------------------------- */

typedef struct linkd_score_options {
    const linkd_column_pair *columns; /* in one table left == right */
    size_t n_columns;
    /* of linkd_score_all() */
    float least; /* only scores from it on; -1: all */
    size_t k;    /* only the best of each left row; 0: all */
} linkd_score_options;

typedef struct linkd_score_stats {
    uint64_t n_scored;
    size_t n_empty[2]; /* rows that were asked for without any text, or without
                          a word that the model knows */
    linkd_encode_stats encode;
    double encode_seconds;
    double score_seconds;
} linkd_score_stats;

/* Gives each of these pairs the cosine of its rows' vectors, NaN where a row is
 * empty. `right` NULL: rows of one table. Only rows that are in a pair are
 * encoded. Reports the step "encode". */
LINKD_MUST_CHECK int linkd_score_pairs(
    const linkd_table *left, const linkd_table *right,
    const linkd_embedder *embedder, const linkd_score_options *options,
    const linkd_progress *progress, linkd_pair *pairs, size_t n_pairs,
    linkd_score_stats *ret_stats, linkd_error *err);

/* Gets the pairs of one left row, by right row; with `k` best first. */
typedef int linkd_scored_fn(void *ctx, const linkd_pair *pairs, size_t n,
                            linkd_error *err);

/* Calls back with all pairs that the options let through, left row by left row,
 * on the calling thread. In one table each pair comes once, the lower row left;
 * with `k` each row has its best others. Every combination is computed, none is
 * kept: memory is the vectors and 4 bytes for each of 4 million scores, or of
 * the right rows if they are more. Empty rows are in no pair. What the callback
 * fails with is passed on. Reports "encode" and "score" (left rows). */
LINKD_MUST_CHECK int
linkd_score_all(const linkd_table *left, const linkd_table *right,
                const linkd_embedder *embedder, lk_pool *pool,
                const linkd_score_options *options,
                const linkd_progress *progress, linkd_scored_fn *scored_cb,
                void *ctx, linkd_score_stats *ret_stats, linkd_error *err);

/* ---- finding the entities of one table ---------------------------------- */

/* Pairs of records with their log-odds, each pair once, in any order. */
typedef struct linkd_edges {
    const uint32_t *a; /* [n]; a != b */
    const uint32_t *b;
    const float *log_odds;
    size_t n;
    size_t n_records;
} linkd_edges;

/* How well an entity of two or more records holds together. Its links are the
 * pairs inside it whose log-odds are at least a limit. */
typedef struct linkd_entity_health {
    size_t entity;
    size_t n_records;
    size_t n_compared; /* pairs inside it that were compared */
    size_t n_links;
    size_t n_bridges; /* links without which it would fall in two */
    uint32_t a, b;    /* the weakest link: where a spanning tree of the */
    float weakest;    /* strongest links is weakest. -INFINITY: the links
                         do not reach all records, a and b say nothing */
    size_t n_smaller; /* records on the smaller side of that link */
    double mean;      /* log-odds of the pairs that were compared */
} linkd_entity_health;

/* The entities to look at first: weakest link first, then lower entities.
 *   entities   [edges->n_records], below n_entities
 *   ret_health freed with free() */
LINKD_MUST_CHECK int linkd_entities_check(const linkd_edges *edges,
                                          const size_t *entities,
                                          size_t n_entities, float least,
                                          linkd_entity_health **ret_health,
                                          size_t *ret_n_health,
                                          linkd_error *err);

/* Which of an entity's rows stands for it; of equal ones the first. */
typedef enum linkd_keep {
    LINKD_KEEP_COMPLETE, /* most cells that are not blank, then most bytes */
    LINKD_KEEP_LONGEST,  /* most bytes */
    LINKD_KEEP_FIRST,
} linkd_keep;

/* `entities` [n_rows], below n_entities, none of which is without rows;
 * `ret_rows` [n_entities] is freed with free(). */
LINKD_MUST_CHECK int linkd_entities_keep(const linkd_table *table,
                                         const size_t *entities,
                                         size_t n_entities, linkd_keep keep,
                                         size_t **ret_rows, linkd_error *err);

/* Defaults for cosines of all-MiniLM-L6-v2 with all columns as text, measured
 * 2026-11-24 on four sets of people. A chain needs one wrong pair to
 * glue two entities together, so components ask for more. The best cut moves
 * with the share of duplicates: 0.60 to 0.82 where at least half of the rows
 * are, 0.94 where a tenth is. Chosen on all four: not checked on others. */
#define LINKD_DEDUP_THRESHOLD            0.74
#define LINKD_DEDUP_COMPONENTS_THRESHOLD 0.82
#define LINKD_DEDUP_K                    10 /* as for links: not measured */

typedef struct linkd_dedup_options {
    const size_t *columns;
    size_t n_columns;
    size_t block; /* column, or LINKD_COLUMN_NONE */
    size_t k;
    float threshold; /* NAN, with pictures and no columns: what stands out among
                      * the pictures' own resemblance (resemblance.h) */
    linkd_cluster cluster;
    const linkd_pictures *pictures; /* as linkd_link_options has it */
    size_t image;
    const linkd_rescoring *rescoring; /* as linkd_link_options has it */
} linkd_dedup_options;

typedef struct linkd_dedup_result {
    size_t *entities; /* [n_rows]: numbered from 0 in order of first row */
    size_t n_entities;
    linkd_pair *pairs; /* accepted pairs inside entities, by left, then right */
    size_t n_pairs;
    size_t n_candidates;
    size_t n_empty; /* as n_left_empty: entities of their own */
    float limit;    /* the threshold; FLT_MAX: nothing stands out */
    linkd_encode_stats encode;
    double encode_seconds;
    double search_seconds;
    double cluster_seconds;
} linkd_dedup_result;

/* Reports the steps "encode", "search" and "cluster". By resemblance a pair's score is
 * -log10 of the chance that two strangers are as alike, by vector and perceptual
 * hash; LINKD_E_ARG: there are too few pictures for that. */
LINKD_MUST_CHECK int linkd_dedup(const linkd_table *table,
                                 const linkd_embedder *embedder, lk_pool *pool,
                                 const linkd_dedup_options *options,
                                 const linkd_progress *progress,
                                 linkd_dedup_result *ret_result,
                                 linkd_error *err);
void linkd_dedup_result_clear(linkd_dedup_result *result);

/* ---- pictures ------------------------------------------------------------ */

/* Bits of 64 that may differ. On generated scenes with crops, the best F1 is at
 * 14, and 12 leaves room for tables of some 10,000 pictures (docs/images.md). */
#define LINKD_DEDUP_DISTANCE 12

typedef struct linkd_dedup_images_options {
    size_t column; /* a path, relative to the table's file, or a data URI */
    unsigned max_distance; /* of perceptual hashes */
    linkd_image_options image;
    linkd_cluster cluster;
} linkd_dedup_images_options;

/* One table to entities by the likeness of its pictures alone, as linkd_dedup():
 * the score of a pair is 1 - distance / 64. Rows without a picture count as
 * empty, those whose picture cannot be read as problems, and both are entities
 * of their own. Reports the steps "hash" and "cluster". LINKD_E_ARG:
 * max_distance is over LINKD_HAMMING_RADIUS_MAX. */
LINKD_MUST_CHECK int
linkd_dedup_images(const linkd_table *table, lk_pool *pool,
                   const linkd_dedup_images_options *options,
                   const linkd_progress *progress,
                   linkd_dedup_result *ret_result,
                   linkd_image_problems *ret_problems, linkd_error *err);

/* The vectors of `n` pictures, at most LINKD_IMAGES_MAX.
 *   table_path   of the table that names them, for relative paths
 *   sources      a path or a data URI each; empty: no picture
 *   first_row    of the table, from 0: for messages
 *   ret_vectors  [n, dim]; zeros where there is no picture, or none that can be
 *                read, of which `ret_problems` tells
 * `vision` has at least as many workers as `pool`. LINKD_E_NOMEM. */
#define LINKD_IMAGES_MAX ((size_t)1024)
LINKD_MUST_CHECK int
linkd_embed_images(const linkd_vision *vision, lk_pool *pool,
                   const char *table_path, const linkd_str *sources, size_t n,
                   uint64_t first_row, const linkd_image_options *options,
                   float *ret_vectors, linkd_image_problems *ret_problems,
                   linkd_error *err);

#ifdef __cplusplus
}
#endif
#endif
