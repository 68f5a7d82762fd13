/* linkage/bridge.c — the bridges between a collection's generations, as they are
 * read from the store: which there are, what is damaged, and what a limit comes to
 * over one. bridge_blobs.c has the form of what is stored. */
#include "linkage/bridge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

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
    linkd_bridge reference;       /* NATIVE: what scores of limits mean */
    linkd_error reference_damage; /* why it is not to be used */
    const linkd_scale *limits;    /* of it or of its copy; NULL: of neither */
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
    const void *vectors = NULL;
    size_t n = 0, dim = 0;
    bool found = false;
    int rc = linkd_view_blob(view, b->numbers[i], LINKD_BLOB_ANCHORS, 0, &bytes,
                             &found, err);

    if (rc == LINKD_OK && found)
        rc = lk_vectors_find(bytes, &vectors, &n, &dim, err);
    if (rc == LINKD_OK && (n == 0 || dim != b->dims[i]))
        rc = lk_fail(err, LINKD_E_DATA,
                     "damaged database: generation %u has no anchors",
                     (unsigned)b->numbers[i]);
    if (rc == LINKD_OK)
        rc = lk_cohort_make(vectors, n, dim, &b->cohorts[i], err);
    if (rc == LINKD_OK && b->n_cohort == 0)
        b->n_cohort = b->cohorts[i].n;
    if (rc == LINKD_OK && b->cohorts[i].n != b->n_cohort)
        rc = lk_fail(err, LINKD_E_DATA,
                     "damaged database: generation %u has other anchors",
                     (unsigned)b->numbers[i]);
    return rc;
}

/* What is damaged is missed by those alone who need it: a rollback does not, nor
 * does a model that nothing is left of. Other failures are for all. */
static int damage_spare(int rc, const linkd_error *failure, linkd_error *err)
{
    if (rc == LINKD_E_DATA)
        return LINKD_OK;
    if (rc != LINKD_OK && err != NULL)
        *err = *failure;
    return rc;
}

/* A map does without its scales. */
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
    }
    return damage_spare(rc, damage, err);
}

/* Without a cohort nothing leads to a generation but maps. */
static int cohort_try(linkd_view *view, linkd_bridges *b, size_t j,
                      linkd_error *err)
{
    linkd_error damage = {0};
    int rc = cohort_read(view, b, j, &damage);

    for (size_t i = 0; i < b->n && rc == LINKD_E_DATA; i++) {
        b->has[i][j] = false;
        if (b->damages[i][j].code == LINKD_OK)
            b->damages[i][j] = damage;
    }
    return damage_spare(rc, &damage, err);
}

/* ---- the scale of limits ------------------------------------------------------ */

/* The generation that a collection is made with: its own scale is written with the
 * reference, which outlives it. */
#define FIRST UINT32_C(1)

static int reference_find(linkd_view *view, linkd_str *ret_bytes,
                          bool *ret_found, linkd_error *err)
{
    return linkd_view_blob(view, 0, LINKD_BLOB_REFERENCE, 0, ret_bytes,
                           ret_found, err);
}

/* Whether the collection's model was changed, which the reference says however
 * damaged it is. */
static int change_find(linkd_view *view, bool *ret_changed, linkd_error *err)
{
    linkd_generation generations[LINKD_GENERATIONS_MAX];
    linkd_error damage = {0};
    linkd_str bytes;
    bool found = false;
    int rc = reference_find(view, &bytes, &found, &damage);

    *ret_changed = found || rc == LINKD_E_DATA ||
                   linkd_view_generations(view, generations) > 1;
    return damage_spare(rc, &damage, err);
}

static int reference_read(linkd_view *view, linkd_bridges *b, linkd_error *err)
{
    linkd_error *damage = &b->reference_damage;
    linkd_str bytes;
    bool found = false;
    int rc = reference_find(view, &bytes, &found, damage);

    if (rc == LINKD_OK && !found)
        rc = lk_fail(damage, LINKD_E_DATA, "damaged database: it is gone");
    if (rc == LINKD_OK)
        rc = linkd_scales_decode(bytes, &b->reference, damage);
    if (rc == LINKD_OK)
        rc = linkd_scales_check(&b->reference, damage);
    return damage_spare(rc, damage, err);
}

