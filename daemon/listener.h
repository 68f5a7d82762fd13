/* daemon/listener.h — private: the sockets that linkd listens on. Opens them
 * and takes the Unix socket's path away again; accepting is the server's. */
#ifndef LK_DAEMON_LISTENER_H
#define LK_DAEMON_LISTENER_H

#include <stdbool.h>
#include <sys/types.h>

#include "daemon/config.h"

#define LK_LISTENERS_MAX 8

typedef struct lk_listener {
    int fd;      /* bound, listening, non-blocking; set to -1 by who takes it */
    bool is_tcp; /* the bearer token decides, not the peer's user */
} lk_listener;

/* {0} is a set without sockets. */
typedef struct lk_listeners {
    lk_listener items[LK_LISTENERS_MAX];
    size_t n;
    char *path; /* of the socket that was bound here; NULL: none was */
    dev_t device;
    ino_t inode;
} lk_listeners;

/* Whether the options of the config can be right, before anything is made.
 * LINKD_E_ARG: the path or address cannot be used, or TCP has no token. */
LINKD_MUST_CHECK int lk_listeners_check(const lk_config *config,
                                        linkd_error *err);
/* Takes the sockets that systemd passed, else binds config->socket, and
 * config->listen if it is given. The caller holds the data directory.
 * LINKD_E_ARG: the path or address cannot be used. LINKD_E_BUSY: another
 * process answers on it. LINKD_E_IO. */
LINKD_MUST_CHECK int lk_listeners_open(const lk_config *config,
                                       lk_listeners *ret_listeners,
                                       linkd_error *err);
/* Closes what was not taken, and removes the path if it is still ours. */
void lk_listeners_close(lk_listeners *listeners);

#endif
