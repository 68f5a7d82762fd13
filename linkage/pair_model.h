/* linkage/pair_model.h — private: what was learned from labels, kept for other
 * tables. pair_model.c makes and uses it, pair_model_file.c writes and reads it.
 */
#ifndef LK_LINKAGE_PAIR_MODEL_H
#define LK_LINKAGE_PAIR_MODEL_H

#include "linkage/evidence.h"
#include "linkage/learned.h"

/* A pair of columns; one that stands alone has no name (NULL) on the other.
 * In one table both names are the same. */
typedef struct lk_model_column {
    linkd_str names[2];
    linkd_holds compared_as; /* as lk_field has it */
} lk_model_column;

struct linkd_pair_model {
    lk_arena arena; /* holds all that is not `learned` */
    const char *name;
    const char *fingerprint; /* of the encoder; "": none */
    bool within;
    lk_model_column *columns; /* [n_columns], in the order of the texts */
    size_t n_columns;
    /* Those of a pair, then those of its context; their fields are numbers of
     * the columns that do not stand alone. */
    lk_feature *features;
    size_t n_features;
    lk_learned learned;
};

/* A model without columns and features; linkd_pair_model_free(). */
LINKD_MUST_CHECK int lk_pair_model_new(const char *name,
                                       linkd_pair_model **ret_model,
                                       linkd_error *err);

/* How many columns both sides have. */
size_t lk_pair_model_n_fields(const linkd_pair_model *model);

/* Before anything is compared: fields are to be compared as the model's were.
 * LINKD_E_DATA: one holds something else than numbers or dates where the model
 * had these, or the encoder is another one. LINKD_E_ARG: these are not the
 * model's columns. */
LINKD_MUST_CHECK int lk_pair_model_impose(const linkd_pair_model *model,
                                          linkd_evidence *evidence,
                                          linkd_error *err);

/* Was nothing learned that is better than the decision without labels? */
bool lk_pair_model_is_idle(const linkd_pair_model *model);

/* Decides in place of labels: improves an outcome that was found without. The
 * outcome is unchanged on failure, and where nothing was learned but for
 * verdict.learned. LINKD_E_DATA: these are not the features that the model
 * knows. */
LINKD_MUST_CHECK int lk_pair_model_apply(const linkd_pair_model *model,
                                         const linkd_evidence *evidence,
                                         const lk_decision_input *input,
                                         lk_outcome *outcome, linkd_error *err);

/* What the labels of `input` teach about `evidence`; `outcome` was found
 * without them. */
LINKD_MUST_CHECK int lk_pair_model_train(const linkd_evidence *evidence,
                                         const lk_decision_input *input,
                                         const lk_outcome *outcome,
                                         linkd_pair_model **ret_model,
                                         linkd_error *err);

#endif
