/* encoder/bpe.c — byte pair encoding (Sennrich et al. 2016, arXiv 1508.07909).
 * A part begins as one symbol a character; the pair of neighbours with the
 * lowest rank merges, until none does. The symbols are a list in an array, the
 * pairs wait in a heap, and a pair whose symbols have changed meanwhile is
 * passed over when its turn comes:
 *
 *   symbols  h ⇄ e ⇄ l ⇄ l ⇄ o      heap  (rank of "l l", at 2), …
 *   symbols  h ⇄ e ⇄ ll ⇄ o
 *
 * As with Hugging Face a pair is still good if it merges to the same piece as
 * when it was put down, even if its symbols are other ones. */
#include "encoder/bpe.h"

#include "encoder/unicode.h"

#include <stdlib.h>
#include <string.h>

void lk_bpe_clear(lk_bpe *bpe)
{
    free(bpe->owned);
    lk_buf_clear(&bpe->inside_prefix);
    lk_buf_clear(&bpe->end_suffix);
    *bpe = (lk_bpe){0};
}

void lk_bpe_scratch_clear(lk_bpe_scratch *scratch)
{
    free(scratch->symbols);
    free(scratch->heap);
    lk_buf_clear(&scratch->piece);
}

/* ---- merges ------------------------------------------------------------- */

int lk_bpe_merges_init(lk_bpe *bpe, size_t n, linkd_error *err)
{
    size_t n_slots = 2;

    while (n_slots < 2 * n)
        n_slots *= 2;
    bpe->owned = malloc(n_slots * sizeof(*bpe->owned));
    if (bpe->owned == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < n_slots; i++)
        bpe->owned[i] = (lk_merge){.id = LK_TRIE_NONE};
    bpe->merges = bpe->owned;
    bpe->n_slots = n_slots;
    return LINKD_OK;
}

/* A search for a pair ends at a free slot, so there has to be one. */
int lk_bpe_merges_borrow(lk_bpe *bpe, const lk_merge *merges, size_t n_slots,
                         size_t n_pieces, linkd_error *err)
{
    size_t n_free = 0, n_wild = 0;

    for (size_t i = 0; i < n_slots; i++) {
        n_free += merges[i].id == LK_TRIE_NONE;
        n_wild += merges[i].id >= n_pieces && merges[i].id != LK_TRIE_NONE;
    }
    if (n_free == 0 || n_wild > 0 || (n_slots & (n_slots - 1)) != 0)
        return lk_fail(err, LINKD_E_DATA, "no table of merges");
    bpe->merges = merges;
    bpe->n_slots = n_slots;
    return LINKD_OK;
}

/* The pair's slot, or the free one where it belongs. */
static size_t slot_at(const lk_bpe *bpe, uint32_t left, uint32_t right)
{
    /* Fibonacci hashing, as in trie.c */
    const uint64_t mixed =
        ((uint64_t)left << 32 | right) * UINT64_C(0x9E3779B97F4A7C15);
    size_t slot = (size_t)(mixed >> 32) & (bpe->n_slots - 1);

    while (bpe->merges[slot].id != LK_TRIE_NONE &&
           (bpe->merges[slot].left != left || bpe->merges[slot].right != right))
        slot = (slot + 1) & (bpe->n_slots - 1);
    return slot;
}

static const lk_merge *slot_find(const lk_bpe *bpe, uint32_t left,
                                 uint32_t right)
{
    return &bpe->merges[slot_at(bpe, left, right)];
}

void lk_bpe_merge_put(lk_bpe *bpe, lk_merge merge)
{
    bpe->owned[slot_at(bpe, merge.left, merge.right)] = merge;
}

/* ---- symbols ------------------------------------------------------------ */

static int symbol_put(lk_bpe_scratch *scratch, uint32_t id, linkd_error *err)
{
    const size_t n = scratch->n_symbols;
    int rc = lk_grow((void **)&scratch->symbols, &scratch->symbols_capacity,
                     n + 1, sizeof(*scratch->symbols), err);

    if (rc != LINKD_OK)
        return rc;
    if (n > 0)
        scratch->symbols[n - 1].after = (uint32_t)n;
    scratch->symbols[n] = (lk_bpe_symbol){
        id, n > 0 ? (uint32_t)n - 1 : LK_TRIE_NONE, LK_TRIE_NONE, false};
    scratch->n_symbols++;
    return LINKD_OK;
}

