/* daemon/jobs.c — the jobs that there are, and the thread that runs them.
 *
 * All of them are in memory, by number; the store has a row of each, rewritten
 * at every change of state (not of progress). What a row says is what a client
 * was told: the row is on disk before the list in memory changes.
 *
 * `lock` guards the list and every job in it. The running job's spec and inputs
 * are the thread's; nobody deletes a job that has not ended. */
#include "daemon/jobs.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daemon/job_run.h"

/* How often progress is worth a new line to whoever watches. */
#define PROGRESS_SECONDS 0.2

typedef enum job_state {
    STATE_PREPARING, /* its inputs are being written: nobody was told of it */
    STATE_QUEUED,
    STATE_RUNNING,
    STATE_CANCELLING,
    STATE_DONE,
    STATE_FAILED,
    STATE_CANCELLED,
} job_state;

static const char *const state_names[] = {
    [STATE_PREPARING] = "preparing", [STATE_QUEUED] = "queued",
    [STATE_RUNNING] = "running",     [STATE_CANCELLING] = "cancelling",
    [STATE_DONE] = "done",           [STATE_FAILED] = "failed",
    [STATE_CANCELLED] = "cancelled",
};
#define N_STATES (sizeof(state_names) / sizeof(state_names[0]))

/* Where a running job is. */
typedef struct job_progress {
    char step[16];
    uint64_t done;
    uint64_t total;
    uint64_t begin_ns;   /* of the step */
    uint64_t begin_done; /* then */
    uint64_t told_ns;
} job_progress;

typedef struct job {
    struct job *next; /* of a greater number */
    uint64_t number;
    json_t *request;
    json_t *vectors; /* lk_job_vectors; NULL: has no inputs */
    json_t *counts;
    char *error;
    job_state state;
    uint64_t submitted_ms; /* since 1970; 0: not yet */
    uint64_t started_ms;
    uint64_t ended_ms;
    job_progress progress;
    uint64_t version; /* of what a client sees */
} job;

struct lk_jobs {
    lk_service *service;
    char *dir; /* <data>/jobs */
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock; /* guards: all below */
    pthread_cond_t work;
    job *first;
    size_t n;
    bool stopping;
};

/* ---- one job ------------------------------------------------------------- */

static uint64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool job_has_ended(const job *j)
{
    return j->state >= STATE_DONE;
}

static void job_free(job *j)
{
    if (j == NULL)
        return;
    json_decref(j->request);
    json_decref(j->vectors);
    json_decref(j->counts);
    free(j->error);
    free(j);
}

/* The row of a job, for the store. */
static int row_print(const job *j, lk_buf *row, linkd_error *err)
{
    json_t *json = json_pack(
        "{s:O, s:O?, s:s, s:I, s:I, s:I, s:O?, s:s?}", "request", j->request,
        "vectors", j->vectors, "state", state_names[j->state], "submitted",
        (json_int_t)j->submitted_ms, "started", (json_int_t)j->started_ms,
        "ended", (json_int_t)j->ended_ms, "counts", j->counts, "error",
        j->error);
    int rc;

    if (json == NULL)
        return lk_fail_nomem(err);
    rc = lk_json_put_value(row, json, err);
    json_decref(json);
    return rc;
}

static int row_store(lk_jobs *jobs, const job *j, linkd_error *err)
{
    uint64_t number = j->number;
    lk_buf row = {0};
    int rc = row_print(j, &row, err);

    if (rc == LINKD_OK)
        rc = linkd_store_put_job(jobs->service->store, &number,
                                 (linkd_str){row.data, row.len}, NULL, err);
    lk_buf_clear(&row);
    return rc;
}

static uint64_t time_member(const json_t *json, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(json, name));
}

