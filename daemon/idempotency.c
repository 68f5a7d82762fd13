/* daemon/idempotency.c — writes that may be repeated safely. */
#include "daemon/idempotency.h"

#include <xxhash.h>

static uint64_t hash_add(uint64_t hash, linkd_str bytes)
{
    return XXH3_64bits_withSeed(bytes.bytes, bytes.len, hash);
}

int lk_once_read(const lk_request *request, linkd_once *ret_once,
                 linkd_error *err)
{
    linkd_str key = lk_request_header(request, "idempotency-key");
    uint64_t hash = (uint64_t)request->method;

    if (key.len > LINKD_KEY_MAX_BYTES)
        return lk_fail(err, LINKD_E_ARG,
                       "the Idempotency-Key has %zu bytes, more than %zu",
                       key.len, LINKD_KEY_MAX_BYTES);
    *ret_once = (linkd_once){.key = key};
    if (key.len == 0)
        return LINKD_OK;
    hash = hash_add(hash, request->path);
    hash = hash_add(hash, request->query);
    hash = hash_add(hash, lk_request_content_type(request));
    hash = hash_add(hash, (linkd_str){request->body.data, request->body.len});
    ret_once->request_hash = hash;
    return LINKD_OK;
}

int lk_once_mark(lk_response *response, lk_request *request, bool replayed,
                 linkd_error *err)
{
    if (!replayed)
        return LINKD_OK;
    return lk_response_add_header(response, request, "Idempotency-Replayed",
                                  err, "true");
}
