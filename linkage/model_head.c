/* linkage/model_head.c — see model_head.h.
 *
 *   <store>/L6-firms/   base       "all-MiniLM-L6-v2", and, on the next line, of
 *                                  how many entities it was learnt, and hashes of
 *                                  them and of the records
 *                       head.map   a compat map with a checksum; its `from` is
 *                                  the base's fingerprint
 *
 * A model in the model store like any other, only that most of it lies in
 * another one's directory: two heads of a model share its weights. */
#include "linkage/model_head.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "linkage/linkage.h"

#define MAP_FILE  "head.map"
#define BASE_FILE "base"
/* A map of the most dimensions has 256 MiB. */
#define MAP_BYTES_MAX  ((size_t)300 << 20)
#define BASE_BYTES_MAX ((size_t)256)
#define READ_BYTES     ((size_t)1 << 16)

_Static_assert(LINKD_MODEL_DIGITS == LINKD_FINGERPRINT_BYTES,
               "a model's digits are what a map keeps of it");

void linkd_model_head_clear(linkd_model_head *head)
{
    linkd_compat_map_free(head->map);
    free(head->base);
    *head = (linkd_model_head){0};
}

/* ---- reading ------------------------------------------------------------- */

static int stream_read(FILE *file, size_t max_bytes, lk_buf *ret_bytes,
                       linkd_error *err)
{
    char chunk[READ_BYTES];
    size_t n;
    int rc = LINKD_OK;

    while (rc == LINKD_OK && (n = fread(chunk, 1, sizeof(chunk), file)) > 0)
        rc = ret_bytes->len + n > max_bytes
                 ? lk_fail(err, LINKD_E_DATA, "it is too long")
                 : lk_buf_append(ret_bytes, chunk, n, err);
    if (rc == LINKD_OK && ferror(file))
        rc = lk_fail(err, LINKD_E_IO, "%s", strerror(errno));
    return rc;
}

/* A file of the directory; *ret_found false: it is not there. */
static int file_read(const char *dir, const char *name, size_t max_bytes,
                     lk_buf *ret_bytes, bool *ret_found, linkd_error *err)
{
    lk_buf path = {0};
    FILE *file = NULL;
    linkd_error why = {0};
    int rc = lk_buf_printf(&path, err, "%s/%s", dir, name);

    if (rc != LINKD_OK)
        return rc;
    file = fopen(path.data, "re");
    lk_buf_clear(&path);
    *ret_found = file != NULL;
    if (file == NULL && errno == ENOENT)
        return LINKD_OK;
    rc = file == NULL ? lk_fail(&why, LINKD_E_IO, "%s", strerror(errno))
                      : stream_read(file, max_bytes, ret_bytes, &why);
    if (file != NULL)
        (void)fclose(file);
    return rc == LINKD_OK
               ? rc
               : lk_fail(err, rc, "could not read %s: %s", name, why.message);
}

/* Of what vectors depend on: the base, whose fingerprint is in the map, and the
 * map. */
static void fingerprint_make(const lk_buf *map, char *ret_digits)
{
    XXH128_hash_t hash = XXH3_128bits(map->data, map->len);

    (void)snprintf(ret_digits, LINKD_MODEL_DIGITS + 1,
                   "%016" PRIx64 "%016" PRIx64, (uint64_t)hash.high64,
                   (uint64_t)hash.low64);
}

/* Heads of earlier linkctls have none. */
static void labels_decode(const char *line, linkd_head_labels *ret)
{
    static const char begin[] = "\nlabels ";
    char *end = NULL;

    if (strncmp(line, begin, sizeof(begin) - 1) != 0)
        return;
    ret->n_entities = strtoull(line + sizeof(begin) - 1, &end, 10);
    ret->entities = strtoull(end, &end, 16);
    ret->records = strtoull(end, &end, 16);
}

