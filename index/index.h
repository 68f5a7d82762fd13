/* index/index.h — vectors to nearest neighbours.
 *
 * Three things live here. `linkd_index` is a plain exact index in memory, for one
 * run of the command line, and `linkd_graph` an approximate one for runs whose
 * vectors are too many for that. `linkd_store` is what a service needs: collections
 * of records and vectors in one data directory that survive kill -9, searched
 * through immutable FAISS segments that may be deleted at any time.
 *
 * Sees neither text nor models: it trades in float [n, dim], record fields and
 * a fingerprint that it does not interpret. */
#ifndef LINKD_INDEX_H
#define LINKD_INDEX_H

#include <stdbool.h>

#include "base/base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LINKD_ID_NONE UINT64_MAX

typedef struct linkd_hit {
    uint64_t id; /* position in order of adding, or the store's record number;
                    LINKD_ID_NONE: none */
    float score; /* inner product: the cosine for vectors of length 1 */
} linkd_hit;

/* Inner product of two vectors in the fixed order that all scores use. */
float linkd_index_score(const float *a, const float *b, size_t dim);

/* "faiss 1.13.2", for the manifest. */
const char *linkd_index_library(void);

/* ---- exact, in memory --------------------------------------------------- */

/* FAISS finds the candidates; the scores that come back are recomputed in one
 * fixed order, so they do not depend on how queries were batched. */
typedef struct linkd_index linkd_index;

LINKD_MUST_CHECK int linkd_index_new(size_t dim, linkd_index **ret_index,
                                     linkd_error *err);
void linkd_index_free(linkd_index *index);

/* Adds vectors [n, dim]; they get the ids that follow the last one. Not while
 * another thread searches. LINKD_E_ARG: a row is not finite; nothing is added.
 */
LINKD_MUST_CHECK int linkd_index_add(linkd_index *index, const float *vectors,
                                     size_t n, linkd_error *err);

/* Finds the `k` vectors nearest to each query.
 *   queries   [n_queries, dim] row-major
 *   ret_hits  [n_queries, k]   best first, equal scores by id;
 *                              LINKD_ID_NONE with score 0 fills a short row
 * Any thread, several at once: each search stays on its own thread.
 * LINKD_E_ARG: a query is not finite, or k is 0; nothing is written. */
LINKD_MUST_CHECK int linkd_index_search(const linkd_index *index,
                                        const float *queries, size_t n_queries,
                                        size_t k, linkd_hit *ret_hits,
                                        linkd_error *err);

/* ---- codes of 64 bits, in memory ---------------------------------------- */

#define LINKD_HAMMING_RADIUS_MAX 24

typedef struct linkd_code_pair {
    uint32_t left; /* left < right */
    uint32_t right;
    unsigned distance; /* bits that differ */
} linkd_code_pair;

/* All pairs among `n` distinct codes of which at most `radius` bits differ, in
 * ascending order. Exact, but does not look at most pairs while the radius is
 * small. `ret_pairs` is freed with free(). LINKD_E_ARG: the radius is over the
 * maximum, or there are more than 2^32 - 1 codes. LINKD_E_NOMEM. */
LINKD_MUST_CHECK int linkd_hamming_pairs(const uint64_t *codes, size_t n,
                                         unsigned radius,
                                         linkd_code_pair **ret_pairs,
                                         size_t *ret_n, linkd_error *err);

/* ---- approximate, in memory --------------------------------------------- */

/* A graph over vectors that stay the caller's: row i is vector rows[i] of
 * `vectors` [*, dim], or vector i (`rows` NULL). Both are borrowed until it is
 * freed. It keeps a byte for each number of a vector and 270 bytes a row. Equal
 * rows give equal hits, on any processor count. */
typedef struct linkd_graph linkd_graph;

/* Begins a graph of `n` rows; none is in it yet. LINKD_E_ARG: `dim` is 0 or above
 * LINKD_DIM_MAX. Rows that are not finite are not looked for: they would be
 * found nowhere, or at random. */
LINKD_MUST_CHECK int linkd_graph_new(const float *vectors, const size_t *rows,
                                     size_t n, size_t dim,
                                     linkd_graph **ret_graph, linkd_error *err);
void linkd_graph_free(linkd_graph *graph);

