/* daemon/handle_jobs.c — jobs over HTTP, and the files that they read.
 *
 * Results are a CSV file whose rows never change, so a cursor is a place in it:
 * the first byte of a row. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daemon/handlers.h"
#include "daemon/idempotency.h"
#include "daemon/jobs.h"
#include "daemon/json.h"
#include "daemon/print.h"
#include "daemon/service.h"

#define CHUNK_BYTES ((size_t)64 << 10)
/* A page is made in memory: some MB of ordinary rows. Who wants more leaves out
 * the limit. */
#define PAGE_MAX ((uint64_t)100000)
/* Uploads that no job has taken: a guess at who comes back after a weekend. */
#define UPLOAD_KEEP_SECONDS ((time_t)3 * 24 * 3600)

static int job_number(const lk_request *request, uint64_t *ret_number,
                      linkd_error *err)
{
    if (lk_str_to_u64(request->params[0], "job", ret_number, NULL) != LINKD_OK)
        return lk_fail(err, LINKD_E_ABSENT, "there is no job \"%s\"",
                       lk_label_of(request->params[0]).text);
    return LINKD_OK;
}

static int job_answer(lk_service *service, uint64_t number,
                      lk_response *response, linkd_error *err)
{
    uint64_t version;
    bool ended;
    int rc = lk_jobs_print(service->jobs, number, &response->body, &version,
                           &ended, err);

    return rc == LINKD_OK ? lk_buf_append(&response->body, "\n", 1, err) : rc;
}

/* ---- submitting ---------------------------------------------------------- */

static int job_submit(lk_service *service, lk_request *request, json_t *json,
                      lk_response *response, linkd_error *err)
{
    uint64_t number = 0;
    bool replayed = false;
    linkd_once once;
    int rc = lk_once_read(request, &once, err);

    if (rc == LINKD_OK)
        rc =
            lk_jobs_submit(service->jobs, json, &once, &number, &replayed, err);
    if (rc == LINKD_OK)
        rc = lk_once_mark(response, request, replayed, err);
    if (rc == LINKD_OK)
        rc = lk_response_add_header(response, request, "Location", err,
                                    "/v1/jobs/%" PRIu64, number);
    if (rc != LINKD_OK)
        return rc;
    response->status = 202;
    return job_answer(service, number, response, err);
}

int lk_handle_submit_job(lk_service *service, lk_request *request,
                         lk_response *response, linkd_error *err)
{
    json_t *json = NULL;
    linkd_str kind = {"", 0};
    int rc = lk_json_parse((linkd_str){request->body.data, request->body.len},
                           &json, err);

    if (rc == LINKD_OK)
        rc = lk_json_get_string(json, "kind", &kind, err);
    /* what admins do has paths of its own, since roles go by path */
    if (rc == LINKD_OK && !lk_str_is(kind, "link") && !lk_str_is(kind, "dedup"))
        rc = lk_fail(err, LINKD_E_ARG, "\"kind\" is neither link nor dedup");
    if (rc == LINKD_OK)
        rc = job_submit(service, request, json, response, err);
    json_decref(json);
    return rc;
}

int lk_handle_backup(lk_service *service, lk_request *request,
                     lk_response *response, linkd_error *err)
{
    static const char *const members[] = {"directory", NULL};
    json_t *json = NULL;
    int rc = lk_json_parse((linkd_str){request->body.data, request->body.len},
                           &json, err);

    if (rc == LINKD_OK)
        rc = lk_json_check_members(json, "the body", members, err);
    if (rc == LINKD_OK &&
        json_object_set_new(json, "kind", json_string("backup")) != 0)
        rc = lk_fail_nomem(err);
    if (rc == LINKD_OK)
        rc = job_submit(service, request, json, response, err);
    json_decref(json);
    return rc;
}

int lk_handle_fsck(lk_service *service, lk_request *request,
                   lk_response *response, linkd_error *err)
{
    json_t *json = json_pack("{s:s}", "kind", "fsck");
    int rc = json == NULL ? lk_fail_nomem(err)
                          : job_submit(service, request, json, response, err);

    json_decref(json);
    return rc;
}

