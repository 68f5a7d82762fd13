/* encoder/trie.c — which is the longest token that this text begins with?
 * A tree of bytes answers in one walk that ends where no token goes on, and its
 * answer is exact: there is no hash of tokens that could collide.
 *
 * The children of all nodes live in one open-addressed table. Its key, parent
 * and byte, is compared in full:
 *
 *   edges[]   parent:32 | child:24 byte:8     values[node]   id or LK_TRIE_NONE
 *
 * BERT's 30,522 words make 73,126 nodes, so 2 MB of table, of which a
 * text touches the few kilobytes that hold its language's common beginnings. A
 * double array would halve that and costs a search for gaps at load, which a
 * hostile vocabulary can make quadratic. */
#include "encoder/trie.h"

#include <stdlib.h>
#include <string.h>

enum {
    FIRST_SLOTS = 1024,
};

static size_t slot_of(const lk_trie *trie, uint32_t parent, uint8_t byte)
{
    /* Fibonacci hashing: the high half of a product with 2^64 / golden ratio */
    uint64_t mixed =
        ((uint64_t)parent << 8 | byte) * UINT64_C(0x9E3779B97F4A7C15);

    return (size_t)(mixed >> 32) & (trie->n_slots - 1);
}

/* The slot that holds the edge, or the free one where it belongs. */
static lk_trie_edge *edge_find(const lk_trie *trie, uint32_t parent,
                               uint8_t byte)
{
    size_t slot = slot_of(trie, parent, byte);

    for (;;) {
        lk_trie_edge *edge = &trie->edges[slot];

        if (edge->child_byte == 0 ||
            (edge->parent == parent && (uint8_t)edge->child_byte == byte))
            return edge;
        slot = (slot + 1) & (trie->n_slots - 1);
    }
}

static int edges_grow(lk_trie *trie, linkd_error *err)
{
    lk_trie old = *trie;

    trie->n_slots = old.n_slots * 2;
    trie->edges = calloc(trie->n_slots, sizeof(*trie->edges));
    if (trie->edges == NULL) {
        *trie = old;
        return lk_fail_nomem(err);
    }
    for (size_t i = 0; i < old.n_slots; i++) {
        lk_trie_edge edge = old.edges[i];

        if (edge.child_byte != 0)
            *edge_find(trie, edge.parent, (uint8_t)edge.child_byte) = edge;
    }
    free(old.edges);
    return LINKD_OK;
}

static int node_new(lk_trie *trie, uint32_t *ret_node, linkd_error *err)
{
    int rc;

    if (trie->n_nodes == LK_TRIE_NODES_MAX)
        return lk_fail(err, LINKD_E_DATA, "vocabulary is too large");
    rc = lk_grow((void **)&trie->values, &trie->values_capacity,
                 (size_t)trie->n_nodes + 1, sizeof(*trie->values), err);
    if (rc != LINKD_OK)
        return rc;
    trie->values[trie->n_nodes] = LK_TRIE_NONE;
    *ret_node = trie->n_nodes++;
    return LINKD_OK;
}

int lk_trie_init(lk_trie *trie, uint32_t n_roots, linkd_error *err)
{
    uint32_t root;
    int rc = LINKD_OK;

    *trie = (lk_trie){.n_slots = FIRST_SLOTS};
    trie->edges = calloc(trie->n_slots, sizeof(*trie->edges));
    if (trie->edges == NULL)
        return lk_fail_nomem(err);
    for (uint32_t i = 0; i < n_roots && rc == LINKD_OK; i++)
        rc = node_new(trie, &root, err);
    return rc;
}

void lk_trie_clear(lk_trie *trie)
{
    if (!trie->is_borrowed) {
        free(trie->edges);
        free(trie->values);
    }
    *trie = (lk_trie){0};
}

/* Whether every walk stays inside and ends: at least one slot is free, which is
 * where a search for an edge stops. Loops without a way out of them are done
 * several at a time, and there are millions of slots. */
