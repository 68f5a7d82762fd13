/* encoder/fingerprint.h — a hash over what decides a model's vectors. */
#ifndef LK_ENCODER_FINGERPRINT_H
#define LK_ENCODER_FINGERPRINT_H

#include <xxhash.h>

#include "encoder/packed.h"
#include "encoder/weights.h"

typedef struct lk_fingerprint {
    XXH3_state_t *state;
} lk_fingerprint;

/* LINKD_E_NOMEM; else lk_fingerprint_end() must follow. */
LINKD_MUST_CHECK int lk_fingerprint_begin(lk_fingerprint *fingerprint,
                                          linkd_error *err);
void lk_fingerprint_text(const lk_fingerprint *fingerprint, const char *text);
void lk_fingerprint_weights(const lk_fingerprint *fingerprint,
                            const lk_weights *weights);
/* A file that need not be there. LINKD_E_IO: it cannot be read. */
LINKD_MUST_CHECK int lk_fingerprint_file(const lk_fingerprint *fingerprint,
                                         const char *dir, const char *name,
                                         bool *ret_exists, linkd_error *err);
/* XXH3-128 in hexadecimal digits. */
void lk_fingerprint_end(lk_fingerprint *fingerprint,
                        char ret_digits[LK_FINGERPRINT_DIGITS + 1]);

#endif
