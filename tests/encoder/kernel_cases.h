/* tests/encoder/kernel_cases.h — what tests of kernels share: the tiers, made
 * layers and heads of attention, what a tier makes of them, and what they come to
 * in double precision. */
#ifndef LINKD_TESTS_KERNEL_CASES_H
#define LINKD_TESTS_KERNEL_CASES_H

#include "encoder/kernels.h"

#define TOLERANCE 1e-5

enum {
    ROWS_MAX = 20,
    N_ISAS = 3,
    N_BF16_ISAS = 2,
    N_INT8_ISAS = 4,
    N_SHAPES = 7,
    N_ATTENTIONS = 15,
};

/* ---- tiers -------------------------------------------------------------- */

extern const char *const ISAS[N_ISAS];
extern const char *const BF16_ISAS[N_BF16_ISAS];
extern const char *const INT8_ISAS[N_INT8_ISAS];

/* The tier's table, or NULL where the processor does not have it. */
const lk_kernels *tier(size_t i);
const lk_kernels *bf16_tier(size_t i);
const lk_kernels *int8_tier(size_t i);
const lk_kernels *scalar_tier(void);
void check_bf16_tiers(void (*check)(const lk_kernels *kernels));

/* ---- numbers ------------------------------------------------------------ */

extern uint32_t seed;

/* The next of a sequence of numbers between -1 and 1, which the seed fixes. What is
 * new is freed with free(), a layer with layer_free(). */
float next_number(void);
float *floats_new(size_t n);
/* n_rows rows of `width` numbers, lk_stride(width) apart. */
float *rows_new(size_t n_rows, size_t width);
void assert_near(float value, double expected);
void assert_rows_near(const float *rows, const double *expected, size_t n_rows,
                      size_t width);
void assert_rows_identical(const float *a, const float *b, size_t n_rows,
                           size_t width);

/* ---- layers ------------------------------------------------------------- */

double gelu(double x);
double gelu_tanh(double x);
double quick_gelu(double x);
void norm_reference(const lk_norm *norm, double *row);

typedef struct layer {
    size_t n_in, n_out;
    float *weights; /* [n_out, n_in] */
    float *bias;
    lk_norm norm; /* of width n_out */
    float *gamma, *beta;
    float *x;        /* [ROWS_MAX, n_in] */
    float *residual; /* [ROWS_MAX, n_out] */
    float *scales;   /* of int8's inputs, or NULL */
} layer;

/* The activations in the order of the kernels. */
typedef enum kind {
    LINEAR,
    LINEAR_GELU,
    LINEAR_GELU_TANH,
    LINEAR_QUICK_GELU,
    LINEAR_ADD_NORM
} kind;

/* Odd widths, one panel exactly, one more than a panel, several panels. */
extern const size_t SHAPES[N_SHAPES][2];

layer layer_new(size_t n_in, size_t n_out);
void layer_free(layer *l);
/* W x + b for each row, in double precision. */
double *linear_reference(const layer *l, size_t n_rows);
float *panels_new(const lk_kernels *kernels, const layer *l);
/* What the tier makes of the layer's first n_rows rows. */
float *layer_run(const lk_kernels *kernels, const layer *l, kind what,
                 size_t n_rows);
double *layer_reference(const layer *l, kind what, size_t n_rows);
/* That a row comes out the same in any batch. */
void check_rows_alone(const lk_kernels *kernels);

/* ---- attention ---------------------------------------------------------- */

/* Heads, numbers of a head, tokens, window. */
extern const size_t ATTENTIONS[N_ATTENTIONS][4];

/* softmax(q k) v for one head; queries carry the scale and log2(e). */
void attention_reference(const float *qkv, const lk_heads *heads, size_t head,
                         size_t n, size_t n_queries, double *ret_context);
float *attention_run(const lk_kernels *kernels, const lk_heads *heads,
                     const float *qkv, size_t n);
lk_heads attention_heads(size_t i);

#endif
