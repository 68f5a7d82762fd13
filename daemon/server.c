/* daemon/server.c — the event loop from its first to its last turn.
 *
 *   start ─► LOADING ─(load returns)─► READY ─(SIGTERM)─► DRAINING ─► end
 *               └──────────(load fails, SIGTERM)─────────────┘
 *
 * The loop turns before the store is open, so that a probe gets an answer
 * ("loading") where it would otherwise see a refused connection and restart a
 * daemon that is busy replaying.
 *
 * Draining ends when no request is in flight; then everything that the loop
 * watches is closed and uv_run() returns by itself. Nothing is torn down under
 * a worker: even the impatient end waits for the handlers that run, which are
 * told to stop. */
#include "daemon/server.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "daemon/connection.h"
#include "daemon/listener.h"
#include "daemon/notify.h"

/* Handlers wait for the encoder's batches and for group commits: see
 * workers.c. Guesses. */
#define READ_THREADS_MIN 16
#define WRITE_THREADS    8
#define EMBED_THREADS    8
/* Descriptors that connections leave to the store, segments, models, log. */
#define RESERVED_FILES 256
#define BACKLOG        511
#define TICK_MS        1000

typedef struct server server;

typedef struct server_door {
    server *server;
    union {
        uv_handle_t any;
        uv_stream_t stream;
        uv_pipe_t pipe;
        uv_tcp_t tcp;
    } socket;
    bool is_tcp;
    bool is_stuck; /* a client waits that there was no memory for */
} server_door;

enum { ON_TERM, ON_INT, ON_HUP, N_SIGNALS };

struct server {
    lk_hub hub; /* first: quiet_cb gets it */
    uv_loop_t loop;
    lk_listeners listeners;
    server_door doors[LK_LISTENERS_MAX];
    size_t n_doors;
    uv_signal_t signals[N_SIGNALS];
    uv_timer_t tick;
    uv_timer_t drain;
    uv_async_t loaded;
    pthread_t load_thread;
    int (*load)(lk_service *service, linkd_error *err);
    bool is_loading;
    bool has_handles; /* signals, timers and loaded are initialised */
    int load_rc;
    linkd_error load_err;
};

/* ---- the end ---------------------------------------------------------------- */

static void doors_close(server *self)
{
    for (size_t i = 0; i < self->n_doors; i++)
        if (!uv_is_closing(&self->doors[i].socket.any))
            uv_close(&self->doors[i].socket.any, NULL);
}

/* Lets go of all that keeps the loop turning. */
static void handles_close(server *self)
{
    doors_close(self);
    if (self->has_handles) {
        for (size_t i = 0; i < N_SIGNALS; i++)
            uv_close((uv_handle_t *)&self->signals[i], NULL);
        uv_close((uv_handle_t *)&self->tick, NULL);
        uv_close((uv_handle_t *)&self->drain, NULL);
        uv_close((uv_handle_t *)&self->loaded, NULL);
        self->has_handles = false;
    }
    lk_workers_close(self->hub.workers);
    self->hub.workers = NULL;
}

static void on_quiet(lk_hub *hub)
{
    server *self = (server *)hub;

    if (!hub->is_draining)
        return;
    if (hub->n_exchanges == 0)
        lk_connections_close(hub);
    if (hub->n_exchanges == 0 && hub->n_connections == 0 && !self->is_loading &&
        self->has_handles)
        handles_close(self);
}

static void on_drained(uv_timer_t *timer)
{
    server *self = timer->data;

    lk_log(LK_LOG_WARN, "stopping with %zu requests unanswered",
           self->hub.n_exchanges);
    lk_connections_close(&self->hub);
}

/* Once: answers what is in flight and takes nothing new. */
static void stop(server *self)
{
    atomic_store(&self->hub.service->phase, LK_PHASE_DRAINING);
    lk_notify_send("STOPPING=1");
    doors_close(self);
    lk_connections_drain(&self->hub);
    (void)uv_timer_start(&self->drain, on_drained, LK_DRAIN_TIMEOUT_MS, 0);
    on_quiet(&self->hub);
}

static void on_stop_signal(uv_signal_t *handle, int number)
{
    server *self = handle->data;

    if (self->hub.is_draining) {
        lk_connections_close(&self->hub);
        return;
    }
    lk_log(LK_LOG_INFO, "stopping: %s", strsignal(number));
    stop(self);
}

