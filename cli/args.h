/* cli/args.h — options and operands of a command, from one table. */
#ifndef LINKD_CLI_ARGS_H
#define LINKD_CLI_ARGS_H

#include <stdbool.h>
#include <stdio.h>

#include "base/base.h"

typedef enum lk_option_kind {
    LK_OPTION_FLAG,  /* bool */
    LK_OPTION_TEXT,  /* const char *, NULL when absent */
    LK_OPTION_COUNT, /* size_t between min and max */
    LK_OPTION_REAL,  /* double between min and max */
    LK_OPTION_WORD,  /* int: position in `words` */
} lk_option_kind;

typedef struct lk_option {
    const char *name; /* without the dashes */
    char letter;      /* 'o' for -o, or 0 */
    lk_option_kind kind;
    size_t offset;            /* of the value in the command's struct */
    const char *value;        /* what help calls the value */
    const char *const *words; /* LK_OPTION_WORD: ends in NULL */
    double min, max;
    const char *help;
} lk_option;

/* All that a command accepts. Every command also takes -q and -h. */
typedef struct lk_syntax {
    const char *name;            /* "link", "model pull" */
    const char *const *operands; /* names, for messages and help */
    size_t n_operands_min;
    size_t n_operands_max;
    const lk_option *options;
    size_t n_options; /* at most 64 */
    const char *summary;
    const char *notes; /* below the options in help: files, examples */
} lk_syntax;

typedef struct lk_args {
    const char *operands[4];
    size_t n_operands;
    uint64_t given; /* bit i: option i of the syntax was there */
    bool help;
    bool quiet;
} lk_args;

/* Parses `argv` [argc], the command's name not included, into `values`, which
 * holds the defaults. LINKD_E_ARG: wrong usage; the message names the option.
 * `hint` is appended to where a second line helps. */
LINKD_MUST_CHECK int lk_args_parse(const lk_syntax *syntax, int argc,
                                   char *const *argv, void *values,
                                   lk_args *ret_args, lk_buf *hint,
                                   linkd_error *err);

/* Was the option of that name there? */
bool lk_args_given(const lk_syntax *syntax, const lk_args *args,
                   const char *name);
/* The first of `names` (ends in NULL) that was there, or NULL. */
const char *lk_args_first_given(const lk_syntax *syntax, const lk_args *args,
                                const char *const *names);

void lk_args_help(const lk_syntax *syntax, FILE *out);

/* The word that `text` was probably meant to be, or NULL. `words` ends in
 * NULL. */
const char *lk_nearest(const char *text, const char *const *words);

#endif
