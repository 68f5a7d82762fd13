/* linkage/evidence.c — from tables to candidates, and to what is known of each.
 *
 *   cells ─► words ─► 3-grams, words ─┐
 *   cells ─► vectors ─────────────────┴─► channels ─► pairs ─► features
 *                                          pairs at random ─► features
 *
 * The pairs at random show how alike two records are that have nothing to do
 * with each other; every decision without labels starts from that.
 *
 * Memory per record: its words, 8 bytes for each 3-gram and word, and 4 * dim
 * for its vector while the gathering lasts; what stays is a byte per candidate
 * and feature. */
#include "linkage/evidence.h"

#include <math.h>
#include <stdlib.h>

#include "linkage/channels.h"
#include "linkage/names.h"
#include "linkage/pair_model.h"
#include "linkage/text.h"

/* Enough for a share of 1 in 10,000 to be seen; measured with the rest of the
 * algorithm, not by itself. */
#define RANDOM_PAIRS ((size_t)20000)

#define PAIRS_PER_TASK ((size_t)16384)

/* What lives only while evidence is gathered. */
typedef struct gathering {
    linkd_evidence *evidence;
    const linkd_evidence_options *options;
    const linkd_embedder *embedder;
    const linkd_progress *progress;
    size_t n_records;
    size_t n_left;
    lk_texts texts;
    lk_terms grams;
    lk_terms words;
    uint32_t *blocks;
    lk_vectors vectors[2];
    const float **record_vectors; /* [n_records] */
} gathering;

static size_t n_sides(const linkd_evidence *e)
{
    return e->tables[1] != NULL ? 2 : 1;
}

/* ---- fields ------------------------------------------------------------- */

static int columns_split(linkd_evidence *e, const linkd_evidence_options *o,
                         linkd_error *err)
{
    e->column_pairs = calloc(o->n_columns + 1, sizeof(*e->column_pairs));
    if (e->column_pairs == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < o->n_columns; i++)
        e->column_pairs[e->n_column_pairs++] = o->columns[i];
    for (size_t side = 0; side < n_sides(e); side++) {
        e->columns[side] = calloc(o->n_columns + 1, sizeof(size_t));
        if (e->columns[side] == NULL)
            return lk_fail_nomem(err);
        for (size_t i = 0; i < o->n_columns; i++) {
            size_t column =
                side == 0 ? o->columns[i].left : o->columns[i].right;

            if (column != LINKD_COLUMN_NONE)
                e->columns[side][e->n_columns[side]++] = column;
        }
        if (e->n_columns[side] == 0)
            return lk_fail(err, LINKD_E_ARG, "no column of %s takes part",
                           linkd_table_path(e->tables[side]));
    }
    return LINKD_OK;
}

/* A field with one distinct value tells nothing apart. */
static linkd_holds kind_of(const linkd_column_profile *profile)
{
    return profile->n_distinct < 2 ? LINKD_HOLDS_EMPTY : profile->type;
}

static int fields_make(linkd_evidence *e, const linkd_evidence_options *o,
                       linkd_error *err)
{
    int rc = columns_split(e, o, err);

    if (rc != LINKD_OK)
        return rc;
    e->fields = calloc(o->n_columns + 1, sizeof(*e->fields));
    if (e->fields == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < o->n_columns && rc == LINKD_OK; i++) {
        const linkd_column_pair *pair = &o->columns[i];
        lk_field *field = &e->fields[e->n_fields];

        if (pair->left == LINKD_COLUMN_NONE || pair->right == LINKD_COLUMN_NONE)
            continue;
        field->name = linkd_table_column(e->tables[0], pair->left);
        field->columns[0] = pair->left;
        field->columns[1] = pair->right;
        rc = linkd_field_profile_make(e->tables, field->columns,
                                      &field->profile, err);
        if (rc == LINKD_OK)
            field->compared_as = kind_of(&field->profile);
        e->n_fields++;
    }
    if (rc == LINKD_OK && o->pair_model != NULL)
        rc = lk_pair_model_impose(o->pair_model, e, err);
    return rc;
}

/* ---- texts -------------------------------------------------------------- */

