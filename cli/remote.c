/* cli/remote.c — link and dedup as jobs of linkd.
 *
 *   files ─► POST /v1/files ─┐
 *   collection:NAME ─────────┴─► POST /v1/jobs ─► wait ─► results ─► -o FILE
 *
 * What comes out is what file mode writes, byte for byte, from the same files
 * with the same model; options that need more than linkd gives back are refused
 * rather than ignored. A job whose rows were fetched is deleted: nobody else
 * knows of it. */
#include "cli/remote.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/columns.h"

const char *lk_operand_collection(const char *operand)
{
    size_t len = sizeof(LK_COLLECTION_PREFIX) - 1;

    return strncmp(operand, LK_COLLECTION_PREFIX, len) == 0 ? operand + len
                                                            : NULL;
}

bool lk_is_remote(const lk_cli *cli, const char *socket)
{
    bool is_remote = socket != NULL;

    for (size_t i = 0; i < cli->args.n_operands; i++)
        is_remote |= lk_operand_collection(cli->args.operands[i]) != NULL;
    return is_remote;
}

int lk_remote_check(const lk_cli *cli, const lk_syntax *syntax,
                    const char *const *names, linkd_error *err)
{
    const char *given = lk_args_first_given(syntax, &cli->args, names);

    if (given != NULL)
        return lk_fail(err, LINKD_E_ARG,
                       "--%s is not possible through linkd, only without "
                       "--socket on files",
                       given);
    for (size_t i = 0; i < cli->args.n_operands; i++) {
        if (strcmp(cli->args.operands[i], "-") == 0)
            return lk_fail(err, LINKD_E_ARG,
                           "through linkd a table cannot be standard input");
    }
    return LINKD_OK;
}

/* ---- uploading ---------------------------------------------------------- */

static const char *type_of(const char *path, linkd_format format)
{
    if (format == LINKD_FORMAT_AUTO)
        format = lk_rows_format(path);
    if (format == LINKD_FORMAT_TSV)
        return "text/tab-separated-values";
    return format == LINKD_FORMAT_JSONL ? "application/x-ndjson" : "text/csv";
}

static int collect(void *ctx, const char *bytes, size_t len, linkd_error *err)
{
    return lk_buf_append(ctx, bytes, len, err);
}

