/* linkage/bridge_blobs.c — what is kept of a change of the model, as bytes in the
 * store.
 *
 *   SCALES   version u32 | weight f32 | least cosine f32, strange queries' weight
 *            f32 | the calibrator's slope f64, offset f64 |
 *            for each way: mrr f64, n u64, impostors' quantiles f32 [512] |
 *            for each way those of records: n u64, quantiles f32 [512]
 *            and, if version is 10, a ranking: weight f64 | two maps:
 *            lengths u64 [2] | bytes
 *   ANCHORS  n u64 | dim u64 | f32 [n, dim]
 *   TEXTS    n u64 | lengths u32 [n] | bytes
 *   WAY      the word
 *   QUALITY  JSON, see daemon/upgrade_quality.c
 *
 * Little-endian, as all machines that linkd runs on. The store checks a blob's
 * checksum; lengths are checked here all the same, since a blob of another
 * version has a right checksum, too. */
#include "linkage/bridge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* 1 and 2 had a calibrator for each way, of raw scores, and those up to 6 no
 * strange queries; 7 and 8, without records, were never in use. */
#define SCALES_VERSION        9U
#define SCALES_VERSION_RANKED 10U

static int cut_fail(linkd_error *err)
{
    return lk_fail(err, LINKD_E_DATA,
                   "damaged database: a blob has a wrong form");
}

/* ---- scales --------------------------------------------------------------- */

typedef struct way_bytes {
    double mrr_10;
    uint64_t n;
    float scores[LINKD_QUANTILES];
} way_bytes;

typedef struct records_bytes {
    uint64_t n;
    float scores[LINKD_QUANTILES];
} records_bytes;

typedef struct scales_bytes {
    uint32_t version;
    float weight;
    float cosine_least, strange_weight;
    double slope, offset;
    way_bytes ways[LINKD_N_SCALES];
    records_bytes records[LINKD_N_SCALES];
} scales_bytes;

_Static_assert(sizeof(scales_bytes) ==
                   32 + LINKD_N_SCALES * (24 + 8 * LINKD_QUANTILES),
               "written as it is, without holes");
#define SCALES_BYTES sizeof(scales_bytes)

typedef struct ranking_bytes {
    double weight;
    uint64_t lens[2]; /* of home, and of map, which follow */
} ranking_bytes;

static int ranking_encode(const linkd_reranking *ranking, lk_buf *ret_bytes,
                          linkd_error *err)
{
    ranking_bytes head = {.weight = (double)ranking->weight};
    unsigned char *home = NULL;
    unsigned char *map = NULL;
    size_t n_home = 0;
    size_t n_map = 0;
    int rc = linkd_compat_map_encode(ranking->maps.home, &home, &n_home, err);

    if (rc == LINKD_OK)
        rc = linkd_compat_map_encode(ranking->maps.map, &map, &n_map, err);
    head.lens[0] = n_home;
    head.lens[1] = n_map;
    if (rc == LINKD_OK)
        rc = lk_buf_append(ret_bytes, &head, sizeof(head), err);
    if (rc == LINKD_OK)
        rc = lk_buf_append(ret_bytes, home, n_home, err);
    if (rc == LINKD_OK)
        rc = lk_buf_append(ret_bytes, map, n_map, err);
    free(map);
    free(home);
    return rc;
}

static int ranking_decode(linkd_str blob, linkd_reranking *ret_ranking,
                          linkd_error *err)
{
    const unsigned char *at = (const unsigned char *)blob.bytes;
    linkd_whitened *maps = &ret_ranking->maps;
    ranking_bytes head;
    int rc;

    if (blob.len < sizeof(head))
        return cut_fail(err);
    memcpy(&head, at, sizeof(head));
    if (head.lens[0] > blob.len || head.lens[1] > blob.len ||
        head.lens[0] + head.lens[1] != blob.len - sizeof(head) ||
        (double)(float)head.weight != head.weight)
        return cut_fail(err);
    at += sizeof(head);
    ret_ranking->weight = (float)head.weight;
    rc = linkd_compat_map_decode(at, (size_t)head.lens[0], &maps->home, err);
    return rc == LINKD_OK
               ? linkd_compat_map_decode(at + head.lens[0],
                                         (size_t)head.lens[1], &maps->map, err)
               : rc;
}

