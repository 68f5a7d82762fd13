"""How near vectors are to exact ones: for bench/embed. Needs numpy.

    vectors_compare.py N REFERENCE.f32 FILE.f32...

Each file has unit vectors, f32 [N, dim]. Prints a list with, for each, the lowest and mean
cosine to the reference's vector of the same text, and the share of each text's ten nearest
others by the reference that are among its ten nearest by the file."""
import json
import sys

import numpy

TOP = 10


def read(path, n):
    return numpy.fromfile(path, "<f4").reshape(n, -1).astype(numpy.float64)


def neighbours(vectors):
    scores = vectors @ vectors.T
    numpy.fill_diagonal(scores, -2)
    return numpy.argsort(-scores, axis=1, kind="stable")[:, :TOP]


def compare(exact, exact_top, vectors):
    cosines = (exact * vectors).sum(1)
    kept = [len(set(a) & set(b)) for a, b in zip(exact_top, neighbours(vectors))]
    return {"lowest": float(cosines.min()), "mean": float(cosines.mean()),
            "kept": sum(kept) / (TOP * len(kept))}


def main():
    n, reference, paths = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    exact = read(reference, n)
    top = neighbours(exact)
    print(json.dumps([compare(exact, top, read(path, n)) for path in paths]))


main()
