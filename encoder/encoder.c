/* encoder/encoder.c — text to unit vectors: the folder's public face.
 *
 *   texts ─► windows of 8,192 ─► token ids ─► tiles of whole texts ─► vectors
 *                                 (all workers)        (all workers)
 *
 * Opening a model packs its weights, and keeps what it made for the next time
 * (packed.h). Texts with the same ids are encoded once in a window.
 * A window bounds the memory for ids. A tile is about 128 tokens: enough rows
 * for the kernels to run at the processor's speed, and few enough for its rows
 * to stay in a worker's L2 cache. A text longer than that is a tile by itself.
 * Tiles share nothing, so workers never wait for one another within a window,
 * and since a row's value does not depend on its tile, how texts are cut into
 * windows and tiles cannot be seen in the result. */
#include "encoder/encoder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encoder/clip.h"
#include "encoder/config.h"
#include "encoder/forward.h"
#include "encoder/kernels.h"
#include "encoder/model.h"
#include "encoder/packing.h"
#include "encoder/prompts.h"
#include "encoder/repeats.h"
#include "encoder/self_check.h"
#include "encoder/tokenizer.h"
#include "encoder/tokenizer_image.h"
#include "encoder/weights.h"

/* 128 rows run at 99 % of the rate of 1,024 (research: encoder.md §3.1). */
#define TILE_TOKENS ((size_t)128)
/* Below this the kernels slow down, so a small request is not cut finer to
 * keep all workers busy. */
#define TILE_TOKENS_MIN ((size_t)32)

/* At 256 tokens a text the ids of a window take 8 MiB. */
#define WINDOW_TEXTS ((size_t)8192)
/* Texts that a worker tokenizes at a time. */
#define CHUNK_TEXTS ((size_t)64)

/* Raised whenever a change of linkd's own alters vectors beyond rounding. */
#define FINGERPRINT_VERSION 1

struct linkd_encoder {
    lk_tokenizer *tokenizer;
    lk_weights weights;
    lk_config config;
    lk_model model;
    lk_dense dense;
    lk_prompts prompts;
    lk_buf prompt;      /* of every text */
    bool is_lowercased; /* by the model's word, not by its tokenizer's */
    linkd_encoder_info info;
    lk_packed packed; /* the fingerprint, and what the model may stand on */

    /* kept from call to call */
    lk_tokens *tokens; /* [WINDOW_TEXTS] */
    uint32_t *table;   /* of lk_repeats_fold() */
    size_t *places;    /* [WINDOW_TEXTS] of each text among the distinct ones */
    size_t *starts;    /* [WINDOW_TEXTS + 1] tokens before each text */
    size_t *tiles;     /* [WINDOW_TEXTS + 1] first text of each tile */
    lk_scratch *scratches;
    size_t n_scratches;
};

/* ---- fingerprint -------------------------------------------------------- */

/* What is known while a model is opened. */
typedef struct opening {
    linkd_encoder *encoder;
    const char *dir;
    const lk_kernels *kernels;
} opening;

static int is_int8(const lk_kernels *kernels)
{
    return strcmp(kernels->precision, "int8") == 0;
}

static void config_hash(lk_fingerprint *f, const lk_config *config,
                        const lk_kernels *kernels)
{
    char text[160];

    (void)snprintf(
        text, sizeof(text),
        /* f32 and bf16 vectors may be compared, those of int8 not with either,
         * nor with those from before its inputs were mixed, which had no 2 */
        "linkd %d %s %s %zu heads %zu epsilon %a %s", FINGERPRINT_VERSION,
        lk_architecture_name(config->architecture),
        lk_pooling_name(config->pooling), config->max_tokens, config->n_heads,
        (double)config->norm_epsilon, is_int8(kernels) ? "int8 2" : "float");
    lk_fingerprint_text(f, text);
    if (config->cut == LK_CUT_BEGINNING)
        lk_fingerprint_text(f, "cut at the beginning");
    if (config->activation != LK_ACTIVATION_GELU) {
        (void)snprintf(text, sizeof(text), "activation %d",
                       (int)config->activation);
        lk_fingerprint_text(f, text);
    }
    if (config->architecture != LK_MODERNBERT)
        return;
    (void)snprintf(text, sizeof(text), "window %zu every %zu theta %a %a",
                   config->window, config->global_every, config->rotary_theta,
                   config->local_theta);
    lk_fingerprint_text(f, text);
}

