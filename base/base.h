/* base/base.h — what every folder stands on: errors, memory, text, log, clock
 * and the worker pool. Needs libc and POSIX only, and knows nothing of records,
 * vectors or links.
 *
 * Names: linkd_* is public, lk_* is shared between linkd's own folders only. */
#ifndef LINKD_BASE_H
#define LINKD_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LINKD_MUST_CHECK     __attribute__((warn_unused_result))
#define LK_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define LK_NORETURN          __attribute__((noreturn))

/* ---- errors ------------------------------------------------------------- */

/* A code exists only where a caller would act differently on it. */
enum {
    LINKD_OK = 0,
    LINKD_E_ARG = -1,       /* the request is wrong: an option, a size */
    LINKD_E_DATA = -2,      /* foreign bytes are wrong: a file, a model */
    LINKD_E_IO = -3,        /* the system refused: disk, network, permission */
    LINKD_E_NOMEM = -4,     /* out of memory */
    LINKD_E_CANCELLED = -5, /* the caller's progress callback said stop */
    LINKD_E_ABSENT = -6,    /* what was named does not exist */
    LINKD_E_CONFLICT = -7,  /* it exists already, or is in another state */
    LINKD_E_FULL = -8,      /* the disk or a limit on space is full */
    LINKD_E_BUSY = -9,      /* a queue is full or the part is stopping: later */
};

/* What went wrong, as a value: it travels with its job between threads and
 * needs no memory of its own. The message is one line, lower case, without a
 * full stop. Functions write it only when they fail. */
typedef struct linkd_error {
    int code;
    char message[248];
} linkd_error;

/* Fills `err` (which may be NULL) and returns `code`. A message that is too
 * long is cut at a whole UTF-8 character and ends in "...". */
int lk_fail(linkd_error *err, int code, const char *format, ...)
    LK_PRINTF(3, 4);

/* Fills `err` with LINKD_E_NOMEM and returns it. Inline, so that compilers and
 * the analyzer see that what was not allocated is not used. */
static inline int lk_fail_nomem(linkd_error *err)
{
    (void)lk_fail(err, LINKD_E_NOMEM, "out of memory");
    return LINKD_E_NOMEM;
}

/* What an errno is to a caller: LINKD_E_FULL where the disk or a quota is full,
 * else LINKD_E_IO. */
int lk_errno_code(int number);

/* Makes new names in a directory survive a power cut. LINKD_E_ABSENT: there is
 * no such directory. LINKD_E_FULL, LINKD_E_IO. */
LINKD_MUST_CHECK int lk_dir_sync(const char *path, linkd_error *err);

