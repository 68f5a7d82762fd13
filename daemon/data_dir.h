/* daemon/data_dir.h — private: the data directory as a whole, which one daemon
 * at a time may have. */
#ifndef LK_DAEMON_DATA_DIR_H
#define LK_DAEMON_DATA_DIR_H

#include "base/base.h"

/* Makes the directory and its parents where they are absent (mode 0700), and
 * locks it until *ret_lock is closed, which the end of the process does as
 * well. LINKD_E_BUSY: another daemon has it. LINKD_E_IO, LINKD_E_FULL. */
LINKD_MUST_CHECK int lk_data_dir_lock(const char *dir, int *ret_lock,
                                      linkd_error *err);

/* Makes <dir>/<name> if it is absent. Only after the store was opened: that
 * refuses a directory with files of others. `ret_path` is freed with free(). */
LINKD_MUST_CHECK int lk_data_dir_make(const char *dir, const char *name,
                                      char **ret_path, linkd_error *err);

#endif
