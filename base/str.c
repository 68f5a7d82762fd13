/* base/str.c — borrowed texts compared, bytewise. An empty one may have no
 * bytes at all. */
#include "base/base.h"

#include <string.h>

int lk_str_compare(linkd_str a, linkd_str b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n > 0 ? memcmp(a.bytes, b.bytes, n) : 0;

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

bool lk_str_equal(linkd_str a, linkd_str b)
{
    return a.len == b.len &&
           (a.len == 0 || memcmp(a.bytes, b.bytes, a.len) == 0);
}
