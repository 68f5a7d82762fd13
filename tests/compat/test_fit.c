/* tests/compat/test_fit.c — maps between two models' spaces. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/compat/spaces.h"
#include "tests/support/alloc_fail.h"

static linkd_compat_map *fit(const spaces *s, linkd_compat_head head)
{
    linkd_compat_fit_options options = {
        .head = head, .seed = 1, .labels = s->groups, .n_epochs = 2};
    linkd_compat_map *map = NULL;
    linkd_error err;
    int rc = linkd_compat_fit(&s->from, &s->to, &options, &(linkd_progress){0},
                              &map, &err);

    if (rc != LINKD_OK)
        fail_msg("%s", err.message);
    return map;
}

static float *apply(const linkd_compat_map *map, const linkd_rows *rows)
{
    float *mapped =
        malloc(rows->n * linkd_compat_map_info(map).dim_to * sizeof(*mapped));

    assert_non_null(mapped);
    assert_int_equal(linkd_compat_map_apply(map, rows, mapped, NULL), LINKD_OK);
    return mapped;
}

static double cosine_of(const spaces *s, linkd_compat_head head)
{
    linkd_compat_map *map = fit(s, head);
    float *mapped = apply(map, &s->from);
    double cosine = mean_cosine(mapped, linkd_compat_map_info(map).dim_to,
                                s->to.data, s->to.dim, s->to.n, s->to.dim);

    free(mapped);
    linkd_compat_map_free(map);
    return cosine;
}

static void a_rotation_is_recovered_exactly(void **state)
{
    spaces s = spaces_make(
        (spaces_options){.n = 500, .dim_from = 24, .dim_to = 24, .seed = 1});
    linkd_compat_map *map = fit(&s, LINKD_HEAD_PROCRUSTES);
    linkd_compat_info info = linkd_compat_map_info(map);
    float *mapped = apply(map, &s.from);

    (void)state;
    for (size_t i = 0; i < s.to.n * s.to.dim; i++)
        assert_near(mapped[i], s.to.data[i], 1e-5F);
    assert_int_equal(info.head, LINKD_HEAD_PROCRUSTES);
    assert_int_equal(info.n_pairs, 500);
    assert_int_equal(info.dim_compat, 24);
    assert_near(info.cosine, 1.0F, 1e-5F);
    free(mapped);
    linkd_compat_map_free(map);
    spaces_clear(&s);
}

/* Each space has a centre of its own: BT²'s rotation may not move it away. */
static void centring_is_worth_it_where_spaces_are_shifted(void **state)
{
    spaces s = spaces_make((spaces_options){.n = 600,
                                            .dim_from = 24,
                                            .dim_to = 24,
                                            .noise = 0.1,
                                            .shift = 1.0,
                                            .seed = 2});

    (void)state;
    assert_true(cosine_of(&s, LINKD_HEAD_PROCRUSTES) >
                cosine_of(&s, LINKD_HEAD_BT2) + 0.02);
    assert_true(cosine_of(&s, LINKD_HEAD_RIDGE) > 0.97);
    spaces_clear(&s);
}

static void sizes_may_differ_either_way(void **state)
{
    static const size_t dims[2][2] = {{24, 12}, {12, 24}};

    (void)state;
    for (size_t t = 0; t < 2; t++) {
        spaces s = spaces_make((spaces_options){.n = 400,
                                                .dim_from = dims[t][0],
                                                .dim_to = dims[t][1],
                                                .noise = 0.05,
                                                .seed = 3});

        assert_true(cosine_of(&s, LINKD_HEAD_PROCRUSTES) > 0.95);
        assert_true(cosine_of(&s, LINKD_HEAD_RIDGE) > 0.95);
        spaces_clear(&s);
    }
}

