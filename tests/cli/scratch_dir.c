#include "tests/cli/scratch_dir.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[PATH_MAX];
static char old_dir[PATH_MAX];

int scratch_dir_enter(void **state)
{
    const char *tmp = getenv("TMPDIR");

    (void)state;
    if (getcwd(old_dir, sizeof(old_dir)) == NULL)
        return -1;
    (void)snprintf(dir, sizeof(dir), "%s/linkd-test-XXXXXX",
                   tmp != NULL ? tmp : "/tmp");
    return mkdtemp(dir) == NULL || chdir(dir) != 0;
}

int scratch_dir_leave(void **state)
{
    DIR *stream = opendir(".");
    struct dirent *entry;

    (void)state;
    while (stream != NULL && (entry = readdir(stream)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            (void)remove(entry->d_name);
    }
    if (stream != NULL)
        (void)closedir(stream);
    return chdir(old_dir) != 0 || rmdir(dir) != 0;
}

void file_write(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0)
        abort();
}

char *file_read(const char *path, size_t *ret_len)
{
    FILE *file = fopen(path, "r");
    char *bytes = calloc(1, (size_t)1 << 20);
    size_t len;

    if (file == NULL || bytes == NULL)
        abort();
    len = fread(bytes, 1, ((size_t)1 << 20) - 1, file);
    (void)fclose(file);
    if (ret_len != NULL)
        *ret_len = len;
    return bytes;
}

size_t files_count(void)
{
    DIR *stream = opendir(".");
    struct dirent *entry;
    size_t n = 0;

    while (stream != NULL && (entry = readdir(stream)) != NULL)
        n += entry->d_name[0] != '.';
    if (stream != NULL)
        (void)closedir(stream);
    return n;
}