/* Takes in the next `n` rows, or as many as are left, on the calling thread: 0.5
 * to 1 ms a row. Not while another thread searches. */
LINKD_MUST_CHECK int linkd_graph_grow(linkd_graph *graph, size_t n,
                                      linkd_error *err);
size_t linkd_graph_count(const linkd_graph *graph);

/* The `k` best of the `width` rows that look nearest to each query: the wider,
 * the nearer to linkd_index_search(), whose scores and order these are. Of texts
 * a width of 32 finds .93 of the ten nearest of 1,000,000, 96 .98. All else as
 * there. LINKD_E_ARG: k is 0 or above `width`. */
LINKD_MUST_CHECK int linkd_graph_search(const linkd_graph *graph,
                                        const float *queries, size_t n_queries,
                                        size_t k, size_t width,
                                        linkd_hit *ret_hits, linkd_error *err);

/* ---- the store ---------------------------------------------------------- */

/* One data directory. LMDB holds the truth; one writer thread owns all its
 * write transactions and commits whatever has queued up as one group; a write
 * returns only after the commit is on disk. One builder thread turns vectors
 * into segments. All functions may be called from any thread unless said
 * otherwise, and block: never from an event loop. */
typedef struct linkd_store linkd_store;

/* The newest version of what a data directory holds: 2 is a collection with
 * several generations. One without any stays at 1, which older linkds open. */
#define LINKD_STORE_FORMAT UINT64_C(2)

/* Limits on what a caller may make us keep. */
#define LINKD_NAME_MAX_BYTES   ((size_t)128)      /* collection's name */
#define LINKD_ID_MAX_BYTES     ((size_t)480)      /* LMDB keys end at 511 */
#define LINKD_RECORD_MAX_BYTES ((size_t)16 << 20) /* all fields together */
#define LINKD_FIELDS_MAX       ((size_t)4096)     /* of one record */
#define LINKD_DIM_MAX          ((size_t)8192)
#define LINKD_PUT_MAX          ((size_t)65536) /* records of one write */
#define LINKD_K_MAX            ((size_t)10000)
#define LINKD_KEY_MAX_BYTES    ((size_t)200)    /* idempotency key */
#define LINKD_NOTE_MAX_BYTES   ((size_t)512)    /* kept with such a key */
#define LINKD_RANGE_MAX        ((size_t)100000) /* hits of one range search */
#define LINKD_FILTER_DEPTH_MAX ((size_t)32)
#define LINKD_FILTER_NODES_MAX ((size_t)1024)

typedef enum linkd_store_event {
    LINKD_STORE_INFO,
    LINKD_STORE_DAMAGED, /* a segment is damaged or gone: exact search while it
                            is rebuilt */
    LINKD_STORE_FAILED,  /* background work failed; it will be tried again */
} linkd_store_event;

typedef struct linkd_store_options {
    uint64_t map_bytes;     /* most that the database may grow to; address space
                           only. Less is taken where the system refuses it */
    size_t n_build_threads; /* 0: as many as there are processors */
    uint64_t exact_below;   /* collections with fewer vectors get no segment */
    bool read_only_check;   /* for linkd_store_check: no writer, no builder */
    /* Told what happens in the background; any thread, may be NULL. */
    void (*event_cb)(void *ctx, linkd_store_event event, const char *message);
    void *event_ctx;
} linkd_store_options;

#define LINKD_EXACT_BELOW 50000 /* research: memory-bound scan of 77 MB */
#define LINKD_STORE_OPTIONS_INIT                                               \
 {                                                                             \
  .map_bytes = (uint64_t)1 << 40, .exact_below = LINKD_EXACT_BELOW             \
 }

/* Opens the data directory, made if absent, and locks it.
 * LINKD_E_BUSY: another process has it. LINKD_E_DATA: it is not a data
 * directory of ours, or of a newer format. LINKD_E_ABSENT: its parent is not
 * there, or with read_only_check itself. LINKD_E_IO, LINKD_E_FULL. Damaged
 * segments are no error. */
LINKD_MUST_CHECK int linkd_store_open(const char *dir,
                                      const linkd_store_options *options,
                                      linkd_store **ret_store,
                                      linkd_error *err);
