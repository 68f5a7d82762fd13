/* daemon/notify.h — private: tells systemd how the service is, without its
 * library. Nothing happens where systemd did not ask ($NOTIFY_SOCKET). */
#ifndef LK_DAEMON_NOTIFY_H
#define LK_DAEMON_NOTIFY_H

#include <stdint.h>

/* `state` is one or more lines "READY=1", "STOPPING=1", "WATCHDOG=1",
 * "STATUS=text", "RELOADING=1\nMONOTONIC_USEC=…". Never blocks; failures are
 * ignored, as the service works without. */
void lk_notify_send(const char *state);

/* How often to send "WATCHDOG=1": half of what systemd allows, in
 * milliseconds; 0: never. */
uint64_t lk_notify_watchdog_ms(void);

#endif
