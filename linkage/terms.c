/* linkage/terms.c — texts to sparse vectors, in three passes over the records.
 *
 *   1  keys of all terms ─► a set per worker ─► united, sorted ─► id = rank
 *   2  keys ─► ids, sorted and counted, in each record's own range of `terms`
 *   -  close the gaps that repeats have left; df
 *   3  counts ─► weights
 *
 * A term's key is 64 bits: the three code points of a 3-gram, which fit, or the
 * hash of a word (two of ten million words share one with a chance of
 * 3e-6). Ranks of keys do not depend on which worker saw which of them, so any
 * number of workers gives the same ids, without a lock. Feature hashing into
 * fewer slots would save the first pass, but it makes different rare words one,
 * and rare words are what decides.
 *
 * A word of n characters has n 3-grams, for it gets a mark at either end; so in
 * scripts without spaces, where a word is a whole phrase, 3-grams still work.
 *
 * Memory: 8 bytes a term and record, up to 1.2 times that before the gaps are
 * closed, and 16 to 48 bytes for each distinct term. */
#include "linkage/terms.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#define RECORDS_PER_CHUNK ((size_t)1024)
#define FIRST_SLOTS       ((size_t)1024)
/* What is longer is left to qsort. */
#define SORT_BY_INSERTION ((size_t)96)

enum {
    CHAR_BITS = 21, /* of a code point */
    MARK = ' ',     /* before and after a word: no text has it within one */
};

/* Keys, none of which is 0. */
typedef struct key_set {
    uint64_t *slots; /* 0: free; at most half are used */
    uint32_t *ids;   /* [n_slots], once they are known */
    size_t n_slots;  /* a power of two, or 0 */
    size_t n_used;
} key_set;

typedef struct scratch {
    uint64_t *keys; /* [bytes of the longest text] */
    uint32_t *ids;
    key_set set;
} scratch;

typedef struct maker {
    const lk_texts *texts;
    lk_term_kind kind;
    lk_pool *pool;
    scratch *scratches; /* [n_workers] */
    size_t n_workers;
    key_set *dictionary;  /* the first worker's set, after pass 1 */
    lk_terms terms;       /* offsets: with room for repeats until they close */
    uint32_t *n_distinct; /* [n] terms of each record */
} maker;

/* ---- keys of a text ------------------------------------------------------- */

/* Reads a character of valid UTF-8. */
static uint32_t char_next(const char **at)
{
    const uint8_t *b = (const uint8_t *)*at;

    if (b[0] < 0x80) {
        *at += 1;
        return b[0];
    }
    if (b[0] < 0xE0) {
        *at += 2;
        return (b[0] & 0x1FU) << 6 | (b[1] & 0x3FU);
    }
    if (b[0] < 0xF0) {
        *at += 3;
        return (b[0] & 0x0FU) << 12 | (b[1] & 0x3FU) << 6 | (b[2] & 0x3FU);
    }
    *at += 4;
    return (b[0] & 0x07U) << 18 | (b[1] & 0x3FU) << 12 | (b[2] & 0x3FU) << 6 |
           (b[3] & 0x3FU);
}

static uint64_t gram_shift(uint64_t gram, uint32_t c)
{
    return (gram << CHAR_BITS | c) & ((UINT64_C(1) << 3 * CHAR_BITS) - 1);
}

/* A space serves as the mark behind one word and before the next. */
static size_t grams_read(linkd_str text, uint64_t *ret_keys)
{
    const char *at = text.bytes;
    const char *end = at + text.len;
    uint64_t gram = MARK;
    size_t n_chars = 0; /* of this word */
    size_t n = 0;

    while (at < end) {
        uint32_t c = char_next(&at);

        gram = gram_shift(gram, c);
        n_chars++;
        if (n_chars > 1)
            ret_keys[n++] = gram;
        if (c == MARK) {
            gram = MARK;
            n_chars = 0;
        }
    }
    if (n_chars > 0)
        ret_keys[n++] = gram_shift(gram, MARK);
    return n;
}

static size_t words_read(linkd_str text, uint64_t *ret_keys)
{
    size_t n = 0;

    for (size_t begin = 0; begin < text.len;) {
        const char *word = text.bytes + begin;
        const char *space = memchr(word, MARK, text.len - begin);
        size_t len = space != NULL ? (size_t)(space - word) : text.len - begin;
        uint64_t key = XXH3_64bits(word, len);

        ret_keys[n++] = key != 0 ? key : 1;
        begin += len + 1;
    }
    return n;
}

static size_t keys_read(const maker *m, size_t record, uint64_t *ret_keys)
{
    linkd_str text = lk_texts_get(m->texts, record);

    return m->kind == LK_TERM_GRAM ? grams_read(text, ret_keys)
                                   : words_read(text, ret_keys);
}

