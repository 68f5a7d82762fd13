/* tests/index/test_writer.c — what was acknowledged is on disk, what failed
 * failed alone, and one commit serves many.
 *
 * The program runs itself again as the process that is killed. fdatasync below
 * is found before the system's, by LMDB too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/index/scratch_store.h"

#define N_THREADS ((size_t)8)

static atomic_bool sync_fails;

__attribute__((visibility("default"))) int fdatasync(int fd)
{
    if (atomic_load(&sync_fails)) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

static linkd_store_stats stats_of_store(void)
{
    linkd_store_stats stats;

    linkd_store_read_stats(store, &stats);
    return stats;
}

/* ---- groups ------------------------------------------------------------------ */

/* A change that puts `number` into META and fails if it is told to. */
typedef struct tiny_change {
    pthread_t thread;
    char name[16];
    uint64_t number;
    int fails_with;
    size_t n_runs;
    int rc;
    uint64_t seq;
    linkd_error err;
} tiny_change;

static int tiny_apply(void *ctx, lk_txn *txn, uint64_t *seq,
                      linkd_error *ret_err)
{
    tiny_change *change = ctx;

    change->n_runs++;
    (*seq)++;
    if (change->fails_with != LINKD_OK)
        return lk_fail(ret_err, change->fails_with, "told to");
    return lk_meta_put(txn, change->name, change->number, ret_err);
}

static void *tiny_main(void *arg)
{
    tiny_change *change = arg;

    change->rc = lk_writer_run(store->writer, tiny_apply, change, 1,
                               &change->seq, &change->err);
    return NULL;
}

/* Holds the writer until all the others wait in its queue. */
static atomic_bool gate_is_closed;

static int gate_apply(void *ctx, lk_txn *txn, uint64_t *seq,
                      linkd_error *ret_err)
{
    (void)ctx;
    (void)txn;
    (void)seq;
    (void)ret_err;
    atomic_store(&gate_is_closed, true);
    while (stats_of_store().n_queued < N_THREADS)
        (void)sched_yield();
    return LINKD_OK;
}

static void *gate_main(void *arg)
{
    (void)arg;
    assert_int_equal(
        lk_writer_run(store->writer, gate_apply, NULL, 1, NULL, NULL),
        LINKD_OK);
    return NULL;
}

/* Runs all changes as one group; the one at `failing` is told to fail. */
static void group_run(tiny_change *changes, size_t failing)
{
    pthread_t gate;

    atomic_store(&gate_is_closed, false);
    assert_int_equal(pthread_create(&gate, NULL, gate_main, NULL), 0);
    while (!atomic_load(&gate_is_closed))
        (void)sched_yield();
    for (size_t i = 0; i < N_THREADS; i++) {
        changes[i] = (tiny_change){.number = i + 100};
        (void)snprintf(changes[i].name, sizeof(changes[i].name), "tiny-%zu", i);
        if (i == failing)
            changes[i].fails_with = LINKD_E_CONFLICT;
        assert_int_equal(
            pthread_create(&changes[i].thread, NULL, tiny_main, &changes[i]),
            0);
    }
    for (size_t i = 0; i < N_THREADS; i++)
        assert_int_equal(pthread_join(changes[i].thread, NULL), 0);
    assert_int_equal(pthread_join(gate, NULL), 0);
}

static void changes_that_wait_together_share_one_commit(void **state)
{
    tiny_change changes[N_THREADS];
    linkd_store_stats before = stats_of_store();
    linkd_store_stats after;

    (void)state;
    group_run(changes, N_THREADS);
    after = stats_of_store();
    assert_int_equal(after.n_commits - before.n_commits, 2); /* the gate's */
    assert_int_equal(after.n_writes - before.n_writes, N_THREADS + 1);
    assert_int_equal(after.seq - before.seq, N_THREADS);
    for (size_t i = 0; i < N_THREADS; i++) {
        assert_int_equal(changes[i].rc, LINKD_OK);
        assert_int_equal(meta_of(changes[i].name), i + 100);
    }
}

static void a_change_that_fails_fails_alone(void **state)
{
    tiny_change changes[N_THREADS];
    linkd_store_stats before = stats_of_store();

    (void)state;
    group_run(changes, 3);
    for (size_t i = 0; i < N_THREADS; i++) {
        bool fails = i == 3;

        assert_int_equal(changes[i].rc, fails ? LINKD_E_CONFLICT : LINKD_OK);
        assert_int_equal(meta_of(changes[i].name),
                         fails ? LINKD_ID_NONE : i + 100);
    }
    assert_string_equal(changes[3].err.message, "told to");
    /* what it had added to the seq was rolled back with it */
    assert_int_equal(stats_of_store().seq - before.seq, N_THREADS - 1);
    assert_int_equal(meta_of("seq"), stats_of_store().seq);
    /* the other seven share three commits, of 4, 2 and 1; one is the gate's */
    assert_int_equal(stats_of_store().n_commits - before.n_commits, 3 + 1);
}

