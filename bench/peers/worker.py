"""What every peer of bench/embed has in common: it holds a model and a list of
texts, and encodes them all each time a line arrives on standard input.

    python WORKER.py MODEL TEXTS BATCH THREADS

Each input line is answered by {"seconds": ...}."""
import json
import sys
import time


def arguments():
    model, texts, batch, threads = sys.argv[1:5]
    with open(texts, encoding="utf-8") as lines:
        return model, lines.read().splitlines(), int(batch), int(threads)


def serve(encode_all):
    """encode_all() returns None, or the seconds that count if it times itself."""
    for _ in sys.stdin:
        start = time.perf_counter()
        seconds = encode_all()
        if seconds is None:
            seconds = time.perf_counter() - start
        print(json.dumps({"seconds": seconds}), flush=True)
