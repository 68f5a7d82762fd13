/* cli/args.c — options and operands of a command, from one table.
 *
 * getopt_long guesses at shortened names, takes the last of two contradicting
 * values in silence and has numbers checked by everybody anew. Here one table
 * says what a command accepts; parsing, the range checks, the messages and the
 * help come from it, so they cannot drift apart.
 *
 * --name value, --name=value, -o value, -ovalue, -qo value; "--" ends the
 * options, "-" is an operand. Options and operands may be mixed. A value that
 * begins with two dashes needs the form with "=": it is more likely that the
 * value was forgotten. */
#include "cli/args.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WORD_MAX_LEN 64

typedef struct parser {
    const lk_syntax *syntax;
    char *const *argv;
    int argc;
    int at;
    void *values;
    lk_args args;
    lk_buf *hint;
} parser;

static const lk_option common_options[] = {
    {.name = "quiet",
     .letter = 'q',
     .kind = LK_OPTION_FLAG,
     .offset = offsetof(lk_args, quiet),
     .help = "say nothing but errors"},
    {.name = "help",
     .letter = 'h',
     .kind = LK_OPTION_FLAG,
     .offset = offsetof(lk_args, help),
     .help = "show this help"},
};
#define N_COMMON (sizeof(common_options) / sizeof(*common_options))

/* ---- which word was meant ----------------------------------------------- */

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t ab = a < b ? a : b;

    return ab < c ? ab : c;
}

