/* encoder/splitter.c — the pre-tokenizers, each taking what the one before it
 * gave:
 *
 *   "a bc" ─ SPACES ─► "a" "bc" ─ METASPACE ─► "▁a" "▁bc" ─► part_cb
 *
 * GPT-2's words are those of its regular expression
 *   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 * read by hand, with the oracle's classes of characters. Other models bring
 * their expression with them (encoder/pattern.h). */
#include "encoder/splitter.h"

#include <string.h>

typedef struct run {
    const lk_splitter *splitter;
    lk_split_scratch *scratch;
    lk_part_cb part_cb;
    void *ctx;
    bool stop;
} run;

void lk_splitter_clear(lk_splitter *splitter)
{
    for (size_t i = 0; i < splitter->n; i++)
        lk_pattern_free(splitter->steps[i].pattern);
    *splitter = (lk_splitter){0};
}

void lk_split_scratch_clear(lk_split_scratch *scratch)
{
    for (size_t i = 0; i < LK_SPLIT_STEPS_MAX; i++)
        lk_buf_clear(&scratch->texts[i]);
    lk_buf_clear(&scratch->levels);
}

static int step_run(run *r, size_t step, linkd_str text, bool is_first,
                    linkd_error *err);

/* Hands a part to the next step, or out. */
static int part_take(run *r, size_t step, linkd_str part, bool is_first,
                     linkd_error *err)
{
    if (part.len == 0 || r->stop)
        return LINKD_OK;
    return step_run(r, step + 1, part, is_first, err);
}

static uint32_t shape_at(linkd_str text, size_t at, size_t *ret_len)
{
    uint32_t cp;

    *ret_len =
        lk_utf8_read((const uint8_t *)text.bytes + at, text.len - at, &cp);
    return lk_unicode_shape(cp);
}

/* ---- white space -------------------------------------------------------- */

static int spaces_split(run *r, size_t step, linkd_str text, bool is_first,
                        linkd_error *err)
{
    size_t begin = 0, len;
    int rc = LINKD_OK;

    for (size_t at = 0; at < text.len && rc == LINKD_OK; at += len) {
        if (!(shape_at(text, at, &len) & LK_SHAPE_SPACE))
            continue;
        rc = part_take(r, step, (linkd_str){text.bytes + begin, at - begin},
                       is_first && begin == 0, err);
        begin = at + len;
    }
    if (rc == LINKD_OK)
        rc = part_take(r, step,
                       (linkd_str){text.bytes + begin, text.len - begin},
                       is_first && begin == 0, err);
    return rc;
}

/* ---- Metaspace ---------------------------------------------------------- */

static bool begins_with(linkd_str text, const char *prefix, size_t len)
{
    return text.len >= len && memcmp(text.bytes, prefix, len) == 0;
}

static bool is_prefixed(const lk_split_step *step, bool is_first)
{
    return step->prefixing == LK_PREFIX_ALWAYS ||
           (step->prefixing == LK_PREFIX_FIRST && is_first);
}

/* The text with the step's character for each space, and one before it. */
static int metaspace_write(const lk_split_step *step, linkd_str text,
                           bool is_first, lk_buf *out, linkd_error *err)
{
    int rc = LINKD_OK;

    lk_buf_reset(out);
    if (is_prefixed(step, is_first) && text.bytes[0] != ' ' &&
        !begins_with(text, step->space, step->space_len))
        rc = lk_buf_append(out, step->space, step->space_len, err);
    for (size_t i = 0; i < text.len && rc == LINKD_OK; i++)
        rc = text.bytes[i] == ' '
                 ? lk_buf_append(out, step->space, step->space_len, err)
                 : lk_buf_append(out, &text.bytes[i], 1, err);
    return rc;
}

