/* linkage/linkage.h — tables to decisions: reads records, turns them into text
 * and vectors, finds candidates, assigns pairs, clusters them into entities and
 * measures the result against a truth. The only folder that composes encoder,
 * index and compat. */
#ifndef LINKD_LINKAGE_H
#define LINKD_LINKAGE_H

#include <stdbool.h>

#include "base/base.h"
#include "compat/compat.h"
#include "encoder/encoder.h"
#include "index/index.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- messages ----------------------------------------------------------- */

/* Foreign text as a message shows it: on one line, and short enough to leave
 * room for the rest of the 248 bytes. */
typedef struct lk_label {
    char text[64];
} lk_label;

/* Keeps the beginning. */
lk_label lk_label_of(linkd_str text);
/* Keeps the end, since that is where a path differs from others. */
lk_label lk_label_of_path(const char *path);

/* ---- reading tables ----------------------------------------------------- */

typedef enum linkd_format {
    LINKD_FORMAT_AUTO, /* by the name's ending: .csv .tsv .jsonl .ndjson;
                          without one of these, CSV */
    LINKD_FORMAT_CSV,  /* RFC 4180 with a header line, UTF-8, BOM allowed */
    LINKD_FORMAT_TSV,
    LINKD_FORMAT_JSONL, /* one object a line */
} linkd_format;

#define LINKD_COLUMN_NONE SIZE_MAX

/* Limits on what a file may make us keep. */
#define LINKD_FIELD_MAX_BYTES ((size_t)16 << 20)
#define LINKD_COLUMNS_MAX     ((size_t)1 << 21)

typedef enum linkd_cell_kind {
    LINKD_CELL_TEXT,
    LINKD_CELL_MISSING, /* the record has no such field, or it is null */
    LINKD_CELL_LITERAL, /* a JSON number, true, false, array or object */
} linkd_cell_kind;

typedef struct linkd_cell {
    const char *bytes; /* valid UTF-8 without NUL */
    uint32_t len;
    uint32_t kind; /* linkd_cell_kind */
} linkd_cell;

/* One record as it comes from the file. Borrowed from the reader until the
 * next read. A JSONL record has the columns that were seen up to its line. */
typedef struct linkd_record {
    const linkd_cell *cells;
    size_t n_cells;
    uint64_t row;  /* 1 for the first record */
    uint64_t line; /* 1 for the first line of the file */
} linkd_record;

/* Reads a file record by record in memory that does not grow with it. */
typedef struct linkd_reader linkd_reader;

/* `path` "-" is standard input. An empty file, or one with no record after its
 * header, is LINKD_E_DATA (the latter at the first read). */
LINKD_MUST_CHECK int linkd_reader_open(const char *path, linkd_format format,
                                       linkd_reader **ret_reader,
                                       linkd_error *err);
/* The same for a table in memory, which is borrowed until the reader is closed;
 * messages call it `name`. */
LINKD_MUST_CHECK int linkd_reader_open_bytes(const char *name, linkd_str bytes,
                                             linkd_format format,
                                             linkd_reader **ret_reader,
                                             linkd_error *err);
void linkd_reader_close(linkd_reader *reader);

/* Reads the next record. At the end *ret_more is false. LINKD_E_DATA: ragged
 * row, unterminated quote, invalid UTF-8, NUL byte, field over the limit, bad
 * JSON; the message names file, row, line and column. */
LINKD_MUST_CHECK int linkd_reader_next(linkd_reader *reader,
                                       linkd_record *ret_record, bool *ret_more,
                                       linkd_error *err);

const char *linkd_reader_path(const linkd_reader *reader);
size_t linkd_reader_n_columns(const linkd_reader *reader);
linkd_str linkd_reader_column(const linkd_reader *reader, size_t column);
/* The column's position, or LINKD_COLUMN_NONE: not there, or not yet. */
size_t linkd_reader_find_column(const linkd_reader *reader, linkd_str name);
/* Bytes read so far, and the file's size (0 for a pipe). */
uint64_t linkd_reader_bytes_done(const linkd_reader *reader);
uint64_t linkd_reader_bytes_total(const linkd_reader *reader);

/* A whole table in memory. */
typedef struct linkd_table linkd_table;

/* Reads all of `path`. `id_column` names the column of the ids; NULL takes the
 * first column when its values are unique and not empty, else row numbers
 * (then linkd_table_id_column is LINKD_COLUMN_NONE). LINKD_E_ARG: there is no
 * such column. LINKD_E_DATA: an id of a named column is missing, empty or
 * repeated, and all that
 * linkd_reader_next says. Reports the step "read" in bytes. */
LINKD_MUST_CHECK int linkd_table_read(const char *path, linkd_format format,
                                      const char *id_column,
                                      const linkd_progress *progress,
                                      linkd_table **ret_table,
                                      linkd_error *err);
/* The same for what an earlier step wrote: no rows are no error, since a result
 * without pairs is a result. As JSON lines it has not a single byte, so the
 * table has no columns. */
LINKD_MUST_CHECK int
linkd_table_read_result(const char *path, linkd_format format,
                        const char *id_column, const linkd_progress *progress,
                        linkd_table **ret_table, linkd_error *err);
void linkd_table_free(linkd_table *table);

const char *linkd_table_path(const linkd_table *table);
size_t linkd_table_n_rows(const linkd_table *table);
size_t linkd_table_n_columns(const linkd_table *table);
linkd_str linkd_table_column(const linkd_table *table, size_t column);
/* The column's position, or LINKD_COLUMN_NONE. */
size_t linkd_table_find_column(const linkd_table *table, linkd_str name);
linkd_cell linkd_table_cell(const linkd_table *table, size_t row,
                            size_t column);
size_t linkd_table_id_column(const linkd_table *table);
linkd_str linkd_table_id(const linkd_table *table, size_t row);
/* A column that holds a row's text as it is embedded when evidence is gathered,
 * in place of the columns that are compared; it is not compared itself. A new
 * table has LINKD_COLUMN_NONE. */