/* Finishes queued writes, stops the builder (what it was building is dropped),
 * and closes. No view may be open. */
void linkd_store_close(linkd_store *store);

typedef struct linkd_store_stats {
    uint64_t seq;        /* of the last change */
    uint64_t n_commits;  /* groups since open */
    uint64_t n_writes;   /* acknowledged since open */
    uint64_t n_queued;   /* writes waiting now */
    uint64_t commit_ns;  /* spent in commits since open */
    uint64_t map_bytes;  /* limit */
    uint64_t used_bytes; /* of the map */
    uint64_t n_segments; /* loaded, all collections */
    uint64_t segment_bytes;
    uint64_t n_damaged; /* segments found damaged since open */
    uint64_t n_built;   /* segments built since open */
    bool building;
    bool fenced; /* a commit failed with an I/O error: no more writes */
} linkd_store_stats;

void linkd_store_read_stats(linkd_store *store, linkd_store_stats *ret_stats);

/* ---- collections -------------------------------------------------------- */

typedef enum linkd_index_kind {
    LINKD_INDEX_AUTO,  /* exact below options.exact_below, then HNSW */
    LINKD_INDEX_EXACT, /* always a scan */
    LINKD_INDEX_HNSW,
    LINKD_INDEX_IVF,
} linkd_index_kind;

struct linkd_once; /* below, with the writes */

typedef struct linkd_collection_options {
    size_t dim;
    linkd_index_kind index;
    linkd_str model;       /* its name, for people; may be empty */
    linkd_str fingerprint; /* of the first generation's vectors; may be empty:
                              ready-made vectors */
    linkd_str settings;    /* kept for the caller, not interpreted */
    /* The fields that filters may use: NULL for all of them. */
    const linkd_str *filter_fields;
    size_t n_filter_fields;
} linkd_collection_options;

/* Strings and arrays live in the arena that was passed. */
typedef struct linkd_collection_info {
    linkd_str name;
    uint32_t number;
    uint32_t generation;              /* the one that serves, from 1 */
    linkd_collection_options options; /* model, fingerprint and dim are its */
    uint64_t created_unix_ms;
    uint64_t n_records;
    uint64_t n_vectors;   /* alive, as all below of all generations */
    uint64_t n_slots;     /* given out so far; the rest of them is dead */
    uint64_t n_unindexed; /* slots that no segment covers: scanned */
    uint64_t n_segments;
    uint64_t n_entities;
} linkd_collection_info;

/* Names: 1 to LINKD_NAME_MAX_BYTES of [A-Za-z0-9_.-], not starting with '.'.
 * `once` and ret_replayed may be NULL. LINKD_E_ARG: the name or an option is
 * wrong. LINKD_E_CONFLICT: exists, or the key was used for another request. */
LINKD_MUST_CHECK int linkd_store_create_collection(
    linkd_store *store, linkd_str name, const linkd_collection_options *options,
    const struct linkd_once *once, bool *ret_replayed, linkd_error *err);
/* Forgets the collection at once; its space is freed in the background. `once`
 * and ret_replayed may be NULL. LINKD_E_ABSENT. LINKD_E_CONFLICT: the key was
 * used for another request. */
LINKD_MUST_CHECK int linkd_store_drop_collection(linkd_store *store,
                                                 linkd_str name,
                                                 const struct linkd_once *once,
                                                 bool *ret_replayed,
                                                 linkd_error *err);
/* LINKD_E_ABSENT. */
LINKD_MUST_CHECK int linkd_store_describe(linkd_store *store, linkd_str name,
                                          lk_arena *arena,
                                          linkd_collection_info *ret_info,
                                          linkd_error *err);
/* All collections by name; the array lives in the arena. */
LINKD_MUST_CHECK int linkd_store_list(linkd_store *store, lk_arena *arena,
                                      linkd_collection_info **ret_infos,
                                      size_t *ret_n, linkd_error *err);

/* ---- generations -------------------------------------------------------- */

/* All vectors of one model make a generation. A collection has one, or several
 * while its model is being changed; one of them serves, which takes all new
 * vectors. A record's vector is alive in one generation at most; where it has
 * moved on, the older one stays, inactive, until linkd_store_free_inactive(). */
