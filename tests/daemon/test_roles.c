#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/roles.h"

#define TOKEN "0123456789abcdef"

typedef struct fixture {
    lk_config config;
    lk_roles *roles;
    linkd_error err;
    char path[64];
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;

    lk_roles_free(f->roles);
    if (f->path[0] != '\0')
        (void)unlink(f->path);
    free(f);
    return 0;
}

static void token_write(fixture *f, const char *token, mode_t mode)
{
    int fd;

    (void)snprintf(f->path, sizeof(f->path), "/tmp/linkd-token-XXXXXX");
    fd = mkstemp(f->path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, token, strlen(token)), strlen(token));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
    f->config.token_file = f->path;
}

static int roles_make(fixture *f)
{
    return lk_roles_new(&f->config, &f->roles, &f->err);
}

static lk_role role_of(const fixture *f, const char *header)
{
    return lk_roles_of_token(f->roles, (linkd_str){header, strlen(header)});
}

static void the_token_makes_an_admin_and_nothing_else_does(void **state)
{
    fixture *f = *state;

    token_write(f, TOKEN "\n", 0600);
    assert_int_equal(roles_make(f), LINKD_OK);
    assert_int_equal(role_of(f, "Bearer " TOKEN), LK_ROLE_ADMIN);
    assert_int_equal(role_of(f, "bearer  " TOKEN), LK_ROLE_ADMIN);
    assert_int_equal(role_of(f, ""), LK_ROLE_NONE);
    assert_int_equal(role_of(f, "Bearer "), LK_ROLE_NONE);
    assert_int_equal(role_of(f, "Bearer 0123456789abcdeX"), LK_ROLE_NONE);
    assert_int_equal(role_of(f, "Bearer 0123456789abcde"), LK_ROLE_NONE);
    assert_int_equal(role_of(f, "Bearer " TOKEN TOKEN), LK_ROLE_NONE);
    assert_int_equal(role_of(f, "Basic " TOKEN), LK_ROLE_NONE);
    assert_int_equal(role_of(f, TOKEN), LK_ROLE_NONE);
}

static void without_a_token_none_is_accepted(void **state)
{
    fixture *f = *state;

    assert_int_equal(roles_make(f), LINKD_OK);
    assert_int_equal(role_of(f, "Bearer " TOKEN), LK_ROLE_NONE);
    assert_int_equal(role_of(f, "Bearer "), LK_ROLE_NONE);
}

typedef struct bad_token {
    const char *token;
    mode_t mode;
    const char *message; /* its part after the path */
} bad_token;

static void a_token_that_is_weak_or_open_is_refused(void **state)
{
    static const bad_token tokens[] = {
        {TOKEN, 0604, " can be read or written by others: chmod o= it"},
        {"0123456789abcde\n", 0600, " is shorter than 16 characters"},
        {"", 0600, " is shorter than 16 characters"},
        {"0123456789 abcdef", 0600,
         " has a character that is not printable ASCII"},
    };
    fixture *f = *state;

    for (size_t i = 0; i < sizeof(tokens) / sizeof(*tokens); i++) {
        token_write(f, tokens[i].token, tokens[i].mode);
        assert_int_equal(roles_make(f), LINKD_E_ARG);
        assert_non_null(strstr(f->err.message, tokens[i].message));
        assert_int_equal(unlink(f->path), 0);
    }
    assert_int_equal(roles_make(f), LINKD_E_IO); /* it is gone */
}

static void users_and_groups_that_do_not_exist_are_errors(void **state)
{
    fixture *f = *state;
    char user[] = "root, nobody-of-that-name";
    char group[] = "no-such-group";

    f->config.admin_users = user;
    assert_int_equal(roles_make(f), LINKD_E_ARG);
    assert_string_equal(f->err.message,
                        "admin-user: there is no user \"nobody-of-that-name\"");
    f->config.admin_users = NULL;
    f->config.read_groups = group;
    assert_int_equal(roles_make(f), LINKD_E_ARG);
    assert_string_equal(f->err.message, "there is no group \"no-such-group\"");
}