/* After the bridges. */
static int reference_try(linkd_view *view, linkd_bridges *b, linkd_error *err)
{
    const linkd_bridge *copy = linkd_bridges_find(b, FIRST, FIRST);
    int rc = reference_read(view, b, err);

    if (b->reference_damage.code == LINKD_OK)
        b->limits = &b->reference.scales[LINKD_WAY_NATIVE];
    else if (copy != NULL)
        b->limits = &copy->scales[LINKD_WAY_NATIVE];
    return rc;
}

int linkd_bridges_check_limits(const linkd_bridges *bridges, linkd_error *err)
{
    const linkd_error *damage = &bridges->reference_damage;

    if (damage->code == LINKD_OK)
        return LINKD_OK;
    (void)lk_fail(
        err, LINKD_E_DATA,
        bridges->limits != NULL
            ? "the scale of limits has only its copy, which goes with "
              "generation 1: %s"
            : "scores cannot be limits any more, but probabilities and "
              "false-match rates can: %s",
        damage->message);
    return LINKD_E_DATA;
}

/* ---- all of it ------------------------------------------------------------------ */

int linkd_bridges_open(linkd_view *view, linkd_bridges **ret_bridges,
                       linkd_error *err)
{
    linkd_generation generations[LINKD_GENERATIONS_MAX];
    linkd_bridges *b = NULL;
    bool changed = false;
    int rc = change_find(view, &changed, err);

    if (rc == LINKD_OK && !changed)
        *ret_bridges = NULL;
    if (rc != LINKD_OK || !changed)
        return rc;
    b = calloc(1, sizeof(*b));
    if (b == NULL)
        return lk_fail_nomem(err);
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
        rc = reference_try(view, b, err);
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

    *ret_found = *ret_found && rc == LINKD_OK;
    return damage_spare(rc, &damage, err);
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
    int rc = change_find(view, &found, err);

    *ret_key = 0;
    if (rc != LINKD_OK || !found)
        return rc;
    for (size_t i = 0; i < n * n && rc == LINKD_OK; i++) {
        uint32_t pair[2] = {generations[i / n].number,
                            generations[i % n].number};

        rc = scales_find(view, pair, &bytes, &found, err);
        key = XXH3_64bits_withSeed(pair, sizeof(pair), key);
        if (rc != LINKD_OK || !found)
            continue;
        /* maps of a megabyte would be read at every search */
        bytes = lk_scales_head(bytes);
        key = XXH3_64bits_withSeed(bytes.bytes, bytes.len, key);
    }
    *ret_key = key != 0 ? key : 1;
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

double lk_score_transfer(const linkd_quantiles *from, const linkd_quantiles *to,
                         double score)
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

int lk_bridges_reference(const linkd_bridges *bridges,
                         linkd_quantiles *ret_records, linkd_error *err)
{
    if (bridges->limits == NULL)
        return linkd_bridges_check_limits(bridges, err);
    *ret_records = bridges->limits->records;
    return LINKD_OK;
}

double linkd_standing_log_odds(const linkd_standing *standing, double score)
{
    return linkd_calibrator_log_odds(
        standing->calibrator, linkd_level_standard(&standing->level, score));
}

int linkd_limit_score(const linkd_bridges *bridges, const linkd_limit *limit,
                      const linkd_standing *standing, float *ret_score,
                      linkd_error *err)
{
    const linkd_scale *from = bridges->limits;
    const linkd_scale *to = standing->scale;
    bool of_records = standing->is_record;
    const linkd_quantiles *others = of_records ? &to->records : &to->impostors;
    double p = limit->value;

    switch (limit->kind) {
    case LINKD_LIMIT_SCORE:
        if (from == NULL)
            return linkd_bridges_check_limits(bridges, err);
        *ret_score = (float)lk_score_transfer(
            of_records ? &from->records : &from->impostors, others, p);
        return LINKD_OK;
    case LINKD_LIMIT_FALSE_MATCH_RATE:
        *ret_score = (float)linkd_quantiles_score(others, p);
        return LINKD_OK;
    case LINKD_LIMIT_PROBABILITY:
        *ret_score = (float)linkd_level_score(
            &standing->level,
            linkd_calibrator_score(standing->calibrator, log(p / (1.0 - p))));
        return LINKD_OK;
    case LINKD_LIMIT_NONE:
    default:
        *ret_score = -INFINITY;
        return LINKD_OK;
    }
}

double linkd_found_probability(const linkd_found *found)
{
    return 1.0 / (1.0 + exp(-found->log_odds));
}
