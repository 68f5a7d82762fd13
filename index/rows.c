/* index/rows.c — rows of one number, log, events and reviews: what is too small
 * for a struct in layout.h. Every body is read back with its length checked;
 * the checksum is lk_value_open()'s. */
#include "index/parts.h"

#include <string.h>
#include <xxhash.h>

/* ---- little-endian numbers ---------------------------------------------- */

static void u32_write(unsigned char *bytes, uint32_t value)
{
    for (size_t i = 0; i < sizeof(value); i++)
        bytes[i] = (unsigned char)(value >> (8 * i));
}

void lk_u64_write(void *bytes, uint64_t value)
{
    unsigned char *at = bytes;

    for (size_t i = 0; i < sizeof(value); i++)
        at[i] = (unsigned char)(value >> (8 * i));
}

static uint64_t number_read(const char *bytes, size_t len)
{
    uint64_t value = 0;

    for (size_t i = 0; i < len; i++)
        value |= (uint64_t)(unsigned char)bytes[i] << (8 * i);
    return value;
}

uint64_t lk_u64_read(const char *bytes)
{
    return number_read(bytes, sizeof(uint64_t));
}

static linkd_str body_of(const unsigned char *bytes, size_t len)
{
    return (linkd_str){(const char *)bytes, len};
}

/* ---- rows of one number -------------------------------------------------- */

int lk_number_find(lk_txn *txn, lk_table table, linkd_str key,
                   uint64_t *ret_number, bool *ret_found, linkd_error *err)
{
    linkd_str value;
    linkd_str body;
    bool found;
    int rc = lk_txn_find(txn, table, key, &value, &found, err);

    if (rc != LINKD_OK)
        return rc;
    if (found) {
        rc = lk_value_open(table, key, value, &body, err);
        if (rc != LINKD_OK)
            return rc;
        if (body.len != sizeof(uint64_t))
            return lk_fail(err, LINKD_E_DATA,
                           "a number in the database has %zu bytes", body.len);
        *ret_number = lk_u64_read(body.bytes);
    }
    *ret_found = found;
    return LINKD_OK;
}

int lk_number_put(lk_txn *txn, lk_table table, linkd_str key, uint64_t number,
                  linkd_error *err)
{
    unsigned char bytes[sizeof(number)];

    lk_u64_write(bytes, number);
    return lk_value_put(txn, table, key, body_of(bytes, sizeof(bytes)), err);
}

int lk_meta_find(lk_txn *txn, const char *name, uint64_t *ret_number,
                 bool *ret_found, linkd_error *err)
{
    linkd_str key = {name, strlen(name)};

    return lk_number_find(txn, LK_TABLE_META, key, ret_number, ret_found, err);
}

int lk_meta_put(lk_txn *txn, const char *name, uint64_t number,
                linkd_error *err)
{
    linkd_str key = {name, strlen(name)};

    return lk_number_put(txn, LK_TABLE_META, key, number, err);
}

/* ---- keys ---------------------------------------------------------------- */

void lk_key_record(lk_key *key, uint32_t collection, uint64_t number)
{
    lk_key_begin(key);
    lk_key_add_u32(key, collection);
    lk_key_add_u64(key, number);
}

void lk_key_slot(lk_key *key, uint32_t collection, uint32_t generation,
                 uint64_t number)
{
    lk_key_begin(key);
    lk_key_add_u32(key, collection);
    lk_key_add_u32(key, generation);
    lk_key_add_u64(key, number);
}

void lk_key_id(lk_key *key, uint32_t collection, linkd_str id)
{
    lk_key_begin(key);
    lk_key_add_u32(key, collection);
    lk_key_add_bytes(key, id);
}

void lk_key_event(lk_key *key, uint32_t collection, uint64_t seq)
{
    lk_key_record(key, collection, seq);
    lk_key_add_u32(key, 0);
}

/* ---- the log ------------------------------------------------------------- */

enum { LOG_BYTES = 4 + 1 + 8 };

int lk_log_put(lk_txn *txn, uint64_t seq, const lk_log_row *row,
               linkd_error *err)
{
    unsigned char bytes[LOG_BYTES];
    lk_key key;

    lk_key_begin(&key);
    lk_key_add_u64(&key, seq);
    u32_write(bytes, row->collection);
    bytes[4] = (unsigned char)row->op;
    lk_u64_write(bytes + 5, row->number);
    return lk_value_put(txn, LK_TABLE_LOG, lk_key_str(&key),
                        body_of(bytes, sizeof(bytes)), err);
}

int lk_log_row_decode(linkd_str body, lk_log_row *ret_row, linkd_error *err)
{
    if (body.len != LOG_BYTES || (body.bytes[4] != LINKD_CHANGE_PUT &&
                                  body.bytes[4] != LINKD_CHANGE_DELETE))
        return lk_fail(err, LINKD_E_DATA,
                       "an entry of the log does not have its form");
    *ret_row = (lk_log_row){
        .collection = (uint32_t)number_read(body.bytes, 4),
        .op = (linkd_change_op)body.bytes[4],
        .number = lk_u64_read(body.bytes + 5),
    };
    return LINKD_OK;
}

/* ---- events -------------------------------------------------------------- */

enum { EVENT_BYTES = 1 + 8 + 8, REASON_BYTES = 4 + 2 };

