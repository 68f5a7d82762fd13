/* index/plan.c — when is a segment worth building, and of which slots?
 *
 * A search scans what no segment covers and asks every segment, so its cost is
 * (slots not covered) + (segments) * log. A build costs time by the vector, and
 * merging means building again. In between:
 *
 *   slots  0 ───────────────────────────────────────────────► n
 *          [ segment, 400k ][ 60k ][ gap, 90k ]     60k <= 90k: both become one
 *          [ segment, 400k ][ segment, 150k   ][ 2k ] scanned until it is worth
 *
 * - A gap is built once it holds 4096 vectors, which are scanned in about the
 *   time that one more segment takes. A build takes all that has come in until
 *   then, so under load the next one is the larger, the longer this one took.
 * - It takes in neighbours that are no larger than what it has so far. So every
 *   vector is built again only when its segment at least doubles, and of n
 *   vectors there are at most log2(n / 4096) segments.
 * - When nothing is written, all become one, unless what would be merged is
 *   small beside the largest.
 * - A segment with a fifth of its vectors dead is built again, without them.
 * - Chunks that are half dead are emptied first: their rows become new slots.
 * - Under `exact_below` vectors there is no segment; those that are there go at
 *   half of that, so that a collection at the limit does not go to and fro. */
#include "index/build.h"

/* 4096 * 384 floats are 6 MB and take 0.4 ms to scan; a segment of a million
 * takes 0.5 ms to answer (measured 2026-11-24). */
#define GAP_WORTH_BUILDING ((uint64_t)4096)
/* Guess: a commit for fewer chunks is worth it only when there is time. */
#define CHUNKS_WORTH_MOVING ((size_t)16)
/* One in this many dead is too many: Qdrant's vacuum threshold, too. */
#define DEAD_SHARE ((uint64_t)5)
/* A rest smaller than the largest by this is left beside it. */
#define REST_SHARE ((uint64_t)8)

static lk_plan forget(uint64_t begin, uint64_t end)
{
    return (lk_plan){.step = LK_STEP_FORGET, .begin = begin, .end = end};
}

/* Spans i to j, and neighbours no larger than what that makes. */
static lk_plan build_grown(const lk_survey *s, size_t i, size_t j)
{
    uint64_t n_alive = 0;
    bool grew = true;

    for (size_t at = i; at <= j; at++)
        n_alive += s->spans[at].n_alive;
    while (grew) {
        grew = false;
        if (i > 0 && (s->spans[i - 1].n_indexed == 0 ||
                      s->spans[i - 1].n_alive <= n_alive)) {
            n_alive += s->spans[--i].n_alive;
            grew = true;
        }
        if (j + 1 < s->n_spans && (s->spans[j + 1].n_indexed == 0 ||
                                   s->spans[j + 1].n_alive <= n_alive)) {
            n_alive += s->spans[++j].n_alive;
            grew = true;
        }
    }
    return (lk_plan){.step = LK_STEP_BUILD,
                     .begin = s->spans[i].begin,
                     .end = s->spans[j].end};
}

static bool span_has(const lk_span *span, const lk_listed *listed)
{
    return listed->begin < span->end && listed->end > span->begin;
}

/* A segment that is listed and could not be loaded: its slots are a gap. */
static lk_plan plan_repair(const lk_survey *s)
{
    for (size_t i = 0; i < s->n_listed; i++) {
        const lk_listed *listed = &s->listed[i];

        if (listed->is_loaded)
            continue;
        for (size_t at = 0; at < s->n_spans; at++) {
            const lk_span *span = &s->spans[at];

            if (span_has(span, listed) && span->n_indexed == 0 &&
                span->n_alive > 0)
                return build_grown(s, at, at);
        }
        return forget(listed->begin, listed->end);
    }
    return (lk_plan){0};
}

static lk_plan plan_gap(const lk_survey *s, uint64_t exact_below)
{
    uint64_t n_enough =
        exact_below < GAP_WORTH_BUILDING ? exact_below : GAP_WORTH_BUILDING;

    for (size_t i = 0; i < s->n_spans; i++) {
        const lk_span *span = &s->spans[i];

        if (span->n_indexed == 0 && span->n_alive > 0 &&
            span->n_alive >= n_enough)
            return build_grown(s, i, i);
    }
    return (lk_plan){0};
}

static lk_plan plan_dead(const lk_survey *s)
{
    for (size_t i = 0; i < s->n_spans; i++) {
        const lk_span *span = &s->spans[i];
        uint64_t n_dead = span->n_indexed - span->n_alive;

        if (span->n_indexed == 0 || n_dead * DEAD_SHARE <= span->n_indexed)
            continue;
        return span->n_alive == 0 ? forget(span->begin, span->end)
                                  : build_grown(s, i, i);
    }
    return (lk_plan){0};
}

/* Merges all segments; or, where the largest is far larger than the rest, the
 * longer side of the rest. */
static lk_plan plan_merge(const lk_survey *s)
{
    size_t largest = 0, n_left = 0, n_right = 0;
    uint64_t n_rest = 0;

    for (size_t i = 0; i < s->n_spans; i++) {
        if (s->spans[i].n_indexed > s->spans[largest].n_indexed)
            largest = i;
    }
    for (size_t i = 0; i < s->n_spans; i++) {
        if (s->spans[i].n_indexed == 0 || i == largest)
            continue;
        n_rest += s->spans[i].n_alive;
        n_left += i < largest;
        n_right += i > largest;
    }
    if (n_rest > 0 && n_rest * REST_SHARE >= s->spans[largest].n_alive)
        return build_grown(s, 0, s->n_spans - 1);
    if (n_right > 1)
        return build_grown(s, largest + 1, s->n_spans - 1);
    if (n_left > 1)
        return build_grown(s, 0, largest - 1);
    return (lk_plan){0};
}

lk_plan lk_plan_make(const lk_survey *survey, uint64_t exact_below, bool quiet)
{
    uint64_t n_least = survey->n_listed > 0 ? exact_below / 2 : exact_below;
    lk_plan plan = {0};

    if (survey->n_vacuum >= (quiet ? 1 : CHUNKS_WORTH_MOVING))
        return (lk_plan){.step = LK_STEP_VACUUM};
    if (survey->kind == LINKD_INDEX_EXACT || survey->n_vectors < n_least)
        return survey->n_listed > 0 ? forget(0, UINT64_MAX) : plan;
    plan = plan_repair(survey);
    if (plan.step == LK_STEP_NONE)
        plan = plan_gap(survey, exact_below);
    if (plan.step == LK_STEP_NONE)
        plan = plan_dead(survey);
    if (plan.step == LK_STEP_NONE && quiet)
        plan = plan_merge(survey);
    return plan;
}
