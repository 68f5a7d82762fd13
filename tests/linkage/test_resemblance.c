/* What stands out among a table's pictures, on made-up vectors and hashes:
 * N_SCENES strangers, of which some come again, a little changed. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "linkage/resemblance.h"
#include "tests/support/alloc_fail.h"

enum { DIM = 24, N_SCENES = 300, N_COPIES = 40, N_MAX = N_SCENES + N_COPIES };

static uint64_t seed;

static uint64_t next_bits(void)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (seed >> 32) ^ (seed << 20);
}

static float next_number(void)
{
    return (float)(next_bits() & 0xFFFFFF) * 0x1p-23F - 1.0F;
}

typedef struct fixture {
    lk_vectors vectors;
    lk_resemblance resemblance;
    lk_candidates candidates;
    linkd_error err;
} fixture;

static void row_normalise(float *row)
{
    float squares = 0.0F;

    for (size_t k = 0; k < DIM; k++)
        squares += row[k] * row[k];
    for (size_t k = 0; k < DIM; k++)
        row[k] /= sqrtf(squares);
}

/* Row i of `from` again: `noise` beside its numbers, `bits` of its hash turned. */
static void row_copy(fixture *f, size_t row, size_t from, float noise,
                     unsigned bits)
{
    float *to = f->vectors.data + row * DIM;

    for (size_t k = 0; k < DIM; k++)
        to[k] = f->vectors.data[from * DIM + k] + noise * next_number();
    row_normalise(to);
    f->resemblance.hashes[row] = f->resemblance.hashes[from];
    for (unsigned i = 0; i < bits; i++)
        f->resemblance.hashes[row] ^= UINT64_C(1) << ((size_t)i * 5 + row) % 64;
    f->resemblance.has_hash[row] = true;
}

static fixture set_up(size_t n)
{
    fixture f = {.vectors = {.n = n, .dim = DIM}};

    seed = 5;
    f.vectors.data = calloc((size_t)N_MAX * DIM, sizeof(*f.vectors.data));
    assert_non_null(f.vectors.data);
    return f;
}

/* n strangers. */
static void rows_draw(fixture *f, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < DIM; k++)
            f->vectors.data[i * DIM + k] = next_number();
        row_normalise(f->vectors.data + i * DIM);
        f->resemblance.hashes[i] = next_bits() ^ next_bits() << 32;
        f->resemblance.has_hash[i] = true;
    }
}

static void tear_down(fixture *f)
{
    lk_resemblance_clear(&f->resemblance);
    lk_candidates_clear(&f->candidates);
    free(f->vectors.data);
}

/* All pairs, whatever their scores. */
static void candidates_all(fixture *f)
{
    const size_t n = f->vectors.n;

    f->candidates.pairs = calloc(n * n, sizeof(*f->candidates.pairs));
    assert_non_null(f->candidates.pairs);
    f->candidates.n = 0;
    for (size_t a = 0; a < n; a++)
        for (size_t b = a + 1; b < n; b++)
            f->candidates.pairs[f->candidates.n++] =
                (linkd_pair){.left = a, .right = b};
}

static float limit_find(fixture *f)
{
    float limit = 0.0F;

    assert_int_equal(lk_resemblance_measure(&f->resemblance, &f->err),
                     LINKD_OK);
    assert_int_equal(
        lk_resemblance_candidates(&f->resemblance, &f->candidates, &f->err),
        LINKD_OK);
    assert_int_equal(
        lk_resemblance_limit(&f->resemblance, &f->candidates, &limit, &f->err),
        LINKD_OK);
    return limit;
}

static fixture scenes_and_copies(void)
{
    fixture f = set_up(N_MAX);

    assert_int_equal(
        lk_resemblance_new(&f.resemblance, &f.vectors, NULL, &f.err), LINKD_OK);
    rows_draw(&f, N_SCENES);
    for (size_t i = 0; i < N_COPIES; i++)
        row_copy(&f, N_SCENES + i, i, 0.15F, 10);
    return f;
}

static void copies_stand_out_and_strangers_do_not(void **state)
{
    fixture f = scenes_and_copies();
    size_t n_right = 0, n_wrong = 0;
    float limit;

    (void)state;
    f.resemblance.vectors = &f.vectors; /* f has moved */
    candidates_all(&f);
    limit = limit_find(&f);
    for (size_t i = 0; i < f.candidates.n; i++) {
        const linkd_pair *p = &f.candidates.pairs[i];

        if (p->score < limit)
            continue;
        if (p->right == p->left + N_SCENES)
            n_right++;
        else
            n_wrong++;
    }
    assert_int_equal(n_right, N_COPIES);
    assert_true(n_wrong <= 1);
    tear_down(&f);
}

static void nothing_stands_out_among_strangers(void **state)
{
    fixture f = set_up(N_SCENES);

    (void)state;
    assert_int_equal(
        lk_resemblance_new(&f.resemblance, &f.vectors, NULL, &f.err), LINKD_OK);
    rows_draw(&f, N_SCENES);
    candidates_all(&f);
    assert_true(limit_find(&f) == FLT_MAX);
    tear_down(&f);
}

