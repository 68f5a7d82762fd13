/* daemon/roles.c — users, groups and the token, resolved at start.
 *
 * Asking who a name is may go over a network (NSS), so it happens once, before
 * the loop runs. A connection is judged by numbers: SO_PEERCRED and
 * SO_PEERGROUPS are what the peer was when it connected, as the kernel knows
 * it. Its groups are those it really has, not those its user's name would get.
 *
 * When nothing is configured, the socket's mode alone decides who comes in, and
 * whoever does may do everything. */
#include "daemon/roles.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define TOKEN_MIN_BYTES 16   /* guess: 96 random bits as base64 */
#define TOKEN_MAX_BYTES 4096 /* below what fits in a head */

typedef struct id_set {
    unsigned *items;
    size_t n;
    size_t capacity;
} id_set;
_Static_assert(sizeof(uid_t) == sizeof(unsigned) &&
                   sizeof(gid_t) == sizeof(unsigned),
               "both are kept as unsigned");

struct lk_roles {
    uid_t own;
    bool is_open; /* nobody is named: whoever may connect is admin */
    id_set admin_users;
    id_set write_groups;
    id_set read_groups;
    char *token; /* NULL: no TCP */
    size_t token_len;
};

/* ---- names to numbers --------------------------------------------------- */

static int user_find(const char *name, unsigned *ret_number, linkd_error *err)
{
    const struct passwd *entry = getpwnam(name);

    if (entry == NULL)
        return lk_fail(err, LINKD_E_ARG, "admin-user: there is no user \"%s\"",
                       name);
    *ret_number = entry->pw_uid;
    return LINKD_OK;
}

static int group_find(const char *name, unsigned *ret_number, linkd_error *err)
{
    const struct group *entry = getgrnam(name);

    if (entry == NULL)
        return lk_fail(err, LINKD_E_ARG, "there is no group \"%s\"", name);
    *ret_number = entry->gr_gid;
    return LINKD_OK;
}

typedef int find_fn(const char *name, unsigned *ret_number, linkd_error *err);

/* Adds the number of each of the names between commas. */
static int ids_read(const char *names, find_fn *find, id_set *ids,
                    linkd_error *err)
{
    char *copy = strdup(names == NULL ? "" : names);
    char *rest = copy;
    const char *name;
    int rc = LINKD_OK;

    if (copy == NULL)
        return lk_fail_nomem(err);
    while (rc == LINKD_OK && (name = strsep(&rest, ",")) != NULL) {
        void *items = ids->items;
        unsigned number = 0;

        name += strspn(name, " ");
        if (name[0] == '\0')
            continue;
        rc = find(name, &number, err);
        if (rc == LINKD_OK)
            rc = lk_grow(&items, &ids->capacity, ids->n + 1,
                         sizeof(*ids->items), err);
        ids->items = items;
        if (rc == LINKD_OK)
            ids->items[ids->n++] = number;
    }
    free(copy);
    return rc;
}

static bool ids_have(const id_set *ids, unsigned number)
{
    for (size_t i = 0; i < ids->n; i++) {
        if (ids->items[i] == number)
            return true;
    }
    return false;
}

/* ---- the token ---------------------------------------------------------- */

static int token_check(const char *token, size_t len, const char *path,
                       linkd_error *err)
{
    if (len < TOKEN_MIN_BYTES)
        return lk_fail(err, LINKD_E_ARG,
                       "the token in %s is shorter than %d characters", path,
                       TOKEN_MIN_BYTES);
    for (size_t i = 0; i < len; i++) {
        if (token[i] <= ' ' || token[i] > '~')
            return lk_fail(err, LINKD_E_ARG,
                           "the token in %s has a character that is not "
                           "printable ASCII",
                           path);
    }
    return LINKD_OK;
}

static int token_fail(const char *path, linkd_error *err)
{
    return lk_fail(err, LINKD_E_IO, "could not read token file %s: %s", path,
                   strerror(errno));
}

static int file_check(int fd, const char *path, linkd_error *err)
{
    struct stat info;

    if (fstat(fd, &info) != 0)
        return token_fail(path, err);
    if ((info.st_mode & 0007) != 0)
        return lk_fail(err, LINKD_E_ARG,
                       "token file %s can be read or written by others: "
                       "chmod o= it",
                       path);
    return LINKD_OK;
}

static int token_parse(lk_roles *roles, char *text, size_t len,
                       const char *path, linkd_error *err)
{
    int rc;

    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
        len--;
    rc = token_check(text, len, path, err);
    if (rc != LINKD_OK)
        return rc;
    roles->token = strndup(text, len);
    if (roles->token == NULL)
        return lk_fail_nomem(err);
    roles->token_len = len;
    return LINKD_OK;
}

