/* daemon/roles.h — private: who may do what. On the Unix socket the peer's user
 * and groups decide, once for a connection; over TCP the token, with every
 * request. */
#ifndef LK_DAEMON_ROLES_H
#define LK_DAEMON_ROLES_H

#include "daemon/config.h"
#include "daemon/request.h"

typedef struct lk_roles lk_roles;

/* Looks up the users and groups of the config and reads the token.
 * LINKD_E_ARG: there is no such user or group; others may read the token's
 * file; the token is too short; TCP without a token. LINKD_E_IO. */
LINKD_MUST_CHECK int lk_roles_new(const lk_config *config, lk_roles **ret_roles,
                                  linkd_error *err);
void lk_roles_free(lk_roles *roles);

/* The role of who connected to the Unix socket as `fd`. Asks the kernel only:
 * fit for the loop. LINKD_E_IO: it does not say, LK_ROLE_NONE is then right. */
LINKD_MUST_CHECK int lk_roles_of_peer(const lk_roles *roles, int fd,
                                      lk_role *ret_role, linkd_error *err);
/* The role by the value of the header Authorization (may be empty): admin for
 * "Bearer <token>", else none. Takes as long for every wrong token. */
lk_role lk_roles_of_token(const lk_roles *roles, linkd_str authorization);

#endif
