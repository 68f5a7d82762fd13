/* linkage/pair_scales.c — what pairs of records score where their vectors are of
 * several models, on the scale of the collection's first one.
 *
 * A job compares in one space: older vectors are mapped there. So there are several
 * kinds of pairs, and the same cosine says something else in each:
 *
 *   of the model that serves with itself   scales[NATIVE].records of its bridge
 *   mapped with of the model that serves   scales[ALIGN].records of theirs
 *   mapped with mapped                     made here, of the anchors
 *
 * A score becomes the one with which the first model let in as large a share of
 * strangers. The last kind has no scale in the store. Its strangers cannot be told
 * from matches by labels, as those of the others may have been; so it is laid on
 * the model's own scale, by what anchors score there without labels as well. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "linkage/bridge.h"

/* So many anchors look for others, of those that no map was fitted on. */
#define ASKING ((size_t)200)

struct linkd_pair_scales {
    uint32_t n;
    uint32_t models[LINKD_GENERATIONS_MAX]; /* the one that serves is first */
    linkd_quantiles reference;
    linkd_quantiles kinds[LINKD_GENERATIONS_MAX][LINKD_GENERATIONS_MAX];
};

uint32_t linkd_model_mark(linkd_str fingerprint)
{
    return (uint32_t)(XXH3_64bits(fingerprint.bytes, fingerprint.len) &
                      0xffffffU);
}

/* ---- what is not in the store ------------------------------------------------ */

typedef struct making {
    const linkd_bridges *bridges;
    linkd_view *view;
    uint32_t own; /* the generation that serves */
    size_t dim;
    lk_arena arena;
    size_t n_anchors;
    const float *anchors[LINKD_GENERATIONS_MAX]; /* [n_anchors, dim] by place in
                                                    the scales, mapped to own */
    linkd_pair_scales *scales;
} making;

static int anchors_read(making *m, size_t place, const linkd_generation *g,
                        linkd_error *err)
{
    uint32_t generation = g->number;
    linkd_str bytes;
    bool found = false;
    float *vectors = NULL;
    float *mapped;
    size_t n = 0, dim = 0;
    int rc = linkd_view_blob(m->view, generation, LINKD_BLOB_ANCHORS, 0, &bytes,
                             &found, err);

    if (rc == LINKD_OK && found)
        rc = linkd_vectors_decode(bytes, &m->arena, &vectors, &n, &dim, err);
    if (rc == LINKD_OK &&
        (n == 0 || dim != g->dim || (place > 0 && n != m->n_anchors)))
        rc = lk_fail(err, LINKD_E_DATA,
                     "damaged database: generation %u has other anchors",
                     (unsigned)generation);
    if (rc != LINKD_OK)
        return rc;
    m->n_anchors = n;
    m->anchors[place] = vectors;
    if (generation == m->own)
        return LINKD_OK;
    mapped = lk_arena_alloc(&m->arena, n * m->dim * sizeof(*mapped));
    if (mapped == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < n && rc == LINKD_OK; i++)
        rc = linkd_bridges_map(m->bridges, generation, m->own,
                               vectors + i * dim, mapped + i * m->dim, err);
    m->anchors[place] = mapped;
    return rc;
}

/* Every fifth anchor, or some of these, with all others. */
static int strangers_score(const making *m, size_t i, size_t j,
                           linkd_quantiles *ret, linkd_error *err)
{
    size_t n_held = (m->n_anchors - 1) / LINKD_ANCHORS_HELD + 1;
    size_t stride = LINKD_ANCHORS_HELD * ((n_held - 1) / ASKING + 1);
    size_t n_asking = (m->n_anchors - 1) / stride + 1;
    float *scores = lk_alloc_aligned(n_asking * m->n_anchors, sizeof(*scores));
    size_t n = 0;
    int rc;

    if (scores == NULL)
        return lk_fail_nomem(err);
    for (size_t a = 0; a < m->n_anchors; a += stride)
        for (size_t b = 0; b < m->n_anchors; b++)
            if (a != b)
                scores[n++] =
                    linkd_index_score(m->anchors[i] + a * m->dim,
                                      m->anchors[j] + b * m->dim, m->dim);
    rc = linkd_quantiles_make(scores, n, ret, err);
    free(scores);
    return rc;
}

/* The scale of pairs of two mapped vectors: where the scores of the own one are. */
static int mapped_fit(making *m, size_t i, size_t j, const linkd_quantiles *own,
                      linkd_error *err)
{
    const linkd_quantiles *kept = &m->scales->kinds[0][0];
    linkd_quantiles mapped;
    linkd_quantiles *kind = &m->scales->kinds[i][j];
    int rc = strangers_score(m, i, j, &mapped, err);

    if (rc != LINKD_OK)
        return rc;
    kind->n = kept->n;
    for (size_t q = 0; q < LINKD_QUANTILES; q++) {
        double score = lk_score_transfer(own, &mapped, (double)kept->scores[q]);

        kind->scores[q] = (float)fmax(score, (double)mapped.scores[0]);
    }
    m->scales->kinds[j][i] = *kind;
    return LINKD_OK;
}