static void dense_hash(lk_fingerprint *f, const lk_dense *dense)
{
    for (size_t i = 0; i < dense->n; i++) {
        char text[32];

        (void)snprintf(text, sizeof(text), "dense %d",
                       (int)dense->activations[i]);
        lk_fingerprint_text(f, text);
        lk_fingerprint_weights(f, &dense->weights[i]);
    }
}

/* Records that were encoded behind another prompt have other vectors. */
static void prompts_hash(lk_fingerprint *f, const lk_prompts *prompts)
{
    lk_fingerprint_text(f, prompts->standard);
    for (linkd_use use = LINKD_USE_QUERY; use < LINKD_N_USES; use++) {
        const char *prompt = lk_prompts_for(prompts, use);

        if (strcmp(prompt, prompts->standard) == 0)
            continue;
        lk_fingerprint_text(f, use == LINKD_USE_QUERY ? " query " : " record ");
        lk_fingerprint_text(f, prompt);
    }
}

static int sources_hash(lk_fingerprint *f, void *ctx, linkd_error *err)
{
    const opening *o = ctx;
    const linkd_encoder *encoder = o->encoder;

    if (f->by_identity) /* what is packed is lower case already */
        lk_fingerprint_text(f, encoder->config.lowercases ? "lower case"
                                                          : "as it is");
    if (encoder->config.architecture == LK_CLIP)
        return lk_clip_hash(f, &encoder->weights, o->dir, err);
    lk_fingerprint_weights(f, &encoder->weights);
    config_hash(f, &encoder->config, o->kernels);
    if (encoder->is_lowercased)
        lk_fingerprint_text(f, "lower case");
    dense_hash(f, &encoder->dense);
    prompts_hash(f, &encoder->prompts);
    return lk_fingerprint_tokenizer(f, o->dir, err);
}

/* ---- the parts, made or taken ------------------------------------------- */

static int check_vocabulary(const linkd_encoder *encoder, linkd_error *err)
{
    size_t n = lk_tokenizer_vocab_size(encoder->tokenizer);

    if (n > encoder->config.vocab_size)
        return lk_fail(err, LINKD_E_DATA,
                       "the tokenizer has %zu tokens, but vocab_size in "
                       "config.json is %zu",
                       n, encoder->config.vocab_size);
    return LINKD_OK;
}

/* What other files say of the tokenizer. A static table has a row for each
 * token, and none for what is around. */
static int vocabulary_settle(linkd_encoder *encoder, linkd_error *err)
{
    int rc = LINKD_OK;

    if (encoder->config.lowercases)
        rc = lk_tokenizer_lowercase(encoder->tokenizer, &encoder->is_lowercased,
                                    err);
    if (rc != LINKD_OK)
        return rc;
    if (encoder->config.cut != LK_CUT_AS_TOKENIZER)
        lk_tokenizer_cut(encoder->tokenizer,
                         encoder->config.cut == LK_CUT_BEGINNING);
    if (encoder->config.architecture == LK_STATIC) {
        lk_tokenizer_bare(encoder->tokenizer);
        encoder->config.vocab_size =
            lk_tokenizer_vocab_size(encoder->tokenizer);
    }
    return check_vocabulary(encoder, err);
}

/* From what was packed before. */
static int parts_take(void *ctx, const lk_packed *packed, linkd_error *err)
{
    const opening *o = ctx;
    linkd_encoder *encoder = o->encoder;
    int rc =
        lk_tokenizer_image_read(packed->tokenizer, &encoder->tokenizer, err);

    if (rc == LINKD_OK)
        rc = vocabulary_settle(encoder, err);
    if (rc == LINKD_OK)
        rc = lk_model_place(&encoder->weights, &encoder->config, o->kernels,
                            packed->block, packed->n_floats, &encoder->model,
                            err);
    return rc;
}

static void parts_drop(void *ctx)
{
    const opening *o = ctx;

    lk_model_clear(&o->encoder->model);
    lk_tokenizer_close(o->encoder->tokenizer);
    o->encoder->tokenizer = NULL;
}

/* From the model's own files. */
static int parts_make(void *ctx, linkd_error *err)
{
    opening *o = ctx;
    linkd_encoder *encoder = o->encoder;
    int rc = lk_tokenizer_open(o->dir, &encoder->tokenizer, err);

    if (rc == LINKD_OK)
        rc = vocabulary_settle(encoder, err);
    if (rc != LINKD_OK)
        return rc;
    if (is_int8(o->kernels))
        return lk_checked_load(&encoder->weights, &encoder->config, o->kernels,
                               encoder->tokenizer, &encoder->model, err);
    return lk_model_load(&encoder->weights, &encoder->config, o->kernels, NULL,
                         &encoder->model, err);
}

