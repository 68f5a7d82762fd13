/* encoder/kernels_attention.h — a part of kernels_impl.h: self-attention of one
 * sequence. Softmax is in f32; the products before and after it are of pairs in
 * bf16, which halves their work, and of floats in f32 and int8. */
#if VEC_STEP == STEP_PAIRS
#define ATTENTION_STEP ((size_t)2)
#else
#define ATTENTION_STEP ((size_t)1)
#endif

/* Below any score of a finite model, and far enough below the largest one that
 * its power of two vanishes in the sum. */
#define MASKED (-FLT_MAX / 2)

/* Keys from `first` up to, but without, `end`. */
typedef struct span {
    size_t first;
    size_t end;
} span;

/* One head of one sequence, and where its intermediate results lie. */
typedef struct head {
    const float *query; /* [n_tokens] rows of head_dim, qkv_stride apart */
    const float *key;
    const float *value;
    size_t qkv_stride;
    size_t n_tokens;
    size_t n_queries; /* the first of them are asked for */
    size_t head_dim;
    size_t window;           /* keys to either side that a query sees */
    size_t n_keys;           /* n_tokens, rounded up to whole panels */
    const float *distances;  /* of the key where the query is; or NULL */
    const float *biases;     /* [n_tokens, n_tokens], or NULL */
    const float *mask;       /* likewise */
    const float *key_biases; /* [n_tokens], or NULL */
    float *key_panels;   /* [n_keys / PANEL_WIDTH][key_steps][PANEL_WIDTH] */
    float *value_panels; /* [columns / PANEL_WIDTH][value_steps][PANEL_WIDTH] */
    float *scores;       /* [VEC_TILE_ROWS][n_keys] */
    float *weighted;     /* [VEC_TILE_ROWS][PANEL_WIDTH] */
    float *rounded;    /* of pairs: [VEC_TILE_ROWS] queries, row_floats apart */
    size_t row_floats; /* head_dim, rounded up to what row_round() reads */
    size_t key_steps;  /* of head_dim */
    size_t value_steps; /* of n_tokens */
    float *context;     /* [n_queries] rows, context_stride apart */
    size_t context_stride;
} head;

static const float ZEROS[PANEL_WIDTH] __attribute__((aligned(64)));

/* n numbers times `scale`. */
ALWAYS_INLINE void row_scale(const float *from, float scale, size_t n,
                             float *ret_row)
{
    size_t i = 0;

    for (; i + VEC_LANES <= n; i += VEC_LANES)
        vec_store(ret_row + i, vec_mul(vec_load(from + i), vec_set(scale)));
    for (; i < n; i++)
        ret_row[i] = from[i] * scale;
}

/* VEC_LANES steps of a token's key from the step `first` on, zeros past its end. */
ALWAYS_INLINE vec key_load(const head *h, size_t token, size_t first)
{
    const float *key = h->key + token * h->qkv_stride + first * ATTENTION_STEP;
    const size_t left = h->head_dim - first * ATTENTION_STEP;
    float tail[VEC_LANES * ATTENTION_STEP] = {0};

    if (token >= h->n_tokens)
        return vec_set(0.0F);
    if (left < VEC_LANES * ATTENTION_STEP) {
        memcpy(tail, key, left * sizeof(*key));
        key = tail;
    }
#if VEC_STEP == STEP_PAIRS
    return vec_round(key);
#else
    return vec_load(key);
#endif
}

/* The keys of 16 tokens, by 16 of their steps, into a panel. */
static void pack_key_block(const head *h, size_t token, size_t first,
                           float *ret_panel)
{
    const size_t left = h->key_steps - first;
    const size_t n = left < VEC_LANES ? left : VEC_LANES;
    vec columns[VEC_LANES];

    UNROLLED
    for (size_t i = 0; i < VEC_LANES; i++)
        columns[i] = key_load(h, token + i, first);
    vec_transpose(columns);
    for (size_t k = 0; k < n; k++)
        vec_store(ret_panel + k * PANEL_WIDTH, columns[k]);
}

static void pack_keys(const head *h)
{
    for (size_t token = 0; token < h->n_keys; token += VEC_LANES) {
        float *panel = h->key_panels +
                       token / PANEL_WIDTH * PANEL_WIDTH * h->key_steps +
                       token % PANEL_WIDTH;

        for (size_t k = 0; k < h->key_steps; k += VEC_LANES)
            pack_key_block(h, token, k, panel + k * PANEL_WIDTH);
    }
}

