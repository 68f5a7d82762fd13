/* encoder/rotary.h — positions as rotations of queries and keys (RoFormer,
 * arXiv 2104.09864): the numbers i and i + head_dim / 2 of a head are turned by
 * position * theta^(-2 i / head_dim), so that a score depends on how far two
 * tokens are from one another. */
#ifndef LK_ENCODER_ROTARY_H
#define LK_ENCODER_ROTARY_H

#include "base/base.h"

/* Floats of a table for that many positions. */
size_t lk_rotary_floats(size_t n_positions, size_t head_dim);

/* Cosines and sines: [n_positions, 2, head_dim / 2]. */
void lk_rotary_fill(double theta, size_t n_positions, size_t head_dim,
                    float *ret_turns);

/* Turns each head of a row, which has position `position`. */
void lk_rotary_turn(const float *turns, size_t position, size_t n_heads,
                    size_t head_dim, float *row);

#endif
