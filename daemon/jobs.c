/* daemon/jobs.c — the jobs that there are, and the two threads that run them.
 *
 * All of them are in memory, by number; the store has a row of each, rewritten
 * at every change of state (not of progress).
 *
 *   change_lock   whoever changes a state, or adds or removes a job, holds it
 *                 from looking at the state until row and memory say the new
 *                 one: rows of one job never overtake each other
 *   lock          the list and every job in it; held shortly, never while a row
 *                 is written. Taken after change_lock.
 *
 * Invariant: the row is on disk before the list in memory changes, so that
 * what a client was told is what is found after a crash. The one exception is
 * a run's begin and end on a full disk: memory goes on, and after a restart
 * the job runs again.
 *
 * The request, vectors and directory of a job never change. Nobody deletes a
 * job that has not ended, so a thread reads its own one without a lock. */
#include "daemon/jobs.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/data_dir.h"
#include "daemon/job.h"
#include "daemon/job_run.h"

/* A thread, and what it runs. */
typedef struct lane {
    lk_jobs *jobs;
    pthread_t thread;
    bool has_thread;
    bool backfills; /* these and no others, or all others */
} lane;
#define N_LANES ((size_t)2)

struct lk_jobs {
    lk_service *service;
    char *dir; /* <data>/jobs */
    lane lanes[N_LANES];
    pthread_mutex_t change_lock;
    pthread_mutex_t lock; /* guards: all below */
    pthread_cond_t work;
    lk_job *first;
    size_t n;
    bool stopping;
};

/* ---- the list, with `lock` ----------------------------------------------- */

static lk_job *job_find(lk_jobs *jobs, uint64_t number)
{
    lk_job *job = jobs->first;

    while (job != NULL && job->number != number)
        job = job->next;
    return job;
}

/* NULL: LINKD_E_ABSENT. */
static lk_job *job_get(lk_jobs *jobs, uint64_t number, linkd_error *err)
{
    lk_job *job = job_find(jobs, number);

    if (job == NULL)
        (void)lk_fail(err, LINKD_E_ABSENT, "there is no job %" PRIu64, number);
    return job;
}

static void job_insert(lk_jobs *jobs, lk_job *job)
{
    lk_job **at = &jobs->first;

    while (*at != NULL && (*at)->number < job->number)
        at = &(*at)->next;
    job->next = *at;
    *at = job;
    jobs->n++;
}

static void job_unlink(lk_jobs *jobs, const lk_job *job)
{
    lk_job **at = &jobs->first;

    while (*at != job)
        at = &(*at)->next;
    *at = job->next;
    jobs->n--;
}

/* Whether one that came before has to end first. */
static bool job_has_turn(const lk_jobs *jobs, const lk_job *job)
{
    const lk_job *other = jobs->first;

    while (other != job &&
           (lk_job_has_ended(other) || !lk_job_shares(job, other)))
        other = other->next;
    return other == job;
}

static lk_job *queued_find(const lane *l)
{
    lk_job *job = l->jobs->first;

    while (job != NULL && (job->state != LK_JOB_QUEUED ||
                           lk_job_is_backfill(job) != l->backfills ||
                           !job_has_turn(l->jobs, job)))
        job = job->next;
    return job;
}

/* ---- changing a state, with `change_lock` -------------------------------- */

static int row_store(lk_jobs *jobs, const lk_job *job, linkd_error *err)
{
    uint64_t number = job->number;
    lk_buf row = {0};
    int rc = lk_job_encode(job, &row, err);

    if (rc == LINKD_OK)
        rc = linkd_store_put_job(jobs->service->store, &number,
                                 (linkd_str){row.data, row.len}, NULL, err);
    lk_buf_clear(&row);
    return rc;
}

/* Lets everybody see what `now`, a changed copy, says; takes what it holds. */
static void job_show(lk_jobs *jobs, lk_job *job, const lk_job *now)
{
    (void)pthread_mutex_lock(&jobs->lock);
    job->state = now->state;
    job->started_ms = now->started_ms;
    job->ended_ms = now->ended_ms;
    job->counts = now->counts;
    job->verdict = now->verdict;
    job->error = now->error;
    job->version++;
    (void)pthread_cond_broadcast(&jobs->work); /* another one's turn, perhaps */
    (void)pthread_mutex_unlock(&jobs->lock);
}

