/* compat/compat.h — a vector of one model, made comparable with another's.
 *
 * About models, not about portability: when a collection changes its embedding
 * model, what was embedded stays, and this folder finds maps between the two
 * spaces, mixes queries, puts scores on one scale and tells whether a change is
 * worth it. It sees arrays and fingerprints only, never a model or an index.
 *
 * Rows are float [n, dim], row-major. Maps take rows of any length and work on
 * their directions (x / |x|); a row that is all zero or not finite is an error
 * that names it. Everything is deterministic: the same input and seed give the
 * same bytes, for any number of workers.
 *
 * All maps are trained on frozen features: the models themselves never change,
 * so figures that papers report for trained backbones are not theirs. */
#ifndef LINKD_COMPAT_H
#define LINKD_COMPAT_H

#include "base/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Borrowed rows. */
typedef struct linkd_rows {
    const float *data; /* [n, dim] */
    size_t n;
    size_t dim;
} linkd_rows;

#define LINKD_COMPAT_DIM_MAX ((size_t)8192)
/* Fewer pairs than this fit nothing that can be trusted: with 100 a map alone
 * is poor but a fused query already gains (research: .029 alone, .269 fused). */
#define LINKD_COMPAT_PAIRS_MIN  ((size_t)50)
#define LINKD_COMPAT_PAIRS_MAX  ((size_t)1000000)
#define LINKD_FINGERPRINT_BYTES 32

/* Rows of length 1; ret_rows [n, dim] may be rows->data. `what` names the rows
 * in messages. LINKD_E_DATA: a row is zero or not finite. */
LINKD_MUST_CHECK int linkd_compat_normalise(const linkd_rows *rows,
                                            const char *what, float *ret_rows,
                                            linkd_error *err);

/* ---- maps --------------------------------------------------------------- */

/* x is a new row and u the old one, of length 1; m and t are their means. Heads that
 * papers train along with their model are fitted here to rows that stay as they are
 * (frozen features): published gains of training are not had.
 *
 *   PROCRUSTES   (x - m) R + t, R = argmin |X R - U|, orthonormal (Schoenemann 1966)
 *   RIDGE        (x - m) W + t, W = (X'X + n l I)^-1 X'U
 *   BT2          [x R ; x N], R = argmin |X R - U| uncentred, N its complement. BT2
 *                (Zhou et al., ICCV 2023) learns the rotation with the new model,
 *                by its class losses; here it is the closed form
 *   BT2_TRAINED  [o ; 2 x P] with its first block turned by B: P and B orthonormal,
 *                o trained, by 1 - cos(first block, u). The authors' architecture;
 *                their matrix exponentials are Cayley steps (Wen and Yin 2013), and
 *                their losses of the model and of old classes are left out
 *   MLP          x W + b + gelu(x W1 + b1) W2, the residual adapter of Drift-Adapter
 *                (EMNLP 2025), which starts at random and takes squared errors; here
 *                it starts as RIDGE and takes 1 - cosine
 *   CONTRAST     x W + b by InfoNCE (van den Oord et al. 2018): the mean of
 *                -log(exp(z_i u_i / T) / sum_j exp(z_i u_j / T)), T = .05, where j
 *                leaves out other rows of i's entity; starts as PROCRUSTES
 *   SIMPLEX      (x - m) W + b to K - 1 dimensions, by cross-entropy of the scores
 *                with the K vertices of a regular simplex, which is never trained
 *                (d-Simplex: Biondi et al., CVPR 2024). With old rows o the loss is
 *                .1 of that and .9 of their HOC, the mean of
 *                -10 <o_i, z_i> + log sum_j exp(10 <o_i, z_j>), where rows of i's
 *                entity add 1 each. They train the model, and classify
 *                y, not its direction z
 *   WHITENED     (x - m) K' (C + s v I)^-1, K = X'U / n, C = U'U / n, v its mean
 *                variance */
typedef enum linkd_compat_head {
    LINKD_HEAD_PROCRUSTES,  /* centred rotation (Schoenemann 1966) */
    LINKD_HEAD_RIDGE,       /* centred least squares with an L2 penalty */
    LINKD_HEAD_BT2,         /* lossless: [ compat block ; native block ] */
    LINKD_HEAD_MLP,         /* ridge and a residual network, by cosine */
    LINKD_HEAD_CONTRAST,    /* affine, by InfoNCE over labelled entities */
    LINKD_HEAD_BT2_TRAINED, /* bt2 with a trained compat block */
    LINKD_HEAD_SIMPLEX,     /* a fixed place for each labelled entity */
    LINKD_HEAD_WHITENED,    /* to where old rows score as new ones would */
    LINKD_N_HEADS,
} linkd_compat_head;

