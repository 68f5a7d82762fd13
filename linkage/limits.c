/* linkage/limits.c — what hits have to reach, as JSON.
 *
 *   0.74 | {"false_match_rate": 0.001} | {"probability": 0.9}
 *
 * A number is a score, and as old as collections are. What a limit of another kind
 * comes to depends on the collection: rates.c and bridge.c say. */
#include "linkage/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const members[] = {
    [LINKD_LIMIT_FALSE_MATCH_RATE] = "false_match_rate",
    [LINKD_LIMIT_PROBABILITY] = "probability",
};

int linkd_limit_check(const linkd_limit *limit, const char *name,
                      linkd_error *err)
{
    double value = limit->value;

    switch (limit->kind) {
    case LINKD_LIMIT_SCORE:
        return value >= -1.0 && value <= 1.0
                   ? LINKD_OK
                   : lk_fail(err, LINKD_E_ARG,
                             "\"%s\" is not a number from -1 to 1", name);
    case LINKD_LIMIT_FALSE_MATCH_RATE:
    case LINKD_LIMIT_PROBABILITY:
        return value > 0.0 && value < 1.0
                   ? LINKD_OK
                   : lk_fail(err, LINKD_E_ARG,
                             "\"%s\": \"%s\" is not a number between 0 and 1",
                             name, members[limit->kind]);
    case LINKD_LIMIT_NONE:
    default:
        return LINKD_OK;
    }
}

/* The object's only member; NONE: it is not one of these objects. */
static linkd_limit member_read(const json_t *object)
{
    linkd_limit limit = {LINKD_LIMIT_NONE, 0.0};

    if (json_object_size(object) != 1)
        return limit;
    for (linkd_limit_kind kind = LINKD_LIMIT_FALSE_MATCH_RATE;
         kind <= LINKD_LIMIT_PROBABILITY; kind++) {
        const json_t *value = json_object_get(object, members[kind]);

        /* what is no number has the value 0, which is out of range */
        if (value != NULL)
            limit = (linkd_limit){kind, json_number_value(value)};
    }
    return limit;
}

int lk_limit_read(const json_t *value, const char *name, linkd_limit *ret_limit,
                  linkd_error *err)
{
    linkd_limit limit;
    int rc;

    if (json_is_number(value)) /* scores are floats */
        limit = (linkd_limit){LINKD_LIMIT_SCORE,
                              (double)(float)json_number_value(value)};
    else
        limit = member_read(value);
    if (limit.kind == LINKD_LIMIT_NONE)
        return lk_fail(err, LINKD_E_ARG,
                       "\"%s\" is not a number from -1 to 1, or an object "
                       "of one \"false_match_rate\" or \"probability\"",
                       name);
    rc = linkd_limit_check(&limit, name, err);
    if (rc == LINKD_OK)
        *ret_limit = limit;
    return rc;
}

int linkd_limit_parse(linkd_str json, const char *name, linkd_limit *ret_limit,
                      linkd_error *err)
{
    json_error_t why = {0};
    json_t *value = json_loadb(json.bytes, json.len,
                               JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
    int rc;

    if (value == NULL && json_error_code(&why) == json_error_out_of_memory)
        return lk_fail_nomem(err);
    rc = lk_limit_read(value, name, ret_limit, err);

    json_decref(value);
    return rc;
}

/* With as few digits as give the number back: 0.74, not 0.740000010. */
static void number_write(const linkd_limit *limit, char *ret_text, size_t size)
{
    bool is_float = limit->kind == LINKD_LIMIT_SCORE;

    for (int digits = 6; digits <= 17; digits++) {
        (void)snprintf(ret_text, size, "%.*g", digits, limit->value);
        if (is_float ? strtof(ret_text, NULL) == (float)limit->value
                     : strtod(ret_text, NULL) == limit->value)
            break;
    }
}

int linkd_limit_print(const linkd_limit *limit, lk_buf *ret_json,
                      linkd_error *err)
{
    char number[32];

    number_write(limit, number, sizeof(number));
    if (limit->kind == LINKD_LIMIT_NONE)
        return lk_buf_printf(ret_json, err, "null");
    if (limit->kind == LINKD_LIMIT_SCORE)
        return lk_buf_printf(ret_json, err, "%s", number);
    return lk_buf_printf(ret_json, err, "{\"%s\":%s}", members[limit->kind],
                         number);
}