static int file_send(lk_client *client, const char *path, linkd_format format,
                     int fd, lk_buf *ret_answer, linkd_error *err)
{
    lk_ask ask = LK_ASK_INIT;
    struct stat st;

    if (fstat(fd, &st) != 0)
        return lk_fail(err, LINKD_E_IO, "could not read %s: %s",
                       lk_label_of_path(path).text, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return lk_fail(err, LINKD_E_ARG, "%s is not a regular file",
                       lk_label_of_path(path).text);
    ask.method = "POST";
    ask.path = "/v1/files";
    ask.content_type = type_of(path, format);
    ask.body_fd = fd;
    ask.body_fd_bytes = (uint64_t)st.st_size;
    ask.sending = "upload";
    ask.body_cb = collect;
    ask.ctx = ret_answer;
    return lk_client_ask(client, &ask, err);
}

/* The side of a job that is a file: {"file": "…"}. */
static int file_upload(lk_client *client, const char *path, linkd_format format,
                       json_t **ret_side, linkd_error *err)
{
    lk_buf text = {0};
    json_t *answer = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int rc;

    if (fd < 0)
        return lk_fail(err, LINKD_E_IO, "could not read %s: %s",
                       lk_label_of_path(path).text, strerror(errno));
    rc = file_send(client, path, format, fd, &text, err);
    (void)close(fd);
    if (rc == LINKD_OK) {
        lk_meter_finish(&client->cli->meter);
        answer = text.len > 0 ? json_loadb(text.data, text.len, 0, NULL) : NULL;
        *ret_side =
            json_pack("{s:O?}", "file", json_object_get(answer, "file"));
        if (*ret_side == NULL)
            rc = lk_fail_nomem(err);
    }
    json_decref(answer);
    lk_buf_clear(&text);
    return rc;
}

/* ---- the request -------------------------------------------------------- */

static int member_set(lk_remote *remote, const char *member, json_t *take_value,
                      linkd_error *err)
{
    if (json_object_set_new(remote->request, member, take_value) == 0)
        return LINKD_OK;
    return lk_fail_nomem(err);
}

int lk_remote_side(lk_remote *remote, const char *operand, const char *member,
                   linkd_error *err)
{
    const char *collection = lk_operand_collection(operand);
    json_t *side = NULL;
    int rc = LINKD_OK;

    if (collection == NULL)
        rc = file_upload(&remote->client, operand, remote->options->format,
                         &side, err);
    else
        side = json_pack("{s:s}", "collection", collection);
    if (rc == LINKD_OK && side == NULL)
        rc = lk_fail(err, LINKD_E_ARG,
                     "the collection's name is not valid UTF-8");
    return rc == LINKD_OK ? member_set(remote, member, side, err) : rc;
}

int lk_remote_columns(lk_remote *remote, const char *member, const char *option,
                      const char *columns, linkd_error *err)
{
    json_t *names = NULL;
    int rc;

    if (columns == NULL)
        return LINKD_OK;
    rc = lk_name_list_json(option, columns, &names, err);
    return rc == LINKD_OK ? member_set(remote, member, names, err) : rc;
}

int lk_remote_word(lk_remote *remote, const char *member, const char *word,
                   linkd_error *err)
{
    return member_set(remote, member, json_string(word), err);
}

/* A text of the user's; NULL is left out. */
static int text_set(lk_remote *remote, const char *member, const char *text,
                    linkd_error *err)
{
    json_t *json = text != NULL ? json_string(text) : NULL;

    if (text != NULL && json == NULL)
        return lk_fail(err, LINKD_E_ARG, "--%s is not valid UTF-8", member);
    return text != NULL ? member_set(remote, member, json, err) : LINKD_OK;
}

static int options_set(lk_remote *remote, linkd_error *err)
{
    const lk_remote_options *o = remote->options;
    int rc = text_set(remote, "block", o->block, err);

    if (rc == LINKD_OK)
        rc = text_set(remote, "model", o->model, err);
    if (rc == LINKD_OK && o->k > 0)
        rc = member_set(remote, "k", json_integer((json_int_t)o->k), err);
    if (rc == LINKD_OK && o->decide.threshold >= 0.0)
        rc = member_set(remote, "threshold", json_real(o->decide.threshold),
                        err);
    if (rc == LINKD_OK && !isnan(o->decide.min_score))
        rc = member_set(remote, "min_score", json_real(o->decide.min_score),
                        err);
    if (rc == LINKD_OK && o->apply)
        rc = member_set(remote, "apply", json_true(), err);
    return rc;
}

/* ---- the command -------------------------------------------------------- */

int lk_remote_open(lk_cli *cli, const lk_syntax *syntax, const void *values,
                   const lk_remote_options *options, lk_remote *ret_remote,
                   linkd_error *err)
{
    lk_remote *r = ret_remote;
    int rc;

    *r = (lk_remote){.cli = cli, .options = options};
    lk_manifest_init(&r->manifest, syntax, values);
    rc = lk_result_open(options->output, cli->args.operands,
                        cli->args.n_operands, &r->output, &r->manifest, err);
    if (rc == LINKD_OK)
        rc = lk_client_open(cli, options->socket, &r->client, err);
    r->request = json_object();
    if (rc == LINKD_OK && r->request == NULL)
        rc = lk_fail_nomem(err);
    return rc;
}

void lk_remote_close(lk_remote *remote)
{
    lk_rows_clear(&remote->rows);
    lk_output_close(remote->output);
    lk_manifest_clear(&remote->manifest);
    json_decref(remote->request);
    json_decref(remote->job);
    lk_client_close(&remote->client);
}

int lk_remote_run(lk_remote *remote, linkd_error *err)
{
    linkd_verdict verdict;
    double threshold;
    int rc = options_set(remote, err);

    if (rc == LINKD_OK)
        rc = lk_job_run(&remote->client, "/v1/jobs", remote->request,
                        &remote->job, err);
    if (rc != LINKD_OK)
        return rc;
    lk_manifest_job(&remote->manifest, remote->job);
    if (lk_job_verdict(remote->job, &verdict, &threshold))
        lk_manifest_verdict(&remote->manifest, &verdict,
                            lk_assign_words[verdict.assign], threshold);
    return LINKD_OK;
}

int lk_remote_rows(lk_remote *remote,
                   int (*row_cb)(void *ctx, const json_t *row,
                                 linkd_error *err),
                   void *ctx, linkd_error *err)
{
    uint64_t number = lk_job_number(remote->job);
    char path[64];
    int rc;

    (void)snprintf(path, sizeof(path), "/v1/jobs/%" PRIu64 "/results", number);
    rc = lk_client_rows(&remote->client, path, row_cb, ctx, err);
    return rc == LINKD_OK ? lk_job_delete(&remote->client, number, err) : rc;
}

int lk_remote_finish(lk_remote *remote, void (*counts_note)(const json_t *job),
                     linkd_error *err)
{
    linkd_verdict verdict;
    double threshold;
    int rc = lk_manifest_commit(&remote->manifest, &remote->output, 1, err);

    if (rc != LINKD_OK)
        return rc;
    if (remote->options->json)
        return lk_manifest_print(&remote->manifest, &remote->options->output, 1,
                                 err);
    if (remote->cli->args.quiet)
        return LINKD_OK;
    counts_note(remote->job);
    if (lk_job_verdict(remote->job, &verdict, &threshold))
        lk_verdict_note(&verdict, threshold);
    return LINKD_OK;
}