/* "procrustes", "ridge", …: as options and files call a head. */
extern const char *const linkd_compat_head_words[LINKD_N_HEADS];
/* LINKD_E_ARG: no such head. */
LINKD_MUST_CHECK int linkd_compat_head_parse(const char *word,
                                             linkd_compat_head *ret_head,
                                             linkd_error *err);

/* From rows of one model to rows that compare with another's. Immutable. */
typedef struct linkd_compat_map linkd_compat_map;

typedef struct linkd_compat_info {
    linkd_compat_head head;
    size_t dim_from;
    size_t dim_to;     /* of the rows that it makes */
    size_t dim_compat; /* the first so many compare with the other model's
                          rows; less than dim_to only with LINKD_HEAD_BT2 and
                          LINKD_HEAD_BT2_TRAINED */
    unsigned char from[LINKD_FINGERPRINT_BYTES]; /* of the models; zero: */
    unsigned char to[LINKD_FINGERPRINT_BYTES];   /* unknown */
    uint64_t n_pairs;                            /* that it was fitted on */
    uint64_t seed;
    float cosine; /* mean of mapped and true rows, on held-out pairs */
} linkd_compat_info;

typedef struct linkd_compat_fit_options {
    linkd_compat_head head;
    const unsigned char *from; /* fingerprints, or NULL */
    const unsigned char *to;
    const char *from_name; /* what messages call the rows; NULL: the first */
    const char *to_name;   /* side and the second side */
    uint64_t seed;
    double penalty; /* ridge and what starts from it: times n; 0: chosen from
                        1e-5, 1e-4, 1e-3 on held-out pairs. LINKD_HEAD_WHITENED:
                        times the mean variance; 0: 0.1 */
    const uint64_t *labels; /* [n]: rows of one entity have one; or NULL.
                               LINKD_HEAD_CONTRAST needs them */
    size_t n_hidden;        /* of LINKD_HEAD_MLP; 0: 256 */
    size_t n_epochs;        /* of trained heads; 0: each head's own */
    size_t n_added;   /* of LINKD_HEAD_BT2_TRAINED: dimensions of its trained
                         part, at most to->dim; 0: to->dim, the best there is
                         on frozen rows */
    size_t n_classes; /* of LINKD_HEAD_SIMPLEX: entities that it has room for;
                         0: 1024 */
} linkd_compat_fit_options;

/* Row i of `from` and row i of `to` are one record under two models. A tenth of
 * the pairs is held out to measure `cosine`, then all are used.
 * LINKD_HEAD_SIMPLEX: both sides are rows that heads of one simplex made. These
 * compare as they are, and nothing is learnt.
 * LINKD_E_ARG: sizes that do not fit, too few or too many pairs, a head that
 * needs labels and has none or one class only. LINKD_E_DATA: a row is zero or
 * not finite, or all rows of a side are alike. LINKD_E_CANCELLED. */
LINKD_MUST_CHECK int linkd_compat_fit(const linkd_rows *from,
                                      const linkd_rows *to,
                                      const linkd_compat_fit_options *options,
                                      const linkd_progress *progress,
                                      linkd_compat_map **ret_map,
                                      linkd_error *err);
/* LINKD_HEAD_SIMPLEX: a head for one model, learnt from labels without pairs.
 * Heads of several models that were fitted with the same classes make rows that
 * compare, of n_classes - 1 dimensions; a head is best in place before the first
 * row is stored, since rows without one do not compare with any.
 *   options->labels  [rows->n], needed: each is a class, below n_classes, and
 *                    stands for the same entity in every generation
 *   old              [rows->n, n_classes - 1] or NULL: the same records as the
 *                    old generation's head made them, to be nearer to
 * info's cosine is that of held-out rows and their entities' places, over
 * n_pairs rows. Errors as linkd_compat_fit(). */
LINKD_MUST_CHECK int
linkd_compat_fit_simplex(const linkd_rows *rows, const linkd_rows *old,
                         const linkd_compat_fit_options *options,
                         const linkd_progress *progress,
                         linkd_compat_map **ret_map, linkd_error *err);
/* The map again, for another owner, who frees it, too. Any thread. */
linkd_compat_map *linkd_compat_map_ref(linkd_compat_map *map);
/* It goes with its last owner. */
void linkd_compat_map_free(linkd_compat_map *map);
linkd_compat_info linkd_compat_map_info(const linkd_compat_map *map);

/* ret_rows [n, dim_to], of length 1 but for LINKD_HEAD_BT2's, whose two blocks
 * each have their own, and LINKD_HEAD_BT2_TRAINED's, which are of length
 * sqrt(5): divide before they are mixed with others. LINKD_E_ARG: rows->dim is
 * not dim_from. LINKD_E_DATA. */
LINKD_MUST_CHECK int linkd_compat_map_apply(const linkd_compat_map *map,
                                            const linkd_rows *rows,
                                            float *ret_rows, linkd_error *err);

