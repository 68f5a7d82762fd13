/* encoder/image_prepare.c — what preprocessor_config.json says is done to a
 * picture before the model sees it.
 *
 * The reference is transformers' slow image processors (ViTImageProcessor,
 * CLIPImageProcessor, BitImageProcessor, which DINOv2 uses), whose forms of
 * `size` and `crop_size` have grown over the years:
 *
 *   224                              a square, or (CLIP, Bit) the shorter side
 *   {"height": 224, "width": 224}    that size
 *   {"shortest_edge": 224}           the shorter side; the other one keeps the
 *                                    picture's proportions, rounded down
 *
 * Rescaling and normalising are one product and one sum per byte, which the
 * model folds into its first layer. */
#include "encoder/image_prepare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "encoder/json.h"

#define FILE_NAME "preprocessor_config.json"
#define SIDE_MAX  4096 /* of what a model sees; the largest known have 1,024 */

/* ---- reading ------------------------------------------------------------ */

/* Whether a step is done; a missing key is `usual`. */
static bool does(const json_t *json, const char *key, bool usual)
{
    const json_t *value = json_object_get(json, key);

    return json_is_boolean(value) ? json_is_true(value) : usual;
}

static int side_check(const json_t *value, const char *key, size_t *ret_side,
                      linkd_error *err)
{
    if (!json_is_integer(value) || json_integer_value(value) < 1 ||
        json_integer_value(value) > SIDE_MAX)
        return lk_fail(err, LINKD_E_DATA,
                       FILE_NAME ": %s has no side between 1 and %d", key,
                       SIDE_MAX);
    *ret_side = (size_t)json_integer_value(value);
    return LINKD_OK;
}

/* {"height": …, "width": …}, or one number for both. */
static int rectangle_get(const json_t *value, const char *key,
                         size_t *ret_width, size_t *ret_height,
                         linkd_error *err)
{
    const bool is_object = json_is_object(value);
    int rc = side_check(is_object ? json_object_get(value, "width") : value,
                        key, ret_width, err);

    if (rc == LINKD_OK)
        rc = side_check(is_object ? json_object_get(value, "height") : value,
                        key, ret_height, err);
    return rc;
}

/* The processors that take a lone number for the shorter side, and cut out the
 * centre if nothing is said. */
static bool is_of_clip(const json_t *json)
{
    const json_t *type = json_object_get(json, "image_processor_type");
    const char *name;

    if (type == NULL)
        type = json_object_get(json, "feature_extractor_type");
    name = json_string_value(type);
    return name != NULL &&
           (strncmp(name, "CLIP", 4) == 0 || strncmp(name, "Bit", 3) == 0);
}

static int size_get(const json_t *json, lk_preparation *p, linkd_error *err)
{
    const json_t *size = json_object_get(json, "size");
    const json_t *edge = json_object_get(size, "shortest_edge");

    if (edge == NULL && json_is_integer(size) && is_of_clip(json))
        edge = size;
    if (edge != NULL)
        return side_check(edge, "size", &p->shortest_edge, err);
    return rectangle_get(size, "size", &p->width, &p->height, err);
}

static int filter_get(const json_t *json, lk_filter *ret_filter,
                      linkd_error *err)
{
    const json_t *value = json_object_get(json, "resample");
    const json_int_t code = json_integer_value(value);

    if (!json_is_integer(value) || code < LK_FILTER_LANCZOS ||
        code > LK_FILTER_BICUBIC)
        return lk_fail(err, LINKD_E_DATA,
                       FILE_NAME ": resample is none of 1 (lanczos), 2 "
                                 "(bilinear) and 3 (bicubic)");
    *ret_filter = (lk_filter)code;
    return LINKD_OK;
}

/* Every picture has to come out in one size. */
static int geometry_get(const json_t *json, lk_preparation *p, linkd_error *err)
{
    int rc = LINKD_OK;

    p->resizes = does(json, "do_resize", true);
    p->crops = does(json, "do_center_crop", is_of_clip(json));
    if (p->resizes)
        rc = size_get(json, p, err);
    if (rc == LINKD_OK && p->resizes)
        rc = filter_get(json, &p->filter, err);
    if (rc == LINKD_OK && p->crops)
        return rectangle_get(json_object_get(json, "crop_size"), "crop_size",
                             &p->out_width, &p->out_height, err);
    if (rc == LINKD_OK && (!p->resizes || p->shortest_edge > 0))
        rc = lk_fail(err, LINKD_E_DATA,
                     FILE_NAME ": leaves pictures of different sizes, which is "
                               "not supported");
    p->out_width = p->width;
    p->out_height = p->height;
    return rc;
}

/* `values` [3] of image_mean or image_std. */
static int colours_get(const json_t *json, const char *key, double *values,
                       linkd_error *err)
{
    const json_t *array = json_object_get(json, key);

    for (size_t c = 0; c < 3; c++) {
        const json_t *value = json_array_get(array, c);

        values[c] = json_number_value(value);
        if (json_array_size(array) != 3 || !json_is_number(value) ||
            !isfinite((float)values[c]))
            return lk_fail(err, LINKD_E_DATA,
                           FILE_NAME ": %s is not three numbers", key);
    }
    return LINKD_OK;
}

