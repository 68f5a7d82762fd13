/* encoder/loader.c — a checkpoint's tensors, read whole and packed. A matrix
 * is in memory twice for a moment: as rows, where it can be changed, and in
 * panels. */
#include "encoder/loader.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Prefix, layer and part of a tensor's name. */
enum { NAME_MAX_BYTES = 192 };

void lk_arrays_clear(lk_arrays *arrays)
{
    for (size_t i = 0; i < arrays->n; i++)
        free(arrays->arrays[i]);
    free((void *)arrays->arrays);
    *arrays = (lk_arrays){0};
}

int lk_loader_reserve(lk_loader *loader, size_t n, const size_t (*shapes)[2],
                      linkd_error *err)
{
    size_t most = 0;

    for (size_t i = 0; i < n; i++) {
        /* the last panel is filled up */
        const size_t n_rows = shapes[i][0] + loader->kernels->panel_width;

        if (n_rows * shapes[i][1] > most)
            most = n_rows * shapes[i][1];
    }
    loader->rows = lk_alloc_aligned(most, sizeof(*loader->rows));
    return loader->rows != NULL ? LINKD_OK : lk_fail_nomem(err);
}

float *lk_loader_floats(lk_loader *loader, size_t n, linkd_error *err)
{
    lk_arrays *b = loader->arrays;
    void *arrays = (void *)b->arrays;
    float *floats;

    if (lk_grow(&arrays, &b->capacity, b->n + 1, sizeof(*b->arrays), err) !=
        LINKD_OK)
        return NULL;
    b->arrays = arrays;
    floats = lk_alloc_aligned(n, sizeof(*floats));
    if (floats == NULL) {
        (void)lk_fail_nomem(err);
        return NULL;
    }
    memset(floats, 0, n * sizeof(*floats));
    b->arrays[b->n++] = floats;
    return floats;
}

static const lk_tensor *tensor_find(const lk_loader *loader, const char *name,
                                    char *ret_path)
{
    (void)snprintf(ret_path, NAME_MAX_BYTES, "%s%s", loader->prefix, name);
    return lk_weights_find(loader->weights, ret_path);
}

bool lk_loader_has(const lk_loader *loader, const char *name)
{
    char path[NAME_MAX_BYTES];

    return tensor_find(loader, name, path) != NULL;
}

int lk_loader_read(const lk_loader *loader, const char *name, size_t n,
                   float *ret_values, linkd_error *err)
{
    char path[NAME_MAX_BYTES];
    const lk_tensor *tensor = tensor_find(loader, name, path);

    if (tensor == NULL)
        return lk_fail(err, LINKD_E_DATA, "weights have no tensor \"%s\"",
                       path);
    if (tensor->dtype == LK_DTYPE_OTHER || tensor->n_elements != n)
        return lk_fail(err, LINKD_E_DATA,
                       "tensor \"%s\" is not %zu numbers, as config.json says",
                       path, n);
    lk_tensor_read(tensor, 0, n, ret_values);
    for (size_t i = 0; i < n; i++)
        if (!isfinite(ret_values[i]))
            return lk_fail(err, LINKD_E_DATA,
                           "tensor \"%s\" holds a value that is not finite",
                           path);
    return LINKD_OK;
}

int lk_loader_linear(lk_loader *loader, size_t n_in, size_t n_out,
                     const float *bias, lk_linear *ret_linear, linkd_error *err)
{
    const size_t width = loader->kernels->panel_width;
    const size_t panel = lk_panel_floats(loader->kernels, n_in);
    const size_t n_panels = (n_out + width - 1) / width;
    float *panels = lk_loader_floats(loader, n_panels * panel, err);

    if (panels == NULL)
        return LINKD_E_NOMEM;
    memset(loader->rows + n_out * n_in, 0,
           (n_panels * width - n_out) * n_in * sizeof(*loader->rows));
    for (size_t i = 0; i < n_panels; i++)
        loader->kernels->pack(loader->rows + i * width * n_in, n_in,
                              panels + i * panel);
    *ret_linear = (lk_linear){
        .n_in = n_in, .n_out = n_out, .panels = panels, .bias = bias};
    return LINKD_OK;
}

int lk_loader_norm(lk_loader *loader, const char *name, size_t width,
                   float epsilon, lk_norm *ret_norm, linkd_error *err)
{
    char path[NAME_MAX_BYTES];
    float *values = lk_loader_floats(loader, 2 * lk_stride(width), err);
    int rc;

    if (values == NULL)
        return LINKD_E_NOMEM;
    *ret_norm = (lk_norm){.width = width,
                          .epsilon = epsilon,
                          .gamma = values,
                          .beta = values + lk_stride(width)};
    (void)snprintf(path, sizeof(path), "%s.weight", name);
    rc = lk_loader_read(loader, path, width, values, err);
    (void)snprintf(path, sizeof(path), "%s.bias", name);
    if (rc == LINKD_OK)
        rc =
            lk_loader_read(loader, path, width, values + lk_stride(width), err);
    return rc;
}