/* ---- while it runs ------------------------------------------------------------ */

static void on_reload_signal(uv_signal_t *handle, int number)
{
    (void)handle;
    (void)number;
    lk_notify_send("RELOADING=1");
    lk_log_reopen();
    lk_notify_send("READY=1");
}

static void accept_client(server_door *door)
{
    linkd_error err;
    bool was_stuck = door->is_stuck;

    door->is_stuck =
        lk_connection_accept(&door->server->hub, &door->socket.stream,
                             door->is_tcp, &err) != LINKD_OK;
    if (door->is_stuck && !was_stuck)
        lk_log(LK_LOG_ERROR, "could not take a client: %s", err.message);
}

/* Out of descriptors, libuv accepts and closes clients with one that it keeps
 * for that, so the loop does not spin on a client that it cannot take. */
static void on_client(uv_stream_t *stream, int status)
{
    if (status == 0)
        accept_client(stream->data);
}

static void on_tick(uv_timer_t *timer)
{
    server *self = timer->data;

    if (lk_notify_watchdog_ms() > 0)
        lk_notify_send("WATCHDOG=1");
    for (size_t i = 0; i < self->n_doors; i++)
        if (self->doors[i].is_stuck && !self->hub.is_draining)
            accept_client(&self->doors[i]);
}

/* ---- loading ------------------------------------------------------------------ */

static void *load_main(void *arg)
{
    server *self = arg;

    self->load_rc = self->load(self->hub.service, &self->load_err);
    (void)uv_async_send(&self->loaded);
    return NULL;
}

static void on_loaded(uv_async_t *async)
{
    server *self = async->data;
    int loading = LK_PHASE_LOADING;

    if (!self->is_loading)
        return;
    pthread_join(self->load_thread, NULL);
    self->is_loading = false;
    if (self->hub.is_draining) {
        on_quiet(&self->hub);
    } else if (self->load_rc != LINKD_OK) {
        stop(self);
    } else if (atomic_compare_exchange_strong(&self->hub.service->phase,
                                              &loading, LK_PHASE_READY)) {
        lk_notify_send("READY=1");
        lk_log(LK_LOG_INFO, "ready");
    }
}

/* ---- the beginning -------------------------------------------------------------- */

/* As many descriptors as the system allows, less some for the store. */
static size_t connections_max(size_t wanted)
{
    struct rlimit files;
    size_t max;

    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return wanted;
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return wanted;
    max = files.rlim_cur > (rlim_t)2 * RESERVED_FILES
              ? (size_t)files.rlim_cur - RESERVED_FILES
              : (size_t)files.rlim_cur / 2;
    if (wanted <= max)
        return wanted;
    lk_log(LK_LOG_WARN,
           "at most %zu connections: the limit on open files is %zu", max,
           (size_t)files.rlim_cur);
    return max;
}

static int fail_uv(int rc, const char *what, linkd_error *err)
{
    return lk_fail(err, rc == UV_ENOMEM ? LINKD_E_NOMEM : LINKD_E_IO,
                   "could not %s: %s", what, uv_strerror(rc));
}

static int door_open(server *self, lk_listener *listener, linkd_error *err)
{
    server_door *door = &self->doors[self->n_doors];
    int rc;

    *door = (server_door){.server = self, .is_tcp = listener->is_tcp};
    if (door->is_tcp)
        rc = uv_tcp_init(&self->loop, &door->socket.tcp);
    else
        rc = uv_pipe_init(&self->loop, &door->socket.pipe, 0);
    if (rc != 0)
        return fail_uv(rc, "listen", err);
    door->socket.any.data = door;
    self->n_doors++;
    if (door->is_tcp)
        rc = uv_tcp_open(&door->socket.tcp, listener->fd);
    else
        rc = uv_pipe_open(&door->socket.pipe, listener->fd);
    if (rc != 0)
        return fail_uv(rc, "listen", err);
    listener->fd = -1;
    rc = uv_listen(&door->socket.stream, BACKLOG, on_client);
    return rc != 0 ? fail_uv(rc, "listen", err) : LINKD_OK;
}

static int doors_open(server *self, linkd_error *err)
{
    int rc =
        lk_listeners_open(self->hub.service->config, &self->listeners, err);

    for (size_t i = 0; rc == LINKD_OK && i < self->listeners.n; i++)
        rc = door_open(self, &self->listeners.items[i], err);
    return rc;
}