/* By the definitions, from all pairs. */
static void a_score_is_the_chance_of_both(void **state)
{
    fixture f = scenes_and_copies();
    const lk_resemblance *r = &f.resemblance;
    const size_t a = 3, b = 200;
    size_t n_as_high = 0;
    double chance;

    (void)state;
    f.resemblance.vectors = &f.vectors;
    assert_int_equal(lk_resemblance_measure(&f.resemblance, &f.err), LINKD_OK);
    assert_int_equal(r->n_cosines, N_MAX * (N_MAX - 1) / 2);
    assert_true(fabs(r->middle - 32.0) <= 1.0);
    assert_true(fabs(r->spread - 4.0) < 0.3);
    for (size_t i = 0; i < r->n_cosines; i++) {
        double sum = 0.0;

        for (size_t k = 0; k < DIM; k++)
            sum += (double)f.vectors.data[a * DIM + k] *
                   (double)f.vectors.data[b * DIM + k];
        n_as_high += (double)r->cosines[i] > sum - 1e-7;
    }
    chance = (double)(n_as_high + 1) / (double)(r->n_cosines + 1);
    chance *= 0.5 * erfc((r->middle - (double)__builtin_popcountll(
                                          r->hashes[a] ^ r->hashes[b])) /
                         (r->spread * sqrt(2.0)));
    assert_true(fabs((double)lk_resemblance_score(r, a, b) +
                     log10(chance * (1.0 - log(chance)))) < 1e-4);
    assert_true(lk_resemblance_score(r, a, b) == lk_resemblance_score(r, b, a));
    /* without a hash the vector says it alone, and less */
    f.resemblance.has_hash[3] = false;
    assert_true(lk_resemblance_score(r, 3, 3 + N_SCENES) <
                lk_resemblance_score(r, 4, 4 + N_SCENES));
    tear_down(&f);
}

/* Copies are near by hash; one of them is known already. */
static void near_hashes_become_candidates(void **state)
{
    fixture f = scenes_and_copies();

    (void)state;
    f.resemblance.vectors = &f.vectors;
    f.candidates.pairs = calloc(1, sizeof(*f.candidates.pairs));
    assert_non_null(f.candidates.pairs);
    f.candidates.pairs[0] = (linkd_pair){.left = 1, .right = 1 + N_SCENES};
    f.candidates.n = 1;
    (void)limit_find(&f);
    assert_true(f.candidates.n >= N_COPIES);
    for (size_t i = 0; i < f.candidates.n; i++) {
        const linkd_pair *p = &f.candidates.pairs[i];

        assert_true(p->left < p->right);
        assert_true(p->score ==
                    lk_resemblance_score(&f.resemblance, p->left, p->right));
        if (i > 0)
            assert_true(p[-1].left < p->left ||
                        (p[-1].left == p->left && p[-1].right < p->right));
    }
    tear_down(&f);
}

/* Of each copy and its picture, whose hashes are near, one has another key. */
static void near_hashes_of_other_blocks_become_none(void **state)
{
    fixture f = scenes_and_copies();
    linkd_str keys[N_MAX];

    (void)state;
    for (size_t i = 0; i < N_MAX; i++)
        keys[i] = (linkd_str){i < N_SCENES ? "a" : "b", 1};
    keys[N_SCENES] = keys[0];
    f.resemblance.vectors = &f.vectors;
    f.resemblance.keys = keys;
    f.candidates.pairs = calloc(1, sizeof(*f.candidates.pairs));
    assert_non_null(f.candidates.pairs);
    (void)limit_find(&f);
    assert_true(f.candidates.n >= 1);
    for (size_t i = 0; i < f.candidates.n; i++) {
        const linkd_pair *p = &f.candidates.pairs[i];

        assert_int_equal(keys[p->left].bytes[0], keys[p->right].bytes[0]);
    }
    tear_down(&f);
}

static void too_few_pictures_are_refused(void **state)
{
    fixture f = set_up(LK_RESEMBLANCE_ROWS_MIN - 1);

    (void)state;
    assert_int_equal(
        lk_resemblance_new(&f.resemblance, &f.vectors, NULL, &f.err),
        LINKD_E_ARG);
    assert_string_equal(f.err.message,
                        "49 pictures do not show how alike strangers are, as "
                        "50 do: --min-score is needed");
    tear_down(&f);
}

static int all_run(fixture *f)
{
    float limit;
    int rc = lk_resemblance_new(&f->resemblance, &f->vectors, NULL, NULL);

    if (rc == LINKD_OK)
        rc = lk_resemblance_measure(&f->resemblance, NULL);
    if (rc == LINKD_OK)
        rc = lk_resemblance_candidates(&f->resemblance, &f->candidates, NULL);
    if (rc == LINKD_OK)
        rc =
            lk_resemblance_limit(&f->resemblance, &f->candidates, &limit, NULL);
    return rc;
}

static void memory_that_runs_out_is_reported(void **state)
{
    (void)state;
    for (size_t n = 1;; n++) {
        fixture f = set_up(60);
        int rc;

        for (size_t i = 0; i < (size_t)60 * DIM; i++)
            f.vectors.data[i] = next_number();
        alloc_fail_at(n);
        rc = all_run(&f);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            assert_true(n > 5);
            tear_down(&f);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
        tear_down(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_stand_out_and_strangers_do_not),
        cmocka_unit_test(nothing_stands_out_among_strangers),
        cmocka_unit_test(a_score_is_the_chance_of_both),
        cmocka_unit_test(near_hashes_become_candidates),
        cmocka_unit_test(near_hashes_of_other_blocks_become_none),
        cmocka_unit_test(too_few_pictures_are_refused),
        cmocka_unit_test(memory_that_runs_out_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
