/* daemon/search_print.c — the hits of a search as JSON. They are printed straight
 * into the response, since many thousands may be asked for. */
#include "daemon/search.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/print.h"

/* An answer that is longer than any bulk request may be. */
#define ANSWER_MAX_BYTES ((size_t)256 << 20)
/* Hits between looks at clock and length, and the arena's emptying. A guess. */
#define HITS_PER_CHECK ((size_t)256)

/* Pictures are long: who wants them names them. */
static bool is_shown(const lk_search *s, linkd_str name)
{
    if (s->fields == NULL)
        return s->image.len == 0 || s->image.len != name.len ||
               memcmp(s->image.bytes, name.bytes, name.len) != 0;
    for (size_t i = 0; i < s->n_fields; i++) {
        if (s->fields[i].len == name.len &&
            memcmp(s->fields[i].bytes, name.bytes, name.len) == 0)
            return true;
    }
    return false;
}

static int fields_print(const lk_search *s, const linkd_stored *record,
                        lk_arena *arena, linkd_error *err)
{
    const linkd_field *fields = record->fields;
    size_t n = record->n_fields;
    int rc;

    if (!s->shows_fields)
        return LINKD_OK;
    if (s->fields != NULL || s->image.len > 0) {
        linkd_field *shown = lk_arena_alloc(arena, (n + 1) * sizeof(*shown));

        if (shown == NULL)
            return lk_fail_nomem(err);
        n = 0;
        for (size_t i = 0; i < record->n_fields; i++) {
            if (is_shown(s, fields[i].name))
                shown[n++] = fields[i];
        }
        fields = shown;
    }
    rc = lk_buf_append(s->body, ",\"fields\":", 10, err);
    return rc == LINKD_OK ? lk_print_fields(s->body, fields, n, err) : rc;
}

/* What only a collection whose model was changed has to say of a hit. */
static int generation_print(const lk_search *s, const linkd_found *hit,
                            linkd_error *err)
{
    int rc;

    if (s->bridges == NULL)
        return LINKD_OK;
    rc = lk_buf_printf(s->body, err,
                       ",\"generation\":%" PRIu32 ",\"way\":\"%s\"",
                       hit->generation, linkd_way_words[hit->way]);
    if (rc != LINKD_OK || hit->is_raw)
        return rc;
    return lk_buf_printf(s->body, err, ",\"probability\":%.6f",
                         linkd_found_probability(hit));
}

static int hit_print(const lk_search *s, const linkd_found *hit,
                     lk_arena *arena, linkd_error *err)
{
    linkd_stored record;
    int rc = linkd_view_read(s->view, hit->id, arena, &record, err);

    if (rc == LINKD_OK)
        rc = lk_buf_append(s->body, "{\"id\":", 6, err);
    if (rc == LINKD_OK)
        rc = lk_json_put_string(s->body, record.id, err);
    if (rc == LINKD_OK)
        rc = lk_buf_printf(s->body, err, ",\"score\":%.6f",
                           (double)lk_score_round(hit->score));
    if (rc == LINKD_OK)
        rc = generation_print(s, hit, err);
    if (rc == LINKD_OK)
        rc = lk_print_entity(s->body, record.entity, err);
    if (rc == LINKD_OK)
        rc = fields_print(s, &record, arena, err);
    return rc == LINKD_OK ? lk_buf_append(s->body, "}", 1, err) : rc;
}

int lk_search_check_answer(const lk_search *s, linkd_error *err)
{
    if (lk_request_is_over(s->request))
        return lk_fail(err, LINKD_E_CANCELLED,
                       "the time for the request ran out");
    if (s->body->len > ANSWER_MAX_BYTES)
        return lk_fail(err, LINKD_E_ARG,
                       "the answer would have more than %zu MB: ask for less, "
                       "or without \"fields\"",
                       ANSWER_MAX_BYTES >> 20);
    return LINKD_OK;
}

/* Hits are in order: the first one that is none ends the list. */
static bool is_hit(const lk_search *s, const linkd_hit *hit)
{
    return hit->id != LINKD_ID_NONE && lk_score_round(hit->score) >= s->lowest;
}

int lk_search_print_list(const lk_search *s, const linkd_found *hits, size_t n,
                         const linkd_search_stats *stats, linkd_error *err)
{
    lk_arena arena = {0};
    int rc = lk_buf_append(s->body, "{\"hits\":[", 9, err);

    for (size_t i = 0; i < n && rc == LINKD_OK; i++) {
        if (i % HITS_PER_CHECK == HITS_PER_CHECK - 1) {
            lk_arena_clear(&arena);
            rc = lk_search_check_answer(s, err);
        }
        if (rc == LINKD_OK && i > 0)
            rc = lk_buf_append(s->body, ",", 1, err);
        if (rc == LINKD_OK)
            rc = hit_print(s, &hits[i], &arena, err);
    }
    lk_arena_clear(&arena);
    if (rc != LINKD_OK)
        return rc;
    return lk_buf_printf(s->body, err,
                         "],\"exact\":%s,\"scanned\":%" PRIu64 "}",
                         stats->exact ? "true" : "false", stats->n_scanned);
}

/* The same of a search in one generation. */
int lk_search_print_hits(const lk_search *s, const linkd_hit *hits, size_t n,
                         const linkd_search_stats *stats, linkd_error *err)
{
    linkd_found *found = calloc(n + 1, sizeof(*found));
    size_t n_found = 0;
    int rc;

    if (found == NULL)
        return lk_fail_nomem(err);
    for (; n_found < n && is_hit(s, &hits[n_found]); n_found++)
        found[n_found] =
            (linkd_found){.id = hits[n_found].id, .score = hits[n_found].score};
    rc = lk_search_print_list(s, found, n_found, stats, err);
    free(found);
    return rc;
}

int lk_search_print_separator(const lk_search *s, size_t i, linkd_error *err)
{
    return i > 0 ? lk_buf_append(s->body, ",", 1, err) : LINKD_OK;
}
