/* linkage/normal.c — the sums take nearly all the time of a fit, so they are
 * made in tiles of 8 x 8 columns whose sums stay in registers, 4 x 8 at a time,
 * while 256 rows pass by. The eight columns of a panel lie together, so a tile
 * reads two runs of memory from start to end.
 *
 * Products are floats and 256 of them are summed as floats; the sums of the
 * tiles are doubles. An element is off by about 1e-7 of itself then, which a
 * Newton step bears: its direction changes that little, its goal does not.
 *
 * Vectors of four floats are what every x86-64 and every ARM64 has. Each lane
 * is another column, so a wider or narrower machine gets the same sums. */
#include <math.h>
#include <string.h>

#include "linkage/normal.h"

typedef float float4 __attribute__((vector_size(16)));

/* Columns of the left panel whose sums fit in the registers. */
#define HALF ((size_t)(LK_NORMAL_PANEL / 2))

static void add_sums(double *matrix, float4 low, float4 high)
{
    for (int i = 0; i < 4; i++) {
        matrix[i] += (double)low[i];
        matrix[i + 4] += (double)high[i];
    }
}

/* Four columns of the panel `left` with the eight of the panel `right`. Written
 * out, as loops over arrays of sums would not stay in registers. */
static void add_half_tile(const float *left, const float *right, size_t n_rows,
                          size_t stride, double *matrix)
{
    float4 a0 = {0}, a1 = {0}, b0 = {0}, b1 = {0};
    float4 c0 = {0}, c1 = {0}, d0 = {0}, d1 = {0};

    for (size_t i = 0; i < n_rows; i++) {
        const float *l = left + i * LK_NORMAL_PANEL;
        float4 r0, r1;

        memcpy(&r0, right + i * LK_NORMAL_PANEL, sizeof(r0));
        memcpy(&r1, right + i * LK_NORMAL_PANEL + 4, sizeof(r1));
        a0 += l[0] * r0;
        a1 += l[0] * r1;
        b0 += l[1] * r0;
        b1 += l[1] * r1;
        c0 += l[2] * r0;
        c1 += l[2] * r1;
        d0 += l[3] * r0;
        d1 += l[3] * r1;
    }
    add_sums(matrix, a0, a1);
    add_sums(matrix + stride, b0, b1);
    add_sums(matrix + 2 * stride, c0, c1);
    add_sums(matrix + 3 * stride, d0, d1);
}

void lk_normal_add(const float *rows, size_t n_rows, size_t stride,
                   double *matrix)
{
    for (size_t i = 0; i < stride; i += LK_NORMAL_PANEL)
        for (size_t j = 0; j <= i; j += LK_NORMAL_PANEL) {
            const float *left = rows + lk_normal_at(0, i);
            const float *right = rows + lk_normal_at(0, j);
            double *tile = matrix + i * stride + j;

            add_half_tile(left, right, n_rows, stride, tile);
            add_half_tile(left + HALF, right, n_rows, stride,
                          tile + HALF * stride);
        }
}

static double dot(const double *a, const double *b, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* Cholesky's factor, row by row, in the lower triangle. */
static bool factor(double *matrix, size_t stride, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double *row = matrix + i * stride;
        double rest;

        for (size_t j = 0; j < i; j++) {
            const double *other = matrix + j * stride;

            row[j] = (row[j] - dot(row, other, j)) / other[j];
        }
        rest = row[i] - dot(row, row, i);
        if (!(rest > 0) || !isfinite(rest))
            return false;
        row[i] = sqrt(rest);
    }
    return true;
}

bool lk_normal_solve(double *matrix, size_t stride, size_t n, double *values)
{
    if (!factor(matrix, stride, n))
        return false;
    for (size_t i = 0; i < n; i++) {
        const double *row = matrix + i * stride;

        values[i] = (values[i] - dot(row, values, i)) / row[i];
    }
    for (size_t i = n; i-- > 0;) {
        values[i] /= matrix[i * stride + i];
        for (size_t j = 0; j < i; j++)
            values[j] -= matrix[i * stride + j] * values[i];
    }
    return true;
}
