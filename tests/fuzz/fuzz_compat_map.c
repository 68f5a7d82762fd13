/* tests/fuzz/fuzz_compat_map.c — a map file as it comes from anywhere. What is
 * decoded is applied, too, and has to survive being written again. */
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "compat/compat.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void map_use(const linkd_compat_map *map, size_t size)
{
    linkd_compat_info info = linkd_compat_map_info(map);
    float *row = calloc(info.dim_from, sizeof(*row));
    float *mapped = calloc(info.dim_to, sizeof(*mapped));
    linkd_rows rows = {row, 1, info.dim_from};
    unsigned char *bytes = NULL;
    size_t len = 0;

    if (row != NULL && mapped != NULL) {
        row[0] = 1.0F;
        (void)!linkd_compat_map_apply(map, &rows, mapped, NULL);
    }
    if (linkd_compat_map_encode(map, &bytes, &len, NULL) == LINKD_OK)
        LK_ASSERT(len == size);
    free(bytes);
    free(mapped);
    free(row);
}

static void bytes_try(const uint8_t *data, size_t size)
{
    linkd_compat_map *map = NULL;

    if (linkd_compat_map_decode(data, size, &map, NULL) == LINKD_OK)
        map_use(map, size);
    linkd_compat_map_free(map);
}

/* The checksum stops nearly all that a fuzzer makes, so that every input is
 * tried with its checksum put right, too. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    XXH64_hash_t sum;
    uint8_t *copy;

    bytes_try(data, size);
    if (size < sizeof(sum))
        return 0;
    copy = malloc(size);
    if (copy == NULL)
        return 0;
    sum = XXH3_64bits(data, size - sizeof(sum));
    memcpy(copy, data, size);
    memcpy(copy + size - sizeof(sum), &sum, sizeof(sum));
    bytes_try(copy, size);
    free(copy);
    return 0;
}
