/* linkage/bridge.c — what is kept of a change of the model, as bytes in the store
 * and as objects in memory.
 *
 *   SCALES   version u32 | weight f32 | least cosine f32, strange queries' weight
 *            f32 | the calibrator's slope f64, offset f64 |
 *            for each way: mrr f64, n u64, impostors' quantiles f32 [512]
 *            and, if version is 9 or 10, for each way those of records:
 *            n u64, quantiles f32 [512]
 *            and, if version is 8 or 10, a ranking: weight f64 | two maps:
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
#include <xxhash.h>

/* 1 and 2 had a calibrator for each way, of raw scores, and those up to 6 no
 * strange queries. What follows adds to 7. */
#define SCALES_VERSION 7U
#define HAS_RANKING    1U
#define HAS_RECORDS    2U

const char *const linkd_way_words[LINKD_N_WAYS] = {
    [LINKD_WAY_NATIVE] = "native",
    [LINKD_WAY_ALIGN] = "align",
    [LINKD_WAY_FUSE] = "fuse",
    [LINKD_WAY_CASCADE] = "cascade",
};

bool linkd_way_parse(linkd_str word, linkd_way *ret_way)
{
    for (linkd_way way = LINKD_WAY_ALIGN; way < LINKD_N_WAYS; way++)
        if (strlen(linkd_way_words[way]) == word.len &&
            memcmp(linkd_way_words[way], word.bytes, word.len) == 0) {
            *ret_way = way;
            return true;
        }
    return false;
}

const char *const linkd_canaries[LINKD_N_CANARIES] = {
    "the quick brown fox jumps over the lazy dog",
    "Acme Trading Company, Limited, London",
    "12-34-5678",
    "Zürich, São Paulo, Kraków",
    "a",
    "jean.dupont@example.com",
    "lithium-ion battery, 3.7 V, 2600 mAh",
    "Sie hat gestern ein neues Fahrrad gekauft.",
};

/* 12 x 12 pixels: two ramps, stripes, and a disc. */
#define PICTURE                                                                \
 "\x1d"                                                                        \
 "data:image/png;base64,"                                                      \
 "iVBORw0KGgoAAAANSUhEUgAAAAwAAAAMCAIAAADZF8uwAAAA6UlEQVR42mWQQXED"            \
 "MAwEj4VYqCgUFA4KF4D/DgoHhYtCLARja/fZ6L1zp1tJMsmlEE10MaUlbSlFCcRF"            \
 "zOSmMJrRjWlapm1KowyMG2Iud4XTnO58D5Zru9IpB+fWWMhDEbyHXkMHeg4egwwq"            \
 "IA7UsIY3ouk9eI2TpOfQYyibqt1PpY51vPMz+Ad9DarfLdLEJj6J+ZE0VfNvrRa2"            \
 "8EWsD2ipljg+jhDb8q3YtE3ff+u29lZuasPmKrOUpyJpSU9maqV2KpNKyAOVrOSl"            \
 "KFrRi1lapV3KogrqQOgoPcKOkQYdJudPnZK8wL1fQi3WmVht/R8AAAAASUVORK5C"            \
 "YII="

const char *const linkd_picture_canaries[LINKD_N_CANARIES] = {
    PICTURE "#xywh=percent:0,0,100,100", PICTURE "#xywh=percent:0,0,50,50",
    PICTURE "#xywh=percent:50,0,50,50",  PICTURE "#xywh=percent:0,50,50,50",
    PICTURE "#xywh=percent:50,50,50,50", PICTURE "#xywh=percent:25,25,50,50",
    PICTURE "#xywh=percent:0,0,100,50",  PICTURE "#xywh=percent:0,0,50,100",
};

/* A float apart, rounded otherwise by another processor, is no other model. */
#define CANARY_COSINE 0.999

void linkd_bridge_clear(linkd_bridge *bridge)
{
    linkd_compat_map_free(bridge->map);
    linkd_whitened_clear(&bridge->ranking.maps);
    for (size_t i = 0; i < LINKD_N_SCALES; i++)
        free(bridge->ranks[i]);
    *bridge = (linkd_bridge){0};
}

