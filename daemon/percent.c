/* daemon/percent.c — percent-encoded parts of a URL. */
#include "daemon/percent.h"

#include <string.h>

#include "linkage/linkage.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int lk_percent_decode(lk_arena *arena, linkd_str text, bool plus_is_space,
                      linkd_str *ret_text, linkd_error *err)
{
    char *bytes = lk_arena_copy(arena, text.bytes, text.len);
    size_t len = 0;

    if (bytes == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < text.len; i++) {
        char c = text.bytes[i];

        if (c == '%') {
            int high = i + 2 < text.len ? hex_digit(text.bytes[i + 1]) : -1;
            int low = high >= 0 ? hex_digit(text.bytes[i + 2]) : -1;

            if (low < 0)
                return lk_fail(
                    err, LINKD_E_ARG, "bad percent escape in the URL at \"%s\"",
                    lk_label_of((linkd_str){text.bytes + i, text.len - i})
                        .text);
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        bytes[len++] = c;
    }
    if (lk_utf8_check(bytes, len) < len)
        return lk_fail(err, LINKD_E_ARG,
                       "the URL does not decode to UTF-8 without NUL");
    bytes[len] = '\0';
    *ret_text = (linkd_str){bytes, len};
    return LINKD_OK;
}