/* A job from its row; our own bytes, but checked as everything is. */
static int row_read(linkd_str row, job **ret_job, linkd_error *err)
{
    job *j = calloc(1, sizeof(*j));
    json_t *json = NULL;
    const char *state;
    size_t i = 0;
    int rc = j == NULL ? lk_fail_nomem(err) : lk_json_parse(row, &json, err);

    if (rc != LINKD_OK)
        goto done;
    state = json_string_value(json_object_get(json, "state"));
    while (i < N_STATES &&
           (state == NULL || strcmp(state, state_names[i]) != 0))
        i++;
    j->request = json_incref(json_object_get(json, "request"));
    if (i == N_STATES || !json_is_object(j->request)) {
        rc = lk_fail(err, LINKD_E_DATA, "the row of a job is not one");
        goto done;
    }
    j->state = (job_state)i;
    if (json_is_object(json_object_get(json, "vectors")))
        j->vectors = json_incref(json_object_get(json, "vectors"));
    if (json_is_object(json_object_get(json, "counts")))
        j->counts = json_incref(json_object_get(json, "counts"));
    if (json_is_string(json_object_get(json, "error")))
        j->error = strdup(json_string_value(json_object_get(json, "error")));
    j->submitted_ms = time_member(json, "submitted");
    j->started_ms = time_member(json, "started");
    j->ended_ms = time_member(json, "ended");
done:
    json_decref(json);
    if (rc == LINKD_OK)
        *ret_job = j;
    else
        job_free(j);
    return rc;
}

/* ---- the list ------------------------------------------------------------ */

static job *job_find(lk_jobs *jobs, uint64_t number)
{
    job *j = jobs->first;

    while (j != NULL && j->number != number)
        j = j->next;
    return j;
}

/* NULL: LINKD_E_ABSENT. A job that is being prepared is known to nobody yet. */
static job *job_get(lk_jobs *jobs, uint64_t number, linkd_error *err)
{
    job *j = job_find(jobs, number);

    if (j != NULL && j->state != STATE_PREPARING)
        return j;
    (void)lk_fail(err, LINKD_E_ABSENT, "there is no job %" PRIu64, number);
    return NULL;
}

static void job_insert(lk_jobs *jobs, job *j)
{
    job **at = &jobs->first;

    while (*at != NULL && (*at)->number < j->number)
        at = &(*at)->next;
    j->next = *at;
    *at = j;
    jobs->n++;
}

static void job_unlink(lk_jobs *jobs, const job *j)
{
    job **at = &jobs->first;

    while (*at != j)
        at = &(*at)->next;
    *at = j->next;
    jobs->n--;
}

/* ---- directories --------------------------------------------------------- */

static int job_dir(const lk_jobs *jobs, uint64_t number, lk_buf *ret_path,
                   linkd_error *err)
{
    lk_buf_reset(ret_path);
    return lk_buf_printf(ret_path, err, "%s/%" PRIu64, jobs->dir, number);
}

/* Removes a directory of files; what cannot be removed is found again at the
 * next start. */
static void dir_remove(const char *path)
{
    DIR *dir = opendir(path);
    const struct dirent *item;
    lk_buf name = {0};

    while (dir != NULL && (item = readdir(dir)) != NULL) {
        lk_buf_reset(&name);
        if (item->d_name[0] != '.' &&
            lk_buf_printf(&name, NULL, "%s/%s", path, item->d_name) == LINKD_OK)
            (void)unlink(name.data);
    }
    if (dir != NULL)
        (void)closedir(dir);
    lk_buf_clear(&name);
    (void)rmdir(path);
}

static void job_dir_remove(const lk_jobs *jobs, uint64_t number)
{
    lk_buf path = {0};

    if (job_dir(jobs, number, &path, NULL) == LINKD_OK)
        dir_remove(path.data);
    lk_buf_clear(&path);
}

/* Directories of jobs that are not in the list. */
static void strays_remove(lk_jobs *jobs)
{
    DIR *dir = opendir(jobs->dir);
    const struct dirent *item;

    while (dir != NULL && (item = readdir(dir)) != NULL) {
        char *end = NULL;
        uint64_t number = strtoull(item->d_name, &end, 10);

        if (item->d_name[0] != '.' && *end == '\0' &&
            job_find(jobs, number) == NULL)
            job_dir_remove(jobs, number);
    }
    if (dir != NULL)
        (void)closedir(dir);
}