static int token_read(lk_roles *roles, const char *path, linkd_error *err)
{
    char text[TOKEN_MAX_BYTES];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n;
    int rc;

    if (fd < 0)
        return token_fail(path, err);
    rc = file_check(fd, path, err);
    if (rc != LINKD_OK)
        goto done;
    n = read(fd, text, sizeof(text));
    if (n < 0)
        rc = token_fail(path, err);
    else if ((size_t)n == sizeof(text))
        rc = lk_fail(err, LINKD_E_ARG, "the token in %s is too long", path);
    else
        rc = token_parse(roles, text, (size_t)n, path, err);
    explicit_bzero(text, sizeof(text));
done:
    (void)close(fd);
    return rc;
}

/* The time depends on what was sent only: it tells nothing of the token. */
static bool token_matches(const lk_roles *roles, const char *sent, size_t len)
{
    volatile unsigned char differs = len != roles->token_len;

    for (size_t i = 0; i < len; i++)
        differs |=
            (unsigned char)(sent[i] ^ roles->token[i % roles->token_len]);
    return differs == 0;
}

/* ---- roles -------------------------------------------------------------- */

int lk_roles_new(const lk_config *config, lk_roles **ret_roles,
                 linkd_error *err)
{
    lk_roles *roles = calloc(1, sizeof(*roles));
    int rc;

    if (roles == NULL)
        return lk_fail_nomem(err);
    roles->own = geteuid();
    rc = ids_read(config->admin_users, user_find, &roles->admin_users, err);
    if (rc == LINKD_OK)
        rc = ids_read(config->write_groups, group_find, &roles->write_groups,
                      err);
    if (rc == LINKD_OK)
        rc =
            ids_read(config->read_groups, group_find, &roles->read_groups, err);
    if (rc == LINKD_OK && config->token_file != NULL)
        rc = token_read(roles, config->token_file, err);
    if (rc != LINKD_OK) {
        lk_roles_free(roles);
        return rc;
    }
    roles->is_open =
        roles->admin_users.n + roles->write_groups.n + roles->read_groups.n ==
        0;
    *ret_roles = roles;
    return LINKD_OK;
}

void lk_roles_free(lk_roles *roles)
{
    if (roles == NULL)
        return;
    free(roles->admin_users.items);
    free(roles->write_groups.items);
    free(roles->read_groups.items);
    if (roles->token != NULL)
        explicit_bzero(roles->token, roles->token_len);
    free(roles->token);
    free(roles);
}

static lk_role role_of_group(const lk_roles *roles, gid_t group)
{
    if (ids_have(&roles->write_groups, group))
        return LK_ROLE_WRITE;
    if (ids_have(&roles->read_groups, group))
        return LK_ROLE_READ;
    return LK_ROLE_NONE;
}

static int peer_fail(linkd_error *err)
{
    return lk_fail(err, LINKD_E_IO, "could not ask who connected: %s",
                   strerror(errno));
}

/* The highest role that one of the peer's further groups has, or `*role`. */
static int role_of_groups(const lk_roles *roles, int fd, lk_role *role,
                          linkd_error *err)
{
    socklen_t len = 0;
    gid_t *groups;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &len) == 0)
        return LINKD_OK; /* it has none */
    if (errno != ERANGE)
        return peer_fail(err);
    groups = malloc(len);
    if (groups == NULL)
        return lk_fail_nomem(err);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) != 0) {
        free(groups);
        return peer_fail(err);
    }
    for (size_t i = 0; i < len / sizeof(*groups); i++) {
        lk_role candidate = role_of_group(roles, groups[i]);

        *role = candidate > *role ? candidate : *role;
    }
    free(groups);
    return LINKD_OK;
}

int lk_roles_of_peer(const lk_roles *roles, int fd, lk_role *ret_role,
                     linkd_error *err)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);
    lk_role role;
    int rc;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0)
        return peer_fail(err);
    if (roles->is_open || peer.uid == 0 || peer.uid == roles->own ||
        ids_have(&roles->admin_users, peer.uid)) {
        *ret_role = LK_ROLE_ADMIN;
        return LINKD_OK;
    }
    role = role_of_group(roles, peer.gid);
    rc = role_of_groups(roles, fd, &role, err);
    if (rc == LINKD_OK)
        *ret_role = role;
    return rc;
}

lk_role lk_roles_of_token(const lk_roles *roles, linkd_str authorization)
{
    static const char scheme[] = "Bearer ";
    size_t skip = sizeof(scheme) - 1;

    if (roles->token == NULL || authorization.len <= skip ||
        strncasecmp(authorization.bytes, scheme, skip) != 0)
        return LK_ROLE_NONE;
    while (skip < authorization.len && authorization.bytes[skip] == ' ')
        skip++;
    return token_matches(roles, authorization.bytes + skip,
                         authorization.len - skip)
               ? LK_ROLE_ADMIN
               : LK_ROLE_NONE;
}
