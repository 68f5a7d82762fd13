/* daemon/print.c — parts of JSON answers. */
#include "daemon/print.h"

#include <inttypes.h>
#include <stdio.h>

#include "daemon/json.h"
#include "linkage/linkage.h"

static int field_print(lk_buf *buf, const linkd_field *field, linkd_error *err)
{
    int rc = lk_json_put_string(buf, field->name, err);

    if (rc == LINKD_OK)
        rc = lk_buf_append(buf, ":", 1, err);
    if (rc != LINKD_OK)
        return rc;
    if (field->kind == LINKD_FIELD_TEXT)
        return lk_json_put_string(buf, field->value, err);
    return lk_buf_append(buf, field->value.bytes, field->value.len, err);
}

int lk_print_fields(lk_buf *buf, const linkd_field *fields, size_t n_fields,
                    linkd_error *err)
{
    int rc = lk_buf_append(buf, "{", 1, err);

    for (size_t i = 0; i < n_fields && rc == LINKD_OK; i++) {
        if (i > 0)
            rc = lk_buf_append(buf, ",", 1, err);
        if (rc == LINKD_OK)
            rc = field_print(buf, &fields[i], err);
    }
    return rc == LINKD_OK ? lk_buf_append(buf, "}", 1, err) : rc;
}

int lk_print_entity(lk_buf *buf, uint64_t entity, linkd_error *err)
{
    if (entity == LINKD_ID_NONE)
        return LINKD_OK;
    return lk_buf_printf(buf, err, ",\"entity\":%" PRIu64, entity);
}

int lk_print_vector(lk_buf *buf, const float *vector, size_t dim,
                    linkd_error *err)
{
    int rc = LINKD_OK;

    for (size_t i = 0; i < dim && rc == LINKD_OK; i++) {
        char text[32];
        int len = snprintf(text, sizeof(text), "%c%.9g", i == 0 ? '[' : ',',
                           (double)vector[i]);

        rc = lk_buf_append(buf, text, (size_t)len, err);
    }
    return rc == LINKD_OK ? lk_buf_append(buf, "]", 1, err) : rc;
}

int lk_str_to_u64(linkd_str text, const char *name, uint64_t *ret_value,
                  linkd_error *err)
{
    uint64_t value = 0;
    bool is_number = text.len > 0;

    for (size_t i = 0; i < text.len && is_number; i++) {
        char c = text.bytes[i];

        if (c < '0' || c > '9' ||
            value > (UINT64_MAX - (uint64_t)(c - '0')) / 10)
            is_number = false;
        else
            value = value * 10 + (uint64_t)(c - '0');
    }
    if (!is_number)
        return lk_fail(err, LINKD_E_ARG, "\"%s\" is not a number: \"%s\"", name,
                       lk_label_of(text).text);
    *ret_value = value;
    return LINKD_OK;
}
