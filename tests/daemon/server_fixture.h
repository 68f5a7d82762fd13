/* tests/daemon/server_fixture.h — a server on a thread of the test's process,
 * with routes of its own, and clients that drive it over its socket.
 *
 *   GET /health       on the loop: "phase N"
 *   GET /echo?TEXT    TEXT                     POST /echo     its body
 *                                              PUT: likewise, may be empty
 *   GET /wait         "waited" after the gate is opened
 *   GET /stream       "begin" and N_STREAM pieces; ?fails: then fails
 *   GET /endless      the same without an end
 *   GET /watch        "news" when there are some
 *   POST /upload      length and sum of the file; ?fails: fails */
#ifndef LINKD_TESTS_SERVER_FIXTURE_H
#define LINKD_TESTS_SERVER_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "daemon/server.h"

#define KIB         ((size_t)1 << 10)
#define MIB         ((size_t)1 << 20)
#define PIECE_BYTES (64 * KIB)
#define N_STREAM    40 /* pieces of /stream */
#define PATIENCE_MS 20000
#define BODY_MAX    (2 * MIB)
#define N_IMPATIENT (LK_QUEUE_MAX + 8)
#define HOST        "Host: a\r\n"
#define GET(path)   "GET " path " HTTP/1.1\r\n" HOST "\r\n"
#define POST(path)  "POST " path " HTTP/1.1\r\n" HOST

/* What handlers and tests share. */
extern bool gate_is_open;    /* /wait goes on; guarded by lock */
extern bool load_is_allowed; /* guarded by lock */
extern atomic_int n_waiting; /* handlers at the gate */
extern atomic_int n_stopped; /* of these, that were told to stop */
extern atomic_int n_waited;  /* that passed the gate */
extern atomic_int n_pieces;  /* made by streams */
extern atomic_int n_streams; /* that are not freed yet */
extern atomic_bool news;     /* for /watch */
extern atomic_int n_counted; /* requests, by the metrics */
extern atomic_int n_refused; /* likewise */
extern atomic_int n_connections;
extern atomic_int last_status;

typedef struct fixture {
    char dir[32];
    char socket[64];
    lk_config config;
    lk_service service;
    pthread_t thread;
    bool is_running;
    bool load_fails;
    int rc;
    linkd_error err;
} fixture;

int server_setup(void **state);
/* Ends the server if it runs, and checks that nothing is left of it. */
int server_teardown(void **state);
#define SERVER_TEST(name)                                                      \
 cmocka_unit_test_setup_teardown(name, server_setup, server_teardown)

/* Starts it; it may fail. */
void server_begin(fixture *f);
/* Started, and it listens. */
void server_start(fixture *f);
/* Started and loaded. */
void server_start_ready(fixture *f);
void server_join(fixture *f);
/* Sets gate_is_open or load_is_allowed. */
void flag_set(bool *flag);
/* Between two looks at a condition: the only way in which these tests wait. */
void wait_a_little(void);
/* Files of uploads in a directory. */
size_t count_files(const char *dir);

typedef struct reply {
    int status;
    bool closes;
    bool is_whole; /* the body's end was seen */
    char head[1024];
    lk_buf body;
} reply;

/* -1: nobody listens. */
int client_try(const fixture *f);
int client_open(const fixture *f);
void client_send_bytes(int fd, const char *bytes, size_t len);
void client_send(int fd, const char *text);
/* Reads one answer; status 0: there was none. */
void client_receive(int fd, reply *ret);
/* False: the stream ended before `len` bytes. */
bool client_read_body(int fd, lk_buf *body, size_t len);
bool client_is_closed(int fd);
/* Reads one answer, which must have the status and `body` somewhere in it. */
void check_reply(int fd, int status, const char *body);

#endif
