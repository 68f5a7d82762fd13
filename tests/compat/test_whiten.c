/* tests/compat/test_whiten.c — two maps to the metric of stored vectors. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compat/random.h"
#include "tests/compat/spaces.h"
#include "tests/support/alloc_fail.h"

enum {
    N = 400,
    DIM = 6,
};

static linkd_error err;

/* Old rows with directions of very different spread, off the origin; the new
 * model sees the same ones with its axes exchanged. */
typedef struct rows_made {
    float old_rows[N * DIM], new_rows[N * DIM];
    linkd_rows older, newer;
} rows_made;

static int setup(void **state)
{
    rows_made *r = calloc(1, sizeof(*r));
    lk_random random = {9};

    assert_non_null(r);
    for (size_t i = 0; i < N; i++) {
        double length = 0.0;

        for (size_t j = 0; j < DIM; j++) {
            double x = lk_random_normal(&random) / (double)(1 + j) + 0.4;

            r->old_rows[i * DIM + j] = (float)x;
            length += x * x;
        }
        for (size_t j = 0; j < DIM; j++) {
            r->old_rows[i * DIM + j] /= (float)sqrt(length);
            r->new_rows[i * DIM + (j + 2) % DIM] = -r->old_rows[i * DIM + j];
        }
    }
    r->older = (linkd_rows){r->old_rows, N, DIM};
    r->newer = (linkd_rows){r->new_rows, N, DIM};
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static linkd_whitened fit(const rows_made *r, double shrinkage, double share)
{
    linkd_whitening options = {shrinkage, share};
    linkd_whitened w;

    if (linkd_compat_fit_whitened(&r->newer, &r->older, &r->older, &options, &w,
                                  &err) != LINKD_OK)
        fail_msg("%s", err.message);
    return w;
}

/* ret [DIM]: (row - mean) (C + s v I), by the definition. */
static void unwhiten(const rows_made *r, double shrinkage, const float *row,
                     double *ret)
{
    double mean[DIM] = {0};
    double c[DIM][DIM] = {{0}};
    double variance = 0.0;

    for (size_t i = 0; i < N * DIM; i++)
        mean[i % DIM] += (double)r->old_rows[i] / N;
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < DIM; j++)
            for (size_t k = 0; k < DIM; k++)
                c[j][k] += ((double)r->old_rows[i * DIM + j] - mean[j]) *
                           ((double)r->old_rows[i * DIM + k] - mean[k]) / N;
    for (size_t j = 0; j < DIM; j++)
        variance += c[j][j] / DIM;
    memset(ret, 0, DIM * sizeof(*ret));
    for (size_t j = 0; j < DIM; j++)
        for (size_t k = 0; k < DIM; k++)
            ret[k] += (double)row[j] *
                      (c[j][k] + (j == k ? shrinkage * variance : 0.0));
    for (size_t j = 0; j < DIM; j++) /* what it should be, less that it is */
        ret[j] += mean[j];
}

static double cosine_from(const double *point, const double *mean,
                          const float *row)
{
    double ab = 0.0;
    double aa = 0.0;
    double bb = 0.0;

    for (size_t j = 0; j < DIM; j++) {
        double a = point[j] - mean[j];
        double b = (double)row[j] - mean[j];

        ab += a * b;
        aa += a * a;
        bb += b * b;
    }
    return ab / sqrt(aa * bb);
}

/* home(q) (C + s v I) has the direction of q - t. */
static void an_old_query_is_divided_by_the_covariance(void **state)
{
    const rows_made *r = *state;
    linkd_whitened w = fit(r, 0.1, 1.0);
    double mean[DIM] = {0};
    float *mapped = malloc(sizeof(r->old_rows));

    assert_int_equal(linkd_compat_map_apply(w.home, &r->older, mapped, &err),
                     LINKD_OK);
    for (size_t i = 0; i < N * DIM; i++)
        mean[i % DIM] += (double)r->old_rows[i] / N;
    for (size_t i = 0; i < N; i++) {
        double back[DIM];

        unwhiten(r, 0.1, mapped + i * DIM, back);
        assert_near(cosine_from(back, mean, r->old_rows + i * DIM), 1.0, 1e-5);
    }
    free(mapped);
    linkd_whitened_clear(&w);
}

/* Deviation of the old rows' scores with each other, centred, by `queries`. */
static double spread_of(const rows_made *r, const float *queries)
{
    double sum = 0.0;
    double squares = 0.0;

    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < N; j++) {
            double score = 0.0;

            for (size_t k = 0; k < DIM; k++)
                score += (double)queries[i * DIM + k] *
                         (double)r->old_rows[j * DIM + k];
            sum += score;
            squares += score * score;
        }
    sum /= (double)(N * N);
    return sqrt(squares / (double)(N * N) - sum * sum);
}

/* With a share of one half, what home makes of q is the sum of q and of what the
 * metric alone makes of it, where the latter is as long as makes its scores
 * spread as widely: between the two in every direction. */
