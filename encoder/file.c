/* encoder/file.c — whole files, mapped read-only.
 * Weights are larger than anything else that linkd reads and are used in place
 * or once, so they are mapped, and given back page by page once packed. */
#include "encoder/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int64_t nanoseconds(struct timespec time)
{
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static int map(int fd, const struct stat *status, lk_file *ret_file)
{
    const size_t len = (size_t)status->st_size;
    void *bytes = NULL;

    if (len > 0)
        bytes = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        return -1;
    *ret_file =
        (lk_file){.bytes = bytes,
                  .len = len,
                  .identity = {.inode = (uint64_t)status->st_ino,
                               .len = len,
                               .modified_ns = nanoseconds(status->st_mtim),
                               .changed_ns = nanoseconds(status->st_ctim)}};
    return 0;
}

int lk_file_map(const char *path, lk_file *ret_file, linkd_error *err)
{
    struct stat status;
    int rc = LINKD_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &status) != 0)
        rc = lk_fail(err, LINKD_E_IO, "could not read %s: %s", path,
                     strerror(errno));
    else if (!S_ISREG(status.st_mode))
        rc = lk_fail(err, LINKD_E_IO, "could not read %s: not a plain file",
                     path);
    else if (map(fd, &status, ret_file) != 0)
        rc = lk_fail(err, LINKD_E_IO, "could not map %s: %s", path,
                     strerror(errno));
    if (fd >= 0)
        close(fd);
    return rc;
}

void lk_file_unmap(lk_file *file)
{
    /* munmap takes what mmap gave, which was never const */
    if (file->bytes != NULL)
        munmap((void *)(uintptr_t)file->bytes, file->len);
    *file = (lk_file){0};
}

int lk_file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

void lk_file_release(const void *bytes, size_t len)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t begin = ((uintptr_t)bytes + page - 1) / page * page;
    uintptr_t end = ((uintptr_t)bytes + len) / page * page;

    /* advice: when it is not taken, only memory is lost */
    if (begin < end)
        (void)madvise((void *)begin, end - begin, MADV_DONTNEED);
}

int lk_file_path(const char *dir, const char *name, lk_buf *ret_path,
                 linkd_error *err)
{
    lk_buf_reset(ret_path);
    return lk_buf_printf(ret_path, err, "%s/%s", dir, name);
}
