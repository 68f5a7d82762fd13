/* cli/hub.c — models from a server with the layout of the Hugging Face hub.
 *
 *   GET {base}/{repo}/resolve/{revision}/{file}
 *    └─► 200, or 302 to a content store, with X-Linked-Etag "<sha256>" and
 *        X-Linked-Size if the file is a large one
 *
 * A file is received as <name>.part and renamed when it is whole and its hash,
 * where the hub tells one, is right. Weights go on where an earlier attempt
 * stopped (Range); the other files are small and start anew. A part
 * whose hash turned out wrong is removed, so that the next attempt does not
 * build on it. From https only https is followed. */
#include "cli/hub.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/http.h"
#include "cli/sha256.h"

#define PATH_MAX_BYTES 4096
#define URL_MAX_BYTES  2048

typedef struct download {
    lk_http *http;
    const lk_model_file *file;
    char part[PATH_MAX_BYTES];
    char step[64]; /* what progress calls it */
    int fd;
    uint64_t have; /* bytes in the part */
    bool has_body; /* the first byte of the answer that counts has come */
    char sha256[65];
    uint64_t range_start; /* of the answer */
    uint64_t linked_size; /* 0: not told */
    const linkd_progress *progress;
    uint64_t resumed; /* bytes that were there before */
} download;

/* ---- what the server says ----------------------------------------------- */

static uint64_t digits_value(const char *text, size_t len)
{
    uint64_t value = 0;

    for (size_t i = 0; i < len && text[i] >= '0' && text[i] <= '9'; i++)
        value = value * 10 + (uint64_t)(text[i] - '0');
    return value;
}

static void header_take(void *opaque, const char *line, size_t len)
{
    download *d = opaque;
    size_t value_len = 0;
    const char *value = lk_http_header(line, len, "x-linked-etag", &value_len);

    if (value != NULL && value_len == sizeof(d->sha256) - 1) {
        memcpy(d->sha256, value, value_len);
        d->sha256[value_len] = '\0';
    }
    value = lk_http_header(line, len, "x-linked-size", &value_len);
    if (value != NULL)
        d->linked_size = digits_value(value, value_len);
    value = lk_http_header(line, len, "content-range", &value_len);
    if (value != NULL && value_len > 6 && strncasecmp(value, "bytes ", 6) == 0)
        d->range_start = digits_value(value + 6, value_len - 6);
}

static int fail_write(const download *d, linkd_error *err)
{
    return lk_fail(err, LINKD_E_IO, "could not write %s: %s", d->part,
                   strerror(errno));
}

static int part_empty(download *d, linkd_error *err)
{
    d->have = 0;
    d->resumed = 0;
    if (ftruncate(d->fd, 0) != 0 || lseek(d->fd, 0, SEEK_SET) != 0)
        return fail_write(d, err);
    return LINKD_OK;
}

/* A server may ignore the range and send everything. */
static int body_begin(download *d, long status, linkd_error *err)
{
    d->has_body = true;
    if (status != 206)
        return part_empty(d, err);
    if (d->range_start == d->have)
        return LINKD_OK;
    return lk_fail(err, LINKD_E_IO,
                   "could not download %s: the hub sends another part of it",
                   d->file->path);
}

static int body_take(void *opaque, long status, const char *bytes, size_t len,
                     linkd_error *err)
{
    download *d = opaque;
    int rc;

    if (status != 200 && status != 206)
        return LINKD_OK; /* the text of an error page */
    rc = d->has_body ? LINKD_OK : body_begin(d, status, err);
    if (rc != LINKD_OK)
        return rc;
    if (d->have + len > d->file->max_bytes)
        return lk_fail(err, LINKD_E_DATA,
                       "cannot download %s: it is larger than %" PRIu64
                       " bytes",
                       d->file->path, d->file->max_bytes);
    for (size_t at = 0; at < len;) {
        ssize_t written = write(d->fd, bytes + at, len - at);

        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return fail_write(d, err);
        at += (size_t)written;
    }
    d->have += len;
    return LINKD_OK;
}

