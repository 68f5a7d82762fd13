/* encoder/packed.h — what was made of a model when it was opened, kept in a file
 * for the next time. */
#ifndef LK_ENCODER_PACKED_H
#define LK_ENCODER_PACKED_H

#include "encoder/file.h"

#define LK_FINGERPRINT_DIGITS 32

/* All that the content depends on: the files that it was made from, by their
 * identities, the kernels, and linkd's own code. */
typedef struct lk_packed_key {
    uint64_t low, high;
} lk_packed_key;

/* A mapped file's content, or what is to be written. {0} holds nothing. */
typedef struct lk_packed {
    lk_file file;
    char fingerprint[LK_FINGERPRINT_DIGITS + 1];
    linkd_str tokenizer; /* lk_tokenizer_image_read()'s; may be empty */
    const float *block;  /* lk_model.block, 64-byte aligned */
    size_t n_floats;
} lk_packed;

/* Takes a file's bytes apart, as hostile input; false: they are not whole, or of
 * another key. What is found borrows `bytes`; `file` is left alone. */
bool lk_packed_parse(const uint8_t *bytes, size_t len, lk_packed_key key,
                     lk_packed *packed);

/* Looks for a model's packed weights, in its directory, then in the cache of
 * $XDG_CACHE_HOME or ~/.cache.
 *   layout   "avx512_bf16-bf16": tells files of one model apart
 * Leaves *packed alone if there are none. LINKD_E_NOMEM is its only failure. */
LINKD_MUST_CHECK int lk_packed_open(const char *dir, const char *layout,
                                    lk_packed_key key, lk_packed *packed,
                                    linkd_error *err);
void lk_packed_close(lk_packed *packed);

/* Writes them where lk_packed_open() looks, whole or not at all. A directory
 * that cannot be written to, a full disk, another process that does the same:
 * then there will be none. LINKD_E_NOMEM is its only failure. */
LINKD_MUST_CHECK int lk_packed_save(const char *dir, const char *layout,
                                    lk_packed_key key, const lk_packed *packed,
                                    linkd_error *err);

/* How long ago the last file was changed at least, when something of it is kept:
 * 2, since some file systems count in such steps. Tests have 0. */
extern int lk_packed_settle_seconds;

/* Whether LINKD_PACKED is not "off". */
bool lk_packed_is_wanted(void);

#endif
