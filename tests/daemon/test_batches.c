/* tests/daemon/test_batches.c — which texts of whom are encoded when.
 *
 * The encoder below stands still before each batch until the test lets it go on,
 * so that what waits meanwhile is known: a worker is in the queue when it asks
 * for the first time whether to stop. A vector is the text's first byte. */
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/batches.h"
#include "tests/support/alloc_fail.h"

enum { MOST_TEXTS = 4100, MOST_WORKERS = 4, MOST_BATCHES = 8 };

typedef struct worker {
    lk_urgency urgency;
    linkd_str texts[MOST_TEXTS];
    float vectors[MOST_TEXTS];
    size_t n;
    atomic_bool stops;
    bool has_ended;
    sem_t waits;
    pthread_t thread;
    linkd_error err;
    int rc;
} worker;

static worker workers[MOST_WORKERS];
static size_t n_workers;
static lk_batches *batches;
static linkd_error err;
/* Of each batch the first bytes of its texts, as a string. */
static char encoded[MOST_BATCHES][LK_BATCH_MAX + 1];
static size_t n_encoded;
static bool encoder_fails;
static sem_t has_begun, may_go_on;

static int encode(void *ctx, const linkd_str *texts, size_t n,
                  float *ret_vectors, linkd_error *error)
{
    (void)ctx;
    (void)sem_post(&has_begun);
    (void)sem_wait(&may_go_on);
    for (size_t i = 0; i < n; i++) {
        if (n_encoded < MOST_BATCHES)
            encoded[n_encoded][i] = texts[i].bytes[0];
        ret_vectors[i] = (float)texts[i].bytes[0];
    }
    n_encoded++;
    return encoder_fails ? lk_fail(error, LINKD_E_DATA, "no vector") : LINKD_OK;
}

static bool stop_ask(void *ctx)
{
    worker *w = ctx;

    (void)sem_post(&w->waits);
    return atomic_load(&w->stops);
}

static void *worker_main(void *arg)
{
    worker *w = arg;
    const lk_waiting waiting = {w->urgency, stop_ask, w};

    w->rc = lk_batches_embed(batches, &waiting, w->texts, w->n, w->vectors,
                             &w->err);
    return NULL;
}

/* A worker waits for n times the text, which is one letter or a content. */
static worker *worker_start(lk_urgency urgency, const char *text, size_t n)
{
    worker *w = &workers[n_workers++];

    *w = (worker){.urgency = urgency, .n = n};
    for (size_t i = 0; i < n; i++)
        w->texts[i] = (linkd_str){text, strlen(text)};
    (void)sem_init(&w->waits, 0, 0);
    assert_int_equal(pthread_create(&w->thread, NULL, worker_main, w), 0);
    return w;
}

static worker *worker_queue(lk_urgency urgency, const char *text, size_t n)
{
    worker *w = worker_start(urgency, text, n);

    (void)sem_wait(&w->waits);
    return w;
}

/* The encoder is busy with a text "0" until all_go_on(). */
static void encoder_occupy(void)
{
    (void)worker_start(LK_URGENT, "0", 1);
    (void)sem_wait(&has_begun);
}

static void worker_join(worker *w)
{
    if (!w->has_ended)
        (void)pthread_join(w->thread, NULL);
    w->has_ended = true;
}

static void all_go_on(void)
{
    for (size_t i = 0; i < MOST_BATCHES + MOST_TEXTS; i++)
        (void)sem_post(&may_go_on);
    for (size_t i = 0; i < n_workers; i++)
        worker_join(&workers[i]);
}

static int setup(void **state)
{
    const lk_batch_encoder encoder = {
        .encode = encode, .dim = 1, .n_pictures = 2};

    (void)state;
    memset(encoded, 0, sizeof(encoded));
    n_encoded = n_workers = 0;
    encoder_fails = false;
    (void)sem_init(&has_begun, 0, 0);
    (void)sem_init(&may_go_on, 0, 0);
    return lk_batches_new(&encoder, &batches, &err);
}

static int teardown(void **state)
{
    (void)state;
    lk_batches_free(batches);
    return 0;
}

static void what_waits_is_one_batch_and_each_gets_its_own(void **state)
{
    (void)state;
    encoder_occupy();
    (void)worker_queue(LK_URGENT, "a", 2);
    (void)worker_queue(LK_URGENT, "b", 1);
    all_go_on();

    assert_int_equal(n_encoded, 2);
    assert_string_equal(encoded[1], "aab");
    for (size_t i = 0; i < n_workers; i++) {
        assert_int_equal(workers[i].rc, LINKD_OK);
        for (size_t k = 0; k < workers[i].n; k++)
            assert_true(workers[i].vectors[k] ==
                        (float)workers[i].texts[0].bytes[0]);
    }
}

