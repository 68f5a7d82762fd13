/* linkage/collection.h — records that stay: what a collection's fields mean, to which
 * entity a new record belongs, and what a change of model does to both. Part of
 * linkage.h. */
#ifndef LINKD_LINKAGE_COLLECTION_H
#define LINKD_LINKAGE_COLLECTION_H

#include "compat/compat.h"
#include "index/index.h"
#include "linkage/content.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- limits ---------------------------------------------------------------- */

/* What hits have to reach. Scores are those of the model that the collection
 * was made with; after a change of the model they let in as large a share of
 * impostors as they did then. */
typedef enum linkd_limit_kind {
    LINKD_LIMIT_NONE,
    LINKD_LIMIT_SCORE,            /* -1 to 1 */
    LINKD_LIMIT_FALSE_MATCH_RATE, /* at most; between 0 and 1, as the next */
    LINKD_LIMIT_PROBABILITY,
} linkd_limit_kind;
typedef struct linkd_limit {
    linkd_limit_kind kind;
    double value;
} linkd_limit;

/* LINKD_E_ARG: its value is out of range; the message begins with `name`. */
LINKD_MUST_CHECK int linkd_limit_check(const linkd_limit *limit,
                                       const char *name, linkd_error *err);
/* From JSON: 0.74, {"false_match_rate": 0.001} or {"probability": 0.9}.
 * LINKD_E_ARG: it is none of these, or out of range. */
LINKD_MUST_CHECK int linkd_limit_parse(linkd_str json, const char *name,
                                       linkd_limit *ret_limit,
                                       linkd_error *err);
/* Appends the JSON that linkd_limit_parse() reads; null for NONE. */
LINKD_MUST_CHECK int linkd_limit_print(const linkd_limit *limit,
                                       lk_buf *ret_json, linkd_error *err);

/* What scores are with strangers in collections whose model was never changed,
 * kept as long as they have not grown much. Any threads. */
typedef struct linkd_rates linkd_rates;

LINKD_MUST_CHECK int linkd_rates_new(linkd_rates **ret_rates, linkd_error *err);
void linkd_rates_free(linkd_rates *rates);
/* Makes of a false-match rate the score that has it among the view's records; a
 * score, and no limit, stay as they are. The view's collection has never changed
 * its model: what it has otherwise are bridges, which know. `rates` may be NULL:
 * then nothing is kept. LINKD_E_ARG: a probability, of which nothing is known here,
 * or too few records for the rate. LINKD_E_DATA: a record is damaged. */
LINKD_MUST_CHECK int linkd_rates_settle(linkd_rates *rates, linkd_view *view,
                                        linkd_limit *limit, linkd_error *err);

/* ---- collections of a store --------------------------------------------- */

/* What a collection's records mean: kept as JSON in the store's settings. */
typedef struct linkd_settings {
    const linkd_str *text; /* fields whose values are encoded, in this order */
    size_t n_text;         /* 0 without a template: every text field by name */
    linkd_str pattern;     /* "{name}, {city}" in their place; empty: none */
    linkd_str image;       /* the field with the picture; empty: none */
    linkd_limit threshold; /* that records of one entity reach; never NONE */
} linkd_settings;

/* A cosine as it is decided on and shown: with six decimals, and within -1 and
 * 1. Equal vectors have a score of exactly 1. */
float lk_score_round(float cosine);
/* A search finds by unrounded cosines: the threshold to give it so that it finds
 * all whose rounded score is at least `threshold`, and perhaps some more. */
float lk_score_margin(float threshold);

/* LINKD_E_ARG: not such an object; the message names the member. Arrays and
 * strings live in the arena. */
LINKD_MUST_CHECK int linkd_settings_parse(linkd_str json, lk_arena *arena,
                                          linkd_settings *ret_settings,
                                          linkd_error *err);
/* Appends the JSON that linkd_settings_parse() reads. */
LINKD_MUST_CHECK int linkd_settings_print(const linkd_settings *settings,
                                          lk_buf *ret_json, linkd_error *err);

