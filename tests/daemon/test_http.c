/* tests/daemon/test_http.c — what the codec takes for a request and what it
 * refuses, wherever the bytes are cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/daemon/transcript.h"
#include "tests/support/alloc_fail.h"

#define GET(rest)  "GET / HTTP/1.1\r\nHost: a\r\n" rest
#define POST(rest) "POST / HTTP/1.1\r\nHost: a\r\n" rest

/* The transcript of what must be taken, or the status of what must not. */
typedef struct sample {
    const char *bytes;
    size_t len;
    const char *taken;
    int status;
} sample;

#define TAKEN(bytes, taken)                                                    \
 {                                                                             \
  bytes, sizeof(bytes) - 1, taken, 0                                           \
 }
#define REFUSED(bytes, status)                                                 \
 {                                                                             \
  bytes, sizeof(bytes) - 1, NULL, status                                       \
 }

static const sample samples[] = {
    /* requests */
    TAKEN(GET("\r\n"), "GET </>?<> <host>=<a> keep=1"),
    TAKEN("PUT /a HTTP/1.1\r\nHost:\r\n\r\n", "PUT </a>?<> <host>=<> keep=1"),
    TAKEN("DELETE /a?b=c?d HTTP/1.1\r\nHost: a\r\n\r\n",
          "DELETE </a>?<b=c?d> <host>=<a> keep=1"),
    TAKEN("GET /%41%00 HTTP/1.1\r\nhOST:   a b \t \r\n\r\n",
          "GET </%41%00>?<> <host>=<a b> keep=1"),
    TAKEN("GET http://u:1/p?q HTTP/1.1\r\nHost: a\r\n\r\n",
          "GET </p>?<q> <host>=<a> keep=1"),
    TAKEN("GET HTTP://u HTTP/1.1\r\nHost: a\r\n\r\n",
          "GET <>?<> <host>=<a> keep=1"),
    TAKEN("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
          "OTHER </>?<> <host>=<a> keep=1"),
    TAKEN("PATCH / HTTP/1.1\r\nHost: a\r\n\r\n",
          "OTHER </>?<> <host>=<a> keep=1"),
    TAKEN("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
          "OTHER <*>?<> <host>=<a> keep=1"),
    TAKEN("\r\n\r\n" GET("\r\n"), "GET </>?<> <host>=<a> keep=1"),
    TAKEN(GET("x: \xC3\xA9\r\n\r\n"),
          "GET </>?<> <host>=<a> <x>=<\xC3\xA9> keep=1"),
    /* keeping the connection */
    TAKEN(GET("Connection: close\r\n\r\n"),
          "GET </>?<> <host>=<a> <connection>=<close> keep=0"),
    TAKEN(GET("Connection: x, CLOSE\r\n\r\n"),
          "GET </>?<> <host>=<a> <connection>=<x, CLOSE> keep=0"),
    TAKEN("GET / HTTP/1.0\r\n\r\n", "GET </>?<> keep=0"),
    TAKEN("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
          "GET </>?<> <connection>=<keep-alive> keep=1"),
    /* bodies */
    TAKEN(POST("Content-Length: 3\r\n\r\nabc"),
          "POST </>?<> <host>=<a> <content-length>=<3> keep=1 body=<abc>"),
    TAKEN(POST("Content-Length: 0\r\n\r\n"),
          "POST </>?<> <host>=<a> <content-length>=<0> keep=1"),
    TAKEN(POST("Transfer-Encoding: Chunked\r\n\r\n1\r\na\r\n02\r\nbc\r\n0\r\n"
               "\r\n"),
          "POST </>?<> <host>=<a> <transfer-encoding>=<Chunked> keep=1 "
          "body=<abc>"),
    TAKEN(POST("Transfer-Encoding: chunked\r\n\r\n1;a=b;c=\"d\"\r\na\r\n0\r\n"
               "t: u\r\n\r\n"),
          "POST </>?<> <host>=<a> <transfer-encoding>=<chunked> keep=1 "
          "body=<a>"),
    TAKEN(POST("Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
          "POST </>?<> <host>=<a> <transfer-encoding>=<chunked> keep=1 "
          "body=<>"),
    TAKEN(GET("Expect: 100-Continue\r\n\r\n"),
          "GET </>?<> <host>=<a> <expect>=<100-Continue> keep=1"),
    /* several */
    TAKEN(GET("\r\n") POST("Content-Length: 1\r\n\r\nx") GET("\r\n"),
          "GET </>?<> <host>=<a> keep=1"
          "POST </>?<> <host>=<a> <content-length>=<1> keep=1 body=<x>"
          "GET </>?<> <host>=<a> keep=1"),
    TAKEN(POST("Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n") GET("\r\n"),
          "POST </>?<> <host>=<a> <transfer-encoding>=<chunked> keep=1 "
          "body=<>GET </>?<> <host>=<a> keep=1"),

    /* the request line */
    REFUSED("\x16\x03\x01\x02", 400),
    REFUSED("FOO / HTTP/1.1\r\n", 501),
    REFUSED("get / HTTP/1.1\r\n", 501),
    REFUSED("GETT / HTTP/1.1\r\n", 501),
    REFUSED("GET  HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    REFUSED("GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    REFUSED("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    REFUSED("GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    REFUSED("GET /\t HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    REFUSED("GET /\x7F HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    REFUSED("GET /\xC3\xA9 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    REFUSED("GET /#a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    REFUSED("GET /\r\nHost: a\r\n\r\n", 505),
    REFUSED("GET / HTPP/1.1\r\n", 400),
    REFUSED("GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505),
    REFUSED("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    REFUSED("GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505),
    REFUSED("GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505),
    REFUSED("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    REFUSED("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    REFUSED("GET / HTTP/1.1\nHost: a\n\n", 400),
    REFUSED("GET / HTTP/1.1\rHost: a\r\r", 400),
    REFUSED("HTTP/1.1 200 OK\r\n\r\n", 501),
    /* headers */
    REFUSED("GET / HTTP/1.1\r\n\r\n", 400),
    REFUSED(GET("Host: a\r\n\r\n"), 400),
    REFUSED("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    REFUSED(GET("x: a\n\r\n"), 400),
    REFUSED(GET("x: a\r\n\n"), 400),
    REFUSED(GET("x: a\rb\r\n\r\n"), 400),
    REFUSED(GET("x: a\r\n b\r\n\r\n"), 400),
    REFUSED(GET("x: a\r\n\tb\r\n\r\n"), 400),
    REFUSED("GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
    REFUSED(GET("x : a\r\n\r\n"), 400),
    REFUSED(GET("x\r\n\r\n"), 400),
    REFUSED(GET(": a\r\n\r\n"), 400),
    REFUSED(GET("x y: a\r\n\r\n"), 400),
    REFUSED(GET("x(: a\r\n\r\n"), 400),
    REFUSED(GET("x\0: a\r\n\r\n"), 400),
    REFUSED(GET("x: \0\r\n\r\n"), 400),
    REFUSED(GET("x: a\x01\r\n\r\n"), 400),
    REFUSED(GET("x: a\x7F\r\n\r\n"), 400),
    REFUSED(GET("Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"), 501),
    REFUSED(GET("Expect: tea\r\n\r\n"), 417),
    /* framing */
    REFUSED(POST("Content-Length: 1\r\nContent-Length: 1\r\n\r\na"), 400),
    REFUSED(POST("Content-Length: 1, 1\r\n\r\na"), 400),
    REFUSED(POST("Content-Length: +1\r\n\r\na"), 400),
    REFUSED(POST("Content-Length: -1\r\n\r\na"), 400),
    REFUSED(POST("Content-Length: 1a\r\n\r\na"), 400),
    REFUSED(POST("Content-Length: 0x1\r\n\r\na"), 400),
    REFUSED(POST("Content-Length:\r\n\r\na"), 400),
    REFUSED(POST("Content-Length: 99999999999999999999\r\n\r\n"), 400),
    REFUSED(POST("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
            400),
    REFUSED(POST("Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n"),
            400),
    REFUSED(POST("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"
                 "\r\n"),
            400),
    REFUSED(POST("Transfer-Encoding: gzip\r\n\r\n"), 501),
    REFUSED(POST("Transfer-Encoding: gzip, chunked\r\n\r\n"), 501),
    REFUSED(POST("Transfer-Encoding: xchunked\r\n\r\n"), 501),
    REFUSED("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    REFUSED(POST("Transfer-Encoding: chunked\r\n\r\nx\r\n"), 400),
    REFUSED(POST("Transfer-Encoding: chunked\r\n\r\n-1\r\na"), 400),
    REFUSED(POST("Transfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n"), 400),
    REFUSED(POST("Transfer-Encoding: chunked\r\n\r\n1 \r\na\r\n"), 400),
    REFUSED(POST("Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n"), 400),
    REFUSED(POST("Transfer-Encoding: chunked\r\n\r\n1\r\na\n0\r\n\r\n"), 400),
    REFUSED(POST("Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n"),
            400),
    REFUSED(POST("Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\n"),
            413),
    REFUSED(POST("Transfer-Encoding: chunked\r\n\r\n3e\r\n"
                 "12345678901234567890123456789012345678901234567890123456789"
                 "012\r\n3\r\n"),
            413),
    REFUSED(POST("Content-Length: 65\r\n\r\n123456789012345678901234567890123"
                 "45678901234567890123456789012345"),
            413),
};

/* Whether the codec says of a sample, cut in two, what it should. */
static bool sample_check(const sample *s, size_t cut)
{
    transcript t;
    bool is_right;

    transcript_begin(&t);
    transcript_feed(&t, s->bytes, cut);
    transcript_feed(&t, s->bytes + cut, s->len - cut);
    is_right = t.status == s->status &&
               (s->taken == NULL || strcmp(t.text.data, s->taken) == 0);
    if (!is_right)
        print_error("sample %zu cut at %zu: %d %s\n", (size_t)(s - samples),
                    cut, t.status, t.http.failure.message);
    transcript_end(&t);
    return is_right;
}

static void each_sample_is_taken_or_refused_wherever_it_is_cut(void **state)
{
    size_t n = sizeof(samples) / sizeof(samples[0]);
    size_t n_wrong = 0;

    (void)state;
    for (const sample *s = samples; s < samples + n; s++)
        for (size_t cut = 0; cut < s->len; cut++)
            n_wrong += sample_check(s, cut) ? 0 : 1;
    assert_int_equal(n_wrong, 0);
}

static void each_sample_reads_the_same_byte_by_byte(void **state)
{
    size_t n = sizeof(samples) / sizeof(samples[0]);

    (void)state;
    for (const sample *s = samples; s < samples + n; s++) {
        transcript whole, bytes;

        transcript_begin(&whole);
        transcript_begin(&bytes);
        transcript_feed(&whole, s->bytes, s->len);
        for (size_t i = 0; i < s->len; i++)
            transcript_feed(&bytes, s->bytes + i, 1);
        assert_int_equal(bytes.status, whole.status);
        if (whole.text.data != NULL)
            assert_string_equal(bytes.text.data, whole.text.data);
        transcript_end(&whole);
        transcript_end(&bytes);
    }
}

/* `before`, `n` times `unit`, `after`: what the codec answers. */
static int status_of_repeated(const char *before, const char *unit, size_t n,
                              const char *after)
{
    transcript t;
    int status;

    transcript_begin(&t);
    transcript_feed(&t, before, strlen(before));
    for (size_t i = 0; i < n; i++)
        transcript_feed(&t, unit, strlen(unit));
    transcript_feed(&t, after, strlen(after));
    status = t.status;
    transcript_end(&t);
    return status;
}

static void a_url_of_8_kib_is_taken_and_one_byte_more_is_414(void **state)
{
    static const char after[] = " HTTP/1.1\r\nHost: a\r\n\r\n";

    (void)state;
    assert_int_equal(
        status_of_repeated("GET /", "a", LK_URI_MAX_BYTES - 1, after), 0);
    assert_int_equal(status_of_repeated("GET /", "a", LK_URI_MAX_BYTES, after),
                     414);
}

static void headers_of_16_kib_are_taken_and_one_byte_more_is_431(void **state)
{
    /* "Hosta" and the x are six bytes. */
    size_t room = LK_HEADERS_MAX_BYTES - 6;

    (void)state;
    assert_int_equal(status_of_repeated(GET("x: "), "a", room, "\r\n\r\n"), 0);
    assert_int_equal(status_of_repeated(GET("x: "), "a", room + 1, "\r\n\r\n"),
                     431);
}

static void the_65th_header_is_431(void **state)
{
    (void)state;
    assert_int_equal(
        status_of_repeated(GET(""), "x: a\r\n", LK_HEADERS_MAX - 1, "\r\n"), 0);
    assert_int_equal(
        status_of_repeated(GET(""), "x: a\r\n", LK_HEADERS_MAX, "\r\n"), 431);
}

/* What llhttp skips without telling must not go on for ever. */
static void blanks_count_as_head(void **state)
{
    (void)state;
    assert_int_equal(status_of_repeated("", "\r\n", 40000, ""), 431);
    assert_int_equal(status_of_repeated(GET("x:"), " ", 40000, ""), 431);
}

static void chunk_extensions_and_trailers_are_limited(void **state)
{
    static const char head[] = POST("Transfer-Encoding: chunked\r\n\r\n");
    char trailers[128];

    (void)state;
    (void)snprintf(trailers, sizeof(trailers), "%s0\r\n", head);
    assert_int_equal(status_of_repeated(head, "1;a=b\r\nx\r\n", 10, ""), 0);
    assert_int_equal(status_of_repeated(trailers, "abc: defgh\r\n", 2100, ""),
                     431);
    (void)snprintf(trailers, sizeof(trailers), "%s1", head);
    assert_int_equal(status_of_repeated(trailers, ";abc=defgh", 2100, ""), 431);
}

static void a_request_that_memory_is_too_short_for_is_503(void **state)
{
    static const char bytes[] = POST("Content-Length: 3\r\n\r\nabc");

    (void)state;
    for (size_t n = 1;; n++) {
        lk_http http;
        lk_buf body = {0};
        lk_request request = {0};
        linkd_error err = {0};
        size_t used;
        lk_http_event event;
        int rc = LINKD_OK;

        lk_http_init(&http);
        alloc_fail_at(n);
        event = lk_http_parse(&http, bytes, sizeof(bytes) - 1, &used);
        if (event == LK_HTTP_HEAD) {
            rc = lk_http_take_head(&http, &request, &err);
            lk_http_set_body(&http, &body, 3);
            event = lk_http_parse(&http, bytes + used, sizeof(bytes) - 1 - used,
                                  &used);
        }
        if (!alloc_fail_off()) {
            assert_int_equal(event, LK_HTTP_END);
            n = 0;
        } else if (rc == LINKD_OK) {
            assert_int_equal(event, LK_HTTP_BAD);
            assert_int_equal(http.status, 503);
        } else {
            assert_int_equal(rc, LINKD_E_NOMEM);
        }
        lk_http_clear(&http);
        lk_buf_clear(&body);
        lk_arena_clear(&request.arena);
        if (n == 0)
            break;
    }
}

static void the_head_of_an_answer_has_status_headers_and_length(void **state)
{
    lk_response response = {.status = 503, .content_type = "text/plain"};
    linkd_error err = {0};
    lk_buf buf = {0};

    (void)state;
    response.headers[0].name = "Retry-After";
    response.headers[0].value = "1";
    response.n_headers = 1;
    assert_int_equal(lk_buf_append(&response.body, "later", 5, &err), LINKD_OK);
    assert_int_equal(lk_http_put_head(&buf, &response, LK_HTTP_LENGTH, false,
                                      784111777, &err),
                     LINKD_OK);
    assert_string_equal(buf.data, "HTTP/1.1 503 Service Unavailable\r\n"
                                  "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                                  "Connection: close\r\n"
                                  "Content-Type: text/plain\r\n"
                                  "Retry-After: 1\r\n"
                                  "Content-Length: 5\r\n\r\n");
    lk_buf_clear(&buf);
    lk_buf_clear(&response.body);
}

static void an_answer_of_204_has_no_body_to_describe(void **state)
{
    lk_response response = {.status = 204};
    linkd_error err = {0};
    lk_buf buf = {0};

    (void)state;
    assert_int_equal(
        lk_http_put_head(&buf, &response, LK_HTTP_LENGTH, true, 0, &err),
        LINKD_OK);
    assert_string_equal(buf.data, "HTTP/1.1 204 No Content\r\n"
                                  "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
                                  "Connection: keep-alive\r\n\r\n");
    lk_buf_clear(&buf);
}

static void a_line_end_in_a_header_cannot_forge_an_answer(void **state)
{
    lk_response response = {.status = 200};
    linkd_error err = {0};
    lk_buf buf = {0};

    (void)state;
    response.headers[0].name = "Location";
    response.headers[0].value = "/a\r\nSet-Cookie: b";
    response.n_headers = 1;
    assert_int_equal(
        lk_http_put_head(&buf, &response, LK_HTTP_LENGTH, true, 0, &err),
        LINKD_E_DATA);
    assert_string_equal(err.message,
                        "a header of the answer has a control byte");
    lk_buf_clear(&buf);
}

static void a_chunk_begins_with_its_length_in_hex(void **state)
{
    char prefix[LK_HTTP_CHUNK_PREFIX_MAX];

    (void)state;
    assert_int_equal(lk_http_put_chunk_prefix(prefix, 65535), 6);
    assert_string_equal(prefix, "ffff\r\n");
    assert_int_equal(lk_http_put_chunk_prefix(prefix, SIZE_MAX), 18);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_sample_is_taken_or_refused_wherever_it_is_cut),
        cmocka_unit_test(each_sample_reads_the_same_byte_by_byte),
        cmocka_unit_test(a_url_of_8_kib_is_taken_and_one_byte_more_is_414),
        cmocka_unit_test(headers_of_16_kib_are_taken_and_one_byte_more_is_431),
        cmocka_unit_test(the_65th_header_is_431),
        cmocka_unit_test(blanks_count_as_head),
        cmocka_unit_test(chunk_extensions_and_trailers_are_limited),
        cmocka_unit_test(a_request_that_memory_is_too_short_for_is_503),
        cmocka_unit_test(the_head_of_an_answer_has_status_headers_and_length),
        cmocka_unit_test(an_answer_of_204_has_no_body_to_describe),
        cmocka_unit_test(a_line_end_in_a_header_cannot_forge_an_answer),
        cmocka_unit_test(a_chunk_begins_with_its_length_in_hex),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