void linkd_table_set_text_column(linkd_table *table, size_t column);
size_t linkd_table_text_column(const linkd_table *table);

/* ---- which columns take part, and how a record becomes text ------------- */

/* One column of each side that are compared with each other; a column that has
 * no counterpart stands alone, the other side being LINKD_COLUMN_NONE. */
typedef struct linkd_column_pair {
    size_t left;
    size_t right;
    float similarity; /* of their contents, 1 for equal names */
} linkd_column_pair;

/* Pairs every column but the ids (which are compared where a table has nothing
 * else) and the text column: equal names first (ASCII case ignored), then
 * by the likeness of their contents. `ret_pairs` is freed with free(). */
LINKD_MUST_CHECK int linkd_columns_pair(const linkd_table *left,
                                        const linkd_table *right,
                                        linkd_column_pair **ret_pairs,
                                        size_t *ret_n_pairs, linkd_error *err);

/* The text that the encoder sees: the cells of `columns` in that order, without
 * those that are empty or hold only white space and invisible characters.
 * Appends to `ret_text`; an empty record appends nothing. */
LINKD_MUST_CHECK int linkd_record_text(const linkd_cell *cells, size_t n_cells,
                                       const size_t *columns, size_t n_columns,
                                       lk_buf *ret_text, linkd_error *err);

/* ---- what a column holds ------------------------------------------------ */

typedef enum linkd_holds {
    LINKD_HOLDS_EMPTY,    /* nothing */
    LINKD_HOLDS_NAME,     /* short texts: names, titles, addresses */
    LINKD_HOLDS_TEXT,     /* long texts */
    LINKD_HOLDS_CODE,     /* identifiers: mostly distinct, letters and digits */
    LINKD_HOLDS_NUMBER,   /* quantities: years, prices */
    LINKD_HOLDS_DATE,     /* calendar dates */
    LINKD_HOLDS_CATEGORY, /* one of few */
    LINKD_N_HOLDS,
} linkd_holds;

/* One column, as `linkctl profile` prints it. Strings are borrowed from the
 * table. Cells of blanks alone count as empty. */
typedef struct linkd_column_profile {
    linkd_str name;
    linkd_holds type;
    uint64_t n_rows;
    uint64_t n_filled;
    uint64_t n_distinct; /* of the filled ones, compared as lk_words_append()
                            makes them; where that is nothing, as they are */
    double mean_chars;   /* of the filled ones, counted in the same form */
    double mean_words;
    /* LINKD_HOLDS_NUMBER, LINKD_HOLDS_DATE (days since 1970-01-01) */
    double low, high; /* 5th and 95th percentile */
    double spread; /* (75th - 25th percentile) / 1.35: robust deviation; where
                         that is 0, (95th - 5th) / 3.29 */
    bool logarithmic; /* all positive, and high / low > 20 */
    bool month_first; /* LINKD_HOLDS_DATE */
    linkd_str common; /* the most frequent value as it is first written */
    uint64_t n_common;
} linkd_column_profile;

extern const char *const linkd_holds_words[LINKD_N_HOLDS];

LINKD_MUST_CHECK int
linkd_column_profile_make(const linkd_table *table, size_t column,
                          linkd_column_profile *ret_profile, linkd_error *err);
/* The profile of two columns that are compared, as if they were one. `tables`
 * [1] NULL: the first alone. */
LINKD_MUST_CHECK int
linkd_field_profile_make(const linkd_table *const tables[2],
                         const size_t columns[2],
                         linkd_column_profile *ret_profile, linkd_error *err);

/* ---- texts to vectors --------------------------------------------------- */

/* What turns texts into vectors. An encoder is one, see below; so is whatever
 * shares an encoder among many callers, or knows some vectors already. Plain
 * data that is copied freely: `ctx` and `fingerprint` are borrowed. */
typedef struct linkd_embedder {
    /* [n] texts of valid UTF-8 -> ret_vectors [n, dim], rows of length 1, each
     * depending on its text alone. `stats` may be NULL, else is added to.
     * Called on the thread that called linkd_link() or linkd_dedup(), one call
     * at a time; a failure ends the work and is passed on as it is. */
    int (*embed)(void *ctx, const linkd_str *texts, size_t n,
                 float *ret_vectors, linkd_encode_stats *stats,
                 linkd_error *err);
    /* Tells whether the vector would say anything about the text, see
     * linkd_encoder_knows(). A row of which it would not is never embedded. */
    bool (*knows)(void *ctx, linkd_str text);
    void *ctx;
    size_t dim;
    const char *fingerprint; /* vectors are comparable when it is equal */
} linkd_embedder;

/* An encoder and the workers it runs on, both borrowed. */
typedef struct linkd_encoder_embedder {
    linkd_encoder *encoder;
    lk_pool *pool;
} linkd_encoder_embedder;

/* The encoder as an embedder, which borrows `storage`. */
linkd_embedder linkd_embedder_of_encoder(linkd_encoder_embedder *storage);

/* ---- linking two tables ------------------------------------------------- */

/* Chosen among the candidates: pairs of which one row is among the k nearest
 * of the other. So of more than k rows that are equal some pairs are never
 * seen, whatever the threshold. */
typedef enum linkd_assign {
    LINKD_ASSIGN_RECIPROCAL,   /* each is the other's best */
    LINKD_ASSIGN_ONE_TO_ONE,   /* exact over the candidates: greatest sum of
                                  score - threshold */
    LINKD_ASSIGN_ONE_TO_MANY,  /* every right row to its best left row */
    LINKD_ASSIGN_MANY_TO_ONE,  /* every left row to its best right row */
    LINKD_ASSIGN_MANY_TO_MANY, /* every candidate */
    LINKD_ASSIGN_AUTO,         /* what the tables' own duplicates say; only with
                                  probabilities */
} linkd_assign;

typedef struct linkd_pair {
    size_t left;  /* row of the left table; in dedup the lower row */
    size_t right; /* row of the right table; in dedup the higher row */
    float score;  /* cosine, rounded to six decimals before it is compared */
} linkd_pair;