/* For a thread, which cannot wait for a disk that has room again. */
static void job_become(lk_jobs *jobs, lk_job *job, const lk_job *now)
{
    linkd_error err;

    if (row_store(jobs, now, &err) != LINKD_OK)
        lk_log(LK_LOG_ERROR, "job %" PRIu64 ": %s", job->number, err.message);
    job_show(jobs, job, now);
}

/* ---- directories --------------------------------------------------------- */

#define RESULTS "results.csv"

static int job_dir(const lk_jobs *jobs, const char *name, lk_buf *ret_path,
                   linkd_error *err)
{
    lk_buf_reset(ret_path);
    return lk_buf_printf(ret_path, err, "%s/%s", jobs->dir, name);
}

/* Removes the files of a directory but `kept`, then the directory if nothing
 * was kept. What cannot be removed is found again at the next start. */
static void dir_remove(const char *path, const char *kept)
{
    DIR *dir = opendir(path);
    const struct dirent *item;

    if (dir == NULL)
        return;
    while ((item = readdir(dir)) != NULL) {
        if (item->d_name[0] != '.' &&
            (kept == NULL || strcmp(item->d_name, kept) != 0))
            (void)unlinkat(dirfd(dir), item->d_name, 0);
    }
    (void)closedir(dir);
    if (kept == NULL)
        (void)rmdir(path);
}

/* An ended job keeps its results: its inputs may be large. */
static void job_dir_clear(const lk_jobs *jobs, const char *name,
                          const char *kept)
{
    lk_buf path = {0};

    if (job_dir(jobs, name, &path, NULL) == LINKD_OK)
        dir_remove(path.data, kept);
    lk_buf_clear(&path);
}

static bool dir_is_used(const lk_jobs *jobs, const char *name)
{
    const lk_job *job = jobs->first;

    while (job != NULL && strcmp(job->dir, name) != 0)
        job = job->next;
    return job != NULL;
}

/* Removes directories that no job names: of one that was being submitted. */
static void strays_remove(lk_jobs *jobs)
{
    DIR *dir = opendir(jobs->dir);
    const struct dirent *item;

    while (dir != NULL && (item = readdir(dir)) != NULL) {
        if (item->d_name[0] != '.' && !dir_is_used(jobs, item->d_name))
            job_dir_clear(jobs, item->d_name, NULL);
    }
    if (dir != NULL)
        (void)closedir(dir);
}

/* ---- running ------------------------------------------------------------- */

typedef struct running {
    lk_jobs *jobs;
    lk_job *job;
} running;

static bool running_is_over(void *ctx)
{
    const running *r = ctx;
    bool over;

    (void)pthread_mutex_lock(&r->jobs->lock);
    over = r->jobs->stopping || r->job->state == LK_JOB_CANCELLING;
    (void)pthread_mutex_unlock(&r->jobs->lock);
    return over;
}

static int running_report(void *ctx, const char *step, uint64_t done,
                          uint64_t total)
{
    running *r = ctx;

    (void)pthread_mutex_lock(&r->jobs->lock);
    if (lk_job_advance(r->job, step, done, total))
        r->job->version++;
    (void)pthread_mutex_unlock(&r->jobs->lock);
    return running_is_over(r);
}

static int job_do(running *r, lk_job_outcome *ret_outcome, linkd_error *err)
{
    lk_job_vectors vectors = lk_job_vectors_of(r->job);
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
        rc = job_dir(r->jobs, r->job->dir, &dir, err);
    run.dir = dir.data;
    if (rc == LINKD_OK)
        rc = lk_job_do(&run, ret_outcome, err);
    lk_buf_clear(&dir);
    lk_arena_clear(&arena);
    return rc;
}

