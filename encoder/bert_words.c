/* encoder/bert_words.c — a text into normalised words, in one pass.
 * The words are those of Hugging Face's BertNormalizer and BertPreTokenizer,
 * which rewrite the whole text once an option, in this order:
 *
 *   raw ─ added tokens cut out ─ clean_text ─ spaces around CJK ─
 *       ─ strip_accents: NFD, marks dropped ─ lowercase ─ split into words
 *
 * Each step looks at one code point alone, but for NFD's reordering of marks.
 * So one code point is taken through all steps at once, into a short queue,
 * and from there into the word:
 *
 *   text ─► queue (<= 11 code points) ─► word (<= max_word_chars kept)
 *
 * Memory is bounded whatever the text, and a caller who has enough tokens stops
 * reading. Reordering never crosses a word's border, since no space,
 * punctuation or CJK character is a mark, and in a word that is too long no one
 * asks for the order. Most accents are dropped, so it is rare: it concerns the
 * marks that the frozen tables do not know as such.
 *
 * ASCII skips the queue: actions[] holds for each byte what it becomes, or one
 * of the codes below. */
#include "encoder/bert_words.h"

#include <string.h>

/* Values of actions[] that are no ASCII character. */
enum {
    ACTION_DROP = 0x80,
    ACTION_SPACE,
    ACTION_PUNCTUATION,
    ACTION_SLOW, /* not ASCII, or an added token may begin here */
};

static uint8_t action_of(const lk_bert_rules *rules, uint8_t byte)
{
    uint32_t properties;
    uint32_t lower[LK_EXPANSION_MAX];

    if (byte >= 0x80 || rules->added_begins[byte])
        return ACTION_SLOW;
    properties = lk_unicode_properties(byte);
    if (rules->clean_text && (properties & LK_CP_DROPPED))
        return ACTION_DROP;
    if (properties & LK_CP_SPACE)
        return ACTION_SPACE;
    if (properties & LK_CP_PUNCTUATION)
        return ACTION_PUNCTUATION;
    if (rules->lowercase && (properties & LK_CP_LOWERS) &&
        lk_unicode_lower(byte, lower) == 1)
        return (uint8_t)lower[0];
    return byte;
}

void lk_bert_rules_init(lk_bert_rules *rules)
{
    for (size_t byte = 0; byte < sizeof(rules->actions); byte++)
        rules->actions[byte] = action_of(rules, (uint8_t)byte);
}

void lk_word_reader_init(lk_word_reader *reader, const lk_bert_rules *rules,
                         linkd_str text)
{
    const uint8_t *bytes = (const uint8_t *)text.bytes;

    reader->rules = rules;
    reader->at = bytes;
    reader->end = text.len > 0 ? bytes + text.len : bytes;
    reader->queue_at = 0;
    reader->queue_len = 0;
}

/* ---- the word ----------------------------------------------------------- */

/* Where a mark of combining class `order` belongs: before those marks at the
 * end of bytes[marks_at … len) whose class is higher. */
static size_t mark_place(const uint8_t *bytes, size_t marks_at, size_t len,
                         uint32_t order)
{
    size_t place = len;

    while (place > marks_at) {
        size_t previous = place - 1;
        uint32_t cp;

        while ((bytes[previous] & 0xC0) == 0x80)
            previous--;
        (void)lk_utf8_read(&bytes[previous], place - previous, &cp);
        if (lk_unicode_order(cp) <= order)
            break;
        place = previous;
    }
    return place;
}

static void word_append(lk_word_reader *reader, lk_word_char item)
{
    const lk_bert_rules *rules = reader->rules;
    size_t place = reader->len;
    uint8_t utf8[LK_UTF8_MAX];
    size_t len;

    if (reader->n_chars++ >= rules->max_word_chars)
        return;
    if (rules->strip_accents && (item.properties & LK_CP_NONSTARTER))
        place = mark_place(reader->bytes, reader->marks_at, reader->len,
                           lk_unicode_order(item.cp));
    len = lk_utf8_write(item.cp, utf8);
    memmove(&reader->bytes[place + len], &reader->bytes[place],
            reader->len - place);
    memcpy(&reader->bytes[place], utf8, len);
    reader->len += len;
}

/* Takes ASCII from the text. True: the word is complete. */
static bool ascii_take(lk_word_reader *reader)
{
    const lk_bert_rules *rules = reader->rules;

    for (; reader->at < reader->end; reader->at++) {
        uint8_t action = rules->actions[*reader->at];

        if (action < 0x80) {
            if (reader->n_chars++ < rules->max_word_chars)
                reader->bytes[reader->len++] = action;
        } else if (action == ACTION_SLOW) {
            return false;
        } else if (action == ACTION_DROP) {
            continue;
        } else if (reader->n_chars > 0) {
            return true;
        } else if (action == ACTION_PUNCTUATION) {
            word_append(reader, (lk_word_char){*reader->at++, 0});
            return true;
        }
    }
    return false;
}

/* ---- the queue ---------------------------------------------------------- */

static void queue_push(lk_word_reader *reader, uint32_t cp, uint32_t properties)
{
    LK_ASSERT(reader->queue_len < LK_WORD_QUEUE_MAX);
    reader->queue[reader->queue_len++] = (lk_word_char){cp, properties};
}

static void queue_push_lowered(lk_word_reader *reader, uint32_t cp,
                               uint32_t properties)
{
    uint32_t lower[LK_EXPANSION_MAX];
    size_t n;

    if (!reader->rules->lowercase || !(properties & LK_CP_LOWERS)) {
        queue_push(reader, cp, properties);
        return;
    }
    n = lk_unicode_lower(cp, lower);
    for (size_t i = 0; i < n; i++)
        queue_push(reader, lower[i], lk_unicode_properties(lower[i]));
}

