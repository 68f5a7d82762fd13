/* linkage/blocks.c — which vectors may be compared at all.
 *
 * A million rows with a million distinct block values must cost no more than
 * a sort, so there is no map from value to block: each side's vector numbers
 * are sorted by (key, number), which puts a block's members side by side, and
 * two fingers walk over both sides as in a merge.
 *
 *   left   ay ay ay | bo bo | cy           blocks  {ay: 3 and 1}
 *   right  ay | by by | cy cy     ─►               {cy: 1 and 2}
 *
 * Keys are compared bytewise: "Ay" and "ay" are different blocks. Without keys
 * there is one block of everything. */
#include "linkage/blocks.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

typedef struct member {
    linkd_str key;
    size_t number;
} member;

/* One side's members, sorted, and how far the walk is. */
typedef struct walk {
    member *members;
    size_t n;
    size_t at;
} walk;

static int key_compare(linkd_str a, linkd_str b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n > 0 ? memcmp(a.bytes, b.bytes, n) : 0;

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int member_compare(const void *a, const void *b)
{
    const member *x = a;
    const member *y = b;
    int order = key_compare(x->key, y->key);

    return order != 0 ? order
                      : (x->number > y->number) - (x->number < y->number);
}

static int walk_init(walk *w, const lk_side *side, linkd_error *err)
{
    *w = (walk){.members = calloc(side->n + 1, sizeof(*w->members))};
    if (w->members == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < side->n; i++)
        if (side->keys == NULL)
            w->members[w->n++] = (member){.number = i};
        else if (side->keys[i].len > 0)
            w->members[w->n++] = (member){side->keys[i], i};
    qsort(w->members, w->n, sizeof(*w->members), member_compare);
    return LINKD_OK;
}

/* How many members from here on have this key. */
static size_t walk_count(const walk *w, linkd_str key)
{
    size_t end = w->at;

    while (end < w->n && key_compare(w->members[end].key, key) == 0)
        end++;
    return end - w->at;
}

static int walk_copy(const walk *w, size_t **ret_numbers, linkd_error *err)
{
    size_t *numbers = calloc(w->n + 1, sizeof(*numbers));

    if (numbers == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < w->n; i++)
        numbers[i] = w->members[i].number;
    *ret_numbers = numbers;
    return LINKD_OK;
}

/* Walks the left side key by key; `right` is NULL when there is one side. */
static void blocks_pair(lk_blocks *blocks, walk *left, walk *right)
{
    while (left->at < left->n) {
        linkd_str key = left->members[left->at].key;
        lk_block block = {.begin = {left->at}, .n = {walk_count(left, key)}};

        if (right != NULL) {
            while (right->at < right->n &&
                   key_compare(right->members[right->at].key, key) < 0)
                right->at++;
            block.begin[1] = right->at;
            block.n[1] = walk_count(right, key);
            right->at += block.n[1];
        }
        left->at += block.n[0];
        if (right != NULL ? block.n[1] > 0 : block.n[0] > 1)
            blocks->blocks[blocks->n++] = block;
    }
}

int lk_blocks_init(lk_blocks *blocks, const lk_side *left, const lk_side *right,
                   linkd_error *err)
{
    walk walks[2] = {{0}, {0}};
    int rc;

    *blocks = (lk_blocks){0};
    rc = walk_init(&walks[0], left, err);
    if (rc == LINKD_OK)
        rc = walk_copy(&walks[0], &blocks->members[0], err);
    if (rc == LINKD_OK && right != NULL)
        rc = walk_init(&walks[1], right, err);
    if (rc == LINKD_OK && right != NULL)
        rc = walk_copy(&walks[1], &blocks->members[1], err);
    if (rc != LINKD_OK)
        goto done;
    blocks->blocks = calloc(walks[0].n + 1, sizeof(*blocks->blocks));
    if (blocks->blocks == NULL) {
        rc = lk_fail_nomem(err);
        goto done;
    }
    blocks_pair(blocks, &walks[0], right != NULL ? &walks[1] : NULL);
done:
    free(walks[1].members);
    free(walks[0].members);
    if (rc != LINKD_OK)
        lk_blocks_clear(blocks);
    return rc;
}

void lk_blocks_clear(lk_blocks *blocks)
{
    free(blocks->blocks);
    free(blocks->members[1]);
    free(blocks->members[0]);
    *blocks = (lk_blocks){0};
}