/* Levenshtein's distance; far apart when a word is too long to be a name. */
static size_t distance(const char *a, const char *b)
{
    size_t row[WORD_MAX_LEN + 1];
    size_t n_a = strlen(a);
    size_t n_b = strlen(b);

    if (n_b > WORD_MAX_LEN || n_a > WORD_MAX_LEN)
        return SIZE_MAX;
    for (size_t j = 0; j <= n_b; j++)
        row[j] = j;
    for (size_t i = 1; i <= n_a; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= n_b; j++) {
            size_t above = row[j];

            row[j] = min3(above + 1, row[j - 1] + 1,
                          diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[n_b];
}

const char *lk_nearest(const char *text, const char *const *words)
{
    size_t best = strlen(text) / 3 + 1; /* a third may be mistyped: guess */
    const char *nearest = NULL;

    for (; *words != NULL; words++) {
        size_t d = distance(text, *words);

        if (d <= best && (nearest == NULL || d < best)) {
            best = d;
            nearest = *words;
        }
    }
    return nearest;
}

/* ---- options ------------------------------------------------------------ */

static size_t n_all_options(const lk_syntax *syntax)
{
    return syntax->n_options + N_COMMON;
}

/* The command's own options first, then those that every command has. */
static const lk_option *option_at(const lk_syntax *syntax, size_t i)
{
    return i < syntax->n_options ? &syntax->options[i]
                                 : &common_options[i - syntax->n_options];
}

static size_t option_find(const lk_syntax *syntax, const char *name, size_t len,
                          char letter)
{
    size_t i = 0;

    for (; i < n_all_options(syntax); i++) {
        const lk_option *option = option_at(syntax, i);

        if (name == NULL ? option->letter == letter
                         : strlen(option->name) == len &&
                               memcmp(option->name, name, len) == 0)
            break;
    }
    return i;
}

static int fail_unknown(parser *p, const char *arg, size_t len,
                        linkd_error *err)
{
    const char *words[64 + N_COMMON + 1] = {NULL};
    char name[WORD_MAX_LEN + 1];
    const char *nearest;

    (void)snprintf(name, sizeof(name), "%.*s",
                   (int)(len < WORD_MAX_LEN ? len : WORD_MAX_LEN), arg);
    for (size_t i = 0; i < n_all_options(p->syntax); i++)
        words[i] = option_at(p->syntax, i)->name;
    nearest = lk_nearest(name, words);
    if (nearest != NULL)
        (void)!lk_buf_printf(p->hint, NULL, "did you mean --%s?", nearest);
    return lk_fail(err, LINKD_E_ARG, "%s has no option --%s", p->syntax->name,
                   name);
}

static void *value_slot(const parser *p, const lk_option *option)
{
    return (char *)p->values + option->offset;
}

static int real_parse(const lk_option *option, const char *text,
                      double *ret_value, linkd_error *err)
{
    char *end;
    double value;

    errno = 0;
    value = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(value) || errno != 0 ||
        text[0] == ' ')
        return lk_fail(err, LINKD_E_ARG, "--%s: \"%s\" is not a number",
                       option->name, text);
    if (value < option->min || value > option->max)
        return lk_fail(err, LINKD_E_ARG,
                       "--%s: %s is not between %.15g and %.15g", option->name,
                       text, option->min, option->max);
    *ret_value = value;
    return LINKD_OK;
}

static int count_parse(const lk_option *option, const char *text,
                       size_t *ret_value, linkd_error *err)
{
    double value = 0;
    int rc;

    if (text[0] == '\0' || strspn(text, "0123456789") != strlen(text))
        return lk_fail(err, LINKD_E_ARG, "--%s: \"%s\" is not a whole number",
                       option->name, text);
    rc = real_parse(option, text, &value, err); /* max is below 2^53 */
    if (rc == LINKD_OK)
        *ret_value = (size_t)value;
    return rc;
}

static int word_parse(parser *p, const lk_option *option, const char *text,
                      int *ret_value, linkd_error *err)
{
    for (int i = 0; option->words[i] != NULL; i++) {
        if (strcmp(option->words[i], text) == 0) {
            *ret_value = i;
            return LINKD_OK;
        }
    }
    for (int i = 0; option->words[i] != NULL; i++)
        (void)!lk_buf_printf(p->hint, NULL, "%s%s",
                             i == 0 ? "it can be " : ", ", option->words[i]);
    return lk_fail(err, LINKD_E_ARG, "--%s cannot be \"%s\"", option->name,
                   text);
}

static int value_parse(parser *p, const lk_option *option, const char *text,
                       linkd_error *err)
{
    void *slot = value_slot(p, option);

    switch (option->kind) {
    case LK_OPTION_COUNT:
        return count_parse(option, text, slot, err);
    case LK_OPTION_REAL:
        return real_parse(option, text, slot, err);
    case LK_OPTION_WORD:
        return word_parse(p, option, text, slot, err);
    case LK_OPTION_TEXT:
        if (text[0] == '\0')
            return lk_fail(err, LINKD_E_ARG, "--%s is empty", option->name);
        *(const char **)slot = text;
        return LINKD_OK;
    case LK_OPTION_FLAG:
        break;
    }
    return lk_fail(err, LINKD_E_ARG, "--%s takes no value", option->name);
}

static int flag_set(parser *p, size_t i)
{
    const lk_option *option = option_at(p->syntax, i);
    char *base = i < p->syntax->n_options ? p->values : (char *)&p->args;

    *(bool *)(void *)(base + option->offset) = true;
    return LINKD_OK;
}

/* `value` is what was glued to the option, or NULL. */
static int option_take(parser *p, size_t i, const char *value, linkd_error *err)
{
    const lk_option *option = option_at(p->syntax, i);

    if (p->args.given & (UINT64_C(1) << i))
        return lk_fail(err, LINKD_E_ARG, "--%s is given twice", option->name);
    p->args.given |= UINT64_C(1) << i;
    if (option->kind == LK_OPTION_FLAG && value == NULL)
        return flag_set(p, i);
    if (value == NULL && p->at < p->argc &&
        strncmp(p->argv[p->at], "--", 2) != 0)
        value = p->argv[p->at++];
    if (value == NULL)
        return lk_fail(err, LINKD_E_ARG, "--%s needs a value: %s", option->name,
                       option->value);
    return value_parse(p, option, value, err);
}

static int long_take(parser *p, const char *arg, linkd_error *err)
{
    const char *equals = strchr(arg, '=');
    size_t len = equals != NULL ? (size_t)(equals - arg) : strlen(arg);
    size_t i = option_find(p->syntax, arg, len, 0);

    if (i == n_all_options(p->syntax))
        return fail_unknown(p, arg, len, err);
    return option_take(p, i, equals != NULL ? equals + 1 : NULL, err);
}

/* Bytes of the UTF-8 character that `text` begins with. */
static size_t character_len(const char *text)
{
    size_t len = 1;

    while (((unsigned char)text[len] & 0xC0) == 0x80)
        len++;
    return len;
}

static int letters_take(parser *p, const char *arg, linkd_error *err)
{
    for (; *arg != '\0'; arg++) {
        size_t i = option_find(p->syntax, NULL, 0, *arg);
        int rc;

        if (i == n_all_options(p->syntax))
            return lk_fail(err, LINKD_E_ARG, "%s has no option -%.*s",
                           p->syntax->name, (int)character_len(arg), arg);
        if (option_at(p->syntax, i)->kind != LK_OPTION_FLAG)
            return option_take(p, i, arg[1] != '\0' ? arg + 1 : NULL, err);
        rc = option_take(p, i, NULL, err);
        if (rc != LINKD_OK)
            return rc;
    }
    return LINKD_OK;
}

static int operand_take(parser *p, const char *arg, linkd_error *err)
{
    if (p->args.n_operands == p->syntax->n_operands_max)
        return lk_fail(err, LINKD_E_ARG, "%s does not know what to do with %s",
                       p->syntax->name, arg);
    if (arg[0] == '\0')
        return lk_fail(err, LINKD_E_ARG, "%s: %s is empty", p->syntax->name,
                       p->syntax->operands[p->args.n_operands]);
    p->args.operands[p->args.n_operands++] = arg;
    return LINKD_OK;
}

static int arg_take(parser *p, bool *options_ended, linkd_error *err)
{
    const char *arg = p->argv[p->at++];

    if (*options_ended || arg[0] != '-' || arg[1] == '\0')
        return operand_take(p, arg, err);
    if (strcmp(arg, "--") == 0) {
        *options_ended = true;
        return LINKD_OK;
    }
    if (arg[1] == '-')
        return long_take(p, arg + 2, err);
    return letters_take(p, arg + 1, err);
}

int lk_args_parse(const lk_syntax *syntax, int argc, char *const *argv,
                  void *values, lk_args *ret_args, lk_buf *hint,
                  linkd_error *err)
{
    parser p = {.syntax = syntax,
                .argv = argv,
                .argc = argc,
                .values = values,
                .hint = hint};
    bool options_ended = false;
    int rc = LINKD_OK;

    LK_ASSERT(n_all_options(syntax) <= 64 &&
              syntax->n_operands_max <=
                  sizeof(p.args.operands) / sizeof(*p.args.operands));
    while (p.at < argc && rc == LINKD_OK && !p.args.help)
        rc = arg_take(&p, &options_ended, err);
    if (rc == LINKD_OK && !p.args.help &&
        p.args.n_operands < syntax->n_operands_min)
        rc = lk_fail(err, LINKD_E_ARG, "%s needs %s", syntax->name,
                     syntax->operands[p.args.n_operands]);
    if (rc != LINKD_OK && hint->len == 0)
        (void)!lk_buf_printf(hint, NULL, "see linkctl %s --help", syntax->name);
    if (rc == LINKD_OK)
        *ret_args = p.args;
    return rc;
}

bool lk_args_given(const lk_syntax *syntax, const lk_args *args,
                   const char *name)
{
    size_t i = option_find(syntax, name, strlen(name), 0);

    LK_ASSERT(i < syntax->n_options);
    return (args->given & UINT64_C(1) << i) != 0;
}

const char *lk_args_first_given(const lk_syntax *syntax, const lk_args *args,
                                const char *const *names)
{
    while (*names != NULL && !lk_args_given(syntax, args, *names))
        names++;
    return *names;
}

/* ---- help --------------------------------------------------------------- */

static void option_help(const lk_option *option, FILE *out)
{
    char left[48];
    const char *text = option->help;
    int used = snprintf(left, sizeof(left), "--%s%s%s", option->name,
                        option->value != NULL ? " " : "",
                        option->value != NULL ? option->value : "");

    if (option->letter != 0)
        (void)fprintf(out, "  -%c, %-20s", option->letter, left);
    else
        (void)fprintf(out, "  %-24s", left);
    if (used > (option->letter != 0 ? 19 : 23))
        (void)fprintf(out, "\n%26s", "");
    for (; *text != '\0'; text++) {
        (void)fputc(*text, out);
        if (*text == '\n')
            (void)fprintf(out, "%26s", "");
    }
    (void)fputc('\n', out);
}

void lk_args_help(const lk_syntax *syntax, FILE *out)
{
    (void)fprintf(out, "Usage: linkctl %s", syntax->name);
    for (size_t i = 0; i < syntax->n_operands_max; i++)
        (void)fprintf(out, i < syntax->n_operands_min ? " %s" : " [%s]",
                      syntax->operands[i]);
    (void)fprintf(out, " [OPTION]...\n%s\n\nOptions:\n", syntax->summary);
    for (size_t i = 0; i < n_all_options(syntax); i++)
        option_help(option_at(syntax, i), out);
    if (syntax->notes != NULL)
        (void)fprintf(out, "\n%s", syntax->notes);
}