#define LINKD_GENERATIONS_MAX ((size_t)8)

typedef enum linkd_generation_state {
    LINKD_GENERATION_SERVING,
    LINKD_GENERATION_OLD,     /* can serve again */
    LINKD_GENERATION_CLOSED,  /* no more: keeps what is alive in it */
    LINKD_GENERATION_DROPPED, /* is being freed: nothing of it is used */
} linkd_generation_state;

typedef struct linkd_generation {
    uint32_t number;
    linkd_generation_state state;
    uint32_t previous; /* that served before it; 0: none */
    linkd_str model;
    linkd_str fingerprint;
    size_t dim;
    uint64_t n_vectors; /* alive in it */
    uint64_t n_inactive;
} linkd_generation;

/* Bytes of the caller's that belong to a generation, or to two. Not interpreted. */
typedef struct linkd_blob {
    uint32_t generation;
    uint8_t kind;
    uint32_t other; /* 0: it belongs to one */
    linkd_str bytes;
} linkd_blob;

/* Adds a generation, with blobs, that serves from then on: one transaction. It
 * has no vector yet. Used of `generation`: number, which has to be one more than
 * the highest there is; previous, which has to serve; model, fingerprint, dim.
 * A blob that is there already stays as it is. LINKD_E_ABSENT.
 * LINKD_E_CONFLICT: number or previous are others by now, or there are
 * LINKD_GENERATIONS_MAX. LINKD_E_ARG: the dimension. */
LINKD_MUST_CHECK int
linkd_store_add_generation(linkd_store *store, linkd_str collection,
                           const linkd_generation *generation,
                           const linkd_blob *blobs, size_t n_blobs,
                           linkd_error *err);
/* Lets a generation serve again, in one transaction: whatever is inactive in it
 * is alive in it again, and inactive where it was alive. Records that were never
 * in it stay where they are. LINKD_E_CONFLICT: it is closed, or serves already.
 * LINKD_E_ABSENT: no such collection or generation. */
LINKD_MUST_CHECK int linkd_store_serve_generation(linkd_store *store,
                                                  linkd_str collection,
                                                  uint32_t generation,
                                                  uint64_t *ret_n_moved,
                                                  linkd_error *err);

/* Puts one blob, in place of what is there. LINKD_E_ABSENT: no such collection. */
LINKD_MUST_CHECK int linkd_store_put_blob(linkd_store *store,
                                          linkd_str collection,
                                          const linkd_blob *blob,
                                          linkd_error *err);

/* A record's vector under the model that serves. */
typedef struct linkd_move {
    uint64_t number; /* the record's */
    uint64_t seq;    /* of its row when it was read */
    const float *vector;
} linkd_move;

/* Moves records, at most LINKD_PUT_MAX, into the generation, which has to
 * serve. Left alone are those that are gone, were written since, have no vector
 * or are there already. LINKD_E_CONFLICT: it does not serve. LINKD_E_ARG: a
 * vector is not finite. */
LINKD_MUST_CHECK int linkd_store_move(linkd_store *store, linkd_str collection,
                                      uint32_t generation,
                                      const linkd_move *moves, size_t n,
                                      uint64_t *ret_n_moved, linkd_error *err);

/* Frees what is inactive, and generations in which nothing is alive, in steps
 * between which others write; there is no way back from its beginning on.
 * Reports the step "free". Called again, it goes on where it was stopped. */
typedef struct linkd_freed {
    uint64_t n_vectors;
    uint64_t n_generations;
} linkd_freed;
LINKD_MUST_CHECK int linkd_store_free_inactive(linkd_store *store,
                                               linkd_str collection,
                                               const linkd_progress *progress,
                                               linkd_freed *ret_freed,
                                               linkd_error *err);

/* ---- writing ------------------------------------------------------------ */

typedef enum linkd_field_kind {
    LINKD_FIELD_TEXT,    /* UTF-8 */
    LINKD_FIELD_LITERAL, /* a JSON number, true, false, array or object, as its
                            JSON text. A null is a field that is not there */
} linkd_field_kind;

typedef struct linkd_field {
    linkd_str name;
    linkd_str value;
    linkd_field_kind kind;
} linkd_field;

