/* daemon/query_content.c — what a search looks for, as one content. A picture that
 * cannot be used is the client's mistake: here it is an error, not a query that
 * nothing is near to. */
#include "daemon/query_content.h"

#include <string.h>

static int picture_read(const json_t *query, const char *where,
                        linkd_str *ret_picture, linkd_error *err)
{
    linkd_error why;
    int rc = lk_json_get_string(query, "image", ret_picture, err);

    if (rc != LINKD_OK)
        return rc;
    if (!linkd_is_data_uri(*ret_picture))
        return lk_fail(err, LINKD_E_ARG,
                       "%s: \"image\" is no data URI: linkd opens no files for "
                       "clients",
                       where);
    rc = linkd_picture_check(*ret_picture, &why);
    return rc == LINKD_E_DATA ? lk_fail(err, LINKD_E_ARG, "%s: \"image\": %s",
                                        where, why.message)
                              : rc;
}

static int content_make(linkd_str text, linkd_str picture, lk_arena *arena,
                        linkd_str *ret_content, linkd_error *err)
{
    lk_buf content = {0};
    char *copy = NULL;
    int rc = lk_buf_append(&content, text.bytes, text.len, err);

    if (rc == LINKD_OK)
        rc = linkd_content_add_picture(&content, picture, err);
    if (rc == LINKD_OK) {
        copy = lk_arena_copy(arena, content.data, content.len);
        *ret_content = (linkd_str){copy, content.len};
        rc = copy == NULL ? lk_fail_nomem(err) : LINKD_OK;
    }
    lk_buf_clear(&content);
    return rc;
}

static bool has_member(const json_t *query, const char *name)
{
    const json_t *value = json_object_get(query, name);

    return value != NULL && !json_is_null(value);
}

int lk_query_content_read(const json_t *query, const char *where,
                          lk_arena *arena, lk_query_kinds *kinds,
                          linkd_str *ret_content, linkd_error *err)
{
    linkd_str text = {"", 0};
    linkd_str picture = {"", 0};
    int rc = lk_json_get_string(query, "text", &text, err);

    kinds->texts = kinds->texts || has_member(query, "text");
    if (rc != LINKD_OK || !has_member(query, "image")) {
        *ret_content = text;
        return rc;
    }
    kinds->pictures = true;
    rc = picture_read(query, where, &picture, err);
    return rc == LINKD_OK ? content_make(text, picture, arena, ret_content, err)
                          : rc;
}

int lk_query_kinds_check(const lk_query_kinds *kinds, const lk_model *model,
                         linkd_str model_name, linkd_error *err)
{
    const char *what = kinds->pictures ? "image" : "text";

    if (model == NULL)
        return lk_fail(err, LINKD_E_ARG,
                       "the collection has no model to encode \"%s\" with: "
                       "search by \"vector\" or \"record\"",
                       what);
    if (kinds->pictures && !lk_model_reads_pictures(model))
        return lk_fail(err, LINKD_E_ARG, "model \"%s\" reads no pictures",
                       lk_label_of(model_name).text);
    if (kinds->texts && !lk_model_reads_texts(model))
        return lk_fail(err, LINKD_E_ARG,
                       "model \"%s\" reads pictures alone: search by \"image\"",
                       lk_label_of(model_name).text);
    return LINKD_OK;
}