typedef struct putter {
    pthread_t thread;
    size_t number;
} putter;

static void *putter_main(void *arg)
{
    const putter *self = arg;

    for (size_t i = 0; i < 50; i++) {
        char id[32];
        linkd_put record = {.new_entity = true};
        linkd_write_result result;
        linkd_error own;

        (void)snprintf(id, sizeof(id), "t%zu-%zu", self->number, i);
        record.id = str_of(id);
        assert_int_equal(linkd_store_put(store, str_of("people"), &record, 1,
                                         NULL, &result, &own),
                         LINKD_OK);
    }
    return NULL;
}

static void records_of_many_threads_are_all_there(void **state)
{
    putter putters[N_THREADS];

    (void)state;
    for (size_t i = 0; i < N_THREADS; i++) {
        putters[i].number = i;
        assert_int_equal(
            pthread_create(&putters[i].thread, NULL, putter_main, &putters[i]),
            0);
    }
    for (size_t i = 0; i < N_THREADS; i++)
        assert_int_equal(pthread_join(putters[i].thread, NULL), 0);
    scratch_store_reopen();
    assert_int_equal(info_of("people").n_records, N_THREADS * 50);
    assert_int_equal(info_of("people").n_entities, N_THREADS * 50);
    assert_int_equal(count_of(LK_TABLE_LOG), N_THREADS * 50);
}

/* ---- disks that fail and fill ------------------------------------------------- */

static int put_big(size_t i, linkd_write_result *ret_result)
{
    static const char text[40000];
    linkd_field field = {
        str_of("text"), {text, sizeof(text)}, LINKD_FIELD_TEXT};
    char id[16];
    linkd_put record = {.fields = &field, .n_fields = 1};

    (void)snprintf(id, sizeof(id), "big%zu", i);
    record.id = str_of(id);
    return linkd_store_put(store, str_of("people"), &record, 1, NULL,
                           ret_result, &err);
}

/* What an fdatasync that failed had to write may be lost, and the next one
 * would not say so. */
static void an_io_error_at_a_commit_stops_all_writes(void **state)
{
    linkd_write_result result;

    (void)state;
    put_one("a", NULL);
    atomic_store(&sync_fails, true);
    assert_int_equal(put_big(0, &result), LINKD_E_IO);
    atomic_store(&sync_fails, false);
    assert_true(stats_of_store().fenced);
    assert_int_equal(put_big(1, &result), LINKD_E_BUSY);
    assert_string_equal(err.message,
                        "writes are stopped after an I/O error: restart");
    assert_int_not_equal(number_of("a"), LINKD_ID_NONE); /* reads go on */
    scratch_store_reopen();
    assert_int_equal(put_big(1, &result), LINKD_OK);
}

static void a_full_map_refuses_a_write_and_loses_nothing(void **state)
{
    linkd_write_result result;
    size_t n = 0;
    int rc;

    (void)state;
    scratch_store_close();
    scratch_store_open((uint64_t)4 << 20);
    while ((rc = put_big(n, &result)) == LINKD_OK)
        n++;
    assert_int_equal(rc, LINKD_E_FULL);
    assert_in_range(n, 20, 100);
    assert_false(stats_of_store().fenced);
    assert_int_equal(info_of("people").n_records, n);
    assert_int_equal(meta_of("seq"), stats_of_store().seq);
    delete_one("big0"); /* LMDB reuses pages two commits after their end */
    delete_one("big1");
    put_one("small", NULL);
    assert_int_equal(put_big(n, &result), LINKD_OK);
    scratch_store_reopen();
    assert_int_equal(info_of("people").n_records, n);
}

/* ---- the log ------------------------------------------------------------------- */

static int seq_raise(void *ctx, lk_txn *txn, uint64_t *seq,
                     linkd_error *ret_err)
{
    (void)txn;
    (void)ret_err;
    *seq += *(const uint64_t *)ctx;
    return LINKD_OK;
}

static void the_log_keeps_the_last_million_changes(void **state)
{
    uint64_t jump = LK_LOG_MAX_CHANGES - 2;

    (void)state;
    put_one("a", NULL);
    put_one("b", NULL);
    put_one("c", NULL);
    assert_int_equal(count_of(LK_TABLE_LOG), 3);
    /* The collection's own change, and the first record's, are too old now. */
    assert_int_equal(
        lk_writer_run(store->writer, seq_raise, &jump, 1, NULL, &err),
        LINKD_OK);
    assert_int_equal(count_of(LK_TABLE_LOG), 2);
    put_one("d", NULL);
    assert_int_equal(count_of(LK_TABLE_LOG), 2);
}

