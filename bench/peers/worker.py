"""What every peer of bench/embed has in common: it holds a model and a list of
texts, and encodes them all each time a line arrives on standard input.

    python WORKER.py MODEL TEXTS BATCH THREADS

Each input line is answered by {"seconds": ..., "cpu_seconds": ...}."""
import json
import os
import sys
import time


def arguments():
    model, texts, batch, threads = sys.argv[1:5]
    with open(texts, encoding="utf-8") as lines:
        return model, lines.read().splitlines(), int(batch), int(threads)


def max_tokens(model_dir):
    path = os.path.join(model_dir, "sentence_bert_config.json")
    with open(path, encoding="utf-8") as file:
        return json.load(file)["max_seq_length"]


def serve(encode_all):
    for _ in sys.stdin:
        start, cpu_start = time.perf_counter(), time.process_time()
        encode_all()
        print(json.dumps({"seconds": time.perf_counter() - start,
                          "cpu_seconds": time.process_time() - cpu_start}),
              flush=True)
