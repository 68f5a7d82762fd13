/* Feeds a cell of any bytes to what reads numbers and dates, and its two halves
 * to what compares words: answers in range, the same both ways round, and no
 * byte read beyond the end. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "linkage/similarity.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef float similarity_fn(linkd_str a, linkd_str b);

/* In memory of its own, so that reading too far is seen. */
static linkd_str copy_of(const uint8_t *bytes, size_t len)
{
    char *copy = malloc(len > 0 ? len : 1);

    LK_ASSERT(copy != NULL);
    if (len > 0)
        memcpy(copy, bytes, len);
    return (linkd_str){copy, len};
}

static void words_check(linkd_str a, linkd_str b)
{
    static similarity_fn *const measures[] = {
        lk_jaro_winkler, lk_edit_similarity, lk_word_similarity};

    for (size_t i = 0; i < sizeof(measures) / sizeof(*measures); i++) {
        float there = measures[i](a, b), back = measures[i](b, a);

        LK_ASSERT(there >= 0.0F && there <= 1.0F);
        LK_ASSERT(there >= back && there <= back);
        LK_ASSERT(measures[i](a, a) >= 1.0F);
    }
}

static void cell_check(linkd_str cell)
{
    lk_date_order order = {0};
    double number;
    int64_t first, last;
    bool day_first, month_first;

    if (lk_number_parse(cell, &number))
        LK_ASSERT(isfinite(number));
    day_first = lk_date_parse(cell, false, &last);
    month_first = lk_date_parse(cell, true, &first);
    lk_date_order_see(&order, cell);
    LK_ASSERT(order.n_either == (day_first && month_first));
    LK_ASSERT(order.n_day_first == (day_first && !month_first));
    LK_ASSERT(order.n_month_first == (month_first && !day_first));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    linkd_str whole, left, right;

    /* cells are valid UTF-8 when they come here */
    if (lk_utf8_check((const char *)data, size) < size)
        return 0;
    whole = copy_of(data, size);
    left = copy_of(data, size / 2);
    right = copy_of(data + size / 2, size - size / 2);
    cell_check(whole);
    words_check(left, right);
    free((void *)(uintptr_t)whole.bytes);
    free((void *)(uintptr_t)left.bytes);
    free((void *)(uintptr_t)right.bytes);
    return 0;
}
