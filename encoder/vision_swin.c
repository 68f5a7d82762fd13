/* encoder/vision_swin.c — a prepared picture to its vector by a Swin.
 *
 *   bytes ─► patches ─► norm ─► x ─► stage ─► merge ─► stage … ─► norm ─► mean
 *
 *   a layer, for some windows at a time:
 *     norm of the windows' rows of x ─► query, key, value ─► attention in each
 *     window ─► added to the same rows;  then feed-forward, for some rows at a time
 *
 * Only x is as large as the picture: what a layer makes of it is kept for about
 * LK_BLOCK_ROWS rows, so that it stays in the cache. Where the grid is no multiple
 * of a window, places beyond it are rows of zeros that the others see, as in the
 * reference. */
#include "encoder/vision_swin.h"

#include <string.h>

typedef struct pass {
    const lk_swin *swin;
    const lk_kernels *kernels;
    lk_stack_space space;
} pass;

/* One layer's windows. */
typedef struct layer {
    const lk_swin_stage *stage;
    const lk_stack_layer *weights;
    lk_heads heads; /* with the biases */
    bool is_shifted;
} layer;

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t lk_swin_dim(const lk_swin *swin)
{
    return swin->stages[swin->n_stages - 1].stack.sizes.dim;
}

/* ---- memory ------------------------------------------------------------- */

/* Rows that are on their way at a time. */
static size_t block_rows(const lk_swin *swin)
{
    return lk_larger(LK_BLOCK_ROWS, swin->window_rows);
}

static size_t x_floats(const lk_swin *swin)
{
    size_t most = 0;

    for (size_t i = 0; i < swin->n_stages; i++) {
        const lk_swin_stage *s = &swin->stages[i];

        most = lk_larger(most, s->n_down * s->n_across *
                                   lk_stride(s->stack.sizes.dim));
    }
    return most;
}

/* The widest row that goes into a layer or comes out of it. */
static size_t row_floats(const lk_swin *swin)
{
    const lk_stack_sizes *last = &swin->stages[swin->n_stages - 1].stack.sizes;
    const size_t widest = lk_larger(3 * last->dim, last->n_inner);

    return lk_stride(lk_larger(widest, swin->patches.linear.n_in));
}

/* The final norm's rows are all there at once. */
static size_t context_floats(const lk_swin *swin)
{
    const lk_swin_stage *last = &swin->stages[swin->n_stages - 1];

    return lk_larger(block_rows(swin) * row_floats(swin),
                     last->n_down * last->n_across *
                         lk_stride(last->stack.sizes.dim));
}

static size_t kernel_floats(const lk_swin *swin)
{
    const lk_kernels *kernels = swin->stages[0].stack.kernels;
    size_t most =
        lk_linear_scratch(kernels, row_floats(swin), block_rows(swin));

    for (size_t i = 0; i < swin->n_stages; i++)
        most = lk_larger(
            most, lk_attention_scratch(kernels, &swin->stages[i].stack.heads,
                                       swin->window_rows));
    return most;
}

size_t lk_swin_scratch(const lk_swin *swin)
{
    return x_floats(swin) + context_floats(swin) +
           block_rows(swin) * row_floats(swin) + kernel_floats(swin);
}

static lk_stack_space space_cut(const lk_swin *swin, float *floats)
{
    float *context = floats + x_floats(swin);
    float *wide = context + context_floats(swin);

    return (lk_stack_space){.x = floats,
                            .context = context,
                            .wide = wide,
                            .scratch =
                                wide + block_rows(swin) * row_floats(swin)};
}

/* ---- before the first stage --------------------------------------------- */

/* Rows [n_rows, width] to their norms. */
static void rows_norm(const pass *p, const lk_norm *norm, const float *rows,
                      size_t n_rows, float *ret_rows)
{
    memset(ret_rows, 0, n_rows * lk_stride(norm->width) * sizeof(*ret_rows));
    p->kernels->add_norm(norm, rows, n_rows, ret_rows);
}

