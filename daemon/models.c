/* daemon/models.c — encoders that many requests share.
 *
 *   worker ─► ticket {texts, vectors} ─► urgent or bulk ─► encoding thread
 *      ◄────────────── its condition, when the last text is encoded ◄──┘
 *
 * The encoding thread takes what waits when it is free, so batches are as large
 * as the load makes them and nobody waits for a batch to fill. Urgent texts are
 * taken first, all of them up to BATCH_MAX; bulk texts only when no urgent ones
 * wait, SLICE_MAX at a time, tickets in turn: a query waits for one slice. A
 * vector depends on its text alone, so none of this shows in results.
 *
 * A picture takes as long as a dozen texts, so that a slice has as many as there
 * are threads at most.
 *
 * A ticket lives on its worker's stack. While none of its texts is with the
 * encoder (n_taken == n_done), whoever holds `lock` may unlink it: that is how
 * a waiting worker gives up. */
#include "daemon/models.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* About 0.1 s of short texts on two cores. */
#define BATCH_MAX ((size_t)64)
/* What a query may have to wait for: 30 ms of short texts on two cores. */
#define SLICE_MAX   ((size_t)16)
#define WAITING_MAX ((size_t)4096)
/* How often a waiting worker looks at its stop_cb. */
#define STOP_CHECK_NS 20000000L

typedef struct ticket {
    struct ticket *next;
    const linkd_str *texts;
    float *vectors; /* [n, dim] */
    size_t n;
    size_t n_taken; /* texts given to the encoder so far */
    size_t n_done;
    bool failed;
    linkd_error error;
    pthread_cond_t done;
} ticket;

typedef struct queue {
    ticket *first;
    ticket *last;
    size_t n_waiting; /* texts */
} queue;

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
    size_t dim;
    float *vectors; /* [BATCH_MAX, dim], the thread's */
    float *bare;    /* [BATCH_MAX, bare_dim]: without the head */
    size_t bare_dim;
    lk_models *models;
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock; /* guards: all below, and every ticket */
    pthread_cond_t work;
    queue urgent;
    queue bulk;
    bool stopping;
};

struct lk_models {
    size_t n_threads;
    lk_metrics *metrics;
    pthread_mutex_t lock;  /* guards: first, and is_opening of each */
    pthread_cond_t opened; /* one was, or could not be */
    lk_model *first;
};

/* ---- the encoding thread ------------------------------------------------- */

/* A run of one ticket's texts within a batch. */
typedef struct part {
    ticket *owner;
    size_t begin;
    size_t n;
} part;

typedef struct batch {
    part parts[BATCH_MAX];
    size_t n_parts;
    linkd_str texts[BATCH_MAX];
    size_t n;
} batch;

/* How many of n contents are taken before there are `n_pictures`. */
static size_t run_length(const linkd_str *contents, size_t n,
                         size_t *n_pictures)
{
    for (size_t i = 0; i < n; i++) {
        if (*n_pictures == 0)
            return i;
        *n_pictures -= linkd_content_split(contents[i]).picture.len > 0;
    }
    return n;
}

/* Adds texts of the queue's tickets until the batch has `limit`, or `n_pictures`
 * of them; tickets whose last text was taken leave the queue. */
static void queue_take(queue *q, size_t limit, size_t n_pictures, batch *b)
{
    while (q->first != NULL && b->n < limit) {
        ticket *t = q->first;
        size_t n = t->n - t->n_taken;

        if (n > limit - b->n)
            n = limit - b->n;
        n = run_length(t->texts + t->n_taken, n, &n_pictures);
        if (n == 0)
            return;
        memcpy(b->texts + b->n, t->texts + t->n_taken, n * sizeof(*t->texts));
        b->parts[b->n_parts++] = (part){t, t->n_taken, n};
        b->n += n;
        t->n_taken += n;
        q->n_waiting -= n;
        if (t->n_taken < t->n)
            return;
        q->first = t->next;
    }
}

/* Bulk tickets take turns: one that had its slice goes to the end. */
static void queue_rotate(queue *q)
{
    ticket *t = q->first;

    if (t == NULL || t->next == NULL || t->n_taken == 0)
        return;
    q->first = t->next;
    t->next = NULL;
    q->last->next = t;
    q->last = t;
}