static int head_decode(const lk_buf *map, const lk_buf *base,
                       linkd_model_head *ret_head, linkd_error *err)
{
    linkd_model_head head = {0};
    linkd_error why = {0};
    size_t len;
    int rc;

    if (base->data == NULL)
        return lk_fail(err, LINKD_E_DATA,
                       MAP_FILE " is there, and no " BASE_FILE
                                " that names its model");
    len = strcspn(base->data, "\n");
    rc = linkd_compat_map_decode((const unsigned char *)map->data, map->len,
                                 &head.map, &why);
    if (rc != LINKD_OK)
        return lk_fail(err, rc, MAP_FILE ": %s", why.message);
    labels_decode(base->data + len, &head.labels);
    head.base = strndup(base->data, len);
    if (head.base == NULL)
        rc = lk_fail_nomem(err);
    else if (len == 0)
        rc = lk_fail(err, LINKD_E_DATA, BASE_FILE " names no model");
    fingerprint_make(map, head.fingerprint);
    if (rc == LINKD_OK)
        *ret_head = head;
    else
        linkd_model_head_clear(&head);
    return rc;
}

int linkd_model_head_read(const char *dir, linkd_model_head *ret_head,
                          linkd_error *err)
{
    lk_buf map = {0};
    lk_buf base = {0};
    bool has_map = false;
    bool has_base = false;
    int rc = file_read(dir, MAP_FILE, MAP_BYTES_MAX, &map, &has_map, err);

    if (rc == LINKD_OK && has_map)
        rc = file_read(dir, BASE_FILE, BASE_BYTES_MAX, &base, &has_base, err);
    if (rc == LINKD_OK && has_map)
        rc = head_decode(&map, &base, ret_head, err);
    else if (rc == LINKD_OK)
        *ret_head = (linkd_model_head){0};
    lk_buf_clear(&map);
    lk_buf_clear(&base);
    return rc;
}

/* ---- writing ------------------------------------------------------------- */

static int file_write(const char *dir, const char *name, const void *bytes,
                      size_t len, linkd_error *err)
{
    lk_buf path = {0};
    FILE *file;
    bool failed;
    int rc = lk_buf_printf(&path, err, "%s/%s", dir, name);

    if (rc != LINKD_OK)
        return rc;
    file = fopen(path.data, "we");
    failed = file == NULL || fwrite(bytes, 1, len, file) != len;
    if (file != NULL)
        failed = fclose(file) != 0 || failed;
    lk_buf_clear(&path);
    return failed ? lk_fail(err, LINKD_E_IO, "could not write %s: %s", name,
                            strerror(errno))
                  : LINKD_OK;
}

int linkd_model_head_write(const char *dir, const char *base,
                           const linkd_head_labels *labels,
                           const linkd_compat_map *map, linkd_error *err)
{
    lk_buf line = {0};
    unsigned char *bytes = NULL;
    size_t len = 0;
    int rc = linkd_compat_map_encode(map, &bytes, &len, err);

    if (rc == LINKD_OK)
        rc = lk_buf_printf(
            &line, err, "%s\nlabels %" PRIu64 " %" PRIx64 " %" PRIx64 "\n",
            base, labels->n_entities, labels->entities, labels->records);
    if (rc == LINKD_OK)
        rc = file_write(dir, BASE_FILE, line.data, line.len, err);
    if (rc == LINKD_OK)
        rc = file_write(dir, MAP_FILE, bytes, len, err);
    lk_buf_clear(&line);
    free(bytes);
    return rc;
}

/* ---- using --------------------------------------------------------------- */

int linkd_model_head_check(const linkd_model_head *head,
                           const char *base_fingerprint, size_t base_dim,
                           linkd_error *err)
{
    linkd_compat_info info = linkd_compat_map_info(head->map);

    if (strlen(base_fingerprint) == LINKD_MODEL_DIGITS &&
        memcmp(base_fingerprint, info.from, LINKD_MODEL_DIGITS) == 0 &&
        info.dim_from == base_dim)
        return LINKD_OK;
    return lk_fail(
        err, LINKD_E_CONFLICT,
        "the head was learnt from another model than \"%s\" is by "
        "now",
        lk_label_of((linkd_str){head->base, strlen(head->base)}).text);
}

int linkd_model_head_apply(const linkd_model_head *head, const float *vectors,
                           size_t n, float *ret_vectors, linkd_error *err)
{
    linkd_compat_info info = linkd_compat_map_info(head->map);
    int rc = LINKD_OK;

    for (size_t i = 0; i < n && rc == LINKD_OK; i++) {
        linkd_rows row = {vectors + i * info.dim_from, 1, info.dim_from};

        rc = linkd_compat_map_apply(head->map, &row,
                                    ret_vectors + i * info.dim_to, err);
    }
    return rc;
}
