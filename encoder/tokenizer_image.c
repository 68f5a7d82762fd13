/* encoder/tokenizer_image.c — a tokenizer as bytes that need no parsing.
 * BERT's vocabulary is a tree of 73,126 nodes, and making it from tokenizer.json
 * takes ten times as long as copying it:
 *
 *   head │ edges [n_slots] │ values [n_nodes]
 *
 * Only tokenizers of the direct way (tokenize.c) have an image: the others have
 * parts of many kinds. */
#include "encoder/tokenizer_image.h"

#include <stdlib.h>
#include <string.h>

#include "encoder/tokenizer_parts.h"

typedef struct image_head {
    uint64_t vocab_size;
    uint64_t max_word_chars;
    uint64_t n_slots;
    lk_affix before, after;
    uint32_t n_nodes;
    uint32_t unknown_id, space_id;
    uint8_t clean_text, handle_chinese_chars, strip_accents, lowercase;
    uint8_t keeps_end, is_bare;
    uint8_t added_begins[256];
} image_head;

static image_head head_of(const lk_tokenizer *tokenizer)
{
    const lk_bert_rules *rules = &tokenizer->rules;
    image_head head;

    memset(&head, 0, sizeof(head)); /* its gaps, too: they are written */
    head.vocab_size = tokenizer->vocab_size;
    head.max_word_chars = rules->max_word_chars;
    head.n_slots = tokenizer->vocabulary.n_slots;
    head.before = tokenizer->before;
    head.after = tokenizer->after;
    head.n_nodes = tokenizer->vocabulary.n_nodes;
    head.unknown_id = tokenizer->unknown_id;
    head.space_id = tokenizer->space_id;
    head.clean_text = rules->clean_text;
    head.handle_chinese_chars = rules->handle_chinese_chars;
    head.strip_accents = rules->strip_accents;
    head.lowercase = rules->lowercase;
    head.keeps_end = tokenizer->keeps_end;
    head.is_bare = tokenizer->is_bare;
    for (size_t i = 0; i < 256; i++)
        head.added_begins[i] = rules->added_begins[i];
    return head;
}

int lk_tokenizer_image_write(const lk_tokenizer *tokenizer, lk_buf *image,
                             linkd_error *err)
{
    const lk_trie *trie = &tokenizer->vocabulary;
    const image_head head = head_of(tokenizer);
    int rc;

    if (!tokenizer->is_direct)
        return LINKD_OK;
    rc = lk_buf_append(image, &head, sizeof(head), err);
    if (rc == LINKD_OK)
        rc = lk_buf_append(image, trie->edges,
                           trie->n_slots * sizeof(*trie->edges), err);
    if (rc == LINKD_OK)
        rc = lk_buf_append(image, trie->values,
                           trie->n_nodes * sizeof(*trie->values), err);
    return rc;
}

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
static bool is_head(const image_head *head, size_t len)
{
    return head->n_slots <= len && head->n_nodes <= LK_TRIE_NODES_MAX &&
           sizeof(*head) + head->n_slots * sizeof(lk_trie_edge) +
                   head->n_nodes * sizeof(uint32_t) ==
               len &&
           head->vocab_size <= UINT32_MAX &&
           head->unknown_id < head->vocab_size &&
           (head->space_id == LK_TRIE_NONE ||
            head->space_id < head->vocab_size) &&
           head->max_word_chars <= LK_WORD_CHARS_MAX &&
           is_affix(&head->before, head->vocab_size) &&
           is_affix(&head->after, head->vocab_size);
}

static void head_take(const image_head *head, lk_tokenizer *tokenizer)
{
    lk_bert_rules *rules = &tokenizer->rules;

    tokenizer->vocab_size = head->vocab_size;
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

int lk_tokenizer_image_read(linkd_str image, lk_tokenizer **ret_tokenizer,
                            linkd_error *err)
{
    lk_tokenizer *tokenizer = NULL;
    image_head head = {0};
    const char *edges = image.bytes + sizeof(head);
    int rc;

    if (image.len >= sizeof(head))
        memcpy(&head, image.bytes, sizeof(head));
    if (image.len < sizeof(head) || !is_head(&head, image.len))
        return lk_fail(err, LINKD_E_DATA, "no image of a tokenizer");
    rc = lk_tokenizer_new(&tokenizer, err);
    if (rc != LINKD_OK)
        return rc;
    head_take(&head, tokenizer);
    rc = lk_trie_copy(&tokenizer->vocabulary, edges, head.n_slots,
                      edges + head.n_slots * sizeof(lk_trie_edge), head.n_nodes,
                      head.vocab_size, err);
    return lk_tokenizer_finish(tokenizer, rc, ret_tokenizer);
}
