"""What every peer of bench/embed has in common: it holds a model and does what the
lines of its standard input say, with a line of JSON for each.

    python WORKER.py MODEL THREADS        PEER_PRECISION=f32|bf16|int8
      load BATCH PATH   the texts of a file, one a line, encoded BATCH at a time
      go                encodes them: {"seconds": ..., "cpu_seconds": ...}
      write PATH        encodes them and writes unit vectors, f32 [n, dim]"""
import json
import os
import sys
import time

import numpy


def precision():
    return os.environ.get("PEER_PRECISION", "f32")


def json_of(model_dir, name, otherwise=None):
    path = os.path.join(model_dir, name)
    if not os.path.exists(path):
        return otherwise
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def max_tokens(model_dir):
    return json_of(model_dir, "sentence_bert_config.json")["max_seq_length"]


def takes_cls(model_dir):
    return json_of(model_dir, "1_Pooling/config.json", {}).get("pooling_mode_cls_token", False)


def token_batches(tokenizer, model_dir, texts, batch):
    """Lists of ids, for peers that are given tokens; no part of their time."""
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens(model_dir))
    return [[encoding.ids for encoding in tokenizer.encode_batch(texts[i:i + batch])]
            for i in range(0, len(texts), batch)]


def padded(ids):
    """To the longest of the batch: ids, mask and token types, int64."""
    shape = (len(ids), max(map(len, ids)))
    padded_ids = numpy.zeros(shape, numpy.int64)
    mask = numpy.zeros(shape, numpy.int64)
    for row, line in enumerate(ids):
        padded_ids[row, :len(line)] = line
        mask[row, :len(line)] = 1
    return {"input_ids": padded_ids, "attention_mask": mask,
            "token_type_ids": numpy.zeros(shape, numpy.int64)}


def pooled(hidden, mask, is_cls):
    """[n, length, dim] -> [n, dim]."""
    if is_cls:
        return hidden[:, 0]
    weights = mask[:, :, None].astype(numpy.float32)
    return (hidden * weights).sum(1) / weights.sum(1)


def write(path, vectors):
    vectors = numpy.asarray(vectors, numpy.float32)
    vectors = vectors / numpy.linalg.norm(vectors, axis=1, keepdims=True)
    vectors.astype("<f4").tofile(path)


def timed(run):
    start, cpu_start = time.perf_counter(), time.process_time()
    run()
    return {"seconds": time.perf_counter() - start,
            "cpu_seconds": time.process_time() - cpu_start}


def serve(load, run, vectors):
    """load(texts, batch) makes what run() takes; vectors() makes [n, dim] of what
    run() returns. Only run() is timed."""
    inputs = None
    for line in sys.stdin:
        command, *rest = line.rstrip("\n").split(" ", 2)
        answer = {}
        if command == "load":
            with open(rest[1], encoding="utf-8") as lines:
                inputs = load(lines.read().split("\n")[:-1], int(rest[0]))
        elif command == "go":
            answer = timed(lambda: run(inputs))
        else:
            write(rest[0], vectors(run(inputs), inputs))
        print(json.dumps(answer), flush=True)
