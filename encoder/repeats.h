/* encoder/repeats.h — texts that are the same to a model. */
#ifndef LK_ENCODER_REPEATS_H
#define LK_ENCODER_REPEATS_H

#include "encoder/tokenizer.h"

/* Slots of the table for n texts: a power of two. */
size_t lk_repeats_table_size(size_t n);

/* Brings the distinct ones of n token sequences to the front, in the order in
 * which they came first, and answers how many there are.
 *   table      lk_repeats_table_size(n) numbers, for this call only
 *   ret_places [n] where among the distinct ones each sequence is; no greater
 *              than its own place */
size_t lk_repeats_fold(lk_tokens *sequences, size_t n, uint32_t *table,
                       size_t *ret_places);

/* The opposite, for what was made of the distinct ones: row ret_places[i] of
 * [n, dim] becomes row i. */
void lk_repeats_unfold(const size_t *places, size_t n, size_t dim,
                       float *vectors);

#endif
