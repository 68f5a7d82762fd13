/* encoder/image_webp.c — WebP by libwebp: lossy, lossless, and of an animation
 * the first picture. Alpha is dropped. */
#include <stdlib.h>
#include <string.h>

#include <webp/decode.h>
#include <webp/demux.h>

#include "encoder/image.h"

static int failure(VP8StatusCode status, linkd_error *err)
{
    if (status == VP8_STATUS_OUT_OF_MEMORY)
        return lk_fail_nomem(err);
    if (status == VP8_STATUS_NOT_ENOUGH_DATA || status == VP8_STATUS_SUSPENDED)
        return lk_fail(err, LINKD_E_DATA, "WebP image is cut off");
    return lk_fail(err, LINKD_E_DATA, "WebP image is damaged");
}

static int still_read(const lk_image_file *file, linkd_image *image,
                      linkd_error *err)
{
    WebPDecoderConfig config;
    VP8StatusCode status;

    if (!WebPInitDecoderConfig(&config))
        return lk_fail(err, LINKD_E_DATA, "libwebp is of another version");
    config.output.colorspace = MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = image->pixels;
    config.output.u.RGBA.stride = (int)(image->width * 3);
    config.output.u.RGBA.size = image->width * image->height * 3;
    status = WebPDecode(file->bytes, file->len, &config);
    WebPFreeDecBuffer(&config.output);
    return status == VP8_STATUS_OK ? LINKD_OK : failure(status, err);
}

/* The first picture may cover a part of the canvas only, so the library's own
 * drawing is used. */
static int animation_read(const lk_image_file *file, linkd_image *image,
                          linkd_error *err)
{
    const WebPData data = {.bytes = file->bytes, .size = file->len};
    WebPAnimDecoder *decoder = WebPAnimDecoderNew(&data, NULL);
    uint8_t *canvas = NULL;
    int time_ms;

    if (decoder == NULL ||
        !WebPAnimDecoderGetNext(decoder, &canvas, &time_ms) || canvas == NULL) {
        WebPAnimDecoderDelete(decoder);
        return lk_fail(err, LINKD_E_DATA,
                       "WebP animation is damaged or cut off");
    }
    for (size_t i = 0; i < image->width * image->height; i++)
        memcpy(image->pixels + i * 3, canvas + i * 4, 3);
    WebPAnimDecoderDelete(decoder);
    return LINKD_OK;
}

static unsigned orientation_of(const lk_image_file *file)
{
    const WebPData data = {.bytes = file->bytes, .size = file->len};
    WebPDemuxer *demuxer = WebPDemux(&data);
    WebPChunkIterator chunk;
    unsigned orientation = 1;

    if (demuxer != NULL && WebPDemuxGetChunk(demuxer, "EXIF", 1, &chunk)) {
        orientation = lk_exif_orientation(chunk.chunk.bytes, chunk.chunk.size);
        WebPDemuxReleaseChunkIterator(&chunk);
    }
    WebPDemuxDelete(demuxer);
    return orientation;
}

int lk_webp_decode(const lk_image_file *file, linkd_image *ret_image,
                   unsigned *ret_orientation, linkd_error *err)
{
    WebPBitstreamFeatures features;
    VP8StatusCode status = WebPGetFeatures(file->bytes, file->len, &features);
    int rc;

    if (status != VP8_STATUS_OK)
        return failure(status, err);
    rc = lk_image_new(file, (size_t)features.width, (size_t)features.height,
                      ret_image, err);
    if (rc == LINKD_OK && features.has_animation)
        rc = animation_read(file, ret_image, err);
    else if (rc == LINKD_OK)
        rc = still_read(file, ret_image, err);
    if (rc == LINKD_OK && ret_orientation != NULL)
        *ret_orientation = orientation_of(file);
    return rc;
}
