/* encoder/tokenizer_image.c — a tokenizer as bytes that need no parsing.
 * Of a tokenizer.json nearly all is the vocabulary: e5's 250,002 pieces are a tree of
 * 730,000 nodes, and making it takes hundreds of times as long as looking it
 * through. So what is large is used where it lies:
 *
 *   head │ edges [n_slots] │ scores [n_scores] │ merges [n_merges] │
 *   values [n_nodes] │ units [n_units] and texts of the charsmap │ rest
 *
 * The rest is the tokenizer.json without them, to be read as ever. A tokenizer of
 * the direct way (tokenize.c) has none: what it consists of is in the head. */
#include "encoder/tokenizer_image.h"

#include <stdlib.h>
#include <string.h>

#include "encoder/tokenizer_parts.h"

typedef struct image_head {
    uint64_t vocab_size;
    uint64_t n_slots, n_scores, n_merges;
    uint64_t n_units, n_text_bytes; /* with the last NUL; 0 without units */
    uint64_t rest_len;              /* 0: the tokenizer is direct */
    uint32_t n_nodes;
    uint32_t model;
    /* of a direct one only */
    uint64_t max_word_chars;
    lk_affix before, after;
    uint32_t unknown_id, space_id;
    uint8_t clean_text, handle_chinese_chars, strip_accents, lowercase;
    uint8_t keeps_end, is_bare;
    uint8_t added_begins[256];
} image_head;

/* What follows the head, so ordered that each is aligned. */
typedef struct sections {
    const lk_trie_edge *edges;
    const double *scores;
    const lk_merge *merges;
    const uint32_t *values;
    const uint32_t *units;
    const char *texts;
    const char *rest;
} sections;

enum { N_SECTIONS = 7 };

static void section_lengths(const image_head *head, size_t ret_lens[N_SECTIONS])
{
    const size_t lens[N_SECTIONS] = {head->n_slots * sizeof(lk_trie_edge),
                                     head->n_scores * sizeof(double),
                                     head->n_merges * sizeof(lk_merge),
                                     head->n_nodes * sizeof(uint32_t),
                                     head->n_units * sizeof(uint32_t),
                                     head->n_text_bytes,
                                     head->rest_len};

    memcpy(ret_lens, lens, sizeof(lens));
}

/* ---- writing ------------------------------------------------------------ */

static const lk_charsmap *charsmap_of(const lk_tokenizer *tokenizer)
{
    static const lk_charsmap none;
    const lk_normalizer *normalizer = &tokenizer->normalizer;

    for (size_t i = 0; i < normalizer->n; i++)
        if (normalizer->steps[i].kind == LK_NORMAL_CHARSMAP)
            return &normalizer->steps[i].charsmap;
    return &none;
}

static void direct_rules_give(const lk_tokenizer *tokenizer, image_head *head)
{
    const lk_bert_rules *rules = &tokenizer->rules;

    head->max_word_chars = rules->max_word_chars;
    head->before = tokenizer->before;
    head->after = tokenizer->after;
    head->unknown_id = tokenizer->unknown_id;
    head->space_id = tokenizer->space_id;
    head->clean_text = rules->clean_text;
    head->handle_chinese_chars = rules->handle_chinese_chars;
    head->strip_accents = rules->strip_accents;
    head->lowercase = rules->lowercase;
    head->keeps_end = tokenizer->keeps_end;
    head->is_bare = tokenizer->is_bare;
    for (size_t i = 0; i < 256; i++)
        head->added_begins[i] = rules->added_begins[i];
}

static image_head head_of(const lk_tokenizer *tokenizer)
{
    const lk_charsmap *charsmap = charsmap_of(tokenizer);
    image_head head;

    memset(&head, 0, sizeof(head)); /* its gaps, too: they are written */
    head.vocab_size = tokenizer->vocab_size;
    head.n_slots = tokenizer->vocabulary.n_slots;
    head.n_nodes = tokenizer->vocabulary.n_nodes;
    head.model = tokenizer->model;
    if (tokenizer->is_direct) {
        direct_rules_give(tokenizer, &head);
        return head;
    }
    LK_ASSERT(tokenizer->rest != NULL);
    head.n_scores = tokenizer->unigram.n_pieces;
    head.n_merges = tokenizer->bpe.n_slots;
    head.n_units = charsmap->n_units;
    head.n_text_bytes = charsmap->n_units > 0 ? charsmap->n_text_bytes + 1 : 0;
    head.rest_len = strlen(tokenizer->rest);
    return head;
}

int lk_tokenizer_image_write(const lk_tokenizer *tokenizer, lk_buf *image,
                             linkd_error *err)
{
    const image_head head = head_of(tokenizer);
    const lk_charsmap *charsmap = charsmap_of(tokenizer);
    const void *const parts[N_SECTIONS] = {tokenizer->vocabulary.edges,
                                           tokenizer->unigram.scores,
                                           tokenizer->bpe.merges,
                                           tokenizer->vocabulary.values,
                                           charsmap->units,
                                           charsmap->texts,
                                           tokenizer->rest};
    size_t lens[N_SECTIONS];
    int rc = lk_buf_append(image, &head, sizeof(head), err);

    section_lengths(&head, lens);
    for (size_t i = 0; i < N_SECTIONS && rc == LINKD_OK; i++)
        if (lens[i] > 0)
            rc = lk_buf_append(image, parts[i], lens[i], err);
    return rc;
}

/* ---- reading ------------------------------------------------------------ */

