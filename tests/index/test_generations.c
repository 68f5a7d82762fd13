/* tests/index/test_generations.c — a collection while its model is being changed:
 * every record is alive in one generation, and going back finds all as it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "index/build.h"
#include "tests/index/oracle.h"
#include "tests/support/alloc_fail.h"

#define NEW_DIM ((size_t)3)

static linkd_str people(void)
{
    return str_of("people");
}

/* No fault, and so no record in zero or two generations. */
static void fault_fail(void *ctx, const char *message)
{
    (void)ctx;
    fail_msg("%s", message);
}

static void store_check(void)
{
    linkd_check_report report;

    assert_int_equal(
        linkd_store_check(store, NULL, fault_fail, NULL, &report, &err),
        LINKD_OK);
}

static int generation_add(uint32_t number, uint32_t previous)
{
    const linkd_generation generation = {.number = number,
                                         .previous = previous,
                                         .model = str_of("new"),
                                         .fingerprint = str_of("beef"),
                                         .dim = NEW_DIM};
    const linkd_blob blobs[] = {{1, 7, number, str_of("map there")},
                                {number, 7, 1, str_of("map back")},
                                {number, 8, 0, str_of("canaries")}};

    return linkd_store_add_generation(store, people(), &generation, blobs, 3,
                                      &err);
}

/* Its vector under the new model says who it is. */
static void new_vector(uint64_t number, float *ret_vector)
{
    ret_vector[0] = 1.0F;
    ret_vector[1] = (float)number;
    ret_vector[2] = -1.0F;
}

static uint64_t record_move(const char *id, uint32_t generation)
{
    linkd_view *view = view_open();
    lk_arena arena = {0};
    linkd_stored record;
    uint64_t n_moved = 0;
    float vector[NEW_DIM];
    linkd_move move = {.number = number_of(id), .vector = vector};

    assert_int_equal(linkd_view_read(view, move.number, &arena, &record, &err),
                     LINKD_OK);
    move.seq = record.seq;
    new_vector(move.number, vector);
    linkd_view_close(view);
    lk_arena_clear(&arena);
    if (linkd_store_move(store, people(), generation, &move, 1, &n_moved,
                         &err) != LINKD_OK)
        fail_msg("%s", err.message);
    return n_moved;
}

static uint32_t generation_of(const char *id)
{
    linkd_view *view = view_open();
    uint32_t generation = 0;

    assert_int_equal(linkd_view_locate(view, number_of(id), &generation, &err),
                     LINKD_OK);
    linkd_view_close(view);
    return generation;
}

static linkd_generation generation_info(uint32_t number)
{
    linkd_generation all[LINKD_GENERATIONS_MAX];
    linkd_view *view = view_open();
    size_t n = linkd_view_generations(view, all);

    linkd_view_close(view);
    for (size_t i = 0; i < n; i++)
        if (all[i].number == number)
            return all[i];
    return (linkd_generation){0};
}

/* The k best of one generation. */
static size_t search_in(uint32_t generation, const float *query, size_t k,
                        linkd_hit *ret_hits)
{
    linkd_search_options options = LINKD_SEARCH_OPTIONS_INIT;
    linkd_view *view = view_open();
    size_t n = 0;

    options.k = k;
    assert_int_equal(linkd_view_turn_to(view, generation, &err), LINKD_OK);
    assert_int_equal(
        linkd_view_search(view, query, 1, &options, ret_hits, NULL, &err),
        LINKD_OK);
    linkd_view_close(view);
    while (n < k && ret_hits[n].id != LINKD_ID_NONE)
        n++;
    return n;
}

static void id_of(size_t i, char ret_id[16])
{
    (void)snprintf(ret_id, 16, "r%zu", i);
}

/* Moves every third record. */
static uint64_t thirds_move(size_t n)
{
    uint64_t n_moved = 0;
    char id[16];

    for (size_t i = 0; i < n; i += 3) {
        id_of(i, id);
        n_moved += record_move(id, 2);
    }
    return n_moved;
}

static int enter(void **state)
{
    int rc = scratch_store_enter(state);

    oracle_reset(7);
    return rc;
}

/* ---- format ---------------------------------------------------------------- */

