/* encoder/rotary.c — positions as rotations. Angles are floats, as in the
 * reference: at position 8,000 their rounding is felt in the vectors. Turning is
 * plain C, compiled for one instruction set, so that all tiers give the same
 * bits; beside the layers' products it takes no time. */
#include "encoder/rotary.h"

#include <math.h>

size_t lk_rotary_floats(size_t n_positions, size_t head_dim)
{
    return n_positions * head_dim;
}

void lk_rotary_fill(double theta, size_t n_positions, size_t head_dim,
                    float *ret_turns)
{
    const size_t half = head_dim / 2;

    for (size_t i = 0; i < half; i++) {
        const float frequency =
            (float)(1.0 / pow(theta, (double)(2 * i) / (double)head_dim));

        for (size_t position = 0; position < n_positions; position++) {
            const float angle = (float)position * frequency;
            float *turn = ret_turns + position * head_dim + i;

            turn[0] = (float)cos((double)angle);
            turn[half] = (float)sin((double)angle);
        }
    }
}

void lk_rotary_turn(const float *turns, size_t position, size_t n_heads,
                    size_t head_dim, float *row)
{
    const size_t half = head_dim / 2;
    const float *cosines = turns + position * head_dim;
    const float *sines = cosines + half;

    for (size_t head = 0; head < n_heads; head++, row += head_dim)
        for (size_t i = 0; i < half; i++) {
            const float a = row[i];
            const float b = row[half + i];

            row[i] = a * cosines[i] - b * sines[i];
            row[half + i] = b * cosines[i] + a * sines[i];
        }
}
