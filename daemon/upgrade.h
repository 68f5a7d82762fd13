/* daemon/upgrade.h — private: changing the model of a collection.
 *
 *   upgrade_estimate.c  what the rest will cost
 *   upgrade_sample.c    the anchors: texts and vectors, under every model
 *   upgrade_gallery.c   texts that can be found, and what answers
 *   upgrade_labels.c    entities that a user knows
 *   upgrade_queries.c   what is asked of them
 *   upgrade_fit.c       bridges between the new model and each older one
 *   upgrade_verdict.c   what it is worth
 *   upgrade_quality.c   of that what is kept
 *   upgrade_start.c     all of these, and a new generation
 *   upgrade_backfill.c  record by record into the generation that serves
 *   upgrade_canaries.c  is a model still the one that made the vectors?
 *   upgrade_look.c      is it there at all?
 *
 * Until the last transaction of a start the collection is as it was. */
#ifndef LK_DAEMON_UPGRADE_H
#define LK_DAEMON_UPGRADE_H

#include "daemon/job_run.h"
#include "daemon/models.h"
#include "daemon/request.h"

/* ---- jobs ------------------------------------------------------------------ */

/* Start, and probe, which is a start without its last step. */
LINKD_MUST_CHECK int lk_upgrade_start(const lk_job_run *run,
                                      lk_job_outcome *outcome,
                                      linkd_error *err);
LINKD_MUST_CHECK int lk_upgrade_backfill(const lk_job_run *run,
                                         lk_job_outcome *outcome,
                                         linkd_error *err);
/* Whether the model is a head on that of an older generation, whose vectors are
 * mapped then and not encoded. */
bool lk_upgrade_is_base(const lk_model *model,
                        const linkd_generation *generation);
LINKD_MUST_CHECK int lk_upgrade_gc(const lk_job_run *run,
                                   lk_job_outcome *outcome, linkd_error *err);

/* Whether the collection can be given the model of the job, by its head: asked when
 * it is submitted, and when it runs. LINKD_E_ARG: it has no model, the model does
 * not read what its records have, or the head is not for these two models.
 * LINKD_E_CONFLICT: it has this one already, or as many generations as there can
 * be. LINKD_E_ABSENT: there is no such collection, or model. */
LINKD_MUST_CHECK int lk_upgrade_check(lk_service *service,
                                      const lk_job_spec *spec,
                                      linkd_error *err);

/* Measures the new model on some records: appends an object with how many texts a
 * probe encodes, and how long that and a backfill take. LINKD_E_BUSY. */
LINKD_MUST_CHECK int lk_upgrade_estimate(lk_service *service,
                                         lk_request *request,
                                         const lk_job_spec *spec,
                                         lk_buf *ret_json, linkd_error *err);

/* ---- canaries ------------------------------------------------------------- */

/* Encodes linkd_canaries, or linkd_picture_canaries: ret_vectors
 * [LINKD_N_CANARIES, dim]. */
LINKD_MUST_CHECK int lk_canaries_embed(lk_model *model, float *ret_vectors,
                                       linkd_error *err);
/* For every collection whose model was ever changed: that models which are there
 * make the vectors that they made, and that one that serves has the files that it
 * had. LINKD_E_CONFLICT names model and collection, and says what to do. A model
 * that is gone is no error; an older one with other files, and damaged canaries, are
 * logged. */
LINKD_MUST_CHECK int lk_upgrade_models_check(lk_service *service,
                                             linkd_error *err);

/* Logs a warning for every collection whose model is gone, or another one by now. */
LINKD_MUST_CHECK int lk_upgrade_models_look(lk_service *service,
                                            linkd_error *err);

/* ---- the sample ----------------------------------------------------------- */

typedef struct lk_upgrade_sample {
    lk_arena arena; /* of all strings and arrays */
    linkd_settings settings;
    uint64_t n_records;
    bool is_new;      /* chosen now: the collection's model was never changed */
    linkd_str *texts; /* [n]: of the anchors, and of answers that are none */
    size_t n;
    size_t n_kept;      /* of these are anchors, and come first */
    bool *held;         /* [n]: not to be fitted on */
    size_t *groups;     /* [n]: those of one number answer the same queries */
    linkd_str *queries; /* [n_queries] */
    size_t *answers;    /* [n_queries]: a text of the group that answers */
    size_t *asked;      /* [n_queries]: the query's own text, or SIZE_MAX */
    uint64_t *labels;   /* [n]: the entity of each; NULL: nobody said */
    size_t n_queries;
    linkd_generation generations[LINKD_GENERATIONS_MAX];
    linkd_model_sample samples[LINKD_GENERATIONS_MAX]; /* of each */
    lk_model *models[LINKD_GENERATIONS_MAX];
    size_t n_generations;
    uint32_t serving;
    lk_model *model; /* the new one */
    linkd_model_sample sample;
    linkd_fitted
        *fitted; /* between it and that of the generation that serves */
    double
        seconds_per_text; /* of the new model; 0: all had been encoded, before
                                a job was interrupted */
} lk_upgrade_sample;

/* Chooses anchors, or takes those of an earlier upgrade, and has them and the
 * queries encoded. LINKD_E_ARG: too few records. LINKD_E_ABSENT: an older model,
 * in whose generation records are alive, is gone. */
