/* encoder/image_jpeg.c — JPEG by libjpeg-turbo.
 *
 * Settings are the library's defaults, which are Pillow's: slow integer DCT
 * and smooth upsampling of the colours. Four channels are ink: like Pillow, we
 * take them as Adobe writes them, inverted, whether Adobe's marker is there or
 * not, and multiply the light that each ink and the black let through.
 *
 * The library reports fatal errors by not returning from a callback, so this
 * file has the one setjmp of the folder. Everything that is to be freed after a
 * jump is in `reader`, and what changes after the setjmp is not in registers. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <jerror.h>
#include <jpeglib.h>

#include "encoder/image.h"

/* A progressive file may draw over the whole image again and again: a few
 * kilobytes then take minutes. Real ones have 10 scans or so (guess). */
#define SCANS_MAX 100

typedef struct reader {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_source_mgr source;
    struct jpeg_progress_mgr progress;
    jmp_buf failed;
    bool is_cut_off;
    bool has_too_many_scans;
    JSAMPLE *row; /* of one or four channels */
} reader;

/* ---- callbacks ---------------------------------------------------------- */

static reader *reader_of(j_common_ptr jpeg)
{
    return jpeg->client_data;
}

static void on_error(j_common_ptr jpeg)
{
    longjmp(reader_of(jpeg)->failed, 1);
}

/* Damage that can be drawn over is drawn over, as everywhere. */
static void on_message(j_common_ptr jpeg, int level)
{
    (void)jpeg;
    (void)level;
}

static void on_source(j_decompress_ptr jpeg)
{
    (void)jpeg;
}

/* All bytes were given at the start, so that more are asked for means that the
 * file is cut off. */
static boolean on_more_bytes(j_decompress_ptr jpeg)
{
    reader *r = jpeg->client_data;

    r->is_cut_off = true;
    longjmp(r->failed, 1);
}

static void on_skip(j_decompress_ptr jpeg, long n)
{
    struct jpeg_source_mgr *source = jpeg->src;

    if (n <= 0)
        return;
    if ((size_t)n > source->bytes_in_buffer)
        (void)on_more_bytes(jpeg);
    source->next_input_byte += n;
    source->bytes_in_buffer -= (size_t)n;
}

static void on_progress(j_common_ptr jpeg)
{
    reader *r = reader_of(jpeg);

    if (r->jpeg.input_scan_number <= SCANS_MAX)
        return;
    r->has_too_many_scans = true;
    longjmp(r->failed, 1);
}

static int failure(reader *r, linkd_error *err)
{
    char text[JMSG_LENGTH_MAX];

    if (r->is_cut_off)
        return lk_fail(err, LINKD_E_DATA, "JPEG image is cut off");
    if (r->has_too_many_scans)
        return lk_fail(err, LINKD_E_DATA, "JPEG image has more than %d scans",
                       SCANS_MAX);
    if (r->errors.msg_code == JERR_OUT_OF_MEMORY)
        return lk_fail_nomem(err);
    r->errors.format_message((j_common_ptr)&r->jpeg, text);
    return lk_fail(err, LINKD_E_DATA, "JPEG image cannot be read: %s", text);
}

static void reader_init(reader *r, const lk_image_file *file)
{
    r->jpeg.err = jpeg_std_error(&r->errors);
    r->errors.error_exit = on_error;
    r->errors.emit_message = on_message;
    r->jpeg.client_data = r;
    r->progress.progress_monitor = on_progress;
    r->source =
        (struct jpeg_source_mgr){.next_input_byte = file->bytes,
                                 .bytes_in_buffer = file->len,
                                 .init_source = on_source,
                                 .fill_input_buffer = on_more_bytes,
                                 .skip_input_data = on_skip,
                                 .resync_to_restart = jpeg_resync_to_restart,
                                 .term_source = on_source};
}

/* ---- pixels ------------------------------------------------------------- */

