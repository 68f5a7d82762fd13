/* linkage/pairset.h — private: the candidates of all channels, each pair once. */
#ifndef LK_LINKAGE_PAIRSET_H
#define LK_LINKAGE_PAIRSET_H

#include "linkage/lexical.h"

/* Which channels proposed a pair: bits. */
typedef enum lk_channel {
    LK_CHANNEL_DENSE = 1,   /* near in the encoder's space */
    LK_CHANNEL_LEXICAL = 2, /* whole records share 3-grams */
    LK_CHANNEL_WORDS = 4,   /* whole records share rare words */
    LK_CHANNEL_FIELD = 8,   /* one field shares 3-grams */
    LK_CHANNEL_ASKED = 16,  /* the caller named the pair: a label, a question */
} lk_channel;

/* Pairs of records (see texts.h), a < b, by a, then b, each once. With two
 * tables a is of the left one and b of the right one. */
typedef struct lk_pairset {
    uint32_t *a;
    uint32_t *b;
    uint8_t *channels;
    size_t n;
    size_t n_records;
    size_t n_left;
    bool within; /* one table with itself */
} lk_pairset;

/* Collects pairs in any order, then sorts and unites them. */
typedef struct lk_pairset_builder {
    uint64_t *keys; /* a << 32 | b */
    uint8_t *channels;
    size_t n;
    size_t capacity, capacity_channels;
} lk_pairset_builder;

/* In either order. A record with itself is no pair and is left out. */
LINKD_MUST_CHECK int lk_pairset_add(lk_pairset_builder *builder, size_t a,
                                    size_t b, lk_channel channel,
                                    linkd_error *err);
LINKD_MUST_CHECK int lk_pairset_add_neighbours(lk_pairset_builder *builder,
                                               const lk_neighbours *neighbours,
                                               lk_channel channel,
                                               linkd_error *err);
/* Sorts in linear time; leaves the builder empty. */
LINKD_MUST_CHECK int lk_pairset_build(lk_pairset_builder *builder,
                                      size_t n_records, size_t n_left,
                                      lk_pairset *ret_pairs, linkd_error *err);
void lk_pairset_builder_clear(lk_pairset_builder *builder);
void lk_pairset_clear(lk_pairset *pairs);

/* The pair's position, or SIZE_MAX. */
size_t lk_pairset_find(const lk_pairset *pairs, size_t a, size_t b);

#endif
