/* encoder/pattern.c — finds what a regular expression matches: the first way
 * through its steps that arrives, as backtracking engines have it.
 *
 *   ` ?\p{L}+|\s+`   CHOICE 4 ─ SET ' ' 0…1 ─ SET \p{L} 1… ─ JUMP 7
 *                  4 CHOICE 6 ─ SET \s 1… ─ JUMP 7
 *                  6 FAIL
 *                  7 MATCH
 *
 * A run of one set is walked over in a loop, and given back character by
 * character where the rest does not match, so that recursion is never deeper
 * than the pattern is long. */
#include "encoder/pattern_parts.h"

#include <stdlib.h>

#include "encoder/unicode.h"

#define NOWHERE SIZE_MAX

/* Patterns of real files need a handful of tries for a character. */
#define TRIES_PER_BYTE ((size_t)1000)

void lk_pattern_free(lk_pattern *pattern)
{
    if (pattern == NULL)
        return;
    for (size_t i = 0; i < pattern->n; i++)
        lk_code_set_clear(&pattern->steps[i].set);
    free(pattern->steps);
    free(pattern);
}

void lk_pattern_search_init(lk_pattern_search *search,
                            const lk_pattern *pattern, linkd_str text)
{
    *search = (lk_pattern_search){.pattern = pattern,
                                  .text = text,
                                  .n_tries = (text.len + 1) * TRIES_PER_BYTE};
}

static size_t steps_take(lk_pattern_search *s, size_t step, size_t at);

/* Bytes of the character at `at` if the set has it, else 0. */
static size_t set_length(const lk_code_set *set, linkd_str text, size_t at)
{
    uint32_t cp;
    size_t len;

    if (at == text.len)
        return 0;
    len = lk_utf8_read((const uint8_t *)text.bytes + at, text.len - at, &cp);
    return lk_code_set_has(set, cp) ? len : 0;
}

/* A charsmap's replacements need not be valid UTF-8. */
static size_t character_before(linkd_str text, size_t at)
{
    do
        at--;
    while (at > 0 && ((uint8_t)text.bytes[at] & 0xC0) == 0x80);
    return at;
}

/* The rest after as many characters as leave it a match. */
static size_t set_take(lk_pattern_search *s, size_t step, size_t at)
{
    const lk_pattern_step *rule = &s->pattern->steps[step];
    size_t n = 0, len, end;

    while (n < rule->most && (len = set_length(&rule->set, s->text, at)) > 0) {
        at += len;
        n++;
    }
    s->n_tries -= n < s->n_tries ? n : s->n_tries;
    if (n < rule->least)
        return NOWHERE;
    for (;;) {
        end = steps_take(s, step + 1, at);
        if (end != NOWHERE || rule->keeps || n == rule->least)
            return end;
        at = character_before(s->text, at);
        n--;
    }
}

/* Where the way ends that leads from a step and a place; NOWHERE: none does. */
static size_t steps_take(lk_pattern_search *s, size_t step, size_t at)
{
    if (s->n_tries == 0)
        return NOWHERE;
    s->n_tries--;
    for (;;) {
        const lk_pattern_step *rule = &s->pattern->steps[step];
        size_t end;

        switch (rule->kind) {
        case LK_STEP_MATCH:
            return at;
        case LK_STEP_FAIL:
            return NOWHERE;
        case LK_STEP_SET:
            return set_take(s, step, at);
        case LK_STEP_CHOICE:
            end = steps_take(s, step + 1, at);
            if (end != NOWHERE)
                return end;
            break;
        case LK_STEP_LOOK:
            if ((steps_take(s, step + 1, at) != NOWHERE) == rule->is_against)
                return NOWHERE;
            break;
        case LK_STEP_JUMP:
            break;
        }
        step = rule->target;
    }
}

bool lk_pattern_takes_nothing(const lk_pattern *pattern)
{
    lk_pattern_search search;

    lk_pattern_search_init(&search, pattern, (linkd_str){"", 0});
    return steps_take(&search, 0, 0) == 0;
}

bool lk_pattern_next(lk_pattern_search *search, size_t *ret_begin,
                     size_t *ret_end)
{
    size_t at = search->at;

    while (at < search->text.len && search->n_tries > 0) {
        const size_t end = steps_take(search, 0, at);
        uint32_t cp;

        if (end != NOWHERE && end > at) {
            *ret_begin = at;
            *ret_end = end;
            search->at = end;
            return true;
        }
        at += lk_utf8_read((const uint8_t *)search->text.bytes + at,
                           search->text.len - at, &cp);
    }
    search->at = search->text.len;
    return false;
}
