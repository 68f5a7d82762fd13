"""Cells and rows of the *.csv files below a directory, drawn evenly over their
lengths, so that one-token texts and texts beyond a model's limit take part."""
import csv
import pathlib
import random

SEED = 20261124
ROWS_PER_FILE = 20_000
PILE = 20  # rows put together for the longest texts


def table_texts(directory):
    """The distinct cells, rows and piles of rows of all tables."""
    texts = {}
    csv.field_size_limit(1 << 30)
    for path in sorted(pathlib.Path(directory).rglob("*.csv")):
        with open(path, encoding="utf-8", errors="replace", newline="") as file:
            pile = []
            for i, row in enumerate(csv.reader(line.replace("\0", "") for line in file)):
                if i == ROWS_PER_FILE:
                    break
                pile.append(" ".join(row))
                for text in (*row, pile[-1]):
                    texts[" ".join(text.split())] = None
                if len(pile) == PILE:
                    texts[" ".join(" ".join(pile).split())] = None
                    pile.clear()
    return list(texts)


def draw(texts, n):
    """n texts, as many of each power of two of length as there are."""
    rng = random.Random(SEED)
    by_length = {}
    for text in texts:
        by_length.setdefault(len(text).bit_length(), []).append(text)
    drawn = []
    piles = sorted(by_length.values(), key=len)
    for i, pile in enumerate(piles):
        share = (n - len(drawn)) // (len(piles) - i)
        drawn += rng.sample(pile, min(share, len(pile)))
    return drawn