typedef struct linkd_put {
    linkd_str id; /* the caller's: 1 to LINKD_ID_MAX_BYTES */
    const linkd_field *fields;
    size_t n_fields;
    size_t dim;          /* of the vector: has to be the collection's */
    const float *vector; /* [dim], or NULL: the record has none and no search
                            finds it */
    uint32_t generation; /* that the vector is of; 0: whichever serves */
    /* Entity of a record that has none yet: that of the record named `join`,
     * which gets one too if need be; or, if `join` is empty and `new_entity`
     * is true, a new one. */
    linkd_str join;
    bool new_entity;
} linkd_put;

/* A write with a key is done once: a second one with the same key and the same
 * request answers the first one's result. Keys are forgotten after a day. */
typedef struct linkd_once {
    linkd_str key;         /* empty: none */
    uint64_t request_hash; /* of what was asked */
    linkd_str note;        /* kept with the key, at most LINKD_NOTE_MAX_BYTES */
} linkd_once;

typedef struct linkd_write_result {
    uint64_t seq; /* of the last change of this write */
    uint64_t n_created;
    uint64_t n_updated;
    uint64_t n_deleted;
    uint64_t entity; /* of the last record, LINKD_ID_NONE if none */
    bool replayed;   /* answered from the key */
} linkd_write_result;

/* Creates or replaces `n` records, all or none. The record number and the
 * entity of a replaced record stay.
 * LINKD_E_ARG: an id is empty, too long or repeated, a vector is not finite,
 * too much at once; the message says which record ("record 3: …", from 0).
 * LINKD_E_ABSENT: no such collection. LINKD_E_CONFLICT: the key was used for
 * another request, or the record to join is gone. LINKD_E_FULL: nothing was
 * written. LINKD_E_BUSY: stopping, or fenced after an I/O error, or another
 * generation serves by now. */
LINKD_MUST_CHECK int linkd_store_put(linkd_store *store, linkd_str collection,
                                     const linkd_put *puts, size_t n,
                                     const linkd_once *once,
                                     linkd_write_result *ret_result,
                                     linkd_error *err);

/* Deletes those of the ids that exist; n_deleted counts them. */
LINKD_MUST_CHECK int
linkd_store_delete(linkd_store *store, linkd_str collection,
                   const linkd_str *ids, size_t n, const linkd_once *once,
                   linkd_write_result *ret_result, linkd_error *err);

/* Looks up what a write with this key and request has answered, and appends the
 * note that came with it: for a caller whose next write would depend on more
 * than the request. LINKD_E_CONFLICT: the key was used for another request. */
LINKD_MUST_CHECK int linkd_store_find_once(linkd_store *store,
                                           const linkd_once *once,
                                           linkd_write_result *ret_result,
                                           lk_buf *ret_note, bool *ret_found,
                                           linkd_error *err);

/* ---- entities ----------------------------------------------------------- */

/* Two records of an assignment, and how probable it is that they are one. */
typedef struct linkd_entity_edge {
    size_t a, b; /* positions among the ids */
    float probability;
} linkd_entity_edge;

/* Record ids[i] belongs to group groups[i]. */
typedef struct linkd_assignment {
    const linkd_str *ids;   /* [n] */
    const uint64_t *groups; /* [n] */
    size_t n;
    const linkd_entity_edge *edges; /* [n_edges]: what the groups rest on */
    size_t n_edges;
} linkd_assignment;

/* Gives records their entities. A group keeps the entity id that most of its
 * records have had (the lowest, so the oldest, of several), each id being kept
 * by one group; others get new ids. What was merged and what was split is
 * logged, with the most probable edge between the two parts as the reason.
 * LINKD_E_ABSENT: an id is not there. LINKD_E_ARG: an edge has no such record.
 */
LINKD_MUST_CHECK int
linkd_store_assign_entities(linkd_store *store, linkd_str collection,
                            const linkd_assignment *assignment,
                            linkd_write_result *ret_result, linkd_error *err);

/* The answer of a person about two records. */
typedef enum linkd_review_answer {
    LINKD_REVIEW_NONE,
    LINKD_REVIEW_MATCH,
    LINKD_REVIEW_DIFFERENT,
} linkd_review_answer;