/* ---- sets of keys --------------------------------------------------------- */

/* The slot that holds the key, or the free one where it would go. The high half
 * of the product depends on all bits of the key (Knuth 6.4). */
static size_t slot_find(const key_set *set, uint64_t key)
{
    size_t mask = set->n_slots - 1;
    size_t at =
        (size_t)(((key ^ key >> 32) * UINT64_C(0x9E3779B97F4A7C15)) >> 32) &
        mask;

    while (set->slots[at] != 0 && set->slots[at] != key)
        at = (at + 1) & mask;
    return at;
}

static int set_grow(key_set *set, linkd_error *err)
{
    key_set grown = {.n_slots =
                         set->n_slots > 0 ? set->n_slots * 2 : FIRST_SLOTS,
                     .n_used = set->n_used};

    grown.slots = calloc(grown.n_slots, sizeof(*grown.slots));
    if (grown.slots == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < set->n_slots; i++)
        if (set->slots[i] != 0)
            grown.slots[slot_find(&grown, set->slots[i])] = set->slots[i];
    free(set->slots);
    *set = grown;
    return LINKD_OK;
}

static int set_add(key_set *set, uint64_t key, linkd_error *err)
{
    size_t at;

    if (set->n_used >= set->n_slots / 2) {
        int rc = set_grow(set, err);

        if (rc != LINKD_OK)
            return rc;
    }
    at = slot_find(set, key);
    if (set->slots[at] == 0) {
        set->slots[at] = key;
        set->n_used++;
    }
    return LINKD_OK;
}

static void set_clear(key_set *set)
{
    free(set->slots);
    free(set->ids);
    *set = (key_set){0};
}

/* ---- pass 1: which terms there are --------------------------------------- */

static size_t chunk_end(const maker *m, size_t chunk)
{
    size_t end = (chunk + 1) * RECORDS_PER_CHUNK;

    return end < m->terms.n ? end : m->terms.n;
}

/* Leaves in offsets[r + 1] how many terms, with repeats, record r has. */
static int keys_task(void *ctx, size_t chunk, size_t worker, linkd_error *err)
{
    maker *m = ctx;
    scratch *work = &m->scratches[worker];
    int rc = LINKD_OK;

    for (size_t r = chunk * RECORDS_PER_CHUNK; r < chunk_end(m, chunk); r++) {
        size_t n = keys_read(m, r, work->keys);

        m->terms.offsets[r + 1] = n;
        for (size_t i = 0; i < n && rc == LINKD_OK; i++)
            rc = set_add(&work->set, work->keys[i], err);
        if (rc != LINKD_OK)
            return rc;
    }
    return rc;
}

static int sets_unite(maker *m, linkd_error *err)
{
    key_set *all = &m->scratches[0].set;
    int rc = LINKD_OK;

    for (size_t w = 1; w < m->n_workers && rc == LINKD_OK; w++) {
        key_set *set = &m->scratches[w].set;

        for (size_t i = 0; i < set->n_slots && rc == LINKD_OK; i++)
            if (set->slots[i] != 0)
                rc = set_add(all, set->slots[i], err);
        set_clear(set);
    }
    m->dictionary = all;
    return rc;
}

static int key_compare(const void *a, const void *b)
{
    const uint64_t *x = a;
    const uint64_t *y = b;

    return (*x > *y) - (*x < *y);
}

static int ids_assign(maker *m, linkd_error *err)
{
    key_set *d = m->dictionary;
    uint64_t *keys = calloc(d->n_used + 1, sizeof(*keys));
    size_t n = 0;

    d->ids = calloc(d->n_slots + 1, sizeof(*d->ids));
    if (keys == NULL || d->ids == NULL) {
        free(keys);
        return lk_fail_nomem(err);
    }
    LK_ASSERT(d->n_used < UINT32_MAX);
    for (size_t i = 0; i < d->n_slots; i++)
        if (d->slots[i] != 0)
            keys[n++] = d->slots[i];
    qsort(keys, n, sizeof(*keys), key_compare);
    for (size_t i = 0; i < n; i++)
        d->ids[slot_find(d, keys[i])] = (uint32_t)i;
    m->terms.n_ids = (uint32_t)n;
    free(keys);
    return LINKD_OK;
}

static size_t n_chunks(const maker *m)
{
    return (m->terms.n + RECORDS_PER_CHUNK - 1) / RECORDS_PER_CHUNK;
}

