/* daemon/listener.c — where linkd can be reached.
 *
 * A Unix socket is a file that outlives the process which made it. What is left
 * of a dead daemon must not keep the next one from starting, and a live one
 * must not lose its path to a second: so whoever finds a socket there connects
 * to it. An answer is a reason to stop; a refusal proves that nobody listens
 * any more, and only then the file is removed. Anything that is not a socket is
 * never touched. Two daemons on different data directories that find the same
 * dead socket at the same instant are not kept apart: the path is the later
 * one's, and the earlier leaves it alone when it ends, because the inode is not
 * its own.
 *
 * The socket is made with no rights for others and gets its mode afterwards, so
 * that it is never wider open than asked for.
 *
 * Sockets from systemd are taken as they are, and their paths are systemd's. */
#include "daemon/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define FIRST_PASSED_FD 3 /* SD_LISTEN_FDS_START of sd_listen_fds(3) */

typedef union socket_address {
    struct sockaddr any;
    struct sockaddr_un local;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} socket_address;

static int system_fail(const char *verb, const char *what, linkd_error *err)
{
    return lk_fail(err, LINKD_E_IO, "could not %s %s: %s", verb, what,
                   strerror(errno));
}

static void listener_add(lk_listeners *listeners, int fd, bool is_tcp)
{
    LK_ASSERT(listeners->n < LK_LISTENERS_MAX);
    listeners->items[listeners->n++] =
        (lk_listener){.fd = fd, .is_tcp = is_tcp};
}

/* ---- from systemd ------------------------------------------------------- */

/* How many sockets were passed to this process. The variables are inherited,
 * so they may be meant for another one. */
static long passed_count(void)
{
    const char *process = getenv("LISTEN_PID");
    const char *count = getenv("LISTEN_FDS");

    if (process == NULL || count == NULL ||
        strtol(process, NULL, 10) != (long)getpid())
        return 0;
    return strtol(count, NULL, 10);
}

static bool is_loopback(const socket_address *address)
{
    if (address->any.sa_family == AF_INET)
        return ntohl(address->v4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    return address->any.sa_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(&address->v6.sin6_addr);
}

static int fail_not_loopback(const char *what, linkd_error *err)
{
    return lk_fail(err, LINKD_E_ARG,
                   "%s: TCP is for 127.0.0.1 and [::1] only; put a proxy with "
                   "TLS in front for others",
                   what);
}

static int option_get(int fd, int option)
{
    int value = -1;
    socklen_t len = sizeof(value);

    return getsockopt(fd, SOL_SOCKET, option, &value, &len) == 0 ? value : -1;
}

static int passed_check(int fd, bool has_token, bool *ret_tcp, linkd_error *err)
{
    socket_address address = {0};
    socklen_t len = sizeof(address);

    if (option_get(fd, SO_TYPE) != SOCK_STREAM ||
        option_get(fd, SO_ACCEPTCONN) != 1 ||
        getsockname(fd, &address.any, &len) != 0)
        return lk_fail(err, LINKD_E_ARG,
                       "file %d from systemd is not a stream socket that "
                       "listens",
                       fd);
    *ret_tcp = address.any.sa_family != AF_UNIX;
    if (!*ret_tcp)
        return LINKD_OK;
    if (!is_loopback(&address))
        return fail_not_loopback("socket from systemd", err);
    if (!has_token)
        return lk_fail(err, LINKD_E_ARG,
                       "socket from systemd: TCP needs a token: set "
                       "token-file");
    return LINKD_OK;
}

static int passed_take(const lk_config *config, long n, lk_listeners *listeners,
                       linkd_error *err)
{
    if (n > LK_LISTENERS_MAX)
        return lk_fail(err, LINKD_E_ARG,
                       "systemd passed %ld sockets, at most %d are used", n,
                       LK_LISTENERS_MAX);
    for (int fd = FIRST_PASSED_FD; fd < FIRST_PASSED_FD + (int)n; fd++) {
        bool is_tcp = false;
        int rc = passed_check(fd, config->token_file != NULL, &is_tcp, err);

        if (rc != LINKD_OK)
            return rc;
        if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 ||
            fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
            return system_fail("set up", "a socket from systemd", err);
        listener_add(listeners, fd, is_tcp);
        lk_log(LK_LOG_INFO, "listening on a %s socket from systemd",
               is_tcp ? "TCP" : "Unix");
    }
    (void)unsetenv("LISTEN_PID");
    (void)unsetenv("LISTEN_FDS");
    (void)unsetenv("LISTEN_FDNAMES");
    return LINKD_OK;
}

/* ---- the Unix socket ---------------------------------------------------- */

static int path_check(const char *path, linkd_error *err)
{
    size_t max = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;

    if (strlen(path) > max)
        return lk_fail(err, LINKD_E_ARG,
                       "the socket's path has %zu bytes, the system allows "
                       "%zu: %s",
                       strlen(path), max, path);
    return LINKD_OK;
}

/* Removes what a dead daemon left. */
static int path_clear(const char *path, const socket_address *address,
                      linkd_error *err)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int number;

    if (fd < 0)
        return system_fail("make socket", path, err);
    number =
        connect(fd, &address->any, sizeof(address->local)) == 0 ? 0 : errno;
    (void)close(fd);
    if (number == ENOENT)
        return LINKD_OK;
    if (number == 0 || number == EAGAIN)
        return lk_fail(err, LINKD_E_BUSY,
                       "%s: another process answers on this socket", path);
    errno = number;
    if (number != ECONNREFUSED || (unlink(path) != 0 && errno != ENOENT))
        return system_fail("take over socket", path, err);
    lk_log(LK_LOG_INFO, "replacing %s, on which nobody answers", path);
    return LINKD_OK;
}

