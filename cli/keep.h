/* cli/keep.h — --keep, --keep-by and --dropped of dedup: one row an entity. */
#ifndef LINKD_CLI_KEEP_H
#define LINKD_CLI_KEEP_H

#include "cli/command.h"
#include "cli/output.h"

enum {
    LK_KEEP_OUTPUTS = 2, /* kept rows, dropped rows */
};

typedef struct lk_keep_values {
    const char *keep, *dropped;
    int by;
} lk_keep_values;

/* Names of linkd_keep, in its order. */
extern const char *const lk_keep_words[];

/* Rows of an option table; `at` is the offset of an lk_keep_values. */
#define LK_KEEP_OPTIONS(at)                                                    \
 {"keep",                                                                      \
  0,                                                                           \
  LK_OPTION_TEXT,                                                              \
  (at) + offsetof(lk_keep_values, keep),                                       \
  "FILE",                                                                      \
  NULL,                                                                        \
  0,                                                                           \
  0,                                                                           \
  "write the table without duplicates, too: one row an\n"                      \
  "entity"},                                                                   \
     {"keep-by",                                                               \
      0,                                                                       \
      LK_OPTION_WORD,                                                          \
      (at) + offsetof(lk_keep_values, by),                                     \
      "HOW",                                                                   \
      lk_keep_words,                                                           \
      0,                                                                       \
      0,                                                                       \
      "which one: complete, with the most cells filled, then\n"                \
      "the most text (default); longest, with the most text;\n"                \
      "first. Of equal ones the first"},                                       \
 {                                                                             \
  "dropped", 0, LK_OPTION_TEXT, (at) + offsetof(lk_keep_values, dropped),      \
      "FILE", NULL, 0, 0,                                                      \
      "write the ids of the other rows, and the id of the\n"                   \
      "row that was kept for each"                                             \
 }

/* Opens what the options name; `ret_outputs` [LK_KEEP_OUTPUTS], NULL where they
 * name nothing. LINKD_E_ARG: two files are one, or one is `taken`,
 * or --keep-by comes without either. */
LINKD_MUST_CHECK int lk_keep_open(const lk_keep_values *values, bool by_given,
                                  const char *const *taken, size_t n_taken,
                                  const char *const *inputs, size_t n_inputs,
                                  lk_output **ret_outputs, linkd_error *err);

/* The table with the column entity_id added; entities [rows of table]. */
LINKD_MUST_CHECK int lk_entities_write(const linkd_table *table,
                                       const size_t *entities,
                                       lk_output *output, linkd_format format,
                                       linkd_error *err);
LINKD_MUST_CHECK int lk_keep_write(const lk_keep_values *values,
                                   const linkd_table *table,
                                   const size_t *entities, size_t n_entities,
                                   lk_output *const *outputs, linkd_error *err);

#endif
