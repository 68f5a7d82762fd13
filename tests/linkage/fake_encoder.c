#include "tests/linkage/fake_encoder.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const linkd_encoder_info *linkd_encoder_describe(const linkd_encoder *encoder)
{
    static const linkd_encoder_info info = {.architecture = "fake",
                                            .fingerprint = FAKE_FINGERPRINT,
                                            .dim = FAKE_DIM};

    (void)encoder;
    return &info;
}

static void text_encode(linkd_str text, float *ret_vector)
{
    double sum = 0.0;

    memset(ret_vector, 0, FAKE_DIM * sizeof(*ret_vector));
    ret_vector[0] = 0.1F; /* of one letter there is no pair */
    for (size_t i = 0; i + 1 < text.len; i++) {
        size_t pair = (unsigned char)text.bytes[i] * 31U +
                      (unsigned char)text.bytes[i + 1] * 7U;

        ret_vector[pair % FAKE_DIM] += 1.0F;
    }
    for (size_t i = 0; i < FAKE_DIM; i++)
        sum += (double)ret_vector[i] * (double)ret_vector[i];
    for (size_t i = 0; i < FAKE_DIM; i++)
        ret_vector[i] /= (float)sqrt(sum);
}

bool linkd_encoder_knows(const linkd_encoder *encoder, linkd_str text)
{
    (void)encoder;
    for (size_t i = 0; i < text.len; i++)
        if (text.bytes[i] != '?')
            return true;
    return false;
}

static int text_note(linkd_encoder *encoder, linkd_str text, linkd_error *err)
{
    char *texts = realloc(encoder->texts, encoder->len + text.len + 2);

    if (texts == NULL)
        return lk_fail_nomem(err);
    encoder->texts = texts;
    memcpy(texts + encoder->len, text.bytes, text.len);
    encoder->len += text.len;
    memcpy(texts + encoder->len++, "\n", 2);
    return LINKD_OK;
}

int linkd_encoder_encode(linkd_encoder *encoder, lk_pool *pool,
                         const linkd_str *texts, size_t n, float *ret_vectors,
                         linkd_encode_stats *stats, linkd_error *err)
{
    int rc = LINKD_OK;

    encoder->pool = pool;
    for (size_t i = 0; i < n && rc == LINKD_OK; i++) {
        text_encode(texts[i], ret_vectors + i * FAKE_DIM);
        rc = text_note(encoder, texts[i], err);
    }
    stats->n_texts += n;
    return rc;
}
