/* cli/cmd_job.c — linkctl job: work of linkd's that goes on without linkctl. */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cli/client.h"
#include "cli/grid.h"
#include "cli/job.h"
#include "cli/number.h"
#include "cli/output.h"
#include "cli/rows.h"

#define PATH_MAX_SIZE 96

typedef struct job_values {
    const char *socket;
    const char *output;
    bool json;
} job_values;

#define AT(member) offsetof(job_values, member)

static const job_values defaults = {.output = "-"};

static const char *const id_operand[] = {"ID"};

static const lk_option options[] = {
    LK_SOCKET_OPTION(AT(socket)),
    {"json", 0, LK_OPTION_FLAG, AT(json), NULL, NULL, 0, 0, "print JSON"},
};
#define N_OPTIONS        (sizeof(options) / sizeof(*options))
#define N_SOCKET_OPTIONS 1 /* without --json: there is nothing to print */

/* ---- what they share ---------------------------------------------------- */

static int number_read(const lk_cli *cli, uint64_t *ret_number,
                       linkd_error *err)
{
    const char *text = cli->args.operands[0];
    size_t len = strspn(text, "0123456789");

    *ret_number = strtoull(text, NULL, 10);
    if (text[len] != '\0' || len == 0 || len > 18)
        return lk_fail(err, LINKD_E_ARG, "\"%s\" is not the number of a job",
                       lk_label_of((linkd_str){text, strlen(text)}).text);
    return LINKD_OK;
}

/* Asks about the job that the operand names. */
static int job_ask(lk_cli *cli, const char *socket, const char *method,
                   const char *rest, json_t **ret_answer, linkd_error *err)
{
    lk_client client = {0};
    char path[PATH_MAX_SIZE];
    uint64_t number = 0;
    int rc = number_read(cli, &number, err);

    if (rc == LINKD_OK)
        rc = lk_client_open(cli, socket, &client, err);
    if (rc != LINKD_OK)
        return rc;
    (void)snprintf(path, sizeof(path), "/v1/jobs/%" PRIu64 "%s", number, rest);
    rc = lk_client_json(&client, method, path, NULL, ret_answer, err);
    if (rc == LINKD_E_ABSENT)
        lk_cli_hint(cli, "linkctl job list shows those that exist");
    lk_client_close(&client);
    return rc;
}

static const char *text_in(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text != NULL ? text : "";
}

/* "encode 40 %", or "" when nothing is going on. */
static lk_number progress_text(const json_t *job)
{
    const json_t *progress = json_object_get(job, "progress");
    double done = json_number_value(json_object_get(progress, "done"));
    double total = json_number_value(json_object_get(progress, "total"));
    lk_number text = {""};

    if (strcmp(text_in(job, "state"), "running") == 0 && total > 0)
        (void)snprintf(text.text, sizeof(text.text), "%.24s %.0f %%",
                       text_in(progress, "step"), done * 100 / total);
    return text;
}

/* ---- list --------------------------------------------------------------- */

static const lk_syntax list_syntax = {
    .name = "job list",
    .options = options,
    .n_options = N_OPTIONS,
    .summary = "Lists linkd's jobs, newest first.",
    .notes = "Examples:\n"
             "  linkctl job list\n",
};

static int list_print(const json_t *jobs, linkd_error *err)
{
    static const char *const heads[] = {"JOB", "KIND", "STATE", "SUBMITTED",
                                        "PROGRESS"};
    lk_grid grid = {.n_columns = 5, .is_right = {true}};
    int rc = lk_grid_row(&grid, heads, grid.n_columns, err);

    for (size_t i = 0; i < json_array_size(jobs) && rc == LINKD_OK; i++) {
        const json_t *job = json_array_get(jobs, i);
        const char *const cells[] = {
            text_in(job, "kind"), text_in(job, "state"),
            text_in(job, "submitted"), progress_text(job).text};

        rc = lk_grid_printf(&grid, err, "%" PRIu64, lk_job_number(job));
        if (rc == LINKD_OK)
            rc = lk_grid_row(&grid, cells, 4, err);
    }
    if (rc == LINKD_OK)
        lk_grid_print(&grid, stdout);
    lk_grid_clear(&grid);
    return rc;
}