/* Neighbours by cosines alone, measured 2026-11-24 on seven public sets with all
 * columns as text: from 10 to 20 recall rises by 0 to 4 points, F1 by none. */
#define LINKD_LINK_K 10

typedef struct linkd_link_options {
    const linkd_column_pair *columns;
    size_t n_columns;
    size_t left_block; /* column, or LINKD_COLUMN_NONE: only rows with equal, */
    size_t right_block; /* non-empty values there are compared */
    size_t k;           /* neighbours per row and direction */
    float threshold;    /* a pair needs score >= threshold */
    linkd_assign assign;
} linkd_link_options;

typedef struct linkd_link_result {
    linkd_pair *pairs; /* by left row, then score descending, then right row */
    size_t n_pairs;
    size_t n_candidates; /* distinct pairs that were scored */
    size_t n_left_empty; /* rows without any text, or without a word that the
                            model knows: never compared */
    size_t n_right_empty;
    linkd_encode_stats encode;
    double encode_seconds;
    double search_seconds;
    double assign_seconds;
} linkd_link_result;

/* Reports the steps "encode" (rows of both sides), "search" and "assign". The
 * workers of `pool` search. */
LINKD_MUST_CHECK int
linkd_link(const linkd_table *left, const linkd_table *right,
           const linkd_embedder *embedder, lk_pool *pool,
           const linkd_link_options *options, const linkd_progress *progress,
           linkd_link_result *ret_result, linkd_error *err);
void linkd_link_result_clear(linkd_link_result *result);

/* ---- evidence and decisions --------------------------------------------- */

/* What may propose a candidate: bits. */
typedef enum linkd_channel {
    LINKD_CHANNEL_DENSE = 1,   /* near in the encoder's space */
    LINKD_CHANNEL_LEXICAL = 2, /* whole records share character 3-grams */
    LINKD_CHANNEL_WORDS = 4,   /* whole records share rare words */
    LINKD_CHANNEL_FIELDS = 8,  /* one field shares character 3-grams */
    LINKD_CHANNEL_ALL = 15,
    LINKD_CHANNEL_ASKED = 16, /* the caller named the pair */
} linkd_channel;

/* One answered pair: a label, or an answer of a review. */
typedef struct linkd_label {
    size_t left; /* row; within one table left < right */
    size_t right;
    bool match;
} linkd_label;

/* Candidates of two tables, or of one with itself, and what is known of each:
 * everything that a decision rests on. Gathering takes nearly all of the time,
 * so decisions may be repeated with other options and more labels. */
typedef struct linkd_evidence linkd_evidence;

typedef struct linkd_evidence_options {
    const linkd_column_pair *columns; /* in one table left == right */
    size_t n_columns;
    size_t left_block; /* column, or LINKD_COLUMN_NONE: only rows with equal, */
    size_t right_block; /* non-empty values there are compared */
    size_t k;           /* neighbours per row, direction and channel; 0: what
                           suits the number of rows */
    unsigned channels;  /* linkd_channel bits */
    const linkd_label *asked; /* candidates in any case; [n_asked] */
    size_t n_asked;
    /* Columns, which are those of linkd_pair_model_columns(), are compared as
     * the model's were, whatever these tables' look like; NULL: as they look. */
    const struct linkd_pair_model *pair_model;
} linkd_evidence_options;

/* How many candidates each channel proposed, and what it cost. */
typedef struct linkd_funnel {
    size_t n_dense, n_lexical, n_words, n_fields, n_asked;
    size_t n_candidates; /* distinct ones */
    size_t n_empty[2];   /* rows without any word: never compared */
    linkd_encode_stats encode;
    double encode_seconds, search_seconds, compare_seconds;
} linkd_funnel;

/* `right` NULL compares `left` with itself. Tables, columns, embedder and pool
 * are borrowed until the evidence is freed. Without `embedder` there is no dense
 * channel. LINKD_E_DATA: the pair model needs another encoder, or a column that
 * holds something else. Reports the steps "encode", "search", "candidates",
 * "compare". */
LINKD_MUST_CHECK int
linkd_evidence_gather(const linkd_table *left, const linkd_table *right,
                      const linkd_embedder *embedder, lk_pool *pool,
                      const linkd_evidence_options *options,
                      const linkd_progress *progress,
                      linkd_evidence **ret_evidence, linkd_error *err);
void linkd_evidence_free(linkd_evidence *evidence);
const linkd_funnel *linkd_evidence_funnel(const linkd_evidence *evidence);

typedef struct linkd_candidate {
    uint32_t left, right; /* rows; in one table left < right */
    float score; /* likeness of the whole rows: cosine of their vectors, without
                    a model of their 3-grams; six decimals */
    float probability;
    uint8_t channels; /* linkd_channel bits */
    bool accepted;
} linkd_candidate;

/* The candidates before anything is decided. */
typedef struct linkd_ranking {
    linkd_candidate *candidates; /* by left, then right; probability 0 */
    size_t n;
    uint32_t *order; /* [n]: positions, those most worth a look first */
    uint32_t *ranks; /* [n]: 1 for the most surprising pair of either row, and
                        so on; equal ones have equal ranks */
} linkd_ranking;

/* How surprising a pair is by chance (see surprise.c) is what its rank goes by.
 * The order goes by that, too, within one table; in two tables by how far a pair
 * is ahead of the best other pairs of its rows, or behind them. */
LINKD_MUST_CHECK int linkd_evidence_rank(const linkd_evidence *evidence,
                                         linkd_ranking *ret_ranking,
                                         linkd_error *err);
void linkd_ranking_clear(linkd_ranking *ranking);

/* ---- models of pairs, learned from labels -------------------------------- */

typedef enum linkd_learner {
    LINKD_LEARNER_NONE, /* none was better than the decision without labels */
    LINKD_LEARNER_LOGISTIC,
    LINKD_LEARNER_TREES,
    LINKD_N_LEARNERS,
} linkd_learner;

/* "none", "logistic", "boosted trees" */
extern const char *const linkd_learner_words[LINKD_N_LEARNERS];