static int reason_append(const linkd_entity_event *event, lk_buf *body,
                         linkd_error *err)
{
    uint16_t len = (uint16_t)event->ids[0].len;
    char bytes[REASON_BYTES];
    int rc;

    memcpy(bytes, &event->probability, 4);
    memcpy(bytes + 4, &len, 2);
    rc = lk_buf_append(body, bytes, sizeof(bytes), err);
    for (size_t i = 0; i < 2 && rc == LINKD_OK; i++)
        rc = lk_buf_append(body, event->ids[i].bytes, event->ids[i].len, err);
    return rc;
}

int lk_event_put(lk_txn *txn, uint32_t collection,
                 const linkd_entity_event *event, linkd_error *err)
{
    unsigned char bytes[EVENT_BYTES];
    lk_buf body = {0};
    lk_key key;
    int rc;

    lk_key_event(&key, collection, event->seq);
    bytes[0] = event->merged ? 1 : 0;
    lk_u64_write(bytes + 1, event->entity);
    lk_u64_write(bytes + 9, event->other);
    rc = lk_buf_append(&body, bytes, sizeof(bytes), err);
    if (rc == LINKD_OK && event->ids[0].len > 0)
        rc = reason_append(event, &body, err);
    if (rc == LINKD_OK)
        rc = lk_value_put(txn, LK_TABLE_EVENTS, lk_key_str(&key),
                          (linkd_str){body.data, body.len}, err);
    lk_buf_clear(&body);
    return rc;
}

static bool reason_decode(linkd_str reason, linkd_entity_event *event)
{
    uint16_t len;

    if (reason.len < REASON_BYTES)
        return false;
    memcpy(&event->probability, reason.bytes, 4);
    memcpy(&len, reason.bytes + 4, 2);
    reason.bytes += REASON_BYTES;
    reason.len -= REASON_BYTES;
    if (len == 0 || len >= reason.len)
        return false;
    event->ids[0] = (linkd_str){reason.bytes, len};
    event->ids[1] = (linkd_str){reason.bytes + len, reason.len - len};
    return true;
}

int lk_event_decode(linkd_str body, uint64_t seq, linkd_entity_event *ret_event,
                    linkd_error *err)
{
    linkd_entity_event event = {.seq = seq};

    if (body.len < EVENT_BYTES || (unsigned char)body.bytes[0] > 1 ||
        (body.len > EVENT_BYTES &&
         !reason_decode(
             (linkd_str){body.bytes + EVENT_BYTES, body.len - EVENT_BYTES},
             &event)))
        return lk_fail(err, LINKD_E_DATA,
                       "an event of entities does not have its form");
    event.merged = body.bytes[0] == 1;
    event.entity = lk_u64_read(body.bytes + 1);
    event.other = lk_u64_read(body.bytes + 9);
    *ret_event = event;
    return LINKD_OK;
}

/* ---- reviews ------------------------------------------------------------- */

static bool is_lower(linkd_str left, linkd_str right)
{
    size_t len = left.len < right.len ? left.len : right.len;
    int order = memcmp(left.bytes, right.bytes, len);

    return order < 0 || (order == 0 && left.len < right.len);
}

static size_t pair_write(unsigned char *bytes, linkd_str left, linkd_str right)
{
    bool in_order = is_lower(left, right);
    linkd_str lower = in_order ? left : right;
    linkd_str higher = in_order ? right : left;

    u32_write(bytes, (uint32_t)lower.len);
    memcpy(bytes + 4, lower.bytes, lower.len);
    memcpy(bytes + 4 + lower.len, higher.bytes, higher.len);
    return 4 + lower.len + higher.len;
}

void lk_key_review(lk_key *key, uint32_t collection, linkd_str left,
                   linkd_str right)
{
    unsigned char bytes[4 + 2 * LINKD_ID_MAX_BYTES];
    XXH128_hash_t hash = XXH3_128bits(bytes, pair_write(bytes, left, right));

    lk_key_record(key, collection, hash.high64);
    lk_key_add_u64(key, hash.low64);
}

int lk_review_put(lk_txn *txn, uint32_t collection, linkd_str left,
                  linkd_str right, linkd_review_answer answer, linkd_error *err)
{
    unsigned char bytes[1 + 4 + 2 * LINKD_ID_MAX_BYTES];
    lk_key key;

    lk_key_review(&key, collection, left, right);
    bytes[0] = (unsigned char)answer;
    return lk_value_put(txn, LK_TABLE_REVIEWS, lk_key_str(&key),
                        body_of(bytes, 1 + pair_write(bytes + 1, left, right)),
                        err);
}

int lk_review_decode(linkd_str body, linkd_str *ret_lower,
                     linkd_str *ret_higher, linkd_review_answer *ret_answer,
                     linkd_error *err)
{
    uint64_t lower_len;

    if (body.len < 5 || (body.bytes[0] != LINKD_REVIEW_MATCH &&
                         body.bytes[0] != LINKD_REVIEW_DIFFERENT))
        return lk_fail(err, LINKD_E_DATA, "a review does not have its form");
    lower_len = number_read(body.bytes + 1, 4);
    if (lower_len > body.len - 5)
        return lk_fail(err, LINKD_E_DATA, "a review does not have its form");
    *ret_answer = (linkd_review_answer)body.bytes[0];
    *ret_lower = (linkd_str){body.bytes + 5, (size_t)lower_len};
    *ret_higher = (linkd_str){body.bytes + 5 + lower_len,
                              body.len - 5 - (size_t)lower_len};
    return LINKD_OK;
}
