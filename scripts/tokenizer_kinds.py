"""Small tokenizers of every kind that linkd reads, made with Hugging Face
`tokenizers` for the scripts that compare the two. Pieces are few and bytes or
single characters mostly, so that no difference hides in an unknown token."""
import json
import random

from tokenizers import AddedToken, Regex, Tokenizer
from tokenizers.models import BPE, Unigram, WordPiece
from tokenizers.normalizers import (NFC, NFD, NFKC, NFKD, BertNormalizer, Lowercase, Precompiled,
                                    Prepend, Replace, Sequence, Strip, StripAccents)
from tokenizers.pre_tokenizers import BertPreTokenizer, ByteLevel, Metaspace, WhitespaceSplit
from tokenizers.pre_tokenizers import Sequence as Split
from tokenizers.pre_tokenizers import Split as SplitBy
from tokenizers.processors import RobertaProcessing, TemplateProcessing
from tokenizers.trainers import BpeTrainer

import charsmap

SEED = 20261129
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
LETTERS = "aAbcdehilnorstuéßıΣжй中語カ가ש7.,-'\u0301\u200d©▁"
WORDS = ["the", "an", "on", "Company", "company", "cafe", "café", "street", "hello",
         "12", "2024", "don't", "we're", "中語", "жй", "naïve", "GmbH", "and", "Sons"]
CHARSMAP = {
    "\u00a0": " ", "\u3000": " ", "\t": " ", "\u200b": "", "ﬁ": "fi", "Ａ": "A", "①": "1",
    "é": "e\u0301", "a\u0301": "á", "©": "(c)", "가": "\u1100\u1161", "ｶﾞ": "ガ", "½": "1/2",
    "\u00ad": "", "ß": "ss", "\u1112": "h", "\u0600": "#", "'": "’"}


def small_charsmap():
    return Precompiled(charsmap.build({key.encode(): text.encode()
                                       for key, text in CHARSMAP.items()}))


def scored_pieces(with_bytes, space="▁"):
    rng = random.Random(SEED)
    pieces = SPECIAL + [f"<0x{byte:02X}>" for byte in range(256) if with_bytes]
    for letter in LETTERS:
        pieces += [letter, space + letter] if letter != space else [letter]
    pieces += [a + b for a in "aenorst" for b in "aenorstl"]
    pieces += [space + word for word in WORDS] + WORDS + [space * 2]
    pieces = list(dict.fromkeys(pieces))
    return [(piece, 0.0 if piece in SPECIAL else round(-rng.uniform(1, 12), 3))
            for piece in pieces]


def finish(tokenizer, mask="<mask>", template=True, extra=()):
    tokenizer.add_special_tokens([AddedToken(name, normalized=False, special=True)
                                  for name in SPECIAL])
    tokenizer.add_special_tokens([AddedToken(mask, lstrip=True, normalized=False)])
    tokenizer.add_tokens(list(extra))
    ids = {name: tokenizer.token_to_id(name) for name in SPECIAL}
    if template:
        tokenizer.post_processor = TemplateProcessing(
            single="<s> $A </s>", special_tokens=[("<s>", ids["<s>"]), ("</s>", ids["</s>"])])
    else:
        tokenizer.post_processor = RobertaProcessing(
            ("</s>", ids["</s>"]), ("<s>", ids["<s>"]), trim_offsets=True,
            add_prefix_space=False)
    return tokenizer


def unigram(normalizer, pre_tokenizer, with_bytes, extra=()):
    tokenizer = Tokenizer(Unigram(scored_pieces(with_bytes), SPECIAL.index("<unk>"),
                                  byte_fallback=with_bytes))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    return finish(tokenizer, extra=extra)


def byte_level(normalizer, prefix, extra, ignore_merges=False, pattern=None):
    tokenizer = Tokenizer(BPE(ignore_merges=ignore_merges))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=prefix)
    if pattern:
        tokenizer.pre_tokenizer = Split([SplitBy(Regex(pattern), behavior="isolated"),
                                         ByteLevel(add_prefix_space=prefix, use_regex=False)])
    trainer = BpeTrainer(vocab_size=420, special_tokens=SPECIAL, show_progress=False,
                         initial_alphabet=sorted(ByteLevel.alphabet()))
    tokenizer.train_from_iterator([" ".join(WORDS), " ".join(WORDS[::-1]), LETTERS], trainer)
    return finish(tokenizer, template=normalizer is not None, extra=extra)


def characters(suffix, prefix, with_bytes, normalizer, pre_tokenizer):
    """BPE over characters, with merges in a random order."""
    rng = random.Random(SEED)
    parts = [f"<0x{byte:02X}>" for byte in range(256) if with_bytes]
    base = [c for c in LETTERS + "▁"]
    forms = [p + c + s for c in base for p in {"", prefix} for s in {"", suffix}]
    vocab = {piece: id for id, piece in
             enumerate(dict.fromkeys(SPECIAL + parts + sorted(set(forms))))}
    merges = []
    for _ in range(600):
        left, right = rng.sample(sorted(vocab), 2)
        made = left + right[len(prefix):]
        if (left in SPECIAL + parts or right in SPECIAL + parts or len(made) > 8 or
                suffix and left.endswith(suffix) or prefix and not right.startswith(prefix)):
            continue
        vocab.setdefault(made, len(vocab))
        merges.append((left, right))
    rng.shuffle(merges)
    affixes = {"end_of_word_suffix": suffix, "continuing_subword_prefix": prefix}
    tokenizer = Tokenizer(BPE(vocab, merges, unk_token="<unk>", fuse_unk=with_bytes is None,
                              byte_fallback=bool(with_bytes),
                              **{key: text for key, text in affixes.items() if text}))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    return finish(tokenizer)


