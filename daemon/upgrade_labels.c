/* daemon/upgrade_labels.c — which records are one entity, as a user says.
 *
 *   asks      r1 r5 r9   one of its records, left to chance, is asked for, as it
 *                        stands; the others answer, itself does not count
 *   answers   r1 r5 r9   with queries of the user's own the labels ask nothing:
 *                        what is labelled as an answer's entity answers, too
 *   teaches   r1 r5 r9   all of them are fitted on
 *
 * What asks or answers is held out of the fit, and a head that tells entities
 * apart learns from two fitted records of one. For such a head some of the
 * entities teach instead: every other one, but LK_QUERIES_MIN ask first. A record
 * that nobody labelled is an entity of its own. */
#include "daemon/upgrade_gallery.h"

#include <stdlib.h>
#include <xxhash.h>

typedef struct labelled {
    linkd_str text;
    linkd_str entity;
    uint64_t chance[2]; /* of the entity, and of the text in it */
} labelled;

typedef struct labels {
    labelled *list; /* [n], entities together, in an order left to chance */
    size_t n;
    lk_arena arena;  /* of texts */
    bool asks;       /* there are no other queries */
    bool teaches;    /* the head learns from labels */
    size_t n_taught; /* entities */
} labels;

/* Equal hashes do not mix entities: they are told apart by their names. */
static int labelled_compare(const void *a, const void *b)
{
    const labelled *x = a;
    const labelled *y = b;
    int order = lk_str_compare(x->entity, y->entity);

    if (x->chance[0] != y->chance[0])
        return x->chance[0] < y->chance[0] ? -1 : 1;
    if (order != 0)
        return order;
    return (x->chance[1] > y->chance[1]) - (x->chance[1] < y->chance[1]);
}

static int labelled_add(labels *l, const lk_job_label *label, linkd_str text,
                        linkd_error *err)
{
    const char *copy = lk_arena_copy(&l->arena, text.bytes, text.len);

    if (copy == NULL)
        return lk_fail_nomem(err);
    l->list[l->n++] = (labelled){
        .text = {copy, text.len},
        .entity = label->entity,
        .chance = {XXH3_64bits(label->entity.bytes, label->entity.len),
                   XXH3_64bits(text.bytes, text.len)}};
    return LINKD_OK;
}

/* Records of the same text in an entity are one. */
static void twins_drop(labels *l)
{
    size_t n = 0;

    for (size_t i = 0; i < l->n; i++)
        if (n == 0 || !lk_str_equal(l->list[i].entity, l->list[n - 1].entity) ||
            !lk_str_equal(l->list[i].text, l->list[n - 1].text))
            l->list[n++] = l->list[i];
    l->n = n;
}

static int labels_read(const lk_upgrade_sample *s, linkd_view *view,
                       const lk_job_spec *spec, labels *l, linkd_error *err)
{
    lk_buf text = {0};
    int rc = LINKD_OK;

    l->list = calloc(spec->n_labels + 1, sizeof(*l->list));
    if (l->list == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < spec->n_labels && rc == LINKD_OK; i++) {
        rc = lk_gallery_read(s, view, spec->labels[i].id, "a label names",
                             &text, err);
        if (rc == LINKD_OK && text.len > 0)
            rc = labelled_add(l, &spec->labels[i],
                              (linkd_str){text.data, text.len}, err);
    }
    lk_buf_clear(&text);
    qsort(l->list, l->n, sizeof(*l->list), labelled_compare);
    twins_drop(l);
    if (rc == LINKD_OK && l->asks &&
        (l->n == 0 || lk_str_equal(l->list->entity, l->list[l->n - 1].entity)))
        rc = lk_fail(err, LINKD_E_ARG,
                     "the labels are of one entity: nothing tells it from "
                     "others");
    return rc;
}

/* How many from the first on are one entity. */
static size_t run_length(const labelled *list, size_t n)
{
    size_t length = 1;

    while (length < n && lk_str_equal(list[length].entity, list[0].entity))
        length++;
    return length;
}

/* ---- queries ------------------------------------------------------------------ */

/* The first record that can be told from all others by its text; n: none. */
static size_t query_choose(const lk_gallery *g, const labelled *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t place = lk_gallery_find(g, list[i].text);

        if (place >= g->sample->n_kept || !g->has_twins[place])
            return i;
    }
    return n;
}

/* Holds out all records of an entity but the one that is asked for, in one group;
 * SIZE_MAX: not all of them can be. */
static int others_hold(lk_gallery *g, const labelled *list, size_t n,
                       size_t query, size_t *ret_answer, linkd_error *err)
{
    size_t answer = SIZE_MAX;
    size_t place = 0;
    int rc = LINKD_OK;

    for (size_t i = 0; i < n && rc == LINKD_OK && place != SIZE_MAX; i++) {
        if (i == query)
            continue;
        rc = lk_gallery_hold(g, list[i].text, &place, err);
        if (rc != LINKD_OK || place == SIZE_MAX)
            continue;
        answer = answer == SIZE_MAX ? place : answer;
        lk_gallery_join(g, place, answer);
    }
    *ret_answer = place == SIZE_MAX ? SIZE_MAX : answer;
    return rc;
}

