/* Feeds foreign bytes to what reads records from bodies; the first byte chooses
 * the content type and whether the collection takes vectors. What is accepted
 * has ids, and vectors of length 1. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "daemon/bodies.h"

#define DIM ((size_t)3)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const types[] = {"application/json", "application/x-ndjson",
                                    "text/csv", "application/x-npy",
                                    "application/octet-stream"};
#define N_TYPES (sizeof(types) / sizeof(types[0]))

static void put_check(const linkd_put *put, bool takes_vectors)
{
    double sum = 0.0;

    LK_ASSERT(put->id.len > 0);
    for (size_t i = 0; i < put->n_fields; i++)
        LK_ASSERT(lk_utf8_check(put->fields[i].value.bytes,
                                put->fields[i].value.len) ==
                  put->fields[i].value.len);
    if (put->vector == NULL)
        return;
    LK_ASSERT(takes_vectors);
    for (size_t i = 0; i < DIM; i++)
        sum += (double)put->vector[i] * (double)put->vector[i];
    LK_ASSERT(fabs(sum - 1.0) < 1e-3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lk_records_form form = {.id_column = {"", 0}, .first_id = 5, .dim = DIM};
    lk_records records = {0};
    lk_arena arena = {0};
    linkd_error err = {0};
    linkd_str body;
    int rc;

    if (size == 0)
        return 0;
    form.content_type.bytes = types[data[0] % N_TYPES];
    form.content_type.len = strlen(form.content_type.bytes);
    form.takes_vectors = data[0] / N_TYPES % 2 == 0;
    body = (linkd_str){(const char *)data + 1, size - 1};
    rc = lk_records_read(body, &form, &arena, &records, &err);
    LK_ASSERT(rc == LINKD_OK || rc == LINKD_E_ARG);
    LK_ASSERT(rc == LINKD_OK || (err.code == rc && err.message[0] != '\0'));
    for (size_t i = 0; i < records.n; i++)
        put_check(&records.puts[i], form.takes_vectors);
    lk_records_clear(&records);
    lk_arena_clear(&arena);
    return 0;
}