static double dot(const float *a, const float *b, size_t n)
{
    double sum = 0.0;

    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

/* The two identities of the closed form. */
static void bt2_loses_nothing_of_the_new_model(void **state)
{
    spaces s = spaces_make((spaces_options){
        .n = 300, .dim_from = 24, .dim_to = 16, .noise = 0.1, .seed = 4});
    linkd_compat_map *map = fit(&s, LINKD_HEAD_BT2);
    float *z = apply(map, &s.from);

    (void)state;
    assert_int_equal(linkd_compat_map_info(map).dim_to, 24);
    assert_int_equal(linkd_compat_map_info(map).dim_compat, 16);
    for (size_t i = 0; i + 1 < 300; i++)
        assert_near(dot(z + i * 24, z + (i + 1) * 24, 24),
                    dot(s.from.data + i * 24, s.from.data + (i + 1) * 24, 24),
                    1e-5);
    /* and its prefix compares with old rows far better than by chance */
    assert_true(mean_cosine(z, 24, s.to.data, 16, 300, 16) > 0.9);
    free(z);
    linkd_compat_map_free(map);
    spaces_clear(&s);
}

static void bt2_needs_room(void **state)
{
    spaces s = spaces_make(
        (spaces_options){.n = 100, .dim_from = 8, .dim_to = 12, .seed = 1});
    linkd_compat_fit_options options = {.head = LINKD_HEAD_BT2};
    linkd_compat_map *map = NULL;
    linkd_error err;

    (void)state;
    assert_int_equal(linkd_compat_fit(&s.from, &s.to, &options,
                                      &(linkd_progress){0}, &map, &err),
                     LINKD_E_ARG);
    assert_non_null(strstr(err.message, "8 < 12"));
    spaces_clear(&s);
}

static void the_same_seed_gives_the_same_bytes(void **state)
{
    spaces s = spaces_make((spaces_options){
        .n = 200, .dim_from = 12, .dim_to = 12, .noise = 0.2, .seed = 5});

    (void)state;
    for (int head = 0; head < LINKD_N_HEADS; head++) {
        linkd_compat_map *one = fit(&s, (linkd_compat_head)head);
        linkd_compat_map *two = fit(&s, (linkd_compat_head)head);
        unsigned char *a, *b;
        size_t n_a, n_b;

        assert_int_equal(linkd_compat_map_encode(one, &a, &n_a, NULL), 0);
        assert_int_equal(linkd_compat_map_encode(two, &b, &n_b, NULL), 0);
        assert_int_equal(n_a, n_b);
        assert_memory_equal(a, b, n_a);
        free(a);
        free(b);
        linkd_compat_map_free(one);
        linkd_compat_map_free(two);
    }
    spaces_clear(&s);
}

/* A trained head tells where it is, and stops when it is told to. */
static int stop_at_second(void *ctx, const char *step, uint64_t done,
                          uint64_t total)
{
    size_t *n_calls = ctx;

    assert_string_equal(step, "train");
    assert_int_equal(total, 3);
    (*n_calls)++;
    return done == 1;
}

static void training_can_be_stopped(void **state)
{
    static const linkd_compat_head trained[] = {
        LINKD_HEAD_MLP, LINKD_HEAD_CONTRAST, LINKD_HEAD_BT2_TRAINED};
    spaces s = spaces_make(
        (spaces_options){.n = 60, .dim_from = 8, .dim_to = 8, .seed = 1});

    (void)state;
    for (size_t i = 0; i < sizeof(trained) / sizeof(*trained); i++) {
        size_t n_calls = 0;
        linkd_progress progress = {stop_at_second, &n_calls};
        linkd_compat_fit_options options = {
            .head = trained[i], .labels = s.groups, .n_epochs = 3};
        linkd_compat_map *map = NULL;

        assert_int_equal(
            linkd_compat_fit(&s.from, &s.to, &options, &progress, &map, NULL),
            LINKD_E_CANCELLED);
        assert_null(map);
        assert_int_equal(n_calls, 2);
    }
    spaces_clear(&s);
}

/* ---- what cannot be fitted ----------------------------------------------- */

static void refused(const linkd_rows *from, const linkd_rows *to, int code,
                    const char *message)
{
    linkd_compat_fit_options options = {.head = LINKD_HEAD_PROCRUSTES};
    linkd_compat_map *map = NULL;
    linkd_error err;

    assert_int_equal(
        linkd_compat_fit(from, to, &options, &(linkd_progress){0}, &map, &err),
        code);
    if (strstr(err.message, message) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", message, err.message);
    assert_null(map);
}

static void bad_pairs_are_named(void **state)
{
    spaces s = spaces_make(
        (spaces_options){.n = 100, .dim_from = 8, .dim_to = 8, .seed = 1});
    float *bad = malloc(100 * 8 * sizeof(*bad));
    linkd_rows rows = {bad, 100, 8};
    linkd_compat_fit_options named = {.from_name = "a.npy", .to_name = "b.npy"};
    linkd_compat_map *map = NULL;
    linkd_error err;
    linkd_rows few = {s.from.data, 49, 8};

    (void)state;
    assert_non_null(bad);
    refused(&few, &s.to, LINKD_E_ARG, "there are 49 and 100 rows");
    refused(&few, &few, LINKD_E_ARG, "49 records are too few");
    memcpy(bad, s.to.data, 100 * 8 * sizeof(*bad));
    bad[41 * 8 + 3] = NAN;
    refused(&s.from, &rows, LINKD_E_DATA,
            "row 42 of the second side has a value that is not finite");
    memset(bad + (size_t)41 * 8, 0, 8 * sizeof(*bad));
    refused(&rows, &s.to, LINKD_E_DATA, "row 42 of the first side is zero");
    for (size_t i = 0; i < 100 * (size_t)8; i++)
        bad[i] = (float)(1 + i % 8);
    refused(&s.from, &rows, LINKD_E_DATA,
            "the rows of the second side are all alike");
    assert_int_equal(linkd_compat_fit(&rows, &s.to, &named,
                                      &(linkd_progress){0}, &map, &err),
                     LINKD_E_DATA);
    assert_string_equal(err.message, "the rows of a.npy are all alike");
    assert_int_equal(linkd_compat_fit(&s.to, &rows, &named,
                                      &(linkd_progress){0}, &map, &err),
                     LINKD_E_DATA);
    assert_string_equal(err.message, "the rows of b.npy are all alike");
    rows.dim = 0;
    refused(&rows, &s.to, LINKD_E_ARG, "1 to 8192 dimensions");
    free(bad);
    spaces_clear(&s);
}

static void a_map_takes_its_own_size_only(void **state)
{
    spaces s = spaces_make(
        (spaces_options){.n = 100, .dim_from = 8, .dim_to = 8, .seed = 1});
    linkd_compat_map *map = fit(&s, LINKD_HEAD_PROCRUSTES);
    linkd_rows other = {s.from.data, 10, 7};
    float zeros[8] = {0};
    linkd_rows nothing = {zeros, 1, 8};
    float mapped[80];
    linkd_error err;

    (void)state;
    assert_int_equal(linkd_compat_map_apply(map, &other, mapped, &err),
                     LINKD_E_ARG);
    assert_string_equal(err.message,
                        "the map is for 8 dimensions, the rows have 7");
    assert_int_equal(linkd_compat_map_apply(map, &nothing, mapped, &err),
                     LINKD_E_DATA);
    linkd_compat_map_free(map);
    spaces_clear(&s);
}

static void heads_have_names(void **state)
{
    linkd_compat_head head;
    linkd_error err;

    (void)state;
    for (int i = 0; i < LINKD_N_HEADS; i++) {
        assert_int_equal(
            linkd_compat_head_parse(linkd_compat_head_words[i], &head, NULL),
            LINKD_OK);
        assert_int_equal(head, i);
    }
    assert_int_equal(linkd_compat_head_parse("magic", &head, &err),
                     LINKD_E_ARG);
    assert_non_null(strstr(err.message, "procrustes, ridge"));
}

static void it_says_when_memory_is_out(void **state)
{
    spaces s = spaces_make(
        (spaces_options){.n = 60, .dim_from = 8, .dim_to = 6, .seed = 1});

    (void)state;
    for (int head = 0; head < LINKD_N_HEADS; head++) {
        /* a simplex is one space already */
        const linkd_rows *to = head == LINKD_HEAD_SIMPLEX ? &s.from : &s.to;

        for (size_t nth = 1;; nth++) {
            linkd_compat_fit_options options = {.head = (linkd_compat_head)head,
                                                .labels = s.groups,
                                                .n_hidden = 4,
                                                .n_epochs = 1};
            linkd_compat_map *map = NULL;
            int rc;

            alloc_fail_at(nth);
            rc = linkd_compat_fit(&s.from, to, &options, &(linkd_progress){0},
                                  &map, NULL);
            if (!alloc_fail_off()) {
                assert_int_equal(rc, LINKD_OK);
                linkd_compat_map_free(map);
                break;
            }
            assert_int_equal(rc, LINKD_E_NOMEM);
            assert_null(map);
        }
    }
    spaces_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rotation_is_recovered_exactly),
        cmocka_unit_test(centring_is_worth_it_where_spaces_are_shifted),
        cmocka_unit_test(sizes_may_differ_either_way),
        cmocka_unit_test(bt2_loses_nothing_of_the_new_model),
        cmocka_unit_test(bt2_needs_room),
        cmocka_unit_test(the_same_seed_gives_the_same_bytes),
        cmocka_unit_test(training_can_be_stopped),
        cmocka_unit_test(bad_pairs_are_named),
        cmocka_unit_test(a_map_takes_its_own_size_only),
        cmocka_unit_test(heads_have_names),
        cmocka_unit_test(it_says_when_memory_is_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