bool linkd_bridge_has(const linkd_bridge *bridge, linkd_way way)
{
    return (bridge->map == NULL) == (way == LINKD_WAY_NATIVE);
}

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

typedef struct scales_bytes {
    uint32_t version;
    float weight;
    float cosine_least, strange_weight;
    double slope, offset;
    way_bytes ways[LINKD_N_SCALES];
} scales_bytes;

_Static_assert(sizeof(scales_bytes) ==
                   32 + LINKD_N_SCALES * (16 + 4 * LINKD_QUANTILES),
               "written as it is, without holes");
#define SCALES_BYTES sizeof(scales_bytes)

typedef struct records_bytes {
    struct {
        uint64_t n;
        float scores[LINKD_QUANTILES];
    } ways[LINKD_N_SCALES];
} records_bytes;

static bool has_records(const linkd_bridge *bridge)
{
    uint64_t n = 0;

    for (size_t i = 0; i < LINKD_N_SCALES; i++)
        n |= bridge->scales[i].records.n;
    return n > 0;
}

static int records_encode(const linkd_bridge *bridge, lk_buf *ret_bytes,
                          linkd_error *err)
{
    records_bytes bytes = {0};

    for (size_t i = 0; i < LINKD_N_SCALES; i++) {
        const linkd_quantiles *records = &bridge->scales[i].records;

        bytes.ways[i].n = records->n;
        memcpy(bytes.ways[i].scores, records->scores, sizeof(records->scores));
    }
    return lk_buf_append(ret_bytes, &bytes, sizeof(bytes), err);
}

static int records_decode(linkd_str *blob, linkd_bridge *ret_bridge,
                          linkd_error *err)
{
    records_bytes bytes;

    if (blob->len < sizeof(bytes))
        return cut_fail(err);
    memcpy(&bytes, blob->bytes, sizeof(bytes));
    *blob = (linkd_str){blob->bytes + sizeof(bytes), blob->len - sizeof(bytes)};
    for (size_t i = 0; i < LINKD_N_SCALES; i++) {
        linkd_quantiles *records = &ret_bridge->scales[i].records;

        records->n = bytes.ways[i].n;
        memcpy(records->scores, bytes.ways[i].scores, sizeof(records->scores));
    }
    return has_records(ret_bridge) ? LINKD_OK : cut_fail(err);
}

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

int linkd_scales_encode(const linkd_bridge *bridge, lk_buf *ret_bytes,
                        linkd_error *err)
{
    uint32_t parts = (bridge->ranking.maps.home != NULL ? HAS_RANKING : 0U) |
                     (has_records(bridge) ? HAS_RECORDS : 0U);
    scales_bytes bytes = {.version = SCALES_VERSION + parts,
                          .weight = bridge->weight,
                          .cosine_least = bridge->cosine_least,
                          .strange_weight = bridge->strange_weight,
                          .slope = bridge->calibrator.slope,
                          .offset = bridge->calibrator.offset};
    int rc;

    for (size_t i = 0; i < LINKD_N_SCALES; i++) {
        const linkd_scale *scale = &bridge->scales[i];
        way_bytes *way = &bytes.ways[i];

        way->mrr_10 = bridge->mrr_10[i];
        way->n = scale->impostors.n;
        memcpy(way->scores, scale->impostors.scores, sizeof(way->scores));
    }
    rc = lk_buf_append(ret_bytes, &bytes, sizeof(bytes), err);
    if (rc == LINKD_OK && (parts & HAS_RECORDS) != 0)
        rc = records_encode(bridge, ret_bytes, err);
    if (rc == LINKD_OK && (parts & HAS_RANKING) != 0)
        rc = ranking_encode(&bridge->ranking, ret_bytes, err);
    return rc;
}