LINKD_MUST_CHECK int
linkd_store_put_review(linkd_store *store, linkd_str collection,
                       linkd_str left_id, linkd_str right_id,
                       linkd_review_answer answer, linkd_error *err);

/* ---- views: one consistent picture of a collection ---------------------- */

/* A read transaction and a reference to the segments that were current. Short
 * lived: while it is open, freed pages are not reused. One thread at a time.
 * What a view hands out is borrowed from the mapping until it is closed. */
typedef struct linkd_view linkd_view;

/* LINKD_E_ABSENT. */
LINKD_MUST_CHECK int linkd_view_open(linkd_store *store, linkd_str collection,
                                     linkd_view **ret_view, linkd_error *err);
void linkd_view_close(linkd_view *view);

/* Fills ret_generations [LINKD_GENERATIONS_MAX], in the order of their numbers,
 * without those that are being freed. Strings are borrowed from the view. */
size_t linkd_view_generations(const linkd_view *view,
                              linkd_generation *ret_generations);
/* From now on dim, vectors and searches are this generation's; at first they are
 * those of the one that serves. LINKD_E_ABSENT. */
LINKD_MUST_CHECK int linkd_view_turn_to(linkd_view *view, uint32_t generation,
                                        linkd_error *err);
/* The generation in which the record's vector is alive; 0: it has none. */
LINKD_MUST_CHECK int linkd_view_locate(linkd_view *view, uint64_t number,
                                       uint32_t *ret_generation,
                                       linkd_error *err);
/* LINKD_E_DATA: its checksum is wrong. */
LINKD_MUST_CHECK int linkd_view_blob(linkd_view *view, uint32_t generation,
                                     uint8_t kind, uint32_t other,
                                     linkd_str *ret_bytes, bool *ret_found,
                                     linkd_error *err);

uint64_t linkd_view_seq(const linkd_view *view);
uint32_t linkd_view_collection(const linkd_view *view); /* its number */
size_t linkd_view_dim(const linkd_view *view);
uint64_t linkd_view_n_records(const linkd_view *view);
/* Of new records, so far: the numbers of all are below it. */
uint64_t linkd_view_n_numbers(const linkd_view *view);
/* Vectors that were ever put into the generation that the view is turned to. */
uint64_t linkd_view_n_slots(const linkd_view *view);

typedef struct linkd_stored {
    uint64_t number; /* the record's, within its collection */
    linkd_str id;
    uint64_t seq;              /* of its last change */
    uint64_t entity;           /* or LINKD_ID_NONE */
    const linkd_field *fields; /* the array lives in the arena */
    size_t n_fields;
} linkd_stored;

/* Finds the record number of an id. */
LINKD_MUST_CHECK int linkd_view_find(linkd_view *view, linkd_str id,
                                     uint64_t *ret_number, bool *ret_found,
                                     linkd_error *err);
/* LINKD_E_ABSENT: no such number. LINKD_E_DATA: its checksum is wrong. */
LINKD_MUST_CHECK int linkd_view_read(linkd_view *view, uint64_t number,
                                     lk_arena *arena, linkd_stored *ret_record,
                                     linkd_error *err);
/* The record's vector [dim], or NULL if none is alive in the generation that the
 * view is turned to. */
LINKD_MUST_CHECK int linkd_view_vector(linkd_view *view, uint64_t number,
                                       const float **ret_vector,
                                       linkd_error *err);
/* The first record number >= `from`; at the end *ret_found is false. */
LINKD_MUST_CHECK int linkd_view_next(linkd_view *view, uint64_t from,
                                     uint64_t *ret_number, bool *ret_found,
                                     linkd_error *err);
/* The first member >= `from` of an entity. */
LINKD_MUST_CHECK int linkd_view_next_member(linkd_view *view, uint64_t entity,
                                            uint64_t from, uint64_t *ret_number,
                                            bool *ret_found, linkd_error *err);

/* Merges and splits, oldest first: the first event with a number >= `from`. */
typedef struct linkd_entity_event {
    uint64_t seq;
    bool merged;     /* else split */
    uint64_t entity; /* that remains */
    uint64_t other;  /* that was merged into it, or split off from it */
    /* The most probable pair of records between the two; empty: none known */
    linkd_str ids[2];
    float probability; /* of that pair */
} linkd_entity_event;
LINKD_MUST_CHECK int linkd_view_next_event(linkd_view *view, uint64_t from,
                                           linkd_entity_event *ret_event,
                                           bool *ret_found, linkd_error *err);
