/* daemon/upgrade_gallery.c — see upgrade_gallery.h. */
#include "daemon/upgrade_gallery.h"

#include <stdlib.h>
#include <xxhash.h>

/* Open addressing. */
static uint32_t *place_of(const lk_gallery *g, linkd_str text)
{
    size_t at = (size_t)XXH3_64bits(text.bytes, text.len) % g->n_places;

    while (g->places[at] != 0) {
        if (lk_str_equal(g->sample->texts[g->places[at] - 1], text))
            break;
        at = (at + 1) % g->n_places;
    }
    return &g->places[at];
}

int lk_gallery_open(lk_upgrade_sample *sample, size_t n_added,
                    lk_gallery *ret_gallery, linkd_error *err)
{
    size_t n = sample->n_kept;
    lk_gallery g = {.sample = sample,
                    .n_places = 2 * (n + n_added) + 1,
                    .n_most = n + n_added};

    g.places = calloc(g.n_places, sizeof(*g.places));
    g.has_twins = calloc(n + 1, sizeof(*g.has_twins));
    if (g.places == NULL || g.has_twins == NULL) {
        lk_gallery_close(&g);
        return lk_fail_nomem(err);
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t *place = place_of(&g, sample->texts[i]);

        if (*place == 0)
            *place = (uint32_t)i + 1;
        else
            g.has_twins[*place - 1] = true;
    }
    *ret_gallery = g;
    return LINKD_OK;
}

void lk_gallery_close(lk_gallery *gallery)
{
    free(gallery->has_twins);
    free(gallery->places);
    *gallery = (lk_gallery){0};
}

size_t lk_gallery_find(const lk_gallery *gallery, linkd_str text)
{
    uint32_t place = *place_of(gallery, text);

    return place == 0 ? SIZE_MAX : place - 1;
}

int lk_gallery_add(lk_gallery *gallery, linkd_str text, size_t *ret_place,
                   linkd_error *err)
{
    lk_upgrade_sample *s = gallery->sample;
    uint32_t *place = place_of(gallery, text);

    if (*place == 0 && s->n < gallery->n_most) {
        char *copy = lk_arena_copy(&s->arena, text.bytes, text.len);

        if (copy == NULL)
            return lk_fail_nomem(err);
        s->texts[s->n++] = (linkd_str){copy, text.len};
        *place = (uint32_t)s->n;
    }
    *ret_place = *place == 0 ? SIZE_MAX : *place - 1;
    return LINKD_OK;
}

/* Whether one anchor more can be held out. */
static bool has_room(const lk_gallery *g)
{
    return (g->n_held + 1) * LINKD_ANCHORS_HELD <= g->sample->n_kept;
}

int lk_gallery_hold(lk_gallery *gallery, linkd_str text, size_t *ret_place,
                    linkd_error *err)
{
    lk_upgrade_sample *s = gallery->sample;
    size_t place = lk_gallery_find(gallery, text);
    bool is_another = place < s->n_kept && !s->held[place];
    int rc = LINKD_OK;

    *ret_place = SIZE_MAX;
    if (is_another && !has_room(gallery))
        return LINKD_OK;
    if (place == SIZE_MAX)
        rc = lk_gallery_add(gallery, text, &place, err);
    if (rc != LINKD_OK || place == SIZE_MAX)
        return rc;
    gallery->n_held += is_another;
    s->held[place] = true;
    *ret_place = place;
    return LINKD_OK;
}

void lk_gallery_hold_others(lk_gallery *gallery, uint64_t n_taught)
{
    lk_upgrade_sample *s = gallery->sample;

    for (size_t i = 0; i < s->n_kept && has_room(gallery); i++) {
        bool teaches = s->labels != NULL && s->labels[i] < n_taught;

        if (i % LINKD_ANCHORS_HELD == 0 && !s->held[i] && !teaches) {
            s->held[i] = true;
            gallery->n_held++;
        }
    }
}

static size_t root_of(const size_t *groups, size_t i)
{
    while (groups[i] != i)
        i = groups[i];
    return i;
}

void lk_gallery_join(lk_gallery *gallery, size_t a, size_t b)
{
    size_t *groups = gallery->sample->groups;

    groups[root_of(groups, a)] = root_of(groups, b);
}

void lk_gallery_settle(lk_gallery *gallery)
{
    size_t *groups = gallery->sample->groups;

    for (size_t i = 0; i < gallery->sample->n; i++)
        groups[i] = root_of(groups, i);
}

int lk_gallery_ask(lk_gallery *gallery, linkd_str query, size_t answer,
                   size_t asked, linkd_error *err)
{
    lk_upgrade_sample *s = gallery->sample;
    char *copy = lk_arena_copy(&s->arena, query.bytes, query.len);

    if (copy == NULL)
        return lk_fail_nomem(err);
    s->queries[s->n_queries] = (linkd_str){copy, query.len};
    s->asked[s->n_queries] = asked;
    s->answers[s->n_queries++] = answer;
    return LINKD_OK;
}

int lk_gallery_read(const lk_upgrade_sample *sample, linkd_view *view,
                    linkd_str id, const char *what, lk_buf *ret_text,
                    linkd_error *err)
{
    lk_arena arena = {0};
    linkd_stored record;
    uint64_t number = 0;
    bool found = false;
    int rc = linkd_view_find(view, id, &number, &found, err);

    lk_buf_reset(ret_text);
    if (rc == LINKD_OK && !found)
        rc = lk_fail(err, LINKD_E_ARG, "there is no record \"%s\", which %s",
                     lk_label_of(id).text, what);
    if (rc == LINKD_OK)
        rc = linkd_view_read(view, number, &arena, &record, err);
    if (rc == LINKD_OK)
        rc = linkd_settings_text(&sample->settings, record.fields,
                                 record.n_fields, ret_text, err);
    lk_arena_clear(&arena);
    return rc;
}
