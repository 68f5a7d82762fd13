/* cli/hub.c — models from a server with the layout of the Hugging Face hub.
 *
 *   GET {base}/{repo}/resolve/{revision}/{file}
 *    └─► 200, or 302 to a content store, with X-Linked-Etag "<sha256>" and
 *        X-Linked-Size if the file is a large one
 *
 * A file is received as <name>.part and renamed when it is whole and its hash,
 * where the hub tells one, is right. The weights go on where an earlier
 * attempt stopped (Range); the other files are small and start anew. A part
 * whose hash turned out wrong is removed, so that the next attempt does not
 * build on it. From https only https is followed. */
#include "cli/hub.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/sha256.h"

#define CONNECT_SECONDS 20L
#define STALL_SECONDS   60L /* without a byte in that time, give up */
#define REDIRECTS_MAX   8L
#define PATH_MAX_BYTES  4096
#define URL_MAX_BYTES   2048

typedef struct download {
    CURL *curl;
    const lk_model_file *file;
    char part[PATH_MAX_BYTES];
    int fd;
    uint64_t have; /* bytes in the part */
    bool has_body; /* the first byte of the answer that counts has come */
    char sha256[65];
    uint64_t range_start; /* of the answer */
    uint64_t linked_size; /* 0: not told */
    int write_errno;
    bool is_too_large;
    const linkd_progress *progress;
    uint64_t resumed; /* bytes that were there before */
} download;

/* ---- what the server says ----------------------------------------------- */

/* The value of the header `name` in a line, or NULL. */
static const char *header_value(const char *line, size_t len, const char *name,
                                size_t *ret_len)
{
    size_t n = strlen(name);

    if (len <= n || strncasecmp(line, name, n) != 0 || line[n] != ':')
        return NULL;
    line += n + 1;
    len -= n + 1;
    while (len > 0 && (*line == ' ' || *line == '"')) {
        line++;
        len--;
    }
    while (len > 0 && strchr("\r\n \"", line[len - 1]) != NULL)
        len--;
    *ret_len = len;
    return line;
}

static uint64_t digits_value(const char *text, size_t len)
{
    uint64_t value = 0;

    for (size_t i = 0; i < len && text[i] >= '0' && text[i] <= '9'; i++)
        value = value * 10 + (uint64_t)(text[i] - '0');
    return value;
}

static size_t header_take(char *line, size_t size, size_t n, void *opaque)
{
    download *d = opaque;
    size_t len = size * n;
    size_t value_len = 0;
    const char *value = header_value(line, len, "x-linked-etag", &value_len);

    if (value != NULL && value_len == sizeof(d->sha256) - 1) {
        memcpy(d->sha256, value, value_len);
        d->sha256[value_len] = '\0';
    }
    value = header_value(line, len, "x-linked-size", &value_len);
    if (value != NULL)
        d->linked_size = digits_value(value, value_len);
    value = header_value(line, len, "content-range", &value_len);
    if (value != NULL && value_len > 6 && strncasecmp(value, "bytes ", 6) == 0)
        d->range_start = digits_value(value + 6, value_len - 6);
    return len;
}

