/* linkage/strset.c — tells whether a string has been seen, for column names (up
 * to millions in one header) and record ids (one a row): both must be checked
 * for repeats without comparing each with each.
 *
 * Open addressing with linear probing, at most 2/3 full. A slot is eight bytes,
 * the number of the string and half of its hash; the strings stay where they
 * are, which makes the set cheaper than a copy of the ids:
 *
 *   slots  [ tag:u32 index+1:u32 ] …    index+1 == 0: free
 *
 * The tag saves nearly all looks at strings that differ, and growing looks at
 * none: the bits that place a slot are taken from the tag, which is why the
 * set never has more than 2^31 slots. */
#include "linkage/strset.h"

#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

enum {
    FIRST_SLOTS = 64,
};

#define SLOTS_MAX ((size_t)1 << 31)

struct lk_strset_slot {
    uint32_t tag;
    uint32_t index_plus_1;
};

static uint32_t hash_of(linkd_str text)
{
    return (uint32_t)XXH3_64bits(text.bytes, text.len);
}

/* The slot that holds `text`, or the free one where it would go. */
static size_t slot_find(const lk_strset *set, uint32_t tag, linkd_str text)
{
    size_t mask = set->n_slots - 1;
    size_t at = tag & mask;

    for (;; at = (at + 1) & mask) {
        const struct lk_strset_slot *slot = &set->slots[at];
        linkd_str key;

        if (slot->index_plus_1 == 0)
            return at;
        if (slot->tag != tag)
            continue;
        key = set->key(set->ctx, slot->index_plus_1 - 1);
        if (key.len == text.len &&
            (text.len == 0 || memcmp(key.bytes, text.bytes, text.len) == 0))
            return at;
    }
}

static int slots_grow(lk_strset *set, linkd_error *err)
{
    size_t n_slots = set->n_slots == 0 ? FIRST_SLOTS : set->n_slots * 2;
    struct lk_strset_slot *slots;

    if (n_slots > SLOTS_MAX)
        return lk_fail_nomem(err);
    slots = calloc(n_slots, sizeof(*slots));
    if (slots == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < set->n_slots; i++) {
        size_t at = set->slots[i].tag & (n_slots - 1);

        if (set->slots[i].index_plus_1 == 0)
            continue;
        while (slots[at].index_plus_1 != 0)
            at = (at + 1) & (n_slots - 1);
        slots[at] = set->slots[i];
    }
    free(set->slots);
    set->slots = slots;
    set->n_slots = n_slots;
    return LINKD_OK;
}

int lk_strset_add(lk_strset *set, size_t index, size_t *ret_index,
                  linkd_error *err)
{
    linkd_str text = set->key(set->ctx, index);
    uint32_t tag = hash_of(text);
    struct lk_strset_slot *slot;

    if (set->n_used >= set->n_slots / 3 * 2) {
        int rc = slots_grow(set, err);

        if (rc != LINKD_OK)
            return rc;
    }
    slot = &set->slots[slot_find(set, tag, text)];
    if (slot->index_plus_1 == 0) {
        LK_ASSERT(index < UINT32_MAX);
        *slot = (struct lk_strset_slot){tag, (uint32_t)index + 1};
        set->n_used++;
    }
    *ret_index = slot->index_plus_1 - 1;
    return LINKD_OK;
}

size_t lk_strset_find(const lk_strset *set, linkd_str text)
{
    const struct lk_strset_slot *slot;

    if (set->n_slots == 0)
        return SIZE_MAX;
    slot = &set->slots[slot_find(set, hash_of(text), text)];
    return slot->index_plus_1 == 0 ? SIZE_MAX : slot->index_plus_1 - 1;
}

void lk_strset_clear(lk_strset *set)
{
    free(set->slots);
    set->slots = NULL;
    set->n_slots = 0;
    set->n_used = 0;
}