/* ---- running ------------------------------------------------------------- */

typedef struct running {
    lk_jobs *jobs;
    job *job;
} running;

static bool running_is_over(void *ctx)
{
    const running *r = ctx;
    bool over;

    (void)pthread_mutex_lock(&r->jobs->lock);
    over = r->jobs->stopping || r->job->state == STATE_CANCELLING;
    (void)pthread_mutex_unlock(&r->jobs->lock);
    return over;
}

static int running_report(void *ctx, const char *step, uint64_t done,
                          uint64_t total)
{
    running *r = ctx;
    job_progress *p = &r->job->progress;
    uint64_t now = lk_clock_ns();

    (void)pthread_mutex_lock(&r->jobs->lock);
    if (strncmp(p->step, step, sizeof(p->step) - 1) != 0) {
        *p = (job_progress){.begin_ns = now, .begin_done = done};
        (void)strncat(p->step, step, sizeof(p->step) - 1);
    }
    p->done = done;
    p->total = total;
    if (p->told_ns == 0 || done == total ||
        (double)(now - p->told_ns) >= PROGRESS_SECONDS * 1e9) {
        p->told_ns = now;
        r->job->version++;
    }
    (void)pthread_mutex_unlock(&r->jobs->lock);
    return running_is_over(r);
}

static linkd_str string_member(const json_t *json, const char *name)
{
    const json_t *value = json_object_get(json, name);

    if (!json_is_string(value))
        return (linkd_str){"", 0};
    return (linkd_str){json_string_value(value), json_string_length(value)};
}

static int job_do(running *r, lk_buf *ret_counts, linkd_error *err)
{
    const json_t *stored = r->job->vectors;
    lk_job_vectors vectors = {
        .model = string_member(stored, "model"),
        .fingerprint = string_member(stored, "fingerprint"),
        .dim = (size_t)json_integer_value(json_object_get(stored, "dim"))};
    linkd_progress progress = {.report = running_report, .ctx = r};
    lk_arena arena = {0};
    lk_job_spec spec;
    lk_buf dir = {0};
    lk_job_run run = {.service = r->jobs->service,
                      .spec = &spec,
                      .vectors = &vectors,
                      .progress = &progress,
                      .stop_cb = running_is_over,
                      .stop_ctx = r};
    int rc = lk_job_spec_read(r->job->request, &arena, &spec, err);

    if (rc == LINKD_OK)
        rc = job_dir(r->jobs, r->job->number, &dir, err);
    run.dir = dir.data;
    if (rc == LINKD_OK)
        rc = lk_job_do(&run, ret_counts, err);
    lk_buf_clear(&dir);
    lk_arena_clear(&arena);
    return rc;
}

/* Writes the new state down, then shows it. Called with the lock, which is let
 * go while the row is written; `now` is on no list and its strings are ours. */
static void job_become(lk_jobs *jobs, job *j, const job *now)
{
    linkd_error err;
    int rc;

    (void)pthread_mutex_unlock(&jobs->lock);
    rc = row_store(jobs, now, &err);
    (void)pthread_mutex_lock(&jobs->lock);
    /* a row that cannot be written: the job runs again after a restart */
    if (rc != LINKD_OK)
        lk_log(LK_LOG_ERROR, "job %" PRIu64 ": %s", j->number, err.message);
    /* cancelled while its first row was written */
    if (j->state != STATE_CANCELLING || now->state != STATE_RUNNING)
        j->state = now->state;
    j->started_ms = now->started_ms;
    j->ended_ms = now->ended_ms;
    j->counts = now->counts;
    j->error = now->error;
    j->version++;
}

