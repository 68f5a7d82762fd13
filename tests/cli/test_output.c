#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/output.h"
#include "tests/cli/scratch_dir.h"

static lk_output *open_output(const char *path)
{
    lk_output *output = NULL;
    linkd_error err;

    assert_int_equal(lk_output_open(path, NULL, 0, &output, &err), LINKD_OK);
    return output;
}

static void assert_file(const char *path, const char *text)
{
    char *bytes = file_read(path, NULL);

    assert_string_equal(bytes, text);
    free(bytes);
}

static void a_file_appears_with_the_commit_and_not_before(void **state)
{
    lk_output *output = open_output("pairs.csv");
    linkd_error err;

    (void)state;
    assert_int_equal(lk_output_write(output, "a,b\n", 4, &err), LINKD_OK);
    assert_int_equal(access("pairs.csv", F_OK), -1);
    assert_int_equal(lk_output_commit(&output, 1, &err), LINKD_OK);
    lk_output_close(output);
    assert_file("pairs.csv", "a,b\n");
    assert_int_equal(files_count(), 1);
}

static void without_a_commit_the_old_file_stays_and_nothing_else(void **state)
{
    lk_output *output;
    linkd_error err;

    (void)state;
    file_write("pairs.csv", "old");
    output = open_output("pairs.csv");
    assert_int_equal(lk_output_write(output, "new", 3, &err), LINKD_OK);
    lk_output_close(output);
    assert_file("pairs.csv", "old");
    assert_int_equal(files_count(), 1);
}

static void more_than_the_buffer_arrives_in_order(void **state)
{
    lk_output *output = open_output("long");
    linkd_error err;
    char line[1000];
    char *bytes;
    size_t len;

    (void)state;
    for (size_t i = 0; i < 300; i++) {
        memset(line, 'a' + (int)(i % 26), sizeof(line));
        assert_int_equal(lk_output_write(output, line, sizeof(line), &err),
                         LINKD_OK);
    }
    assert_int_equal(lk_output_commit(&output, 1, &err), LINKD_OK);
    lk_output_close(output);
    bytes = file_read("long", &len);
    assert_int_equal(len, 300000);
    for (size_t i = 0; i < len; i++)
        assert_int_equal(bytes[i], 'a' + (int)(i / 1000 % 26));
    free(bytes);
}

