/* daemon/config.h — private: flags and the config file. A line of the file is
 * "name = value", the names being those of the flags without "--"; flags win. */
#ifndef LK_DAEMON_CONFIG_H
#define LK_DAEMON_CONFIG_H

#include <stdbool.h>

#include "base/base.h"

/* Strings are owned by the config. */
typedef struct lk_config {
    char *data;               /* --data DIR */
    char *socket;             /* --socket PATH; NULL with socket activation */
    unsigned int socket_mode; /* --socket-mode 0660 */
    char *listen;             /* --listen 127.0.0.1:PORT; NULL: no TCP */
    char *token_file;         /* --token-file FILE: required by --listen */
    char *model;              /* --model NAME: default of new collections */
    char *log_file;           /* --log-file FILE; NULL: standard error */
    bool log_json;            /* --log-format text|json */
    int log_level;            /* --log-level error|warn|info|debug */
    char *admin_users;        /* --admin-user NAME[,NAME…] */
    char *write_groups;       /* --write-group NAME[,NAME…] */
    char *read_groups;        /* --read-group */
    size_t n_encode_threads;  /* --encode-threads N; 0: processors */
    size_t n_search_threads;  /* --search-threads N: workers of the read lane */
    size_t n_build_threads;   /* --build-threads N */
    size_t cascade_rate;      /* --cascade-rate N: records a second */
    uint64_t exact_below;     /* --exact-below N */
    uint64_t map_bytes;       /* --max-database BYTES (with K, M, G, T) */
    size_t max_connections;   /* --max-connections N */
    size_t max_body;          /* --max-body BYTES */
    size_t max_upload;        /* --max-upload BYTES, of POST /v1/files */
    uint64_t idle_timeout_ms; /* --idle-timeout SECONDS */
    uint64_t
        request_timeout_ms; /* --request-timeout SECONDS: default deadline */
} lk_config;

/* Limits that are not options: see server.h. Reads argv, then the file that
 * --config names. LINKD_E_ARG: message for "linkd: …" and exit code 2.
 * *ret_help is set when --help or --version was asked for and printed. */
LINKD_MUST_CHECK int lk_config_read_args(int argc, char **argv,
                                         lk_config *ret_config, bool *ret_help,
                                         linkd_error *err);
void lk_config_clear(lk_config *config);

/* The parts of it, for tests. Defaults, to be cleared: */
LINKD_MUST_CHECK int lk_config_init(lk_config *ret_config, linkd_error *err);
/* The text of a config file over what `config` has; `path` is for messages.
 * LINKD_E_ARG: unknown, repeated or wrong, with file and line. */
LINKD_MUST_CHECK int lk_config_parse(linkd_str text, const char *path,
                                     lk_config *config, linkd_error *err);

#endif
