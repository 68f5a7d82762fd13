/* encoder/image_png.c — PNG by libspng.
 *
 * The library only undoes compression, filters and interlacing; samples become
 * colours here, since Pillow does that in its own way:
 *   - 1, 2 and 4 bits of grey are spread over 0 to 255;
 *   - of 16 bits the high byte counts, but 16-bit grey alone is clipped at 255,
 *     which leaves most of it white;
 *   - alpha and transparent colours are dropped, not laid over anything;
 *   - an index beyond the palette is a grey of that number. */
#include <stdlib.h>

#include <spng.h>

#include "encoder/image.h"

/* What texts, profiles and other chunks may unpack to together. */
#define CHUNKS_MAX_BYTES ((size_t)64 << 20)

typedef struct reader {
    spng_ctx *png;
    struct spng_ihdr header;
    uint8_t palette[256][3];
    size_t n_channels;
    size_t row_bytes;
    uint8_t *raw; /* [height, row_bytes] */
} reader;

/* ---- memory ------------------------------------------------------------- */

/* Where memory runs out inside of zlib, the library takes the file for damaged.
 * Its allocator is given no context, so this is noted per thread. */
static _Thread_local bool is_out_of_memory;

static void *noted(void *memory)
{
    is_out_of_memory |= memory == NULL;
    return memory;
}

static void *on_malloc(size_t size)
{
    return noted(malloc(size));
}

static void *on_realloc(void *memory, size_t size)
{
    return noted(realloc(memory, size));
}

static void *on_calloc(size_t n, size_t size)
{
    return noted(calloc(n, size));
}

static int failure(int code, linkd_error *err)
{
    if (code == SPNG_EMEM || is_out_of_memory)
        return lk_fail_nomem(err);
    if (code == SPNG_IO_EOF || code == SPNG_EIDAT_TOO_SHORT)
        return lk_fail(err, LINKD_E_DATA, "PNG image is cut off");
    return lk_fail(err, LINKD_E_DATA, "PNG image cannot be read: %s",
                   spng_strerror(code));
}

/* ---- samples to colours ------------------------------------------------- */

/* Sample `x` of a row of samples of at most 8 bits. */
static unsigned sample_at(const uint8_t *row, size_t x, unsigned bits)
{
    const size_t at = x * bits;
    const unsigned shift = 8U - bits - (unsigned)(at % 8);

    return (unsigned)row[at / 8] >> shift & ((1U << bits) - 1U);
}

static void indices_to_rgb(const reader *r, const uint8_t *row, uint8_t *out)
{
    for (size_t x = 0; x < r->header.width; x++) {
        const uint8_t *colour =
            r->palette[sample_at(row, x, r->header.bit_depth)];

        for (size_t c = 0; c < 3; c++)
            *out++ = colour[c];
    }
}

static void bits_to_rgb(const reader *r, const uint8_t *row, uint8_t *out)
{
    const unsigned bits = r->header.bit_depth;
    const unsigned step = 255U / ((1U << bits) - 1U);

    for (size_t x = 0; x < r->header.width; x++, out += 3)
        out[0] = out[1] = out[2] = (uint8_t)(sample_at(row, x, bits) * step);
}

static void deep_grey_to_rgb(const reader *r, const uint8_t *row, uint8_t *out)
{
    for (size_t x = 0; x < r->header.width; x++, row += 2, out += 3)
        out[0] = out[1] = out[2] = row[0] > 0 ? 255 : row[1];
}

/* Of each sample the first byte; of grey it counts for all three colours. */
static void channels_to_rgb(const reader *r, const uint8_t *row, uint8_t *out)
{
    const size_t sample = r->header.bit_depth / 8;
    const size_t next = r->n_channels >= 3 ? sample : 0;

    for (size_t x = 0; x < r->header.width; x++) {
        for (size_t c = 0; c < 3; c++)
            *out++ = row[c * next];
        row += r->n_channels * sample;
    }
}

static void row_to_rgb(const reader *r, const uint8_t *row, uint8_t *out)
{
    const struct spng_ihdr *header = &r->header;

    if (header->color_type == SPNG_COLOR_TYPE_INDEXED)
        indices_to_rgb(r, row, out);
    else if (header->bit_depth < 8)
        bits_to_rgb(r, row, out);
    else if (header->color_type == SPNG_COLOR_TYPE_GRAYSCALE &&
             header->bit_depth == 16)
        deep_grey_to_rgb(r, row, out);
    else
        channels_to_rgb(r, row, out);
}

