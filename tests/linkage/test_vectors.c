/* tests/linkage/test_vectors.c — every row gets the vector of its text, and no
 * text is encoded twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/vectors.h"
#include "tests/linkage/scratch.h"
#include "tests/support/alloc_fail.h"

#define DIM    ((size_t)3)
#define N_ROWS ((size_t)1300) /* three chunks */
#define N_KEPT ((size_t)1200) /* every 13th row has no text: 100 of them */

typedef struct fixture {
    linkd_table *table;
    linkd_embedder embedder;
    size_t n_encoded;
    lk_vectors vectors;
    linkd_error err;
} fixture;

/* "text 17": the number, and what can be told from it. */
static void number_vector(double number, float *ret_vector)
{
    ret_vector[0] = (float)number;
    ret_vector[1] = (float)(number * 0.5);
    ret_vector[2] = 1.0F;
}

static int embed(void *ctx, const linkd_str *texts, size_t n,
                 float *ret_vectors, linkd_encode_stats *stats,
                 linkd_error *err)
{
    fixture *f = ctx;

    (void)stats;
    (void)err;
    for (size_t i = 0; i < n; i++) {
        char copy[16] = {0};

        assert_true(texts[i].len > 5 && texts[i].len < sizeof(copy));
        memcpy(copy, texts[i].bytes, texts[i].len);
        number_vector(strtod(copy + 5, NULL), ret_vectors + i * DIM);
    }
    f->n_encoded += n;
    return LINKD_OK;
}

static bool knows(void *ctx, linkd_str text)
{
    (void)ctx;
    return text.len != 1; /* "?" */
}

/* Row i holds text i / 2 in the first half, and again in the second. */
static size_t row_number(size_t row)
{
    return row % (N_ROWS / 2) / 2;
}

static void table_write(void)
{
    FILE *file = fopen("table.csv", "w");

    assert_non_null(file);
    assert_true(fputs("id,name\n", file) >= 0);
    for (size_t i = 0; i < N_ROWS; i++)
        if (i % 26 == 0)
            assert_true(fprintf(file, "%zu,\n", i) > 0);
        else if (i % 26 == 13)
            assert_true(fprintf(file, "%zu,?\n", i) > 0);
        else
            assert_true(fprintf(file, "%zu,text %zu\n", i, row_number(i)) > 0);
    assert_int_equal(fclose(file), 0);
}

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    table_write();
    assert_int_equal(linkd_table_read("table.csv", LINKD_FORMAT_CSV, "id", NULL,
                                      &f->table, &f->err),
                     LINKD_OK);
    f->embedder =
        (linkd_embedder){.embed = embed, .knows = knows, .ctx = f, .dim = DIM};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;

    lk_vectors_clear(&f->vectors);
    linkd_table_free(f->table);
    free(f);
    return 0;
}

static int vectors_make(fixture *f)
{
    static const size_t columns[] = {1};
    lk_vectors_maker maker = {.embedder = &f->embedder, .n_total = N_ROWS};

    return lk_vectors_make(&maker, f->table, columns, 1, &f->vectors, &f->err);
}

static void every_row_with_text_has_its_vector(void **state)
{
    fixture *f = *state;
    size_t n = 0;

    assert_int_equal(vectors_make(f), LINKD_OK);
    assert_int_equal(f->vectors.n, N_KEPT);
    for (size_t row = 0; row < N_ROWS; row++) {
        float expected[DIM];

        if (row % 13 == 0)
            continue;
        number_vector((double)row_number(row), expected);
        assert_int_equal(f->vectors.rows[n], row);
        assert_memory_equal(f->vectors.data + n * DIM, expected,
                            sizeof(expected));
        n++;
    }
}

static void a_text_is_encoded_once(void **state)
{
    fixture *f = *state;

    assert_int_equal(vectors_make(f), LINKD_OK);
    assert_int_equal(f->n_encoded, N_ROWS / 4);
}

static void out_of_memory_is_reported(void **state)
{
    fixture *f = *state;
    int rc;

    for (size_t n = 1;; n++) {
        alloc_fail_at(n);
        rc = vectors_make(f);
        if (!alloc_fail_off())
            break;
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_null(f->vectors.data);
    }
    assert_int_equal(rc, LINKD_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_row_with_text_has_its_vector),
        TEST(a_text_is_encoded_once),
        TEST(out_of_memory_is_reported),
    };

    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
