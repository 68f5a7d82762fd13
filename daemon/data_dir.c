/* daemon/data_dir.c — makes the data directory and keeps others out of it.
 *
 * The store has a lock of its own, LOCK, but it is opened after the socket, and
 * a second daemon must be turned away before it touches the first one's socket.
 * So the directory itself is locked as well: flock() works on directories,
 * leaves no file behind and ends with the process, however it ends. */
#include "daemon/data_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int system_fail(const char *verb, const char *path, linkd_error *err)
{
    int number = errno;

    return lk_fail(err, lk_errno_code(number), "could not %s \"%s\": %s", verb,
                   path, strerror(number));
}

/* Makes one directory that survives a power cut. `path` is cut at its last
 * slash for a while. */
static int dir_make(char *path, linkd_error *err)
{
    char *slash;
    int rc;

    if (mkdir(path, 0700) != 0)
        return errno == EEXIST ? LINKD_OK
                               : system_fail("make directory", path, err);
    slash = strrchr(path, '/');
    if (slash == NULL)
        return lk_dir_sync(".", err);
    if (slash == path)
        return lk_dir_sync("/", err);
    *slash = '\0';
    rc = lk_dir_sync(path, err);
    *slash = '/';
    return rc;
}

static int dirs_make(char *path, linkd_error *err)
{
    int rc;

    for (char *at = strchr(path + 1, '/'); at != NULL;
         at = strchr(at + 1, '/')) {
        *at = '\0';
        rc = dir_make(path, err);
        *at = '/';
        if (rc != LINKD_OK)
            return rc;
    }
    return dir_make(path, err);
}

int lk_data_dir_lock(const char *dir, int *ret_lock, linkd_error *err)
{
    char *path = strdup(dir);
    int fd = -1;
    int rc;

    if (path == NULL)
        return lk_fail_nomem(err);
    rc = dirs_make(path, err);
    if (rc != LINKD_OK)
        goto done;
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        rc = system_fail("open directory", dir, err);
    else if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        *ret_lock = fd;
    else if (errno == EWOULDBLOCK)
        rc = lk_fail(err, LINKD_E_BUSY,
                     "data directory \"%s\" is in use by another linkd", dir);
    else
        rc = system_fail("lock", dir, err);
    if (rc != LINKD_OK && fd >= 0)
        (void)close(fd);
done:
    free(path);
    return rc;
}

int lk_data_dir_make(const char *dir, const char *name, char **ret_path,
                     linkd_error *err)
{
    lk_buf path = {0};
    int rc = lk_buf_printf(&path, err, "%s/%s", dir, name);

    if (rc == LINKD_OK)
        rc = dir_make(path.data, err);
    if (rc == LINKD_OK)
        *ret_path = path.data;
    else
        lk_buf_clear(&path);
    return rc;
}
