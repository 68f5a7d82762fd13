/* base/utf8.c — finds what is wrong in text that should be UTF-8.
 *
 * Every field of every file passes here, and nearly all of them are ASCII: so
 * eight bytes at a time are looked at for a high bit or a NUL, and only what
 * has one is decoded. NUL is valid UTF-8 but not valid here: a cell's text may
 * end up in C strings, and a NUL in a table means that the file is not text.
 *
 * The ranges are those of the Unicode Standard, table 3-7: no overlong forms,
 * no surrogates, nothing above U+10FFFF. */
#include "base/base.h"

#include <string.h>

#define EVERY_BYTE(byte) (UINT64_C(0x0101010101010101) * (byte))

/* True if all eight bytes are in 0x01 … 0x7F. */
static int is_plain(const char *bytes)
{
    uint64_t word;

    memcpy(&word, bytes, sizeof(word));
    return ((word | (word - EVERY_BYTE(0x01))) & EVERY_BYTE(0x80)) == 0;
}

static size_t sequence_len(unsigned char lead)
{
    if (lead >= 0x01 && lead <= 0x7F)
        return 1;
    if (lead >= 0xC2 && lead <= 0xDF)
        return 2;
    if (lead >= 0xE0 && lead <= 0xEF)
        return 3;
    if (lead >= 0xF0 && lead <= 0xF4)
        return 4;
    return 0;
}

/* The second byte's range depends on the first; all later ones are 80 … BF. */
static int is_second(unsigned char lead, unsigned char second)
{
    unsigned char low = 0x80, high = 0xBF;

    if (lead == 0xE0)
        low = 0xA0;
    else if (lead == 0xED)
        high = 0x9F;
    else if (lead == 0xF0)
        low = 0x90;
    else if (lead == 0xF4)
        high = 0x8F;
    return second >= low && second <= high;
}

/* Bytes of the character at `text`, or 0 if it is none. */
static size_t character_len(const unsigned char *text, size_t len)
{
    size_t n = sequence_len(text[0]);

    if (n > len)
        return 0;
    if (n > 1 && !is_second(text[0], text[1]))
        return 0;
    for (size_t i = 2; i < n; i++) {
        if (text[i] < 0x80 || text[i] > 0xBF)
            return 0;
    }
    return n;
}

size_t lk_utf8_check(const char *bytes, size_t len)
{
    size_t at = 0;

    while (at < len) {
        size_t n;

        while (len - at >= sizeof(uint64_t) && is_plain(bytes + at))
            at += sizeof(uint64_t);
        if (at == len)
            break;
        n = character_len((const unsigned char *)bytes + at, len - at);
        if (n == 0)
            break;
        at += n;
    }
    return at;
}
