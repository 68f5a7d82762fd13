/* daemon/target.c — the collection that a request is about. */
#include "daemon/target.h"

#include "daemon/bridges.h"

static int model_open(lk_service *service, lk_request *request,
                      lk_urgency urgency, lk_target *target, linkd_error *err)
{
    const linkd_collection_options *options = &target->info.options;
    int rc =
        lk_models_get(service->models, options->model, &target->model, err);

    if (rc == LINKD_OK)
        rc = lk_fingerprint_check(options->fingerprint,
                                  lk_model_describe(target->model)->fingerprint,
                                  options->model, target->name, err);
    if (rc != LINKD_OK)
        return rc;
    target->storage = (lk_model_embedder){.model = target->model,
                                          .urgency = urgency,
                                          .use = LINKD_USE_RECORD,
                                          .stop_cb = lk_request_is_over,
                                          .stop_ctx = request};
    target->embedder = lk_model_embedder_of(&target->storage);
    return LINKD_OK;
}

int lk_target_describe(lk_service *service, lk_request *request,
                       lk_target *ret_target, linkd_error *err)
{
    lk_target *target = ret_target;
    int rc;

    *target = (lk_target){.name = request->params[0]};
    rc = linkd_store_describe(service->store, target->name, &request->arena,
                              &target->info, err);
    return rc == LINKD_OK
               ? linkd_settings_parse(target->info.options.settings,
                                      &request->arena, &target->settings, err)
               : rc;
}

int lk_target_open(lk_service *service, lk_request *request, lk_urgency urgency,
                   lk_target *ret_target, linkd_error *err)
{
    int rc = lk_target_describe(service, request, ret_target, err);

    return rc == LINKD_OK && ret_target->info.options.model.len > 0
               ? model_open(service, request, urgency, ret_target, err)
               : rc;
}
