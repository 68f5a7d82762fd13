/* cli/sha256.c — the SHA-256 of a file, by OpenSSL, which uses the processor's
 * own instructions where it has them. */
#include "cli/sha256.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_BYTES ((size_t)128 << 10)

static int stream_digest(int fd, const char *path, EVP_MD_CTX *context,
                         uint64_t *ret_size, linkd_error *err)
{
    char *bytes = malloc(READ_BYTES);
    ssize_t n = 0;

    *ret_size = 0;
    if (bytes == NULL)
        return lk_fail_nomem(err);
    while ((n = read(fd, bytes, READ_BYTES)) > 0) {
        *ret_size += (uint64_t)n;
        if (EVP_DigestUpdate(context, bytes, (size_t)n) != 1)
            break;
    }
    free(bytes);
    if (n < 0)
        return lk_fail(err, LINKD_E_IO, "could not read %s: %s", path,
                       strerror(errno));
    return n == 0 ? LINKD_OK : lk_fail_nomem(err);
}

static void hex_print(const unsigned char *digest, unsigned len, char *ret_hex)
{
    for (unsigned i = 0; i < len; i++)
        (void)sprintf(ret_hex + (size_t)i * 2, "%02x", digest[i]);
}

int lk_sha256_file(const char *path, lk_sha256 *ret_sha256, linkd_error *err)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    lk_sha256 sha256 = {{0}, 0};
    EVP_MD_CTX *context = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int rc;

    if (fd < 0)
        return lk_fail(err, LINKD_E_IO, "could not read %s: %s", path,
                       strerror(errno));
    context = EVP_MD_CTX_new();
    if (context == NULL ||
        EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1) {
        rc = lk_fail_nomem(err);
        goto done;
    }
    rc = stream_digest(fd, path, context, &sha256.size, err);
    if (rc == LINKD_OK && EVP_DigestFinal_ex(context, digest, &len) != 1)
        rc = lk_fail_nomem(err);
    if (rc == LINKD_OK && (size_t)len * 2 < sizeof(sha256.hex)) {
        hex_print(digest, len, sha256.hex);
        *ret_sha256 = sha256;
    }
done:
    EVP_MD_CTX_free(context);
    (void)close(fd);
    return rc;
}