static long status_of(const download *d)
{
    long status = 0;

    (void)curl_easy_getinfo(d->curl, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

/* A server may ignore the range and send everything. */
static bool body_begin(download *d)
{
    d->has_body = true;
    if (status_of(d) == 206)
        return d->range_start == d->have;
    d->have = 0;
    d->resumed = 0;
    if (ftruncate(d->fd, 0) != 0 || lseek(d->fd, 0, SEEK_SET) != 0) {
        d->write_errno = errno;
        return false;
    }
    return true;
}

static size_t body_take(char *bytes, size_t size, size_t n, void *opaque)
{
    download *d = opaque;
    size_t len = size * n;

    if (status_of(d) != 200 && status_of(d) != 206)
        return len; /* the text of an error page */
    if (!d->has_body && !body_begin(d))
        return 0;
    if (d->have + len > d->file->max_bytes) {
        d->is_too_large = true;
        return 0;
    }
    for (size_t at = 0; at < len;) {
        ssize_t written = write(d->fd, bytes + at, len - at);

        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0) {
            d->write_errno = errno;
            return 0;
        }
        at += (size_t)written;
    }
    d->have += len;
    return len;
}

static int progress_take(void *opaque, curl_off_t total, curl_off_t now,
                         curl_off_t up_total, curl_off_t up_now)
{
    download *d = opaque;

    (void)up_total;
    (void)up_now;
    if (total <= 0 || now <= 0 || !d->has_body)
        return 0;
    return lk_progress_report(d->progress, "download",
                              d->resumed + (uint64_t)now,
                              d->resumed + (uint64_t)total, NULL);
}

/* ---- one file ----------------------------------------------------------- */

static void transfer_prepare(download *d, const char *url)
{
    const char *allowed =
        strncasecmp(url, "https:", 6) == 0 ? "https" : "http,https";
    char range[32];

    curl_easy_reset(d->curl);
    (void)curl_easy_setopt(d->curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(d->curl, CURLOPT_PROTOCOLS_STR, allowed);
    (void)curl_easy_setopt(d->curl, CURLOPT_REDIR_PROTOCOLS_STR, allowed);
    (void)curl_easy_setopt(d->curl, CURLOPT_FOLLOWLOCATION, 1L);
    (void)curl_easy_setopt(d->curl, CURLOPT_MAXREDIRS, REDIRECTS_MAX);
    (void)curl_easy_setopt(d->curl, CURLOPT_USERAGENT,
                           "linkctl/" LINKD_VERSION);
    (void)curl_easy_setopt(d->curl, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
    (void)curl_easy_setopt(d->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    (void)curl_easy_setopt(d->curl, CURLOPT_LOW_SPEED_TIME, STALL_SECONDS);
    (void)curl_easy_setopt(d->curl, CURLOPT_HEADERFUNCTION, header_take);
    (void)curl_easy_setopt(d->curl, CURLOPT_HEADERDATA, d);
    (void)curl_easy_setopt(d->curl, CURLOPT_WRITEFUNCTION, body_take);
    (void)curl_easy_setopt(d->curl, CURLOPT_WRITEDATA, d);
    if (d->progress != NULL) {
        (void)curl_easy_setopt(d->curl, CURLOPT_XFERINFOFUNCTION,
                               progress_take);
        (void)curl_easy_setopt(d->curl, CURLOPT_XFERINFODATA, d);
        (void)curl_easy_setopt(d->curl, CURLOPT_NOPROGRESS, 0L);
    }
    if (d->have > 0) {
        (void)snprintf(range, sizeof(range), "%" PRIu64 "-", d->have);
        (void)curl_easy_setopt(d->curl, CURLOPT_RANGE, range);
    }
}

static int fail_transfer(const download *d, CURLcode code, linkd_error *err)
{
    if (d->write_errno != 0)
        return lk_fail(err, LINKD_E_IO, "could not write %s: %s", d->part,
                       strerror(d->write_errno));
    if (d->is_too_large)
        return lk_fail(err, LINKD_E_DATA,
                       "cannot download %s: it is larger than %" PRIu64
                       " bytes",
                       d->file->path, d->file->max_bytes);
    return lk_fail(err, LINKD_E_IO, "could not download %s: %s", d->file->path,
                   curl_easy_strerror(code));
}

static int fail_status(const download *d, long status, linkd_error *err)
{
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
    bool resumes = strcmp(d->file->path, LK_MODEL_WEIGHTS) == 0;

    d->fd =
        open(d->part, O_WRONLY | O_CREAT | O_CLOEXEC | (resumes ? 0 : O_TRUNC),
             0666);
    if (d->fd < 0 || fstat(d->fd, &st) != 0 || lseek(d->fd, 0, SEEK_END) < 0)
        return lk_fail(err, LINKD_E_IO, "could not write %s: %s", d->part,
                       strerror(errno));
    d->have = (uint64_t)st.st_size;
    d->resumed = d->have;
    return LINKD_OK;
}

/* Sends the request; *ret_status is the answer's. */
static int part_receive(download *d, const char *url, long *ret_status,
                        linkd_error *err)
{
    CURLcode code;

    transfer_prepare(d, url);
    code = curl_easy_perform(d->curl);
    *ret_status = status_of(d);
    if (code != CURLE_OK)
        return fail_transfer(d, code, err);
    if (*ret_status != 416)
        return LINKD_OK;
    /* the part is as long as the file or longer: a different file */
    d->have = 0;
    d->resumed = 0;
    if (ftruncate(d->fd, 0) != 0 || lseek(d->fd, 0, SEEK_SET) != 0)
        return lk_fail(err, LINKD_E_IO, "could not write %s: %s", d->part,
                       strerror(errno));
    transfer_prepare(d, url);
    code = curl_easy_perform(d->curl);
    *ret_status = status_of(d);
    return code == CURLE_OK ? LINKD_OK : fail_transfer(d, code, err);
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
        if (status != 404 || d->file->is_required)
            rc = fail_status(d, status, err);
    } else if (rc == LINKD_OK) {
        rc = part_finish(d, path, err);
    }
    if (d->fd >= 0)
        (void)close(d->fd);
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

static int model_file_fetch(CURL *curl, const lk_hub_model *model,
                            lk_stage *stage, size_t i,
                            const linkd_progress *progress, linkd_error *err)
{
    const char *path = lk_stage_path(stage, i);
    const lk_model_file *file = &lk_model_files[i];
    bool is_large = strcmp(file->path, LK_MODEL_WEIGHTS) == 0;
    download d = {.curl = curl,
                  .file = file,
                  .fd = -1,
                  .progress = is_large ? progress : NULL};
    char url[URL_MAX_BYTES];
    int rc;

    if (is_large && access(path, F_OK) == 0)
        return LINKD_OK; /* renamed, so it was whole and checked */
    if (snprintf(d.part, sizeof(d.part), "%s.part", path) >=
        (int)sizeof(d.part))
        return lk_fail(err, LINKD_E_ARG, "the path of the store is too long");
    rc = url_make(model, file->path, url, err);
    return rc == LINKD_OK ? file_fetch(&d, url, path, err) : rc;
}

int lk_hub_fetch(const lk_hub_model *model, lk_stage *stage,
                 const linkd_progress *progress, linkd_error *err)
{
    CURL *curl = NULL;
    int rc = LINKD_OK;

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return lk_fail_nomem(err);
    curl = curl_easy_init();
    if (curl == NULL)
        rc = lk_fail_nomem(err);
    for (size_t i = 0; i < LK_MODEL_N_FILES && rc == LINKD_OK; i++)
        rc = model_file_fetch(curl, model, stage, i, progress, err);
    curl_easy_cleanup(curl);
    curl_global_cleanup();
    return rc;
}
