/* linkage/channels.c — all ways in which a pair becomes a candidate.
 *
 *   dense     nearest vectors                        ─┐
 *   lexical   most alike in 3-grams, whole records    ├─► united, each pair once
 *   words     most and rarest shared words            │
 *   fields    most alike in 3-grams of one field     ─┘
 *   asked     whatever the caller wants to know about
 *
 * The channels fail on different records: typing errors leave no word whole, a
 * translation shares no 3-gram, and a name alone is lost in a long record. Each
 * is asked in both directions. How many neighbours each may propose shrinks
 * with the number of records, so that a million records do not have a hundred
 * million candidates; research: recall of small tables is what k buys, and large
 * tables are decided by their best few. */
#include "linkage/channels.h"

#include <stdlib.h>

#include "linkage/candidates.h"

/* How much is looked at, by the number of records. k 20, 100 and 6, the shares
 * and the cosine of 0.3 were measured on eleven sets without the truth's help
 * (decision notes, 2026-11): candidates hold 0.99 and more of the matches. The
 * budgets are what a minute on two cores allows. Of 300,000 people all matches
 * but 1 in 10,000 that a field proposed, whole records had proposed, too: in
 * large tables fields get less. */
typedef struct scale {
    size_t n_records; /* up to so many */
    size_t k, k_far;  /* of whole records */
    size_t k_words;
    size_t k_field;
    size_t budget;       /* postings of a query about a whole record */
    size_t budget_field; /* about a field */
} scale;

static const scale scales[] = {
    {20000, 20, 100, 10, 6, SIZE_MAX, SIZE_MAX},
    {120000, 20, 100, 10, 6, 200000, 200000},
    {400000, 12, 24, 6, 3, 40000, 10000},
    {SIZE_MAX, 6, 10, 4, 2, 20000, 5000},
};

/* From so many records on the dense channel is approximate; below, comparing all
 * of them with all is as fast. */
#define GRAPH_ROWS ((size_t)150000)

#define FAR_SHARE       0.7F
#define RECORD_DF_SHARE 0.2F
#define FIELD_DF_SHARE  0.1F
#define FIELD_SCORE_MIN 0.3F
/* A field proposes candidates if it is filled in and tells records apart. */
#define FIELD_FILL_MIN     0.2
#define FIELD_DISTINCT_MIN 0.2

typedef struct channels {
    const lk_channels_input *input;
    const scale *scale;
    lk_pairset_builder builder;
} channels;

static const scale *scale_of(size_t n_records)
{
    const scale *s = scales;

    while (n_records > s->n_records)
        s++;
    return s;
}

static size_t k_of(const channels *c, size_t k)
{
    return c->input->options->k > 0 ? c->input->options->k : k;
}

/* ---- lexical channels --------------------------------------------------- */

static lk_lexical_options record_options(const channels *c)
{
    bool fixed = c->input->options->k > 0;

    return (lk_lexical_options){
        .score = LK_LEXICAL_COSINE,
        .k = k_of(c, c->scale->k),
        .k_far = fixed ? 0 : c->scale->k_far,
        .far_share = FAR_SHARE,
        .df_share = RECORD_DF_SHARE,
        .budget = c->scale->budget,
        .blocks = c->input->blocks,
        .pool = c->input->evidence->pool,
        .progress = c->input->progress,
    };
}

static int terms_ask(channels *c, const lk_terms *terms,
                     const lk_lexical_options *options, linkd_channel channel,
                     size_t *ret_n, linkd_error *err)
{
    lk_neighbours neighbours = {0};
    int rc = lk_lexical_search(terms, options, &neighbours, err);

    if (rc == LINKD_OK)
        rc = lk_pairset_add_neighbours(&c->builder, &neighbours,
                                       (lk_channel)channel, err);
    if (rc == LINKD_OK)
        *ret_n += neighbours.offsets[neighbours.n];
    lk_neighbours_clear(&neighbours);
    return rc;
}

static int records_ask(channels *c, linkd_funnel *funnel, linkd_error *err)
{
    lk_lexical_options options = record_options(c);
    int rc = LINKD_OK;

    if (c->input->options->channels & LINKD_CHANNEL_LEXICAL)
        rc = terms_ask(c, c->input->grams, &options, LINKD_CHANNEL_LEXICAL,
                       &funnel->n_lexical, err);
    options.score = LK_LEXICAL_IDF;
    options.k = k_of(c, c->scale->k_words);
    options.k_far = 0;
    if (rc == LINKD_OK && c->input->options->channels & LINKD_CHANNEL_WORDS)
        rc = terms_ask(c, c->input->words, &options, LINKD_CHANNEL_WORDS,
                       &funnel->n_words, err);
    return rc;
}

/* ---- fields ------------------------------------------------------------- */

static bool field_speaks(const lk_field *field)
{
    const linkd_column_profile *p = &field->profile;

    return (double)p->n_filled >= FIELD_FILL_MIN * (double)p->n_rows &&
           (double)p->n_distinct >= FIELD_DISTINCT_MIN * (double)p->n_filled;
}