static void patches_embed(const pass *p, const linkd_image *image, size_t first,
                          size_t n)
{
    const lk_pixels *patches = &p->swin->patches;
    const size_t n_across = p->swin->stages[0].n_across;
    const lk_norm *norm = &p->swin->patch_norm;

    for (size_t i = 0; i < n; i++)
        lk_pixels_read(patches, image,
                       (ptrdiff_t)((first + i) % n_across * patches->side),
                       (ptrdiff_t)((first + i) / n_across * patches->side),
                       p->space.wide + i * lk_stride(patches->linear.n_in));
    p->kernels->linear(&patches->linear, p->space.wide, n, p->space.scratch,
                       p->space.context);
    rows_norm(p, norm, p->space.context, n,
              p->space.x + first * lk_stride(norm->width));
}

static void embed(const pass *p, const linkd_image *image)
{
    const lk_swin_stage *stage = &p->swin->stages[0];
    const size_t n = stage->n_down * stage->n_across;

    for (size_t i = 0; i < n; i += LK_BLOCK_ROWS)
        patches_embed(p, image, i, smaller(n - i, LK_BLOCK_ROWS));
}

/* ---- a layer ------------------------------------------------------------ */

/* context = the norms of the rows at n places; beyond the grid is 0. */
static void places_read(const pass *p, const layer *l, const uint32_t *places,
                        size_t n)
{
    const size_t stride = lk_stride(l->heads.n_heads * l->heads.head_dim);

    memset(p->space.context, 0, n * stride * sizeof(*p->space.context));
    for (size_t i = 0; i < n; i++)
        if (places[i] != LK_SWIN_OUTSIDE)
            p->kernels->add_norm(&l->weights->attention_norm,
                                 p->space.x + places[i] * stride, 1,
                                 p->space.context + i * stride);
}

/* Adds rows of `wide` to x. */
static void places_add(const pass *p, const layer *l, const uint32_t *places,
                       size_t n)
{
    const size_t stride = lk_stride(l->heads.n_heads * l->heads.head_dim);

    for (size_t i = 0; i < n; i++) {
        const float *row = p->space.wide + i * stride;

        if (places[i] == LK_SWIN_OUTSIDE)
            continue;
        for (size_t k = 0; k < stride; k++)
            p->space.x[places[i] * stride + k] += row[k];
    }
}

/* NULL where all rows of the window see each other. */
static const float *window_mask(const layer *l, size_t window, size_t n)
{
    const lk_swin_stage *s = l->stage;
    const bool is_last_down =
        window / s->n_windows_across + 1 == s->n_windows_down;
    const bool is_last_across =
        window % s->n_windows_across + 1 == s->n_windows_across;
    const size_t mask = 2 * (size_t)is_last_down + is_last_across;

    return l->is_shifted && mask > 0 ? s->masks + mask * n * n : NULL;
}

/* Attention in n_windows windows from the `first`, added to x. */
static void windows_attend(const pass *p, const layer *l, size_t first,
                           size_t n_windows)
{
    const size_t dim = l->heads.n_heads * l->heads.head_dim;
    const size_t n = p->swin->window_rows;
    const uint32_t *places =
        (l->is_shifted ? l->stage->shifted_places : l->stage->places) +
        first * n;
    const lk_stack_space *s = &p->space;
    lk_heads heads = l->heads;

    places_read(p, l, places, n_windows * n);
    p->kernels->linear(&l->weights->projection, s->context, n_windows * n,
                       s->scratch, s->wide);
    for (size_t i = 0; i < n_windows; i++) {
        heads.mask = window_mask(l, first + i, n);
        p->kernels->attention(&heads, s->wide + i * n * lk_stride(3 * dim), n,
                              n, s->scratch,
                              s->context + i * n * lk_stride(dim));
    }
    p->kernels->linear(&l->weights->attention_out, s->context, n_windows * n,
                       s->scratch, s->wide);
    places_add(p, l, places, n_windows * n);
}

static void feed_forward(const pass *p, const layer *l)
{
    const lk_stack *stack = &l->stage->stack;
    const size_t n = l->stage->n_down * l->stage->n_across;
    lk_stack_space block = p->space;

    for (size_t i = 0; i < n; i += LK_BLOCK_ROWS) {
        block.x = p->space.x + i * lk_stride(stack->sizes.dim);
        lk_stack_feed_forward(stack, l->weights, &block,
                              smaller(n - i, LK_BLOCK_ROWS));
    }
}

