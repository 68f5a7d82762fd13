/* encoder/fingerprint.h — a hash over what decides a model's vectors. */
#ifndef LK_ENCODER_FINGERPRINT_H
#define LK_ENCODER_FINGERPRINT_H

#include <xxhash.h>

#include "encoder/packed.h"
#include "encoder/weights.h"

/* What vectors depend on goes through here twice: by contents it becomes the
 * fingerprint, by what the file system tells of the files, which costs no reading,
 * the key of what was packed (packing.h). */
typedef struct lk_fingerprint {
    XXH3_state_t *state;
    bool by_identity;   /* files are hashed by their identities */
    int64_t changed_ns; /* when the file was that was changed last */
} lk_fingerprint;

/* LINKD_E_NOMEM; else one of the ends must follow. */
LINKD_MUST_CHECK int lk_fingerprint_begin(lk_fingerprint *fingerprint,
                                          bool by_identity, linkd_error *err);
void lk_fingerprint_text(lk_fingerprint *fingerprint, const char *text);
void lk_fingerprint_weights(lk_fingerprint *fingerprint,
                            const lk_weights *weights);
/* A file that need not be there. LINKD_E_IO: it cannot be read. */
LINKD_MUST_CHECK int lk_fingerprint_file(lk_fingerprint *fingerprint,
                                         const char *dir, const char *name,
                                         bool *ret_exists, linkd_error *err);
/* The files that lk_tokenizer_open() reads. LINKD_E_IO. */
LINKD_MUST_CHECK int lk_fingerprint_tokenizer(lk_fingerprint *fingerprint,
                                              const char *dir,
                                              linkd_error *err);
/* XXH3-128 in hexadecimal digits, or as a key. */
void lk_fingerprint_end(lk_fingerprint *fingerprint,
                        char ret_digits[LK_FINGERPRINT_DIGITS + 1]);
lk_packed_key lk_fingerprint_end_key(lk_fingerprint *fingerprint);

#endif
