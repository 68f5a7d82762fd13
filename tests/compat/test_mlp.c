/* tests/compat/test_mlp.c — the residual network. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compat/pairs.h"
#include "tests/compat/spaces.h"

static float fit_cosine(const spaces *s, linkd_compat_fit_options options)
{
    linkd_compat_map *map = NULL;
    linkd_error err;
    float cosine;

    options.seed = 1;
    if (linkd_compat_fit(&s->from, &s->to, &options, &(linkd_progress){0}, &map,
                         &err) != LINKD_OK)
        fail_msg("%s", err.message);
    cosine = linkd_compat_map_info(map).cosine;
    linkd_compat_map_free(map);
    return cosine;
}

/* A bend that no linear map follows: negative coordinates change their sign. */
static spaces bent_spaces(void)
{
    spaces s = spaces_make((spaces_options){
        .n = 1500, .dim_from = 8, .dim_to = 8, .noise = 0.05, .seed = 3});
    float *to = (float *)(uintptr_t)s.to.data;

    for (size_t i = 0; i < s.to.n * s.to.dim; i++)
        if (to[i] < 0.0F)
            to[i] *= -0.8F;
    return s;
}

static void a_network_follows_what_is_not_linear(void **state)
{
    spaces s = bent_spaces();
    float ridge =
        fit_cosine(&s, (linkd_compat_fit_options){.head = LINKD_HEAD_RIDGE});
    float mlp = fit_cosine(
        &s, (linkd_compat_fit_options){
                .head = LINKD_HEAD_MLP, .n_hidden = 32, .n_epochs = 200});

    (void)state;
    if (!(1.0F - mlp < 0.6F * (1.0F - ridge)))
        fail_msg("ridge %.4f, mlp %.4f", (double)ridge, (double)mlp);
    spaces_clear(&s);
}

/* It starts as ridge, and 20 epochs may not lead it away on linear data. */
static void nothing_is_lost_where_all_is_linear(void **state)
{
    spaces s = spaces_make((spaces_options){.n = 1000,
                                            .dim_from = 16,
                                            .dim_to = 12,
                                            .noise = 0.2,
                                            .shift = 1.0,
                                            .seed = 4});
    float ridge =
        fit_cosine(&s, (linkd_compat_fit_options){.head = LINKD_HEAD_RIDGE});
    float mlp = fit_cosine(
        &s, (linkd_compat_fit_options){.head = LINKD_HEAD_MLP, .n_hidden = 32});

    (void)state;
    assert_near(mlp, ridge, 0.002F);
    spaces_clear(&s);
}

static void a_network_may_not_be_huge(void **state)
{
    spaces s = spaces_make(
        (spaces_options){.n = 60, .dim_from = 8, .dim_to = 8, .seed = 1});
    linkd_compat_fit_options options = {.head = LINKD_HEAD_MLP,
                                        .n_hidden = 65537};
    linkd_compat_map *map = NULL;
    linkd_error err;

    (void)state;
    assert_int_equal(linkd_compat_fit(&s.from, &s.to, &options,
                                      &(linkd_progress){0}, &map, &err),
                     LINKD_E_ARG);
    assert_string_equal(err.message,
                        "65537 hidden units are too many: 65536 at most");
    spaces_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_network_follows_what_is_not_linear),
        cmocka_unit_test(nothing_is_lost_where_all_is_linear),
        cmocka_unit_test(a_network_may_not_be_huge),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
