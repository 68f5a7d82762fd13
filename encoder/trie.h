/* encoder/trie.h — a vocabulary as a tree of bytes, for longest matches. */
#ifndef LK_ENCODER_TRIE_H
#define LK_ENCODER_TRIE_H

#include "base/base.h"

#include <stdbool.h>

typedef struct lk_trie_edge {
    uint32_t parent;
    uint32_t child_byte; /* child node << 8 | byte; 0: the slot is free */
} lk_trie_edge;

/* {0} before lk_trie_init(). Readers may share one; only insert writes. */
typedef struct lk_trie {
    lk_trie_edge *edges;
    size_t n_slots; /* a power of two, at least twice the number of edges */
    uint32_t *values;
    size_t values_capacity;
    uint32_t n_nodes;
    bool is_borrowed; /* and never written to */
} lk_trie;

enum {
    /* guess: some three times what the largest vocabulary of the BERT family
     * needs, LaBSE's 501,153 tokens; a node's number must fit 24 bits */
    LK_TRIE_NODES_MAX = 1 << 23,
};
#define LK_TRIE_NONE UINT32_MAX

/* Nodes 0 … n_roots - 1 begin separate trees. */
LINKD_MUST_CHECK int lk_trie_init(lk_trie *trie, uint32_t n_roots,
                                  linkd_error *err);
void lk_trie_clear(lk_trie *trie);

/* Makes a tree of the edges and values of another one, which may be hostile:
 * instead of what `trie` is. Borrows both, and can then not be inserted into.
 *   edges   [n_slots]
 *   values  [n_nodes] each below n_values, or LK_TRIE_NONE
 * LINKD_E_DATA: they are no tree that begins with at least trie->n_nodes roots. */
LINKD_MUST_CHECK int lk_trie_borrow(lk_trie *trie, const lk_trie_edge *edges,
                                    size_t n_slots, const uint32_t *values,
                                    uint32_t n_nodes, size_t n_values,
                                    linkd_error *err);

/* Stores `value` under a key of at least one byte. LINKD_E_DATA: the key is
 * there already, or the tree is full or borrowed. */
LINKD_MUST_CHECK int lk_trie_insert(lk_trie *trie, uint32_t root, linkd_str key,
                                    uint32_t value, linkd_error *err);

/* The value stored under exactly `key`, or LK_TRIE_NONE. */
uint32_t lk_trie_find(const lk_trie *trie, uint32_t root, linkd_str key);

/* Goes one byte down from *node; false: no key goes on so, and *node is as it
 * was. A root's number is its first node; values[node] is what a key that ends
 * there has, or LK_TRIE_NONE. */
bool lk_trie_step(const lk_trie *trie, uint32_t *node, uint8_t byte);

/* The value of the longest key that `text` begins with, or LK_TRIE_NONE;
 * `ret_len` receives its length. */
uint32_t lk_trie_match(const lk_trie *trie, uint32_t root, linkd_str text,
                       size_t *ret_len);

#endif