static bool is_sound(const lk_trie *trie, size_t n_values)
{
    size_t n_free = 0;
    uint32_t most = 0;
    bool is_wild = false;

    for (size_t i = 0; i < trie->n_slots; i++) {
        const uint32_t child = trie->edges[i].child_byte;

        n_free += child == 0;
        most = child > most ? child : most;
    }
    for (size_t i = 0; i < trie->n_nodes; i++)
        is_wild |=
            trie->values[i] >= n_values && trie->values[i] != LK_TRIE_NONE;
    return n_free > 0 && most >> 8 < trie->n_nodes && !is_wild;
}

int lk_trie_borrow(lk_trie *trie, const lk_trie_edge *edges, size_t n_slots,
                   const uint32_t *values, uint32_t n_nodes, size_t n_values,
                   linkd_error *err)
{
    const lk_trie borrowed = {.edges = (lk_trie_edge *)(uintptr_t)edges,
                              .n_slots = n_slots,
                              .values = (uint32_t *)(uintptr_t)values,
                              .n_nodes = n_nodes,
                              .is_borrowed = true};

    if (n_slots == 0 || (n_slots & (n_slots - 1)) != 0 ||
        n_nodes < trie->n_nodes || !is_sound(&borrowed, n_values))
        return lk_fail(err, LINKD_E_DATA, "no tree of tokens");
    lk_trie_clear(trie);
    *trie = borrowed;
    return LINKD_OK;
}

/* The child of `node` behind `byte`, made if there is none. */
static int child_get(lk_trie *trie, uint32_t node, uint8_t byte,
                     uint32_t *ret_child, linkd_error *err)
{
    lk_trie_edge *edge = edge_find(trie, node, byte);
    int rc;

    if (edge->child_byte != 0) {
        *ret_child = edge->child_byte >> 8;
        return LINKD_OK;
    }
    if ((size_t)trie->n_nodes * 2 >= trie->n_slots) {
        rc = edges_grow(trie, err);
        if (rc != LINKD_OK)
            return rc;
        edge = edge_find(trie, node, byte);
    }
    rc = node_new(trie, ret_child, err);
    if (rc != LINKD_OK)
        return rc;
    *edge = (lk_trie_edge){node, *ret_child << 8 | byte};
    return LINKD_OK;
}

int lk_trie_insert(lk_trie *trie, uint32_t root, linkd_str key, uint32_t value,
                   linkd_error *err)
{
    uint32_t node = root;

    if (trie->is_borrowed)
        return lk_fail(err, LINKD_E_DATA, "the tree cannot be changed");
    for (size_t i = 0; i < key.len; i++) {
        int rc = child_get(trie, node, (uint8_t)key.bytes[i], &node, err);

        if (rc != LINKD_OK)
            return rc;
    }
    if (trie->values[node] != LK_TRIE_NONE)
        return lk_fail(err, LINKD_E_DATA, "token occurs twice");
    trie->values[node] = value;
    return LINKD_OK;
}

bool lk_trie_step(const lk_trie *trie, uint32_t *node, uint8_t byte)
{
    const lk_trie_edge *edge = edge_find(trie, *node, byte);

    if (edge->child_byte == 0)
        return false;
    *node = edge->child_byte >> 8;
    return true;
}

uint32_t lk_trie_match(const lk_trie *trie, uint32_t root, linkd_str text,
                       size_t *ret_len)
{
    uint32_t node = root, value = LK_TRIE_NONE;
    size_t len = 0;

    for (size_t i = 0; i < text.len; i++) {
        if (!lk_trie_step(trie, &node, (uint8_t)text.bytes[i]))
            break;
        if (trie->values[node] != LK_TRIE_NONE) {
            value = trie->values[node];
            len = i + 1;
        }
    }
    *ret_len = len;
    return value;
}

uint32_t lk_trie_find(const lk_trie *trie, uint32_t root, linkd_str key)
{
    size_t len;
    uint32_t value = lk_trie_match(trie, root, key, &len);

    return len == key.len ? value : LK_TRIE_NONE;
}
