/* encoder/pattern_parts.h — a regular expression as steps, for pattern_parse.c,
 * which makes them, and pattern.c, which takes them. */
#ifndef LK_ENCODER_PATTERN_PARTS_H
#define LK_ENCODER_PATTERN_PARTS_H

#include "encoder/code_set.h"
#include "encoder/pattern.h"

typedef enum lk_pattern_kind {
    LK_STEP_SET, /* `least` to `most` characters of a set, as many as can be */
    LK_STEP_CHOICE, /* what follows, or else from `target` on */
    LK_STEP_JUMP,   /* on at `target` */
    LK_STEP_LOOK, /* what follows must match here, or must not; on at `target` */
    LK_STEP_FAIL,  /* no choice is left */
    LK_STEP_MATCH, /* the end, of what is looked for or of all */
} lk_pattern_kind;

#define LK_MOST_ANY SIZE_MAX

/* Targets lie ahead, so that no way through the steps is longer than they are. */
typedef struct lk_pattern_step {
    lk_pattern_kind kind;
    lk_code_set set;
    size_t least, most;
    bool keeps;      /* SET: gives nothing back */
    bool is_against; /* LOOK */
    size_t target;
} lk_pattern_step;

struct lk_pattern {
    lk_pattern_step *steps;
    size_t n;
    size_t capacity;
};

/* Whether the empty text is a match. */
bool lk_pattern_takes_nothing(const lk_pattern *pattern);

#endif
