#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/connection.h"

static void on_quiet(lk_hub *hub)
{
    (void)hub;
}

typedef struct fixture {
    lk_service service;
    lk_hub hub;
    lk_exchange *exchange;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    linkd_error err;

    assert_non_null(f);
    assert_int_equal(lk_metrics_new(&f->service.metrics, &err), LINKD_OK);
    f->hub.service = &f->service;
    f->hub.quiet_cb = on_quiet;
    f->exchange = lk_exchange_new(NULL, &f->hub);
    assert_non_null(f->exchange);
    *state = f;
    return 0;
}

/* Nothing may stay charged for an exchange that is gone. */
static int teardown(void **state)
{
    fixture *f = *state;
    size_t others = f->hub.n_answer_bytes - f->exchange->n_answer;

    lk_exchange_drop(f->exchange);
    assert_int_equal(f->hub.n_answer_bytes, others);
    assert_int_equal(f->hub.n_exchanges, 0);
    lk_metrics_free(f->service.metrics);
    free(f);
    return 0;
}

static void answer_make(fixture *f, size_t len)
{
    char *bytes = calloc(1, len);

    assert_non_null(bytes);
    assert_int_equal(
        lk_buf_append(&f->exchange->response.body, bytes, len, NULL), LINKD_OK);
    free(bytes);
}

/* A thousand slow readers of large answers would else fill the memory. */
static void a_large_answer_beyond_the_limit_is_503(void **state)
{
    fixture *f = *state;
    lk_response *response = &f->exchange->response;

    f->hub.n_answer_bytes = LK_ANSWERS_MAX_BYTES - LK_ANSWER_SMALL_BYTES;
    answer_make(f, 2 * LK_ANSWER_SMALL_BYTES);
    lk_exchange_charge_answer(f->exchange);

    assert_int_equal(response->status, 503);
    assert_non_null(strstr(response->body.data, "\"code\":\"busy\""));
    assert_string_equal(response->headers[0].name, "Retry-After");
    assert_true(response->body.capacity < LK_ANSWER_SMALL_BYTES);
}

/* Probes and refusals come through. */
static void a_small_answer_is_sent_beyond_the_limit(void **state)
{
    fixture *f = *state;

    f->hub.n_answer_bytes = LK_ANSWERS_MAX_BYTES;
    answer_make(f, 100);
    lk_exchange_charge_answer(f->exchange);

    assert_int_equal(f->exchange->response.status, 0);
    assert_int_equal(f->exchange->response.body.len, 100);
    assert_true(f->hub.n_answer_bytes > LK_ANSWERS_MAX_BYTES);
}

static void a_large_answer_within_the_limit_is_sent(void **state)
{
    fixture *f = *state;

    answer_make(f, 2 * LK_ANSWER_SMALL_BYTES);
    lk_exchange_charge_answer(f->exchange);

    assert_int_equal(f->exchange->response.status, 0);
    assert_true(f->hub.n_answer_bytes >= 2 * LK_ANSWER_SMALL_BYTES);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_large_answer_beyond_the_limit_is_503),
        TEST(a_small_answer_is_sent_beyond_the_limit),
        TEST(a_large_answer_within_the_limit_is_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