/* How well answered pairs are foretold, at probability 0.5 or more; NaN: cannot
 * be told. */
typedef struct linkd_foretold {
    double precision, recall, f1; /* NaN but for recall: all are matches */
    double log_loss;              /* mean over the answers */
} linkd_foretold;

typedef struct linkd_learned_info {
    linkd_learner learner;
    size_t n_matches, n_others; /* answers; no others: rivals stood in */
    /* Each answer by a model of the other records' answers; all NaN: too few
     * answers to learn from. */
    linkd_foretold held_out;
    linkd_foretold without; /* by the decision without labels */
} linkd_learned_info;

/* What labels taught about two tables, or one, to be used on others that have
 * the same columns: what is compared, and the model on it. Immutable. */
typedef struct linkd_pair_model linkd_pair_model;

typedef struct linkd_pair_model_info {
    bool within;             /* one table */
    const char *fingerprint; /* of the encoder; "": none */
    size_t n_columns;        /* that are compared, or stand alone */
    size_t n_features;
    linkd_learned_info learned;
} linkd_pair_model_info;

void linkd_pair_model_free(linkd_pair_model *model);
/* Strings live as long as the model. */
linkd_pair_model_info linkd_pair_model_describe(const linkd_pair_model *model);
/* Appends the file's text, the same for the same model; numbers read back as
 * they are. */
LINKD_MUST_CHECK int linkd_pair_model_encode(const linkd_pair_model *model,
                                             lk_buf *ret_json,
                                             linkd_error *err);
/* Reads that text as foreign bytes; `name` is what messages call it. LINKD_E_DATA: it
 * is no such model, of a later version, or damaged. */
LINKD_MUST_CHECK int linkd_pair_model_decode(const char *name, linkd_str json,
                                             linkd_pair_model **ret_model,
                                             linkd_error *err);
/* The columns of these tables that the model compares; `right` NULL: one table.
 * `ret_pairs` is freed with free(). LINKD_E_DATA: a table lacks one, or the
 * model is for two tables and not for one, or the other way round. */
LINKD_MUST_CHECK int linkd_pair_model_columns(const linkd_pair_model *model,
                                              const linkd_table *left,
                                              const linkd_table *right,
                                              linkd_column_pair **ret_pairs,
                                              size_t *ret_n_pairs,
                                              linkd_error *err);

#define LINKD_THRESHOLD_AUTO (-1.0) /* the cut with the best expected F1 */

typedef enum linkd_cluster {
    LINKD_CLUSTER_COMPONENTS, /* whatever a chain of pairs connects */
    LINKD_CLUSTER_COMPLETE,   /* every two rows of an entity are a pair */
    LINKD_CLUSTER_AVERAGE,    /* entities are alike on the whole */
    LINKD_CLUSTER_CENTRE,     /* a row in the middle, and rows like it */
} linkd_cluster;

/* How the entities of one table are made from its probabilities, and how far
 * they may grow. */
typedef struct linkd_entities_options {
    linkd_cluster cluster;
    size_t max_rows; /* of an entity; 0: any number */
    size_t one_per;  /* column: at most one row of each value in an entity, a
                        blank one being no value; LINKD_COLUMN_NONE: any */
} linkd_entities_options;

typedef struct linkd_decide_options {
    linkd_assign assign;
    double threshold; /* probability, or LINKD_THRESHOLD_AUTO */
    const linkd_label *labels;
    size_t n_labels;
    /* Decides in place of labels; what was gathered was so for it. */
    const linkd_pair_model *pair_model;
    /* One table; NULL: average linkage, which no single weak pair sways. */
    const linkd_entities_options *entities;
} linkd_decide_options;

/* What is expected of the accepted pairs, and why the mode is what it is. */
typedef struct linkd_verdict {
    linkd_assign assign; /* never LINKD_ASSIGN_AUTO; in one table MANY_TO_MANY,
                            or ONE_TO_ONE: at most two rows an entity */
    char why[160];       /* one line: what spoke for the mode */
    double precision, recall, f1; /* expected at the threshold; recall: of
                                     n_matches + n_unseen */
    double n_matches;             /* expected among the candidates */
    double n_unseen;   /* expected beyond them at least, see linkage/unseen.c */
    bool supported;    /* false: the data cannot support a decision */
    char doubt[200];   /* one line why, or empty */
    char learned[160]; /* one line what the labels were used for, or empty */
} linkd_verdict;

typedef struct linkd_decision {
    linkd_candidate *candidates; /* by left, then right */
    size_t n_candidates;
    size_t n_accepted;
    size_t *entities; /* one table: [n_rows], numbered from 0 in order of first
                         row; else NULL */
    size_t n_entities;
    double threshold;
    linkd_verdict verdict;
    struct lk_fitted_model *model; /* what was fitted; private */
} linkd_decision;

/* With labels a model learns from them and from what is decided without them;
 * if they are all matches, from the matches' rivals, too. It decides if it
 * foretells held-out labels better than the decision without labels does; the
 * answered pairs are as they were answered in any case. LINKD_E_ARG: a label
 * names rows that are no candidates (gather with them as `asked`), or there are
 * labels and a pair model. LINKD_E_DATA: the pair model knows other features
 * than were gathered. Reports "decide". */
LINKD_MUST_CHECK int linkd_evidence_decide(const linkd_evidence *evidence,
                                           const linkd_decide_options *options,
                                           const linkd_progress *progress,
                                           linkd_decision *ret_decision,
                                           linkd_error *err);
/* What the options' labels teach, as a model for other tables; their threshold
 * and entities do not matter. As linkd_evidence_decide(). */
LINKD_MUST_CHECK int linkd_evidence_train(const linkd_evidence *evidence,
                                          const linkd_decide_options *options,
                                          const linkd_progress *progress,
                                          linkd_pair_model **ret_model,
                                          linkd_error *err);
void linkd_decision_clear(linkd_decision *decision);
/* The accepted candidates [n_accepted] by left row, then the most probable
 * first, then right row. Freed with free(). */
