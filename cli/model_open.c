/* cli/model_open.c — a model opened for all that it reads. */
#include "cli/model_open.h"

int lk_model_open(const char *dir, lk_open_model *ret_model, linkd_error *err)
{
    lk_open_model model = {NULL, NULL};
    linkd_inputs inputs = {0};
    int rc = linkd_encoder_inputs(dir, &inputs, err);

    if (rc == LINKD_OK && inputs.texts)
        rc = linkd_encoder_open(dir, NULL, &model.encoder, err);
    if (rc == LINKD_OK && inputs.pictures)
        rc = linkd_vision_open(dir, NULL, 1, &model.vision, err);
    if (rc == LINKD_OK)
        *ret_model = model;
    else
        lk_model_close(&model);
    return rc;
}

void lk_model_close(lk_open_model *model)
{
    linkd_encoder_close(model->encoder);
    linkd_vision_close(model->vision);
    *model = (lk_open_model){NULL, NULL};
}

const char *lk_model_reads(const lk_open_model *model)
{
    if (model->vision == NULL)
        return "texts";
    return model->encoder == NULL ? "pictures" : "texts and pictures";
}
