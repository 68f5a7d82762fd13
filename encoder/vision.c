/* encoder/vision.c — pictures to unit vectors: what the folder shows of it. A
 * picture is one forward pass of some 200 rows on one worker. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encoder/clip.h"
#include "encoder/packing.h"
#include "encoder/vision_cct.h"
#include "encoder/vision_model.h"
#include "encoder/vision_swin.h"

#define MODEL_FILE       "config.json"
#define PREPARATION_FILE "preprocessor_config.json"

/* Raised whenever a change of linkd's own alters vectors beyond rounding. */
#define FINGERPRINT_VERSION 1

/* f32 and bf16 vectors may be compared. */
#define PRECISION_CLASS "float"

struct linkd_vision {
    lk_weights weights;
    lk_vision_config config;
    lk_preparation preparation;
    const lk_kernels *kernels;
    lk_vision_model model; /* what is of another kind is {0} */
    lk_swin swin;
    lk_cct cct;
    lk_block block; /* their numbers */
    linkd_vision_info info;
    lk_packed packed; /* the fingerprint, and what the block may be a part of */
    float **scratches; /* [n_workers] */
    size_t n_workers;
};

/* ---- the kinds of models ------------------------------------------------ */

static int model_load(lk_packer *packer, void *ctx, linkd_error *err)
{
    linkd_vision *v = ctx;

    if (v->config.kind == LK_VISION_SWIN)
        return lk_swin_load(packer, &v->config, &v->preparation, &v->swin, err);
    if (v->config.kind == LK_VISION_CCT)
        return lk_cct_load(packer, &v->config, &v->preparation, &v->cct, err);
    return lk_vision_model_load(packer, &v->config, &v->preparation, &v->model,
                                err);
}

static void model_clear(void *ctx)
{
    linkd_vision *v = ctx;

    lk_vision_model_clear(&v->model);
    lk_swin_clear(&v->swin);
    lk_cct_clear(&v->cct);
}

static size_t scratch_floats(const linkd_vision *v)
{
    if (v->config.kind == LK_VISION_SWIN)
        return lk_swin_scratch(&v->swin);
    if (v->config.kind == LK_VISION_CCT)
        return lk_cct_scratch(&v->cct);
    return lk_vision_scratch(&v->model);
}

static void forward(const linkd_vision *v, const linkd_image *image,
                    float *scratch, float *ret_vector)
{
    if (v->config.kind == LK_VISION_SWIN)
        lk_swin_forward(&v->swin, image, scratch, ret_vector);
    else if (v->config.kind == LK_VISION_CCT)
        lk_cct_forward(&v->cct, image, scratch, ret_vector);
    else
        lk_vision_forward(&v->model, image, scratch, ret_vector);
}

static size_t vector_dim(const linkd_vision *v)
{
    if (v->config.kind == LK_VISION_SWIN)
        return lk_swin_dim(&v->swin);
    if (v->config.kind == LK_VISION_CCT)
        return lk_stack_dim(&v->cct.stack);
    return lk_stack_dim(&v->model.stack);
}

static size_t layers_count(const lk_vision_config *config)
{
    size_t n = 0;

    for (size_t i = 0; i < config->swin.n_stages; i++)
        n += config->swin.n_layers[i];
    return n > 0 ? n : config->sizes.n_layers;
}

/* ---- fingerprint -------------------------------------------------------- */

/* Of Swin and CCT: what the shapes of the weights do not say. */
static void kind_hash(lk_fingerprint *f, const lk_vision_config *config)
{
    const lk_cct_sizes *c = &config->cct;
    char text[200];

    for (size_t i = 0; i < config->swin.n_stages; i++) {
        (void)snprintf(text, sizeof(text), "stage %zu layers %zu heads ",
                       config->swin.n_layers[i], config->swin.n_heads[i]);
        lk_fingerprint_text(f, text);
    }
    if (config->kind != LK_VISION_CCT)
        return;
    (void)snprintf(text, sizeof(text),
                   "stride %zu padding %zu pool %zu %zu %zu positions %d ",
                   c->stride, c->padding, c->pool_kernel, c->pool_stride,
                   c->pool_padding, c->has_positions);
    lk_fingerprint_text(f, text);
}