/* Every second layer's windows are shifted. */
static void layer_run(const pass *p, const lk_swin_stage *stage, size_t i)
{
    const size_t n = p->swin->window_rows;
    const size_t n_windows = stage->n_windows_down * stage->n_windows_across;
    const size_t n_at_once = block_rows(p->swin) / n;
    layer l = {.stage = stage,
               .weights = &stage->stack.layers[i],
               .heads = stage->stack.heads,
               .is_shifted = i % 2 == 1 && stage->shifted_places != NULL};

    l.heads.biases = stage->biases + i * l.heads.n_heads * n * n;
    for (size_t w = 0; w < n_windows; w += n_at_once)
        windows_attend(p, &l, w, smaller(n_windows - w, n_at_once));
    feed_forward(p, &l);
}

/* ---- between stages ----------------------------------------------------- */

/* The four rows at twice (x, y) one after the other, down before across; beyond
 * the grid is 0. */
static void four_read(const float *rows, const lk_swin_stage *stage, size_t x,
                      size_t y, float *ret_row)
{
    const size_t dim = stage->stack.sizes.dim;

    for (size_t i = 0; i < 4; i++) {
        const size_t down = 2 * y + i % 2;
        const size_t across = 2 * x + i / 2;

        if (down < stage->n_down && across < stage->n_across)
            memcpy(ret_row + i * dim,
                   rows + (down * stage->n_across + across) * lk_stride(dim),
                   dim * sizeof(*rows));
        else
            memset(ret_row + i * dim, 0, dim * sizeof(*rows));
    }
    memset(ret_row + 4 * dim, 0,
           (lk_stride(4 * dim) - 4 * dim) * sizeof(*ret_row));
}

/* In place: no row of the result reaches into a row of the grid that a later one
 * is made of. */
static void merge(const pass *p, const lk_swin_stage *stage)
{
    const lk_swin_stage *next = stage + 1;
    const size_t n = next->n_down * next->n_across;
    const size_t in = lk_stride(stage->merge.n_in);
    const size_t out = lk_stride(stage->merge.n_out);

    for (size_t first = 0; first < n; first += LK_BLOCK_ROWS) {
        const size_t n_rows = smaller(n - first, LK_BLOCK_ROWS);

        for (size_t i = first; i < first + n_rows; i++)
            four_read(p->space.x, stage, i % next->n_across, i / next->n_across,
                      p->space.wide + (i - first) * in);
        rows_norm(p, &stage->merge_norm, p->space.wide, n_rows,
                  p->space.context);
        p->kernels->linear(&stage->merge, p->space.context, n_rows,
                           p->space.scratch, p->space.x + first * out);
    }
}

/* ---- all of it ---------------------------------------------------------- */

static void vector_write(const pass *p, const lk_swin_stage *last,
                         float *ret_vector)
{
    const size_t n = last->n_down * last->n_across;
    const size_t dim = last->stack.sizes.dim;

    lk_stack_normalise(&last->stack, &last->stack.final_norm, &p->space, n);
    p->kernels->pool(p->space.context, n, dim, p->space.wide);
    memcpy(ret_vector, p->space.wide, dim * sizeof(*ret_vector));
}

void lk_swin_forward(const lk_swin *swin, const linkd_image *image,
                     float *scratch, float *ret_vector)
{
    const pass p = {.swin = swin,
                    .kernels = swin->stages[0].stack.kernels,
                    .space = space_cut(swin, scratch)};

    embed(&p, image);
    for (size_t i = 0; i < swin->n_stages; i++) {
        const lk_swin_stage *stage = &swin->stages[i];

        for (size_t k = 0; k < stage->stack.sizes.n_layers; k++)
            layer_run(&p, stage, k);
        if (i + 1 < swin->n_stages)
            merge(&p, stage);
    }
    vector_write(&p, &swin->stages[swin->n_stages - 1], ret_vector);
}