static int handles_open(server *self, linkd_error *err)
{
    static const int numbers[N_SIGNALS] = {SIGTERM, SIGINT, SIGHUP};
    uint64_t watchdog_ms = lk_notify_watchdog_ms();
    uint64_t tick_ms =
        watchdog_ms > 0 && watchdog_ms < TICK_MS ? watchdog_ms : TICK_MS;
    int rc = uv_async_init(&self->loop, &self->loaded, on_loaded);

    if (rc != 0)
        return fail_uv(rc, "start the loop", err);
    self->loaded.data = self;
    self->tick.data = self;
    self->drain.data = self;
    (void)uv_timer_init(&self->loop, &self->tick);
    (void)uv_timer_init(&self->loop, &self->drain);
    for (size_t i = 0; i < N_SIGNALS; i++) {
        (void)uv_signal_init(&self->loop, &self->signals[i]);
        self->signals[i].data = self;
    }
    self->has_handles = true;
    (void)uv_timer_start(&self->tick, on_tick, tick_ms, tick_ms);
    for (size_t i = 0; rc == 0 && i < N_SIGNALS; i++)
        rc = uv_signal_start(&self->signals[i],
                             i == ON_HUP ? on_reload_signal : on_stop_signal,
                             numbers[i]);
    return rc != 0 ? fail_uv(rc, "watch for signals", err) : LINKD_OK;
}

static int workers_open(server *self, linkd_error *err)
{
    const lk_config *config = self->hub.service->config;
    size_t n_threads[LK_N_LANES] = {0};

    n_threads[LK_LANE_READ] = config->n_search_threads;
    if (n_threads[LK_LANE_READ] == 0)
        n_threads[LK_LANE_READ] = 2 * (size_t)uv_available_parallelism();
    if (config->n_search_threads == 0 &&
        n_threads[LK_LANE_READ] < READ_THREADS_MIN)
        n_threads[LK_LANE_READ] = READ_THREADS_MIN;
    n_threads[LK_LANE_WRITE] = WRITE_THREADS;
    n_threads[LK_LANE_EMBED] = EMBED_THREADS;
    return lk_workers_new(&self->loop, n_threads, &self->hub.workers, err);
}

static int load_start(server *self, linkd_error *err)
{
    sigset_t all, before;
    int rc;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&self->load_thread, NULL, load_main, self);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0)
        return lk_fail(err, LINKD_E_NOMEM, "could not start a thread: %s",
                       strerror(rc));
    self->is_loading = true;
    return LINKD_OK;
}

static int open_all(server *self, linkd_error *err)
{
    int rc = lk_roles_new(self->hub.service->config, &self->hub.roles, err);

    if (rc == LINKD_OK)
        rc = handles_open(self, err);
    if (rc == LINKD_OK)
        rc = workers_open(self, err);
    if (rc == LINKD_OK)
        rc = doors_open(self, err);
    return rc == LINKD_OK ? load_start(self, err) : rc;
}

int lk_server_run(lk_service *service,
                  int (*load)(lk_service *service, linkd_error *err),
                  linkd_error *err)
{
    server *self = calloc(1, sizeof(*self));
    int rc, loop_rc;

    if (self == NULL)
        return lk_fail_nomem(err);
    rc = uv_loop_init(&self->loop);
    if (rc != 0) {
        free(self);
        return fail_uv(rc, "start the loop", err);
    }
    (void)signal(SIGPIPE, SIG_IGN);
    self->load = load;
    self->hub.service = service;
    self->hub.loop = &self->loop;
    self->hub.quiet_cb = on_quiet;
    self->hub.max_connections =
        connections_max(service->config->max_connections);
    rc = open_all(self, err);
    if (rc != LINKD_OK)
        handles_close(self);
    (void)uv_run(&self->loop, UV_RUN_DEFAULT);
    if (rc == LINKD_OK && self->load_rc != LINKD_OK) {
        rc = self->load_rc;
        if (err != NULL)
            *err = self->load_err;
    }
    loop_rc = uv_loop_close(&self->loop);
    LK_ASSERT(loop_rc == 0);
    lk_listeners_close(&self->listeners);
    lk_roles_free(self->hub.roles);
    free(self);
    return rc;
}