/* ---- looking ------------------------------------------------------------- */

int lk_handle_list_jobs(lk_service *service, lk_request *request,
                        lk_response *response, linkd_error *err)
{
    int rc = lk_buf_printf(&response->body, err, "{\"jobs\":");

    (void)request;
    if (rc == LINKD_OK)
        rc = lk_jobs_print_all(service->jobs, &response->body, err);
    return rc == LINKD_OK ? lk_buf_append(&response->body, "}\n", 2, err) : rc;
}

int lk_handle_get_job(lk_service *service, lk_request *request,
                      lk_response *response, linkd_error *err)
{
    uint64_t number;
    int rc = job_number(request, &number, err);

    return rc == LINKD_OK ? job_answer(service, number, response, err) : rc;
}

typedef struct watch {
    lk_jobs *jobs;
    uint64_t number;
    uint64_t version;
    bool has_begun;
} watch;

static int watch_next(void *ctx, lk_buf *ret_chunk, lk_stream_state *ret_state,
                      linkd_error *err)
{
    watch *w = ctx;
    size_t begin = ret_chunk->len;
    uint64_t version = 0;
    bool ended = false;
    int rc =
        lk_jobs_print(w->jobs, w->number, ret_chunk, &version, &ended, err);

    if (rc == LINKD_E_ABSENT) { /* deleted since */
        *ret_state = LK_STREAM_END;
        return LINKD_OK;
    }
    if (rc == LINKD_OK)
        rc = lk_buf_append(ret_chunk, "\n", 1, err);
    if (rc == LINKD_OK && w->has_begun && version == w->version)
        ret_chunk->len = begin;
    w->has_begun = true;
    w->version = version;
    *ret_state = ended ? LK_STREAM_END : LK_STREAM_WAIT;
    return rc;
}

int lk_handle_watch_job(lk_service *service, lk_request *request,
                        lk_response *response, linkd_error *err)
{
    lk_stream_state state = LK_STREAM_END;
    watch *w = calloc(1, sizeof(*w));
    int rc =
        w == NULL ? lk_fail_nomem(err) : job_number(request, &w->number, err);

    if (rc == LINKD_OK) {
        w->jobs = service->jobs;
        rc = watch_next(w, &response->body, &state, err);
    }
    if (rc == LINKD_OK && response->body.len == 0)
        rc =
            lk_fail(err, LINKD_E_ABSENT, "there is no job %" PRIu64, w->number);
    response->content_type = "application/x-ndjson";
    if (rc == LINKD_OK && state != LK_STREAM_END) {
        response->stream = (lk_stream){watch_next, free, w};
        w = NULL;
    }
    free(w);
    return rc;
}

int lk_handle_cancel_job(lk_service *service, lk_request *request,
                         lk_response *response, linkd_error *err)
{
    uint64_t number;
    int rc = job_number(request, &number, err);

    if (rc == LINKD_OK)
        rc = lk_jobs_cancel(service->jobs, number, err);
    return rc == LINKD_OK ? job_answer(service, number, response, err) : rc;
}

int lk_handle_delete_job(lk_service *service, lk_request *request,
                         lk_response *response, linkd_error *err)
{
    uint64_t number;
    int rc = job_number(request, &number, err);

    if (rc == LINKD_OK)
        rc = lk_jobs_delete(service->jobs, number, err);
    if (rc != LINKD_OK)
        return rc;
    return lk_buf_printf(&response->body, err, "{\"deleted\":%" PRIu64 "}\n",
                         number);
}

/* ---- results ------------------------------------------------------------- */

typedef struct rows {
    FILE *file;
    uint64_t place; /* of the next row; 0: the header */
    uint64_t limit; /* rows left */
    char *line;
    size_t line_capacity;
    lk_buf names; /* of the columns, as "a\0b\0" */
    bool is_ndjson;
} rows;

static void rows_free(void *ctx)
{
    rows *r = ctx;

    if (r == NULL)
        return;
    if (r->file != NULL)
        (void)fclose(r->file);
    lk_buf_clear(&r->names);
    free(r->line);
    free(r);
}

