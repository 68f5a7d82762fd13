/* cli/client.h — linkd as linkctl sees it: requests and their answers. */
#ifndef LINKD_CLI_CLIENT_H
#define LINKD_CLI_CLIENT_H

#include "cli/command.h"
#include "cli/http.h"
#include "cli/lines.h"

typedef struct json_t json_t;

/* The row of an options table that every command of the daemon has. */
#define LK_SOCKET_OPTION(offset)                                               \
 {                                                                             \
  "socket", 's', LK_OPTION_TEXT, offset, "PATH", NULL, 0, 0,                   \
      "where linkd listens ($LINKD_SOCKET, else\n"                             \
      "$XDG_RUNTIME_DIR/linkd.sock, else\n"                                    \
      "/run/linkd/linkd.sock)"                                                 \
 }

typedef struct lk_client {
    lk_cli *cli;
    lk_http *http;
    lk_buf socket_path;
} lk_client;

/* Appends the path that is meant by the option's value, which may be NULL. */
LINKD_MUST_CHECK int lk_socket_path(const char *option, lk_buf *ret_path,
                                    linkd_error *err);

/* Nothing is sent before the first request. */
LINKD_MUST_CHECK int lk_client_open(lk_cli *cli, const char *socket_option,
                                    lk_client *ret_client, linkd_error *err);
void lk_client_close(lk_client *client);

/* Appends `text` with everything escaped that means something in a URL. */
LINKD_MUST_CHECK int lk_url_append(lk_buf *url, const char *text,
                                   linkd_error *err);
/* Appends "/v1/collections/<name><rest>". */
LINKD_MUST_CHECK int lk_collection_path(lk_buf *ret_path, const char *name,
                                        const char *rest, linkd_error *err);
/* Where something is absent: which list shows what is there. */
void lk_absence_hint(lk_cli *cli, int rc, const linkd_error *err);

typedef struct lk_ask {
    const char *method; /* NULL: GET */
    const char *path;   /* "/v1/…", with the query */
    const char *content_type;
    const char *accept; /* NULL: whatever linkd prefers */
    const char *key;    /* Idempotency-Key; NULL: none */
    linkd_str body;
    int body_fd; /* -1: none */
    uint64_t body_fd_bytes;
    const char *sending; /* step that is reported while body_fd is sent */
    int (*body_cb)(void *ctx, const char *bytes, size_t len, linkd_error *err);
    void *ctx; /* of body_cb, which gets the answer if it is no failure */
} lk_ask;
#define LK_ASK_INIT                                                            \
 {                                                                             \
  .body_fd = -1                                                                \
 }

/* Asks, and turns a problem document into an error of its detail: 400
 * LINKD_E_ARG, 404 _ABSENT, 409 _CONFLICT, 503 and 504 _BUSY, 507 _FULL, others
 * _DATA. LINKD_E_BUSY with a hint also if there is no linkd; LINKD_E_IO if the
 * connection broke. */
LINKD_MUST_CHECK int lk_client_ask(lk_client *client, const lk_ask *ask,
                                   linkd_error *err);
/* The same for JSON both ways. `body` NULL: none; `ret_answer`, to be freed
 * with json_decref(), may be NULL. */
LINKD_MUST_CHECK int lk_client_json(lk_client *client, const char *method,
                                    const char *path, const json_t *body,
                                    json_t **ret_answer, linkd_error *err);
/* The lines of an NDJSON answer, parsed; borrowed by the callback. */
LINKD_MUST_CHECK int lk_client_rows(lk_client *client, const char *path,
                                    int (*row_cb)(void *ctx, const json_t *row,
                                                  linkd_error *err),
                                    void *ctx, linkd_error *err);

/* What a status and the body of an answer say, as an error. */
int lk_fail_problem(long status, linkd_str body, linkd_error *err);

/* Prints the value on standard output, as one line. */
LINKD_MUST_CHECK int lk_json_print(const json_t *json, linkd_error *err);

#endif
