/* linkage/fallback.c — a decision for tables that are too small to learn from.
 *
 * A handful of pairs teaches nothing, yet two rows of the same words should not
 * come out as strangers. So the likeness of their words decides, by a fixed
 * curve, and the verdict says that it was not fitted to anything. */
#include "linkage/decision.h"
#include "linkage/likeness.h"

/* Even odds at a likeness of 0.65, 25 to 1 at 0.85: a guess. */
#define EVEN_AT 0.65F
#define SLOPE   16.0F

void lk_fallback_log_odds(const lk_features *features, float *ret_log_odds)
{
    size_t gram = lk_feature_find(features, LK_FIELD_RECORD, LK_COMPARE_GRAM);
    size_t soft = lk_feature_find(features, LK_FIELD_RECORD, LK_COMPARE_SOFT);

    for (size_t i = 0; i < features->n_pairs; i++) {
        const uint8_t *values = features->values + i * features->n;
        float likeness = 0.0F;

        if (values[gram] != LK_FEATURE_MISSING &&
            values[soft] != LK_FEATURE_MISSING)
            likeness = (float)(values[gram] + values[soft]) /
                       (2.0F * (float)LK_FEATURE_ONE);
        ret_log_odds[i] = SLOPE * (likeness - EVEN_AT);
    }
}
