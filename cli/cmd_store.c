/* cli/cmd_store.c — linkctl backup, fsck, compact: what keeps a data directory.
 *
 * A directory that linkd has open is looked after by linkd, as a job; a closed
 * one is opened here. */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/job.h"
#include "cli/number.h"
#include "index/index.h"

typedef struct store_values {
    const char *socket;
    const char *data;
    bool json;
} store_values;

#define AT(member) offsetof(store_values, member)

static const store_values defaults = {.json = false};

#define DATA_OPTION                                                            \
 {                                                                             \
  "data", 'd', LK_OPTION_TEXT, AT(data), "DIR", NULL, 0, 0,                    \
      "a data directory that no linkd has open"                                \
 }

/* ---- backup ------------------------------------------------------------- */

static const char *const dir_operand[] = {"DIR"};

static const lk_option backup_options[] = {LK_SOCKET_OPTION(AT(socket))};

static const lk_syntax backup_syntax = {
    .name = "backup",
    .operands = dir_operand,
    .n_operands_min = 1,
    .n_operands_max = 1,
    .options = backup_options,
    .n_options = 1,
    .summary = "Copies all that linkd has, while it goes on serving.",
    .notes = "DIR must not exist. It appears when it is complete, and is a\n"
             "data directory that linkd can be started with. It is written by\n"
             "linkd, so with linkd's rights.\n\n"
             "Examples:\n"
             "  linkctl backup /var/backups/linkd-2026-11-24\n",
};

/* A relative path is meant from here, not from where linkd was started. */
static int absolute_path(const char *path, lk_buf *ret_path, linkd_error *err)
{
    char *here = path[0] == '/' ? NULL : getcwd(NULL, 0);
    int rc;

    if (path[0] != '/' && here == NULL)
        return lk_fail(err, LINKD_E_IO, "could not tell the current directory");
    rc = lk_buf_printf(ret_path, err, "%s%s%s", here != NULL ? here : "",
                       here != NULL ? "/" : "", path);
    free(here);
    return rc;
}

static int backup_run(lk_cli *cli, const void *opaque, linkd_error *err)
{
    const store_values *v = opaque;
    lk_client client = {0};
    json_t *body = NULL;
    json_t *job = NULL;
    lk_buf dir = {0};
    int rc = absolute_path(cli->args.operands[0], &dir, err);

    if (rc == LINKD_OK) {
        body = json_pack("{s:s}", "directory", dir.data);
        if (body == NULL)
            rc = lk_fail(err, LINKD_E_ARG, "DIR is not valid UTF-8");
    }
    if (rc == LINKD_OK)
        rc = lk_client_open(cli, v->socket, &client, err);
    if (rc == LINKD_OK)
        rc = lk_job_run(&client, "/v1/admin/backup", body, &job, err);
    if (rc == LINKD_OK && !cli->args.quiet)
        (void)fprintf(stderr, "backup is in %s\n", dir.data);
    json_decref(job);
    json_decref(body);
    lk_buf_clear(&dir);
    lk_client_close(&client);
    return rc;
}

const lk_command lk_cmd_backup = {&backup_syntax, &defaults, sizeof(defaults),
                                  backup_run};

/* ---- fsck --------------------------------------------------------------- */

static const lk_option fsck_options[] = {
    DATA_OPTION,
    LK_SOCKET_OPTION(AT(socket)),
};

static const lk_syntax fsck_syntax = {
    .name = "fsck",
    .options = fsck_options,
    .n_options = sizeof(fsck_options) / sizeof(*fsck_options),
    .summary = "Verifies every checksum and every reference.",
    .notes = "With --data it reads the directory itself; otherwise linkd is "
             "asked to\nverify the one it has open. Each fault is a line on "
             "standard output, and\nthe exit code is 1 if there is one. "
             "Damaged segments heal by themselves.\n\n"
             "Examples:\n"
             "  linkctl fsck --data /var/lib/linkd\n"
             "  linkctl fsck --socket /run/linkd/linkd.sock\n",
};

static void fault_print(void *ctx, const char *message)
{
    lk_cli *cli = ctx;

    lk_meter_erase(&cli->meter);
    (void)printf("%s\n", message);
}

static int verdict(const lk_cli *cli, const linkd_check_report *report,
                   linkd_error *err)
{
    if (!cli->args.quiet)
        (void)fprintf(
            stderr, "%s, %s, %s, %s, %s\n",
            lk_counted(report->n_collections, "collection", "collections").text,
            lk_counted(report->n_records, "record", "records").text,
            lk_counted(report->n_vectors, "vector", "vectors").text,
            lk_counted(report->n_segments, "segment", "segments").text,
            lk_counted(report->n_jobs, "job", "jobs").text);
    if (report->n_faults == 0)
        return LINKD_OK;
    return lk_fail(err, LINKD_E_DATA, "%s, of which %s heal by themselves",
                   lk_counted(report->n_faults, "fault", "faults").text,
                   lk_count(report->n_bad_segments).text);
}