static int list_run(lk_cli *cli, const void *opaque, linkd_error *err)
{
    const job_values *v = opaque;
    lk_client client = {0};
    json_t *answer = NULL;
    const json_t *jobs;
    int rc = lk_client_open(cli, v->socket, &client, err);

    if (rc == LINKD_OK)
        rc = lk_client_json(&client, NULL, "/v1/jobs", NULL, &answer, err);
    lk_client_close(&client);
    if (rc != LINKD_OK)
        return rc;
    jobs = json_object_get(answer, "jobs");
    if (v->json)
        rc = lk_json_print(jobs, err);
    else if (json_array_size(jobs) > 0)
        rc = list_print(jobs, err);
    else
        (void)printf("there is no job\n");
    json_decref(answer);
    return rc;
}

const lk_command lk_cmd_job_list = {&list_syntax, &defaults, sizeof(defaults),
                                    list_run};

/* ---- show --------------------------------------------------------------- */

static const lk_syntax show_syntax = {
    .name = "job show",
    .operands = id_operand,
    .n_operands_min = 1,
    .n_operands_max = 1,
    .options = options,
    .n_options = N_OPTIONS,
    .summary = "Tells how far a job is, or how it ended.",
    .notes = "Examples:\n"
             "  linkctl job show 3\n",
};

static int show_print(const json_t *job, linkd_error *err)
{
    static const char *const names[] = {"kind",    "state", "submitted",
                                        "started", "ended", "error"};
    lk_grid grid = {.n_columns = 2};
    const char *name;
    json_t *value;
    int rc = LINKD_OK;

    for (size_t i = 0; i < sizeof(names) / sizeof(*names) && rc == LINKD_OK;
         i++) {
        const char *text = text_in(job, names[i]);

        if (text[0] != '\0')
            rc = lk_grid_printf(&grid, err, "%s:", names[i]);
        if (text[0] != '\0' && rc == LINKD_OK)
            rc = lk_grid_printf(&grid, err, "%s", text);
    }
    if (rc == LINKD_OK && progress_text(job).text[0] != '\0') {
        rc = lk_grid_printf(&grid, err, "progress:");
        if (rc == LINKD_OK)
            rc = lk_grid_printf(&grid, err, "%s", progress_text(job).text);
    }
    json_object_foreach(json_object_get(job, "counts"), name, value)
    {
        if (rc == LINKD_OK)
            rc = lk_grid_printf(&grid, err, "%s:", name);
        if (rc == LINKD_OK)
            rc = lk_grid_printf(
                &grid, err, "%s",
                lk_count((uint64_t)json_integer_value(value)).text);
    }
    if (rc == LINKD_OK && grid.n_cells > 0)
        lk_grid_print(&grid, stdout);
    lk_grid_clear(&grid);
    return rc;
}

static int show_run(lk_cli *cli, const void *opaque, linkd_error *err)
{
    const job_values *v = opaque;
    json_t *job = NULL;
    int rc = job_ask(cli, v->socket, NULL, "", &job, err);

    if (rc == LINKD_OK)
        rc = v->json ? lk_json_print(job, err) : show_print(job, err);
    json_decref(job);
    return rc;
}

const lk_command lk_cmd_job_show = {&show_syntax, &defaults, sizeof(defaults),
                                    show_run};

/* ---- wait --------------------------------------------------------------- */

static const lk_syntax wait_syntax = {
    .name = "job wait",
    .operands = id_operand,
    .n_operands_min = 1,
    .n_operands_max = 1,
    .options = options,
    .n_options = N_OPTIONS,
    .summary = "Waits for the end of a job and shows how far it is.",
    .notes = "Ends with 0 if the job is done, with 1 if it failed or was\n"
             "cancelled. Ctrl-C ends the wait, not the job.\n\n"
             "Examples:\n"
             "  linkctl job wait 3 && linkctl job results 3 -o pairs.csv\n",
};

static int wait_run(lk_cli *cli, const void *opaque, linkd_error *err)
{
    const job_values *v = opaque;
    lk_client client = {0};
    json_t *job = NULL;
    uint64_t number = 0;
    int rc = number_read(cli, &number, err);

    if (rc == LINKD_OK)
        rc = lk_client_open(cli, v->socket, &client, err);
    if (rc == LINKD_OK)
        rc = lk_job_wait(&client, number, false, &job, err);
    if (rc == LINKD_OK && v->json)
        rc = lk_json_print(job, err);
    json_decref(job);
    lk_client_close(&client);
    return rc;
}

const lk_command lk_cmd_job_wait = {&wait_syntax, &defaults, sizeof(defaults),
                                    wait_run};

/* ---- cancel, delete ----------------------------------------------------- */

