/* linkage/doubt.c — when the data cannot support a decision.
 *
 * What is expected rests on the model itself, and a model that tells "similar"
 * from "not" is as sure of itself as one that tells "same" from "not". Some
 * signs give it away, and then the verdict says so instead of promising. */
#include <stdio.h>

#include "linkage/decision.h"

/* Of the tables that were measured, those decided rightly were expected to have
 * a precision of 0.93 and a recall, of what candidates show, of 0.87 and more;
 * tables of near-variants without a match lacked one of them. */
#define RECALL_MIN 0.75

/* Where fewer rows share any text with others, most of the matches may be beyond
 * all evidence: a guess. */
#define COMPARED_MIN 0.5

static void doubt_write(linkd_verdict *verdict, double share_compared)
{
    char *doubt = verdict->doubt;
    size_t len = sizeof(verdict->doubt);

    if (verdict->precision <= 0.0)
        (void)snprintf(doubt, len, "no rows are more alike than strangers are");
    else if (share_compared < COMPARED_MIN)
        (void)snprintf(doubt, len,
                       "only %.0f %% of the rows share any text with others: "
                       "what the rest match is not known",
                       100.0 * share_compared);
    else if (verdict->precision < LK_PRECISION_MIN)
        (void)snprintf(doubt, len,
                       "similar rows hardly stand out from the others: fewer "
                       "pairs may be right than the expected %.0f %%",
                       100.0 * verdict->precision);
    else if (verdict->recall < RECALL_MIN)
        (void)snprintf(doubt, len,
                       "similar rows hardly stand out from the others: many "
                       "that were left apart are as alike as those that match");
}

void lk_doubt_consider(linkd_verdict *verdict, double share_compared)
{
    if (verdict->doubt[0] == '\0')
        doubt_write(verdict, share_compared);
    verdict->supported = verdict->doubt[0] == '\0';
}

void lk_doubt_too_few(linkd_verdict *verdict)
{
    (void)snprintf(
        verdict->doubt, sizeof(verdict->doubt),
        "too few rows are alike to learn from: the likeness of their "
        "words alone decides");
}