static int parts_keep(const void *ctx, lk_buf *image, lk_packed *ret_packed,
                      linkd_error *err)
{
    const opening *o = ctx;
    const linkd_encoder *encoder = o->encoder;
    int rc = lk_tokenizer_image_write(encoder->tokenizer, image, err);

    ret_packed->tokenizer = (linkd_str){image->data, image->len};
    ret_packed->block = encoder->model.block.floats;
    ret_packed->n_floats = encoder->model.block.n;
    return rc;
}

/* ---- open and close ----------------------------------------------------- */

static int buffers_new(linkd_encoder *encoder, linkd_error *err)
{
    encoder->tokens = calloc(WINDOW_TEXTS, sizeof(*encoder->tokens));
    encoder->table =
        calloc(lk_repeats_table_size(WINDOW_TEXTS), sizeof(*encoder->table));
    encoder->places = calloc(WINDOW_TEXTS, sizeof(*encoder->places));
    encoder->starts = calloc(WINDOW_TEXTS + 1, sizeof(*encoder->starts));
    encoder->tiles = calloc(WINDOW_TEXTS + 1, sizeof(*encoder->tiles));
    if (encoder->tokens == NULL || encoder->table == NULL ||
        encoder->places == NULL || encoder->starts == NULL ||
        encoder->tiles == NULL)
        return lk_fail_nomem(err);
    return LINKD_OK;
}

static void info_fill(linkd_encoder *encoder)
{
    const lk_model *model = &encoder->model;

    encoder->info = (linkd_encoder_info){
        .architecture = lk_architecture_name(encoder->config.architecture),
        .tokenizer = lk_tokenizer_kind(encoder->tokenizer),
        .pooling = lk_pooling_name(encoder->config.pooling),
        .isa = model->kernels->isa,
        .precision = model->kernels->precision,
        .fingerprint = encoder->packed.fingerprint,
        .dim = model->dense != NULL ? model->dense->dim : model->dim,
        .n_layers = model->n_layers,
        .n_parameters = lk_weights_n_parameters(&encoder->weights),
        .max_tokens = model->max_tokens,
        .prompt = encoder->prompts.standard};
}

static int parts_open(linkd_encoder *encoder, const char *dir,
                      const lk_kernels *kernels, linkd_error *err)
{
    opening o = {encoder, dir, kernels};
    const lk_packing packing = {.kind = "",
                                .hash = sources_hash,
                                .take = parts_take,
                                .drop = parts_drop,
                                .make = parts_make,
                                .keep = parts_keep,
                                .model = &o};
    int rc = lk_config_read(dir, &encoder->config, err);

    if (rc == LINKD_OK)
        rc = lk_weights_open(dir, &encoder->weights, err);
    if (rc == LINKD_OK)
        rc = lk_prompts_read(dir, &encoder->prompts, err);
    if (rc == LINKD_OK)
        rc = linkd_encoder_set_prompt(encoder, encoder->prompts.standard, err);
    if (rc == LINKD_OK)
        rc = lk_dense_open(dir, &encoder->config, &encoder->dense, err);
    if (rc == LINKD_OK)
        rc = lk_packing_open(&packing, dir, kernels, &encoder->packed, err);
    if (rc == LINKD_OK && encoder->dense.n > 0) {
        rc = lk_dense_load(&encoder->dense, &encoder->config, kernels, err);
        encoder->model.dense = &encoder->dense;
    }
    if (rc == LINKD_OK)
        rc = buffers_new(encoder, err);
    return rc;
}

int linkd_encoder_open(const char *dir, const char *precision,
                       linkd_encoder **ret_encoder, linkd_error *err)
{
    const lk_kernels *kernels = NULL;
    linkd_encoder *encoder = NULL;
    int rc = lk_kernels_wanted(precision, &kernels, err);

    if (rc != LINKD_OK)
        return rc;
    encoder = calloc(1, sizeof(*encoder));
    if (encoder == NULL)
        return lk_fail_nomem(err);
    rc = parts_open(encoder, dir, kernels, err);
    if (rc != LINKD_OK)
        goto done;
    info_fill(encoder);
    *ret_encoder = encoder;
    encoder = NULL;
done:
    linkd_encoder_close(encoder);
    return rc;
}

