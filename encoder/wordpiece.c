/* encoder/wordpiece.c — greedy longest match from the left.
 * Words and tokens are valid UTF-8, so a match of bytes never ends inside a
 * character.
 *
 * The linear-time algorithm with failure links (Song et al. 2021, "Fast
 * WordPiece Tokenization") was left out: a word is short, and reading the text
 * costs more than matching its words already. */
#include "encoder/wordpiece.h"

size_t lk_wordpiece_split(const lk_trie *trie, linkd_str word,
                          uint32_t unknown_id, uint32_t *ret_ids)
{
    uint32_t root = LK_WORDPIECE_WORDS;
    size_t n = 0;

    while (word.len > 0) {
        size_t len;
        uint32_t id = lk_trie_match(trie, root, word, &len);

        if (id == LK_TRIE_NONE) {
            ret_ids[0] = unknown_id;
            return 1;
        }
        ret_ids[n++] = id;
        word.bytes += len;
        word.len -= len;
        root = LK_WORDPIECE_INSIDE;
    }
    return n;
}
