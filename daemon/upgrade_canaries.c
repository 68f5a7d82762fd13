/* daemon/upgrade_canaries.c — is a model still the one that made the vectors?
 *
 * A fingerprint is over the model's files. What it cannot see is a change of the
 * code that reads them, and a fingerprint that was forged. So each generation
 * keeps the vectors of eight fixed texts, or of eight parts of a fixed picture if
 * its model reads no texts, and linkd does not start with a model
 * that makes others: its queries would be compared with vectors of another
 * space, and nothing would show but bad results. Nor does it start where the files
 * of a model that serves are others, which every request would be refused for. */
#include "daemon/upgrade.h"

#include <string.h>

#include "daemon/bridges.h"

int lk_canaries_embed(lk_model *model, float *ret_vectors, linkd_error *err)
{
    const lk_model_embedder e = {.model = model, .urgency = LK_JOB};
    linkd_str texts[LINKD_N_CANARIES];

    const char *const *canaries =
        lk_model_reads_texts(model) ? linkd_canaries : linkd_picture_canaries;

    for (size_t i = 0; i < LINKD_N_CANARIES; i++)
        texts[i] = (linkd_str){canaries[i], strlen(canaries[i])};
    return lk_model_embed(&e, texts, LINKD_N_CANARIES, ret_vectors, NULL, err);
}

/* The vectors that a generation keeps; NULL: none. */
static int stored_read(linkd_store *store, linkd_str collection,
                       const linkd_generation *generation, lk_arena *arena,
                       float **ret_vectors, linkd_error *err)
{
    linkd_view *view = NULL;
    linkd_str bytes = {0};
    bool found = false;
    size_t n = 0;
    size_t dim = 0;
    int rc = linkd_view_open(store, collection, &view, err);

    *ret_vectors = NULL;
    if (rc == LINKD_OK)
        rc = linkd_view_blob(view, generation->number, LINKD_BLOB_CANARIES, 0,
                             &bytes, &found, err);
    if (rc == LINKD_OK && found)
        rc = linkd_vectors_decode(bytes, arena, ret_vectors, &n, &dim, err);
    if (rc == LINKD_OK && found &&
        (n != LINKD_N_CANARIES || dim != generation->dim))
        *ret_vectors = NULL; /* of other texts than this linkd's */
    linkd_view_close(view);
    return rc;
}

static int other_fail(linkd_str collection, const linkd_generation *generation,
                      const char *why, linkd_error *err)
{
    return lk_fail(
        err, LINKD_E_CONFLICT,
        "model \"%s\" is not the one that collection \"%s\" was made "
        "with: %s; put that one back, or give this one another name",
        lk_label_of(generation->model).text, lk_label_of(collection).text, why);
}

/* Queries do without an older model. */
static int files_fail(linkd_str collection, const linkd_generation *generation,
                      linkd_error *err)
{
    linkd_error other = {0};
    int rc = other_fail(collection, generation, "its files are others", &other);

    if (generation->state == LINKD_GENERATION_SERVING)
        return lk_fail(err, rc, "%s", other.message);
    lk_log(LK_LOG_WARN, "%s; until then queries for its records are mapped",
           other.message);
    return LINKD_OK;
}

static int vectors_check(linkd_str collection,
                         const linkd_generation *generation, lk_model *model,
                         const float *stored, lk_arena *arena, linkd_error *err)
{
    float *now = lk_arena_alloc(arena, LINKD_N_CANARIES * generation->dim *
                                           sizeof(*now));
    linkd_error why = {0};
    int rc;

    if (now == NULL)
        return lk_fail_nomem(err);
    rc = lk_canaries_embed(model, now, err);
    if (rc == LINKD_OK &&
        linkd_canaries_check(stored, now, generation->dim, &why) != LINKD_OK)
        rc = other_fail(collection, generation, why.message, err);
    return rc;
}

/* Damaged canaries are no reason to keep linkd from its other collections. */
static int canaries_read(linkd_store *store, linkd_str collection,
                         const linkd_generation *generation, lk_arena *arena,
                         float **ret_vectors, linkd_error *err)
{
    linkd_error failure = {0};
    int rc = stored_read(store, collection, generation, arena, ret_vectors,
                         &failure);

    if (rc == LINKD_E_DATA) {
        lk_log(LK_LOG_WARN,
               "collection \"%s\": model \"%s\" cannot be checked: %s",
               lk_label_of(collection).text,
               lk_label_of(generation->model).text, failure.message);
        return LINKD_OK;
    }
    if (rc != LINKD_OK && err != NULL)
        *err = failure;
    return rc;
}

static int generation_check(lk_service *service, linkd_str collection,
                            const linkd_generation *generation, lk_arena *arena,
                            linkd_error *err)
{
    lk_model *model = NULL;
    float *stored = NULL;
    int rc = canaries_read(service->store, collection, generation, arena,
                           &stored, err);

    if (rc != LINKD_OK || stored == NULL ||
        lk_models_get(service->models, generation->model, &model, NULL) !=
            LINKD_OK)
        return rc;
    return lk_fingerprint_is(generation->fingerprint,
                             lk_model_describe(model)->fingerprint)
               ? vectors_check(collection, generation, model, stored, arena,
                               err)
               : files_fail(collection, generation, err);
}

int lk_upgrade_models_check(lk_service *service, linkd_error *err)
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
            rc = generation_check(service, infos[i].name, &generations[j],
                                  &arena, err);
    }
    lk_arena_clear(&arena);
    return rc;
}
