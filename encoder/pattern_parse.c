/* encoder/pattern_parse.c — reads a regular expression into steps.
 *
 *   choice  = branch { "|" branch }
 *   branch  = { item }
 *   item    = "(?:" choice ")" [ "?" ] | "(?i:" … | "(?=" … | "(?!" …
 *           | ( character | "." | "\" escape | "[" class "]" ) [ repetition ]
 *   repetition = ( "?" | "*" | "+" ) [ "+" ] | "{" least "," most "}"
 *
 * Everything else that a regular expression can say is refused. */
#include "encoder/pattern_parts.h"

#include <stdlib.h>
#include <string.h>

#include "encoder/unicode.h"

enum {
    STEPS_MAX = 500, /* guess: the longest in use, GPT-4o's, has 60 */
    DEPTH_MAX = 10,
    REPEATS_MAX = 1000,
};

/* Both letters of these have a third in Unicode. */
#define LONG_S      0x17FU
#define KELVIN_SIGN 0x212AU

typedef struct parser {
    lk_pattern *pattern;
    const char *text; /* what is left */
    bool folds;       /* in (?i: */
    size_t depth;
    linkd_error *err;
} parser;

static int refuse(const parser *p, const char *what)
{
    return lk_fail(p->err, LINKD_E_DATA, "%s is not supported", what);
}

/* ---- steps -------------------------------------------------------------- */

static int step_add(parser *p, lk_pattern_kind kind, size_t *ret_step)
{
    lk_pattern *pattern = p->pattern;
    int rc;

    if (pattern->n == STEPS_MAX)
        return refuse(p, "so long a pattern");
    rc = lk_grow((void **)&pattern->steps, &pattern->capacity, pattern->n + 1,
                 sizeof(*pattern->steps), p->err);
    if (rc != LINKD_OK)
        return rc;
    *ret_step = pattern->n++;
    pattern->steps[*ret_step] =
        (lk_pattern_step){.kind = kind, .least = 1, .most = 1};
    return LINKD_OK;
}

static bool text_take(parser *p, const char *wanted)
{
    const size_t len = strlen(wanted);

    if (strncmp(p->text, wanted, len) != 0)
        return false;
    p->text += len;
    return true;
}

/* ---- characters --------------------------------------------------------- */

/* Under (?i: a letter is both, and its third. */
static int character_add(parser *p, uint32_t cp, lk_code_set *set)
{
    const uint32_t lower = cp | 0x20;
    int rc = lk_code_set_add(set, cp, cp, p->err);

    if (rc != LINKD_OK || !p->folds)
        return rc;
    if (cp >= 0x80)
        return refuse(p, "\"(?i:\" around more than ASCII");
    if (lower < 'a' || lower > 'z')
        return LINKD_OK;
    rc = lk_code_set_add(set, cp ^ 0x20, cp ^ 0x20, p->err);
    if (rc == LINKD_OK && lower == 's')
        rc = lk_code_set_add(set, LONG_S, LONG_S, p->err);
    if (rc == LINKD_OK && lower == 'k')
        rc = lk_code_set_add(set, KELVIN_SIGN, KELVIN_SIGN, p->err);
    return rc;
}

/* What an escape adds all of; a single character instead where it is one. */
static int class_add(parser *p, const lk_code_set *class, bool is_negated,
                     lk_code_set *set)
{
    lk_code_set all = {0};
    int rc = lk_code_set_add_set(&all, class, p->err);

    if (rc == LINKD_OK)
        rc = lk_code_set_finish(&all, p->err);
    if (rc == LINKD_OK && is_negated)
        rc = lk_code_set_negate(&all, p->err);
    if (rc == LINKD_OK)
        rc = lk_code_set_add_set(set, &all, p->err);
    lk_code_set_clear(&all);
    return rc;
}

/* The rest of \p{Name} or \P{Name}. */
static int property_add(parser *p, bool is_negated, lk_code_set *set)
{
    const char *end = strchr(p->text, '}');
    lk_code_set class = {0};
    linkd_str name;
    int rc;

    if (p->text[0] != '{' || end == NULL)
        return refuse(p, "\"\\p\" without braces");
    if (p->text[1] == '^') {
        is_negated = !is_negated;
        p->text++;
    }
    name = (linkd_str){p->text + 1, (size_t)(end - p->text - 1)};
    p->text = end + 1;
    rc = lk_code_set_add_category(&class, name, p->err);
    if (rc == LINKD_OK)
        rc = class_add(p, &class, is_negated, set);
    lk_code_set_clear(&class);
    return rc;
}

