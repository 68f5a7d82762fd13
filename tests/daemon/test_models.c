#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/models.h"
#include "tests/daemon/service.h"

enum { N_THREADS = 4, N_TEXTS = 50, N_ROUNDS = 10 };

static linkd_error err;

static linkd_str str_of(const char *text)
{
    return (linkd_str){text, strlen(text)};
}

static lk_model *tiny(void)
{
    lk_model *model = NULL;

    assert_int_equal(
        lk_models_get(service.models, str_of("tiny"), &model, &err), LINKD_OK);
    return model;
}

static void a_model_is_opened_once(void **state)
{
    (void)state;
    assert_null(lk_models_find(service.models, str_of("tiny")));
    assert_ptr_equal(tiny(), tiny());
    assert_ptr_equal(lk_models_find(service.models, str_of("tiny")), tiny());
    assert_int_equal(lk_model_describe(tiny())->dim, TINY_DIM);
}

/* Opening of model "slow" stands still until `go_on`, or for ten seconds. */
static sem_t is_opening, go_on;
static bool gave_up;

int __real_linkd_encoder_open(const char *dir, const char *precision,
                              linkd_encoder **ret_encoder, linkd_error *error);
int __wrap_linkd_encoder_open(const char *dir, const char *precision,
                              linkd_encoder **ret_encoder, linkd_error *error);

int __wrap_linkd_encoder_open(const char *dir, const char *precision,
                              linkd_encoder **ret_encoder, linkd_error *error)
{
    const char *name = strrchr(dir, '/');
    struct timespec until;

    if (name != NULL && strcmp(name, "/slow") == 0) {
        (void)clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += 10;
        (void)sem_post(&is_opening);
        gave_up = sem_timedwait(&go_on, &until) != 0;
    }
    return __real_linkd_encoder_open(dir, precision, ret_encoder, error);
}

/* Gets "slow", which is another name of "tiny". */
static void *slow_main(void *arg)
{
    lk_model **ret_model = arg;
    linkd_error own;

    if (lk_models_get(service.models, str_of("slow"), ret_model, &own) !=
        LINKD_OK)
        *ret_model = NULL;
    return NULL;
}

/* A large model takes seconds to open; searches with another go on. */
static void who_needs_another_model_does_not_wait_for_one_to_open(void **state)
{
    pthread_t threads[2];
    lk_model *slow[2] = {NULL, NULL};
    lk_buf store = {0};
    char path[4096];

    (void)state;
    assert_int_equal(linkd_encoder_store_path(&store, &err), LINKD_OK);
    (void)snprintf(path, sizeof(path), "%s/slow", store.data);
    assert_int_equal(symlink("tiny", path), 0);
    (void)sem_init(&is_opening, 0, 0);
    (void)sem_init(&go_on, 0, 0);

    for (int i = 0; i < 2; i++)
        (void)pthread_create(&threads[i], NULL, slow_main, &slow[i]);
    (void)sem_wait(&is_opening);
    assert_non_null(tiny());
    assert_null(lk_models_find(service.models, str_of("slow")));
    (void)sem_post(&go_on);
    for (int i = 0; i < 2; i++)
        (void)pthread_join(threads[i], NULL);

    assert_false(gave_up);
    assert_non_null(slow[0]);
    assert_ptr_equal(slow[0], slow[1]);
    (void)sem_destroy(&is_opening);
    (void)sem_destroy(&go_on);
    (void)unlink(path);
    lk_buf_clear(&store);
}

/* Clients may not name files. */
static void paths_are_no_models(void **state)
{
    static const char *const names[] = {"",  "nope", "./tiny", "../models/tiny",
                                        ".", ".."};
    lk_model *model = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_int_equal(
            lk_models_get(service.models, str_of(names[i]), &model, &err),
            LINKD_E_ABSENT);
    assert_null(model);
}

static void tokens_are_counted(void **state)
{
    size_t n = 0;

    (void)state;
    assert_int_equal(lk_model_count_tokens(tiny(), str_of("a bc"), &n, &err),
                     LINKD_OK);
    assert_int_equal(n, 5); /* [CLS] a b ##c [SEP] */
}

/* Texts that many threads ask for at once: bulk and urgent, few and many. */
typedef struct asker {
    pthread_t thread;
    lk_model *model;
    lk_urgency urgency;
    size_t n;
    const linkd_str *texts;
    const float *expected; /* [N_TEXTS, TINY_DIM], of texts encoded alone */
    size_t n_wrong;
    linkd_encode_stats stats;
} asker;

