/* tests/encoder/tokenizer_kinds.c — see tokenizer_kinds.h. */
#include "tests/encoder/tokenizer_kinds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define BYTES_MAX ((size_t)1 << 20)

char *kind_read(const char *kind)
{
    char *text = calloc(1, BYTES_MAX);
    char path[128];
    FILE *file;

    (void)snprintf(path, sizeof(path), GOLDEN_DIR "%s.json", kind);
    file = fopen(path, "rb");
    assert_non_null(file);
    assert_non_null(text);
    assert_true(fread(text, 1, BYTES_MAX - 1, file) > 0);
    (void)fclose(file);
    return text;
}