/* Lanes [first, first + VEC_LANES) of a token's value; 0 where there are none. */
ALWAYS_INLINE vec value_load(const head *h, size_t token, size_t first)
{
    const float *value = h->value + token * h->qkv_stride + first;
    float tail[VEC_LANES] = {0};

    if (token >= h->n_tokens || first >= h->head_dim)
        return vec_set(0.0F);
    if (h->head_dim - first >= VEC_LANES)
        return vec_load(value);
    memcpy(tail, value, (h->head_dim - first) * sizeof(*value));
    return vec_load(tail);
}

static void pack_values(const head *h)
{
    float *out = h->value_panels;

    for (size_t first = 0; first < h->head_dim; first += PANEL_WIDTH)
        for (size_t i = 0; i < h->n_tokens; i += ATTENTION_STEP)
            for (size_t j = 0; j < PANEL_WIDTH; j += VEC_LANES) {
                vec v = value_load(h, i, first + j);

#if VEC_STEP == STEP_PAIRS
                v = vec_pair(v, value_load(h, i + 1, first + j));
#endif
                vec_store(out, v);
                out += VEC_LANES;
            }
}

static void add_to_scores(const head *h, const float *addend, float *scores)
{
    size_t key = 0;

    for (; key + VEC_LANES <= h->n_tokens; key += VEC_LANES)
        vec_store(scores + key,
                  vec_add(vec_load(scores + key), vec_load(addend + key)));
    for (; key < h->n_tokens; key++)
        scores[key] += addend[key];
}

/* Adds what the keys are worth to the query `row` apart from their numbers. */
static void add_places(const head *h, size_t row, float *scores)
{
    if (h->distances != NULL)
        add_to_scores(h, h->distances - row, scores);
    if (h->biases != NULL)
        add_to_scores(h, h->biases + row * h->n_tokens, scores);
    if (h->mask != NULL)
        add_to_scores(h, h->mask + row * h->n_tokens, scores);
    if (h->key_biases != NULL)
        add_to_scores(h, h->key_biases, scores);
}

/* What the queries [row, row + n_rows) see between them. */
static span keys_seen(const head *h, size_t row, size_t n_rows)
{
    const size_t last = row + n_rows - 1;

    return (span){row > h->window ? row - h->window : 0,
                  h->window < h->n_tokens - 1 - last ? last + h->window + 1
                                                     : h->n_tokens};
}

/* Turns a row of scores into powers of two, as tiles read them, and answers one
 * over their sum. Of the keys that the tile walks over, which begin a panel, the
 * row sees some: the others become 0. */
static float softmax_row(float *scores, span keys, span seen)
{
    const size_t end = lk_round_up(keys.end, VEC_LANES);
    vec largest = vec_set(MASKED);
    vec sum = vec_set(0.0F);

    for (size_t i = keys.first; i < seen.first; i++)
        scores[i] = MASKED;
    for (size_t i = seen.end; i < end; i++)
        scores[i] = MASKED;
    for (size_t i = keys.first; i < keys.end; i += VEC_LANES)
        largest = vec_max(largest, vec_load(scores + i));
    largest = vec_set(vec_largest(largest));
    for (size_t i = keys.first; i < keys.end; i += VEC_LANES) {
        vec v = vec_sub(vec_load(scores + i), largest);

        v = vec_exp2(vec_max(v, vec_set(-125.0F)));
        sum = vec_add(sum, v);
        vec_store(scores + i, v);
    }
    for (size_t i = keys.first; i < seen.first; i++)
        scores[i] = 0.0F;
    for (size_t i = seen.end; i < end; i++)
        scores[i] = 0.0F;
#if VEC_STEP == STEP_PAIRS
    row_round(scores + keys.first, keys.end - keys.first, scores + keys.first);
#endif
    return 1.0F / vec_sum(sum);
}

static void weigh_values(const head *h, size_t row, size_t n_rows, span keys,
                         const float *scales)
{
    tile t = {.x = h->scores + keys.first,
              .x_stride = h->n_keys,
              .panel =
                  h->value_panels + keys.first / ATTENTION_STEP * PANEL_WIDTH,
              .n_steps =
                  (keys.end - keys.first + ATTENTION_STEP - 1) / ATTENTION_STEP,
              .bias = ZEROS,
              .y = h->weighted,
              .y_stride = PANEL_WIDTH};

    for (size_t first = 0; first < h->head_dim; first += PANEL_WIDTH) {
        size_t left = h->head_dim - first;
        size_t n = left < PANEL_WIDTH ? left : PANEL_WIDTH;

        tile_run(&t, n_rows);
        for (size_t i = 0; i < n_rows; i++)
            row_scale(h->weighted + i * PANEL_WIDTH, scales[i], n,
                      h->context + (row + i) * h->context_stride + first);
        t.panel += h->value_steps * PANEL_WIDTH;
    }
}

