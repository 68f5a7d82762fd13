/* index/once.c — a write with a key is done once. Its answer is stored in the
 * transaction of the write itself: either both are on disk or neither is.
 *
 *   ONCE: key -> request hash u64, unix ms u64, n u64, answers u64 [n], note
 *
 * Keys are forgotten after a day. There is no second table by time: a hand
 * walks round the keys a few at each commit, which visits every key as often as
 * the table's size of writes goes by, and a key that the hand has not reached
 * counts as gone all the same. */
#include "index/once.h"

#include <string.h>

#include "index/parts.h"

#define KEEP_MS      ((uint64_t)24 * 60 * 60 * 1000)
#define HEAD_NUMBERS ((size_t)3)
#define NUMBERS_MAX  (HEAD_NUMBERS + LK_ONCE_ANSWERS_MAX)
#define BODY_MAX     (NUMBERS_MAX * sizeof(uint64_t) + LINKD_NOTE_MAX_BYTES)

typedef struct once_row {
    uint64_t request_hash;
    uint64_t unix_ms;
    size_t n_answers;
    uint64_t answers[LK_ONCE_ANSWERS_MAX];
    linkd_str note;
} once_row;

static bool has_key(const linkd_once *once)
{
    return once != NULL && once->key.len > 0;
}

int lk_once_check(const linkd_once *once, linkd_error *err)
{
    if (has_key(once) && once->key.len > LINKD_KEY_MAX_BYTES)
        return lk_fail(err, LINKD_E_ARG,
                       "the idempotency key has %zu bytes, most is %zu",
                       once->key.len, LINKD_KEY_MAX_BYTES);
    if (has_key(once) && once->note.len > LINKD_NOTE_MAX_BYTES)
        return lk_fail(err, LINKD_E_ARG,
                       "the note of a write has %zu bytes, most is %zu",
                       once->note.len, LINKD_NOTE_MAX_BYTES);
    return LINKD_OK;
}

/* The number in the given place of a row's body. */
static uint64_t body_number(linkd_str body, size_t place)
{
    return lk_u64_read(body.bytes + place * sizeof(uint64_t));
}

static int row_open(linkd_str key, linkd_str value, once_row *ret_row,
                    linkd_error *err)
{
    linkd_str body;
    uint64_t n = 0;
    size_t end;
    int rc = lk_value_open(LK_TABLE_ONCE, key, value, &body, err);

    if (rc != LINKD_OK)
        return rc;
    if (body.len >= HEAD_NUMBERS * sizeof(uint64_t))
        n = body_number(body, 2);
    end = (HEAD_NUMBERS + (size_t)n) * sizeof(uint64_t);
    if (n > LK_ONCE_ANSWERS_MAX || body.len < end || body.len > BODY_MAX)
        return lk_fail(err, LINKD_E_DATA,
                       "what an idempotency key answered has %zu bytes",
                       body.len);
    ret_row->request_hash = body_number(body, 0);
    ret_row->unix_ms = body_number(body, 1);
    ret_row->n_answers = (size_t)n;
    for (size_t i = 0; i < ret_row->n_answers; i++)
        ret_row->answers[i] = body_number(body, HEAD_NUMBERS + i);
    ret_row->note = (linkd_str){body.bytes + end, body.len - end};
    return LINKD_OK;
}

/* A clock that was set back makes nothing expire. */
static bool is_expired(const once_row *row, uint64_t now_ms)
{
    return now_ms > row->unix_ms && now_ms - row->unix_ms > KEEP_MS;
}