LINKD_MUST_CHECK int linkd_decision_accepted(const linkd_decision *decision,
                                             linkd_candidate **ret_accepted,
                                             linkd_error *err);

/* The pairs whose answers would teach most: near one half, with some that are
 * believed to be sure, of many records. Those that are `known` are left out.
 *   ret_candidates [n] positions in the decision; the first *ret_n are filled,
 *   fewer than n if there are no more that are in any doubt */
LINKD_MUST_CHECK int linkd_evidence_review(const linkd_evidence *evidence,
                                           const linkd_decision *decision,
                                           const linkd_label *known,
                                           size_t n_known, size_t n,
                                           size_t *ret_candidates,
                                           size_t *ret_n, linkd_error *err);

/* ---- why a pair was decided as it was ------------------------------------ */

#define LINKD_CANDIDATE_NONE SIZE_MAX

/* A word of either record, in lower case and without marks, and what it meets
 * in the other one. */
typedef struct linkd_word_pair {
    linkd_str left, right; /* len 0: the word has no counterpart */
    float similarity;      /* 1 if equal; 0 without a counterpart */
} linkd_word_pair;

/* What one field adds to the log-odds. */
typedef struct linkd_field_part {
    linkd_str name; /* of the left column */
    size_t columns[2];
    linkd_cell cells[2]; /* of both rows, borrowed from the tables */
    double log_odds;
    linkd_word_pair *words; /* those of the left cell in their order, then
                               those that are only right; the first
                               LINKD_EXPLAINED_WORDS of a cell */
    size_t n_words;
} linkd_field_part;

#define LINKD_EXPLAINED_WORDS ((size_t)100)

/* The best other candidate of one of the two rows. */
typedef struct linkd_runner_up {
    size_t candidate; /* LINKD_CANDIDATE_NONE: the row has no other one */
    size_t row;       /* its partner there */
    double margin;    /* log-odds that the explained pair is ahead by */
} linkd_runner_up;

/* prior + record + the fields' log_odds + competition = log_odds. */
typedef struct linkd_explanation {
    linkd_candidate candidate;
    double log_odds;    /* of candidate.probability */
    double prior;       /* before anything was compared */
    double record;      /* the whole rows: words, vectors, ranks */
    double competition; /* what remains: other pairs of the two rows, and that
                           the mean of several fits decides, not one alone */
    linkd_field_part *fields;
    size_t n_fields;
    linkd_runner_up runners_up[2]; /* of the left row, of the right row */
    lk_arena arena;                /* holds what the pointers above point to */
} linkd_explanation;

/* Explains many pairs of one decision. Both are borrowed until it is freed. */
typedef struct linkd_explainer linkd_explainer;

LINKD_MUST_CHECK int linkd_explainer_new(const linkd_evidence *evidence,
                                         const linkd_decision *decision,
                                         linkd_explainer **ret_explainer,
                                         linkd_error *err);
void linkd_explainer_free(linkd_explainer *explainer);
/* `candidate` is a position in the decision. LINKD_E_ARG: there is none. */
LINKD_MUST_CHECK int linkd_explainer_explain(const linkd_explainer *explainer,
                                             size_t candidate,
                                             linkd_explanation *ret_explanation,
                                             linkd_error *err);
/* The same for one pair. */
LINKD_MUST_CHECK int linkd_evidence_explain(const linkd_evidence *evidence,
                                            const linkd_decision *decision,
                                            size_t candidate,
                                            linkd_explanation *ret_explanation,
                                            linkd_error *err);
void linkd_explanation_clear(linkd_explanation *explanation);
/* The position of the candidate of these rows, or LINKD_CANDIDATE_NONE. In one
 * table in either order. */
size_t linkd_decision_find(const linkd_decision *decision, size_t left,
                           size_t right);

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
    float threshold;
    linkd_cluster cluster;
} linkd_dedup_options;

typedef struct linkd_dedup_result {
    size_t *entities; /* [n_rows]: numbered from 0 in order of first row */
    size_t n_entities;
    linkd_pair *pairs; /* accepted pairs inside entities, by left, then right */
    size_t n_pairs;
    size_t n_candidates;
    size_t n_empty; /* as n_left_empty: entities of their own */
    linkd_encode_stats encode;
    double encode_seconds;
    double search_seconds;
    double cluster_seconds;
} linkd_dedup_result;

/* Reports the steps "encode", "search" and "cluster". */
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

/* What was wrong with a picture: "row 7: photos/x.jpg: JPEG image is cut off",
 * a line each, of the first rows only. */
#define LINKD_IMAGE_PROBLEMS_MAX ((size_t)20)

typedef struct linkd_image_problems {
    size_t n;     /* pictures that could not be used */
    lk_buf lines; /* cleared by the caller */
} linkd_image_problems;

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

/* ---- clusters of rows that are near each other --------------------------- */

typedef enum linkd_vector_method {
    LINKD_VECTORS_SLINK, /* single linkage: a chain of near rows is enough */
    LINKD_VECTORS_AGGLOMERATIVE,
    LINKD_VECTORS_DBSCAN,
    LINKD_VECTORS_HDBSCAN,
} linkd_vector_method;

typedef enum linkd_linkage { /* how far two clusters are from each other: */
                             LINKD_LINKAGE_SINGLE,   /* as their nearest rows */
                             LINKD_LINKAGE_COMPLETE, /* as their farthest rows */
                             LINKD_LINKAGE_AVERAGE, /* as all their rows in the mean */
                             LINKD_LINKAGE_WARD, /* by how much a merge adds to the squared
                                distances from means; two rows: plain distance,
                                sqrt(2 - 2 cosine) */
} linkd_linkage;

/* Limits of what takes the square of the rows: those that HDBSCAN or Ward's
 * linkage compare, or of complete and average linkage the rows that a chain of
 * near pairs connects. Complete linkage keeps 2 n^2 bytes. */
#define LINKD_CLUSTER_PAIRWISE_MAX ((size_t)50000)
#define LINKD_CLUSTER_MATRIX_MAX   ((size_t)20000)

