/* cli/compat_file.h — a map of compat fit, from its file. */
#ifndef LINKD_CLI_COMPAT_FILE_H
#define LINKD_CLI_COMPAT_FILE_H

#include "compat/compat.h"

/* LINKD_E_IO; LINKD_E_DATA: it is no map, or damaged. Both name the file. */
LINKD_MUST_CHECK int lk_compat_map_load(const char *path,
                                        linkd_compat_map **ret_map,
                                        linkd_error *err);

#endif
