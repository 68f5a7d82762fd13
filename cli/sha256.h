/* cli/sha256.h — the SHA-256 of a file. */
#ifndef LINKD_CLI_SHA256_H
#define LINKD_CLI_SHA256_H

#include "base/base.h"

typedef struct lk_sha256 {
    char hex[65];
    uint64_t size; /* bytes that went in */
} lk_sha256;

/* LINKD_E_IO: the file cannot be read. */
LINKD_MUST_CHECK int lk_sha256_file(const char *path, lk_sha256 *ret_sha256,
                                    linkd_error *err);

#endif
