/* cli/job.c — work that linkd does while linkctl waits.
 *
 * The job is asked for its state now and then, rather than its stream of events
 * being read: a sleep ends when Ctrl-C is pressed, a read in libcurl does not,
 * and linkd may be restarted meanwhile without the wait being over. The pause
 * grows from the time of a small job to what the eye takes for continuous. */
#include "cli/job.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>
#include <time.h>

#include "cli/interrupt.h"

#define PAUSE_MIN_NS  5000000L
#define PAUSE_MAX_NS  200000000L
#define GONE_MAX      150 /* pauses without linkd, 30 s: guess */
#define PATH_MAX_SIZE 64

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text != NULL ? text : "";
}

uint64_t lk_job_number(const json_t *job)
{
    return (uint64_t)json_integer_value(json_object_get(job, "job"));
}

uint64_t lk_job_count(const json_t *job, const char *name)
{
    const json_t *counts = json_object_get(job, "counts");

    return (uint64_t)json_integer_value(json_object_get(counts, name));
}

static linkd_assign assign_of(const char *word)
{
    size_t i = 0;

    while (lk_assign_words[i] != NULL && strcmp(lk_assign_words[i], word) != 0)
        i++;
    return lk_assign_words[i] != NULL ? (linkd_assign)i
                                      : LINKD_ASSIGN_MANY_TO_MANY;
}

static double real_of(const json_t *object, const char *name)
{
    return json_number_value(json_object_get(object, name));
}

bool lk_job_verdict(const json_t *job, linkd_verdict *ret_verdict,
                    double *ret_threshold)
{
    const json_t *json = json_object_get(job, "verdict");
    linkd_verdict v = {.assign = assign_of(text_of(json, "assign")),
                       .precision = real_of(json, "precision"),
                       .recall = real_of(json, "recall"),
                       .f1 = real_of(json, "f1"),
                       .n_matches = real_of(json, "matches"),
                       .n_unseen = real_of(json, "unseen"),
                       .supported =
                           json_is_true(json_object_get(json, "supported"))};

    if (!json_is_object(json))
        return false;
    (void)snprintf(v.why, sizeof(v.why), "%s", text_of(json, "why"));
    (void)snprintf(v.doubt, sizeof(v.doubt), "%s", text_of(json, "doubt"));
    *ret_verdict = v;
    *ret_threshold = real_of(json, "threshold");
    return true;
}

/* Posts `body` to `path`; the answer is the new job's object. */
static int job_submit(lk_client *client, const char *path, const json_t *body,
                      uint64_t *ret_number, linkd_error *err)
{
    json_t *job = NULL;
    int rc = lk_client_json(client, "POST", path, body, &job, err);

    if (rc != LINKD_OK)
        return rc;
    *ret_number = lk_job_number(job);
    json_decref(job);
    if (*ret_number == 0)
        return lk_fail(err, LINKD_E_IO, "linkd does not say which job it is");
    return LINKD_OK;
}

int lk_job_delete(lk_client *client, uint64_t number, linkd_error *err)
{
    char path[PATH_MAX_SIZE];

    (void)snprintf(path, sizeof(path), "/v1/jobs/%" PRIu64, number);
    return lk_client_json(client, "DELETE", path, NULL, NULL, err);
}

/* ---- waiting ------------------------------------------------------------ */

static bool has_ended(const json_t *job)
{
    const char *state = text_of(job, "state");

    return strcmp(state, "done") == 0 || strcmp(state, "failed") == 0 ||
           strcmp(state, "cancelled") == 0;
}

static void step_end(lk_meter *meter, lk_job_seen *seen)
{
    linkd_progress progress = lk_meter_progress(meter);

    if (seen->step[0] == '\0' || seen->is_done)
        return;
    if (seen->total > 0)
        (void)!lk_progress_report(&progress, seen->step, seen->total,
                                  seen->total, NULL);
    lk_meter_finish(meter);
    seen->is_done = true;
}

static void step_show(lk_meter *meter, const lk_job_seen *now, uint64_t done,
                      lk_job_seen *seen)
{
    linkd_progress progress = lk_meter_progress(meter);
    bool is_same = strcmp(now->step, seen->step) == 0;

    if (!is_same)
        step_end(meter, seen);
    else if (now->is_done && seen->is_done)
        return; /* until the next step has something to tell */
    (void)!lk_progress_report(&progress, now->step, done, now->total, NULL);
    *seen = *now;
    if (now->is_done)
        lk_meter_finish(meter);
}

