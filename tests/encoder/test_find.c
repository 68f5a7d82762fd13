/* Where a model is looked for. */
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

#include "encoder/encoder.h"

typedef struct fixture {
    char store[64];
    char model[80];
    lk_buf path;
    linkd_error err;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    (void)snprintf(f->store, sizeof(f->store), "/tmp/linkd-store-XXXXXX");
    assert_non_null(mkdtemp(f->store));
    (void)snprintf(f->model, sizeof(f->model), "%s/mini", f->store);
    assert_int_equal(mkdir(f->model, 0700), 0);
    setenv("LINKD_MODELS", f->store, 1);
    setenv("XDG_DATA_HOME", "/x/data", 1);
    setenv("HOME", "/home/x", 1);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;

    assert_int_equal(rmdir(f->model), 0);
    assert_int_equal(rmdir(f->store), 0);
    lk_buf_clear(&f->path);
    free(f);
    return 0;
}

static void a_name_is_found_in_the_store(void **state)
{
    fixture *f = *state;

    assert_int_equal(linkd_encoder_find("mini", &f->path, &f->err), LINKD_OK);
    assert_string_equal(f->path.data, f->model);
}

static void a_directory_is_taken_as_it_is(void **state)
{
    fixture *f = *state;

    assert_int_equal(linkd_encoder_find(f->store, &f->path, &f->err), LINKD_OK);
    assert_string_equal(f->path.data, f->store);
}

static void a_name_that_is_nowhere_says_where_it_was_looked_for(void **state)
{
    fixture *f = *state;
    char expected[160];

    (void)snprintf(expected, sizeof(expected),
                   "there is no model \"maxi\": looked for a directory of that "
                   "name here and in %s",
                   f->store);
    assert_int_equal(linkd_encoder_find("maxi", &f->path, &f->err),
                     LINKD_E_ARG);
    assert_string_equal(f->err.message, expected);
}

static void a_path_is_never_looked_up_in_the_store(void **state)
{
    fixture *f = *state;

    assert_int_equal(linkd_encoder_find("../mini", &f->path, &f->err),
                     LINKD_E_ARG);
    assert_string_equal(f->err.message,
                        "there is no model directory \"../mini\"");
    assert_int_equal(linkd_encoder_find("", &f->path, &f->err), LINKD_E_ARG);
}

static void the_store_follows_the_environment(void **state)
{
    fixture *f = *state;

    assert_int_equal(linkd_encoder_store_path(&f->path, NULL), LINKD_OK);
    assert_string_equal(f->path.data, f->store);
    setenv("LINKD_MODELS", "", 1);
    assert_int_equal(linkd_encoder_store_path(&f->path, NULL), LINKD_OK);
    assert_string_equal(f->path.data, "/x/data/linkd/models");
    unsetenv("XDG_DATA_HOME");
    assert_int_equal(linkd_encoder_store_path(&f->path, NULL), LINKD_OK);
    assert_string_equal(f->path.data, "/home/x/.local/share/linkd/models");
    unsetenv("HOME");
    assert_int_equal(linkd_encoder_store_path(&f->path, &f->err), LINKD_E_ARG);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_name_is_found_in_the_store),
        TEST(a_directory_is_taken_as_it_is),
        TEST(a_name_that_is_nowhere_says_where_it_was_looked_for),
        TEST(a_path_is_never_looked_up_in_the_store),
        TEST(the_store_follows_the_environment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