#define LINKD_CLUSTER_NOISE SIZE_MAX

typedef struct linkd_cluster_rows_options {
    const size_t *columns;
    size_t n_columns;
    linkd_vector_method method;
    linkd_linkage linkage; /* LINKD_VECTORS_AGGLOMERATIVE */
    float distance;        /* 1 - cosine, but see Ward; not for HDBSCAN */
    size_t min_size;       /* LINKD_VECTORS_HDBSCAN: rows of a cluster, >= 2 */
    size_t min_samples;    /* DBSCAN, HDBSCAN: rows near enough to be dense, the
                              row itself included, >= 1 */
} linkd_cluster_rows_options;

typedef struct linkd_cluster_rows_result {
    size_t *clusters; /* [n_rows]: numbered from 0 in order of first row. Only
                         DBSCAN and HDBSCAN have LINKD_CLUSTER_NOISE; with the
                         others a row like no other is a cluster by itself */
    size_t n_clusters;
    size_t n_noise;
    size_t n_empty; /* as n_left_empty */
    linkd_encode_stats encode;
    double encode_seconds;
    double cluster_seconds;
} linkd_cluster_rows_result;

/* Reports the steps "encode", "search" and "cluster". Takes time with the square
 * of the rows, memory with the rows. LINKD_E_ARG: an option makes no sense, or
 * there are more rows than a limit above. */
LINKD_MUST_CHECK int
linkd_cluster_rows(const linkd_table *table, const linkd_embedder *embedder,
                   lk_pool *pool, const linkd_cluster_rows_options *options,
                   const linkd_progress *progress,
                   linkd_cluster_rows_result *ret_result, linkd_error *err);
void linkd_cluster_rows_result_clear(linkd_cluster_rows_result *result);

/* ---- labels of rows, learned from examples -------------------------------- */

typedef enum linkd_classify_method {
    LINKD_CLASSIFY_NEAREST, /* the nearest examples vote, nearer ones more */
    LINKD_CLASSIFY_LINEAR,  /* softmax regression on the vectors */
} linkd_classify_method;

#define LINKD_LABEL_NONE UINT32_MAX
/* More are a sign that the column holds no labels; 4 bytes are kept for each of
 * them and each example. */
#define LINKD_LABELS_MAX ((size_t)1000)

typedef struct linkd_classify_options {
    const linkd_column_pair
        *columns; /* left: of the rows, right: of examples */
    size_t n_columns;
    size_t label_column; /* of the examples; blank cells are no label */
    linkd_classify_method method;
    size_t k; /* examples that vote, >= 1 */
} linkd_classify_options;

typedef struct linkd_classify_result {
    uint32_t *labels;   /* [n_rows]: in names, or LINKD_LABEL_NONE: empty row */
    float *confidences; /* [n_rows]: 0 to 1, six decimals */
    linkd_str *names;   /* borrowed from the examples, in order of coming */
    size_t n_names;
    size_t n_examples; /* with a label and a text */
    size_t n_empty;    /* as n_left_empty */
    /* Examples that were asked for without having been learned from, and how
     * many were answered rightly. None with a single example. */
    size_t n_asked, n_right;
    size_t n_most_frequent; /* examples of the most frequent label */
    linkd_encode_stats encode;
    double encode_seconds;
    double classify_seconds;
} linkd_classify_result;

/* Gives each row of `table` a label of the examples'. Reports "encode" and
 * "check". LINKD_E_ARG: k is 0, or no column takes part. LINKD_E_DATA: no
 * example has a label and a text, or there are more than LINKD_LABELS_MAX. */
LINKD_MUST_CHECK int
linkd_classify_rows(const linkd_table *table, const linkd_table *examples,
                    const linkd_embedder *embedder, lk_pool *pool,
                    const linkd_classify_options *options,
                    const linkd_progress *progress,
                    linkd_classify_result *ret_result, linkd_error *err);
void linkd_classify_result_clear(linkd_classify_result *result);

/* ---- collections of a store --------------------------------------------- */

/* What a collection's records mean: kept as JSON in the store's settings. */
typedef struct linkd_settings {
    const linkd_str *text; /* fields whose values are encoded, in this order */
    size_t n_text;         /* 0 without a template: every text field by name */
    linkd_str pattern;     /* "{name}, {city}" in their place; empty: none */
    linkd_str image;       /* the field that names the image; empty: none */
    float threshold;       /* from which cosine on records are one entity */
} linkd_settings;

/* A cosine as it is decided on and shown: with six decimals, and within -1 and
 * 1. Equal vectors have a score of exactly 1. */
float lk_score_round(float cosine);
/* A search finds by unrounded cosines: the threshold to give it so that it finds
 * all whose rounded score is at least `threshold`, and perhaps some more. */
float lk_score_margin(float threshold);

/* LINKD_E_ARG: not such an object; the message names the member. Arrays and
 * strings live in the arena. */
LINKD_MUST_CHECK int linkd_settings_parse(linkd_str json, lk_arena *arena,
                                          linkd_settings *ret_settings,
                                          linkd_error *err);
/* Appends the JSON that linkd_settings_parse() reads. */
LINKD_MUST_CHECK int linkd_settings_print(const linkd_settings *settings,
                                          lk_buf *ret_json, linkd_error *err);

/* Appends the text of a record that is encoded; nothing for a record without
 * text. Literals count as their JSON text where their field is named, so that a
 * record has the text that linkd_record_text() makes of the same row. */
LINKD_MUST_CHECK int linkd_settings_text(const linkd_settings *settings,
                                         const linkd_field *fields,
                                         size_t n_fields, lk_buf *ret_text,
                                         linkd_error *err);

/* Encodes the records' texts and stores them: linkd_store_put() for puts
 * without vectors (they are filled in for the call; those of records without a
 * known word stay NULL). */
LINKD_MUST_CHECK int linkd_collection_put(
    linkd_store *store, linkd_str collection, const linkd_settings *settings,
    const linkd_embedder *embedder, const linkd_put *puts, size_t n,
    const linkd_once *once, linkd_write_result *ret_result, linkd_error *err);

