/* tests/cli/scratch_dir.h — a directory of a test's own, and files in it. */
#ifndef LINKD_TESTS_SCRATCH_DIR_H
#define LINKD_TESTS_SCRATCH_DIR_H

#include <stddef.h>

/* Makes a directory and goes there; leaves it and removes all in it. Both
 * have the form of cmocka's set-up and tear-down functions. */
int scratch_dir_enter(void **state);
int scratch_dir_leave(void **state);

void file_write(const char *path, const char *text);
/* The file's bytes with a NUL behind them; freed with free(). */
char *file_read(const char *path, size_t *ret_len);
/* Entries of the working directory. */
size_t files_count(void);

#endif
