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
#include <sys/mman.h>
#include <unistd.h>

#include "encoder/clip.h"
#include "encoder/model_pack.h"

/* Architectures whose checkpoints are read in one way. */
typedef struct family {
    const char
        *prefix;       /* of the tensors' names where a checkpoint has a head */
    const char *words; /* the word table's name */
    size_t (*floats)(const lk_kernels *kernels, const lk_config *config);
    int (*load)(lk_packer *packer, const lk_config *config, lk_model *model,
                linkd_error *err);
} family;

/* ---- static tables ------------------------------------------------------ */

static size_t no_floats(const lk_kernels *kernels, const lk_config *config)
{
    (void)kernels;
    (void)config;
    return LK_LINE_FLOATS; /* unused */
}

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
    return lk_clip_text_load(packer->weights, config, packer->kernels,
                             model->clip, err);
}

/* ---- all kinds ---------------------------------------------------------- */

#define BERT_WORDS "embeddings.word_embeddings.weight"

static const family families[] = {
    [LK_BERT] = {"bert.", BERT_WORDS, lk_bert_floats, lk_bert_load},
    [LK_ROBERTA] = {"roberta.", BERT_WORDS, lk_bert_floats, lk_bert_load},
    [LK_DISTILBERT] = {"distilbert.", BERT_WORDS, lk_bert_floats, lk_bert_load},
    [LK_MPNET] = {"mpnet.", BERT_WORDS, lk_bert_floats, lk_bert_load},
    [LK_MODERNBERT] = {"model.", "embeddings.tok_embeddings.weight",
                       lk_modern_floats, lk_modern_load},
    [LK_CLIP] = {"", "", no_floats, clip_load},
    [LK_STATIC] = {"", "embeddings", no_floats, static_load},
};

/* A forward pass walks over the whole block; on small pages that costs 1 to 2 %
 * (measured 2026-11-24). Advice: without huge pages all works as well. */
static void use_huge_pages(float *block, size_t n)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t begin = lk_round_up((uintptr_t)block, page);
    const uintptr_t end = (uintptr_t)(block + n) / page * page;

    if (begin < end)
        (void)madvise((void *)begin, end - begin, MADV_HUGEPAGE);
}

/* Room for a panel's rows, and the block: a new one, unless it is packed. */
static int block_new(const lk_config *config, const float *packed,
                     lk_model *model, lk_packer *packer, linkd_error *err)
{
    const size_t n =
        families[config->architecture].floats(model->kernels, config);
    const size_t widest =
        config->dim > config->n_inner ? config->dim : config->n_inner;

    model->layers = calloc(config->n_layers + 1, sizeof(*model->layers));
    packer->rows =
        lk_alloc_aligned(model->kernels->panel_width * widest, sizeof(float));
    if (packed == NULL)
        model->owned = lk_alloc_aligned(n, sizeof(float));
    model->block = packed != NULL ? packed : model->owned;
    if (model->layers == NULL || model->block == NULL || packer->rows == NULL)
        return lk_fail_nomem(err);
    model->n_floats = n;
    model->n_layers = config->n_layers;
    if (packed == NULL)
        use_huge_pages(model->owned, n);
    packer->is_packed = packed != NULL;
    /* a packed block is only walked over */
    packer->next = (float *)(uintptr_t)model->block;
    packer->end = packer->next + n;
    return LINKD_OK;
}

/* What no part took may be written to a file, too. */
static void rest_clear(const lk_packer *packer)
{
    if (!packer->is_packed)
        memset(packer->next, 0,
               (size_t)(packer->end - packer->next) * sizeof(*packer->next));
}

static const char *prefix_of(const lk_weights *weights, const family *names)
{
    char name[64];

    (void)snprintf(name, sizeof(name), "%s%s", names->prefix, names->words);
    return lk_weights_find(weights, name) != NULL ? names->prefix : "";
}

/* `ranges` and `packed`, a block to use, may be NULL. */
static int model_make(const lk_weights *weights, const lk_config *config,
                      const lk_kernels *kernels, const float *ranges,
                      const float *packed, lk_model *ret_model,
                      linkd_error *err)
{
    const family *names = &families[config->architecture];
    lk_model model = {.kernels = kernels,
                      .heads = {.n_heads = config->n_heads,
                                .head_dim = config->dim / config->n_heads},
                      .dim = config->dim,
                      .n_inner = config->n_inner,
                      .max_tokens = config->max_tokens};
    lk_packer packer = {.weights = weights,
                        .kernels = kernels,
                        .ranges = ranges,
                        .prefix = prefix_of(weights, names)};
    int rc = block_new(config, packed, &model, &packer, err);

    if (rc != LINKD_OK)
        goto done;
    rc = names->load(&packer, config, &model, err);
    if (rc != LINKD_OK)
        goto done;
    rest_clear(&packer);
    *ret_model = model;
    model = (lk_model){0};
done:
    free(packer.rows);
    lk_model_clear(&model);
    return rc;
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
    if (n_floats != families[config->architecture].floats(kernels, config))
        return lk_fail(err, LINKD_E_DATA, "packed weights of another model");
    return model_make(weights, config, kernels, NULL, block, ret_model, err);
}

void lk_model_clear(lk_model *model)
{
    if (model->clip != NULL)
        lk_clip_text_clear(model->clip);
    free(model->clip);
    free(model->layers);
    free(model->owned);
    *model = (lk_model){0};
}
