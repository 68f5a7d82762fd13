/* tests/linkage/test_embedder.c — what linkage asks of an embedder, told by one
 * that writes down every call; and the encoder as an embedder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/linkage.h"
#include "tests/linkage/fake_encoder.h"
#include "tests/linkage/scratch.h"

#define DIM ((size_t)8)

/* Two chunks and a bit, of which two rows have nothing to embed. */
enum {
    N_ROWS = 1200,
    ROW_EMPTY = 3,
    ROW_UNKNOWN = 700,
    N_TEXTS = N_ROWS - 2,
    CHUNK_MOST = 512
};

/* An embedder that writes down what it is asked. */
typedef struct recorder {
    unsigned long numbers[N_ROWS]; /* at the end of each text, in order */
    size_t n_texts;
    size_t n_calls;
    size_t n_largest;    /* texts of one call */
    size_t call_to_fail; /* from 1 on, with `failure`; 0 for none */
    int failure;
    bool *stop; /* set in the second call, if not NULL */
} recorder;

typedef struct fixture {
    linkd_table *table;
    recorder recorder;
    linkd_embedder embedder;
    lk_pool *pool;
    size_t columns[1];
    linkd_dedup_options options;
    linkd_dedup_result result;
    linkd_error err;
} fixture;

/* Texts are "row <number>": row n is near to n + 8 and to no other kind. */
static int recorder_embed(void *ctx, const linkd_str *texts, size_t n,
                          float *ret_vectors, linkd_encode_stats *stats,
                          linkd_error *err)
{
    recorder *r = ctx;

    r->n_calls++;
    if (r->n_calls == r->call_to_fail)
        return lk_fail(err, r->failure, "no vectors today");
    if (r->n_calls == 2 && r->stop != NULL)
        *r->stop = true;
    memset(ret_vectors, 0, n * DIM * sizeof(*ret_vectors));
    for (size_t i = 0; i < n; i++) {
        unsigned long number = strtoul(texts[i].bytes + 4, NULL, 10);

        r->numbers[r->n_texts++] = number;
        ret_vectors[i * DIM + number % DIM] = 1.0F;
    }
    r->n_largest = n > r->n_largest ? n : r->n_largest;
    stats->n_texts += n;
    stats->n_tokens += 2 * n;
    return LINKD_OK;
}

static bool recorder_knows(void *ctx, linkd_str text)
{
    (void)ctx;
    return text.bytes[0] != '?';
}

static linkd_table *table_write(void)
{
    linkd_table *table = NULL;
    linkd_error err = {0};
    lk_buf text = {0};

    assert_int_equal(lk_buf_printf(&text, NULL, "id,name\n"), LINKD_OK);
    for (size_t i = 0; i < N_ROWS; i++)
        if (i == ROW_EMPTY || i == ROW_UNKNOWN)
            assert_int_equal(lk_buf_printf(&text, NULL, "%zu,%s\n", i,
                                           i == ROW_EMPTY ? "" : "???"),
                             LINKD_OK);
        else
            assert_int_equal(lk_buf_printf(&text, NULL, "%zu,row %zu\n", i, i),
                             LINKD_OK);
    scratch_write_text("table.csv", text.data);
    lk_buf_clear(&text);
    assert_int_equal(linkd_table_read("table.csv", LINKD_FORMAT_CSV, "id", NULL,
                                      &table, &err),
                     LINKD_OK);
    return table;
}

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    f->table = table_write();
    assert_int_equal(lk_pool_new(2, &f->pool, &f->err), LINKD_OK);
    f->embedder = (linkd_embedder){.embed = recorder_embed,
                                   .knows = recorder_knows,
                                   .ctx = &f->recorder,
                                   .dim = DIM,
                                   .fingerprint = "fake"};
    f->columns[0] = 1;
    f->options = (linkd_dedup_options){.columns = f->columns,
                                       .n_columns = 1,
                                       .block = LINKD_COLUMN_NONE,
                                       .k = 2,
                                       .threshold = 0.9F,
                                       .cluster = LINKD_CLUSTER_COMPLETE};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;

    linkd_dedup_result_clear(&f->result);
    lk_pool_free(f->pool);
    linkd_table_free(f->table);
    free(f);
    return 0;
}

static int dedup_run(fixture *f, const linkd_progress *progress)
{
    return linkd_dedup(f->table, &f->embedder, f->pool, &f->options, progress,
                       &f->result, &f->err);
}

static void texts_come_once_and_in_the_order_of_rows(void **state)
{
    fixture *f = *state;
    size_t at = 0;

    assert_int_equal(dedup_run(f, NULL), LINKD_OK);
    assert_int_equal(f->recorder.n_texts, N_TEXTS);
    for (size_t row = 0; row < N_ROWS; row++)
        if (row != ROW_EMPTY && row != ROW_UNKNOWN)
            assert_int_equal(f->recorder.numbers[at++], row);
}