/* A bug, not an error: prints file and line and aborts, in release too. */
#define LK_ASSERT(condition)                                                   \
 ((condition) ? (void)0 : lk_assert_failed(#condition, __FILE__, __LINE__))
LK_NORETURN void lk_assert_failed(const char *condition, const char *file,
                                  int line);

/* ---- text --------------------------------------------------------------- */

/* A borrowed run of bytes, not NUL-terminated. */
typedef struct linkd_str {
    const char *bytes;
    size_t len;
} linkd_str;

/* Bytewise, a shorter text before a longer one that begins with it. */
int lk_str_compare(linkd_str a, linkd_str b);
bool lk_str_equal(linkd_str a, linkd_str b);

/* The first byte that is NUL or no part of valid UTF-8, or `len`. */
size_t lk_utf8_check(const char *bytes, size_t len);

/* ---- NumPy files --------------------------------------------------------- */

/* Enough of a file's first bytes to read its head from. */
#define LK_NPY_HEAD_MAX ((size_t)4096)

typedef struct lk_npy_shape {
    uint64_t n_rows;
    uint64_t dim;
    size_t n_head_bytes; /* then come n_rows * dim numbers, unless cut off */
    size_t number_bytes; /* 4: float32; 8: float64 */
} lk_npy_shape;

/* The shape of a file of little-endian float32 or float64 in C order, of one
 * dimension (then it is one row) or two, from its first bytes. LINKD_E_DATA: it
 * is none; the message is a sentence about "it". */
LINKD_MUST_CHECK int lk_npy_read_head(linkd_str head, lk_npy_shape *ret_shape,
                                      linkd_error *err);
/* Tells whether the numbers take `n_bytes`. */
bool lk_npy_is_whole(const lk_npy_shape *shape, uint64_t n_bytes);
/* `n` of its numbers from their bytes, which may be ret itself. What is too
 * large for a float becomes infinite. */
void lk_npy_numbers(const lk_npy_shape *shape, const void *bytes, size_t n,
                    float *ret);

/* ---- memory ------------------------------------------------------------- */

/* n * size bytes, 64-byte aligned and uninitialised, or NULL on overflow or
 * when memory is out; freed with free(). */
void *lk_alloc_aligned(size_t n, size_t size);

/* Room for n items of `size` bytes in an array that grows by half each time:
 * reallocates *array when *capacity < n. The array may be NULL at first. */
LINKD_MUST_CHECK int lk_grow(void **array, size_t *capacity, size_t n,
                             size_t size, linkd_error *err);

/* Many small allocations that die together. {0} is an empty arena. */
typedef struct lk_arena {
    struct lk_arena_block *blocks; /* newest first */
} lk_arena;

/* `size` bytes aligned for any type, or NULL when memory is out. */
void *lk_arena_alloc(lk_arena *arena, size_t size);
/* A NUL-terminated copy of `len` bytes, or NULL when memory is out. */
char *lk_arena_copy(lk_arena *arena, const void *bytes, size_t len);
void lk_arena_clear(lk_arena *arena);

/* Bytes that grow. {0} is an empty buffer; `data` is NUL-terminated (the NUL is
 * not counted in `len`) once anything was appended, else NULL. */
typedef struct lk_buf {
    char *data;
    size_t len;
    size_t capacity;
} lk_buf;

LINKD_MUST_CHECK int lk_buf_append(lk_buf *buf, const void *bytes, size_t len,
                                   linkd_error *err);
LINKD_MUST_CHECK int lk_buf_printf(lk_buf *buf, linkd_error *err,
                                   const char *format, ...) LK_PRINTF(3, 4);
/* Forgets the content and keeps the memory. */
void lk_buf_reset(lk_buf *buf);
void lk_buf_clear(lk_buf *buf);

/* Base64 (RFC 4648 §4, with padding): the bytes that `text` decodes to if it is
 * that. */
size_t lk_base64_decoded_len(linkd_str text);
/* Writes lk_base64_decoded_len() bytes. LINKD_E_ARG: a character, the length
 * or the padding is wrong. */
LINKD_MUST_CHECK int lk_base64_decode(linkd_str text, void *ret_bytes,
                                      linkd_error *err);
LINKD_MUST_CHECK int lk_base64_encode(const void *bytes, size_t len,
                                      lk_buf *ret_text, linkd_error *err);

/* ---- log ---------------------------------------------------------------- */

typedef enum lk_log_level {
    LK_LOG_ERROR,
    LK_LOG_WARN,
    LK_LOG_INFO,
    LK_LOG_DEBUG,
} lk_log_level;

/* Lines go to standard error as "<program>: <message>". Only programs log;
 * libraries return errors. Any thread; a line is never torn, and one that
 * cannot be written at once (full disk, full pipe) is dropped. */
void lk_log_init(const char *program, lk_log_level level);
void lk_log(lk_log_level level, const char *format, ...) LK_PRINTF(2, 3);

/* For services: from now on lines are appended to the file `path` (NULL:
 * standard error) with the time of day, as
 *   2026-11-24T19:00:00.123Z info <message>
 * or, if `json`, as {"time":"…","level":"info","message":"…"}. `path` is
 * borrowed. Before other threads log. LINKD_E_IO: the file cannot be opened;
 * nothing has changed. */
LINKD_MUST_CHECK int lk_log_open(const char *path, bool json, linkd_error *err);
/* Opens the file anew, after it was moved away; one that cannot be opened
 * leaves the old one in use and is logged there. Any thread. */
void lk_log_reopen(void);
/* Back to standard error and the form of lk_log_init(). */
void lk_log_close(void);

/* ---- clock -------------------------------------------------------------- */

/* Nanoseconds of the monotonic clock. */
uint64_t lk_clock_ns(void);
/* Seconds since an earlier lk_clock_ns(). */
double lk_clock_seconds_since(uint64_t start_ns);

/* ---- progress ----------------------------------------------------------- */

/* How long work tells its caller where it is. `report` is called on the
 * caller's thread; `step` is a word such as "encode", `done` and `total` count
 * the step's own units (total 0: not known). A non-zero answer stops the work
 * with LINKD_E_CANCELLED. A zero struct reports nothing. */
typedef struct linkd_progress {
    int (*report)(void *ctx, const char *step, uint64_t done, uint64_t total);
    void *ctx;
} linkd_progress;

/* LINKD_OK, or LINKD_E_CANCELLED with the message "interrupted". */
LINKD_MUST_CHECK int lk_progress_report(const linkd_progress *progress,
                                        const char *step, uint64_t done,
                                        uint64_t total, linkd_error *err);

/* ---- worker pool -------------------------------------------------------- */

/* Threads that share out the items of one task at a time. */
typedef struct lk_pool lk_pool;

/* One item of a task. `worker` is below lk_pool_n_workers() and no two items
 * run at once under the same number, so it can index scratch memory. */
typedef int lk_task_fn(void *ctx, size_t item, size_t worker, linkd_error *err);

/* The calling thread of lk_pool_run() works too: n_workers counts it. 0 means
 * as many as there are processors this process may use. */
LINKD_MUST_CHECK int lk_pool_new(size_t n_workers, lk_pool **ret_pool,
                                 linkd_error *err);
void lk_pool_free(lk_pool *pool);
size_t lk_pool_n_workers(const lk_pool *pool);

/* Runs `task` for items 0 … n_items - 1 and returns when all are done. After a
 * failure no new item starts, and the failure of the lowest failed item is
 * returned. One caller at a time; a task must not run another on its pool. */
LINKD_MUST_CHECK int lk_pool_run(lk_pool *pool, size_t n_items,
                                 lk_task_fn *task, void *ctx, linkd_error *err);

#ifdef __cplusplus
}
#endif
#endif