/* What a run that returned `rc` makes of the job. */
static void job_end(lk_jobs *jobs, lk_job *job, int rc,
                    const lk_job_outcome *outcome, const linkd_error *why)
{
    lk_job now = *job; /* whoever writes to it now has the change_lock: we */

    now.ended_ms = lk_job_now_ms();
    if (rc == LINKD_OK) {
        now.state = LK_JOB_DONE;
        now.counts = json_incref(outcome->counts);
        now.verdict = json_incref(outcome->verdict);
    } else if (rc == LINKD_E_CANCELLED && now.state == LK_JOB_CANCELLING) {
        now.state = LK_JOB_CANCELLED;
    } else if (rc == LINKD_E_CANCELLED) {
        return; /* the daemon stops: the row says "running", and it will */
    } else {
        now.state = LK_JOB_FAILED;
        now.error = strdup(why->message);
        lk_log(LK_LOG_ERROR, "job %" PRIu64 " failed: %s", now.number,
               why->message);
    }
    job_become(jobs, job, &now);
    job_dir_clear(jobs, job->dir, now.state == LK_JOB_DONE ? RESULTS : NULL);
}

static void job_run(lk_jobs *jobs, lk_job *job)
{
    running r = {.jobs = jobs, .job = job};
    linkd_error err = {0};
    lk_job_outcome outcome = {NULL, NULL};
    int rc = job_do(&r, &outcome, &err);

    (void)pthread_mutex_lock(&jobs->change_lock);
    job_end(jobs, job, rc, &outcome, &err);
    (void)pthread_mutex_unlock(&jobs->change_lock);
    json_decref(outcome.counts);
    json_decref(outcome.verdict);
}

/* The next queued job, running from now on. NULL: it was cancelled since. */
static lk_job *job_take(const lane *l)
{
    lk_jobs *jobs = l->jobs;
    lk_job *job;

    (void)pthread_mutex_lock(&jobs->change_lock);
    (void)pthread_mutex_lock(&jobs->lock);
    job = queued_find(l);
    (void)pthread_mutex_unlock(&jobs->lock);
    if (job != NULL) {
        lk_job now = *job;

        now.state = LK_JOB_RUNNING;
        if (now.started_ms == 0)
            now.started_ms = lk_job_now_ms();
        job_become(jobs, job, &now);
    }
    (void)pthread_mutex_unlock(&jobs->change_lock);
    return job;
}

/* False: the daemon stops. */
static bool work_wait(const lane *l)
{
    lk_jobs *jobs = l->jobs;
    bool stopping;

    (void)pthread_mutex_lock(&jobs->lock);
    while (!jobs->stopping && queued_find(l) == NULL)
        (void)pthread_cond_wait(&jobs->work, &jobs->lock);
    stopping = jobs->stopping;
    (void)pthread_mutex_unlock(&jobs->lock);
    return !stopping;
}

static void *lane_main(void *arg)
{
    const lane *l = arg;

    while (work_wait(l)) {
        lk_job *job = job_take(l);

        if (job != NULL)
            job_run(l->jobs, job);
    }
    return NULL;
}

/* ---- submitting ---------------------------------------------------------- */

static int dir_fail(linkd_error *err)
{
    int code = lk_errno_code(errno);

    return lk_fail(err, code, "could not make the job's directory: %s",
                   strerror(errno));
}

/* Inputs in a directory of a new name, and the job that names it. What is left
 * of it by a crash belongs to no job. */
static int job_prepare(lk_jobs *jobs, json_t *request, lk_job **ret_job,
                       linkd_error *err)
{
    lk_job_vectors vectors = {{"", 0}, {"", 0}, 0};
    char name[17];
    char *path = NULL;
    uint64_t random;
    lk_arena arena = {0};
    lk_job_spec spec;
    int rc = lk_job_spec_read(request, &arena, &spec, err);

    if (rc == LINKD_OK && getrandom(&random, sizeof(random), 0) < 0)
        rc = dir_fail(err);
    if (rc == LINKD_OK) {
        (void)snprintf(name, sizeof(name), "%016" PRIx64, random);
        rc = lk_data_dir_make(jobs->dir, name, &path, err);
    }
    if (rc == LINKD_OK)
        rc = lk_job_inputs_save(jobs->service, &spec, path, &arena, &vectors,
                                err);
    if (rc == LINKD_OK)
        rc = lk_job_new(request, name, &vectors, ret_job, err);
    if (rc != LINKD_OK && path != NULL)
        dir_remove(path, NULL);
    free(path);
    lk_arena_clear(&arena);
    return rc;
}

