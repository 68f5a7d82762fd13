/* daemon/vector_sources.h — private: embedders for jobs, which stand between
 * linkage and a model so that nothing is encoded twice. Since a vector depends
 * on its text alone, vectors are found by the text: by its XXH3 of 128 bits.
 *
 *   linkage ─► known ──────────► checkpoint ──► model
 *              (collections, as  (this job,
 *              of submission)    before a crash)
 *
 * Each is a linkd_embedder over another one. One thread at a time. */
#ifndef LK_DAEMON_VECTOR_SOURCES_H
#define LK_DAEMON_VECTOR_SOURCES_H

#include "linkage/linkage.h"

/* ---- known: vectors that a collection has already ------------------------ */

/* A file of text hashes and vectors, written when a job is submitted:
 *   "linkdvec" | dim u64 | n u64 | n x (hash u128, f32 [dim]) | XXH3 u64 */
typedef struct lk_known_writer lk_known_writer;

LINKD_MUST_CHECK int lk_known_writer_open(const char *path, size_t dim,
                                          lk_known_writer **ret_writer,
                                          linkd_error *err);
LINKD_MUST_CHECK int lk_known_writer_add(lk_known_writer *writer,
                                         linkd_str text, const float *vector,
                                         linkd_error *err);
/* Completes the file and syncs it. Frees the writer, failed or not; `commit`
 * false only frees it and removes the file. */
LINKD_MUST_CHECK int lk_known_writer_close(lk_known_writer *writer, bool commit,
                                           linkd_error *err);

typedef struct lk_known lk_known;

/* Takes up to two files (NULL: none). `below` makes the vectors of other texts;
 * NULL: there are no others. `knows` is whether a text is in a file, or below
 * knows it.
 * LINKD_E_DATA: a file is damaged. */
LINKD_MUST_CHECK int lk_known_open(const char *const *paths, size_t n_paths,
                                   size_t dim, const linkd_embedder *below,
                                   lk_known **ret_known, linkd_error *err);
void lk_known_close(lk_known *known);
linkd_embedder lk_known_embedder(lk_known *known);
/* A text's row of a file, ret_vector [dim]. False: it is in none. */
bool lk_known_find(const lk_known *known, linkd_str text, float *ret_vector);
/* Texts that the embedder found in a file. */
uint64_t lk_known_n_found(const lk_known *known);

/* ---- checkpoint: what this job has encoded ------------------------------- */

/* A file of blocks, one per call of embed, in their order:
 *   XXH3 of the texts u64 | n u64 | f32 [n, dim] | XXH3 of all before u64
 * A run that meets the same texts in the same order reads them back; at the
 * first block that is cut, damaged or of other texts the file ends, and grows
 * from there. A block is whole or it is not there, in whatever order its bytes
 * reached the disk: its check covers all of them. Synced about every five seconds
 * of encoding. */
typedef struct lk_checkpoint lk_checkpoint;

LINKD_MUST_CHECK int lk_checkpoint_open(const char *path,
                                        const linkd_embedder *below,
                                        lk_checkpoint **ret_checkpoint,
                                        linkd_error *err);
void lk_checkpoint_close(lk_checkpoint *checkpoint);
linkd_embedder lk_checkpoint_embedder(lk_checkpoint *checkpoint);
/* Texts that were read back. */
uint64_t lk_checkpoint_n_reused(const lk_checkpoint *checkpoint);

#endif
