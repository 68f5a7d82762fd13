/* linkage/probability.h — candidates to probabilities and decisions, without
 * labels or with them, and why. Part of linkage.h. */
#ifndef LINKD_LINKAGE_PROBABILITY_H
#define LINKD_LINKAGE_PROBABILITY_H

#include "linkage/link.h"

#ifdef __cplusplus
extern "C" {
#endif

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

#ifdef __cplusplus
}
#endif
#endif
