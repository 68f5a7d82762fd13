/* daemon/http.c — HTTP/1.1 between bytes and requests.
 *
 * llhttp knows the grammar and calls back in pieces of any size; this file puts
 * the pieces of a head together, stops the parser where somebody has to decide
 * something (a head, the end of a body), and adds what llhttp leaves open:
 * limits, one way of framing a body, one Host, no upgrades.
 *
 *   head  "/v1/x?k=1" "content-type" "text/csv" …    bytes without separators
 *   ends       9           21            29     …    where each piece ends
 *
 * Invariant: where the bytes were cut when they were read changes neither what
 * is taken nor whether something is refused. So every limit counts bytes of the
 * stream, never calls, and the head is fed to llhttp up to its limit and no
 * further. (Of two faults in one request either may be named: llhttp does not
 * hand over a piece in which it finds one itself.)
 *
 * Trailers and chunk extensions are read, counted and forgotten. */
#include "daemon/http.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* The target, the headers, and as much again as blanks, which llhttp skips. */
#define HEAD_MAX_BYTES (LK_URI_MAX_BYTES + LK_HEADERS_MAX_BYTES)

/* Pieces are kept with 16-bit ends. */
_Static_assert(HEAD_MAX_BYTES <= UINT16_MAX, "ends are too narrow");

/* ---- what llhttp calls ---------------------------------------------------- */

/* The value to return from a callback to stop the parser for good. */
static int refuse(lk_http *http, int status, const char *code,
                  const char *message)
{
    http->status = status;
    http->code = code;
    (void)lk_fail(&http->failure, LINKD_E_ARG, "%s", message);
    return -1;
}

static int refuse_nomem(lk_http *http)
{
    (void)refuse(http, 503, "busy", "");
    (void)lk_fail_nomem(&http->failure);
    return -1;
}

static linkd_str piece(const lk_http *http, size_t i)
{
    size_t start = i > 0 ? http->ends[i - 1] : 0;
    const char *bytes = http->head.data != NULL ? http->head.data : "";
    size_t end = http->ends[i];

    while (end > start && (bytes[end - 1] == ' ' || bytes[end - 1] == '\t'))
        end--;
    return (linkd_str){bytes + start, end - start};
}

static int piece_close(llhttp_t *parser)
{
    lk_http *http = parser->data;

    if (!http->in_body)
        http->ends[http->n_pieces++] = (uint16_t)http->head.len;
    return 0;
}

static int count_extra(llhttp_t *parser, const char *bytes, size_t len)
{
    lk_http *http = parser->data;

    (void)bytes;
    http->n_extra += len;
    if (http->n_extra > LK_HEADERS_MAX_BYTES)
        return refuse(http, 431, "headers_too_large",
                      "the trailers and chunk extensions are too long");
    return 0;
}

static int on_url(llhttp_t *parser, const char *bytes, size_t len)
{
    lk_http *http = parser->data;

    if (len > LK_URI_MAX_BYTES - http->head.len)
        return refuse(http, 414, "uri_too_long", "the URL is too long");
    for (size_t i = 0; i < len; i++)
        if (bytes[i] <= ' ' || bytes[i] > '~' || bytes[i] == '#')
            return refuse(http, 400, "bad_request",
                          "the URL has a character that must be escaped");
    if (lk_buf_append(&http->head, bytes, len, NULL) != LINKD_OK)
        return refuse_nomem(http);
    return 0;
}

static int on_header(llhttp_t *parser, const char *bytes, size_t len)
{
    lk_http *http = parser->data;

    if (http->in_body)
        return count_extra(parser, bytes, len);
    if (http->n_pieces >= LK_HTTP_PIECES_MAX)
        return refuse(http, 431, "headers_too_large",
                      "the request has too many headers");
    if (len > LK_HEADERS_MAX_BYTES - (http->head.len - http->ends[0]))
        return refuse(http, 431, "headers_too_large",
                      "the headers are too long");
    if (lk_buf_append(&http->head, bytes, len, NULL) != LINKD_OK)
        return refuse_nomem(http);
    return 0;
}

