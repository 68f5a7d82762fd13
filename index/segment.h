/* index/segment.h — private: immutable segments and the sets of them that
 * searches refer to.
 *
 * A segment file is
 *   "linkdseg" | format u32 | dim u32 | n u64 | slots u64 [n] | lk_ann_write()
 * written as segments/<name>.tmp, fsynced, renamed to <name>.segment, the
 * directory fsynced; only then is its row (length and hash of all of it) put
 * into SEGMENTS. A file without a row is removed at start. A row whose file is
 * missing, short or of another hash is a damaged segment: it is dropped from
 * the set, its slots are scanned, and the builder makes a new one. */
#ifndef LK_INDEX_SEGMENT_H
#define LK_INDEX_SEGMENT_H

#include "index/ann.h"
#include "index/layout.h"

typedef struct lk_segment {
    uint64_t number;
    uint64_t slot_begin; /* alive slots of [begin, end) when it was built */
    uint64_t slot_end;
    uint64_t file_bytes;
    uint64_t *slots; /* [n]: of each position, ascending */
    size_t n;
    lk_ann *ann;
    _Atomic size_t n_refs;
} lk_segment;

void lk_segment_ref(lk_segment *segment);
void lk_segment_unref(lk_segment *segment); /* NULL is fine */

/* <dir>/segments/<collection>-<generation>-<segment>.segment */
LINKD_MUST_CHECK int lk_segment_path(const char *dir, uint32_t collection,
                                     uint32_t generation, uint64_t number,
                                     lk_buf *ret_path, linkd_error *err);

/* Writes the file; on return it is on disk under its final name. Fills the
 * row's length and hash. Leaves nothing behind when it fails. */
LINKD_MUST_CHECK int lk_segment_write(const lk_segment *segment,
                                      const char *path, size_t dim,
                                      lk_segment_row *ret_row,
                                      linkd_error *err);
/* Verifies length and hash before anything is parsed.
 * LINKD_E_DATA: damaged. LINKD_E_ABSENT: no such file. */
LINKD_MUST_CHECK int lk_segment_read(const char *path, size_t dim,
                                     const lk_segment_row *row,
                                     lk_segment **ret_segment,
                                     linkd_error *err);

/* The segments of one generation, by slot_begin; ranges do not overlap. */
typedef struct lk_segment_set {
    lk_segment **segments;
    size_t n;
    _Atomic size_t n_refs;
} lk_segment_set;

lk_segment_set *lk_segment_set_ref(lk_segment_set *set);
void lk_segment_set_unref(lk_segment_set *set);

#endif