/* Takes a tile of queries all the way. Their scores, 28 KB over 512 keys and 459 KB
 * over 8,192, stay in L1 or L2; keys and values stay in L2 up to about 1,000 tokens,
 * and beyond come from L3 for each tile, which takes up to a fifth of the speed. With
 * an online softmax over blocks of keys they need not (docs/benchmarks.md). */
static void attend(const head *h, size_t row, size_t n_rows)
{
    float scales[VEC_TILE_ROWS];
    span keys = keys_seen(h, row, n_rows);
    tile t = {.x = h->query + row * h->qkv_stride,
              .x_stride = h->qkv_stride,
              .n_steps = h->key_steps,
              .bias = ZEROS,
              .y_stride = h->n_keys};

#if VEC_STEP == STEP_PAIRS
    for (size_t i = 0; i < n_rows; i++)
        row_round(t.x + i * t.x_stride, h->head_dim,
                  h->rounded + i * h->row_floats);
    t.x = h->rounded;
    t.x_stride = h->row_floats;
#endif
    keys.first -= keys.first % PANEL_WIDTH;
    for (size_t key = keys.first; key < keys.end; key += PANEL_WIDTH) {
        t.panel = h->key_panels + key * h->key_steps;
        t.y = h->scores + key;
        tile_run(&t, n_rows);
    }
    for (size_t i = 0; i < n_rows; i++) {
        add_places(h, row + i, h->scores + i * h->n_keys);
        scales[i] = softmax_row(h->scores + i * h->n_keys, keys,
                                keys_seen(h, row + i, 1));
    }
    weigh_values(h, row, n_rows, keys, scales);
}

static void attend_head(const head *h)
{
    const size_t n = h->n_queries;
    const size_t n_tiles = (n + VEC_TILE_ROWS - 1) / VEC_TILE_ROWS;

    pack_keys(h);
    pack_values(h);
    for (size_t i = 0; i < n_tiles; i++) {
        size_t row = n * i / n_tiles;

        attend(h, row, n * (i + 1) / n_tiles - row);
    }
}

static void attention(const lk_heads *heads, const float *qkv, size_t n_tokens,
                      size_t n_queries, float *scratch, float *ret_context)
{
    const size_t dim = heads->head_dim;
    const size_t width = heads->n_heads * dim;
    head h = {.qkv_stride = lk_stride(3 * width),
              .n_tokens = n_tokens,
              .n_queries = n_queries,
              .head_dim = dim,
              .window = heads->window > 0 ? heads->window : n_tokens,
              .n_keys = lk_round_up(n_tokens, PANEL_WIDTH),
              .row_floats = lk_round_up(dim, 2 * VEC_LANES) / 2,
              .key_steps = (dim + ATTENTION_STEP - 1) / ATTENTION_STEP,
              .value_steps = (n_tokens + ATTENTION_STEP - 1) / ATTENTION_STEP,
              .mask = heads->mask,
              .key_biases = heads->key_biases,
              .context_stride = lk_stride(width)};

    /* lk_attention_scratch() adds up the same parts */
    h.key_panels = scratch;
    h.value_panels = h.key_panels + h.n_keys * h.key_steps;
    h.scores = h.value_panels + h.value_steps * lk_round_up(dim, PANEL_WIDTH);
    h.weighted = h.scores + VEC_TILE_ROWS * h.n_keys;
    h.rounded = h.weighted + VEC_TILE_ROWS * PANEL_WIDTH;
    for (size_t i = 0; i < heads->n_heads; i++) {
        h.query = qkv + i * dim;
        h.key = h.query + width;
        h.value = h.key + width;
        h.context = ret_context + i * dim;
        if (heads->distances != NULL)
            h.distances = heads->distances + i * heads->distance_stride +
                          heads->n_distances;
        if (heads->biases != NULL)
            h.biases = heads->biases + i * n_tokens * n_tokens;
        attend_head(&h);
    }
}
