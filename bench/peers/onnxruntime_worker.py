"""onnxruntime on a graph of its own fused operators, in f32, or with PEER_PRECISION=int8
quantised by its own tool (dynamic, one scale per output channel). Only session.run()
is timed: tokenizing, padding and pooling are free for this peer, not for linkd."""
import os
import sys
import tempfile

import fused_onnx
import numpy
import onnxruntime
from onnx import TensorProto
from onnxruntime.quantization import QuantType, quantize_dynamic
from tokenizers import Tokenizer

import worker

model_dir, threads = sys.argv[1], int(sys.argv[2])
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = threads
options.inter_op_num_threads = 1
with tempfile.TemporaryDirectory() as directory:
    graph = os.path.join(directory, "model.onnx")
    fused_onnx.write(model_dir, graph)
    if worker.precision() == "int8":
        exact, graph = graph, os.path.join(directory, "int8.onnx")
        quantize_dynamic(exact, graph, per_channel=True, weight_type=QuantType.QInt8,
                         extra_options={"DefaultTensorType": TensorProto.FLOAT})
    session = onnxruntime.InferenceSession(graph, options,
                                           providers=["CPUExecutionProvider"])
tokenizer = Tokenizer.from_file(os.path.join(model_dir, "tokenizer.json"))


def load(texts, batch):
    return [worker.padded(ids)
            for ids in worker.token_batches(tokenizer, model_dir, texts, batch)]


def run(batches):
    return [session.run(None, inputs)[0] for inputs in batches]


def vectors(outputs, batches):
    is_cls = worker.takes_cls(model_dir)
    return numpy.concatenate([worker.pooled(hidden, inputs["attention_mask"], is_cls)
                              for hidden, inputs in zip(outputs, batches)])


worker.serve(load, run, vectors)
