#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"

static void a_full_disk_and_a_used_up_quota_are_full(void **state)
{
    (void)state;
    assert_int_equal(lk_errno_code(ENOSPC), LINKD_E_FULL);
    assert_int_equal(lk_errno_code(EDQUOT), LINKD_E_FULL);
    assert_int_equal(lk_errno_code(EIO), LINKD_E_IO);
    assert_int_equal(lk_errno_code(ENOENT), LINKD_E_IO);
}

static void a_directory_that_is_there_is_synced(void **state)
{
    linkd_error err;

    (void)state;
    assert_int_equal(lk_dir_sync(".", &err), LINKD_OK);
}

static void what_is_no_directory_is_named(void **state)
{
    linkd_error err;

    (void)state;
    assert_int_equal(lk_dir_sync("no/such/place", &err), LINKD_E_ABSENT);
    assert_string_equal(err.message,
                        "could not open directory \"no/such/place\": No such "
                        "file or directory");
    assert_int_equal(lk_dir_sync("/dev/null", &err), LINKD_E_IO);
    assert_string_equal(
        err.message, "could not open directory \"/dev/null\": Not a directory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_disk_and_a_used_up_quota_are_full),
        cmocka_unit_test(a_directory_that_is_there_is_synced),
        cmocka_unit_test(what_is_no_directory_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
