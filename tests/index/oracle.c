/* The plain copy of oracle.h. */
#include "tests/index/oracle.h"

#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "index/build.h"

#define N_GROUPS       1000
#define NAME_MAX_BYTES 32

oracle_record oracle[ORACLE_IDS];
static uint64_t random_state;

uint64_t random_below(uint64_t n)
{
    random_state = random_state * 6364136223846793005U + 1442695040888963407U;
    return (random_state >> 33) % n;
}

void random_vector(float *ret_vector)
{
    double sum = 0.0;

    for (size_t i = 0; i < DIM; i++) {
        ret_vector[i] = (float)random_below(2001) / 1000.0F - 1.0F;
        sum += (double)ret_vector[i] * (double)ret_vector[i];
    }
    for (size_t i = 0; i < DIM; i++)
        ret_vector[i] =
            sum > 0.0 ? ret_vector[i] / (float)sqrt(sum) : (float)(i == 0);
}

void oracle_reset(uint64_t seed)
{
    random_state = seed;
    memset(oracle, 0, sizeof(oracle));
}

static linkd_str name_write(size_t i, char *name)
{
    int len = snprintf(name, NAME_MAX_BYTES, "r%zu", i);

    return (linkd_str){name, (size_t)len};
}

/* Puts what the oracle says of records [begin, end). */
static void records_put(size_t begin, size_t end)
{
    size_t n = end - begin;
    linkd_put *puts = calloc(n, sizeof(*puts));
    linkd_field *fields = calloc(n, sizeof(*fields));
    char(*names)[NAME_MAX_BYTES] = calloc(n, sizeof(*names));
    char(*groups)[NAME_MAX_BYTES] = calloc(n, sizeof(*groups));
    linkd_write_result result;

    assert_true(puts != NULL && fields != NULL && names != NULL &&
                groups != NULL);
    for (size_t i = 0; i < n; i++) {
        const oracle_record *record = &oracle[begin + i];
        int len =
            snprintf(groups[i], NAME_MAX_BYTES, "%" PRIu64, record->group);

        fields[i] = (linkd_field){.name = str_of("group"),
                                  .value = {groups[i], (size_t)len},
                                  .kind = LINKD_FIELD_LITERAL};
        puts[i] =
            (linkd_put){.id = name_write(begin + i, names[i]),
                        .fields = &fields[i],
                        .n_fields = 1,
                        .dim = DIM,
                        .vector = record->has_vector ? record->vector : NULL};
    }
    assert_int_equal(
        linkd_store_put(store, str_of("people"), puts, n, NULL, &result, &err),
        LINKD_OK);
    for (size_t i = 0; i < n; i++)
        oracle[begin + i].number = number_of(names[i]);
    free(groups);
    free(names);
    free(fields);
    free(puts);
}

static void record_renew(size_t i, bool has_vector)
{
    oracle[i].exists = true;
    oracle[i].has_vector = has_vector;
    oracle[i].group = random_below(N_GROUPS);
    random_vector(oracle[i].vector);
}

void oracle_fill(size_t begin, size_t end)
{
    for (size_t i = begin; i < end; i++)
        record_renew(i, true);
    records_put(begin, end);
}

void oracle_change(void)
{
    size_t i = (size_t)random_below(ORACLE_IDS);
    uint64_t choice = random_below(100);
    char name[NAME_MAX_BYTES];

    if (choice < 30) {
        (void)name_write(i, name);
        assert_int_equal(delete_one(name).n_deleted, oracle[i].exists ? 1 : 0);
        oracle[i].exists = false;
        return;
    }
    record_renew(i, choice >= 35);
    records_put(i, i + 1);
}

static void segment_build(uint64_t begin, uint64_t end)
{
    linkd_collection_info info = info_of("people");
    atomic_bool stop = false;
    lk_build build = {.store = store,
                      .collection = info.number,
                      .generation = info.generation,
                      .begin = begin,
                      .end = end,
                      .n_alive = end - begin,
                      .dim = DIM,
                      .kind = LINKD_INDEX_HNSW,
                      .stop = &stop};
    lk_segment *segment = NULL;
    char factory[LK_FACTORY_BYTES];

    lk_ann_set_threads(1);
    assert_int_equal(lk_build_run(&build, &segment, factory, &err), LINKD_OK);
    assert_int_equal(lk_sets_replace(store->sets, info.number, info.generation,
                                     segment, NULL, 0, &err),
                     LINKD_OK);
}