/* Appends the content of a record (content.h): its text, and its picture if it is
 * a data URI; nothing for a record without either. Literals count as their JSON
 * text where their field is named, so that a record has the text that
 * linkd_record_text() makes of the same row. Where records have pictures only
 * fields that were named are text, as in files. */
LINKD_MUST_CHECK int linkd_settings_text(const linkd_settings *settings,
                                         const linkd_field *fields,
                                         size_t n_fields, lk_buf *ret_text,
                                         linkd_error *err);

/* Checks the record's picture, if it has one: LINKD_E_DATA says why it cannot be
 * used. LINKD_E_NOMEM. */
LINKD_MUST_CHECK int
linkd_settings_check_picture(const linkd_settings *settings,
                             const linkd_put *put, linkd_error *err);

/* Pictures of puts that cannot be used: how many, and what is wrong with the
 * first ones. */
typedef struct linkd_unusable {
    size_t n;
    struct {
        size_t put; /* its place */
        linkd_error why;
    } first[LINKD_IMAGE_PROBLEMS_MAX];
} linkd_unusable;

/* Encodes the records' contents and stores them: linkd_store_put() for puts
 * without vectors (they are filled in for the call; those of records without a
 * known word or a picture that can be used stay NULL). A record whose picture
 * cannot be used is stored as it is, with its text's vector.
 *   ret_unusable  added to; may be NULL */
LINKD_MUST_CHECK int linkd_collection_put(
    linkd_store *store, linkd_str collection, const linkd_settings *settings,
    const linkd_embedder *embedder, const linkd_put *puts, size_t n,
    const linkd_once *once, linkd_write_result *ret_result,
    linkd_unusable *ret_unusable, linkd_error *err);

/* Another model of a collection that has several generations. */
typedef struct linkd_home {
    uint32_t generation;
    linkd_embedder embedder;
} linkd_home;

/* How a query meets the vectors of a generation. */
typedef enum linkd_way {
    LINKD_WAY_NATIVE, /* the generation's own model made it */
    LINKD_WAY_ALIGN,  /* another model's, mapped */
    LINKD_WAY_FUSE, /* mapped, and mixed with what the own model makes of it */
    LINKD_N_SCALES, /* the ways above have a scale each */
    LINKD_WAY_CASCADE = LINKD_N_SCALES, /* the record was encoded anew for the
                                           query: scored as a native one */
    LINKD_N_WAYS,
} linkd_way;

typedef struct linkd_attach_options {
    linkd_limit threshold;      /* not NONE */
    linkd_rates *rates;         /* may be NULL */
    const linkd_filter *filter; /* may be NULL */
    linkd_once once;
    const linkd_home *homes; /* [n_homes]: models of older generations, if the
                                record's text is to be looked for there */
    size_t n_homes;
} linkd_attach_options;

typedef struct linkd_attached {
    uint64_t entity;
    bool is_new;  /* it had none, and no record scored threshold */
    lk_buf match; /* id of the record that it was joined to; empty if new */
    float score;  /* of the match */
    uint32_t
        generation; /* likewise; 0: the collection's model was never changed */
    linkd_way way;  /* in which it was found, if it was changed */
    float probability; /* that it is the record that was looked for, likewise */
    uint64_t seq;
    bool replayed;
} linkd_attached;

/* Decides which entity one record belongs to and stores it, in one step: of
 * two equal records attached at once the second finds the first. `embedder` is
 * NULL when put->vector is given. A record that has its entity already keeps
 * it. `ret_attached->match` is cleared by the caller. */
LINKD_MUST_CHECK int
linkd_collection_attach(linkd_store *store, linkd_str collection,
                        const linkd_settings *settings,
                        const linkd_embedder *embedder, const linkd_put *put,
                        const linkd_attach_options *options,
                        linkd_attached *ret_attached, linkd_error *err);

/* ---- a collection whose model is being changed --------------------------- */

extern const char *const linkd_way_words[LINKD_N_WAYS]; /* "native", … */
/* How older records can be asked to be searched: fuse, align or cascade. False:
 * the word is none of them. */
bool linkd_way_parse(linkd_str word, linkd_way *ret_way);

/* What a score of one way says. */
typedef struct linkd_scale {
    linkd_quantiles impostors; /* scores of queries with others */
    linkd_quantiles records;   /* of records with others */
} linkd_scale;