static unsigned orientation_of(const struct jpeg_decompress_struct *jpeg)
{
    for (jpeg_saved_marker_ptr m = jpeg->marker_list; m != NULL; m = m->next) {
        if (m->data_length >= 4 && m->data[0] == 'E')
            return lk_exif_orientation(m->data, m->data_length);
    }
    return 1;
}

static void grey_to_rgb(const JSAMPLE *in, size_t width, uint8_t *out)
{
    for (size_t x = 0; x < width; x++, out += 3)
        out[0] = out[1] = out[2] = in[x];
}

/* a * b / 255, rounded */
static uint8_t scaled(unsigned a, unsigned b)
{
    unsigned product = a * b + 128;

    return (uint8_t)((product + (product >> 8)) >> 8);
}

/* Pillow's order of operations: white less the black, less the ink's share of
 * that. `in` is inverted: 255 is no ink. */
static void ink_to_rgb(const JSAMPLE *in, size_t width, uint8_t *out)
{
    for (size_t x = 0; x < width; x++, in += 4)
        for (size_t c = 0; c < 3; c++)
            *out++ = (uint8_t)(in[3] - scaled(255U - in[c], in[3]));
}

static J_COLOR_SPACE colours_of(int n_channels)
{
    return n_channels == 1   ? JCS_GRAYSCALE
           : n_channels == 3 ? JCS_RGB
                             : JCS_CMYK;
}

static void rows_read(reader *r, linkd_image *image)
{
    struct jpeg_decompress_struct *jpeg = &r->jpeg;

    while (jpeg->output_scanline < jpeg->output_height) {
        uint8_t *out = image->pixels + jpeg->output_scanline * image->width * 3;
        JSAMPROW row = jpeg->num_components == 3 ? out : r->row;

        (void)jpeg_read_scanlines(jpeg, &row, 1);
        if (jpeg->num_components == 1)
            grey_to_rgb(r->row, image->width, out);
        else if (jpeg->num_components == 4)
            ink_to_rgb(r->row, image->width, out);
    }
}

/* Jumps where the library fails. */
static int image_read(reader *r, const lk_image_file *file, linkd_image *image,
                      unsigned *ret_orientation, linkd_error *err)
{
    struct jpeg_decompress_struct *jpeg = &r->jpeg;
    int rc;

    jpeg_create_decompress(jpeg);
    jpeg->src = &r->source;
    jpeg->progress = &r->progress;
    if (ret_orientation != NULL)
        jpeg_save_markers(jpeg, JPEG_APP0 + 1, 0xFFFF);
    (void)jpeg_read_header(jpeg, TRUE);
    if (jpeg->num_components != 1 && jpeg->num_components != 3 &&
        jpeg->num_components != 4)
        return lk_fail(err, LINKD_E_DATA,
                       "JPEG image of %d channels is not supported",
                       jpeg->num_components);
    rc = lk_image_new(file, jpeg->image_width, jpeg->image_height, image, err);
    if (rc != LINKD_OK)
        return rc;
    if (ret_orientation != NULL)
        *ret_orientation = orientation_of(jpeg);
    r->row = malloc(image->width * 4);
    if (r->row == NULL)
        return lk_fail_nomem(err);
    jpeg->out_color_space = colours_of(jpeg->num_components);
    (void)jpeg_start_decompress(jpeg);
    rows_read(r, image);
    (void)jpeg_finish_decompress(jpeg);
    return LINKD_OK;
}

int lk_jpeg_decode(const lk_image_file *file, linkd_image *ret_image,
                   unsigned *ret_orientation, linkd_error *err)
{
    reader *r = calloc(1, sizeof(*r));
    int rc;

    if (r == NULL)
        return lk_fail_nomem(err);
    reader_init(r, file);
    if (setjmp(r->failed) == 0)
        rc = image_read(r, file, ret_image, ret_orientation, err);
    else
        rc = failure(r, err);
    jpeg_destroy_decompress(&r->jpeg);
    free(r->row);
    free(r);
    return rc;
}