static void way_encode(const linkd_bridge *bridge, size_t i,
                       scales_bytes *bytes)
{
    const linkd_scale *scale = &bridge->scales[i];
    way_bytes *way = &bytes->ways[i];
    records_bytes *records = &bytes->records[i];

    way->mrr_10 = bridge->mrr_10[i];
    way->n = scale->impostors.n;
    memcpy(way->scores, scale->impostors.scores, sizeof(way->scores));
    records->n = scale->records.n;
    memcpy(records->scores, scale->records.scores, sizeof(records->scores));
}

int linkd_scales_encode(const linkd_bridge *bridge, lk_buf *ret_bytes,
                        linkd_error *err)
{
    bool is_ranked = bridge->ranking.maps.home != NULL;
    scales_bytes bytes = {.version = is_ranked ? SCALES_VERSION_RANKED
                                               : SCALES_VERSION,
                          .weight = bridge->weight,
                          .cosine_least = bridge->cosine_least,
                          .strange_weight = bridge->strange_weight,
                          .slope = bridge->calibrator.slope,
                          .offset = bridge->calibrator.offset};
    int rc;

    for (size_t i = 0; i < LINKD_N_SCALES; i++)
        way_encode(bridge, i, &bytes);
    rc = lk_buf_append(ret_bytes, &bytes, sizeof(bytes), err);
    return rc == LINKD_OK && is_ranked
               ? ranking_encode(&bridge->ranking, ret_bytes, err)
               : rc;
}

static void way_decode(const scales_bytes *bytes, size_t i,
                       linkd_bridge *ret_bridge)
{
    const way_bytes *way = &bytes->ways[i];
    const records_bytes *records = &bytes->records[i];
    linkd_scale *scale = &ret_bridge->scales[i];

    ret_bridge->mrr_10[i] = way->mrr_10;
    scale->impostors.n = way->n;
    memcpy(scale->impostors.scores, way->scores, sizeof(way->scores));
    scale->records.n = records->n;
    memcpy(scale->records.scores, records->scores, sizeof(records->scores));
}

int linkd_scales_decode(linkd_str blob, linkd_bridge *ret_bridge,
                        linkd_error *err)
{
    scales_bytes bytes;
    linkd_str rest;

    if (blob.len < sizeof(bytes))
        return cut_fail(err);
    memcpy(&bytes, blob.bytes, sizeof(bytes));
    rest = (linkd_str){blob.bytes + sizeof(bytes), blob.len - sizeof(bytes)};
    if (bytes.version != SCALES_VERSION_RANKED &&
        (bytes.version != SCALES_VERSION || rest.len > 0))
        return cut_fail(err);
    ret_bridge->weight = bytes.weight;
    ret_bridge->cosine_least = bytes.cosine_least;
    ret_bridge->strange_weight = bytes.strange_weight;
    ret_bridge->calibrator = (linkd_calibrator){bytes.slope, bytes.offset};
    for (size_t i = 0; i < LINKD_N_SCALES; i++)
        way_decode(&bytes, i, ret_bridge);
    return bytes.version == SCALES_VERSION_RANKED
               ? ranking_decode(rest, &ret_bridge->ranking, err)
               : LINKD_OK;
}

static bool quantiles_are_sound(const linkd_quantiles *q)
{
    bool sound = q->n >= LINKD_QUANTILES;

    for (size_t i = 0; i < LINKD_QUANTILES && sound; i++)
        sound = isfinite(q->scores[i]) &&
                (i == 0 || q->scores[i - 1] <= q->scores[i]);
    return sound;
}

static bool scale_is_sound(const linkd_scale *scale)
{
    return quantiles_are_sound(&scale->impostors) &&
           quantiles_are_sound(&scale->records);
}

static bool weight_is_sound(float weight)
{
    return weight >= 0.0F && weight <= 1.0F;
}

static bool calibrator_is_sound(const linkd_calibrator *c)
{
    return isfinite(c->slope) && c->slope > 0.0 && isfinite(c->offset);
}

int linkd_scales_check(const linkd_bridge *bridge, linkd_error *err)
{
    bool sound = weight_is_sound(bridge->weight) &&
                 weight_is_sound(bridge->strange_weight) &&
                 isfinite(bridge->cosine_least) &&
                 weight_is_sound(bridge->ranking.weight) &&
                 (!linkd_bridge_has(bridge, LINKD_WAY_NATIVE) ||
                  calibrator_is_sound(&bridge->calibrator));

    for (size_t i = 0; i < LINKD_N_SCALES && sound; i++)
        sound = !linkd_bridge_has(bridge, (linkd_way)i) ||
                scale_is_sound(&bridge->scales[i]);
    return sound ? LINKD_OK
                 : lk_fail(err, LINKD_E_DATA,
                           "damaged database: a scale is no scale");
}

