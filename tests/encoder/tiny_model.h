/* tests/encoder/tiny_model.h — a BERT directory of random weights, small enough
 * to be computed by hand: a forward pass written as plain loops in double
 * precision, after the model's definition and with no folding. */
#ifndef LINKD_TESTS_TINY_MODEL_H
#define LINKD_TESTS_TINY_MODEL_H

#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

enum {
    TINY_DIM = 40, /* no multiple of a vector's 16 floats */
    TINY_HEADS = 4,
    TINY_INNER = 70,
    TINY_LAYERS = 2,
    TINY_WORDS = 20,             /* "w0" … "w19" */
    TINY_VOCAB = TINY_WORDS + 5, /* after [PAD] [UNK] [CLS] [SEP] [MASK] */
    TINY_FIRST_WORD = 5,
    TINY_CLS = 2,
    TINY_SEP = 3,
    TINY_POSITIONS = 200,
    TINY_MAX_TOKENS = 180,
};

/* How the weights are laid down. */
typedef struct tiny_options {
    const char *prefix; /* of tensor names; NULL is "" */
    int is_bf16;
    int is_sharded;
    float nan_in_word; /* added to one weight; NAN spoils it */
} tiny_options;

typedef struct tiny_model tiny_model;

/* Writes the directory. Fails the test on any error. */
tiny_model *tiny_model_new(const tiny_options *options);
void tiny_model_free(tiny_model *model);

const char *tiny_model_dir(const tiny_model *model);
/* Replaces a file of the directory; NULL removes it. */
void tiny_model_put(const tiny_model *model, const char *name,
                    const char *content);
/* Multiplies one weight by `factor` and writes the weights again. */
void tiny_model_change(tiny_model *model, float factor);
/* Writes config.json again, with that activation. */
void tiny_model_activate(const tiny_model *model, const char *activation);
/* Makes one input of the feed-forward layers' outputs a thousand times as heavy as
 * the others: more than bytes can tell apart. */
void tiny_model_spoil_bytes(tiny_model *model);

/* The unit vector of `n` ids. */
void tiny_model_reference(const tiny_model *model, const uint32_t *ids,
                          size_t n, int is_cls, double *ret_vector);

#endif
