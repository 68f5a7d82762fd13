/* base/base64.c — bytes as text. Strict: no white space, no other alphabet,
 * and the unused bits before the padding are zero, so that equal bytes have one
 * spelling. */
#include "base/base.h"

#include <string.h>

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int digit_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+')
        return 62;
    return c == '/' ? 63 : -1;
}

/* '=' at the end, at most two. */
static size_t padding_len(linkd_str text)
{
    size_t n = 0;

    while (n < 2 && n < text.len && text.bytes[text.len - 1 - n] == '=')
        n++;
    return n;
}

size_t lk_base64_decoded_len(linkd_str text)
{
    return text.len / 4 * 3 - (text.len >= 4 ? padding_len(text) : 0);
}

int lk_base64_decode(linkd_str text, void *ret_bytes, linkd_error *err)
{
    unsigned char *out = ret_bytes;
    size_t n_digits = text.len - padding_len(text);
    uint32_t bits = 0;
    unsigned int n_bits = 0;

    if (text.len % 4 != 0)
        return lk_fail(err, LINKD_E_ARG,
                       "base64 of %zu characters is not a multiple of 4",
                       text.len);
    for (size_t i = 0; i < n_digits; i++) {
        int value = digit_value(text.bytes[i]);

        if (value < 0)
            return lk_fail(err, LINKD_E_ARG,
                           "character %zu is not one of base64", i);
        bits = bits << 6 | (uint32_t)value;
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            *out++ = (unsigned char)(bits >> n_bits & 0xFF);
        }
    }
    if ((bits & ((1U << n_bits) - 1)) != 0)
        return lk_fail(err, LINKD_E_ARG, "base64 ends within a byte");
    return LINKD_OK;
}

int lk_base64_encode(const void *bytes, size_t len, lk_buf *ret_text,
                     linkd_error *err)
{
    const unsigned char *in = bytes;
    int rc = LINKD_OK;

    for (size_t i = 0; i < len && rc == LINKD_OK; i += 3) {
        size_t n = len - i < 3 ? len - i : 3;
        uint32_t bits = (uint32_t)in[i] << 16;
        char text[4];

        bits |= n > 1 ? (uint32_t)in[i + 1] << 8 : 0;
        bits |= n > 2 ? (uint32_t)in[i + 2] : 0;
        for (size_t j = 0; j < 4; j++)
            text[j] = j <= n ? alphabet[bits >> (18 - 6 * j) & 63] : '=';
        rc = lk_buf_append(ret_text, text, 4, err);
    }
    return rc;
}
