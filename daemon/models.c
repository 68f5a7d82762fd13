/* daemon/models.c — encoders that many requests share: which ones are open, what
 * they read, and the prompt that goes before a text. What waits for one of them
 * is encoded together (batches.h), with prompts and head. */
#include "daemon/models.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct lk_model {
    lk_model *next;
    char *name;
    bool
        is_opening; /* guarded by models->lock; the rest is the opener's then */
    linkd_encoder *encoder; /* NULL: for pictures alone */
    linkd_vision *vision;   /* NULL: for texts alone */
    linkd_model_head head;  /* on what these make; may be none */
    linkd_encoder_info info;
    lk_pool *pool;
    float *bare; /* [LK_BATCH_MAX, bare_dim], the batch's: without the head */
    size_t bare_dim;
    lk_models *models;
    lk_batches *batches;
};

struct lk_models {
    size_t n_threads;
    lk_metrics *metrics;
    pthread_mutex_t lock;  /* guards: first, and is_opening of each */
    pthread_cond_t opened; /* one was, or could not be */
    lk_model *first;
};

/* ---- vectors -------------------------------------------------------------- */

static linkd_reader_model reader_of(const lk_model *model)
{
    return (linkd_reader_model){model->encoder, model->vision, model->pool};
}

/* Of one batch; on its thread. */
static int vectors_make(void *ctx, const linkd_str *texts, size_t n,
                        float *ret_vectors, linkd_error *err)
{
    lk_model *model = ctx;
    bool has_head = model->head.map != NULL;
    linkd_reader_model reader = reader_of(model);
    linkd_encode_stats stats = {0};
    int rc = linkd_contents_embed(
        &reader, texts, n, has_head ? model->bare : ret_vectors, &stats, err);

    if (rc == LINKD_OK && has_head)
        rc = linkd_model_head_apply(&model->head, model->bare, n, ret_vectors,
                                    err);
    lk_metrics_count_encoded(model->models->metrics, stats.n_texts,
                             stats.n_tokens, 1);
    return rc;
}

static const char *prompt_of(const lk_model *model, linkd_use use)
{
    return model->encoder != NULL
               ? linkd_encoder_prompt_for(model->encoder, use)
               : "";
}

/* A picture alone has no text that a prompt would go before. */
static size_t prompt_len_of(const char *prompt, linkd_str content)
{
    linkd_content c = linkd_content_split(content);

    return c.text.len == 0 && c.picture.len > 0 ? 0 : strlen(prompt);
}

/* Texts behind a prompt. Encoders put one prompt before all that they are given,
 * while here queries and records share batches. */
typedef struct prompted {
    lk_buf bytes;
    linkd_str *texts;
} prompted;

static void prompted_clear(prompted *p)
{
    lk_buf_clear(&p->bytes);
    free(p->texts);
}

static int prompted_make(const char *prompt, const linkd_str *texts, size_t n,
                         prompted *p, linkd_error *err)
{
    const char *at;
    int rc = LINKD_OK;

    p->texts = calloc(n, sizeof(*p->texts));
    if (p->texts == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < n && rc == LINKD_OK; i++) {
        rc = lk_buf_append(&p->bytes, prompt, prompt_len_of(prompt, texts[i]),
                           err);
        if (rc == LINKD_OK)
            rc = lk_buf_append(&p->bytes, texts[i].bytes, texts[i].len, err);
    }
    at = p->bytes.data; /* which moves no more */
    for (size_t i = 0; i < n && rc == LINKD_OK; i++) {
        p->texts[i] =
            (linkd_str){at, prompt_len_of(prompt, texts[i]) + texts[i].len};
        at += p->texts[i].len;
    }
    return rc;
}

int lk_model_embed(const lk_model_embedder *e, const linkd_str *texts, size_t n,
                   float *ret_vectors, linkd_encode_stats *stats,
                   linkd_error *err)
{
    const char *prompt = prompt_of(e->model, e->use);
    lk_waiting waiting = {e->urgency, e->stop_cb, e->stop_ctx};
    prompted p = {.texts = NULL};
    int rc = LINKD_OK;

    if (n == 0)
        return LINKD_OK;
    if (prompt[0] != '\0') {
        rc = prompted_make(prompt, texts, n, &p, err);
        texts = p.texts;
    }
    if (rc == LINKD_OK)
        rc = lk_batches_embed(e->model->batches, &waiting, texts, n,
                              ret_vectors, err);
    prompted_clear(&p);
    if (rc == LINKD_OK && stats != NULL)
        stats->n_texts += n;
    return rc;
}

