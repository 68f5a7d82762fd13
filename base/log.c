/* One line a message on standard error, from any thread.
 *
 * A line is put together first and handed to the system in a single write, so
 * that lines of several threads, or of several processes, never mix. A log line
 * longer than the buffer is cut: the log is for people. */
#include "base/base.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 1024 };

/* Set once by the program before it starts threads. */
static const char *log_program = "linkd";
static lk_log_level log_level = LK_LOG_WARN;

void lk_log_init(const char *program, lk_log_level level)
{
    log_program = program;
    log_level = level;
}

void lk_log(lk_log_level level, const char *format, ...)
{
    char line[LINE_MAX_BYTES];
    va_list args;
    size_t len;
    int n;

    if (level > log_level)
        return;
    n = snprintf(line, sizeof(line), "%s: ", log_program);
    len = n > 0 && (size_t)n < sizeof(line) - 1 ? (size_t)n : 0;
    va_start(args, format);
    n = vsnprintf(line + len, sizeof(line) - len - 1, format, args);
    va_end(args);
    if (n > 0)
        len += (size_t)n;
    if (len > sizeof(line) - 2)
        len = sizeof(line) - 2;
    line[len++] = '\n';
    if (write(STDERR_FILENO, line, len) < 0)
        return; /* there is nowhere left to say so */
}
