/* daemon/models.h — private: encoders that many requests share.
 *
 * What is encoded is contents (linkage/content.h): texts, and pictures where the
 * model reads them. One thread per model that is in use encodes all that wait
 * together (batches.h). */
#ifndef LK_DAEMON_MODELS_H
#define LK_DAEMON_MODELS_H

#include "daemon/batches.h"
#include "daemon/metrics.h"

typedef struct lk_models lk_models;
typedef struct lk_model lk_model;

LINKD_MUST_CHECK int lk_models_new(size_t n_threads, lk_metrics *metrics,
                                   lk_models **ret_models, linkd_error *err);
/* Waits for what is being encoded; the rest gets LINKD_E_BUSY. */
void lk_models_free(lk_models *models);

/* Opens the model on first use, while others wait who want the same one; it
 * stays open. LINKD_E_ABSENT: there is none of that name in the model store
 * (paths are refused). */
LINKD_MUST_CHECK int lk_models_get(lk_models *models, linkd_str name,
                                   lk_model **ret_model, linkd_error *err);
/* Whether lk_models_get would find it. LINKD_E_ABSENT: it would not. */
LINKD_MUST_CHECK int lk_models_look(linkd_str name, linkd_error *err);
/* The model if it is open already, else NULL. */
lk_model *lk_models_find(lk_models *models, linkd_str name);
/* Of a model for pictures alone: what is the same, and no limit of tokens. */
const linkd_encoder_info *lk_model_describe(const lk_model *model);
bool lk_model_reads_texts(const lk_model *model);
bool lk_model_reads_pictures(const lk_model *model);
/* Whether the model can be that of a collection: it reads pictures where records
 * have them, and texts where they do not. LINKD_E_ARG. */
LINKD_MUST_CHECK int lk_model_check(const lk_model *model,
                                    const linkd_settings *settings,
                                    linkd_error *err);
/* The head that is part of the model; NULL: there is none. */
const linkd_model_head *lk_model_head_of(const lk_model *model);
/* See linkd_encoder_count_tokens(); behind the prompt of that use. 0 of a
 * model for pictures alone. */
LINKD_MUST_CHECK int lk_model_count_tokens(const lk_model *model, linkd_use use,
                                           linkd_str text, size_t *ret_n,
                                           linkd_error *err);

/* How contents are encoded. */
typedef struct lk_model_embedder {
    lk_model *model;
    lk_urgency urgency;
    linkd_use use; /* which of the model's prompts goes before them */
    bool (*stop_cb)(void *ctx); /* may be NULL */
    void *stop_ctx;
} lk_model_embedder;

/* Encodes and returns; the calling worker waits. LINKD_E_BUSY: more than 4096
 * texts of this urgency wait already. LINKD_E_CANCELLED: stop_cb said so while
 * it waited. LINKD_E_NOMEM. */
LINKD_MUST_CHECK int
lk_model_embed(const lk_model_embedder *e, const linkd_str *texts, size_t n,
               float *ret_vectors, linkd_encode_stats *stats, linkd_error *err);

/* The same as a linkd_embedder, which borrows `storage`. */
linkd_embedder lk_model_embedder_of(lk_model_embedder *storage);

#endif