/* The role of a process with these ids, which needs root to become it. */
static lk_role role_as(fixture *f, uid_t user, gid_t group, gid_t further)
{
    int ends[2];
    int status = 0;
    lk_role role = LK_ROLE_NONE;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child > 0) {
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        return (lk_role)WEXITSTATUS(status);
    }
    /* a pair's peer is who made it */
    if (setgroups(1, &further) != 0 || setgid(group) != 0 ||
        setuid(user) != 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0 ||
        lk_roles_of_peer(f->roles, ends[0], &role, NULL) != LINKD_OK)
        _exit(99);
    _exit((int)role);
}

static void the_daemon_s_own_user_is_admin(void **state)
{
    fixture *f = *state;
    lk_role role = LK_ROLE_NONE;
    char group[] = "daemon";
    int ends[2];

    f->config.read_groups = group; /* so that not everybody is */
    assert_int_equal(roles_make(f), LINKD_OK);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(lk_roles_of_peer(f->roles, ends[0], &role, &f->err),
                     LINKD_OK);
    assert_int_equal(role, LK_ROLE_ADMIN);
    close(ends[0]);
    close(ends[1]);
}

static gid_t group_id(const char *name)
{
    const struct group *group = getgrnam(name);

    assert_non_null(group);
    return group->gr_gid;
}

static void groups_decide_for_everybody_else(void **state)
{
    fixture *f = *state;
    char user[] = "bin";
    char write_group[] = "sys";
    char read_group[] = "daemon,tty";
    uid_t admin_id;
    gid_t writers_id, readers_id;

    if (geteuid() != 0 || getpwnam(user) == NULL)
        skip();
    admin_id = getpwnam(user)->pw_uid;
    writers_id = group_id(write_group);
    readers_id = group_id("tty");
    f->config.admin_users = user;
    f->config.write_groups = write_group;
    f->config.read_groups = read_group;
    assert_int_equal(roles_make(f), LINKD_OK);
    assert_int_equal(role_as(f, admin_id, 65534, 65534), LK_ROLE_ADMIN);
    assert_int_equal(role_as(f, 65534, writers_id, 65534), LK_ROLE_WRITE);
    assert_int_equal(role_as(f, 65534, 65534, writers_id), LK_ROLE_WRITE);
    assert_int_equal(role_as(f, 65534, readers_id, writers_id), LK_ROLE_WRITE);
    assert_int_equal(role_as(f, 65534, 65534, readers_id), LK_ROLE_READ);
    assert_int_equal(role_as(f, 65534, 65534, 65534), LK_ROLE_NONE);
}

static void without_names_whoever_may_connect_is_admin(void **state)
{
    fixture *f = *state;

    if (geteuid() != 0)
        skip();
    assert_int_equal(roles_make(f), LINKD_OK);
    assert_int_equal(role_as(f, 65534, 65534, 65534), LK_ROLE_ADMIN);
}

static void what_is_no_socket_has_no_role(void **state)
{
    fixture *f = *state;
    lk_role role = LK_ROLE_NONE;

    assert_int_equal(roles_make(f), LINKD_OK);
    assert_int_equal(lk_roles_of_peer(f->roles, -1, &role, &f->err),
                     LINKD_E_IO);
    assert_int_equal(role, LK_ROLE_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(the_token_makes_an_admin_and_nothing_else_does),
        TEST(without_a_token_none_is_accepted),
        TEST(a_token_that_is_weak_or_open_is_refused),
        TEST(users_and_groups_that_do_not_exist_are_errors),
        TEST(the_daemon_s_own_user_is_admin),
        TEST(groups_decide_for_everybody_else),
        TEST(without_names_whoever_may_connect_is_admin),
        TEST(what_is_no_socket_has_no_role),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