/* What decides the order of hits that a fused query has found: another fused
 * query, partly in the metric of stored vectors' covariance. It finds more than
 * the first one, but equal texts do not score near 1 there, and limits cannot be
 * moved to it; so hits keep the first one's score, and are let in by it. */
typedef struct linkd_reranking {
    linkd_whitened maps; /* NULL, both: the order is that of scores */
    float weight;        /* of the mapped query */
} linkd_reranking;

/* From queries of one generation to the vectors of another, or of its own. */
typedef struct linkd_bridge {
    linkd_compat_map *map;   /* NULL: to its own */
    float weight;            /* of the mapped query in a fused one */
    float cosine_least;      /* that own and mapped queries have: below it a
                                query is strange */
    float strange_weight;    /* in place of `weight`, and without a ranking */
    linkd_reranking ranking; /* of fused queries' hits */
    linkd_scale scales[LINKD_N_SCALES];
    linkd_calibrator
        calibrator; /* NATIVE: from standard scores (linkd_level) of
                                    the generation's queries, whatever their way,
                                    to the log-odds that the record is the one
                                    that was looked for, among all records */
    double mrr_10[LINKD_N_SCALES]; /* of held-out queries; ALIGN and FUSE among
                                      the anchors that are not fitted on */
    uint32_t *ranks[LINKD_N_SCALES]; /* [n_queries] likewise, after a fit; 1 is
                                      first, 0: not among the first ten */
} linkd_bridge;

void linkd_bridge_clear(linkd_bridge *bridge);
/* Its ways: ALIGN and FUSE, or NATIVE if it has no map. */
bool linkd_bridge_has(const linkd_bridge *bridge, linkd_way way);

/* What is fitted on: the same records and queries under each model. */
typedef struct linkd_model_sample {
    size_t dim;
    const float *anchors; /* [n_anchors, dim], of records */
    const float *queries; /* [n_queries, dim] */
} linkd_model_sample;

/* Of so many anchors one is held out from fitting. */
#define LINKD_ANCHORS_HELD ((size_t)5)
#define LINKD_ANCHORS_MIN  ((size_t)100)
#define LINKD_ANCHORS      ((size_t)4000)
#define LINKD_ANCHORS_MAX  ((size_t)65536)

/* Maps between anchors that are fitted already: bridges of the same anchors, held
 * ones, seed and labels share them, whatever their queries are. */
typedef struct linkd_fitted_map {
    const float *from, *to; /* anchors */
    int role;               /* its head, or what it is of a ranking */
    linkd_compat_map *map;
} linkd_fitted_map;
/* Both ways: two heads, and two maps of a ranking. */
#define LINKD_FITTED_MAX ((size_t)8)
typedef struct linkd_fitted {
    linkd_fitted_map maps[LINKD_FITTED_MAX];
    size_t n;
} linkd_fitted;
void linkd_fitted_clear(linkd_fitted *fitted);

typedef struct linkd_bridge_task {
    size_t n_anchors; /* LINKD_ANCHORS_MIN to LINKD_ANCHORS_MAX */
    size_t n_kept;    /* the first ones, which searches will know; 0: all */
    size_t n_queries;
    const size_t *answers; /* [n_queries]: the anchor that a query looks for */
    const size_t *asked;   /* [n_queries]: the anchor that is the query, and is
                              not looked at; SIZE_MAX: none is. NULL: no
                              query is an anchor */
    const size_t *groups;  /* [n_anchors]: anchors of the same number answer the
                              same queries; NULL: each is alone */
    const bool *held;      /* [n_anchors]: not fitted on; NULL: every fifth one,
                              from the first */
    uint64_t n_records;    /* of the collection */
    linkd_compat_head head;
    bool auto_head; /* the better one of procrustes and ridge */
    bool no_scales; /* bridges are not kept, and no limit is put to them */
    const uint64_t *labels; /* [n_anchors] for LINKD_HEAD_CONTRAST, or NULL */
    uint64_t seed;
    linkd_fitted *fitted; /* taken from, and added to, as far as there is room;
                             NULL: each bridge fits its own */
    lk_pool *pool;
    const linkd_progress *progress;
} linkd_bridge_task;

