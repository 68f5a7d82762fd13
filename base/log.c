/* One line a message, from any thread: on standard error for programs that
 * people run, in a file and with the time for services.
 *
 * A line is put together first and handed to the system in a single write, so
 * that lines of several threads, or of several processes, never mix. A log line
 * longer than the buffer is cut: the log is for people.
 *
 * A service must not stop because its log does. A line that a full pipe has no
 * room for is dropped; if a full disk takes half a line, the next one begins
 * on a line of its own. Messages quote what clients sent, so control characters
 * and broken UTF-8 are replaced: one message can not look like two. */
#include "base/base.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 1024 };

typedef struct log_line {
    char bytes[LINE_MAX_BYTES];
    size_t len;
} log_line;

/* Set once by the program before it starts threads. */
static const char *log_program = "linkd";
static lk_log_level log_level = LK_LOG_WARN;
static bool log_is_service;
static bool log_is_json;
static const char *log_path;

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
/* log_lock guards: */
static int log_fd = STDERR_FILENO;
static bool log_is_torn; /* the file ends in a part of a line */

void lk_log_init(const char *program, lk_log_level level)
{
    log_program = program;
    log_level = level;
}

/* ---- putting a line together -------------------------------------------- */

/* As much as there is room for, with a byte to spare for the newline. */
static void line_append(log_line *line, const char *bytes, size_t len)
{
    size_t room = sizeof(line->bytes) - 1 - line->len;

    if (len > room)
        len = room;
    memcpy(line->bytes + line->len, bytes, len);
    line->len += len;
}

static void line_puts(log_line *line, const char *text)
{
    line_append(line, text, strlen(text));
}

static const char *level_name(lk_log_level level)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};

    return names[level];
}

static void line_put_time(log_line *line)
{
    struct timespec now;
    struct tm utc;
    char text[48];
    size_t len;

    if (clock_gettime(CLOCK_REALTIME, &now) != 0 ||
        gmtime_r(&now.tv_sec, &utc) == NULL)
        return;
    len = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
    line_append(line, text, len);
    (void)snprintf(text, sizeof(text), ".%03ldZ", now.tv_nsec / 1000000);
    line_puts(line, text);
}

/* In place: valid UTF-8 without control characters. */
static void message_clean(char *message)
{
    size_t len = strlen(message);

    for (size_t at = lk_utf8_check(message, len); at < len;
         at += lk_utf8_check(message + at, len - at))
        message[at] = '?';
    for (; *message != '\0'; message++) {
        if ((unsigned char)*message < 0x20 || *message == 0x7F)
            *message = ' ';
    }
}

static void line_put_escaped(log_line *line, const char *message)
{
    for (; *message != '\0'; message++) {
        if (*message == '"' || *message == '\\')
            line_append(line, "\\", 1);
        line_append(line, message, 1);
    }
}

static void line_format(log_line *line, lk_log_level level, char *message)
{
    message_clean(message);
    line_puts(line, log_is_json ? "{\"time\":\"" : "");
    line_put_time(line);
    line_puts(line, log_is_json ? "\",\"level\":\"" : " ");
    line_puts(line, level_name(level));
    if (log_is_json) {
        line_puts(line, "\",\"message\":\"");
        line_put_escaped(line, message);
        line_puts(line, "\"}");
    } else {
        line_puts(line, " ");
        line_puts(line, message);
    }
}

/* ---- writing it --------------------------------------------------------- */

/* False for a pipe or socket whose reader does not keep up. */
static bool has_room(int fd)
{
    struct pollfd ready = {.fd = fd, .events = POLLOUT};

    return poll(&ready, 1, 0) == 1;
}

/* Under log_lock. `line` begins with a newline that is needed rarely. */
static void service_write(const log_line *line)
{
    size_t skip = log_is_torn ? 0 : 1;
    ssize_t n;

    if (!has_room(log_fd))
        return;
    n = write(log_fd, line->bytes + skip, line->len - skip);
    if (n > 0)
        log_is_torn = line->bytes[skip + (size_t)n - 1] != '\n';
}

static void service_log(lk_log_level level, const char *format, va_list args)
    LK_PRINTF(2, 0);

static void service_log(lk_log_level level, const char *format, va_list args)
{
    /* At most two bytes each, and 80 of time and level. */
    char message[(LINE_MAX_BYTES - 80) / 2];
    log_line line = {.len = 0};

    if (vsnprintf(message, sizeof(message), format, args) < 0)
        return;
    line_puts(&line, "\n");
    line_format(&line, level, message);
    line.bytes[line.len++] = '\n';
    (void)pthread_mutex_lock(&log_lock);
    service_write(&line);
    (void)pthread_mutex_unlock(&log_lock);
}

static void program_log(const char *format, va_list args) LK_PRINTF(1, 0);

static void program_log(const char *format, va_list args)
{
    log_line line = {.len = 0};
    char message[LINE_MAX_BYTES];

    if (vsnprintf(message, sizeof(message), format, args) < 0)
        return;
    line_puts(&line, log_program);
    line_puts(&line, ": ");
    line_puts(&line, message);
    line.bytes[line.len++] = '\n';
    if (write(STDERR_FILENO, line.bytes, line.len) < 0)
        return; /* there is nowhere left to say so */
}

void lk_log(lk_log_level level, const char *format, ...)
{
    int saved_errno = errno;
    va_list args;

    if (level > log_level)
        return;
    va_start(args, format);
    if (log_is_service)
        service_log(level, format, args);
    else
        program_log(format, args);
    va_end(args);
    errno = saved_errno;
}

/* ---- the file ----------------------------------------------------------- */

/* O_NONBLOCK matters for a named pipe only. */
static int file_open(const char *path, int *ret_fd, linkd_error *err)
{
    int fd = open(
        path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
        0640);

    if (fd < 0)
        return lk_fail(err, LINKD_E_IO, "could not open log %s: %s", path,
                       strerror(errno));
    *ret_fd = fd;
    return LINKD_OK;
}

static void file_use(int fd)
{
    int old;

    (void)pthread_mutex_lock(&log_lock);
    old = log_fd;
    log_fd = fd;
    log_is_torn = false;
    (void)pthread_mutex_unlock(&log_lock);
    if (old != STDERR_FILENO)
        (void)close(old);
}

int lk_log_open(const char *path, bool json, linkd_error *err)
{
    int fd = STDERR_FILENO;

    if (path != NULL) {
        int rc = file_open(path, &fd, err);

        if (rc != LINKD_OK)
            return rc;
    }
    file_use(fd);
    log_path = path;
    log_is_json = json;
    log_is_service = true;
    return LINKD_OK;
}

void lk_log_reopen(void)
{
    linkd_error err;
    int fd = -1;

    if (log_path == NULL)
        return;
    if (file_open(log_path, &fd, &err) == LINKD_OK)
        file_use(fd);
    else
        lk_log(LK_LOG_ERROR, "%s", err.message);
}

void lk_log_close(void)
{
    file_use(STDERR_FILENO);
    log_path = NULL;
    log_is_json = false;
    log_is_service = false;
}