CLIP_MARKS = r"<\|startoftext\|>|<\|endoftext\|>|"
CLIP_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def clip(pattern, normalized, words=WORDS):
    """CLIP's: words of bytes of which the last one is another piece; every prefix of a
    few words, and every word, are pieces."""
    alphabet = sorted(ByteLevel.alphabet())
    vocab = {piece: id for id, piece in
             enumerate(alphabet + [letter + "</w>" for letter in alphabet])}
    merges = []
    for word in words:
        letters = ByteLevel(add_prefix_space=False).pre_tokenize_str(word.lower())[0][0]
        symbols = [*letters[:-1], letters[-1] + "</w>"]
        for right in symbols[1:]:
            merges.append((symbols[0], right))
            symbols[0] += right
            vocab.setdefault(symbols[0], len(vocab))
    marks = ["<|startoftext|>", "<|endoftext|>"]
    vocab.update({mark: len(vocab) + i for i, mark in enumerate(marks)})
    tokenizer = Tokenizer(BPE(vocab, list(dict.fromkeys(merges)), unk_token=marks[1],
                              continuing_subword_prefix="", end_of_word_suffix="</w>"))
    tokenizer.normalizer = Sequence([NFC(), Replace(Regex(r"\s+"), " "), Lowercase()])
    tokenizer.pre_tokenizer = Split([
        SplitBy(Regex(pattern), behavior="removed", invert=True),
        ByteLevel(add_prefix_space=False)])
    tokenizer.add_special_tokens([AddedToken(mark, normalized=normalized, special=True)
                                  for mark in marks])
    tokenizer.post_processor = RobertaProcessing(
        (marks[1], vocab[marks[1]]), (marks[0], vocab[marks[0]]), trim_offsets=False,
        add_prefix_space=False)
    return tokenizer


# Llama 3's and Qwen's; GPT-4o's
GPT4 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
        r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
ENDING = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
GPT4O = (rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+{ENDING}|"
         rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*{ENDING}|"
         r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def wordpiece():
    pieces = SPECIAL + sorted({c for c in LETTERS.lower()} | {"##" + c for c in LETTERS.lower()})
    tokenizer = Tokenizer(WordPiece({piece: id for id, piece in enumerate(pieces)},
                                    unk_token="<unk>"))
    tokenizer.normalizer = BertNormalizer()
    tokenizer.pre_tokenizer = BertPreTokenizer()
    return finish(tokenizer, template=False, extra=[
        AddedToken("an é", normalized=True), AddedToken("the", single_word=True, normalized=True),
        AddedToken("ON", single_word=True, normalized=False, rstrip=True)])


def kinds():
    """Pairs of a name and a tokenizer."""
    spaces = [AddedToken(" " * n, normalized=True) for n in (2, 3, 5)]
    words = [AddedToken("the", single_word=True, normalized=True),
             AddedToken("ON", rstrip=True, normalized=False), AddedToken("É", normalized=True)]
    yield "unigram", unigram(Sequence([small_charsmap(), Replace(Regex(" {2,}"), " ")]),
                             Metaspace(prepend_scheme="always"), True)
    yield "unigram-words", unigram(small_charsmap(), Split([WhitespaceSplit(), Metaspace()]),
                                   False, words)
    yield "unigram-whole", unigram(
        Sequence([Strip(left=False), small_charsmap(), Replace(Regex(" {2,}"), "▁")]),
        Metaspace(prepend_scheme="first", split=False), True, words)
    yield "unigram-never", unigram(Sequence([Replace("'", "’"), Strip()]),
                                   Metaspace(prepend_scheme="never"), True)
    yield "byte-level", byte_level(None, False, [])
    yield "byte-level-nfc", byte_level(NFC(), True, spaces + words, True)
    yield "bpe", characters("", "", True, Sequence([NFD(), StripAccents(), Lowercase()]),
                            Metaspace(prepend_scheme="always"))
    yield "bpe-fused", characters("", "", None, Sequence([Prepend("▁"), Replace(" ", "▁")]), None)
    yield "bpe-affixes", characters("</w>", "@", False, NFD(), WhitespaceSplit())
    yield "clip", clip(CLIP_MARKS + CLIP_WORDS, False)
    yield "clip-older", clip(CLIP_WORDS, True)
    yield "split-gpt4", byte_level(NFKC(), False, [], pattern=GPT4)
    yield "split-gpt4o", byte_level(NFKD(), True, words, pattern=GPT4O)
    yield "split-next", characters(
        "", "", True, Sequence([Replace(" ", "▁"), Replace(Regex(r"(?:a|b\d?)c"), "the")]), SplitBy("▁", behavior="merged_with_next"))
    yield "split-previous", unigram(
        Replace(Regex(r"[^\S\n]+"), " "),
        Split([SplitBy(Regex(r"\P{L}(?=.)"), behavior="merged_with_previous"),
               Metaspace()]), True)
    yield "split-contiguous", unigram(
        NFKC(), SplitBy(Regex(r"[0-9,.\u00b2-\u00b9]|\p{^P}\S++"), behavior="contiguous"),
        True)
    yield "split-removed", unigram(
        None, SplitBy(Regex(r"[\p{Zs}\p{Cc}-]"), behavior="removed"), True)
    yield "wordpiece", wordpiece()


def as_json(name, tokenizer):
    """The file; of one kind with merges in the form of older files."""
    content = json.loads(tokenizer.to_str())
    if name == "byte-level":
        content["model"]["merges"] = [" ".join(pair) for pair in content["model"]["merges"]]
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))