void oracle_build_segments(uint64_t cut)
{
    uint64_t end =
        info_of("people").n_slots / LK_ROWS_PER_CHUNK * LK_ROWS_PER_CHUNK;
    linkd_collection_info info;

    segment_build(0, cut);
    segment_build(cut, end);
    info = info_of("people"); /* the store's vacuum may have added slots */
    assert_int_equal(info.n_segments, 2);
    assert_int_equal(info.n_unindexed, info.n_slots - end);
}

void oracle_list_segment(lk_buf *ret_path)
{
    linkd_collection_info info = info_of("people");
    atomic_bool stop = false;
    lk_build build = {.store = store,
                      .collection = info.number,
                      .generation = info.generation,
                      .end = 2 * LK_ROWS_PER_CHUNK,
                      .n_alive = 2 * LK_ROWS_PER_CHUNK,
                      .dim = DIM,
                      .kind = LINKD_INDEX_HNSW,
                      .stop = &stop};
    lk_segments_change change = {.collection = info.number,
                                 .generation = info.generation};
    char factory[LK_FACTORY_BYTES];
    lk_segment *segment = NULL;
    lk_segment_row row = {0};
    lk_txn *txn = NULL;
    uint64_t seq = 0;

    lk_ann_set_threads(1);
    assert_int_equal(lk_build_run(&build, &segment, factory, &err), LINKD_OK);
    assert_int_equal(lk_segment_path("data", info.number, info.generation, 0,
                                     ret_path, &err),
                     LINKD_OK);
    assert_int_equal(lk_segment_write(segment, ret_path->data, DIM, &row, &err),
                     LINKD_OK);
    row.factory = str_of(factory);
    change.added = &row;
    assert_int_equal(lk_txn_begin_write(store->env, &txn, &err), LINKD_OK);
    assert_int_equal(lk_segments_apply(&change, txn, &seq, &err), LINKD_OK);
    assert_int_equal(lk_txn_commit(txn, &err), LINKD_OK);
    lk_segment_unref(segment);
}

static int hit_compare(const void *a, const void *b)
{
    const linkd_hit *x = a;
    const linkd_hit *y = b;

    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

size_t oracle_search(const float *query, size_t k, uint64_t n_groups,
                     linkd_hit *ret_hits)
{
    static linkd_hit hits[ORACLE_IDS];
    size_t n = 0;

    for (size_t i = 0; i < ORACLE_IDS; i++) {
        const oracle_record *record = &oracle[i];

        if (!record->exists || !record->has_vector || record->group >= n_groups)
            continue;
        hits[n].id = record->number;
        hits[n++].score = linkd_index_score(query, record->vector, DIM);
    }
    qsort(hits, n, sizeof(*hits), hit_compare);
    for (size_t i = 0; i < k; i++)
        ret_hits[i] = i < n ? hits[i] : (linkd_hit){.id = LINKD_ID_NONE};
    return n < k ? n : k;
}

linkd_view *view_open(void)
{
    linkd_view *view = NULL;

    assert_int_equal(linkd_view_open(store, str_of("people"), &view, &err),
                     LINKD_OK);
    return view;
}

linkd_selection *select_groups(linkd_view *view, double n_groups)
{
    linkd_value upper = {.kind = LINKD_VALUE_NUMBER, .number = n_groups};
    linkd_filter filter = {.op = LINKD_FILTER_RANGE,
                           .field = str_of("group"),
                           .upper = &upper,
                           .upper_excluded = true};
    linkd_selection *selection = NULL;

    assert_int_equal(
        linkd_view_select(view, &filter, NULL, NULL, &selection, &err),
        LINKD_OK);
    return selection;
}
