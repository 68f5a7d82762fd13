/* tests/fuzz/fuzz_pair_model.c — a pair model as it comes from anywhere. What is
 * read is asked about a pair, and has to be the same when it was written and
 * read again. */
#include <stdlib.h>
#include <string.h>

#include "linkage/pair_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void model_ask(const linkd_pair_model *model)
{
    const lk_fitted_model *fitted = &model->learned.model;
    uint8_t *row = calloc(model->n_features, 1);
    double *parts = calloc(model->n_features, sizeof(*parts));

    if (row != NULL && parts != NULL &&
        model->learned.info.learner != LINKD_LEARNER_NONE) {
        (void)lk_fitted_model_log_odds(fitted, row);
        memset(row, LK_FEATURE_MISSING, model->n_features);
        (void)lk_fitted_model_log_odds(fitted, row);
        if (fitted->boost.n_trees > 0)
            lk_boost_parts(&fitted->boost, row, parts);
    }
    free(parts);
    free(row);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    linkd_str json = {(const char *)data, size};
    linkd_pair_model *models[2] = {NULL, NULL};
    lk_buf texts[2] = {{0}, {0}};

    if (linkd_pair_model_decode("m", json, &models[0], NULL) != LINKD_OK)
        return 0;
    model_ask(models[0]);
    if (linkd_pair_model_encode(models[0], &texts[0], NULL) == LINKD_OK) {
        json = (linkd_str){texts[0].data, texts[0].len};
        LK_ASSERT(linkd_pair_model_decode("m", json, &models[1], NULL) ==
                  LINKD_OK);
        LK_ASSERT(linkd_pair_model_encode(models[1], &texts[1], NULL) ==
                  LINKD_OK);
        LK_ASSERT(strcmp(texts[0].data, texts[1].data) == 0);
    }
    for (size_t i = 0; i < 2; i++) {
        lk_buf_clear(&texts[i]);
        linkd_pair_model_free(models[i]);
    }
    return 0;
}
