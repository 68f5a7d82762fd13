/* tests/linkage/test_collection.c — records into a real store, with vectors that
 * an embedder of ours makes: a text "x y" is the vector (x, y), scaled. */
#include <ftw.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/linkage.h"
#include "tests/linkage/scratch.h"

#define DIM       ((size_t)2)
#define N_THREADS ((size_t)4)

static linkd_store *store;
static linkd_settings settings;
static linkd_error err;
static size_t n_calls;
static size_t n_largest; /* texts of one call */
static int failure;      /* of the embedder; 0: none */

static linkd_str str_of(const char *text)
{
    return (linkd_str){text, strlen(text)};
}

static int fake_embed(void *ctx, const linkd_str *texts, size_t n,
                      float *ret_vectors, linkd_encode_stats *stats,
                      linkd_error *ret_err)
{
    (void)ctx;
    (void)stats;
    n_calls++;
    n_largest = n > n_largest ? n : n_largest;
    if (failure != 0)
        return lk_fail(ret_err, failure, "no vectors today");
    for (size_t i = 0; i < n; i++) {
        char text[32] = "";
        char *end;
        float x, y;

        memcpy(text, texts[i].bytes, texts[i].len);
        x = strtof(text, &end);
        y = strtof(end, NULL);
        ret_vectors[i * DIM] = x / hypotf(x, y);
        ret_vectors[i * DIM + 1] = y / hypotf(x, y);
    }
    return LINKD_OK;
}

static bool fake_knows(void *ctx, linkd_str text)
{
    (void)ctx;
    return text.bytes[0] != '?';
}

static const linkd_embedder embedder = {.embed = fake_embed,
                                        .knows = fake_knows,
                                        .dim = DIM,
                                        .fingerprint = "fake"};

