"""fastembed (onnxruntime with its own tokenizing and pooling, all of which is timed), on
the graph of fused_onnx.py as a model of the user's own."""
import os
import shutil
import sys
import tempfile

import fused_onnx
import numpy
from fastembed import TextEmbedding
from fastembed.common.model_description import ModelSource, PoolingType

import worker

model_dir, threads = sys.argv[1], int(sys.argv[2])
directory = tempfile.mkdtemp()
try:
    for name in ("config.json", "tokenizer.json"):
        shutil.copy(os.path.join(model_dir, name), directory)
    tokens = worker.json_of(model_dir, "tokenizer_config.json", {})
    is_bert = tokens.get("pad_token", "<pad>") == "[PAD]"
    special = {"pad_token": "[PAD]" if is_bert else "<pad>"}
    for name, content in (("tokenizer_config.json",
                           {**tokens, **special,
                            "model_max_length": worker.max_tokens(model_dir)}),
                          ("special_tokens_map.json", special)):
        with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
            worker.json.dump(content, file)
    fused_onnx.write(model_dir, os.path.join(directory, "model.onnx"))
    TextEmbedding.add_custom_model(
        model="bench/model", normalization=True, sources=ModelSource(hf="bench/model"),
        pooling=PoolingType.CLS if worker.takes_cls(model_dir) else PoolingType.MEAN,
        dim=worker.json_of(model_dir, "config.json")["hidden_size"], model_file="model.onnx")
    model = TextEmbedding("bench/model", threads=threads, specific_model_path=directory)
finally:
    shutil.rmtree(directory)


def run(inputs):
    texts, batch = inputs
    return list(model.embed(texts, batch_size=batch))


worker.serve(lambda texts, batch: (texts, batch), run,
             lambda outputs, _: numpy.stack(outputs))