int lk_once_find_note(lk_txn *txn, const linkd_once *once,
                      uint64_t *ret_answers, size_t n, linkd_str *ret_note,
                      bool *ret_found, linkd_error *err)
{
    linkd_str value;
    once_row row = {0};
    bool found = false;
    int rc;

    *ret_found = false;
    if (!has_key(once))
        return LINKD_OK;
    rc = lk_txn_find(txn, LK_TABLE_ONCE, once->key, &value, &found, err);
    if (rc != LINKD_OK || !found)
        return rc;
    rc = row_open(once->key, value, &row, err);
    if (rc != LINKD_OK || is_expired(&row, lk_unix_ms()))
        return rc;
    if (row.request_hash != once->request_hash || row.n_answers != n)
        return lk_fail(err, LINKD_E_CONFLICT,
                       "the idempotency key was used for another request");
    memcpy(ret_answers, row.answers, n * sizeof(*ret_answers));
    *ret_note = row.note;
    *ret_found = true;
    return LINKD_OK;
}

int lk_once_find(lk_txn *txn, const linkd_once *once, uint64_t *ret_answers,
                 size_t n, bool *ret_found, linkd_error *err)
{
    linkd_str note;

    return lk_once_find_note(txn, once, ret_answers, n, &note, ret_found, err);
}

int lk_once_put(lk_txn *txn, const linkd_once *once, const uint64_t *answers,
                size_t n, linkd_error *err)
{
    char bytes[BODY_MAX];
    size_t len = (HEAD_NUMBERS + n) * sizeof(uint64_t);

    LK_ASSERT(n <= LK_ONCE_ANSWERS_MAX);
    if (!has_key(once))
        return LINKD_OK;
    lk_u64_write(bytes, once->request_hash);
    lk_u64_write(bytes + sizeof(uint64_t), lk_unix_ms());
    lk_u64_write(bytes + 2 * sizeof(uint64_t), n);
    for (size_t i = 0; i < n; i++)
        lk_u64_write(bytes + (HEAD_NUMBERS + i) * sizeof(uint64_t), answers[i]);
    LK_ASSERT(once->note.len <= LINKD_NOTE_MAX_BYTES);
    if (once->note.len > 0)
        memcpy(bytes + len, once->note.bytes, once->note.len);
    return lk_value_put(txn, LK_TABLE_ONCE, once->key,
                        (linkd_str){bytes, len + once->note.len}, err);
}

/* LMDB has no empty keys: the least one is a zero byte. */
static void hand_reset(lk_key *hand)
{
    lk_key_begin(hand);
    lk_key_add_u8(hand, 0);
}

/* Looks at the first key from the hand on. A row that cannot be read stays: it
 * is fsck's to report, and no reason to refuse writes. */
static int hand_step(lk_txn *txn, lk_cursor *cursor, lk_key *hand,
                     uint64_t now_ms, bool *ret_more, linkd_error *err)
{
    linkd_str key;
    linkd_str value;
    once_row row = {0};
    bool is_old;
    bool found;
    int rc =
        lk_cursor_seek(cursor, lk_key_str(hand), &key, &value, &found, err);

    if (rc != LINKD_OK)
        return rc;
    hand_reset(hand);
    *ret_more = found;
    if (!found)
        return LINKD_OK;
    is_old = row_open(key, value, &row, NULL) == LINKD_OK &&
             is_expired(&row, now_ms);
    lk_key_begin(hand);
    lk_key_add_bytes(hand, key);
    if (is_old)
        rc = lk_txn_remove(txn, LK_TABLE_ONCE, lk_key_str(hand), &found, err);
    lk_key_add_u8(hand, 0); /* the least key that comes after it */
    return rc;
}

int lk_once_sweep(lk_txn *txn, lk_key *hand, size_t n, linkd_error *err)
{
    uint64_t now_ms = lk_unix_ms();
    lk_cursor *cursor = NULL;
    bool more = true;
    int rc = lk_cursor_open(txn, LK_TABLE_ONCE, &cursor, err);

    if (hand->len == 0)
        hand_reset(hand);
    for (size_t i = 0; rc == LINKD_OK && more && i < n; i++)
        rc = hand_step(txn, cursor, hand, now_ms, &more, err);
    lk_cursor_close(cursor);
    return rc;
}
