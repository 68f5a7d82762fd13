"""dedupe: it needs labels, so it gets the true answers to the first 50 pairs
that its active learning asks about, and else its defaults.

    python dedupe_worker.py FOLDER SET RESULT TRUTH"""
import csv
import random
import sys

import dedupe
import numpy
from dedupe import variables

import tables

N_LABELS = 50
SEED = 1

VARIABLES = {
    "name": variables.String,
    "text": variables.Text,
    "code": variables.ShortString,
    "category": variables.ShortString,
    "date": variables.ShortString,
    "price": variables.Price,
    "email": variables.String,
    "postcode": variables.ShortString,
}


def records(table, kinds):
    """{id: {field: value}}; "id" is no variable, but names an asked pair."""
    rows = {row: {"id": row} for row in table["id"]}
    for name, kind in kinds:
        for row, value in zip(table["id"], table[name]):
            if kind == "price":
                value = value and float(value) or None
            rows[row][name] = value
    return rows


def oracle(path, is_link):
    """Says of two records whether they are the same."""
    with open(path, newline="", encoding="utf-8") as file:
        truth = [tuple(row) for row in csv.reader(file)][1:]
    if is_link:
        pairs = set(truth)
        return lambda a, b: (a["id"], b["id"]) in pairs
    entity_of = dict(truth)
    return lambda a, b: entity_of[a["id"]] == entity_of[b["id"]]


def answer(matcher, same):
    for _ in range(N_LABELS):
        pair = matcher.uncertain_pairs()[0]
        answers = {"match": [], "distinct": []}
        answers["match" if same(*pair) else "distinct"].append(pair)
        matcher.mark_pairs(answers)


def main():
    folder, name, result, truth = sys.argv[1:5]
    random.seed(SEED)
    numpy.random.seed(SEED)
    plan = tables.PLANS[name]
    kinds = [(field[0], field[3]) for field in tables.fields(plan)]
    data = [records(table, kinds) for table in tables.read_all(folder, plan)]
    is_link = len(data) == 2
    missing = {column: any(row[column] is None
                           for side in data for row in side.values())
               for column, _ in kinds}
    matcher = (dedupe.RecordLink if is_link else dedupe.Dedupe)(
        [VARIABLES[kind](column, has_missing=missing[column])
         for column, kind in kinds], num_cores=1)
    matcher.prepare_training(*data)
    answer(matcher, oracle(truth, is_link))
    matcher.train()
    if is_link:
        tables.write_pairs(result, (ids for ids, _ in matcher.join(*data)))
    else:
        clusters = matcher.partition(data[0])
        tables.write_entities(result, ((row, i) for i, (rows, _) in
                                       enumerate(clusters) for row in rows))


if __name__ == "__main__":
    main()
