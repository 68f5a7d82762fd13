/* cli/channels.c — --channels: what may propose candidates. */
#include "cli/channels.h"

#include <string.h>

const char *const lk_channel_words[] = {"dense", "lexical", "words", "fields",
                                        "asked"};

static unsigned channel_of(const char *name, size_t len)
{
    for (unsigned i = 0; i < LK_N_CHANNELS; i++)
        if (strlen(lk_channel_words[i]) == len &&
            memcmp(lk_channel_words[i], name, len) == 0)
            return 1U << i;
    return 0;
}

static int channel_add(const char *name, size_t len, unsigned *channels,
                       linkd_error *err)
{
    unsigned channel = channel_of(name, len);

    if (channel == 0)
        return lk_fail(err, LINKD_E_ARG,
                       "--channels has no \"%s\", only dense, lexical, words "
                       "and fields",
                       lk_label_of((linkd_str){name, len}).text);
    if (*channels & channel)
        return lk_fail(err, LINKD_E_ARG, "--channels names %.*s twice",
                       (int)len, name);
    *channels |= channel;
    return LINKD_OK;
}

int lk_channels_parse(const char *text, bool with_model, unsigned *ret_channels,
                      linkd_error *err)
{
    unsigned channels = 0;
    int rc = LINKD_OK;

    if (text == NULL) {
        *ret_channels = LINKD_CHANNEL_ALL;
        return LINKD_OK;
    }
    for (const char *name = text; name != NULL && rc == LINKD_OK;) {
        const char *comma = strchr(name, ',');

        rc = channel_add(name,
                         comma != NULL ? (size_t)(comma - name) : strlen(name),
                         &channels, err);
        name = comma != NULL ? comma + 1 : NULL;
    }
    if (rc != LINKD_OK)
        return rc;
    if (channels & LINKD_CHANNEL_DENSE && !with_model)
        return lk_fail(err, LINKD_E_ARG, "the channel dense needs a model");
    *ret_channels = channels;
    return LINKD_OK;
}