void lk_job_show(lk_meter *meter, const json_t *job, lk_job_seen *seen)
{
    const json_t *progress = json_object_get(job, "progress");
    json_int_t done = json_integer_value(json_object_get(progress, "done"));
    json_int_t total = json_integer_value(json_object_get(progress, "total"));
    lk_job_seen now = {.total = (uint64_t)total,
                       .is_done = total > 0 && done >= total};

    (void)snprintf(now.step, sizeof(now.step), "%s", text_of(progress, "step"));
    if (now.step[0] != '\0' && done >= 0 && total >= 0) {
        step_show(meter, &now, (uint64_t)done, seen);
    } else if (strcmp(text_of(job, "state"), "done") == 0) {
        step_end(meter, seen);
    } else if (!has_ended(job)) {
        lk_meter_finish(meter);
        *seen = (lk_job_seen){.step = ""};
    }
}

static int state_ask(lk_client *client, uint64_t number, json_t **ret_job,
                     linkd_error *err)
{
    char path[PATH_MAX_SIZE];

    (void)snprintf(path, sizeof(path), "/v1/jobs/%" PRIu64, number);
    return lk_client_json(client, NULL, path, NULL, ret_job, err);
}

/* Asks again and again until the job has ended. A linkd that went away is
 * given time to come back: its jobs go on then. */
static int end_await(lk_client *client, uint64_t number, json_t **ret_job,
                     linkd_error *err)
{
    struct timespec pause = {.tv_nsec = PAUSE_MIN_NS};
    lk_job_seen seen = {.step = ""};
    unsigned n_gone = 0;

    while (!lk_interrupt_requested()) {
        json_t *job = NULL;
        int rc = state_ask(client, number, &job, err);
        bool is_gone = rc == LINKD_E_BUSY || rc == LINKD_E_IO;

        if (rc != LINKD_OK && (!is_gone || ++n_gone > GONE_MAX))
            return rc;
        if (is_gone) /* it may begin anew */
            seen = (lk_job_seen){.step = ""};
        if (rc == LINKD_OK) {
            n_gone = 0;
            lk_job_show(&client->cli->meter, job, &seen);
            if (has_ended(job)) {
                *ret_job = job;
                return LINKD_OK;
            }
            json_decref(job);
        }
        (void)nanosleep(&pause, NULL);
        pause.tv_nsec =
            pause.tv_nsec * 2 < PAUSE_MAX_NS ? pause.tv_nsec * 2 : PAUSE_MAX_NS;
    }
    return lk_fail(err, LINKD_E_CANCELLED, "interrupted");
}

static int interrupted(lk_client *client, uint64_t number, bool owned,
                       linkd_error *err)
{
    char path[PATH_MAX_SIZE];
    linkd_error reason = {0};
    int rc;

    if (!owned) {
        lk_cli_hint(client->cli, "linkctl job cancel %" PRIu64 " stops it",
                    number);
        return lk_fail(err, LINKD_E_CANCELLED,
                       "interrupted: job %" PRIu64 " goes on", number);
    }
    (void)snprintf(path, sizeof(path), "/v1/jobs/%" PRIu64 "/cancel", number);
    rc = lk_client_json(client, "POST", path, NULL, NULL, &reason);
    if (rc != LINKD_OK && rc != LINKD_E_CONFLICT)
        return lk_fail(err, rc, "interrupted, but job %" PRIu64 " goes on: %s",
                       number, reason.message);
    return lk_fail(err, LINKD_E_CANCELLED,
                   "interrupted: job %" PRIu64 " is cancelled", number);
}

/* The job has ended: how? */
static int outcome(const json_t *job, linkd_error *err)
{
    const char *state = text_of(job, "state");
    const json_t *error = json_object_get(job, "error");
    const char *reason = json_string_value(error);

    if (strcmp(state, "done") == 0)
        return LINKD_OK;
    if (strcmp(state, "cancelled") == 0)
        return lk_fail(err, LINKD_E_CANCELLED, "job %" PRIu64 " was cancelled",
                       lk_job_number(job));
    if (reason == NULL)
        reason = text_of(error, "detail");
    return lk_fail(err, LINKD_E_DATA, "job %" PRIu64 " failed: %s",
                   lk_job_number(job), reason);
}

int lk_job_wait(lk_client *client, uint64_t number, bool owned,
                json_t **ret_job, linkd_error *err)
{
    json_t *job = NULL;
    int rc;

    lk_interrupt_defer(true);
    rc = end_await(client, number, &job, err);
    if (rc == LINKD_E_CANCELLED)
        rc = interrupted(client, number, owned, err);
    else if (rc == LINKD_OK)
        rc = outcome(job, err);
    lk_interrupt_defer(false);
    if (rc == LINKD_OK) {
        lk_meter_finish(&client->cli->meter);
        *ret_job = job;
    } else {
        json_decref(job);
    }
    return rc;
}

int lk_job_run(lk_client *client, const char *path, const json_t *body,
               json_t **ret_job, linkd_error *err)
{
    uint64_t number = 0;
    int rc;

    lk_interrupt_defer(true); /* no job without somebody to cancel it */
    rc = job_submit(client, path, body, &number, err);
    if (rc == LINKD_OK)
        return lk_job_wait(client, number, true, ret_job, err);
    lk_interrupt_defer(false);
    return rc;
}