/* What is not in the weights and changes vectors. */
static void settings_hash(lk_fingerprint *f, const linkd_vision *vision)
{
    const lk_preparation *p = &vision->preparation;
    const lk_vision_config *c = &vision->config;
    char text[400];

    (void)snprintf(
        text, sizeof(text),
        "linkd %d %s cls %zu heads %zu patch epsilon %a resize %d %d %zu %zu "
        "%zu crop %d %zu %zu colours %a %a %a %a %a %a " PRECISION_CLASS,
        FINGERPRINT_VERSION, lk_vision_kind_name(c->kind), c->sizes.n_heads,
        c->patch_side, (double)c->sizes.norm_epsilon, p->resizes,
        (int)p->filter, p->shortest_edge, p->width, p->height, p->crops,
        p->out_width, p->out_height, (double)p->scales[0], (double)p->scales[1],
        (double)p->scales[2], (double)p->shifts[0], (double)p->shifts[1],
        (double)p->shifts[2]);
    lk_fingerprint_text(f, text);
    if (c->sizes.activation == LK_ACTIVATION_GELU)
        return;
    (void)snprintf(text, sizeof(text), "activation %d",
                   (int)c->sizes.activation);
    lk_fingerprint_text(f, text);
}

/* What is known while a model is opened. */
typedef struct opening {
    linkd_vision *vision;
    const char *dir;
} opening;

static int sources_hash(lk_fingerprint *f, void *ctx, linkd_error *err)
{
    const opening *o = ctx;
    const linkd_vision *v = o->vision;

    if (v->config.kind == LK_VISION_CLIP)
        return lk_clip_hash(f, &v->weights, o->dir, err);
    lk_fingerprint_weights(f, &v->weights);
    settings_hash(f, v);
    kind_hash(f, &v->config);
    return LINKD_OK;
}

/* ---- the model, made or taken ------------------------------------------- */

static lk_packer packer_of(const linkd_vision *v)
{
    return (lk_packer){
        .weights = &v->weights, .kernels = v->kernels, .prefix = ""};
}

static int model_take(void *ctx, const lk_packed *packed, linkd_error *err)
{
    const opening *o = ctx;
    const lk_pack_job job = {model_load, model_clear, o->vision};
    lk_packer packer = packer_of(o->vision);

    return lk_block_place(&packer, &job, packed->block, packed->n_floats,
                          &o->vision->block, err);
}

static void model_drop(void *ctx)
{
    const opening *o = ctx;

    model_clear(o->vision);
    lk_block_clear(&o->vision->block);
}

static int model_make(void *ctx, linkd_error *err)
{
    opening *o = ctx;
    const lk_pack_job job = {model_load, model_clear, o->vision};
    lk_packer packer = packer_of(o->vision);

    return lk_block_make(&packer, &job, &o->vision->block, err);
}

static int model_keep(const void *ctx, lk_buf *image, lk_packed *ret_packed,
                      linkd_error *err)
{
    const opening *o = ctx;

    (void)image; /* there is no tokenizer */
    (void)err;
    ret_packed->block = o->vision->block.floats;
    ret_packed->n_floats = o->vision->block.n;
    return LINKD_OK;
}

static int model_open(linkd_vision *vision, const char *dir, linkd_error *err)
{
    opening o = {vision, dir};
    const lk_packing packing = {.kind = "-vision",
                                .hash = sources_hash,
                                .take = model_take,
                                .drop = model_drop,
                                .make = model_make,
                                .keep = model_keep,
                                .model = &o};

    return lk_packing_open(&packing, dir, vision->kernels, &vision->packed,
                           err);
}

/* ---- open and close ----------------------------------------------------- */

static int file_map(const char *dir, const char *name, lk_file *ret_file,
                    linkd_error *err)
{
    lk_buf path = {0};
    int rc = lk_file_path(dir, name, &path, err);

    if (rc == LINKD_OK)
        rc = lk_file_map(path.data, ret_file, err);
    lk_buf_clear(&path);
    return rc;
}

static int settings_read(linkd_vision *vision, const char *dir,
                         linkd_error *err)
{
    lk_file model = {0};
    lk_file preparation = {0};
    int rc = file_map(dir, MODEL_FILE, &model, err);

    if (rc == LINKD_OK)
        rc = lk_vision_config_parse(model.bytes, model.len, &vision->config,
                                    err);
    if (rc == LINKD_OK)
        rc = file_map(dir, PREPARATION_FILE, &preparation, err);
    if (rc == LINKD_OK)
        rc = lk_preparation_parse(preparation.bytes, preparation.len,
                                  &vision->preparation, err);
    lk_file_unmap(&model);
    lk_file_unmap(&preparation);
    return rc;
}

static int scratches_new(linkd_vision *vision, size_t n, linkd_error *err)
{
    vision->scratches = calloc(n, sizeof(*vision->scratches));
    if (vision->scratches == NULL)
        return lk_fail_nomem(err);
    vision->n_workers = n;
    for (size_t i = 0; i < n; i++) {
        vision->scratches[i] = lk_alloc_aligned(scratch_floats(vision),
                                                sizeof(**vision->scratches));
        if (vision->scratches[i] == NULL)
            return lk_fail_nomem(err);
    }
    return LINKD_OK;
}

