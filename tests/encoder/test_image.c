/* Image files to pixels: bit for bit Pillow's, over files that Pillow wrote or
 * that only a hand-made writer gives (tests/golden/image, PROVENANCE there);
 * and each way in which a file can be refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "encoder/file.h"
#include "encoder/image.h"
#include "encoder/image_prepare.h"
#include "tests/support/alloc_fail.h"

#define GOLDEN "tests/golden/image/"

static lk_file golden_map(const char *name, const char *ending)
{
    char path[128];
    lk_file file = {0};
    linkd_error err;

    (void)snprintf(path, sizeof(path), GOLDEN "%s%s", name, ending);
    if (lk_file_map(path, &file, &err) != LINKD_OK)
        fail_msg("%s", err.message);
    return file;
}

static linkd_str bytes_of(const lk_file *file)
{
    return (linkd_str){(const char *)file->bytes, file->len};
}

/* A copy that may be changed; freed with free(). */
static uint8_t *golden_copy(const char *name, size_t extra, size_t *ret_len)
{
    lk_file file = golden_map(name, "");
    uint8_t *bytes = calloc(1, file.len + extra);

    assert_non_null(bytes);
    memcpy(bytes, file.bytes, file.len);
    *ret_len = file.len;
    lk_file_unmap(&file);
    return bytes;
}

/* ---- Pillow's pixels ---------------------------------------------------- */

static uint64_t fnv1a(const uint8_t *bytes, size_t n)
{
    uint64_t hash = 0xCBF29CE484222325U;

    for (size_t i = 0; i < n; i++)
        hash = (hash ^ bytes[i]) * 0x100000001B3U;
    return hash;
}

static void assert_pixels(const linkd_image *image, const char *what,
                          size_t width, size_t height, uint64_t hash)
{
    if (image->width != width || image->height != height)
        fail_msg("%s is %zu x %zu, not %zu x %zu", what, image->width,
                 image->height, width, height);
    if (fnv1a(image->pixels, width * height * 3) != hash)
        fail_msg("%s has other pixels than Pillow gives", what);
}

static void image_decode(const char *name, bool orient, linkd_image *image)
{
    linkd_image_options options = LINKD_IMAGE_OPTIONS_INIT;
    lk_file file = golden_map(name, "");
    linkd_error err;

    options.orient = orient;
    if (linkd_image_decode(bytes_of(&file), &options, image, &err) != LINKD_OK)
        fail_msg("%s: %s", name, err.message);
    lk_file_unmap(&file);
}

static void image_prepare(const char *how, linkd_image *image)
{
    lk_file file = golden_map(how, ".json");
    lk_preparation preparation;
    linkd_image prepared = {0};
    linkd_error err;

    if (lk_preparation_parse(file.bytes, file.len, &preparation, &err) !=
            LINKD_OK ||
        lk_image_prepare(&preparation, image, &prepared, &err) != LINKD_OK)
        fail_msg("%s: %s", how, err.message);
    lk_file_unmap(&file);
    linkd_image_clear(image);
    *image = prepared;
}

static void every_kind_of_picture_has_pillows_pixels(void **state)
{
    FILE *table = fopen(GOLDEN "pixels.tsv", "rb");
    char name[64];
    char how[16];
    size_t width;
    size_t height;
    unsigned long long hash;
    size_t n = 0;

    (void)state;
    assert_non_null(table);
    while (fscanf(table, "%63s %15s %zu %zu %llx", name, how, &width, &height,
                  &hash) == 5) {
        linkd_image image = {0};
        char what[96];

        (void)snprintf(what, sizeof(what), "%s, %s,", name, how);
        image_decode(name, strcmp(how, "upright") == 0, &image);
        if (strcmp(how, "plain") != 0 && strcmp(how, "upright") != 0)
            image_prepare(how, &image);
        assert_pixels(&image, what, width, height, hash);
        linkd_image_clear(&image);
        n++;
    }
    (void)fclose(table);
    assert_true(n > 400);
}

