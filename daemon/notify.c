/* daemon/notify.c — systemd's notification protocol: datagrams of lines to the
 * Unix socket that $NOTIFY_SOCKET names, '@' in front meaning an abstract one
 * (sd_notify(3)). Thirty lines are cheaper than depending on libsystemd. */
#include "daemon/notify.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static bool address_read(struct sockaddr_un *ret_address, socklen_t *ret_len)
{
    const char *path = getenv("NOTIFY_SOCKET");
    size_t len;

    if (path == NULL || (path[0] != '/' && path[0] != '@'))
        return false;
    len = strlen(path);
    if (len >= sizeof(ret_address->sun_path))
        return false;
    *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(ret_address->sun_path, path, len);
    if (path[0] == '@')
        ret_address->sun_path[0] = '\0';
    *ret_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len +
                           (path[0] == '/')); /* an abstract name has no NUL */
    return true;
}

void lk_notify_send(const char *state)
{
    struct sockaddr_un address;
    socklen_t len;
    int fd;

    if (!address_read(&address, &len))
        return;
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    (void)sendto(fd, state, strlen(state), MSG_NOSIGNAL,
                 (const struct sockaddr *)&address, len);
    (void)close(fd);
}

/* A variable that holds a number of decimal digits; 0 for anything else. */
static uint64_t number_read(const char *name)
{
    const char *text = getenv(name);
    char *end;
    unsigned long long number;

    if (text == NULL || text[0] < '0' || text[0] > '9')
        return 0;
    errno = 0;
    number = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0' ? (uint64_t)number : 0;
}

uint64_t lk_notify_watchdog_ms(void)
{
    uint64_t allowed_us = number_read("WATCHDOG_USEC");

    /* The variables are inherited: they may be meant for another process. */
    if (getenv("WATCHDOG_PID") != NULL &&
        number_read("WATCHDOG_PID") != (uint64_t)getpid())
        return 0;
    return allowed_us == 0 || allowed_us >= 2000 ? allowed_us / 2000 : 1;
}