static int dictionary_make(maker *m, linkd_error *err)
{
    int rc = lk_pool_run(m->pool, n_chunks(m), keys_task, m, err);

    if (rc == LINKD_OK)
        rc = sets_unite(m, err);
    if (rc == LINKD_OK)
        rc = ids_assign(m, err);
    for (size_t r = 0; r < m->terms.n && rc == LINKD_OK; r++)
        m->terms.offsets[r + 1] += m->terms.offsets[r];
    return rc;
}

/* ---- pass 2: the terms of each record ------------------------------------ */

static int id_compare(const void *a, const void *b)
{
    const uint32_t *x = a;
    const uint32_t *y = b;

    return (*x > *y) - (*x < *y);
}

static void ids_sort(uint32_t *ids, size_t n)
{
    if (n > SORT_BY_INSERTION) {
        qsort(ids, n, sizeof(*ids), id_compare);
        return;
    }
    for (size_t i = 1; i < n; i++) {
        uint32_t id = ids[i];
        size_t at = i;

        for (; at > 0 && ids[at - 1] > id; at--)
            ids[at] = ids[at - 1];
        ids[at] = id;
    }
}

/* Equal neighbours to one term with their count for weight. */
static size_t ids_count(const uint32_t *ids, size_t n, lk_term *ret_terms)
{
    size_t n_terms = 0;

    for (size_t i = 0; i < n; i++)
        if (n_terms > 0 && ret_terms[n_terms - 1].id == ids[i])
            ret_terms[n_terms - 1].weight += 1.0F;
        else
            ret_terms[n_terms++] = (lk_term){ids[i], 1.0F};
    return n_terms;
}

static int counts_task(void *ctx, size_t chunk, size_t worker, linkd_error *err)
{
    maker *m = ctx;
    const key_set *d = m->dictionary;
    scratch *work = &m->scratches[worker];

    (void)err;
    for (size_t r = chunk * RECORDS_PER_CHUNK; r < chunk_end(m, chunk); r++) {
        size_t begin = m->terms.offsets[r];
        size_t n = keys_read(m, r, work->keys);

        for (size_t i = 0; i < n; i++)
            work->ids[i] = d->ids[slot_find(d, work->keys[i])];
        if (n > 0 && m->terms.sequence != NULL)
            memcpy(m->terms.sequence + begin, work->ids,
                   n * sizeof(*work->ids));
        ids_sort(work->ids, n);
        m->n_distinct[r] =
            (uint32_t)ids_count(work->ids, n, m->terms.terms + begin);
    }
    return LINKD_OK;
}

/* Moves the records' terms together, counts records per term. */
static int gaps_close(maker *m, linkd_error *err)
{
    lk_terms *t = &m->terms;
    lk_term *fitted;
    size_t n = 0;

    for (size_t r = 0; r < t->n; r++) {
        const lk_term *from = t->terms + t->offsets[r];

        for (size_t i = 0; i < m->n_distinct[r]; i++) {
            t->df[from[i].id]++;
            t->terms[n + i] = from[i];
        }
        t->offsets[r] = n;
        n += m->n_distinct[r];
    }
    t->offsets[t->n] = n;
    fitted = realloc(t->terms, (n + 1) * sizeof(*t->terms));
    if (fitted == NULL)
        return lk_fail_nomem(err);
    t->terms = fitted;
    return LINKD_OK;
}

static int sequence_alloc(lk_terms *t, linkd_error *err)
{
    size_t n_bytes = (t->n + 1) * sizeof(*t->sequence_offsets);

    t->sequence = lk_alloc_aligned(t->offsets[t->n], sizeof(*t->sequence));
    t->sequence_offsets = malloc(n_bytes);
    if (t->sequence == NULL || t->sequence_offsets == NULL)
        return lk_fail_nomem(err);
    memcpy(t->sequence_offsets, t->offsets, n_bytes);
    return LINKD_OK;
}

static int terms_count(maker *m, linkd_error *err)
{
    lk_terms *t = &m->terms;
    int rc = LINKD_OK;

    t->terms = lk_alloc_aligned(t->offsets[t->n], sizeof(*t->terms));
    t->df = calloc((size_t)t->n_ids + 1, sizeof(*t->df));
    m->n_distinct = calloc(t->n + 1, sizeof(*m->n_distinct));
    if (t->terms == NULL || t->df == NULL || m->n_distinct == NULL)
        return lk_fail_nomem(err);
    if (m->kind == LK_TERM_WORD)
        rc = sequence_alloc(t, err);
    if (rc == LINKD_OK)
        rc = lk_pool_run(m->pool, n_chunks(m), counts_task, m, err);
    set_clear(m->dictionary);
    return rc == LINKD_OK ? gaps_close(m, err) : rc;
}

/* ---- pass 3: weights ------------------------------------------------------ */

