/* encoder/dense.c — linear layers behind the pooling. A text has one row here, so
 * that they cost next to nothing: they are packed at every start and are not part
 * of what is kept (packed.h). */
#include "encoder/dense.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int lk_dense_open(const char *dir, const lk_config *config, lk_dense *dense,
                  linkd_error *err)
{
    int rc = LINKD_OK;

    for (size_t i = 0; i < config->n_dense && rc == LINKD_OK; i++) {
        lk_buf path = {0};

        rc = lk_file_path(dir, config->dense[i].dir, &path, err);
        if (rc == LINKD_OK)
            rc = lk_weights_open(path.data, &dense->weights[i], err);
        lk_buf_clear(&path);
        dense->n = i + 1;
        dense->activations[i] = config->dense[i].activation;
    }
    return rc;
}

void lk_dense_close(lk_dense *dense)
{
    for (size_t i = 0; i < dense->n; i++) {
        lk_weights_close(&dense->weights[i]);
        lk_block_clear(&dense->blocks[i]);
    }
    *dense = (lk_dense){0};
}

/* A layer that is being read. */
typedef struct loading {
    const lk_dense_config *config;
    size_t n_in;
    lk_linear layer;
} loading;

static int layer_read(lk_packer *packer, void *ctx, linkd_error *err)
{
    loading *l = ctx;
    const size_t n_out = l->config->n_out;
    lk_matrix m = {.n_parts = 1, .n_rows_each = n_out, .n_columns = l->n_in};
    const lk_tensor *tensor = NULL;
    float *bias = NULL;
    int rc = lk_pack_tensor(packer, n_out, l->n_in, &m.parts[0], err,
                            "linear.weight");

    if (rc == LINKD_OK && l->config->has_bias)
        rc = lk_pack_tensor(packer, n_out, 0, &tensor, err, "linear.bias");
    if (rc == LINKD_OK)
        rc = lk_pack_matrix(packer, &m, &l->layer, &bias, err);
    if (rc == LINKD_OK && tensor != NULL)
        rc = lk_pack_values(packer, tensor, 0, n_out, bias, err);
    return rc;
}

static void layer_clear(void *ctx)
{
    loading *l = ctx;

    l->layer = (lk_linear){0};
}

static int layer_load(lk_dense *dense, size_t i, const lk_dense_config *config,
                      size_t n_in, linkd_error *err)
{
    loading l = {.config = config, .n_in = n_in};
    const lk_pack_job job = {layer_read, layer_clear, &l};
    lk_packer packer = {
        .weights = &dense->weights[i], .kernels = dense->kernels, .prefix = ""};
    int rc = lk_block_make(&packer, &job, &dense->blocks[i], err);

    dense->layers[i] = l.layer;
    return rc;
}

int lk_dense_load(lk_dense *dense, const lk_config *config,
                  const lk_kernels *kernels, linkd_error *err)
{
    size_t n_in = config->dim;
    int rc = LINKD_OK;

    dense->kernels = kernels;
    for (size_t i = 0; i < dense->n && rc == LINKD_OK; i++) {
        rc = layer_load(dense, i, &config->dense[i], n_in, err);
        n_in = config->dense[i].n_out;
    }
    dense->dim = n_in;
    return rc;
}

/* ---- running ------------------------------------------------------------ */

static size_t widest(const lk_dense *dense)
{
    size_t most = 0;

    for (size_t i = 0; i < dense->n; i++) {
        const lk_linear *layer = &dense->layers[i];

        most = layer->n_in > most ? layer->n_in : most;
        most = layer->n_out > most ? layer->n_out : most;
    }
    return most;
}

/* Two vectors, and the kernel's own. */
size_t lk_dense_scratch(const lk_dense *dense)
{
    return 2 * lk_stride(widest(dense)) +
           lk_linear_scratch(dense->kernels, widest(dense), 1);
}

static void activate(lk_dense_activation activation, float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (activation == LK_DENSE_TANH)
            x[i] = tanhf(x[i]);
        else if (activation == LK_DENSE_RELU && x[i] < 0.0F)
            x[i] = 0.0F;
    }
}

void lk_dense_run(const lk_dense *dense, const float *pooled, float *scratch,
                  float *ret_vector)
{
    const size_t stride = lk_stride(widest(dense));
    const lk_kernels *kernels = dense->kernels;
    float *rows[2] = {scratch, scratch + stride};

    for (size_t i = 0; i < dense->n; i++) {
        const lk_linear *layer = &dense->layers[i];

        kernels->linear(layer, i == 0 ? pooled : rows[(i + 1) % 2], 1,
                        scratch + 2 * stride, rows[i % 2]);
        activate(dense->activations[i], rows[i % 2], layer->n_out);
    }
    kernels->pool(rows[(dense->n + 1) % 2], 1, dense->dim, rows[dense->n % 2]);
    memcpy(ret_vector, rows[dense->n % 2], dense->dim * sizeof(*ret_vector));
}