static void only_a_second_generation_changes_the_format(void **state)
{
    (void)state;
    oracle_fill(0, 10);
    assert_int_equal(meta_of("format"), 1);
    assert_int_equal(generation_add(2, 1), LINKD_OK);
    assert_int_equal(meta_of("format"), 2);
    scratch_store_reopen();
    assert_int_equal(info_of("people").generation, 2);
    store_check();
}

/* What format 1 wrote for a generation, byte for byte. */
static void a_generation_of_the_first_format_is_read(void **state)
{
    static const char body[] = "\1\0\0\0m\2\0\0\0fp"
                               "\4\0\0\0\0\0\0\0"
                               "\5\0\0\0\0\0\0\0"
                               "\3\0\0\0\0\0\0\0";
    lk_generation_row row;
    lk_buf again = {0};

    (void)state;
    assert_int_equal(lk_generation_row_decode(
                         (linkd_str){body, sizeof(body) - 1}, &row, &err),
                     LINKD_OK);
    assert_int_equal(row.dim, 4);
    assert_int_equal(row.n_vectors, 3);
    assert_int_equal(row.state, LK_GENERATION_OPEN);
    assert_int_equal(row.n_inactive, 0);
    assert_int_equal(lk_generation_row_encode(&row, &again, &err), LINKD_OK);
    assert_int_equal(again.len, sizeof(body) - 1);
    assert_memory_equal(again.data, body, again.len);
    lk_buf_clear(&again);
}

/* ---- adding ---------------------------------------------------------------- */

static void a_new_generation_serves_and_the_records_stay(void **state)
{
    linkd_collection_info info;
    linkd_view *view;
    linkd_str bytes;
    bool found = false;

    (void)state;
    oracle_fill(0, 100);
    assert_int_equal(generation_add(2, 1), LINKD_OK);
    info = info_of("people");
    assert_int_equal(info.generation, 2);
    assert_int_equal(info.options.dim, NEW_DIM);
    assert_memory_equal(info.options.model.bytes, "new", 3);
    assert_int_equal(info.n_vectors, 100);
    assert_int_equal(generation_of("r5"), 1);
    view = view_open();
    assert_int_equal(linkd_view_dim(view), NEW_DIM);
    assert_int_equal(linkd_view_blob(view, 2, 7, 1, &bytes, &found, &err),
                     LINKD_OK);
    assert_true(found);
    assert_memory_equal(bytes.bytes, "map back", 8);
    assert_int_equal(linkd_view_blob(view, 2, 9, 1, &bytes, &found, &err),
                     LINKD_OK);
    assert_false(found);
    linkd_view_close(view);
    store_check();
}

static void a_generation_that_is_not_the_next_is_refused(void **state)
{
    (void)state;
    oracle_fill(0, 10);
    assert_int_equal(generation_add(3, 1), LINKD_E_CONFLICT);
    assert_int_equal(generation_add(2, 2), LINKD_E_CONFLICT);
    assert_int_equal(info_of("people").generation, 1);
    assert_int_equal(meta_of("format"), 1);
    assert_int_equal(count_of(LK_TABLE_BLOBS), 0);
    for (uint32_t i = 2; i <= LINKD_GENERATIONS_MAX; i++)
        assert_int_equal(generation_add(i, i - 1), LINKD_OK);
    assert_int_equal(generation_add(9, 8), LINKD_E_CONFLICT);
    assert_string_equal(err.message,
                        "the collection has 8 generations already");
}

static void a_later_generation_changes_no_blob(void **state)
{
    const linkd_generation third = {.number = 3, .previous = 2, .dim = 5};
    const linkd_blob blob = {2, 8, 0, str_of("other canaries")};
    linkd_view *view;
    linkd_str bytes;
    bool found;

    (void)state;
    assert_int_equal(generation_add(2, 1), LINKD_OK);
    assert_int_equal(
        linkd_store_add_generation(store, people(), &third, &blob, 1, &err),
        LINKD_OK);
    view = view_open();
    assert_int_equal(linkd_view_blob(view, 2, 8, 0, &bytes, &found, &err),
                     LINKD_OK);
    assert_int_equal(bytes.len, 8);
    assert_memory_equal(bytes.bytes, "canaries", 8);
    linkd_view_close(view);
}