static int path_prepare(const char *path, const socket_address *address,
                        linkd_error *err)
{
    struct stat info;

    if (lstat(path, &info) != 0)
        return errno == ENOENT ? LINKD_OK
                               : system_fail("make socket", path, err);
    if (!S_ISSOCK(info.st_mode))
        return lk_fail(err, LINKD_E_ARG,
                       "%s exists and is not a socket: it stays as it is",
                       path);
    return path_clear(path, address, err);
}

static int bind_fail(const char *path, linkd_error *err)
{
    if (errno == ENOENT)
        return lk_fail(err, LINKD_E_IO,
                       "could not make socket %s: its directory does not exist",
                       path);
    return system_fail("make socket", path, err);
}

/* Binds `fd` to the path and remembers what is ours. */
static int path_bind(int fd, const socket_address *address,
                     lk_listeners *listeners, linkd_error *err)
{
    const char *path = address->local.sun_path;
    mode_t old = umask(0177);
    int failed = bind(fd, &address->any, sizeof(address->local));
    struct stat info;

    (void)umask(old);
    if (failed != 0)
        return bind_fail(path, err);
    if (lstat(path, &info) != 0)
        return system_fail("find socket", path, err);
    listeners->path = strdup(path);
    if (listeners->path == NULL) {
        (void)unlink(path);
        return lk_fail_nomem(err);
    }
    listeners->device = info.st_dev;
    listeners->inode = info.st_ino;
    return LINKD_OK;
}

static int unix_open(const lk_config *config, lk_listeners *listeners,
                     linkd_error *err)
{
    const char *path = config->socket;
    socket_address address = {.local = {.sun_family = AF_UNIX}};
    int fd = -1;
    int rc;

    LK_ASSERT(path != NULL); /* it has a default */
    rc = path_check(path, err);
    if (rc != LINKD_OK)
        return rc;
    memcpy(address.local.sun_path, path, strlen(path) + 1);
    rc = path_prepare(path, &address, err);
    if (rc != LINKD_OK)
        return rc;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return system_fail("make socket", path, err);
    rc = path_bind(fd, &address, listeners, err);
    if (rc == LINKD_OK && listen(fd, SOMAXCONN) != 0)
        rc = system_fail("listen on", path, err);
    if (rc == LINKD_OK && chmod(path, (mode_t)config->socket_mode) != 0)
        rc = system_fail("set the mode of", path, err);
    if (rc != LINKD_OK) {
        (void)close(fd);
        return rc;
    }
    listener_add(listeners, fd, false);
    lk_log(LK_LOG_INFO, "listening on %s", path);
    return LINKD_OK;
}

/* ---- TCP ---------------------------------------------------------------- */

static int port_parse(const char *text, in_port_t *ret_port)
{
    long port = 0;

    if (text[0] == '\0' || strlen(text) > 5 ||
        strspn(text, "0123456789") != strlen(text))
        return -1;
    port = strtol(text, NULL, 10);
    if (port > UINT16_MAX)
        return -1;
    *ret_port = htons((uint16_t)port);
    return 0;
}

