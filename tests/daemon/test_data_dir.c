#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/data_dir.h"

typedef struct fixture {
    char top[64];
    char parent[96];
    char dir[128];
    int lock;
    linkd_error err;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    (void)snprintf(f->top, sizeof(f->top), "/tmp/linkd-data-XXXXXX");
    assert_non_null(mkdtemp(f->top));
    (void)snprintf(f->parent, sizeof(f->parent), "%s/a", f->top);
    (void)snprintf(f->dir, sizeof(f->dir), "%s/b", f->parent);
    f->lock = -1;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;

    if (f->lock >= 0)
        close(f->lock);
    (void)rmdir(f->dir);
    (void)unlink(f->parent);
    (void)rmdir(f->parent);
    assert_int_equal(rmdir(f->top), 0);
    free(f);
    return 0;
}

static void the_directory_and_its_parents_are_made_for_the_owner(void **state)
{
    fixture *f = *state;
    struct stat info;

    assert_int_equal(lk_data_dir_lock(f->dir, &f->lock, &f->err), LINKD_OK);
    assert_int_equal(stat(f->dir, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
}

static void only_one_can_have_it_and_the_next_after_that(void **state)
{
    fixture *f = *state;
    char message[256];
    int second = -1;

    (void)snprintf(message, sizeof(message),
                   "data directory \"%s\" is in use by another linkd", f->dir);
    assert_int_equal(lk_data_dir_lock(f->dir, &f->lock, &f->err), LINKD_OK);
    assert_int_equal(lk_data_dir_lock(f->dir, &second, &f->err), LINKD_E_BUSY);
    assert_string_equal(f->err.message, message);
    assert_int_equal(second, -1);
    close(f->lock);
    assert_int_equal(lk_data_dir_lock(f->dir, &f->lock, &f->err), LINKD_OK);
}

static void a_file_in_its_place_is_an_error(void **state)
{
    fixture *f = *state;
    FILE *file = fopen(f->parent, "w");

    assert_non_null(file);
    (void)fclose(file);
    assert_int_equal(lk_data_dir_lock(f->parent, &f->lock, &f->err),
                     LINKD_E_IO);
    assert_non_null(strstr(f->err.message, "Not a directory"));
    assert_int_equal(lk_data_dir_lock(f->dir, &f->lock, &f->err), LINKD_E_IO);
    assert_non_null(strstr(f->err.message, "Not a directory"));
}

static void directories_inside_are_made_once_and_then_found(void **state)
{
    fixture *f = *state;
    char *path = NULL;

    for (int i = 0; i < 2; i++) {
        assert_int_equal(lk_data_dir_make(f->top, "a", &path, &f->err),
                         LINKD_OK);
        assert_string_equal(path, f->parent);
        free(path);
    }
    assert_int_equal(access(f->parent, X_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(the_directory_and_its_parents_are_made_for_the_owner),
        TEST(only_one_can_have_it_and_the_next_after_that),
        TEST(a_file_in_its_place_is_an_error),
        TEST(directories_inside_are_made_once_and_then_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
