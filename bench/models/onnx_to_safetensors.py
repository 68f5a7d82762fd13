#!/usr/bin/env python3
"""Turns a BERT that was exported to ONNX back into a Hugging Face directory.

    onnx_to_safetensors.py MODEL.onnx VOCAB.txt OUT [--pooling mean|cls]

For benchmarks only: some packages carry a model's weights as ONNX alone. The
exporter keeps the names of biases and embeddings but gives the matrices of
linear layers numbers, transposed; their names are those of the nodes that
multiply by them. Needs onnx, numpy and safetensors (bench/setup-peers).
"""
import argparse
import json
import pathlib
import re
import shutil

import numpy
import onnx
import onnx.numpy_helper
import safetensors.numpy

LINEAR = re.compile(r"(encoder/layer\.\d+/(?:attention/self/(?:query|key|value)"
                    r"|attention/output/dense|intermediate/dense|output/dense))/MatMul")
PLAIN = re.compile(r"((?:embeddings|encoder)\..*)")


def tensors(model):
    """Yields (name as transformers' BertModel has it, float32 array)."""
    arrays = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    for name, array in arrays.items():
        found = PLAIN.search(name)
        if found:
            yield found[1], array
    for node in model.graph.node:
        found = LINEAR.search(node.name)
        if node.op_type == "MatMul" and found:
            matrix = next(arrays[i] for i in node.input if i in arrays)
            yield found[1].replace("/", ".") + ".weight", matrix.T


def config(weights):
    layers = {n.split(".")[2] for n in weights if n.startswith("encoder.layer.")}
    words, hidden = weights["embeddings.word_embeddings.weight"].shape
    return {
        "architectures": ["BertModel"], "model_type": "bert", "hidden_act": "gelu",
        "hidden_size": hidden, "num_hidden_layers": len(layers),
        "num_attention_heads": 12, "layer_norm_eps": 1e-12,
        "intermediate_size": weights["encoder.layer.0.intermediate.dense.bias"].shape[0],
        "max_position_embeddings": weights["embeddings.position_embeddings.weight"].shape[0],
        "type_vocab_size": weights["embeddings.token_type_embeddings.weight"].shape[0],
        "vocab_size": words, "pad_token_id": 0, "position_embedding_type": "absolute",
    }


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model")
    parser.add_argument("vocab")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--pooling", choices=["mean", "cls"], default="mean")
    args = parser.parse_args()
    weights = {n: numpy.ascontiguousarray(a, dtype=numpy.float32)
               for n, a in tensors(onnx.load(args.model))}
    args.out.mkdir(parents=True, exist_ok=True)
    safetensors.numpy.save_file(weights, args.out / "model.safetensors")
    write_json(args.out / "config.json", config(weights))
    write_json(args.out / "tokenizer_config.json", {"do_lower_case": True})
    write_json(args.out / "sentence_bert_config.json", {"max_seq_length": 128})
    write_json(args.out / "modules.json", [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}])
    write_json(args.out / "1_Pooling" / "config.json", {
        "word_embedding_dimension": int(weights["embeddings.LayerNorm.weight"].shape[0]),
        "pooling_mode_cls_token": args.pooling == "cls",
        "pooling_mode_mean_tokens": args.pooling == "mean"})
    shutil.copyfile(args.vocab, args.out / "vocab.txt")
    print("%s: %d tensors" % (args.out, len(weights)))


if __name__ == "__main__":
    main()
