"""OpenVINO on the graph of fused_onnx.py, in f32 or bf16 (what it chooses by itself
where the processor has it). Only the inference is timed: tokenizing, padding and
pooling are free for this peer, not for linkd."""
import os
import sys
import tempfile

import fused_onnx
import numpy
import openvino
from tokenizers import Tokenizer

import worker

model_dir, threads = sys.argv[1], int(sys.argv[2])
core = openvino.Core()
with tempfile.TemporaryDirectory() as directory:
    graph = os.path.join(directory, "model.onnx")
    fused_onnx.write(model_dir, graph)
    compiled = core.compile_model(core.read_model(graph), "CPU", {
        "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads,
        "ENABLE_CPU_PINNING": False, "INFERENCE_PRECISION_HINT": worker.precision()})
request = compiled.create_infer_request()
names = [port.any_name for port in compiled.inputs]
tokenizer = Tokenizer.from_file(os.path.join(model_dir, "tokenizer.json"))


def load(texts, batch):
    return [worker.padded(ids)
            for ids in worker.token_batches(tokenizer, model_dir, texts, batch)]


def run(batches):
    return [request.infer({name: inputs[name] for name in names})[0] for inputs in batches]


def vectors(outputs, batches):
    is_cls = worker.takes_cls(model_dir)
    return numpy.concatenate([worker.pooled(hidden, inputs["attention_mask"], is_cls)
                              for hidden, inputs in zip(outputs, batches)])


worker.serve(load, run, vectors)