/* What a run that returned `rc` makes of the job. */
static void job_end(running *r, int rc, const lk_buf *counts,
                    const linkd_error *why)
{
    job now;

    (void)pthread_mutex_lock(&r->jobs->lock);
    now = *r->job;
    now.ended_ms = now_ms();
    if (rc == LINKD_OK) {
        now.state = STATE_DONE;
        now.counts = json_loadb(counts->data, counts->len, 0, NULL);
    } else if (rc == LINKD_E_CANCELLED && r->jobs->stopping &&
               r->job->state != STATE_CANCELLING) {
        /* not ended: the row says "running", and it will */
        (void)pthread_mutex_unlock(&r->jobs->lock);
        return;
    } else if (r->job->state == STATE_CANCELLING) {
        now.state = STATE_CANCELLED;
    } else {
        now.state = STATE_FAILED;
        now.error = strdup(why->message);
        lk_log(LK_LOG_ERROR, "job %" PRIu64 " failed: %s", now.number,
               why->message);
    }
    job_become(r->jobs, r->job, &now);
    (void)pthread_mutex_unlock(&r->jobs->lock);
}

static void job_run(lk_jobs *jobs, job *j)
{
    running r = {.jobs = jobs, .job = j};
    linkd_error err = {0};
    lk_buf counts = {0};
    int rc = job_do(&r, &counts, &err);

    job_end(&r, rc, &counts, &err);
    lk_buf_clear(&counts);
}

static job *queued_find(lk_jobs *jobs)
{
    job *j = jobs->first;

    while (j != NULL && j->state != STATE_QUEUED)
        j = j->next;
    return j;
}

static void *jobs_main(void *arg)
{
    lk_jobs *jobs = arg;

    (void)pthread_mutex_lock(&jobs->lock);
    while (!jobs->stopping) {
        job *j = queued_find(jobs);
        job now;

        if (j == NULL) {
            (void)pthread_cond_wait(&jobs->work, &jobs->lock);
            continue;
        }
        now = *j;
        now.state = STATE_RUNNING;
        now.started_ms = now.started_ms == 0 ? now_ms() : now.started_ms;
        j->state = STATE_RUNNING; /* so that cancelling finds it running */
        job_become(jobs, j, &now);
        (void)pthread_mutex_unlock(&jobs->lock);
        job_run(jobs, j);
        (void)pthread_mutex_lock(&jobs->lock);
    }
    (void)pthread_mutex_unlock(&jobs->lock);
    return NULL;
}

/* ---- submitting ---------------------------------------------------------- */

/* A number, and a row that says "preparing". With a key that was used before,
 * the first one's number. */
static int number_get(lk_jobs *jobs, const job *j, const linkd_once *once,
                      uint64_t *ret_number, linkd_error *err)
{
    uint64_t number = 0;
    lk_buf row = {0};
    int rc = row_print(j, &row, err);

    if (rc == LINKD_OK)
        rc = linkd_store_put_job(jobs->service->store, &number,
                                 (linkd_str){row.data, row.len}, once, err);
    lk_buf_clear(&row);
    if (rc == LINKD_OK)
        *ret_number = number;
    return rc;
}

static int inputs_save(lk_jobs *jobs, job *j, const lk_job_spec *spec,
                       lk_arena *arena, linkd_error *err)
{
    lk_job_vectors vectors = {{"", 0}, {"", 0}, 0};
    lk_buf dir = {0};
    int rc = job_dir(jobs, j->number, &dir, err);

    if (rc == LINKD_OK) {
        dir_remove(dir.data);
        if (mkdir(dir.data, 0700) != 0)
            rc = lk_fail(err, errno == ENOSPC ? LINKD_E_FULL : LINKD_E_IO,
                         "could not make the job's directory: %s",
                         strerror(errno));
    }
    if (rc == LINKD_OK)
        rc = lk_job_inputs_save(jobs->service, spec, dir.data, arena, &vectors,
                                err);
    if (rc == LINKD_OK) {
        j->vectors = json_pack(
            "{s:s%, s:s%, s:I}", "model", vectors.model.bytes,
            vectors.model.len, "fingerprint", vectors.fingerprint.bytes,
            vectors.fingerprint.len, "dim", (json_int_t)vectors.dim);
        if (j->vectors == NULL)
            rc = lk_fail_nomem(err);
    }
    lk_buf_clear(&dir);
    return rc;
}