void linkd_encoder_close(linkd_encoder *encoder)
{
    if (encoder == NULL)
        return;
    for (size_t i = 0; encoder->tokens != NULL && i < WINDOW_TEXTS; i++)
        lk_tokens_clear(&encoder->tokens[i]);
    for (size_t i = 0; i < encoder->n_scratches; i++)
        lk_scratch_clear(&encoder->scratches[i]);
    free(encoder->tokens);
    free(encoder->table);
    free(encoder->places);
    free(encoder->starts);
    free(encoder->tiles);
    free(encoder->scratches);
    lk_model_clear(&encoder->model);
    lk_tokenizer_close(encoder->tokenizer);
    lk_packed_close(&encoder->packed);
    lk_weights_close(&encoder->weights);
    lk_dense_close(&encoder->dense);
    lk_prompts_clear(&encoder->prompts);
    lk_buf_clear(&encoder->prompt);
    free(encoder);
}

const linkd_encoder_info *linkd_encoder_describe(const linkd_encoder *encoder)
{
    return &encoder->info;
}

bool linkd_encoder_knows(const linkd_encoder *encoder, linkd_str text)
{
    return lk_tokenizer_knows(encoder->tokenizer, text,
                              encoder->config.max_tokens);
}

/* ---- prompts and tokens ------------------------------------------------- */

const char *linkd_encoder_find_prompt(const linkd_encoder *encoder,
                                      const char *name)
{
    return lk_prompts_find(&encoder->prompts, name);
}

const char *linkd_encoder_prompt_for(const linkd_encoder *encoder,
                                     linkd_use use)
{
    return lk_prompts_for(&encoder->prompts, use);
}

int linkd_encoder_set_prompt(linkd_encoder *encoder, const char *prompt,
                             linkd_error *err)
{
    if (prompt[0] != '\0' && encoder->config.skips_prompts)
        return lk_fail(err, LINKD_E_DATA,
                       "include_prompt false is not supported: this model "
                       "leaves the prompt \"%.60s\" out of the vector",
                       prompt);
    lk_buf_reset(&encoder->prompt);
    return lk_buf_append(&encoder->prompt, prompt, strlen(prompt), err);
}

/* The tokens of a text behind the prompt; `joined` is scratch. */
static int text_tokenize(const linkd_encoder *encoder, linkd_str text,
                         lk_buf *joined, lk_tokens *tokens, linkd_error *err)
{
    const lk_buf *prompt = &encoder->prompt;
    int rc = LINKD_OK;

    if (prompt->len > 0) {
        lk_buf_reset(joined);
        rc = lk_buf_append(joined, prompt->data, prompt->len, err);
        if (rc == LINKD_OK)
            rc = lk_buf_append(joined, text.bytes, text.len, err);
        text = (linkd_str){joined->data, joined->len};
    }
    if (rc == LINKD_OK)
        rc = lk_tokenizer_encode(encoder->tokenizer, text,
                                 encoder->config.max_tokens, tokens, err);
    return rc;
}

int linkd_encoder_count_tokens(const linkd_encoder *encoder, linkd_str text,
                               size_t *ret_n, linkd_error *err)
{
    lk_tokens tokens = {0};
    lk_buf joined = {0};
    int rc = text_tokenize(encoder, text, &joined, &tokens, err);

    if (rc == LINKD_OK)
        *ret_n = tokens.n;
    lk_tokens_clear(&tokens);
    lk_buf_clear(&joined);
    return rc;
}

/* ---- encode ------------------------------------------------------------- */

/* One window on its way; tasks write to disjoint parts of it. */
typedef struct window {
    linkd_encoder *encoder;
    const linkd_str *texts;
    size_t n;
    uint64_t *chunk_ns; /* time to tokenize each chunk */
    float *vectors;
} window;

static size_t chunk_count(size_t n_texts)
{
    return (n_texts + CHUNK_TEXTS - 1) / CHUNK_TEXTS;
}

static int tokenize_task(void *ctx, size_t item, size_t worker,
                         linkd_error *err)
{
    const window *w = ctx;
    const linkd_encoder *encoder = w->encoder;
    const size_t first = item * CHUNK_TEXTS;
    const size_t left = w->n - first;
    const size_t end = first + (left < CHUNK_TEXTS ? left : CHUNK_TEXTS);
    const uint64_t start_ns = lk_clock_ns();
    lk_buf joined = {0};
    int rc = LINKD_OK;

    (void)worker;
    for (size_t i = first; i < end && rc == LINKD_OK; i++)
        rc = text_tokenize(encoder, w->texts[i], &joined, &encoder->tokens[i],
                           err);
    w->chunk_ns[item] = lk_clock_ns() - start_ns;
    lk_buf_clear(&joined);
    return rc;
}