static int path_remove(const char *path, const struct stat *status, int kind,
                       struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

static int setup(void **state)
{
    static const linkd_str text[] = {{"xy", 2}};
    linkd_store_options options = LINKD_STORE_OPTIONS_INIT;
    linkd_collection_options collection = {.dim = DIM};

    (void)state;
    settings = (linkd_settings){
        .text = text, .n_text = 1, .threshold = {LINKD_LIMIT_SCORE, 0.7}};
    n_calls = 0;
    n_largest = 0;
    failure = 0;
    assert_int_equal(linkd_store_open("data", &options, &store, &err),
                     LINKD_OK);
    assert_int_equal(linkd_store_create_collection(
                         store, str_of("c"), &collection, NULL, NULL, &err),
                     LINKD_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    linkd_store_close(store);
    return nftw("data", path_remove, 8, FTW_DEPTH | FTW_PHYS);
}

static linkd_collection_info info_get(lk_arena *arena)
{
    linkd_collection_info info;

    assert_int_equal(
        linkd_store_describe(store, str_of("c"), arena, &info, &err), LINKD_OK);
    return info;
}

/* ---- putting ------------------------------------------------------------- */

static void records_get_the_vectors_of_their_texts(void **state)
{
    const linkd_field texts[] = {{str_of("xy"), str_of("3 4"), 0},
                                 {str_of("xy"), str_of("?"), 0},
                                 {str_of("other"), str_of("1 1"), 0}};
    static const float ready[DIM] = {0.0F, 1.0F};
    linkd_put puts[] = {
        {.id = str_of("known"), .fields = &texts[0], .n_fields = 1},
        {.id = str_of("unknown"), .fields = &texts[1], .n_fields = 1},
        {.id = str_of("without"), .fields = &texts[2], .n_fields = 1},
        {.id = str_of("ready"), .dim = DIM, .vector = ready}};
    static const bool has_vector[] = {true, false, false, true};
    static const float expected[][DIM] = {
        {0.6F, 0.8F}, {0.0F, 0.0F}, {0.0F, 0.0F}, {0.0F, 1.0F}};
    linkd_write_result result;
    linkd_view *view = NULL;

    (void)state;
    assert_int_equal(linkd_collection_put(store, str_of("c"), &settings,
                                          &embedder, puts, 4, NULL, &result,
                                          NULL, &err),
                     LINKD_OK);
    assert_int_equal(result.n_created, 4);
    assert_null(puts[0].vector);
    assert_int_equal(linkd_view_open(store, str_of("c"), &view, &err),
                     LINKD_OK);
    for (size_t i = 0; i < 4; i++) {
        const float *vector = NULL;
        uint64_t number = 0;
        bool found = false;

        assert_int_equal(
            linkd_view_find(view, puts[i].id, &number, &found, &err), LINKD_OK);
        assert_int_equal(linkd_view_vector(view, number, &vector, &err),
                         LINKD_OK);
        assert_int_equal(vector != NULL, has_vector[i]);
        for (size_t j = 0; j < DIM && vector != NULL; j++)
            assert_true(fabsf(vector[j] - expected[i][j]) < 1e-6F);
    }
    linkd_view_close(view);
}

/* Whoever shares the embedder waits for one call at most. */
static void many_texts_come_in_several_calls(void **state)
{
    enum { N = 1100 };
    static char ids[N][8];
    static linkd_put puts[N];
    const linkd_field field = {str_of("xy"), str_of("1 0"), 0};
    lk_arena arena = {0};
    linkd_write_result result;

    (void)state;
    for (size_t i = 0; i < N; i++) {
        (void)snprintf(ids[i], sizeof(ids[i]), "%zu", i);
        puts[i] =
            (linkd_put){.id = str_of(ids[i]), .fields = &field, .n_fields = 1};
    }
    assert_int_equal(linkd_collection_put(store, str_of("c"), &settings,
                                          &embedder, puts, N, NULL, &result,
                                          NULL, &err),
                     LINKD_OK);
    assert_int_equal(n_calls, 3);
    assert_int_equal(n_largest, 512);
    assert_int_equal(info_get(&arena).n_vectors, N);
    lk_arena_clear(&arena);
}

static void a_failure_to_embed_stores_nothing(void **state)
{
    const linkd_field field = {str_of("xy"), str_of("1 0"), 0};
    linkd_put put = {.id = str_of("a"), .fields = &field, .n_fields = 1};
    linkd_write_result result;
    lk_arena arena = {0};

    (void)state;
    failure = LINKD_E_BUSY;
    assert_int_equal(linkd_collection_put(store, str_of("c"), &settings,
                                          &embedder, &put, 1, NULL, &result,
                                          NULL, &err),
                     LINKD_E_BUSY);
    assert_string_equal(err.message, "no vectors today");
    assert_int_equal(info_get(&arena).n_records, 0);
    lk_arena_clear(&arena);
}

/* ---- attaching ----------------------------------------------------------- */

static int attach_with(const char *id, const char *text,
                       const linkd_attach_options *options,
                       linkd_attached *ret_attached)
{
    const linkd_field field = {str_of("xy"), str_of(text), 0};
    linkd_put put = {.id = str_of(id), .fields = &field, .n_fields = 1};

    return linkd_collection_attach(store, str_of("c"), &settings, &embedder,
                                   &put, options, ret_attached, &err);
}

static linkd_attached attach(const char *id, const char *text)
{
    linkd_attach_options options = {.threshold = {LINKD_LIMIT_SCORE, 0.7}};
    linkd_attached attached;

    assert_int_equal(attach_with(id, text, &options, &attached), LINKD_OK);
    return attached;
}

/* Whatever kind it is of. */
static void a_threshold_that_says_nothing_stores_nothing(void **state)
{
    static const struct {
        linkd_limit threshold;
        const char *message;
    } cases[] = {
        {{LINKD_LIMIT_SCORE, 1.01},
         "\"threshold\" is not a number from -1 to 1"},
        {{LINKD_LIMIT_SCORE, (double)NAN},
         "\"threshold\" is not a number from -1 to 1"},
        {{LINKD_LIMIT_PROBABILITY, 1.0},
         "\"threshold\": \"probability\" is not a number between 0 and 1"},
        {{LINKD_LIMIT_FALSE_MATCH_RATE, 0.1},
         "\"false_match_rate\": 0.1 takes 104 records with vectors to "
         "compare, and there are 0"},
    };
    lk_arena arena = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        linkd_attach_options options = {.threshold = cases[i].threshold};
        linkd_attached attached;

        assert_int_equal(attach_with("a", "1 0", &options, &attached),
                         LINKD_E_ARG);
        assert_string_equal(err.message, cases[i].message);
    }
    assert_int_equal(info_get(&arena).n_records, 0);
    lk_arena_clear(&arena);
}

static void the_nearest_above_the_threshold_is_joined(void **state)
{
    linkd_attached first = attach("a", "1 0");
    linkd_attached other = attach("b", "0 1");
    linkd_attached near = attach("c", "4 3");

    (void)state;
    assert_true(first.is_new);
    assert_true(other.is_new);
    assert_int_equal(first.match.len, 0);
    assert_int_not_equal(other.entity, first.entity);
    assert_false(near.is_new);
    assert_int_equal(near.entity, first.entity);
    assert_string_equal(near.match.data, "a");
    assert_true(fabsf(near.score - 0.8F) < 1e-6F);
    assert_true(near.seq > other.seq);
    lk_buf_clear(&near.match);
}

static void a_record_without_a_vector_is_an_entity_of_its_own(void **state)
{
    linkd_attached first = attach("a", "?");
    linkd_attached second = attach("b", "?");

    (void)state;
    assert_true(second.is_new);
    assert_int_not_equal(first.entity, second.entity);
    assert_int_equal(n_calls, 0);
}

/* Though it would be near another one now. */
static void an_entity_that_a_record_has_is_kept(void **state)
{
    linkd_attached before = attach("a", "1 0");
    linkd_attached other = attach("b", "0 1");
    linkd_attached after = attach("a", "0 1");

    (void)state;
    assert_int_equal(after.entity, before.entity);
    assert_int_not_equal(after.entity, other.entity);
    assert_false(after.is_new);
    assert_string_equal(after.match.data, "b");
    lk_buf_clear(&after.match);
    after = attach("a", "-1 0");
    assert_int_equal(after.entity, before.entity);
    assert_false(after.is_new);
    assert_int_equal(after.match.len, 0);
}

static void a_key_answers_what_the_first_attach_did(void **state)
{
    linkd_attach_options options = {
        .threshold = {LINKD_LIMIT_SCORE, 0.7},
        .once = {.key = {"key", 3}, .request_hash = 7}};
    linkd_attached first;
    linkd_attached second;

    (void)state;
    (void)attach("a", "1 0");
    assert_int_equal(attach_with("b", "4 3", &options, &first), LINKD_OK);
    assert_false(first.replayed);
    assert_int_equal(attach_with("b", "4 3", &options, &second), LINKD_OK);
    assert_true(second.replayed);
    assert_int_equal(second.entity, first.entity);
    assert_int_equal(second.is_new, first.is_new);
    assert_int_equal(second.seq, first.seq);
    assert_string_equal(second.match.data, "a");
    assert_memory_equal(&second.score, &first.score, sizeof(first.score));
    lk_buf_clear(&first.match);
    lk_buf_clear(&second.match);
    options.once.request_hash = 8;
    assert_int_equal(attach_with("b", "4 3", &options, &second),
                     LINKD_E_CONFLICT);
}

/* A put and an attach answer different things. */
static void a_key_of_a_put_is_no_key_of_an_attach(void **state)
{
    linkd_attach_options options = {
        .threshold = {LINKD_LIMIT_SCORE, 0.7},
        .once = {.key = {"key", 3}, .request_hash = 7}};
    linkd_put put = {.id = str_of("a")};
    linkd_write_result result;
    linkd_attached attached;

    (void)state;
    assert_int_equal(linkd_store_put(store, str_of("c"), &put, 1, &options.once,
                                     &result, &err),
                     LINKD_OK);
    assert_int_equal(attach_with("b", "1 0", &options, &attached),
                     LINKD_E_CONFLICT);
}

static void a_collection_that_is_not_there_is_absent(void **state)
{
    linkd_attach_options options = {.threshold = {LINKD_LIMIT_SCORE, 0.7}};
    linkd_put put = {.id = str_of("a")};
    linkd_attached attached;

    (void)state;
    assert_int_equal(linkd_collection_attach(store, str_of("nobody"), &settings,
                                             NULL, &put, &options, &attached,
                                             &err),
                     LINKD_E_ABSENT);
}

typedef struct attacher {
    pthread_t thread;
    char id[8];
    linkd_attached attached;
    int rc;
} attacher;

static void *attacher_main(void *arg)
{
    attacher *a = arg;
    const linkd_field field = {str_of("xy"), str_of("1 0"), 0};
    linkd_put put = {.id = str_of(a->id), .fields = &field, .n_fields = 1};
    linkd_attach_options options = {.threshold = {LINKD_LIMIT_SCORE, 0.7}};
    linkd_error why;
    static const float vector[DIM] = {1.0F, 0.0F};

    put.dim = DIM;
    put.vector = vector;
    a->rc = linkd_collection_attach(store, str_of("c"), &settings, NULL, &put,
                                    &options, &a->attached, &why);
    return NULL;
}

/* The point of doing it in one step: one entity, not four. */
static void equal_records_attached_at_once_are_one_entity(void **state)
{
    attacher attachers[N_THREADS];
    size_t n_new = 0;

    (void)state;
    for (size_t i = 0; i < N_THREADS; i++) {
        attachers[i] = (attacher){0};
        (void)snprintf(attachers[i].id, sizeof(attachers[i].id), "r%zu", i);
        assert_int_equal(pthread_create(&attachers[i].thread, NULL,
                                        attacher_main, &attachers[i]),
                         0);
    }
    for (size_t i = 0; i < N_THREADS; i++)
        assert_int_equal(pthread_join(attachers[i].thread, NULL), 0);
    for (size_t i = 0; i < N_THREADS; i++) {
        assert_int_equal(attachers[i].rc, LINKD_OK);
        assert_int_equal(attachers[i].attached.entity,
                         attachers[0].attached.entity);
        n_new += attachers[i].attached.is_new;
        lk_buf_clear(&attachers[i].attached.match);
    }
    assert_int_equal(n_new, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(records_get_the_vectors_of_their_texts),
        TEST(many_texts_come_in_several_calls),
        TEST(a_failure_to_embed_stores_nothing),
        TEST(a_threshold_that_says_nothing_stores_nothing),
        TEST(the_nearest_above_the_threshold_is_joined),
        TEST(a_record_without_a_vector_is_an_entity_of_its_own),
        TEST(an_entity_that_a_record_has_is_kept),
        TEST(a_key_answers_what_the_first_attach_did),
        TEST(a_key_of_a_put_is_no_key_of_an_attach),
        TEST(a_collection_that_is_not_there_is_absent),
        TEST(equal_records_attached_at_once_are_one_entity),
    };

    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
