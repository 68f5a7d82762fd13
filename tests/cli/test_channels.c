/* tests/cli/test_channels.c — --channels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/channels.h"

static unsigned channels_of(const char *text, bool with_model)
{
    unsigned channels = 77;
    linkd_error err;

    assert_int_equal(lk_channels_parse(text, with_model, &channels, &err),
                     LINKD_OK);
    return channels;
}

static void refused(const char *text, bool with_model, const char *message)
{
    unsigned channels = 77;
    linkd_error err;

    assert_int_equal(lk_channels_parse(text, with_model, &channels, &err),
                     LINKD_E_ARG);
    assert_string_equal(err.message, message);
    assert_int_equal(channels, 77);
}

static void nothing_said_is_all_of_them(void **state)
{
    (void)state;
    assert_int_equal(channels_of(NULL, true), LINKD_CHANNEL_ALL);
    /* without a model there are no vectors to search, so this is the same */
    assert_int_equal(channels_of(NULL, false), LINKD_CHANNEL_ALL);
}

static void any_of_them_may_be_named_in_any_order(void **state)
{
    (void)state;
    assert_int_equal(channels_of("dense", true), LINKD_CHANNEL_DENSE);
    assert_int_equal(channels_of("fields,lexical", false),
                     LINKD_CHANNEL_FIELDS | LINKD_CHANNEL_LEXICAL);
    assert_int_equal(channels_of("words,dense,fields,lexical", true),
                     LINKD_CHANNEL_ALL);
}

static void what_is_no_channel_is_refused(void **state)
{
    (void)state;
    refused("lexical,grams", true,
            "--channels has no \"grams\", only dense, lexical, words and "
            "fields");
    refused("lexical,", true,
            "--channels has no \"\", only dense, lexical, words and fields");
    refused("word", true,
            "--channels has no \"word\", only dense, lexical, words and "
            "fields");
    refused("words,lexical,words", true, "--channels names words twice");
}

static void dense_needs_a_model(void **state)
{
    (void)state;
    refused("dense,words", false, "the channel dense needs a model");
}

/* What a channel is called and its bit must not drift apart. */
static void names_are_in_the_order_of_the_bits(void **state)
{
    (void)state;
    for (unsigned i = 0; i < LK_N_CHANNELS; i++)
        assert_int_equal(channels_of(lk_channel_words[i], true), 1U << i);
    assert_int_equal(LINKD_CHANNEL_ASKED, 1U << LK_N_CHANNELS);
    refused("asked", true,
            "--channels has no \"asked\", only dense, lexical, words and "
            "fields");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_said_is_all_of_them),
        cmocka_unit_test(any_of_them_may_be_named_in_any_order),
        cmocka_unit_test(what_is_no_channel_is_refused),
        cmocka_unit_test(dense_needs_a_model),
        cmocka_unit_test(names_are_in_the_order_of_the_bits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