static void *asker_main(void *arg)
{
    asker *a = arg;
    float *vectors = calloc(a->n, TINY_DIM * sizeof(*vectors));
    linkd_error why;

    for (size_t round = 0; round < N_ROUNDS; round++) {
        int rc = lk_model_embed(a->model, a->urgency, a->texts, a->n, NULL,
                                NULL, vectors, &a->stats, &why);

        a->n_wrong +=
            rc != LINKD_OK || memcmp(vectors, a->expected,
                                     a->n * TINY_DIM * sizeof(*vectors)) != 0;
    }
    free(vectors);
    return NULL;
}

static void sharing_a_batch_does_not_show_in_vectors(void **state)
{
    static char names[N_TEXTS][16];
    linkd_str texts[N_TEXTS];
    float *expected = calloc(N_TEXTS, TINY_DIM * sizeof(*expected));
    asker askers[N_THREADS];

    (void)state;
    for (size_t i = 0; i < N_TEXTS; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "firm %zu", i * 37);
        texts[i] = str_of(names[i]);
        assert_int_equal(lk_model_embed(tiny(), LK_URGENT, &texts[i], 1, NULL,
                                        NULL, expected + i * TINY_DIM, NULL,
                                        &err),
                         LINKD_OK);
    }
    for (size_t i = 0; i < N_THREADS; i++) {
        askers[i] = (asker){.model = tiny(),
                            .urgency = i % 2 == 0 ? LK_BULK : LK_URGENT,
                            .n = i % 2 == 0 ? N_TEXTS : 1 + i,
                            .texts = texts,
                            .expected = expected};
        assert_int_equal(
            pthread_create(&askers[i].thread, NULL, asker_main, &askers[i]), 0);
    }
    for (size_t i = 0; i < N_THREADS; i++)
        assert_int_equal(pthread_join(askers[i].thread, NULL), 0);
    for (size_t i = 0; i < N_THREADS; i++) {
        assert_int_equal(askers[i].n_wrong, 0);
        assert_int_equal(askers[i].stats.n_texts, N_ROUNDS * askers[i].n);
    }
    free(expected);
}

static bool stop_now(void *ctx)
{
    (void)ctx;
    return true;
}

/* Taken back before a text was encoded, or done: never half of it. */
static void a_caller_that_stops_gets_all_or_nothing(void **state)
{
    linkd_str texts[N_TEXTS];
    float vectors[N_TEXTS * TINY_DIM];
    int rc;

    (void)state;
    for (size_t i = 0; i < N_TEXTS; i++)
        texts[i] = str_of("acme");
    rc = lk_model_embed(tiny(), LK_BULK, texts, N_TEXTS, stop_now, NULL,
                        vectors, NULL, &err);
    assert_true(rc == LINKD_OK || rc == LINKD_E_CANCELLED);
    rc = lk_model_embed(tiny(), LK_URGENT, texts, 1, NULL, NULL, vectors, NULL,
                        &err);
    assert_int_equal(rc, LINKD_OK);
}

static void no_texts_are_no_work(void **state)
{
    (void)state;
    assert_int_equal(lk_model_embed(tiny(), LK_URGENT, NULL, 0, NULL, NULL,
                                    NULL, NULL, &err),
                     LINKD_OK);
}

static void a_model_is_an_embedder(void **state)
{
    lk_model_embedder storage = {.model = tiny(), .urgency = LK_URGENT};
    linkd_embedder embedder = lk_model_embedder_of(&storage);
    linkd_str text = str_of("acme");
    float vectors[2][TINY_DIM];

    (void)state;
    assert_int_equal(embedder.dim, TINY_DIM);
    assert_string_equal(embedder.fingerprint,
                        lk_model_describe(tiny())->fingerprint);
    assert_true(embedder.knows(embedder.ctx, text));
    assert_false(embedder.knows(embedder.ctx, str_of("\xE2\x82\xAC")));
    assert_int_equal(
        embedder.embed(embedder.ctx, &text, 1, vectors[0], NULL, &err),
        LINKD_OK);
    assert_int_equal(lk_model_embed(tiny(), LK_BULK, &text, 1, NULL, NULL,
                                    vectors[1], NULL, &err),
                     LINKD_OK);
    assert_memory_equal(vectors[0], vectors[1], sizeof(vectors[0]));
}

#define TEST(name)                                                             \
 cmocka_unit_test_setup_teardown(name, service_enter, service_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_model_is_opened_once),
        TEST(who_needs_another_model_does_not_wait_for_one_to_open),
        TEST(paths_are_no_models),
        TEST(tokens_are_counted),
        TEST(sharing_a_batch_does_not_show_in_vectors),
        TEST(a_caller_that_stops_gets_all_or_nothing),
        TEST(no_texts_are_no_work),
        TEST(a_model_is_an_embedder),
    };

    return cmocka_run_group_tests(tests, service_group_enter,
                                  service_group_leave);
}
