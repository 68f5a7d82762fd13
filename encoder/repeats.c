/* encoder/repeats.c — texts that are the same to a model.
 * Records repeat names, towns and whole rows, and a forward pass costs a million
 * times as much as a look-up. Compared are ids, not texts: "ANN LEE" and "Ann
 * Lee" are one text to a model that ignores case. */
#include "encoder/repeats.h"

#include <string.h>
#include <xxhash.h>

size_t lk_repeats_table_size(size_t n)
{
    size_t size = 2;

    while (size < 2 * n)
        size *= 2;
    return size;
}

static int is_same(const lk_tokens *a, const lk_tokens *b)
{
    return a->n == b->n && memcmp(a->ids, b->ids, a->n * sizeof(*a->ids)) == 0;
}

/* The table's slot for the sequence: empty, or of one that is the same. */
static size_t slot_find(const lk_tokens *sequences, const lk_tokens *sequence,
                        const uint32_t *table, size_t size)
{
    size_t slot = (size_t)XXH3_64bits(sequence->ids,
                                      sequence->n * sizeof(*sequence->ids));

    for (;; slot++) {
        slot &= size - 1;
        if (table[slot] == 0 || is_same(&sequences[table[slot] - 1], sequence))
            return slot;
    }
}

size_t lk_repeats_fold(lk_tokens *sequences, size_t n, uint32_t *table,
                       size_t *ret_places)
{
    const size_t size = lk_repeats_table_size(n);
    size_t n_distinct = 0;

    memset(table, 0, size * sizeof(*table));
    for (size_t i = 0; i < n; i++) {
        size_t slot = slot_find(sequences, &sequences[i], table, size);

        if (table[slot] == 0) {
            lk_tokens front = sequences[n_distinct];

            sequences[n_distinct] = sequences[i];
            sequences[i] = front;
            table[slot] = (uint32_t)++n_distinct;
        }
        ret_places[i] = table[slot] - 1;
    }
    return n_distinct;
}

/* From the last row on, so that no row is written before it was read: whoever
 * needs row i comes at i or later. */
void lk_repeats_unfold(const size_t *places, size_t n, size_t dim,
                       float *vectors)
{
    for (size_t i = n; i-- > 0;)
        if (places[i] != i)
            memcpy(vectors + i * dim, vectors + places[i] * dim,
                   dim * sizeof(*vectors));
}
