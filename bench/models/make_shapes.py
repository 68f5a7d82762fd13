"""Makes two models out of all-MiniLM-L6-v2's files, for bench/embed. Needs numpy and
safetensors.

    make_shapes.py MINILM_DIR OUT_DIR

bge-small-random: the sizes, pooling (CLS) and vocabulary of bge-small-en-v1.5 with random
weights, since no package has its own. Its speed is the real one's, its vectors say nothing.
static: a table of model2vec's kind from the model's own word vectors."""
import json
import os
import shutil
import sys

import numpy
from safetensors.numpy import load_file, save_file

LAYERS, DIM, WIDE, HEADS, POSITIONS = 12, 384, 1536, 12, 512


def json_write(directory, name, content):
    path = os.path.join(directory, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)


def bert_random(rng, n_words):
    def matrix(rows, columns):
        return rng.normal(0, 0.02, (rows, columns)).astype(numpy.float32)

    def norm(name):
        return {name + ".weight": numpy.ones(DIM, numpy.float32),
                name + ".bias": numpy.zeros(DIM, numpy.float32)}

    def linear(name, n_out, n_in):
        return {name + ".weight": matrix(n_out, n_in),
                name + ".bias": numpy.zeros(n_out, numpy.float32)}

    weights = {f"embeddings.{name}_embeddings.weight": matrix(rows, DIM)
               for name, rows in (("word", n_words), ("position", POSITIONS),
                                  ("token_type", 2))}
    weights |= norm("embeddings.LayerNorm")
    for number in range(LAYERS):
        at = f"encoder.layer.{number}."
        for part in ("query", "key", "value"):
            weights |= linear(at + "attention.self." + part, DIM, DIM)
        weights |= linear(at + "attention.output.dense", DIM, DIM)
        weights |= norm(at + "attention.output.LayerNorm")
        weights |= linear(at + "intermediate.dense", WIDE, DIM)
        weights |= linear(at + "output.dense", DIM, WIDE)
        weights |= norm(at + "output.LayerNorm")
    return weights


def bge_make(base, out, n_words):
    os.makedirs(out, exist_ok=True)
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "modules.json"):
        shutil.copyfile(os.path.join(base, name), os.path.join(out, name))
    with open(os.path.join(base, "config.json"), encoding="utf-8") as file:
        config = json.load(file)
    json_write(out, "config.json", config | {
        "num_hidden_layers": LAYERS, "hidden_size": DIM, "intermediate_size": WIDE,
        "num_attention_heads": HEADS, "max_position_embeddings": POSITIONS})
    json_write(out, "sentence_bert_config.json", {"max_seq_length": POSITIONS})
    json_write(out, "1_Pooling/config.json", {
        "word_embedding_dimension": DIM, "pooling_mode_cls_token": True,
        "pooling_mode_mean_tokens": False})
    save_file(bert_random(numpy.random.default_rng(1), n_words),
              os.path.join(out, "model.safetensors"))


def static_make(base, out, words):
    os.makedirs(out, exist_ok=True)
    shutil.copyfile(os.path.join(base, "tokenizer.json"), os.path.join(out, "tokenizer.json"))
    json_write(out, "config.json", {"model_type": "model2vec", "normalize": True,
                                    "hidden_dim": words.shape[1], "max_length": 512,
                                    "embedding_dtype": "float32"})
    save_file({"embeddings": words}, os.path.join(out, "model.safetensors"))


def main():
    base, out = sys.argv[1:]
    words = load_file(os.path.join(base, "model.safetensors"))
    words = next(array for name, array in words.items()
                 if name.endswith("embeddings.word_embeddings.weight"))
    for name, make in (("bge-small-random", lambda to: bge_make(base, to, len(words))),
                       ("static", lambda to: static_make(base, to, words))):
        to = os.path.join(out, name)
        if not os.path.exists(os.path.join(to, "model.safetensors")):
            make(to)


main()
