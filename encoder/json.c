/* encoder/json.c — a model directory's JSON files, read whole. */
#include "encoder/json.h"

#include "encoder/file.h"

/* Sixteen times the largest tokenizer.json known (Gemma's 33 MB): a guess that
 * bounds what a hostile directory can make the parser allocate. */
#define JSON_BYTES_MAX ((size_t)512 << 20)

int lk_json_parse_bytes(const void *bytes, size_t len, const char *name,
                        json_t **ret_json, linkd_error *err)
{
    json_error_t reason;
    json_t *json;

    if (len > JSON_BYTES_MAX)
        return lk_fail(err, LINKD_E_DATA,
                       "%s: %zu bytes are over the limit of %zu", name, len,
                       JSON_BYTES_MAX);
    json = json_loadb(len == 0 ? "" : bytes, len, 0, &reason);
    if (json == NULL && json_error_code(&reason) == json_error_out_of_memory)
        return lk_fail_nomem(err);
    if (json == NULL)
        return lk_fail(err, LINKD_E_DATA, "%s: line %d: %s", name, reason.line,
                       reason.text);
    *ret_json = json;
    return LINKD_OK;
}

static int read_path(const char *path, const char *name, json_t **ret_json,
                     linkd_error *err)
{
    lk_file file = {0};
    int rc = lk_file_map(path, &file, err);

    if (rc == LINKD_OK)
        rc = lk_json_parse_bytes(file.bytes, file.len, name, ret_json, err);
    lk_file_unmap(&file);
    return rc;
}

int lk_json_read(const char *dir, const char *name, json_t **ret_json,
                 linkd_error *err)
{
    lk_buf path = {0};
    int rc = lk_file_path(dir, name, &path, err);

    if (rc == LINKD_OK)
        rc = read_path(path.data, name, ret_json, err);
    lk_buf_clear(&path);
    return rc;
}