static void batch_finish(lk_model *model, batch *b, int rc,
                         const linkd_error *err)
{
    size_t at = 0;

    for (size_t i = 0; i < b->n_parts; i++) {
        part *p = &b->parts[i];
        ticket *t = p->owner;

        if (rc != LINKD_OK) {
            t->failed = true;
            t->error = *err;
        } else {
            memcpy(t->vectors + p->begin * model->dim,
                   model->vectors + at * model->dim,
                   p->n * model->dim * sizeof(float));
        }
        at += p->n;
        t->n_done += p->n;
        if (t->n_done == t->n)
            (void)pthread_cond_signal(&t->done);
    }
}

static linkd_reader_model reader_of(const lk_model *model)
{
    return (linkd_reader_model){model->encoder, model->vision, model->pool};
}

static int vectors_make(lk_model *model, const batch *b,
                        linkd_encode_stats *stats, linkd_error *err)
{
    bool has_head = model->head.map != NULL;
    linkd_reader_model reader = reader_of(model);
    int rc = linkd_contents_embed(&reader, b->texts, b->n,
                                  has_head ? model->bare : model->vectors,
                                  stats, err);

    return rc == LINKD_OK && has_head
               ? linkd_model_head_apply(&model->head, model->bare, b->n,
                                        model->vectors, err)
               : rc;
}

/* Encodes one batch; called and returns with the lock. */
static void model_encode(lk_model *model, batch *b)
{
    linkd_encode_stats stats = {0};
    linkd_error err = {0};
    int rc;

    b->n = 0;
    b->n_parts = 0;
    queue_take(&model->urgent, BATCH_MAX, BATCH_MAX, b);
    if (b->n == 0) {
        queue_take(&model->bulk, SLICE_MAX, lk_pool_n_workers(model->pool), b);
        queue_rotate(&model->bulk);
    }
    (void)pthread_mutex_unlock(&model->lock);
    rc = vectors_make(model, b, &stats, &err);
    lk_metrics_count_encoded(model->models->metrics, stats.n_texts,
                             stats.n_tokens, 1);
    (void)pthread_mutex_lock(&model->lock);
    batch_finish(model, b, rc, &err);
}

static bool model_has_work(const lk_model *model)
{
    return model->urgent.first != NULL || model->bulk.first != NULL;
}

static void *model_main(void *arg)
{
    lk_model *model = arg;
    batch b;

    (void)pthread_mutex_lock(&model->lock);
    for (;;) {
        while (!model->stopping && !model_has_work(model))
            (void)pthread_cond_wait(&model->work, &model->lock);
        if (!model_has_work(model))
            break;
        model_encode(model, &b);
    }
    (void)pthread_mutex_unlock(&model->lock);
    return NULL;
}

/* ---- waiting for vectors ------------------------------------------------- */

static void queue_append(queue *q, ticket *t)
{
    t->next = NULL;
    if (q->first == NULL)
        q->first = t;
    else
        q->last->next = t;
    q->last = t;
}

static void queue_unlink(queue *q, ticket *t)
{
    ticket *before = NULL;

    for (ticket *at = q->first; at != t; at = at->next)
        before = at;
    if (before == NULL)
        q->first = t->next;
    else
        before->next = t->next;
    if (q->last == t)
        q->last = before;
}

/* Waits for the ticket's texts, or until `stop_cb` says so; then what was not
 * taken yet is taken back. Called with the lock. */
static int ticket_wait(lk_model *model, queue *q, ticket *t,
                       bool (*stop_cb)(void *ctx), void *stop_ctx,
                       linkd_error *err)
{
    while (t->n_done < t->n) {
        struct timespec until;

        if (stop_cb != NULL && t->n_taken == t->n_done && stop_cb(stop_ctx)) {
            queue_unlink(q, t);
            q->n_waiting -= t->n - t->n_done;
            return lk_fail(err, LINKD_E_CANCELLED,
                           "the time for the request ran out");
        }
        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += STOP_CHECK_NS;
        if (until.tv_nsec >= 1000000000L) {
            until.tv_nsec -= 1000000000L;
            until.tv_sec++;
        }
        (void)pthread_cond_timedwait(&t->done, &model->lock, &until);
    }
    if (t->failed) {
        if (err != NULL)
            *err = t->error;
        return t->error.code;
    }
    return LINKD_OK;
}