/* Writes the first row and adds the job to the list, with change_lock. */
static int job_enter(lk_jobs *jobs, lk_job *job, const linkd_once *once,
                     linkd_error *err)
{
    lk_buf row = {0};
    int rc = lk_job_encode(job, &row, err);

    if (rc == LINKD_OK)
        rc = linkd_store_put_job(jobs->service->store, &job->number,
                                 (linkd_str){row.data, row.len}, once, err);
    lk_buf_clear(&row);
    if (rc != LINKD_OK)
        return rc;
    (void)pthread_mutex_lock(&jobs->lock);
    job_insert(jobs, job);
    (void)pthread_cond_broadcast(&jobs->work);
    (void)pthread_mutex_unlock(&jobs->lock);
    return LINKD_OK;
}

static int room_check(lk_jobs *jobs, linkd_error *err)
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
                   uint64_t *ret_number, bool *ret_replayed, linkd_error *err)
{
    linkd_store *store = jobs->service->store;
    lk_job *job = NULL;
    bool found = false;
    int rc = linkd_store_find_job(store, once, ret_number, &found, err);

    *ret_replayed = found;
    if (rc == LINKD_OK && !found)
        rc = room_check(jobs, err);
    if (rc == LINKD_OK && !found)
        rc = job_prepare(jobs, request, &job, err);
    if (rc != LINKD_OK || found)
        return rc;
    (void)pthread_mutex_lock(&jobs->change_lock);
    /* the same request may have been quicker */
    rc = linkd_store_find_job(store, once, ret_number, &found, err);
    if (rc == LINKD_OK && !found)
        rc = job_enter(jobs, job, once, err);
    if (rc == LINKD_OK && !found)
        *ret_number = job->number;
    (void)pthread_mutex_unlock(&jobs->change_lock);
    if (rc != LINKD_OK || found) {
        job_dir_clear(jobs, job->dir, NULL);
        lk_job_free(job);
    }
    *ret_replayed = found;
    return rc;
}

/* ---- showing ------------------------------------------------------------- */

int lk_jobs_print(lk_jobs *jobs, uint64_t number, lk_buf *buf,
                  uint64_t *ret_version, bool *ret_ended, linkd_error *err)
{
    lk_job *job;
    int rc;

    (void)pthread_mutex_lock(&jobs->lock);
    job = job_get(jobs, number, err);
    rc = job == NULL ? LINKD_E_ABSENT : LINKD_OK;
    if (job != NULL) {
        *ret_version = job->version;
        *ret_ended = lk_job_has_ended(job);
        rc = lk_job_print(job, buf, err);
    }
    (void)pthread_mutex_unlock(&jobs->lock);
    return rc;
}

int lk_jobs_print_all(lk_jobs *jobs, lk_buf *buf, linkd_error *err)
{
    const lk_job **all;
    size_t n = 0;
    int rc;

    (void)pthread_mutex_lock(&jobs->lock);
    all = calloc(jobs->n + 1, sizeof(*all));
    for (const lk_job *job = jobs->first; all != NULL && job != NULL;
         job = job->next)
        all[n++] = job;
    rc = all == NULL ? lk_fail_nomem(err) : lk_buf_append(buf, "[", 1, err);
    for (size_t i = n; i > 0 && rc == LINKD_OK; i--) {
        if (i < n)
            rc = lk_buf_append(buf, ",", 1, err);
        if (rc == LINKD_OK)
            rc = lk_job_print(all[i - 1], buf, err);
    }
    (void)pthread_mutex_unlock(&jobs->lock);
    free(all);
    return rc == LINKD_OK ? lk_buf_append(buf, "]", 1, err) : rc;
}