/* The character as the vocabulary spells it, in scratch->piece. */
static int character_spell(const lk_bpe *bpe, linkd_str character,
                           bool is_first, bool is_last, lk_buf *piece,
                           linkd_error *err)
{
    int rc = LINKD_OK;

    lk_buf_reset(piece);
    if (!is_first)
        rc = lk_buf_append(piece, bpe->inside_prefix.data,
                           bpe->inside_prefix.len, err);
    if (rc == LINKD_OK)
        rc = lk_buf_append(piece, character.bytes, character.len, err);
    if (rc == LINKD_OK && is_last)
        rc = lk_buf_append(piece, bpe->end_suffix.data, bpe->end_suffix.len,
                           err);
    return rc;
}

/* A character that is no piece. `is_after_unknown`: the last symbol is one. */
static int unknown_put(const lk_bpe *bpe, lk_bpe_scratch *scratch,
                       bool *is_after_unknown, linkd_error *err)
{
    const linkd_str piece = {scratch->piece.data, scratch->piece.len};
    int rc = LINKD_OK;

    if (lk_byte_pieces_cover(&bpe->bytes, piece)) {
        for (size_t i = 0; i < piece.len && rc == LINKD_OK; i++)
            rc = symbol_put(scratch, bpe->bytes.ids[(uint8_t)piece.bytes[i]],
                            err);
        return rc;
    }
    if (!bpe->has_unknown || (bpe->fuses_unknown && *is_after_unknown))
        return LINKD_OK;
    *is_after_unknown = true;
    return symbol_put(scratch, bpe->unknown_id, err);
}

static int symbols_make(const lk_bpe *bpe, const lk_trie *trie, uint32_t root,
                        linkd_str part, lk_bpe_scratch *scratch,
                        linkd_error *err)
{
    bool is_after_unknown = false;
    int rc = LINKD_OK;

    scratch->n_symbols = 0;
    for (size_t at = 0, len; at < part.len && rc == LINKD_OK; at += len) {
        const uint8_t *bytes = (const uint8_t *)part.bytes + at;
        linkd_str spelt;
        uint32_t cp, id;

        len = lk_utf8_read(bytes, part.len - at, &cp);
        rc = character_spell(bpe, (linkd_str){part.bytes + at, len}, at == 0,
                             at + len == part.len, &scratch->piece, err);
        if (rc != LINKD_OK)
            break;
        spelt = (linkd_str){scratch->piece.data, scratch->piece.len};
        id = lk_trie_find(trie, root, spelt);
        if (id == LK_TRIE_NONE) {
            rc = unknown_put(bpe, scratch, &is_after_unknown, err);
        } else {
            rc = symbol_put(scratch, id, err);
            is_after_unknown = false;
        }
    }
    return rc;
}

/* ---- the heap ----------------------------------------------------------- */

static bool goes_before(lk_bpe_candidate a, lk_bpe_candidate b)
{
    return a.rank < b.rank || (a.rank == b.rank && a.at < b.at);
}

static void swap(lk_bpe_candidate *a, lk_bpe_candidate *b)
{
    lk_bpe_candidate kept = *a;

    *a = *b;
    *b = kept;
}

/* Puts down the merge of the symbols `at` and after it, if there is one. */
static int candidate_put(const lk_bpe *bpe, lk_bpe_scratch *scratch,
                         uint32_t at, linkd_error *err)
{
    const lk_bpe_symbol *left = &scratch->symbols[at];
    const lk_merge *merge;
    size_t place = scratch->n_heap;
    int rc;

    if (left->after == LK_TRIE_NONE)
        return LINKD_OK;
    merge = slot_find(bpe, left->id, scratch->symbols[left->after].id);
    if (merge->id == LK_TRIE_NONE)
        return LINKD_OK;
    rc = lk_grow((void **)&scratch->heap, &scratch->heap_capacity, place + 1,
                 sizeof(*scratch->heap), err);
    if (rc != LINKD_OK)
        return rc;
    scratch->heap[scratch->n_heap++] =
        (lk_bpe_candidate){merge->rank, at, merge->id};
    for (; place > 0 &&
           goes_before(scratch->heap[place], scratch->heap[(place - 1) / 2]);
         place = (place - 1) / 2)
        swap(&scratch->heap[place], &scratch->heap[(place - 1) / 2]);
    return LINKD_OK;
}

