/* index/fields.c — keys of FIELDS: what filters look up (layout.h draws them).
 *
 * A filter is a range of keys, so keys must sort as values do, and no value's
 * key may begin another's:
 *
 *   number  the double's bits, big-endian; the sign bit flipped, or all bits of
 *           a negative one. -0 is 0
 *   text    up to LK_FIELD_TEXT_MAX bytes, 00 spelled 01 01 and 01 spelled
 *           01 02, then 00; a longer one is cut, then 0xff and its hash
 *
 * 0xff is in no UTF-8, and more than 00: what is cut sorts behind the text that
 * ends at the cut. Beyond that the order of long texts is that of their hashes.
 *
 * Integers beyond 2^53 are rounded as doubles are, in a record and in a filter
 * alike. */
#include "index/layout.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum {
    NUMBER_MAX_BYTES = 400, /* 1e308 written out, and a fraction */
};

_Static_assert(sizeof(uint32_t) + sizeof(uint64_t) + 1 + 2 * LK_FIELD_TEXT_MAX +
                       1 + sizeof(uint64_t) + sizeof(uint64_t) <=
                   LK_KEY_MAX_BYTES,
               "the longest text fits into a key");

bool lk_field_is_filtered(const linkd_collection_options *options,
                          linkd_str name)
{
    if (options->filter_fields == NULL)
        return true;
    for (size_t i = 0; i < options->n_filter_fields; i++) {
        if (lk_str_equal(options->filter_fields[i], name))
            return true;
    }
    return false;
}

void lk_field_key_begin(lk_key *key, uint32_t collection, linkd_str field,
                        lk_field_key_kind kind)
{
    lk_key_begin(key);
    lk_key_add_u32(key, collection);
    lk_key_add_u64(key, XXH3_64bits(field.bytes, field.len));
    lk_key_add_u8(key, (uint8_t)kind);
}

static void key_add_escaped(lk_key *key, uint8_t byte)
{
    if (byte <= 1) {
        lk_key_add_u8(key, 1);
        byte = (uint8_t)(byte + 1);
    }
    lk_key_add_u8(key, byte);
}

void lk_field_key_add_text(lk_key *key, linkd_str text)
{
    bool is_cut = text.len > LK_FIELD_TEXT_MAX;
    size_t len = is_cut ? LK_FIELD_TEXT_MAX : text.len;

    for (size_t i = 0; i < len; i++)
        key_add_escaped(key, (uint8_t)text.bytes[i]);
    lk_key_add_u8(key, is_cut ? 0xFF : 0);
    if (is_cut)
        lk_key_add_u64(key, XXH3_64bits(text.bytes, text.len));
}

void lk_field_key_add_number(lk_key *key, double number)
{
    const uint64_t sign = (uint64_t)1 << 63;
    uint64_t bits;

    LK_ASSERT(!isnan(number));
    number += 0.0; /* -0 becomes 0 */
    memcpy(&bits, &number, sizeof(bits));
    lk_key_add_u64(key, (bits & sign) != 0 ? ~bits : bits | sign);
}

void lk_field_key_add_bool(lk_key *key, bool boolean)
{
    lk_key_add_u8(key, boolean);
}

static bool str_equals(linkd_str str, const char *word)
{
    return str.len == strlen(word) && memcmp(str.bytes, word, str.len) == 0;
}

/* strtod alone would take "inf", "0x1p3" and blanks too. */
bool lk_field_number_parse(linkd_str literal, double *ret_number)
{
    char text[NUMBER_MAX_BYTES + 1];
    double number;
    char *end;

    if (literal.len == 0 || literal.len > NUMBER_MAX_BYTES)
        return false;
    memcpy(text, literal.bytes, literal.len);
    text[literal.len] = '\0';
    if (strspn(text, "0123456789+-.eE") != literal.len)
        return false;
    number = strtod(text, &end);
    if (*end != '\0' || !isfinite(number))
        return false;
    *ret_number = number;
    return true;
}

/* Adds the value if there is one to compare with. */
static lk_field_key_kind literal_key(lk_key *key, uint32_t collection,
                                     const linkd_field *field)
{
    bool is_true = str_equals(field->value, "true");
    double number;

    if (is_true || str_equals(field->value, "false")) {
        lk_field_key_begin(key, collection, field->name, LK_FIELD_KEY_BOOL);
        lk_field_key_add_bool(key, is_true);
        return LK_FIELD_KEY_BOOL;
    }
    if (lk_field_number_parse(field->value, &number)) {
        lk_field_key_begin(key, collection, field->name, LK_FIELD_KEY_NUMBER);
        lk_field_key_add_number(key, number);
        return LK_FIELD_KEY_NUMBER;
    }
    lk_field_key_begin(key, collection, field->name, LK_FIELD_KEY_EXISTS);
    return LK_FIELD_KEY_EXISTS;
}

lk_field_key_kind lk_field_key_of(lk_key *key, uint32_t collection,
                                  const linkd_field *field)
{
    if (field->kind == LINKD_FIELD_LITERAL)
        return literal_key(key, collection, field);
    lk_field_key_begin(key, collection, field->name, LK_FIELD_KEY_TEXT);
    lk_field_key_add_text(key, field->value);
    return LK_FIELD_KEY_TEXT;
}
