/* linkage/canaries.c — texts and pictures whose vectors tell whether a model is
 * still the same. */
#include "linkage/bridge.h"

#include <math.h>

const char *const linkd_canaries[LINKD_N_CANARIES] = {
    "the quick brown fox jumps over the lazy dog",
    "Acme Trading Company, Limited, London",
    "12-34-5678",
    "Zürich, São Paulo, Kraków",
    "a",
    "jean.dupont@example.com",
    "lithium-ion battery, 3.7 V, 2600 mAh",
    "Sie hat gestern ein neues Fahrrad gekauft.",
};

/* 12 x 12 pixels: two ramps, stripes, and a disc. */
#define PICTURE                                                                \
 "\x1d"                                                                        \
 "data:image/png;base64,"                                                      \
 "iVBORw0KGgoAAAANSUhEUgAAAAwAAAAMCAIAAADZF8uwAAAA6UlEQVR42mWQQXED"            \
 "MAwEj4VYqCgUFA4KF4D/DgoHhYtCLARja/fZ6L1zp1tJMsmlEE10MaUlbSlFCcRF"            \
 "zOSmMJrRjWlapm1KowyMG2Iud4XTnO58D5Zru9IpB+fWWMhDEbyHXkMHeg4egwwq"            \
 "IA7UsIY3ouk9eI2TpOfQYyibqt1PpY51vPMz+Ad9DarfLdLEJj6J+ZE0VfNvrRa2"            \
 "8EWsD2ipljg+jhDb8q3YtE3ff+u29lZuasPmKrOUpyJpSU9maqV2KpNKyAOVrOSl"            \
 "KFrRi1lapV3KogrqQOgoPcKOkQYdJudPnZK8wL1fQi3WmVht/R8AAAAASUVORK5C"            \
 "YII="

const char *const linkd_picture_canaries[LINKD_N_CANARIES] = {
    PICTURE "#xywh=percent:0,0,100,100", PICTURE "#xywh=percent:0,0,50,50",
    PICTURE "#xywh=percent:50,0,50,50",  PICTURE "#xywh=percent:0,50,50,50",
    PICTURE "#xywh=percent:50,50,50,50", PICTURE "#xywh=percent:25,25,50,50",
    PICTURE "#xywh=percent:0,0,100,50",  PICTURE "#xywh=percent:0,0,50,100",
};

/* A float apart, rounded otherwise by another processor, is no other model. */
#define CANARY_COSINE 0.999

int linkd_canaries_check(const float *stored, const float *now, size_t dim,
                         linkd_error *err)
{
    for (size_t i = 0; i < LINKD_N_CANARIES; i++) {
        const float *a = stored + i * dim;
        const float *b = now + i * dim;
        double cosine = (double)linkd_index_score(a, b, dim) /
                        sqrt((double)linkd_index_score(a, a, dim) *
                             (double)linkd_index_score(b, b, dim));

        if (!(cosine >= CANARY_COSINE))
            return lk_fail(err, LINKD_E_CONFLICT,
                           "the model makes other vectors than it did: cosine "
                           "%.4f for canary %zu",
                           cosine, i + 1);
    }
    return LINKD_OK;
}