static lk_bpe_candidate candidate_take(lk_bpe_scratch *scratch)
{
    lk_bpe_candidate *heap = scratch->heap;
    const lk_bpe_candidate top = heap[0];
    size_t place = 0;

    heap[0] = heap[--scratch->n_heap];
    for (;;) {
        size_t child = 2 * place + 1;

        if (child + 1 < scratch->n_heap &&
            goes_before(heap[child + 1], heap[child]))
            child++;
        if (child >= scratch->n_heap || !goes_before(heap[child], heap[place]))
            return top;
        swap(&heap[place], &heap[child]);
        place = child;
    }
}

/* ---- merging ------------------------------------------------------------ */

static bool is_still_good(const lk_bpe *bpe, const lk_bpe_scratch *scratch,
                          lk_bpe_candidate candidate)
{
    const lk_bpe_symbol *left = &scratch->symbols[candidate.at];

    return !left->is_gone && left->after != LK_TRIE_NONE &&
           slot_find(bpe, left->id, scratch->symbols[left->after].id)->id ==
               candidate.id;
}

static int candidate_merge(const lk_bpe *bpe, lk_bpe_scratch *scratch,
                           lk_bpe_candidate candidate, linkd_error *err)
{
    lk_bpe_symbol *symbols = scratch->symbols;
    lk_bpe_symbol *left = &symbols[candidate.at];
    lk_bpe_symbol *right = &symbols[left->after];
    int rc = LINKD_OK;

    left->id = candidate.id;
    left->after = right->after;
    right->is_gone = true;
    if (left->after != LK_TRIE_NONE)
        symbols[left->after].before = candidate.at;
    if (left->before != LK_TRIE_NONE)
        rc = candidate_put(bpe, scratch, left->before, err);
    if (rc == LINKD_OK)
        rc = candidate_put(bpe, scratch, candidate.at, err);
    return rc;
}

static int symbols_merge(const lk_bpe *bpe, lk_bpe_scratch *scratch,
                         linkd_error *err)
{
    int rc = LINKD_OK;

    scratch->n_heap = 0;
    for (size_t i = 0; i < scratch->n_symbols && rc == LINKD_OK; i++)
        rc = candidate_put(bpe, scratch, (uint32_t)i, err);
    while (rc == LINKD_OK && scratch->n_heap > 0) {
        const lk_bpe_candidate candidate = candidate_take(scratch);

        if (is_still_good(bpe, scratch, candidate))
            rc = candidate_merge(bpe, scratch, candidate, err);
    }
    return rc;
}

int lk_bpe_split(const lk_bpe *bpe, const lk_trie *trie, uint32_t root,
                 linkd_str part, lk_bpe_scratch *scratch, lk_tokens *tokens,
                 linkd_error *err)
{
    uint32_t whole = LK_TRIE_NONE;
    int rc;

    if (bpe->ignores_merges)
        whole = lk_trie_find(trie, root, part);
    if (whole != LK_TRIE_NONE)
        return lk_tokens_append(tokens, whole, err);
    if (part.len >= LK_TRIE_NONE)
        return lk_fail_nomem(err);
    rc = symbols_make(bpe, trie, root, part, scratch, err);
    if (rc == LINKD_OK)
        rc = symbols_merge(bpe, scratch, err);
    for (size_t i = 0; i < scratch->n_symbols && rc == LINKD_OK; i++)
        if (!scratch->symbols[i].is_gone)
            rc = lk_tokens_append(tokens, scratch->symbols[i].id, err);
    return rc;
}