/* Another model of a collection that has several generations. */
typedef struct linkd_home {
    uint32_t generation;
    linkd_embedder embedder;
} linkd_home;

typedef struct linkd_attach_options {
    float threshold; /* of the model that the collection was made with: see
                        linkd_limit */
    const linkd_filter *filter; /* may be NULL */
    linkd_once once;
    const linkd_home *homes; /* [n_homes]: models of older generations, if the
                                record's text is to be looked for there */
    size_t n_homes;
} linkd_attach_options;

typedef struct linkd_attached {
    uint64_t entity;
    bool is_new;  /* it had none, and no record scored threshold */
    lk_buf match; /* id of the record that it was joined to; empty if new */
    float score;  /* of the match */
    uint64_t seq;
    bool replayed;
} linkd_attached;

/* Decides which entity one record belongs to and stores it, in one step: of
 * two equal records attached at once the second finds the first. `embedder` is
 * NULL when put->vector is given. A record that has its entity already keeps
 * it. `ret_attached->match` is cleared by the caller. */
LINKD_MUST_CHECK int
linkd_collection_attach(linkd_store *store, linkd_str collection,
                        const linkd_settings *settings,
                        const linkd_embedder *embedder, const linkd_put *put,
                        const linkd_attach_options *options,
                        linkd_attached *ret_attached, linkd_error *err);

/* ---- a collection whose model is being changed --------------------------- */

/* How a query meets the vectors of a generation. */
typedef enum linkd_way {
    LINKD_WAY_NATIVE, /* the generation's own model made it */
    LINKD_WAY_ALIGN,  /* another model's, mapped */
    LINKD_WAY_FUSE, /* mapped, and mixed with what the own model makes of it */
    LINKD_N_WAYS,
} linkd_way;

extern const char *const linkd_way_words[LINKD_N_WAYS]; /* "native", … */

/* What a score of one way says, on a scale that all ways share. */
typedef struct linkd_scale {
    linkd_calibrator calibrator; /* to the log-odds that the record is the one
                                    that was looked for, among all records */
    linkd_quantiles impostors;   /* scores of others */
} linkd_scale;

/* From queries of one generation to the vectors of another, or of its own. */
typedef struct linkd_bridge {
    linkd_compat_map *map; /* NULL: to its own */
    float weight;          /* of the mapped query in a fused one */
    linkd_scale scales[LINKD_N_WAYS];
    double mrr_10[LINKD_N_WAYS];   /* of held-out queries */
    uint32_t *ranks[LINKD_N_WAYS]; /* [n_queries] likewise, after a fit; 1 is
                                      first, 0: not among the first ten */
} linkd_bridge;

void linkd_bridge_clear(linkd_bridge *bridge);
/* Its ways: ALIGN and FUSE, or NATIVE if it has no map. */
bool linkd_bridge_has(const linkd_bridge *bridge, linkd_way way);

/* What is fitted on: the same records and queries under each model. */
typedef struct linkd_model_sample {
    size_t dim;
    const float *anchors; /* [n_anchors, dim], of records */
    const float *queries; /* [n_queries, dim] */
} linkd_model_sample;

/* Every fifth anchor, from the first, is held out from fitting. */
#define LINKD_ANCHORS_HELD ((size_t)5)
#define LINKD_ANCHORS_MIN  ((size_t)100)
#define LINKD_ANCHORS      ((size_t)4000)
#define LINKD_ANCHORS_MAX  ((size_t)65536)

typedef struct linkd_bridge_task {
    size_t n_anchors; /* LINKD_ANCHORS_MIN to LINKD_ANCHORS_MAX */
    size_t n_queries;
    const size_t *answers; /* [n_queries]: the anchor that a query looks for */
    uint64_t n_records;    /* of the collection */
    linkd_compat_head head;
    bool auto_head;         /* the better one of procrustes and ridge */
    const uint64_t *labels; /* [n_anchors] for LINKD_HEAD_CONTRAST, or NULL */
    uint64_t seed;
    lk_pool *pool;
    const linkd_progress *progress;
} linkd_bridge_task;

/* Fits map, weight and scales from one model to the other. LINKD_E_ARG, _DATA,
 * _CANCELLED as linkd_compat_fit(). */
LINKD_MUST_CHECK int linkd_bridge_fit(const linkd_bridge_task *task,
                                      const linkd_model_sample *from,
                                      const linkd_model_sample *to,
                                      linkd_bridge *ret_bridge,
                                      linkd_error *err);
/* The scale of a model's own queries. */
LINKD_MUST_CHECK int linkd_bridge_native(const linkd_bridge_task *task,
                                         const linkd_model_sample *sample,
                                         linkd_bridge *ret_bridge,
                                         linkd_error *err);

/* A query that stands in for a user's: the record's text with some of its words
 * left out and one misspelt, the same for equal texts. Appends it. */
LINKD_MUST_CHECK int linkd_provisional_query(linkd_str text, lk_buf *ret_query,
                                             linkd_error *err);

/* Kinds of the store's blobs. */
enum {
    LINKD_BLOB_MAP = 1,       /* generation, other: a compat map */
    LINKD_BLOB_SCALES = 2,    /* generation, other (or itself): the rest of a
                                 bridge */
    LINKD_BLOB_ANCHORS = 3,   /* generation: a table of vectors */
    LINKD_BLOB_TEXTS = 4,     /* generation 0: texts of the anchors */
    LINKD_BLOB_CANARIES = 5,  /* generation: vectors of linkd_canaries */
    LINKD_BLOB_REFERENCE = 6, /* generation 0: the scale that thresholds mean */
};

LINKD_MUST_CHECK int linkd_scales_encode(const linkd_bridge *bridge,
                                         lk_buf *ret_bytes, linkd_error *err);
/* Vectors [n, dim] as a blob, and back; the array lives in the arena.
 * LINKD_E_DATA: not such bytes. */
LINKD_MUST_CHECK int linkd_vectors_encode(const float *vectors, size_t n,
                                          size_t dim, lk_buf *ret_bytes,
                                          linkd_error *err);