static int weights_task(void *ctx, size_t chunk, size_t worker,
                        linkd_error *err)
{
    maker *m = ctx;
    lk_terms *t = &m->terms;

    (void)worker;
    (void)err;
    for (size_t r = chunk * RECORDS_PER_CHUNK; r < chunk_end(m, chunk); r++) {
        double sum = 0.0;
        double scale;

        for (size_t i = t->offsets[r]; i < t->offsets[r + 1]; i++) {
            lk_term *term = &t->terms[i];

            if (term->weight > 1.0F)
                term->weight = 1.0F + logf(term->weight);
            term->weight *= t->idf[term->id];
            sum += (double)term->weight * (double)term->weight;
        }
        scale = sum > 0.0 ? 1.0 / sqrt(sum) : 0.0;
        for (size_t i = t->offsets[r]; i < t->offsets[r + 1]; i++)
            t->terms[i].weight = (float)((double)t->terms[i].weight * scale);
    }
    return LINKD_OK;
}

static int terms_weigh(maker *m, linkd_error *err)
{
    lk_terms *t = &m->terms;

    t->idf = calloc((size_t)t->n_ids + 1, sizeof(*t->idf));
    if (t->idf == NULL)
        return lk_fail_nomem(err);
    for (uint32_t id = 0; id < t->n_ids; id++)
        t->idf[id] = (float)log1p((double)t->n / (double)t->df[id]);
    return lk_pool_run(m->pool, n_chunks(m), weights_task, m, err);
}

/* ---- all ------------------------------------------------------------------ */

static int scratches_init(maker *m, linkd_error *err)
{
    size_t longest = 0;

    for (size_t r = 0; r < m->texts->n; r++) {
        size_t len = lk_texts_get(m->texts, r).len;

        longest = len > longest ? len : longest;
    }
    m->n_workers = lk_pool_n_workers(m->pool);
    m->scratches = calloc(m->n_workers, sizeof(*m->scratches));
    if (m->scratches == NULL)
        return lk_fail_nomem(err);
    for (size_t i = 0; i < m->n_workers; i++) {
        scratch *work = &m->scratches[i];

        work->keys = lk_alloc_aligned(longest, sizeof(*work->keys));
        work->ids = lk_alloc_aligned(longest, sizeof(*work->ids));
        if (work->keys == NULL || work->ids == NULL)
            return lk_fail_nomem(err);
    }
    return LINKD_OK;
}

static int maker_init(maker *m, linkd_error *err)
{
    m->terms.n = m->texts->n;
    m->terms.n_left = m->texts->n_left;
    m->terms.offsets = calloc(m->terms.n + 1, sizeof(*m->terms.offsets));
    if (m->terms.offsets == NULL)
        return lk_fail_nomem(err);
    return scratches_init(m, err);
}

static void maker_clear(maker *m)
{
    for (size_t i = 0; m->scratches != NULL && i < m->n_workers; i++) {
        set_clear(&m->scratches[i].set);
        free(m->scratches[i].ids);
        free(m->scratches[i].keys);
    }
    free(m->scratches);
    free(m->n_distinct);
    lk_terms_clear(&m->terms);
}

int lk_terms_make(const lk_texts *texts, lk_term_kind kind, lk_pool *pool,
                  lk_terms *ret_terms, linkd_error *err)
{
    maker m = {.texts = texts, .kind = kind, .pool = pool};
    int rc = maker_init(&m, err);

    if (rc == LINKD_OK)
        rc = dictionary_make(&m, err);
    if (rc == LINKD_OK)
        rc = terms_count(&m, err);
    if (rc == LINKD_OK)
        rc = terms_weigh(&m, err);
    if (rc == LINKD_OK) {
        *ret_terms = m.terms;
        m.terms = (lk_terms){0};
    }
    maker_clear(&m);
    return rc;
}

void lk_terms_clear(lk_terms *terms)
{
    free(terms->sequence_offsets);
    free(terms->sequence);
    free(terms->idf);
    free(terms->df);
    free(terms->offsets);
    free(terms->terms);
    *terms = (lk_terms){0};
}

float lk_terms_cosine(const lk_terms *terms, size_t a, size_t b)
{
    const lk_term *x = terms->terms + terms->offsets[a];
    const lk_term *x_end = terms->terms + terms->offsets[a + 1];
    const lk_term *y = terms->terms + terms->offsets[b];
    const lk_term *y_end = terms->terms + terms->offsets[b + 1];
    double sum = 0.0;

    while (x < x_end && y < y_end) {
        uint32_t x_id = x->id;
        uint32_t y_id = y->id;

        if (x_id == y_id)
            sum += (double)x->weight * (double)y->weight;
        x += x_id <= y_id;
        y += y_id <= x_id;
    }
    return sum < 1.0 ? (float)sum : 1.0F;
}