/* ---- the file ----------------------------------------------------------- */

static size_t channels_of(const struct spng_ihdr *header)
{
    switch (header->color_type) {
    case SPNG_COLOR_TYPE_GRAYSCALE_ALPHA:
        return 2;
    case SPNG_COLOR_TYPE_TRUECOLOR:
        return 3;
    case SPNG_COLOR_TYPE_TRUECOLOR_ALPHA:
        return 4;
    default:
        return 1;
    }
}

static int palette_read(reader *r, linkd_error *err)
{
    struct spng_plte palette = {0};
    int code;

    if (r->header.color_type != SPNG_COLOR_TYPE_INDEXED)
        return LINKD_OK;
    code = spng_get_plte(r->png, &palette);
    if (code != 0)
        return failure(code, err);
    for (size_t i = 0; i < 256; i++) {
        const struct spng_plte_entry *entry = &palette.entries[i];
        const bool is_there = i < palette.n_entries;

        r->palette[i][0] = is_there ? entry->red : (uint8_t)i;
        r->palette[i][1] = is_there ? entry->green : (uint8_t)i;
        r->palette[i][2] = is_there ? entry->blue : (uint8_t)i;
    }
    return LINKD_OK;
}

static int header_read(reader *r, const lk_image_file *file,
                       linkd_image *ret_image, linkd_error *err)
{
    struct spng_alloc memory = {.malloc_fn = on_malloc,
                                .realloc_fn = on_realloc,
                                .calloc_fn = on_calloc,
                                .free_fn = free};
    int code;

    is_out_of_memory = false;
    r->png = spng_ctx_new2(&memory, 0);
    if (r->png == NULL)
        return lk_fail_nomem(err);
    code = spng_set_chunk_limits(r->png, CHUNKS_MAX_BYTES, CHUNKS_MAX_BYTES);
    if (code == 0)
        code = spng_set_png_buffer(r->png, file->bytes, file->len);
    if (code == 0)
        code = spng_get_ihdr(r->png, &r->header);
    if (code != 0)
        return failure(code, err);
    return lk_image_new(file, r->header.width, r->header.height, ret_image,
                        err);
}

static int raw_read(reader *r, linkd_error *err)
{
    const size_t bits = channels_of(&r->header) * r->header.bit_depth;
    size_t n_bytes;
    int code;

    r->n_channels = channels_of(&r->header);
    r->row_bytes = (r->header.width * bits + 7) / 8;
    n_bytes = r->row_bytes * r->header.height;
    LK_ASSERT(n_bytes > 0); /* lk_image_new() saw to it */
    /* zeroed: of interlaced rows the library ors the bits together */
    r->raw = calloc(n_bytes, 1);
    if (r->raw == NULL)
        return lk_fail_nomem(err);
    code = spng_decode_image(r->png, r->raw, n_bytes, SPNG_FMT_RAW, 0);
    return code == 0 ? LINKD_OK : failure(code, err);
}

static unsigned orientation_of(reader *r)
{
    struct spng_exif exif;

    if (spng_get_exif(r->png, &exif) != 0)
        return 1;
    return lk_exif_orientation((const uint8_t *)exif.data, exif.length);
}

int lk_png_decode(const lk_image_file *file, linkd_image *ret_image,
                  unsigned *ret_orientation, linkd_error *err)
{
    reader r = {0};
    int rc = header_read(&r, file, ret_image, err);

    if (rc == LINKD_OK)
        rc = palette_read(&r, err);
    if (rc == LINKD_OK)
        rc = raw_read(&r, err);
    for (size_t y = 0; rc == LINKD_OK && y < r.header.height; y++)
        row_to_rgb(&r, r.raw + y * r.row_bytes,
                   ret_image->pixels + y * r.header.width * 3);
    if (rc == LINKD_OK && ret_orientation != NULL)
        *ret_orientation = orientation_of(&r);
    free(r.raw);
    spng_ctx_free(r.png);
    return rc;
}