/* The task for the way from older to newer: a lossless head that has no room for
 * both of its blocks there gives way to `auto_head`. */
linkd_bridge_task linkd_bridge_task_back(const linkd_bridge_task *task,
                                         const linkd_model_sample *older,
                                         const linkd_model_sample *newer);
/* Fits map, weight and scales from one model to the other. What is chosen by
 * queries is chosen among the anchors that are not fitted on: they should be many.
 * LINKD_E_ARG, _DATA, _CANCELLED as linkd_compat_fit(). */
LINKD_MUST_CHECK int linkd_bridge_fit(const linkd_bridge_task *task,
                                      const linkd_model_sample *from,
                                      const linkd_model_sample *to,
                                      linkd_bridge *ret_bridge,
                                      linkd_error *err);
/* The scale and the calibrator of a model's own queries. */
LINKD_MUST_CHECK int linkd_bridge_native(const linkd_bridge_task *task,
                                         const linkd_model_sample *sample,
                                         linkd_bridge *ret_bridge,
                                         linkd_error *err);

/* A query that stands in for a user's: the record's text with some of its words
 * left out and one misspelt, and a part of its picture; the same for equal
 * contents. Appends it. */
LINKD_MUST_CHECK int
linkd_provisional_query(linkd_str content, lk_buf *ret_query, linkd_error *err);

/* Kinds of the store's blobs. */
enum {
    LINKD_BLOB_MAP = 1,       /* generation, other: a compat map */
    LINKD_BLOB_SCALES = 2,    /* generation, other (or itself): the rest of a
                                 bridge */
    LINKD_BLOB_ANCHORS = 3,   /* generation: a table of vectors */
    LINKD_BLOB_TEXTS = 4,     /* generation 0: texts of the anchors */
    LINKD_BLOB_CANARIES = 5,  /* generation: vectors of linkd_canaries */
    LINKD_BLOB_REFERENCE = 6, /* generation 0: the scale that thresholds mean */
    LINKD_BLOB_WAY = 7,       /* generation: the word of a way */
    LINKD_BLOB_QUALITY = 8,   /* generation: figures of its start, JSON */
};

LINKD_MUST_CHECK int linkd_scales_encode(const linkd_bridge *bridge,
                                         lk_buf *ret_bytes, linkd_error *err);
/* All of a bridge but its map. LINKD_E_DATA: not such bytes. */
LINKD_MUST_CHECK int linkd_scales_decode(linkd_str bytes,
                                         linkd_bridge *ret_bridge,
                                         linkd_error *err);
/* LINKD_E_DATA: a way that the bridge has, has no scale, or one that would turn
 * the order of hits around. */
LINKD_MUST_CHECK int linkd_scales_check(const linkd_bridge *bridge,
                                        linkd_error *err);
/* How older records are searched while the view's generation serves, where a
 * request does not say: LINKD_WAY_FUSE, unless a blob says otherwise.
 * LINKD_E_DATA: it is no way. */
LINKD_MUST_CHECK int linkd_way_read(linkd_view *view, linkd_way *ret_way,
                                    linkd_error *err);
/* Vectors [n, dim] as a blob, and back; the array lives in the arena.
 * LINKD_E_DATA: not such bytes. */
LINKD_MUST_CHECK int linkd_vectors_encode(const float *vectors, size_t n,
                                          size_t dim, lk_buf *ret_bytes,
                                          linkd_error *err);
LINKD_MUST_CHECK int linkd_vectors_decode(linkd_str bytes, lk_arena *arena,
                                          float **ret_vectors, size_t *ret_n,
                                          size_t *ret_dim, linkd_error *err);
/* Texts likewise. */
LINKD_MUST_CHECK int linkd_texts_encode(const linkd_str *texts, size_t n,
                                        lk_buf *ret_bytes, linkd_error *err);
LINKD_MUST_CHECK int linkd_texts_decode(linkd_str bytes, lk_arena *arena,
                                        linkd_str **ret_texts, size_t *ret_n,
                                        linkd_error *err);

/* Texts whose vectors tell whether a model is still the same, in spite of an
 * equal fingerprint. */