static void a_blob_is_put_in_place_of_another(void **state)
{
    const linkd_blob blob = {2, 8, 0, str_of("other")};
    linkd_view *view;
    linkd_str bytes;
    bool found;

    (void)state;
    assert_int_equal(generation_add(2, 1), LINKD_OK);
    assert_int_equal(linkd_store_put_blob(store, people(), &blob, &err),
                     LINKD_OK);
    view = view_open();
    assert_int_equal(linkd_view_blob(view, 2, 8, 0, &bytes, &found, &err),
                     LINKD_OK);
    assert_int_equal(bytes.len, 5);
    assert_memory_equal(bytes.bytes, "other", 5);
    linkd_view_close(view);
    store_check();
    assert_int_equal(
        linkd_store_put_blob(store, str_of("nowhere"), &blob, &err),
        LINKD_E_ABSENT);
}

/* ---- moving ---------------------------------------------------------------- */

static void a_moved_record_is_found_in_its_new_generation_only(void **state)
{
    linkd_hit hits[100];
    float vector[NEW_DIM];
    uint64_t moved = 0;

    (void)state;
    oracle_fill(0, 100);
    assert_int_equal(generation_add(2, 1), LINKD_OK);
    assert_int_equal(record_move("r7", 2), 1);
    moved = number_of("r7");
    assert_int_equal(search_in(1, oracle[7].vector, 100, hits), 99);
    for (size_t i = 0; i < 99; i++)
        assert_int_not_equal(hits[i].id, moved);
    new_vector(moved, vector);
    assert_int_equal(search_in(2, vector, 100, hits), 1);
    assert_int_equal(hits[0].id, moved);
    assert_int_equal(generation_of("r7"), 2);
    assert_int_equal(info_of("people").n_vectors, 100);
    assert_int_equal(generation_info(1).n_inactive, 1);
    assert_int_equal(record_move("r7", 2), 0);
    store_check();
}

static void a_record_that_was_written_since_is_not_moved(void **state)
{
    static const float vector[NEW_DIM] = {1.0F, 0.0F, 0.0F};
    linkd_move move = {.vector = vector};
    uint64_t n_moved = 9;

    (void)state;
    oracle_fill(0, 10);
    move.number = number_of("r3");
    move.seq = record_of("r3").seq;
    assert_int_equal(generation_add(2, 1), LINKD_OK);
    (void)put_one("r3", NULL);
    assert_int_equal(
        linkd_store_move(store, people(), 2, &move, 1, &n_moved, &err),
        LINKD_OK);
    assert_int_equal(n_moved, 0);
    assert_int_equal(generation_of("r3"), 0);
    move.seq = record_of("r3").seq;
    assert_int_equal(
        linkd_store_move(store, people(), 2, &move, 1, &n_moved, &err),
        LINKD_OK);
    assert_int_equal(n_moved, 0); /* it has no vector to move */
    assert_int_equal(
        linkd_store_move(store, people(), 1, &move, 1, &n_moved, &err),
        LINKD_E_CONFLICT);
    store_check();
}

static void a_move_that_is_not_finite_changes_nothing(void **state)
{
    static const float vector[NEW_DIM] = {1.0F, (float)1e39, 0.0F};
    linkd_move move = {.vector = vector};
    uint64_t n_moved = 9;

    (void)state;
    oracle_fill(0, 10);
    assert_int_equal(generation_add(2, 1), LINKD_OK);
    move.number = number_of("r3");
    move.seq = record_of("r3").seq;
    assert_int_equal(
        linkd_store_move(store, people(), 2, &move, 1, &n_moved, &err),
        LINKD_E_ARG);
    assert_string_equal(err.message, "number 1 of a vector is not finite");
    assert_int_equal(generation_of("r3"), 1);
}

/* ---- writing meanwhile ------------------------------------------------------ */

static linkd_put put_of(const char *id, const float *vector, size_t dim,
                        uint32_t generation)
{
    return (linkd_put){.id = str_of(id),
                       .dim = dim,
                       .vector = vector,
                       .generation = generation};
}

static void a_written_record_is_of_the_generation_that_serves(void **state)
{
    static const float vector[NEW_DIM] = {0.0F, 1.0F, 0.0F};
    const linkd_put put = put_of("r3", vector, NEW_DIM, 2);
    linkd_write_result result;

    (void)state;
    oracle_fill(0, 10);
    assert_int_equal(generation_add(2, 1), LINKD_OK);
    assert_int_equal(
        linkd_store_put(store, people(), &put, 1, NULL, &result, &err),
        LINKD_OK);
    assert_int_equal(generation_of("r3"), 2);
    assert_int_equal(generation_info(1).n_vectors, 9);
    assert_int_equal(generation_info(1).n_inactive, 0);
    store_check();
}

