/* cli/file.h — files that are read whole. */
#ifndef LINKD_CLI_FILE_H
#define LINKD_CLI_FILE_H

#include "base/base.h"

/* LINKD_E_IO: "could not read FILE: " and what errno says. */
int lk_fail_read(const char *path, linkd_error *err);

/* Appends all of a file. LINKD_E_DATA: it has more than `max_bytes`. LINKD_E_IO:
 * it cannot be read. */
LINKD_MUST_CHECK int lk_file_read(const char *path, size_t max_bytes,
                                  lk_buf *ret_bytes, linkd_error *err);

#endif