void lk_jobs_read_stats(lk_jobs *jobs, lk_jobs_stats *ret_stats)
{
    lk_jobs_stats stats = {0};

    (void)pthread_mutex_lock(&jobs->lock);
    for (const lk_job *job = jobs->first; job != NULL; job = job->next) {
        stats.n_queued += job->state == LK_JOB_QUEUED;
        stats.n_running +=
            job->state == LK_JOB_RUNNING || job->state == LK_JOB_CANCELLING;
        stats.n_done += job->state == LK_JOB_DONE;
        stats.n_failed += job->state == LK_JOB_FAILED;
        stats.n_cancelled += job->state == LK_JOB_CANCELLED;
    }
    (void)pthread_mutex_unlock(&jobs->lock);
    *ret_stats = stats;
}

int lk_jobs_results_path(lk_jobs *jobs, uint64_t number, lk_buf *ret_path,
                         linkd_error *err)
{
    const lk_job *job;
    int rc;

    (void)pthread_mutex_lock(&jobs->lock);
    job = job_get(jobs, number, err);
    rc = job == NULL ? LINKD_E_ABSENT : LINKD_OK;
    if (job != NULL && job->state != LK_JOB_DONE)
        rc = lk_fail(err, LINKD_E_CONFLICT,
                     "job %" PRIu64 " is %s and has no results", number,
                     lk_job_state_name(job->state));
    if (rc == LINKD_OK)
        rc = job_dir(jobs, job->dir, ret_path, err);
    (void)pthread_mutex_unlock(&jobs->lock);
    return rc == LINKD_OK ? lk_buf_printf(ret_path, err, "/" RESULTS) : rc;
}

/* ---- ending -------------------------------------------------------------- */

/* A job for whoever has the change_lock: its state stays until that is let go
 * of. Progress may go on, so *ret_now is a copy. NULL: LINKD_E_ABSENT. */
static lk_job *job_hold(lk_jobs *jobs, uint64_t number, lk_job *ret_now,
                        linkd_error *err)
{
    lk_job *job;

    (void)pthread_mutex_lock(&jobs->lock);
    job = job_get(jobs, number, err);
    if (job != NULL)
        *ret_now = *job;
    (void)pthread_mutex_unlock(&jobs->lock);
    return job;
}

static int job_cancel(lk_jobs *jobs, lk_job *job, lk_job now, linkd_error *err)
{
    int rc;

    if (lk_job_has_ended(job))
        return lk_fail(err, LINKD_E_CONFLICT, "job %" PRIu64 " is %s already",
                       job->number, lk_job_state_name(job->state));
    now.state =
        now.state == LK_JOB_QUEUED ? LK_JOB_CANCELLED : LK_JOB_CANCELLING;
    if (now.state == LK_JOB_CANCELLED)
        now.ended_ms = lk_job_now_ms();
    rc = row_store(jobs, &now, err);
    if (rc != LINKD_OK)
        return rc;
    job_show(jobs, job, &now);
    if (now.state == LK_JOB_CANCELLED)
        job_dir_clear(jobs, job->dir, NULL);
    return LINKD_OK;
}

int lk_jobs_cancel(lk_jobs *jobs, uint64_t number, linkd_error *err)
{
    lk_job *job;
    lk_job now;
    int rc;

    (void)pthread_mutex_lock(&jobs->change_lock);
    job = job_hold(jobs, number, &now, err);
    rc = job == NULL ? LINKD_E_ABSENT : job_cancel(jobs, job, now, err);
    (void)pthread_mutex_unlock(&jobs->change_lock);
    return rc;
}

static int job_delete(lk_jobs *jobs, lk_job *job, linkd_error *err)
{
    int rc;

    if (!lk_job_has_ended(job))
        return lk_fail(err, LINKD_E_CONFLICT,
                       "job %" PRIu64 " is %s: cancel it first", job->number,
                       lk_job_state_name(job->state));
    rc = linkd_store_delete_job(jobs->service->store, job->number, err);
    if (rc != LINKD_OK)
        return rc;
    (void)pthread_mutex_lock(&jobs->lock);
    job_unlink(jobs, job);
    (void)pthread_mutex_unlock(&jobs->lock);
    job_dir_clear(jobs, job->dir, NULL);
    lk_job_free(job);
    return LINKD_OK;
}