const linkd_encoder_info *lk_model_describe(const lk_model *model)
{
    return &model->info;
}

const linkd_model_head *lk_model_head_of(const lk_model *model)
{
    return model->head.map != NULL ? &model->head : NULL;
}

bool lk_model_reads_texts(const lk_model *model)
{
    return model->encoder != NULL;
}

bool lk_model_reads_pictures(const lk_model *model)
{
    return model->vision != NULL;
}

int lk_model_check(const lk_model *model, const linkd_settings *settings,
                   linkd_error *err)
{
    bool has_text = settings->n_text > 0 || settings->pattern.len > 0;

    if (settings->image.len > 0 && model->vision == NULL)
        return lk_fail(err, LINKD_E_ARG, "model \"%s\" reads no pictures",
                       model->name);
    if (model->encoder == NULL && (has_text || settings->image.len == 0))
        return lk_fail(err, LINKD_E_ARG,
                       "model \"%s\" reads pictures alone, and no texts",
                       model->name);
    return LINKD_OK;
}

int lk_model_count_tokens(const lk_model *model, linkd_use use, linkd_str text,
                          size_t *ret_n, linkd_error *err)
{
    prompted p = {.texts = NULL};
    int rc;

    *ret_n = 0;
    if (model->encoder == NULL)
        return LINKD_OK;
    rc = prompted_make(prompt_of(model, use), &text, 1, &p, err);

    if (rc == LINKD_OK)
        rc = linkd_encoder_count_tokens(model->encoder, p.texts[0], ret_n, err);
    prompted_clear(&p);
    return rc;
}

static int embedder_embed(void *ctx, const linkd_str *texts, size_t n,
                          float *ret_vectors, linkd_encode_stats *stats,
                          linkd_error *err)
{
    return lk_model_embed(ctx, texts, n, ret_vectors, stats, err);
}

static bool embedder_knows(void *ctx, linkd_str text)
{
    const lk_model_embedder *e = ctx;
    linkd_reader_model reader = reader_of(e->model);

    return linkd_contents_knows(&reader, text);
}

linkd_embedder lk_model_embedder_of(lk_model_embedder *storage)
{
    const linkd_encoder_info *info = lk_model_describe(storage->model);

    return (linkd_embedder){.embed = embedder_embed,
                            .knows = embedder_knows,
                            .ctx = storage,
                            .dim = info->dim,
                            .fingerprint = info->fingerprint};
}

/* ---- opening and closing ------------------------------------------------- */

static void model_free(lk_model *model)
{
    if (model == NULL)
        return;
    lk_batches_free(model->batches);
    lk_pool_free(model->pool);
    linkd_encoder_close(model->encoder);
    linkd_vision_close(model->vision);
    linkd_model_head_clear(&model->head);
    free(model->bare);
    free(model->name);
    free(model);
}

/* The model directory of a bare name. Clients may not name paths: what they
 * can open is what somebody put into the model store. */
static int model_path(linkd_str name, lk_buf *ret_path, linkd_error *err)
{
    lk_buf store = {0};
    struct stat status;
    int rc;

    if (name.len == 0 || name.bytes[0] == '.' ||
        memchr(name.bytes, '/', name.len) != NULL)
        return lk_fail(err, LINKD_E_ABSENT, "there is no model \"%s\"",
                       lk_label_of(name).text);
    rc = linkd_encoder_store_path(&store, err);
    if (rc == LINKD_OK)
        rc = lk_buf_printf(ret_path, err, "%s/%.*s", store.data, (int)name.len,
                           name.bytes);
    if (rc == LINKD_OK &&
        (stat(ret_path->data, &status) != 0 || !S_ISDIR(status.st_mode)))
        rc = lk_fail(err, LINKD_E_ABSENT,
                     "there is no model \"%s\" in the model store",
                     lk_label_of(name).text);
    lk_buf_clear(&store);
    return rc;
}