static int space_add(parser *p, bool is_negated, lk_code_set *set)
{
    lk_code_set class = {0};
    int rc = lk_code_set_add_spaces(&class, p->err);

    if (rc == LINKD_OK)
        rc = class_add(p, &class, is_negated, set);
    lk_code_set_clear(&class);
    return rc;
}

static int digit_add(parser *p, bool is_negated, lk_code_set *set)
{
    lk_code_set class = {0};
    int rc = lk_code_set_add_category(&class, (linkd_str){"Nd", 2}, p->err);

    if (rc == LINKD_OK)
        rc = class_add(p, &class, is_negated, set);
    lk_code_set_clear(&class);
    return rc;
}

/* The rest of \uHHHH. */
static int hex_read(parser *p, uint32_t *ret_cp)
{
    uint32_t cp = 0;

    for (size_t i = 0; i < 4; i++) {
        static const char digits[] = "0123456789abcdef";
        const char byte = p->text[i];
        const char *digit =
            byte != '\0' ? strchr(digits, byte | (byte >= 'A' ? 0x20 : 0))
                         : NULL;

        if (digit == NULL)
            return refuse(p, "\"\\u\" without four digits");
        cp = cp << 4 | (uint32_t)(digit - digits);
    }
    p->text += 4;
    *ret_cp = cp;
    return LINKD_OK;
}

/* What follows a backslash: into `set` where it is a class, and otherwise one
 * character into `ret_cp`. */
static int escape_read(parser *p, lk_code_set *set, bool *ret_is_class,
                       uint32_t *ret_cp)
{
    static const char controls[] = "t\tn\nv\vf\fr\r";
    const char *control;
    const char name = *p->text;

    *ret_is_class = name != '\0' && strchr("pPsSdD", name) != NULL;
    if (name == '\0')
        return refuse(p, "a backslash at the end");
    p->text++;
    if (name == 'p' || name == 'P')
        return property_add(p, name == 'P', set);
    if (name == 's' || name == 'S')
        return space_add(p, name == 'S', set);
    if (name == 'd' || name == 'D')
        return digit_add(p, name == 'D', set);
    if (name == 'u')
        return hex_read(p, ret_cp);
    control = strchr(controls, name);
    if (control != NULL && (control - controls) % 2 == 0) {
        *ret_cp = (uint8_t)control[1];
        return LINKD_OK;
    }
    if ((name >= 'a' && name <= 'z') || (name >= 'A' && name <= 'Z') ||
        (name >= '0' && name <= '9') || (uint8_t)name >= 0x80)
        return lk_fail(p->err, LINKD_E_DATA, "\"\\%.1s\" is not supported",
                       (uint8_t)name < 0x80 ? p->text - 1 : "?");
    *ret_cp = (uint8_t)name;
    return LINKD_OK;
}

static uint32_t character_read(parser *p)
{
    uint32_t cp;

    p->text += lk_utf8_read((const uint8_t *)p->text, strlen(p->text), &cp);
    return cp;
}

/* ---- classes ------------------------------------------------------------ */

/* One character of a class, or an escape that is a class by itself. */
static int member_read(parser *p, lk_code_set *set, bool *ret_is_class,
                       uint32_t *ret_cp)
{
    *ret_is_class = false;
    if (p->text[0] == '[' || strncmp(p->text, "&&", 2) == 0)
        return refuse(p, "a class within a class");
    if (text_take(p, "\\"))
        return escape_read(p, set, ret_is_class, ret_cp);
    *ret_cp = character_read(p);
    return LINKD_OK;
}

/* A member, or a range from it. */
static int member_add(parser *p, lk_code_set *set)
{
    bool is_class;
    uint32_t first = 0, last = 0;
    int rc = member_read(p, set, &is_class, &first);

    if (rc != LINKD_OK || is_class)
        return rc;
    if (p->text[0] != '-' || p->text[1] == ']' || p->text[1] == '\0')
        return character_add(p, first, set);
    p->text++;
    rc = member_read(p, set, &is_class, &last);
    if (rc != LINKD_OK)
        return rc;
    if (is_class || last < first || p->folds)
        return refuse(p, "such a range of characters");
    return lk_code_set_add(set, first, last, p->err);
}