static bool is_affix(const lk_affix *affix, size_t vocab_size)
{
    if (affix->n > LK_AFFIX_MAX)
        return false;
    for (size_t i = 0; i < affix->n; i++)
        if (affix->ids[i] >= vocab_size)
            return false;
    return true;
}

/* A word of a direct tokenizer that is in no piece becomes unknown_id, so there
 * has to be one. */
static bool is_direct_head(const image_head *head)
{
    return head->model == LK_MODEL_WORDPIECE &&
           head->unknown_id < head->vocab_size &&
           (head->space_id == LK_TRIE_NONE ||
            head->space_id < head->vocab_size) &&
           head->max_word_chars <= LK_WORD_CHARS_MAX &&
           is_affix(&head->before, head->vocab_size) &&
           is_affix(&head->after, head->vocab_size);
}

/* Whether the sections, each by itself no longer than the image, fill it. */
static bool is_length(const image_head *head, size_t len)
{
    const uint64_t counts[] = {head->n_slots,      head->n_scores,
                               head->n_merges,     head->n_units,
                               head->n_text_bytes, head->rest_len};
    size_t lens[N_SECTIONS];
    size_t sum = sizeof(*head);

    for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++)
        if (counts[i] > len)
            return false;
    section_lengths(head, lens);
    for (size_t i = 0; i < N_SECTIONS; i++)
        sum += lens[i];
    return sum == len;
}

static bool is_head(const image_head *head, size_t len)
{
    return is_length(head, len) && head->n_nodes <= LK_TRIE_NODES_MAX &&
           head->vocab_size > 0 && head->vocab_size <= UINT32_MAX &&
           head->n_scores <= head->vocab_size &&
           (head->n_units == 0 || head->n_text_bytes > 0) &&
           (head->rest_len > 0 || is_direct_head(head));
}

static sections sections_find(linkd_str image, const image_head *head)
{
    const char *at[N_SECTIONS];
    size_t lens[N_SECTIONS];
    const char *next = image.bytes + sizeof(*head);

    section_lengths(head, lens);
    for (size_t i = 0; i < N_SECTIONS; i++) {
        at[i] = next;
        next += lens[i];
    }
    return (sections){.edges = (const void *)at[0],
                      .scores = (const void *)at[1],
                      .merges = (const void *)at[2],
                      .values = (const void *)at[3],
                      .units = (const void *)at[4],
                      .texts = at[5],
                      .rest = at[6]};
}

static void direct_rules_take(const image_head *head, lk_tokenizer *tokenizer)
{
    lk_bert_rules *rules = &tokenizer->rules;

    tokenizer->before = head->before;
    tokenizer->after = head->after;
    tokenizer->unknown_id = head->unknown_id;
    tokenizer->space_id = head->space_id;
    tokenizer->keeps_end = head->keeps_end != 0;
    tokenizer->is_bare = head->is_bare != 0;
    rules->clean_text = head->clean_text != 0;
    rules->handle_chinese_chars = head->handle_chinese_chars != 0;
    rules->strip_accents = head->strip_accents != 0;
    rules->lowercase = head->lowercase != 0;
    rules->max_word_chars = head->max_word_chars;
    for (size_t i = 0; i < 256; i++)
        rules->added_begins[i] = head->added_begins[i] != 0;
}

/* The rest of one that is not direct; its model has to be the one whose parts
 * there are. */
static int rest_take(const image_head *head, const sections *s,
                     lk_tokenizer *tokenizer, linkd_error *err)
{
    const lk_charsmap charsmap = {
        .units = s->units,
        .n_units = head->n_units,
        .texts = s->texts,
        .n_text_bytes = head->n_units > 0 ? head->n_text_bytes - 1 : 0};
    int rc = LINKD_OK;

    tokenizer->unigram.scores = s->scores;
    tokenizer->unigram.n_pieces = head->n_scores;
    if (head->model == LK_MODEL_BPE)
        rc = lk_bpe_merges_borrow(&tokenizer->bpe, s->merges, head->n_merges,
                                  head->vocab_size, err);
    if (rc == LINKD_OK)
        rc = lk_tokenizer_json_read_rest(
            tokenizer, (linkd_str){s->rest, head->rest_len}, &charsmap, err);
    if (rc == LINKD_OK && tokenizer->model != head->model)
        rc = lk_fail(err, LINKD_E_DATA, "an image of another tokenizer");
    return rc;
}

int lk_tokenizer_image_read(linkd_str image, lk_tokenizer **ret_tokenizer,
                            linkd_error *err)
{
    lk_tokenizer *tokenizer = NULL;
    image_head head = {0};
    sections s;
    int rc;

    if (image.len >= sizeof(head))
        memcpy(&head, image.bytes, sizeof(head));
    if ((uintptr_t)image.bytes % 8 != 0 || image.len < sizeof(head) ||
        !is_head(&head, image.len))
        return lk_fail(err, LINKD_E_DATA, "no image of a tokenizer");
    s = sections_find(image, &head);
    rc = lk_tokenizer_new(&tokenizer, err);
    if (rc != LINKD_OK)
        return rc;
    tokenizer->vocab_size = head.vocab_size;
    rc = lk_trie_borrow(
        &tokenizer->vocabulary, s.edges, head.n_slots, s.values, head.n_nodes,
        head.model == LK_MODEL_UNIGRAM ? head.n_scores : head.vocab_size, err);
    if (rc == LINKD_OK && head.rest_len > 0)
        rc = rest_take(&head, &s, tokenizer, err);
    else if (rc == LINKD_OK)
        direct_rules_take(&head, tokenizer);
    return lk_tokenizer_finish(tokenizer, rc, ret_tokenizer);
}