/* Forgets what could not be prepared. */
static void job_drop(lk_jobs *jobs, job *j)
{
    linkd_error err;

    (void)pthread_mutex_lock(&jobs->lock);
    job_unlink(jobs, j);
    (void)pthread_mutex_unlock(&jobs->lock);
    job_dir_remove(jobs, j->number);
    if (linkd_store_delete_job(jobs->service->store, j->number, &err) !=
        LINKD_OK)
        lk_log(LK_LOG_WARN, "job %" PRIu64 ": %s", j->number, err.message);
    job_free(j);
}

static int job_prepare(lk_jobs *jobs, job *j, const lk_job_spec *spec,
                       lk_arena *arena, linkd_error *err)
{
    job now;
    int rc = inputs_save(jobs, j, spec, arena, err);

    now = *j;
    now.state = STATE_QUEUED;
    if (rc == LINKD_OK)
        rc = row_store(jobs, &now, err);
    if (rc != LINKD_OK) {
        job_drop(jobs, j);
        return rc;
    }
    (void)pthread_mutex_lock(&jobs->lock);
    j->state = STATE_QUEUED;
    j->version++;
    (void)pthread_cond_signal(&jobs->work);
    (void)pthread_mutex_unlock(&jobs->lock);
    return LINKD_OK;
}

/* Adds the job to the list under its number, unless that is there: then the
 * request was a repeated one, and `*ret_known` is set. */
static int job_enter(lk_jobs *jobs, job *j, bool *ret_known, linkd_error *err)
{
    const job *known;
    int rc = LINKD_OK;

    (void)pthread_mutex_lock(&jobs->lock);
    known = job_find(jobs, j->number);
    *ret_known = known != NULL;
    if (known == NULL)
        job_insert(jobs, j);
    else if (known->state == STATE_PREPARING)
        rc = lk_fail(err, LINKD_E_BUSY,
                     "this job is being submitted by an earlier request");
    (void)pthread_mutex_unlock(&jobs->lock);
    return rc;
}

static int jobs_check_room(lk_jobs *jobs, linkd_error *err)
{
    int rc = LINKD_OK;

    (void)pthread_mutex_lock(&jobs->lock);
    if (jobs->n >= LK_JOBS_MAX)
        rc = lk_fail(err, LINKD_E_BUSY,
                     "%zu jobs are kept already: delete some", jobs->n);
    (void)pthread_mutex_unlock(&jobs->lock);
    return rc;
}

int lk_jobs_submit(lk_jobs *jobs, json_t *request, const linkd_once *once,
                   uint64_t *ret_number, linkd_error *err)
{
    lk_arena arena = {0};
    lk_job_spec spec;
    job *j = calloc(1, sizeof(*j));
    bool known = false;
    int rc = j == NULL ? lk_fail_nomem(err)
                       : lk_job_spec_read(request, &arena, &spec, err);

    if (rc == LINKD_OK)
        rc = jobs_check_room(jobs, err);
    if (rc == LINKD_OK) {
        j->request = json_incref(request);
        j->submitted_ms = now_ms();
        rc = number_get(jobs, j, once, &j->number, err);
    }
    if (rc == LINKD_OK) {
        *ret_number = j->number;
        rc = job_enter(jobs, j, &known, err);
    }
    if (rc == LINKD_OK && !known) {
        rc = job_prepare(jobs, j, &spec, &arena, err);
        j = NULL; /* on the list, or dropped */
    }
    job_free(j);
    lk_arena_clear(&arena);
    return rc;
}

/* ---- showing ------------------------------------------------------------- */