static int moved_take(void *opaque, const lk_http_moved *moved)
{
    download *d = opaque;

    if (moved->to_receive == 0 || moved->received == 0 || !d->has_body)
        return LINKD_OK;
    return lk_progress_report(d->progress, d->step,
                              d->resumed + moved->received,
                              d->resumed + moved->to_receive, NULL);
}

/* ---- one file ----------------------------------------------------------- */

/* Sends the request; *ret_status is the answer's. */
static int part_ask(download *d, const char *url, long *ret_status,
                    linkd_error *err)
{
    lk_http_request request = LK_HTTP_REQUEST_INIT;
    char failure[80];
    int rc;

    (void)snprintf(failure, sizeof(failure), "could not download %s",
                   d->file->path);
    request.url = url;
    request.failure = failure;
    request.range_from = d->have;
    request.header_cb = header_take;
    request.body_cb = body_take;
    request.moved_cb = d->progress != NULL ? moved_take : NULL;
    request.ctx = d;
    rc = lk_http_run(d->http, &request, ret_status, err);
    return rc == LINKD_E_BUSY ? LINKD_E_IO : rc;
}

static int fail_status(const download *d, long status, linkd_error *err)
{
    if (status == 404 && strcmp(d->file->path, LK_MODEL_INDEX) == 0)
        return lk_fail(err, LINKD_E_ARG,
                       "the hub has no weights of the model that linkd reads: "
                       "neither " LK_MODEL_WEIGHTS " nor " LK_MODEL_INDEX);
    if (status == 404 && d->file->shard > 0)
        return lk_fail(err, LINKD_E_ARG,
                       "the hub lacks a part of the model's weights: %s "
                       "answers 404",
                       d->file->path);
    if (status == 401 || status == 403 || status == 404)
        return lk_fail(err, LINKD_E_ARG,
                       "the hub has no such model, or it is not public: %s "
                       "answers %ld",
                       d->file->path, status);
    return lk_fail(err, LINKD_E_IO,
                   "could not download %s: the hub answers %ld", d->file->path,
                   status);
}

static int part_open(download *d, linkd_error *err)
{
    struct stat st;
    int anew = d->file->is_weights ? 0 : O_TRUNC;

    d->fd = open(d->part, O_WRONLY | O_CREAT | O_CLOEXEC | anew, 0666);
    if (d->fd < 0 || fstat(d->fd, &st) != 0 || lseek(d->fd, 0, SEEK_END) < 0)
        return lk_fail(err, LINKD_E_IO, "could not write %s: %s", d->part,
                       strerror(errno));
    d->have = (uint64_t)st.st_size;
    d->resumed = d->have;
    return LINKD_OK;
}

static int part_receive(download *d, const char *url, long *ret_status,
                        linkd_error *err)
{
    int rc = part_ask(d, url, ret_status, err);

    if (rc != LINKD_OK || *ret_status != 416)
        return rc;
    /* the part is as long as the file or longer: a different file */
    rc = part_empty(d, err);
    return rc == LINKD_OK ? part_ask(d, url, ret_status, err) : rc;
}

static int part_check(const download *d, linkd_error *err)
{
    lk_sha256 sha256 = {{0}, 0};
    int rc;

    if (d->linked_size != 0 && d->have != d->linked_size)
        return lk_fail(err, LINKD_E_DATA,
                       "%s has %" PRIu64 " bytes where the hub says %" PRIu64,
                       d->file->path, d->have, d->linked_size);
    if (d->sha256[0] == '\0')
        return LINKD_OK;
    rc = lk_sha256_file(d->part, &sha256, err);
    if (rc == LINKD_OK && strcasecmp(sha256.hex, d->sha256) != 0)
        rc = lk_fail(err, LINKD_E_DATA,
                     "%s is damaged: its sha256 is %.16s..., the hub says "
                     "%.16s...",
                     d->file->path, sha256.hex, d->sha256);
    return rc;
}