LINKD_MUST_CHECK int linkd_vectors_decode(linkd_str bytes, lk_arena *arena,
                                          float **ret_vectors, size_t *ret_n,
                                          size_t *ret_dim, linkd_error *err);
/* Texts likewise. */
LINKD_MUST_CHECK int linkd_texts_encode(const linkd_str *texts, size_t n,
                                        lk_buf *ret_bytes, linkd_error *err);
LINKD_MUST_CHECK int linkd_texts_decode(linkd_str bytes, lk_arena *arena,
                                        linkd_str **ret_texts, size_t *ret_n,
                                        linkd_error *err);

/* Texts whose vectors tell whether a model is still the same, in spite of an
 * equal fingerprint. */
#define LINKD_N_CANARIES ((size_t)8)
extern const char *const linkd_canaries[LINKD_N_CANARIES];
/* LINKD_E_CONFLICT: a canary's vector, [LINKD_N_CANARIES, dim] each, has changed
 * (cosine under .999). */
LINKD_MUST_CHECK int linkd_canaries_check(const float *stored, const float *now,
                                          size_t dim, linkd_error *err);

/* All bridges of a collection, as of a view. Immutable: any threads. */
typedef struct linkd_bridges linkd_bridges;

/* *ret_bridges is NULL where the collection's model was never changed. Freed by
 * linkd_bridges_close(). LINKD_E_DATA: a blob is damaged. */
LINKD_MUST_CHECK int linkd_bridges_open(linkd_view *view,
                                        linkd_bridges **ret_bridges,
                                        linkd_error *err);
void linkd_bridges_close(linkd_bridges *bridges);
/* What linkd_bridges_open() of this view would read, as a number: bridges that
 * were opened under it serve. 0: the model was never changed. */
LINKD_MUST_CHECK int linkd_bridges_key(linkd_view *view, uint64_t *ret_key,
                                       linkd_error *err);
/* NULL: there is none. */
const linkd_bridge *linkd_bridges_find(const linkd_bridges *bridges,
                                       uint32_t from, uint32_t to);
/* Maps a vector of one generation to another's: ret_vector [dim of `to`]. */
LINKD_MUST_CHECK int linkd_bridges_map(const linkd_bridges *bridges,
                                       uint32_t from, uint32_t to,
                                       const float *vector, float *ret_vector,
                                       linkd_error *err);

/* One query in all generations. */
typedef struct linkd_mixed_query {
    uint32_t generation; /* whose model made `vector` */
    const float *vector;
    /* The same text under other generations' own models; NULL: not there */
    struct {
        uint32_t generation;
        const float *vector;
    } homes[LINKD_GENERATIONS_MAX];
    size_t n_homes;
} linkd_mixed_query;

/* What hits have to reach. Scores are those of the model that the collection
 * was made with; after a change of the model they let in as large a share of
 * impostors as they did then. */
typedef enum linkd_limit_kind {
    LINKD_LIMIT_NONE,
    LINKD_LIMIT_SCORE,
    LINKD_LIMIT_FALSE_MATCH_RATE, /* at most */
    LINKD_LIMIT_PROBABILITY,
} linkd_limit_kind;
typedef struct linkd_limit {
    linkd_limit_kind kind;
    double value;
} linkd_limit;

typedef struct linkd_found {
    uint64_t id; /* the record's number */
    float score; /* raw, of the generation and the way */
    uint32_t generation;
    linkd_way way;
    double log_odds;
} linkd_found;

double linkd_found_probability(const linkd_found *found);

/* The k best of all generations, best first by log-odds, equal ones by number:
 * within one generation that is the order of its scores. `options` as in
 * linkd_view_search(), but for its threshold. ret_found [options->k]. The view
 * is turned to the generation that serves afterwards. LINKD_E_ARG: the query is
 * zero or not finite. */
LINKD_MUST_CHECK int linkd_mixed_search(
    const linkd_bridges *bridges, linkd_view *view,
    const linkd_mixed_query *query, const linkd_search_options *options,
    const linkd_limit *limit, linkd_found *ret_found, size_t *ret_n,
    linkd_search_stats *ret_stats, linkd_error *err);
/* All records within the limit, which is not NONE; freed with free(). */
LINKD_MUST_CHECK int
linkd_mixed_range(const linkd_bridges *bridges, linkd_view *view,
                  const linkd_mixed_query *query,
                  const linkd_search_options *options, const linkd_limit *limit,
                  linkd_found **ret_found, size_t *ret_n,
                  linkd_search_stats *ret_stats, linkd_error *err);
/* The raw score at which a way's hits reach the limit. */
float linkd_limit_score(const linkd_bridges *bridges, const linkd_limit *limit,
                        const linkd_scale *scale);

/* ---- measuring against a truth ------------------------------------------ */

typedef struct linkd_pair_quality {
    uint64_t n_result, n_truth, n_common;
    double precision, recall, f1; /* 0 where the divisor is 0 */
} linkd_pair_quality;

typedef struct linkd_evaluation {
    linkd_pair_quality pairs;
    bool has_clusters; /* the result names entities */
    /* B-cubed: Bagga and Baldwin 1998, per row, then averaged over rows */
    double b3_precision, b3_recall, b3_f1;
    size_t n_rows, n_entities_result, n_entities_truth;
} linkd_evaluation;

/* `result` is pairs (columns left_id, right_id) or entities (the id column and
 * entity_id); `truth` likewise. Pairs are compared as pairs; entities are
 * compared as pairs and as clusters over the rows of the result, a truth of
 * pairs being closed transitively first. A row without an entity_id is an
 * entity of its own. LINKD_E_DATA: a file has neither form, a pair lacks an
 * id, or a row of the truth is missing from a result of entities. */
LINKD_MUST_CHECK int linkd_evaluate(const linkd_table *result,
                                    const linkd_table *truth,
                                    linkd_evaluation *ret_evaluation,
                                    linkd_error *err);

#ifdef __cplusplus
}
#endif
#endif
