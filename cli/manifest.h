/* cli/manifest.h — what a run did, for people and machines. */
#ifndef LINKD_CLI_MANIFEST_H
#define LINKD_CLI_MANIFEST_H

#include "cli/command.h"
#include "cli/output.h"

typedef struct json_t json_t;

/* Builds the manifest of a run as JSON. Members are added in the order of the
 * calls; failures (only out of memory) are kept for lk_manifest_commit. */
typedef struct lk_manifest {
    json_t *root;
    json_t *counts;
    json_t *seconds;
    json_t *inputs;
    json_t *columns;
    lk_output *output; /* NULL: the result is no file */
    bool failed;
} lk_manifest;

/* Starts with program, versions, date and the command's options. */
void lk_manifest_init(lk_manifest *manifest, const lk_syntax *syntax,
                      const void *values);
void lk_manifest_clear(lk_manifest *manifest);

void lk_manifest_model(lk_manifest *manifest, const char *name,
                       const linkd_encoder_info *info);
/* The same of an engine, if it has one. */
void lk_manifest_engine(lk_manifest *manifest, const char *name,
                        const lk_engine *engine);
void lk_manifest_table(lk_manifest *manifest, const linkd_table *table);
/* An input that was streamed; `id_column` NULL: row numbers. */
void lk_manifest_input(lk_manifest *manifest, const char *path, uint64_t n_rows,
                       const linkd_str *id_column);
/* Columns that took part. */
void lk_manifest_pairing(lk_manifest *manifest, const linkd_table *left,
                         const linkd_table *right,
                         const linkd_column_pair *pair);
void lk_manifest_column(lk_manifest *manifest, linkd_str name);
void lk_manifest_count(lk_manifest *manifest, const char *name, uint64_t n);
void lk_manifest_seconds(lk_manifest *manifest, const char *step, double s);
/* What was encoded, and in which time. */
void lk_manifest_encode(lk_manifest *manifest, const linkd_encode_stats *stats,
                        double seconds);
/* What is expected of a decision, and why its mode is what it is. */
void lk_manifest_verdict(lk_manifest *manifest, const linkd_verdict *verdict,
                         const char *assign, double threshold);
/* What labels taught: by which learner, and how well held-out ones are foretold. */
void lk_manifest_learned(lk_manifest *manifest,
                         const linkd_learned_info *learned);
/* An input that linkd has read; it does not tell which column the ids are. */
void lk_manifest_source(lk_manifest *manifest, const char *name,
                        uint64_t n_rows);
/* The number of a job of linkd's, and its counts. */
void lk_manifest_job(lk_manifest *manifest, const json_t *job);

/* Starts `<path>.manifest.json` if `result`, at `path`, is a file. Like all
 * outputs it must not be one of the `inputs`: see lk_output_open. */
LINKD_MUST_CHECK int lk_manifest_open(lk_manifest *manifest,
                                      const lk_output *result, const char *path,
                                      const char *const *inputs,
                                      size_t n_inputs, linkd_error *err);
/* The result at `path` and the manifest beside it, errors as theirs. */
LINKD_MUST_CHECK int lk_result_open(const char *path, const char *const *inputs,
                                    size_t n_inputs, lk_output **ret_output,
                                    lk_manifest *manifest, linkd_error *err);

/* Writes the manifest and commits it together with `outputs`. */
LINKD_MUST_CHECK int lk_manifest_commit(lk_manifest *manifest,
                                        lk_output *const *outputs,
                                        size_t n_outputs, linkd_error *err);

/* Prints the manifest as one line: --json. It goes to standard output, or to
 * standard error if one of the `outputs` (NULL among them is skipped) is "-" and
 * goes there. */
LINKD_MUST_CHECK int lk_manifest_print(const lk_manifest *manifest,
                                       const char *const *outputs,
                                       size_t n_outputs, linkd_error *err);

#endif
