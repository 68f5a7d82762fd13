"""Writes a BERT model directory as an ONNX graph out of onnxruntime's own fused
operators (EmbedLayerNormalization, Attention, SkipLayerNormalization, BiasGelu):
the graph that its transformer optimiser aims at, so the peer is at its best and
does not depend on what an exporter happened to emit."""
import json
import os

import numpy
from onnx import TensorProto, helper, numpy_helper, save
from safetensors.numpy import load_file


INPUTS = ("input_ids", "attention_mask", "token_type_ids")


class Graph:
    def __init__(self, weights):
        self.weights = weights
        self.nodes = []
        self.constants = []

    def constant(self, name, array):
        array = numpy.ascontiguousarray(array, numpy.float32)
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def weight(self, name, transpose=False):
        array = self.weights[name]
        return self.constant(name, array.T if transpose else array)

    def node(self, kind, inputs, output, domain="com.microsoft", **attributes):
        self.nodes.append(helper.make_node(kind, inputs, [output], domain=domain,
                                           **attributes))
        return output


def embeddings(graph, epsilon):
    prefix = "embeddings."
    # The fused operator takes int32, while programs around graphs give int64.
    narrow = [graph.node("Cast", [name], name + ".int32", domain="", to=TensorProto.INT32)
              for name in INPUTS]
    graph.nodes.append(helper.make_node(
        "EmbedLayerNormalization",
        [narrow[0], narrow[2],
         graph.weight(prefix + "word_embeddings.weight"),
         graph.weight(prefix + "position_embeddings.weight"),
         graph.weight(prefix + "token_type_embeddings.weight"),
         graph.weight(prefix + "LayerNorm.weight"),
         graph.weight(prefix + "LayerNorm.bias"), narrow[1]],
        ["embedded", "mask_index"], domain="com.microsoft", epsilon=epsilon))
    return "embedded"


def layer(graph, number, x, n_heads, epsilon):
    at = f"encoder.layer.{number}."
    three = [at + f"attention.self.{part}." for part in ("query", "key", "value")]
    qkv = graph.constant(at + "qkv.weight", numpy.concatenate(
        [graph.weights[part + "weight"].T for part in three], axis=1))
    qkv_bias = graph.constant(at + "qkv.bias", numpy.concatenate(
        [graph.weights[part + "bias"] for part in three]))

    def residual(source, target, name, output):
        product = graph.node("MatMul", [source, graph.weight(name + "dense.weight", True)],
                             output + ".product", domain="")
        return graph.node("SkipLayerNormalization",
                          [product, target, graph.weight(name + "LayerNorm.weight"),
                           graph.weight(name + "LayerNorm.bias"),
                           graph.weight(name + "dense.bias")],
                          output, epsilon=epsilon)

    attended = graph.node("Attention", [x, qkv, qkv_bias, "mask_index"],
                          at + "attended", num_heads=n_heads)
    x = residual(attended, x, at + "attention.output.", at + "x1")
    wide = graph.node("MatMul", [x, graph.weight(at + "intermediate.dense.weight", True)],
                      at + "wide", domain="")
    active = graph.node("BiasGelu", [wide, graph.weight(at + "intermediate.dense.bias")],
                        at + "active")
    return residual(active, x, at + "output.", at + "x2")


def write(model_dir, path):
    with open(os.path.join(model_dir, "config.json"), encoding="utf-8") as file:
        config = json.load(file)
    weights = load_file(os.path.join(model_dir, "model.safetensors"))
    graph = Graph({name.removeprefix("bert."): array for name, array in weights.items()})
    x = embeddings(graph, config["layer_norm_eps"])
    for number in range(config["num_hidden_layers"]):
        x = layer(graph, number, x, config["num_attention_heads"],
                  config["layer_norm_eps"])
    shape = ["batch", "length"]
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, shape)
              for name in INPUTS]
    output = helper.make_tensor_value_info(x, TensorProto.FLOAT,
                                           shape + [config["hidden_size"]])
    save(helper.make_model(
        helper.make_graph(graph.nodes, "bert", inputs, [output], graph.constants),
        opset_imports=[helper.make_opsetid("", 17),
                       helper.make_opsetid("com.microsoft", 1)],
        ir_version=8), path)
    return x