static void a_window_is_a_part_of_the_whole(void **state)
{
    static const lk_window all = {0, 0, 41, 17};
    static const lk_window window = {7, 5, 11, 9};
    linkd_image image = {0};
    linkd_image whole = {0};
    linkd_image part = {0};

    (void)state;
    image_decode("jpeg-95-0.jpg", false, &image);
    assert_int_equal(
        lk_image_resize(&image, 41, 17, &all, LK_FILTER_BICUBIC, &whole, NULL),
        LINKD_OK);
    assert_int_equal(lk_image_resize(&image, 41, 17, &window, LK_FILTER_BICUBIC,
                                     &part, NULL),
                     LINKD_OK);
    for (size_t y = 0; y < window.height; y++)
        assert_memory_equal(part.pixels + y * window.width * 3,
                            whole.pixels +
                                ((window.top + y) * 41 + window.left) * 3,
                            window.width * 3);
    linkd_image_clear(&part);
    linkd_image_clear(&whole);
    linkd_image_clear(&image);
}

/* ---- the perceptual hash ------------------------------------------------ */

/* By ImageHash 4.3.2: str(imagehash.phash(Image.open(name).convert("RGB"))). */
static void hashes_are_those_of_imagehash(void **state)
{
    static const struct {
        const char *name;
        uint64_t hash;
    } cases[] = {
        {"turned-1.png", 0xa83507f8f80616fb},
        {"turned-2.png", 0xccb3834cb963b64a},
        {"png-6-8.png", 0xb34c67914c639d66},
        {"png-2-16.png", 0xd629bad4292bd2d4},
        {"jpeg-95-0.jpg", 0xc9b34d10c638afea},
        {"jpeg-CMYK.jpg", 0xd24c73d991b38a53},
        {"webp-RGB-80.webp", 0x95d17d906b6aca4a},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        linkd_image image = {0};
        uint64_t hash = 0;

        image_decode(cases[i].name, false, &image);
        assert_int_equal(linkd_image_hash(&image, &hash, NULL), LINKD_OK);
        if (hash != cases[i].hash)
            fail_msg("%s has the hash %016llx", cases[i].name,
                     (unsigned long long)hash);
        linkd_image_clear(&image);
    }
}

/* Its bits would be those of rounding errors. */
static void a_picture_of_one_colour_has_no_hash(void **state)
{
    uint8_t pixels[30 * 20 * 3];
    const linkd_image image = {30, 20, pixels};
    uint64_t hash = 42;
    linkd_error err;

    (void)state;
    memset(pixels, 77, sizeof(pixels));
    assert_int_equal(linkd_image_hash(&image, &hash, &err), LINKD_E_DATA);
    assert_string_equal(err.message,
                        "image is of one colour and looks like any other");
    pixels[300] = 255;
    assert_int_equal(linkd_image_hash(&image, &hash, NULL), LINKD_OK);
    for (size_t n = 1;; n++) {
        int rc;

        alloc_fail_at(n);
        rc = linkd_image_hash(&image, &hash, NULL);
        if (!alloc_fail_off())
            break;
        assert_int_equal(rc, LINKD_E_NOMEM);
    }
}

/* ---- refusals ----------------------------------------------------------- */

static void assert_refused(const void *bytes, size_t len, const char *message)
{
    linkd_image image = {0};
    linkd_error err = {0};

    assert_int_equal(
        linkd_image_decode((linkd_str){bytes, len}, NULL, &image, &err),
        LINKD_E_DATA);
    assert_string_equal(err.message, message);
    assert_null(image.pixels);
}

static void what_is_no_picture_is_refused(void **state)
{
    (void)state;
    assert_refused("", 0, "image file is empty");
    assert_refused("GIF89a", 6, "image is no JPEG, PNG or WebP file");
    assert_refused("RIFF....WAVE", 12, "image is no JPEG, PNG or WebP file");
}

