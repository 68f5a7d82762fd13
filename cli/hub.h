/* cli/hub.h — models from a server with the layout of the Hugging Face hub. */
#ifndef LINKD_CLI_HUB_H
#define LINKD_CLI_HUB_H

#include "cli/model_store.h"

#define LK_HUB_URL "https://huggingface.co"

typedef struct lk_hub_model {
    const char *base_url; /* NULL: $HF_ENDPOINT, else LK_HUB_URL */
    const char *repo;     /* "sentence-transformers/all-MiniLM-L6-v2" */
    const char *revision; /* "main", a tag or a commit */
} lk_hub_model;

/* Downloads the model's files into the stage, continuing where an earlier call
 * stopped. LINKD_E_ARG: the hub has no such model. LINKD_E_IO: it could not be
 * reached, or a file is not whole yet. LINKD_E_DATA: a file is not what the
 * hub says that it is. */
LINKD_MUST_CHECK int lk_hub_fetch(const lk_hub_model *model, lk_stage *stage,
                                  const linkd_progress *progress,
                                  linkd_error *err);

#endif
