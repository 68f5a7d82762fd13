/* The wrapped allocators of alloc_fail.h. Counted across threads, so that the
 * allocations of a pool's workers fail too; but not those of a store's builder,
 * which comes by when it likes and would take the failure meant for the test. */
#include "tests/support/alloc_fail.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

/* Allocations left until one fails; 0: none fails. */
static atomic_size_t countdown;
static atomic_bool has_failed;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

/* By the lower priority that the builder takes (index/builder.c). */
static bool is_builder(void)
{
    return sched_getscheduler(0) == SCHED_BATCH &&
           sched_getscheduler(getpid()) != SCHED_BATCH;
}

static bool fails_now(void)
{
    size_t left = atomic_load(&countdown);

    if (left > 0 && is_builder())
        return false;
    while (left > 0 &&
           !atomic_compare_exchange_weak(&countdown, &left, left - 1)) {
    }
    if (left == 1)
        atomic_store(&has_failed, true);
    return left == 1;
}

void alloc_fail_at(size_t n)
{
    atomic_store(&has_failed, false);
    atomic_store(&countdown, n);
}

bool alloc_fail_off(void)
{
    atomic_store(&countdown, 0);
    return atomic_load(&has_failed);
}

void *__wrap_malloc(size_t size)
{
    return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails_now() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails_now() ? NULL : __real_realloc(old, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return fails_now() ? NULL : __real_aligned_alloc(alignment, size);
}
