/* linkage/embed_images.c — cells that name pictures to vectors: each worker reads,
 * decodes and encodes one picture at a time. */
#include <stdlib.h>
#include <string.h>

#include "linkage/picture.h"

typedef struct embedding {
    const linkd_vision *vision;
    const char *table_path;
    const linkd_str *sources;
    const linkd_image_options *options;
    size_t dim;
    float *vectors;
    linkd_error *errors; /* [n]; code 0: none */
} embedding;

static int picture_encode(void *ctx, size_t item, size_t worker,
                          linkd_error *err)
{
    const embedding *e = ctx;
    float *vector = e->vectors + item * e->dim;
    linkd_error *problem = &e->errors[item];
    linkd_image image = {0};
    int rc;

    memset(vector, 0, e->dim * sizeof(*vector));
    if (e->sources[item].len == 0)
        return LINKD_OK;
    rc = lk_picture_read(e->table_path, e->sources[item], e->options, &image,
                         problem);
    if (rc == LINKD_OK)
        rc = linkd_vision_encode(e->vision, worker, &image, vector, problem);
    linkd_image_clear(&image);
    return rc == LINKD_E_NOMEM ? lk_fail_nomem(err) : LINKD_OK;
}

int linkd_embed_images(const linkd_vision *vision, lk_pool *pool,
                       const char *table_path, const linkd_str *sources,
                       size_t n, uint64_t first_row,
                       const linkd_image_options *options, float *ret_vectors,
                       linkd_image_problems *ret_problems, linkd_error *err)
{
    embedding e = {.vision = vision,
                   .table_path = table_path,
                   .sources = sources,
                   .options = options,
                   .dim = linkd_vision_describe(vision)->dim,
                   .vectors = ret_vectors,
                   .errors = calloc(n + 1, sizeof(*e.errors))};
    int rc = e.errors != NULL ? LINKD_OK : lk_fail_nomem(err);

    LK_ASSERT(n <= LINKD_IMAGES_MAX);
    if (rc == LINKD_OK)
        rc = lk_pool_run(pool, n, picture_encode, &e, err);
    for (size_t i = 0; i < n && rc == LINKD_OK; i++)
        if (e.errors[i].code != LINKD_OK)
            rc = lk_picture_problem(ret_problems, first_row + i, sources[i],
                                    &e.errors[i], err);
    free(e.errors);
    return rc;
}