static int metaspace_split(run *r, size_t step, linkd_str text, bool is_first,
                           linkd_error *err)
{
    const lk_split_step *rule = &r->splitter->steps[step];
    lk_buf *out = &r->scratch->texts[step];
    size_t begin = 0;
    int rc = metaspace_write(rule, text, is_first, out, err);

    for (size_t at = 1; rc == LINKD_OK && rule->splits && at < out->len; at++) {
        const linkd_str ahead = {out->data + at, out->len - at};

        if (!begins_with(ahead, rule->space, rule->space_len))
            continue;
        rc = part_take(r, step, (linkd_str){out->data + begin, at - begin},
                       is_first && begin == 0, err);
        begin = at;
    }
    if (rc == LINKD_OK)
        rc =
            part_take(r, step, (linkd_str){out->data + begin, out->len - begin},
                      is_first && begin == 0, err);
    return rc;
}

/* ---- patterns ----------------------------------------------------------- */

/* A part that grows until the next stretch does not belong to it. */
typedef struct growing {
    run *r;
    size_t step;
    linkd_str text;
    bool is_first; /* nothing of the whole text is before `text` */
    size_t begin, end;
    bool is_match; /* its last stretch */
} growing;

static int grown_take(const growing *g, linkd_error *err)
{
    const lk_split_step *rule = &g->r->splitter->steps[g->step];

    if (g->is_match && rule->behavior == LK_SPLIT_REMOVED)
        return LINKD_OK;
    return part_take(g->r, g->step,
                     (linkd_str){g->text.bytes + g->begin, g->end - g->begin},
                     g->is_first && g->begin == 0, err);
}

static bool belongs(lk_split_behavior behavior, bool was_match, bool is_match)
{
    switch (behavior) {
    case LK_SPLIT_WITH_PREVIOUS:
        return is_match && !was_match;
    case LK_SPLIT_WITH_NEXT:
        return was_match && !is_match;
    case LK_SPLIT_CONTIGUOUS:
        return is_match == was_match;
    case LK_SPLIT_REMOVED:
    case LK_SPLIT_ISOLATED:
        break;
    }
    return false;
}

/* The text up to `end`, which matches or does not. */
static int stretch_take(growing *g, size_t end, bool is_match, linkd_error *err)
{
    const lk_split_step *rule = &g->r->splitter->steps[g->step];
    int rc = LINKD_OK;

    if (end == g->end)
        return LINKD_OK;
    is_match = is_match != rule->is_inverted;
    if (g->end > 0 && !belongs(rule->behavior, g->is_match, is_match)) {
        rc = grown_take(g, err);
        g->begin = g->end;
    }
    g->end = end;
    g->is_match = is_match;
    return rc;
}

static int pattern_split(run *r, size_t step, linkd_str text, bool is_first,
                         linkd_error *err)
{
    growing g = {.r = r, .step = step, .text = text, .is_first = is_first};
    lk_pattern_search search;
    size_t begin, end;
    int rc = LINKD_OK;

    lk_pattern_search_init(&search, r->splitter->steps[step].pattern, text);
    while (rc == LINKD_OK && !r->stop &&
           lk_pattern_next(&search, &begin, &end)) {
        rc = stretch_take(&g, begin, false, err);
        if (rc == LINKD_OK)
            rc = stretch_take(&g, end, true, err);
    }
    if (rc == LINKD_OK)
        rc = stretch_take(&g, text.len, false, err);
    if (rc == LINKD_OK && g.end > 0)
        rc = grown_take(&g, err);
    return rc;
}

/* ---- byte level --------------------------------------------------------- */

uint32_t lk_byte_level_char(uint8_t byte)
{
    /* printable Latin-1 is itself; the 68 others come from U+0100 on, in order */
    if (byte <= ' ')
        return 0x100U + byte;
    if (byte < 0x7F)
        return byte;
    if (byte <= 0xA0)
        return 0x100U + 33 + (byte - 0x7FU);
    return byte == 0xAD ? 0x100U + 67 : byte;
}

/* Bytes of the characters from `at` on that have the class. */
static size_t class_length(linkd_str text, size_t at, uint32_t class)
{
    size_t begin = at, len;

    while (at < text.len &&
           (shape_at(text, at, &len) & LK_SHAPE_BYTES) == class)
        at += len;
    return at - begin;
}