#define LINKD_N_CANARIES ((size_t)8)
extern const char *const linkd_canaries[LINKD_N_CANARIES];
/* The same as contents of pictures, for models that read no texts. */
extern const char *const linkd_picture_canaries[LINKD_N_CANARIES];
/* LINKD_E_CONFLICT: a canary's vector, [LINKD_N_CANARIES, dim] each, has changed
 * (cosine under .999). */
LINKD_MUST_CHECK int linkd_canaries_check(const float *stored, const float *now,
                                          size_t dim, linkd_error *err);

/* All bridges of a collection, as of a view. Immutable: any threads. */
typedef struct linkd_bridges linkd_bridges;

/* *ret_bridges is NULL where the collection's model was never changed. Freed by
 * linkd_bridges_close(). What is damaged is told to those who need it. */
LINKD_MUST_CHECK int linkd_bridges_open(linkd_view *view,
                                        linkd_bridges **ret_bridges,
                                        linkd_error *err);
void linkd_bridges_close(linkd_bridges *bridges);
/* What linkd_bridges_open() of this view would read, as a number: bridges that
 * were opened under it serve. 0: the model was never changed. */
LINKD_MUST_CHECK int linkd_bridges_key(linkd_view *view, uint64_t *ret_key,
                                       linkd_error *err);
/* NULL: there is none. */
const linkd_bridge *linkd_bridges_find(const linkd_bridges *bridges,
                                       uint32_t from, uint32_t to);
/* LINKD_E_DATA: there is none, or it is damaged. */
LINKD_MUST_CHECK int linkd_bridges_need(const linkd_bridges *bridges,
                                        uint32_t from, uint32_t to,
                                        const linkd_bridge **ret_bridge,
                                        linkd_error *err);
/* LINKD_E_DATA: the scale of limits is damaged. Scores can be limits all the same as
 * long as the first generation is there, which has a copy. */
LINKD_MUST_CHECK int linkd_bridges_check_limits(const linkd_bridges *bridges,
                                                linkd_error *err);
/* Maps a vector of one generation to another's: ret_vector [dim of `to`]. Damage
 * of anything but the map itself does not matter. */
LINKD_MUST_CHECK int linkd_bridges_map(const linkd_bridges *bridges,
                                       uint32_t from, uint32_t to,
                                       const float *vector, float *ret_vector,
                                       linkd_error *err);

/* One query in all generations. */
typedef struct linkd_mixed_query {
    uint32_t generation; /* whose model made `vector` */
    const float *vector;
    /* The same text under other generations' own models; NULL: not there */
    struct {
        uint32_t generation;
        const float *vector;
    } homes[LINKD_GENERATIONS_MAX];
    size_t n_homes;
    /* A record's vector: limits are of scores of records, and there is no
     * ranking, since equal texts have to be each other's nearest. */
    bool is_record;
    bool own_only; /* other generations are not searched */
} linkd_mixed_query;

typedef struct linkd_found {
    uint64_t id; /* the record's number */
    float score; /* raw, of the generation and the way */
    uint32_t generation;
    linkd_way way;
    double log_odds;
    bool is_raw; /* nothing is known but the score: the scales are damaged */
} linkd_found;

double linkd_found_probability(const linkd_found *found);

/* The k best of all generations, best first by log-odds, equal ones by number:
 * within one generation that is the order of its scores, unless it has a ranking
 * for its best hundred, and between two that of their standard scores. `options` as in
 * linkd_view_search(), but for its threshold. ret_found [options->k]. The view
 * is turned to the generation that serves afterwards. LINKD_E_ARG: the query is
 * zero or not finite. LINKD_E_DATA: what leads to a generation with records is
 * damaged; its own scales are missed only where there are other generations or a
 * limit. */
LINKD_MUST_CHECK int linkd_mixed_search(
    const linkd_bridges *bridges, linkd_view *view,
    const linkd_mixed_query *query, const linkd_search_options *options,
    const linkd_limit *limit, linkd_found *ret_found, size_t *ret_n,
    linkd_search_stats *ret_stats, linkd_error *err);