static void a_file_that_is_cut_off_is_refused(void **state)
{
    static const char *const names[] = {
        "jpeg-95-0.jpg",    "jpeg-75-2-progressive.jpg",
        "png-2-8.png",      "png-3-4-interlaced.png",
        "webp-RGB-80.webp", "webp-RGBA-80-lossless.webp"};

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *kind = names[i][0] == 'j'   ? "JPEG"
                           : names[i][0] == 'p' ? "PNG"
                                                : "WebP";
        lk_file file = golden_map(names[i], "");
        char message[64];

        (void)snprintf(message, sizeof(message), "%s image is cut off", kind);
        assert_refused(file.bytes, file.len / 2, message);
        lk_file_unmap(&file);
    }
    assert_refused("\xFF\xD8\xFF", 3, "JPEG image is cut off");
}

static void a_damaged_file_is_refused(void **state)
{
    size_t len;
    uint8_t *bytes = golden_copy("png-2-8.png", 0, &len);

    (void)state;
    bytes[19] ^= 1;
    assert_refused(bytes, len,
                   "PNG image cannot be read: invalid chunk checksum");
    free(bytes);
    bytes = golden_copy("webp-animation.webp", 0, &len);
    assert_refused(bytes, len / 2, "WebP animation is damaged or cut off");
    bytes[12] = '?';
    assert_refused(bytes, len, "WebP image is damaged");
    free(bytes);
    assert_refused("\xFF\xD8\xFF\xD8\xFF\xD9", 6,
                   "JPEG image cannot be read: Invalid JPEG file structure: "
                   "two SOI markers");
}

static uint32_t crc32_of(const uint8_t *bytes, size_t n)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < n; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320U : 0);
    }
    return ~crc;
}

static void put_be32(uint8_t *bytes, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* A PNG that says it is so large, and holds a few bytes. */
static void assert_size_refused(uint32_t width, uint32_t height,
                                const char *message)
{
    size_t len;
    uint8_t *bytes = golden_copy("png-2-8.png", 0, &len);

    put_be32(bytes + 16, width);
    put_be32(bytes + 20, height);
    put_be32(bytes + 29, crc32_of(bytes + 12, 17));
    assert_refused(bytes, len, message);
    free(bytes);
}

static void a_size_over_a_limit_is_refused_by_the_header(void **state)
{
    (void)state;
    assert_size_refused(50000, 50000,
                        "image of 50000 x 50000 pixels is over the limit of "
                        "67108864");
    assert_size_refused(1, 100000,
                        "image of 1 x 100000 pixels has a side over the limit "
                        "of 65535");
}

static void the_limit_of_pixels_is_the_callers(void **state)
{
    linkd_image_options options = {.max_pixels = 50};
    lk_file file = golden_map("jpeg-ycck.jpg", "");
    linkd_image image = {0};
    linkd_error err;

    (void)state;
    assert_int_equal(
        linkd_image_decode(bytes_of(&file), &options, &image, &err),
        LINKD_E_DATA);
    assert_string_equal(err.message,
                        "image of 30 x 29 pixels is over the limit of 50");
    options.max_pixels = 30 * 29;
    assert_int_equal(
        linkd_image_decode(bytes_of(&file), &options, &image, &err), LINKD_OK);
    linkd_image_clear(&image);
    lk_file_unmap(&file);
}

/* Draws the last scan of a progressive file 200 times. */
static void a_jpeg_that_is_drawn_over_and_over_is_refused(void **state)
{
    enum { N_SCANS = 200, EXTRA = 1 << 20 };
    size_t len;
    uint8_t *bytes = golden_copy("jpeg-95-0-progressive.jpg", EXTRA, &len);
    size_t begin = len - 2;
    size_t scan;

    (void)state;
    while (bytes[begin] != 0xFF || bytes[begin + 1] != 0xDA)
        begin--;
    scan = len - 2 - begin;
    assert_true(scan * N_SCANS < EXTRA);
    for (size_t i = 1; i <= N_SCANS; i++)
        memcpy(bytes + begin + i * scan, bytes + begin, scan);
    memcpy(bytes + begin + (N_SCANS + 1) * scan, "\xFF\xD9", 2);
    assert_refused(bytes, begin + (N_SCANS + 1) * scan + 2,
                   "JPEG image has more than 100 scans");
    free(bytes);
}

/* ---- orientation -------------------------------------------------------- */

static void an_exif_block_that_makes_no_sense_is_upright(void **state)
{
    static const uint8_t good[] = "II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0"
                                  "\0\x06\0\0\0";
    uint8_t bytes[sizeof(good)];

    (void)state;
    assert_int_equal(lk_exif_orientation(good, sizeof(good)), 6);
    for (size_t len = 0; len < 20; len++)
        assert_int_equal(lk_exif_orientation(good, len), 1);
    memcpy(bytes, good, sizeof(good));
    bytes[18] = 9; /* no such orientation */
    assert_int_equal(lk_exif_orientation(bytes, sizeof(bytes)), 1);
    bytes[18] = 6;
    bytes[12] = 4; /* a long */
    assert_int_equal(lk_exif_orientation(bytes, sizeof(bytes)), 1);
    memset(bytes + 4, 0xFF, 4); /* the directory lies far outside */
    assert_int_equal(lk_exif_orientation(bytes, sizeof(bytes)), 1);
}

/* ---- memory ------------------------------------------------------------- */

static void memory_that_runs_out_is_reported(void **state)
{
    static const char *const names[] = {"turned-6.jpg", "turned-6.png",
                                        "turned-6.webp", "png-3-4.png",
                                        "jpeg-CMYK.jpg"};
    const linkd_image_options options = {.max_pixels = 10000, .orient = true};

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        lk_file file = golden_map(names[i], "");

        for (size_t n = 1;; n++) {
            linkd_image image = {0};
            int rc;

            alloc_fail_at(n);
            rc = linkd_image_decode(bytes_of(&file), &options, &image, NULL);
            if (!alloc_fail_off()) {
                assert_int_equal(rc, LINKD_OK);
                assert_true(n > 2);
                linkd_image_clear(&image);
                break;
            }
            assert_int_equal(rc, LINKD_E_NOMEM);
            assert_null(image.pixels);
        }
        lk_file_unmap(&file);
    }
}

