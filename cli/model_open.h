/* cli/model_open.h — a model opened for all that it reads. */
#ifndef LINKD_CLI_MODEL_OPEN_H
#define LINKD_CLI_MODEL_OPEN_H

#include "encoder/encoder.h"

/* What opens of a model; {NULL} is a closed one. */
typedef struct lk_open_model {
    linkd_encoder *encoder; /* NULL: it reads no texts */
    linkd_vision *vision;   /* NULL: it reads no pictures */
} lk_open_model;

/* Opens the model in `dir`, one of both at least. Errors as those of
 * linkd_encoder_open() and linkd_vision_open(). */
LINKD_MUST_CHECK int lk_model_open(const char *dir, lk_open_model *ret_model,
                                   linkd_error *err);
void lk_model_close(lk_open_model *model);

/* "texts", "pictures" or "texts and pictures"; a constant. */
const char *lk_model_reads(const lk_open_model *model);

#endif