LINKD_MUST_CHECK int linkd_view_review(linkd_view *view, linkd_str left_id,
                                       linkd_str right_id,
                                       linkd_review_answer *ret_answer,
                                       linkd_error *err);

/* One change of the log, oldest first: the first with a seq >= `from`. The log
 * keeps the last million changes. */
typedef enum linkd_change_op {
    LINKD_CHANGE_PUT = 1,
    LINKD_CHANGE_DELETE = 2,
} linkd_change_op;
typedef struct linkd_change {
    uint64_t seq;
    uint64_t number; /* of the record */
    linkd_change_op op;
} linkd_change;
LINKD_MUST_CHECK int linkd_view_next_change(linkd_view *view, uint64_t from,
                                            linkd_change *ret_change,
                                            bool *ret_found, linkd_error *err);

/* ---- filters ------------------------------------------------------------ */

typedef enum linkd_value_kind {
    LINKD_VALUE_TEXT,
    LINKD_VALUE_NUMBER,
    LINKD_VALUE_BOOL,
} linkd_value_kind;

typedef struct linkd_value {
    linkd_value_kind kind;
    linkd_str text;
    double number;
    bool boolean;
} linkd_value;

typedef enum linkd_filter_op {
    LINKD_FILTER_EQ,     /* the field has the value: kind and content, but for
                            a number also a text that is one */
    LINKD_FILTER_IN,     /* one of the values */
    LINKD_FILTER_RANGE,  /* text bytewise, numbers by size, with texts that are
                            numbers */
    LINKD_FILTER_EXISTS, /* the field is there and not null */
    LINKD_FILTER_AND,    /* of no children: everything */
    LINKD_FILTER_OR,     /* of no children: nothing */
    LINKD_FILTER_NOT,    /* one child */
} linkd_filter_op;

/* A tree that the caller builds and keeps. */
typedef struct linkd_filter {
    linkd_filter_op op;
    linkd_str field;
    const linkd_value *values; /* EQ: 1, IN: any number */
    size_t n_values;
    const linkd_value *lower; /* RANGE: NULL is open; both of one kind */
    const linkd_value *upper;
    bool lower_excluded;
    bool upper_excluded;
    const struct linkd_filter *children;
    size_t n_children;
} linkd_filter;

/* The numbers of the records that a filter lets through, as of the view. */
typedef struct linkd_selection linkd_selection;

/* Walks the keys of all records that a part of the filter finds, for `not` and
 * an empty `and` those of all records, if any was ever deleted. `stop_cb` as in
 * a search. LINKD_E_ARG: a field that filters of this collection may not use,
 * kinds that do not fit, or a limit. LINKD_E_CANCELLED. */
LINKD_MUST_CHECK int
linkd_view_select(linkd_view *view, const linkd_filter *filter,
                  bool (*stop_cb)(void *ctx), void *stop_ctx,
                  linkd_selection **ret_selection, linkd_error *err);
void linkd_selection_free(linkd_selection *selection);
bool linkd_selection_has(const linkd_selection *selection, uint64_t number);
uint64_t linkd_selection_count(const linkd_selection *selection);

/* ---- searching ---------------------------------------------------------- */

typedef struct linkd_search_options {
    size_t k;        /* 1 to LINKD_K_MAX */
    float threshold; /* hits score at least this; -INFINITY for all */
    const linkd_selection *selection; /* NULL: every record */
    bool exact;                       /* scan even where segments are */
    size_t effort; /* candidates a segment is asked for; 0: the default, which
                      reaches recall@10 0.95. More is slower and better */
    uint64_t exclude; /* a record number, or LINKD_ID_NONE */
    /* Asked about every millisecond of work; true stops the search with
     * LINKD_E_CANCELLED. May be NULL. */
    bool (*stop_cb)(void *ctx);
    void *stop_ctx;
} linkd_search_options;
#define LINKD_SEARCH_OPTIONS_INIT                                              \
 {                                                                             \
  .k = 10, .threshold = -1e30F, .exclude = LINKD_ID_NONE                       \
 }