static void the_replaced_file_keeps_its_mode_and_its_links(void **state)
{
    struct stat st;
    lk_output *output;
    linkd_error err;

    (void)state;
    file_write("target", "old");
    assert_int_equal(chmod("target", 0640), 0);
    assert_int_equal(symlink("target", "link"), 0);
    output = open_output("link");
    assert_int_equal(lk_output_write(output, "new", 3, &err), LINKD_OK);
    assert_int_equal(lk_output_commit(&output, 1, &err), LINKD_OK);
    lk_output_close(output);
    assert_file("target", "new");
    assert_int_equal(lstat("link", &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(stat("target", &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
}

static void a_link_to_nothing_stays_and_what_it_names_is_made(void **state)
{
    struct stat st;
    lk_output *output;
    linkd_error err;

    (void)state;
    assert_int_equal(mkdir("dir", 0755), 0);
    assert_int_equal(symlink("dir/inner", "link"), 0);
    assert_int_equal(symlink("target", "dir/inner"), 0);
    output = open_output("link");
    assert_int_equal(lk_output_write(output, "new", 3, &err), LINKD_OK);
    assert_int_equal(lk_output_commit(&output, 1, &err), LINKD_OK);
    lk_output_close(output);
    assert_file("dir/target", "new");
    assert_int_equal(lstat("link", &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(unlink("dir/inner"), 0);
    assert_int_equal(unlink("dir/target"), 0);
    assert_int_equal(rmdir("dir"), 0);
}

static void the_longest_name_that_is_legal_can_be_written(void **state)
{
    char name[NAME_MAX + 2];
    lk_output *output;
    linkd_error err;

    (void)state;
    memset(name, 'n', sizeof(name));
    name[NAME_MAX] = '\0';
    output = open_output(name);
    assert_int_equal(lk_output_commit(&output, 1, &err), LINKD_OK);
    lk_output_close(output);
    assert_file(name, "");
}

static void
a_name_that_is_too_long_is_told_at_once_with_the_reason(void **state)
{
    char name[NAME_MAX + 2];
    lk_output *output = NULL;
    linkd_error err;

    (void)state;
    memset(name, 'n', sizeof(name));
    name[NAME_MAX + 1] = '\0';
    assert_int_equal(lk_output_open(name, NULL, 0, &output, &err), LINKD_E_IO);
    assert_non_null(strstr(err.message, "nn: File name too long"));
}

static void an_input_is_never_written(void **state)
{
    const char *inputs[] = {"-", "in.csv"};
    lk_output *output = NULL;
    linkd_error err;

    (void)state;
    file_write("in.csv", "rows");
    assert_int_equal(symlink("in.csv", "alias.csv"), 0);
    assert_int_equal(lk_output_open("./alias.csv", inputs, 2, &output, &err),
                     LINKD_E_ARG);
    assert_string_equal(err.message,
                        "cannot write ./alias.csv: it is also read");
    assert_null(output);
}

static void the_same_file_cannot_be_written_twice_at_once(void **state)
{
    lk_output *first = open_output("a.csv");
    lk_output *second = NULL;
    linkd_error err;

    (void)state;
    assert_int_equal(lk_output_open("./a.csv", NULL, 0, &second, &err),
                     LINKD_E_ARG);
    assert_memory_equal(err.message, "cannot write ./a.csv twice at once", 34);
    assert_int_equal(lk_output_commit(&first, 1, &err), LINKD_OK);
    lk_output_close(first);
    assert_file("a.csv", "");
}

static void a_place_that_does_not_exist_is_named_at_once(void **state)
{
    lk_output *output = NULL;
    linkd_error err;

    (void)state;
    assert_int_equal(lk_output_open("no/pairs.csv", NULL, 0, &output, &err),
                     LINKD_E_IO);
    assert_string_equal(
        err.message, "could not write no/pairs.csv: No such file or directory");
    assert_int_equal(lk_output_open(".", NULL, 0, &output, &err), LINKD_E_IO);
    assert_string_equal(err.message, "could not write .: Is a directory");
}

static void a_full_disk_fails_the_commit_of_all_outputs(void **state)
{
    lk_output *outputs[] = {open_output("good.csv"), open_output("/dev/full")};
    linkd_error err;

    (void)state;
    assert_int_equal(lk_output_write(outputs[0], "x", 1, &err), LINKD_OK);
    assert_int_equal(lk_output_write(outputs[1], "x", 1, &err), LINKD_OK);
    assert_int_equal(lk_output_commit(outputs, 2, &err), LINKD_E_IO);
    assert_string_equal(err.message,
                        "could not write /dev/full: No space left on device");
    lk_output_close(outputs[0]);
    lk_output_close(outputs[1]);
    assert_int_equal(files_count(), 0);
}

static void a_device_is_written_and_not_replaced(void **state)
{
    lk_output *output = open_output("/dev/null");
    struct stat st;
    linkd_error err;

    (void)state;
    assert_false(lk_output_is_file(output));
    assert_int_equal(lk_output_write(output, "x", 1, &err), LINKD_OK);
    assert_int_equal(lk_output_commit(&output, 1, &err), LINKD_OK);
    lk_output_close(output);
    assert_int_equal(stat("/dev/null", &st), 0);
    assert_true(S_ISCHR(st.st_mode));
}

static void a_patch_changes_what_was_written_before(void **state)
{
    lk_output *output = open_output("patched");
    linkd_error err;

    (void)state;
    assert_int_equal(lk_output_write(output, "....rest", 8, &err), LINKD_OK);
    assert_int_equal(lk_output_patch(output, 0, "head", 4, &err), LINKD_OK);
    assert_int_equal(lk_output_write(output, "!", 1, &err), LINKD_OK);
    assert_int_equal(lk_output_commit(&output, 1, &err), LINKD_OK);
    lk_output_close(output);
    assert_file("patched", "headrest!");
}

int main(void)
{
#define TEST(name)                                                             \
 cmocka_unit_test_setup_teardown(name, scratch_dir_enter, scratch_dir_leave)
    const struct CMUnitTest tests[] = {
        TEST(a_file_appears_with_the_commit_and_not_before),
        TEST(without_a_commit_the_old_file_stays_and_nothing_else),
        TEST(more_than_the_buffer_arrives_in_order),
        TEST(the_replaced_file_keeps_its_mode_and_its_links),
        TEST(a_link_to_nothing_stays_and_what_it_names_is_made),
        TEST(the_longest_name_that_is_legal_can_be_written),
        TEST(a_name_that_is_too_long_is_told_at_once_with_the_reason),
        TEST(an_input_is_never_written),
        TEST(the_same_file_cannot_be_written_twice_at_once),
        TEST(a_place_that_does_not_exist_is_named_at_once),
        TEST(a_full_disk_fails_the_commit_of_all_outputs),
        TEST(a_device_is_written_and_not_replaced),
        TEST(a_patch_changes_what_was_written_before),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