static void a_share_of_the_metric_is_mixed_in(void **state)
{
    const rows_made *r = *state;
    double cosine_plain = 0.0;
    double cosine_whole = 0.0;
    float *mapped[2];
    double ratio;

    for (int i = 0; i < 2; i++) {
        linkd_whitened w = fit(r, 0.1, i == 0 ? 0.5 : 1.0);

        mapped[i] = malloc(sizeof(r->old_rows));
        assert_int_equal(
            linkd_compat_map_apply(w.home, &r->older, mapped[i], &err),
            LINKD_OK);
        linkd_whitened_clear(&w);
    }
    for (size_t i = 0; i < N * DIM; i++) {
        cosine_plain += (double)mapped[0][i] * (double)r->old_rows[i] / N;
        cosine_whole += (double)mapped[0][i] * (double)mapped[1][i] / N;
    }
    assert_true(cosine_plain > 0.5 && cosine_plain < 0.99);
    assert_true(cosine_whole > 0.5 && cosine_whole < 0.99);
    ratio = spread_of(r, mapped[0]) / spread_of(r, r->old_rows);
    assert_true(ratio > 0.5 && ratio < 1.5);
    free(mapped[0]);
    free(mapped[1]);
}

/* A new vector that is the old one turned: (x - m) K' C^-1 = u - t. With the
 * shrinkage all but nothing, what is foretold is the old model's own score. */
static void a_turned_space_is_turned_back(void **state)
{
    const rows_made *r = *state;
    linkd_whitened w = fit(r, 1e-9, 1.0);
    double mean[DIM] = {0};
    float *mapped = malloc(sizeof(r->new_rows));

    assert_int_equal(linkd_compat_map_apply(w.map, &r->newer, mapped, &err),
                     LINKD_OK);
    for (size_t i = 0; i < N * DIM; i++)
        mean[i % DIM] += (double)r->old_rows[i] / N;
    for (size_t i = 0; i < N; i++) {
        double point[DIM];

        for (size_t j = 0; j < DIM; j++)
            point[j] = mean[j] + (double)mapped[i * DIM + j];
        assert_near(cosine_from(point, mean, r->old_rows + i * DIM), 1.0, 1e-5);
    }
    free(mapped);
    linkd_whitened_clear(&w);
}

/* As a head of linkctl compat fit: the same map, alone. */
static void the_head_is_the_second_map(void **state)
{
    const rows_made *r = *state;
    linkd_whitened w = fit(r, 0.3, 0.3);
    linkd_compat_fit_options options = {.head = LINKD_HEAD_WHITENED,
                                        .penalty = 0.3};
    linkd_compat_map *map = NULL;
    float *mapped = malloc(sizeof(r->new_rows));
    float *expected = malloc(sizeof(r->new_rows));

    assert_int_equal(linkd_compat_fit(&r->newer, &r->older, &options,
                                      &(linkd_progress){0}, &map, &err),
                     LINKD_OK);
    assert_int_equal(linkd_compat_map_apply(map, &r->newer, mapped, &err),
                     LINKD_OK);
    assert_int_equal(linkd_compat_map_apply(w.map, &r->newer, expected, &err),
                     LINKD_OK);
    for (size_t i = 0; i < N * DIM; i++)
        assert_near((double)mapped[i], (double)expected[i], 1e-5);
    assert_string_equal(
        linkd_compat_head_words[linkd_compat_map_info(map).head], "whitened");
    linkd_compat_map_free(map);
    free(expected);
    free(mapped);
    linkd_whitened_clear(&w);
}

static void stored_rows_that_do_not_fit_are_refused(void **state)
{
    const rows_made *r = *state;
    linkd_whitening options = {0.1, 1.0};
    linkd_whitened w;
    linkd_rows few = {r->old_rows, LINKD_COMPAT_PAIRS_MIN - 1, DIM};
    linkd_rows narrow = {r->old_rows, N, DIM - 1};

    assert_int_equal(linkd_compat_fit_whitened(&r->newer, &r->older, &few,
                                               &options, &w, &err),
                     LINKD_E_ARG);
    assert_string_equal(err.message,
                        "at least 50 stored rows of 6 dimensions are needed, "
                        "not 49 of 6");
    assert_int_equal(linkd_compat_fit_whitened(&r->newer, &r->older, &narrow,
                                               &options, &w, &err),
                     LINKD_E_ARG);
    assert_null(w.home);
}

static void without_memory_there_are_no_maps(void **state)
{
    const rows_made *r = *state;
    const linkd_whitening options = {0.1, 0.5};

    for (size_t nth = 1;; nth++) {
        linkd_whitened w;
        int rc;

        alloc_fail_at(nth);
        rc = linkd_compat_fit_whitened(&r->newer, &r->older, &r->older,
                                       &options, &w, &err);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            linkd_whitened_clear(&w);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_true(w.home == NULL && w.map == NULL);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_old_query_is_divided_by_the_covariance),
        TEST(a_share_of_the_metric_is_mixed_in),
        TEST(a_turned_space_is_turned_back),
        TEST(the_head_is_the_second_map),
        TEST(stored_rows_that_do_not_fit_are_refused),
        TEST(without_memory_there_are_no_maps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
