/* cli/user_labels.h — which records of a collection are one entity. */
#ifndef LINKD_CLI_USER_LABELS_H
#define LINKD_CLI_USER_LABELS_H

#include <jansson.h>

#include "cli/command.h"

/* Reads pairs (left_id, right_id, and match if there is such a column), or
 * entities (id, entity_id), and puts {"id", "entity"} of every record into `body`
 * as "labels". Of pairs only matches count; what they join is one entity.
 * LINKD_E_DATA: the columns are neither, or a match is no answer. */
LINKD_MUST_CHECK int lk_user_labels_read(lk_cli *cli, const char *path,
                                         json_t *body, linkd_error *err);

#endif
