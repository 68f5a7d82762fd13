/* encoder/vision_forward.c — a prepared picture to its vector.
 *
 *   bytes ─► patches, a row each ─┐
 *              class token ───────┴► x ─► (norm) ─► layers ─► row 0 */
#include <string.h>

#include "encoder/vision_model.h"

static size_t rows_count(const lk_vision_model *model)
{
    return 1 + model->n_across * model->n_down;
}

size_t lk_vision_scratch(const lk_vision_model *model)
{
    const size_t n = rows_count(model);

    return lk_stack_floats(&model->stack, n, n, model->patches.n_in);
}

/* The bytes of patch (across, down) as floats: [3, side, side]. */
static void patch_read(const lk_vision_model *m, const linkd_image *image,
                       size_t across, size_t down, float *ret_row)
{
    const size_t side = m->patch_side;
    const uint8_t *corner =
        image->pixels + (down * side * image->width + across * side) * 3;
    float *out = ret_row;

    for (size_t c = 0; c < 3; c++)
        for (size_t y = 0; y < side; y++)
            for (size_t x = 0; x < side; x++)
                *out++ = (float)corner[(y * image->width + x) * 3 + c];
    memset(out, 0,
           (lk_stride(m->patches.n_in) - m->patches.n_in) * sizeof(*out));
}

static void embed(const lk_vision_model *m, const linkd_image *image,
                  const lk_stack_space *space)
{
    const lk_kernels *kernels = m->stack.kernels;
    const size_t n_rows = rows_count(m);
    const size_t stride = lk_stride(m->stack.sizes.dim);
    float *row = space->wide;

    for (size_t down = 0; down < m->n_down; down++)
        for (size_t across = 0; across < m->n_across; across++) {
            patch_read(m, image, across, down, row);
            row += lk_stride(m->patches.n_in);
        }
    memset(space->x, 0, stride * sizeof(*space->x));
    kernels->linear(&m->patches, space->wide, n_rows - 1, space->scratch,
                    space->x + stride);
    if (m->embedding_norm.width > 0) {
        kernels->add_norm(&m->embedding_norm, m->positions, n_rows, space->x);
        return;
    }
    for (size_t i = 0; i < n_rows * stride; i++)
        space->x[i] += m->positions[i];
}

void lk_vision_forward(const lk_vision_model *model, const linkd_image *image,
                       float *scratch, float *ret_vector)
{
    const size_t n = rows_count(model);
    const size_t starts[] = {0, n};
    const size_t class_token = 0;
    const lk_stack_batch batch = {
        .starts = starts, .wanted = &class_token, .n = 1};
    const lk_stack_space space =
        lk_stack_cut(&model->stack, scratch, n, model->patches.n_in);

    embed(model, image, &space);
    lk_stack_run(&model->stack, &batch, &space, ret_vector);
}
