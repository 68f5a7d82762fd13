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

from worker import arguments, max_tokens, serve

model_dir, texts, batch, threads = arguments()

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = threads
options.inter_op_num_threads = 1
with tempfile.TemporaryDirectory() as directory:
    graph = os.path.join(directory, "model.onnx")
    fused_onnx.write(model_dir, graph)
    if os.environ.get("PEER_PRECISION") == "int8":
        exact, graph = graph, os.path.join(directory, "int8.onnx")
        quantize_dynamic(exact, graph, per_channel=True, weight_type=QuantType.QInt8,
                         extra_options={"DefaultTensorType": TensorProto.FLOAT})
    session = onnxruntime.InferenceSession(graph, options,
                                           providers=["CPUExecutionProvider"])
tokenizer = Tokenizer.from_file(os.path.join(model_dir, "tokenizer.json"))
tokenizer.no_padding()
tokenizer.enable_truncation(max_tokens(model_dir))


def padded(lines):
    tokens = [encoding.ids for encoding in tokenizer.encode_batch(lines)]
    shape = (len(tokens), max(len(ids) for ids in tokens))
    ids = numpy.zeros(shape, numpy.int32)
    mask = numpy.zeros(shape, numpy.int32)
    for row, line in enumerate(tokens):
        ids[row, :len(line)] = line
        mask[row, :len(line)] = 1
    return {"input_ids": ids, "attention_mask": mask,
            "token_type_ids": numpy.zeros(shape, numpy.int32)}


batches = [padded(texts[i:i + batch]) for i in range(0, len(texts), batch)]


def encode_all():
    for inputs in batches:
        session.run(None, inputs)


print("ready", file=sys.stderr)
serve(encode_all)