static int cond_init(pthread_cond_t *cond, linkd_error *err)
{
    pthread_condattr_t attr;

    if (pthread_condattr_init(&attr) != 0)
        return lk_fail_nomem(err);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    if (pthread_cond_init(cond, &attr) != 0) {
        (void)pthread_condattr_destroy(&attr);
        return lk_fail_nomem(err);
    }
    (void)pthread_condattr_destroy(&attr);
    return LINKD_OK;
}

static int ticket_run(const lk_model_embedder *e, ticket *t, linkd_error *err)
{
    lk_model *model = e->model;
    queue *q = e->urgency == LK_URGENT ? &model->urgent : &model->bulk;
    int rc = cond_init(&t->done, err);

    if (rc != LINKD_OK)
        return rc;
    (void)pthread_mutex_lock(&model->lock);
    if (model->stopping)
        rc = lk_fail(err, LINKD_E_BUSY, "the daemon is stopping");
    else if (e->urgency != LK_JOB && q->n_waiting > 0 &&
             q->n_waiting + t->n > WAITING_MAX)
        rc = lk_fail(err, LINKD_E_BUSY, "%zu texts wait to be encoded already",
                     q->n_waiting);
    if (rc == LINKD_OK) {
        q->n_waiting += t->n;
        queue_append(q, t);
        (void)pthread_cond_signal(&model->work);
        rc = ticket_wait(model, q, t, e->stop_cb, e->stop_ctx, err);
    }
    (void)pthread_mutex_unlock(&model->lock);
    (void)pthread_cond_destroy(&t->done);
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
    ticket t = {.texts = texts, .vectors = ret_vectors, .n = n};
    prompted p = {.texts = NULL};
    int rc = LINKD_OK;

    if (n == 0)
        return LINKD_OK;
    if (prompt[0] != '\0') {
        rc = prompted_make(prompt, texts, n, &p, err);
        t.texts = p.texts;
    }
    if (rc == LINKD_OK)
        rc = ticket_run(e, &t, err);
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
    if (model->has_thread) {
        (void)pthread_mutex_lock(&model->lock);
        model->stopping = true;
        (void)pthread_cond_signal(&model->work);
        (void)pthread_mutex_unlock(&model->lock);
        (void)pthread_join(model->thread, NULL);
    }
    (void)pthread_cond_destroy(&model->work);
    (void)pthread_mutex_destroy(&model->lock);
    lk_pool_free(model->pool);
    linkd_encoder_close(model->encoder);
    linkd_vision_close(model->vision);
    linkd_model_head_clear(&model->head);
    free(model->bare);
    free(model->vectors);
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
    model->dim = model->info.dim;
    model->vectors = lk_alloc_aligned(BATCH_MAX, model->dim * sizeof(float));
    model->bare = lk_alloc_aligned(BATCH_MAX, model->bare_dim * sizeof(float));
    if (model->vectors == NULL || model->bare == NULL ||
        pthread_create(&model->thread, NULL, model_main, model) != 0)
        return lk_fail_nomem(err);
    model->has_thread = true;
    return LINKD_OK;
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
    (void)pthread_mutex_init(&model->lock, NULL);
    (void)pthread_cond_init(&model->work, NULL);
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

static int has_file(const char *dir, const char *name, bool *ret_has,
                    linkd_error *err)
{
    lk_buf path = {0};
    int rc = lk_buf_printf(&path, err, "%s/%s", dir, name);

    *ret_has = rc == LINKD_OK && access(path.data, F_OK) == 0;
    lk_buf_clear(&path);
    return rc;
}

/* How pictures are prepared is said of image models alone; those of them that
 * have a tokenizer read texts, too, into the same space. */
static int towers_open(lk_model *model, const char *dir, linkd_error *err)
{
    bool has_pictures = false;
    bool has_texts = false;
    int rc = has_file(dir, "preprocessor_config.json", &has_pictures, err);

    if (rc == LINKD_OK)
        rc = has_file(dir, "tokenizer.json", &has_texts, err);
    if (rc == LINKD_OK && (has_texts || !has_pictures))
        rc = linkd_encoder_open(dir, NULL, &model->encoder, err);
    if (rc == LINKD_OK && has_pictures)
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
