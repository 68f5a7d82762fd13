/* tests/daemon/test_workers.c — that work comes back to the loop, once and in
 * order, and that a full queue says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <pthread.h>
#include <signal.h>

#include "daemon/server.h"
#include "daemon/workers.h"

#define N_WORKS 5000

typedef struct fixture fixture;

typedef struct job {
    lk_work work; /* first */
    fixture *fixture;
    size_t number;
    int n_left; /* how often it submits itself again */
} job;

struct fixture {
    uv_loop_t loop;
    lk_workers *workers;
    job jobs[N_WORKS];
    size_t n_submitted;
    size_t n_done;
    size_t last; /* of the jobs that are done */
    bool is_ordered;
    pthread_mutex_t gate; /* held: work waits */
    atomic_size_t n_ran;
    atomic_bool saw_signals;
};

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    pthread_mutex_init(&f->gate, NULL);
    f->is_ordered = true;
    for (size_t i = 0; i < N_WORKS; i++) {
        f->jobs[i].fixture = f;
        f->jobs[i].number = i;
    }
    assert_int_equal(uv_loop_init(&f->loop), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;

    assert_int_equal(uv_loop_close(&f->loop), 0);
    pthread_mutex_destroy(&f->gate);
    free(f);
    return 0;
}

static void workers_open(fixture *f, size_t n_read, size_t n_write)
{
    const size_t n_threads[LK_N_LANES] = {
        [LK_LANE_READ] = n_read, [LK_LANE_WRITE] = n_write};
    linkd_error err;

    assert_int_equal(lk_workers_new(&f->loop, n_threads, &f->workers, &err),
                     LINKD_OK);
}

static void run_job(lk_work *work)
{
    job *self = (job *)work;
    sigset_t mask;

    LK_OFF_LOOP();
    pthread_mutex_lock(&self->fixture->gate);
    pthread_mutex_unlock(&self->fixture->gate);
    atomic_fetch_add(&self->fixture->n_ran, 1);
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    if (sigismember(&mask, SIGTERM) == 0)
        atomic_store(&self->fixture->saw_signals, true);
}

static void on_job_done(lk_work *work)
{
    job *self = (job *)work;
    fixture *f = self->fixture;

    LK_ON_LOOP();
    if (self->n_left > 0) {
        self->n_left--;
        lk_workers_resubmit(f->workers, LK_LANE_READ, work);
        return;
    }
    f->is_ordered &= f->n_done == 0 || self->number > f->last;
    f->last = self->number;
    if (++f->n_done == f->n_submitted)
        lk_workers_close(f->workers);
}

static int submit(fixture *f, size_t i, lk_lane lane, linkd_error *err)
{
    f->jobs[i].work.run = run_job;
    f->jobs[i].work.done_cb = on_job_done;
    f->n_submitted++;
    return lk_workers_submit(f->workers, lane, &f->jobs[i].work, err);
}

static void all_work_comes_back_to_the_loop(void **state)
{
    fixture *f = *state;

    workers_open(f, 4, 2);
    for (size_t i = 0; i < N_WORKS; i++) {
        linkd_error err;

        f->jobs[i].n_left = i % 3 == 0 ? 2 : 0;
        while (submit(f, i, i % 2 == 0 ? LK_LANE_READ : LK_LANE_WRITE, &err) !=
               LINKD_OK) {
            f->n_submitted--;
            (void)uv_run(&f->loop, UV_RUN_NOWAIT);
        }
    }
    (void)uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(f->n_done, N_WORKS);
    assert_int_equal(atomic_load(&f->n_ran), N_WORKS + 2 * ((N_WORKS + 2) / 3));
    assert_false(atomic_load(&f->saw_signals));
}

static void one_worker_takes_work_in_order(void **state)
{
    fixture *f = *state;
    linkd_error err;

    workers_open(f, 1, 1);
    for (size_t i = 0; i < 500; i++)
        assert_int_equal(submit(f, i, LK_LANE_READ, &err), LINKD_OK);
    (void)uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_true(f->is_ordered);
    assert_int_equal(f->n_done, 500);
}

static void a_full_queue_refuses_work_and_the_other_lane_does_not(void **state)
{
    fixture *f = *state;
    linkd_error err = {0};
    size_t n = 0;

    workers_open(f, 1, 1);
    pthread_mutex_lock(&f->gate);
    while (submit(f, n, LK_LANE_WRITE, &err) == LINKD_OK)
        n++;
    f->n_submitted--;
    assert_int_equal(err.code, LINKD_E_BUSY);
    assert_string_equal(err.message,
                        "1024 requests are waiting already: try again later");
    assert_true(n == LK_QUEUE_MAX || n == LK_QUEUE_MAX + 1); /* one may run */
    assert_int_equal(submit(f, n, LK_LANE_READ, &err), LINKD_OK);
    pthread_mutex_unlock(&f->gate);
    (void)uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(f->n_done, n + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_work_comes_back_to_the_loop, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(one_worker_takes_work_in_order, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            a_full_queue_refuses_work_and_the_other_lane_does_not, setup,
            teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