/* "127.0.0.1:80" or "[::1]:80". False: it is neither form. */
static bool address_parse(const char *text, socket_address *ret_address,
                          socklen_t *ret_len)
{
    const char *colon = strrchr(text, ':');
    char host[INET6_ADDRSTRLEN + 2];
    size_t len = colon == NULL ? 0 : (size_t)(colon - text);
    in_port_t port = 0;

    *ret_address = (socket_address){0};
    if (len == 0 || len >= sizeof(host) || port_parse(colon + 1, &port) != 0)
        return false;
    memcpy(host, text, len);
    host[len] = '\0';
    if (host[0] == '[' && host[len - 1] == ']') {
        host[len - 1] = '\0';
        ret_address->v6.sin6_family = AF_INET6;
        ret_address->v6.sin6_port = port;
        *ret_len = sizeof(ret_address->v6);
        return inet_pton(AF_INET6, host + 1, &ret_address->v6.sin6_addr) == 1;
    }
    ret_address->v4.sin_family = AF_INET;
    ret_address->v4.sin_port = port;
    *ret_len = sizeof(ret_address->v4);
    return inet_pton(AF_INET, host, &ret_address->v4.sin_addr) == 1;
}

/* Says which port it became if 0 was asked for. */
static void tcp_log(int fd, const char *text)
{
    socket_address address = {0};
    socklen_t len = sizeof(address);

    if (getsockname(fd, &address.any, &len) != 0)
        return;
    lk_log(LK_LOG_INFO, "listening on %.*s:%u",
           (int)(strrchr(text, ':') - text), text,
           ntohs(address.any.sa_family == AF_INET ? address.v4.sin_port
                                                  : address.v6.sin6_port));
}

static int tcp_bind(int fd, const socket_address *address, socklen_t len,
                    const char *text, linkd_error *err)
{
    int yes = 1;

    /* else a restart waits a minute for the old connections */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) != 0)
        return system_fail("set up", text, err);
    if (bind(fd, &address->any, len) == 0 && listen(fd, SOMAXCONN) == 0)
        return LINKD_OK;
    if (errno == EADDRINUSE)
        return lk_fail(err, LINKD_E_BUSY,
                       "%s: another process listens on this address", text);
    return system_fail("listen on", text, err);
}

static int tcp_check(const lk_config *config, socket_address *ret_address,
                     socklen_t *ret_len, linkd_error *err)
{
    const char *text = config->listen;

    if (!address_parse(text, ret_address, ret_len))
        return lk_fail(err, LINKD_E_ARG,
                       "listen: \"%s\" is not an address such as "
                       "127.0.0.1:8765",
                       text);
    if (!is_loopback(ret_address))
        return fail_not_loopback(text, err);
    if (config->token_file == NULL)
        return lk_fail(err, LINKD_E_ARG,
                       "listen: TCP needs a token: set token-file");
    return LINKD_OK;
}

static int tcp_open(const lk_config *config, lk_listeners *listeners,
                    linkd_error *err)
{
    const char *text = config->listen;
    socket_address address;
    socklen_t len = 0;
    int fd;
    int rc = tcp_check(config, &address, &len, err);

    if (rc != LINKD_OK)
        return rc;
    fd = socket(address.any.sa_family,
                SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return system_fail("make a socket for", text, err);
    rc = tcp_bind(fd, &address, len, text, err);
    if (rc != LINKD_OK) {
        (void)close(fd);
        return rc;
    }
    listener_add(listeners, fd, true);
    tcp_log(fd, text);
    return LINKD_OK;
}

/* ---- all ---------------------------------------------------------------- */

int lk_listeners_check(const lk_config *config, linkd_error *err)
{
    socket_address address;
    socklen_t len;
    int rc = LINKD_OK;

    if (passed_count() <= 0)
        rc = path_check(config->socket, err);
    if (rc == LINKD_OK && config->listen != NULL)
        rc = tcp_check(config, &address, &len, err);
    return rc;
}

int lk_listeners_open(const lk_config *config, lk_listeners *ret_listeners,
                      linkd_error *err)
{
    lk_listeners listeners = {0};
    long n_passed = passed_count();
    int rc;

    if (n_passed > 0)
        rc = passed_take(config, n_passed, &listeners, err);
    else
        rc = unix_open(config, &listeners, err);
    if (rc == LINKD_OK && config->listen != NULL)
        rc = tcp_open(config, &listeners, err);
    if (rc == LINKD_OK)
        *ret_listeners = listeners;
    else
        lk_listeners_close(&listeners);
    return rc;
}

static void path_remove(const lk_listeners *listeners)
{
    struct stat info;

    if (lstat(listeners->path, &info) == 0 &&
        info.st_dev == listeners->device && info.st_ino == listeners->inode)
        (void)unlink(listeners->path);
}

void lk_listeners_close(lk_listeners *listeners)
{
    for (size_t i = 0; i < listeners->n; i++) {
        if (listeners->items[i].fd >= 0)
            (void)close(listeners->items[i].fd);
    }
    if (listeners->path != NULL)
        path_remove(listeners);
    free(listeners->path);
    *listeners = (lk_listeners){0};
}
