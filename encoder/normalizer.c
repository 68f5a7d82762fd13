/* encoder/normalizer.c — rewrites a text step by step.
 * Each step reads the text and writes the spare buffer, and the two change
 * places: texts are short, and a step that sees all of its text is the plain
 * definition of what the oracle does. (BERT's words alone, where most texts
 * go, are read in one pass instead: bert_words.c.) */
#include "encoder/normalizer.h"

#include <stdlib.h>
#include <string.h>

int lk_normalizer_add(lk_normalizer *normalizer, lk_normal_step **ret_step,
                      linkd_error *err)
{
    int rc = lk_grow((void **)&normalizer->steps, &normalizer->capacity,
                     normalizer->n + 1, sizeof(*normalizer->steps), err);

    if (rc != LINKD_OK)
        return rc;
    *ret_step = &normalizer->steps[normalizer->n++];
    **ret_step = (lk_normal_step){0};
    return LINKD_OK;
}

void lk_normalizer_clear(lk_normalizer *normalizer)
{
    for (size_t i = 0; i < normalizer->n; i++) {
        lk_charsmap_clear(&normalizer->steps[i].charsmap);
        lk_pattern_free(normalizer->steps[i].pattern);
        lk_buf_clear(&normalizer->steps[i].content);
    }
    free(normalizer->steps);
    *normalizer = (lk_normalizer){0};
}

void lk_normal_scratch_clear(lk_normal_scratch *scratch)
{
    lk_buf_clear(&scratch->spare);
    lk_code_points_clear(&scratch->points);
}

/* ---- steps -------------------------------------------------------------- */

static int replace(const lk_normal_step *step, linkd_str text, lk_buf *out,
                   linkd_error *err)
{
    lk_pattern_search search;
    size_t before = 0, begin, end;
    int rc = LINKD_OK;

    lk_pattern_search_init(&search, step->pattern, text);
    while (rc == LINKD_OK && lk_pattern_next(&search, &begin, &end)) {
        rc = lk_buf_append(out, text.bytes + before, begin - before, err);
        if (rc == LINKD_OK)
            rc = lk_buf_append(out, step->content.data, step->content.len, err);
        before = end;
    }
    if (rc == LINKD_OK)
        rc = lk_buf_append(out, text.bytes + before, text.len - before, err);
    return rc;
}

static int strip(const lk_normal_step *step, linkd_str text, lk_buf *out,
                 linkd_error *err)
{
    size_t begin = text.len, end = 0;

    for (size_t at = 0, len; at < text.len; at += len) {
        uint32_t cp;

        len =
            lk_utf8_read((const uint8_t *)text.bytes + at, text.len - at, &cp);
        if (lk_unicode_shape(cp) & LK_SHAPE_SPACE)
            continue;
        if (begin == text.len)
            begin = at;
        end = at + len;
    }
    if (!step->is_left)
        begin = 0;
    if (!step->is_right || begin > end)
        end = text.len;
    return lk_buf_append(out, text.bytes + begin, end - begin, err);
}

/* Lower case, or no marks, one code point at a time. */
static int map_points(const lk_normal_step *step, linkd_str text, lk_buf *out,
                      linkd_error *err)
{
    const uint8_t *at = (const uint8_t *)text.bytes;
    const uint8_t *end = at + text.len;
    int rc = LINKD_OK;

    while (at < end && rc == LINKD_OK) {
        uint32_t cp, parts[LK_EXPANSION_MAX];
        size_t n = 1;

        at += lk_utf8_read(at, (size_t)(end - at), &cp);
        parts[0] = cp;
        if (step->kind == LK_NORMAL_STRIP_ACCENTS)
            n = (lk_unicode_shape(cp) & LK_SHAPE_MARK) ? 0 : 1;
        else if (lk_unicode_properties(cp) & LK_CP_LOWERS)
            n = lk_unicode_lower(cp, parts);
        for (size_t i = 0; i < n && rc == LINKD_OK; i++) {
            uint8_t utf8[LK_UTF8_MAX];

            rc = lk_buf_append(out, utf8, lk_utf8_write(parts[i], utf8), err);
        }
    }
    return rc;
}

static int prepend(const lk_normal_step *step, linkd_str text, lk_buf *out,
                   linkd_error *err)
{
    int rc = LINKD_OK;

    if (text.len > 0)
        rc = lk_buf_append(out, step->content.data, step->content.len, err);
    if (rc == LINKD_OK)
        rc = lk_buf_append(out, text.bytes, text.len, err);
    return rc;
}

static int step_run(const lk_normal_step *step, linkd_str text,
                    lk_code_points *points, lk_buf *out, linkd_error *err)
{
    switch (step->kind) {
    case LK_NORMAL_BERT:
        return lk_bert_normalize(&step->rules, text, out, err);
    case LK_NORMAL_CHARSMAP:
        return lk_charsmap_apply(&step->charsmap, text, out, err);
    case LK_NORMAL_REPLACE:
        return replace(step, text, out, err);
    case LK_NORMAL_STRIP:
        return strip(step, text, out, err);
    case LK_NORMAL_NFC:
        return lk_unicode_normalize(text, LK_NFC, points, out, err);
    case LK_NORMAL_NFD:
        return lk_unicode_normalize(text, LK_NFD, points, out, err);
    case LK_NORMAL_NFKC:
        return lk_unicode_normalize(text, LK_NFKC, points, out, err);
    case LK_NORMAL_NFKD:
        return lk_unicode_normalize(text, LK_NFKD, points, out, err);
    case LK_NORMAL_LOWERCASE:
    case LK_NORMAL_STRIP_ACCENTS:
        return map_points(step, text, out, err);
    case LK_NORMAL_PREPEND:
        return prepend(step, text, out, err);
    }
    LK_ASSERT(false);
    return LINKD_E_DATA;
}

int lk_normalizer_run(const lk_normalizer *normalizer,
                      lk_normal_scratch *scratch, lk_buf *text,
                      linkd_error *err)
{
    for (size_t i = 0; i < normalizer->n; i++) {
        const linkd_str whole = {text->len > 0 ? text->data : "", text->len};
        lk_buf rewritten;
        int rc;

        lk_buf_reset(&scratch->spare);
        rc = step_run(&normalizer->steps[i], whole, &scratch->points,
                      &scratch->spare, err);
        if (rc != LINKD_OK)
            return rc;
        rewritten = scratch->spare;
        scratch->spare = *text;
        *text = rewritten;
    }
    return LINKD_OK;
}
