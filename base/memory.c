/* Memory that grows (arrays, byte buffers) and memory that dies together
 * (arenas).
 *
 * An arena is a list of blocks, newest first; an allocation comes from the
 * newest block or opens a new one. Blocks start small, since many arenas hold a
 * few strings, and double up to a size at which malloc asks the system for
 * pages anyway:
 *
 *   arena.blocks ─► [next | size | used | bytes …] ─► [ … ] ─► NULL
 *
 * A request that does not fit into a block of the usual size gets one of its
 * own. Nothing is given back before lk_arena_clear(). */
#include "base/base.h"

#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CACHE_LINE_BYTES = 64,
    ARENA_FIRST_BLOCK_BYTES = 4096,
    ARENA_MAX_BLOCK_BYTES = 1 << 20, /* guess: well above malloc's mmap limit */
};

struct lk_arena_block {
    struct lk_arena_block *next;
    size_t size; /* of bytes[] */
    size_t used;
    alignas(max_align_t) unsigned char bytes[];
};

void *lk_alloc_aligned(size_t n, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(n, size, &bytes) ||
        bytes > SIZE_MAX - CACHE_LINE_BYTES)
        return NULL;
    if (bytes == 0)
        bytes = 1;
    bytes = (bytes + CACHE_LINE_BYTES - 1) & ~(size_t)(CACHE_LINE_BYTES - 1);
    return aligned_alloc(CACHE_LINE_BYTES, bytes);
}

int lk_grow(void **array, size_t *capacity, size_t n, size_t size,
            linkd_error *err)
{
    size_t grown, bytes;
    void *moved;

    if (n <= *capacity)
        return LINKD_OK;
    grown = *capacity + *capacity / 2;
    if (grown < n)
        grown = n;
    if (grown < 8)
        grown = 8;
    if (__builtin_mul_overflow(grown, size, &bytes))
        return lk_fail_nomem(err);
    moved = realloc(*array, bytes);
    if (moved == NULL)
        return lk_fail_nomem(err);
    *array = moved;
    *capacity = grown;
    return LINKD_OK;
}

static struct lk_arena_block *arena_add_block(lk_arena *arena, size_t size)
{
    size_t usual = ARENA_FIRST_BLOCK_BYTES;
    struct lk_arena_block *block;

    if (arena->blocks != NULL && arena->blocks->size < ARENA_MAX_BLOCK_BYTES)
        usual = arena->blocks->size * 2;
    else if (arena->blocks != NULL)
        usual = ARENA_MAX_BLOCK_BYTES;
    if (size < usual)
        size = usual;
    if (size > SIZE_MAX - sizeof(*block))
        return NULL;
    block = malloc(sizeof(*block) + size);
    if (block == NULL)
        return NULL;
    *block = (struct lk_arena_block){.next = arena->blocks, .size = size};
    arena->blocks = block;
    return block;
}

void *lk_arena_alloc(lk_arena *arena, size_t size)
{
    struct lk_arena_block *block = arena->blocks;
    size_t aligned =
        (size + alignof(max_align_t) - 1) & ~(size_t)(alignof(max_align_t) - 1);
    void *result;

    if (aligned < size)
        return NULL;
    if (block == NULL || block->size - block->used < aligned)
        block = arena_add_block(arena, aligned);
    if (block == NULL)
        return NULL;
    result = block->bytes + block->used;
    block->used += aligned;
    return result;
}

char *lk_arena_copy(lk_arena *arena, const void *bytes, size_t len)
{
    char *copy = len < SIZE_MAX ? lk_arena_alloc(arena, len + 1) : NULL;

    if (copy == NULL)
        return NULL;
    if (len > 0)
        memcpy(copy, bytes, len);
    copy[len] = '\0';
    return copy;
}

void lk_arena_clear(lk_arena *arena)
{
    while (arena->blocks != NULL) {
        struct lk_arena_block *next = arena->blocks->next;

        free(arena->blocks);
        arena->blocks = next;
    }
}

/* Makes room for `len` more bytes and the NUL behind them. */
static int buf_reserve(lk_buf *buf, size_t len, linkd_error *err)
{
    void *data = buf->data;
    int rc;

    if (len >= SIZE_MAX - buf->len)
        return lk_fail_nomem(err);
    rc = lk_grow(&data, &buf->capacity, buf->len + len + 1, 1, err);
    if (rc == LINKD_OK)
        buf->data = data;
    return rc;
}

int lk_buf_append(lk_buf *buf, const void *bytes, size_t len, linkd_error *err)
{
    int rc = buf_reserve(buf, len, err);

    if (rc != LINKD_OK)
        return rc;
    if (len > 0)
        memcpy(buf->data + buf->len, bytes, len);
    buf->len += len;
    buf->data[buf->len] = '\0';
    return LINKD_OK;
}

int lk_buf_printf(lk_buf *buf, linkd_error *err, const char *format, ...)
{
    va_list args, again;
    int len, rc;

    va_start(args, format);
    va_copy(again, args);
    len = vsnprintf(NULL, 0, format, args);
    LK_ASSERT(len >= 0);
    rc = buf_reserve(buf, (size_t)len, err);
    if (rc == LINKD_OK) {
        (void)vsnprintf(buf->data + buf->len, (size_t)len + 1, format, again);
        buf->len += (size_t)len;
    }
    va_end(again);
    va_end(args);
    return rc;
}

void lk_buf_reset(lk_buf *buf)
{
    buf->len = 0;
    if (buf->data != NULL)
        buf->data[0] = '\0';
}

void lk_buf_clear(lk_buf *buf)
{
    free(buf->data);
    *buf = (lk_buf){0};
}
