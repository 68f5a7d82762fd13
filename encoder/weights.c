/* encoder/weights.c — a model directory's weights.
 *
 *   model.safetensors                    one file, or
 *   model.safetensors.index.json         {"weight_map": {tensor: file}}
 *
 * The index is used for its list of files only: which tensor lies where is what
 * the files themselves say, and a tensor in two files is refused. */
#include "encoder/weights.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "encoder/encoder.h"
#include "encoder/json.h"

#define WEIGHTS_FILE "model.safetensors"
#define INDEX_FILE   "model.safetensors.index.json"
#define PICKLE_FILE  "pytorch_model.bin"

static int part_open(const char *dir, const char *name, lk_weights_part *part,
                     linkd_error *err)
{
    lk_buf path = {0};
    int rc = lk_file_path(dir, name, &path, err);

    if (rc == LINKD_OK)
        rc = lk_file_map(path.data, &part->file, err);
    if (rc == LINKD_OK)
        rc = lk_safetensors_parse(part->file.bytes, part->file.len, name,
                                  &part->tensors, err);
    lk_buf_clear(&path);
    return rc;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The distinct file names in an index, sorted; they are owned by `index`. */
static int index_names(const json_t *index, const char ***ret_names,
                       size_t *ret_n, linkd_error *err)
{
    json_t *map = json_object_get(index, "weight_map");
    const char **names = NULL;
    size_t n = 0;
    const char *tensor;
    json_t *value;

    if (json_object_size(map) == 0)
        return lk_fail(err, LINKD_E_DATA, INDEX_FILE ": has no weight_map");
    names = calloc(json_object_size(map), sizeof(*names));
    if (names == NULL)
        return lk_fail_nomem(err);
    json_object_foreach(map, tensor, value)
    {
        const char *name = json_string_value(value);

        if (name == NULL || name[0] == '.' || strchr(name, '/') != NULL) {
            free(names);
            return lk_fail(err, LINKD_E_DATA,
                           INDEX_FILE ": tensor \"%.80s\" is in no plain file "
                                      "of this directory",
                           tensor);
        }
        names[n++] = name;
    }
    qsort(names, n, sizeof(*names), compare_names);
    *ret_n = 0;
    for (size_t i = 0; i < n; i++)
        if (i == 0 || strcmp(names[i], names[i - 1]) != 0)
            names[(*ret_n)++] = names[i];
    *ret_names = names;
    return LINKD_OK;
}

static int parts_open(const char *dir, const char *const *names, size_t n,
                      lk_weights *weights, linkd_error *err)
{
    LK_ASSERT(n > 0);
    weights->parts = calloc(n, sizeof(*weights->parts));
    if (weights->parts == NULL)
        return lk_fail_nomem(err);
    weights->n_parts = n;
    for (size_t i = 0; i < n; i++) {
        int rc = part_open(dir, names[i], &weights->parts[i], err);

        if (rc != LINKD_OK)
            return rc;
    }
    return LINKD_OK;
}

static int index_open(const char *dir, lk_weights *weights, linkd_error *err)
{
    json_t *index = NULL;
    const char **names = NULL;
    size_t n = 0;
    int rc = lk_json_read(dir, INDEX_FILE, &index, err);

    if (rc != LINKD_OK)
        goto done;
    rc = index_names(index, &names, &n, err);
    if (rc != LINKD_OK)
        goto done;
    rc = parts_open(dir, names, n, weights, err);
done:
    free(names);
    json_decref(index);
    return rc;
}

static int check_unique(const lk_weights *weights, linkd_error *err)
{
    for (size_t i = 1; i < weights->n_parts; i++) {
        const lk_safetensors *tensors = weights->parts[i].tensors;

        for (size_t j = 0; j < lk_safetensors_n_tensors(tensors); j++) {
            const lk_tensor *tensor = lk_safetensors_get(tensors, j);

            if (lk_weights_find(weights, tensor->name) != tensor)
                return lk_fail(err, LINKD_E_DATA,
                               "tensor \"%.80s\" is in two files",
                               tensor->name);
        }
    }
    return LINKD_OK;
}

static int dir_has(const char *dir, const char *name, int *ret_has,
                   linkd_error *err)
{
    lk_buf path = {0};
    int rc = lk_file_path(dir, name, &path, err);

    if (rc == LINKD_OK)
        *ret_has = lk_file_exists(path.data);
    lk_buf_clear(&path);
    return rc;
}

static int refuse_pickle(const char *dir, linkd_error *err)
{
    int has_weights = 0;
    int has_pickle = 0;
    int rc = dir_has(dir, WEIGHTS_FILE, &has_weights, err);

    if (rc == LINKD_OK)
        rc = dir_has(dir, PICKLE_FILE, &has_pickle, err);
    if (rc == LINKD_OK && has_pickle && !has_weights)
        return lk_fail(err, LINKD_E_DATA,
                       PICKLE_FILE
                       " is a pickle, which is not read since "
                       "loading one runs the code in it; " WEIGHTS_FILE
                       " is needed in %s",
                       dir);
    return rc;
}

int linkd_encoder_shards(const char *dir, lk_buf *ret_names, linkd_error *err)
{
    json_t *index = NULL;
    const char **names = NULL;
    size_t n = 0;
    int rc = lk_json_read(dir, INDEX_FILE, &index, err);

    lk_buf_reset(ret_names);
    if (rc == LINKD_OK)
        rc = index_names(index, &names, &n, err);
    for (size_t i = 0; i < n && rc == LINKD_OK; i++)
        rc = lk_buf_append(ret_names, names[i], strlen(names[i]) + 1, err);
    free(names);
    json_decref(index);
    return rc;
}

int lk_weights_open(const char *dir, lk_weights *ret_weights, linkd_error *err)
{
    static const char *const single[] = {WEIGHTS_FILE};
    lk_weights weights = {0};
    int has_index = 0;
    int rc = dir_has(dir, INDEX_FILE, &has_index, err);

    if (rc != LINKD_OK)
        goto done;
    if (has_index) {
        rc = index_open(dir, &weights, err);
    } else {
        rc = refuse_pickle(dir, err);
        if (rc == LINKD_OK)
            rc = parts_open(dir, single, 1, &weights, err);
    }
    if (rc != LINKD_OK)
        goto done;
    rc = check_unique(&weights, err);
    if (rc != LINKD_OK)
        goto done;
    *ret_weights = weights;
    weights = (lk_weights){0};
done:
    lk_weights_close(&weights);
    return rc;
}

void lk_weights_close(lk_weights *weights)
{
    for (size_t i = 0; i < weights->n_parts; i++) {
        lk_safetensors_free(weights->parts[i].tensors);
        lk_file_unmap(&weights->parts[i].file);
    }
    free(weights->parts);
    *weights = (lk_weights){0};
}

const lk_tensor *lk_weights_find(const lk_weights *weights, const char *name)
{
    for (size_t i = 0; i < weights->n_parts; i++) {
        const lk_tensor *tensor =
            lk_safetensors_find(weights->parts[i].tensors, name);

        if (tensor != NULL)
            return tensor;
    }
    return NULL;
}

/* "[1536, 384]" or "[1536]" */
static void shape_print(char *text, size_t size, const size_t *shape, size_t n)
{
    size_t len = 0;

    for (size_t i = 0; i < n && len < size; i++)
        len += (size_t)snprintf(text + len, size - len, "%s%zu",
                                i == 0 ? "[" : ", ", shape[i]);
    if (len < size)
        (void)snprintf(text + len, size - len, "%s", n == 0 ? "[]" : "]");
}

int lk_weights_get(const lk_weights *weights, const char *name, size_t n_rows,
                   size_t n_columns, const lk_tensor **ret_tensor,
                   linkd_error *err)
{
    const lk_tensor *tensor = lk_weights_find(weights, name);
    const size_t shape[2] = {n_rows, n_columns};
    const size_t n_dims = n_columns == 0 ? 1 : 2;
    char has[96];
    char needs[96];

    if (tensor == NULL)
        return lk_fail(err, LINKD_E_DATA, WEIGHTS_FILE ": has no tensor \"%s\"",
                       name);
    if (tensor->dtype == LK_DTYPE_OTHER)
        return lk_fail(err, LINKD_E_DATA,
                       WEIGHTS_FILE ": tensor \"%s\" is not of type F32, F16 "
                                    "or BF16",
                       name);
    if (tensor->n_dims != n_dims ||
        memcmp(tensor->shape, shape, n_dims * sizeof(*shape)) != 0) {
        shape_print(has, sizeof(has), tensor->shape, tensor->n_dims);
        shape_print(needs, sizeof(needs), shape, n_dims);
        return lk_fail(err, LINKD_E_DATA,
                       WEIGHTS_FILE ": tensor \"%s\" has shape %s, but "
                                    "config.json makes it %s",
                       name, has, needs);
    }
    *ret_tensor = tensor;
    return LINKD_OK;
}

size_t lk_weights_n_parameters(const lk_weights *weights)
{
    size_t n = 0;

    for (size_t i = 0; i < weights->n_parts; i++) {
        const lk_safetensors *tensors = weights->parts[i].tensors;

        for (size_t j = 0; j < lk_safetensors_n_tensors(tensors); j++) {
            const lk_tensor *tensor = lk_safetensors_get(tensors, j);

            if (tensor->dtype != LK_DTYPE_OTHER)
                n += tensor->n_elements;
        }
    }
    return n;
}
