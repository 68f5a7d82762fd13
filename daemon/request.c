/* daemon/request.c — what handlers ask of a request and say in a response.
 *
 * A request's strings are as the client sent them; what is percent-encoded is
 * decoded when it is asked for, into the request's arena. */
#include "daemon/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "daemon/json.h"
#include "daemon/percent.h"
#include "linkage/linkage.h"

/* ---- asking -------------------------------------------------------------- */

linkd_str lk_request_header(const lk_request *request, const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < request->n_headers; i++) {
        const lk_header *header = &request->headers[i];

        if (header->name.len == len &&
            memcmp(header->name.bytes, name, len) == 0)
            return header->value;
    }
    return (linkd_str){"", 0};
}

linkd_str lk_request_content_type(const lk_request *request)
{
    linkd_str type = lk_request_header(request, "content-type");
    size_t len = 0;

    while (len < type.len && type.bytes[len] != ';' && type.bytes[len] != ' ')
        len++;
    return (linkd_str){type.bytes, len};
}

bool lk_str_is(linkd_str a, const char *b)
{
    return a.len == strlen(b) && strncasecmp(a.bytes, b, a.len) == 0;
}

bool lk_request_is_over(void *context)
{
    const lk_request *request = context;

    return atomic_load_explicit(&request->stopped, memory_order_relaxed) ||
           lk_clock_ns() >= request->deadline_ns;
}

/* Cuts the next "name=value" off `rest`. */
static bool pair_next(linkd_str *rest, linkd_str *ret_name,
                      linkd_str *ret_value)
{
    const char *end;
    const char *equals;
    size_t len;

    if (rest->len == 0)
        return false;
    end = memchr(rest->bytes, '&', rest->len);
    len = end != NULL ? (size_t)(end - rest->bytes) : rest->len;
    equals = memchr(rest->bytes, '=', len);
    ret_name->bytes = rest->bytes;
    ret_name->len = equals != NULL ? (size_t)(equals - rest->bytes) : len;
    ret_value->bytes = rest->bytes + ret_name->len + (equals != NULL);
    ret_value->len = len - ret_name->len - (equals != NULL);
    rest->bytes += len + (end != NULL);
    rest->len -= len + (end != NULL);
    return true;
}

int lk_request_query(lk_request *request, const char *name,
                     linkd_str *ret_value, bool *ret_found, linkd_error *err)
{
    linkd_str rest = request->query;
    linkd_str key;
    linkd_str value;

    while (pair_next(&rest, &key, &value)) {
        if (key.len != strlen(name) || memcmp(key.bytes, name, key.len) != 0)
            continue;
        *ret_found = true;
        return lk_percent_decode(&request->arena, value, true, ret_value, err);
    }
    *ret_found = false;
    return LINKD_OK;
}

int lk_request_check_query(lk_request *request, const char *const *names,
                           linkd_error *err)
{
    linkd_str rest = request->query;
    linkd_str key;
    linkd_str value;

    while (pair_next(&rest, &key, &value)) {
        size_t i = 0;

        while (names[i] != NULL && (key.len != strlen(names[i]) ||
                                    memcmp(key.bytes, names[i], key.len) != 0))
            i++;
        if (names[i] == NULL)
            return lk_fail(err, LINKD_E_ARG, "unknown query parameter \"%s\"",
                           lk_label_of(key).text);
    }
    return LINKD_OK;
}

/* ---- answering ----------------------------------------------------------- */

int lk_response_add_header(lk_response *response, lk_request *request,
                           const char *name, linkd_error *err,
                           const char *format, ...)
{
    char text[512];
    va_list args;
    char *value;
    int len;

    LK_ASSERT(response->n_headers < LK_RESPONSE_HEADERS_MAX);
    va_start(args, format);
    len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    LK_ASSERT(len >= 0 && (size_t)len < sizeof(text));
    value = lk_arena_copy(&request->arena, text, (size_t)len);
    if (value == NULL)
        return lk_fail_nomem(err);
    response->headers[response->n_headers].name = name;
    response->headers[response->n_headers].value = value;
    response->n_headers++;
    return LINKD_OK;
}

int lk_response_fail(lk_response *response, int status, const char *code,
                     int rc)
{
    response->status = status;
    response->code = code;
    return rc;
}

typedef struct problem {
    int status;
    const char *code;
} problem;

/* What an error is to a client, unless its handler has said otherwise. */
static problem problem_of(int code)
{
    switch (code) {
    case LINKD_E_ARG:
        return (problem){400, "bad_request"};
    case LINKD_E_DATA:
        return (problem){500, "damaged"};
    case LINKD_E_CANCELLED:
        return (problem){504, "deadline"};
    case LINKD_E_ABSENT:
        return (problem){404, "absent"};
    case LINKD_E_CONFLICT:
        return (problem){409, "conflict"};
    case LINKD_E_FULL:
        return (problem){507, "full"};
    case LINKD_E_BUSY:
    case LINKD_E_NOMEM:
        return (problem){503, "busy"};
    default:
        return (problem){500, "internal"};
    }
}

static const char *status_title(int status)
{
    switch (status) {
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 408:
        return "Request Timeout";
    case 409:
        return "Conflict";
    case 411:
        return "Length Required";
    case 413:
        return "Content Too Large";
    case 414:
        return "URI Too Long";
    case 415:
        return "Unsupported Media Type";
    case 417:
        return "Expectation Failed";
    case 431:
        return "Request Header Fields Too Large";
    case 501:
        return "Not Implemented";
    case 503:
        return "Service Unavailable";
    case 504:
        return "Gateway Timeout";
    case 505:
        return "HTTP Version Not Supported";
    case 507:
        return "Insufficient Storage";
    default:
        return "Internal Server Error";
    }
}

static int problem_print(const lk_response *response, const char *detail,
                         lk_buf *body)
{
    linkd_str text = {detail, strlen(detail)};
    int rc;

    rc = lk_buf_printf(body, NULL,
                       "{\"type\":\"about:blank\",\"title\":\"%s\","
                       "\"status\":%d,\"code\":\"%s\",\"detail\":",
                       status_title(response->status), response->status,
                       response->code);
    if (rc == LINKD_OK)
        rc = lk_json_put_string(body, text, NULL);
    return rc == LINKD_OK ? lk_buf_append(body, "}\n", 2, NULL) : rc;
}

void lk_response_set_problem(lk_response *response, const linkd_error *err)
{
    problem p = problem_of(err->code);

    if (response->code == NULL) {
        response->status = p.status;
        response->code = p.code;
    }
    response->content_type = "application/problem+json";
    if (response->stream.free != NULL)
        response->stream.free(response->stream.ctx);
    response->stream = (lk_stream){0};
    lk_buf_reset(&response->body);
    if (problem_print(response, err->message, &response->body) != LINKD_OK)
        lk_buf_clear(&response->body);
}
