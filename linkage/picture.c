/* linkage/picture.c — what a cell says of a record's picture, to pixels. */
#include "linkage/picture.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of the file, not of its pixels. */
#define PICTURE_BYTES_MAX ((off_t)256 << 20)

static bool is_data_uri(linkd_str source)
{
    return source.len >= 5 && memcmp(source.bytes, "data:", 5) == 0;
}

/* "data:image/png;base64,…" */
static int data_uri_decode(linkd_str uri, lk_buf *ret_bytes, linkd_error *err)
{
    static const char marker[] = ";base64";
    const size_t marker_len = sizeof(marker) - 1;
    const char *comma = memchr(uri.bytes, ',', uri.len);
    const size_t head = comma != NULL ? (size_t)(comma - uri.bytes) : 0;
    linkd_str text;
    linkd_error why;

    if (head < marker_len ||
        memcmp(comma - marker_len, marker, marker_len) != 0)
        return lk_fail(err, LINKD_E_DATA, "is not in base64");
    text = (linkd_str){comma + 1, uri.len - head - 1};
    ret_bytes->len = lk_base64_decoded_len(text);
    ret_bytes->data = malloc(ret_bytes->len + 1);
    if (ret_bytes->data == NULL)
        return lk_fail_nomem(err);
    if (lk_base64_decode(text, ret_bytes->data, &why) != LINKD_OK)
        return lk_fail(err, LINKD_E_DATA, "%s", why.message);
    return LINKD_OK;
}

/* NUL-terminated. */
static int path_make(const char *table_path, linkd_str source, lk_buf *ret_path,
                     linkd_error *err)
{
    const char *slash = strrchr(table_path, '/');
    int rc = LINKD_OK;

    if (slash != NULL && source.bytes[0] != '/')
        rc = lk_buf_append(ret_path, table_path,
                           (size_t)(slash - table_path) + 1, err);
    if (rc == LINKD_OK)
        rc = lk_buf_append(ret_path, source.bytes, source.len, err);
    return rc;
}

static int fail_errno(linkd_error *err)
{
    char text[96];

    return lk_fail(err, LINKD_E_IO, "%s",
                   strerror_r(errno, text, sizeof(text)));
}

static int descriptor_read(int fd, lk_buf *ret_bytes, linkd_error *err)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return fail_errno(err);
    if (!S_ISREG(st.st_mode))
        return lk_fail(err, LINKD_E_IO, "is not a plain file");
    if (st.st_size > PICTURE_BYTES_MAX)
        return lk_fail(err, LINKD_E_DATA, "is over the limit of %lld bytes",
                       (long long)PICTURE_BYTES_MAX);
    ret_bytes->data = malloc((size_t)st.st_size + 1);
    if (ret_bytes->data == NULL)
        return lk_fail_nomem(err);
    while (ret_bytes->len < (size_t)st.st_size) {
        ssize_t n = read(fd, ret_bytes->data + ret_bytes->len,
                         (size_t)st.st_size - ret_bytes->len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail_errno(err);
        if (n == 0)
            break; /* it has become shorter: the decoder will say so */
        ret_bytes->len += (size_t)n;
    }
    return LINKD_OK;
}

/* Does not wait for whoever would write to a pipe of that name. */
static int file_read(const char *path, lk_buf *ret_bytes, linkd_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int rc;

    if (fd < 0)
        return fail_errno(err);
    rc = descriptor_read(fd, ret_bytes, err);
    (void)close(fd);
    return rc;
}

static int bytes_read(const char *table_path, linkd_str source,
                      lk_buf *ret_bytes, linkd_error *err)
{
    lk_buf path = {0};
    int rc;

    if (is_data_uri(source))
        return data_uri_decode(source, ret_bytes, err);
    rc = path_make(table_path, source, &path, err);
    if (rc == LINKD_OK)
        rc = file_read(path.data, ret_bytes, err);
    lk_buf_clear(&path);
    return rc;
}

int lk_picture_read(const char *table_path, linkd_str source,
                    const linkd_image_options *options, linkd_image *ret_image,
                    linkd_error *err)
{
    lk_buf bytes = {0};
    int rc = bytes_read(table_path, source, &bytes, err);

    if (rc == LINKD_OK)
        rc = linkd_image_decode((linkd_str){bytes.data, bytes.len}, options,
                                ret_image, err);
    lk_buf_clear(&bytes);
    return rc;
}

int lk_picture_problem(linkd_image_problems *problems, uint64_t row,
                       linkd_str source, const linkd_error *problem,
                       linkd_error *err)
{
    if (++problems->n > LINKD_IMAGE_PROBLEMS_MAX)
        return LINKD_OK;
    if (problems->table != NULL) {
        int rc =
            lk_buf_printf(&problems->lines, err, "%s, %.*s, ", problems->table,
                          (int)problems->column.len, problems->column.bytes);

        if (rc != LINKD_OK)
            return rc;
    }
    return lk_buf_printf(
        &problems->lines, err, "row %" PRIu64 ": %s: %s\n", row + 1,
        is_data_uri(source) ? "data URI" : lk_label_of(source).text,
        problem->message);
}