/* The old model's vector may have as many numbers as the new one's. */
static void a_vector_of_the_model_before_is_refused(void **state)
{
    static const float vector[NEW_DIM] = {0.0F, 1.0F, 0.0F};
    const linkd_put put = put_of("r3", vector, NEW_DIM, 1);
    linkd_write_result result;

    (void)state;
    oracle_fill(0, 10);
    assert_int_equal(generation_add(2, 1), LINKD_OK);
    assert_int_equal(
        linkd_store_put(store, people(), &put, 1, NULL, &result, &err),
        LINKD_E_BUSY);
    assert_int_equal(generation_of("r3"), 1);
}

static void a_deleted_record_is_in_no_generation(void **state)
{
    (void)state;
    oracle_fill(0, 10);
    assert_int_equal(generation_add(2, 1), LINKD_OK);
    assert_int_equal(record_move("r3", 2), 1);
    (void)delete_one("r3");
    (void)delete_one("r4");
    store_check();
    assert_int_equal(generation_info(1).n_vectors, 8);
    assert_int_equal(generation_info(1).n_inactive, 0);
    assert_int_equal(generation_info(2).n_vectors, 0);
}

/* ---- going back ------------------------------------------------------------- */

#define N    ((size_t)1500)
#define BEST ((size_t)20)

/* Bit for bit, with segments that were built before and after the moves. */
static void going_back_finds_all_as_it_was(void **state)
{
    linkd_hit before[BEST];
    linkd_hit after[BEST];
    uint64_t n_moved = 0;
    uint64_t n_back = 0;
    float query[DIM];

    (void)state;
    oracle_fill(0, N);
    oracle_build_segments(640);
    random_vector(query);
    assert_int_equal(search_in(1, query, BEST, before), BEST);
    assert_int_equal(generation_add(2, 1), LINKD_OK);
    n_moved = thirds_move(N);
    assert_int_equal(n_moved, N / 3);
    store_check();
    assert_int_equal(
        linkd_store_serve_generation(store, people(), 1, &n_back, &err),
        LINKD_OK);
    assert_int_equal(n_back, n_moved);
    assert_int_equal(info_of("people").generation, 1);
    assert_int_equal(info_of("people").options.dim, DIM);
    assert_int_equal(search_in(1, query, BEST, after), BEST);
    assert_memory_equal(before, after, sizeof(before));
    assert_int_equal(generation_info(2).n_vectors, 0);
    assert_int_equal(generation_info(2).n_inactive, n_moved);
    store_check();
}

/* Those that came later stay where they are; forward again is the same step. */
static void there_and_back_and_there_again(void **state)
{
    static const float vector[NEW_DIM] = {0.0F, 1.0F, 0.0F};
    const linkd_put put = put_of("later", vector, NEW_DIM, 2);
    linkd_write_result result;
    uint64_t n = 0;

    (void)state;
    oracle_fill(0, 60);
    assert_int_equal(generation_add(2, 1), LINKD_OK);
    (void)thirds_move(60);
    assert_int_equal(
        linkd_store_put(store, people(), &put, 1, NULL, &result, &err),
        LINKD_OK);
    assert_int_equal(linkd_store_serve_generation(store, people(), 1, &n, &err),
                     LINKD_OK);
    assert_int_equal(generation_of("later"), 2);
    assert_int_equal(generation_of("r0"), 1);
    assert_int_equal(linkd_store_serve_generation(store, people(), 2, &n, &err),
                     LINKD_OK);
    assert_int_equal(n, 20);
    assert_int_equal(generation_of("r0"), 2);
    assert_int_equal(generation_of("r1"), 1);
    store_check();
    assert_int_equal(linkd_store_serve_generation(store, people(), 2, &n, &err),
                     LINKD_E_CONFLICT);
    assert_int_equal(linkd_store_serve_generation(store, people(), 5, &n, &err),
                     LINKD_E_ABSENT);
}