int lk_models_look(linkd_str name, linkd_error *err)
{
    lk_buf path = {0};
    int rc = model_path(name, &path, err);

    lk_buf_clear(&path);
    return rc;
}

static int model_start(lk_model *model, linkd_error *err)
{
    lk_batch_encoder encoder = {.encode = vectors_make,
                                .ctx = model,
                                .dim = model->info.dim,
                                .n_pictures = lk_pool_n_workers(model->pool)};

    model->bare =
        lk_alloc_aligned(LK_BATCH_MAX, model->bare_dim * sizeof(float));
    return model->bare != NULL ? lk_batches_new(&encoder, &model->batches, err)
                               : lk_fail_nomem(err);
}

/* A model that is being opened. */
static int model_new(lk_models *models, linkd_str name, lk_model **ret_model,
                     linkd_error *err)
{
    lk_model *model = calloc(1, sizeof(*model));

    if (model == NULL)
        return lk_fail_nomem(err);
    model->models = models;
    model->is_opening = true;
    model->name = strndup(name.bytes, name.len);
    if (model->name == NULL) {
        model_free(model);
        return lk_fail_nomem(err);
    }
    *ret_model = model;
    return LINKD_OK;
}

static linkd_encoder_info info_of_vision(const linkd_vision_info *vision)
{
    return (linkd_encoder_info){.architecture = vision->architecture,
                                .tokenizer = "",
                                .pooling = "",
                                .isa = vision->isa,
                                .precision = vision->precision,
                                .fingerprint = vision->fingerprint,
                                .dim = vision->dim,
                                .n_layers = vision->n_layers,
                                .n_parameters = vision->n_parameters,
                                .prompt = ""};
}

/* The encoder's vectors, or the head's. */
static int info_make(lk_model *model, linkd_error *err)
{
    const linkd_model_head *head = &model->head;
    int rc;

    model->info = model->encoder != NULL
                      ? *linkd_encoder_describe(model->encoder)
                      : info_of_vision(linkd_vision_describe(model->vision));
    model->bare_dim = model->info.dim;
    if (head->map == NULL)
        return LINKD_OK;
    rc = linkd_model_head_check(head, model->info.fingerprint, model->info.dim,
                                err);
    model->info.dim = linkd_compat_map_info(head->map).dim_to;
    model->info.fingerprint = head->fingerprint;
    return rc;
}

/* From now on texts come with their prompt, which the encoder has to allow. */
static int prompts_take(linkd_encoder *encoder, linkd_error *err)
{
    int rc = LINKD_OK;

    for (linkd_use use = 0; use < LINKD_N_USES && rc == LINKD_OK; use++)
        rc = linkd_encoder_set_prompt(
            encoder, linkd_encoder_prompt_for(encoder, use), err);
    return rc == LINKD_OK ? linkd_encoder_set_prompt(encoder, "", err) : rc;
}

/* A model for both texts and pictures reads them into one space. */
static int towers_open(lk_model *model, const char *dir, linkd_error *err)
{
    linkd_inputs inputs = {0};
    int rc = linkd_encoder_inputs(dir, &inputs, err);

    if (rc == LINKD_OK && inputs.texts)
        rc = linkd_encoder_open(dir, NULL, &model->encoder, err);
    if (rc == LINKD_OK && inputs.pictures)
        rc = linkd_vision_open(dir, NULL, lk_pool_n_workers(model->pool),
                               &model->vision, err);
    if (rc == LINKD_OK && model->encoder != NULL && model->vision != NULL &&
        strcmp(linkd_encoder_describe(model->encoder)->fingerprint,
               linkd_vision_describe(model->vision)->fingerprint) != 0)
        rc = lk_fail(err, LINKD_E_DATA,
                     "texts and pictures of model \"%s\" have no common space",
                     model->name);
    return rc;
}