/* One record of the file, which may span lines: our own CSV, so quotes are
 * balanced at a record's end. *ret_len 0: the end. */
static int record_read(rows *r, size_t *ret_len, linkd_error *err)
{
    size_t len = 0;
    bool is_open = false;

    for (;;) {
        int c = getc_unlocked(r->file);
        void *line = r->line;

        if (c == EOF && ferror(r->file))
            return lk_fail(err, LINKD_E_IO, "could not read the results: %s",
                           strerror(errno));
        if (c == EOF)
            break;
        if (lk_grow(&line, &r->line_capacity, len + 1, 1, err) != LINKD_OK)
            return LINKD_E_NOMEM;
        r->line = line;
        r->line[len++] = (char)c;
        if (c == '"')
            is_open = !is_open;
        if (c == '\n' && !is_open)
            break;
    }
    *ret_len = len;
    return LINKD_OK;
}

/* The value of a cell, unquoted in place. Cuts it off `rest`. */
static linkd_str cell_next(char **rest, const char *end)
{
    char *from = *rest;
    char *to = from;
    linkd_str cell = {from, 0};
    bool is_quoted = from < end && *from == '"';

    from += is_quoted;
    while (from < end) {
        if (is_quoted && *from == '"') {
            if (from + 1 >= end || from[1] != '"') {
                from++;
                break;
            }
            from++;
        } else if (!is_quoted && (*from == ',' || *from == '\n')) {
            break;
        }
        *to++ = *from++;
    }
    cell.len = (size_t)(to - cell.bytes);
    *rest = from + (from < end); /* the comma or the line's end */
    return cell;
}

static bool holds_numbers(const char *column)
{
    return strcmp(column, "score") == 0 || strcmp(column, "probability") == 0 ||
           strcmp(column, "entity_id") == 0;
}

/* {"left_id":"a",…}; a number that is empty is null. */
static int record_print(rows *r, size_t len, lk_buf *body, linkd_error *err)
{
    const char *end = r->line + len;
    const char *name = r->names.data;
    char *rest = r->line;
    int rc = lk_buf_append(body, "{", 1, err);

    while (rc == LINKD_OK && name < r->names.data + r->names.len) {
        linkd_str cell = cell_next(&rest, end);
        bool is_number = holds_numbers(name);

        rc = lk_buf_printf(body, err,
                           "%s\"%s\":", name == r->names.data ? "" : ",", name);
        if (rc == LINKD_OK && is_number && cell.len == 0)
            rc = lk_buf_append(body, "null", 4, err);
        else if (rc == LINKD_OK && is_number)
            rc = lk_buf_append(body, cell.bytes, cell.len, err);
        else if (rc == LINKD_OK)
            rc = lk_json_put_string(body, cell, err);
        name += strlen(name) + 1;
    }
    return rc == LINKD_OK ? lk_buf_append(body, "}\n", 2, err) : rc;
}

/* Appends rows up to CHUNK_BYTES or the limit. */
static int rows_read(rows *r, lk_buf *body, bool *ret_more, linkd_error *err)
{
    size_t begin = body->len;
    int rc = LINKD_OK;

    *ret_more = true;
    while (rc == LINKD_OK && r->limit > 0 && body->len - begin < CHUNK_BYTES) {
        size_t len = 0;

        rc = record_read(r, &len, err);
        if (rc == LINKD_OK && len == 0) {
            *ret_more = false;
            break;
        }
        r->place += len;
        r->limit--;
        if (rc == LINKD_OK && r->is_ndjson)
            rc = record_print(r, len, body, err);
        else if (rc == LINKD_OK)
            rc = lk_buf_append(body, r->line, len, err);
    }
    return rc;
}

static int rows_next(void *ctx, lk_buf *ret_chunk, lk_stream_state *ret_state,
                     linkd_error *err)
{
    bool more = false;
    int rc = rows_read(ctx, ret_chunk, &more, err);

    *ret_state = more ? LK_STREAM_MORE : LK_STREAM_END;
    return rc;
}

/* Reads the header, and goes to the cursor: a row's first byte, so the byte
 * before it ends a line. */
