"""recordlinkage: string comparisons as its guide makes them (Jaro-Winkler of .85
or more), classified without labels by expectation maximisation; for one table
the components of the links.

    python recordlinkage_worker.py FOLDER SET RESULT"""
import sys

import pandas
import recordlinkage

import tables

# Options of Compare.string; a kind that is not here is compared exactly.
STRINGS = {
    "name": {"method": "jarowinkler", "threshold": 0.85},
    "text": {"method": "cosine", "threshold": 0.7},  # a guess; none is advised
    "code": {"method": "damerau_levenshtein", "threshold": 0.85},
    "email": {"method": "jarowinkler", "threshold": 0.85},
}


def key_column(frame, part):
    name, how, n = part
    if how == "/":
        return frame[name].str[:n]
    return frame[name].str.split().str[n - 1] if how == "." else frame[name]


def indexed(frames, plan):
    """The pairs to compare: all, or those that share a key."""
    index = recordlinkage.Index()
    for i, key in enumerate(plan.block):
        parts = tables.key_parts(key)
        if not parts:
            index.full()
            continue
        for frame in frames:
            columns = [key_column(frame, part) for part in parts]
            joined = columns[0]
            for column in columns[1:]:
                joined = joined + "\n" + column
            frame[f"key{i}"] = joined
        index.block(f"key{i}")
    return index.index(*frames)


def compared(pairs, frames, plan):
    compare = recordlinkage.Compare()
    for name, _, _, kind in tables.fields(plan):
        if kind in STRINGS:
            compare.string(name, name, label=name, **STRINGS[kind])
        else:
            compare.exact(name, name, label=name)
    return compare.compute(pairs, *frames)


def main():
    folder, name, result = sys.argv[1:4]
    plan = tables.PLANS[name]
    frames = [pandas.DataFrame(table).set_index("id")
              for table in tables.read_all(folder, plan)]
    features = compared(indexed(frames, plan), frames, plan)
    links = recordlinkage.ECMClassifier().fit_predict(features)
    if len(frames) == 2:
        tables.write_pairs(result, links)
    else:
        tables.write_entities(result,
                              tables.components(frames[0].index, links))


if __name__ == "__main__":
    main()