/* A segment of all full chunks of generation 1. */
static void segment_build(void)
{
    atomic_bool stop = false;
    lk_build build = {.store = store,
                      .collection = info_of("people").number,
                      .generation = 1,
                      .end = N / LK_ROWS_PER_CHUNK * LK_ROWS_PER_CHUNK,
                      .n_alive = N,
                      .dim = DIM,
                      .kind = LINKD_INDEX_HNSW,
                      .stop = &stop};
    lk_segment *segment = NULL;
    char factory[LK_FACTORY_BYTES];

    lk_ann_set_threads(1);
    assert_int_equal(lk_build_run(&build, &segment, factory, &err), LINKD_OK);
    assert_int_equal(segment->n, build.end);
    assert_int_equal(lk_sets_replace(store->sets, build.collection, 1, segment,
                                     NULL, 0, &err),
                     LINKD_OK);
}

/* A build, or a vacuum, must not lose what may be needed again. */
static void segments_keep_what_is_inactive(void **state)
{
    uint64_t n = 0;
    linkd_hit hit[1];

    (void)state;
    oracle_fill(0, N);
    assert_int_equal(generation_add(2, 1), LINKD_OK);
    (void)thirds_move(N);
    segment_build();
    assert_int_equal(linkd_store_serve_generation(store, people(), 1, &n, &err),
                     LINKD_OK);
    for (size_t i = 0; i < N; i += 30) {
        assert_int_equal(search_in(1, oracle[i].vector, 1, hit), 1);
        assert_int_equal(hit[0].id, oracle[i].number);
    }
}

/* A filter of few records looks up their slots one by one. */
static void a_filter_does_not_bring_back_what_is_inactive(void **state)
{
    linkd_search_options options = LINKD_SEARCH_OPTIONS_INIT;
    linkd_hit hits[N];
    linkd_view *view;
    linkd_selection *selection;
    size_t n = 0;

    (void)state;
    oracle_fill(0, N);
    assert_int_equal(generation_add(2, 1), LINKD_OK);
    (void)thirds_move(N);
    view = view_open();
    selection = select_groups(view, 2.0);
    assert_int_equal(linkd_view_turn_to(view, 1, &err), LINKD_OK);
    options.k = N;
    options.selection = selection;
    assert_int_equal(linkd_view_search(view, oracle[0].vector, 1, &options,
                                       hits, NULL, &err),
                     LINKD_OK);
    for (; n < N && hits[n].id != LINKD_ID_NONE; n++)
        assert_int_not_equal(hits[n].id % 3, oracle[0].number % 3);
    assert_true(n > 0);
    linkd_selection_free(selection);
    linkd_view_close(view);
}

/* ---- freeing ----------------------------------------------------------------- */

static void freeing_ends_the_way_back(void **state)
{
    linkd_freed freed = {0};
    linkd_hit hits[BEST];
    uint64_t n = 0;

    (void)state;
    oracle_fill(0, 60);
    assert_int_equal(generation_add(2, 1), LINKD_OK);
    (void)thirds_move(60);
    assert_int_equal(
        linkd_store_free_inactive(store, people(), NULL, &freed, &err),
        LINKD_OK);
    assert_int_equal(freed.n_vectors, 20);
    assert_int_equal(freed.n_generations, 0);
    assert_int_equal(generation_info(1).state, LINKD_GENERATION_CLOSED);
    assert_int_equal(linkd_store_serve_generation(store, people(), 1, &n, &err),
                     LINKD_E_CONFLICT);
    assert_int_equal(search_in(1, oracle[1].vector, BEST, hits), BEST);
    assert_int_equal(hits[0].id, oracle[1].number);
    store_check();
}

static void a_generation_without_records_goes(void **state)
{
    linkd_freed freed = {0};
    linkd_view *view;
    linkd_str bytes;
    bool found = true;
    char id[16];

    (void)state;
    oracle_fill(0, N);
    assert_int_equal(generation_add(2, 1), LINKD_OK);
    for (size_t i = 0; i < N; i++) {
        id_of(i, id);
        assert_int_equal(record_move(id, 2), 1);
    }
    assert_int_equal(
        linkd_store_free_inactive(store, people(), NULL, &freed, &err),
        LINKD_OK);
    assert_int_equal(freed.n_vectors, N);
    assert_int_equal(freed.n_generations, 1);
    assert_int_equal(generation_info(1).number, 0);
    assert_int_equal(count_of(LK_TABLE_GENERATIONS), 1);
    assert_int_equal(count_of(LK_TABLE_SLOTS), N);
    assert_int_equal(count_of(LK_TABLE_DEAD), 0);
    view = view_open();
    assert_int_equal(linkd_view_blob(view, 2, 7, 1, &bytes, &found, &err),
                     LINKD_OK);
    assert_false(found);
    assert_int_equal(linkd_view_blob(view, 2, 8, 0, &bytes, &found, &err),
                     LINKD_OK);
    assert_true(found);
    linkd_view_close(view);
    store_check();
    scratch_store_reopen();
    store_check();
}

