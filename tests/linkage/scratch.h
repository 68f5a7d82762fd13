/* tests/linkage/scratch.h — a directory of its own for a test's files, so that
 * messages name them without a path. */
#ifndef LINKD_TESTS_SCRATCH_H
#define LINKD_TESTS_SCRATCH_H

#include <stddef.h>

/* cmocka group set-up and tear-down: enters an empty directory, removes it. */
int scratch_enter(void **state);
int scratch_leave(void **state);

/* Writes a whole file. */
void scratch_write(const char *name, const void *bytes, size_t len);
void scratch_write_text(const char *name, const char *text);

#endif