static int rows_open(rows *r, const char *path, uint64_t number,
                     uint64_t cursor, linkd_error *err)
{
    const char *end;
    size_t len = 0;
    char *rest;
    int rc;

    r->file = fopen(path, "re");
    if (r->file == NULL && errno == ENOENT) /* a backup, or deleted since */
        return lk_fail(err, LINKD_E_ABSENT, "job %" PRIu64 " has no results",
                       number);
    if (r->file == NULL)
        return lk_fail(err, LINKD_E_IO, "could not open the job's results: %s",
                       strerror(errno));
    rc = record_read(r, &len, err);
    if (rc != LINKD_OK)
        return rc;
    rest = r->line;
    end = r->line + len;
    r->place = len;
    if (cursor == 0 && !r->is_ndjson)
        r->place = 0; /* CSV begins with its header */
    while (rest < end && rc == LINKD_OK) {
        linkd_str name = cell_next(&rest, end);

        rc = lk_buf_append(&r->names, name.bytes, name.len, err);
        if (rc == LINKD_OK)
            rc = lk_buf_append(&r->names, "", 1, err);
    }
    if (rc == LINKD_OK && cursor > 0) {
        if (fseeko(r->file, (off_t)cursor - 1, SEEK_SET) != 0 ||
            getc(r->file) != '\n')
            return lk_fail(err, LINKD_E_ARG, "\"cursor\" is not one of ours");
        r->place = cursor;
    } else if (rc == LINKD_OK && r->place == 0) {
        rewind(r->file);
    }
    return rc;
}

static int results_options(lk_request *request, rows *r, uint64_t *ret_cursor,
                           bool *ret_is_page, linkd_error *err)
{
    static const char *const names[] = {"cursor", "limit", "format", NULL};
    linkd_str text = {0};
    bool found = false;
    int rc = lk_request_check_query(request, names, err);

    *ret_cursor = 0;
    r->limit = UINT64_MAX;
    if (rc == LINKD_OK)
        rc = lk_request_query(request, "cursor", &text, &found, err);
    if (rc == LINKD_OK && found)
        rc = lk_str_to_u64(text, "cursor", ret_cursor, err);
    if (rc == LINKD_OK)
        rc = lk_request_query(request, "limit", &text, ret_is_page, err);
    if (rc == LINKD_OK && *ret_is_page)
        rc = lk_str_to_u64(text, "limit", &r->limit, err);
    if (rc == LINKD_OK && *ret_is_page &&
        (r->limit == 0 || r->limit > PAGE_MAX))
        rc = lk_fail(err, LINKD_E_ARG, "\"limit\" is not from 1 to %" PRIu64,
                     PAGE_MAX);
    if (rc == LINKD_OK)
        rc = lk_request_query(request, "format", &text, &found, err);
    r->is_ndjson = !found || lk_str_is(text, "ndjson");
    if (rc == LINKD_OK && found && !r->is_ndjson && !lk_str_is(text, "csv"))
        rc = lk_fail(err, LINKD_E_ARG, "\"format\" is neither ndjson nor csv");
    return rc;
}

/* A page is made here and now, since its header says where the next begins. */
static int rows_page(rows *r, lk_request *request, lk_response *response,
                     linkd_error *err)
{
    bool more = true;
    int rc = LINKD_OK;

    if (r->place == 0)
        r->limit++; /* the CSV's header is no row */
    while (rc == LINKD_OK && more && r->limit > 0)
        rc = rows_read(r, &response->body, &more, err);
    if (rc == LINKD_OK && more && getc(r->file) != EOF)
        rc = lk_response_add_header(response, request, "Linkd-Cursor", err,
                                    "%" PRIu64, r->place);
    return rc;
}

