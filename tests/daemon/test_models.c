#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/models.h"
#include "tests/daemon/service.h"
#include "tests/support/alloc_fail.h"

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

static int tiny_embed(lk_urgency urgency, const linkd_str *texts, size_t n,
                      float *ret_vectors)
{
    const lk_model_embedder e = {.model = tiny(), .urgency = urgency};

    return lk_model_embed(&e, texts, n, ret_vectors, NULL, &err);
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
    assert_int_equal(
        lk_model_count_tokens(tiny(), LINKD_USE_ANY, str_of("a bc"), &n, &err),
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
        const lk_model_embedder e = {.model = a->model, .urgency = a->urgency};
        int rc = lk_model_embed(&e, a->texts, a->n, vectors, &a->stats, &why);

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
        assert_int_equal(
            tiny_embed(LK_URGENT, &texts[i], 1, expected + i * TINY_DIM),
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
    const lk_model_embedder stopping = {
        .model = tiny(), .urgency = LK_BULK, .stop_cb = stop_now};
    int rc;

    (void)state;
    for (size_t i = 0; i < N_TEXTS; i++)
        texts[i] = str_of("acme");
    rc = lk_model_embed(&stopping, texts, N_TEXTS, vectors, NULL, &err);
    assert_true(rc == LINKD_OK || rc == LINKD_E_CANCELLED);
    assert_int_equal(tiny_embed(LK_URGENT, texts, 1, vectors), LINKD_OK);
}

static void no_texts_are_no_work(void **state)
{
    (void)state;
    assert_int_equal(tiny_embed(LK_URGENT, NULL, 0, NULL), LINKD_OK);
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
    assert_int_equal(tiny_embed(LK_BULK, &text, 1, vectors[1]), LINKD_OK);
    assert_memory_equal(vectors[0], vectors[1], sizeof(vectors[0]));
}

/* make_tiny_model's own seed, so that weights are those of "tiny". */
#define TINY_SEED 20261124
#define PROMPTS   "{\"prompts\": {\"query\": \"ab \", \"passage\": \"c\"}}"

static lk_model *prompted(const char *prompts)
{
    lk_model *model = NULL;

    prompted_model_make("prompted", TINY_SEED, prompts);
    assert_int_equal(
        lk_models_get(service.models, str_of("prompted"), &model, &err),
        LINKD_OK);
    return model;
}

/* Both in one batch or not: each text has its own use's. */
static void queries_and_records_get_the_models_prompts(void **state)
{
    static const char *const whole[LINKD_N_USES][2] = {
        {"acme", "be"}, {"ab acme", "ab be"}, {"cacme", "cbe"}};
    const linkd_str texts[2] = {str_of("acme"), str_of("be")};
    lk_model *model = prompted(PROMPTS);

    (void)state;
    for (linkd_use use = 0; use < LINKD_N_USES; use++) {
        const lk_model_embedder e = {.model = model, .use = use};
        const linkd_str same[2] = {str_of(whole[use][0]),
                                   str_of(whole[use][1])};
        float vectors[2][2 * TINY_DIM];
        size_t n[2] = {0};

        assert_int_equal(lk_model_embed(&e, texts, 2, vectors[0], NULL, &err),
                         LINKD_OK);
        assert_int_equal(tiny_embed(LK_URGENT, same, 2, vectors[1]), LINKD_OK);
        assert_memory_equal(vectors[0], vectors[1], sizeof(vectors[0]));
        assert_int_equal(
            lk_model_count_tokens(model, use, texts[0], &n[0], &err), LINKD_OK);
        assert_int_equal(
            lk_model_count_tokens(tiny(), LINKD_USE_ANY, same[0], &n[1], &err),
            LINKD_OK);
        assert_int_equal(n[0], n[1]);
    }
}

/* Else records under a new prompt would be compared with those under none. */
static void prompts_are_part_of_the_fingerprint(void **state)
{
    char fingerprint[40];

    (void)state;
    (void)snprintf(fingerprint, sizeof(fingerprint), "%s",
                   lk_model_describe(prompted(PROMPTS))->fingerprint);
    assert_string_not_equal(fingerprint,
                            lk_model_describe(tiny())->fingerprint);
    lk_models_free(service.models);
    assert_int_equal(lk_models_new(1, service.metrics, &service.models, &err),
                     LINKD_OK);
    assert_string_not_equal(
        fingerprint,
        lk_model_describe(prompted("{\"prompts\": {\"query\": \"ab \"}}"))
            ->fingerprint);
}

static void a_prompt_that_would_be_left_out_is_refused(void **state)
{
    lk_model *model = NULL;
    FILE *file;

    (void)state;
    prompted_model_make("skips", TINY_SEED, PROMPTS);
    assert_int_equal(mkdir("models/skips/1_Pooling", 0700), 0);
    file = fopen("models/skips/1_Pooling/config.json", "w");
    assert_non_null(file);
    (void)fputs("{\"pooling_mode_mean_tokens\": true, "
                "\"include_prompt\": false}",
                file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(
        lk_models_get(service.models, str_of("skips"), &model, &err),
        LINKD_E_DATA);
    assert_non_null(strstr(err.message, "include_prompt false"));
}

static void prompts_need_memory(void **state)
{
    const lk_model_embedder e = {.model = prompted(PROMPTS),
                                 .use = LINKD_USE_QUERY};
    const linkd_str text = str_of("acme");
    float vector[TINY_DIM];

    (void)state;
    for (size_t n = 1; n <= 2; n++) {
        int rc;

        alloc_fail_at(n);
        rc = lk_model_embed(&e, &text, 1, vector, NULL, &err);
        assert_true(alloc_fail_off());
        assert_int_equal(rc, LINKD_E_NOMEM);
    }
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
        TEST(queries_and_records_get_the_models_prompts),
        TEST(prompts_are_part_of_the_fingerprint),
        TEST(a_prompt_that_would_be_left_out_is_refused),
        TEST(prompts_need_memory),
    };

    return cmocka_run_group_tests(tests, service_group_enter,
                                  service_group_leave);
}
