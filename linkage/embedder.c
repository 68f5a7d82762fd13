/* linkage/embedder.c — an encoder as an embedder.
 *
 * Linkage needs three things of a model: vectors, the length of one, and which
 * texts are worth one. It asks them through linkd_embedder, so that whoever
 * shares an encoder among many callers, or has vectors from an earlier run, can
 * stand in between. Here is the plain case: one caller, one encoder. */
#include "linkage/linkage.h"

static int encoder_embed(void *ctx, const linkd_str *texts, size_t n,
                         float *ret_vectors, linkd_encode_stats *stats,
                         linkd_error *err)
{
    const linkd_encoder_embedder *e = ctx;

    return linkd_encoder_encode(e->encoder, e->pool, texts, n, ret_vectors,
                                stats, err);
}

static bool encoder_knows(void *ctx, linkd_str text)
{
    const linkd_encoder_embedder *e = ctx;

    return linkd_encoder_knows(e->encoder, text);
}

linkd_embedder linkd_embedder_of_encoder(linkd_encoder_embedder *storage)
{
    const linkd_encoder_info *info = linkd_encoder_describe(storage->encoder);

    return (linkd_embedder){.embed = encoder_embed,
                            .knows = encoder_knows,
                            .ctx = storage,
                            .dim = info->dim,
                            .fingerprint = info->fingerprint};
}