static const lk_syntax cancel_syntax = {
    .name = "job cancel",
    .operands = id_operand,
    .n_operands_min = 1,
    .n_operands_max = 1,
    .options = options,
    .n_options = N_SOCKET_OPTIONS,
    .summary = "Stops a job.",
    .notes = "Examples:\n"
             "  linkctl job cancel 3\n",
};

static int cancel_run(lk_cli *cli, const void *opaque, linkd_error *err)
{
    const job_values *v = opaque;
    int rc = job_ask(cli, v->socket, "POST", "/cancel", NULL, err);

    if (rc == LINKD_OK && !cli->args.quiet)
        (void)fprintf(stderr, "cancelled job %s\n", cli->args.operands[0]);
    return rc;
}

const lk_command lk_cmd_job_cancel = {&cancel_syntax, &defaults,
                                      sizeof(defaults), cancel_run};

static const lk_syntax delete_syntax = {
    .name = "job delete",
    .operands = id_operand,
    .n_operands_min = 1,
    .n_operands_max = 1,
    .options = options,
    .n_options = N_SOCKET_OPTIONS,
    .summary = "Forgets a job that has ended, and its results.",
    .notes = "Examples:\n"
             "  linkctl job delete 3\n",
};

static int delete_run(lk_cli *cli, const void *opaque, linkd_error *err)
{
    const job_values *v = opaque;
    int rc = job_ask(cli, v->socket, "DELETE", "", NULL, err);

    if (rc == LINKD_OK && !cli->args.quiet)
        (void)fprintf(stderr, "deleted job %s\n", cli->args.operands[0]);
    return rc;
}

const lk_command lk_cmd_job_delete = {&delete_syntax, &defaults,
                                      sizeof(defaults), delete_run};

/* ---- results ------------------------------------------------------------ */

static const lk_option results_options[] = {
    LK_SOCKET_OPTION(AT(socket)),
    {"output", 'o', LK_OPTION_TEXT, AT(output), "FILE", NULL, 0, 0,
     "rows as .csv or .jsonl; - is CSV on standard output\n(default)"},
};

static const lk_syntax results_syntax = {
    .name = "job results",
    .operands = id_operand,
    .n_operands_min = 1,
    .n_operands_max = 1,
    .options = results_options,
    .n_options = sizeof(results_options) / sizeof(*results_options),
    .summary = "Fetches the rows that a job has found.",
    .notes = "Those of link are left_id,right_id,score, those of dedup\n"
             "id,entity_id, and those of fsck its faults.\n\n"
             "Examples:\n"
             "  linkctl job results 3 -o pairs.csv\n",
};

static int output_take(void *ctx, const char *bytes, size_t len,
                       linkd_error *err)
{
    return lk_output_write(ctx, bytes, len, err);
}

static int results_fetch(lk_client *client, uint64_t number, bool is_jsonl,
                         lk_output *output, linkd_error *err)
{
    lk_ask ask = LK_ASK_INIT;
    char path[PATH_MAX_SIZE];

    (void)snprintf(path, sizeof(path), "/v1/jobs/%" PRIu64 "/results?format=%s",
                   number, is_jsonl ? "ndjson" : "csv");
    ask.path = path;
    ask.body_cb = output_take;
    ask.ctx = output;
    return lk_client_ask(client, &ask, err);
}

static int results_run(lk_cli *cli, const void *opaque, linkd_error *err)
{
    const job_values *v = opaque;
    linkd_format format = lk_rows_format(v->output);
    lk_client client = {0};
    lk_output *output = NULL;
    uint64_t number = 0;
    int rc = number_read(cli, &number, err);

    if (rc == LINKD_OK && format == LINKD_FORMAT_TSV)
        rc = lk_fail(err, LINKD_E_ARG, "results are .csv or .jsonl, not .tsv");
    if (rc == LINKD_OK)
        rc = lk_client_open(cli, v->socket, &client, err);
    if (rc == LINKD_OK)
        rc = lk_output_open(v->output, NULL, 0, &output, err);
    if (rc == LINKD_OK)
        rc = results_fetch(&client, number, format == LINKD_FORMAT_JSONL,
                           output, err);
    if (rc == LINKD_OK)
        rc = lk_output_commit(&output, 1, err);
    lk_output_close(output);
    lk_client_close(&client);
    return rc;
}

const lk_command lk_cmd_job_results = {&results_syntax, &defaults,
                                       sizeof(defaults), results_run};