/* ---- failing ------------------------------------------------------------------ */

/* Every step leaves the store as it was, or done. */
static void memory_may_run_out_at_any_time(void **state)
{
    linkd_freed freed = {0};
    uint64_t n_moved = 0;
    int rc;

    (void)state;
    oracle_fill(0, 60);
    assert_int_equal(generation_add(2, 1), LINKD_OK);
    (void)thirds_move(60);
    for (size_t n = 1;; n++) {
        alloc_fail_at(n);
        rc = linkd_store_serve_generation(store, people(), 1, &n_moved, &err);
        if (!alloc_fail_off())
            break;
        store_check();
        if (rc == LINKD_OK) /* it hit the builder */
            assert_int_equal(linkd_store_serve_generation(store, people(), 2,
                                                          &n_moved, &err),
                             LINKD_OK);
    }
    assert_int_equal(rc, LINKD_OK);
    for (size_t n = 1;; n++) {
        alloc_fail_at(n);
        rc = linkd_store_free_inactive(store, people(), NULL, &freed, &err);
        if (!alloc_fail_off())
            break;
        store_check();
    }
    assert_int_equal(rc, LINKD_OK);
    store_check();
    assert_int_equal(generation_of("r0"), 1);
}

/* ---- the checker --------------------------------------------------------------- */

static void fault_take(void *ctx, const char *message)
{
    (void)snprintf(ctx, 248, "%s", message);
}

/* Past all code that would not do so: a record alive in two generations. */
static void a_record_in_two_generations_is_a_fault(void **state)
{
    char message[248] = "";
    linkd_check_report report = {0};
    lk_txn *txn = NULL;
    bool found;
    lk_key key;

    (void)state;
    oracle_fill(0, 10);
    assert_int_equal(generation_add(2, 1), LINKD_OK);
    assert_int_equal(record_move("r3", 2), 1);
    lk_key_slot(&key, info_of("people").number, 1, 3);
    assert_int_equal(lk_txn_begin_write(store->env, &txn, &err), LINKD_OK);
    assert_int_equal(
        lk_txn_remove(txn, LK_TABLE_DEAD, lk_key_str(&key), &found, &err),
        LINKD_OK);
    assert_true(found);
    assert_int_equal(lk_txn_commit(txn, &err), LINKD_OK);
    assert_int_equal(
        linkd_store_check(store, NULL, fault_take, message, &report, &err),
        LINKD_OK);
    assert_non_null(strstr(message, "its vector is alive in 2 generations"));
    assert_true(report.n_faults >= 2);
}

#define TEST(name)                                                             \
 cmocka_unit_test_setup_teardown(name, enter, scratch_store_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(only_a_second_generation_changes_the_format),
        TEST(a_generation_of_the_first_format_is_read),
        TEST(a_new_generation_serves_and_the_records_stay),
        TEST(a_generation_that_is_not_the_next_is_refused),
        TEST(a_later_generation_changes_no_blob),
        TEST(a_blob_is_put_in_place_of_another),
        TEST(a_moved_record_is_found_in_its_new_generation_only),
        TEST(a_record_that_was_written_since_is_not_moved),
        TEST(a_move_that_is_not_finite_changes_nothing),
        TEST(a_written_record_is_of_the_generation_that_serves),
        TEST(a_vector_of_the_model_before_is_refused),
        TEST(a_deleted_record_is_in_no_generation),
        TEST(going_back_finds_all_as_it_was),
        TEST(there_and_back_and_there_again),
        TEST(segments_keep_what_is_inactive),
        TEST(a_filter_does_not_bring_back_what_is_inactive),
        TEST(freeing_ends_the_way_back),
        TEST(a_generation_without_records_goes),
        TEST(memory_may_run_out_at_any_time),
        TEST(a_record_in_two_generations_is_a_fault),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
