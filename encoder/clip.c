/* encoder/clip.c — CLIP's tower for texts.
 *
 *   ids ─► words + positions ─► x ─► layers, in which a token sees what is before
 *   it ─► the row of the text's end ─► norm ─► projection ─► length 1
 *
 * That a token does not see what follows is said by distance, as MPNet says what
 * a distance is worth (lk_heads): what lies ahead gets so low a score that its
 * power of two vanishes. */
#include "encoder/clip.h"

#include <stdlib.h>
#include <string.h>

/* Far below any score, and far enough from the least float. */
#define AHEAD (-1e30F)

/* What CLIP's earliest configurations say that the end's id is, wrongly: there
 * the largest id is the end. */
#define END_ID_WRONG 2

#define FINGERPRINT_VERSION "linkd 1 clip float"

/* ---- loading ------------------------------------------------------------ */

/* Distances -(n - 1) … n - 1, the same for every head. */
static void distances_load(lk_packer *packer, size_t n, lk_heads *heads)
{
    /* reading rows of scores, kernels go a vector beyond them */
    float *distances = lk_pack_take(packer, 2 * n + LK_STRIDE_UNIT);

    for (size_t i = n; i < 2 * n && !packer->is_packed; i++)
        distances[i] = AHEAD;
    heads->distances = distances;
    heads->distance_stride = 0;
    heads->n_distances = n - 1;
}

static int positions_load(lk_packer *packer, const lk_config *config,
                          const float **ret_positions, linkd_error *err)
{
    const size_t dim = config->dim;
    const size_t n = config->n_positions;
    const lk_tensor *table = NULL;
    float *rows = lk_pack_take(packer, n * lk_stride(dim));
    int rc = lk_pack_numbers(packer, n * dim, &table, err,
                             "embeddings.position_embedding.weight");

    for (size_t i = 0; i < n && rc == LINKD_OK && !packer->is_packed; i++)
        rc = lk_pack_values(packer, table, i * dim, dim,
                            rows + i * lk_stride(dim), err);
    *ret_positions = rows;
    return rc;
}

int lk_clip_text_load(lk_packer *packer, const lk_config *config,
                      lk_clip_text *ret_text, linkd_error *err)
{
    static const lk_stack_names names =
        LK_CLIP_STACK_NAMES("final_layer_norm", "text_projection.weight");
    const lk_stack_sizes sizes = {.dim = config->dim,
                                  .n_inner = config->n_inner,
                                  .n_layers = config->n_layers,
                                  .n_heads = config->n_heads,
                                  .n_out = config->n_out,
                                  .norm_epsilon = config->norm_epsilon,
                                  .activation = config->activation};
    int rc;

    *ret_text =
        (lk_clip_text){.end_id = (uint32_t)config->end_id,
                       .is_end_the_largest = config->end_id == END_ID_WRONG};
    if (strcmp(packer->kernels->precision, "int8") == 0)
        return lk_fail(err, LINKD_E_ARG, "CLIP has no precision int8 yet");
    packer->prefix = "text_model.";
    rc = lk_pack_tensor(packer, config->vocab_size, config->dim,
                        &ret_text->words, err,
                        "embeddings.token_embedding.weight");
    if (rc == LINKD_OK)
        rc = positions_load(packer, config, &ret_text->positions, err);
    if (rc == LINKD_OK)
        rc = lk_stack_load(packer, &sizes, &names, &ret_text->stack, err);
    distances_load(packer, config->n_positions, &ret_text->stack.heads);
    return rc;
}

void lk_clip_text_clear(lk_clip_text *text)
{
    lk_stack_clear(&text->stack);
    *text = (lk_clip_text){0};
}

/* ---- forward ------------------------------------------------------------ */

/* Where a text ends: at the first token of the largest id, or of the end's; the
 * first token of all if there is none. */
static size_t end_find(const lk_clip_text *text, const lk_tokens *tokens)
{
    size_t end = 0;

    for (size_t i = 0; i < tokens->n; i++) {
        if (!text->is_end_the_largest && tokens->ids[i] == text->end_id)
            return i;
        if (text->is_end_the_largest && tokens->ids[i] > tokens->ids[end])
            end = i;
    }
    return end;
}

static void embed(const lk_clip_text *text, const lk_tokens *tokens,
                  float *ret_x)
{
    const size_t dim = text->stack.sizes.dim;
    const size_t stride = lk_stride(dim);

    for (size_t i = 0; i < tokens->n; i++, ret_x += stride) {
        const float *position = text->positions + i * stride;

        lk_tensor_read(text->words, tokens->ids[i] * dim, dim, ret_x);
        for (size_t k = 0; k < dim; k++)
            ret_x[k] += position[k];
        memset(ret_x + dim, 0, (stride - dim) * sizeof(*ret_x));
    }
}

static size_t longest(const lk_batch *batch)
{
    size_t most = 0;

    for (size_t i = 0; i < batch->n; i++)
        if (batch->sequences[i].n > most)
            most = batch->sequences[i].n;
    return most;
}

int lk_clip_text_forward(const lk_clip_text *text, const lk_batch *batch,
                         lk_scratch *scratch, float *ret_vectors,
                         linkd_error *err)
{
    const size_t n_rows = batch->starts[batch->n] - batch->starts[0];
    const size_t stride = lk_stride(text->stack.sizes.dim);
    size_t *wanted = malloc((batch->n + 1) * sizeof(*wanted));
    lk_stack_batch rows = {
        .starts = batch->starts, .wanted = wanted, .n = batch->n};
    int rc = wanted != NULL ? LINKD_OK : lk_fail_nomem(err);

    if (rc == LINKD_OK)
        rc = lk_scratch_reserve(
            scratch, lk_stack_floats(&text->stack, n_rows, longest(batch), 0),
            err);
    if (rc == LINKD_OK) {
        const lk_stack_space space =
            lk_stack_cut(&text->stack, scratch->floats, n_rows, 0);

        for (size_t i = 0; i < batch->n; i++) {
            const size_t row = batch->starts[i] - batch->starts[0];

            wanted[i] = end_find(text, &batch->sequences[i]);
            embed(text, &batch->sequences[i], space.x + row * stride);
        }
        lk_stack_run(&text->stack, &rows, &space, ret_vectors);
    }
    free(wanted);
    return rc;
}

/* ---- the fingerprint ---------------------------------------------------- */

int lk_clip_hash(lk_fingerprint *fingerprint, const lk_weights *weights,
                 const char *dir, linkd_error *err)
{
    static const char *const files[] = {"config.json",
                                        "preprocessor_config.json"};
    bool exists;
    int rc = LINKD_OK;

    lk_fingerprint_weights(fingerprint, weights);
    for (size_t i = 0; i < sizeof(files) / sizeof(*files) && rc == LINKD_OK;
         i++)
        rc = lk_fingerprint_file(fingerprint, dir, files[i], &exists, err);
    if (rc == LINKD_OK)
        rc = lk_fingerprint_tokenizer(fingerprint, dir, err);
    if (rc == LINKD_OK)
        rc = lk_fingerprint_file(fingerprint, dir,
                                 "config_sentence_transformers.json", &exists,
                                 err);
    lk_fingerprint_text(fingerprint, FINGERPRINT_VERSION);
    return rc;
}
