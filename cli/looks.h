/* cli/looks.h — pictures by an image model, as link, dedup and embed have them. */
#ifndef LINKD_CLI_LOOKS_H
#define LINKD_CLI_LOOKS_H

#include "cli/command.h"
#include "cli/manifest.h"

typedef struct lk_looks {
    linkd_vision *vision;          /* NULL: there are none */
    linkd_image_problems problems; /* of the pictures so far */
    linkd_pictures pictures;       /* borrows both: moved with lk_looks only */
} lk_looks;

/* As the command line says it. */
typedef struct lk_looks_values {
    const char *image; /* column; NULL: no pictures */
    bool upright;
    size_t merge_tokens;
} lk_looks_values;

/* LINKD_E_ARG: one of the others without --image. */
LINKD_MUST_CHECK int lk_looks_need_image(const lk_looks_values *values,
                                         linkd_error *err);

/* Whether the options go together where rows are compared by pictures' vectors;
 * the names of those that do not end with NULL. `needs_score`: there has to be
 * --min-score. LINKD_E_ARG. */
LINKD_MUST_CHECK int lk_looks_check(const lk_cli *cli, const lk_syntax *syntax,
                                    const char *model,
                                    const char *const *excluded,
                                    bool needs_score, linkd_error *err);

#define LK_MERGE_TOKENS_OPTION(at)                                             \
 {                                                                             \
  "merge-tokens", 0, LK_OPTION_COUNT, (at), "N", NULL, 0, 1e6,                 \
      "with --image by a ViT or DINOv2: each layer merges N tokens\n"          \
      "away, which is faster and changes vectors (0: none)"                    \
 }

/* Which image model, and how: a name or path, `precision` as
 * linkd_vision_open(), `merge_tokens` as linkd_vision_merge_tokens(). */
typedef struct lk_vision_choice {
    const char *model;
    const char *precision;
    size_t merge_tokens;
} lk_vision_choice;

LINKD_MUST_CHECK int lk_vision_open(lk_cli *cli, const lk_vision_choice *choice,
                                    const lk_pool *pool,
                                    linkd_vision **ret_vision,
                                    linkd_error *err);
void lk_vision_manifest(const linkd_vision *vision, const char *model,
                        lk_manifest *manifest);

/* Fills `looks` in place. `pool` is borrowed. */
LINKD_MUST_CHECK int lk_looks_open(lk_cli *cli, const char *model,
                                   const lk_looks_values *values, lk_pool *pool,
                                   lk_looks *looks, linkd_error *err);
void lk_looks_close(lk_looks *looks);

/* A part of a summary: what was wrong with pictures, and how many rows have
 * nothing that could be compared. */
void lk_looks_note(uint64_t n_empty, const linkd_image_problems *problems);

#endif
