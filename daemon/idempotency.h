/* daemon/idempotency.h — private: writes that may be repeated safely. Whoever
 * sends an Idempotency-Key gets the first answer again: the store keeps the key
 * in the transaction of the write. */
#ifndef LK_DAEMON_IDEMPOTENCY_H
#define LK_DAEMON_IDEMPOTENCY_H

#include "daemon/request.h"
#include "index/index.h"

/* The key and a hash over method, path, query, type and body; no key if the
 * header is absent. LINKD_E_ARG: it is too long. */
LINKD_MUST_CHECK int lk_once_read(const lk_request *request,
                                  linkd_once *ret_once, linkd_error *err);
/* Adds Idempotency-Replayed: true, if it was. */
LINKD_MUST_CHECK int lk_once_mark(lk_response *response, lk_request *request,
                                  bool replayed, linkd_error *err);

#endif