static int texts_number(gathering *g, linkd_error *err)
{
    lk_name_numbers names = {0};
    uint32_t *numbers = calloc(g->n_records + 1, sizeof(*numbers));
    int rc = numbers == NULL ? lk_fail_nomem(err) : LINKD_OK;

    g->evidence->text_numbers = numbers;
    for (size_t r = 0; r < g->n_records && rc == LINKD_OK; r++) {
        linkd_str text = lk_texts_get(&g->texts, r);
        size_t number = 0;

        rc = lk_name_numbers_add(&names, text, &number, err);
        numbers[r] = (uint32_t)number;
        if (text.len == 0)
            g->evidence->funnel.n_empty[r >= g->n_left]++;
    }
    lk_name_numbers_clear(&names);
    return rc;
}

static int texts_make(gathering *g, linkd_error *err)
{
    const linkd_evidence *e = g->evidence;
    lk_texts_source source = {.tables = {e->tables[0], e->tables[1]},
                              .columns = {e->columns[0], e->columns[1]},
                              .n_columns = {e->n_columns[0], e->n_columns[1]}};
    int rc = lk_texts_make(&source, e->pool, &g->texts, err);

    if (rc == LINKD_OK)
        rc = texts_number(g, err);
    if (rc == LINKD_OK)
        rc = lk_terms_make(&g->texts, LK_TERM_GRAM, e->pool, &g->grams, err);
    if (rc == LINKD_OK)
        rc = lk_terms_make(&g->texts, LK_TERM_WORD, e->pool, &g->words, err);
    return rc;
}

/* Block values to numbers, the same on both sides; a blank one is no block. */
static int blocks_number(gathering *g, linkd_error *err)
{
    const linkd_evidence *e = g->evidence;
    size_t columns[2] = {g->options->left_block, g->options->right_block};
    lk_name_numbers names = {0};
    int rc = LINKD_OK;

    if (columns[0] == LINKD_COLUMN_NONE)
        return LINKD_OK;
    g->blocks = calloc(g->n_records + 1, sizeof(*g->blocks));
    if (g->blocks == NULL)
        return lk_fail_nomem(err);
    for (size_t r = 0; r < g->n_records && rc == LINKD_OK; r++) {
        size_t side = r >= g->n_left;
        linkd_cell cell = linkd_table_cell(
            e->tables[side], side ? r - g->n_left : r, columns[side]);
        linkd_str key = lk_str_trim((linkd_str){cell.bytes, cell.len});
        size_t number = UINT32_MAX;

        if (key.len > 0)
            rc = lk_name_numbers_add(&names, key, &number, err);
        g->blocks[r] = (uint32_t)number;
    }
    lk_name_numbers_clear(&names);
    return rc;
}

/* ---- vectors ------------------------------------------------------------ */

static int vectors_make(gathering *g, linkd_error *err)
{
    linkd_evidence *e = g->evidence;
    lk_vectors_maker maker = {.embedder = g->embedder,
                              .progress = g->progress,
                              .n_total = g->n_records};
    int rc = LINKD_OK;

    if (g->embedder == NULL)
        return LINKD_OK;
    g->record_vectors = calloc(g->n_records + 1, sizeof(*g->record_vectors));
    if (g->record_vectors == NULL)
        return lk_fail_nomem(err);
    for (size_t side = 0; side < n_sides(e) && rc == LINKD_OK; side++) {
        size_t text = linkd_table_text_column(e->tables[side]);
        bool has_text = text != LINKD_COLUMN_NONE;
        lk_vectors *v = &g->vectors[side];

        rc = lk_vectors_make(&maker, e->tables[side],
                             has_text ? &text : e->columns[side],
                             has_text ? 1 : e->n_columns[side], v, err);
        for (size_t i = 0; rc == LINKD_OK && i < v->n; i++)
            g->record_vectors[v->rows[i] + (side == 1 ? g->n_left : 0)] =
                v->data + i * v->dim;
    }
    e->funnel.encode = maker.stats;
    return rc;
}

/* ---- features ----------------------------------------------------------- */

/* A fixed linear congruential generator (Knuth, MMIX): which pairs are drawn
 * must not depend on anything but the number of records. */
static size_t draw(uint64_t *state, size_t below)
{
    *state =
        *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (size_t)((*state >> 33) % below);
}

