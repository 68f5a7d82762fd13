"""Builds SentencePiece's precompiled_charsmap: a double array over the keys'
bytes, then the replacements. For the scripts that ask Hugging Face
`tokenizers`; nothing of linkd reads it.

    u32 bytes of the array | units:u32 … | replacement NUL replacement NUL …
    unit of a node   label:8, has_leaf:1 (bit 8), offset from bit 10
    unit of a leaf   bit 31, where its replacement begins
"""
import struct

LEAF = 1 << 31


def _tree(keys):
    root = {}
    for key, value in keys.items():
        node = root
        for byte in key:
            node = node.setdefault(byte, {})
        node[None] = value
    return root


def build(mapping):
    """The charsmap of {key: replacement}; both are bytes, no key is empty."""
    texts, starts = b"", {}
    for text in mapping.values():
        if text not in starts:
            starts[text] = len(texts)
            texts += text + b"\0"
    units = [0] * 512
    taken = {0}
    queue = [(0, _tree({key: starts[text] for key, text in mapping.items()}))]
    while queue:
        at, node = queue.pop()
        labels = [0 if byte is None else byte for byte in node]
        base = next(base for base in range(1, 1 << 20)
                    if not any(base ^ label in taken for label in labels))
        units.extend([0] * (base + 512 - len(units)))
        assert (at ^ base) < 1 << 21
        units[at] |= (at ^ base) << 10 | (None in node) << 8
        for byte, child in node.items():
            place = base ^ (byte or 0)
            taken.add(place)
            if byte is None:
                units[place] = LEAF | child
            else:
                units[place] = byte
                queue.append((place, child))
    return struct.pack(f"<{len(units) + 1}I", len(units) * 4, *units) + texts
