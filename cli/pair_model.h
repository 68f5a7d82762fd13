/* cli/pair_model.h — files of linkctl train. */
#ifndef LINKD_CLI_PAIR_MODEL_H
#define LINKD_CLI_PAIR_MODEL_H

#include "linkage/linkage.h"

/* LINKD_E_IO: it cannot be read; else as linkd_pair_model_decode(). */
LINKD_MUST_CHECK int lk_pair_model_load(const char *path,
                                        linkd_pair_model **ret_model,
                                        linkd_error *err);

#endif