/* The first half of a cascade, as linkd_mixed_search() without a limit: its first
 * `n_candidates`, at most options->k, are the best by fused queries and by mapped
 * ones in turn, since one model may know what a query says and the other not. */
LINKD_MUST_CHECK int
linkd_mixed_candidates(const linkd_bridges *bridges, linkd_view *view,
                       const linkd_mixed_query *query,
                       const linkd_search_options *options, size_t n_candidates,
                       linkd_found *ret_found, size_t *ret_n,
                       linkd_search_stats *ret_stats, linkd_error *err);
/* All records within the limit, which is not NONE; freed with free(). */
LINKD_MUST_CHECK int
linkd_mixed_range(const linkd_bridges *bridges, linkd_view *view,
                  const linkd_mixed_query *query,
                  const linkd_search_options *options, const linkd_limit *limit,
                  linkd_found **ret_found, size_t *ret_n,
                  linkd_search_stats *ret_stats, linkd_error *err);
/* A record's vector under the model that serves, made for a search. */
typedef struct linkd_fresh {
    uint64_t number; /* the record's */
    uint64_t seq;    /* of its row when its text was read */
    const float *vector;
} linkd_fresh;

/* The second half of a cascade: what linkd_mixed_candidates() has found gets its
 * score from `fresh` [n_fresh], which is in order of number, as far as it is
 * there and the record has not changed since. `found` [*n] is what
 * is within the limit then, the `k` best of it, in order. The query is of the
 * generation that serves. LINKD_E_DATA: a record is damaged. */
LINKD_MUST_CHECK int
linkd_mixed_rescore(const linkd_bridges *bridges, linkd_view *view,
                    const linkd_mixed_query *query, const linkd_fresh *fresh,
                    size_t n_fresh, const linkd_limit *limit, size_t k,
                    linkd_found *found, size_t *n, linkd_error *err);

/* What the scores of one query with one generation say. */
typedef struct linkd_standing {
    const linkd_scale *scale; /* of the way */
    linkd_level level;
    const linkd_calibrator *calibrator; /* of the query's generation */
    bool is_record;                     /* as of linkd_mixed_query */
} linkd_standing;

double linkd_standing_log_odds(const linkd_standing *standing, double score);
/* The raw score at which hits reach the limit. LINKD_E_DATA: it is a score, and the
 * scale of limits and its copy are damaged. */
LINKD_MUST_CHECK int linkd_limit_score(const linkd_bridges *bridges,
                                       const linkd_limit *limit,
                                       const linkd_standing *standing,
                                       float *ret_score, linkd_error *err);

/* ---- pairs of records of several models ----------------------------------- */

/* What jobs that decide by scores alone go by after a change of the model: a score
 * becomes the one with which the collection's first model let in as large a share
 * of strangers. Immutable. */
typedef struct linkd_pair_scales linkd_pair_scales;

/* A model's number among a few: 24 bits of its fingerprint's hash. */
uint32_t linkd_model_mark(linkd_str fingerprint);
/* Of the view's collection, whose records are compared as vectors of the generation
 * `serving`. LINKD_E_DATA: a scale or a sample is damaged. */
LINKD_MUST_CHECK int linkd_pair_scales_make(const linkd_bridges *bridges,
                                            linkd_view *view, uint32_t serving,
                                            linkd_pair_scales **ret_scales,
                                            linkd_error *err);
void linkd_pair_scales_free(linkd_pair_scales *scales);
/* The cosine of vectors that `left` and `right` (linkd_model_mark) have made, and
 * of which older ones are mapped. A model that is none of the collection's counts
 * as the one that serves. */
float linkd_pair_scales_score(const linkd_pair_scales *scales, uint32_t left,
                              uint32_t right, float cosine);
/* For a file of this machine, and back. LINKD_E_DATA: it is damaged. */
LINKD_MUST_CHECK int linkd_pair_scales_encode(const linkd_pair_scales *scales,
                                              lk_buf *ret_bytes,
                                              linkd_error *err);
LINKD_MUST_CHECK int linkd_pair_scales_decode(linkd_str bytes,
                                              linkd_pair_scales **ret_scales,
                                              linkd_error *err);

#ifdef __cplusplus
}
#endif
#endif
