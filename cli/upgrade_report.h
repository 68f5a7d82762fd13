/* cli/upgrade_report.h — one page of HTML about a probe: is another model worth it
 * for a collection? */
#ifndef LINKD_CLI_UPGRADE_REPORT_H
#define LINKD_CLI_UPGRADE_REPORT_H

#include <jansson.h>

#include "base/base.h"

/* The page, which needs nothing from anywhere else; cleared by the caller.
 *   verdict  the object "verdict" of a probe's job (docs/upgrade.md), or null:
 *            the collection had the model before */
LINKD_MUST_CHECK int lk_upgrade_report_make(const char *collection,
                                            const char *model,
                                            const json_t *verdict,
                                            lk_buf *ret_html, linkd_error *err);

#endif
