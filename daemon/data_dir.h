/* daemon/data_dir.h — private: the data directory as a whole, which one daemon
 * at a time may have.
 *
 * The store has a lock of its own, but is opened after the socket, and a second
 * daemon must be turned away before it touches the first one's socket. */
#ifndef LK_DAEMON_DATA_DIR_H
#define LK_DAEMON_DATA_DIR_H

#include "base/base.h"

/* Makes the directory and its parents where they are absent (mode 0700), and
 * <dir>/files and <dir>/jobs; locks it until *ret_lock is closed, which the
 * end of the process does as well. LINKD_E_BUSY: another daemon has it; the
 * message has its process number. LINKD_E_IO, LINKD_E_FULL. */
LINKD_MUST_CHECK int lk_data_dir_open(const char *dir, int *ret_lock,
                                      linkd_error *err);

#endif
