/* encoder/unigram.c — Viterbi over a vocabulary with scores (Kudo 2018,
 * "Subword Regularization", arXiv 1804.10959), as Hugging Face does it.
 * nodes[i] is the best way to the first i bytes; from each character on every
 * piece that matches offers a way further. Equal scores: the first one found
 * stays, which is the one with the longest last piece. A character that is no
 * piece by itself may be unknown, at a score below every piece's; unknown
 * neighbours are one. */
#include "encoder/unigram.h"

#include "encoder/unicode.h"

#include <math.h>
#include <stdlib.h>

#define NO_WAY UINT32_MAX

/* How much less likely than the least likely piece an unknown character is:
 * SentencePiece's constant (unigram_model.cc, kUnkPenalty). */
#define UNKNOWN_PENALTY 10.0

int lk_unigram_settle(lk_unigram *unigram, linkd_error *err)
{
    double least = HUGE_VAL;

    for (size_t i = 0; i < unigram->n_pieces; i++) {
        if (!isfinite(unigram->scores[i]))
            return lk_fail(err, LINKD_E_DATA, "a piece's score is not finite");
        least = fmin(least, unigram->scores[i]);
    }
    unigram->unknown_score = least - UNKNOWN_PENALTY;
    return LINKD_OK;
}

void lk_unigram_clear(lk_unigram *unigram)
{
    free(unigram->owned);
    *unigram = (lk_unigram){0};
}

static int nodes_prepare(lk_unigram_scratch *scratch, size_t len,
                         linkd_error *err)
{
    int rc;

    if (len >= NO_WAY)
        return lk_fail_nomem(err);
    rc = lk_grow((void **)&scratch->nodes, &scratch->capacity, len + 1,
                 sizeof(*scratch->nodes), err);
    if (rc != LINKD_OK)
        return rc;
    for (size_t i = 0; i <= len; i++)
        scratch->nodes[i] = (lk_unigram_node){0.0, 0, NO_WAY};
    return LINKD_OK;
}

static void way_offer(lk_unigram_node *nodes, size_t begin, size_t end,
                      double score, uint32_t id)
{
    double total = nodes[begin].score + score;

    if (nodes[end].begin == NO_WAY || total > nodes[end].score)
        nodes[end] = (lk_unigram_node){total, id, (uint32_t)begin};
}

/* Offers all ways on from the character at `begin`, returns its length. */
static size_t ways_find(const lk_unigram *unigram, const lk_trie *trie,
                        uint32_t node, linkd_str part, size_t begin,
                        lk_unigram_node *nodes)
{
    uint32_t cp;
    const size_t len = lk_utf8_read((const uint8_t *)part.bytes + begin,
                                    part.len - begin, &cp);
    bool is_piece = false;

    for (size_t end = begin;
         end < part.len &&
         lk_trie_step(trie, &node, (uint8_t)part.bytes[end]);) {
        uint32_t id = trie->values[node];

        end++;
        if (id == LK_TRIE_NONE)
            continue;
        way_offer(nodes, begin, end, unigram->scores[id], id);
        is_piece = is_piece || end == begin + len;
    }
    if (!is_piece)
        way_offer(nodes, begin, begin + len, unigram->unknown_score,
                  unigram->unknown_id);
    return len;
}

/* Turns the best way's links around: nodes[i].begin becomes the end of the
 * piece that begins at i, and nodes[i].id its id. Unknown neighbours become
 * one. */
static void way_turn(const lk_unigram *unigram, lk_unigram_node *nodes,
                     size_t len)
{
    uint32_t end = (uint32_t)len;
    uint32_t id = nodes[end].id, begin = nodes[end].begin;

    while (end > 0) {
        uint32_t before_id = nodes[begin].id, before = nodes[begin].begin;

        if (begin > 0 && id == unigram->unknown_id && before_id == id) {
            begin = before;
            continue;
        }
        nodes[begin].id = id;
        nodes[begin].begin = end;
        end = begin;
        id = before_id;
        begin = before;
    }
}

static int bytes_append(const lk_unigram *unigram, linkd_str piece,
                        lk_tokens *tokens, linkd_error *err)
{
    int rc = LINKD_OK;

    for (size_t i = 0; i < piece.len && rc == LINKD_OK; i++)
        rc = lk_tokens_append(tokens,
                              unigram->bytes.ids[(uint8_t)piece.bytes[i]], err);
    return rc;
}

int lk_unigram_split(const lk_unigram *unigram, const lk_trie *trie,
                     uint32_t root, linkd_str part, lk_unigram_scratch *scratch,
                     lk_tokens *tokens, linkd_error *err)
{
    lk_unigram_node *nodes;
    int rc = nodes_prepare(scratch, part.len, err);

    if (rc != LINKD_OK)
        return rc;
    nodes = scratch->nodes;
    for (size_t at = 0; at < part.len;)
        at += ways_find(unigram, trie, root, part, at, nodes);
    way_turn(unigram, nodes, part.len);
    for (size_t at = 0; at < part.len && rc == LINKD_OK; at = nodes[at].begin) {
        const linkd_str piece = {part.bytes + at, nodes[at].begin - at};
        uint32_t id = nodes[at].id;

        /* unknown neighbours may be a piece together */
        if (id == unigram->unknown_id)
            id = lk_trie_find(trie, root, piece);
        if (id != LK_TRIE_NONE)
            rc = lk_tokens_append(tokens, id, err);
        else if (lk_byte_pieces_cover(&unigram->bytes, piece))
            rc = bytes_append(unigram, piece, tokens, err);
        else
            rc = lk_tokens_append(tokens, unigram->unknown_id, err);
    }
    return rc;
}
