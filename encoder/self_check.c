/* encoder/self_check.c — whether a model bears int8.
 *
 * How much bytes change vectors depends on the weights: one number far above the
 * others takes the steps away from them. So nobody is told that int8 works, it is
 * tried: when a model is opened, on texts like those that are linked. The pass in
 * f32 that is compared with also says how large inputs get, which int8's scales
 * are made of (model_pack.c). All of it is the same on every processor. */
#include "encoder/self_check.h"

#include <stdlib.h>
#include <string.h>

#include "encoder/forward.h"

/* int8 of all-MiniLM-L6-v2 keeps 0.998 on the worst of 1,000 real texts. */
#define COSINE_MIN 0.99

static const char *const TEXTS[] = {
    "1",
    "Zürich",
    "Ann Lee, 12 Main Street, Bern",
    "+41 44 668 18 00, info@example.org, https://example.org/about?lang=de",
    "sony dsc-w55 digital camera 7.2 megapixel 3x zoom, black, $199.99",
    "J. Gray, A. Reuter: Transaction Processing: Concepts, Techniques",
    "Restaurant Zur Alten Post; Bahnhofstrasse 3; 8001; open Tue-Sun",
    "The quick brown fox jumps over the dog, which does not lift its head.",
    "АО «Северная верфь», Санкт-Петербург",
    "東京都千代田区丸の内一丁目",
};

enum { N_TEXTS = sizeof(TEXTS) / sizeof(TEXTS[0]) };

typedef struct check {
    lk_tokens tokens[N_TEXTS];
    size_t starts[N_TEXTS + 1];
    float *vectors; /* [2, N_TEXTS, dim]: in f32, and as the model has them */
    float *ranges;  /* lk_model's, of the pass in f32 */
    lk_scratch scratch;
} check;

static int texts_tokenize(check *c, const lk_tokenizer *tokenizer,
                          size_t max_tokens, linkd_error *err)
{
    for (size_t i = 0; i < N_TEXTS; i++) {
        const linkd_str text = {TEXTS[i], strlen(TEXTS[i])};
        int rc = lk_tokenizer_encode(tokenizer, text, max_tokens, &c->tokens[i],
                                     err);

        if (rc != LINKD_OK)
            return rc;
        c->starts[i + 1] = c->starts[i] + c->tokens[i].n;
    }
    return LINKD_OK;
}

static int texts_encode(check *c, const lk_model *model, lk_pooling pooling,
                        float *ret_vectors, linkd_error *err)
{
    const lk_batch batch = {
        .sequences = c->tokens, .starts = c->starts, .n = N_TEXTS};

    return lk_forward(model, pooling, &batch, &c->scratch, ret_vectors, err);
}

static double cosine_of(const float *a, const float *b, size_t dim)
{
    double sum = 0.0;

    for (size_t k = 0; k < dim; k++)
        sum += (double)a[k] * (double)b[k];
    return sum;
}

/* Also where a vector is not finite. */
static int cosines_compare(const check *c, size_t dim, linkd_error *err)
{
    for (size_t i = 0; i < N_TEXTS; i++) {
        double cosine = cosine_of(c->vectors + i * dim,
                                  c->vectors + (N_TEXTS + i) * dim, dim);

        if (!(cosine >= COSINE_MIN))
            return lk_fail(
                err, LINKD_E_DATA,
                "this model does not bear int8: the vector of "
                "\"%.40s\" has a cosine of only %.4f with the one in "
                "f32",
                TEXTS[i], cosine);
    }
    return LINKD_OK;
}

static void check_clear(check *c)
{
    for (size_t i = 0; i < N_TEXTS; i++)
        lk_tokens_clear(&c->tokens[i]);
    lk_scratch_clear(&c->scratch);
    free(c->vectors);
    free(c->ranges);
}

/* The texts' vectors in f32, and the ranges. */
static int exact_pass(check *c, const lk_weights *weights,
                      const lk_config *config, linkd_error *err)
{
    const lk_kernels *kernels = NULL;
    lk_model exact = {0};
    int rc = lk_kernels_choose(NULL, "f32", &kernels, err);

    if (rc == LINKD_OK)
        rc = lk_model_load(weights, config, kernels, NULL, &exact, err);
    if (rc != LINKD_OK)
        return rc;
    c->vectors = calloc((size_t)2 * N_TEXTS * exact.dim, sizeof(*c->vectors));
    c->ranges = calloc((2 * exact.n_layers + 1) * lk_stride(exact.dim),
                       sizeof(*c->ranges));
    exact.ranges = c->ranges;
    if (c->vectors == NULL || c->ranges == NULL)
        rc = lk_fail_nomem(err);
    else
        rc = texts_encode(c, &exact, config->pooling, c->vectors, err);
    lk_model_clear(&exact);
    return rc;
}

int lk_checked_load(const lk_weights *weights, const lk_config *config,
                    const lk_kernels *kernels, const lk_tokenizer *tokenizer,
                    lk_model *ret_model, linkd_error *err)
{
    check c = {0};
    lk_model model = {0};
    int rc = texts_tokenize(&c, tokenizer, config->max_tokens, err);

    if (rc == LINKD_OK)
        rc = exact_pass(&c, weights, config, err);
    if (rc == LINKD_OK)
        rc = lk_model_load(weights, config, kernels, c.ranges, &model, err);
    if (rc == LINKD_OK)
        rc = texts_encode(&c, &model, config->pooling,
                          c.vectors + N_TEXTS * model.dim, err);
    if (rc == LINKD_OK)
        rc = cosines_compare(&c, model.dim, err);
    if (rc == LINKD_OK) {
        *ret_model = model;
        model = (lk_model){0};
    }
    lk_model_clear(&model);
    check_clear(&c);
    return rc;
}
