/* Feeds foreign bytes to the CSV reader, as a file and into a table: it answers
 * with a table of valid text, or with a message. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "linkage/linkage.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void table_check(const linkd_table *table)
{
    for (size_t row = 0; row < linkd_table_n_rows(table); row++) {
        LK_ASSERT(linkd_table_id(table, row).len > 0);
        for (size_t i = 0; i < linkd_table_n_columns(table); i++) {
            linkd_cell cell = linkd_table_cell(table, row, i);

            LK_ASSERT(lk_utf8_check(cell.bytes, cell.len) == cell.len);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fd = memfd_create("table", 0);
    const linkd_progress silent = {0};
    linkd_table *table = NULL;
    linkd_error err = {0};
    char path[64];
    linkd_format format = LINKD_FORMAT_CSV;

    LK_ASSERT(fd >= 0);
    if (size > 0 && data[0] == '\t') { /* the rest is a TSV */
        format = LINKD_FORMAT_TSV;
        data++;
        size--;
    }
    if (write(fd, data, size) != (ssize_t)size)
        abort();
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (linkd_table_read(path, format, NULL, &silent, &table, &err) == LINKD_OK)
        table_check(table);
    else
        LK_ASSERT(err.code != LINKD_OK && err.message[0] != '\0');
    linkd_table_free(table);
    (void)close(fd);
    return 0;
}
