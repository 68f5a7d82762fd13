/* encoder/image_exif.c — one number out of an Exif block: how the camera was
 * held.
 *
 *   "II*\0" or "MM\0*"  offset of the first directory: u32
 *   directory           n: u16, then n entries of 12 bytes:
 *                       tag: u16, type: u16, count: u32, value
 *
 * (Exif 2.3, 4.6.2 and 4.6.4; the byte order is that of the first two bytes.) */
#include <string.h>

#include "encoder/image.h"

#define TAG_ORIENTATION 0x0112U
#define TYPE_SHORT      3U
#define ENTRY_BYTES     ((size_t)12)

typedef struct block {
    const uint8_t *bytes;
    size_t len;
    bool is_big_endian;
} block;

/* 0 where the block ends before. */
static unsigned short_at(const block *b, size_t at)
{
    if (at > b->len || b->len - at < 2)
        return 0;
    return b->is_big_endian ? (unsigned)b->bytes[at] << 8 | b->bytes[at + 1]
                            : (unsigned)b->bytes[at + 1] << 8 | b->bytes[at];
}

static size_t long_at(const block *b, size_t at)
{
    const size_t first = short_at(b, at);
    const size_t second = short_at(b, at + 2);

    return b->is_big_endian ? first << 16 | second : second << 16 | first;
}

unsigned lk_exif_orientation(const uint8_t *bytes, size_t len)
{
    block b = {.bytes = bytes, .len = len};
    size_t directory;
    unsigned n;

    if (len >= 6 && memcmp(bytes, "Exif\0\0", 6) == 0) {
        b.bytes += 6;
        b.len -= 6;
    }
    if (b.len < 8 ||
        (memcmp(b.bytes, "II*\0", 4) != 0 && memcmp(b.bytes, "MM\0*", 4) != 0))
        return 1;
    b.is_big_endian = b.bytes[0] == 'M';
    directory = long_at(&b, 4);
    n = short_at(&b, directory);
    for (unsigned i = 0; i < n; i++) {
        size_t entry = directory + 2 + i * ENTRY_BYTES;
        unsigned value = short_at(&b, entry + 8);

        if (short_at(&b, entry) == TAG_ORIENTATION)
            return short_at(&b, entry + 2) == TYPE_SHORT && value >= 1 &&
                           value <= 8
                       ? value
                       : 1;
    }
    return 1;
}
