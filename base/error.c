/* Errors as values.
 *
 * A message is cut, not refused, when it is too long: it is made of foreign
 * file and column names, and half of one still tells more than none. The cut
 * never splits a UTF-8 character, since messages end up in JSON. */
#include "base/base.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void cut_at_character(char *message, size_t capacity)
{
    static const char ellipsis[] = "...";
    size_t end = capacity - sizeof(ellipsis);

    while (end > 0 && ((unsigned char)message[end] & 0xC0) == 0x80)
        end--;
    memcpy(message + end, ellipsis, sizeof(ellipsis));
}

int lk_fail(linkd_error *err, int code, const char *format, ...)
{
    /* The arguments may point into err->message itself, so that a caller can
     * put context in front of an error that it passes on. */
    char message[sizeof(err->message)];
    va_list args;
    int len;

    LK_ASSERT(code < 0);
    if (err == NULL)
        return code;
    va_start(args, format);
    len = vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    if (len < 0)
        message[0] = '\0';
    else if ((size_t)len >= sizeof(message))
        cut_at_character(message, sizeof(message));
    err->code = code;
    memcpy(err->message, message, sizeof(message));
    return code;
}

void lk_assert_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, condition);
    abort();
}
