/* daemon/upgrade_look.c — can collections be searched with the models that are there?
 *
 * A model may have been taken away while linkd was down, or its files been replaced,
 * of which canaries tell nothing where a collection's model was never changed. It may
 * come back, and other collections do not care: so linkd starts, and says so once,
 * where nobody would know until a search fails. */
#include "daemon/upgrade.h"

#include "daemon/bridges.h"

static void serving_look(lk_service *service, linkd_str collection,
                         const linkd_generation *generation)
{
    linkd_error why = {0};
    lk_model *model = NULL;
    int rc;

    if (generation->model.len == 0 ||
        lk_generation_model(service, generation, &model))
        return;
    rc = lk_models_get(service->models, generation->model, &model, &why);
    if (rc == LINKD_OK)
        (void)lk_fail(&why, LINKD_E_CONFLICT,
                      "model \"%s\" is another one than its vectors are of",
                      lk_label_of(generation->model).text);
    lk_log(LK_LOG_WARN, "collection \"%s\": %s: its searches fail",
           lk_label_of(collection).text, why.message);
}

int lk_upgrade_models_look(lk_service *service, linkd_error *err)
{
    linkd_generation generations[LINKD_GENERATIONS_MAX];
    linkd_collection_info *infos = NULL;
    lk_arena arena = {0};
    size_t n_infos = 0;
    size_t n = 0;
    int rc = linkd_store_list(service->store, &arena, &infos, &n_infos, err);

    for (size_t i = 0; i < n_infos && rc == LINKD_OK; i++) {
        rc = lk_generations_list(service->store, infos[i].name, &arena,
                                 generations, &n, err);
        for (size_t j = 0; j < n && rc == LINKD_OK; j++)
            if (generations[j].state == LINKD_GENERATION_SERVING)
                serving_look(service, infos[i].name, &generations[j]);
    }
    lk_arena_clear(&arena);
    return rc;
}
