/* encoder/byte_pieces.h — pieces "<0x00>" … "<0xFF>" for characters that no
 * piece has. */
#ifndef LK_ENCODER_BYTE_PIECES_H
#define LK_ENCODER_BYTE_PIECES_H

#include "encoder/trie.h"

#include <stdbool.h>

/* {0} has none. */
typedef struct lk_byte_pieces {
    bool is_on;
    uint32_t ids[256]; /* LK_TRIE_NONE: that byte has none */
} lk_byte_pieces;

/* Whether each byte of `text` has a piece. */
static inline bool lk_byte_pieces_cover(const lk_byte_pieces *pieces,
                                        linkd_str text)
{
    for (size_t i = 0; i < text.len && pieces->is_on; i++)
        if (pieces->ids[(uint8_t)text.bytes[i]] == LK_TRIE_NONE)
            return false;
    return pieces->is_on;
}

#endif