static size_t contraction_length(linkd_str text)
{
    static const char *const endings[] = {"'s", "'t",  "'re", "'ve",
                                          "'m", "'ll", "'d"};

    for (size_t i = 0; i < sizeof(endings) / sizeof(*endings); i++)
        if (begins_with(text, endings[i], strlen(endings[i])))
            return strlen(endings[i]);
    return 0;
}

/* Spaces up to the last one before a word, which the word takes. */
static size_t spaces_length(linkd_str text)
{
    const size_t len = class_length(text, 0, LK_BYTES_SPACE);
    size_t last = len;

    if (len == text.len)
        return len;
    do
        last--;
    while (last > 0 && ((uint8_t)text.bytes[last] & 0xC0) == 0x80);
    return last > 0 ? last : len;
}

/* Bytes of the word of GPT-2's that `text` begins with. */
static size_t word_length(linkd_str text)
{
    const size_t at = text.bytes[0] == ' ' && text.len > 1 ? 1 : 0;
    size_t len = contraction_length(text);
    uint32_t class;

    if (len > 0)
        return len;
    class = shape_at(text, at, &len) & LK_SHAPE_BYTES;
    if (class == LK_BYTES_SPACE)
        return spaces_length(text);
    return at + class_length(text, at, class);
}

/* Hands a word on, with a character for each byte. */
static int levels_take(run *r, size_t step, linkd_str word, bool is_first,
                       linkd_error *err)
{
    lk_buf *levels = &r->scratch->levels;
    int rc = LINKD_OK;

    lk_buf_reset(levels);
    for (size_t i = 0; i < word.len && rc == LINKD_OK; i++) {
        uint8_t utf8[LK_UTF8_MAX];
        size_t len =
            lk_utf8_write(lk_byte_level_char((uint8_t)word.bytes[i]), utf8);

        rc = lk_buf_append(levels, utf8, len, err);
    }
    if (rc == LINKD_OK)
        rc = part_take(r, step, (linkd_str){levels->data, levels->len},
                       is_first, err);
    return rc;
}

static int byte_level_split(run *r, size_t step, linkd_str text, bool is_first,
                            linkd_error *err)
{
    const lk_split_step *rule = &r->splitter->steps[step];
    lk_buf *spaced = &r->scratch->texts[step];
    int rc = LINKD_OK;

    if (is_prefixed(rule, is_first) && text.bytes[0] != ' ') {
        lk_buf_reset(spaced);
        rc = lk_buf_append(spaced, " ", 1, err);
        if (rc == LINKD_OK)
            rc = lk_buf_append(spaced, text.bytes, text.len, err);
        if (rc != LINKD_OK)
            return rc;
        text = (linkd_str){spaced->data, spaced->len};
    }
    while (text.len > 0 && rc == LINKD_OK && !r->stop) {
        size_t len = rule->splits ? word_length(text) : text.len;

        rc = levels_take(r, step, (linkd_str){text.bytes, len}, is_first, err);
        is_first = false;
        text.bytes += len;
        text.len -= len;
    }
    return rc;
}

/* ---- all steps ---------------------------------------------------------- */

static int step_run(run *r, size_t step, linkd_str text, bool is_first,
                    linkd_error *err)
{
    if (step == r->splitter->n)
        return r->part_cb(r->ctx, text, &r->stop, err);
    switch (r->splitter->steps[step].kind) {
    case LK_SPLIT_SPACES:
        return spaces_split(r, step, text, is_first, err);
    case LK_SPLIT_METASPACE:
        return metaspace_split(r, step, text, is_first, err);
    case LK_SPLIT_PATTERN:
        return pattern_split(r, step, text, is_first, err);
    case LK_SPLIT_BYTE_LEVEL:
        return byte_level_split(r, step, text, is_first, err);
    }
    LK_ASSERT(false);
    return LINKD_E_DATA;
}

int lk_splitter_run(const lk_splitter *splitter, lk_split_scratch *scratch,
                    linkd_str text, bool is_first, lk_part_cb part_cb,
                    void *ctx, linkd_error *err)
{
    run r = {.splitter = splitter,
             .scratch = scratch,
             .part_cb = part_cb,
             .ctx = ctx};

    if (text.len == 0)
        return LINKD_OK;
    return step_run(&r, 0, text, is_first, err);
}
