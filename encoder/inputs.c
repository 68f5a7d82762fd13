/* encoder/inputs.c — what a model reads, as far as its directory tells before it
 * is opened. */
#include <string.h>

#include "encoder/encoder.h"
#include "encoder/file.h"
#include "encoder/json.h"
#include "encoder/vision_config.h"

#define MODEL_FILE "config.json"

static int has_any(const char *dir, const char *const *names, size_t n,
                   bool *ret_has, linkd_error *err)
{
    lk_buf path = {0};
    bool has = false;
    int rc = LINKD_OK;

    for (size_t i = 0; i < n && !has && rc == LINKD_OK; i++) {
        rc = lk_file_path(dir, names[i], &path, err);
        has = rc == LINKD_OK && lk_file_exists(path.data);
    }
    *ret_has = has;
    lk_buf_clear(&path);
    return rc;
}

/* Each of CLIP's towers can be there alone. */
static int clip_inputs(const char *dir, linkd_inputs *ret_inputs,
                       linkd_error *err)
{
    static const char *const pictures[] = {"preprocessor_config.json"};
    static const char *const texts[] = {"tokenizer.json", "vocab.json"};
    bool has_texts = false;
    int rc = has_any(dir, pictures, 1, &ret_inputs->pictures, err);

    if (rc == LINKD_OK)
        rc = has_any(dir, texts, 2, &has_texts, err);
    ret_inputs->texts = has_texts || !ret_inputs->pictures;
    return rc;
}

int linkd_encoder_inputs(const char *dir, linkd_inputs *ret_inputs,
                         linkd_error *err)
{
    lk_vision_kind kind = LK_VISION_VIT;
    linkd_inputs inputs = {.texts = true};
    json_t *config = NULL;
    const char *type;
    int rc = lk_json_read(dir, MODEL_FILE, &config, err);

    if (rc != LINKD_OK)
        return rc;
    type = json_string_value(json_object_get(config, "model_type"));
    if (type != NULL && lk_vision_kind_find(type, &kind)) {
        inputs = (linkd_inputs){.pictures = true};
        if (kind == LK_VISION_CLIP)
            rc = clip_inputs(dir, &inputs, err);
    }
    json_decref(config);
    if (rc == LINKD_OK)
        *ret_inputs = inputs;
    return rc;
}