static void ways_decode(const scales_bytes *bytes, linkd_bridge *ret_bridge)
{
    ret_bridge->weight = bytes->weight;
    ret_bridge->cosine_least = bytes->cosine_least;
    ret_bridge->strange_weight = bytes->strange_weight;
    ret_bridge->calibrator = (linkd_calibrator){bytes->slope, bytes->offset};
    for (size_t i = 0; i < LINKD_N_SCALES; i++) {
        const way_bytes *way = &bytes->ways[i];
        linkd_scale *scale = &ret_bridge->scales[i];

        ret_bridge->mrr_10[i] = way->mrr_10;
        scale->impostors.n = way->n;
        memcpy(scale->impostors.scores, way->scores, sizeof(way->scores));
    }
}

int linkd_scales_decode(linkd_str blob, linkd_bridge *ret_bridge,
                        linkd_error *err)
{
    scales_bytes bytes;
    linkd_str rest;
    uint32_t parts;
    int rc = LINKD_OK;

    if (blob.len < sizeof(bytes))
        return cut_fail(err);
    memcpy(&bytes, blob.bytes, sizeof(bytes));
    rest = (linkd_str){blob.bytes + sizeof(bytes), blob.len - sizeof(bytes)};
    parts = bytes.version - SCALES_VERSION;
    if (parts > (HAS_RANKING | HAS_RECORDS))
        return cut_fail(err);
    ways_decode(&bytes, ret_bridge);
    if ((parts & HAS_RECORDS) != 0)
        rc = records_decode(&rest, ret_bridge, err);
    if (rc == LINKD_OK && (parts & HAS_RANKING) != 0)
        return ranking_decode(rest, &ret_bridge->ranking, err);
    return rc == LINKD_OK && rest.len > 0 ? cut_fail(err) : rc;
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
           (scale->records.n == 0 || quantiles_are_sound(&scale->records));
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

/* Before the numbers: how many vectors, of how many dimensions. */
#define VECTORS_HEAD_BYTES (2 * sizeof(uint64_t))

static int vectors_head_read(linkd_str bytes, size_t *ret_n, size_t *ret_dim,
                             linkd_error *err)
{
    uint64_t head[2];

    if (bytes.len < sizeof(head))
        return cut_fail(err);
    memcpy(head, bytes.bytes, sizeof(head));
    if (head[0] > LINKD_ANCHORS_MAX || head[1] == 0 ||
        head[1] > LINKD_DIM_MAX ||
        bytes.len != sizeof(head) + head[0] * head[1] * sizeof(float))
        return cut_fail(err);
    *ret_n = (size_t)head[0];
    *ret_dim = (size_t)head[1];
    return LINKD_OK;
}

int linkd_vectors_decode(linkd_str bytes, lk_arena *arena, float **ret_vectors,
                         size_t *ret_n, size_t *ret_dim, linkd_error *err)
{
    size_t n = 0, dim = 0;
    void *copy;
    int rc = vectors_head_read(bytes, &n, &dim, err);

    if (rc != LINKD_OK)
        return rc;
    copy = lk_arena_copy(arena, bytes.bytes + VECTORS_HEAD_BYTES,
                         bytes.len - VECTORS_HEAD_BYTES);
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

int linkd_canaries_check(const float *stored, const float *now, size_t dim,
                         linkd_error *err)
{
    for (size_t i = 0; i < LINKD_N_CANARIES; i++) {
        const float *a = stored + i * dim;
        const float *b = now + i * dim;
        double cosine = (double)linkd_index_score(a, b, dim) /
                        sqrt((double)linkd_index_score(a, a, dim) *
                             (double)linkd_index_score(b, b, dim));

        if (!(cosine >= CANARY_COSINE))
            return lk_fail(err, LINKD_E_CONFLICT,
                           "the model makes other vectors than it did: cosine "
                           "%.4f for canary %zu",
                           cosine, i + 1);
    }
    return LINKD_OK;
}

/* ---- the collection's way ---------------------------------------------------- */

int linkd_way_read(linkd_view *view, linkd_way *ret_way, linkd_error *err)
{
    linkd_generation all[LINKD_GENERATIONS_MAX];
    size_t n = linkd_view_generations(view, all);
    linkd_str word = {"", 0};
    bool found = false;
    int rc = LINKD_OK;

    for (size_t i = 0; i < n && rc == LINKD_OK; i++)
        if (all[i].state == LINKD_GENERATION_SERVING)
            rc = linkd_view_blob(view, all[i].number, LINKD_BLOB_WAY, 0, &word,
                                 &found, err);
    if (rc == LINKD_OK && !found)
        *ret_way = LINKD_WAY_FUSE;
    else if (rc == LINKD_OK && !linkd_way_parse(word, ret_way))
        rc = lk_fail(err, LINKD_E_DATA,
                     "damaged database: a generation is searched in no way");
    return rc;
}

/* ---- all bridges of a collection --------------------------------------------- */

struct linkd_bridges {
    size_t n;
    uint32_t numbers[LINKD_GENERATIONS_MAX];
    size_t dims[LINKD_GENERATIONS_MAX];
    bool has[LINKD_GENERATIONS_MAX][LINKD_GENERATIONS_MAX];
    linkd_bridge bridges[LINKD_GENERATIONS_MAX][LINKD_GENERATIONS_MAX];
    /* Why there is none, if it is damaged */
    linkd_error damages[LINKD_GENERATIONS_MAX][LINKD_GENERATIONS_MAX];
    linkd_bridge reference; /* NATIVE: what scores of limits mean */
    lk_cohort cohorts[LINKD_GENERATIONS_MAX];
    size_t n_cohort; /* records in each */
};

/* The place of a generation; n: it has none. */
static size_t place_of(const linkd_bridges *bridges, uint32_t generation)
{
    size_t i = 0;

    while (i < bridges->n && bridges->numbers[i] != generation)
        i++;
    return i;
}

const linkd_bridge *linkd_bridges_find(const linkd_bridges *bridges,
                                       uint32_t from, uint32_t to)
{
    size_t i = place_of(bridges, from);
    size_t j = place_of(bridges, to);

    return i < bridges->n && j < bridges->n && bridges->has[i][j]
               ? &bridges->bridges[i][j]
               : NULL;
}

int linkd_bridges_need(const linkd_bridges *bridges, uint32_t from, uint32_t to,
                       const linkd_bridge **ret_bridge, linkd_error *err)
{
    size_t i = place_of(bridges, from);
    size_t j = place_of(bridges, to);
    const linkd_bridge *bridge = linkd_bridges_find(bridges, from, to);
    const char *why = "nothing leads from one to the other";

    if (bridge == NULL && i < bridges->n && j < bridges->n &&
        bridges->damages[i][j].code != LINKD_OK)
        why = bridges->damages[i][j].message;
    if (bridge == NULL && from == to) {
        (void)lk_fail(err, LINKD_E_DATA,
                      "limits and probabilities of generation %u's model "
                      "cannot be told: %s",
                      (unsigned)to, why);
        return LINKD_E_DATA;
    }
    if (bridge == NULL) {
        (void)lk_fail(err, LINKD_E_DATA,
                      "generation %u's records cannot be found by generation "
                      "%u's model until %s encoded anew: %s",
                      (unsigned)to, (unsigned)from,
                      from > to ? "a rollback, or until they are"
                                : "those of one of the two are",
                      why);
        return LINKD_E_DATA;
    }
    *ret_bridge = bridge;
    return LINKD_OK;
}

static int map_check(const linkd_compat_map *map, size_t dim_from,
                     size_t dim_to, linkd_error *err)
{
    linkd_compat_info info = linkd_compat_map_info(map);

    if (info.dim_from != dim_from)
        return lk_fail(err, LINKD_E_DATA,
                       "damaged database: a map leads from another model");
    if (info.dim_compat != dim_to)
        return lk_fail(err, LINKD_E_DATA,
                       "damaged database: a map leads to another model");
    return LINKD_OK;
}

/* bridges[i][j].map, if there is one: jobs need nothing else. */
static int map_read(linkd_view *view, linkd_bridges *b, size_t i, size_t j,
                    linkd_error *err)
{
    linkd_compat_map *map = NULL;
    linkd_str bytes;
    bool found = false;
    int rc = linkd_view_blob(view, b->numbers[i], LINKD_BLOB_MAP, b->numbers[j],
                             &bytes, &found, err);

    if (rc == LINKD_OK && found)
        rc = linkd_compat_map_decode((const unsigned char *)bytes.bytes,
                                     bytes.len, &map, err);
    if (rc == LINKD_OK && found)
        rc = map_check(map, b->dims[i], b->dims[j], err);
    if (rc == LINKD_OK)
        b->bridges[i][j].map = map;
    else
        linkd_compat_map_free(map);
    return rc;
}

/* The rest of it. */
static int scales_read(linkd_view *view, linkd_bridges *b, size_t i, size_t j,
                       linkd_error *err)
{
    linkd_bridge *bridge = &b->bridges[i][j];
    const linkd_whitened *maps = &bridge->ranking.maps;
    linkd_str bytes;
    bool found = false;
    int rc = linkd_view_blob(view, b->numbers[i], LINKD_BLOB_SCALES,
                             b->numbers[j], &bytes, &found, err);

    b->has[i][j] = found;
    if (rc == LINKD_OK && found)
        rc = linkd_scales_decode(bytes, bridge, err);
    if (rc == LINKD_OK && found && i != j && bridge->map == NULL)
        rc = lk_fail(err, LINKD_E_DATA,
                     "damaged database: a map between models is gone");
    if (rc == LINKD_OK && maps->home != NULL)
        rc = map_check(maps->home, b->dims[j], b->dims[j], err);
    if (rc == LINKD_OK && maps->home != NULL)
        rc = map_check(maps->map, b->dims[i], b->dims[j], err);
    return rc == LINKD_OK && b->has[i][j] ? linkd_scales_check(bridge, err)
                                          : rc;
}

const lk_cohort *lk_bridges_cohort(const linkd_bridges *bridges,
                                   uint32_t generation)
{
    size_t i = place_of(bridges, generation);

    return i < bridges->n ? &bridges->cohorts[i] : NULL;
}

/* The same records for every generation, or levels would say nothing. */
static int cohort_read(linkd_view *view, linkd_bridges *b, size_t i,
                       linkd_error *err)
{
    linkd_str bytes;
    size_t n = 0, dim = 0;
    bool found = false;
    int rc = linkd_view_blob(view, b->numbers[i], LINKD_BLOB_ANCHORS, 0, &bytes,
                             &found, err);

    if (rc == LINKD_OK && found)
        rc = vectors_head_read(bytes, &n, &dim, err);
    if (rc == LINKD_OK && (n == 0 || dim != b->dims[i]))
        rc = lk_fail(err, LINKD_E_DATA,
                     "damaged database: generation %u has no anchors",
                     (unsigned)b->numbers[i]);
    if (rc == LINKD_OK)
        rc = lk_cohort_make(bytes.bytes + VECTORS_HEAD_BYTES, n, dim,
                            &b->cohorts[i], err);
    if (rc == LINKD_OK && b->n_cohort == 0)
        b->n_cohort = b->cohorts[i].n;
    if (rc == LINKD_OK && b->cohorts[i].n != b->n_cohort)
        rc = lk_fail(err, LINKD_E_DATA,
                     "damaged database: generation %u has other anchors",
                     (unsigned)b->numbers[i]);
    return rc;
}

/* A bridge that is damaged is missed by those alone who need it: a rollback does
 * not, nor does a model that nothing is left of. A map does without its scales. */
static int bridge_try(linkd_view *view, linkd_bridges *b, size_t i, size_t j,
                      linkd_error *err)
{
    linkd_error *damage = &b->damages[i][j];
    int rc = i != j ? map_read(view, b, i, j, damage) : LINKD_OK;

    if (rc == LINKD_OK)
        rc = scales_read(view, b, i, j, damage);
    if (rc == LINKD_E_DATA) {
        linkd_compat_map *map = b->bridges[i][j].map;

        b->bridges[i][j].map = NULL;
        linkd_bridge_clear(&b->bridges[i][j]);
        b->bridges[i][j].map = map;
        b->has[i][j] = false;
        return LINKD_OK;
    }
    if (rc != LINKD_OK && err != NULL)
        *err = *damage;
    return rc;
}

/* Without a cohort nothing leads to a generation but maps. */
static int cohort_try(linkd_view *view, linkd_bridges *b, size_t j,
                      linkd_error *err)
{
    linkd_error damage = {0};
    int rc = cohort_read(view, b, j, &damage);

    if (rc != LINKD_OK && rc != LINKD_E_DATA && err != NULL)
        *err = damage;
    if (rc != LINKD_E_DATA)
        return rc;
    for (size_t i = 0; i < b->n; i++) {
        b->has[i][j] = false;
        if (b->damages[i][j].code == LINKD_OK)
            b->damages[i][j] = damage;
    }
    return LINKD_OK;
}

/* The scale of limits, and whether there is one: the mark of a collection whose
 * model was changed. */
static int reference_find(linkd_view *view, linkd_str *ret_bytes,
                          bool *ret_found, linkd_error *err)
{
    return linkd_view_blob(view, 0, LINKD_BLOB_REFERENCE, 0, ret_bytes,
                           ret_found, err);
}

int linkd_bridges_open(linkd_view *view, linkd_bridges **ret_bridges,
                       linkd_error *err)
{
    linkd_generation generations[LINKD_GENERATIONS_MAX];
    linkd_bridges *b = NULL;
    linkd_str bytes;
    bool found = false;
    int rc = reference_find(view, &bytes, &found, err);

    if (rc == LINKD_OK && !found)
        *ret_bridges = NULL;
    if (rc != LINKD_OK || !found)
        return rc;
    b = calloc(1, sizeof(*b));
    if (b == NULL)
        return lk_fail_nomem(err);
    rc = linkd_scales_decode(bytes, &b->reference, err);
    if (rc == LINKD_OK)
        rc = linkd_scales_check(&b->reference, err);
    b->n = linkd_view_generations(view, generations);
    for (size_t i = 0; i < b->n; i++) {
        b->numbers[i] = generations[i].number;
        b->dims[i] = generations[i].dim;
    }
    for (size_t i = 0; i < b->n * b->n && rc == LINKD_OK; i++)
        rc = bridge_try(view, b, i / b->n, i % b->n, err);
    for (size_t i = 0; i < b->n && rc == LINKD_OK; i++)
        rc = cohort_try(view, b, i, err);
    if (rc == LINKD_OK)
        *ret_bridges = b;
    else
        linkd_bridges_close(b);
    return rc;
}

void linkd_bridges_close(linkd_bridges *bridges)
{
    if (bridges == NULL)
        return;
    for (size_t i = 0; i < LINKD_GENERATIONS_MAX; i++)
        for (size_t j = 0; j < LINKD_GENERATIONS_MAX; j++)
            linkd_bridge_clear(&bridges->bridges[i][j]);
    for (size_t i = 0; i < LINKD_GENERATIONS_MAX; i++)
        lk_cohort_clear(&bridges->cohorts[i]);
    linkd_bridge_clear(&bridges->reference);
    free(bridges);
}

/* Damaged scales are as good as none for a key; who needs them will say so. */
static int scales_find(linkd_view *view, const uint32_t pair[2],
                       linkd_str *ret_bytes, bool *ret_found, linkd_error *err)
{
    linkd_error damage = {0};
    int rc = linkd_view_blob(view, pair[0], LINKD_BLOB_SCALES, pair[1],
                             ret_bytes, ret_found, &damage);

    if (rc == LINKD_E_DATA) {
        *ret_found = false;
        return LINKD_OK;
    }
    if (rc != LINKD_OK && err != NULL)
        *err = damage;
    return rc;
}

/* Numbers are given out again after a generation was freed, so that the key is
 * over scales, which differ between any two fits. */
int linkd_bridges_key(linkd_view *view, uint64_t *ret_key, linkd_error *err)
{
    linkd_generation generations[LINKD_GENERATIONS_MAX];
    size_t n = linkd_view_generations(view, generations);
    XXH64_hash_t key = linkd_view_collection(view) + UINT64_C(1);
    linkd_str bytes;
    bool found = false;
    int rc = reference_find(view, &bytes, &found, err);

    *ret_key = 0;
    if (rc != LINKD_OK || !found)
        return rc;
    for (size_t i = 0; i < n * n && rc == LINKD_OK; i++) {
        uint32_t pair[2] = {generations[i / n].number,
                            generations[i % n].number};

        rc = scales_find(view, pair, &bytes, &found, err);
        key = XXH3_64bits_withSeed(pair, sizeof(pair), key);
        if (rc == LINKD_OK && found)
            key = XXH3_64bits_withSeed(
                bytes.bytes,
                bytes.len < SCALES_BYTES ? bytes.len : SCALES_BYTES,
                key); /* maps of a megabyte would be read at every search */
    }
    *ret_key = key != 0 ? key : 1;
    return rc;
}

static int map_one(const linkd_compat_map *map, const float *vector,
                   float *ret_vector, linkd_error *err)
{
    float mapped[2 * LINKD_DIM_MAX]; /* a lossless map has two blocks */
    linkd_compat_info info = linkd_compat_map_info(map);
    linkd_rows rows = {vector, 1, info.dim_from};
    int rc;

    LK_ASSERT(info.dim_to <= sizeof(mapped) / sizeof(*mapped));
    rc = linkd_compat_map_apply(map, &rows, mapped, err);
    if (rc != LINKD_OK)
        return rc;
    rows = (linkd_rows){mapped, 1, info.dim_compat};
    return linkd_compat_normalise(&rows, "a mapped vector", ret_vector, err);
}

int lk_bridge_map(const linkd_bridge *bridge, const float *vector,
                  float *ret_vector, linkd_error *err)
{
    return map_one(bridge->map, vector, ret_vector, err);
}

/* What slerp would leave out, by a weight of 0 or 1, is not mapped: a map takes as
 * long as all else that is done to a query. But whether a query is strange only its
 * mapped vector says: this one is asked for nothing where it changes nothing. */
static bool is_alone(const linkd_bridge *bridge)
{
    bool tells =
        bridge->cosine_least > -1.0F &&
        (bridge->strange_weight > 0.0F || bridge->ranking.maps.home != NULL);

    return bridge->weight == 0.0F && !tells;
}

int lk_bridge_fuse(const linkd_bridge *bridge, const float *own,
                   const float *vector, float *ret_vector, bool *ret_is_strange,
                   linkd_error *err)
{
    linkd_compat_info info = linkd_compat_map_info(bridge->map);
    linkd_rows rows = {vector, 1, info.dim_from};
    float checked[LINKD_DIM_MAX];
    float weight = bridge->weight;
    bool is_strange = false;
    int rc;

    LK_ASSERT(info.dim_from <= LINKD_DIM_MAX);
    if (is_alone(bridge))
        rc = linkd_compat_normalise(&rows, "the vectors", checked, err);
    else
        rc = map_one(bridge->map, vector, ret_vector, err);
    if (rc != LINKD_OK)
        return rc;
    if (!is_alone(bridge)) {
        is_strange = linkd_index_score(own, ret_vector, info.dim_compat) <
                     bridge->cosine_least;
        weight = is_strange ? bridge->strange_weight : weight;
    }
    if (weight == 0.0F)
        memcpy(ret_vector, own, info.dim_compat * sizeof(*ret_vector));
    else
        linkd_compat_slerp(own, ret_vector, info.dim_compat, weight,
                           ret_vector);
    if (ret_is_strange != NULL)
        *ret_is_strange = is_strange;
    return LINKD_OK;
}

int lk_bridge_rank(const linkd_bridge *bridge, const float *own,
                   const float *vector, float *ret_vector, linkd_error *err)
{
    const linkd_reranking *ranking = &bridge->ranking;
    size_t dim = linkd_compat_map_info(bridge->map).dim_compat;
    float home[LINKD_DIM_MAX];
    int rc;

    LK_ASSERT(dim <= LINKD_DIM_MAX);
    if (ranking->weight == 0.0F)
        return map_one(ranking->maps.home, own, ret_vector, err);
    rc = map_one(ranking->maps.map, vector, ret_vector, err);
    if (ranking->weight == 1.0F)
        return rc;
    if (rc == LINKD_OK)
        rc = map_one(ranking->maps.home, own, home, err);
    if (rc == LINKD_OK)
        linkd_compat_slerp(home, ret_vector, dim, ranking->weight, ret_vector);
    return rc;
}

int linkd_bridges_map(const linkd_bridges *bridges, uint32_t from, uint32_t to,
                      const float *vector, float *ret_vector, linkd_error *err)
{
    size_t i = place_of(bridges, from);
    size_t j = place_of(bridges, to);
    const linkd_bridge *bridge = NULL;
    int rc;

    if (i < bridges->n && j < bridges->n && bridges->bridges[i][j].map != NULL)
        return lk_bridge_map(&bridges->bridges[i][j], vector, ret_vector, err);
    rc = linkd_bridges_need(bridges, from, to, &bridge, err);
    if (rc == LINKD_OK)
        rc = lk_fail(err, LINKD_E_DATA,
                     "there is no map from generation %u to %u", (unsigned)from,
                     (unsigned)to);
    return rc;
}

/* ---- limits -------------------------------------------------------------------- */

static bool quantiles_equal(const linkd_quantiles *a, const linkd_quantiles *b)
{
    bool equal = a->n == b->n;

    for (size_t i = 0; i < LINKD_QUANTILES && equal; i++)
        equal = a->scores[i] == b->scores[i];
    return equal;
}

/* A score beyond all impostors keeps its place between them and 1. */
static double score_beyond(const linkd_quantiles *from,
                           const linkd_quantiles *to, double score)
{
    double highest = (double)from->scores[LINKD_QUANTILES - 1];
    double there = (double)to->scores[LINKD_QUANTILES - 1];
    double part = highest < 1.0 ? (score - highest) / (1.0 - highest) : 1.0;

    return there + part * (there < 1.0 ? 1.0 - there : 0.0);
}

static double score_transfer(const linkd_quantiles *from,
                             const linkd_quantiles *to, double score)
{
    if (quantiles_equal(from, to))
        return score; /* bit for bit what it was */
    if (score <= (double)from->scores[0])
        return -(double)INFINITY;
    if (score > (double)from->scores[LINKD_QUANTILES - 1])
        return score_beyond(from, to, score);
    return linkd_quantiles_score(to,
                                 linkd_quantiles_false_match_rate(from, score));
}

double linkd_standing_log_odds(const linkd_standing *standing, double score)
{
    return linkd_calibrator_log_odds(
        standing->calibrator, linkd_level_standard(&standing->level, score));
}

float linkd_limit_score(const linkd_bridges *bridges, const linkd_limit *limit,
                        const linkd_standing *standing)
{
    const linkd_scale *from = &bridges->reference.scales[LINKD_WAY_NATIVE];
    const linkd_scale *to = standing->scale;
    bool of_records =
        standing->is_record && from->records.n > 0 && to->records.n > 0;
    const linkd_quantiles *others = of_records ? &to->records : &to->impostors;
    double p = limit->value;

    switch (limit->kind) {
    case LINKD_LIMIT_SCORE:
        return (float)score_transfer(
            of_records ? &from->records : &from->impostors, others, p);
    case LINKD_LIMIT_FALSE_MATCH_RATE:
        return (float)linkd_quantiles_score(others, p);
    case LINKD_LIMIT_PROBABILITY:
        return (float)linkd_level_score(
            &standing->level,
            linkd_calibrator_score(standing->calibrator, log(p / (1.0 - p))));
    case LINKD_LIMIT_NONE:
    default:
        return -INFINITY;
    }
}

double linkd_found_probability(const linkd_found *found)
{
    return 1.0 / (1.0 + exp(-found->log_odds));
}
