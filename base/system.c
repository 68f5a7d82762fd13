/* base/system.c — what the system's refusals mean to a caller, and directories
 * whose names have to survive a power cut. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"

int lk_errno_code(int number)
{
    return number == ENOSPC || number == EDQUOT ? LINKD_E_FULL : LINKD_E_IO;
}

static int dir_fail(const char *verb, const char *path, linkd_error *err)
{
    int number = errno;

    return lk_fail(err,
                   number == ENOENT ? LINKD_E_ABSENT : lk_errno_code(number),
                   "could not %s \"%s\": %s", verb, path, strerror(number));
}

int lk_dir_sync(const char *path, linkd_error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc;

    if (fd < 0)
        return dir_fail("open directory", path, err);
    rc = fsync(fd) == 0 ? LINKD_OK : dir_fail("sync", path, err);
    (void)close(fd);
    return rc;
}
