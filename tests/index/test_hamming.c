/* Pairs of codes in few bits' distance: all of them, and none twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "index/index.h"
#include "tests/support/alloc_fail.h"

static uint64_t next_random(uint64_t *state)
{
    *state += 0x9E3779B97F4A7C15U;
    uint64_t z = *state;

    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9U;
    z = (z ^ z >> 27) * 0x94D049BB133111EBU;
    return z ^ z >> 31;
}

/* Each code but the first is a random one, or an earlier one with up to 20 bits
 * turned, anywhere or all in one part. Distinct codes. */
static uint64_t *codes_make(size_t n)
{
    uint64_t *codes = calloc(n, sizeof(*codes));
    uint64_t state = 1;

    assert_non_null(codes);
    for (size_t i = 0; i < n; i++) {
        const uint64_t r = next_random(&state);

        codes[i] = next_random(&state);
        if (i == 0 || r % 3 == 0)
            continue;
        codes[i] = codes[(r >> 8) % i];
        for (uint64_t bit = 0; bit <= (r >> 32) % 20; bit++)
            codes[i] ^= 1ULL << next_random(&state) % (r % 3 == 1 ? 64 : 16);
    }
    return codes;
}

static size_t pairs_count(const uint64_t *codes, size_t n, unsigned radius)
{
    size_t count = 0;

    for (size_t i = 0; i < n; i++)
        for (size_t j = i + 1; j < n; j++)
            count +=
                (unsigned)__builtin_popcountll(codes[i] ^ codes[j]) <= radius;
    return count;
}

/* Both ways of searching: few codes are compared each with each. */
static void all_pairs_within_the_radius_are_found_once(void **state)
{
    static const size_t sizes[] = {0, 1, 300, 3000};

    (void)state;
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        const size_t n = sizes[s];
        uint64_t *codes = codes_make(n + 1);

        for (unsigned radius = 0; radius <= 9; radius++) {
            linkd_code_pair *pairs = NULL;
            size_t n_pairs = 0;

            assert_int_equal(
                linkd_hamming_pairs(codes, n, radius, &pairs, &n_pairs, NULL),
                LINKD_OK);
            assert_int_equal(n_pairs, pairs_count(codes, n, radius));
            for (size_t i = 0; i < n_pairs; i++) {
                const linkd_code_pair *p = &pairs[i];

                assert_true(p->left < p->right && p->right < n);
                assert_int_equal(
                    p->distance,
                    __builtin_popcountll(codes[p->left] ^ codes[p->right]));
                assert_true(p->distance <= radius);
                if (i > 0)
                    assert_true(
                        p[-1].left < p->left ||
                        (p[-1].left == p->left && p[-1].right < p->right));
            }
            free(pairs);
        }
        free(codes);
    }
}

static void a_radius_over_the_limit_is_refused(void **state)
{
    linkd_code_pair *pairs = NULL;
    linkd_error err;
    size_t n;

    (void)state;
    assert_int_equal(linkd_hamming_pairs(NULL, 0, 25, &pairs, &n, &err),
                     LINKD_E_ARG);
    assert_string_equal(err.message,
                        "a distance of 25 bits is over the limit of 24");
    assert_null(pairs);
}

static void memory_that_runs_out_is_reported(void **state)
{
    uint64_t *codes = codes_make(3000);

    (void)state;
    for (size_t n = 1;; n++) {
        linkd_code_pair *pairs = NULL;
        size_t n_pairs;
        int rc;

        alloc_fail_at(n);
        rc = linkd_hamming_pairs(codes, 3000, 7, &pairs, &n_pairs, NULL);
        if (!alloc_fail_off()) {
            assert_int_equal(rc, LINKD_OK);
            assert_true(n > 4);
            free(pairs);
            break;
        }
        assert_int_equal(rc, LINKD_E_NOMEM);
        assert_null(pairs);
    }
    free(codes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_pairs_within_the_radius_are_found_once),
        cmocka_unit_test(a_radius_over_the_limit_is_refused),
        cmocka_unit_test(memory_that_runs_out_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
