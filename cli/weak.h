/* cli/weak.h — --weak of dedup: the entities to look at first. */
#ifndef LINKD_CLI_WEAK_H
#define LINKD_CLI_WEAK_H

#include "cli/decide.h"
#include "cli/output.h"

/* Writes one row an entity of two or more rows, the one with the weakest link
 * first: entity_id, its rows, how many of its pairs were compared, how many of
 * these reach the threshold (links), links without which it falls in two
 * (bridges), the weakest link that holds it together with its probability,
 * empty if links do not reach all rows, the rows on the smaller side of it, and
 * the mean probability of the pairs compared. */
LINKD_MUST_CHECK int lk_weak_write(const linkd_table *table,
                                   const linkd_decision *decision,
                                   lk_output *output, linkd_format format,
                                   linkd_error *err);

#endif