/* Opens what is in `path`, which becomes that of the head's base. */
static int encoder_open(lk_model *model, lk_buf *path, linkd_error *err)
{
    int rc = linkd_model_head_read(path->data, &model->head, err);

    if (rc == LINKD_OK && model->head.map != NULL) {
        linkd_str base = {model->head.base, strlen(model->head.base)};

        lk_buf_reset(path);
        rc = model_path(base, path, err);
    }
    if (rc == LINKD_OK)
        rc = towers_open(model, path->data, err);
    if (rc == LINKD_OK && model->encoder != NULL)
        rc = prompts_take(model->encoder, err);
    return rc == LINKD_OK ? info_make(model, err) : rc;
}

static int model_open(lk_model *model, linkd_error *err)
{
    lk_buf path = {0};
    int rc =
        model_path((linkd_str){model->name, strlen(model->name)}, &path, err);

    if (rc == LINKD_OK)
        rc = lk_pool_new(model->models->n_threads, &model->pool, err);
    if (rc == LINKD_OK)
        rc = encoder_open(model, &path, err);
    if (rc == LINKD_OK)
        rc = model_start(model, err);
    lk_buf_clear(&path);
    return rc;
}

int lk_models_new(size_t n_threads, lk_metrics *metrics, lk_models **ret_models,
                  linkd_error *err)
{
    lk_models *models = calloc(1, sizeof(*models));

    if (models == NULL)
        return lk_fail_nomem(err);
    models->n_threads = n_threads;
    models->metrics = metrics;
    (void)pthread_mutex_init(&models->lock, NULL);
    (void)pthread_cond_init(&models->opened, NULL);
    *ret_models = models;
    return LINKD_OK;
}

void lk_models_free(lk_models *models)
{
    if (models == NULL)
        return;
    while (models->first != NULL) {
        lk_model *model = models->first;

        models->first = model->next;
        model_free(model);
    }
    (void)pthread_cond_destroy(&models->opened);
    (void)pthread_mutex_destroy(&models->lock);
    free(models);
}

/* The functions of this part are called with the list's lock. */

static lk_model *list_find(const lk_models *models, linkd_str name)
{
    lk_model *model = models->first;

    while (model != NULL && (strlen(model->name) != name.len ||
                             memcmp(model->name, name.bytes, name.len) != 0))
        model = model->next;
    return model;
}

static void list_add(lk_models *models, lk_model *model)
{
    model->next = models->first;
    models->first = model;
}

static void list_remove(lk_models *models, const lk_model *model)
{
    lk_model **at = &models->first;

    while (*at != model)
        at = &(*at)->next;
    *at = model->next;
}

/* Opening reads files, some hundred megabytes of them: the lock is let go
 * meanwhile, so that only who needs this model waits. */
static int list_open(lk_models *models, linkd_str name, lk_model **ret_model,
                     linkd_error *err)
{
    lk_model *model = NULL;
    int rc = model_new(models, name, &model, err);

    if (rc != LINKD_OK)
        return rc;
    list_add(models, model);
    (void)pthread_mutex_unlock(&models->lock);
    rc = model_open(model, err);
    (void)pthread_mutex_lock(&models->lock);
    model->is_opening = false;
    (void)pthread_cond_broadcast(&models->opened);
    if (rc == LINKD_OK) {
        *ret_model = model;
    } else {
        list_remove(models, model);
        model_free(model);
    }
    return rc;
}

lk_model *lk_models_find(lk_models *models, linkd_str name)
{
    lk_model *model;

    (void)pthread_mutex_lock(&models->lock);
    model = list_find(models, name);
    if (model != NULL && model->is_opening)
        model = NULL;
    (void)pthread_mutex_unlock(&models->lock);
    return model;
}

int lk_models_get(lk_models *models, linkd_str name, lk_model **ret_model,
                  linkd_error *err)
{
    lk_model *model;
    int rc = LINKD_OK;

    (void)pthread_mutex_lock(&models->lock);
    while ((model = list_find(models, name)) != NULL && model->is_opening)
        (void)pthread_cond_wait(&models->opened, &models->lock);
    if (model == NULL)
        rc = list_open(models, name, &model, err);
    (void)pthread_mutex_unlock(&models->lock);
    if (rc == LINKD_OK)
        *ret_model = model;
    return rc;
}
