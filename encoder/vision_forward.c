/* encoder/vision_forward.c — a prepared picture to its vector.
 *
 *   bytes ─► patches, a row each ─┐
 *              class token ───────┴► x ─► (norm) ─► layers ─► row 0 */
#include <string.h>

#include "encoder/vision_merge.h"
#include "encoder/vision_model.h"

static size_t rows_count(const lk_vision_model *model)
{
    return 1 + model->n_across * model->n_down;
}

static size_t stack_floats(const lk_vision_model *model)
{
    const size_t n = rows_count(model);

    return lk_round_up(
        lk_stack_floats(&model->stack, n, n, model->patches.linear.n_in),
        LK_STRIDE_UNIT);
}

size_t lk_vision_scratch(const lk_vision_model *model)
{
    return stack_floats(model) +
           lk_merge_floats(&model->stack, rows_count(model));
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
            lk_pixels_read(&m->patches, image,
                           (ptrdiff_t)(across * m->patches.side),
                           (ptrdiff_t)(down * m->patches.side), row);
            row += lk_stride(m->patches.linear.n_in);
        }
    memset(space->x, 0, stride * sizeof(*space->x));
    kernels->linear(&m->patches.linear, space->wide, n_rows - 1, space->scratch,
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
        lk_stack_cut(&model->stack, scratch, n, model->patches.linear.n_in);

    embed(model, image, &space);
    if (model->n_merged > 0) {
        const lk_merge_space merge =
            lk_merge_cut(&model->stack, scratch + stack_floats(model), n);

        lk_merge_run(&model->stack, &space, &merge, n, model->n_merged,
                     ret_vector);
        return;
    }
    lk_stack_run(&model->stack, &batch, &space, ret_vector);
}