/* A map as bytes with a checksum; freed with free(). Little-endian. */
LINKD_MUST_CHECK int linkd_compat_map_encode(const linkd_compat_map *map,
                                             unsigned char **ret_bytes,
                                             size_t *ret_len, linkd_error *err);
/* LINKD_E_DATA: the bytes are no map, were cut, or a bit has flipped. */
LINKD_MUST_CHECK int linkd_compat_map_decode(const unsigned char *bytes,
                                             size_t len,
                                             linkd_compat_map **ret_map,
                                             linkd_error *err);

/* ---- fused queries ------------------------------------------------------- */

/* Spherical interpolation (Shoemake 1985): sin((1-w)t)/sin(t) old +
 * sin(wt)/sin(t) new, with t the angle between the two, both of length 1.
 * ret [dim]; may be either input. weight 0 is old, 1 is new. */
void linkd_compat_slerp(const float *old_query, const float *new_query,
                        size_t dim, float weight, float *ret);

/* Two maps for a query that both models made, to be fused where they lead: in
 * the metric of the old rows' covariance, the one by the old model's own scores,
 * the other by those that the new model is foretold to give (whiten.c). */
typedef struct linkd_whitened {
    linkd_compat_map *home; /* of the old model's query */
    linkd_compat_map *map;  /* of the new model's */
} linkd_whitened;

typedef struct linkd_whitening {
    /* Of the covariance, in parts of its mean variance: above 0. */
    double shrinkage;
    /* Of that metric in what home makes, where stored rows' scores with each
     * other spread as widely in both; the rest is the query as it is. 0 to 1;
     * with 0 there is no home. */
    double share;
} linkd_whitening;

/* Fits both maps.
 *   from, to      as linkd_compat_fit()
 *   stored        [n_stored, to->dim]: old rows whose covariance it is, those of
 *                 `to` and as many others as there are
 *   ret_whitened  cleared with linkd_whitened_clear(); NULL, both, on failure
 * LINKD_E_ARG, _DATA as linkd_compat_fit(). */
LINKD_MUST_CHECK int linkd_compat_fit_whitened(const linkd_rows *from,
                                               const linkd_rows *to,
                                               const linkd_rows *stored,
                                               const linkd_whitening *options,
                                               linkd_whitened *ret_whitened,
                                               linkd_error *err);
void linkd_whitened_clear(linkd_whitened *whitened);

/* ---- retrieval, and what it says of a change ----------------------------- */

/* Queries, a gallery, and what is relevant: rows of the same group. */
typedef struct linkd_retrieval {
    linkd_rows queries;
    linkd_rows gallery; /* dim as of queries, or more: its first dims count */
    const uint64_t *query_groups;   /* [queries.n] */
    const uint64_t *gallery_groups; /* [gallery.n] */
    const size_t *query_rows; /* [queries.n]: the gallery row that is the query
                                 itself and does not count; NULL: none is */
} linkd_retrieval;

/* For each query the rank of the first relevant row by inner product, from 1;
 * 0: not among the first `k`. Of equal scores the earlier row is the better
 * one. ret_ranks [queries.n]. */
LINKD_MUST_CHECK int linkd_compat_ranks(const linkd_retrieval *retrieval,
                                        size_t k, lk_pool *pool,
                                        uint32_t *ret_ranks, linkd_error *err);

typedef struct linkd_compat_metrics {
    double recall_1, recall_10, mrr_10;
} linkd_compat_metrics;

linkd_compat_metrics linkd_compat_metrics_of(const uint32_t *ranks, size_t n);

typedef struct linkd_interval {
    double value, low, high; /* low and high: 95 % */
} linkd_interval;

/* The share of the new model's gain that a way of serving has:
 * (M(way) - M(old)) / (M(new) - M(old)) with M the MRR@10 over the same queries,
 * and the percentile bootstrap of it over 1,000 resamples of queries; those in
 * which the new model gains nothing have no share and are left out. All NAN where
 * it is not sure that the new model gains anything: where the interval of
 * M(new) - M(old), as of linkd_compat_difference(), does not lie above 0. */
LINKD_MUST_CHECK int linkd_compat_gain(const uint32_t *old_ranks,
                                       const uint32_t *way_ranks,
                                       const uint32_t *new_ranks, size_t n,
                                       uint64_t seed, linkd_interval *ret_gain,
                                       linkd_error *err);
/* M(way) - M(old) in the same manner. */
LINKD_MUST_CHECK int linkd_compat_difference(const uint32_t *old_ranks,
                                             const uint32_t *way_ranks,
                                             size_t n, uint64_t seed,
                                             linkd_interval *ret_difference,
                                             linkd_error *err);