/* The rest after "[". */
static int brackets_read(parser *p, lk_code_set *set)
{
    const bool is_negated = text_take(p, "^");
    int rc = LINKD_OK;

    if (p->text[0] == ']')
        return refuse(p, "a class that begins with \"]\"");
    while (rc == LINKD_OK && p->text[0] != ']') {
        if (p->text[0] == '\0')
            return refuse(p, "a class without an end");
        rc = member_add(p, set);
    }
    if (rc != LINKD_OK)
        return rc;
    p->text++;
    rc = lk_code_set_finish(set, p->err);
    if (rc == LINKD_OK && is_negated)
        rc = lk_code_set_negate(set, p->err);
    return rc;
}

/* ---- items -------------------------------------------------------------- */

/* Any character but a new line. */
static int dot_add(parser *p, lk_code_set *set)
{
    int rc = lk_code_set_add(set, '\n', '\n', p->err);

    if (rc == LINKD_OK)
        rc = lk_code_set_finish(set, p->err);
    if (rc == LINKD_OK)
        rc = lk_code_set_negate(set, p->err);
    return rc;
}

static int set_read(parser *p, lk_code_set *set)
{
    bool is_class = false;
    uint32_t cp = 0;
    int rc = LINKD_OK;

    if (text_take(p, "."))
        return dot_add(p, set);
    if (text_take(p, "["))
        return brackets_read(p, set);
    if (text_take(p, "\\"))
        rc = escape_read(p, set, &is_class, &cp);
    else
        cp = character_read(p);
    if (rc == LINKD_OK && !is_class)
        rc = character_add(p, cp, set);
    if (rc == LINKD_OK)
        rc = lk_code_set_finish(set, p->err);
    return rc;
}

/* "{2}", "{1,3}" or "{2,}". */
static int braces_read(parser *p, lk_pattern_step *step)
{
    char *end;

    if (p->text[0] < '0' || p->text[0] > '9')
        return refuse(p, "\"{\" without a number");
    step->least = strtoul(p->text, &end, 10);
    step->most = step->least;
    if (*end == ',' && end[1] == '}') {
        step->most = LK_MOST_ANY;
        end++;
    } else if (*end == ',' && end[1] >= '0' && end[1] <= '9') {
        step->most = strtoul(end + 1, &end, 10);
    }
    if (*end != '}' || step->least > REPEATS_MAX || step->most < step->least ||
        (step->most > REPEATS_MAX && step->most != LK_MOST_ANY))
        return refuse(p, "such a repetition");
    p->text = end + 1;
    return LINKD_OK;
}

static int repetition_read(parser *p, lk_pattern_step *step)
{
    const char sign = p->text[0];
    int rc;

    if (text_take(p, "{")) {
        rc = braces_read(p, step);
        if (rc != LINKD_OK)
            return rc;
    } else if (sign == '?' || sign == '*' || sign == '+') {
        step->least = sign == '+' ? 1 : 0;
        step->most = sign == '?' ? 1 : LK_MOST_ANY;
        p->text++;
        step->keeps = text_take(p, "+");
    }
    if (p->text[0] != '\0' && strchr("?*+{", p->text[0]) != NULL)
        return refuse(p, "a repetition of a repetition");
    return LINKD_OK;
}

static int set_item_read(parser *p)
{
    size_t step = 0;
    int rc;

    if (strchr("^$?*+{", p->text[0]) != NULL)
        return lk_fail(p->err, LINKD_E_DATA, "\"%.1s\" is not supported here",
                       p->text);
    rc = step_add(p, LK_STEP_SET, &step);
    if (rc == LINKD_OK)
        rc = set_read(p, &p->pattern->steps[step].set);
    if (rc == LINKD_OK)
        rc = repetition_read(p, &p->pattern->steps[step]);
    return rc;
}

static int choice_read(parser *p, bool is_group);

/* The rest after "(?=" or "(?!". */
static int look_read(parser *p, bool is_against)
{
    size_t look = 0, match;
    int rc = step_add(p, LK_STEP_LOOK, &look);

    if (rc == LINKD_OK)
        rc = choice_read(p, true);
    if (rc == LINKD_OK)
        rc = step_add(p, LK_STEP_MATCH, &match);
    if (rc != LINKD_OK)
        return rc;
    p->pattern->steps[look].is_against = is_against;
    p->pattern->steps[look].target = p->pattern->n;
    return LINKD_OK;
}

/* The rest after "(". */
static int group_read(parser *p)
{
    const bool folds = p->folds;
    int rc;

    if (text_take(p, "?="))
        return look_read(p, false);
    if (text_take(p, "?!"))
        return look_read(p, true);
    if (text_take(p, "?i:"))
        p->folds = true;
    else if (!text_take(p, "?:") && p->text[0] == '?')
        return refuse(p, "such a group");
    rc = choice_read(p, true);
    p->folds = folds;
    return rc;
}