/* ---- kill -9 -------------------------------------------------------------------- */

/* One acknowledged record, as the child reports it. */
typedef struct acknowledged {
    uint32_t thread;
    uint32_t i;
} acknowledged;

static void id_make(acknowledged ack, char *id, size_t size)
{
    (void)snprintf(id, size, "k%u-%u", ack.thread, ack.i);
}

/* Puts records and reports each on standard output, until it is killed. */
static void *victim_main(void *arg)
{
    acknowledged ack = *(const acknowledged *)arg;
    const linkd_field field = {str_of("city"), str_of("Bern"),
                               LINKD_FIELD_TEXT};

    for (;; ack.i++) {
        const float vector[DIM] = {(float)ack.thread, (float)ack.i};
        linkd_put record = {
            .fields = &field, .n_fields = 1, .dim = DIM, .vector = vector};
        linkd_write_result result;
        linkd_error own;
        char id[32];

        id_make(ack, id, sizeof(id));
        record.id = str_of(id);
        if (linkd_store_put(store, str_of("people"), &record, 1, NULL, &result,
                            &own) != LINKD_OK ||
            write(STDOUT_FILENO, &ack, sizeof(ack)) != (ssize_t)sizeof(ack))
            _exit(1);
    }
    return NULL;
}

static int victim_run(uint32_t round)
{
    pthread_t threads[4];
    acknowledged first[4];

    if (linkd_store_open("data", NULL, &store, &err) != LINKD_OK)
        return 1;
    for (uint32_t i = 0; i < 4; i++) {
        first[i] = (acknowledged){round * 4 + i, 0};
        if (pthread_create(&threads[i], NULL, victim_main, &first[i]) != 0)
            return 1;
    }
    (void)pthread_join(threads[0], NULL);
    return 1;
}

/* Starts a victim, kills it after some reports, and returns those. */
static size_t victim_kill(uint32_t round, acknowledged *ret_acks, size_t n_max)
{
    size_t n = 0;
    int ends[2];
    int status;
    pid_t pid;

    assert_int_equal(pipe(ends), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        char text[16];

        (void)snprintf(text, sizeof(text), "%u", round);
        if (dup2(ends[1], STDOUT_FILENO) >= 0)
            (void)execl("/proc/self/exe", "victim", text, (char *)NULL);
        _exit(1);
    }
    (void)close(ends[1]);
    while (n < n_max && read(ends[0], &ret_acks[n], sizeof(*ret_acks)) ==
                            (ssize_t)sizeof(*ret_acks)) {
        n++;
        if (n == 20 + (size_t)round * 13)
            assert_int_equal(kill(pid, SIGKILL), 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    (void)close(ends[0]);
    return n;
}

static void a_killed_process_loses_nothing_it_acknowledged(void **state)
{
    static acknowledged acks[100000];

    (void)state;
    for (uint32_t round = 0; round < 5; round++) {
        size_t n;

        scratch_store_close();
        n = victim_kill(round, acks, sizeof(acks) / sizeof(*acks));
        scratch_store_open(0);
        assert_true(n >= 20 + (size_t)round * 13);
        for (size_t i = 0; i < n; i++) {
            const float expected[DIM] = {(float)acks[i].thread,
                                         (float)acks[i].i};
            float vector[DIM];
            char id[32];

            id_make(acks[i], id, sizeof(id));
            assert_true(vector_read(slot_of(id), vector));
            assert_memory_equal(vector, expected, sizeof(vector));
            assert_int_equal(record_of(id).n_fields, 1);
        }
    }
    assert_int_equal(info_of("people").n_records, count_of(LK_TABLE_RECORDS));
    assert_int_equal(count_of(LK_TABLE_IDS), count_of(LK_TABLE_RECORDS));
}

int main(int argc, char **argv)
{
#define TEST(name)                                                             \
 cmocka_unit_test_setup_teardown(name, scratch_store_enter, scratch_store_leave)
    const struct CMUnitTest tests[] = {
        TEST(changes_that_wait_together_share_one_commit),
        TEST(a_change_that_fails_fails_alone),
        TEST(records_of_many_threads_are_all_there),
        TEST(an_io_error_at_a_commit_stops_all_writes),
        TEST(a_full_map_refuses_a_write_and_loses_nothing),
        TEST(the_log_keeps_the_last_million_changes),
        TEST(a_killed_process_loses_nothing_it_acknowledged),
    };

    if (argc == 2 && strcmp(argv[0], "victim") == 0)
        return victim_run((uint32_t)strtoul(argv[1], NULL, 10));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
