/* encoder/config.h — what a model directory's JSON files say about the model:
 * its architecture and sizes, how a text's tokens become one vector, and how
 * many tokens a text may have. */
#ifndef LK_ENCODER_CONFIG_H
#define LK_ENCODER_CONFIG_H

#include <stdbool.h>

#include "encoder/kernels.h"

typedef enum lk_pooling {
    LK_POOLING_MEAN, /* of all tokens */
    LK_POOLING_CLS,  /* the first token */
    LK_POOLING_LAST, /* the last token */
    LK_POOLING_MAX,  /* of each dimension over all tokens */
    LK_POOLING_END,  /* CLIP: the token that ends the text */
} lk_pooling;

typedef enum lk_architecture {
    LK_BERT,
    LK_ROBERTA, /* XLM-R, CamemBERT, too */
    LK_DISTILBERT,
    LK_MPNET,
    LK_MODERNBERT,
    LK_CLIP,   /* its tower for texts */
    LK_STATIC, /* model2vec: a table of vectors, one a token, and no layers */
} lk_architecture;

typedef enum lk_cut {
    LK_CUT_AS_TOKENIZER, /* says, in its own file */
    LK_CUT_END,
    LK_CUT_BEGINNING,
} lk_cut;

typedef enum lk_dense_activation {
    LK_DENSE_NONE,
    LK_DENSE_TANH,
    LK_DENSE_RELU,
} lk_dense_activation;

enum {
    LK_DENSE_MAX = 4,       /* guess: two are the most seen */
    LK_MODULE_DIR_MAX = 64, /* bytes of a module's directory name */
};

/* A linear layer behind the pooling, in its own directory. */
typedef struct lk_dense_config {
    char dir[LK_MODULE_DIR_MAX + 1];
    size_t n_out;
    bool has_bias;
    lk_dense_activation activation;
} lk_dense_config;

typedef struct lk_config {
    lk_architecture architecture;
    size_t dim;
    size_t n_inner; /* width of the feed-forward layer */
    lk_activation activation;
    size_t n_layers;
    size_t n_heads;
    size_t vocab_size; /* 0: as many as the tokenizer's */
    size_t n_positions;
    size_t first_position; /* of a text's first token */
    size_t n_types;        /* 0: tokens have no type */
    size_t n_buckets;      /* of distances between tokens; 0: none count */
    /* MODERNBERT's positions and windows */
    double rotary_theta, local_theta;
    size_t window;       /* tokens to either side that a local layer sees */
    size_t global_every; /* layers from one that sees all to the next; layer 0
                          * does */
    float norm_epsilon;
    lk_pooling pooling;
    bool pools_by_root; /* the mean times the root of the length */
    bool skips_prompts; /* pools the text's tokens only */
    size_t max_tokens;
    lk_cut cut;      /* what a text that is too long loses */
    bool lowercases; /* texts, whatever the tokenizer does */
    lk_dense_config dense[LK_DENSE_MAX];
    size_t n_dense;
    /* of CLIP only */
    size_t n_out;  /* width of the projection */
    size_t end_id; /* of the token whose row is the vector; clip.c */
} lk_config;

/* The files as bytes, so that each can be fuzzed. All read hostile input.
 * LINKD_E_DATA: it is not JSON, a number is missing or unusable, or the model
 * is of a kind that is not supported; the message names file and value. */

/* config.json: everything but pooling and max_tokens, which become mean and
 * the number of positions that a text can have. */
LINKD_MUST_CHECK int lk_config_parse_model(const void *bytes, size_t len,
                                           lk_config *ret_config,
                                           linkd_error *err);
/* modules.json: puts the pooling module's directory, NUL-terminated, into
 * `ret_pooling_dir`, which comes empty, and those of dense layers into
 * `config`. */
LINKD_MUST_CHECK int lk_config_parse_modules(const void *bytes, size_t len,
                                             lk_config *config,
                                             lk_buf *ret_pooling_dir,
                                             linkd_error *err);
/* config.json of a dense layer with n_in inputs: what `dense` lacks. `name`
 * begins the messages. */
LINKD_MUST_CHECK int lk_config_parse_dense(const void *bytes, size_t len,
                                           const char *name, size_t n_in,
                                           lk_dense_config *dense,
                                           linkd_error *err);
/* 1_Pooling/config.json. `name` begins the messages. */
LINKD_MUST_CHECK int lk_config_parse_pooling(const void *bytes, size_t len,
                                             const char *name,
                                             lk_config *config,
                                             linkd_error *err);
/* sentence_bert_config.json: lowers max_tokens; tells whether it did. */
LINKD_MUST_CHECK int lk_config_parse_limit(const void *bytes, size_t len,
                                           lk_config *config, bool *ret_is_set,
                                           linkd_error *err);
/* tokenizer_config.json: which side of a long text is cut, and where
 * `takes_limit`, its model_max_length lowers max_tokens. */
LINKD_MUST_CHECK int lk_config_parse_tokenizer(const void *bytes, size_t len,
                                               bool takes_limit,
                                               lk_config *config,
                                               linkd_error *err);

/* Reads all of them from `dir`. Only config.json must be there: without the
 * others, a text's vector is the mean over as many tokens as have a position.
 * LINKD_E_IO: a file cannot be read. */
LINKD_MUST_CHECK int lk_config_read(const char *dir, lk_config *ret_config,
                                    linkd_error *err);

/* Whether a layer of ModernBERT's sees a window only. */
bool lk_config_is_local(const lk_config *config, size_t layer);

const char *lk_architecture_name(lk_architecture architecture);
const char *lk_pooling_name(lk_pooling pooling);

#endif