static lk_method method_of(int method)
{
    switch (method) {
    case HTTP_GET:
        return LK_GET;
    case HTTP_PUT:
        return LK_PUT;
    case HTTP_POST:
        return LK_POST;
    case HTTP_DELETE:
        return LK_DELETE;
    default:
        return LK_N_METHODS;
    }
}

typedef struct head_counts {
    size_t n_hosts;
    size_t n_encodings;
} head_counts;

/* What one header means for the framing; llhttp itself sees to Content-Length
 * and Connection. */
static int header_check(lk_http *http, linkd_str name, linkd_str value,
                        head_counts *counts)
{
    if (lk_str_is(name, "host"))
        counts->n_hosts++;
    if (lk_str_is(name, "transfer-encoding")) {
        counts->n_encodings++;
        if (!lk_str_is(value, "chunked"))
            return refuse(http, 501, "not_supported",
                          "no transfer encoding but chunked is supported");
    }
    if (lk_str_is(name, "expect") && !http->is_http_1_0) {
        http->wants_100 = true;
        if (!lk_str_is(value, "100-continue"))
            return refuse(http, 417, "bad_request",
                          "nothing but 100-continue can be expected");
    }
    return 0;
}

static int head_check(lk_http *http)
{
    head_counts counts = {0};

    for (size_t i = 1; i + 1 < http->n_pieces; i += 2)
        if (header_check(http, piece(http, i), piece(http, i + 1), &counts) !=
            0)
            return -1;
    if (http->is_http_1_0 ? counts.n_hosts > 1 : counts.n_hosts != 1)
        return refuse(http, 400, "bad_request",
                      "the request needs exactly one Host header");
    if (counts.n_encodings > (http->is_http_1_0 ? 0U : 1U))
        return refuse(http, 400, "bad_request",
                      "the request must not have this Transfer-Encoding");
    if (http->head.len == 0 || http->ends[0] == 0)
        return refuse(http, 400, "bad_request", "the request has no URL");
    return 0;
}

static int on_headers_complete(llhttp_t *parser)
{
    lk_http *http = parser->data;
    bool is_chunked = (parser->flags & F_CHUNKED) != 0;

    if (parser->http_major != 1 || parser->http_minor > 1)
        return refuse(http, 505, "not_supported",
                      "only HTTP/1.1 and HTTP/1.0 are supported");
    if (parser->upgrade != 0)
        return refuse(http, 501, "not_supported",
                      "upgrades and tunnels are not supported");
    http->is_http_1_0 = parser->http_minor == 0;
    if (head_check(http) != 0)
        return -1;
    http->method = method_of(parser->method);
    http->is_head = parser->method == HTTP_HEAD;
    http->keep_alive = llhttp_should_keep_alive(parser) != 0;
    http->has_length = is_chunked || (parser->flags & F_CONTENT_LENGTH) != 0;
    http->body_len = is_chunked ? 0 : parser->content_length;
    http->has_body = is_chunked || http->body_len > 0;
    http->in_body = true;
    return http->has_body ? HPE_PAUSED : 0;
}

static int refuse_body(lk_http *http)
{
    return refuse(http, 413, "too_large", "the body is too large");
}

static int on_chunk_header(llhttp_t *parser)
{
    lk_http *http = parser->data;

    if (parser->content_length > http->body_max - http->n_body)
        return refuse_body(http);
    return 0;
}

static int on_body(llhttp_t *parser, const char *bytes, size_t len)
{
    lk_http *http = parser->data;

    LK_ASSERT(http->body != NULL);
    if (len > http->body_max - http->n_body)
        return refuse_body(http);
    if (lk_buf_append(http->body, bytes, len, NULL) != LINKD_OK)
        return refuse_nomem(http);
    http->n_body += len;
    return 0;
}

