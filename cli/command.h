/* cli/command.h — what the commands of linkctl share. */
#ifndef LINKD_CLI_COMMAND_H
#define LINKD_CLI_COMMAND_H

#include "cli/args.h"
#include "cli/progress.h"
#include "encoder/encoder.h"
#include "linkage/linkage.h"

#define LK_MODEL_DEFAULT "all-MiniLM-L6-v2"
#define LK_THREADS_MAX   1024

/* A row of an option table; `at` is the offset of a size_t. */
#define LK_THREADS_OPTION(at)                                                  \
 {                                                                             \
  "threads", 'j', LK_OPTION_COUNT, (at), "N", NULL, 0, LK_THREADS_MAX,         \
      "threads to use (as many as there are processors)"                       \
 }

/* One run of the program. */
typedef struct lk_cli {
    lk_args args;
    lk_meter meter;
    linkd_progress progress;
    lk_buf hint; /* a second line below the error, or empty */
} lk_cli;

typedef struct lk_command {
    const lk_syntax *syntax;
    const void *defaults; /* the command's struct of option values */
    size_t values_size;
    int (*run)(lk_cli *cli, const void *values, linkd_error *err);
} lk_command;

extern const lk_command lk_cmd_link;
extern const lk_command lk_cmd_dedup;
extern const lk_command lk_cmd_classify;
extern const lk_command lk_cmd_cluster;
extern const lk_command lk_cmd_embed;
extern const lk_command lk_cmd_eval;
extern const lk_command lk_cmd_explain;
extern const lk_command lk_cmd_profile;
extern const lk_command lk_cmd_review;
extern const lk_command lk_cmd_score;
extern const lk_command lk_cmd_train;
extern const lk_command lk_cmd_model_list;
extern const lk_command lk_cmd_model_add;
extern const lk_command lk_cmd_model_pull;
extern const lk_command lk_cmd_model_info;
extern const lk_command lk_cmd_model_verify;
extern const lk_command lk_cmd_collection_create;
extern const lk_command lk_cmd_collection_list;
extern const lk_command lk_cmd_collection_info;
extern const lk_command lk_cmd_collection_log;
extern const lk_command lk_cmd_collection_drop;
extern const lk_command lk_cmd_collection_import;
extern const lk_command lk_cmd_collection_export;
extern const lk_command lk_cmd_search;
extern const lk_command lk_cmd_job_list;
extern const lk_command lk_cmd_job_show;
extern const lk_command lk_cmd_job_wait;
extern const lk_command lk_cmd_job_cancel;
extern const lk_command lk_cmd_job_results;
extern const lk_command lk_cmd_job_delete;
extern const lk_command lk_cmd_compat_fit;
extern const lk_command lk_cmd_compat_map;
extern const lk_command lk_cmd_compat_eval;
extern const lk_command lk_cmd_upgrade_probe;
extern const lk_command lk_cmd_upgrade_start;
extern const lk_command lk_cmd_upgrade_status;
extern const lk_command lk_cmd_upgrade_backfill;
extern const lk_command lk_cmd_upgrade_rollback;
extern const lk_command lk_cmd_upgrade_gc;
extern const lk_command lk_cmd_backup;
extern const lk_command lk_cmd_fsck;
extern const lk_command lk_cmd_compact;

/* Names of linkd_format, linkd_assign and linkd_cluster, in their order. */
extern const char *const lk_format_words[];
extern const char *const lk_assign_words[];
extern const char *const lk_cluster_words[];

/* Sets the hint to one formatted line. */
void lk_cli_hint(lk_cli *cli, const char *format, ...) LK_PRINTF(2, 3);

/* A model and the threads that run it. {NULL} is a closed one. */
typedef struct lk_engine {
    linkd_encoder *encoder;
    lk_pool *pool;
} lk_engine;

/* "none": no model, so no vectors. */
bool lk_model_is_none(const char *model);

/* Is there a model of that name or path? Asked early, since it is opened late:
 * reading wrong tables should not wait for it. */
LINKD_MUST_CHECK int lk_model_check(lk_cli *cli, const char *model,
                                    linkd_error *err);

/* Finds the directory of that model, which can be opened if it is none that only
 * collections have (LINKD_E_ARG); hints as below. The caller clears `ret_path`. */
LINKD_MUST_CHECK int lk_model_find(lk_cli *cli, const char *model,
                                   lk_buf *ret_path, linkd_error *err);

/* Opens the model of that name or path, for texts of records; hints at how to get
 * one if it is not there. 0 threads: as many as there are processors. */
LINKD_MUST_CHECK int lk_engine_open(lk_cli *cli, const char *model,
                                    size_t n_threads, lk_engine *ret_engine,
                                    linkd_error *err);
/* The same in a precision of linkd_encoder_open(), for texts of any use. */
LINKD_MUST_CHECK int lk_engine_open_as(lk_cli *cli, const char *model,
                                       const char *precision, size_t n_threads,
                                       lk_engine *ret_engine, linkd_error *err);
void lk_engine_close(lk_engine *engine);

/* Says that a table has rows but no column: JSON lines that are all {}. */
int lk_fail_fieldless(const char *path, linkd_error *err);

/* Reads a table and, when the id column is not there, hints at those that are.
 * LINKD_E_DATA also if no record has a field. */
LINKD_MUST_CHECK int lk_table_read(lk_cli *cli, const char *path,
                                   linkd_format format, const char *id_column,
                                   linkd_table **ret_table, linkd_error *err);

/* LINKD_E_ARG: more than one operand is standard input. */
LINKD_MUST_CHECK int lk_inputs_check(const lk_cli *cli, linkd_error *err);

/* Parts of a summary: a line of what the texts lacked, if anything, and the
 * beginning of a line, "encode 1.2 s (840 rows/s)". */
void lk_texts_note(uint64_t n_empty, uint64_t n_truncated);
/* The first pictures that could not be used, and how many there were. */
void lk_images_note(uint64_t n_empty, const linkd_image_problems *problems);
void lk_encode_note(double seconds, uint64_t n_texts);

#endif
