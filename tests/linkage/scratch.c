/* The scratch directory of scratch.h, under $TMPDIR or /tmp. */
#include "tests/linkage/scratch.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"

static char directory[256];

int scratch_enter(void **state)
{
    const char *parent = getenv("TMPDIR");

    (void)state;
    (void)snprintf(directory, sizeof(directory), "%s/linkd-test-XXXXXX",
                   parent != NULL ? parent : "/tmp");
    return mkdtemp(directory) != NULL && chdir(directory) == 0 ? 0 : -1;
}

int scratch_leave(void **state)
{
    DIR *entries = opendir(".");
    struct dirent *entry;

    (void)state;
    if (entries == NULL)
        return -1;
    while ((entry = readdir(entries)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            (void)remove(entry->d_name);
    }
    (void)closedir(entries);
    return chdir("/") == 0 && rmdir(directory) == 0 ? 0 : -1;
}

void scratch_write(const char *name, const void *bytes, size_t len)
{
    FILE *file = fopen(name, "wb");
    size_t n_written;
    int rc;

    LK_ASSERT(file != NULL);
    n_written = fwrite(bytes, 1, len, file);
    rc = fclose(file);
    LK_ASSERT(n_written == len && rc == 0);
}

void scratch_write_text(const char *name, const char *text)
{
    scratch_write(name, text, strlen(text));
}