LINKD_MUST_CHECK int lk_upgrade_sample_take(const lk_job_run *run,
                                            lk_upgrade_sample *ret_sample,
                                            linkd_error *err);
void lk_upgrade_sample_clear(lk_upgrade_sample *sample);
/* The place of the generation that serves so far. */
size_t lk_upgrade_serving(const lk_upgrade_sample *sample);
/* How many texts are encoded for it, by all models. */
size_t lk_upgrade_sample_n_texts(const lk_upgrade_sample *sample);
/* Room in its arena for n and one more; NULL: out of memory. */
void *lk_upgrade_room(lk_upgrade_sample *sample, size_t n, size_t size);
/* Lines of a user's queries that are used: enough for intervals of two
 * hundredths. A guess. */
#define LK_QUERIES_MOST ((size_t)2000)
/* The queries of the job, or those that its labels ask, or some that are made
 * from the anchors, which are there; adds what they look for, and what labels
 * teach. LINKD_E_ARG: a record that a query looks for or a label names does not
 * exist, or there are too few of them. */
LINKD_MUST_CHECK int lk_upgrade_queries_make(lk_upgrade_sample *sample,
                                             linkd_view *view,
                                             const lk_job_spec *spec,
                                             linkd_error *err);

/* Whether the job's head learns from labels. */
bool lk_upgrade_is_taught(const lk_job_spec *spec);

/* ---- the fit -------------------------------------------------------------- */

typedef struct lk_upgrade_fit {
    linkd_bridge native;                          /* of the new model */
    linkd_bridge natives[LINKD_GENERATIONS_MAX];  /* of each generation */
    linkd_bridge to_old[LINKD_GENERATIONS_MAX];   /* from the new model */
    linkd_bridge from_old[LINKD_GENERATIONS_MAX]; /* to it */
} lk_upgrade_fit;

/* A probe needs the bridge to the generation that serves, and nothing else. */
LINKD_MUST_CHECK int lk_upgrade_fit_run(const lk_job_run *run,
                                        const lk_upgrade_sample *sample,
                                        lk_upgrade_fit *ret_fit,
                                        linkd_error *err);
void lk_upgrade_fit_clear(lk_upgrade_fit *fit);
/* What sample and fit are about; borrows both and the pool. */
linkd_bridge_task lk_upgrade_task_of(const lk_job_run *run,
                                     const lk_upgrade_sample *sample,
                                     lk_pool *pool);

/* ---- the verdict ---------------------------------------------------------- */

/* The object "verdict" of docs/upgrade.md. */
LINKD_MUST_CHECK int lk_upgrade_verdict_make(const lk_job_run *run,
                                             const lk_upgrade_sample *sample,
                                             const lk_upgrade_fit *fit,
                                             json_t **ret_verdict,
                                             linkd_error *err);
/* From the new model's difference, and the shares of it that two ways have. */
const char *lk_upgrade_verdict_word(const linkd_interval *difference,
                                    double fuse_gain, double cascade_gain);

/* ---- what is kept of it ----------------------------------------------------- */

/* What a start has measured, kept with its generation. */
typedef struct lk_upgrade_quality {
    json_t *figures; /* "queries", "n_queries", "mrr_10" by way, "curve" */
    double seconds_per_text; /* of the new model; 0: not known */
    double share_encoded; /* of the records: those that the start had encoded */
} lk_upgrade_quality;

/* Appends the bytes of a LINKD_BLOB_QUALITY. */
LINKD_MUST_CHECK int lk_upgrade_quality_encode(const json_t *verdict,
                                               const lk_upgrade_sample *sample,
                                               lk_buf *ret_bytes,
                                               linkd_error *err);
/* `figures` is released by the caller. LINKD_E_DATA: not such bytes. */
LINKD_MUST_CHECK int lk_upgrade_quality_decode(linkd_str bytes,
                                               lk_upgrade_quality *ret_quality,
                                               linkd_error *err);
/* MRR@10 that is expected with a share of the records encoded anew, 0 to 1: of FUSE
 * on the curve, of other ways between their own figure and the new model's. */
double lk_upgrade_quality_expected(const lk_upgrade_quality *quality,
                                   linkd_way way, double share);

/* All of it, for the generation `number`; bytes live in `store`,
 * which has room for LK_UPGRADE_BLOBS_MAX. */
#define LK_UPGRADE_BLOBS_MAX (6 + 7 * LINKD_GENERATIONS_MAX)
typedef struct lk_upgrade_blobs {
    linkd_blob blobs[LK_UPGRADE_BLOBS_MAX];
    lk_buf bytes[LK_UPGRADE_BLOBS_MAX];
    size_t n;
} lk_upgrade_blobs;
LINKD_MUST_CHECK int lk_upgrade_blobs_make(const lk_upgrade_sample *sample,
                                           const lk_upgrade_fit *fit,
                                           const json_t *verdict,
                                           uint32_t number, linkd_way way,
                                           lk_upgrade_blobs *ret_blobs,
                                           linkd_error *err);
void lk_upgrade_blobs_clear(lk_upgrade_blobs *blobs);

#endif
