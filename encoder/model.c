/* encoder/model.c — a checkpoint, packed for the kernels.
 *
 * All packed numbers lie in one block, in the order in which a forward pass
 * reads them, so that they are one allocation and may sit on huge pages:
 *
 *   distances │ positions │ norm │ layer 0: projection, out, norm, in, out, norm │ layer 1 …
 *
 * A block that was packed before (packed.h) is used where it is: then loading
 * goes the same way from part to part and reads none of their numbers.
 *
 * What is folded on the way is said where it is done: model_bert.c and
 * model_modern.c.
 *
 * The word table stays in the mapped file, where a text touches the few rows
 * that it needs. */
#include "encoder/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encoder/clip.h"

/* Architectures whose checkpoints are read in one way. */
typedef struct family {
    const char
        *prefix;       /* of the tensors' names where a checkpoint has a head */
    const char *words; /* the word table's name */
    int (*load)(lk_packer *packer, const lk_config *config, lk_model *model,
                linkd_error *err);
} family;

/* ---- static tables ------------------------------------------------------ */

/* model2vec's file: the vectors, and how much each counts. */
static int static_load(lk_packer *packer, const lk_config *config,
                       lk_model *model, linkd_error *err)
{
    const lk_weights *weights = packer->weights;
    int rc = LINKD_OK;

    if (lk_weights_find(weights, "mapping") != NULL)
        return lk_fail(err, LINKD_E_DATA,
                       "a static table with a mapping is not supported");
    rc = lk_weights_get(weights, "embeddings", config->vocab_size, config->dim,
                        &model->words, err);
    if (rc == LINKD_OK && lk_weights_find(weights, "weights") != NULL)
        rc = lk_weights_get(weights, "weights", config->vocab_size, 0,
                            &model->word_weights, err);
    return rc;
}

/* ---- CLIP --------------------------------------------------------------- */

static int clip_load(lk_packer *packer, const lk_config *config,
                     lk_model *model, linkd_error *err)
{
    model->dim = config->n_out;
    model->clip = calloc(1, sizeof(*model->clip));
    if (model->clip == NULL)
        return lk_fail_nomem(err);
    return lk_clip_text_load(packer, config, model->clip, err);
}

/* ---- all kinds ---------------------------------------------------------- */

#define BERT_WORDS "embeddings.word_embeddings.weight"

static const family families[] = {
    [LK_BERT] = {"bert.", BERT_WORDS, lk_bert_load},
    [LK_ROBERTA] = {"roberta.", BERT_WORDS, lk_bert_load},
    [LK_DISTILBERT] = {"distilbert.", BERT_WORDS, lk_bert_load},
    [LK_MPNET] = {"mpnet.", BERT_WORDS, lk_bert_load},
    [LK_MODERNBERT] = {"model.", "embeddings.tok_embeddings.weight",
                       lk_modern_load},
    [LK_CLIP] = {"", "", clip_load},
    [LK_STATIC] = {"", "embeddings", static_load},
};

static const char *prefix_of(const lk_weights *weights, const family *names)
{
    char name[64];

    (void)snprintf(name, sizeof(name), "%s%s", names->prefix, names->words);
    return lk_weights_find(weights, name) != NULL ? names->prefix : "";
}

/* What a job fills. */
typedef struct making {
    const lk_config *config;
    lk_model model;
} making;

static int making_load(lk_packer *packer, void *ctx, linkd_error *err)
{
    making *m = ctx;
    const lk_config *config = m->config;

    m->model = (lk_model){
        .kernels = packer->kernels,
        .heads = {.n_heads = config->n_heads,
                  .head_dim = config->dim / config->n_heads},
        .dim = config->dim,
        .n_inner = config->n_inner,
        .activation = config->activation,
        .max_tokens = config->max_tokens,
        .layers = calloc(config->n_layers + 1, sizeof(*m->model.layers)),
        .n_layers = config->n_layers};
    if (m->model.layers == NULL)
        return lk_fail_nomem(err);
    return families[config->architecture].load(packer, config, &m->model, err);
}

static void making_clear(void *ctx)
{
    making *m = ctx;

    lk_model_clear(&m->model);
}

/* On a new block, or on `packed`. `ranges` may be NULL. */
static int model_make(const lk_weights *weights, const lk_config *config,
                      const lk_kernels *kernels, const float *ranges,
                      const lk_block *packed, lk_model *ret_model,
                      linkd_error *err)
{
    making m = {.config = config};
    const lk_pack_job job = {making_load, making_clear, &m};
    lk_packer packer = {
        .weights = weights,
        .kernels = kernels,
        .ranges = ranges,
        .prefix = prefix_of(weights, &families[config->architecture])};
    lk_block block = {0};
    int rc = packed == NULL ? lk_block_make(&packer, &job, &block, err)
                            : lk_block_place(&packer, &job, packed->floats,
                                             packed->n, &block, err);

    if (rc != LINKD_OK)
        return rc;
    m.model.block = block;
    *ret_model = m.model;
    return LINKD_OK;
}

int lk_model_load(const lk_weights *weights, const lk_config *config,
                  const lk_kernels *kernels, const float *ranges,
                  lk_model *ret_model, linkd_error *err)
{
    return model_make(weights, config, kernels, ranges, NULL, ret_model, err);
}

int lk_model_place(const lk_weights *weights, const lk_config *config,
                   const lk_kernels *kernels, const float *block,
                   size_t n_floats, lk_model *ret_model, linkd_error *err)
{
    const lk_block packed = {.floats = block, .n = n_floats};

    return model_make(weights, config, kernels, NULL, &packed, ret_model, err);
}

void lk_model_clear(lk_model *model)
{
    if (model->clip != NULL)
        lk_clip_text_clear(model->clip);
    free(model->clip);
    free(model->layers);
    lk_block_clear(&model->block);
    *model = (lk_model){0};
}
