/* Feeds foreign bytes to what reads the submission of a job. What is accepted
 * can be run: sides name one table each, and options are within bounds. */
#include <math.h>
#include <stdint.h>

#include "daemon/job_spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void spec_check(const lk_job_spec *spec)
{
    LK_ASSERT(spec->n_sides <= 2);
    for (size_t i = 0; i < spec->n_sides; i++) {
        const lk_job_side *side = &spec->sides[i];

        LK_ASSERT((side->collection.len > 0) != (side->file.len > 0));
        LK_ASSERT((side->on == NULL) == (side->n_on == 0));
    }
    /* 0: what suits the number of rows, without a score to go by */
    if (spec->n_sides > 0)
        LK_ASSERT((spec->k >= 1 || isnan(spec->min_score)) &&
                  spec->k <= LINKD_K_MAX && spec->threshold >= -1.0 &&
                  spec->threshold <= 1.0);
    LK_ASSERT(isnan(spec->min_score) ||
              (spec->min_score >= -1.0 && spec->min_score <= 1.0));
    LK_ASSERT(!spec->apply || spec->sides[0].collection.len > 0);
    LK_ASSERT(spec->kind != LK_JOB_BACKUP || spec->directory.bytes[0] == '/');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *request = NULL;
    lk_arena arena = {0};
    linkd_error err = {0};
    lk_job_spec spec;
    int rc =
        lk_json_parse((linkd_str){(const char *)data, size}, &request, &err);

    if (rc != LINKD_OK)
        return 0;
    rc = lk_job_spec_read(request, &arena, &spec, &err);
    LK_ASSERT(rc == LINKD_OK || rc == LINKD_E_ARG);
    if (rc == LINKD_OK)
        spec_check(&spec);
    lk_arena_clear(&arena);
    json_decref(request);
    return 0;
}