int lk_handle_get_results(lk_service *service, lk_request *request,
                          lk_response *response, linkd_error *err)
{
    lk_buf path = {0};
    rows *r = calloc(1, sizeof(*r));
    uint64_t number = 0;
    uint64_t cursor = 0;
    bool is_page = false;
    int rc = r == NULL ? lk_fail_nomem(err) : job_number(request, &number, err);

    if (rc == LINKD_OK)
        rc = results_options(request, r, &cursor, &is_page, err);
    if (rc == LINKD_OK)
        rc = lk_jobs_results_path(service->jobs, number, &path, err);
    if (rc == LINKD_OK)
        rc = rows_open(r, path.data, number, cursor, err);
    if (rc == LINKD_OK) {
        response->content_type =
            r->is_ndjson ? "application/x-ndjson" : "text/csv";
        if (is_page) {
            rc = rows_page(r, request, response, err);
        } else {
            response->stream = (lk_stream){rows_next, rows_free, r};
            r = NULL;
        }
    }
    rows_free(r);
    lk_buf_clear(&path);
    return rc;
}

/* ---- uploads ------------------------------------------------------------- */

/* The ending that tells linkage the format. NULL: not a table. */
static const char *ending_of(linkd_str type)
{
    if (lk_str_is(type, "text/csv"))
        return "csv";
    if (lk_str_is(type, "text/tab-separated-values"))
        return "tsv";
    if (lk_str_is(type, "application/x-ndjson"))
        return "jsonl";
    return NULL;
}

/* Removes what was uploaded and not used for days. Jobs have links of their
 * own, so nothing that is needed goes. */
static void uploads_purge(const char *path)
{
    time_t oldest = time(NULL) - UPLOAD_KEEP_SECONDS;
    DIR *dir = opendir(path);
    const struct dirent *item;

    while (dir != NULL && (item = readdir(dir)) != NULL) {
        struct stat status;

        if (item->d_name[0] != '.' &&
            fstatat(dirfd(dir), item->d_name, &status, 0) == 0 &&
            status.st_mtime < oldest)
            (void)unlinkat(dirfd(dir), item->d_name, 0);
    }
    if (dir != NULL)
        (void)closedir(dir);
}

static int file_sync(const char *path, linkd_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int rc = LINKD_OK;

    if (fd < 0 || fsync(fd) != 0)
        rc = lk_fail(err, lk_errno_code(errno), "could not keep the upload: %s",
                     strerror(errno));
    if (fd >= 0)
        (void)close(fd);
    return rc;
}

static int upload_keep(lk_service *service, const char *temporary,
                       const char *ending, lk_response *response,
                       linkd_error *err)
{
    struct stat status = {0};
    lk_buf path = {0};
    uint64_t name = 0;
    int rc = file_sync(temporary, err);

    if (rc == LINKD_OK && getrandom(&name, sizeof(name), 0) != sizeof(name))
        rc = lk_fail(err, LINKD_E_IO, "could not get a random name: %s",
                     strerror(errno));
    if (rc == LINKD_OK)
        rc = lk_buf_printf(&path, err, "%s/%016" PRIx64 ".%s",
                           service->upload_dir, name, ending);
    if (rc == LINKD_OK &&
        (rename(temporary, path.data) != 0 || stat(path.data, &status) != 0))
        rc = lk_fail(err, lk_errno_code(errno), "could not keep the upload: %s",
                     strerror(errno));
    /* what is answered survives a power cut: its name, too */
    if (rc == LINKD_OK)
        rc = lk_dir_sync(service->upload_dir, err);
    if (rc == LINKD_OK) {
        response->status = 201;
        rc = lk_buf_printf(&response->body, err,
                           "{\"file\":\"%016" PRIx64 ".%s\",\"bytes\":%jd}\n",
                           name, ending, (intmax_t)status.st_size);
    }
    lk_buf_clear(&path);
    return rc;
}

/* The body is in a file already: request->body is its path. */
int lk_handle_upload_file(lk_service *service, lk_request *request,
                          lk_response *response, linkd_error *err)
{
    linkd_str type = lk_request_content_type(request);
    const char *ending = ending_of(type);

    if (ending == NULL) {
        int rc = lk_fail(err, LINKD_E_ARG,
                         "content type \"%s\" is none of text/csv, "
                         "text/tab-separated-values and application/x-ndjson",
                         lk_label_of(type).text);

        return lk_response_fail(response, 415, "unsupported_type", rc);
    }
    uploads_purge(service->upload_dir);
    return upload_keep(service, request->body.data, ending, response, err);
}
