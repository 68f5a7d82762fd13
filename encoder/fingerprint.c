/* encoder/fingerprint.c — a hash over what decides a model's vectors. */
#include "encoder/fingerprint.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Read in pieces so that hashing a file does not keep all of it in memory. */
#define HASH_BYTES ((size_t)4 << 20)

int lk_fingerprint_begin(lk_fingerprint *fingerprint, bool by_identity,
                         linkd_error *err)
{
    *fingerprint = (lk_fingerprint){.state = XXH3_createState(),
                                    .by_identity = by_identity};
    if (fingerprint->state == NULL)
        return lk_fail_nomem(err);
    (void)XXH3_128bits_reset(fingerprint->state);
    return LINKD_OK;
}

void lk_fingerprint_text(lk_fingerprint *fingerprint, const char *text)
{
    (void)XXH3_128bits_update(fingerprint->state, text, strlen(text));
}

static void file_hash(lk_fingerprint *fingerprint, const lk_file *file)
{
    if (file->identity.changed_ns > fingerprint->changed_ns)
        fingerprint->changed_ns = file->identity.changed_ns;
    if (fingerprint->by_identity) {
        (void)XXH3_128bits_update(fingerprint->state, &file->identity,
                                  sizeof(file->identity));
        return;
    }
    for (size_t at = 0; at < file->len; at += HASH_BYTES) {
        const size_t left = file->len - at;
        const size_t n = left < HASH_BYTES ? left : HASH_BYTES;

        (void)XXH3_128bits_update(fingerprint->state, file->bytes + at, n);
        lk_file_release(file->bytes + at, n);
    }
}

void lk_fingerprint_weights(lk_fingerprint *fingerprint,
                            const lk_weights *weights)
{
    for (size_t i = 0; i < weights->n_parts; i++)
        file_hash(fingerprint, &weights->parts[i].file);
}

int lk_fingerprint_file(lk_fingerprint *fingerprint, const char *dir,
                        const char *name, bool *ret_exists, linkd_error *err)
{
    lk_buf path = {0};
    lk_file file = {0};
    int rc = lk_file_path(dir, name, &path, err);

    if (rc == LINKD_OK) {
        *ret_exists = lk_file_exists(path.data);
        if (*ret_exists)
            rc = lk_file_map(path.data, &file, err);
    }
    file_hash(fingerprint, &file);
    lk_file_unmap(&file);
    lk_buf_clear(&path);
    return rc;
}

int lk_fingerprint_tokenizer(lk_fingerprint *fingerprint, const char *dir,
                             linkd_error *err)
{
    bool exists = false;
    int rc =
        lk_fingerprint_file(fingerprint, dir, "tokenizer.json", &exists, err);

    if (rc != LINKD_OK || exists)
        return rc;
    rc = lk_fingerprint_file(fingerprint, dir, "vocab.txt", &exists, err);
    if (rc == LINKD_OK && !exists) { /* CLIP's */
        rc = lk_fingerprint_file(fingerprint, dir, "vocab.json", &exists, err);
        if (rc == LINKD_OK)
            rc = lk_fingerprint_file(fingerprint, dir, "merges.txt", &exists,
                                     err);
    }
    if (rc == LINKD_OK)
        rc = lk_fingerprint_file(fingerprint, dir, "tokenizer_config.json",
                                 &exists, err);
    return rc;
}

lk_packed_key lk_fingerprint_end_key(lk_fingerprint *fingerprint)
{
    const XXH128_hash_t hash = XXH3_128bits_digest(fingerprint->state);

    (void)XXH3_freeState(fingerprint->state);
    fingerprint->state = NULL;
    return (lk_packed_key){hash.low64, hash.high64};
}

void lk_fingerprint_end(lk_fingerprint *fingerprint,
                        char ret_digits[LK_FINGERPRINT_DIGITS + 1])
{
    const lk_packed_key key = lk_fingerprint_end_key(fingerprint);

    (void)snprintf(ret_digits, LK_FINGERPRINT_DIGITS + 1,
                   "%016" PRIx64 "%016" PRIx64, key.high, key.low);
}
