/* index/once.h — private: the writes that were done under a key. */
#ifndef LK_INDEX_ONCE_H
#define LK_INDEX_ONCE_H

#include "index/layout.h"

/* What a write answered, as numbers of the caller's choice. */
#define LK_ONCE_ANSWERS_MAX ((size_t)5)

/* LINKD_E_ARG: key or note is too long. `once` may be NULL. */
LINKD_MUST_CHECK int lk_once_check(const linkd_once *once, linkd_error *err);
/* Looks the key up; fills ret_answers [n] when it was used for this request
 * within a day. Nothing is found without a key. LINKD_E_CONFLICT: it was used
 * for another request. */
LINKD_MUST_CHECK int lk_once_find(lk_txn *txn, const linkd_once *once,
                                  uint64_t *ret_answers, size_t n,
                                  bool *ret_found, linkd_error *err);
/* The same with the note, which is borrowed from the transaction. */
LINKD_MUST_CHECK int lk_once_find_note(lk_txn *txn, const linkd_once *once,
                                       uint64_t *ret_answers, size_t n,
                                       linkd_str *ret_note, bool *ret_found,
                                       linkd_error *err);
/* Remembers answers and note, in the transaction that does the write. */
LINKD_MUST_CHECK int lk_once_put(lk_txn *txn, const linkd_once *once,
                                 const uint64_t *answers, size_t n,
                                 linkd_error *err);
/* Looks at up to `n` keys from `hand` on, round and round, and removes those
 * that are older than a day. Moves the hand. */
LINKD_MUST_CHECK int lk_once_sweep(lk_txn *txn, lk_key *hand, size_t n,
                                   linkd_error *err);

#endif