static int encode_task(void *ctx, size_t item, size_t worker, linkd_error *err)
{
    const window *w = ctx;
    const linkd_encoder *encoder = w->encoder;
    const size_t first = encoder->tiles[item];
    const lk_batch batch = {.sequences = encoder->tokens + first,
                            .starts = encoder->starts + first,
                            .n = encoder->tiles[item + 1] - first};

    return lk_forward(&encoder->model, encoder->config.pooling, &batch,
                      &encoder->scratches[worker],
                      w->vectors + first * encoder->info.dim, err);
}

/* Whole texts while they fit; with few tokens in all, smaller tiles give every
 * worker some. */
static size_t cut_tiles(const linkd_encoder *encoder, size_t n,
                        size_t n_workers)
{
    const size_t *starts = encoder->starts;
    size_t budget = starts[n] / n_workers;
    size_t n_tiles = 0;

    if (budget > TILE_TOKENS)
        budget = TILE_TOKENS;
    if (budget < TILE_TOKENS_MIN)
        budget = TILE_TOKENS_MIN;
    encoder->tiles[0] = 0;
    for (size_t i = 1; i < n; i++)
        if (starts[i + 1] - starts[encoder->tiles[n_tiles]] > budget)
            encoder->tiles[++n_tiles] = i;
    encoder->tiles[++n_tiles] = n;
    return n_tiles;
}

static void stats_add(const window *w, size_t n_distinct,
                      linkd_encode_stats *stats)
{
    const linkd_encoder *encoder = w->encoder;

    if (stats == NULL)
        return;
    stats->n_texts += w->n;
    stats->n_repeated += w->n - n_distinct;
    for (size_t i = 0; i < w->n; i++) {
        stats->n_tokens += encoder->tokens[i].n;
        stats->n_truncated += encoder->tokens[i].truncated;
    }
    for (size_t i = 0; i < chunk_count(w->n); i++)
        stats->tokenize_seconds += (double)w->chunk_ns[i] * 1e-9;
}

static int window_encode(window *w, lk_pool *pool, linkd_encode_stats *stats,
                         linkd_error *err)
{
    linkd_encoder *encoder = w->encoder;
    size_t n_distinct, n_tiles;
    int rc = lk_pool_run(pool, chunk_count(w->n), tokenize_task, w, err);

    if (rc != LINKD_OK)
        return rc;
    n_distinct =
        lk_repeats_fold(encoder->tokens, w->n, encoder->table, encoder->places);
    for (size_t i = 0; i < n_distinct; i++)
        encoder->starts[i + 1] = encoder->starts[i] + encoder->tokens[i].n;
    n_tiles = cut_tiles(encoder, n_distinct, lk_pool_n_workers(pool));
    rc = lk_pool_run(pool, n_tiles, encode_task, w, err);
    if (rc != LINKD_OK)
        return rc;
    lk_repeats_unfold(encoder->places, w->n, encoder->info.dim, w->vectors);
    stats_add(w, n_distinct, stats);
    return LINKD_OK;
}

static int scratches_reserve(linkd_encoder *encoder, size_t n, linkd_error *err)
{
    lk_scratch *more;

    if (n <= encoder->n_scratches)
        return LINKD_OK;
    more = realloc(encoder->scratches, n * sizeof(*more));
    if (more == NULL)
        return lk_fail_nomem(err);
    memset(more + encoder->n_scratches, 0,
           (n - encoder->n_scratches) * sizeof(*more));
    encoder->scratches = more;
    encoder->n_scratches = n;
    return LINKD_OK;
}

int linkd_encoder_encode(linkd_encoder *encoder, lk_pool *pool,
                         const linkd_str *texts, size_t n, float *ret_vectors,
                         linkd_encode_stats *stats, linkd_error *err)
{
    uint64_t chunk_ns[WINDOW_TEXTS / CHUNK_TEXTS] = {0};
    int rc = scratches_reserve(encoder, lk_pool_n_workers(pool), err);

    for (size_t first = 0; first < n && rc == LINKD_OK; first += WINDOW_TEXTS) {
        size_t left = n - first;
        window w = {.encoder = encoder,
                    .texts = texts + first,
                    .n = left < WINDOW_TEXTS ? left : WINDOW_TEXTS,
                    .chunk_ns = chunk_ns,
                    .vectors = ret_vectors + first * encoder->info.dim};

        rc = window_encode(&w, pool, stats, err);
    }
    return rc;
}