static void queries_go_before_bulk_texts(void **state)
{
    (void)state;
    encoder_occupy();
    (void)worker_queue(LK_BULK, "b", 2);
    (void)worker_queue(LK_URGENT, "q", 2);
    all_go_on();

    assert_string_equal(encoded[1], "qq");
    assert_string_equal(encoded[2], "bb");
}

static void many_queries_are_several_batches(void **state)
{
    (void)state;
    encoder_occupy();
    (void)worker_queue(LK_URGENT, "q", LK_BATCH_MAX + 6);
    all_go_on();

    assert_int_equal(strlen(encoded[1]), LK_BATCH_MAX);
    assert_string_equal(encoded[2], "qqqqqq");
}

/* A query that comes now waits for 16 texts, whoever has how many. */
static void bulk_texts_take_turns_by_slices(void **state)
{
    (void)state;
    encoder_occupy();
    (void)worker_queue(LK_BULK, "a", 18);
    (void)worker_queue(LK_JOB, "b", 18);
    all_go_on();

    assert_string_equal(encoded[1], "aaaaaaaaaaaaaaaa");
    assert_string_equal(encoded[2], "bbbbbbbbbbbbbbbb");
    assert_string_equal(encoded[3], "aabb");
}

static void a_slice_has_few_pictures(void **state)
{
    (void)state;
    encoder_occupy();
    (void)worker_queue(LK_BULK,
                       "p\x1d"
                       "data:image/png;base64,",
                       5);
    all_go_on();

    assert_string_equal(encoded[1], "pp");
    assert_string_equal(encoded[2], "pp");
    assert_string_equal(encoded[3], "p");
}

static void too_much_at_once_is_refused_but_to_jobs(void **state)
{
    static const lk_waiting bulk = {.urgency = LK_BULK};
    static const linkd_str texts[200] = {{"x", 1}};
    float vectors[200];

    (void)state;
    encoder_occupy();
    (void)worker_queue(LK_BULK, "a", 4000);
    assert_int_equal(
        lk_batches_embed(batches, &bulk, texts, 200, vectors, &err),
        LINKD_E_BUSY);
    assert_string_equal(err.message, "4000 texts wait to be encoded already");
    (void)worker_queue(LK_JOB, "b", 200);
    all_go_on();
    assert_int_equal(workers[2].rc, LINKD_OK);
}

static void who_stops_takes_the_texts_along(void **state)
{
    worker *w;

    (void)state;
    encoder_occupy();
    w = worker_queue(LK_URGENT, "a", 2);
    atomic_store(&w->stops, true);
    worker_join(w);
    assert_int_equal(w->rc, LINKD_E_CANCELLED);
    (void)worker_queue(LK_URGENT, "b", 1);
    all_go_on();

    assert_string_equal(encoded[1], "b");
}

static void a_failure_is_that_of_the_whole_batch(void **state)
{
    (void)state;
    encoder_fails = true;
    encoder_occupy();
    (void)worker_queue(LK_URGENT, "a", 1);
    (void)worker_queue(LK_URGENT, "b", 1);
    all_go_on();

    for (size_t i = 0; i < n_workers; i++) {
        assert_int_equal(workers[i].rc, LINKD_E_DATA);
        assert_string_equal(workers[i].err.message, "no vector");
    }
}

static void memory_that_runs_out_is_reported(void **state)
{
    const lk_batch_encoder encoder = {.encode = encode, .dim = 1};

    (void)state;
    for (size_t n = 1;; n++) {
        lk_batches *other = NULL;
        int rc;

        alloc_fail_at(n);
        rc = lk_batches_new(&encoder, &other, &err);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            lk_batches_free(other);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_waits_is_one_batch_and_each_gets_its_own),
        TEST(queries_go_before_bulk_texts),
        TEST(many_queries_are_several_batches),
        TEST(bulk_texts_take_turns_by_slices),
        TEST(a_slice_has_few_pictures),
        TEST(too_much_at_once_is_refused_but_to_jobs),
        TEST(who_stops_takes_the_texts_along),
        TEST(a_failure_is_that_of_the_whole_batch),
        TEST(memory_that_runs_out_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
