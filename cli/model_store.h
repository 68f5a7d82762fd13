/* cli/model_store.h — the models on this machine. */
#ifndef LINKD_CLI_MODEL_STORE_H
#define LINKD_CLI_MODEL_STORE_H

#include <stdbool.h>
#include <stdio.h>

#include "base/base.h"

#define LK_MODEL_WEIGHTS "model.safetensors"
#define LK_MODEL_INDEX   "model.safetensors.index.json"

/* A file of a model that linkd reads; nothing else is ever stored. */
typedef struct lk_model_file {
    const char *path;
    bool is_required;
    uint64_t max_bytes;
    bool is_weights; /* LK_MODEL_WEIGHTS or a shard */
    size_t shard;    /* from 1 on, of n_shards that the index names; else 0 */
    size_t n_shards;
} lk_model_file;

/* A model that is being put together beside the store's models. */
typedef struct lk_stage lk_stage;

/* Makes an empty stage for a model of that name. With `is_kept` it survives a
 * failure and an interruption, for a download to go on. LINKD_E_ARG: the name
 * cannot be one, is taken, or somebody else is at it. */
LINKD_MUST_CHECK int lk_stage_open(const char *name, bool is_kept,
                                   lk_stage **ret_stage, linkd_error *err);
/* Removes the stage unless it was committed or is kept. NULL is fine. */
void lk_stage_close(lk_stage *stage);

/* Brings one file to `to_path`; what is neither there nor required is no
 * failure. */
typedef int (*lk_bring_cb)(void *ctx, const lk_model_file *file,
                           const char *to_path, linkd_error *err);

/* Asks for every file that the model may have: where LK_MODEL_WEIGHTS does not
 * come, for the index and what that names. LINKD_E_DATA: the index names
 * something else than shards; else what `bring_cb` says. */
LINKD_MUST_CHECK int lk_stage_fill(lk_stage *stage, lk_bring_cb bring_cb,
                                   void *ctx, linkd_error *err);

/* Opens the model once to prove that it works, records the checksums and puts
 * it into the store. */
LINKD_MUST_CHECK int lk_stage_commit(lk_stage *stage, const char *source,
                                     linkd_error *err);

/* Prints a table of the models, or one JSON array. */
LINKD_MUST_CHECK int lk_store_list(bool json, FILE *out, linkd_error *err);

/* Compares the files of a model, or of all, with what was recorded, and prints
 * a line for each model. LINKD_E_DATA: a file has changed, or nothing was
 * recorded. */
LINKD_MUST_CHECK int lk_store_verify(const char *name, FILE *out,
                                     linkd_error *err);

#endif