static int part_finish(download *d, const char *path, linkd_error *err)
{
    int rc;

    if (!d->has_body) /* an empty file has no body, and a part may be there */
        (void)!ftruncate(d->fd, 0);
    if (fsync(d->fd) != 0)
        return lk_fail(err, LINKD_E_IO, "could not write %s: %s", d->part,
                       strerror(errno));
    rc = part_check(d, err);
    if (rc == LINKD_E_DATA)
        (void)unlink(d->part);
    if (rc == LINKD_OK && rename(d->part, path) != 0)
        rc = lk_fail(err, LINKD_E_IO, "could not make %s: %s", path,
                     strerror(errno));
    return rc;
}

static int file_fetch(download *d, const char *url, const char *path,
                      linkd_error *err)
{
    long status = 0;
    int rc = part_open(d, err);

    if (rc == LINKD_OK)
        rc = part_receive(d, url, &status, err);
    if (rc == LINKD_OK && status != 200 && status != 206) {
        (void)unlink(d->part);
        (void)unlink(path); /* of another revision */
        if (status != 404 || d->file->is_required)
            rc = fail_status(d, status, err);
    } else if (rc == LINKD_OK) {
        rc = part_finish(d, path, err);
    }
    if (d->fd >= 0)
        (void)close(d->fd);
    if (rc != LINKD_OK && d->fd >= 0 && d->have == 0)
        (void)unlink(d->part); /* nothing to go on with */
    return rc;
}

/* ---- a model ------------------------------------------------------------ */

static const char *base_url_of(const lk_hub_model *model)
{
    const char *url = model->base_url;

    if (url == NULL)
        url = getenv("HF_ENDPOINT");
    return url != NULL && url[0] != '\0' ? url : LK_HUB_URL;
}

static int url_make(const lk_hub_model *model, const char *file,
                    char ret_url[URL_MAX_BYTES], linkd_error *err)
{
    const char *base = base_url_of(model);
    size_t len = strlen(base);
    int n;

    if (strncasecmp(base, "http://", 7) != 0 &&
        strncasecmp(base, "https://", 8) != 0)
        return lk_fail(err, LINKD_E_ARG,
                       "the hub's address must begin with https:// or "
                       "http://: %s",
                       base);
    while (len > 0 && base[len - 1] == '/')
        len--;
    n = snprintf(ret_url, URL_MAX_BYTES, "%.*s/%s/resolve/%s/%s", (int)len,
                 base, model->repo, model->revision, file);
    if (n < 0 || n >= URL_MAX_BYTES)
        return lk_fail(err, LINKD_E_ARG, "the hub's address is too long");
    return LINKD_OK;
}

/* One download of a model. */
typedef struct pull {
    const lk_hub_model *model;
    const linkd_progress *progress;
    lk_http *http;
} pull;

static int file_bring(void *ctx, const lk_model_file *file, const char *path,
                      linkd_error *err)
{
    const pull *p = ctx;
    download d = {.http = p->http,
                  .file = file,
                  .fd = -1,
                  .progress = file->is_weights ? p->progress : NULL,
                  .step = "download"};
    char url[URL_MAX_BYTES];
    int rc;

    if (file->is_weights && access(path, F_OK) == 0)
        return LINKD_OK; /* renamed, so it was whole and checked */
    if (file->n_shards > 0)
        (void)snprintf(d.step, sizeof(d.step), "download %zu of %zu",
                       file->shard, file->n_shards);
    if (snprintf(d.part, sizeof(d.part), "%s.part", path) >=
        (int)sizeof(d.part))
        return lk_fail(err, LINKD_E_ARG, "the path of the store is too long");
    rc = url_make(p->model, file->path, url, err);
    return rc == LINKD_OK ? file_fetch(&d, url, path, err) : rc;
}

int lk_hub_fetch(const lk_hub_model *model, lk_stage *stage,
                 const linkd_progress *progress, linkd_error *err)
{
    pull p = {.model = model, .progress = progress};
    int rc = lk_http_open(&p.http, err);

    if (rc == LINKD_OK)
        rc = lk_stage_fill(stage, file_bring, &p, err);
    lk_http_close(p.http);
    return rc;
}