static int time_print(lk_buf *buf, const char *name, uint64_t ms,
                      linkd_error *err)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm utc;
    char text[32];

    if (ms == 0)
        return lk_buf_printf(buf, err, ",\"%s\":null", name);
    (void)gmtime_r(&seconds, &utc);
    (void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc);
    return lk_buf_printf(buf, err, ",\"%s\":\"%s\"", name, text);
}

static int progress_print(lk_buf *buf, const job *j, linkd_error *err)
{
    const job_progress *p = &j->progress;
    double seconds = lk_clock_seconds_since(p->begin_ns);
    double rate = seconds > 0.0 && p->done > p->begin_done
                      ? (double)(p->done - p->begin_done) / seconds
                      : 0.0;
    int rc;

    if (p->step[0] == '\0' || job_has_ended(j))
        return lk_buf_printf(buf, err, ",\"progress\":null");
    rc = lk_buf_printf(buf, err,
                       ",\"progress\":{\"step\":\"%s\",\"done\":%" PRIu64
                       ",\"total\":%" PRIu64 ",\"rate\":%.1f",
                       p->step, p->done, p->total, rate);
    if (rc == LINKD_OK && rate > 0.0 && p->total >= p->done)
        rc = lk_buf_printf(buf, err, ",\"seconds_left\":%.1f}",
                           (double)(p->total - p->done) / rate);
    else if (rc == LINKD_OK)
        rc = lk_buf_printf(buf, err, ",\"seconds_left\":null}");
    return rc;
}

static int outcome_print(lk_buf *buf, const job *j, linkd_error *err)
{
    int rc = lk_buf_printf(buf, err, ",\"counts\":");

    if (rc == LINKD_OK && j->counts != NULL)
        rc = lk_json_put_value(buf, j->counts, err);
    else if (rc == LINKD_OK)
        rc = lk_buf_printf(buf, err, "null");
    if (rc == LINKD_OK)
        rc = lk_buf_printf(buf, err, ",\"error\":");
    if (rc == LINKD_OK && j->error != NULL)
        rc = lk_json_put_string(buf, (linkd_str){j->error, strlen(j->error)},
                                err);
    else if (rc == LINKD_OK)
        rc = lk_buf_printf(buf, err, "null");
    return rc == LINKD_OK ? lk_buf_printf(buf, err, "}") : rc;
}

static int job_print(lk_buf *buf, const job *j, linkd_error *err)
{
    int rc = lk_buf_printf(
        buf, err, "{\"job\":%" PRIu64 ",\"kind\":\"%s\",\"state\":\"%s\"",
        j->number, json_string_value(json_object_get(j->request, "kind")),
        state_names[j->state]);

    if (rc == LINKD_OK)
        rc = time_print(buf, "submitted", j->submitted_ms, err);
    if (rc == LINKD_OK)
        rc = time_print(buf, "started", j->started_ms, err);
    if (rc == LINKD_OK)
        rc = time_print(buf, "ended", j->ended_ms, err);
    if (rc == LINKD_OK)
        rc = progress_print(buf, j, err);
    return rc == LINKD_OK ? outcome_print(buf, j, err) : rc;
}

int lk_jobs_print(lk_jobs *jobs, uint64_t number, lk_buf *buf,
                  uint64_t *ret_version, bool *ret_ended, linkd_error *err)
{
    job *j;
    int rc;

    (void)pthread_mutex_lock(&jobs->lock);
    j = job_get(jobs, number, err);
    rc = j == NULL ? LINKD_E_ABSENT : LINKD_OK;
    if (j != NULL) {
        *ret_version = j->version;
        *ret_ended = job_has_ended(j);
        rc = job_print(buf, j, err);
    }
    (void)pthread_mutex_unlock(&jobs->lock);
    return rc;
}