static void queue_push_stripped(lk_word_reader *reader, uint32_t cp,
                                uint32_t properties)
{
    uint32_t parts[LK_EXPANSION_MAX];
    size_t n;

    if (properties & LK_CP_MARK) {
        /* a dropped mark of class 0 still keeps its neighbours apart */
        if (!(properties & LK_CP_NONSTARTER))
            reader->marks_at = reader->len;
        return;
    }
    if (!(properties & LK_CP_DECOMPOSES)) {
        queue_push_lowered(reader, cp, properties);
        return;
    }
    n = lk_unicode_decompose(cp, parts);
    for (size_t i = 0; i < n; i++)
        queue_push_lowered(reader, parts[i], lk_unicode_properties(parts[i]));
}

/* Takes one code point through all the steps into the empty queue. */
static void queue_fill(lk_word_reader *reader, uint32_t cp)
{
    const lk_bert_rules *rules = reader->rules;
    uint32_t properties = lk_unicode_properties(cp);
    bool is_apart =
        rules->handle_chinese_chars && (properties & LK_CP_CJK) != 0;

    reader->queue_at = 0;
    reader->queue_len = 0;
    if (rules->clean_text && (properties & LK_CP_DROPPED))
        return;
    if (is_apart)
        queue_push(reader, ' ', LK_CP_SPACE);
    if (rules->strip_accents)
        queue_push_stripped(reader, cp, properties);
    else
        queue_push_lowered(reader, cp, properties);
    if (is_apart)
        queue_push(reader, ' ', LK_CP_SPACE);
}

/* Moves the queue into the word. True: the word is complete. */
static bool queue_take(lk_word_reader *reader)
{
    while (reader->queue_at < reader->queue_len) {
        lk_word_char item = reader->queue[reader->queue_at];
        uint32_t border = item.properties & (LK_CP_SPACE | LK_CP_PUNCTUATION);

        if (border != 0 && reader->n_chars > 0)
            return true;
        reader->queue_at++;
        if (border == LK_CP_SPACE)
            continue;
        word_append(reader, item);
        if (border == LK_CP_PUNCTUATION)
            return true;
    }
    return false;
}

/* ---- reading ------------------------------------------------------------ */

/* Whether an added token's name is ahead; the longest one counts. */
static bool added_match(lk_word_reader *reader, size_t *ret_len)
{
    const lk_bert_rules *rules = reader->rules;
    linkd_str ahead = {(const char *)reader->at,
                       (size_t)(reader->end - reader->at)};

    if (!rules->added_begins[*reader->at])
        return false;
    reader->added_id =
        lk_trie_match(rules->added, rules->added_root, ahead, ret_len);
    return reader->added_id != LK_TRIE_NONE;
}

lk_word_kind lk_word_read(lk_word_reader *reader)
{
    size_t len;
    uint32_t cp;

    reader->n_chars = 0;
    reader->len = 0;
    reader->marks_at = 0;
    for (;;) {
        if (queue_take(reader) || ascii_take(reader))
            return LK_WORD_PLAIN;
        if (reader->at == reader->end)
            return reader->n_chars > 0 ? LK_WORD_PLAIN : LK_WORD_END;
        if (added_match(reader, &len)) {
            if (reader->n_chars > 0)
                return LK_WORD_PLAIN;
            reader->at += len;
            return LK_WORD_ADDED;
        }
        reader->at +=
            lk_utf8_read(reader->at, (size_t)(reader->end - reader->at), &cp);
        queue_fill(reader, cp);
    }
}

/* ---- whole texts -------------------------------------------------------- */

/* Appends one code point, a mark before those of a higher class. */
static int normal_append(const lk_bert_rules *rules, lk_word_char item,
                         size_t marks_at, lk_buf *out, linkd_error *err)
{
    size_t place = out->len;
    uint8_t utf8[LK_UTF8_MAX];
    size_t len = lk_utf8_write(item.cp, utf8);
    int rc;

    if (rules->strip_accents && (item.properties & LK_CP_NONSTARTER))
        place = mark_place((const uint8_t *)out->data, marks_at, out->len,
                           lk_unicode_order(item.cp));
    rc = lk_buf_append(out, utf8, len, err);
    if (rc != LINKD_OK || place + len == out->len)
        return rc;
    memmove(out->data + place + len, out->data + place, out->len - len - place);
    memcpy(out->data + place, utf8, len);
    return LINKD_OK;
}

int lk_bert_normalize(const lk_bert_rules *rules, linkd_str text, lk_buf *out,
                      linkd_error *err)
{
    lk_word_reader reader;
    int rc = LINKD_OK;

    lk_word_reader_init(&reader, rules, text);
    reader.len = 0;
    reader.marks_at = 0;
    while (reader.at < reader.end && rc == LINKD_OK) {
        uint32_t cp;

        reader.at +=
            lk_utf8_read(reader.at, (size_t)(reader.end - reader.at), &cp);
        reader.len = out->len; /* where a dropped mark keeps others apart */
        queue_fill(&reader, cp);
        for (size_t i = 0; i < reader.queue_len && rc == LINKD_OK; i++) {
            lk_word_char item = reader.queue[i];

            /* clean_text makes every white space the plain one */
            if (rules->clean_text && (item.properties & LK_CP_SPACE))
                item.cp = ' ';
            rc = normal_append(rules, item, reader.marks_at, out, err);
        }
    }
    return rc;
}