static int item_read(parser *p)
{
    return text_take(p, "(") ? group_read(p) : set_item_read(p);
}

/* ---- choices ------------------------------------------------------------ */

/* A step before each branch says where the next one begins. */
static int branch_read(parser *p, size_t *ret_jump)
{
    size_t choice = 0;
    int rc = step_add(p, LK_STEP_CHOICE, &choice);

    while (rc == LINKD_OK && p->text[0] != '\0' && p->text[0] != '|' &&
           p->text[0] != ')')
        rc = item_read(p);
    if (rc == LINKD_OK)
        rc = step_add(p, LK_STEP_JUMP, ret_jump);
    if (rc == LINKD_OK)
        p->pattern->steps[choice].target = p->pattern->n;
    return rc;
}

/* Every jump since `first` that has no target yet ends the choice. */
static void jumps_point(lk_pattern *pattern, size_t first)
{
    for (size_t i = first; i < pattern->n; i++)
        if (pattern->steps[i].kind == LK_STEP_JUMP &&
            pattern->steps[i].target == 0)
            pattern->steps[i].target = pattern->n;
}

/* The end of a group: it may be left out, or one branch must match. */
static int group_end(parser *p, bool is_group)
{
    size_t fail;

    if (is_group && !text_take(p, ")"))
        return refuse(p, "a group without an end");
    if (!is_group && p->text[0] != '\0')
        return refuse(p, "\")\" without a group");
    if (is_group && text_take(p, "?"))
        return p->text[0] == '\0' || strchr("?*+{", p->text[0]) == NULL
                   ? LINKD_OK
                   : refuse(p, "a repetition of a repetition");
    if (is_group && p->text[0] != '\0' && strchr("*+{", p->text[0]) != NULL)
        return refuse(p, "the repetition of a group");
    return step_add(p, LK_STEP_FAIL, &fail);
}

/* All branches up to the end, or up to the end of a group. */
static int choice_read(parser *p, bool is_group)
{
    const size_t first = p->pattern->n;
    size_t jump;
    int rc;

    if (++p->depth > DEPTH_MAX)
        return refuse(p, "so deep a pattern");
    do
        rc = branch_read(p, &jump);
    while (rc == LINKD_OK && text_take(p, "|"));
    if (rc == LINKD_OK)
        rc = group_end(p, is_group);
    p->depth--;
    jumps_point(p->pattern, first);
    return rc;
}

/* ---- the pattern -------------------------------------------------------- */

static int pattern_read(parser *p)
{
    size_t match;
    int rc = choice_read(p, false);

    if (rc == LINKD_OK)
        rc = step_add(p, LK_STEP_MATCH, &match);
    if (rc != LINKD_OK)
        return rc;
    if (lk_pattern_takes_nothing(p->pattern))
        return refuse(p, "a match of the empty text");
    return LINKD_OK;
}

static int pattern_make(const char *text, int (*read)(parser *p),
                        lk_pattern **ret_pattern, linkd_error *err)
{
    parser p = {.text = text, .err = err};
    int rc;

    p.pattern = calloc(1, sizeof(*p.pattern));
    if (p.pattern == NULL)
        return lk_fail_nomem(err);
    rc = read(&p);
    if (rc == LINKD_OK)
        *ret_pattern = p.pattern;
    else
        lk_pattern_free(p.pattern);
    return rc;
}

int lk_pattern_new(const char *text, lk_pattern **ret_pattern, linkd_error *err)
{
    return pattern_make(text, pattern_read, ret_pattern, err);
}

/* A step a character. */
static int plain_read(parser *p)
{
    size_t step = 0;
    int rc = LINKD_OK;

    while (rc == LINKD_OK && p->text[0] != '\0') {
        rc = step_add(p, LK_STEP_SET, &step);
        if (rc == LINKD_OK)
            rc = character_add(p, character_read(p),
                               &p->pattern->steps[step].set);
        if (rc == LINKD_OK)
            rc = lk_code_set_finish(&p->pattern->steps[step].set, p->err);
    }
    if (rc == LINKD_OK)
        rc = step_add(p, LK_STEP_MATCH, &step);
    return rc;
}

int lk_pattern_new_plain(const char *text, lk_pattern **ret_pattern,
                         linkd_error *err)
{
    return pattern_make(text, plain_read, ret_pattern, err);
}
