/* encoder/pattern.h — regular expressions, as far as tokenizer.json files have
 * them in place of code: characters, classes, repetition, choice, a look ahead.
 * They mean what they mean to Oniguruma, which Hugging Face's tokenizers use. */
#ifndef LK_ENCODER_PATTERN_H
#define LK_ENCODER_PATTERN_H

#include <stdbool.h>

#include "base/base.h"

typedef struct lk_pattern lk_pattern;

/* Reads a regular expression, UTF-8 and NUL-terminated. LINKD_E_DATA: it says
 * something that is not supported, or matches the empty text; the message names
 * it. LINKD_E_NOMEM. */
LINKD_MUST_CHECK int lk_pattern_new(const char *text, lk_pattern **ret_pattern,
                                    linkd_error *err);
/* Matches `text`, which is not empty, itself. LINKD_E_DATA: it is too long.
 * LINKD_E_NOMEM. */
LINKD_MUST_CHECK int lk_pattern_new_plain(const char *text,
                                          lk_pattern **ret_pattern,
                                          linkd_error *err);
void lk_pattern_free(lk_pattern *pattern);

/* One text that is searched from left to right. */
typedef struct lk_pattern_search {
    const lk_pattern *pattern;
    linkd_str text; /* valid UTF-8 */
    size_t at;      /* where the next match may begin */
    size_t n_tries; /* left; one that goes back on itself without end finds
                       * nothing more */
} lk_pattern_search;

void lk_pattern_search_init(lk_pattern_search *search,
                            const lk_pattern *pattern, linkd_str text);

/* The next match, never empty. False: there is none. */
bool lk_pattern_next(lk_pattern_search *search, size_t *ret_begin,
                     size_t *ret_end);

#endif