static int random_draw(const gathering *g, lk_pairset *ret_pairs,
                       linkd_error *err)
{
    lk_pairset_builder builder = {0};
    bool two = g->n_left < g->n_records;
    uint64_t state = 1;
    int rc = LINKD_OK;

    for (size_t i = 0; i < RANDOM_PAIRS && rc == LINKD_OK; i++) {
        size_t a = draw(&state, g->n_left);
        size_t b = two ? g->n_left + draw(&state, g->n_records - g->n_left)
                       : draw(&state, g->n_left);

        if (a != b)
            rc = lk_pairset_add(&builder, a < b ? a : b, a < b ? b : a,
                                LK_CHANNEL_ASKED, err);
    }
    if (rc == LINKD_OK)
        rc =
            lk_pairset_build(&builder, g->n_records, g->n_left, ret_pairs, err);
    lk_pairset_builder_clear(&builder);
    return rc;
}

static lk_features_source features_source(const gathering *g)
{
    const linkd_evidence *e = g->evidence;

    return (lk_features_source){
        .tables = {e->tables[0], e->tables[1]},
        .fields = e->fields,
        .n_fields = e->n_fields,
        .record_texts = &g->texts,
        .record_grams = &g->grams,
        .record_words = &g->words,
        .vectors = g->record_vectors,
        .dim = g->embedder != NULL ? g->embedder->dim : 0,
        .without_context = true,
        .pool = e->pool,
        .progress = g->progress,
    };
}

/* The score that is shown beside the probability. */
static float score_of(const gathering *g, size_t a, size_t b)
{
    if (g->record_vectors == NULL)
        return lk_score_round(lk_terms_cosine(&g->grams, a, b));
    if (g->record_vectors[a] == NULL || g->record_vectors[b] == NULL)
        return 0.0F;
    return lk_score_round(linkd_index_score(
        g->record_vectors[a], g->record_vectors[b], g->embedder->dim));
}

static int scores_task(void *ctx, size_t item, size_t worker, linkd_error *err)
{
    const gathering *g = ctx;
    const lk_pairset *pairs = &g->evidence->pairs;
    size_t end = (item + 1) * PAIRS_PER_TASK;

    (void)worker;
    (void)err;
    for (size_t i = item * PAIRS_PER_TASK; i < end && i < pairs->n; i++)
        g->evidence->scores[i] = score_of(g, pairs->a[i], pairs->b[i]);
    return LINKD_OK;
}

static int scores_make(gathering *g, linkd_error *err)
{
    linkd_evidence *e = g->evidence;

    e->scores = calloc(e->pairs.n + 1, sizeof(*e->scores));
    if (e->scores == NULL)
        return lk_fail_nomem(err);
    return lk_pool_run(e->pool,
                       (e->pairs.n + PAIRS_PER_TASK - 1) / PAIRS_PER_TASK,
                       scores_task, g, err);
}

static int features_make(gathering *g, linkd_error *err)
{
    linkd_evidence *e = g->evidence;
    lk_features_source source = features_source(g);
    lk_pairset random = {0};
    int rc = lk_features_make(&source, &e->pairs, &e->features, err);

    if (rc == LINKD_OK)
        rc = random_draw(g, &random, err);
    source.progress = NULL;
    source.at_random = true;
    if (rc == LINKD_OK)
        rc = lk_features_make(&source, &random, &e->random, err);
    if (rc == LINKD_OK)
        rc = scores_make(g, err);
    lk_pairset_clear(&random);
    return rc;
}

/* ---- all ---------------------------------------------------------------- */

static int channels_run(gathering *g, linkd_error *err)
{
    linkd_evidence *e = g->evidence;
    lk_channels_input input = {
        .evidence = e,
        .options = g->options,
        .grams = &g->grams,
        .words = &g->words,
        .blocks = g->blocks,
        .vectors = g->embedder != NULL ? g->vectors : NULL,
        .progress = g->progress,
    };
    int rc = lk_channels_run(&input, &e->funnel, &e->pairs, err);

    e->funnel.n_candidates = e->pairs.n;
    return rc;
}

