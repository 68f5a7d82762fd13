/* Rows with texts and pictures as vectors of one space, by the tiny CLIP of
 * tests/golden/clip. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "linkage/vectors.h"
#include "tests/linkage/scratch.h"
#include "tests/support/alloc_fail.h"

enum { DIM = 20 };

static char golden[900];

typedef struct fixture {
    linkd_table *table; /* id, text, picture */
    lk_pool *pool;
    linkd_encoder *encoder;
    linkd_vision *vision;
    linkd_encoder_embedder storage;
    linkd_embedder embedder;
    linkd_image_problems problems;
    linkd_pictures pictures;
    linkd_error err;
} fixture;

static int group_begin(void **state)
{
    char here[800];

    if (getcwd(here, sizeof(here)) == NULL)
        return 1;
    (void)snprintf(golden, sizeof(golden), "%s/tests/golden", here);
    return scratch_enter(state);
}

/* Of the rows the first has both, then come a text alone, a picture alone,
 * neither, and a text beside a picture that cannot be read. */
static void table_make(fixture *f)
{
    lk_buf csv = {0};

    assert_int_equal(lk_buf_printf(&csv, NULL,
                                   "id,text,picture\n"
                                   "a,the café,%s/image/turned-1.png\n"
                                   "b,the café,\n"
                                   "c,,%s/image/turned-1.png\n"
                                   "d,,\n"
                                   "e,the café,nowhere.png\n",
                                   golden, golden),
                     LINKD_OK);
    scratch_write("t.csv", csv.data, csv.len);
    lk_buf_clear(&csv);
    assert_int_equal(linkd_table_read("t.csv", LINKD_FORMAT_CSV, "id", NULL,
                                      &f->table, &f->err),
                     LINKD_OK);
}

static void vision_open(fixture *f, const char *model)
{
    char dir[1024];

    linkd_vision_close(f->vision);
    f->vision = NULL;
    (void)snprintf(dir, sizeof(dir), "%s/%s", golden, model);
    if (linkd_vision_open(dir, "f32", 2, &f->vision, &f->err) != LINKD_OK)
        fail_msg("%s", f->err.message);
    f->pictures.vision = f->vision;
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    char dir[1024];

    assert_non_null(f);
    (void)snprintf(dir, sizeof(dir), "%s/clip", golden);
    assert_int_equal(lk_pool_new(2, &f->pool, &f->err), LINKD_OK);
    assert_int_equal(linkd_encoder_open(dir, "f32", &f->encoder, &f->err),
                     LINKD_OK);
    f->storage = (linkd_encoder_embedder){f->encoder, f->pool};
    f->embedder = linkd_embedder_of_encoder(&f->storage);
    f->pictures = (linkd_pictures){.pool = f->pool,
                                   .image = LINKD_IMAGE_OPTIONS_INIT,
                                   .problems = &f->problems};
    vision_open(f, "clip");
    table_make(f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;

    lk_buf_clear(&f->problems.lines);
    linkd_table_free(f->table);
    linkd_vision_close(f->vision);
    linkd_encoder_close(f->encoder);
    lk_pool_free(f->pool);
    free(f);
    return 0;
}

static int vectors_make(fixture *f, size_t n_columns, lk_vectors *ret_vectors)
{
    const size_t text = 1;
    lk_vectors_maker maker = {.embedder = n_columns > 0 ? &f->embedder : NULL,
                              .n_total = 5,
                              .pictures = &f->pictures,
                              .image = 2};

    return lk_vectors_make(&maker, f->table, &text, n_columns, ret_vectors,
                           &f->err);
}

static void a_row_is_the_mean_of_what_it_has(void **state)
{
    fixture *f = *state;
    static const size_t rows[] = {0, 1, 2, 4};
    lk_vectors v = {0};
    const float *both, *text, *picture;
    double squares = 0.0;

    if (vectors_make(f, 1, &v) != LINKD_OK)
        fail_msg("%s", f->err.message);
    assert_int_equal(v.n, 4);
    assert_int_equal(v.dim, DIM);
    assert_memory_equal(v.rows, rows, sizeof(rows));
    both = v.data;
    text = v.data + DIM;
    picture = v.data + (size_t)2 * DIM;
    assert_memory_equal(text, v.data + (size_t)3 * DIM, DIM * sizeof(*text));
    for (size_t k = 0; k < DIM; k++)
        squares += pow((double)text[k] + (double)picture[k], 2.0);
    for (size_t k = 0; k < DIM; k++)
        assert_float_equal(
            both[k],
            (float)(((double)text[k] + (double)picture[k]) / sqrt(squares)),
            1e-6F);
    assert_int_equal(f->problems.n, 1);
    assert_string_equal(f->problems.lines.data,
                        "row 5: nowhere.png: No such file or directory\n");
    lk_vectors_clear(&v);
}

static void without_columns_the_picture_is_all(void **state)
{
    fixture *f = *state;
    static const size_t rows[] = {0, 2};
    lk_vectors v = {0};

    assert_int_equal(vectors_make(f, 0, &v), LINKD_OK);
    assert_int_equal(v.n, 2);
    assert_memory_equal(v.rows, rows, sizeof(rows));
    assert_memory_equal(v.data, v.data + DIM, DIM * sizeof(*v.data));
    lk_vectors_clear(&v);
}

static void texts_and_pictures_of_two_models_are_refused(void **state)
{
    fixture *f = *state;
    lk_vectors v = {0};

    vision_open(f, "vision/bare");
    assert_int_equal(vectors_make(f, 1, &v), LINKD_E_ARG);
    assert_string_equal(f->err.message,
                        "texts and pictures of a row need one model for both, "
                        "as CLIP is");
    assert_null(v.data);
}

/* Of pictures alone: whether a text is known is answered without memory, too. */
static void running_out_of_memory_is_reported(void **state)
{
    fixture *f = *state;

    for (size_t n = 1;; n++) {
        lk_vectors v = {0};
        int rc;

        lk_buf_clear(&f->problems.lines);
        f->problems = (linkd_image_problems){0};
        alloc_fail_at(n);
        rc = vectors_make(f, 0, &v);
        lk_vectors_clear(&v);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            assert_true(n > 10);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_row_is_the_mean_of_what_it_has),
        TEST(without_columns_the_picture_is_all),
        TEST(texts_and_pictures_of_two_models_are_refused),
        TEST(running_out_of_memory_is_reported),
    };

    return cmocka_run_group_tests_name("fused", tests, group_begin,
                                       scratch_leave);
}
