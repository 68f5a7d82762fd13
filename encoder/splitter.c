/* encoder/splitter.c — the pre-tokenizers, each taking what the one before it
 * gave:
 *
 *   "a bc" ─ SPACES ─► "a" "bc" ─ METASPACE ─► "▁a" "▁bc" ─► part_cb
 *
 * GPT-2's words are those of its regular expression
 *   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 * and CLIP's, between which everything is dropped, those of
 *   's|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+
 * both read by hand, with the oracle's classes of characters. */
#include "encoder/splitter.h"

#include <string.h>

typedef struct run {
    const lk_splitter *splitter;
    lk_split_scratch *scratch;
    lk_part_cb part_cb;
    void *ctx;
    bool stop;
} run;

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

/* ---- CLIP --------------------------------------------------------------- */

static size_t clip_mark_length(linkd_str text)
{
    static const char *const marks[] = {"<|startoftext|>", "<|endoftext|>"};

    for (size_t i = 0; i < sizeof(marks) / sizeof(*marks); i++)
        if (begins_with(text, marks[i], strlen(marks[i])))
            return strlen(marks[i]);
    return 0;
}

/* Bytes of the word that `text` begins with, or of the space. */
static size_t clip_length(const lk_split_step *rule, linkd_str text,
                          bool *ret_is_space)
{
    size_t len = rule->keeps_marks ? clip_mark_length(text) : 0;
    uint32_t class;

    *ret_is_space = false;
    if (len == 0)
        len = contraction_length(text);
    if (len > 0)
        return len;
    class = shape_at(text, 0, &len) & LK_SHAPE_BYTES;
    *ret_is_space = class == LK_BYTES_SPACE;
    return class == LK_BYTES_NUMBER ? len : class_length(text, 0, class);
}

static int clip_split(run *r, size_t step, linkd_str text, bool is_first,
                      linkd_error *err)
{
    const lk_split_step *rule = &r->splitter->steps[step];
    int rc = LINKD_OK;

    while (text.len > 0 && rc == LINKD_OK && !r->stop) {
        bool is_space;
        const size_t len = clip_length(rule, text, &is_space);

        if (!is_space)
            rc =
                part_take(r, step, (linkd_str){text.bytes, len}, is_first, err);
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
    case LK_SPLIT_BYTE_LEVEL:
        return byte_level_split(r, step, text, is_first, err);
    case LK_SPLIT_CLIP:
        return clip_split(r, step, text, is_first, err);
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