/* Queries whose first answer became right, and became wrong, as shares (Yan et
 * al. 2021: positive and negative flips). */
typedef struct linkd_flips {
    double positive, negative;
} linkd_flips;
linkd_flips linkd_compat_flips(const uint32_t *old_ranks,
                               const uint32_t *way_ranks, size_t n);

/* What a chain of models keeps of search, from M [n, n], models from the oldest
 * on: M[i, j] is a metric of model i's queries on model j's vectors, j <= i, and
 * NAN where it counts in neither mean. Cells above the diagonal are not read.
 *   ac  average compatibility, the share of cells below the diagonal with
 *       M[i, j] > M[j, j] (Biondi et al. 2023, CoReS: 2 / (n (n - 1)) sum_i>j;
 *       of equal ones we say that nothing was gained, as IAM-CL2R's code does)
 *   am  the mean of cells on and below the diagonal: their average of the metric.
 *       IAM-CL2R's code leaves out zeros, which here are results
 * NAN where no cell counts. */
typedef struct linkd_compatibility {
    double ac, am;
    size_t n_cells; /* that ac is the share of */
} linkd_compatibility;
linkd_compatibility linkd_compat_matrix_mean(const double *matrix, size_t n);

/* The area under a backfill curve: metric at shares 0 <= s0 < s1 < … <= 1 by
 * trapezes, divided by the span (Jaeckle et al. 2023, FastFill: AUC). */
double linkd_compat_backfill_area(const double *shares, const double *metrics,
                                  size_t n);

/* The weight of a fused query that is best for support queries: of 0, 0.1, … 1
 * the one with the highest MRR@10, the lower one of equals, 0 where none is
 * better than the old query alone. `new_queries` are mapped already.
 *   old_task  old queries on the old gallery */
LINKD_MUST_CHECK int linkd_compat_choose_weight(const linkd_retrieval *old_task,
                                                const linkd_rows *new_queries,
                                                lk_pool *pool,
                                                float *ret_weight,
                                                linkd_error *err);

/* ---- scores on one scale ------------------------------------------------- */

/* log-odds of a match = slope * score + offset, slope > 0: strictly monotone, so
 * that no order changes within one model (Platt 1999). */
typedef struct linkd_calibrator {
    double slope, offset;
} linkd_calibrator;

/* LINKD_E_ARG: both kinds of answers are needed. LINKD_E_DATA: a score is not
 * finite, or matches do not score higher than others on the whole. */
LINKD_MUST_CHECK int linkd_calibrator_fit(const float *scores,
                                          const bool *is_match, size_t n,
                                          linkd_calibrator *ret_calibrator,
                                          linkd_error *err);
double linkd_calibrator_log_odds(const linkd_calibrator *calibrator,
                                 double score);
double linkd_calibrator_score(const linkd_calibrator *calibrator,
                              double log_odds);

/* Where the scores of one query lie: its ten highest with a cohort of records, of
 * which every model has vectors. Some queries are near to everything, and not the
 * same ones for each model, so that scores of two models do not compare, even if
 * both are calibrated; standard scores do: (score - mean) / deviation. It is the
 * adaptive test normalisation of speaker verification (Sturim and Reynolds 2005),
 * with ten of the cohort: 5 and 20 are as good, 50 is little use (docs/compat.md);
 * to the highest ones' variance .09 of all scores' is added. */
#define LINKD_LEVEL_TOP ((size_t)10)
typedef struct linkd_level {
    double mean, deviation; /* deviation > 0 */
} linkd_level;

/* Of the highest of `scores` [n], n > 0. */
linkd_level linkd_level_of(const float *scores, size_t n);
/* Strictly monotone, and back. */
double linkd_level_standard(const linkd_level *level, double score);
double linkd_level_score(const linkd_level *level, double standard);

/* The distribution of impostors' scores (pairs that are no match), by quantiles
 * that are dense at the upper end, where thresholds lie. */
#define LINKD_QUANTILES 512
typedef struct linkd_quantiles {
    float
        scores[LINKD_QUANTILES]; /* ascending; see quantiles.c for the ranks */
    uint64_t n;                  /* scores that it was made from */
} linkd_quantiles;

/* Sorts `scores`. LINKD_E_ARG: fewer than LINKD_QUANTILES. LINKD_E_DATA: one is
 * not finite. */
LINKD_MUST_CHECK int linkd_quantiles_make(float *scores, size_t n,
                                          linkd_quantiles *ret_quantiles,
                                          linkd_error *err);
/* The share of impostors with at least this score: the false-match rate. */
double linkd_quantiles_false_match_rate(const linkd_quantiles *quantiles,
                                        double score);
/* The score with this false-match rate. */
double linkd_quantiles_score(const linkd_quantiles *quantiles, double rate);

#ifdef __cplusplus
}
#endif
#endif