static int on_message_complete(llhttp_t *parser)
{
    (void)parser;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_url = on_url,
    .on_url_complete = piece_close,
    .on_header_field = on_header,
    .on_header_field_complete = piece_close,
    .on_header_value = on_header,
    .on_header_value_complete = piece_close,
    .on_headers_complete = on_headers_complete,
    .on_chunk_header = on_chunk_header,
    .on_chunk_extension_name = count_extra,
    .on_chunk_extension_value = count_extra,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* ---- requests ------------------------------------------------------------- */

void lk_http_init(lk_http *http)
{
    *http = (lk_http){0};
    llhttp_init(&http->parser, HTTP_REQUEST, &settings);
    http->parser.data = http;
}

void lk_http_reset(lk_http *http)
{
    lk_buf head = http->head;

    lk_buf_reset(&head);
    lk_http_init(http);
    http->head = head;
}

void lk_http_clear(lk_http *http)
{
    lk_buf_clear(&http->head);
    lk_http_init(http);
}

/* An unknown method is well-formed HTTP (501), what is no word is not. */
static void refuse_method(lk_http *http, const char *at, const char *end)
{
    if (at < end && (isalnum((unsigned char)*at) || *at == '-' || *at == '_'))
        (void)refuse(http, 501, "not_supported", "the method is not known");
    else
        (void)refuse(http, 400, "bad_request", "the request is not HTTP");
}

/* Turns an error of llhttp's into an answer, unless a callback has done so. */
static void refuse_by_errno(lk_http *http, llhttp_errno_t code, const char *end)
{
    bool is_known_version =
        http->parser.http_major == 1 && http->parser.http_minor <= 1;
    char reason[128];

    if (http->status != 0)
        return;
    if (code == HPE_INVALID_VERSION && is_known_version)
        code = HPE_CR_EXPECTED; /* what follows the version is wrong */
    switch (code) {
    case HPE_INVALID_METHOD:
        refuse_method(http, llhttp_get_error_pos(&http->parser), end);
        break;
    case HPE_INVALID_VERSION:
    case HPE_PAUSED_H2_UPGRADE:
        (void)refuse(http, 505, "not_supported",
                     "only HTTP/1.1 and HTTP/1.0 are supported");
        break;
    default:
        (void)snprintf(reason, sizeof(reason), "the request is not HTTP: %s",
                       llhttp_get_error_reason(&http->parser));
        (void)refuse(http, 400, "bad_request", reason);
    }
}

lk_http_event lk_http_parse(lk_http *http, const char *bytes, size_t len,
                            size_t *ret_used)
{
    bool was_in_body = http->in_body;
    size_t fed = len;
    llhttp_errno_t rc;

    if (!was_in_body && fed > HEAD_MAX_BYTES - http->n_head)
        fed = HEAD_MAX_BYTES - http->n_head;
    if (llhttp_get_errno(&http->parser) == HPE_PAUSED)
        llhttp_resume(&http->parser);
    rc = llhttp_execute(&http->parser, bytes, fed);
    *ret_used = fed;
    if (rc == HPE_PAUSED)
        *ret_used = (size_t)(llhttp_get_error_pos(&http->parser) - bytes);
    if (!was_in_body)
        http->n_head += *ret_used;

    if (rc == HPE_PAUSED)
        return was_in_body ? LK_HTTP_END : LK_HTTP_HEAD;
    if (rc == HPE_OK && (was_in_body || http->n_head < HEAD_MAX_BYTES))
        return LK_HTTP_MORE;
    if (rc == HPE_OK)
        (void)refuse(http, 431, "headers_too_large",
                     "the headers are too long");
    else
        refuse_by_errno(http, rc, bytes + fed);
    return LK_HTTP_BAD;
}

/* A client that takes us for a proxy sends "http://host/path" (RFC 9112 §3.2.2
 * has servers accept it); the path is what follows the host. */
static linkd_str target_strip_host(linkd_str target)
{
    static const char scheme[] = "http://";
    size_t skip = sizeof(scheme) - 1;

    if (target.len < skip || strncasecmp(target.bytes, scheme, skip) != 0)
        return target;
    while (skip < target.len && target.bytes[skip] != '/' &&
           target.bytes[skip] != '?')
        skip++;
    return (linkd_str){target.bytes + skip, target.len - skip};
}

static void target_split(linkd_str target, linkd_str *ret_path,
                         linkd_str *ret_query)
{
    const char *mark = memchr(target.bytes, '?', target.len);

    *ret_path = target;
    *ret_query = (linkd_str){"", 0};
    if (mark == NULL)
        return;
    ret_path->len = (size_t)(mark - target.bytes);
    *ret_query = (linkd_str){mark + 1, target.len - ret_path->len - 1};
}

static void lower_case(char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (bytes[i] >= 'A' && bytes[i] <= 'Z')
            bytes[i] = (char)(bytes[i] - 'A' + 'a');
}

int lk_http_take_head(lk_http *http, lk_request *request, linkd_error *err)
{
    size_t n = (http->n_pieces - 1) / 2;
    char *bytes =
        lk_arena_copy(&request->arena, http->head.data, http->head.len);
    lk_header *headers =
        lk_arena_alloc(&request->arena, (n + 1) * sizeof(*headers));

    if (bytes == NULL || headers == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < n; i++) {
        linkd_str name = piece(http, 2 * i + 1);
        linkd_str value = piece(http, 2 * i + 2);

        headers[i].name.bytes = bytes + (name.bytes - http->head.data);
        headers[i].name.len = name.len;
        headers[i].value.bytes = bytes + (value.bytes - http->head.data);
        headers[i].value.len = value.len;
        lower_case(bytes + (name.bytes - http->head.data), name.len);
    }
    request->method = http->method;
    request->headers = headers;
    request->n_headers = n;
    target_split(target_strip_host((linkd_str){bytes, http->ends[0]}),
                 &request->path, &request->query);
    return LINKD_OK;
}

void lk_http_set_body(lk_http *http, lk_buf *body, uint64_t max)
{
    http->body = body;
    http->body_max = max;
}

/* ---- responses ------------------------------------------------------------ */

static const char *status_phrase(int status)
{
    static const struct {
        int status;
        const char *phrase;
    } known[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {411, "Length Required"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
        {507, "Insufficient Storage"},
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (known[i].status == status)
            return known[i].phrase;
    return "Other";
}

/* A line end in a value would let it forge headers and whole responses. */
static int value_check(const char *value, linkd_error *err)
{
    for (const char *c = value; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7F)
            return lk_fail(err, LINKD_E_DATA,
                           "a header of the answer has a control byte");
    return LINKD_OK;
}

static int put_headers(lk_buf *buf, const lk_response *response,
                       linkd_error *err)
{
    int rc = LINKD_OK;

    for (size_t i = 0; rc == LINKD_OK && i < response->n_headers; i++) {
        rc = value_check(response->headers[i].value, err);
        if (rc == LINKD_OK)
            rc =
                lk_buf_printf(buf, err, "%s: %s\r\n", response->headers[i].name,
                              response->headers[i].value);
    }
    return rc;
}

static int put_framing(lk_buf *buf, const lk_response *response,
                       lk_http_framing framing, linkd_error *err)
{
    if (framing == LK_HTTP_CHUNKED)
        return lk_buf_printf(buf, err, "Transfer-Encoding: chunked\r\n");
    if (framing == LK_HTTP_UNTIL_CLOSE || response->status == 204)
        return LINKD_OK;
    return lk_buf_printf(buf, err, "Content-Length: %zu\r\n",
                         response->body.len);
}

int lk_http_put_head(lk_buf *buf, const lk_response *response,
                     lk_http_framing framing, bool keep_alive, time_t now,
                     linkd_error *err)
{
    int status = response->status != 0 ? response->status : 200;
    const char *type = response->content_type != NULL ? response->content_type
                                                      : "application/json";
    char date[40];
    struct tm utc;
    int rc;

    (void)gmtime_r(&now, &utc);
    (void)strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &utc);
    rc = lk_buf_printf(
        buf, err, "HTTP/1.1 %d %s\r\nDate: %s\r\nConnection: %s\r\n", status,
        status_phrase(status), date, keep_alive ? "keep-alive" : "close");
    if (rc == LINKD_OK && status != 204)
        rc = lk_buf_printf(buf, err, "Content-Type: %s\r\n", type);
    if (rc == LINKD_OK)
        rc = put_headers(buf, response, err);
    if (rc == LINKD_OK)
        rc = put_framing(buf, response, framing, err);
    return rc == LINKD_OK ? lk_buf_append(buf, "\r\n", 2, err) : rc;
}

size_t lk_http_put_chunk_prefix(char ret_prefix[LK_HTTP_CHUNK_PREFIX_MAX],
                                size_t len)
{
    int n = snprintf(ret_prefix, LK_HTTP_CHUNK_PREFIX_MAX, "%zx\r\n", len);

    return (size_t)n;
}
