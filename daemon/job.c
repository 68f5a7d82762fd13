/* daemon/job.c — one job: its state, its row and what a client sees of it.
 *
 * The row is a JSON object, since a job is little beside what it does:
 *   {"request": {…}, "dir": "5f…", "vectors": {"model": …, "fingerprint": …,
 *    "dim": 384}, "state": "queued", "submitted": ms, "started": ms,
 *    "ended": ms, "counts": null, "verdict": null, "error": null} */
#include "daemon/job.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* How often progress is worth a new line to whoever watches. */
#define TELL_SECONDS 0.2

static const char *const state_names[] = {
    [LK_JOB_QUEUED] = "queued",         [LK_JOB_RUNNING] = "running",
    [LK_JOB_CANCELLING] = "cancelling", [LK_JOB_DONE] = "done",
    [LK_JOB_FAILED] = "failed",         [LK_JOB_CANCELLED] = "cancelled",
};
#define N_STATES (sizeof(state_names) / sizeof(state_names[0]))

const char *lk_job_state_name(lk_job_state state)
{
    return state_names[state];
}

bool lk_job_has_ended(const lk_job *job)
{
    return job->state >= LK_JOB_DONE;
}

static const char *member_of(const lk_job *job, const char *name)
{
    const char *text = json_string_value(json_object_get(job->request, name));

    return text != NULL ? text : "";
}

bool lk_job_is_backfill(const lk_job *job)
{
    return strcmp(member_of(job, "kind"),
                  lk_job_kind_name(LK_JOB_UPGRADE_BACKFILL)) == 0;
}

bool lk_job_shares(const lk_job *job, const lk_job *other)
{
    const char *collection = member_of(job, "collection");

    return collection[0] != '\0' &&
           strcmp(collection, member_of(other, "collection")) == 0;
}

uint64_t lk_job_now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int lk_job_new(json_t *request, const char *dir, const lk_job_vectors *vectors,
               lk_job **ret_job, linkd_error *err)
{
    lk_job *job = calloc(1, sizeof(*job));

    if (job == NULL)
        return lk_fail_nomem(err);
    job->request = json_incref(request);
    job->dir = strdup(dir);
    job->vectors =
        json_pack("{s:s%, s:s%, s:I}", "model", vectors->model.bytes,
                  vectors->model.len, "fingerprint", vectors->fingerprint.bytes,
                  vectors->fingerprint.len, "dim", (json_int_t)vectors->dim);
    job->submitted_ms = lk_job_now_ms();
    if (job->dir == NULL || job->vectors == NULL) {
        lk_job_free(job);
        return lk_fail_nomem(err);
    }
    *ret_job = job;
    return LINKD_OK;
}

void lk_job_free(lk_job *job)
{
    if (job == NULL)
        return;
    json_decref(job->request);
    json_decref(job->vectors);
    json_decref(job->counts);
    json_decref(job->verdict);
    free(job->dir);
    free(job->error);
    free(job);
}

static linkd_str string_member(const json_t *json, const char *name)
{
    const json_t *value = json_object_get(json, name);

    if (!json_is_string(value))
        return (linkd_str){"", 0};
    return (linkd_str){json_string_value(value), json_string_length(value)};
}

static uint64_t number_member(const json_t *json, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(json, name));
}

lk_job_vectors lk_job_vectors_of(const lk_job *job)
{
    return (lk_job_vectors){.model = string_member(job->vectors, "model"),
                            .fingerprint =
                                string_member(job->vectors, "fingerprint"),
                            .dim = (size_t)number_member(job->vectors, "dim")};
}

bool lk_job_advance(lk_job *job, const char *step, uint64_t done,
                    uint64_t total)
{
    lk_job_progress *p = &job->progress;
    uint64_t now = lk_clock_ns();

    if (strncmp(p->step, step, sizeof(p->step) - 1) != 0) {
        *p = (lk_job_progress){.begin_ns = now, .begin_done = done};
        (void)strncat(p->step, step, sizeof(p->step) - 1);
    }
    p->done = done;
    p->total = total;
    if (p->told_ns != 0 && done != total &&
        (double)(now - p->told_ns) < TELL_SECONDS * 1e9)
        return false;
    p->told_ns = now;
    return true;
}

/* ---- the row ------------------------------------------------------------- */

int lk_job_encode(const lk_job *job, lk_buf *row, linkd_error *err)
{
    json_t *json = json_pack(
        "{s:O, s:s, s:O, s:s, s:I, s:I, s:I, s:O?, s:O?, s:s?}", "request",
        job->request, "dir", job->dir, "vectors", job->vectors, "state",
        state_names[job->state], "submitted", (json_int_t)job->submitted_ms,
        "started", (json_int_t)job->started_ms, "ended",
        (json_int_t)job->ended_ms, "counts", job->counts, "verdict",
        job->verdict, "error", job->error);
    int rc;

    if (json == NULL)
        return lk_fail_nomem(err);
    rc = lk_json_put_value(row, json, err);
    json_decref(json);
    return rc;
}

