/* cli/channels.h — --channels: what may propose candidates. */
#ifndef LINKD_CLI_CHANNELS_H
#define LINKD_CLI_CHANNELS_H

#include "cli/args.h"
#include "linkage/linkage.h"

/* The option's row; `at` is the offset of a const char *. */
#define LK_CHANNELS_OPTION(at)                                                 \
 {                                                                             \
  "channels", 0, LK_OPTION_TEXT, at, "A,B", NULL, 0, 0,                        \
      "what proposes candidates, any of dense, lexical, words\n"               \
      "and fields (all; without a model all but dense)"                        \
 }

enum {
    LK_N_CHANNELS = 4,
};

/* Names by bit number of linkd_channel. The last one, "asked", is no channel that
 * can be chosen. */
extern const char *const lk_channel_words[LK_N_CHANNELS + 1];

/* "lexical,words" to linkd_channel bits; NULL is all of them. LINKD_E_ARG: no
 * such channel, one named twice, or dense without a model. */
LINKD_MUST_CHECK int lk_channels_parse(const char *text, bool with_model,
                                       unsigned *ret_channels,
                                       linkd_error *err);

#endif