int lk_jobs_print_all(lk_jobs *jobs, lk_buf *buf, linkd_error *err)
{
    const job **all;
    size_t n = 0;
    int rc;

    (void)pthread_mutex_lock(&jobs->lock);
    all = calloc(jobs->n + 1, sizeof(*all));
    for (const job *j = jobs->first; all != NULL && j != NULL; j = j->next)
        if (j->state != STATE_PREPARING)
            all[n++] = j;
    rc = all == NULL ? lk_fail_nomem(err) : lk_buf_append(buf, "[", 1, err);
    for (size_t i = n; i > 0 && rc == LINKD_OK; i--) {
        if (i < n)
            rc = lk_buf_append(buf, ",", 1, err);
        if (rc == LINKD_OK)
            rc = job_print(buf, all[i - 1], err);
    }
    (void)pthread_mutex_unlock(&jobs->lock);
    free(all);
    return rc == LINKD_OK ? lk_buf_append(buf, "]", 1, err) : rc;
}

void lk_jobs_read_stats(lk_jobs *jobs, lk_jobs_stats *ret_stats)
{
    lk_jobs_stats stats = {0};

    (void)pthread_mutex_lock(&jobs->lock);
    for (const job *j = jobs->first; j != NULL; j = j->next) {
        stats.n_queued += j->state == STATE_QUEUED;
        stats.n_running +=
            j->state == STATE_RUNNING || j->state == STATE_CANCELLING;
        stats.n_done += j->state == STATE_DONE;
        stats.n_failed += j->state == STATE_FAILED;
        stats.n_cancelled += j->state == STATE_CANCELLED;
    }
    (void)pthread_mutex_unlock(&jobs->lock);
    *ret_stats = stats;
}

/* ---- ending -------------------------------------------------------------- */

int lk_jobs_cancel(lk_jobs *jobs, uint64_t number, linkd_error *err)
{
    job *j;
    int rc;

    (void)pthread_mutex_lock(&jobs->lock);
    j = job_get(jobs, number, err);
    rc = j == NULL ? LINKD_E_ABSENT : LINKD_OK;
    if (j != NULL && job_has_ended(j)) {
        rc = lk_fail(err, LINKD_E_CONFLICT, "job %" PRIu64 " is %s already",
                     number, state_names[j->state]);
    } else if (j != NULL) {
        bool is_running = j->state != STATE_QUEUED;
        job now = *j;

        now.state = is_running ? STATE_CANCELLING : STATE_CANCELLED;
        now.ended_ms = is_running ? 0 : now_ms();
        j->state = now.state; /* at once: the row follows */
        j->ended_ms = now.ended_ms;
        j->version++;
        (void)pthread_mutex_unlock(&jobs->lock);
        rc = row_store(jobs, &now, err);
        (void)pthread_mutex_lock(&jobs->lock);
    }
    (void)pthread_mutex_unlock(&jobs->lock);
    return rc;
}

int lk_jobs_delete(lk_jobs *jobs, uint64_t number, linkd_error *err)
{
    job *j;
    int rc;

    (void)pthread_mutex_lock(&jobs->lock);
    j = job_get(jobs, number, err);
    rc = j == NULL ? LINKD_E_ABSENT : LINKD_OK;
    if (j != NULL && !job_has_ended(j))
        rc = lk_fail(err, LINKD_E_CONFLICT,
                     "job %" PRIu64 " is %s: cancel it first", number,
                     state_names[j->state]);
    if (j != NULL && rc == LINKD_OK)
        job_unlink(jobs, j);
    (void)pthread_mutex_unlock(&jobs->lock);
    if (rc != LINKD_OK)
        return rc;
    rc = linkd_store_delete_job(jobs->service->store, number, err);
    job_dir_remove(jobs, number);
    job_free(j);
    return rc;
}

