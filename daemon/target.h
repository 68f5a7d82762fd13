/* daemon/target.h — private: the collection that a request is about. */
#ifndef LK_DAEMON_TARGET_H
#define LK_DAEMON_TARGET_H

#include "daemon/models.h"
#include "daemon/service.h"

typedef struct lk_target {
    linkd_str name;
    linkd_collection_info info;
    linkd_settings settings;
    lk_model *model; /* NULL: vectors come ready-made */
    lk_model_embedder storage;
    linkd_embedder embedder; /* over the model, of records unless storage.use is
                                changed; stops with the request */
} lk_target;

/* The collection of the route's first parameter, and its model. Borrows the
 * request, and lives as long.
 * LINKD_E_ABSENT: there is no such collection, or its model is gone from the
 * model store. LINKD_E_CONFLICT: the model there is another one than made the
 * collection's vectors. */
LINKD_MUST_CHECK int lk_target_open(lk_service *service, lk_request *request,
                                    lk_urgency urgency, lk_target *ret_target,
                                    linkd_error *err);

/* The same without the model. */
LINKD_MUST_CHECK int lk_target_describe(lk_service *service,
                                        lk_request *request,
                                        lk_target *ret_target,
                                        linkd_error *err);

#endif
