/* cli/asked.h — pairs that a file asks about by their ids. */
#ifndef LINKD_CLI_ASKED_H
#define LINKD_CLI_ASKED_H

#include "cli/compared.h"

/* The rows of the compared tables that each row of `file` names in its columns
 * left_id and right_id; ret_pairs [rows of file], in its order. LINKD_E_DATA: a
 * column is missing, an id unknown, or both ids are of one row; the message
 * names file and row. */
LINKD_MUST_CHECK int lk_asked_resolve(const linkd_table *file,
                                      const lk_compared *compared,
                                      linkd_pair *ret_pairs, linkd_error *err);

#endif