/* *ret_asks stays as it is unless the entity asks. */
static int entity_ask(lk_gallery *g, const labelled *list, size_t n,
                      bool *ret_asks, linkd_error *err)
{
    size_t query = query_choose(g, list, n);
    size_t asked = SIZE_MAX;
    size_t answer = SIZE_MAX;
    int rc = LINKD_OK;

    if (n < 2 || query == n)
        return LINKD_OK;
    if (lk_gallery_find(g, list[query].text) != SIZE_MAX) {
        rc = lk_gallery_hold(g, list[query].text, &asked, err);
        if (rc != LINKD_OK || asked == SIZE_MAX)
            return rc;
    }
    rc = others_hold(g, list, n, query, &answer, err);
    if (rc != LINKD_OK || answer == SIZE_MAX)
        return rc;
    *ret_asks = true;
    return lk_gallery_ask(g, list[query].text, answer, asked, err);
}

/* Whether it is the next entity's turn to ask. */
static bool is_asked(const lk_gallery *g, const labels *l)
{
    size_t n = g->sample->n_queries;

    return l->asks && n < LK_QUERIES_MOST &&
           (!l->teaches || n < LK_QUERIES_MIN || n <= l->n_taught);
}

/* ---- answers ------------------------------------------------------------------ */

/* A text of the entity that answers already, or SIZE_MAX. */
static size_t answer_find(const lk_gallery *g, const labelled *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t place = lk_gallery_find(g, list[i].text);

        if (place != SIZE_MAX && g->sample->held[place])
            return place;
    }
    return SIZE_MAX;
}

/* What is in the gallery of an entity that answers, and can be held out, answers. */
static int entity_join(lk_gallery *g, const labelled *list, size_t n,
                       size_t answer, linkd_error *err)
{
    int rc = LINKD_OK;

    for (size_t i = 0; i < n && rc == LINKD_OK; i++) {
        size_t place = lk_gallery_find(g, list[i].text);

        if (place == SIZE_MAX)
            continue;
        rc = lk_gallery_hold(g, list[i].text, &place, err);
        if (rc == LINKD_OK && place != SIZE_MAX)
            lk_gallery_join(g, place, answer);
    }
    return rc;
}

/* ---- entities ----------------------------------------------------------------- */

/* Puts into the gallery what is not there, to be fitted on. */
static int entity_teach(lk_gallery *g, const labelled *list, size_t n,
                        linkd_error *err)
{
    size_t place;
    int rc = LINKD_OK;

    for (size_t i = 0; i < n && rc == LINKD_OK; i++)
        rc = lk_gallery_add(g, list[i].text, &place, err);
    return rc;
}

static int entity_use(lk_gallery *g, labels *l, const labelled *list, size_t n,
                      linkd_error *err)
{
    size_t answer = l->asks ? SIZE_MAX : answer_find(g, list, n);
    bool asks = false;
    int rc = LINKD_OK;

    if (answer != SIZE_MAX)
        return entity_join(g, list, n, answer, err);
    if (is_asked(g, l))
        rc = entity_ask(g, list, n, &asks, err);
    if (rc != LINKD_OK || asks || n < 2 || !l->teaches)
        return rc;
    l->n_taught++;
    return entity_teach(g, list, n, err);
}

static int entities_use(lk_gallery *g, labels *l, linkd_error *err)
{
    size_t length;
    int rc = LINKD_OK;

    for (size_t i = 0; i < l->n && rc == LINKD_OK; i += length) {
        length = run_length(l->list + i, l->n - i);
        rc = entity_use(g, l, l->list + i, length, err);
    }
    return rc;
}

/* Numbers for all texts that there are by now. */
static int entities_number(lk_gallery *g, const labels *l, linkd_error *err)
{
    lk_upgrade_sample *s = g->sample;
    uint64_t number = 0;
    size_t length;

    s->labels = lk_upgrade_room(s, s->n, sizeof(*s->labels));
    if (s->labels == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < s->n; i++)
        s->labels[i] = l->n + i;
    for (size_t i = 0; i < l->n; i += length, number++) {
        length = run_length(l->list + i, l->n - i);
        for (size_t j = i; j < i + length; j++) {
            size_t place = lk_gallery_find(g, l->list[j].text);

            if (place != SIZE_MAX)
                s->labels[place] = number;
        }
    }
    return LINKD_OK;
}

int lk_upgrade_labels_make(lk_gallery *gallery, linkd_view *view,
                           const lk_job_spec *spec, linkd_error *err)
{
    labels l = {.asks = spec->n_queries == 0,
                .teaches = lk_upgrade_is_taught(spec)};
    int rc = labels_read(gallery->sample, view, spec, &l, err);

    if (rc == LINKD_OK)
        rc = entities_use(gallery, &l, err);
    if (rc == LINKD_OK)
        rc = entities_number(gallery, &l, err);
    lk_arena_clear(&l.arena);
    free(l.list);
    return rc;
}