static void info_fill(linkd_vision *vision)
{
    vision->info = (linkd_vision_info){
        .architecture = lk_vision_kind_name(vision->config.kind),
        .isa = vision->kernels->isa,
        .precision = vision->kernels->precision,
        .fingerprint = vision->packed.fingerprint,
        .dim = vector_dim(vision),
        .n_layers = layers_count(&vision->config),
        .n_parameters = lk_weights_n_parameters(&vision->weights),
        .width = vision->preparation.out_width,
        .height = vision->preparation.out_height};
}

static int kernels_choose(const char *precision, const lk_kernels **ret_kernels,
                          linkd_error *err)
{
    int rc = lk_kernels_wanted(precision, ret_kernels, err);

    if (rc == LINKD_OK && strcmp((*ret_kernels)->precision, "int8") == 0)
        rc = lk_fail(err, LINKD_E_ARG,
                     "image models have no precision int8 yet");
    return rc;
}

int linkd_vision_open(const char *dir, const char *precision, size_t n_workers,
                      linkd_vision **ret_vision, linkd_error *err)
{
    const lk_kernels *kernels = NULL;
    linkd_vision *vision = NULL;
    int rc = kernels_choose(precision, &kernels, err);

    if (rc != LINKD_OK)
        return rc;
    vision = calloc(1, sizeof(*vision));
    if (vision == NULL)
        return lk_fail_nomem(err);
    vision->kernels = kernels;
    rc = settings_read(vision, dir, err);
    if (rc == LINKD_OK)
        rc = lk_weights_open(dir, &vision->weights, err);
    if (rc == LINKD_OK)
        rc = model_open(vision, dir, err);
    if (rc == LINKD_OK)
        rc = scratches_new(vision, n_workers, err);
    if (rc != LINKD_OK) {
        linkd_vision_close(vision);
        return rc;
    }
    info_fill(vision);
    *ret_vision = vision;
    return LINKD_OK;
}

void linkd_vision_close(linkd_vision *vision)
{
    if (vision == NULL)
        return;
    for (size_t i = 0; i < vision->n_workers; i++)
        free(vision->scratches[i]);
    free(vision->scratches);
    model_clear(vision);
    lk_block_clear(&vision->block);
    lk_packed_close(&vision->packed);
    lk_weights_close(&vision->weights);
    free(vision);
}

/* Vectors of merged tokens are not those of all of them, nor of other numbers. */
static int merged_hash(linkd_vision *vision, size_t n_tokens, linkd_error *err)
{
    char text[2 * LK_FINGERPRINT_DIGITS];
    lk_fingerprint f;
    int rc = lk_fingerprint_begin(&f, false, err);

    if (rc != LINKD_OK)
        return rc;
    (void)snprintf(text, sizeof(text), "%s merge %zu",
                   vision->packed.fingerprint, n_tokens);
    lk_fingerprint_text(&f, text);
    lk_fingerprint_end(&f, vision->packed.fingerprint);
    return LINKD_OK;
}

int linkd_vision_merge_tokens(linkd_vision *vision, size_t n_tokens,
                              linkd_error *err)
{
    int rc;

    LK_ASSERT(vision->model.n_merged == 0);
    if (n_tokens == 0)
        return LINKD_OK;
    if (vision->config.kind != LK_VISION_VIT &&
        vision->config.kind != LK_VISION_DINOV2)
        return lk_fail(err, LINKD_E_ARG,
                       "tokens of a %s model cannot be merged, only of vit and "
                       "dinov2",
                       vision->info.architecture);
    rc = merged_hash(vision, n_tokens, err);
    if (rc == LINKD_OK)
        vision->model.n_merged = n_tokens;
    return rc;
}

const linkd_vision_info *linkd_vision_describe(const linkd_vision *vision)
{
    return &vision->info;
}

int linkd_vision_encode(const linkd_vision *vision, size_t worker,
                        const linkd_image *image, float *ret_vector,
                        linkd_error *err)
{
    linkd_image prepared = {0};
    int rc = lk_image_prepare(&vision->preparation, image, &prepared, err);

    LK_ASSERT(worker < vision->n_workers);
    if (rc != LINKD_OK)
        return rc;
    forward(vision, &prepared, vision->scratches[worker], ret_vector);
    linkd_image_clear(&prepared);
    return LINKD_OK;
}
