/* encoder/vision_config_json.h — what the readers of image models' config.json
 * share. */
#ifndef LK_ENCODER_VISION_CONFIG_JSON_H
#define LK_ENCODER_VISION_CONFIG_JSON_H

#include <jansson.h>

#include "encoder/vision_config.h"

#define LK_VISION_CONFIG_FILE "config.json"

/* Larger than any image model known, and small enough that no product of three
 * overflows. */
#define LK_VISION_WIDTH_MAX  ((size_t)1 << 16)
#define LK_VISION_LAYERS_MAX ((size_t)1024)
#define LK_VISION_SIDE_MAX   ((size_t)4096)
#define LK_VISION_PATCH_MAX  ((size_t)64)

/* A whole number from `least` to `most`. It may be missing where `usual` says
 * what it is then; 0: it may not. */
typedef struct lk_vision_size {
    const char *key;
    size_t least, most, usual;
    size_t *ret_size;
} lk_vision_size;

/* Reads n of them. LINKD_E_DATA. */
LINKD_MUST_CHECK int lk_vision_sizes_get(const json_t *json,
                                         const lk_vision_size *sizes, size_t n,
                                         linkd_error *err);

/* mlp_ratio, 4 if nothing is said: what a feed-forward layer is wider than `dim`
 * by. LINKD_E_DATA. */
LINKD_MUST_CHECK int lk_vision_ratio_get(const json_t *json, size_t dim,
                                         double *ret_ratio, linkd_error *err);

/* layer_norm_eps. LINKD_E_DATA. */
LINKD_MUST_CHECK int lk_vision_epsilon_get(const json_t *json, double usual,
                                           float *ret_epsilon,
                                           linkd_error *err);

/* An option that a model may name, but only with the value that is implemented.
 * LINKD_E_DATA. */
LINKD_MUST_CHECK int lk_vision_option_check(const json_t *json, const char *key,
                                            bool wanted, linkd_error *err);

/* The sizes of a Swin and of a CCT; `config->kind` is set. LINKD_E_DATA. */
LINKD_MUST_CHECK int lk_swin_config_read(const json_t *json,
                                         lk_vision_config *config,
                                         linkd_error *err);
LINKD_MUST_CHECK int lk_cct_config_read(const json_t *json,
                                        lk_vision_config *config,
                                        linkd_error *err);

#endif