int lk_jobs_results_path(lk_jobs *jobs, uint64_t number, lk_buf *ret_path,
                         linkd_error *err)
{
    job *j;
    int rc;

    (void)pthread_mutex_lock(&jobs->lock);
    j = job_get(jobs, number, err);
    rc = j == NULL ? LINKD_E_ABSENT : LINKD_OK;
    if (j != NULL && j->state != STATE_DONE)
        rc = lk_fail(err, LINKD_E_CONFLICT,
                     "job %" PRIu64 " is %s and has no results", number,
                     state_names[j->state]);
    (void)pthread_mutex_unlock(&jobs->lock);
    if (rc == LINKD_OK)
        rc = job_dir(jobs, number, ret_path, err);
    return rc == LINKD_OK ? lk_buf_printf(ret_path, err, "/results.csv") : rc;
}

/* ---- starting and stopping ----------------------------------------------- */

/* After a crash: who was never told of a job does not miss it, and who waits
 * for one finds it again. */
static int job_revive(lk_jobs *jobs, job *j, linkd_error *err)
{
    if (j->state == STATE_PREPARING) {
        int rc = linkd_store_delete_job(jobs->service->store, j->number, err);

        job_free(j);
        return rc;
    }
    if (j->state == STATE_RUNNING)
        j->state = STATE_QUEUED;
    if (j->state == STATE_CANCELLING) {
        j->state = STATE_CANCELLED;
        j->ended_ms = now_ms();
    }
    job_insert(jobs, j);
    return LINKD_OK;
}

static int jobs_load(lk_jobs *jobs, linkd_error *err)
{
    uint64_t number = 0;
    bool found = true;
    int rc = LINKD_OK;

    while (rc == LINKD_OK) {
        lk_arena arena = {0};
        linkd_str row;
        job *j = NULL;

        rc = linkd_store_next_job(jobs->service->store, number, &arena, &number,
                                  &row, &found, err);
        if (rc == LINKD_OK && found)
            rc = row_read(row, &j, err);
        if (rc == LINKD_OK && found) {
            j->number = number++;
            rc = job_revive(jobs, j, err);
        }
        lk_arena_clear(&arena);
        if (!found)
            break;
    }
    if (rc == LINKD_OK)
        strays_remove(jobs);
    return rc;
}

int lk_jobs_new(lk_service *service, lk_jobs **ret_jobs, linkd_error *err)
{
    lk_jobs *jobs = calloc(1, sizeof(*jobs));
    lk_buf dir = {0};
    int rc;

    if (jobs == NULL)
        return lk_fail_nomem(err);
    jobs->service = service;
    (void)pthread_mutex_init(&jobs->lock, NULL);
    (void)pthread_cond_init(&jobs->work, NULL);
    rc = lk_buf_printf(&dir, err, "%s/jobs", service->config->data);
    jobs->dir = dir.data;
    if (rc == LINKD_OK && mkdir(jobs->dir, 0700) != 0 && errno != EEXIST)
        rc = lk_fail(err, LINKD_E_IO, "could not make the directory %s: %s",
                     lk_label_of_path(jobs->dir).text, strerror(errno));
    if (rc == LINKD_OK)
        rc = jobs_load(jobs, err);
    if (rc == LINKD_OK &&
        pthread_create(&jobs->thread, NULL, jobs_main, jobs) != 0)
        rc = lk_fail_nomem(err);
    if (rc == LINKD_OK) {
        jobs->has_thread = true;
        *ret_jobs = jobs;
    } else {
        lk_jobs_free(jobs);
    }
    return rc;
}

void lk_jobs_free(lk_jobs *jobs)
{
    if (jobs == NULL)
        return;
    if (jobs->has_thread) {
        (void)pthread_mutex_lock(&jobs->lock);
        jobs->stopping = true;
        (void)pthread_cond_signal(&jobs->work);
        (void)pthread_mutex_unlock(&jobs->lock);
        (void)pthread_join(jobs->thread, NULL);
    }
    while (jobs->first != NULL) {
        job *j = jobs->first;

        jobs->first = j->next;
        job_free(j);
    }
    (void)pthread_cond_destroy(&jobs->work);
    (void)pthread_mutex_destroy(&jobs->lock);
    free(jobs->dir);
    free(jobs);
}