static void a_preparation_reports_memory_that_runs_out(void **state)
{
    static const char *const kinds[] = {"clip", "padded"};
    linkd_image image = {0};

    (void)state;
    image_decode("jpeg-ycck.jpg", false, &image);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        lk_file file = golden_map(kinds[i], ".json");
        lk_preparation preparation;

        assert_int_equal(
            lk_preparation_parse(file.bytes, file.len, &preparation, NULL),
            LINKD_OK);
        lk_file_unmap(&file);
        for (size_t n = 1;; n++) {
            linkd_image prepared = {0};
            int rc;

            alloc_fail_at(n);
            rc = lk_image_prepare(&preparation, &image, &prepared, NULL);
            if (!alloc_fail_off()) {
                assert_int_equal(rc, LINKD_OK);
                linkd_image_clear(&prepared);
                break;
            }
            assert_int_equal(rc, LINKD_E_NOMEM);
            assert_null(prepared.pixels);
        }
    }
    linkd_image_clear(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_picture_has_pillows_pixels),
        cmocka_unit_test(a_window_is_a_part_of_the_whole),
        cmocka_unit_test(hashes_are_those_of_imagehash),
        cmocka_unit_test(a_picture_of_one_colour_has_no_hash),
        cmocka_unit_test(what_is_no_picture_is_refused),
        cmocka_unit_test(a_file_that_is_cut_off_is_refused),
        cmocka_unit_test(a_damaged_file_is_refused),
        cmocka_unit_test(a_size_over_a_limit_is_refused_by_the_header),
        cmocka_unit_test(the_limit_of_pixels_is_the_callers),
        cmocka_unit_test(a_jpeg_that_is_drawn_over_and_over_is_refused),
        cmocka_unit_test(an_exif_block_that_makes_no_sense_is_upright),
        cmocka_unit_test(memory_that_runs_out_is_reported),
        cmocka_unit_test(a_preparation_reports_memory_that_runs_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