static int fsck_offline(lk_cli *cli, const char *dir, linkd_error *err)
{
    linkd_store_options options = LINKD_STORE_OPTIONS_INIT;
    linkd_check_report report = {0};
    linkd_store *store = NULL;
    int rc;

    options.read_only_check = true;
    rc = linkd_store_open(dir, &options, &store, err);
    if (rc == LINKD_E_BUSY)
        lk_cli_hint(cli, "linkctl fsck --socket PATH asks the linkd that has "
                         "it open");
    if (rc == LINKD_OK)
        rc = linkd_store_check(store, &cli->progress, fault_print, cli, &report,
                               err);
    linkd_store_close(store);
    if (rc != LINKD_OK)
        return rc;
    lk_meter_finish(&cli->meter);
    return verdict(cli, &report, err);
}

static int fault_row(void *ctx, const json_t *row, linkd_error *err)
{
    const char *fault = json_string_value(json_object_get(row, "fault"));

    (void)err;
    fault_print(ctx, fault != NULL ? fault : "");
    return LINKD_OK;
}

static int fsck_online(lk_cli *cli, const char *socket, linkd_error *err)
{
    linkd_check_report report = {0};
    lk_client client = {0};
    json_t *job = NULL;
    char path[64];
    int rc = lk_client_open(cli, socket, &client, err);

    if (rc == LINKD_OK)
        rc = lk_job_run(&client, "/v1/admin/fsck", NULL, &job, err);
    if (rc == LINKD_OK) {
        report = (linkd_check_report){
            .n_collections = lk_job_count(job, "collections"),
            .n_records = lk_job_count(job, "records"),
            .n_vectors = lk_job_count(job, "vectors"),
            .n_segments = lk_job_count(job, "segments"),
            .n_jobs = lk_job_count(job, "jobs"),
            .n_faults = lk_job_count(job, "faults"),
            .n_bad_segments = lk_job_count(job, "bad_segments"),
        };
        (void)snprintf(path, sizeof(path), "/v1/jobs/%" PRIu64 "/results",
                       lk_job_number(job));
    }
    if (rc == LINKD_OK && report.n_faults > 0)
        rc = lk_client_rows(&client, path, fault_row, cli, err);
    json_decref(job);
    lk_client_close(&client);
    return rc == LINKD_OK ? verdict(cli, &report, err) : rc;
}

static int fsck_run(lk_cli *cli, const void *opaque, linkd_error *err)
{
    const store_values *v = opaque;

    if (v->data != NULL && v->socket != NULL)
        return lk_fail(err, LINKD_E_ARG, "--data excludes --socket");
    return v->data != NULL ? fsck_offline(cli, v->data, err)
                           : fsck_online(cli, v->socket, err);
}

const lk_command lk_cmd_fsck = {&fsck_syntax, &defaults, sizeof(defaults),
                                fsck_run};

/* ---- compact ------------------------------------------------------------ */

static const lk_option compact_options[] = {DATA_OPTION};

static const lk_syntax compact_syntax = {
    .name = "compact",
    .options = compact_options,
    .n_options = 1,
    .summary = "Gives the space of what was deleted back to the disk.",
    .notes = "Needs as much free space as the result takes. linkd must not\n"
             "run on the directory; while it runs, a backup is compact.\n\n"
             "Examples:\n"
             "  linkctl compact --data /var/lib/linkd\n",
};

static int compact_run(lk_cli *cli, const void *opaque, linkd_error *err)
{
    const store_values *v = opaque;
    uint64_t before = 0;
    uint64_t after = 0;
    int rc;

    if (v->data == NULL)
        return lk_fail(err, LINKD_E_ARG, "compact needs --data DIR");
    rc = linkd_store_compact(v->data, &before, &after, err);
    if (rc == LINKD_E_BUSY)
        lk_cli_hint(cli, "stop the linkd that has it open");
    if (rc == LINKD_OK && !cli->args.quiet)
        (void)fprintf(stderr, "%s before, %s after\n",
                      lk_bytes((double)before).text,
                      lk_bytes((double)after).text);
    return rc;
}

const lk_command lk_cmd_compact = {&compact_syntax, &defaults, sizeof(defaults),
                                   compact_run};
