/* cli/decide.h — deciding by probability: what link and dedup share. */
#ifndef LINKD_CLI_DECIDE_H
#define LINKD_CLI_DECIDE_H

#include "cli/channels.h"
#include "cli/command.h"
#include "cli/labels.h"
#include "cli/manifest.h"

/* How to decide, as the command line says it. */
typedef struct lk_decide_values {
    double threshold;       /* probability; LINKD_THRESHOLD_AUTO */
    double min_score;       /* NaN: by probability */
    const char *channels;   /* as lk_channels_parse() takes them */
    const char *labels;     /* a file of answered pairs, or NULL */
    const char *pair_model; /* a file of linkctl train, or NULL */
} lk_decide_values;

/* A row of an option table; `at` is the offset of the member. */
#define LK_LABELS_OPTION(at)                                                   \
 {                                                                             \
  "labels", 0, LK_OPTION_TEXT, (at), "FILE", NULL, 0, 0,                       \
      "learn from answered pairs: left_id, right_id and match\n"               \
      "(1 or 0); without match all are pairs"                                  \
 }

#define LK_PAIR_MODEL_OPTION(at)                                               \
 {                                                                             \
  "pair-model", 0, LK_OPTION_TEXT, (at), "FILE", NULL, 0, 0,                   \
      "decide by what linkctl train learned from labels of\n"                  \
      "other tables with the same columns"                                     \
 }

/* What is compared. */
typedef struct lk_decide_input {
    const linkd_table *left;
    const linkd_table *right; /* NULL: one table */
    const linkd_column_pair *columns;
    size_t n_columns;
    size_t left_block, right_block;
    size_t k; /* 0: what suits the tables */
    linkd_assign assign;
    const linkd_label *asked; /* candidates in any case; [n_asked] */
    size_t n_asked;
    const linkd_entities_options *entities; /* as linkd_decide_options has it */
    const linkd_pair_model *pair_model;     /* or NULL; labels go before it */
    const lk_engine *engine;
} lk_decide_input;

typedef struct lk_decided {
    linkd_evidence *evidence;
    linkd_decision decision;
    linkd_pair *pairs;    /* the accepted ones, in the order of link.c */
    float *probabilities; /* [n_pairs] */
    size_t n_pairs;
    lk_labels labels;
    double decide_seconds;
} lk_decided;

/* LINKD_E_ARG: the options contradict each other. */
LINKD_MUST_CHECK int lk_decide_check(const lk_decide_values *values,
                                     const char *model, linkd_error *err);
/* The files that a run reads: its operands, and that of labels or of a pair
 * model. */
typedef struct lk_inputs {
    const char *paths[5];
    size_t n;
} lk_inputs;
lk_inputs lk_inputs_of(const lk_cli *cli, const lk_decide_values *values);
/* Only what a decision rests on; freed with linkd_evidence_free(). */
LINKD_MUST_CHECK int lk_decide_gather(lk_cli *cli, const lk_decide_input *input,
                                      const char *channels,
                                      linkd_evidence **ret_evidence,
                                      linkd_error *err);
LINKD_MUST_CHECK int lk_decide_run(lk_cli *cli, const lk_decide_input *input,
                                   const lk_decide_values *values,
                                   lk_decided *ret_decided, linkd_error *err);
void lk_decided_clear(lk_decided *decided);

/* Counts, seconds and the verdict. */
void lk_decided_manifest(const lk_decided *decided, lk_manifest *manifest);
/* The lines of a summary that say what was decided, why, and how well it is
 * expected to be. */
void lk_verdict_note(const linkd_verdict *verdict, double threshold);
/* The rest of the line that says how long each step took. */
void lk_decided_steps(const lk_decided *decided);

#endif
