/* daemon/routes.h — private: the table that requests are routed by, and from
 * which /openapi.json is made. */
#ifndef LK_DAEMON_ROUTES_H
#define LK_DAEMON_ROUTES_H

#include "daemon/request.h"

typedef struct lk_service lk_service;

/* On a worker. A failure becomes a problem document. */
typedef int lk_handler(lk_service *service, lk_request *request,
                       lk_response *response, linkd_error *err);

/* Which workers run it. */
typedef enum lk_lane {
    LK_LANE_LOOP,  /* none: answered on the loop at once; must not block */
    LK_LANE_READ,  /* searches and whatever people wait for */
    LK_LANE_WRITE, /* bulk writes */
    LK_LANE_EMBED, /* encoding for others, by the thousand: behind minutes of
                      it no search may wait for a worker */
    LK_N_LANES
} lk_lane;

typedef struct lk_route {
    lk_method method;
    const char *path; /* "/v1/collections/{collection}" */
    lk_handler *handler;
    lk_role role;
    lk_lane lane;
    size_t max_body;      /* bytes; 0: no body */
    bool body_to_file;    /* the body may be large: see lk_service.upload_dir */
    const char *name;     /* operationId */
    const char *summary;  /* for people */
    const char *request;  /* JSON schema of the body, or NULL */
    const char *response; /* JSON schema of the answer, or NULL */
} lk_route;

extern const lk_route lk_routes[];
extern const size_t lk_n_routes;

/* The route of a request, its params filled in. LINKD_E_ABSENT: no such path.
 * LINKD_E_CONFLICT: the path has other methods; `ret_allow` receives them as
 * "GET, PUT". LINKD_E_ARG: a parameter is not valid UTF-8. */
LINKD_MUST_CHECK int lk_routes_find(lk_request *request,
                                    const lk_route **ret_route,
                                    lk_buf *ret_allow, linkd_error *err);

#endif
