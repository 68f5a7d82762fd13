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

/* ---- the part that is meant ---------------------------------------------- */

/* In hundredths of width and height. */
typedef struct part {
    unsigned x, y, width, height;
} part;

#define PART_WHOLE ((part){0, 0, 100, 100})
/* "#xywh=percent:100,100,100,100" */
#define FRAGMENT_BYTES_MAX ((size_t)29)

/* Four numbers up to 100 with commas between them, and nothing behind. */
static bool part_parse(const char *text, part *ret_part)
{
    unsigned *const values[] = {&ret_part->x, &ret_part->y, &ret_part->width,
                                &ret_part->height};

    for (size_t i = 0; i < 4; i++) {
        char *end = NULL;
        unsigned long value = strtoul(text, &end, 10);

        if (*text < '0' || *text > '9' || value > 100 ||
            *end != (i < 3 ? ',' : '\0'))
            return false;
        *values[i] = (unsigned)value;
        text = end + 1;
    }
    return ret_part->width > 0 && ret_part->height > 0 &&
           ret_part->x + ret_part->width <= 100 &&
           ret_part->y + ret_part->height <= 100;
}

/* Cuts the fragment off a data URI, if it has one. */
static int fragment_cut(linkd_str *uri, part *ret_part, linkd_error *err)
{
    static const char prefix[] = "#xywh=percent:";
    const size_t prefix_len = sizeof(prefix) - 1;
    const char *mark = memrchr(uri->bytes, '#', uri->len);
    size_t len = mark != NULL ? uri->len - (size_t)(mark - uri->bytes) : 0;
    char text[FRAGMENT_BYTES_MAX + 1] = "";

    *ret_part = PART_WHOLE;
    if (mark == NULL)
        return LINKD_OK;
    if (len <= FRAGMENT_BYTES_MAX)
        memcpy(text, mark, len);
    if (memcmp(text, prefix, prefix_len) != 0 ||
        !part_parse(text + prefix_len, ret_part))
        return lk_fail(err, LINKD_E_DATA,
                       "the fragment is not #xywh=percent:X,Y,W,H");
    uri->len -= len;
    return LINKD_OK;
}

/* Keeps the part alone, of which a pixel is left at least. */
static void image_cut(linkd_image *image, const part *p)
{
    const size_t left = image->width * p->x / 100;
    const size_t top = image->height * p->y / 100;
    const size_t width = (image->width * p->width + 99) / 100;
    const size_t height = (image->height * p->height + 99) / 100;

    for (size_t y = 0; y < height && p->width + p->height < 200; y++)
        memmove(image->pixels + y * width * 3,
                image->pixels + ((top + y) * image->width + left) * 3,
                width * 3);
    image->width = width;
    image->height = height;
}

/* ---- bytes --------------------------------------------------------------- */

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

    if (linkd_is_data_uri(source))
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
    part p = PART_WHOLE;
    int rc =
        linkd_is_data_uri(source) ? fragment_cut(&source, &p, err) : LINKD_OK;

    if (rc == LINKD_OK)
        rc = bytes_read(table_path, source, &bytes, err);
    if (rc == LINKD_OK)
        rc = linkd_image_decode((linkd_str){bytes.data, bytes.len}, options,
                                ret_image, err);
    lk_buf_clear(&bytes);
    if (rc == LINKD_OK)
        image_cut(ret_image, &p);
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
        linkd_is_data_uri(source) ? "data URI" : lk_label_of(source).text,
        problem->message);
}

/* ---- as a data URI ------------------------------------------------------- */

static bool begins_with(const lk_buf *bytes, const char *magic, size_t len)
{
    return bytes->len >= len && memcmp(bytes->data, magic, len) == 0;
}

/* By what it begins with, as decoders are chosen. */
static const char *type_of(const lk_buf *bytes)
{
    if (begins_with(bytes, "\xff\xd8", 2))
        return "image/jpeg";
    if (begins_with(bytes, "\x89PNG", 4))
        return "image/png";
    return begins_with(bytes, "RIFF", 4) ? "image/webp"
                                         : "application/octet-stream";
}

/* Appends a parameter's value: what could end it, or is no plain ASCII, is
 * escaped as in any URI. */
static int escaped_append(lk_buf *uri, linkd_str text, linkd_error *err)
{
    int rc = LINKD_OK;

    for (size_t i = 0; i < text.len && rc == LINKD_OK; i++) {
        const unsigned char c = (unsigned char)text.bytes[i];
        const bool is_plain = (c >= 'a' && c <= 'z') ||
                              (c >= 'A' && c <= 'Z') ||
                              (c >= '0' && c <= '9') || c == '.' || c == '/' ||
                              c == '-' || c == '_' || c == '~';

        rc = is_plain ? lk_buf_append(uri, &text.bytes[i], 1, err)
                      : lk_buf_printf(uri, err, "%%%02X", c);
    }
    return rc;
}

static int uri_append(lk_buf *uri, linkd_str path, const lk_buf *bytes,
                      linkd_error *err)
{
    int rc = lk_buf_printf(uri, err, "data:%s;name=", type_of(bytes));

    if (rc == LINKD_OK)
        rc = escaped_append(uri, path, err);
    if (rc == LINKD_OK)
        rc = lk_buf_printf(uri, err, ";base64,");
    return rc == LINKD_OK ? lk_base64_encode(bytes->data, bytes->len, uri, err)
                          : rc;
}

int linkd_picture_uri(const char *table_path, linkd_str source, lk_buf *ret_uri,
                      linkd_error *err)
{
    lk_buf bytes = {0};
    int rc;

    if (linkd_is_data_uri(source))
        return lk_buf_append(ret_uri, source.bytes, source.len, err);
    rc = bytes_read(table_path, source, &bytes, err);
    if (rc == LINKD_OK && bytes.len > LINKD_CONTENT_PICTURE_MAX)
        rc = lk_fail(err, LINKD_E_DATA, "is over the limit of %zu bytes",
                     LINKD_CONTENT_PICTURE_MAX);
    if (rc == LINKD_OK)
        rc = uri_append(ret_uri, source, &bytes, err);
    lk_buf_clear(&bytes);
    return rc;
}

int lk_hashed_compare(const void *a, const void *b)
{
    const lk_hashed *x = a;
    const lk_hashed *y = b;

    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return (x->number > y->number) - (x->number < y->number);
}