typedef struct linkd_search_stats {
    bool exact;          /* no segment was asked: nothing can be missing */
    uint64_t n_scanned;  /* vectors compared exactly */
    uint64_t n_segments; /* asked */
} linkd_search_stats;

/* Finds the k records nearest to each query: all that are indexed by segments
 * approximately and rescored exactly, all others exactly. A row is short only
 * when no more records exist that pass threshold and selection.
 *   queries  [n_queries, dim]
 *   ret_hits [n_queries, k]: best first, equal scores by number; the search
 *            works in it, so an error while it runs leaves it undefined
 * LINKD_E_ARG: a query is not finite, k is out of range; nothing is written. */
LINKD_MUST_CHECK int
linkd_view_search(linkd_view *view, const float *queries, size_t n_queries,
                  const linkd_search_options *options, linkd_hit *ret_hits,
                  linkd_search_stats *ret_stats, linkd_error *err);

/* All records that score at least options.threshold (k is not used), best
 * first; approximate as above unless options.exact. `ret_hits` is freed with
 * free(). LINKD_E_ARG also: more than LINKD_RANGE_MAX hits. */
LINKD_MUST_CHECK int linkd_view_range(linkd_view *view, const float *query,
                                      const linkd_search_options *options,
                                      linkd_hit **ret_hits, size_t *ret_n,
                                      linkd_search_stats *ret_stats,
                                      linkd_error *err);

/* ---- jobs: opaque bytes under a number ---------------------------------- */

/* Stores the state of a job; *number 0 asks for a new one. A new job with a
 * key is made once: the number of the first is answered. */
LINKD_MUST_CHECK int linkd_store_put_job(linkd_store *store, uint64_t *number,
                                         linkd_str state,
                                         const linkd_once *once,
                                         linkd_error *err);
/* The number of the job that was made under this key, which may be deleted.
 * LINKD_E_CONFLICT: the key was used for another request. */
LINKD_MUST_CHECK int linkd_store_find_job(linkd_store *store,
                                          const linkd_once *once,
                                          uint64_t *ret_number, bool *ret_found,
                                          linkd_error *err);
LINKD_MUST_CHECK int linkd_store_delete_job(linkd_store *store, uint64_t number,
                                            linkd_error *err);
/* The first job >= `from`; its state lives in the arena. */
LINKD_MUST_CHECK int linkd_store_next_job(linkd_store *store, uint64_t from,
                                          lk_arena *arena, uint64_t *ret_number,
                                          linkd_str *ret_state, bool *ret_found,
                                          linkd_error *err);

/* ---- keeping ------------------------------------------------------------ */

/* Copies the database, compacted, and the segments into a new directory that
 * linkd_store_open() opens: the state of one moment, while writes go on. It
 * appears under its name when it is complete. Reports the step "backup" in
 * bytes. LINKD_E_CONFLICT: `dir` exists. LINKD_E_FULL. */
LINKD_MUST_CHECK int linkd_store_backup(linkd_store *store, const char *dir,
                                        const linkd_progress *progress,
                                        linkd_error *err);

/* Rewrites the database of a closed data directory without its free pages.
 * LINKD_E_BUSY: in use. */
LINKD_MUST_CHECK int linkd_store_compact(const char *dir,
                                         uint64_t *ret_bytes_before,
                                         uint64_t *ret_bytes_after,
                                         linkd_error *err);

typedef struct linkd_check_report {
    uint64_t n_collections;
    uint64_t n_records;
    uint64_t n_vectors;
    uint64_t n_segments;
    uint64_t n_jobs;
    uint64_t n_faults;       /* of any kind */
    uint64_t n_bad_segments; /* among them: these heal by themselves */
} linkd_check_report;

/* Verifies every checksum and every reference between tables, and the segment
 * files, as of one moment. `fault_cb` gets one line per fault. Works on an open
 * store; faults are no error. */
LINKD_MUST_CHECK int
linkd_store_check(linkd_store *store, const linkd_progress *progress,
                  void (*fault_cb)(void *ctx, const char *message), void *ctx,
                  linkd_check_report *ret_report, linkd_error *err);

#ifdef __cplusplus
}
#endif
#endif