static int state_decode(linkd_str name, lk_job_state *ret_state,
                        linkd_error *err)
{
    for (size_t i = 0; i < N_STATES; i++) {
        if (strcmp(name.bytes, state_names[i]) == 0) {
            *ret_state = (lk_job_state)i;
            return LINKD_OK;
        }
    }
    return lk_fail(err, LINKD_E_DATA, "the row of a job has no state");
}

/* Directories are made with such names only: a row leads to no other place. */
static bool is_dir_name(linkd_str name)
{
    return name.len > 0 && strspn(name.bytes, "0123456789abcdef") == name.len;
}

static int job_fill(lk_job *job, const json_t *json, linkd_error *err)
{
    linkd_str dir = string_member(json, "dir");
    linkd_str error = string_member(json, "error");

    job->request = json_incref(json_object_get(json, "request"));
    job->vectors = json_incref(json_object_get(json, "vectors"));
    if (!json_is_object(job->request) || !json_is_object(job->vectors) ||
        !is_dir_name(dir))
        return lk_fail(err, LINKD_E_DATA, "the row of a job is not one");
    if (json_is_object(json_object_get(json, "counts")))
        job->counts = json_incref(json_object_get(json, "counts"));
    if (json_is_object(json_object_get(json, "verdict")))
        job->verdict = json_incref(json_object_get(json, "verdict"));
    job->submitted_ms = number_member(json, "submitted");
    job->started_ms = number_member(json, "started");
    job->ended_ms = number_member(json, "ended");
    job->dir = strdup(dir.bytes);
    if (error.len > 0)
        job->error = strdup(error.bytes);
    if (job->dir == NULL || (error.len > 0 && job->error == NULL))
        return lk_fail_nomem(err);
    return state_decode(string_member(json, "state"), &job->state, err);
}

int lk_job_decode(linkd_str row, lk_job **ret_job, linkd_error *err)
{
    lk_job *job = NULL;
    json_t *json = NULL;
    int rc = lk_json_parse(row, &json, err);

    if (rc == LINKD_OK) {
        job = calloc(1, sizeof(*job));
        rc = job == NULL ? lk_fail_nomem(err) : job_fill(job, json, err);
    }
    json_decref(json);
    if (rc == LINKD_OK)
        *ret_job = job;
    else
        lk_job_free(job);
    return rc;
}

/* ---- the object ---------------------------------------------------------- */

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

static int progress_print(const lk_job *job, lk_buf *buf, linkd_error *err)
{
    const lk_job_progress *p = &job->progress;
    double seconds = lk_clock_seconds_since(p->begin_ns);
    double rate = seconds > 0.0 && p->done > p->begin_done
                      ? (double)(p->done - p->begin_done) / seconds
                      : 0.0;
    int rc;

    if (p->step[0] == '\0' || lk_job_has_ended(job))
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

static int member_print(lk_buf *buf, const char *name, const json_t *value,
                        linkd_error *err)
{
    int rc = lk_buf_printf(buf, err, ",\"%s\":", name);

    if (rc != LINKD_OK)
        return rc;
    if (value == NULL)
        return lk_buf_printf(buf, err, "null");
    return lk_json_put_value(buf, value, err);
}

static int outcome_print(const lk_job *job, lk_buf *buf, linkd_error *err)
{
    int rc = member_print(buf, "counts", job->counts, err);

    if (rc == LINKD_OK)
        rc = member_print(buf, "verdict", job->verdict, err);
    if (rc == LINKD_OK)
        rc = lk_buf_printf(buf, err, ",\"error\":");
    if (rc == LINKD_OK && job->error != NULL)
        rc = lk_json_put_string(
            buf, (linkd_str){job->error, strlen(job->error)}, err);
    else if (rc == LINKD_OK)
        rc = lk_buf_printf(buf, err, "null");
    return rc == LINKD_OK ? lk_buf_printf(buf, err, "}") : rc;
}

int lk_job_print(const lk_job *job, lk_buf *buf, linkd_error *err)
{
    int rc = lk_buf_printf(
        buf, err, "{\"job\":%" PRIu64 ",\"kind\":\"%s\",\"state\":\"%s\"",
        job->number, string_member(job->request, "kind").bytes,
        state_names[job->state]);

    if (rc == LINKD_OK)
        rc = time_print(buf, "submitted", job->submitted_ms, err);
    if (rc == LINKD_OK)
        rc = time_print(buf, "started", job->started_ms, err);
    if (rc == LINKD_OK)
        rc = time_print(buf, "ended", job->ended_ms, err);
    if (rc == LINKD_OK)
        rc = progress_print(job, buf, err);
    return rc == LINKD_OK ? outcome_print(job, buf, err) : rc;
}
