/* cli/interrupt.c — what happens on Ctrl-C.
 *
 * A run may sit in a read from a pipe, in FAISS or in a matrix product when the
 * signal comes, and none of these polls a flag. So the handler itself removes
 * the unfinished files and ends the process: all that it calls is
 * async-signal-safe. The paths are borrowed pointers in atomic slots; a slot is
 * filled before its file is created and emptied after it was renamed or
 * removed, and removing a path that is not there does no harm.
 *
 * A wait for linkd does poll a flag, since the work that is waited for is not in
 * this process: it defers the end, once.
 *
 * SIGQUIT asks for a core dump, so it is raised anew with its default action
 * once the files are gone. */
#include "cli/interrupt.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

static _Atomic(const char *) guarded[LK_INTERRUPT_MAX];
static volatile sig_atomic_t stderr_is_terminal;
static volatile sig_atomic_t deferred;
static volatile sig_atomic_t requested;

static void say(const char *bytes, size_t len)
{
    if (write(STDERR_FILENO, bytes, len) < 0)
        return; /* there is nowhere left to say so */
}

static void say_interrupted(void)
{
    static const char clear_line[] = "\r\033[K";
    static const char message[] = "linkctl: interrupted\n";

    if (stderr_is_terminal)
        say(clear_line, sizeof(clear_line) - 1);
    say(message, sizeof(message) - 1);
}

static void end_interrupted(int signal_number)
{
    if (deferred && !requested && signal_number != SIGQUIT &&
        signal_number != SIGPIPE) {
        requested = 1;
        return;
    }
    for (size_t i = LK_INTERRUPT_MAX; i-- > 0;) {
        const char *path = atomic_load(&guarded[i]);

        if (path != NULL && unlink(path) != 0)
            (void)rmdir(path);
    }
    if (signal_number == SIGQUIT) {
        (void)signal(SIGQUIT, SIG_DFL);
        (void)raise(SIGQUIT); /* arrives when this returns: it is blocked */
        return;
    }
    if (signal_number != SIGPIPE)
        say_interrupted();
    _exit(1);
}

static void handle(int signal_number)
{
    struct sigaction old;
    struct sigaction action = {.sa_handler = end_interrupted};

    if (sigaction(signal_number, NULL, &old) == 0 && old.sa_handler == SIG_IGN)
        return;
    sigfillset(&action.sa_mask);
    (void)sigaction(signal_number, &action, NULL);
}

void lk_interrupt_init(void)
{
    stderr_is_terminal = isatty(STDERR_FILENO);
    handle(SIGINT);
    handle(SIGTERM);
    handle(SIGHUP);
    handle(SIGQUIT);
    handle(SIGPIPE);
}

void lk_interrupt_guard(const char *path)
{
    size_t slot = 0;

    while (slot < LK_INTERRUPT_MAX && atomic_load(&guarded[slot]) != NULL)
        slot++;
    LK_ASSERT(slot < LK_INTERRUPT_MAX);
    atomic_store(&guarded[slot], path);
}

void lk_interrupt_release(const char *path)
{
    for (size_t i = 0; i < LK_INTERRUPT_MAX; i++) {
        if (atomic_load(&guarded[i]) == path)
            atomic_store(&guarded[i], NULL);
    }
}

void lk_interrupt_defer(bool is_deferred)
{
    deferred = is_deferred;
}

bool lk_interrupt_requested(void)
{
    return requested != 0;
}