/* A caller that shares an encoder counts on it: nobody waits for long. */
static void a_call_has_few_texts_and_never_none(void **state)
{
    fixture *f = *state;

    assert_int_equal(dedup_run(f, NULL), LINKD_OK);
    assert_in_range(f->recorder.n_calls,
                    (N_TEXTS + CHUNK_MOST - 1) / CHUNK_MOST, N_TEXTS);
    assert_in_range(f->recorder.n_largest, 1, CHUNK_MOST);
}

/* A vector lands at its row: those that are alike differ by multiples of 8. */
static void vectors_belong_to_the_rows_of_their_texts(void **state)
{
    fixture *f = *state;

    assert_int_equal(dedup_run(f, NULL), LINKD_OK);
    assert_true(f->result.n_pairs > 0);
    for (size_t i = 0; i < f->result.n_pairs; i++)
        assert_int_equal(
            (f->result.pairs[i].right - f->result.pairs[i].left) % DIM, 0);
    assert_int_equal(f->result.n_empty, 2);
}

static void what_the_embedder_counts_is_in_the_result(void **state)
{
    fixture *f = *state;

    assert_int_equal(dedup_run(f, NULL), LINKD_OK);
    assert_int_equal(f->result.encode.n_texts, N_TEXTS);
    assert_int_equal(f->result.encode.n_tokens, 2 * N_TEXTS);
}

/* Its code and its words; a cancelled job is told by LINKD_E_CANCELLED. */
static void a_failure_ends_the_work_and_is_passed_on(void **state)
{
    static const int codes[] = {LINKD_E_IO, LINKD_E_CANCELLED, LINKD_E_NOMEM};
    fixture *f = *state;

    for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++) {
        f->recorder = (recorder){.call_to_fail = 2, .failure = codes[i]};
        assert_int_equal(dedup_run(f, NULL), codes[i]);
        assert_string_equal(f->err.message, "no vectors today");
        assert_int_equal(f->recorder.n_calls, 2);
        assert_null(f->result.entities);
    }
}

static void a_failure_ends_a_link_of_two_tables_too(void **state)
{
    fixture *f = *state;
    linkd_column_pair column = {.left = 1, .right = 1};
    linkd_link_options options = {.columns = &column,
                                  .n_columns = 1,
                                  .left_block = LINKD_COLUMN_NONE,
                                  .right_block = LINKD_COLUMN_NONE,
                                  .k = 2};
    linkd_link_result result = {0};

    f->recorder = (recorder){.call_to_fail = 1, .failure = LINKD_E_IO};
    assert_int_equal(linkd_link(f->table, f->table, &f->embedder, f->pool,
                                &options, NULL, &result, &f->err),
                     LINKD_E_IO);
    assert_string_equal(f->err.message, "no vectors today");
    assert_null(result.pairs);
}

static int progress_ask(void *ctx, const char *step, uint64_t done,
                        uint64_t total)
{
    const bool *stop = ctx;

    (void)step;
    assert_true(done <= total);
    return *stop;
}

/* Whoever wants to stop is heard as soon as the running call is back. */
static void no_call_follows_the_one_in_which_it_was_stopped(void **state)
{
    fixture *f = *state;
    bool stop = false;
    linkd_progress progress = {progress_ask, &stop};

    f->recorder.stop = &stop;
    assert_int_equal(dedup_run(f, &progress), LINKD_E_CANCELLED);
    assert_int_equal(f->recorder.n_calls, 2);
    assert_null(f->result.entities);
}

/* ---- the encoder as an embedder ------------------------------------------ */

static void an_encoder_becomes_an_embedder(void **state)
{
    static const linkd_str texts[2] = {{"ann", 3}, {"bo", 2}};
    fixture *f = *state;
    linkd_encoder encoder = {0};
    linkd_encoder_embedder storage = {&encoder, f->pool};
    linkd_embedder embedder = linkd_embedder_of_encoder(&storage);
    linkd_encode_stats stats = {.n_texts = 5};
    float vectors[2 * FAKE_DIM];

    assert_int_equal(embedder.dim, FAKE_DIM);
    assert_string_equal(embedder.fingerprint, FAKE_FINGERPRINT);
    assert_true(embedder.knows(embedder.ctx, texts[0]));
    assert_false(embedder.knows(embedder.ctx, (linkd_str){"??", 2}));
    assert_int_equal(
        embedder.embed(embedder.ctx, texts, 2, vectors, &stats, &f->err),
        LINKD_OK);
    assert_string_equal(encoder.texts, "ann\nbo\n");
    assert_ptr_equal(encoder.pool, f->pool);
    assert_int_equal(stats.n_texts, 7);
    free(encoder.texts);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(texts_come_once_and_in_the_order_of_rows),
        TEST(a_call_has_few_texts_and_never_none),
        TEST(vectors_belong_to_the_rows_of_their_texts),
        TEST(what_the_embedder_counts_is_in_the_result),
        TEST(a_failure_ends_the_work_and_is_passed_on),
        TEST(a_failure_ends_a_link_of_two_tables_too),
        TEST(no_call_follows_the_one_in_which_it_was_stopped),
        TEST(an_encoder_becomes_an_embedder),
    };

    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