static int field_ask(channels *c, const lk_field *field, linkd_funnel *funnel,
                     linkd_error *err)
{
    const linkd_evidence *e = c->input->evidence;
    lk_texts_source source = {
        .tables = {e->tables[0], e->tables[1]},
        .columns = {&field->columns[0], &field->columns[1]},
        .n_columns = {1, e->tables[1] != NULL ? 1 : 0}};
    lk_lexical_options options = record_options(c);
    lk_texts texts = {0};
    lk_terms grams = {0};
    int rc = lk_texts_make(&source, e->pool, &texts, err);

    options.k = k_of(c, c->scale->k_field);
    options.k_far = 0;
    options.df_share = FIELD_DF_SHARE;
    options.budget = c->scale->budget_field;
    options.score_min = FIELD_SCORE_MIN;
    if (rc == LINKD_OK)
        rc = lk_terms_make(&texts, LK_TERM_GRAM, e->pool, &grams, err);
    if (rc == LINKD_OK)
        rc = terms_ask(c, &grams, &options, LINKD_CHANNEL_FIELDS,
                       &funnel->n_fields, err);
    lk_terms_clear(&grams);
    lk_texts_clear(&texts);
    return rc;
}

static int fields_ask(channels *c, linkd_funnel *funnel, linkd_error *err)
{
    const linkd_evidence *e = c->input->evidence;
    int rc = LINKD_OK;

    if (!(c->input->options->channels & LINKD_CHANNEL_FIELDS))
        return LINKD_OK;
    for (size_t i = 0; i < e->n_fields && rc == LINKD_OK; i++)
        if (field_speaks(&e->fields[i]))
            rc = field_ask(c, &e->fields[i], funnel, err);
    return rc;
}

/* ---- dense -------------------------------------------------------------- */

static int side_of(const channels *c, size_t side, linkd_str **ret_keys,
                   lk_side *ret_side, linkd_error *err)
{
    const lk_vectors *vectors = &c->input->vectors[side];
    const linkd_evidence_options *o = c->input->options;
    int rc = lk_vectors_read_blocks(vectors, c->input->evidence->tables[side],
                                    side == 0 ? o->left_block : o->right_block,
                                    ret_keys, err);

    if (rc == LINKD_OK)
        *ret_side = (lk_side){vectors->data, *ret_keys, vectors->n};
    return rc;
}

static int dense_add(channels *c, const lk_candidates *found, linkd_error *err)
{
    const linkd_evidence *e = c->input->evidence;
    size_t other = e->tables[1] != NULL ? 1 : 0;
    size_t n_left = linkd_table_n_rows(e->tables[0]);
    int rc = LINKD_OK;

    for (size_t i = 0; i < found->n && rc == LINKD_OK; i++) {
        size_t a = c->input->vectors[0].rows[found->pairs[i].left];
        size_t b = c->input->vectors[other].rows[found->pairs[i].right];

        rc = lk_pairset_add(&c->builder, a, other == 1 ? n_left + b : b,
                            LK_CHANNEL_DENSE, err);
    }
    return rc;
}

static int dense_ask(channels *c, linkd_funnel *funnel, linkd_error *err)
{
    const linkd_evidence *e = c->input->evidence;
    bool two = e->tables[1] != NULL;
    lk_side sides[2] = {{0}, {0}};
    linkd_str *keys[2] = {NULL, NULL};
    lk_candidates found = {0};
    int rc = LINKD_OK;

    if (c->input->vectors == NULL ||
        !(c->input->options->channels & LINKD_CHANNEL_DENSE))
        return LINKD_OK;
    for (size_t side = 0; side < (two ? 2U : 1U) && rc == LINKD_OK; side++)
        rc = side_of(c, side, &keys[side], &sides[side], err);
    if (rc == LINKD_OK) {
        lk_search_options search = {.dim = c->input->vectors[0].dim,
                                    .k = k_of(c, c->scale->k_words),
                                    .graph_rows = GRAPH_ROWS,
                                    .pool = e->pool,
                                    .progress = c->input->progress};

        rc = lk_candidates_search(&sides[0], two ? &sides[1] : NULL, &search,
                                  &found, err);
    }
    if (rc == LINKD_OK)
        rc = dense_add(c, &found, err);
    funnel->n_dense = found.n;
    lk_candidates_clear(&found);
    free(keys[0]);
    free(keys[1]);
    return rc;
}

/* ---- all ---------------------------------------------------------------- */

static int asked_add(channels *c, linkd_funnel *funnel, linkd_error *err)
{
    const linkd_evidence_options *o = c->input->options;
    const linkd_evidence *e = c->input->evidence;
    size_t shift = e->tables[1] != NULL ? linkd_table_n_rows(e->tables[0]) : 0;
    int rc = LINKD_OK;

    for (size_t i = 0; i < o->n_asked && rc == LINKD_OK; i++)
        rc = lk_pairset_add(&c->builder, o->asked[i].left,
                            o->asked[i].right + shift, LK_CHANNEL_ASKED, err);
    funnel->n_asked = o->n_asked;
    return rc;
}

int lk_channels_run(const lk_channels_input *input, linkd_funnel *funnel,
                    lk_pairset *ret_pairs, linkd_error *err)
{
    channels c = {.input = input, .scale = scale_of(input->grams->n)};
    int rc = records_ask(&c, funnel, err);

    if (rc == LINKD_OK)
        rc = fields_ask(&c, funnel, err);
    if (rc == LINKD_OK)
        rc = dense_ask(&c, funnel, err);
    if (rc == LINKD_OK)
        rc = asked_add(&c, funnel, err);
    if (rc == LINKD_OK)
        rc = lk_pairset_build(&c.builder, input->grams->n, input->grams->n_left,
                              ret_pairs, err);
    lk_pairset_builder_clear(&c.builder);
    return rc;
}