static int mapped_find(making *m, const linkd_generation *generations,
                       linkd_error *err)
{
    linkd_quantiles own;
    int rc = LINKD_OK;

    for (size_t i = 0; i < m->scales->n && rc == LINKD_OK; i++)
        rc = anchors_read(m, i, &generations[i], err);
    if (rc == LINKD_OK)
        rc = strangers_score(m, 0, 0, &own, err);
    for (size_t i = 1; i < m->scales->n && rc == LINKD_OK; i++)
        for (size_t j = i; j < m->scales->n && rc == LINKD_OK; j++)
            rc = mapped_fit(m, i, j, &own, err);
    return rc;
}

/* ---- all of it --------------------------------------------------------------- */

/* Those that have records, the one that serves first. */
static size_t generations_choose(linkd_view *view, uint32_t own,
                                 linkd_generation *ret)
{
    linkd_generation all[LINKD_GENERATIONS_MAX];
    size_t n_all = linkd_view_generations(view, all);
    size_t n = 1;

    for (size_t i = 0; i < n_all; i++)
        if (all[i].number == own)
            ret[0] = all[i];
        else if (all[i].n_vectors > 0)
            ret[n++] = all[i];
    return n;
}

/* Older ones first: what is damaged of their ways is for who asks to know. */
static int stored_find(making *m, const linkd_generation *generations,
                       linkd_error *err)
{
    linkd_pair_scales *s = m->scales;
    const linkd_bridge *bridge = NULL;
    int rc = LINKD_OK;

    for (size_t i = s->n; i-- > 0 && rc == LINKD_OK;) {
        linkd_way way = i == 0 ? LINKD_WAY_NATIVE : LINKD_WAY_ALIGN;

        rc = linkd_bridges_need(m->bridges, generations[i].number, m->own,
                                &bridge, err);
        if (rc == LINKD_OK)
            s->kinds[0][i] = s->kinds[i][0] = bridge->scales[way].records;
    }
    if (rc == LINKD_OK)
        rc = lk_bridges_reference(m->bridges, &s->reference, err);
    return rc;
}

int linkd_pair_scales_make(const linkd_bridges *bridges, linkd_view *view,
                           uint32_t serving, linkd_pair_scales **ret_scales,
                           linkd_error *err)
{
    linkd_generation generations[LINKD_GENERATIONS_MAX] = {{0}};
    making m = {.bridges = bridges, .view = view, .own = serving};
    int rc;

    m.scales = calloc(1, sizeof(*m.scales));
    if (m.scales == NULL)
        return lk_fail_nomem(err);
    m.scales->n = (uint32_t)generations_choose(view, serving, generations);
    m.dim = generations[0].dim;
    for (size_t i = 0; i < m.scales->n; i++)
        m.scales->models[i] = linkd_model_mark(generations[i].fingerprint);
    rc = stored_find(&m, generations, err);
    if (rc == LINKD_OK && m.scales->n > 1)
        rc = mapped_find(&m, generations, err);
    lk_arena_clear(&m.arena);
    if (rc == LINKD_OK)
        *ret_scales = m.scales;
    else
        linkd_pair_scales_free(m.scales);
    return rc;
}

void linkd_pair_scales_free(linkd_pair_scales *scales)
{
    free(scales);
}

/* What is not known is of the model that serves. */
static size_t place_of(const linkd_pair_scales *scales, uint32_t model)
{
    for (size_t i = 0; i < scales->n; i++)
        if (scales->models[i] == model)
            return i;
    return 0;
}

float linkd_pair_scales_score(const linkd_pair_scales *scales, uint32_t left,
                              uint32_t right, float cosine)
{
    const linkd_quantiles *kind =
        &scales->kinds[place_of(scales, left)][place_of(scales, right)];
    double score = lk_score_transfer(kind, &scales->reference, (double)cosine);

    return lk_score_round((float)fmax(score, -1.0));
}

/* ---- as bytes ---------------------------------------------------------------- */

int linkd_pair_scales_encode(const linkd_pair_scales *scales, lk_buf *ret_bytes,
                             linkd_error *err)
{
    XXH64_hash_t check = XXH3_64bits(scales, sizeof(*scales));
    int rc =
        lk_buf_append(ret_bytes, (const char *)scales, sizeof(*scales), err);

    return rc == LINKD_OK ? lk_buf_append(ret_bytes, (const char *)&check,
                                          sizeof(check), err)
                          : rc;
}

int linkd_pair_scales_decode(linkd_str bytes, linkd_pair_scales **ret_scales,
                             linkd_error *err)
{
    linkd_pair_scales *s = calloc(1, sizeof(*s));
    XXH64_hash_t check = 0;
    bool is_whole = bytes.len == sizeof(*s) + sizeof(check);

    if (s == NULL)
        return lk_fail_nomem(err);
    if (is_whole) {
        memcpy(s, bytes.bytes, sizeof(*s));
        memcpy(&check, bytes.bytes + sizeof(*s), sizeof(check));
        is_whole = check == XXH3_64bits(s, sizeof(*s)) && s->n > 0 &&
                   s->n <= LINKD_GENERATIONS_MAX;
    }
    if (!is_whole) {
        free(s);
        return lk_fail(err, LINKD_E_DATA, "scales of pairs are damaged");
    }
    *ret_scales = s;
    return LINKD_OK;
}
