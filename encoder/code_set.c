/* encoder/code_set.c — sets of code points as ranges. The categories are those
 * of the oracle's regular expressions (unicode_forms.h). */
#include "encoder/code_set.h"

#include <stdlib.h>
#include <string.h>

#include "encoder/unicode_forms.h"

#define LAST_CP 0x10FFFFU

void lk_code_set_clear(lk_code_set *set)
{
    free(set->ranges);
    *set = (lk_code_set){0};
}

int lk_code_set_add(lk_code_set *set, uint32_t first, uint32_t last,
                    linkd_error *err)
{
    int rc = lk_grow((void **)&set->ranges, &set->capacity, set->n + 1,
                     sizeof(*set->ranges), err);

    if (rc == LINKD_OK)
        set->ranges[set->n++] = (lk_code_range){first, last};
    return rc;
}

int lk_code_set_add_set(lk_code_set *set, const lk_code_set *other,
                        linkd_error *err)
{
    int rc = LINKD_OK;

    for (size_t i = 0; i < other->n && rc == LINKD_OK; i++)
        rc = lk_code_set_add(set, other->ranges[i].first, other->ranges[i].last,
                             err);
    return rc;
}

/* The categories whose names begin with `name`, a bit each. */
static uint32_t categories_named(linkd_str name)
{
    uint32_t mask = 0;

    for (size_t i = 0; i < LK_N_CATEGORIES; i++)
        if (name.len >= 1 && name.len <= 2 &&
            memcmp(lk_unicode_category_names[i], name.bytes, name.len) == 0)
            mask |= 1U << i;
    return mask;
}

int lk_code_set_add_category(lk_code_set *set, linkd_str name, linkd_error *err)
{
    const uint32_t mask = categories_named(name);
    int rc = LINKD_OK;

    if (mask == 0)
        return lk_fail(err, LINKD_E_DATA, "no category of characters \"%.*s\"",
                       (int)(name.len < 20 ? name.len : 20), name.bytes);
    for (size_t i = 0; i < lk_unicode_n_categories && rc == LINKD_OK; i++) {
        const uint32_t run = lk_unicode_categories[i];
        const uint32_t end = i + 1 < lk_unicode_n_categories
                                 ? lk_unicode_categories[i + 1] >> 8
                                 : LAST_CP + 1;

        if (mask >> (run & 0xFF) & 1)
            rc = lk_code_set_add(set, run >> 8, end - 1, err);
    }
    return rc;
}

int lk_code_set_add_spaces(lk_code_set *set, linkd_error *err)
{
    int rc = lk_code_set_add_category(set, (linkd_str){"Z", 1}, err);

    if (rc == LINKD_OK)
        rc = lk_code_set_add(set, '\t', '\r', err);
    if (rc == LINKD_OK)
        rc = lk_code_set_add(set, 0x85, 0x85, err);
    return rc;
}

static int compare_ranges(const void *a, const void *b)
{
    const lk_code_range *one = a;
    const lk_code_range *other = b;

    return (one->first > other->first) - (one->first < other->first);
}

static void ascii_fill(lk_code_set *set)
{
    memset(set->ascii, 0, sizeof(set->ascii));
    for (size_t i = 0; i < set->n; i++)
        for (uint32_t cp = set->ranges[i].first;
             cp < 128 && cp <= set->ranges[i].last; cp++)
            set->ascii[cp / 64] |= (uint64_t)1 << cp % 64;
}

int lk_code_set_finish(lk_code_set *set, linkd_error *err)
{
    size_t n = 0;
    /* an empty set has no array to sort */
    int rc = lk_grow((void **)&set->ranges, &set->capacity, set->n + 1,
                     sizeof(*set->ranges), err);

    if (rc != LINKD_OK)
        return rc;
    qsort(set->ranges, set->n, sizeof(*set->ranges), compare_ranges);
    for (size_t i = 0; i < set->n; i++) {
        const lk_code_range range = set->ranges[i];

        if (n == 0 || range.first > set->ranges[n - 1].last + 1)
            set->ranges[n++] = range;
        else if (range.last > set->ranges[n - 1].last)
            set->ranges[n - 1].last = range.last;
    }
    set->n = n;
    ascii_fill(set);
    return LINKD_OK;
}

int lk_code_set_negate(lk_code_set *set, linkd_error *err)
{
    lk_code_set others = {0};
    uint32_t first = 0;
    int rc = LINKD_OK;

    for (size_t i = 0; i < set->n && rc == LINKD_OK; i++) {
        if (set->ranges[i].first > first)
            rc = lk_code_set_add(&others, first, set->ranges[i].first - 1, err);
        first = set->ranges[i].last + 1;
    }
    if (rc == LINKD_OK && first <= LAST_CP)
        rc = lk_code_set_add(&others, first, LAST_CP, err);
    lk_code_set_clear(set);
    *set = others;
    ascii_fill(set);
    return rc;
}

bool lk_code_set_has(const lk_code_set *set, uint32_t cp)
{
    size_t low = 0, high = set->n;

    if (cp < 128)
        return set->ascii[cp / 64] >> cp % 64 & 1;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;

        if (set->ranges[middle].last < cp)
            low = middle + 1;
        else
            high = middle;
    }
    return low < set->n && set->ranges[low].first <= cp;
}
