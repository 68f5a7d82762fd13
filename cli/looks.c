/* cli/looks.c — pictures by an image model: the model, and what goes with it. */
#include "cli/looks.h"

#include "cli/number.h"

int lk_looks_need_image(const lk_looks_values *values, linkd_error *err)
{
    if (values->image != NULL || !(values->upright || values->merge_tokens > 0))
        return LINKD_OK;
    return lk_fail(err, LINKD_E_ARG, "--%s needs --image",
                   values->upright ? "upright" : "merge-tokens");
}

int lk_looks_check(const lk_cli *cli, const lk_syntax *syntax,
                   const char *model, const char *const *excluded,
                   bool needs_score, linkd_error *err)
{
    const char *given = lk_args_first_given(syntax, &cli->args, excluded);

    if (lk_model_is_none(model) || !lk_args_given(syntax, &cli->args, "model"))
        return lk_fail(err, LINKD_E_ARG,
                       "--image needs an image model: --model NAME");
    if (given != NULL)
        return lk_fail(err, LINKD_E_ARG, "--image by a model excludes --%s",
                       given);
    if (needs_score && !lk_args_given(syntax, &cli->args, "min-score"))
        return lk_fail(err, LINKD_E_ARG,
                       "--image by a model needs --min-score: pictures' "
                       "vectors have no probabilities yet");
    return LINKD_OK;
}

int lk_vision_open(lk_cli *cli, const lk_vision_choice *choice,
                   const lk_pool *pool, linkd_vision **ret_vision,
                   linkd_error *err)
{
    lk_buf dir = {0};
    linkd_vision *vision = NULL;
    int rc = linkd_encoder_find(choice->model, &dir, err);

    if (rc == LINKD_OK)
        rc = linkd_vision_open(dir.data, choice->precision,
                               lk_pool_n_workers(pool), &vision, err);
    if (rc == LINKD_E_DATA)
        rc = lk_fail(err, rc, "model %s: %s", choice->model, err->message);
    if (rc == LINKD_OK)
        rc = linkd_vision_merge_tokens(vision, choice->merge_tokens, err);
    if (rc == LINKD_OK)
        *ret_vision = vision;
    else
        linkd_vision_close(vision);
    lk_buf_clear(&dir);
    if (rc == LINKD_OK)
        lk_meter_finish(&cli->meter); /* loading is no part of the next step */
    return rc;
}

void lk_vision_manifest(const linkd_vision *vision, const char *model,
                        lk_manifest *manifest)
{
    const linkd_vision_info *v = linkd_vision_describe(vision);
    const linkd_encoder_info info = {.fingerprint = v->fingerprint,
                                     .architecture = v->architecture,
                                     .pooling = "cls",
                                     .precision = v->precision,
                                     .isa = v->isa,
                                     .dim = v->dim};

    lk_manifest_model(manifest, model, &info);
}

int lk_looks_open(lk_cli *cli, const char *model, const lk_looks_values *values,
                  lk_pool *pool, lk_looks *looks, linkd_error *err)
{
    const lk_vision_choice choice = {model, NULL, values->merge_tokens};
    int rc = lk_vision_open(cli, &choice, pool, &looks->vision, err);

    if (rc != LINKD_OK)
        return rc;
    looks->pictures = (linkd_pictures){.vision = looks->vision,
                                       .pool = pool,
                                       .image = LINKD_IMAGE_OPTIONS_INIT,
                                       .problems = &looks->problems};
    looks->pictures.image.orient = values->upright;
    return LINKD_OK;
}

void lk_looks_note(uint64_t n_empty, const linkd_image_problems *problems)
{
    lk_images_note(0, problems);
    if (n_empty > 0)
        (void)fprintf(stderr, "%s that nothing could be compared of\n",
                      lk_counted(n_empty, "row", "rows").text);
}

void lk_looks_close(lk_looks *looks)
{
    linkd_vision_close(looks->vision);
    lk_buf_clear(&looks->problems.lines);
    *looks = (lk_looks){0};
}