/* (byte * factor - mean) / std */
static int colours_scale(const json_t *json, lk_preparation *p,
                         linkd_error *err)
{
    const json_t *value = json_object_get(json, "rescale_factor");
    double factor = value == NULL ? 1.0 / 255.0 : json_number_value(value);
    double means[3] = {0.0, 0.0, 0.0};
    double stds[3] = {1.0, 1.0, 1.0};
    int rc = LINKD_OK;

    if (!does(json, "do_rescale", true))
        factor = 1.0;
    if (does(json, "do_normalize", true))
        rc = colours_get(json, "image_mean", means, err);
    if (rc == LINKD_OK && does(json, "do_normalize", true))
        rc = colours_get(json, "image_std", stds, err);
    for (size_t c = 0; c < 3 && rc == LINKD_OK; c++) {
        p->scales[c] = (float)(factor / stds[c]);
        p->shifts[c] = (float)(-means[c] / stds[c]);
        if (!isfinite(p->scales[c]) || !isfinite(p->shifts[c]) ||
            p->scales[c] == 0.0F)
            rc = lk_fail(err, LINKD_E_DATA,
                         FILE_NAME ": rescale_factor or image_std is 0 or "
                                   "too small");
    }
    return rc;
}

int lk_preparation_parse(const void *bytes, size_t len,
                         lk_preparation *ret_preparation, linkd_error *err)
{
    lk_preparation p = {0};
    json_t *json = NULL;
    int rc = lk_json_parse_bytes(bytes, len, FILE_NAME, &json, err);

    if (rc == LINKD_OK && !json_is_object(json))
        rc = lk_fail(err, LINKD_E_DATA, FILE_NAME ": is not a JSON object");
    if (rc == LINKD_OK)
        rc = geometry_get(json, &p, err);
    if (rc == LINKD_OK)
        rc = colours_scale(json, &p, err);
    if (rc == LINKD_OK)
        *ret_preparation = p;
    json_decref(json);
    return rc;
}

/* ---- doing -------------------------------------------------------------- */

static void resized_size(const lk_preparation *p, const linkd_image *image,
                         size_t *ret_width, size_t *ret_height)
{
    const size_t w = image->width;
    const size_t h = image->height;
    const size_t shorter = w < h ? w : h;
    const size_t longer = w < h ? h : w;
    size_t length;

    if (!p->resizes || p->shortest_edge == 0) {
        *ret_width = p->resizes ? p->width : w;
        *ret_height = p->resizes ? p->height : h;
        return;
    }
    length = (size_t)((double)(p->shortest_edge * longer) / (double)shorter);
    *ret_width = w <= h ? p->shortest_edge : length;
    *ret_height = w <= h ? length : p->shortest_edge;
}

/* One direction: the part that is kept, and where the result has it. */
typedef struct cut {
    size_t from;
    size_t n;
    size_t to;
} cut;

static cut cut_of(size_t size, size_t wanted)
{
    if (size >= wanted)
        return (cut){.from = (size - wanted) / 2, .n = wanted, .to = 0};
    return (cut){.from = 0, .n = size, .to = (wanted - size + 1) / 2};
}

/* On black, where the crop is larger than the picture. */
static int image_lay(const linkd_image *image, cut across, cut down,
                     size_t width, size_t height, linkd_image *ret_image,
                     linkd_error *err)
{
    ret_image->pixels = calloc(width * height, 3);
    if (ret_image->pixels == NULL)
        return lk_fail_nomem(err);
    ret_image->width = width;
    ret_image->height = height;
    for (size_t y = 0; y < down.n; y++)
        memcpy(ret_image->pixels + ((down.to + y) * width + across.to) * 3,
               image->pixels + y * across.n * 3, across.n * 3);
    return LINKD_OK;
}

int lk_image_prepare(const lk_preparation *preparation,
                     const linkd_image *image, linkd_image *ret_image,
                     linkd_error *err)
{
    const lk_preparation *p = preparation;
    linkd_image part = {0};
    lk_window window;
    size_t width;
    size_t height;
    cut across;
    cut down;
    int rc;

    resized_size(p, image, &width, &height);
    across = cut_of(width, p->out_width);
    down = cut_of(height, p->out_height);
    window = (lk_window){across.from, down.from, across.n, down.n};
    rc = lk_image_resize(image, width, height, &window, p->filter, &part, err);
    if (rc != LINKD_OK)
        return rc;
    if (across.n == p->out_width && down.n == p->out_height) {
        *ret_image = part;
        return LINKD_OK;
    }
    rc = image_lay(&part, across, down, p->out_width, p->out_height, ret_image,
                   err);
    linkd_image_clear(&part);
    return rc;
}
