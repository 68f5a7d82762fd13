/* encoder/find.c — where models live.
 * The store is a directory of Hugging Face directories, one per model name. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "encoder/encoder.h"

static int is_directory(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/* An environment variable that is set and not empty, else NULL. */
static const char *variable(const char *name)
{
    const char *value = getenv(name);

    return value != NULL && value[0] != '\0' ? value : NULL;
}

int linkd_encoder_store_path(lk_buf *ret_path, linkd_error *err)
{
    const char *models = variable("LINKD_MODELS");
    const char *data = variable("XDG_DATA_HOME");
    const char *home = variable("HOME");

    lk_buf_reset(ret_path);
    if (models != NULL)
        return lk_buf_printf(ret_path, err, "%s", models);
    if (data != NULL)
        return lk_buf_printf(ret_path, err, "%s/linkd/models", data);
    if (home != NULL)
        return lk_buf_printf(ret_path, err, "%s/.local/share/linkd/models",
                             home);
    return lk_fail(err, LINKD_E_ARG,
                   "cannot tell where models are kept: neither LINKD_MODELS "
                   "nor XDG_DATA_HOME nor HOME is set");
}

int linkd_encoder_find(const char *name, lk_buf *ret_path, linkd_error *err)
{
    lk_buf store = {0};
    int rc;

    lk_buf_reset(ret_path);
    if (is_directory(name))
        return lk_buf_printf(ret_path, err, "%s", name);
    if (name[0] == '\0' || name[0] == '.' || strchr(name, '/') != NULL)
        return lk_fail(err, LINKD_E_ARG, "there is no model directory \"%s\"",
                       name);
    rc = linkd_encoder_store_path(&store, err);
    if (rc == LINKD_OK)
        rc = lk_buf_printf(ret_path, err, "%s/%s", store.data, name);
    if (rc == LINKD_OK && !is_directory(ret_path->data))
        rc = lk_fail(err, LINKD_E_ARG,
                     "there is no model \"%s\": looked for a directory of that "
                     "name here and in %s",
                     name, store.data);
    lk_buf_clear(&store);
    return rc;
}
