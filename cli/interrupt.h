/* cli/interrupt.h — Ctrl-C leaves nothing behind. */
#ifndef LINKD_CLI_INTERRUPT_H
#define LINKD_CLI_INTERRUPT_H

#include "base/base.h"

/* Paths that can be guarded at once. */
#define LK_INTERRUPT_MAX 128

/* From now on SIGINT, SIGTERM and SIGHUP remove the guarded paths, say
 * "interrupted" and end the process with 1; SIGPIPE does the same in silence;
 * SIGQUIT still dumps core.
 * A signal that the parent made us ignore stays ignored. */
void lk_interrupt_init(void);

/* `path` is a file, or a directory that is empty once the paths guarded after
 * it are gone. Borrowed until it is released. */
void lk_interrupt_guard(const char *path);
void lk_interrupt_release(const char *path);

/* While it is deferred, a first SIGINT, SIGTERM or SIGHUP ends nothing but the
 * sleep or read that it comes into, and is told by lk_interrupt_requested():
 * somebody else has to be told before the process may end. */
void lk_interrupt_defer(bool is_deferred);
bool lk_interrupt_requested(void);

#endif
