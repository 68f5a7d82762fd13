/* Tables of pictures to entities, with pictures of tests/golden/image. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "linkage/linkage.h"
#include "tests/linkage/scratch.h"
#include "tests/support/alloc_fail.h"

static char golden[1024];

typedef struct fixture {
    linkd_table *table;
    lk_pool *pool;
    linkd_dedup_images_options options;
    linkd_dedup_result result;
    linkd_image_problems problems;
    linkd_error err;
} fixture;

static int group_begin(void **state)
{
    char here[900];

    if (getcwd(here, sizeof(here)) == NULL)
        return 1;
    (void)snprintf(golden, sizeof(golden), "%s/tests/golden/image", here);
    return scratch_enter(state);
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    assert_int_equal(lk_pool_new(2, &f->pool, &f->err), LINKD_OK);
    f->options =
        (linkd_dedup_images_options){.column = 1,
                                     .max_distance = LINKD_DEDUP_DISTANCE,
                                     .image = LINKD_IMAGE_OPTIONS_INIT,
                                     .cluster = LINKD_CLUSTER_COMPLETE};
    *state = f;
    return 0;
}

static void results_clear(fixture *f)
{
    linkd_dedup_result_clear(&f->result);
    lk_buf_clear(&f->problems.lines);
    f->problems = (linkd_image_problems){0};
}

static int tear_down(void **state)
{
    fixture *f = *state;

    results_clear(f);
    linkd_table_free(f->table);
    lk_pool_free(f->pool);
    free(f);
    return 0;
}

/* A table of ids and pictures; "@" in a picture is the golden directory. */
static void table_make(fixture *f, const char *const *pictures, size_t n)
{
    lk_buf csv = {0};

    assert_int_equal(lk_buf_printf(&csv, NULL, "id,picture\n"), LINKD_OK);
    for (size_t i = 0; i < n; i++) {
        const char *at = strchr(pictures[i], '@');
        int rc =
            at == NULL
                ? lk_buf_printf(&csv, NULL, "r%zu,\"%s\"\n", i, pictures[i])
                : lk_buf_printf(&csv, NULL, "r%zu,%s%s\n", i, golden, at + 1);

        assert_int_equal(rc, LINKD_OK);
    }
    scratch_write("t.csv", csv.data, csv.len);
    lk_buf_clear(&csv);
    if (linkd_table_read("t.csv", LINKD_FORMAT_CSV, "id", NULL, &f->table,
                         &f->err) != LINKD_OK)
        fail_msg("%s", f->err.message);
}

static int run(fixture *f)
{
    return linkd_dedup_images(f->table, f->pool, &f->options, NULL, &f->result,
                              &f->problems, &f->err);
}

static void copies_and_likenesses_are_one_entity(void **state)
{
    static const char *const pictures[] = {
        "@/turned-1.png",  /* 0 */
        "@/jpeg-95-0.jpg", /* 1 */
        "@/turned-1.png",  /* 0 again */
        "@/png-6-8.png",   /* 2 */
        "@/turned-1.png",  /* 0 again */
        "@/jpeg-20-2.jpg", /* 3 */
    };
    static const size_t expected[] = {0, 1, 0, 2, 0, 3};
    fixture *f = *state;

    table_make(f, pictures, 6);
    assert_int_equal(run(f), LINKD_OK);
    assert_int_equal(f->problems.n, 0);
    assert_int_equal(f->result.n_entities, 4);
    assert_memory_equal(f->result.entities, expected, sizeof(expected));
    assert_int_equal(f->result.n_pairs, 2);
    assert_int_equal(f->result.pairs[1].left, 0);
    assert_int_equal(f->result.pairs[1].right, 4);
    assert_true(f->result.pairs[1].score == 1.0F);
}

/* Pictures that are turned are others, unless the camera's note is heeded. */
static void upright_pictures_are_alike_however_they_lie(void **state)
{
    static const char *const pictures[] = {"@/turned-6.png", "@/upright-6.png"};
    fixture *f = *state;

    table_make(f, pictures, 2);
    assert_int_equal(run(f), LINKD_OK);
    assert_int_equal(f->result.n_entities, 2);
    results_clear(f);
    f->options.image.orient = true;
    assert_int_equal(run(f), LINKD_OK);
    assert_int_equal(f->result.n_entities, 1);
}

static void what_cannot_be_read_is_counted_and_told(void **state)
{
    static const char *const pictures[] = {
        "@/turned-1.png",
        "missing.png",
        "",
        "bad.jpg",
        "@/turned-1.png",
        "data:image/png,abc",
        ".",
        "data:image/png;base64,abc",
    };
    static const size_t expected[] = {0, 1, 2, 3, 0, 4, 5, 6};
    fixture *f = *state;

    scratch_write("bad.jpg", "\xFF\xD8\xFF", 3);
    table_make(f, pictures, 8);
    assert_int_equal(run(f), LINKD_OK);
    assert_memory_equal(f->result.entities, expected, sizeof(expected));
    assert_int_equal(f->result.n_empty, 1);
    assert_int_equal(f->problems.n, 5);
    assert_string_equal(
        f->problems.lines.data,
        "row 2: missing.png: No such file or directory\n"
        "row 4: bad.jpg: JPEG image is cut off\n"
        "row 6: data URI: is not in base64\n"
        "row 7: .: is not a plain file\n"
        "row 8: data URI: base64 of 3 characters is not a multiple of 4\n");
}

/* 1 x 1 pixel, so of one colour. */
static void a_data_uri_is_decoded(void **state)
{
    static const char *const pictures[] = {
        "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAA"
        "CklEQVR4nGMAAQAABQABDQottAAAAABJRU5ErkJggg=="};
    fixture *f = *state;

    table_make(f, pictures, 1);
    assert_int_equal(run(f), LINKD_OK);
    assert_string_equal(f->problems.lines.data,
                        "row 1: data URI: image is of one colour and looks "
                        "like any other\n");
}

static void only_the_first_problems_are_told(void **state)
{
    const char *pictures[30];
    fixture *f = *state;
    size_t n_lines = 0;

    for (size_t i = 0; i < 30; i++)
        pictures[i] = "missing.png";
    table_make(f, pictures, 30);
    assert_int_equal(run(f), LINKD_OK);
    assert_int_equal(f->problems.n, 30);
    for (size_t i = 0; i < f->problems.lines.len; i++)
        n_lines += f->problems.lines.data[i] == '\n';
    assert_int_equal(n_lines, LINKD_IMAGE_PROBLEMS_MAX);
}

static void memory_that_runs_out_is_reported(void **state)
{
    static const char *const pictures[] = {"@/turned-1.png", "missing.png",
                                           "@/jpeg-95-0.jpg", "@/turned-1.png"};
    fixture *f = *state;
    lk_pool *pool = f->pool;

    table_make(f, pictures, 4);
    /* one thread: which allocation is the nth must not depend on chance */
    assert_int_equal(lk_pool_new(1, &f->pool, &f->err), LINKD_OK);
    for (size_t n = 1;; n++) {
        int rc;

        alloc_fail_at(n);
        rc = run(f);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            assert_true(n > 10);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_null(f->result.entities);
        results_clear(f);
    }
    lk_pool_free(pool);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(copies_and_likenesses_are_one_entity),
        TEST(upright_pictures_are_alike_however_they_lie),
        TEST(what_cannot_be_read_is_counted_and_told),
        TEST(a_data_uri_is_decoded),
        TEST(only_the_first_problems_are_told),
        TEST(memory_that_runs_out_is_reported),
    };

    return cmocka_run_group_tests(tests, group_begin, scratch_leave);
}