int lk_jobs_delete(lk_jobs *jobs, uint64_t number, linkd_error *err)
{
    lk_job *job;
    lk_job now;
    int rc;

    (void)pthread_mutex_lock(&jobs->change_lock);
    job = job_hold(jobs, number, &now, err);
    rc = job == NULL ? LINKD_E_ABSENT : job_delete(jobs, job, err);
    (void)pthread_mutex_unlock(&jobs->change_lock);
    return rc;
}

/* ---- starting and stopping ----------------------------------------------- */

/* What the state of a job is after a restart. */
static int job_revive(lk_jobs *jobs, lk_job *job, linkd_error *err)
{
    int rc = LINKD_OK;

    if (job->state == LK_JOB_RUNNING)
        job->state = LK_JOB_QUEUED;
    if (job->state == LK_JOB_CANCELLING) {
        job->state = LK_JOB_CANCELLED;
        job->ended_ms = lk_job_now_ms();
        rc = row_store(jobs, job, err);
    }
    if (lk_job_has_ended(job)) /* the crash may have come before this */
        job_dir_clear(jobs, job->dir,
                      job->state == LK_JOB_DONE ? RESULTS : NULL);
    return rc;
}

static int jobs_load(lk_jobs *jobs, linkd_error *err)
{
    uint64_t number = 0;
    bool found = true;
    int rc = LINKD_OK;

    while (rc == LINKD_OK) {
        lk_arena arena = {0};
        linkd_str row;
        lk_job *job = NULL;

        rc = linkd_store_next_job(jobs->service->store, number, &arena, &number,
                                  &row, &found, err);
        if (rc == LINKD_OK && found)
            rc = lk_job_decode(row, &job, err);
        lk_arena_clear(&arena);
        if (job == NULL)
            break;
        job->number = number++;
        job_insert(jobs, job);
        rc = job_revive(jobs, job, err);
    }
    if (rc == LINKD_OK)
        strays_remove(jobs);
    return rc;
}

static int lane_start(lk_jobs *jobs, lane *l, bool backfills, linkd_error *err)
{
    l->jobs = jobs;
    l->backfills = backfills;
    if (pthread_create(&l->thread, NULL, lane_main, l) != 0)
        return lk_fail_nomem(err);
    l->has_thread = true;
    return LINKD_OK;
}

int lk_jobs_new(lk_service *service, lk_jobs **ret_jobs, linkd_error *err)
{
    lk_jobs *jobs = calloc(1, sizeof(*jobs));
    int rc;

    if (jobs == NULL)
        return lk_fail_nomem(err);
    jobs->service = service;
    (void)pthread_mutex_init(&jobs->change_lock, NULL);
    (void)pthread_mutex_init(&jobs->lock, NULL);
    (void)pthread_cond_init(&jobs->work, NULL);
    rc = lk_data_dir_make(service->config->data, "jobs", &jobs->dir, err);
    if (rc == LINKD_OK)
        rc = jobs_load(jobs, err);
    for (size_t i = 0; i < N_LANES && rc == LINKD_OK; i++)
        rc = lane_start(jobs, &jobs->lanes[i], i > 0, err);
    if (rc == LINKD_OK)
        *ret_jobs = jobs;
    else
        lk_jobs_free(jobs);
    return rc;
}

void lk_jobs_free(lk_jobs *jobs)
{
    if (jobs == NULL)
        return;
    (void)pthread_mutex_lock(&jobs->lock);
    jobs->stopping = true;
    (void)pthread_cond_broadcast(&jobs->work);
    (void)pthread_mutex_unlock(&jobs->lock);
    for (size_t i = 0; i < N_LANES; i++)
        if (jobs->lanes[i].has_thread)
            (void)pthread_join(jobs->lanes[i].thread, NULL);
    while (jobs->first != NULL) {
        lk_job *job = jobs->first;

        jobs->first = job->next;
        lk_job_free(job);
    }
    (void)pthread_cond_destroy(&jobs->work);
    (void)pthread_mutex_destroy(&jobs->lock);
    (void)pthread_mutex_destroy(&jobs->change_lock);
    free(jobs->dir);
    free(jobs);
}