static int steps_run(gathering *g, linkd_error *err)
{
    linkd_funnel *funnel = &g->evidence->funnel;
    uint64_t start = lk_clock_ns();
    int rc = fields_make(g->evidence, g->options, err);

    if (rc == LINKD_OK)
        rc = vectors_make(g, err);
    funnel->encode_seconds = lk_clock_seconds_since(start);
    start = lk_clock_ns();
    if (rc == LINKD_OK)
        rc =
            lk_progress_report(g->progress, "candidates", 0, g->n_records, err);
    if (rc == LINKD_OK)
        rc = texts_make(g, err);
    if (rc == LINKD_OK)
        rc = blocks_number(g, err);
    if (rc == LINKD_OK)
        rc = channels_run(g, err);
    funnel->search_seconds = lk_clock_seconds_since(start);
    start = lk_clock_ns();
    if (rc == LINKD_OK)
        rc = features_make(g, err);
    funnel->compare_seconds = lk_clock_seconds_since(start);
    return rc;
}

static void gathering_clear(gathering *g)
{
    free((void *)g->record_vectors);
    lk_vectors_clear(&g->vectors[0]);
    lk_vectors_clear(&g->vectors[1]);
    free(g->blocks);
    lk_terms_clear(&g->words);
    lk_terms_clear(&g->grams);
    lk_texts_clear(&g->texts);
}

static int options_check(const linkd_table *right,
                         const linkd_evidence_options *options,
                         linkd_error *err)
{
    if (right != NULL && (options->left_block == LINKD_COLUMN_NONE) !=
                             (options->right_block == LINKD_COLUMN_NONE))
        return lk_fail(err, LINKD_E_ARG,
                       "a block column is named for one table only");
    return LINKD_OK;
}

int linkd_evidence_gather(const linkd_table *left, const linkd_table *right,
                          const linkd_embedder *embedder, lk_pool *pool,
                          const linkd_evidence_options *options,
                          const linkd_progress *progress,
                          linkd_evidence **ret_evidence, linkd_error *err)
{
    linkd_evidence *e = NULL;
    gathering g = {.options = options,
                   .embedder = embedder,
                   .progress = progress,
                   .n_left = linkd_table_n_rows(left)};
    int rc = options_check(right, options, err);

    if (rc != LINKD_OK)
        return rc;
    e = calloc(1, sizeof(*e));
    if (e == NULL)
        return lk_fail_nomem(err);
    e->tables[0] = left;
    e->tables[1] = right;
    e->pool = pool;
    e->fingerprint = embedder != NULL && embedder->fingerprint != NULL
                         ? embedder->fingerprint
                         : "";
    g.evidence = e;
    g.n_records = g.n_left + (right != NULL ? linkd_table_n_rows(right) : 0);
    rc = steps_run(&g, err);
    gathering_clear(&g);
    if (rc == LINKD_OK)
        *ret_evidence = e;
    else
        linkd_evidence_free(e);
    return rc;
}

void linkd_evidence_free(linkd_evidence *evidence)
{
    if (evidence == NULL)
        return;
    free(evidence->scores);
    lk_features_clear(&evidence->random);
    lk_features_clear(&evidence->features);
    lk_pairset_clear(&evidence->pairs);
    free(evidence->text_numbers);
    free(evidence->columns[0]);
    free(evidence->columns[1]);
    free(evidence->fields);
    free(evidence->column_pairs);
    free(evidence);
}

const linkd_funnel *linkd_evidence_funnel(const linkd_evidence *evidence)
{
    return &evidence->funnel;
}

int lk_evidence_candidates(const linkd_evidence *evidence,
                           const float *posteriors,
                           linkd_candidate **ret_candidates, linkd_error *err)
{
    const lk_pairset *pairs = &evidence->pairs;
    linkd_candidate *candidates = calloc(pairs->n + 1, sizeof(*candidates));

    if (candidates == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < pairs->n; i++)
        candidates[i] = (linkd_candidate){
            .left = (uint32_t)lk_evidence_row(evidence, pairs->a[i]),
            .right = (uint32_t)lk_evidence_row(evidence, pairs->b[i]),
            .score = evidence->scores[i],
            .probability =
                posteriors != NULL ? lk_score_round(posteriors[i]) : 0.0F,
            .channels = pairs->channels[i],
        };
    *ret_candidates = candidates;
    return LINKD_OK;
}
