"""CTranslate2 in f32, or with PEER_PRECISION=int8 quantised by its own converter.
The model is put together from the weights as its converter for BERT does, which needs
transformers and torch. Only forward_batch() is timed: tokenizing and pooling are free
for this peer, not for linkd. It leaves out padding by itself."""
import os
import sys
import tempfile

import ctranslate2
import numpy
from ctranslate2.converters import utils
from ctranslate2.specs import common_spec, transformer_spec
from safetensors.numpy import load_file
from tokenizers import Tokenizer

import worker

model_dir, threads = sys.argv[1], int(sys.argv[2])


def linear(spec, weights, name):
    spec.weight = weights[name + ".weight"]
    spec.bias = weights[name + ".bias"]


def norm(spec, weights, name):
    spec.gamma = weights[name + ".weight"]
    spec.beta = weights[name + ".bias"]


def layer(spec, weights, number):
    at = f"encoder.layer.{number}."
    parts = [common_spec.LinearSpec() for _ in range(3)]
    for part, name in zip(parts, ("query", "key", "value")):
        linear(part, weights, at + "attention.self." + name)
    utils.fuse_linear(spec.self_attention.linear[0], parts)
    linear(spec.self_attention.linear[1], weights, at + "attention.output.dense")
    norm(spec.self_attention.layer_norm, weights, at + "attention.output.LayerNorm")
    linear(spec.ffn.linear_0, weights, at + "intermediate.dense")
    linear(spec.ffn.linear_1, weights, at + "output.dense")
    norm(spec.ffn.layer_norm, weights, at + "output.LayerNorm")


def model_write(directory, precision):
    config = worker.json_of(model_dir, "config.json")
    weights = load_file(os.path.join(model_dir, "model.safetensors"))
    weights = {name.removeprefix("bert."): array for name, array in weights.items()}
    encoder = transformer_spec.TransformerEncoderSpec(
        config["num_hidden_layers"], config["num_attention_heads"], pre_norm=False,
        activation=common_spec.Activation.GELU, layernorm_embedding=True,
        num_source_embeddings=2, embeddings_merge=common_spec.EmbeddingsMerge.ADD)
    encoder.embeddings[0].weight = weights["embeddings.word_embeddings.weight"]
    encoder.embeddings[1].weight = weights["embeddings.token_type_embeddings.weight"]
    encoder.position_encodings.encodings = weights["embeddings.position_embeddings.weight"]
    encoder.scale_embeddings = False
    norm(encoder.layernorm_embedding, weights, "embeddings.LayerNorm")
    for number, spec in enumerate(encoder.layer):
        layer(spec, weights, number)
    spec = transformer_spec.TransformerEncoderModelSpec(encoder)
    spec.register_vocabulary([str(i) for i in range(config["vocab_size"])])
    spec.config.unk_token = "0"
    spec.validate()
    spec.optimize(quantization="int8" if precision == "int8" else None)
    spec.save(directory)


with tempfile.TemporaryDirectory() as directory:
    model_write(directory, worker.precision())
    encoder = ctranslate2.Encoder(
        directory, device="cpu", intra_threads=threads,
        compute_type="int8" if worker.precision() == "int8" else "float32")
tokenizer = Tokenizer.from_file(os.path.join(model_dir, "tokenizer.json"))


def load(texts, batch):
    return worker.token_batches(tokenizer, model_dir, texts, batch)


def run(batches):
    return [encoder.forward_batch(ids).last_hidden_state for ids in batches]


def vectors(outputs, batches):
    is_cls = worker.takes_cls(model_dir)
    return numpy.concatenate([
        worker.pooled(numpy.array(hidden), worker.padded(ids)["attention_mask"], is_cls)
        for hidden, ids in zip(outputs, batches)])


worker.serve(load, run, vectors)
