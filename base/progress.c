/* Where long work asks whether to go on. */
#include "base/base.h"

int lk_progress_report(const linkd_progress *progress, const char *step,
                       uint64_t done, uint64_t total, linkd_error *err)
{
    if (progress == NULL || progress->report == NULL)
        return LINKD_OK;
    if (progress->report(progress->ctx, step, done, total) != 0)
        return lk_fail(err, LINKD_E_CANCELLED, "interrupted");
    return LINKD_OK;
}