linkd_str lk_scales_head(linkd_str bytes)
{
    if (bytes.len > SCALES_BYTES)
        bytes.len = SCALES_BYTES;
    return bytes;
}

/* ---- vectors and texts ------------------------------------------------------ */

int linkd_vectors_encode(const float *vectors, size_t n, size_t dim,
                         lk_buf *ret_bytes, linkd_error *err)
{
    const uint64_t head[2] = {n, dim};
    int rc = lk_buf_append(ret_bytes, head, sizeof(head), err);

    return rc == LINKD_OK ? lk_buf_append(ret_bytes, vectors,
                                          n * dim * sizeof(*vectors), err)
                          : rc;
}

int lk_vectors_find(linkd_str bytes, const void **ret_vectors, size_t *ret_n,
                    size_t *ret_dim, linkd_error *err)
{
    uint64_t head[2];

    if (bytes.len < sizeof(head))
        return cut_fail(err);
    memcpy(head, bytes.bytes, sizeof(head));
    if (head[0] > LINKD_ANCHORS_MAX || head[1] == 0 ||
        head[1] > LINKD_DIM_MAX ||
        bytes.len != sizeof(head) + head[0] * head[1] * sizeof(float))
        return cut_fail(err);
    *ret_vectors = bytes.bytes + sizeof(head);
    *ret_n = (size_t)head[0];
    *ret_dim = (size_t)head[1];
    return LINKD_OK;
}

int linkd_vectors_decode(linkd_str bytes, lk_arena *arena, float **ret_vectors,
                         size_t *ret_n, size_t *ret_dim, linkd_error *err)
{
    const void *vectors = NULL;
    size_t n = 0, dim = 0;
    void *copy;
    int rc = lk_vectors_find(bytes, &vectors, &n, &dim, err);

    if (rc != LINKD_OK)
        return rc;
    copy = lk_arena_copy(arena, vectors, n * dim * sizeof(float));
    if (copy == NULL)
        return lk_fail_nomem(err);
    *ret_vectors = copy;
    *ret_n = n;
    *ret_dim = dim;
    return LINKD_OK;
}

int linkd_texts_encode(const linkd_str *texts, size_t n, lk_buf *ret_bytes,
                       linkd_error *err)
{
    const uint64_t count = n;
    int rc = lk_buf_append(ret_bytes, &count, sizeof(count), err);

    for (size_t i = 0; i < n && rc == LINKD_OK; i++) {
        uint32_t len = (uint32_t)texts[i].len;

        rc = lk_buf_append(ret_bytes, &len, sizeof(len), err);
    }
    for (size_t i = 0; i < n && rc == LINKD_OK; i++)
        rc = lk_buf_append(ret_bytes, texts[i].bytes, texts[i].len, err);
    return rc;
}

int linkd_texts_decode(linkd_str bytes, lk_arena *arena, linkd_str **ret_texts,
                       size_t *ret_n, linkd_error *err)
{
    uint64_t n = 0;
    size_t at;
    char *copy = lk_arena_copy(arena, bytes.bytes, bytes.len);
    linkd_str *texts;

    if (copy == NULL)
        return lk_fail_nomem(err);
    if (bytes.len < sizeof(n))
        return cut_fail(err);
    memcpy(&n, copy, sizeof(n));
    if (n > LINKD_ANCHORS_MAX || bytes.len < sizeof(n) + n * sizeof(uint32_t))
        return cut_fail(err);
    texts = lk_arena_alloc(arena, ((size_t)n + 1) * sizeof(*texts));
    if (texts == NULL)
        return lk_fail_nomem(err);
    at = sizeof(n) + (size_t)n * sizeof(uint32_t);
    for (size_t i = 0; i < n; i++) {
        uint32_t len;

        memcpy(&len, copy + sizeof(n) + i * sizeof(len), sizeof(len));
        if (len > bytes.len - at)
            return cut_fail(err);
        texts[i] = (linkd_str){copy + at, len};
        at += len;
    }
    if (at != bytes.len)
        return cut_fail(err);
    *ret_texts = texts;
    *ret_n = (size_t)n;
    return LINKD_OK;
}
