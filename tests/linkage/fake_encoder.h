/* tests/linkage/fake_encoder.h — stands in for lk_encoder, whose symbols it
 * defines: tests of what is done with vectors need no model. A text's vector
 * counts its letter pairs, so texts that look alike are near each other. Only
 * question marks are unknown to it. */
#ifndef LINKD_TESTS_FAKE_ENCODER_H
#define LINKD_TESTS_FAKE_ENCODER_H

#include "encoder/encoder.h"

#define FAKE_DIM         ((size_t)64)
#define FAKE_FINGERPRINT "0123456789abcdef0123456789abcdef"

struct linkd_encoder {
    char *texts; /* every text that came, one a line; freed with free() */
    size_t len;
    const lk_pool *pool; /* of the last call */
};

#endif
